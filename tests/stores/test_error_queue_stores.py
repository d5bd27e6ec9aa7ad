"""Real stores, records that no store wants, many refusals: none is lost, the stream lives."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from attrs import evolve

from hubspot_sync import (
    Account,
    HubSpotSettings,
    StaticAccessToken,
    StreamSettings,
    StreamStatus,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync.models import RejectedSelection
from hubspot_sync.stores.mongodb import (
    MongoActionSink,
    MongoCheckpointer,
    MongoDatabase,
    MongoErrorQueue,
    MongoStores,
)
from hubspot_sync.stores.sqlite import (
    SqliteActionSink,
    SqliteCheckpointer,
    SqliteDatabase,
    SqliteErrorQueue,
    SqliteStores,
)
from kit.scripted import ACCOUNT, ALL, SETTINGS, Picky, Setting, counted, record
from kit.support import Host

NAMES = ("a.b", "$set", "$", ".", "a.$.b", "__proto__", "", "a\0b", "\udfff", "x" * 70_000)
STRANGE = {
    "17 MB": {"name": "x" * 17_000_000},
    "17 MB that do not compress": {f"p{n}": f"{n:017}" * 4_000 for n in range(250)},
    "just over 16 MiB": {f"p{n}": "x" * 17_000 for n in range(987)},
    "surrogate": {"name": "\ud800 alone"},
    "surrogate in a list": {"name": ("a", "\udc00")},
    "NUL": {"name": "a\0b"},
    **{f"key {name[:9]!r}": {name: "value"} for name in NAMES},
    "65,536 characters": {"notes": "Žluť" * 16_384},
    "first day": {"day": date(1, 1, 1), "at": datetime(1, 1, 1, tzinfo=timezone.utc)},
    "last day": {
        "day": date(9999, 12, 31),
        "at": datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=timezone.utc),
    },
    "before any zone": {"at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))},
    "numbers": {"huge": 10**200, "amount": Decimal("1E+400"), "tiny": Decimal("-1E-6200")},
    "deep name": {"a" + ".b" * 200: 1},
}


@contextmanager
def sqlite_stores(request):
    """Stores in a file."""
    path = request.getfixturevalue("tmp_path") / "sync.db"
    with SqliteDatabase(path) as database:
        yield SqliteActionSink(database), SqliteCheckpointer(database), SqliteErrorQueue(database)


@contextmanager
def mongodb_stores(request):
    """Stores in a real MongoDB."""
    with MongoDatabase(request.getfixturevalue("mongodb_uri")) as database:
        yield MongoActionSink(database), MongoCheckpointer(database), MongoErrorQueue(database)


STORES = {"sqlite": sqlite_stores, "mongodb": mongodb_stores}


@pytest.fixture(params=STORES)
def on_stores(request):
    """Makes a setting on real stores; several in one test would share them."""
    with STORES[request.param](request) as (sink, checkpointer, queue):

        def make(*passes):
            setting = Setting(*passes)
            setting.sink, setting.checkpointer, setting.queue = sink, checkpointer, queue
            return setting

        yield make


def test_records_that_no_store_wants_are_stored_or_queued(on_stores):
    """Whole, in one run that completes; their neighbours arrive, and the next run goes on."""
    strange = [record(str(n), **values) for n, values in enumerate(STRANGE.values(), start=100)]
    plain = [record(str(n)) for n in range(1, 20)]
    setting = on_stores([[*plain[:10], *strange, *plain[10:]]], [[record("1", 5)]])

    report = setting.sync(settings=evolve(SETTINGS, batch_size=1_000))

    assert report.status is StreamStatus.COMPLETED
    assert report.counts.read == len(plain) + len(strange)
    assert report.counts.delivered + report.counts.rejected == report.counts.read
    queued = setting.queued
    assert len(queued) == report.counts.rejected > 3
    by_id = {one.object_id: one for one in strange}
    assert set(queued) < set(by_id)
    for object_id, failure in queued.items():
        assert dict(failure.action.properties) == dict(by_id[object_id].properties)
        assert len(failure.reason) < 200
    assert counted(setting.sync()) == (1, 0, 0, 0, 0)
    again = setting.engine().redrive(ACCOUNT)
    assert again.counts.rejected == len(queued)
    assert set(setting.queued) == set(queued)
    wanted = RejectedSelection(account=ACCOUNT.key, object_ids=list(queued))
    assert setting.queue.drop(wanted) == len(queued)


def test_a_refused_creation_is_created_once(on_stores):
    """Refused, changed, refused, redriven, changed again: one creation, then updates."""
    setting = on_stores([[record("1"), record("2")]], [[record("1", 1)]], [[record("1", 2)]])
    sink = Picky(setting.sink, lambda action: action.object_id == "1")
    setting.sync(sink=sink)
    setting.sync(sink=sink)
    assert setting.queue.held(setting.queued["1"].stream, ["1"])

    setting.engine().redrive(ACCOUNT)
    report = setting.sync()

    assert counted(report) == (1, 0, 0, 0, 0)
    assert setting.queue.count(ALL) == {}
    told = Tap()
    setting.sync(sink=told)
    assert told.actions == []


class Tap:
    """Keeps what it is told."""

    def __init__(self):
        self.actions = []

    def write(self, actions):
        """Keep."""
        self.actions += actions


BUNDLES = {
    "sqlite": (lambda request: request.getfixturevalue("tmp_path") / "crm.db", SqliteStores),
    "mongodb": (lambda request: request.getfixturevalue("mongodb_uri"), MongoStores),
}


@pytest.mark.parametrize("bundle", BUNDLES)
def test_five_percent_are_refused_and_redriven(bundle, request, hubspot_emulator):
    """A rule of the host's keeps back some; once it is fixed, the sink equals the truth."""
    emulator = hubspot_emulator(contacts=2_000, companies=0)
    account = Account(account_id=emulator.account_id, streams=ACCOUNT.streams)
    place, open_stores = BUNDLES[bundle]
    hubspot = HubSpotSettings(base_url=emulator.base_url, burst_limit=None, search_limit=None)
    where = place(request)

    def odd_ones(action):
        return "it is one of twenty" if int(action.object_id) % 20 == 0 else None

    expected = [one for one in emulator.records("contacts") if int(one) % 20 == 0]
    with SyncEngine(open_stores(where), hubspot=hubspot, validators=[odd_ones]) as engine:
        engine.store_credentials(account, StaticAccessToken(access_token=emulator.access_token))
        report = engine.sync(account)
    report.raise_for_failure()
    assert report.counts.rejected == len(expected) > 50
    assert report.counts.delivered == 2_000 - len(expected)

    with SyncEngine(open_stores(where), hubspot=hubspot) as engine:
        engine.store_credentials(account, StaticAccessToken(access_token=emulator.access_token))
        redriven = engine.redrive(account, reason="it is one of twenty")
        again = engine.redrive(account)

    assert redriven.counts.delivered == len(expected)
    assert again.streams == ()
    stored = stored_ids(where)
    assert sorted(stored) == sorted(emulator.records("contacts"))


