"""A scripted source plays its passes in their order, each of them to its end."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

import pytest
from attrs import evolve

from hubspot_sync import (
    Account,
    ConfigurationError,
    HubSpotUnavailableError,
    StreamSettings,
    StreamStatus,
    SyncEngine,
    SyncSettings,
    WrongAccountError,
)
from hubspot_sync.models import Mode, Page, Pass, Record, SkippedRow, StreamKey
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import ManualClock, ScriptedSource

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
ACCOUNT = Account(account_id="62515", streams=(StreamSettings("contacts"),))


def record(object_id, minute=0):
    return Record(
        object_type="contacts",
        object_id=object_id,
        properties={"email": f"{minute}@example.com"},
        created_at=NOON,
        modified_at=NOON.replace(minute=minute),
    )


class Host:
    """What keeps something between two runs."""

    def __init__(self):
        self.clock = ManualClock()
        self.stores = evolve(MemoryStores(clock=self.clock), accounts=None, error_queue=None)
        self.sink = self.stores.sink
        self.checkpointer = self.stores.checkpointer

    def sync(self, source, account=ACCOUNT):
        """One run; the report of its stream."""
        engine = SyncEngine(
            self.stores,
            open_source=source,
            settings=SyncSettings(batch_size=1),
            clock=self.clock,
        )
        return engine.sync(account).streams[0]

    @property
    def told(self):
        """What the sink was told, in order."""
        return [
            (one.object_id, one.kind.value, one.modified_at.minute) for one in self.sink.actions
        ]


@pytest.fixture
def host():
    return Host()


def test_each_run_plays_the_next_pass(host):
    """Then there is nothing new."""
    source = ScriptedSource(
        {"contacts": [[[record("1"), record("2")], [record("3")]], [[record("1", 5)]]]},
        clock=host.clock,
    )

    delivered = [host.sync(source).counts.delivered for _ in range(3)]

    assert delivered == [3, 1, 0]
    assert host.told == [
        ("1", "Created", 0),
        ("2", "Created", 0),
        ("3", "Created", 0),
        ("1", "Updated", 5),
    ]
    assert source.rows == 4


def test_an_exception_is_raised_once_and_the_pass_goes_on_behind_it(host):
    """As when HubSpot goes away in the middle of a backfill."""
    away = HubSpotUnavailableError("away")
    source = ScriptedSource({"contacts": [[[record("1")], away, [record("2")]]]}, clock=host.clock)

    first, second = host.sync(source), host.sync(source)

    assert first.error is away
    assert (first.status, first.counts.delivered) == (StreamStatus.FAILED, 1)
    assert (second.status, second.counts.delivered) == (StreamStatus.COMPLETED, 1)
    assert [object_id for object_id, *_ in host.told] == ["1", "2"]


def test_a_pass_that_is_stopped_goes_on_where_it_was(host):
    """Nothing is played twice once it is stored."""
    calls = []

    def before_page(number):
        calls.append(number)
        if calls == [1, 2]:
            raise HubSpotUnavailableError("away")

    source = ScriptedSource(
        {"contacts": [[[record("1")], [record("2")]]]}, clock=host.clock, before_page=before_page
    )

    reports = [host.sync(source) for _ in range(2)]

    assert [report.counts.delivered for report in reports] == [1, 1]
    assert calls[:3] == [1, 2, 2]


def test_what_was_skipped_is_found_by_its_id(host):
    """The engine asks for it first; what the script does not have is absent."""
    again = SkippedRow(object_id="7", reason="HubSpot did not answer", again=True)
    source = ScriptedSource({"contacts": [[[again]], [[record("7")]]]}, clock=host.clock)

    first, second = host.sync(source), host.sync(source)

    assert first.counts.skipped == 1
    assert second.counts.delivered == 1
    assert host.checkpointer.load(StreamKey(ACCOUNT.key, "contacts")).unread == ()


def test_ids_are_answered_before_all_else():
    """As records, skipped or absent, with all of the pass left."""
    skipped = SkippedRow(object_id="2", reason="it has no create date")
    source = ScriptedSource({"contacts": [[[record("1"), skipped]]]})
    reading = Pass(mode=Mode.BACKFILL, end=NOON, object_ids=("1", "2", "3"))

    named, page = source.read(StreamSettings("contacts"), reading)

    assert named == Page(
        records=(record("1"),), skipped=(skipped,), absent=("3",), ranges=reading.ranges
    )
    assert page == Page(records=(record("1"),), skipped=(skipped,))


def test_a_function_scripts_a_pass(host):
    """It sees how the pass finds its records."""
    source = ScriptedSource(
        {"contact": lambda reading: [[record("1", 9 * (reading.mode is Mode.INCREMENTAL))]]},
        clock=host.clock,
    )

    for _ in range(2):
        host.sync(source)

    assert host.told == [("1", "Created", 0), ("1", "Updated", 9)]


def test_a_page_is_given_with_all_it_has(host):
    """Its size and its gaps, too."""
    page = Page(records=(record("1"),), gaps=("ids 1 to 5",))
    source = ScriptedSource({"contacts": [[page]]}, clock=host.clock)

    assert host.sync(source).gaps == page.gaps


def test_credentials_of_another_account(host):
    """The engine stores nothing."""
    source = ScriptedSource({"contacts": [[[record("1")]]]}, account_id="4711", clock=host.clock)

    assert isinstance(host.sync(source).error, WrongAccountError)
    assert host.told == []


def test_it_is_the_source_of_the_account_that_it_is_opened_for():
    """It is its own factory, and tells a later time whenever it is asked."""
    source = ScriptedSource()

    opened = source(ACCOUNT, stop=threading.Event(), notify=lambda event: None)

    assert opened.identify().account_id == "62515"
    assert opened.server_time() < opened.server_time()
    assert opened.label("contacts") is None
    assert opened.associations("contacts", "companies", ["1"]).found == {"1": ()}
    assert opened.api_calls() == {}
    assert list(opened.read(StreamSettings("contacts"), Pass(mode=Mode.BACKFILL, end=NOON))) == [
        Page(records=())
    ]
    opened.close()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([[record("1")]], "passes is a list; give a mapping from object types"),
        ({"contacts": [record("1")]}, "a part of the script is a Record; give, for each object"),
        ({"contacts": [[record("1")]]}, "a part of the script is a Record; give, for each object"),
        ({"contacts": [[["1"]]]}, "a row of the script is a str; give a Record or a SkippedRow"),
    ],
)
def test_what_is_no_script_is_refused_where_it_is_given(script, message):
    """Most likely a level of brackets is missing."""
    with pytest.raises(ConfigurationError, match=message):
        ScriptedSource(script)
