"""Writes down in an account's entry how its run went, and when it is due again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from hubspot_sync._clock import is_ahead, later
from hubspot_sync._engine.entries import with_status
from hubspot_sync._engine.turns import is_same
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    HubSpotSyncError,
    OAuthAppError,
    RetryableError,
    RevisionConflictError,
    SupersededError,
    UnknownAccountError,
    WrongAccountError,
)
from hubspot_sync.models import (
    AccountStatus,
    BookkeepingFailed,
    StreamStatus,
    StreamSummary,
    SyncSummary,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hubspot_sync._clock import Clock
    from hubspot_sync._engine.directory import Directory
    from hubspot_sync.models import AccountEntry, AccountKey, Event, StreamReport, SyncReport

_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=1)
_MOST_DOUBLINGS: Final = 20
# A process that died keeps others from its accounts no longer than this.
_LONGEST_CLAIM: Final = timedelta(minutes=15)


@frozen(kw_only=True)
class Bookkeeping:
    """Keeps the entries of accounts up to date.

    Attributes:
        directory: Where the entries are.
        clock: Time and chance.
        notify: Told when an entry could not be updated.
    """

    directory: Directory
    clock: Clock
    notify: Callable[[Event], None]

    def note(
        self, report: SyncReport, started_at: datetime, claimed_until: datetime | None = None
    ) -> None:
        """Write down what *report* says; an account without an entry gets none.

        A store that stays away spoils nothing: it is reported and that is all.

        Args:
            report: How the run went.
            started_at: When it began.
            claimed_until: What `claim` made of `next_sync_at`, where the account was claimed.
        """
        finished_at = self.clock.now()
        chance = self.clock.random()
        self._change(
            report.account,
            lambda entry: noted(
                entry,
                report,
                started_at=started_at,
                finished_at=finished_at,
                claimed_until=claimed_until,
                chance=chance,
            ),
        )

    def claim(self, entry: AccountEntry, claim_for: timedelta | None = None) -> AccountEntry | None:
        """Take a due account on, and give its entry; None if another did.

        Nobody else begins it for *claim_for*, or for one period of its own, 15 minutes at most.

        Raises:
            StoreUnavailableError: The account store stays away.
        """
        now = self.clock.now()
        until = later(now, claim_for or min(entry.account.sync_every, _LONGEST_CLAIM))
        try:
            return self.directory.save(entry.due_from(until, now))
        except RevisionConflictError:
            return None

    def give_back(self, key: AccountKey) -> None:
        """Make an account due again that was claimed and not synced."""
        now = self.clock.now()
        self._change(
            key,
            lambda entry: (
                entry.due_from(now, now) if entry.status is AccountStatus.ACTIVE else entry
            ),
        )

    def _change(self, key: AccountKey, change: Callable[[AccountEntry], AccountEntry]) -> None:
        try:
            self.directory.change(key, change)
        except UnknownAccountError:
            return
        except HubSpotSyncError as error:
            self.notify(BookkeepingFailed(account=key, reason=str(error)))


def noted(
    entry: AccountEntry,
    report: SyncReport,
    *,
    started_at: datetime,
    finished_at: datetime,
    claimed_until: datetime | None = None,
    chance: float,
) -> AccountEntry:
    """The entry after a run.

    Args:
        entry: The entry before.
        report: How the run went.
        started_at: When it began.
        finished_at: When it ended.
        claimed_until: What claiming the account made of `next_sync_at`, where it was claimed.
        chance: A number in [0, 1) that spreads what failed together.
    """
    started_at = min(started_at, finished_at)  # the clock may have been put right meanwhile
    streams = [one for one in report.streams if not isinstance(one.error, SupersededError)]
    if report.streams and not streams:
        return entry  # another worker has all of it, and will write down how it went
    failure = _failure(report, streams)
    if isinstance(failure, OAuthAppError):
        return entry  # nothing that this account could help
    failed_runs = entry.failed_runs + 1 if failure else entry.failed_runs
    after = evolve(
        entry,
        last_sync=SyncSummary(
            started_at=started_at,
            finished_at=finished_at,
            completed=report.completed,
            error=str(failure) if failure else None,
        ),
        failed_runs=0 if report.completed else failed_runs,
        streams=_summaries(entry, streams, finished_at),
    )
    asked_for = _asked_for(entry, started_at, finished_at, claimed_until)
    # What was decided meanwhile stays; what a wrong clock puts into the future was not.
    decided_before = entry.status_since <= started_at or is_ahead(entry.status_since, finished_at)
    if decided_before and not asked_for:
        after = _judged(after, report, failure, finished_at)
    if after.status is not AccountStatus.ACTIVE or asked_for:
        return after
    due = _next(
        after,
        failure,
        stopped=report.error is None and any(one.left_over for one in streams),
        started_at=started_at,
        finished_at=finished_at,
        chance=chance,
    )
    return after.due_from(due, finished_at)


def _asked_for(
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


def _failure(report: SyncReport, streams: list[StreamReport]) -> HubSpotSyncError | None:
    errors = (report.error, *(one.error for one in streams))
    return next((error for error in errors if error is not None), None)


def _summaries(
    entry: AccountEntry, streams: list[StreamReport], finished_at: datetime
) -> dict[str, StreamSummary]:
    """What is known of each stream that the account still has."""
    wanted = {stream.object_type for stream in entry.account.streams}
    kept = {name: summary for name, summary in entry.streams.items() if name in wanted}
    for one in streams:
        name = one.stream.object_type
        if name in wanted:
            kept[name] = _summary(one, kept.get(name), finished_at)
    return kept


def _summary(
    report: StreamReport, before: StreamSummary | None, finished_at: datetime
) -> StreamSummary:
    completed = report.status is StreamStatus.COMPLETED
    return StreamSummary(
        status=report.status,
        mode=report.mode,
        counts=report.counts,
        finished_at=finished_at,
        completed_at=finished_at if completed else before.completed_at if before else None,
        error=str(report.error) if report.error else None,
    )


def _judged(
    entry: AccountEntry,
    report: SyncReport,
    failure: HubSpotSyncError | None,
    finished_at: datetime,
) -> AccountEntry:
    """Whether the account may go on by itself."""
    shut = isinstance(failure, (AuthorizationRevokedError, WrongAccountError))
    if shut and entry.status in (AccountStatus.ACTIVE, AccountStatus.NEEDS_REAUTHORIZATION):
        return with_status(entry, AccountStatus.NEEDS_REAUTHORIZATION, str(failure), finished_at)
    if report.completed and entry.status is AccountStatus.NEEDS_REAUTHORIZATION:
        return with_status(entry, AccountStatus.ACTIVE, None, finished_at)
    return entry


def _next(
    entry: AccountEntry,
    failure: HubSpotSyncError | None,
    *,
    stopped: bool,
    started_at: datetime,
    finished_at: datetime,
    chance: float,
) -> datetime:
    """When an active account is due again."""
    if isinstance(failure, RetryableError):
        return later(finished_at, _wait(entry, failure, chance))
    return finished_at if stopped else later(started_at, entry.account.sync_every)


def _wait(entry: AccountEntry, failure: RetryableError, chance: float) -> timedelta:
    """Twice as long after each failure in a row, less up to a half by chance."""
    longest = max(_LONGEST_WAIT, entry.account.sync_every)
    doublings = min(entry.failed_runs - 1, _MOST_DOUBLINGS)
    wait: timedelta = min(_FIRST_WAIT * 2**doublings, longest) * (1 - chance / 2)
    return max(wait, failure.retry_after or timedelta(0))
