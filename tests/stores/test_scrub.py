"""An SQLite file that is scrubbed holds no byte of what was deleted or overwritten in it."""

from __future__ import annotations

import random
import sqlite3
from datetime import timedelta

import pytest

from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.models import AccountKey
from hubspot_sync.stores.sqlite import (
    SqliteActionSink,
    SqliteDatabase,
    SqliteErrorQueue,
    SqliteRecordSink,
)
from hubspot_sync.testing.contracts._admin import EVERYTHING, failure
from hubspot_sync.testing.contracts._samples import ACCOUNT, STREAM, VERSION, action

LENGTHS = (1, 1, 1, 3, 30, 400)
OTHER = AccountKey("globex", "62515")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "crm.db"


@pytest.fixture
def database(path):
    with SqliteDatabase(path, busy_timeout=timedelta(milliseconds=50)) as database:
        yield database


def secret_of(object_id):
    """What only the values of one object hold."""
    return f"secret-{int(object_id):06}-of-somebody"


def found_in(path, object_ids):
    """The objects of which any byte is in the file or beside it."""
    content = b"".join(one.read_bytes() for one in path.parent.iterdir())
    return {one for one in object_ids if secret_of(one).encode() in content}


def filled(database, chance):
    """Versions of 400 objects in every table, of many sizes, so that pages are split and freed."""
    parts = SqliteActionSink(database), SqliteRecordSink(database), SqliteErrorQueue(database)
    actions, records, errors = parts
    for version in range(VERSION, VERSION + 12):
        chosen = [str(number) for number in chance.sample(range(400), 200)]
        batch = [
            action(
                one,
                version=version,
                properties={
                    "name": secret_of(one) * chance.choice(LENGTHS),
                    "city": "z" * chance.randrange(700),
                },
            )
            for one in chosen
        ]
        actions.write(batch)
        records.write(batch)
        errors.put([failure(of=one) for one in batch[:20]])
        errors.settle(STREAM, {one.object_id: one.version for one in batch[:10]})
    return parts


@pytest.mark.parametrize("seed", range(3))
def test_no_byte_is_left(path, database, seed):
    """Not in the file, not beside it; what was not deleted is all there."""
    chance = random.Random(seed)  # noqa: TID251 - the same each time
    actions, records, errors = filled(database, chance)
    others = [action(str(number), account=OTHER) for number in range(50)]
    actions.write(others)
    forgotten = [str(number) for number in chance.sample(range(400), 100)]
    assert set(forgotten) == found_in(path, forgotten)

    errors.settle(STREAM, dict.fromkeys(forgotten, VERSION + 20))
    for part in (records, actions):
        assert part.erase(STREAM, forgotten) > 0
    database.scrub()

    assert found_in(path, forgotten) == set()
    kept = {str(number) for number in range(400)} - set(forgotten)
    assert kept == found_in(path, kept)
    records.purge(ACCOUNT)
    errors.drop(EVERYTHING)
    assert actions.purge(ACCOUNT) > 0
    actions.scrub()
    assert found_in(path, kept) == set()
    assert actions.purge(OTHER) == len(others)


def test_somebody_who_reads_is_waited_for_and_told_of(path, database):
    """As long as a snapshot is open, what was deleted is part of it; afterwards it goes."""
    sink = SqliteActionSink(database)
    sink.write([action("1", properties={"name": secret_of("1")})])
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM actions").fetchall()
    sink.erase(STREAM, ["1"])

    with pytest.raises(StoreUnavailableError, match="read by another connection"):
        sink.scrub()
    reader.close()
    sink.scrub()

    assert found_in(path, ["1"]) == set()


def test_a_file_that_did_not_change_is_left_alone(path, database):
    """Whoever changes it, it is scrubbed again."""
    sink = SqliteActionSink(database)
    sink.write([action(str(number), properties={"name": secret_of(number)}) for number in (1, 2)])
    sink.erase(STREAM, ["1"])
    sink.scrub()
    before = path.stat().st_mtime_ns

    sink.scrub()
    assert before == path.stat().st_mtime_ns
    with SqliteDatabase(path) as another:
        SqliteActionSink(another).erase(STREAM, ["2"])
        sink.scrub()

    assert found_in(path, ["1", "2"]) == set()


def test_a_file_that_was_closed(path):
    """It is an error of ours."""
    with SqliteDatabase(path) as database:
        pass
    with pytest.raises(StoreUnavailableError, match="closed"):
        database.scrub()
