"""Clocks that are wrong, of HubSpot's answers and of the host's: no change is lost by them."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import AccountEntry, SyncSettings
from hubspot_sync.models import Checkpoint, Mode, Pass, StreamKey, StreamSettings
from hubspot_sync.stores.memory import MemoryAccountStore
from hubspot_sync.stores.sqlite import SqliteAccountStore, SqliteDatabase
from hubspot_sync.testing import HubSpotEmulator, ManualClock
from kit.support import ACCOUNT, Host, truth_of

NONE = timedelta(0)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
HOUR, YEAR = timedelta(hours=1), timedelta(days=365)
CONTACTS = evolve(ACCOUNT, streams=(StreamSettings(object_type="contacts"),))
STREAM = StreamKey(CONTACTS.key, "contacts")


class Shifted:
    """A clock that is *off*, and for the next calls of `now` by what is in *next*."""

    def __init__(self, clock: ManualClock, off: timedelta = NONE) -> None:
        self.clock = clock
        self.off = off
        self.next: deque[timedelta] = deque()

    def now(self):
        """What it shows."""
        return self.clock.now() + (self.next.popleft() if self.next else self.off)

    def __getattr__(self, name):
        return getattr(self.clock, name)


class World:
    """An emulator, whose records are stamped by the right time, and a host."""

    def __init__(self, emulator, truth, host_off=NONE):
        self.emulator, self.truth = emulator, truth
        self.dates = emulator._server.clock = Shifted(truth)
        self.host_clock = Shifted(truth, host_off)
        self.host = Host(emulator, self.host_clock)
        self.engine = self.host.engine()
        self.reports = []

    def sync(self):
        """A run of the one engine, which has to complete."""
        report = self.engine.sync(CONTACTS)
        assert report.completed, report
        self.reports.append(report)
        return report.streams[0]

    def edit(self, name="1"):
        """A contact changes now."""
        ids = sorted(self.emulator.records("contacts"), key=int)
        self.emulator.update("contacts", ids[int(name)], {"firstname": f"at {self.truth.now()}"})

    @property
    def checkpoint(self):
        """What is stored."""
        return self.host.checkpointer.load(STREAM)

    def assert_complete(self):
        """The sink has the newest state of each contact."""
        newest = {}
        for action in sorted(self.host.sink.actions, key=lambda one: one.modified_at):
            newest[action.object_id] = dict(action.properties)
        assert newest == {
            object_id: truth_of(self.emulator, "contacts", object_id)
            for object_id in self.emulator.records("contacts")
        }


@pytest.fixture
def make():
    opened = []

    def make(host_off=NONE, **options):
        truth = ManualClock()
        emulator = HubSpotEmulator(contacts=120, companies=0, clock=truth, **options)
        opened.append(emulator.start())
        return World(emulator, truth, host_off)

    yield make
    for emulator in opened:
        emulator.close()


OFFS = {"20 minutes": 20 * MINUTE, "a year": YEAR, "a year behind": -YEAR}


@pytest.mark.parametrize("host_off", [NONE, -HOUR, HOUR], ids=["right", "slow", "fast"])
@pytest.mark.parametrize("bad", [0, 1, 2, 5])
@pytest.mark.parametrize("off", OFFS.values(), ids=OFFS)
def test_one_date_of_a_new_process_is_wrong(make, off, bad, host_off):
    """The first or a later one: what changes in the minutes after is read by the next run."""
    world = make(host_off)
    world.dates.next.extend([NONE] * bad + [off])

    for _ in range(5):
        world.sync()
        world.edit()
        world.truth.advance(MINUTE)
    world.sync()

    world.assert_complete()
    assert world.checkpoint.high_water_mark <= world.truth.now() + SECOND
    assert world.checkpoint.fell_from is None


@pytest.mark.parametrize("off", [5 * SECOND, 30 * SECOND, 20 * MINUTE, YEAR])
def test_all_dates_are_ahead_of_the_records(make, off):
    """The host's clock holds the end back; what is there is read all the same, and soon."""
    world = make()
    world.dates.off = off
    world.sync()
    for _ in range(4):
        world.edit()
        world.truth.advance(SECOND)
        world.edit("2")
        world.sync()
        world.assert_complete()
        world.truth.advance(2 * MINUTE)
    assert world.checkpoint.high_water_mark <= world.truth.now()


