"""Whatever somebody writes into a store by hand, each of its methods says so in words of ours."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId
from pymongo.errors import PyMongoError

from hubspot_sync._encryption import CredentialKeys
from hubspot_sync.errors import HubSpotSyncError, InvariantError, StoreUnavailableError
from hubspot_sync.models import Fingerprint, RejectedAction, RejectedSelection
from hubspot_sync.stores._stored import reading
from hubspot_sync.stores.mongodb import (
    MongoAccountStore,
    MongoCheckpointer,
    MongoDatabase,
    MongoErrorQueue,
    MongoRecordSink,
    MongoTokenStore,
    properties_from_document,
)
from hubspot_sync.stores.sqlite import (
    SqliteAccountStore,
    SqliteCheckpointer,
    SqliteDatabase,
    SqliteErrorQueue,
    SqliteRecordSink,
    SqliteTokenStore,
    properties_from_text,
)
from hubspot_sync.testing.contracts._entries import entry
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    STREAM,
    TOKENS,
    action,
    progress,
)

KEYS = CredentialKeys(CredentialKeys.generate_key())
HOUR = timedelta(hours=1)
LATE = MOMENT + timedelta(days=3650)
ALL = RejectedSelection(account=ACCOUNT)
FAILURE = RejectedAction(
    action=action("1"), reason="no", error="E", first_at=MOMENT, last_at=MOMENT, next_at=MOMENT
)
GONE = object()
ODD: tuple[Any, ...] = (
    *(GONE, None, True, 0, -1, 7, 2**62, 1.5, float("nan"), "", "hush", "{}", "[]", "null", "7"),
    *(b"", b"\x01hush", [], ["hush"], [[]], {}, {"hush": 1}, {"_id": {"x": []}}),
    *(MOMENT, MOMENT.replace(year=9999), Decimal128("NaN"), ObjectId()),
)
# What a message names a document or its owner by.
NAMES = ("domain_id", "account_id", "object_id", "owner")
# What a column takes; SQLite keeps any of it in any column.
ODD_IN_A_ROW = (
    *(None, 0, -1, 7, 2**62, 1.5, float("inf"), "", "hush", "{}", "[]", "null", "7", '{"a": []}'),
    *('"x"', "[[1]]", b"", b"\xff\xfe", "9999-99-99T00:00:00.000Z", "2026-03-02"),
)


def stores(kind: str, database: Any) -> dict[str, Any]:
    """The stores of one back end."""
    if kind == "mongodb":
        return {
            "accounts": MongoAccountStore(database),
            "checkpoints": MongoCheckpointer(database),
            "errors": MongoErrorQueue(database),
            "credentials": MongoTokenStore(database, KEYS),
            "records": MongoRecordSink(database),
        }
    return {
        "accounts": SqliteAccountStore(database),
        "checkpoints": SqliteCheckpointer(database),
        "errors": SqliteErrorQueue(database),
        "credentials": SqliteTokenStore(database, KEYS),
        "records": SqliteRecordSink(database),
    }


def fill(of: dict[str, Any]) -> None:
    """One document of each kind."""
    of["accounts"].save(entry(ACCOUNT))
    lease = of["checkpoints"].acquire(STREAM, "a", HOUR)
    known = Fingerprint(object_id="1", version=1, digest=b"x" * 16)
    of["checkpoints"].commit(lease, progress(), [known])
    of["checkpoints"].release(lease)
    of["errors"].put([FAILURE])
    of["credentials"].save(ACCOUNT, TOKENS, expected_revision=None)
    of["records"].write([action("1")])


def calls(of: dict[str, Any]) -> dict[str, list[Any]]:
    """What reads, and what writes beside what it reads, by collection or table."""
    accounts, checkpoints, errors = of["accounts"], of["checkpoints"], of["errors"]
    credentials = of["credentials"]

    def lead() -> None:
        lease = checkpoints.acquire(STREAM, "b", HOUR, evict="b")
        lease = checkpoints.renew(lease, HOUR)
        new = Fingerprint(object_id="1", version=2, digest=b"y" * 16)
        checkpoints.commit(lease, progress(), [new])
        checkpoints.release(lease)

    def save() -> None:
        kept = credentials.load(ACCOUNT)
        credentials.save(ACCOUNT, TOKENS, expected_revision=kept.revision if kept else None)

    return {
        "accounts": [
            lambda: accounts.load(ACCOUNT),
            lambda: accounts.browse(None, limit=5),
            lambda: accounts.browse("acme", limit=5),
            lambda: accounts.due(LATE, limit=5),
            lambda: accounts.due(LATE, limit=5, domain_id="acme"),
            lambda: accounts.domains(limit=5),
            lambda: accounts.save(accounts.load(ACCOUNT) or entry(ACCOUNT)),
            lambda: accounts.delete(ACCOUNT),
            lambda: accounts.save(entry(ACCOUNT)),
        ],
        "checkpoints": [lambda: checkpoints.load(STREAM), lead, lambda: checkpoints.load(STREAM)],
        "fingerprints": [lambda: checkpoints.recall(STREAM, ["1", "2"]), lead],
        "errors": [
            lambda: errors.due(STREAM, LATE, limit=5),
            lambda: errors.browse(ALL, limit=5),
            lambda: errors.held(STREAM, ["1"]),
            lambda: errors.count(ALL),
            lambda: errors.put([FAILURE]),
            lambda: errors.settle(STREAM, {"1": 1}),
            lambda: errors.drop(ALL),
        ],
        "credentials": [
            lambda: credentials.load(ACCOUNT),
            lambda: credentials.accounts(limit=5),
            save,
            lambda: credentials.delete(ACCOUNT),
            save,
        ],
        "records": [lambda: of["records"].write([action("1"), action("1", 2**42), action("2")])],
    }


def check(made: list[Any], where: str) -> int:
    """Make all calls; anything but a result and an error of ours fails. How many were refused."""
    refused = 0
    for number, call in enumerate(made):
        try:
            call()
        except HubSpotSyncError as ours:
            error = ours
        except Exception as theirs:
            raise AssertionError(f"{where}, call {number}: {theirs!r}") from theirs
        else:
            continue
        refused += 1
        assert not isinstance(error, StoreUnavailableError), f"{where} {number}: {error}"
        assert "hush" not in str(error) or where.startswith(NAMES), f"{where} {number}"
        assert "please report" not in str(error), f"{where} {number}: {error}"
    return refused


MONGODB = {
    "accounts": ("domain_id", "account_id", "status", "next_sync_at", "revision", "entry"),
    "checkpoints": ("fence", "owner", "expires_at", "grant", "checkpoint"),
    "fingerprints": ("version", "digest"),
    "errors": (
        *("domain_id", "object_type", "object_id", "version", "reason", "error", "attempts"),
        *("first_at", "last_at", "next_at", "dead", "payload", "parts"),
    ),
    "credentials": ("domain_id", "account_id", "revision", "sealed"),
    "records": ("version", "variant", "properties", "associations"),
}
INSIDE = {
    "accounts": [("entry", name) for name in ("account", "status_since", "scopes", "last_sync")]
    + [("entry", name) for name in ("name", "reason", "failed_runs", "streams")]
    + [("entry", "account", "streams"), ("entry", "account", "sync_every_ms")],
    "checkpoints": [("checkpoint", name) for name in ("high_water_mark", "reading", "index_floor")]
    + [("checkpoint", "reading", name) for name in ("mode", "start", "end", "ranges")],
}


@pytest.mark.parametrize("kind", MONGODB)
def test_a_document_that_was_edited(raw, kind):
    """Each field in each odd form: a result or an error of ours, from each method."""
    database = MongoDatabase(raw.client, name=raw.name)
    of = stores("mongodb", database)
    fill(of)
    documents = {name: list(raw[name].find()) for name in MONGODB}
    paths = [(name,) for name in MONGODB[kind]] + INSIDE.get(kind, [])
    refused = 0
    for path in paths:
        for odd in ODD:
            for name in {kind, "checkpoints"}:
                raw[name].delete_many({})
                raw[name].insert_many(documents[name])
            field = ".".join(path)
            change = {"$unset": {field: True}} if odd is GONE else {"$set": {field: odd}}
            with suppress(PyMongoError):  # the server itself may not take it
                raw[kind].update_one({}, change)
            refused += check(calls(of)[kind], f"{field} is {odd!r}")
    assert refused


SQLITE = {
    "accounts": ("revision", "status", "next_sync_at", "entry"),
    "checkpoints": ("fence", "owner", "expires_at", "checkpoint"),
    "fingerprints": ("version", "digest"),
    "errors": (
        *("object_id", "version", "reason", "error", "attempts", "first_at", "last_at"),
        *("next_at", "dead", "payload"),
    ),
    "credentials": ("domain_id", "account_id", "revision", "sealed"),
    "records": ("version", "variant", "properties", "associations"),
}


@pytest.mark.parametrize("kind", SQLITE)
def test_a_row_that_was_edited(tmp_path, kind):
    """Each column in each odd form: a result or an error of ours, from each method."""
    with SqliteDatabase(tmp_path / "crm.db") as database:
        of = stores("sqlite", database)
        fill(of)
        refused = 0
        for column in SQLITE[kind]:
            for odd in ODD_IN_A_ROW:
                with database.writing() as connection:
                    for table in {kind, "checkpoints"}:
                        connection.execute(
                            f"CREATE TEMP TABLE IF NOT EXISTS kept_{table} AS SELECT * FROM {table}"
                        )
                        connection.execute(f"DELETE FROM {table}")
                        connection.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
                    with suppress(sqlite3.IntegrityError):
                        connection.execute(f"UPDATE {kind} SET {column} = ?", (odd,))
                refused += check(calls(of)[kind], f"{column} is {odd!r}")
        assert refused or kind == "records"


def test_a_record_whose_version_was_edited(tmp_path):
    """In SQLite any text is above any number, and would keep the record as it is for ever."""
    with SqliteDatabase(tmp_path / "crm.db") as database:
        sink = SqliteRecordSink(database)
        sink.write([action("1")])
        with database.writing() as connection:
            connection.execute("UPDATE records SET version = 'x'")

        assert not sink.write([action("1", 7)]).repeated
        with database.reading() as connection:
            assert connection.execute("SELECT version FROM records").fetchone() == (7,)


def test_text_that_is_none(tmp_path):
    """SQLite's own words would show it."""
    with SqliteDatabase(tmp_path / "crm.db") as database:
        store = SqliteAccountStore(database)
        store.save(entry(ACCOUNT))
        with database.writing() as connection:
            connection.execute("UPDATE accounts SET entry = CAST(x'ff68757368' AS TEXT)")

        with pytest.raises(InvariantError, match="restore it from a backup") as caught:
            store.load(ACCOUNT)
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "corrupt", "read", "named"),
    [
        (
            "accounts",
            {"entry": 7},
            lambda of: of["accounts"].load(ACCOUNT),
            "acme/62515 in the collection accounts",
        ),
        (
            "credentials",
            {"revision": "x"},
            lambda of: of["credentials"].load(ACCOUNT),
            "acme/62515 in the collection credentials",
        ),
        (
            "fingerprints",
            {"digest": 7},
            lambda of: of["checkpoints"].recall(STREAM, ["1"]),
            "acme:62515:contacts:01:1 in the collection fingerprints",
        ),
        (
            "checkpoints",
            {"checkpoint": []},
            lambda of: of["checkpoints"].load(STREAM),
            "acme:62515:contacts in the collection checkpoints",
        ),
        (
            "errors",
            {"payload": "{}"},
            lambda of: of["errors"].browse(ALL, limit=1),
            "acme:62515:contacts:1 in the collection errors",
        ),
        (
            "records",
            {"version": "x"},
            lambda of: of["records"].write([action("1")]),
            "acme:62515:contacts:1 in the collection records",
        ),
    ],
)
def test_the_document_is_named(raw, kind, corrupt, read, named):
    """The message says which one it is, and what to do with it."""
    of = stores("mongodb", MongoDatabase(raw.client, name=raw.name))
    fill(of)
    raw[kind].update_one({}, {"$set": corrupt})

    with pytest.raises(InvariantError) as caught:
        read(of)

    assert f"the document {named}" in str(caught.value)
    assert "restore" in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_account_with_another_id_ends_the_search(raw):
    """A document whose fields and id differ stays due; nobody looks for it for ever."""
    of = stores("mongodb", MongoDatabase(raw.client, name=raw.name))
    fill(of)
    raw["accounts"].update_one({}, {"$set": {"account_id": "7"}})

    with pytest.raises(InvariantError, match="the document of acme/7 in the collection accounts"):
        of["accounts"].due(LATE, limit=5)


@pytest.mark.parametrize(
    "error", [KeyError("hush"), ZeroDivisionError(), IndexError(), TypeError()]
)
def test_reading(error):
    """Whatever an odd shape raises; what is about the store itself passes."""
    with (
        pytest.raises(InvariantError, match="it is not as it was written") as caught,
        reading("it"),
    ):
        raise error
    assert caught.value.__suppress_context__
    with pytest.raises(StoreUnavailableError), reading("it"):
        raise StoreUnavailableError("away")


def test_properties_of_what_was_edited():
    """Also what hosts read by the library's own readers."""
    for odd in ODD:
        for document in ({"properties": odd}, {"properties": {"a": 1}, "exact_numbers": odd}, odd):
            with suppress(InvariantError):
                properties_from_document(document)
    for odd_text in ODD_IN_A_ROW:
        with suppress(InvariantError):
            properties_from_text(odd_text)
