"""The plug is pulled at every call between the parts, one after the other, on every back end."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from hubspot_sync import (
    Account,
    HubSpotSettings,
    StaticAccessToken,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync._hubspot.connector import HubSpotConnector
from hubspot_sync.models import RejectedSelection
from hubspot_sync.stores import memory, mongodb, sqlite
from hubspot_sync.testing import ManualClock
from kit.plug import Plug, Powered
from kit.stored import mongodb_actions, sqlite_actions
from kit.support import Crash, as_json, truth_of

ARROWS = (
    "acquire",
    "load",
    "read",
    "recall",
    "held",
    "associations",
    "write",
    "put",
    "commit",
    "settle",
    "release",
)
SETTINGS = SyncSettings(
    batch_size=40,
    # In MongoDB the server's clock decides, so a dead owner's lease has to end soon in earnest. One
    # that has ended is good for commits as long as nobody took it over.
    lease_duration=timedelta(milliseconds=1),
    max_rejected_share=1.0,
)


class PoweredSource(Powered):
    """A source: each page is a call."""

    def read(self, settings, reading):
        """Hand out pages while there is power."""
        pages = self._part.read(settings, reading)
        while (page := self._plug.through("read", lambda: next(pages, None))) is not None:
            yield page


class Host:
    """A host whose process can die and be started again; its stores stay.

    Args:
        emulator: The HubSpot account.
        clock: The time.
        open_stores: Gives sink, checkpointer and error queue, newly opened.
        stored: Gives all actions that are in the sink.
        domain_id: A domain for each life, so that lives can share stores.
    """

    def __init__(self, emulator, clock, open_stores, stored, domain_id):
        self.account = Account(account_id="62515", domain_id=domain_id)
        self._emulator = emulator
        self._clock = clock
        self._open_stores = open_stores
        self._stored = stored
        self.tokens = memory.MemoryTokenStore()
        access_token = StaticAccessToken(access_token=emulator.access_token)
        self.tokens.save(self.account.key, access_token, expected_revision=None)

    @contextmanager
    def process(self, plug, *, picky):
        """An engine in a new process; a picky one refuses the contacts of one city."""
        open_source = HubSpotConnector(
            tokens=self.tokens,
            settings=HubSpotSettings(
                base_url=self._emulator.base_url, burst_limit=None, search_limit=None
            ),
            app=None,
            clock=self._clock,
        )
        with self._open_stores() as (sink, checkpointer, error_queue):
            yield SyncEngine(
                memory.MemoryStores(),
                open_source=lambda *args, **kwargs: PoweredSource(
                    plug, open_source(*args, **kwargs)
                ),
                tokens=self.tokens,
                sink=Powered(plug, sink),
                checkpointer=Powered(plug, checkpointer),
                error_queue=Powered(plug, error_queue),
                validators=[refuse_some] if picky else [],
                settings=SETTINGS,
                clock=self._clock,
            )

    def stored(self):
        """The actions of this host's domain."""
        return [one for one in self._stored() if one.account == self.account.key]

    def queued(self):
        """How many actions wait in the error queue."""
        with self._open_stores() as (_, _, error_queue):
            return sum(error_queue.count(RejectedSelection(account=self.account.key)).values())

    def assert_in_step(self):
        """The sink equals what HubSpot holds, each object was created once, nothing is there twice.

        A redrive makes updates of what it brings late, so versions of an object may be skipped.
        """
        actions = self.stored()
        ids = [one.action_id for one in actions]
        assert len(set(ids)) == len(ids)
        created = Counter(
            (one.object_type, one.object_id) for one in actions if one.kind.value == "Created"
        )
        assert set(created.values()) == {1}
        newest = {}
        for one in sorted(actions, key=lambda one: (one.version, one.variant)):
            newest[one.object_type, one.object_id] = one
        assert set(created) == set(newest)
        for object_type in ("companies", "contacts"):
            truth = self._emulator.records(object_type)
            assert {key[1] for key in newest if key[0] == object_type} == set(truth)
            for object_id, held in truth.items():
                action = newest[object_type, object_id]
                assert action.modified_at == held.modified_at
                assert plain(action.properties) == plain(
                    truth_of(self._emulator, object_type, object_id)
                )
                if object_type == "contacts":
                    edges = {edge.object_id for edge in action.associations["companies"]}
                    assert edges == set(held.associations.get("companies", {}))


def plain(properties):
    """Values as JSON has them, which is what SQLite gives."""
    return {
        name: list(value) if isinstance(value, (list, tuple)) else as_json(value)
        for name, value in properties.items()
    }


def refuse_some(action):
    """A rule of the host's that a tenth of the records break."""
    return "its id ends with 7" if action.object_id.endswith("7") else None


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    return hubspot_emulator(contacts=110, companies=30, clock=clock)


@pytest.fixture
def on_memory(clock):
    """Every life has the same stores."""
    stores = (
        memory.MemoryActionSink(),
        memory.MemoryCheckpointer(clock=clock),
        memory.MemoryErrorQueue(),
    )

    @contextmanager
    def open_stores():
        yield stores

    return open_stores, lambda: stores[0].actions


