"""Which accounts there are, and which nonces were used, on every back end."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from attrs import evolve
from bson.int64 import Int64

from hubspot_sync.errors import InvariantError
from hubspot_sync.models import AccountKey, AccountStatus
from hubspot_sync.stores.memory import MemoryAccountStore, MemoryNonceStore
from hubspot_sync.stores.mongodb import MongoAccountStore, MongoDatabase, MongoNonceStore
from hubspot_sync.stores.sqlite import SqliteAccountStore, SqliteNonceStore
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.contracts import AccountStoreContract, NonceStoreContract
from hubspot_sync.testing.contracts._entries import ENTRIES, entry, keep, names
from hubspot_sync.testing.contracts._samples import ACCOUNT, MOMENT, NEIGHBOUR
from kit.stored import sqlite_rows

HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    return ManualClock(MOMENT)


class TestMemoryAccountStore(AccountStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryAccountStore()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store


class TestMemoryNonceStore(NonceStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryNonceStore()

    @pytest.fixture
    def reopen(self, store):
        return lambda: store


class TestSqliteAccountStore(AccountStoreContract):
    @pytest.fixture
    def store(self, file):
        return SqliteAccountStore(file)

    @pytest.fixture
    def reopen(self, open_file):
        return lambda: SqliteAccountStore(open_file())

    @pytest.fixture
    def away(self, closed_file):
        return SqliteAccountStore(closed_file)


class TestSqliteNonceStore(NonceStoreContract):
    @pytest.fixture
    def store(self, file):
        return SqliteNonceStore(file)

    @pytest.fixture
    def reopen(self, open_file):
        return lambda: SqliteNonceStore(open_file())

    @pytest.fixture
    def away(self, closed_file):
        return SqliteNonceStore(closed_file)


class TestMongoAccountStore(AccountStoreContract):
    @pytest.fixture
    def store(self, mongodb):
        return MongoAccountStore(mongodb)

    @pytest.fixture
    def reopen(self, reopened):
        return lambda: MongoAccountStore(reopened)

    @pytest.fixture
    def away(self, closed_mongodb):
        return MongoAccountStore(closed_mongodb)


class TestMongoNonceStore(NonceStoreContract):
    @pytest.fixture
    def store(self, mongodb):
        return MongoNonceStore(mongodb)

    @pytest.fixture
    def reopen(self, reopened):
        return lambda: MongoNonceStore(reopened)

    @pytest.fixture
    def away(self, closed_mongodb):
        return MongoNonceStore(closed_mongodb)


class TestForgetting:
    def test_memory_forgets_what_is_out_of_date(self, clock):
        """So it does not grow for ever."""
        store = MemoryNonceStore(clock=clock)
        store.spend("abc", MOMENT + HOUR)
        store.spend("later", MOMENT + 10 * HOUR)

        clock.advance(5 * HOUR)
        store.spend("new", MOMENT + 10 * HOUR)

        assert store._spent == {"later", "new"}

    def test_sqlite_forgets_what_is_out_of_date(self, file, clock):
        """An hour after its end."""
        store = SqliteNonceStore(file, clock=clock)
        for hours in (1, 2, 10):
            store.spend(f"{hours} hours", MOMENT + hours * HOUR)

        clock.advance(2 * HOUR)
        store.spend("new", MOMENT + 10 * HOUR)

        assert {"2 hours", "10 hours", "new"} == {
            row["nonce"] for row in sqlite_rows(file, "SELECT nonce FROM nonces")
        }

    def test_mongodb_forgets_what_is_out_of_date(self, mongodb, raw):
        """The server does, by an index, an hour after the end."""
        MongoNonceStore(mongodb).spend("abc", MOMENT)

        index = raw["nonces"].index_information()["expiry"]

        assert index["key"] == [("expires_at", 1)]
        assert index["expireAfterSeconds"] == 3600
        assert raw["nonces"].find_one() == {"_id": "abc", "expires_at": MOMENT.replace(tzinfo=None)}


class TestKept:
    def test_a_row_as_documented(self, file):
        """What is searched has columns, everything else is JSON; a delete leaves the revision."""
        store = SqliteAccountStore(file)
        store.save(ENTRIES["rich"])
        (row,) = sqlite_rows(file, "SELECT * FROM accounts")
        store.delete(ACCOUNT)

        check_entry(json.loads(row.pop("entry")))
        key = {"domain_id": "acme", "account_id": "62515", "revision": 1}
        assert {
            **key,
            "status": "needs_reauthorization",
            "next_sync_at": "2026-03-02T10:35:02.123Z",
        } == row
        assert [{**key, "status": None, "next_sync_at": None, "entry": None}] == sqlite_rows(
            file, "SELECT * FROM accounts"
        )

    def test_a_document_as_documented(self, mongodb, raw):
        """What is searched has fields, everything else is an object; a delete leaves the rest."""
        store = MongoAccountStore(mongodb)
        store.save(ENTRIES["rich"])
        document = raw["accounts"].find_one()
        store.delete(ACCOUNT)

        check_entry(document.pop("entry"))
        key = {"_id": "acme/62515", "domain_id": "acme", "account_id": "62515", "revision": 1}
        assert isinstance(document["revision"], Int64)
        assert {
            **key,
            "status": "needs_reauthorization",
            "next_sync_at": (MOMENT + timedelta(seconds=1)).replace(tzinfo=None),
        } == document
        gone = {**key, "status": None, "next_sync_at": None, "entry": None}
        assert gone == raw["accounts"].find_one()

    def test_a_damaged_account_is_an_error(self, file, mongodb, raw):
        """It names the account, and the others can still be read."""
        stores = SqliteAccountStore(file), MongoAccountStore(mongodb)
        for store in stores:
            keep(store, entry(ACCOUNT), entry(NEIGHBOUR))
        raw["accounts"].update_one({"_id": "acme/62515"}, {"$set": {"entry": {}}})
        with file.writing() as connection:
            connection.execute("UPDATE accounts SET entry = '{' WHERE account_id = '62515'")

        for store in stores:
            for call in (
                lambda store=store: store.load(ACCOUNT),
                lambda store=store: store.browse("acme", limit=10),
            ):
                with pytest.raises(InvariantError, match="cannot be read") as caught:
                    call()
                assert caught.value.account == "acme/62515"
            assert store.load(NEIGHBOUR) is not None

    def test_an_older_mongodb_database_gets_the_indexes(self, mongodb, raw):
        """The next time that it is opened."""
        mongodb.prepare()
        for name in ("accounts", "nonces"):
            raw.drop_collection(name)

        MongoDatabase(raw.client, name=raw.name).prepare()

        assert {"_id_", "walk", "due"} == set(raw["accounts"].index_information())
        assert {"_id_", "expiry"} == set(raw["nonces"].index_information())

    def test_what_others_take_in_between(self, mongodb, monkeypatch):
        """MongoDB looks again when all that was due is gone by the time that it is read."""
        store = MongoAccountStore(mongodb)
        keep(store, *(entry(AccountKey("acme", str(number))) for number in range(4)))
        in_turn, taken = store._in_turn, []

        def overtaken(wanted, limit):
            names = in_turn(wanted, limit)
            if len(taken) < 2:
                taken.extend(names)
                for one in map(store.load, (AccountKey("acme", name[5:]) for name in names)):
                    store.save(evolve(one, status=AccountStatus.PAUSED))
            return names

        monkeypatch.setattr(store, "_in_turn", overtaken)

        assert ["acme/2", "acme/3"] == names(store.due(MOMENT, limit=2))
        assert ["acme/0", "acme/1"] == taken


def check_entry(document):
    """The part that both back ends share, against what the documentation says."""
    assert {
        "account",
        "reason",
        "status_since",
        "name",
        "scopes",
        "last_sync",
        "failed_runs",
        "streams",
    } == set(document)
    assert document["account"]["sync_every_ms"] == 3 * 86_400_000 + 1
    assert document["account"]["streams"][0] == {
        "object_type": "2-3465404",
        "properties": [],
        "associations": [],
        "exclude": [],
        "raw_values": False,
        "ignore_missing": False,
        "unlisted_properties": [],
    }
    assert document["account"]["streams"][2]["properties"] is None
    assert document["status_since"] == "2026-03-02T10:35:01.123Z"
    assert document["last_sync"] == {
        "started_at": "2026-03-02T10:35:00.123Z",
        "finished_at": "2026-03-02T10:35:01.123Z",
        "completed": False,
        "error": "$ref.to: nothing",
        "error_type": None,
    }
    assert document["streams"][1] == {
        "object_type": "2-3465404",
        "status": "busy",
        "mode": None,
        "counts": dict.fromkeys(("delivered", "repeated", "unchanged", "rejected", "skipped"), 0),
        "finished_at": "2026-03-02T10:35:01.123Z",
        "completed_at": None,
        "error": None,
        "error_type": None,
    }
