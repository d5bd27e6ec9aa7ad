"""How fast the sinks are, as ratios to bare writes of the same documents in the same run.

    python benchmarks/sinks.py [--rounds 30] [--actions 1000] [--properties 20] [--indexes]

Bare means the driver's own call, with the documents that the sink would make: `insert_many` for the
action sinks, `bulk_write` of upserts for the record sinks, `executemany` in one transaction for
SQLite. The sink's time includes making the documents from actions; bare calls get them ready-made.
Ratios are bare time by the sink's: 1 is as fast, above 1 is faster. They are of the medians and of
the fastest rounds, which a busy machine disturbs less. MongoDB is one replica set member on this
machine; writes are majority, journalled.
"""

from __future__ import annotations

import argparse
import itertools
import sqlite3
import statistics
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from pymongo import ReplaceOne, UpdateOne
from pymongo.write_concern import WriteConcern

from hubspot_sync.models import (
    AccountKey,
    Action,
    ActionKind,
    Association,
    AssociationType,
    to_milliseconds,
)
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.stores.mongodb import MongoActionSink, MongoDatabase, MongoRecordSink, _records
from hubspot_sync.stores.mongodb import _actions as mongodb_actions
from hubspot_sync.stores.sqlite import (
    SqliteActionSink,
    SqliteDatabase,
    SqliteRecordSink,
)
from hubspot_sync.stores.sqlite import _actions as sqlite_actions
from hubspot_sync.stores.sqlite import _records as sqlite_records
from kit.mongod import Mongod

ACCOUNT = AccountKey("acme", "62515")
START = datetime(2026, 3, 2, tzinfo=timezone.utc)
DURABLE = WriteConcern(w="majority", j=True)
COMPANY = Association("5", True, (AssociationType("HUBSPOT_DEFINED", 1, "Primary"),))
EMAIL = ("domain_id", "properties.email")
CHANGES = ("domain_id", "modified_at")
HISTORY = ("domain_id", "account_id", "object_type", "object_id", "version")


def batch(first, count, properties, change=0):
    """Actions on *count* objects from number *first* on, in their version *change*."""
    modified_at = START + timedelta(seconds=change)
    return [
        Action(
            account=ACCOUNT,
            object_type="contacts",
            object_id=str(number),
            kind=ActionKind.UPDATED if change else ActionKind.CREATED,
            version=to_milliseconds(modified_at),
            occurred_at=modified_at,
            properties={
                "email": f"{number}@example.com",
                **{f"name_{n}": f"value {n} of {number}.{change}" for n in range(1, properties)},
            },
            associations={"companies": (COMPANY,)},
        )
        for number in range(first, first + count)
    ]


class MongoSide:
    """What is measured in MongoDB: name, then what to do with the actions of a round."""

    def __init__(self, server):
        self.bare = server.client.get_database("bare", write_concern=DURABLE)
        # As in the database of the sink.
        self.bare["actions"].create_index(
            ["domain_id", "account_id", "object_type", "object_id"],
            unique=True,
            partialFilterExpression={"kind": "Created"},
        )
        database = MongoDatabase(server.client, name="ours")
        pair = MongoDatabase(server.client, name="pair")
        self.action_sink = MongoActionSink(database)
        self.record_sink = MongoRecordSink(database)
        self.fan_out = FanOutSink([MongoActionSink(pair), MongoRecordSink(pair)])
        for one in (database, pair):
            one.prepare()

    def actions(self):
        """The ways to store actions; the first is the bare one."""

        def documents(batch):
            texts = [(action.name, action.kind.value) for action in batch]
            return list(map(mongodb_actions._document, batch, texts, itertools.repeat(START)))

        def insert(documents):
            self.bare["actions"].insert_many(documents, ordered=False)

        return {
            "insert_many": (documents, insert),
            "MongoActionSink": (list, self.action_sink.write),
        }

    def records(self):
        """The ways to store records; the first ones are bare."""

        def documents(batch):
            return [_records._document(action, START) for action in batch]

        def replace(documents):
            self.bare["replaced"].bulk_write(
                [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in documents],
                ordered=False,
            )

        def update(documents):
            self.bare["updated"].bulk_write(
                [
                    UpdateOne({"_id": one["_id"]}, {"$set": without_id(one)}, upsert=True)
                    for one in documents
                ],
                ordered=False,
            )

        return {
            "bulk_write of UpdateOne, upsert": (documents, update),
            "bulk_write of ReplaceOne, upsert": (documents, replace),
            "MongoRecordSink": (list, self.record_sink.write),
            "FanOutSink of both": (list, self.fan_out.write),
        }


