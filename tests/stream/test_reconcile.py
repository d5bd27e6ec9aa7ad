"""Reconcile passes: what moved no modified date, and what was lost, reaches the sink, once."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import timedelta

import pytest

from hubspot_sync import (
    ActionKind,
    ConfigurationError,
    StoreUnavailableError,
    StreamStatus,
    SyncSettings,
)
from hubspot_sync.errors import LeaseHeldError
from hubspot_sync.models import Mode, StreamKey, StreamStarted, to_milliseconds
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.stores.memory import MemoryErrorQueue, MemoryRecordSink
from hubspot_sync.stores.sqlite import SqliteCheckpointer, SqliteDatabase
from hubspot_sync.testing import Fault, ManualClock
from hubspot_sync.testing.emulator import Hostility
from kit.scripted import Picky
from kit.support import ACCOUNT, Crash, Dying, Host, truth_of

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
ON_DEMAND = SyncSettings(
    batch_size=100, reconcile_every=None, archived_every=None, associations_every=None
)
CONTACTS = StreamKey(ACCOUNT.key, "contacts")
SCORE = "hs_analytics_last_timestamp"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def host(hubspot_emulator, clock):
    """A host that is in step with an account."""
    host = Host(hubspot_emulator(contacts=250, companies=20, clock=clock), clock)
    sync(host)
    return host


@pytest.fixture
def contact(host):
    """The id of some contact."""
    return next(iter(host.emulator.records("contacts")))


def sync(host, *, reconcile=False, pause=60, **parts):
    """One run some time after the last one; the report of the contacts."""
    host.clock.advance(pause)
    engine = host.engine(**{"settings": ON_DEMAND, **parts})
    if reconcile:
        engine.reconcile(ACCOUNT)
    report = engine.sync(ACCOUNT)
    return next(one for one in report.streams if one.stream == CONTACTS)


def score(host, contact, value):
    """Let HubSpot compute a value, which moves no modified date."""
    computed = {SCORE: value and f"2026-{value}Z"}
    host.emulator.recalculate("contacts", object_ids=[contact], properties=computed)


def told(host, contact):
    """The actions on one contact, in the order in which they came."""
    return [one for one in host.sink.actions if one.object_id == contact]


def scores(host, contact):
    """The months of the computed values that the host was told."""
    values = [one.properties[SCORE] for one in told(host, contact)]
    return [value and value.month for value in values]


def month(number):
    """A computed value."""
    return f"{number:02}-01T00:00:00.000"


def test_without_a_difference_nothing_is_delivered(host):
    """All is read once, by list, and compared; the digests of both ways of reading agree."""
    host.emulator.touch("contacts", count=30)
    sync(host)
    before = host.sink.actions

    report = sync(host, reconcile=True)

    assert report.mode is Mode.RECONCILE
    assert report.counts.repeated >= 250
    assert report.counts.delivered == report.counts.unchanged == 0
    assert before == host.sink.actions
    assert report.api_calls["list"] >= 3


def test_a_computed_value_that_moved_no_date(host, contact):
    """It is found by the comparison only, and told of as an update of a version that was known."""
    before = len(told(host, contact))
    score(host, contact, month(3))
    assert sync(host).counts.delivered == 0

    report = sync(host, reconcile=True)

    assert report.counts.delivered == 1
    *_, former, update = told(host, contact)
    assert len(told(host, contact)) == before + 1
    end = host.recorder.of(StreamStarted)[-2].reading.end
    assert (former.version, former.variant) == (update.version, 0)
    assert update.kind is ActionKind.UPDATED
    assert update.variant == to_milliseconds(end)
    assert update.occurred_at == end > update.modified_at
    assert update.action_id == f"{former.action_id}.{update.variant}"
    assert dict(update.properties) == truth_of(host.emulator, "contacts", contact)
    assert sync(host, reconcile=True).counts.delivered == 0


def test_an_association_that_moved_no_date(host, contact):
    """Added and taken away; that it was found changes nothing for its company but its number."""
    edges = set(host.emulator.records("contacts")[contact].associations.get("companies", {}))
    company = next(one for one in host.emulator.records("companies") if one not in edges)
    for change in (host.emulator.associate, host.emulator.dissociate):
        change("contacts", contact, "companies", company)
        assert sync(host).counts.delivered == 0

        assert sync(host, reconcile=True).counts.delivered == 1

        held = host.emulator.records("contacts")[contact].associations.get("companies", {})
        assert {one.object_id for one in told(host, contact)[-1].associations["companies"]} == set(
            held
        )


def test_a_record_that_search_never_showed(host, clock):
    """A creation and a change that came later than the lookback are found all the same."""
    host.emulator.hostility = Hostility(index_lag=DAY)
    created = host.emulator.create("contacts")
    (touched,) = host.emulator.touch("contacts", count=1)
    sync(host)
    clock.advance(3_600)
    assert sync(host).counts.delivered == 0

    assert sync(host, reconcile=True).counts.delivered == 2

    assert [one.name for one in told(host, created)] == ["Contact Created"]
    assert [one.variant for one in told(host, touched)] == [0, 0]
    clock.advance(DAY)
    assert sync(host).counts.delivered == 0


def test_values_that_go_back_and_forth_on_one_version(host, contact):
    """Each is delivered, each time; a mirror ends with the last one."""
    mirror = MemoryRecordSink(clock=host.clock)
    for value in (3, 4, 3, 4):
        score(host, contact, month(value))
        sync(host, reconcile=True)
        mirror.write(told(host, contact))
        (held,) = mirror.records
        assert held.properties[SCORE].month == value

    assert scores(host, contact)[-4:] == [3, 4, 3, 4]
    assert len({one.action_id for one in told(host, contact)}) == len(told(host, contact))


def test_two_passes_at_the_same_moment(host, contact):
    """A clock that stands still gives no two of them the same end."""
    for value in (3, 4):
        score(host, contact, month(value))
        sync(host, reconcile=True, pause=0)

    assert scores(host, contact)[-2:] == [3, 4]


@pytest.mark.parametrize("value_then", [3, 4, None], ids=["same", "other", "former"])
def test_a_crash_between_the_sink_and_the_commit(host, contact, value_then):
    """What was sent again is a repeat; what it became meanwhile is found by the next pass."""
    score(host, contact, None)
    sync(host, reconcile=True)
    score(host, contact, month(3))
    with suppress(Crash):
        sync(host, reconcile=True, sink=Dying(host.sink))
    assert scores(host, contact)[-2:] == [None, 3]
    score(host, contact, value_then and month(value_then))

    report = sync(host)

    assert report.mode is Mode.RECONCILE
    assert report.counts.delivered == 0
    assert host.recorder.of(StreamStarted)[-2].resumed
    assert sync(host, reconcile=True).counts.delivered == 1
    assert scores(host, contact)[-3:] == [None, 3, value_then]
    assert sync(host, reconcile=True).counts.delivered == 0


@pytest.mark.parametrize("value_then", [4, None], ids=["other", "former"])
def test_a_crash_of_another_pass(host, contact, value_then):
    """A version that the sink had with other values is not taken for delivered with these."""
    score(host, contact, None)
    sync(host, reconcile=True)
    host.emulator.update("contacts", contact, {"city": "Cork"})
    score(host, contact, month(3))
    with suppress(Crash):
        sync(host, sink=Dying(host.sink))
    assert scores(host, contact)[-2:] == [None, 3]
    score(host, contact, value_then and month(value_then))
    assert sync(host).counts.delivered == 0

    assert sync(host, reconcile=True).counts.delivered == 1

    assert scores(host, contact)[-3:] == [None, 3, value_then]


@pytest.mark.parametrize("reconcile", [True, False])
def test_a_crash_between_two_sinks(host, contact, reconcile):
    """The first one has another value than the second one then, until the next pass."""
    mirrors = MemoryRecordSink(), MemoryRecordSink()
    sync(host, reconcile=True)
    for mirror in mirrors:
        mirror.write(told(host, contact))
    score(host, contact, month(3))
    if not reconcile:
        host.emulator.update("contacts", contact, {"city": "Cork"})
    with suppress(Crash):
        sync(host, reconcile=reconcile, sink=FanOutSink([Dying(mirrors[0]), mirrors[1]]))
    score(host, contact, month(4))
    both = {"sink": FanOutSink(mirrors)}
    assert sync(host, **both).counts.delivered == 1
    assert [month_in(mirror, contact) for mirror in mirrors] == [3, 4]

    assert sync(host, reconcile=True, **both).counts.delivered == 1

    assert [month_in(mirror, contact) for mirror in mirrors] == [4, 4]
    assert sync(host, reconcile=True, **both).counts.delivered == 0


def month_in(mirror, contact):
    """The month of the computed value that a mirror holds."""
    return next(one.properties[SCORE].month for one in mirror.records if one.object_id == contact)


def test_doubt_is_about_single_objects(host, contact):
    """After a pass that was cut off, not the whole account is delivered again."""
    score(host, contact, month(3))
    with suppress(Crash):
        sync(host, reconcile=True, sink=Dying(host.sink))
    assert host.checkpointer.load(CONTACTS).reading is not None
    before = len(host.sink.actions)

    resumed = sync(host, settings=SyncSettings(deliver_unchanged=True, reconcile_every=None))

    assert host.checkpointer.load(CONTACTS).doubtful_until is None
    assert resumed.counts.delivered == 0
    assert len(host.sink.actions) == before


def test_a_stalled_owner_cannot_bring_an_earlier_value_back(host, contact):
    """What another one delivered of the pass meanwhile has the same id, and came first."""

    class Stalled:
        def write(self, actions):
            host.clock.advance(3_600)
            score(host, contact, month(4))
            sync(host)
            return host.sink.write(actions)

    score(host, contact, month(3))
    sync(host, reconcile=True, sink=Stalled())

    assert scores(host, contact)[-1] == 4
    sync(host)
    assert sync(host, reconcile=True).counts.delivered == 0


def test_a_variant_that_is_refused(host, contact):
    """It waits in the error queue, no later one overtakes it, and what it missed is found."""
    queue, sink = MemoryErrorQueue(), Picky(host.sink)
    parts = {"error_queue": queue, "sink": sink}
    sink.refused = {contact}
    score(host, contact, month(3))
    assert sync(host, reconcile=True, **parts).counts.rejected == 1
    score(host, contact, month(4))
    report = sync(host, reconcile=True, **parts)
    assert (report.counts.rejected, report.retried.tried) == (0, 0)
    sink.refused = set()

    redriven = host.engine(settings=ON_DEMAND, **parts).redrive(ACCOUNT)

    assert redriven.counts.delivered == 1
    assert scores(host, contact)[-1] == 3
    assert sync(host, reconcile=True, **parts).counts.delivered == 1
    assert scores(host, contact)[-2:] == [3, 4]


def test_a_variant_that_was_delivered_before_a_crash_leaves_the_queue(host, contact, monkeypatch):
    """Between the commit and the queue: the digest tells that it was this one."""
    queue, sink = MemoryErrorQueue(), Picky(host.sink)
    parts = {"error_queue": queue, "sink": sink}
    sink.refused = {contact}
    score(host, contact, month(3))
    sync(host, reconcile=True, **parts)
    sink.refused = set()

    def crash(*_):
        raise Crash

    with monkeypatch.context() as patch, suppress(Crash):
        patch.setattr(queue, "settle", crash)
        host.engine(settings=ON_DEMAND, **parts).redrive(ACCOUNT)
    before = len(host.sink.actions)
    assert queue.held(CONTACTS, [contact])

    redriven = host.engine(settings=ON_DEMAND, **parts).redrive(ACCOUNT)

    assert redriven.counts.delivered == 1
    assert len(host.sink.actions) == before
    assert queue.held(CONTACTS, [contact]) == {}


def test_it_is_due_every_week(host, clock, contact):
    """So long after the backfill; then an incremental pass follows in the same run."""
    score(host, contact, month(3))
    weekly = SyncSettings()
    clock.advance(WEEK - timedelta(minutes=2, seconds=30))
    assert sync(host, settings=weekly).mode is Mode.INCREMENTAL
    clock.advance(60)
    host.recorder.events.clear()

    report = sync(host, settings=weekly)

    assert report.mode is Mode.RECONCILE
    assert report.counts.delivered == 1
    begun = [one.mode for one in host.recorder.of(StreamStarted) if one.stream == CONTACTS]
    assert begun == [Mode.RECONCILE, Mode.INCREMENTAL, Mode.ARCHIVED]
    assert sync(host, settings=weekly).mode is Mode.INCREMENTAL


def test_one_pass_is_enough_for_a_run(host):
    """Also where the next one is due before it is done."""
    host.recorder.events.clear()

    sync(host, settings=SyncSettings(reconcile_every=timedelta(microseconds=1)))

    begun = [one.mode for one in host.recorder.of(StreamStarted) if one.stream == CONTACTS]
    assert begun == [Mode.RECONCILE, Mode.INCREMENTAL, Mode.ARCHIVED]


def test_the_first_run_is_complete_as_it_is(hubspot_emulator, clock):
    """A backfill reads everything; asking for more costs nothing."""
    host = Host(hubspot_emulator(contacts=30, companies=3, clock=clock), clock)

    report = sync(host, reconcile=True)

    assert report.mode is Mode.BACKFILL
    assert report.counts.repeated == 0
    assert host.recorder.of(StreamStarted)[-1].mode is Mode.BACKFILL


def test_what_is_edited_during_the_walk(host):
    """Behind the walker it is found by the incremental pass of the same run, ahead by the walk."""
    edited = []

    def edit(_call):
        host.clock.advance(1)
        edited.extend(host.emulator.touch("contacts", count=3))
        edited.append(host.emulator.create("contacts"))

    remove = host.emulator.on_call(edit, "list")
    sync(host, reconcile=True)
    remove()
    sync(host)

    assert len(edited) > 8
    for object_id in edited:
        held = host.emulator.records("contacts")[object_id]
        assert told(host, object_id)[-1].modified_at == held.modified_at
        assert [one.kind for one in told(host, object_id)].count(ActionKind.CREATED) == 1


def test_a_pass_that_was_cut_off_goes_on(host, contact):
    """From where it was, with the end that it had; a demand that came later is not forgotten."""
    *_, last = host.emulator.records("contacts")
    host.emulator.faults.add(Fault(route="list", status=404, skip=2))
    weekly = SyncSettings(batch_size=100)
    assert sync(host, pause=WEEK, settings=weekly).status is not StreamStatus.COMPLETED
    end = host.checkpointer.load(CONTACTS).reading.end
    host.emulator.faults.clear()
    for object_id in (contact, last):
        score(host, object_id, month(3))
    host.recorder.events.clear()

    sync(host, reconcile=True)

    passes = [one.reading for one in host.recorder.of(StreamStarted) if one.stream == CONTACTS]
    assert [one.mode for one in passes] == [Mode.RECONCILE, Mode.RECONCILE, Mode.INCREMENTAL]
    assert passes[0].end == end < passes[1].end
    assert passes[1].end == host.checkpointer.load(CONTACTS).reconciled_at
    assert [told(host, one)[-1].properties[SCORE].month for one in (contact, last)] == [3, 3]


class Ticking(ManualClock):
    """Time goes on a little each time that somebody looks."""

    def monotonic(self):
        self.advance(0.02)
        return super().monotonic()


def passes(host):
    """How each stream was read since the events were cleared, without repeats."""
    begun = [(one.stream.object_type, one.reading) for one in host.recorder.of(StreamStarted)]
    return sorted({(kind, one.mode.value, one.end) for kind, one in begun})


def test_a_loop_of_limited_runs_ends(hubspot_emulator):
    """All records of all streams are compared once, and again when that is asked for."""
    clock = Ticking()
    emulator = hubspot_emulator(contacts=3_000, companies=3_000, clock=clock)
    host = Host(emulator, clock)
    engine = host.engine(settings=ON_DEMAND)
    engine.sync(ACCOUNT).raise_for_failure()
    clock.advance(60)
    host.recorder.events.clear()
    emulator.calls.clear()
    engine.reconcile(ACCOUNT)
    runs = []

    while not (runs and runs[-1].completed):
        runs.append(engine.sync(ACCOUNT, time_limit=timedelta(seconds=2)))
        assert len(runs) < 100

    assert len(runs) > 3
    compared = [kind for kind, mode, _ in passes(host) if mode == "reconcile"]
    assert compared == ["companies", "contacts"]
    checkpoint = host.checkpointer.load(CONTACTS)
    assert (checkpoint.reading, checkpoint.reconcile_since) == (None, None)
    engine.reconcile(ACCOUNT)
    engine.sync(ACCOUNT)
    assert len([one for one in passes(host) if one[1] == "reconcile"]) == 4


def test_a_mark_is_kept_until_it_is_met(host, contact):
    """Also of a stream that was not reached, and by runs that know nothing of it."""
    host.emulator.faults.add(Fault(route="list", status=503, times=None))
    engine = host.engine(settings=ON_DEMAND)
    engine.reconcile(ACCOUNT)
    report = engine.sync(ACCOUNT)
    assert report.streams[-1].stream == CONTACTS
    assert report.streams[-1].status is StreamStatus.NOT_STARTED
    host.emulator.faults.clear()
    score(host, contact, month(3))
    since = host.checkpointer.load(CONTACTS).reconcile_since
    assert since is not None

    report = sync(host)

    assert report.mode is Mode.RECONCILE
    assert report.counts.delivered == 1
    assert host.checkpointer.load(CONTACTS).reconciled_at > since
    assert host.checkpointer.load(CONTACTS).reconcile_since is None
    assert sync(host).mode is Mode.INCREMENTAL


def test_who_asks_again_before_it_is_met_asks_for_the_same(host):
    """The pass that was cut off goes on, and that is all; the window after it counts as well."""
    host.emulator.faults.add(Fault(route="list", status=404, skip=2))
    assert sync(host, reconcile=True).status is not StreamStatus.COMPLETED
    host.emulator.faults.clear()
    host.emulator.faults.add(Fault(route="search", status=404, times=None))
    host.recorder.events.clear()
    assert sync(host, reconcile=True).status is not StreamStatus.COMPLETED
    host.emulator.faults.clear()

    assert sync(host, reconcile=True).status is StreamStatus.COMPLETED

    compared = [one for one in passes(host) if one[:2] == ("contacts", "reconcile")]
    assert len(compared) == 1


@pytest.mark.parametrize("method", ["reconcile", "resync"])
def test_a_stream_that_is_busy_is_named_and_the_others_are_marked(host, method):
    """It is waited for, ten seconds at most."""
    engine = host.engine(settings=ON_DEMAND)
    lease = host.checkpointer.acquire(CONTACTS, "somebody else", DAY)

    with pytest.raises(LeaseHeldError, match="somebody else is synchronising contacts") as caught:
        getattr(engine, method)(ACCOUNT)

    assert caught.value.owner == "somebody else"
    assert 10 <= sum(host.clock.waits) < 11
    companies = StreamKey(ACCOUNT.key, "companies")
    assert host.checkpointer.load(companies).reconcile_since is not None
    assert host.checkpointer.load(CONTACTS).reconcile_since is None
    host.checkpointer.release(lease)
    getattr(engine, method)(ACCOUNT)
    assert host.checkpointer.load(CONTACTS).reconcile_since is not None


@pytest.mark.parametrize("method", ["reconcile", "resync"])
def test_some_object_types(host, method):
    """By any of their names; one that is not read is an error."""
    engine = host.engine(settings=ON_DEMAND)
    host.recorder.events.clear()

    getattr(engine, method)(ACCOUNT, ["Contact"])

    assert engine.sync(ACCOUNT).completed
    assert [one[0] for one in passes(host) if one[1] == "reconcile"] == ["contacts"]
    with pytest.raises(ConfigurationError, match="no stream of deals; give some of companies"):
        getattr(engine, method)(ACCOUNT, ["deals"])
    with pytest.raises(ConfigurationError):
        getattr(engine, method)(ACCOUNT, "contacts")


@pytest.mark.parametrize("broken", ["companies", "contacts"])
def test_a_stream_that_cannot_begin_keeps_no_other_from_another_pass(host, broken):
    """As for want of a scope: each stream has a mark of its own."""
    host.emulator.faults.add(Fault(route="list", object_type=broken, status=403, times=None))
    engine = host.engine(settings=ON_DEMAND)
    whole = "contacts" if broken == "companies" else "companies"
    for _ in range(3):
        host.clock.advance(60)
        host.recorder.events.clear()
        engine.reconcile(ACCOUNT)
        report = engine.sync(ACCOUNT)
        assert report.error is None
        assert (whole, "reconcile") in [one[:2] for one in passes(host)]
        engine.sync(ACCOUNT)
    host.emulator.faults.clear()
    host.recorder.events.clear()

    engine.sync(ACCOUNT)

    assert [one[0] for one in passes(host) if one[1] == "reconcile"] == [broken]


def test_a_mark_that_cannot_be_set_is_an_error(host):
    """Nobody would know of it."""

    def away(stream):
        raise StoreUnavailableError("gone")

    host.checkpointer.load = away

    with pytest.raises(StoreUnavailableError, match="gone"):
        host.engine(settings=ON_DEMAND).reconcile(ACCOUNT)


def test_a_stopped_engine_sets_no_mark(host):
    """It says so."""
    engine = host.engine(settings=ON_DEMAND)
    host.checkpointer.acquire(CONTACTS, "somebody else", DAY)
    engine.stop()

    with pytest.raises(StoreUnavailableError, match="the engine was stopped"):
        engine.reconcile(ACCOUNT)


def test_a_checkpoint_from_before_there_were_reconcile_passes(host, tmp_path, clock):
    """The first one is due a week after the backfill began."""
    path = tmp_path / "sync.db"
    with SqliteDatabase(path) as database:
        sync(host, checkpointer=SqliteCheckpointer(database, clock=clock))
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE checkpoints SET checkpoint = json_remove(checkpoint, '$.reconciled_at')"
        )
    connection.close()

    with SqliteDatabase(path) as database:
        checkpointer = SqliteCheckpointer(database, clock=clock)
        checkpoint = checkpointer.load(CONTACTS)
        assert checkpoint.reconciled_at == checkpoint.index_floor
        weekly = {"settings": SyncSettings(), "checkpointer": checkpointer}
        assert sync(host, **weekly).mode is Mode.INCREMENTAL
        clock.advance(WEEK)
        assert sync(host, **weekly).mode is Mode.RECONCILE


@pytest.mark.parametrize("redrive", [True, False])
def test_a_crash_before_a_refusal(host, contact, redrive):
    """What the sink had when the queue's turn came may have been other values of that version."""
    picky, queue = Picky(host.sink), MemoryErrorQueue()
    parts = {"sink": picky, "error_queue": queue}
    host.emulator.update("contacts", contact, {"city": "Cork"})
    score(host, contact, month(3))
    with suppress(Crash):
        sync(host, **{**parts, "sink": Dying(host.sink)})
    score(host, contact, month(4))
    picky.refused = {contact}
    assert sync(host, **parts).counts.rejected == 1
    picky.refused = set()
    if redrive:
        assert host.engine(**parts).redrive(ACCOUNT).counts.delivered == 1
    else:
        assert sync(host, pause=3_600, **parts).retried.delivered == 1
    assert scores(host, contact)[-1] == 3

    sync(host, reconcile=True, **parts)

    assert scores(host, contact)[-2:] == [3, 4]
    assert sync(host, reconcile=True, **parts).counts.delivered == 0


@pytest.mark.parametrize("settle_lag", [0, 30])
def test_a_crash_and_a_change_back(host, contact, settle_lag):
    """The sink has the change, nobody knows it, and what is read next is as it was before."""
    settings = SyncSettings(
        batch_size=100, reconcile_every=None, settle_lag=timedelta(seconds=settle_lag)
    )
    city = host.emulator.records("contacts")[contact].properties.get("city")
    host.emulator.update("contacts", contact, {"city": "Cork"})
    with suppress(Crash):
        sync(host, settings=settings, sink=Dying(host.sink))
    assert told(host, contact)[-1].properties["city"] == "Cork"
    host.emulator.update("contacts", contact, {"city": city})
    sync(host, settings=settings, pause=1)

    sync(host, settings=settings)

    assert told(host, contact)[-1].properties["city"] == city
    for _ in range(2):
        sync(host, settings=settings, pause=600)
    assert host.checkpointer.load(CONTACTS).doubtful_until is None
