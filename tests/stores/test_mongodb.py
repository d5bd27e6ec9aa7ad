"""The MongoDB stores keep the contracts against a real server, and map what goes wrong."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import bson
import pytest
from attrs import evolve
from bson.decimal128 import Decimal128, create_decimal128_context
from bson.errors import BSONError
from bson.int64 import Int64
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient, errors

from hubspot_sync._encryption import EncryptionKeys, PlainText
from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotSyncError,
    InvariantError,
    LeaseHeldError,
    LeaseLostError,
    StoreUnavailableError,
)
from hubspot_sync.models import (
    Checkpoint,
    Fingerprint,
    Gone,
    SinkAnswer,
    StoredCredentials,
)
from hubspot_sync.presets import mongodb_engine
from hubspot_sync.stores.mongodb import (
    MongoAccountStore,
    MongoActionSink,
    MongoCheckpointer,
    MongoDatabase,
    MongoErrorQueue,
    MongoNonceStore,
    MongoRecordSink,
    MongoTokenStore,
    _checkpoints,
    properties_from_document,
)
from hubspot_sync.stores.mongodb._actions import _answer
from hubspot_sync.stores.mongodb._errors import translate
from hubspot_sync.stores.mongodb._schema import STEPS
from hubspot_sync.stores.mongodb._values import CODEC_OPTIONS, numbers_apart
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.contracts import (
    ActionSinkContract,
    CheckpointerContract,
    ErrorQueueContract,
    TokenStoreContract,
)
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    STREAM,
    TOKENS,
    VERSION,
    action,
    at_once,
    creation,
    progress,
    rich_action,
)
from kit.stored import kept_by_mongodb, mongodb_actions

KEYS = EncryptionKeys(EncryptionKeys.generate_key())
HOUR = timedelta(hours=1)


@pytest.fixture
def database(mongodb):
    return mongodb


@pytest.fixture
def dead():
    """A database on a port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        uri = f"mongodb://someone:hush@127.0.0.1:{port}/crm?serverSelectionTimeoutMS=20"
        with MongoDatabase(uri) as database:
            yield database


@pytest.fixture
def fail_inserts(raw):
    """Makes the server's next inserts fail, as the parameters of its fail point say."""

    def fail(times: int, **how: Any) -> None:
        data = {"failCommands": ["insert"], **how}
        try:
            raw.client.admin.command(
                "configureFailPoint", "failCommand", mode={"times": times}, data=data
            )
        except errors.OperationFailure:
            pytest.skip("this server does not have test commands enabled")

    yield fail
    with suppress(errors.OperationFailure):
        raw.client.admin.command("configureFailPoint", "failCommand", mode="off")


class TestMongoTokenStore(TokenStoreContract):
    @pytest.fixture
    def store(self, database):
        return MongoTokenStore(database, KEYS)

    @pytest.fixture
    def reopen(self, reopened):
        return lambda: MongoTokenStore(reopened, KEYS)

    @pytest.fixture
    def away(self, closed_mongodb):
        return MongoTokenStore(closed_mongodb, KEYS)


class TestMongoActionSink(ActionSinkContract):
    @pytest.fixture
    def store(self, database):
        return MongoActionSink(database)

    @pytest.fixture
    def reopen(self, reopened):
        return lambda: MongoActionSink(reopened)

    @pytest.fixture
    def stored(self, raw):
        return lambda: mongodb_actions(raw)

    @pytest.fixture
    def as_kept(self):
        return kept_by_mongodb

    @pytest.fixture
    def away(self, dead):
        return MongoActionSink(dead)


class TestMongoErrorQueue(ErrorQueueContract):
    @pytest.fixture
    def store(self, database):
        return MongoErrorQueue(database)

    @pytest.fixture
    def reopen(self, reopened):
        return lambda: MongoErrorQueue(reopened)

    @pytest.fixture
    def away(self, closed_mongodb):
        return MongoErrorQueue(closed_mongodb)


class TestMongoCheckpointer(CheckpointerContract):
    @pytest.fixture
    def store(self, database):
        return MongoCheckpointer(database)

    @pytest.fixture
    def reopen(self, reopened):
        return lambda: MongoCheckpointer(reopened)

    @pytest.fixture
    def away(self, closed_mongodb):
        return MongoCheckpointer(closed_mongodb)


