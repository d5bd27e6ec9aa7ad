"""All stores of one back end, with an action log and a mirror, and what is in them."""

from __future__ import annotations

from typing import Any

from attrs import asdict

from hubspot_sync import CredentialKeys
from hubspot_sync.stores.memory import MemoryRecordSink, MemoryStores
from hubspot_sync.stores.mongodb import MongoDatabase, MongoRecordSink, MongoStores
from hubspot_sync.stores.sqlite import SqliteDatabase, SqliteRecordSink, SqliteStores
from kit.stored import (
    mongodb_actions,
    mongodb_records,
    record_as_action,
    sqlite_actions,
    sqlite_records,
    sqlite_rows,
)

KEYS = CredentialKeys(CredentialKeys.generate_key())
BACK_ENDS = ("memory", "sqlite", "mongodb")


class OnMemory:
    """Stores in memory, of which there are no rows and no files."""

    def __init__(self, clock):
        self.stores = MemoryStores(clock=clock)
        self.mirror = MemoryRecordSink(clock=clock)

    def actions(self):
        """All actions."""
        return list(self.stores.sink.actions)

    def records(self):
        """All records, as actions."""
        return [
            record_as_action(
                {
                    **asdict(one, recurse=False),
                    "domain_id": one.account.domain_id,
                    "account_id": one.account.account_id,
                    "associations": {},
                    "gone": one.gone and one.gone.value,
                }
            )
            for one in self.mirror.records
        ]

    def rows(self, _domain_id):
        """Nothing that could be looked at."""
        return

    def scan(self, _canaries):
        """Nothing is in a file."""
        return set()


class OnSqlite:
    """Stores in a file, of which every byte is scanned, and of what is beside it."""

    def __init__(self, clock, folder):
        self._folder = folder
        self._database = SqliteDatabase(folder / "crm.db")
        self.stores = SqliteStores(self._database, cipher=KEYS, clock=clock)
        self.mirror = SqliteRecordSink(self._database, clock=clock)

    def actions(self):
        """All actions."""
        return sqlite_actions(self._database)

    def records(self):
        """All records, as actions."""
        return sqlite_records(self._database)

    def rows(self, domain_id):
        """All rows of one domain, by table."""
        named = "SELECT name FROM sqlite_master WHERE type = 'table'"
        found = {}
        for (table,) in (row.values() for row in sqlite_rows(self._database, named)):
            rows = sqlite_rows(self._database, f"SELECT * FROM {table}")
            rows = [row for row in rows if row.get("domain_id") == domain_id]
            if rows:
                found[table] = rows
        return found

    def scan(self, canaries):
        """What is in any byte."""
        return canaries.in_folder(self._folder)

    def close(self):
        """Close the file."""
        self._database.close()


class OnMongodb:
    """Stores in a database, of which every document is scanned."""

    def __init__(self, clock, uri, client, raw):
        self._client, self._raw = client, raw
        self.stores = MongoStores(uri, cipher=KEYS, clock=clock)
        self.mirror = MongoRecordSink(MongoDatabase(client, name=raw.name), clock=clock)

    def actions(self):
        """All actions."""
        return mongodb_actions(self._raw)

    def records(self):
        """All records, as actions."""
        return mongodb_records(self._raw)

    def rows(self, domain_id):
        """All documents of one domain, by collection."""
        found = {}
        for name in self._raw.list_collection_names():
            documents = [
                one
                for one in self._raw[name].find()
                if one.get("domain_id", str(one["_id"]).rsplit(":", 4)[0]) == domain_id
            ]
            if documents:
                found[name] = documents
        return found

    def scan(self, canaries):
        """What is in any document."""
        return canaries.in_mongodb(self._client, self._raw.name)

    def scan_log(self, canaries):
        """What is in the server's log of operations."""
        return canaries.in_mongodb(self._client, "local")

    def close(self):
        """Close the connections."""
        self.stores.close()


def back_end(request: Any, clock: Any, folder: Any) -> Any:
    """The back end that *request* names in its parameter."""
    if request.param == "memory":
        return OnMemory(clock)
    if request.param == "sqlite":
        made = OnSqlite(clock, folder)
    else:
        of = request.getfixturevalue
        made = OnMongodb(clock, of("mongodb_uri"), of("mongodb_client"), of("raw"))
    request.addfinalizer(made.close)
    return made
