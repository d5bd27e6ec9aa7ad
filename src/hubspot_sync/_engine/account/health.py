"""How accounts are: worked out from their entries and checkpoints when it is asked for.

Nothing of it is stored, so a worker that died leaves no "fresh" behind. How long ago a stream was
brought up to date is told by the store's clock alone, at both ends, so that it may be wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from attrs import frozen

from hubspot_sync._engine.account.conditions import (
    error_of,
    is_many_rejected,
    needs_person,
    patience,
    remedy_of,
)
from hubspot_sync.models import (
    AccountHealth,
    AccountStatus,
    Checkpoint,
    Condition,
    Health,
    HealthStatus,
    Problem,
    RejectedCounts,
    StreamHealth,
    StreamKey,
    StreamProgress,
)
from hubspot_sync.models.object_types import is_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.models import AccountEntry

_ACCOUNTS_AT_ONCE: Final = 200
# How long an account may be due before it is taken up.
_LONGEST_QUEUE: Final = timedelta(minutes=5)
_FOR_EVER: Final = timedelta(days=365_000)
_NOTHING: Final = StreamProgress(checkpoint=Checkpoint())
# These have nothing to do with how fresh a stream is, nor since when.
_BESIDE_IT: Final = (Condition.PARKED, Condition.DELETIONS_SUSPECTED)
_BY_STATUS: Final = {
    AccountStatus.PAUSED: HealthStatus.PAUSED,
    AccountStatus.NEEDS_REAUTHORIZATION: HealthStatus.NEEDS_RECONNECT,
    AccountStatus.DISABLED: HealthStatus.NOT_TRACKED,
}


def health_of(context: RunContext, entries: Iterable[AccountEntry]) -> Health:
    """How the accounts of *entries* are; the stores are asked about 200 of them at once."""
    entries, checked_at = iter(entries), context.clock.now()
    accounts: list[AccountHealth] = []
    while page := list(islice(entries, _ACCOUNTS_AT_ONCE)):
        accounts += _page(context, page)
    return Health(accounts=tuple(accounts), checked_at=checked_at)


def account_health(context: RunContext, entry: AccountEntry) -> AccountHealth:
    """How the account of *entry* is, with its objects counted."""
    delivered = {
        stream: context.call(stream, lambda stream=stream: context.checkpointer.count(stream))  # type: ignore[misc]
        for stream in _streams(entry)
    }
    (health,) = _page(context, [entry], delivered)
    return health


def _page(
    context: RunContext, entries: Sequence[AccountEntry], delivered: Mapping[StreamKey, int] = {}
) -> Iterator[AccountHealth]:
    streams = [stream for entry in entries for stream in _streams(entry)]
    found = context.ask("checkpointer", lambda: context.checkpointer.survey(streams))
    rejected = _rejected(context, entries)
    now = context.clock.now()
    for entry in entries:
        yield AccountHealth(
            account=entry.key,
            name=entry.name,
            streams=tuple(
                StreamJudge(
                    entry=entry,
                    stream=stream,
                    progress=found.get(stream, _NOTHING),
                    rejected=None if rejected is None else rejected.get(stream, RejectedCounts()),
                    delivered=delivered.get(stream),
                    now=now,
                    reference_every=context.settings.reference_every,
                ).health()
                for stream in _streams(entry)
            ),
        )


def _streams(entry: AccountEntry) -> list[StreamKey]:
    return [StreamKey(entry.key, one.object_type) for one in entry.account.streams]


def _rejected(
    context: RunContext, entries: Sequence[AccountEntry]
) -> Mapping[StreamKey, RejectedCounts] | None:
    """How many refused actions there are; None where the queue cannot tell for many accounts."""
    tally = getattr(context.error_queue, "tally", None)
    if tally is None:
        return None
    keys = [entry.key for entry in entries]
    counted: Mapping[StreamKey, RejectedCounts] = context.ask("error queue", lambda: tally(keys))
    return counted


@frozen(kw_only=True)
class StreamJudge:
    """Works out how one stream is.

    Attributes:
        entry: Its account's entry.
        stream: The stream.
        progress: How far it is.
        rejected: Its refused actions; None where they were not counted.
        delivered: Its objects; None where they were not counted.
        now: The present time, by the clock of who asks.
        reference_every: How often reference data is read; None for never by itself.
    """

    entry: AccountEntry
    stream: StreamKey
    progress: StreamProgress
    rejected: RejectedCounts | None
    delivered: int | None
    now: datetime
    reference_every: timedelta | None

    def health(self) -> StreamHealth:
        """How it is, since when, and what to do."""
        status, since = self._status()
        summary = self.entry.streams.get(self.stream.object_type)
        error, error_type = error_of(self.entry, self.stream.object_type)
        return StreamHealth(
            stream=self.stream,
            status=status,
            since=since,
            age=self._age,
            complete_until=self.progress.checkpoint.high_water_mark,
            compared_ago=self._compared_ago(),
            next_sync_at=self.entry.next_sync_at,
            completed_at=summary.completed_at if summary else None,
            delivered=self.delivered,
            rejected=self.rejected,
            suspected=self._suspected,
            error=error,
            error_type=error_type,
            problems=tuple(
                Problem(
                    condition=condition,
                    remedy=remedy_of(condition, error_type),
                    streams=(self.stream,),
                    since=None if condition in _BESIDE_IT else since,
                )
                for condition in self._conditions(status, error_type)
            ),
        )

    def _status(self) -> tuple[HealthStatus, datetime | None]:
        """Its status, and since when it has it."""
        by_status = _BY_STATUS.get(self.entry.status)
        if by_status is not None:
            return by_status, self.entry.status_since
        if needs_person(error_of(self.entry, self.stream.object_type)[1]):
            return HealthStatus.NEEDS_RECONNECT, self._last_completed
        if self._age is None:
            begun = self.progress.committed_ago is not None
            if begun and self._is_overdue and not self._is_seen_to:
                return HealthStatus.STALLED, self._last_moved
            return HealthStatus.NEVER, self.entry.status_since
        return self._by_age(self._age)

    def _by_age(self, age: timedelta) -> tuple[HealthStatus, datetime]:
        """Its status when it was brought up to date so long ago, and since when it has it."""
        if age <= self._patience:
            return HealthStatus.FRESH, self.now - age
        if self._is_seen_to:
            return HealthStatus.LATE, self.now - age + self._patience
        return HealthStatus.STALLED, self._last_moved

    def _conditions(self, status: HealthStatus, error_type: str | None) -> Iterator[Condition]:
        never = status is HealthStatus.NEVER and self._is_overdue
        if status is HealthStatus.NEEDS_RECONNECT:
            yield Condition.NEEDS_RECONNECT
        elif status is HealthStatus.STALLED or (never and not self._is_seen_to):
            yield Condition.STALLED
        elif is_many_rejected(error_type) and self.entry.status is AccountStatus.ACTIVE:
            yield Condition.MANY_REJECTED
        elif status is HealthStatus.LATE or (never and error_type is not None):
            yield Condition.LATE
        if self.rejected is not None and self.rejected.parked:
            yield Condition.PARKED
        if self._suspected:
            yield Condition.DELETIONS_SUSPECTED

    @property
    def _patience(self) -> timedelta:
        """How long after its last completion it counts as late."""
        longest = patience(self.entry.account)
        if not is_reference(self.stream.object_type):
            return longest
        return longest + (self.reference_every or _FOR_EVER)

    @property
    def _suspected(self) -> int:
        checkpoint = self.progress.checkpoint
        return 0 if checkpoint.confirmed else checkpoint.suspected

    @property
    def _age(self) -> timedelta | None:
        """How long ago it was brought up to date; None when it never was."""
        mark = self.progress.checkpoint.high_water_mark
        if mark is None or self.progress.marked_ago is not None:
            return None if mark is None else self.progress.marked_ago
        return max(self.now - mark, timedelta(0))

    def _compared_ago(self) -> timedelta | None:
        age, checkpoint = self._age, self.progress.checkpoint
        if age is None or checkpoint.high_water_mark is None or checkpoint.reconciled_at is None:
            return None
        # Both are HubSpot's, so that no clock is compared with another.
        return age + max(checkpoint.high_water_mark - checkpoint.reconciled_at, timedelta(0))

    @property
    def _is_overdue(self) -> bool:
        """Whether so much time has passed that it should have been brought up to date."""
        ago = [self.progress.committed_ago, self.now - self.entry.status_since]
        return min(one for one in ago if one is not None) > self._patience

    @property
    def _is_seen_to(self) -> bool:
        """Whether a worker is at it, or was lately, or put it off to a time that is to come."""
        limit = self._patience
        moved = self.progress.committed_ago
        if self.progress.held or (moved is not None and moved <= limit):
            return True
        due = self.entry.next_sync_at
        if due is None:  # never by itself: the host asks for syncs
            last = self.entry.last_sync
            return last is not None and self.now - last.finished_at <= limit
        if not self.entry.is_due(self.now):
            return True
        return timedelta(0) <= self.now - due <= _LONGEST_QUEUE

    @property
    def _last_completed(self) -> datetime:
        summary = self.entry.streams.get(self.stream.object_type)
        known = summary.completed_at if summary else None
        return known or self.entry.status_since

    @property
    def _last_moved(self) -> datetime:
        """When a worker last did something with it, by the clock of who asks."""
        last = self.entry.last_sync
        ends = [last.finished_at] if last is not None else []
        if self.progress.committed_ago is not None:
            ends.append(self.now - self.progress.committed_ago)
        return max(ends, default=self.entry.status_since)