class TestDocuments:
    def test_an_action_is_a_document_as_documented(self, database, raw):
        """The fields that hosts read have the documented names and types."""
        clock = ManualClock(MOMENT + timedelta(seconds=1))
        MongoActionSink(database, clock=clock).write([rich_action()])

        document = raw["actions"].find_one({}, {"properties": False})

        companies = document.pop("associations")
        assert companies["deals"] == []
        assert companies["companies"][0] == {
            "id": "9007199254740993",
            "primary": True,
            "types": [
                {"category": "HUBSPOT_DEFINED", "type_id": 1, "label": None},
                {"category": "USER_DEFINED", "type_id": 36, "label": "Décideur «principal»"},
            ],
        }
        assert isinstance(document["version"], Int64)
        assert document == {
            "_id": f"acme:62515:contacts:9007199254740995:{VERSION}",
            "domain_id": "acme",
            "account_id": "62515",
            "object_type": "contacts",
            "object_id": "9007199254740995",
            "name": "Contact Created",
            "kind": "Created",
            "version": VERSION,
            "sequence": VERSION,
            "occurred_at": MOMENT.replace(tzinfo=None),
            "stored_at": (MOMENT + timedelta(seconds=1)).replace(tzinfo=None),
        }

    def test_fingerprints_and_checkpoints_are_documents_as_documented(self, database, raw):
        """Their keys name the stream, numbers have 64 bits, digests are binary."""
        store = MongoCheckpointer(database)
        known = Fingerprint(object_id="7", version=1, digest=b"\x00\x01")
        merged = evolve(known, object_id="12", gone=Gone.MERGED, merged_into="7", edges=b"e")
        lease = store.acquire(STREAM, "a", HOUR)
        store.commit(lease, progress(), [known, merged])

        fingerprint, tombstone = raw["fingerprints"].find().sort("_id")
        checkpoint = raw["checkpoints"].find_one()

        assert fingerprint == {
            "_id": "acme:62515:contacts:01:7",
            "version": 1,
            "digest": b"\x00\x01",
            "variant": 0,
        }
        assert tombstone == {
            **fingerprint,
            "_id": "acme:62515:contacts:02:12",
            "edges": b"e",
            "gone": "merged",
            "merged_into": "7",
        }
        assert isinstance(fingerprint["version"], Int64)
        assert checkpoint["_id"] == "acme:62515:contacts"
        assert (checkpoint["fence"], checkpoint["owner"]) == (1, "a")
        assert isinstance(checkpoint["fence"], Int64)
        assert checkpoint["checkpoint"]["high_water_mark"] == "2026-03-02T10:35:01.123Z"

    def test_a_lease_that_was_granted_in_the_servers_future_has_ended(self, database, raw):
        """Its clock was wrong, so nobody knows how long the lease is; renewing makes it right."""
        store = MongoCheckpointer(database)
        stale = store.acquire(STREAM, "a", HOUR)
        ahead = datetime(2999, 1, 1, tzinfo=timezone.utc)
        in_the_future = {"$set": {"leased_at": ahead, "expires_at": ahead + HOUR}}

        raw["checkpoints"].update_one({}, in_the_future)
        store.renew(stale, HOUR)
        with pytest.raises(LeaseHeldError):
            store.acquire(STREAM, "b", HOUR)
        raw["checkpoints"].update_one({}, in_the_future)

        assert store.acquire(STREAM, "b", HOUR).fence == stale.fence + 1
        with pytest.raises(LeaseLostError):
            store.renew(stale, HOUR)

    def test_what_a_validator_of_the_host_refuses(self, database, raw):
        """A document that the collection's validator refuses is refused, the others stored."""
        database.prepare()
        rule = {"properties.email": {"$ne": "2@example.com"}}
        raw.command("collMod", "actions", validator=rule)

        answer = MongoActionSink(database).write([action("1"), action("2"), action("3")])

        assert {action("2").action_id} == set(answer.refused)
        assert {"1", "3"} == {kept.object_id for kept in mongodb_actions(raw)}

    def test_several_strange_actions_in_one_batch(self, database, raw):
        """Each is refused for its own reason."""
        strange = [
            action("1", properties={"a": "\ud800"}),
            action("2", properties={"a": "x" * 17_000_000}),
            action("3", version=2**63),
        ]

        answer = MongoActionSink(database).write([*strange, creation("4")])

        reasons = [answer.refused[one.action_id] for one in strange]
        assert [
            next(word for word in ("text", "16 MiB", "64 bits") if word in reason)
            for reason in reasons
        ] == ["text", "16 MiB", "64 bits"]
        assert [creation("4")] == mongodb_actions(raw)

    def test_a_batch_of_nothing_but_strange_actions(self, database, raw):
        """When all are refused, nothing is left to insert."""
        answer = MongoActionSink(database).write([action("1", properties={"a": "\ud800"})])

        assert {action("1").action_id} == set(answer.refused)
        assert mongodb_actions(raw) == []

    def test_no_secret_is_in_the_database(self, database, raw):
        """Sealed credentials cannot be read; a deleted one leaves no ciphertext."""
        store = MongoTokenStore(database, KEYS)
        store.save(ACCOUNT, TOKENS, expected_revision=None)

        shown = repr(list(raw["credentials"].find()))
        store.delete(ACCOUNT)

        assert "refresh-" not in shown
        assert "access-1" not in shown
        assert raw["credentials"].find_one()["sealed"] is None

    def test_credentials_in_clear_have_to_be_asked_for(self, database):
        """With `PlainText` they are readable; a store with keys then refuses them."""
        MongoTokenStore(database, PlainText()).save(ACCOUNT, TOKENS, expected_revision=None)

        loaded = MongoTokenStore(database, PlainText()).load(ACCOUNT)

        assert StoredCredentials(credentials=TOKENS, revision=1) == loaded
        with pytest.raises(ConfigurationError, match="not encrypted"):
            MongoTokenStore(database, KEYS).load(ACCOUNT)

    def test_a_corrupt_checkpoint_is_an_error(self, database, raw):
        """A checkpoint that cannot be read stops the stream instead of starting it again."""
        store = MongoCheckpointer(database)
        store.commit(store.acquire(STREAM, "a", HOUR), progress())
        raw["checkpoints"].update_one({}, {"$set": {"checkpoint.reading": 7}})

        with pytest.raises(InvariantError, match="cannot be read"):
            store.load(STREAM)

    def test_a_stale_owner_that_passed_the_first_check(self, database, raw, monkeypatch):
        """When the stream is taken over inside a commit, the checkpoint is not written."""
        store = MongoCheckpointer(database)
        lease = store.acquire(STREAM, "a", HOUR)
        learn = _checkpoints.learn

        def learn_late(*arguments):
            learn(*arguments)
            raw["checkpoints"].update_one({}, {"$inc": {"fence": 1}})

        monkeypatch.setattr(_checkpoints, "learn", learn_late)

        with pytest.raises(LeaseLostError):
            store.commit(lease, progress(), [Fingerprint(object_id="1", version=1, digest=b"")])

        assert Checkpoint() == store.load(STREAM)


