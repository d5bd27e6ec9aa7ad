"""A resync: what a sink has lost arrives again, once, and what it has is not stored twice."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest

from hubspot_sync import ActionKind, StreamStatus, SyncSettings
from hubspot_sync.models import Mode, StreamKey
from hubspot_sync.stores.memory import (
    MemoryActionSink,
    MemoryCheckpointer,
    MemoryErrorQueue,
    MemoryRecordSink,
)
from hubspot_sync.stores.mongodb import MongoActionSink, MongoCheckpointer
from hubspot_sync.stores.sqlite import SqliteActionSink, SqliteCheckpointer, SqliteDatabase
from hubspot_sync.testing import ManualClock
from kit.scripted import Picky
from kit.stored import mongodb_actions, sqlite_actions
from kit.support import ACCOUNT, Crash, Dying, Host, as_json, truth_of

CONTACTS = StreamKey(ACCOUNT.key, "contacts")
HOW = SyncSettings(batch_size=100, reconcile_every=None)
SCORE = "hs_analytics_last_timestamp"


class Memory:
    """Stores in memory, the sink of which can lose what it has."""

    def __init__(self, clock):
        self.checkpointer = MemoryCheckpointer(clock=clock)
        self.sink = MemoryActionSink()

    def actions(self):
        return list(self.sink.actions)

    def restore(self, actions=()):
        """Lose all, but for *actions* in a backup."""
        self.sink = MemoryActionSink()
        self.sink.write(actions)


class Sqlite:
    def __init__(self, database, clock):
        self._database = database
        self.checkpointer = SqliteCheckpointer(database, clock=clock)
        self.sink = SqliteActionSink(database, clock=clock)

    def actions(self):
        return sqlite_actions(self._database)

    def restore(self, actions=()):
        with self._database.writing() as connection:
            connection.execute("DELETE FROM actions")
        self.sink.write(actions)


class Mongodb:
    def __init__(self, database, raw):
        self._raw = raw
        self.checkpointer = MongoCheckpointer(database)
        self.sink = MongoActionSink(database)

    def actions(self):
        return mongodb_actions(self._raw)

    def restore(self, actions=()):
        self._raw["actions"].delete_many({})
        self.sink.write(actions)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
def stores(request, tmp_path, clock):
    if request.param == "memory":
        yield Memory(clock)
    elif request.param == "sqlite":
        with SqliteDatabase(tmp_path / "crm.db") as database:
            yield Sqlite(database, clock)
    else:
        yield Mongodb(request.getfixturevalue("mongodb"), request.getfixturevalue("raw"))


@pytest.fixture
def host(hubspot_emulator, clock):
    return Host(hubspot_emulator(contacts=250, companies=20, clock=clock), clock)


@pytest.fixture
def contact(host):
    """The id of some contact."""
    return next(iter(host.emulator.records("contacts")))


def sync(host, stores, method=None, **parts):
    """One run after what *method* of the engine asks for; the report of the contacts."""
    host.clock.advance(600)
    parts = {"settings": HOW, "sink": stores.sink, "checkpointer": stores.checkpointer, **parts}
    engine = host.engine(**parts)
    if method is not None:
        getattr(engine, method)(ACCOUNT)
    report = engine.sync(ACCOUNT)
    return next(one for one in report.streams if one.stream == CONTACTS)


def score(host, contact, month):
    """Let HubSpot compute a value, which moves no modified date."""
    value = f"2026-{month:02}-01T00:00:00.000Z"
    host.emulator.recalculate("contacts", object_ids=[contact], properties={SCORE: value})


def assert_whole(host, stores):
    """One creation of each object, nothing twice, and the last that was told is the truth."""
    actions = stores.actions()
    assert len({one.action_id for one in actions}) == len(actions)
    created = Counter(
        (one.object_type, one.object_id) for one in actions if one.kind is ActionKind.CREATED
    )
    newest = {}
    for one in sorted(actions, key=lambda one: (one.version, one.variant)):
        newest[one.object_type, one.object_id] = one
    there = {
        (kind, object_id)
        for kind in ("companies", "contacts")
        for object_id in host.emulator.records(kind)
    }
    assert created == dict.fromkeys(there, 1)
    for (kind, object_id), action in newest.items():
        truth = truth_of(host.emulator, kind, object_id)
        told = action.properties.get(SCORE)
        assert told in (truth.get(SCORE), as_json(truth.get(SCORE)))
        assert action.properties["hs_object_id"] == truth["hs_object_id"]
        assert action.modified_at == host.emulator.records(kind)[object_id].modified_at


def lived(host, stores, contact):
    """A stream with a past: changes by date, and one that moved none."""
    sync(host, stores)
    host.emulator.touch("contacts", count=30)
    sync(host, stores)
    score(host, contact, 3)
    assert sync(host, stores, "reconcile").counts.delivered == 1


def test_a_sink_that_was_emptied(host, stores, contact):
    """A sync alone brings nothing; a resync brings each object as a creation."""
    lived(host, stores, contact)
    stores.restore()
    assert sync(host, stores).counts.delivered == 0
    assert sync(host, stores, "reconcile").counts.delivered == 0

    report = sync(host, stores, "resync")

    assert report.mode is Mode.RECONCILE
    assert report.counts.delivered == 250
    assert len(stores.actions()) == 270
    assert_whole(host, stores)
    checkpoint = stores.checkpointer.load(CONTACTS)
    assert (checkpoint.redeliver, checkpoint.reconcile_since) == (False, None)
    assert sync(host, stores).mode is Mode.INCREMENTAL
    assert sync(host, stores, "reconcile").counts.delivered == 0


def test_a_sink_that_has_everything(host, stores, contact):
    """Each action comes with the id that it had, a variant as well, and nothing is in doubt."""
    lived(host, stores, contact)
    before = sorted(stores.actions(), key=lambda one: one.action_id)

    report = sync(host, stores, "resync")

    assert report.counts.delivered == 0
    assert report.counts.repeated >= 250
    assert before == sorted(stores.actions(), key=lambda one: one.action_id)
    assert sync(host, stores, "reconcile").counts.delivered == 0
    assert before == sorted(stores.actions(), key=lambda one: one.action_id)


def test_a_sink_that_was_restored_from_a_backup(host, stores, contact):
    """What came after the backup arrives as updates, and what is new as creations."""
    sync(host, stores)
    backup = stores.actions()
    touched = host.emulator.touch("contacts", count=30)
    created = host.emulator.create("contacts")
    sync(host, stores)
    score(host, contact, 3)
    sync(host, stores, "reconcile")
    stores.restore(backup)

    report = sync(host, stores, "resync")

    assert report.counts.delivered == len({*touched, created, contact})
    assert_whole(host, stores)
    assert sync(host, stores, "reconcile").counts.delivered == 0


def test_what_changed_without_a_date_meanwhile(host, stores, contact):
    """It is found by the same pass, whether the sink has the version or not."""
    lived(host, stores, contact)
    score(host, contact, 4)
    assert sync(host, stores, "resync").counts.delivered == 1
    assert_whole(host, stores)
    score(host, contact, 5)
    stores.restore()

    assert sync(host, stores, "resync").counts.delivered == 250

    assert_whole(host, stores)
    assert sync(host, stores, "reconcile").counts.delivered == 0


@pytest.mark.parametrize("emptied", [True, False])
def test_a_pass_that_is_cut_off_goes_on(host, stores, contact, emptied):
    """The mark and the pass are in the checkpoint."""
    lived(host, stores, contact)
    if emptied:
        stores.restore()
    with suppress(Crash):
        sync(host, stores, "resync", sink=Dying(stores.sink, 3))
    before = len(stores.actions())

    assert sync(host, stores).status is StreamStatus.COMPLETED

    assert (len(stores.actions()) > before) is emptied
    assert not emptied or len(stores.actions()) == 270
    assert_whole(host, stores)
    assert not stores.checkpointer.load(CONTACTS).redeliver
    assert sync(host, stores, "reconcile").counts.delivered == 0


def test_a_window_that_was_cut_off_does_not_come_first(host, stores, contact):
    """It would tell an empty sink of changes, and their ids would be taken."""
    lived(host, stores, contact)
    host.emulator.touch("contacts", count=220)
    with suppress(Crash):
        sync(host, stores, sink=Dying(stores.sink, 1))
    assert stores.checkpointer.load(CONTACTS).reading.mode is Mode.INCREMENTAL
    stores.restore()

    assert sync(host, stores, "resync").counts.delivered == 250

    assert_whole(host, stores)


@pytest.mark.parametrize("changed", [True, False])
def test_what_is_refused_is_created_when_its_turn_comes(host, stores, contact, changed):
    """The fingerprint of what was delivered long ago does not take it out of the queue."""
    lived(host, stores, contact)
    stores.restore()
    queue = MemoryErrorQueue()
    if changed:
        host.emulator.update("contacts", contact, {"city": "Cork"})
    picky = Picky(stores.sink, lambda action: action.object_id == contact)
    report = sync(host, stores, "resync", sink=picky, error_queue=queue)
    assert report.counts.rejected == 1

    assert sync(host, stores, error_queue=queue).retried.delivered == 1

    assert queue.held(CONTACTS, [contact]) == {}
    assert_whole(host, stores)
    assert sync(host, stores, "reconcile", error_queue=queue).counts.delivered == 0


def test_what_waited_before_is_created_too(host, stores, contact):
    """The pass comes before the retry, which would bring an update."""
    lived(host, stores, contact)
    queue = MemoryErrorQueue()
    host.emulator.update("contacts", contact, {"city": "Cork"})
    sync(
        host,
        stores,
        sink=Picky(stores.sink, lambda action: action.object_id == contact),
        error_queue=queue,
    )
    assert queue.held(CONTACTS, [contact])
    stores.restore()

    report = sync(host, stores, "resync", error_queue=queue)

    assert report.counts.delivered == 250
    assert queue.held(CONTACTS, [contact]) == {}
    assert_whole(host, stores)


def test_a_mirror_that_was_restored(host, clock, contact):
    """It gets what it lacks, and no older form of what it has."""
    stores = Memory(clock)
    stores.sink = MemoryRecordSink(clock=clock)
    sync(host, stores)
    score(host, contact, 3)
    sync(host, stores, "reconcile")
    held = {(one.object_type, one.object_id): one for one in stores.sink.records}
    assert sync(host, stores, "resync").counts.delivered == 0
    assert held == {(one.object_type, one.object_id): one for one in stores.sink.records}
    stores.sink = MemoryRecordSink(clock=clock)

    assert sync(host, stores, "resync").counts.delivered == 250

    (mirrored,) = [one for one in stores.sink.records if one.object_id == contact]
    assert mirrored.properties[SCORE].month == 3


def test_a_new_stream_is_read_once(host, stores):
    """There is nothing to deliver again."""
    assert sync(host, stores, "resync").mode is Mode.BACKFILL
    assert len(stores.actions()) == 270


def test_a_domain_asks_by_the_id_alone(host, clock):
    """And for no account that it does not have."""
    from hubspot_sync import UnknownAccountError
    from hubspot_sync.stores.memory import MemoryAccountStore

    stores = Memory(clock)
    engine = host.engine(
        sink=stores.sink,
        checkpointer=stores.checkpointer,
        accounts=MemoryAccountStore(),
        settings=HOW,
    )
    acme = engine.domain(ACCOUNT.domain_id)
    acme.add(ACCOUNT.account_id)
    acme.sync(ACCOUNT.account_id).raise_for_failure()
    stores.restore()
    clock.advance(timedelta(minutes=5))
    acme.resync(ACCOUNT.account_id)
    acme.reconcile(ACCOUNT.account_id, ["contacts"])
    lost = host.engine(
        sink=stores.sink,
        checkpointer=stores.checkpointer,
        accounts=MemoryAccountStore(),
        settings=HOW,
    )

    assert lost.sync(ACCOUNT).counts.delivered == 270

    with pytest.raises(UnknownAccountError):
        acme.resync("1")
