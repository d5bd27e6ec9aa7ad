"""Tables and collections of an older version are brought to the present one, whatever happens.

Beside the steps that there are, the tests bring one of their own: every action gets a channel.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack

import pytest

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import AccountKey, StreamKey
from hubspot_sync.stores.mongodb import MongoActionSink, MongoCheckpointer, MongoDatabase
from hubspot_sync.stores.mongodb import _schema as mongodb_schema
from hubspot_sync.stores.sqlite import (
    SqliteAccountStore,
    SqliteActionSink,
    SqliteDatabase,
    SqliteNonceStore,
    SqliteRecordSink,
)
from hubspot_sync.stores.sqlite import _schema as sqlite_schema
from hubspot_sync.stores.sqlite._schema import _number_actions
from hubspot_sync.testing.contracts._entries import entry
from hubspot_sync.testing.contracts._samples import MOMENT, STREAM, VERSION, action
from kit.stored import sqlite_actions, sqlite_rows

COUNT = 100
STEPS = sqlite_schema.STEPS
PRESENT = 1 + len(STEPS)

# What a process of its own runs: the step, up to where it is killed, or waits to be let go on.
SQLITE = """
import os, signal, sys
from hubspot_sync.stores.sqlite import SqliteDatabase, _schema

def add_channel(connection):
    connection.execute("ALTER TABLE actions ADD COLUMN channel TEXT")
    if sys.argv[2] == "die":
        connection.execute("UPDATE actions SET channel = 'half' WHERE rowid <= 50")
        os.kill(os.getpid(), signal.SIGKILL)
    connection.execute("UPDATE actions SET channel = coalesce(channel, '') || 'crm'")

_schema.STEPS = (*_schema.STEPS, add_channel)
print("ready", flush=True)
sys.stdin.readline()
SqliteDatabase(sys.argv[1]).close()
"""
MONGODB = """
import os, signal, sys
from hubspot_sync.stores.mongodb import MongoDatabase, _schema

def add_channel(database):
    fresh = database["actions"].find({"channel": {"$exists": False}}, {"_id": True})
    for number, document in enumerate(fresh):
        if sys.argv[2] == "die" and number == 50:
            os.kill(os.getpid(), signal.SIGKILL)
        wanted = {"_id": document["_id"], "channel": {"$exists": False}}
        update = {"$set": {"channel": "crm"}, "$inc": {"changes": 1}}
        database["actions"].update_one(wanted, update)

_schema.STEPS = (add_channel,)
print("ready", flush=True)
sys.stdin.readline()
with MongoDatabase(sys.argv[1]) as database:
    database.prepare()
"""


def run_at_once(script, place, *ends):
    """Run *script* on *place* in as many processes as there are *ends*; gives their statuses."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", script, place, end],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for end in ends
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [process.wait(timeout=300) for process in processes]


def row_of(object_id, **changes):
    """A row of the first layout, for the table of actions or of records."""
    instants = ("occurred_at", "stored_at", "modified_at", "first_stored_at", "last_stored_at")
    return {
        **dict.fromkeys(instants, "2026-03-02T10:35:01.123Z"),
        "id": object_id,
        "domain_id": "acme",
        "account_id": "62515",
        "object_type": "contacts",
        "object_id": object_id,
        "version": VERSION,
        "name": "Contact Updated",
        "kind": "Updated",
        "properties": "{}",
        "associations": "{}",
        **changes,
    }


def insert(database, table, row):
    """Insert of *row* the columns that the table has."""
    known = [one["name"] for one in sqlite_rows(database, f"PRAGMA table_info({table})")]
    names = [name for name in known if name in row]
    with database.writing() as connection:
        connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            [row[name] for name in names],
        )