class TestOpening:
    def test_a_client_of_the_host_stays_open(self, mongodb_uri):
        """Closing the database closes no client that was handed in."""
        client: MongoClient[Any]
        with MongoClient(mongodb_uri) as client:
            with MongoDatabase(client) as database:
                database.prepare()
            assert client.admin.command("ping")["ok"] == 1

    def test_whatever_the_client_of_the_host_prefers(self, mongodb_uri, raw):
        """Naive dates, secondary reads and weak writes of the host's client do not get in."""
        client: MongoClient[Any]
        with MongoClient(mongodb_uri, w=0, readPreference="secondary") as client:
            database = MongoDatabase(client)
            store = MongoCheckpointer(database)
            lease = store.acquire(STREAM, "a", HOUR)
            store.commit(lease, progress(), [Fingerprint(object_id="1", version=1, digest=b"")])

            assert lease.expires_at.tzinfo is not None
            assert progress() == store.load(STREAM)
            with database.collection("actions") as actions:
                assert (actions.write_concern.document) == {
                    "w": "majority",
                    "j": True,
                    "wtimeout": 60_000,
                }

    def test_a_client_of_our_own_is_closed(self, mongodb_uri):
        """After closing, a call says that the database was closed; closing again is silent."""
        database = MongoDatabase(mongodb_uri)
        store = MongoCheckpointer(database)
        store.load(STREAM)
        database.close()
        database.close()

        with pytest.raises(StoreUnavailableError, match="was closed"):
            store.load(STREAM)

    def test_the_database_has_a_default_name(self):
        """A URI without a database means "hubspot_sync"; a name that is given comes first."""
        with MongoDatabase("mongodb://127.0.0.1:1") as database:
            assert database.name == "hubspot_sync"
        with MongoDatabase("mongodb://127.0.0.1:1/crm") as database:
            assert database.name == "crm"
        with MongoDatabase("mongodb://127.0.0.1:1/crm", name="other") as database:
            assert database.name == "other"
            assert repr(database) == "MongoDatabase('other')"

    @pytest.mark.parametrize(
        "uri",
        [
            "",
            "127.0.0.1",
            "http://127.0.0.1",
            "mongodb://",
            "mongodb://host:99999/",
            "mongodb://someone:hush@er@host/",
            "mongodb://someone:17/hush@host/",
            "mongodb://someone:hu%sh@host/",
            "mongodb://host/a b",
        ],
    )
    def test_a_uri_that_is_none(self, uri):
        """It is a configuration error in one line, which shows no part of the password."""
        with pytest.raises(ConfigurationError, match="URI cannot be used") as caught:
            MongoDatabase(uri)

        assert "hush" not in str(caught.value)
        assert caught.value.__context__ is None

    def test_a_name_that_is_none(self):
        """A database name that MongoDB does not take is a configuration error."""
        client: MongoClient[Any]
        with (
            MongoClient("127.0.0.1", 1, connect=False) as client,
            pytest.raises(ConfigurationError, match="name"),
        ):
            MongoDatabase(client, name="a b")

    @pytest.mark.parametrize(
        "name",
        [
            *("", "x" * 64, "ü" * 32, "admin", "Config", "local", 7, b"crm"),
            *(f"a{mark}b" for mark in '/\\. "$*<>:|?\0\ud800'),
        ],
    )
    def test_names_that_mongodb_does_not_take(self, name):
        """They are refused when they are given, in one line."""
        client: MongoClient[Any]
        with (
            MongoClient("127.0.0.1", 1, connect=False) as client,
            pytest.raises(
                ConfigurationError, match=r"the name of a MongoDB|server's own"
            ) as caught,
        ):
            MongoDatabase(client, name=name)

        assert len(str(caught.value).splitlines()) == 1

    @pytest.mark.parametrize("path", ["a.b", "a%2Eb", "admin", "local?appName=x", "x" * 64])
    def test_a_uri_with_such_a_name(self, path):
        """It never means another database; an account's database is `authSource`."""
        with pytest.raises(ConfigurationError):
            MongoDatabase(f"mongodb://someone:hush@host/{path}")

        with MongoDatabase("mongodb://someone:hush@host/?authSource=admin&appName=a.b") as database:
            assert database.name == "hubspot_sync"

    @pytest.mark.parametrize("length", [1, 63])
    def test_names_at_the_limits(self, raw, length):
        """The server takes them."""
        database = MongoDatabase(raw.client, name="t" * length)
        try:
            database.prepare()
        finally:
            raw.client.drop_database(database.name)

    def test_a_name_in_other_capitals(self, mongodb, raw):
        """MongoDB takes no second name that differs in its capitals only; the first is named."""
        mongodb.prepare()

        with pytest.raises(ConfigurationError) as caught:
            MongoDatabase(raw.client, name=raw.name.upper()).prepare()

        assert f"differs only in its capitals from one that is there, {raw.name}" in str(
            caught.value
        )

    def test_what_is_no_client(self, raw):
        """What is asynchronous, a part of a client, a class or of another kind is refused."""
        with suppress(ImportError):
            from pymongo import AsyncMongoClient

            client = AsyncMongoClient("mongodb://127.0.0.1:1", connect=False)
            with pytest.raises(
                ConfigurationError, match=r"asynchronous.*give a MongoClient or a URI"
            ):
                MongoDatabase(client)
        for part in (raw, raw["actions"]):
            with pytest.raises(ConfigurationError, match="a part of a client; give the client"):
                mongodb_engine(part)
        with pytest.raises(ConfigurationError, match="a class; give an object"):
            MongoDatabase(MongoClient)
        for other in (None, 7, b"mongodb://host/x", Path("crm.db"), object(), sqlite3):
            with pytest.raises(
                ConfigurationError, match="give a connection string or a MongoClient"
            ):
                mongodb_engine(other)
        with pytest.raises(ConfigurationError, match="is for embedded_engine"):
            mongodb_engine("crm.db")

    @pytest.mark.parametrize(
        "store",
        [
            *(MongoAccountStore, MongoActionSink, MongoCheckpointer),
            *(MongoErrorQueue, MongoNonceStore, MongoRecordSink),
            lambda database: MongoTokenStore(database, KEYS),
        ],
    )
    def test_stores_take_a_database(self, raw, store):
        """A client, a connection string or a database of the driver's says what to give."""
        for other in (raw, raw.client, "mongodb://127.0.0.1/crm", None):
            with pytest.raises(
                ConfigurationError, match=r"database is an? .+; give a MongoDatabase"
            ):
                store(other)

    def test_a_server_that_is_away(self, dead):
        """The message says where, and not with what password."""
        with pytest.raises(StoreUnavailableError) as caught:
            dead.prepare()

        assert "the MongoDB database crm at 127.0.0.1:" in str(caught.value)
        assert "hush" not in str(caught.value)
        assert isinstance(caught.value.__cause__, errors.ServerSelectionTimeoutError)

    def test_a_wrong_password(self, mongodb_uri):
        """A user that the server does not know is a configuration error."""
        uri = mongodb_uri.replace("mongodb://", "mongodb://someone:hush@")

        with MongoDatabase(uri) as database, pytest.raises(ConfigurationError) as caught:
            database.prepare()

        assert "refuses access (code 18)" in str(caught.value)
        assert "hush" not in str(caught.value)

    def test_a_newer_version(self, database, raw):
        """A database of a newer version is not touched; the message says what to do."""
        raw["schema"].insert_one({"_id": "hubspot_sync", "version": 7})

        with pytest.raises(ConfigurationError) as caught:
            database.prepare()

        assert "was made by a newer version of hubspot-sync (schema 7" in str(caught.value)
        assert f"this version knows {1 + len(STEPS)}); upgrade hubspot-sync" in str(caught.value)
        assert raw.list_collection_names() == ["schema"]

    def test_a_server_that_is_too_old(self, database, monkeypatch):
        """A server that does not take every field name is a configuration error."""
        monkeypatch.setattr("hubspot_sync.stores.mongodb._schema._OLDEST_WIRE_VERSION", 1_000)

        with pytest.raises(ConfigurationError, match=r"needs MongoDB 5\.0 or later"):
            database.prepare()

    def test_many_workers_prepare_at_once(self, raw):
        """Workers that start at the same moment on a new database all succeed."""
        databases = [MongoDatabase(raw.client, name=raw.name) for _ in range(8)]

        at_once(lambda number: databases[number].prepare())

        assert list(raw["schema"].find()) == [{"_id": "hubspot_sync", "version": 1 + len(STEPS)}]

    def test_an_index_of_somebody_else(self, database, raw):
        """An index of the same name over other fields is not replaced."""
        raw["actions"].create_index("email", name="created")

        with pytest.raises(ConfigurationError, match="a database of its own"):
            database.prepare()

    def test_preparing_again(self, database, raw):
        """The layout is there once, however often it is prepared, by how many workers."""
        database.prepare()
        database.prepare()
        MongoDatabase(raw.client, name=raw.name).prepare()

        assert list(raw["schema"].find()) == [{"_id": "hubspot_sync", "version": 1 + len(STEPS)}]
        assert {"_id_", "created"} == set(raw["actions"].index_information())


