"""What a stop becomes for a host that waits for an answer; in a sync it is an outcome.

See `outcome_of` in `hubspot_sync._engine.context`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hubspot_sync._clock import StopRequested
from hubspot_sync.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubspot_sync.models import AccountKey


@contextmanager
def stop_as_error(
    what: str, account: AccountKey | None = None, object_type: str | None = None
) -> Iterator[None]:
    """Let a stop in the `with` block be an error.

    Args:
        what: What the stop came before, and what to do, to finish "the engine was stopped ...".
        account: What it is about, if it is about a single account.
        object_type: What it is about, if it is about a single stream.

    Raises:
        StoreUnavailableError: The engine was stopped.
    """
    try:
        yield
    except StopRequested:
        raise StoreUnavailableError(
            f"the engine was stopped {what}",
            account=str(account) if account else None,
            stream=object_type,
        ) from None
