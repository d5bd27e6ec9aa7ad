"""An engine whose sink stores each batch together with its checkpoint, in MongoDB."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from datetime import timedelta

import pytest
from attrs import evolve
from pymongo.errors import OperationFailure

from hubspot_sync import StoreUnavailableError, mongodb_engine
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import StoreRetried
from hubspot_sync.stores.memory import MemoryActionSink
from hubspot_sync.stores.mongodb import (
    MongoAtomicSink,
    MongoCheckpointer,
    MongoDatabase,
    MongoErrorQueue,
    _together,
)
from hubspot_sync.testing.contracts._samples import MOMENT, creation, progress
from mongod import _free_port, _program
from scripted import CONTACTS, SETTINGS, Picky, Setting, counted, record

PAGES = [[record("1"), record("2")], [record("3"), record("4")], [record("5")]]


class Crash(BaseException):
    """The process dies here."""


class InMongo(Setting):
    """The same on a database that has transactions."""

    def __init__(self, database, *passes):
        super().__init__(*passes)
        self.database = database
        self.sink = MongoAtomicSink(database, clock=self.clock)
        self.checkpointer = MongoCheckpointer(database)
        self.queue = MongoErrorQueue(database)

    def stored(self):
        """The ids of the objects that are stored, and of those that are known."""
        with self.database.collection("actions") as actions:
            stored = [one["object_id"] for one in actions.find()]
        known = self.checkpointer.recall(CONTACTS, [str(n) for n in range(1, 9)])
        return sorted(stored), sorted(known)


@pytest.fixture
def database(mongodb_uri):
    """With transactions."""
    with MongoDatabase(mongodb_uri) as database:
        yield database


@pytest.fixture
def setting(database):
    """Three batches to read."""
    return InMongo(database, PAGES)


def test_each_batch_is_stored_with_its_checkpoint(setting):
    """Nothing is left for the checkpointer but to note that the pass has begun."""

    class Noting:
        commits = 0

        def __getattr__(self, name):
            return getattr(setting.checkpointer, name)

        def commit(self, *given):
            self.commits += 1
            setting.checkpointer.commit(*given)

    noting = Noting()

    report = setting.sync(checkpointer=noting, settings=evolve(SETTINGS, sink_writers=4))

    assert counted(report) == (5, 0, 0, 0, 0)
    assert noting.commits == 1
    assert setting.checkpointer.load(CONTACTS).reading is None
    assert setting.stored() == (list("12345"), list("12345"))
    assert counted(setting.sync()) == (0, 0, 0, 0, 0)


@pytest.mark.parametrize("step", ["move", "learn"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_between_the_steps_leaves_all_or_nothing(setting, monkeypatch, step, after):
    """Of the second batch nothing is seen; the next run finds nothing to be repeated."""
    inner = getattr(_together, step)
    calls = []

    def dying(*given):
        calls.append(step)
        if len(calls) == 2 and not after:
            raise Crash
        result = inner(*given)
        if len(calls) == 2:
            raise Crash
        return result

    with monkeypatch.context() as patched:
        patched.setattr(_together, step, dying)
        with suppress(Crash):
            setting.sync()

    assert setting.stored() == (["1", "2"], ["1", "2"])
    assert setting.checkpointer.load(CONTACTS).reading.ranges[0].after == "1"
    report = setting.sync()
    assert counted(report) == (3, 0, 0, 0, 0)
    assert setting.stored() == (list("12345"), list("12345"))


def test_an_answer_that_is_lost_is_asked_for_again(setting):
    """What was stored is found to be there, and committed in two steps."""

    class Losing:
        lost = False

        def __getattr__(self, name):
            return getattr(setting.sink, name)

        def write_and_commit(self, *given):
            done = setting.sink.write_and_commit(*given)
            if not self.lost:
                self.lost = True
                raise StoreUnavailableError("failover")
            return done

    report = setting.sync(sink=Losing())

    assert counted(report) == (3, 2, 0, 0, 0)
    assert setting.stored() == (list("12345"), list("12345"))
    assert [event.reason for event in setting.recorder.of(StoreRetried)] == ["failover"]


@pytest.mark.parametrize(
    ("fails", "code", "labels"),
    [
        ("insert", 112, ["TransientTransactionError"]),
        ("update", 251, ["TransientTransactionError"]),
        ("commitTransaction", 50, ["UnknownTransactionCommitResult"]),
    ],
)
def test_a_transaction_that_does_not_come_off_is_tried_again(
    setting, mongodb_client, fails, code, labels
):
    """The server says that it may."""
    setting.database.prepare()
    point = {"failCommands": [fails], "errorCode": code, "errorLabels": labels}
    fired = []

    class Failing:
        def __getattr__(self, name):
            return getattr(setting.sink, name)

        def write_and_commit(self, *given):
            if not fired:
                fired.append(fails)
                try:
                    mongodb_client.admin.command(
                        "configureFailPoint", "failCommand", mode={"times": 1}, data=point
                    )
                except OperationFailure:
                    pytest.skip("this server does not have test commands enabled")
            return setting.sink.write_and_commit(*given)

    try:
        report = setting.sync(sink=Failing())
    finally:
        with suppress(OperationFailure):
            mongodb_client.admin.command("configureFailPoint", "failCommand", mode="off")

    assert counted(report) == (5, 0, 0, 0, 0)
    assert len(setting.recorder.of(StoreRetried)) == 1
    assert setting.stored() == (list("12345"), list("12345"))


def test_a_refused_action_does_not_keep_the_others(setting):
    """A batch with one goes the way of two steps."""
    invalid = [lambda action: "no third" if action.object_id == "3" else None]

    report = setting.sync(validators=invalid)

    assert counted(report) == (4, 0, 0, 1, 0)
    assert setting.stored() == (list("1245"), list("1245"))
    assert list(setting.queued) == ["3"]
    setting.clock.advance(timedelta(days=2))
    assert setting.sync().retried.delivered == 1


def test_an_action_that_mongodb_cannot_take_is_refused(database):
    """By name, as without transactions."""
    setting = InMongo(database, [[record("1"), record("2", name="\ud800")]])

    assert counted(setting.sync()) == (1, 0, 0, 1, 0)
    assert setting.stored() == (["1"], ["1"])


def test_a_newer_version_of_what_waits_takes_its_place(database):
    """The error queue is told before the sink is, and so in two steps."""
    setting = InMongo(database, [[record("1")]], [[record("1", 4)]])
    setting.sync(sink=Picky(MemoryActionSink(), lambda _: True))
    assert list(setting.queued) == ["1"]

    assert counted(setting.sync()) == (1, 0, 0, 0, 0)

    assert setting.queued == {}


def test_a_stale_owner_stores_nothing(setting, database):
    """It is the lease that is looked at first."""
    lease = setting.checkpointer.acquire(CONTACTS, "a", timedelta(hours=1))
    setting.checkpointer.acquire(CONTACTS, "b", timedelta(hours=1), evict="a")

    with pytest.raises(Exception, match="lease"):
        setting.sink.write_and_commit(lease, [creation("1")], progress(MOMENT), [])

    assert setting.stored() == ([], [])


def test_the_preset_is_asked_for_transactions_by_name(mongodb_uri):
    """And then refuses a sink that has none."""
    with mongodb_engine(mongodb_uri, transactions=True):
        pass
    with pytest.raises(ConfigurationError, match="MongoAtomicSink"):
        mongodb_engine(mongodb_uri, transactions=True, sink=MemoryActionSink())


@pytest.fixture
def standalone(tmp_path):
    """The URI of a server that is no replica set."""
    program, _ = _program()
    port = _free_port()
    folder = tmp_path / "standalone"
    folder.mkdir()
    command = [program, "--dbpath", folder, "--port", str(port), "--bind_ip", "127.0.0.1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        yield f"mongodb://127.0.0.1:{port}/crm?directConnection=true"
        process.terminate()


def test_a_server_without_transactions_is_told_so(mongodb_uri, standalone):
    """By the preset at once, and by the sink before it writes anything."""
    with pytest.raises(ConfigurationError, match="no replica set"):
        mongodb_engine(standalone, transactions=True)
    with MongoDatabase(standalone) as database:
        lease = MongoCheckpointer(database).acquire(CONTACTS, "a", timedelta(hours=1))
        with pytest.raises(ConfigurationError, match="no replica set"):
            MongoAtomicSink(database).write_and_commit(lease, [creation()], progress(), [])
