"""Owners over one `Checkpointer`, in any interleaving: hypothesis looks for one that breaks it."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import define, field
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hubspot_sync import AccountKey, InvariantError, LeaseHeldError, LeaseLostError
from hubspot_sync.models import Checkpoint, Fingerprint, IdRange, Mode, Pass, StreamKey
from hubspot_sync.stores.memory import MemoryCheckpointer
from hubspot_sync.stores.mongodb import MongoCheckpointer, MongoDatabase
from hubspot_sync.stores.sqlite import SqliteCheckpointer, SqliteDatabase
from hubspot_sync.testing import ManualClock

BEGINNING = ManualClock().now()
# Minutes, so that what a real store needs for the steps themselves does not matter.
MINUTES = st.integers(1, 5).map(lambda n: timedelta(minutes=n))
OWNERS = st.sampled_from(["a", "b"])
OBJECTS = ("1", "2", "3")


@define
class Model:
    """What the store has to hold of the stream."""

    fence: int = 0
    lease: object = None
    ends: timedelta = timedelta(0)
    checkpoint: Checkpoint = field(factory=Checkpoint)
    prints: dict[str, Fingerprint] = field(factory=dict)

    def holds(self, lease):
        return self.lease is not None and self.lease.fence == lease.fence


class TwoOwners(RuleBasedStateMachine):
    """Two owners that acquire, renew, commit, release and evict each other; time passes.

    Subclasses say how to reach the store, one way for each owner, and how time is moved there.
    """

    leases = Bundle("leases")

    def __init__(self):
        super().__init__()
        self.passed = timedelta(0)
        self.model = Model()
        self.stream = StreamKey(
            AccountKey(domain_id=uuid.uuid4().hex, account_id="62515"), "contacts"
        )
        self.stack = contextlib.ExitStack()
        self.stores = dict(zip("ab", self.open(), strict=True))

    def teardown(self):
        self.stack.close()

    @rule(target=leases, owner=OWNERS, duration=MINUTES, evict=st.none() | OWNERS)
    def acquire(self, owner, duration, evict):
        """Granted if and only if nobody has it, its time is up, or its holder is evicted."""
        model = self.model
        free = model.lease is None or model.ends <= self.passed or model.lease.owner == evict
        try:
            lease = self.stores[owner].acquire(self.stream, owner, duration, evict=evict)
        except LeaseHeldError as held:
            assert not free
            assert held.owner == model.lease.owner  # noqa: PT017 - a refusal is one way to go
            return multiple()
        assert free, "a second valid owner"
        assert lease.fence > model.fence
        assert (lease.owner, lease.stream) == (owner, self.stream)
        model.fence, model.lease, model.ends = lease.fence, lease, self.passed + duration
        return lease

    @rule(lease=leases, duration=MINUTES)
    def renew(self, lease, duration):
        """Only the current lease is renewed, even after its time; its fence stays."""
        try:
            renewed = self.stores[lease.owner].renew(lease, duration)
        except LeaseLostError:
            assert not self.model.holds(lease)
            return
        assert self.model.holds(lease)
        assert renewed.fence == lease.fence
        self.model.ends = self.passed + duration

    @rule(lease=leases)
    def release(self, lease):
        """Only the current lease is given back; others are left alone."""
        self.stores[lease.owner].release(lease)
        if self.model.holds(lease):
            self.model.lease = None

    @rule(
        lease=leases,
        minutes=st.sampled_from([0, 1, 2, -1]),
        under_way=st.booleans(),
        versions=st.dictionaries(st.sampled_from(OBJECTS), st.integers(1, 6), min_size=1),
    )
    def commit(self, lease, minutes, under_way, versions):
        """A stale owner changes nothing, and the mark never falls."""
        wanted = self.moved(minutes, under_way=under_way)
        kept = self.model.checkpoint.high_water_mark
        falls = kept is not None and wanted.high_water_mark < kept
        prints = [
            Fingerprint(object_id=one, version=n, digest=bytes([lease.fence % 256, n]))
            for one, n in versions.items()
        ]
        try:
            self.stores[lease.owner].commit(lease, wanted, prints)
        except LeaseLostError:
            assert not self.model.holds(lease)
        except InvariantError:
            assert self.model.holds(lease)
            assert falls
        else:
            assert self.model.holds(lease), "a stale owner committed"
            assert not falls
            self.model.checkpoint = wanted
            self.learn(prints)

    def moved(self, minutes, *, under_way):
        """A checkpoint with the mark so many minutes from where it is."""
        mark = (self.model.checkpoint.high_water_mark or BEGINNING) + timedelta(minutes=minutes)
        reading = Pass(
            mode=Mode.INCREMENTAL, start=mark, end=mark, ranges=(IdRange(after=str(minutes)),)
        )
        return Checkpoint(high_water_mark=mark, reading=reading if under_way else None)

    def learn(self, prints):
        for one in prints:
            known = self.model.prints.get(one.object_id)
            if known is None or known.version <= one.version:
                self.model.prints[one.object_id] = one

    @rule(step=MINUTES)
    def time_passes(self, step):
        """Leases may run out."""
        self.passed += step
        self.move_time(step)

    @precondition(lambda self: self.model.lease is not None)
    @rule()
    def time_comes_to_the_very_end_of_the_lease(self):
        """The boundary itself belongs to the next owner."""
        if self.model.ends > self.passed and self.exact:
            self.time_passes(self.model.ends - self.passed)

    @invariant()
    def both_owners_see_what_was_committed(self):
        """And nothing else."""
        for store in self.stores.values():
            assert store.load(self.stream) == self.model.checkpoint
            assert store.recall(self.stream, OBJECTS) == self.model.prints

    exact = True

    def move_time(self, step):
        self.clock.advance(step)


class InMemory(TwoOwners):
    """Two owners in one process."""

    def open(self):
        self.clock = ManualClock()
        store = MemoryCheckpointer(clock=self.clock)
        return store, store


class InSqlite(TwoOwners):
    """Two connections to one file, as of two processes."""

    def open(self):
        self.clock = ManualClock()
        path = Path(self.stack.enter_context(tempfile.TemporaryDirectory())) / "crm.db"
        databases = [self.stack.enter_context(SqliteDatabase(path)) for _ in range(2)]
        return [SqliteCheckpointer(database, clock=self.clock) for database in databases]


def in_mongodb(uri, client):
    """Two clients of one server; its clock cannot be moved, so ends of leases are."""

    class InMongoDB(TwoOwners):
        exact = False

        def open(self):
            databases = [self.stack.enter_context(MongoDatabase(uri)) for _ in range(2)]
            return [MongoCheckpointer(database) for database in databases]

        def move_time(self, step):
            earlier = {"$subtract": ["$expires_at", step // timedelta(milliseconds=1)]}
            client.get_database(uri.partition("?")[0].rpartition("/")[2])[
                "checkpoints"
            ].update_many({"expires_at": {"$ne": None}}, [{"$set": {"expires_at": earlier}}])

    return InMongoDB


def play(machine, examples, steps=40):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(("machine", "examples"), [(InMemory, 100), (InSqlite, 60)])
def test_any_interleaving_of_two_owners(machine, examples):
    """Never two valid owners, fences grow, the mark never falls, a stale owner changes nothing."""
    play(machine, examples)


def test_any_interleaving_of_two_owners_in_mongodb(mongodb_uri, mongodb_client):
    """The same, with the server's own clock."""
    play(in_mongodb(mongodb_uri, mongodb_client), examples=10, steps=25)