class TestSqlite:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "sync.db"
        with SqliteDatabase(path) as database:
            SqliteActionSink(database).write([action(str(n)) for n in range(COUNT)])
        return path

    def test_a_file_of_the_first_version(self, tmp_path, monkeypatch):
        """It gets the tables that came later, and loses nothing."""
        path = tmp_path / "old.db"
        monkeypatch.setattr(sqlite_schema, "STEPS", ())
        with SqliteDatabase(path) as database:
            insert(database, "actions", row_of("1"))
            assert [{"version": 1}] == sqlite_rows(database, "SELECT version FROM schema")
        monkeypatch.undo()

        with SqliteDatabase(path) as database:
            saved = SqliteAccountStore(database).save(entry())
        with SqliteDatabase(path) as database:
            assert saved == SqliteAccountStore(database).load(saved.key)
            assert SqliteNonceStore(database).spend("abc", MOMENT)
            assert ["1"] == [one.object_id for one in sqlite_actions(database)]
            assert [{"version": PRESENT}] == sqlite_rows(database, "SELECT version FROM schema")

    def test_a_file_of_an_older_version(self, path, monkeypatch):
        """Steps are taken in order, each once, and the file says so."""
        taken = []
        steps = (lambda _: taken.append(1), lambda _: taken.append(2), lambda _: taken.append(3))
        for number in (1, 3, 3):
            monkeypatch.setattr(sqlite_schema, "STEPS", (*STEPS, *steps[:number]))
            SqliteDatabase(path).close()

        with SqliteDatabase(path) as database:
            assert [1, 2, 3] == taken
            assert [{"version": PRESENT + 3}] == sqlite_rows(database, "SELECT version FROM schema")

    def test_a_new_file_goes_the_same_way(self, tmp_path, monkeypatch):
        """It ends with the layout that an old one has then."""

        def add_channel(connection):
            connection.execute("ALTER TABLE actions ADD COLUMN channel")

        monkeypatch.setattr(sqlite_schema, "STEPS", (*STEPS, add_channel))

        with SqliteDatabase(tmp_path / "new.db") as database:
            names = [row["name"] for row in sqlite_rows(database, "PRAGMA table_info(actions)")]
            assert [{"version": PRESENT + 1}] == sqlite_rows(database, "SELECT version FROM schema")

        assert "channel" in names

    def test_a_crash_in_the_middle(self, path):
        """A migration that is killed leaves the file as it was; the next one does all of it."""
        assert [-9] == run_at_once(SQLITE, path, "die")

        with SqliteDatabase(path) as database:
            assert COUNT == len(sqlite_rows(database, "SELECT * FROM actions"))
            assert [{"version": PRESENT}] == sqlite_rows(database, "SELECT version FROM schema")
        assert [0] == run_at_once(SQLITE, path, "live")
        self.check_migrated(path)

    def test_a_step_that_fails(self, path, monkeypatch):
        """The error gets out, and the file is as it was."""

        def fail(connection):
            connection.execute("DELETE FROM actions")
            raise ZeroDivisionError

        monkeypatch.setattr(sqlite_schema, "STEPS", (*STEPS, fail))
        with pytest.raises(ZeroDivisionError):
            SqliteDatabase(path)
        monkeypatch.undo()

        with SqliteDatabase(path) as database:
            assert COUNT == len(sqlite_rows(database, "SELECT * FROM actions"))

    def test_processes_that_migrate_at_once(self, path):
        """One does it, the others wait for it; all go on."""
        assert [0] * 4 == run_at_once(SQLITE, path, *["live"] * 4)

        self.check_migrated(path)

    def check_migrated(self, path):
        """Every action has its channel, set once; this version refuses the file from then on."""
        with pytest.raises(ConfigurationError, match=rf"newer version .* \(schema {PRESENT + 1}"):
            SqliteDatabase(path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqlite_schema, "STEPS", (*STEPS, None))
            with SqliteDatabase(path) as database:
                rows = sqlite_rows(database, "SELECT channel FROM actions")
        assert [{"channel": "crm"}] * COUNT == rows

    def test_actions_keep_their_numbers_and_what_a_host_has_put_on_them(
        self, tmp_path, monkeypatch
    ):
        """Rows keep what hosts remember of them; indexes, triggers and views go on."""
        path = tmp_path / "old.db"
        monkeypatch.setattr(sqlite_schema, "STEPS", STEPS[: STEPS.index(_number_actions)])
        with SqliteDatabase(path) as database:
            for number in range(5):
                insert(database, "actions", row_of(str(number)))
            with database.writing() as connection:
                connection.execute("DELETE FROM actions WHERE id IN ('1', '4')")
                connection.execute("CREATE INDEX by_name ON actions (domain_id, name)")
                connection.execute("CREATE TABLE seen (id TEXT)")
                connection.execute("CREATE VIEW newest AS SELECT max(rowid) AS number FROM actions")
                connection.execute(
                    "CREATE TRIGGER note AFTER INSERT ON actions"
                    " BEGIN INSERT INTO seen VALUES (new.id); END"
                )
        monkeypatch.undo()

        with SqliteDatabase(path) as database:
            SqliteActionSink(database).write([action("7")])
            rows = sqlite_rows(database, "SELECT rowid AS number, object_id FROM actions")
            kept = sqlite_rows(database, "SELECT name FROM sqlite_master WHERE name = 'by_name'")
            seen = sqlite_rows(database, "SELECT id FROM seen")
            newest = sqlite_rows(database, "SELECT number FROM newest")

        assert [(1, "0"), (3, "2"), (4, "3"), (5, "7")] == [tuple(row.values()) for row in rows]
        assert [{"name": "by_name"}] == kept
        assert [{"id": action("7").action_id}] == seen
        assert [{"number": 5}] == newest

    def test_records_get_a_variant(self, tmp_path, monkeypatch):
        """Those from before there were any have none, and later forms replace them."""
        path = tmp_path / "old.db"
        monkeypatch.setattr(sqlite_schema, "STEPS", ())
        with SqliteDatabase(path) as database, database.writing() as connection:
            connection.execute(
                """INSERT INTO records VALUES ('acme', '62515', 'contacts', '1', ?, NULL,
                '2026-03-02T10:35:01.123Z', '{}', '{}', '', '')""",
                (VERSION,),
            )
        monkeypatch.undo()

        with SqliteDatabase(path) as database:
            sink = SqliteRecordSink(database)
            assert [0] == variants(database)
            assert {action().action_id} == sink.write([action()]).repeated
            assert not sink.write([action(variant=VERSION + 9)]).repeated
            assert [VERSION + 9] == variants(database)

    @pytest.mark.parametrize("table", ["actions", "records"])
    def test_numbers_that_were_text(self, tmp_path, monkeypatch, table):
        """They become numbers where the property has one already; any other text stays text."""
        path = tmp_path / "old.db"
        monkeypatch.setattr(sqlite_schema, "STEPS", STEPS[:2])
        rows = {
            "1": '{"amount":10,"version":"2.10","note":"9.50"}',
            "2": '{"amount":"9.50","version":"2.9"}',
            "3": '{"amount":"98765432109876543210","version":null}',
            "4": '{"amount":"007","choices":["1.5"],"truth":true}',
            "5": '{"amount":null}',
            "6": "{broken",
            "7": "7",
            "8": '{"amount":2000}',
        }
        with SqliteDatabase(path) as database:
            for object_id, text in rows.items():
                insert(database, table, row_of(object_id, properties=text))
            insert(database, table, row_of("9", account_id="62516", properties='{"amount":"1.50"}'))
        monkeypatch.undo()

        with SqliteDatabase(path) as database:
            stored = sqlite_rows(database, f"SELECT object_id, properties FROM {table}")

        assert {row["object_id"]: row["properties"] for row in stored} == {
            **rows,
            "2": '{"amount":9.50,"version":"2.9"}',
            "3": '{"amount":98765432109876543210,"version":null}',
            "9": '{"amount":"1.50"}',
        }

    @pytest.mark.parametrize("version", [0, -1, "'one'", "NULL"])
    def test_a_version_that_is_none(self, path, version):
        """A file that says nonsense about its version is not touched."""
        with SqliteDatabase(path) as database, database.writing() as connection:
            connection.execute("DROP TABLE schema")
            connection.execute("CREATE TABLE schema (version)")
            connection.execute(f"INSERT INTO schema VALUES ({version})")

        with pytest.raises(ConfigurationError, match="does not say which schema"):
            SqliteDatabase(path)


