"""A sink that feeds several: contract, crashes between two of them, and what is said of each."""

from __future__ import annotations

import pytest

from hubspot_sync.errors import (
    ActionRejectedError,
    ConfigurationError,
    StoreUnavailableError,
)
from hubspot_sync.models import ActionKind, SinkAnswer
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.stores.memory import MemoryActionSink, MemoryErrorQueue, MemoryRecordSink
from hubspot_sync.stores.mongodb import MongoActionSink, MongoDatabase, MongoRecordSink
from hubspot_sync.stores.sqlite import SqliteActionSink, SqliteDatabase, SqliteRecordSink
from hubspot_sync.testing import HubSpotEmulator
from hubspot_sync.testing.contracts import ActionSinkContract
from hubspot_sync.testing.contracts._samples import VERSION, action, creation
from kit.stored import (
    kept_by_mongodb,
    mongodb_actions,
    mongodb_records,
    sqlite_actions,
    sqlite_records,
)
from kit.support import ACCOUNT, Host, as_json, truth_of

NEWER = VERSION + 1


class Flaky:
    """A sink that fails when it is told to, before it stores anything or after it has."""

    def __init__(self, inner):
        self.inner = inner
        self.before = []
        self.after = []

    def write(self, actions):
        """Store *actions*, unless it is to fail."""
        if self.before:
            raise self.before.pop()
        answer = self.inner.write(actions)
        if self.after:
            raise self.after.pop()
        return answer


class Refusing:
    """A sink that names what it refuses."""

    def __init__(self, *object_ids):
        self.object_ids = object_ids

    def write(self, actions):
        """Refuse some of *actions*."""
        refused = {a.action_id: "no such" for a in actions if a.object_id in self.object_ids}
        return SinkAnswer(refused=refused)


class Rejecting:
    """A sink that rejects a whole batch because of one object."""

    def __init__(self, object_id):
        self.object_id = object_id

    def write(self, actions):
        """Reject *actions* if the object is among them."""
        if any(one.object_id == self.object_id for one in actions):
            raise ActionRejectedError("it is not wanted")
        return SinkAnswer()


class TestFanOutSink(ActionSinkContract):
    one_wins = False

    @pytest.fixture
    def sinks(self):
        return [MemoryActionSink(), MemoryActionSink()]

    @pytest.fixture
    def store(self, sinks):
        return FanOutSink(sinks)

    @pytest.fixture
    def reopen(self, sinks):
        return lambda: FanOutSink(sinks)

    @pytest.fixture
    def stored(self, sinks):
        def both():
            first, second = (sink.actions for sink in sinks)
            assert {one.object_id for one in first} == {one.object_id for one in second}
            return second

        return both

    @pytest.fixture
    def away(self, sinks):
        gone = Flaky(sinks[1])
        gone.before.append(StoreUnavailableError("away"))
        return FanOutSink([sinks[0], gone])


def newest(actions):
    """The newest version of each object."""
    versions: dict[object, int] = {}
    for one in actions:
        place = (one.account, one.object_type, one.object_id)
        versions[place] = max(versions.get(place, one.version), one.version)
    return versions


def in_both(actions, records):
    """The actions on objects that the mirror has too; it may be ahead, but not behind.

    It is ahead while a creation waits to be sent again as an update.
    """
    shown = newest(records)
    kept = [one for one in actions if (one.account, one.object_type, one.object_id) in shown]
    assert all(version <= shown[place] for place, version in newest(kept).items())
    return kept


class TestFanOutSinkSqlite(ActionSinkContract):
    one_wins = False

    @pytest.fixture
    def open_sink(self, tmp_path):
        opened = []

        def open_one():
            opened.append(SqliteDatabase(tmp_path / "sync.db"))
            return FanOutSink([SqliteActionSink(opened[-1]), SqliteRecordSink(opened[-1])])

        open_one.opened = opened
        yield open_one
        for database in opened:
            database.close()

    @pytest.fixture
    def store(self, open_sink):
        return open_sink()

    @pytest.fixture
    def reopen(self, open_sink):
        return open_sink

    @pytest.fixture
    def stored(self, store, open_sink):
        database = open_sink.opened[0]
        return lambda: in_both(sqlite_actions(database), sqlite_records(database))

    @pytest.fixture
    def as_kept(self):
        return as_json

    @pytest.fixture
    def away(self, open_sink):
        sink = open_sink()
        open_sink.opened[-1].close()
        return sink


