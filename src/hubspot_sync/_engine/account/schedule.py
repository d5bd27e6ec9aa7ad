"""When an account is due: after a run, with other settings, and where somebody asked for a run.

An account that was connected or resumed is due at once, and one that is not active never: see
`with_status` and `opened` in `hubspot_sync._engine.account.entry`, where the rest of an entry is
kept. The account store compares what was decided with the present (`AccountStore.due`).
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hubspot_sync._clock import later
from hubspot_sync.errors import RetryableError

if TYPE_CHECKING:
    from datetime import datetime

    from hubspot_sync.errors import HubSpotSyncError
    from hubspot_sync.models import Account, AccountEntry

_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=1)
_MOST_DOUBLINGS: Final = 20
# MongoDB keeps milliseconds.
_STORED_TO: Final = timedelta(milliseconds=1)


def due_with(entry: AccountEntry, account: Account, now: datetime) -> datetime | None:
    """When the account is due with other settings; None for never, as it is."""
    due, last, before = entry.next_sync_at, entry.last_sync, entry.account
    if due is not None and account.streams != before.streams:
        return now
    if due is not None and last is not None and account.sync_every != before.sync_every:
        return max(later(min(last.started_at, now), account.sync_every), now)
    return due


def due_after(
    entry: AccountEntry,
    failure: HubSpotSyncError | None,
    *,
    stopped: bool,
    started_at: datetime,
    finished_at: datetime,
    chance: float,
) -> datetime:
    """When an active account is due again after a run that ended with *failure*, or without."""
    if isinstance(failure, RetryableError):
        return later(finished_at, _wait(entry, failure, chance))
    return finished_at if stopped else later(started_at, entry.account.sync_every)


def _wait(entry: AccountEntry, failure: RetryableError, chance: float) -> timedelta:
    """Twice as long after each failure in a row, less up to a half by chance."""
    longest = max(_LONGEST_WAIT, entry.account.sync_every)
    doublings = min(entry.failed_runs - 1, _MOST_DOUBLINGS)
    wait: timedelta = min(_FIRST_WAIT * 2**doublings, longest) * (1 - chance / 2)
    return max(wait, failure.retry_after or timedelta(0))


def is_same(stored: datetime | None, instant: datetime | None) -> bool:
    """Whether a store that keeps milliseconds made *stored* of *instant*."""
    if stored is None or instant is None:
        return False
    return abs(stored - instant) < _STORED_TO


def is_asked_for(
    entry: AccountEntry,
    started_at: datetime,
    finished_at: datetime,
    claimed_until: datetime | None,
) -> bool:
    """Whether somebody wanted another run while this one went on, as after connecting again."""
    due = entry.next_sync_at
    if due is None or is_same(due, claimed_until):
        return False
    return started_at < due <= finished_at