def stored_ids(where):
    """The ids of the objects of which the sink has an action."""
    if isinstance(where, str):
        with MongoDatabase(where) as database, database.collection("actions") as actions:
            return [one["object_id"] for one in actions.find()]
    with SqliteDatabase(where) as database, database.reading() as connection:
        return [one for (one,) in connection.execute("SELECT object_id FROM actions")]


def test_a_sink_of_the_hosts_that_refuses_whole_batches(hubspot_emulator):
    """Through the real reader: the bad ones are found, and the sink has the rest."""
    emulator = hubspot_emulator(contacts=600, companies=0)
    setting = Setting()
    host = Host(emulator, setting.clock)
    account = evolve(ACCOUNT, streams=(StreamSettings(object_type="contacts"),))
    bad = set(list(emulator.records("contacts"))[::30])
    sink = Picky(host.sink, lambda action: action.object_id in bad, whole_batches=True)
    engine = host.engine(
        sink=sink, error_queue=setting.queue, settings=SyncSettings(batch_size=200)
    )

    report = engine.sync(account)

    assert report.counts.rejected == len(bad) == 20
    assert report.counts.delivered == 580
    selection = RejectedSelection(account=account.key)
    assert {one.action.object_id for one in setting.queue.browse(selection, limit=99)} == bad
    sink.rule = lambda action: False
    assert engine.redrive(account).counts.delivered == 20
    assert len(host.sink.actions) == 600
