"""Observers are told everything and can break nothing."""

import json
import logging
from datetime import datetime, timedelta, timezone
from typing import get_args

import pytest
from attrs import evolve

from hubspot_sync import HubSpotUnavailableError, LoggingObserver
from hubspot_sync._events import Broadcaster
from hubspot_sync.models import (
    AccountFinished,
    AccountKey,
    ActionsRejected,
    AttentionNeeded,
    BatchStored,
    BookkeepingFailed,
    Condition,
    Counts,
    DeletionsSuspected,
    Event,
    FleetFinished,
    FleetReport,
    FleetStarted,
    Mode,
    Pass,
    PropertiesChanged,
    RecordSkipped,
    Retried,
    RunFinished,
    RunStarted,
    StreamFinished,
    StreamKey,
    StreamReport,
    StreamStarted,
    StreamStatus,
    SyncReport,
    ValueKeptAsText,
)
from kit.support import Recorder

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


class Broken:
    """A host's observer with a bug."""

    def notify(self, event):
        raise RuntimeError("bug of the host's")


EVENTS = [
    (
        DeletionsSuspected(stream=STREAM, gone=120, bound=20),
        logging.ERROR,
        "120 objects seem to be gone, more than the 20",
    ),
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
        Retried(what="list", account=ACCOUNT, attempt=1, wait=SECOND, reason="away"),
        logging.WARNING,
        "acme/62515: call to list failed (away); try 2 follows in 1.0 s",
    ),
    (
        Retried(
            what="store",
            account=ACCOUNT,
            stream=STREAM,
            attempt=2,
            wait=SECOND,
            reason="away",
        ),
        logging.WARNING,
        "acme/62515/contacts: call to store failed (away); try 3 follows in 1.0 s",
    ),
    (
        Retried(what="account store", attempt=1, wait=SECOND, reason="away"),
        logging.WARNING,
        "all accounts: call to account store failed (away); try 2 follows in 1.0 s",
    ),
    (
        BookkeepingFailed(account=ACCOUNT, reason="away"),
        logging.WARNING,
        "acme/62515: its entry was not updated: away",
    ),
    (
        AttentionNeeded(
            account=ACCOUNT,
            condition=Condition.NEEDS_RECONNECT,
            object_types=("contacts",),
            remedy="reconnect the account",
            error="the tokens were revoked",
        ),
        logging.WARNING,
        "acme/62515: needs reconnect (contacts): reconnect the account",
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
    (
        PropertiesChanged(
            stream=STREAM,
            appeared=("score",),
            vanished=("fax",),
            retyped={"rank": ("string", "number")},
        ),
        logging.WARNING,
        "HubSpot lists other properties: +score, -fax, rank is number and was string",
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


def test_every_event_is_tried_here():
    """None is left out of the tests above and below."""
    assert {type(event) for event, _, _ in EVENTS} == set(get_args(Event))


class JsonLines(logging.Handler):
    """What a host that logs JSON writes."""

    USUAL = frozenset(vars(logging.makeLogRecord({})))

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        fields = {name: one for name, one in vars(record).items() if name not in self.USUAL}
        self.lines.append(json.dumps({"message": record.getMessage(), **fields}))


@pytest.fixture
def lines():
    """What `LoggingObserver` writes through a handler of a host's own."""
    handler, logger = JsonLines(), logging.getLogger("hubspot_sync")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler.lines
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize("event", [event for event, _, _ in EVENTS])
def test_every_event_has_fields(event, lines):
    """JSON with the event's name, and with account and object type where it has them."""
    LoggingObserver().notify(event)

    (line,) = map(json.loads, lines)
    assert line["event"] == type(event).__name__
    about = getattr(event, "report", event)
    if getattr(about, "account", None) is not None:
        assert (line["domain_id"], line["account_id"]) == ("acme", "62515")
    if getattr(about, "stream", None) is not None:
        assert (line["account_id"], line["object_type"]) == ("62515", "contacts")


def test_what_the_fields_say(lines):
    """Numbers are numbers, in units that their names say."""
    error = HubSpotUnavailableError("HubSpot is away", status=503, correlation_id="c-1")
    failed = evolve(FAILED, error=error, counts=Counts(delivered=2, skipped=1))
    for event in (
        Retried(what="list", account=ACCOUNT, attempt=1, wait=SECOND, reason="away"),
        StreamFinished(report=failed),
        ActionsRejected(stream=STREAM, reasons={"no e-mail": 3}, parked=2),
    ):
        LoggingObserver().notify(event)

    retried, finished, rejected = map(json.loads, lines)
    assert (retried["what"], retried["attempt"], retried["wait_seconds"]) == ("list", 1, 1.0)
    assert retried["reason"] == "away"
    counts = {"read": 3, "delivered": 2, "repeated": 0, "unchanged": 0, "rejected": 0, "skipped": 1}
    assert finished["counts"] == counts
    assert (finished["status"], finished["error"]) == ("failed", "HubSpotUnavailableError")
    assert (finished["http_status"], finished["correlation_id"]) == (503, "c-1")
    assert (rejected["rejected"], rejected["parked"]) == (3, 2)
    assert rejected["reasons"] == {"no e-mail": 3}


def test_alike_events_have_one_template(caplog):
    """So that what collects them can group them; what differs is in the arguments."""
    other = StreamKey(AccountKey("globex", "7"), "deals")
    with caplog.at_level(logging.DEBUG, "hubspot_sync"):
        for event, _, _ in EVENTS:
            LoggingObserver().notify(event)
            if hasattr(event, "stream"):
                LoggingObserver().notify(evolve(event, stream=other))

    templates = {}
    for record in caplog.records:
        templates.setdefault(record.event, set()).add(record.msg)
        assert "62515" not in record.msg
    assert {event: len(found) for event, found in templates.items()} == dict.fromkeys(templates, 1)
    assert len(set().union(*templates.values())) == len(templates)


def test_a_reason_with_line_breaks_stays_on_one_line(caplog):
    """It may be a sink's, and a log is read line by line."""
    event = ActionsRejected(stream=STREAM, reasons={"no\r\nERROR forged": 1})

    LoggingObserver().notify(event)

    assert caplog.messages == ["acme/62515/contacts: 1 actions refused: 1 x no ERROR forged"]


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
