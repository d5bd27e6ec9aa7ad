"""Observers are told everything and can break nothing."""

import logging
from datetime import datetime, timedelta, timezone

import pytest

from hubspot_sync import HubSpotUnavailableError, LoggingObserver
from hubspot_sync._events import Broadcaster
from hubspot_sync.models import (
    AccountFinished,
    AccountKey,
    ActionsRejected,
    BatchStored,
    BookkeepingFailed,
    CallRetried,
    Counts,
    DirectoryRetried,
    FleetFinished,
    FleetReport,
    FleetStarted,
    Mode,
    Pass,
    RecordSkipped,
    RunFinished,
    RunStarted,
    StoreRetried,
    StreamFinished,
    StreamKey,
    StreamReport,
    StreamStarted,
    StreamStatus,
    SyncReport,
    ValueKeptAsText,
)

ACCOUNT = AccountKey("acme", "62515")
STREAM = StreamKey(ACCOUNT, "contacts")
NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)
FAILED = StreamReport(
    stream=STREAM,
    status=StreamStatus.FAILED,
    duration=SECOND,
    error=HubSpotUnavailableError("HubSpot is away"),
)


class Recorder:
    """Keeps what it was told."""

    def __init__(self):
        self.events = []

    def notify(self, event):
        self.events.append(event)


class Broken:
    """A host's observer with a bug."""

    def notify(self, event):
        raise RuntimeError("bug of the host's")


EVENTS = [
    (RunStarted(account=ACCOUNT, object_types=("contacts",)), logging.INFO, "syncing contacts"),
    (
        StreamStarted(
            stream=STREAM,
            mode=Mode.BACKFILL,
            reading=Pass(mode=Mode.BACKFILL, end=NOON),
            resumed=True,
        ),
        logging.INFO,
        "resuming backfill",
    ),
    (
        BatchStored(stream=STREAM, counts=Counts(delivered=1), so_far=Counts(delivered=7)),
        logging.DEBUG,
        "7 records settled",
    ),
    (
        CallRetried(account=ACCOUNT, endpoint="list", attempt=1, wait=SECOND, reason="away"),
        logging.WARNING,
        "call to list failed (away); try 2 follows in 1.0 s",
    ),
    (
        StoreRetried(stream=STREAM, attempt=2, wait=SECOND, reason="away"),
        logging.WARNING,
        "write to the store failed (away); try 3 follows in 1.0 s",
    ),
    (
        DirectoryRetried(attempt=1, wait=SECOND, reason="away"),
        logging.WARNING,
        "call to the account store failed (away); try 2 follows in 1.0 s",
    ),
    (
        BookkeepingFailed(account=ACCOUNT, reason="away"),
        logging.WARNING,
        "acme/62515: its entry was not updated: away",
    ),
    (
        RecordSkipped(stream=STREAM, object_id=None, reason="it has no 'id'"),
        logging.WARNING,
        "skipped record without id: it has no 'id'",
    ),
    (
        ActionsRejected(stream=STREAM, reasons={"no e-mail": 3, "too large": 1}, parked=2),
        logging.WARNING,
        "4 actions refused, 2 for the last time: 3 x no e-mail; 1 x too large",
    ),
    (
        ActionsRejected(stream=STREAM, reasons={"a": 1, "b": 2, "c": 1, "d": 1, "e": 5}),
        logging.WARNING,
        "10 actions refused: 5 x e; 2 x b; 1 x a, and others",
    ),
    (
        ValueKeptAsText(stream=STREAM, property_name="revenue", object_id="7"),
        logging.WARNING,
        "'revenue' of record 7 does not fit its type and is kept as text",
    ),
    (FleetStarted(workers=4), logging.INFO, "syncing many accounts, 4 at once"),
    (
        AccountFinished(report=SyncReport(account=ACCOUNT, streams=(FAILED,), duration=SECOND)),
        logging.INFO,
        "acme/62515: done for now: HubSpot is away (read 0",
    ),
    (
        AccountFinished(report=SyncReport(account=ACCOUNT, duration=SECOND)),
        logging.INFO,
        "done for now: up to date",
    ),
    (
        FleetFinished(
            report=FleetReport(
                accounts=(SyncReport(account=ACCOUNT, streams=(FAILED,), duration=SECOND),),
                duration=SECOND,
            )
        ),
        logging.INFO,
        "1 accounts: 0 completed, 0 stopped, 0 busy, 1 failed; 1.0 s",
    ),
    (StreamFinished(report=FAILED), logging.ERROR, "failed: HubSpot is away (read 0"),
    (
        RunFinished(report=SyncReport(account=ACCOUNT, streams=(FAILED,), duration=SECOND)),
        logging.INFO,
        "ended before it was complete after 1.0 s",
    ),
]


@pytest.mark.parametrize(
    ("event", "level", "said"), EVENTS, ids=[type(event).__name__ for event, _, _ in EVENTS]
)
def test_every_event_has_a_line_in_the_log(event, level, said, caplog):
    """One line each, at a level that fits."""
    with caplog.at_level(logging.DEBUG, "hubspot_sync"):
        LoggingObserver().notify(event)

    ((_, found_level, line),) = caplog.record_tuples
    assert found_level == level
    assert said in line
    assert "\n" not in line


def test_a_broken_observer_keeps_nobody_from_hearing(caplog):
    """The run goes on, the others are told, and the log says what happened."""
    recorder = Recorder()
    event = RunStarted(account=ACCOUNT, object_types=("contacts",))

    Broadcaster([Broken(), recorder]).notify(event)

    assert recorder.events == [event]
    assert "bug of the host's" in caplog.text


def test_a_report_turns_into_an_exception_on_demand():
    """For hosts that would rather not look at a report."""
    report = SyncReport(account=ACCOUNT, streams=(FAILED,), duration=SECOND)

    assert not report.completed
    with pytest.raises(HubSpotUnavailableError, match="HubSpot is away"):
        report.raise_for_failure()
    SyncReport(account=ACCOUNT, duration=SECOND).raise_for_failure()