@pytest.mark.parametrize("off", [5 * SECOND, 30 * SECOND])
def test_all_dates_and_the_host_are_ahead_of_the_records(make, off):
    """By less than the margin: an edit in the first seconds after a backfill is found."""
    world = make(off)
    world.dates.off = off
    world.sync()

    world.edit()
    world.truth.advance(15 * MINUTE)
    world.sync()

    world.assert_complete()


def test_the_margin_grows_with_the_skew_that_is_seen(make):
    """A record that a pass over all of them should have had makes the window look back further."""
    off = 2 * MINUTE
    world = make(off)
    world.dates.off = off
    world.sync()
    world.edit("1")
    world.truth.advance(off - 40 * SECOND)
    world.edit("2")
    world.truth.advance(15 * MINUTE)

    stream = world.sync()

    world.assert_complete()
    assert stream.counts.delivered == 2
    assert world.checkpoint.index_floor is None
    assert world.sync().api_calls == {"search": 1}


@pytest.mark.parametrize("before", [-HOUR, HOUR, -YEAR, 10 * YEAR])
@pytest.mark.parametrize("after", [NONE, -HOUR, HOUR])
def test_the_hosts_clock_is_set_between_two_runs(make, before, after):
    """Offsets are to the monotonic clock; nothing comes late either."""
    world = make(before)
    world.sync()
    for off in (before, after, NONE, after):
        world.host_clock.off = off
        world.edit()
        world.truth.advance(MINUTE)
        world.edit("2")
        world.truth.advance(54 * MINUTE)
        world.edit("3")
        world.truth.advance(2 * SECOND)
        world.sync()
        world.assert_complete()
    assert world.checkpoint.fell_from is None


def test_an_idle_run_costs_one_call_a_stream(make):
    """Also where the host's clock is wrong, as long as it is not set.

    Every quarter of an hour one more counts whether anything was deleted.
    """
    for off in (NONE, HOUR, -HOUR):
        world = make(off)
        world.sync()
        for searches in (1, 1, 2, 1, 1, 2):
            world.truth.advance(5 * MINUTE)
            calls = dict(world.sync().api_calls)
            calls.pop("properties", None)  # each ten minutes, whatever the time is
            assert calls == {"search": searches}


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("ahead", [20 * MINUTE, YEAR])
def test_a_mark_in_the_future_falls(make, ahead, reading, caplog):
    """As an older version may have left it: what it hid is read, and said to be."""
    world = make()
    world.sync()
    now, mark = world.truth.now(), world.truth.now() + ahead
    lease = world.host.checkpointer.acquire(STREAM, "older version", HOUR)
    old = Checkpoint(high_water_mark=mark, index_floor=mark - 2 * SECOND, reconciled_at=mark)
    if reading:
        old = evolve(old, reading=Pass(mode=Mode.INCREMENTAL, start=now, end=mark + MINUTE))
    world.host.checkpointer.commit(lease, old)
    world.host.checkpointer.release(lease)
    world.edit()
    world.truth.advance(MINUTE)

    assert world.sync().mode is Mode.RECONCILE
    world.assert_complete()
    assert "lies in HubSpot's future" in caplog.text
    assert world.checkpoint.high_water_mark <= world.truth.now()
    assert world.checkpoint.fell_from is None
    caplog.clear()
    world.edit("2")
    world.truth.advance(MINUTE)

    assert world.sync().mode is Mode.INCREMENTAL
    world.assert_complete()
    assert caplog.text == ""


