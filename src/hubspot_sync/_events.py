"""Hands events to observers, and the observer that writes them to `logging`."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from hubspot_sync.models import (
    AccountFinished,
    ActionsRejected,
    BatchStored,
    BookkeepingFailed,
    CallRetried,
    DirectoryRetried,
    FleetFinished,
    FleetStarted,
    RecordSkipped,
    RunFinished,
    RunStarted,
    StoreRetried,
    StreamFinished,
    StreamStarted,
    StreamStatus,
    ValueKeptAsText,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.interfaces import Observer
    from hubspot_sync.models import Counts, Event, StreamReport

_logger = logging.getLogger("hubspot_sync")
_REASONS_SHOWN: Final = 3


class Broadcaster:
    """An observer that tells several others; a failing one never disturbs the run.

    Args:
        observers: Told in this order.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def notify(self, event: Event) -> None:
        """Tell all observers."""
        for observer in self._observers:
            try:
                observer.notify(event)
            except Exception:
                _logger.exception("the observer %r failed on %s", observer, type(event).__name__)


class LoggingObserver:
    """Writes what happens to the logger "hubspot_sync"; never a value of a record, never a secret.

    Progress goes out at level DEBUG, starts and ends at INFO, retries, skipped records, refused
    actions and properties with values that do not fit their type at WARNING, failed streams at
    ERROR. The reasons of refusals are those that the sink and the validators give.
    """

    def notify(self, event: Event) -> None:
        """Log *event*."""
        level, message = _line_for(event)
        _logger.log(level, message)


def _line_for(event: Event) -> tuple[int, str]:
    if isinstance(event, (RunStarted, RunFinished, StreamStarted, StreamFinished)):
        return _milestone(event)
    if isinstance(event, (FleetStarted, AccountFinished, FleetFinished)):
        return _fleet_line(event)
    if isinstance(event, BatchStored):
        return logging.DEBUG, f"{event.stream}: {event.so_far.read} records settled"
    if isinstance(event, (CallRetried, StoreRetried, DirectoryRetried)):
        return logging.WARNING, _retry_line(event)
    return logging.WARNING, _complaint(event)


def _complaint(
    event: RecordSkipped | ActionsRejected | ValueKeptAsText | BookkeepingFailed,
) -> str:
    if isinstance(event, RecordSkipped):
        place = f"{event.stream}: skipped record {event.object_id or 'without id'}"
        return f"{place}: {event.reason}"
    if isinstance(event, ActionsRejected):
        return _rejection_line(event)
    if isinstance(event, BookkeepingFailed):
        return f"{event.account}: its entry was not updated: {event.reason}"
    place = f"{event.stream}: {event.property_name!r} of record {event.object_id}"
    return f"{place} does not fit its type and is kept as text"


def _milestone(event: RunStarted | RunFinished | StreamStarted | StreamFinished) -> tuple[int, str]:
    if isinstance(event, RunStarted):
        return logging.INFO, f"{event.account}: syncing {', '.join(event.object_types)}"
    if isinstance(event, StreamStarted):
        verb = "resuming" if event.resumed else "starting"
        return logging.INFO, f"{event.stream}: {verb} {event.mode.value}"
    if isinstance(event, StreamFinished):
        return _stream_line(event.report)
    report = event.report
    ending = "done" if report.completed else "ended before it was complete"
    seconds = report.duration.total_seconds()
    return logging.INFO, f"{report.account}: {ending} after {seconds:.1f} s"


def _fleet_line(event: FleetStarted | AccountFinished | FleetFinished) -> tuple[int, str]:
    if isinstance(event, FleetStarted):
        return logging.INFO, f"syncing many accounts, {event.workers} at once"
    if isinstance(event, FleetFinished):
        numbers = event.report.ended.items()
        ended = ", ".join(f"{number} {status.value}" for status, number in numbers)
        seconds = event.report.duration.total_seconds()
        return logging.INFO, f"{len(event.report.accounts)} accounts: {ended}; {seconds:.1f} s"
    report = event.report
    what = report.failure or ("up to date" if report.completed else "stopped")
    return logging.INFO, f"{report.account}: done for now: {what} ({_tally(report.counts)})"


def _stream_line(report: StreamReport) -> tuple[int, str]:
    counts = report.counts
    summary = f"{report.stream}: {report.status.value}; {_tally(counts)}"
    if report.error is None:
        return logging.INFO, summary
    level = logging.WARNING if report.status is StreamStatus.BUSY else logging.ERROR
    return level, f"{report.stream}: {report.status.value}: {report.error} ({_tally(counts)})"


def _tally(counts: Counts) -> str:
    return (
        f"read {counts.read}, delivered {counts.delivered}, repeated {counts.repeated}, unchanged "
        f"{counts.unchanged}, rejected {counts.rejected}, skipped {counts.skipped}"
    )


def _rejection_line(event: ActionsRejected) -> str:
    shown = Counter(event.reasons).most_common(_REASONS_SHOWN)
    reasons = "; ".join(f"{number} x {reason}" for reason, number in shown)
    more = ", and others" if len(event.reasons) > _REASONS_SHOWN else ""
    parked = f", {event.parked} for the last time" if event.parked else ""
    number = sum(event.reasons.values())
    return f"{event.stream}: {number} actions refused{parked}: {reasons}{more}"


def _retry_line(event: CallRetried | StoreRetried | DirectoryRetried) -> str:
    seconds = event.wait.total_seconds()
    if isinstance(event, CallRetried):
        what = f"{event.account}: call to {event.endpoint}"
    elif isinstance(event, DirectoryRetried):
        what = "call to the account store"
    else:
        what = f"{event.stream}: write to the store"
    return f"{what} failed ({event.reason}); try {event.attempt + 1} follows in {seconds:.1f} s"
