"""Which accounts there are, and which nonces were used, on every back end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hubspot_sync.stores.memory import MemoryAccountStore, MemoryNonceStore
from hubspot_sync.stores.sqlite import SqliteAccountStore, SqliteDatabase, SqliteNonceStore
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.contracts import AccountStoreContract, NonceStoreContract
from hubspot_sync.testing.contracts._samples import MOMENT
from stored import sqlite_rows

HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    return ManualClock(MOMENT)


@pytest.fixture
def open_database(tmp_path):
    opened = []

    def open_one():
        opened.append(SqliteDatabase(tmp_path / "sync.db"))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def file(open_database):
    return open_database()


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
    def reopen(self, open_database):
        return lambda: SqliteAccountStore(open_database())

    @pytest.fixture
    def away(self, open_database):
        database = open_database()
        database.close()
        return SqliteAccountStore(database)


class TestSqliteNonceStore(NonceStoreContract):
    @pytest.fixture
    def store(self, file):
        return SqliteNonceStore(file)

    @pytest.fixture
    def reopen(self, open_database):
        return lambda: SqliteNonceStore(open_database())

    @pytest.fixture
    def away(self, open_database):
        database = open_database()
        database.close()
        return SqliteNonceStore(database)


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