class TestFanOutSinkMongo(ActionSinkContract):
    one_wins = False

    @pytest.fixture
    def store(self, raw):
        return _mongodb_pair(MongoDatabase(raw.client, name=raw.name))

    @pytest.fixture
    def reopen(self, raw):
        return lambda: _mongodb_pair(MongoDatabase(raw.client, name=raw.name))

    @pytest.fixture
    def stored(self, raw):
        return lambda: in_both(mongodb_actions(raw), mongodb_records(raw))

    @pytest.fixture
    def as_kept(self):
        return kept_by_mongodb

    @pytest.fixture
    def away(self, mongodb_uri):
        database = MongoDatabase(mongodb_uri)
        database.close()
        return _mongodb_pair(database)


def _mongodb_pair(database):
    return FanOutSink([MongoActionSink(database), MongoRecordSink(database)])


class TestAnswers:
    def test_what_one_refuses_is_refused_with_its_name(self):
        """The others have it already; the rest of the batch is accepted."""
        memory = MemoryActionSink()
        sink = FanOutSink([memory, Refusing("2"), Refusing("2", "3")])

        answer = sink.write([action("1"), action("2"), action("3")])

        assert {
            action("2").action_id: "Refusing (sink 2): no such",
            action("3").action_id: "Refusing (sink 3): no such",
        } == answer.refused
        assert not answer.repeated
        assert {"1", "2", "3"} == {kept.object_id for kept in memory.actions}

    def test_what_is_refused_is_named_once(self):
        """An action that one refuses and others hold, or know as created, is refused only."""
        memory = MemoryActionSink()
        memory.write([creation("1"), action("2")])
        batch = [creation("1", version=NEWER), action("2")]

        answer = FanOutSink([memory, Refusing("1", "2")]).write(batch)

        assert {one.action_id for one in batch} == set(answer.refused)
        assert not answer.repeated
        assert not answer.already_created

    def test_a_refused_creation_that_is_tried_again(self):
        """Once the cause is fixed, each sink ends with one creation and every version."""
        memory, refusing, mirror = MemoryActionSink(), Refusing("1"), MemoryRecordSink()
        memory.write([creation("1")])
        sink = FanOutSink([memory, refusing, mirror])
        late = creation("1", version=NEWER)
        sink.write([late])
        refusing.object_ids = ()

        assert SinkAnswer(already_created=frozenset({late.action_id})) == sink.write([late])
        assert SinkAnswer() == sink.write([action("1", version=NEWER)])

        assert [VERSION, NEWER] == [kept.version for kept in memory.actions]
        assert [NEWER] == [record.version for record in mirror.records]

    def test_a_rejected_batch_is_rejected(self):
        """The engine then finds out which action it is; what others stored is repeated."""
        memory = MemoryActionSink()
        sink = FanOutSink([memory, Rejecting("2")])
        batch = [action("1"), action("2")]

        with pytest.raises(ActionRejectedError, match="not wanted"):
            sink.write(batch)

        assert SinkAnswer() == sink.write([action("1")])
        reason = "Rejecting (sink 2): it is not wanted"
        assert {action("2").action_id: reason} == sink.write([action("2")]).refused
        assert 2 == len(memory.actions)

    def test_a_single_rejected_action_reaches_the_sinks_behind(self):
        """It is known which action it is, so the answer names it, and the others get it."""
        memory = MemoryActionSink()

        answer = FanOutSink([Rejecting("2"), memory]).write([action("2")])

        assert {action("2").action_id} == set(answer.refused)
        assert [action("2")] == list(memory.actions)

    def test_an_error_ends_the_write(self):
        """Sinks behind the one that is away are not asked; the repeat reaches all."""
        first, last = MemoryActionSink(), MemoryActionSink()
        flaky = Flaky(MemoryActionSink())
        flaky.before.append(StoreUnavailableError("away"))
        sink = FanOutSink([first, flaky, last])

        with pytest.raises(StoreUnavailableError, match="away"):
            sink.write([action()])

        assert not last.actions
        assert SinkAnswer() == sink.write([action()])
        assert [action()] == list(first.actions) == list(last.actions)

    def test_there_has_to_be_one(self):
        """None at all would lose everything."""
        with pytest.raises(ConfigurationError, match="at least one"):
            FanOutSink([])