def variants(database):
    """The variants of all records."""
    return [row["variant"] for row in sqlite_rows(database, "SELECT variant FROM records")]


class TestMongoDB:
    @pytest.fixture
    def old(self, raw):
        """A database in version 1, with actions."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mongodb_schema, "STEPS", ())
            database = MongoDatabase(raw.client, name=raw.name)
            MongoActionSink(database).write([action(str(n)) for n in range(COUNT)])
        return raw

    def test_fingerprints_that_sort_as_text(self, old):
        """They are found by their ids, and walked through in the order of their numbers."""
        keys = {"acme:62515:contacts": ("9", "10", "9007199254740993"), "a:b:1:notes": ("7",)}
        old["fingerprints"].insert_many(
            {"_id": f"{stream}:{one}", "version": VERSION, "digest": b"", "variant": 0}
            for stream, ids in keys.items()
            for one in ids
        )

        store = MongoCheckpointer(MongoDatabase(old.client, name=old.name))

        walked = store.browse(STREAM, limit=9)
        assert ["9", "10", "9007199254740993"] == [one.object_id for one in walked]
        assert {"10"} == store.recall(STREAM, ["10", "11"]).keys()
        assert 1 == store.count(StreamKey(AccountKey("a:b", "1"), "notes"))
        assert 4 == old["fingerprints"].count_documents({})

    def test_a_database_of_an_older_version(self, old, monkeypatch):
        """Steps are taken in order, each once, and the database says so."""
        taken = []
        steps = (lambda _: taken.append(1), lambda _: taken.append(2), lambda _: taken.append(3))
        for number in (1, 3, 3):
            monkeypatch.setattr(mongodb_schema, "STEPS", steps[:number])
            MongoDatabase(old.client, name=old.name).prepare()

        assert [1, 2, 3] == taken
        assert 4 == old["schema"].find_one()["version"]

    def test_a_new_database_has_nothing_to_migrate(self, raw, monkeypatch):
        """It begins with the present version."""
        monkeypatch.setattr(mongodb_schema, "STEPS", (None,))

        MongoDatabase(raw.client, name=raw.name).prepare()

        assert 2 == raw["schema"].find_one()["version"]
        assert "created" in raw["actions"].index_information()

    def test_a_crash_in_the_middle(self, old, mongodb_uri):
        """The next one goes on from there, and changes each document once."""
        assert [-9] == run_at_once(MONGODB, mongodb_uri, "die")
        assert 50 == old["actions"].count_documents({"channel": "crm"})
        assert 1 == old["schema"].find_one()["version"]

        assert [0] == run_at_once(MONGODB, mongodb_uri, "live")

        self.check_migrated(old)

    def test_processes_that_migrate_at_once(self, old, mongodb_uri):
        """They share the work, and one of them may die."""
        statuses = run_at_once(MONGODB, mongodb_uri, "live", "live", "die", "live")

        assert [0, 0, 0] == [status for status in statuses if status != -9]
        self.check_migrated(old)

    def test_a_worker_that_is_late(self, old, monkeypatch):
        """One that ends a step when others have gone on leaves their version alone."""

        def overtaken(database):
            database["schema"].update_one({}, {"$set": {"version": 5}})

        monkeypatch.setattr(mongodb_schema, "STEPS", (overtaken,))

        MongoDatabase(old.client, name=old.name).prepare()

        assert 5 == old["schema"].find_one()["version"]

    def check_migrated(self, raw):
        """Every action was changed once; this version refuses the database from then on."""
        done = {"channel": "crm", "changes": 1}
        assert COUNT == raw["actions"].count_documents(done)
        assert COUNT == raw["actions"].count_documents({})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mongodb_schema, "STEPS", ())
            with pytest.raises(ConfigurationError, match=r"newer version .* \(schema 2"):
                MongoDatabase(raw.client, name=raw.name).prepare()