def without_id(document):
    """The fields that can be set."""
    return {name: value for name, value in document.items() if name != "_id"}


class SqliteSide:
    """What is measured in SQLite."""

    def __init__(self, folder):
        database = SqliteDatabase(folder / "ours.db")
        self.action_sink, self.record_sink = SqliteActionSink(database), SqliteRecordSink(database)
        SqliteDatabase(folder / "bare.db").close()
        self.bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
        self.bare.execute("PRAGMA synchronous = FULL")

    def _execute(self, statement):
        def execute(rows):
            self.bare.execute("BEGIN IMMEDIATE")
            self.bare.executemany(statement, rows)
            self.bare.execute("COMMIT")

        return execute

    def actions(self):
        """The ways to store actions."""
        text = START.isoformat()
        return {
            "executemany": (
                lambda batch: [sqlite_actions._row(action, text) for action in batch],
                self._execute(sqlite_actions._INSERT),
            ),
            "SqliteActionSink": (list, self.action_sink.write),
        }

    def records(self):
        """The ways to store records."""
        text = START.isoformat()
        return {
            "executemany": (
                lambda batch: [sqlite_records._row(action, text) for action in batch],
                self._execute(sqlite_records._UPSERT),
            ),
            "SqliteRecordSink": (list, self.record_sink.write),
        }


def measure(ways, options, phases):
    """Milliseconds of each way in each phase, by round."""
    found = {(name, phase): [] for name in ways for phase in phases}
    for number in range(options.rounds):
        for name, (prepare, write) in ways.items():
            first = number * options.actions
            for change, phase in enumerate(phases):
                actions = batch(first, options.actions, options.properties, change)
                given = prepare(actions)
                started = time.perf_counter()
                write(given)
                found[name, phase].append(1_000 * (time.perf_counter() - started))
    return found


def show(title, ways, options, phases=("new",), bare=1):
    """Measure, and print times and ratios."""
    found = measure(ways, options, phases)
    print(f"{title}: {options.actions} actions of {options.properties} properties, median time")
    names = list(ways)
    for phase in phases:
        for name in names:
            mine = found[name, phase]
            print(f"  {phase:>5}  {name:32} {statistics.median(mine):7.1f} ms", end="")
            for other in names[:bare] if name not in names[:bare] else ():
                theirs = found[other, phase]
                median = statistics.median(theirs) / statistics.median(mine)
                print(f"   {median:.2f} ({min(theirs) / min(mine):.2f}) of {other}", end="")
            print(flush=True)


def show_indexes(server, options):
    """What indexes cost: the same writes with and without; ratios are to the first line."""

    def sink(kind, name, collection=None, keys=()):
        database = MongoDatabase(server.client, name=name)
        database.prepare()
        if keys:
            server.client[name][collection].create_index(list(keys))
        return kind(database)

    actions = {
        "as it is": sink(MongoActionSink, "actions_0"),
        "expire_after": sink(MongoActionSink, "actions_1", "actions", ("stored_at",)),
        "history of an object": sink(MongoActionSink, "actions_2", "actions", HISTORY),
    }
    records = {
        "as it is": sink(MongoRecordSink, "records_0"),
        "without its own index": sink(MongoRecordSink, "records_1"),
        "e-mail": sink(MongoRecordSink, "records_2", "records", EMAIL),
        "changes of a tenant": sink(MongoRecordSink, "records_3", "records", CHANGES),
    }
    records["without its own index"]._has_index = True
    for sinks, phases in ((actions, ("new",)), (records, ("new", "newer"))):
        ways = {name: (list, one.write) for name, one in sinks.items()}
        show("Indexes", ways, options, phases)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--actions", type=int, default=1_000)
    parser.add_argument("--properties", type=int, default=20)
    parser.add_argument("--indexes", action="store_true", help="what recommended indexes cost")
    options = parser.parse_args()
    phases = ("new", "newer")
    with tempfile.TemporaryDirectory() as folder:
        server = Mongod(Path(folder))
        try:
            if options.indexes:
                show_indexes(server, options)
                return
            mongodb = MongoSide(server)
            show("MongoDB, actions", mongodb.actions(), options)
            show("MongoDB, records", mongodb.records(), options, phases, bare=2)
            sqlite = SqliteSide(Path(folder))
            show("SQLite, actions", sqlite.actions(), options)
            show("SQLite, records", sqlite.records(), options, phases)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
