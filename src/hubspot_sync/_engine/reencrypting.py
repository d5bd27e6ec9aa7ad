"""Seals all stored credentials again under the primary key, beside syncs that use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubspot_sync.errors import ConfigurationError, HubSpotSyncError, StoreUnavailableError
from hubspot_sync.models import ReencryptionReport

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from hubspot_sync._engine.credentials import Safe
    from hubspot_sync.models import AccountKey

_PAGE: Final = 200


def reencrypt(safe: Safe, stop: threading.Event) -> ReencryptionReport:
    """Load and save the credentials of each account; one that fails keeps no other from it.

    Raises:
        ConfigurationError: The token store cannot say which accounts it has.
        StoreUnavailableError: It stays away.
    """
    resealed = 0
    failures: dict[AccountKey, HubSpotSyncError] = {}
    for account in _accounts(safe):
        if stop.is_set():
            return ReencryptionReport(resealed=resealed, failures=failures, completed=False)
        try:
            resealed += safe.reseal(account)
        except StoreUnavailableError:
            raise
        except HubSpotSyncError as error:
            failures[account] = error
    return ReencryptionReport(resealed=resealed, failures=failures)


def _accounts(safe: Safe) -> Iterator[AccountKey]:
    if not hasattr(safe.store, "accounts"):
        raise ConfigurationError(
            f"{safe.store.__class__.__name__} cannot say which accounts it has; give it the method "
            "of TokenStoreAdmin, or save the credentials of each account again"
        )
    after: AccountKey | None = None
    while page := safe.accounts(limit=_PAGE, after=after):
        yield from page
        after = page[-1]
