"""How a walk through accounts goes on inside one domain, for the stores that search by text."""

from __future__ import annotations

from typing import Final

from hubspot_sync.models import AccountKey

_BEFORE_ALL: Final = ""
# Account ids are digits, and this comes behind all of them.
_BEHIND_ALL: Final = ":"


def id_before(domain_id: str, after: AccountKey | None) -> str:
    """The text that the account ids of *domain_id* which follow *after* are greater than."""
    if after is None or after.domain_id < domain_id:
        return _BEFORE_ALL
    return after.account_id if after.domain_id == domain_id else _BEHIND_ALL