@pytest.fixture
def on_sqlite(clock, tmp_path):
    """Every life opens the same file."""

    @contextmanager
    def open_stores():
        database = sqlite.SqliteDatabase(tmp_path / "crm.db")
        try:
            yield (
                sqlite.SqliteActionSink(database, clock=clock),
                sqlite.SqliteCheckpointer(database, clock=clock),
                sqlite.SqliteErrorQueue(database),
            )
        finally:
            database.close()

    def stored():
        database = sqlite.SqliteDatabase(tmp_path / "crm.db")
        found = sqlite_actions(database)
        database.close()
        return found

    return open_stores, stored


@pytest.fixture
def on_mongodb(clock, mongodb_uri, mongodb_client):
    """Every life works in the same database, over the host's one client."""
    name = mongodb_uri.rpartition("/")[2].partition("?")[0]
    database = mongodb.MongoDatabase(mongodb_client, name=name)
    database.prepare()
    stores = (
        mongodb.MongoActionSink(database, clock=clock),
        mongodb.MongoCheckpointer(database),
        mongodb.MongoErrorQueue(database),
    )

    @contextmanager
    def open_stores():
        yield stores

    return open_stores, lambda: mongodb_actions(mongodb_client[name])


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
def back_end(request):
    return request.getfixturevalue(f"on_{request.param}")


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
@pytest.mark.parametrize(
    "times", [3, pytest.param(None, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
@pytest.mark.parametrize("arrow", ARROWS)
def test_nothing_is_lost_or_repeated_wherever_the_plug_is_pulled(
    back_end, emulator, clock, arrow, times, answered
):
    """At the first calls of each kind, in the long form at all; one more run fixes everything."""
    lives = 0
    alive = False
    while not alive and lives != times:
        lives += 1
        host = Host(emulator, clock, *back_end, domain_id=f"life {lives}")

        alive = live(host, Plug(arrow, lives, answered=answered), emulator, clock)

        before = len(host.stored())  # of what is queued, some may be among them
        with host.process(Plug(), picky=False) as engine:
            report = engine.sync(host.account)
            redriven = engine.redrive(host.account)
        assert report.completed
        late = sum((one.retried for one in report.streams), start=redriven.counts)
        stored, told = len(host.stored()) - before, report.counts.delivered
        assert told <= stored <= told + late.delivered
        assert host.queued() == 0
        host.assert_in_step()
    assert lives > 1  # so the plug was pulled


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
@pytest.mark.parametrize(
    "times", [2, pytest.param(None, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
@pytest.mark.parametrize("arrow", ["write", "put", "commit", "settle"])
def test_what_moved_no_date_is_found_wherever_the_plug_is_pulled(
    back_end, emulator, clock, arrow, times, answered
):
    """One more run, and the next reconcile pass, fix everything; then nothing is left to tell."""
    lives = 0
    alive = False
    while not alive and lives != times:
        lives += 1
        host = Host(emulator, clock, *back_end, domain_id=f"life {lives}")
        with host.process(Plug(), picky=True) as engine:
            assert engine.sync(host.account).completed
        computed = recalculate(emulator, clock)
        plug = Plug(arrow, lives, answered=answered)

        with suppress(Crash):
            for picky in (True, False):
                with host.process(plug, picky=picky) as engine:
                    engine.reconcile(host.account)
                    engine.sync(host.account)
                clock.advance(400)
        alive = not plug.pulled

        recalculate(emulator, clock, back_to=computed)
        with host.process(Plug(), picky=False) as engine:
            assert engine.sync(host.account).completed
            engine.redrive(host.account)
            clock.advance(10)
            engine.reconcile(host.account)
            assert engine.sync(host.account).completed
            clock.advance(10)
            engine.reconcile(host.account)
            again = engine.sync(host.account)
        assert again.completed
        assert again.counts.delivered == 0
        assert host.queued() == 0
        host.assert_in_step()
    assert lives > 1  # so the plug was pulled


COMPUTED = {
    "contacts": "hs_analytics_last_timestamp",
    "companies": "hs_last_sales_activity_timestamp",
}


def recalculate(emulator, clock, back_to=None):
    """Change computed values, of some a second time, of others back; and edit a few records.

    Returns:
        The values as they were, by object type and id.
    """
    clock.advance(400)
    before = {}
    for object_type, name in COMPUTED.items():
        records = emulator.records(object_type)
        chosen = list(records)[:24]
        before |= {(object_type, one): records[one].properties[name] for one in chosen}
        emulator.recalculate(object_type, object_ids=chosen)
        if back_to is not None:
            for one in chosen[::2]:
                value = {name: back_to[object_type, one]}
                emulator.recalculate(object_type, object_ids=[one], properties=value)
        emulator.touch(object_type, object_ids=chosen[::5])
    clock.advance(10)
    return before


def live(host, plug, emulator, clock):
    """Two runs with changes between them; whether both came through.

    The first one has some of its actions refused, the second one is to bring these too.
    """
    try:
        with host.process(plug, picky=True) as engine:
            engine.sync(host.account)
        work_in(emulator, clock)
        with host.process(plug, picky=False) as engine:
            engine.sync(host.account)
    except Crash:
        work_in(emulator, clock)
    return not plug.pulled


def work_in(emulator, clock):
    """Edit some records, of those that are refused too, and create one; refusals become due."""
    clock.advance(400)
    for object_type in ("companies", "contacts"):
        emulator.touch(object_type, object_ids=list(emulator.records(object_type))[:25])
    emulator.create("contacts", {"email": "late@example.com"})
    clock.advance(10)
