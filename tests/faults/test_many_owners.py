"""Many processes on one account: one works on each stream, and a stalled one changes nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing

import pytest

from kit.account import Changes, EmulatedAccount, all_at_once, ended, kill, say, wait_until
from kit.found import actions_in, count_in, disagreements, streams_in

PROCESSES = 8
LEASE = 3.0


@pytest.fixture(scope="module")
def account():
    with EmulatedAccount(contacts=2_000, companies=400, latency=0.1) as account:
        yield account


def test_eight_processes_at_once(account, store):
    """Each stream has one worker; the others leave at once, say why, and disturb nothing."""
    runs = eight(account, store)

    met = Counter((name, status) for run in runs for name, status in run.statuses.items())
    say(f"{dict(met)}; left at once: {sum(not worked(run) for run in runs)}")
    assert {status for _, status in met} <= {"completed", "busy"}
    assert met["companies", "completed"] >= 1
    assert met["contacts", "completed"] >= 1
    for run in runs:
        assert len(run.statuses) == 2, run.errors
        assert run.status == (1 if "busy" in run.statuses.values() else 0)
        assert ("is synchronising this stream" in run.errors) == (run.status == 1)
        if not worked(run):
            assert run.report["api_calls"]["total"] == 0
            assert run.report["seconds"] < 30  # half a lease
    assert sum(not worked(run) for run in runs) >= PROCESSES // 2
    account_is_in(store, account)


def eight(account, store):
    return all_at_once([account.worker(store, gate=True) for _ in range(PROCESSES)])


def worked(run):
    return "completed" in run.statuses.values()


def account_is_in(store, account):
    """Nothing is lost or twice, and what is left of a run is no lease."""
    assert not disagreements(store, account)
    assert [one["owner"] for one in streams_in(store)] == [None, None]


@pytest.mark.long
def test_eight_processes_while_the_account_changes(account, store):
    """Twice, with changes going on; in the end a run in peace completes."""
    with Changes(account, seed=8):
        for _ in range(2):
            runs = eight(account, store)
            statuses = {status for run in runs for status in run.statuses.values()}
            assert statuses <= {"completed", "busy"}, [run.errors for run in runs]

    assert account.sync(store).status == 0
    account_is_in(store, account)


@pytest.fixture
def stalled(account, store):
    """A process that was stopped in the middle of the contacts, holding their lease."""
    process = account.worker(store, lease_seconds=LEASE)
    wait_until(lambda: count_in(store) > 700)
    os.kill(process.pid, signal.SIGSTOP)
    while not writable(store):
        # Stopped inside a transaction it holds SQLite's lock: nobody else could do anything.
        os.kill(process.pid, signal.SIGCONT)
        os.kill(process.pid, signal.SIGSTOP)
    yield process
    if process.poll() is None:
        os.kill(process.pid, signal.SIGCONT)
        kill(process)


def writable(store):
    if not store.startswith("sqlite"):
        return True
    path = store.removeprefix("sqlite:///")
    try:
        with closing(sqlite3.connect(path, timeout=0.2, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    return True


def fences_in(store):
    return {one["object_type"]: one["fence"] for one in streams_in(store)}


def test_a_stalled_owner_changes_nothing_any_more(account, store, stalled):
    """Stopped beyond its lease, it wakes up when another process has completed its work."""
    held = fences_in(store)
    assert account.sync(store, lease_seconds=LEASE).statuses["contacts"] == "busy"
    wait_until(lambda: account.sync(store, lease_seconds=LEASE).status == 0, pause=0.3)
    assert not disagreements(store, account)
    before, fences = ids_in(store), fences_in(store)
    assert fences["contacts"] > held["contacts"]

    os.kill(stalled.pid, signal.SIGCONT)
    done = ended(stalled)

    assert done.status == 1
    assert done.statuses["contacts"] == "failed"
    assert "LeaseLostError" in done.errors
    assert ids_in(store) == before
    assert fences_in(store) == fences
    account_is_in(store, account)
    assert account.sync(store).report["streams"]["contacts"]["delivered"] == 0


def ids_in(store):
    return sorted(action["id"] if "id" in action else action["_id"] for action in actions_in(store))


@pytest.mark.long
def test_a_stalled_owner_wakes_up_while_another_works(account, store, stalled):
    """Both run side by side for a while; only one of them commits."""
    with Changes(account, seed=9):
        time.sleep(LEASE * 1.5)  # noqa: TID251 - a real lease, real time
        second = account.worker(store, lease_seconds=LEASE)
        wait_until(lambda: f"/{second.pid}/" in owner_in(store, "contacts"))
        os.kill(stalled.pid, signal.SIGCONT)
        done, other = ended(stalled), ended(second)

    say(f"stalled: {done.statuses}, the other: {other.statuses}")
    assert "LeaseLostError" in done.errors
    assert other.statuses["contacts"] == "completed", other.errors
    assert account.sync(store).status == 0
    account_is_in(store, account)


def owner_in(store, object_type):
    return next(
        one["owner"] or "" for one in streams_in(store) if one["object_type"] == object_type
    )
