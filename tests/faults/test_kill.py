"""A real process is killed at random moments while the account changes; the short form."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from faults.killing import Killer
from kit.account import EmulatedAccount, ended, kill, say, wait_until
from kit.found import count_in, disagreements, streams_in


@pytest.fixture(scope="module")
def account():
    with EmulatedAccount(contacts=1_200, companies=300, latency=0.01) as account:
        yield account


def test_twenty_kills_lose_and_repeat_nothing(account, new_store):
    """Whenever it is killed, in the end the store holds each change of the account once."""
    # Values do not go back to former ones until test_former_values.py passes.
    tally = Killer(account, new_store, seed=4).run(20)

    say(str(tally))
    assert not tally.problems
    assert tally.kills == 20


def test_the_lease_of_a_killed_process_is_taken_over_at_once(account, store):
    """The next process of the same machine does not wait for the lease to run out."""
    process = account.worker(store, lease_seconds=600.0)
    wait_until(lambda: any(one["owner"] for one in streams_in(store)))
    wait_until(lambda: count_in(store) > 0)
    kill(process)
    assert any(one["owner"] for one in streams_in(store))

    done = account.sync(store, lease_seconds=600.0)

    assert done.status == 0
    assert "taking over from a worker that was killed" in done.errors
    assert done.report["seconds"] < 300  # half a lease
    say(f"the run after the kill took {done.report['seconds']} s in all")
    assert not disagreements(store, account)


def test_the_comparison_finds_what_is_wrong(account, tmp_path):
    """A lost, a doubled, a second created and a falsified action are all told."""
    store = f"sqlite:///{tmp_path}/crm.db"
    assert ended(account.worker(store)).status == 0
    assert not disagreements(store, account)
    with closing(sqlite3.connect(tmp_path / "crm.db")) as database, database:
        database.execute("DROP INDEX actions_created")
        spoil(database)

    told = "\n".join(disagreements(store, account))

    assert len(told.splitlines()) == 5
    for text in ("missing", "2 actions", "created 2 times", "'falsified'", "associated with"):
        assert text in told


def spoil(database):
    """One of each kind of fault, each on a contact of its own."""
    rows = database.execute(
        "SELECT id, properties FROM actions WHERE object_type = 'contacts' ORDER BY id LIMIT 5"
    ).fetchall()
    (lost, _), (doubled, _), (again, _), (false, values), (apart, _) = rows
    database.execute("DELETE FROM actions WHERE id = ?", (lost,))
    rest = "domain_id, account_id, object_type, object_id, name, occurred_at, properties"
    rest += ", associations, stored_at"
    copy = f"""INSERT INTO actions (id, kind, version, {rest})
        SELECT 'copy of ' || id, ?, version + ?, {rest} FROM actions WHERE id = ?"""
    database.execute(copy, ("Updated", 0, doubled))
    database.execute(copy, ("Created", -1, again))
    content = json.dumps(json.loads(values) | {"city": "falsified"})
    database.execute("UPDATE actions SET properties = ? WHERE id = ?", (content, false))
    edges = json.dumps({"companies": [{"id": "1", "types": []}]})
    database.execute("UPDATE actions SET associations = ? WHERE id = ?", (edges, apart))
