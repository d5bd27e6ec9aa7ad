"""Actions that are old enough are deleted, by MongoDB itself or by an operator of SQLite."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pymongo.errors import OperationFailure

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.stores.mongodb import MongoActionSink, MongoDatabase
from hubspot_sync.stores.sqlite import SqliteActionSink, SqliteDatabase
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    STREAM,
    action,
    at_once,
    creation,
)
from kit.stored import sqlite_rows


class TestExpiry:
    @pytest.fixture
    def database(self, raw):
        return MongoDatabase(raw.client, name=raw.name)

    def test_the_index_follows_the_setting(self, database, raw):
        """It is made, changed and dropped by the first write with another setting."""
        seen = []
        for days in (None, 30, 30, 7, None, 7):
            expire_after = None if days is None else timedelta(days=days)
            sink = MongoActionSink(database, expire_after=expire_after)
            sink.write([action()])
            sink.write([action()])
            index = raw["actions"].index_information().get("expiry")
            seen.append(index and (index["key"], index["expireAfterSeconds"]))

        month, week = ([("stored_at", 1)], 2_592_000), ([("stored_at", 1)], 604_800)
        assert [None, month, month, week, None, week] == seen

    @pytest.mark.parametrize("expire_after", [timedelta(days=7), None])
    def test_workers_that_begin_at_once(self, database, raw, expire_after):
        """Workers that change the index at the same moment all succeed."""
        MongoActionSink(database, expire_after=timedelta(days=30)).write([action()])

        answers = at_once(
            lambda _: MongoActionSink(database, expire_after=expire_after).write([action()])
        )

        assert all(answer.repeated for answer in answers)
        assert (expire_after is not None) is ("expiry" in raw["actions"].index_information())

    def test_another_worker_drops_it_first(self, database, raw, monkeypatch):
        """An index that is gone between the look and the drop is no error."""
        MongoActionSink(database, expire_after=timedelta(days=30)).write([action()])
        known = raw["actions"].index_information()
        raw["actions"].drop_index("expiry")
        monkeypatch.setattr("pymongo.collection.Collection.index_information", lambda _: known)

        assert MongoActionSink(database).write([action()]).repeated

    def test_a_user_who_may_not_drop_it(self, database, monkeypatch):
        """Whatever else goes wrong while the index is dropped is reported."""
        MongoActionSink(database, expire_after=timedelta(days=30)).write([action()])

        def refuse(*_):
            raise OperationFailure("not authorized", 13)

        monkeypatch.setattr("pymongo.collection.Collection.drop_index", refuse)

        with pytest.raises(ConfigurationError, match="refuses access"):
            MongoActionSink(database).write([action()])

    def test_an_index_of_the_host(self, database, raw):
        """An index of the host's by the same time is not changed; the message says what to do."""
        database.prepare()
        raw["actions"].create_index("stored_at", name="mine")

        with pytest.raises(ConfigurationError, match="indexes of another layout"):
            MongoActionSink(database, expire_after=timedelta(days=1)).write([action()])

        MongoActionSink(database).write([action()])
        assert "mine" in raw["actions"].index_information()

    def test_the_server_deletes_old_actions(self, mongod, database, raw):
        """By the time at which they were stored, not by that of the change."""
        if mongod.origin == "environment":
            pytest.skip("this server looks for old documents once a minute")
        day = timedelta(days=1)
        now = raw.client.admin.command("hello")["localTime"].replace(tzinfo=MOMENT.tzinfo)
        old = MongoActionSink(database, clock=ManualClock(now - 2 * day), expire_after=day)
        new = MongoActionSink(database, clock=ManualClock(now), expire_after=day)
        with raw["actions"].watch([{"$match": {"operationType": "delete"}}]) as deletions:
            old.write([creation("1")])
            new.write([creation("2")])

            deleted = next(deletions)

        assert creation("1").action_id == deleted["documentKey"]["_id"]
        assert ["2"] == raw["actions"].distinct("object_id")

    @pytest.mark.parametrize(
        "expire_after", [timedelta(0), timedelta(seconds=-1), timedelta(days=25_000)]
    )
    def test_a_time_that_is_none(self, database, expire_after):
        """It is refused before anything happens."""
        with pytest.raises(ConfigurationError, match="expire_after"):
            MongoActionSink(database, expire_after=expire_after)


class TestPrune:
    @pytest.fixture
    def clock(self):
        return ManualClock(MOMENT)

    @pytest.fixture
    def database(self, tmp_path):
        with SqliteDatabase(tmp_path / "sync.db") as database:
            yield database

    @pytest.fixture
    def sink(self, database, clock):
        return SqliteActionSink(database, clock=clock)

    def test_what_is_older_is_deleted(self, database, sink, clock):
        """By the time at which it was stored; what was stored at the very instant stays."""
        for n in range(4):
            sink.write([action(str(n))])
            clock.advance(timedelta(milliseconds=1))

        assert 2 == sink.prune(MOMENT + timedelta(milliseconds=2))
        assert 0 == sink.prune(MOMENT + timedelta(milliseconds=2))

        kept = sqlite_rows(database, "SELECT object_id FROM actions")
        assert ["2", "3"] == [row["object_id"] for row in kept]

    def test_many(self, database, sink, clock, monkeypatch):
        """They are deleted in parts, so that other writers get in between."""
        monkeypatch.setattr("hubspot_sync.stores.sqlite._actions._PRUNED_AT_ONCE", 10)
        sink.write([action(str(n)) for n in range(35)])
        clock.advance(timedelta(days=1))
        sink.write([action("new")])

        assert 35 == sink.prune(clock.now())

        assert 1 == len(sqlite_rows(database, "SELECT * FROM actions"))

    def test_no_number_is_given_twice(self, database, sink, clock):
        """No row gets that of one that a host may have seen, whatever was deleted how."""
        sink.write([action("1"), action("2")])
        clock.advance(timedelta(days=1))
        numbers = "SELECT rowid AS number, object_id FROM actions"

        assert 2 == sink.prune(clock.now())
        sink.write([action("3"), action("4"), action("5")])
        assert 1 == sink.erase(STREAM, ["5"])
        database.scrub()
        sink.write([action("6")])
        assert [{"number": 3}, {"number": 4}, {"number": 6}] == [
            {"number": row["number"]} for row in sqlite_rows(database, numbers)
        ]
        sink.purge(ACCOUNT)
        database.scrub()
        sink.write([action("7")])

        assert [{"number": 7, "object_id": "7"}] == sqlite_rows(database, numbers)

    def test_nothing_is_there(self, sink, clock):
        """An empty table has nothing to delete."""
        assert 0 == sink.prune(clock.now())

    def test_an_instant_without_a_zone(self, sink):
        """It is refused, because it could mean another moment."""
        with pytest.raises(ConfigurationError, match="time zone"):
            sink.prune(MOMENT.replace(tzinfo=None))