def an_error(kind: Any) -> Any:
    """An instance of an error class of the driver."""
    if kind is errors.BulkWriteError:
        return kind({"writeErrors": [], "writeConcernErrors": []})
    if kind.__name__ == "ClientBulkWriteException":
        return kind({}, verbose=False)
    if kind.__name__ == "EncryptedCollectionError":
        return kind(ValueError("some text"), {})
    return kind("some text")


def classes_of(module: Any) -> list[type[Exception]]:
    return [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, (errors.PyMongoError, BSONError))
    ]


EXPECTED = {
    errors.ConnectionFailure: StoreUnavailableError,
    errors.ProtocolError: StoreUnavailableError,
    errors.CursorNotFound: StoreUnavailableError,
    errors.ExecutionTimeout: StoreUnavailableError,
    errors.WriteConcernError: StoreUnavailableError,
    errors.ConfigurationError: ConfigurationError,
    errors.InvalidName: ConfigurationError,
    errors.EncryptionError: ConfigurationError,
    errors.OperationFailure: InvariantError,
    errors.InvalidOperation: InvariantError,
    errors.CollectionInvalid: InvariantError,
    BSONError: InvariantError,
}


class TestErrors:
    @pytest.mark.parametrize("kind", classes_of(errors), ids=lambda kind: kind.__name__)
    def test_every_error_of_the_driver_is_mapped(self, kind):
        """Each class of `pymongo.errors` is, or descends from, one whose meaning was decided."""
        decided = [theirs for theirs in kind.__mro__ if theirs in EXPECTED]

        mapped = translate(an_error(kind), "here")

        assert decided or kind is errors.PyMongoError, f"{kind.__name__} was not thought of"
        assert isinstance(mapped, HubSpotSyncError)
        if decided:
            assert EXPECTED[decided[0]] is type(mapped)

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            (13, ConfigurationError),
            (18, ConfigurationError),
            (11, ConfigurationError),
            (20, ConfigurationError),
            (31, ConfigurationError),
            (59, ConfigurationError),
            (67, ConfigurationError),
            (73, ConfigurationError),
            (85, ConfigurationError),
            (115, ConfigurationError),
            (121, ConfigurationError),
            (238, ConfigurationError),
            (263, ConfigurationError),
            (292, ConfigurationError),
            (301, ConfigurationError),
            (303, ConfigurationError),
            (334, ConfigurationError),
            (8_000, ConfigurationError),
            (11_000, ConfigurationError),
            (13_297, ConfigurationError),
            (17_280, ConfigurationError),
            (40_324, ConfigurationError),
            (1, StoreUnavailableError),
            (8, StoreUnavailableError),
            (24, StoreUnavailableError),
            (26, StoreUnavailableError),
            (48, StoreUnavailableError),
            (50, StoreUnavailableError),
            (112, StoreUnavailableError),
            (251, StoreUnavailableError),
            (262, StoreUnavailableError),
            (388, StoreUnavailableError),
            (11_600, StoreUnavailableError),
            (13_435, StoreUnavailableError),
            (16_500, StoreUnavailableError),
            (10_334, InvariantError),
            (91, StoreUnavailableError),
            (189, StoreUnavailableError),
            (10_107, StoreUnavailableError),
            (14_031, StoreUnavailableError),
            (9, InvariantError),
        ],
    )
    def test_a_refused_call_is_mapped_by_its_code(self, code, expected):
        """Access, failover, a full disk and our own mistakes are told apart."""
        assert type(translate(errors.OperationFailure("text", code), "here")) is expected

        details = {"writeErrors": [{"code": code}], "writeConcernErrors": []}
        assert type(translate(errors.BulkWriteError(details), "here")) is expected

    @pytest.mark.parametrize(
        ("code", "text", "kind", "said"),
        [
            # As the servers say it; the first two as MongoDB 6.0 does.
            (
                13,
                (
                    'not authorized on crm to execute command { createIndexes: "actions", indexes: '
                    '[ { name: "hush" } ], lsid: { id: UUID("1") }, $db: "crm" }'
                ),
                ConfigurationError,
                "refuses access (code 13): its user is not allowed to createIndexes on crm.actions",
            ),
            (
                13,
                'not authorized on crm to execute command { getMore: 7, collection: "hush" }',
                ConfigurationError,
                "is not allowed to getMore on crm;",
            ),
            (
                13,
                "command find requires authentication",
                ConfigurationError,
                "a user and a password",
            ),
            (
                8_000,
                "user is not allowed to do action [insert] on [crm.actions]",
                ConfigurationError,
                "is not allowed to insert on crm.actions;",
            ),
            (
                8_000,
                "bad auth : Authentication failed.",
                ConfigurationError,
                "check user, password",
            ),
            (
                8_000,
                "you are over your space quota, using 514 MB of 512 MB",
                StoreUnavailableError,
                "make room",
            ),
            (8_000, "hush", ConfigurationError, "refused by Atlas"),
            (
                20,
                "Transaction numbers are only allowed on a ...",
                ConfigurationError,
                "replica set",
            ),
            (
                20,
                "This MongoDB deployment does not support retryable writes. Please add ...",
                ConfigurationError,
                "add retryWrites=false to the URI",
            ),
            (
                301,
                "Retryable writes are not supported",
                ConfigurationError,
                "add retryWrites=false to the URI",
            ),
            (301, "Data corruption detected", InvariantError, "restore it from a backup"),
            (303, "Feature not supported: hush", ConfigurationError, "the guide to MongoDB"),
            (
                13_297,
                "db already exists with different case already have: [crm] trying to create [CRM]",
                ConfigurationError,
                "one that is there, crm (code 13297)",
            ),
            (
                11_000,
                (
                    "E11000 duplicate key error collection: crm.accounts index: mine_1 dup key: "
                    '{ mine: "hush" }'
                ),
                ConfigurationError,
                "a unique index mine_1 on crm.accounts",
            ),
            (388, "transaction is too large", StoreUnavailableError, "SyncSettings.batch_size"),
            (9, "hush", InvariantError, "(code 9); please report it"),
        ],
    )
    def test_what_a_server_says(self, code, text, kind, said):
        """One line says what to do, with the names in it and nothing else of the server's text."""
        details = {"writeErrors": [{"code": code, "errmsg": text}], "writeConcernErrors": []}
        for error in (errors.OperationFailure(text, code), errors.BulkWriteError(details)):
            mapped = translate(error, "here")
            assert type(mapped) is kind
            assert said in str(mapped)
            assert "hush" not in str(mapped)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("Error=16500, RetryAfterMs=34, Details='Response status code ...", 0.034),
            ("Error=16500, RetryAfterMs=99999999999, Details=", 60),
            ("Error=16500, Details='Insert error.'", None),
        ],
    )
    def test_a_server_that_throttles(self, text, seconds):
        """It passes, not before the time that it names, if that is a sensible one."""
        both = [{"code": 16_500, "errmsg": text}, {"code": 11_000, "errmsg": "dup"}]
        details = {"writeErrors": both, "writeConcernErrors": []}
        for error in (errors.OperationFailure(text, 16_500), errors.BulkWriteError(details)):
            mapped = translate(error, "here")
            assert isinstance(mapped, StoreUnavailableError)
            wait = mapped.retry_after
            assert seconds == (None if wait is None else wait.total_seconds())

    def test_several_codes_of_a_batch(self):
        """What passes counts before the rest, which comes again when the batch is repeated."""
        problems = [{"code": 13, "errmsg": ""}, {"code": 189, "errmsg": ""}]
        details = {"writeErrors": problems, "writeConcernErrors": []}

        assert isinstance(translate(errors.BulkWriteError(details), "x"), StoreUnavailableError)

    @pytest.mark.parametrize(
        ("error", "kind", "said"),
        [
            (
                errors.ServerSelectionTimeoutError("SSL handshake failed: host:27017: [SSL: hush"),
                StoreUnavailableError,
                "check its certificate",
            ),
            (
                errors.ConfigurationError("The resolution lifetime expired after 20 seconds: hush"),
                StoreUnavailableError,
                "could not be looked up",
            ),
        ],
    )
    def test_a_class_that_means_several_things(self, error, kind, said):
        """The driver's text tells a certificate and a name server from the rest."""
        mapped = translate(error, "here")

        assert type(mapped) is kind
        assert said in str(mapped)
        assert "hush" not in str(mapped)

    def test_an_unconfirmed_bulk_write_is_not_taken_for_stored(self):
        """A batch whose write concern failed has to be repeated."""
        details = {"writeErrors": [], "writeConcernErrors": [{"code": 64}]}

        assert isinstance(translate(errors.BulkWriteError(details), "x"), StoreUnavailableError)

    # The driver itself tries a failover twice, a full disk once.
    @pytest.mark.parametrize(("code", "times"), [(189, 2), (14_031, 1)])
    def test_a_server_that_gives_up_in_the_middle(self, database, fail_inserts, code, times):
        """A primary that steps down, or a full disk, leaves the batch to be repeated."""
        sink = MongoActionSink(database)
        sink.write([action("0")])
        fail_inserts(times=times, errorCode=code)

        with pytest.raises(StoreUnavailableError):
            sink.write([action("1")])

        assert {action("0").action_id} == sink.write([action("0"), action("1")]).repeated

    def test_a_write_that_is_not_confirmed(self, database, fail_inserts):
        """What most members did not confirm is not taken for stored, nor committed."""
        sink, store = MongoActionSink(database), MongoCheckpointer(database)
        lease = store.acquire(STREAM, "a", HOUR)
        unconfirmed = {"code": 64, "errmsg": "waiting for replication timed out"}

        fail_inserts(times=1, writeConcernError=unconfirmed)
        with pytest.raises(StoreUnavailableError):
            sink.write([action("1")])
        fail_inserts(times=1, writeConcernError=unconfirmed)
        with pytest.raises(StoreUnavailableError):
            store.commit(lease, progress(), [Fingerprint(object_id="1", version=1, digest=b"")])

        assert Checkpoint() == store.load(STREAM)

    def test_a_document_that_fails_for_now(self):
        """A single document's error that passes fails the batch, so that it is repeated."""
        details = {"writeErrors": [{"index": 0, "code": 112}], "writeConcernErrors": []}

        with pytest.raises(errors.BulkWriteError):
            _answer(errors.BulkWriteError(details), [{"_id": "1"}], {})

    def test_a_failover_is_waited_for(self, database, raw, mongod):
        """While there is no primary, calls wait for the next one and then go through."""
        if mongod.origin == "environment":
            pytest.skip("the server is not ours to step down")
        sink, store = MongoActionSink(database), MongoCheckpointer(database)
        lease = store.acquire(STREAM, "a", HOUR)
        raw.client.admin.command("replSetStepDown", 1, force=True)

        assert SinkAnswer() == sink.write([creation()])
        store.commit(lease, progress(), [Fingerprint(object_id="1", version=1, digest=b"")])

        assert [creation()] == mongodb_actions(raw)
        assert progress() == store.load(STREAM)


