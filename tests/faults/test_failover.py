"""A three-node replica set that loses its primary to kill -9 in the middle of a backfill, twice."""

from __future__ import annotations

import uuid

import pytest

from kit.account import EmulatedAccount, ended, say, wait_until
from kit.found import count_in, disagreements

pytestmark = pytest.mark.failover

CONTACTS = 1_600
COMPANIES = 200


@pytest.fixture(scope="module")
def account():
    # Slow answers, so that the backfill lasts over two failovers.
    with EmulatedAccount(contacts=CONTACTS, companies=COMPANIES, latency=1.0) as account:
        yield account


@pytest.fixture
def store(replica_set):
    return replica_set.uri_of(f"failover_{uuid.uuid4().hex}")


def lose_the_primary(replica_set):
    """Kill -9; gives the port, and the seconds until there is another primary."""
    lost = replica_set.primary()
    replica_set.kill(lost)
    return lost, wait_until(lambda: replica_set.primary() != lost, pause=0.05)


def bring_back(replica_set, *ports):
    for port in ports:
        replica_set.start(port)
    wait_until(lambda: sorted(replica_set.members()) == ["PRIMARY", "SECONDARY", "SECONDARY"])


def test_the_primary_is_killed_twice_in_a_backfill(replica_set, account, store):
    """The sync goes on by itself, or ends with a clear error and the next one completes."""
    process = account.worker(store)
    elections = []
    for actions in (300, 700):
        wait_until(lambda actions=actions: count_in(store) > actions)
        lost, seconds = lose_the_primary(replica_set)
        elections.append(round(seconds, 1))
        bring_back(replica_set, lost)
    before_the_end = count_in(store)
    done = ended(process)

    say(f"elections took {elections} s; the sync ended with {done.statuses}")
    assert before_the_end < CONTACTS + COMPANIES, "the second failover came too late"
    complete(account, store, done)


def complete(account, store, done):
    """What failed says so and is completed by the next run; nothing is lost or twice."""
    if done.status != 0:
        assert "StoreUnavailableError" in done.errors
        assert account.sync(store).status == 0
    assert not disagreements(store, account)


@pytest.mark.long
def test_without_a_majority_a_sync_ends_and_the_next_one_completes(replica_set, account, store):
    """Two of three servers are killed: no write is confirmed until they are back."""
    process = account.worker(store + "&serverSelectionTimeoutMS=500")
    wait_until(lambda: count_in(store) > 300)
    lost = [port for port in replica_set.processes if port != replica_set.primary()]
    for port in lost:
        replica_set.kill(port)
    done = ended(process)
    bring_back(replica_set, *lost)

    say(f"without a majority the sync ended with {done.statuses}")
    assert done.status == 1
    complete(account, store, done)
