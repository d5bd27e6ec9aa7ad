"""Mirrors: each record once, in its newest form, on every back end."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from typing import Any

import pytest
from attrs import asdict, evolve
from bson.int64 import Int64
from pymongo import errors

from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.models import SinkAnswer
from hubspot_sync.stores.memory import MemoryRecordSink
from hubspot_sync.stores.mongodb import MongoDatabase, MongoRecordSink, _upserts
from hubspot_sync.stores.sqlite import SqliteRecordSink
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.contracts import ActionSinkContract
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    OTHER_DOMAIN,
    VERSION,
    action,
    creation,
    rich_action,
)
from kit.stored import (
    kept_by_mongodb,
    mongodb_records,
    record_as_action,
    sqlite_records,
    sqlite_rows,
)
from kit.support import as_json

SECOND = timedelta(seconds=1)
FIRST, LATER = MOMENT + SECOND, MOMENT + 2 * SECOND
NEWER = VERSION + 1


@pytest.fixture
def clock():
    return ManualClock(FIRST)


class TestMemoryRecordSink(ActionSinkContract):
    knows_creations = False
    keeps_versions = False

    @pytest.fixture
    def store(self):
        return MemoryRecordSink()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store

    @pytest.fixture
    def stored(self, store):
        return lambda: [
            evolve(record_as_action(_shown(record)), associations=record.associations)
            for record in store.records
        ]


def _shown(record: Any) -> dict[str, Any]:
    """A record of the memory sink by the names that the other back ends have."""
    shown = asdict(record, recurse=False)
    account = shown.pop("account")
    return {
        **shown,
        "domain_id": account.domain_id,
        "account_id": account.account_id,
        "associations": {},
    }


class TestSqliteRecordSink(ActionSinkContract):
    knows_creations = False
    keeps_versions = False

    @pytest.fixture
    def store(self, file):
        return SqliteRecordSink(file)

    @pytest.fixture
    def reopen(self, open_file):
        return lambda: SqliteRecordSink(open_file())

    @pytest.fixture
    def stored(self, file):
        return lambda: sqlite_records(file)

    @pytest.fixture
    def as_kept(self):
        return as_json

    @pytest.fixture
    def away(self, closed_file):
        return SqliteRecordSink(closed_file)


class TestMongoRecordSink(ActionSinkContract):
    knows_creations = False
    keeps_versions = False

    @pytest.fixture
    def store(self, mongodb):
        return MongoRecordSink(mongodb)

    @pytest.fixture
    def reopen(self, reopened):
        return lambda: MongoRecordSink(reopened)

    @pytest.fixture
    def stored(self, raw):
        return lambda: mongodb_records(raw)

    @pytest.fixture
    def as_kept(self):
        return kept_by_mongodb

    @pytest.fixture
    def away(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        uri = f"mongodb://127.0.0.1:{port}/crm?serverSelectionTimeoutMS=20"
        with MongoDatabase(uri) as database:
            yield MongoRecordSink(database)


class TestMongoRecordSinkWithoutTransactions(TestMongoRecordSink):
    @pytest.fixture(autouse=True)
    def _no_transactions(self, monkeypatch):
        """A server that is no replica set."""
        monkeypatch.setattr(_upserts, "_change_together", lambda *_: False)


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
def mirror(request, clock):
    """Each back end: its sink, and what it keeps, by the names of the documentation."""
    if request.param == "memory":
        sink = MemoryRecordSink(clock=clock)
        return sink, lambda: [_shown(record) for record in sink.records]
    if request.param == "sqlite":
        database = request.getfixturevalue("file")
        return SqliteRecordSink(database, clock=clock), lambda: sqlite_rows(
            database, "SELECT * FROM records"
        )
    raw = request.getfixturevalue("raw")
    options = raw.codec_options.with_options(tz_aware=True)
    records = raw.get_collection("records", codec_options=options)
    sink = MongoRecordSink(request.getfixturevalue("mongodb"), clock=clock)
    return sink, lambda: list(records.find())


def instant(value: Any) -> Any:
    """An instant in the form that all back ends' are compared in."""
    return value if value is None or isinstance(value, str) else as_json(value)