@given(st.decimals(allow_nan=False) | st.decimals(-(10**20), 10**20, places=4))
def test_amounts_are_put_together_as_the_driver_does(number):
    """Ours is several times faster; zeros at the end and the sign of zero stay."""
    try:
        expected = Decimal128(number)
    except ArithmeticError:
        return  # see below
    kept = as_stored(number)
    if isinstance(kept, float):
        assert len(number.as_tuple().digits) > 34
        assert Decimal(kept) == number
        return
    assert kept.to_decimal() == number
    assert kept == expected or number.as_tuple().exponent > 0


LONG = (
    st.integers(-(10**60), 10**60)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.floats(allow_nan=False, allow_infinity=False).map(Decimal)
)


@given(LONG)
def test_a_number_of_any_length_is_a_number(number):
    """Nothing is rounded, and what is kept for comparisons is the nearest that there is."""
    properties, digits = numbers_apart({"it": number})

    document = through_bson({"properties": properties, "exact_numbers": digits})
    kept = document["properties"]["it"]
    assert isinstance(kept, (int, float, Decimal128))
    assert properties_from_document(document) == {"it": number}
    if digits:
        nearest = create_decimal128_context().create_decimal(Decimal(number))
        assert kept.to_decimal() == nearest


class TestLongNumbers:
    """One property holds numbers of all lengths, and they compare as such."""

    VALUES: Final = {
        "1": Decimal("0.40000000000000002220446049250313080847263336181640625"),
        "2": Decimal("0.3"),
        "3": 1,
        "4": Decimal("5.0000000000000000000000000000000000000"),
        "5": Decimal("12345678901234567890.123456789012345678901"),
        "6": 2**63,
        "7": 10**39 + 1,
        "8": -(10**60) - 7,
        "9": Decimal("1E+5"),
        "10": Decimal("-0.3333333333333333333333333333333333333333333333"),
        "11": 2**200,
    }

    @pytest.fixture(params=[MongoActionSink, MongoRecordSink])
    def sink(self, request, database):
        return request.param(database)

    @pytest.fixture
    def found(self, sink, raw):
        """What of the stored actions, or records, a question finds."""
        batch = [action(one, properties={"it": value}) for one, value in self.VALUES.items()]
        assert SinkAnswer() == sink.write(batch)
        collection = raw["records" if isinstance(sink, MongoRecordSink) else "actions"]
        return collection.find

    @pytest.mark.parametrize("bound", [0.4, 0.3, 1, -0.4, 6.0, 2.0**64, -1e50, 1e30])
    def test_questions(self, found, bound):
        """Those at or above a bound are found, whatever their type in BSON."""
        expected = {one for one, value in self.VALUES.items() if value >= bound}
        assert expected == {one["object_id"] for one in found({"properties.it": {"$gte": bound}})}

    def test_order(self, found):
        """They sort as numbers."""
        expected = sorted(self.VALUES, key=self.VALUES.__getitem__)
        assert expected == [one["object_id"] for one in found().sort("properties.it", 1)]

    def test_reading(self, found):
        """They come back as they were; a double is what is exactly one."""
        stored = {one["object_id"]: one for one in found()}
        read = {key: properties_from_document(one)["it"] for key, one in stored.items()}
        assert self.VALUES == read
        assert {"5", "7", "8", "10"} == {one for one in stored if "exact_numbers" in stored[one]}
        doubles = {one for one in stored if isinstance(stored[one]["properties"]["it"], float)}
        assert {"1", "4", "11"} == doubles
        assert stored["1"]["properties"]["it"] == 0.4

    def test_a_record_that_becomes_short(self, database, raw):
        """The digits of an older version do not stay beside a newer one."""
        sink = MongoRecordSink(database)
        for version, value in enumerate([10**39 + 1, 7, 10**40 + 1, Decimal("7.5")], start=1):
            sink.write([action("1", version, properties={"it": value})])
            sink.write([action("2", version, properties={"it": value}), action("3", version)])
            for record in raw["records"].find({"object_id": {"$ne": "3"}}):
                assert properties_from_document(record) == {"it": value}
                assert ("exact_numbers" in record) is (value > 10)

    @pytest.mark.parametrize(
        "document",
        [{}, {"properties": 7}, {"properties": {}, "exact_numbers": {"it": "hush"}}],
    )
    def test_a_document_that_was_edited(self, document):
        """What cannot be read is an error of ours that shows nothing of it."""
        with pytest.raises(InvariantError, match="cannot be read") as caught:
            properties_from_document(document)

        assert caught.value.__context__ is None


def test_numbers_that_are_none_do_not_stop_a_batch():
    """HubSpot sends none; a source of somebody's own may."""
    assert as_stored(Decimal("NaN")) == Decimal128("NaN")
    assert as_stored(Decimal("-Infinity")) == Decimal128("-Infinity")


def as_stored(value):
    """What the collections hold of *value*."""
    return through_bson({"it": value})["it"]


def through_bson(document):
    """*document* as the driver reads it again."""
    return bson.decode(bson.encode(document, codec_options=CODEC_OPTIONS))