class TestCreations:
    def test_a_crash_between_two_sinks_and_a_change_in_the_gap(self):
        """The first holds the creation; the second gets it in the newer version, each once."""
        first, second = MemoryActionSink(), MemoryActionSink()
        sink = FanOutSink([first, second])
        first.write([creation()])
        late = creation(version=NEWER)

        assert SinkAnswer(already_created=frozenset({late.action_id})) == sink.write([late])
        assert SinkAnswer() == sink.write([action(version=NEWER)])

        created, updated = ActionKind.CREATED, ActionKind.UPDATED
        assert [(created, VERSION), (updated, NEWER)] == [
            (kept.kind, kept.version) for kept in first.actions
        ]
        assert [(created, NEWER)] == [(kept.kind, kept.version) for kept in second.actions]

    def test_a_crash_before_the_update(self):
        """When the process dies before the creation is sent again as an update, it comes again."""
        first, second = MemoryActionSink(), MemoryActionSink()
        sink = FanOutSink([first, second])
        first.write([creation()])
        late = creation(version=NEWER)
        sink.write([late])

        assert SinkAnswer(already_created=frozenset({late.action_id})) == sink.write([late])
        assert SinkAnswer() == sink.write([action(version=NEWER)])

        assert [VERSION, NEWER] == [kept.version for kept in first.actions]
        assert [NEWER] == [kept.version for kept in second.actions]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("changes", [False, True])
def test_an_engine_that_dies_between_two_sinks(when, place, changes):
    """After a crash around either sink, the next run leaves both as HubSpot has it."""
    with HubSpotEmulator(contacts=250, companies=30) as emulator:
        host = Host(emulator)
        log, mirror = MemoryActionSink(), MemoryRecordSink(clock=host.clock)
        sinks = [Flaky(log), Flaky(mirror)]
        getattr(sinks[place], when).extend([KeyboardInterrupt()])
        with pytest.raises(KeyboardInterrupt), host.engine(sink=FanOutSink(sinks)) as engine:
            engine.sync(ACCOUNT)
        if changes:
            for object_id in list(emulator.records("contacts")):
                emulator.update("contacts", object_id, {"city": "Brno"})

        with host.engine(sink=FanOutSink(sinks)) as engine:
            engine.sync(ACCOUNT).raise_for_failure()

        for object_type in ("contacts", "companies"):
            ids = set(emulator.records(object_type))
            created = [
                kept.object_id
                for kept in log.actions
                if kept.object_type == object_type and kept.kind is ActionKind.CREATED
            ]
            assert sorted(ids) == sorted(created)
            shown = {r.object_id: r for r in mirror.records if r.object_type == object_type}
            assert ids == set(shown)
            for object_id in ids:
                truth = truth_of(emulator, object_type, object_id)
                assert truth.items() <= dict(shown[object_id].properties).items()
        assert newest(log.actions) == newest(mirror.records)


def test_what_one_sink_refuses_is_in_the_error_queue():
    """It has the name of the sink; after the cause is fixed the object is in both."""
    with HubSpotEmulator(contacts=5, companies=0) as emulator:
        host = Host(emulator)
        log, queue = MemoryActionSink(), MemoryErrorQueue()
        refused = min(emulator.records("contacts"))
        refusing = Refusing(refused)
        with host.engine(sink=FanOutSink([log, refusing]), error_queue=queue) as engine:
            report = engine.sync(ACCOUNT)

        assert 1 == report.counts.rejected
        assert 5 == len(log.actions)