class TestDates:
    def test_the_create_date_stays_when_a_record_changes(self, mirror, clock):
        """It comes with the creation; first and last time of storing are the sink's own."""
        sink, kept = mirror
        sink.write([creation(occurred_at=MOMENT - SECOND)])
        clock.advance(SECOND)
        sink.write([action(version=NEWER)])

        (record,) = kept()

        assert {
            "created_at": "2026-03-02T10:35:00.123Z",
            "modified_at": "2026-03-02T10:35:01.124Z",
            "first_stored_at": "2026-03-02T10:35:02.123Z",
            "last_stored_at": "2026-03-02T10:35:03.123Z",
        } == {
            name: instant(value) for name, value in record.items() if name.endswith("_at") and value
        }

    def test_a_record_whose_creation_was_never_told(self, mirror):
        """There is no create date, until a newer version brings one."""
        sink, kept = mirror
        sink.write([action()])
        before = kept()[0]["created_at"]
        sink.write([creation(version=NEWER)])

        assert before is None
        assert as_json(MOMENT) == instant(kept()[0]["created_at"])

    def test_a_repeat_leaves_the_times_of_storing(self, mirror, clock):
        """What is not stored again does not look as if it had been."""
        sink, kept = mirror
        sink.write([action()])
        before = kept()
        clock.advance(SECOND)

        sink.write([action(), action(version=VERSION - 1)])

        assert before == kept()

    def test_a_modified_date_out_of_range_is_refused(self, mirror):
        """It is refused with a reason, and the others are stored."""
        sink, kept = mirror
        far = action("2", version=10**15)

        answer = sink.write([action("1"), far, action("3")])

        assert {far.action_id} == set(answer.refused)
        assert "out of range" in answer.refused[far.action_id]
        assert {"1", "3"} == {record["object_id"] for record in kept()}


class TestDocumented:
    def test_a_row_as_documented(self, file, clock):
        """The columns that hosts read have the documented names and formats."""
        SqliteRecordSink(file, clock=clock).write([rich_action()])

        (row,) = sqlite_rows(file, "SELECT * FROM records")

        assert rich_action().properties == json.loads(row.pop("properties"))
        assert ["companies", "deals"] == list(json.loads(row.pop("associations")))
        assert row == {
            "domain_id": "acme",
            "account_id": "62515",
            "object_type": "contacts",
            "object_id": "9007199254740995",
            "version": VERSION,
            "variant": 0,
            "created_at": "2026-03-02T10:35:01.123Z",
            "modified_at": "2026-03-02T10:35:01.123Z",
            "gone": None,
            "gone_at": None,
            "merged_into": None,
            "first_stored_at": "2026-03-02T10:35:02.123Z",
            "last_stored_at": "2026-03-02T10:35:02.123Z",
        }

    def test_a_document_as_documented(self, mongodb, raw, clock):
        """The fields that hosts read have the documented names and types."""
        MongoRecordSink(mongodb, clock=clock).write([rich_action()])

        document = raw["records"].find_one({}, {"properties": False})

        assert ["companies", "deals"] == list(document.pop("associations"))
        assert isinstance(document["version"], Int64)
        assert document == {
            "_id": "acme:62515:contacts:9007199254740995",
            "domain_id": "acme",
            "account_id": "62515",
            "object_type": "contacts",
            "object_id": "9007199254740995",
            "version": VERSION,
            "variant": 0,
            "created_at": MOMENT.replace(tzinfo=None),
            "modified_at": MOMENT.replace(tzinfo=None),
            "first_stored_at": FIRST.replace(tzinfo=None),
            "last_stored_at": FIRST.replace(tzinfo=None),
        }

    def test_what_memory_shows_is_a_copy(self):
        """Changing what was read changes nothing."""
        sink = MemoryRecordSink()
        sink.write([action(properties={"email": "a"})])

        sink.records[0].properties["email"] = "b"  # type: ignore[index]

        assert {"email": "a"} == sink.records[0].properties
        assert ACCOUNT == sink.records[0].account


