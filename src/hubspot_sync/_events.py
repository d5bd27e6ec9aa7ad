"""Hands events to observers, and the observer that writes them to `logging`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import asdict, frozen

from hubspot_sync.errors import HubSpotSyncError
from hubspot_sync.interfaces import Observer
from hubspot_sync.models import (
    AccountFinished,
    AccountKey,
    ActionsRejected,
    AttentionNeeded,
    BatchStored,
    BookkeepingFailed,
    Counts,
    DeletionsSuspected,
    Event,
    FleetFinished,
    FleetStarted,
    PropertiesChanged,
    RecordSkipped,
    Retried,
    RunFinished,
    RunStarted,
    StreamFinished,
    StreamKey,
    StreamStarted,
    StreamStatus,
    ValueKeptAsText,
)

_logger = logging.getLogger("hubspot_sync")
_REASONS_SHOWN: Final = 3
_NAMES_SHOWN: Final = 10


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
                name = type(event).__name__
                extra = {"event": "ObserverFailed", "failed_on": name}
                _logger.exception("the observer %r failed on %s", observer, name, extra=extra)


class LoggingObserver:
    """Writes what happens to the logger "hubspot_sync"; never a value of a record, never a secret.

    Progress goes out at level DEBUG, starts and ends at INFO, retries, skipped records, refused
    actions, properties with values that do not fit their type, changes of the properties and what
    somebody has to see to at WARNING, failed streams at ERROR. The reasons of refusals are those
    that the sink and the validators give.

    Each event has one template, and its parts are attributes of the `logging.LogRecord` too:
    `event`, which is the name of its class, `domain_id`, `account_id`, `object_type`, and others.
    """

    def notify(self, event: Event) -> None:
        """Log *event*."""
        line = _LINES[type(event)](event)
        parts = [_on_one_line(part) for part in line.parts]
        extra = {"event": type(event).__name__, **line.fields}
        _logger.log(line.level, line.template, *parts, extra=extra)


@frozen
class _Line:
    """How an event is logged.

    Attributes:
        level: At which level.
        template: The words, with a `%s` for each of the parts.
        parts: What differs from event to event.
        fields: What programs read: attributes of the record, none of which `logging` has itself.
    """

    level: int
    template: str
    parts: tuple[object, ...]
    fields: Mapping[str, Any]


def _on_one_line(part: object) -> object:
    """A part without line breaks, which a sink's or a validator's reason may have."""
    return " ".join(part.split()) if isinstance(part, str) else part


def _of_account(key: AccountKey) -> dict[str, Any]:
    return {"domain_id": key.domain_id, "account_id": key.account_id}


def _of_stream(key: StreamKey) -> dict[str, Any]:
    return {**_of_account(key.account), "object_type": key.object_type}


def _of_counts(counts: Counts) -> dict[str, Any]:
    return {"counts": {"read": counts.read, **asdict(counts)}}


def _of_error(error: HubSpotSyncError | None) -> dict[str, Any]:
    if error is None:
        return {}
    return {
        "error": type(error).__name__,
        "reason": str(error),
        "http_status": error.status,
        "correlation_id": error.correlation_id,
    }


def _run_started(event: RunStarted) -> _Line:
    fields = {**_of_account(event.account), "object_types": list(event.object_types)}
    parts = (event.account, ", ".join(event.object_types))
    return _Line(logging.INFO, "%s: syncing %s", parts, fields)


def _stream_started(event: StreamStarted) -> _Line:
    mode = event.mode.value
    fields = {**_of_stream(event.stream), "mode": mode, "resumed": event.resumed}
    parts = (event.stream, "resuming" if event.resumed else "starting", mode)
    return _Line(logging.INFO, "%s: %s %s pass", parts, fields)


def _batch_stored(event: BatchStored) -> _Line:
    fields = {**_of_stream(event.stream), **_of_counts(event.so_far)}
    return _Line(logging.DEBUG, "%s: %s records settled", (event.stream, event.so_far.read), fields)


def _retried(event: Retried) -> _Line:
    place = event.stream or event.account or "all accounts"
    wait = event.wait.total_seconds()
    fields = {
        **(_of_account(event.account) if event.account else {}),
        **(_of_stream(event.stream) if event.stream else {}),
        "what": event.what,
        "attempt": event.attempt,
        "wait_seconds": wait,
        "reason": event.reason,
    }
    parts = (place, event.what, event.reason, event.attempt + 1, f"{wait:.1f}")
    template = "%s: call to %s failed (%s); try %s follows in %s s"
    return _Line(logging.WARNING, template, parts, fields)


def _bookkeeping_failed(event: BookkeepingFailed) -> _Line:
    fields = {**_of_account(event.account), "reason": event.reason}
    parts = (event.account, event.reason)
    return _Line(logging.WARNING, "%s: its entry was not updated: %s", parts, fields)


def _attention_needed(event: AttentionNeeded) -> _Line:
    fields = {
        "condition": event.condition.value,
        "object_types": list(event.object_types),
        "remedy": event.remedy,
        "reason": event.error,
    }
    parts = (event.account, event.condition.words, ", ".join(event.object_types), event.remedy)
    template = "%s: %s (%s): %s"
    return _Line(logging.WARNING, template, parts, {**_of_account(event.account), **fields})


def _record_skipped(event: RecordSkipped) -> _Line:
    fields = {"object_id": event.object_id, "reason": event.reason}
    parts = (event.stream, event.object_id or "without id", event.reason)
    template = "%s: skipped record %s: %s"
    return _Line(logging.WARNING, template, parts, {**_of_stream(event.stream), **fields})


def _actions_rejected(event: ActionsRejected) -> _Line:
    shown = Counter(event.reasons).most_common(_REASONS_SHOWN)
    reasons = "; ".join(f"{number} x {reason}" for reason, number in shown)
    more = ", and others" if len(event.reasons) > _REASONS_SHOWN else ""
    parked = f", {event.parked} for the last time" if event.parked else ""
    number = sum(event.reasons.values())
    fields = {"rejected": number, "parked": event.parked, "reasons": dict(shown)}
    parts = (event.stream, number, parked, reasons, more)
    template = "%s: %s actions refused%s: %s%s"
    return _Line(logging.WARNING, template, parts, {**_of_stream(event.stream), **fields})


def _deletions_suspected(event: DeletionsSuspected) -> _Line:
    fields = {"gone": event.gone, "bound": event.bound}
    parts = (event.stream, event.gone, event.bound)
    template = (
        "%s: %s objects seem to be gone, more than the %s that are believed without somebody who "
        "confirms it; the sink was told of none"
    )
    return _Line(logging.ERROR, template, parts, {**_of_stream(event.stream), **fields})


def _value_kept_as_text(event: ValueKeptAsText) -> _Line:
    fields = {"property_name": event.property_name, "object_id": event.object_id}
    parts = (event.stream, event.property_name, event.object_id)
    template = "%s: '%s' of record %s does not fit its type and is kept as text"
    return _Line(logging.WARNING, template, parts, {**_of_stream(event.stream), **fields})


def _properties_changed(event: PropertiesChanged) -> _Line:
    fields = {
        "appeared": list(event.appeared),
        "vanished": list(event.vanished),
        "retyped": {name: list(types) for name, types in event.retyped.items()},
    }
    changes = [
        *(f"+{name}" for name in event.appeared),
        *(f"-{name}" for name in event.vanished),
        *(f"{name} is {now} and was {before}" for name, (before, now) in event.retyped.items()),
    ]
    more = ", and others" if len(changes) > _NAMES_SHOWN else ""
    parts = (event.stream, ", ".join(changes[:_NAMES_SHOWN]), more)
    template = "%s: HubSpot lists other properties: %s%s"
    return _Line(logging.WARNING, template, parts, {**_of_stream(event.stream), **fields})


def _stream_finished(event: StreamFinished) -> _Line:
    report = event.report
    level = logging.INFO if report.error is None else logging.ERROR
    level = logging.WARNING if report.status is StreamStatus.BUSY else level
    fields = {
        **_of_stream(report.stream),
        "status": report.status.value,
        "mode": report.mode and report.mode.value,
        **_of_counts(report.counts),
        "seconds": report.duration.total_seconds(),
        **_of_error(report.error),
    }
    why = "" if report.error is None else f": {report.error}"
    parts = (report.stream, report.status.value, why, _tally(report.counts))
    return _Line(level, "%s: stream %s%s (%s)", parts, fields)


def _run_finished(event: RunFinished) -> _Line:
    report = event.report
    seconds = report.duration.total_seconds()
    fields = {
        **_of_account(report.account),
        "completed": report.completed,
        **_of_counts(report.counts),
        "api_calls": sum(report.api_calls.values()),
        "seconds": seconds,
        **_of_error(report.failure),
    }
    ending = "done" if report.completed else "ended before it was complete"
    parts = (report.account, ending, f"{seconds:.1f}")
    return _Line(logging.INFO, "%s: %s after %s s", parts, fields)


def _fleet_started(event: FleetStarted) -> _Line:
    fields = {"workers": event.workers}
    template = "syncing many accounts, %s at once"
    return _Line(logging.INFO, template, (event.workers,), fields)


def _account_finished(event: AccountFinished) -> _Line:
    report = event.report
    what = report.failure or ("up to date" if report.completed else "stopped")
    fields = {
        **_of_account(report.account),
        "completed": report.completed,
        **_of_counts(report.counts),
        **_of_error(report.failure),
    }
    parts = (report.account, str(what), _tally(report.counts))
    return _Line(logging.INFO, "%s: done for now: %s (%s)", parts, fields)


def _fleet_finished(event: FleetFinished) -> _Line:
    report = event.report
    ended = {status.value: number for status, number in report.ended.items()}
    seconds = report.duration.total_seconds()
    shown = ", ".join(f"{number} {status}" for status, number in ended.items())
    fields = {"accounts": len(report.accounts), "ended": ended, "seconds": seconds}
    parts = (len(report.accounts), shown, f"{seconds:.1f}")
    return _Line(logging.INFO, "%s accounts: %s; %s s", parts, fields)


def _tally(counts: Counts) -> str:
    return (
        f"read {counts.read}, delivered {counts.delivered}, repeated {counts.repeated}, unchanged "
        f"{counts.unchanged}, rejected {counts.rejected}, skipped {counts.skipped}"
    )


_LINES: Final[Mapping[type, Callable[[Any], _Line]]] = {
    DeletionsSuspected: _deletions_suspected,
    RunStarted: _run_started,
    StreamStarted: _stream_started,
    BatchStored: _batch_stored,
    Retried: _retried,
    BookkeepingFailed: _bookkeeping_failed,
    AttentionNeeded: _attention_needed,
    RecordSkipped: _record_skipped,
    ActionsRejected: _actions_rejected,
    ValueKeptAsText: _value_kept_as_text,
    PropertiesChanged: _properties_changed,
    StreamFinished: _stream_finished,
    RunFinished: _run_finished,
    FleetStarted: _fleet_started,
    AccountFinished: _account_finished,
    FleetFinished: _fleet_finished,
}