def test_a_demand_made_in_the_future_is_met_at_once(make):
    """And does not set the mark there."""
    world = make()
    world.sync()
    lease = world.host.checkpointer.acquire(STREAM, "older version", HOUR)
    ahead = world.truth.now() + YEAR
    world.host.checkpointer.commit(
        lease, evolve(world.checkpoint, reconcile_since=ahead, doubtful_until=ahead)
    )
    world.host.checkpointer.release(lease)
    world.truth.advance(MINUTE)

    world.engine.reconcile(CONTACTS)
    assert world.sync().mode is Mode.RECONCILE

    assert world.checkpoint.high_water_mark <= world.truth.now()
    assert world.checkpoint.reconciled_at <= world.truth.now()
    assert world.checkpoint.reconcile_since is None
    assert world.checkpoint.doubtful_until is None


def test_a_fleet_with_one_slow_machine(make):
    """A mark that another machine set is in no future by HubSpot's own clock."""
    world = make()
    slow = World(world.emulator, world.truth, -HOUR)
    slow.host = world.host
    slow.engine = Host(world.emulator, slow.host_clock).engine(
        sink=world.host.sink, checkpointer=world.host.checkpointer
    )
    world.sync()
    for _ in range(3):
        for one in (slow, world):
            world.edit()
            world.truth.advance(15 * MINUTE)
            assert one.sync().mode is Mode.INCREMENTAL
            world.assert_complete()


def test_a_backfill_that_would_end_in_the_future_is_begun_again(make):
    """It cannot be told when its first pages were read."""
    world = make()
    lease = world.host.checkpointer.acquire(STREAM, "older version", HOUR)
    ahead = Pass(mode=Mode.BACKFILL, end=world.truth.now() + YEAR, ranges=())
    left = evolve(
        ahead,
        ranges=(evolve(Pass(mode=Mode.BACKFILL, end=ahead.end).ranges[0], after="999999999"),),
    )
    world.host.checkpointer.commit(lease, Checkpoint(reading=left))
    world.host.checkpointer.release(lease)

    assert world.sync().mode is Mode.BACKFILL

    world.assert_complete()
    assert world.checkpoint.high_water_mark <= world.truth.now()


def test_a_longer_margin_is_the_hosts_to_choose(make):
    """For a HubSpot, or a proxy, whose clocks are known to be worse."""
    off = 4 * MINUTE
    world = make(off)
    world.dates.off = off
    world.engine = world.host.engine(settings=SyncSettings(clock_margin=off))
    world.sync()

    world.edit()
    world.truth.advance(15 * MINUTE)
    world.sync()

    world.assert_complete()


@pytest.fixture(params=["memory", "sqlite"])
def accounts(request, tmp_path):
    if request.param == "memory":
        yield MemoryAccountStore()
    else:
        with SqliteDatabase(tmp_path / "sync.db") as database:
            yield SqliteAccountStore(database)


@pytest.mark.parametrize("crash", [False, True], ids=["whole", "crashed"])
def test_a_host_clock_ten_years_ahead_for_one_fleet_run(make, accounts, crash):
    """The account is due again as if nothing had been, and so is one that was only claimed."""
    world = make()
    world.sync()
    engine = world.host.engine(accounts=accounts)
    accounts.save(
        AccountEntry(
            account=CONTACTS, status_since=world.truth.now(), next_sync_at=world.truth.now()
        )
    )
    world.host_clock.off = 10 * YEAR
    if crash:
        assert next(iter(engine.claim_due(claim_for=MINUTE, limit=1)), None) is not None
    else:
        assert engine.sync_due().completed
    world.host_clock.off = NONE
    world.edit()
    world.truth.advance(15 * MINUTE)

    assert len(engine.sync_due().accounts) == 1

    world.assert_complete()
    assert accounts.load(CONTACTS.key).next_sync_at == world.truth.now() + CONTACTS.sync_every
    assert engine.sync_due().accounts == ()