class TestMongoDB:
    @pytest.mark.parametrize("together", [True, False])
    def test_records_from_before_there_were_variants(self, mongodb, raw, monkeypatch, together):
        """They have none, and later forms replace them, in a transaction or without."""
        if not together:
            monkeypatch.setattr(_upserts, "_change_together", lambda *_: False)
        sink = MongoRecordSink(mongodb)
        sink.write([action()])
        raw["records"].update_many({}, {"$unset": {"variant": True}})

        assert {action().action_id} == sink.write([action()]).repeated
        assert not sink.write([action(variant=NEWER)]).repeated

        assert [NEWER] == [record["variant"] for record in raw["records"].find()]

    def test_the_records_of_a_tenant_are_found_by_an_index(self, mongodb, raw):
        """No other tenant's document is looked at; who has no mirror has no collection."""
        mongodb.prepare()
        assert "records" not in raw.list_collection_names()
        others = [action(str(n), account=OTHER_DOMAIN) for n in range(50)]
        MongoRecordSink(mongodb).write([action("1"), action("2"), *others])

        found = raw["records"].find({"domain_id": "acme"})

        assert {"1", "2"} == {record["object_id"] for record in found.clone()}
        assert 2 == found.explain()["executionStats"]["totalDocsExamined"]

    def test_fields_of_the_host_stay(self, mongodb, raw):
        """A score that the host wrote beside the record is there after the next change."""
        sink = MongoRecordSink(mongodb)
        sink.write([action()])
        raw["records"].update_one({}, {"$set": {"score": 7}})

        sink.write([action(version=NEWER)])

        found = raw["records"].find_one()
        assert (NEWER, 7) == (found["version"], found["score"])

    @pytest.mark.parametrize("held", [True, False])
    def test_what_a_validator_of_the_host_refuses(self, mongodb, raw, held):
        """It is refused, new or changed, and the rest of the batch is stored."""
        sink = MongoRecordSink(mongodb)
        if held:
            sink.write([action(str(n), version=VERSION - 1, properties={}) for n in range(1, 4)])
        raw.command("create" if not held else "collMod", "records", validator=RULE)

        answer = sink.write([action("1"), action("2"), action("3")])

        assert {action("2").action_id} == set(answer.refused)
        stored = {kept.object_id for kept in mongodb_records(raw) if kept.version == VERSION}
        assert {"1", "3"} == stored
        assert not answer.repeated

    @pytest.mark.parametrize("held", [True, False])
    def test_a_unique_index_of_the_host(self, mongodb, raw, held):
        """A record that it does not take is refused; it is not tried for ever."""
        sink = MongoRecordSink(mongodb)
        sink.write([action("9", properties={"email": "2@example.com"})])
        if held:
            sink.write([action("2", version=VERSION - 1, properties={"email": "x"})])
        raw["records"].create_index("properties.email", unique=True)

        answer = sink.write([action("1"), action("2")])

        assert {action("2").action_id: "a unique index of the collection does not take it"} == (
            answer.refused
        )

    def test_a_record_that_the_host_deletes_meanwhile(self, mongodb, raw, monkeypatch):
        """It is made again, whole."""
        sink = MongoRecordSink(mongodb)
        sink.write([creation()])
        together = _upserts._change_together

        def delete_first(*arguments):
            raw["records"].delete_many({})
            return together(*arguments)

        monkeypatch.setattr(_upserts, "_change_together", delete_first)

        assert SinkAnswer() == sink.write([action(version=NEWER)])

        (record,) = raw["records"].find()
        assert ("acme", NEWER, None) == (
            record["domain_id"],
            record["version"],
            record["created_at"],
        )
        assert "first_stored_at" in record

    @pytest.mark.parametrize("version", [NEWER, NEWER + 1, NEWER - 1])
    def test_a_writer_that_comes_in_between(self, mongodb, reopened, raw, monkeypatch, version):
        """After the versions were looked at, another worker stores one: the newest stays."""
        sink = MongoRecordSink(mongodb)
        sink.write([action(version=VERSION - 1)])
        update = _upserts.UpdateOne
        others = [action(version=version)]

        def interrupted(*arguments, **options):
            # Within the transaction, after its reading.
            if others:
                other = others.pop()
                monkeypatch.setattr(_upserts, "UpdateOne", update)
                MongoRecordSink(reopened).write([other])
                monkeypatch.setattr(_upserts, "UpdateOne", interrupted)
            return update(*arguments, **options)

        monkeypatch.setattr(_upserts, "UpdateOne", interrupted)

        answer = sink.write([action(version=NEWER)])

        newest = max(version, NEWER)
        assert [newest] == [kept.version for kept in mongodb_records(raw)]
        assert (version >= NEWER) is bool(answer.repeated)

    def test_a_commit_without_an_answer_is_not_taken_for_stored(self, mongodb, raw):
        """When it is not known whether the transaction was committed, the batch is repeated."""
        sink = MongoRecordSink(mongodb)
        sink.write([action()])
        unknown = {"code": 64, "errmsg": "waiting for replication timed out"}

        with (
            failing(raw, "commitTransaction", times=1, writeConcernError=unknown),
            pytest.raises(StoreUnavailableError),
        ):
            sink.write([action(version=NEWER)])

        assert {action(version=NEWER).action_id} == sink.write([action(version=NEWER)]).repeated

    @pytest.mark.parametrize("command", ["insert", "update"])
    def test_a_write_that_is_not_confirmed(self, mongodb, raw, command, monkeypatch):
        """What most members did not confirm is not taken for stored."""
        sink = MongoRecordSink(mongodb)
        monkeypatch.setattr(_upserts, "_change_together", lambda *_: False)
        if command == "update":
            sink.write([action(version=VERSION - 1)])
        unconfirmed = {"code": 64, "errmsg": "waiting for replication timed out"}

        with (
            failing(raw, command, times=1, writeConcernError=unconfirmed),
            pytest.raises(StoreUnavailableError),
        ):
            sink.write([action()])

        assert {action().action_id} == sink.write([action()]).repeated

    # The driver tries a transaction once, and each call outside one twice.
    @pytest.mark.parametrize(("code", "times"), [(189, 3), (14_031, 2)])
    def test_a_server_that_gives_up_in_the_middle(self, mongodb, raw, code, times):
        """A primary that steps down, or a full disk, leaves the batch to be repeated."""
        sink = MongoRecordSink(mongodb)
        sink.write([action()])

        with (
            failing(raw, "update", times=times, errorCode=code),
            pytest.raises(StoreUnavailableError),
        ):
            sink.write([action(version=NEWER)])

        assert SinkAnswer() == sink.write([action(version=NEWER)])

    def test_a_problem_of_one_document_that_passes(self):
        """It fails the batch, so that it is repeated."""
        details = {"writeErrors": [{"index": 0, "code": 112}], "writeConcernErrors": []}

        with pytest.raises(errors.BulkWriteError):
            _upserts._contested(errors.BulkWriteError(details), [_upserts.Wanted("1", {})], None)

    def test_what_the_driver_refuses_for_no_reason_of_ours(self):
        """An error of which no document is the cause is not tried for ever."""

        def fail():
            raise OverflowError

        with pytest.raises(OverflowError):
            _upserts._attempt([_upserts.Wanted("1", {"_id": "1"})], fail, _upserts.Outcome())


RULE = {"properties.email": {"$ne": "2@example.com"}}


class failing:  # noqa: N801 - used like a function
    """Makes the server's next calls of a command fail, as the parameters of its fail point say."""

    def __init__(self, raw: Any, command: str, *, times: int, **how: Any) -> None:
        self._admin = raw.client.admin
        self._how = {"mode": {"times": times}, "data": {"failCommands": [command], **how}}

    def __enter__(self) -> None:
        try:
            self._admin.command("configureFailPoint", "failCommand", **self._how)
        except errors.OperationFailure:
            pytest.skip("this server does not have test commands enabled")

    def __exit__(self, *_: object) -> None:
        self._admin.command("configureFailPoint", "failCommand", mode="off")
