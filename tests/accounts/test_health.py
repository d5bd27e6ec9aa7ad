"""Health: how complete and fresh accounts are, worked out from the stores when it is asked for."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import (
    Account,
    AccountKey,
    AuthorizationRevokedError,
    Condition,
    ConfigurationError,
    HealthStatus,
    HubSpotUnavailableError,
    MissingScopeError,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncSettings,
    UnknownAccountError,
)
from hubspot_sync.models import AttentionNeeded, RejectedCounts, StreamKey, StreamProgress
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.stores.mongodb import MongoStores
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import ManualClock, ScriptedSource
from kit.scripted import record
from kit.support import Recorder, engine_on

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
TICK = 15 * MINUTE
STREAMS = (StreamSettings("companies"), StreamSettings("contacts"))
FRESH, LATE, STALLED = HealthStatus.FRESH, HealthStatus.LATE, HealthStatus.STALLED
PAUSED, NEVER = HealthStatus.PAUSED, HealthStatus.NEVER
NEEDS_RECONNECT, NOT_TRACKED = HealthStatus.NEEDS_RECONNECT, HealthStatus.NOT_TRACKED


class Off:
    """A clock that is off by so much."""

    def __init__(self, clock, by):
        self._clock, self.by = clock, by

    def now(self):
        """What it shows."""
        return self._clock.now() + self.by

    def __getattr__(self, name):
        return getattr(self._clock, name)


class World:
    """Accounts that read nothing but faults, on stores with a clock of their own."""

    def __init__(self, stores, clock):
        self.stores, self.clock = stores, clock
        self.faults = {}
        self.recorder = Recorder()
        self.engine = engine_on(
            stores,
            open_source=self._open,
            clock=clock,
            observers=(self.recorder,),
            settings=SyncSettings(store_tries=1),
        )

    def _open(self, account, *, stop, notify):
        fault = self.faults.get(account.account_id)

        def before_page(number):
            if isinstance(fault, Exception):
                raise fault

        def pages(reading):
            return [[]]

        kinds = {one.object_type: pages for one in account.streams}
        source = ScriptedSource(kinds, clock=self.clock, before_page=before_page)
        return source(account, stop=stop, notify=notify)

    def add(self, domain_id, *account_ids, **settings):
        """Accounts of a domain with credentials, due at once."""
        for one in account_ids:
            domain = self.engine.domain(domain_id)
            domain.add(one, **{"streams": STREAMS, "sync_every": HOUR, **settings})
            self.engine.store_credentials(
                Account(one, domain_id=domain_id), StaticAccessToken("pat-secret")
            )

    def work(self, hours, *domain_ids):
        """The workers of these domains look for what is due every quarter of an hour."""
        for _ in range(int(hours * 4)):
            self.clock.advance(TICK)
            for one in domain_ids:
                self.engine.sync_due(one, workers=2)

    def statuses(self):
        """The status of each account, by its id."""
        return {one.account.account_id: one.status for one in self.engine.health().accounts}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=[-60, 0, 60], ids="clock of the database {} minutes".format)
def database_clock(clock, request):
    """Of the database, which may be wrong."""
    return Off(clock, request.param * MINUTE)


@pytest.fixture
def world(clock, database_clock, tmp_path):
    stores = SqliteStores(str(tmp_path / "crm.db"), clock=database_clock)
    world = World(stores, clock)
    yield world
    world.engine.close()


@pytest.fixture
def small(clock):
    """The same, in memory, with the right time and one account that was synced."""
    world = World(MemoryStores(clock=clock), clock)
    world.add("north", "1")
    world.engine.sync_due()
    return world


def ids(first, last):
    return [str(number) for number in range(first, last + 1)]


def test_a_day_of_fifty_accounts(world):
    """Each is what it is, also by a database whose clock is an hour off, and fresh again after."""
    north, south, idle = ids(1, 36), ids(37, 46), ids(47, 50)
    late, revoked, paused, scope, disabled = north[:5], north[5:8], north[8:10], "11", "12"
    world.add("north", *north)
    world.add("south", *south)
    world.add("idle", *idle)
    calm = {**dict.fromkeys(north + south, FRESH), **dict.fromkeys(idle, NEVER)}
    assert world.statuses() == dict.fromkeys(north + south + idle, NEVER)
    assert world.engine.health().ok is None

    world.work(3, "north", "south")

    assert world.statuses() == calm
    # Nobody has begun those of the third domain, which somebody has to be told of.
    (problem,) = world.engine.health().problems
    assert (problem.condition, len(problem.accounts)) == (Condition.STALLED, 4)

    # Faults begin, and the worker of the second domain is killed with an account in its hands.
    domain = world.engine.domain("north")
    for one in late:
        world.faults[one] = HubSpotUnavailableError("HubSpot is away; try again later")
    for one in revoked:
        world.faults[one] = AuthorizationRevokedError("the tokens were revoked")
    world.faults[scope] = MissingScopeError("contacts cannot be read")
    for one in paused:
        domain.pause(one)
    domain.disable(disabled)
    world.clock.advance(HOUR)
    (claimed,) = world.engine.claim_due(claim_for=MINUTE, limit=1, domain_id="south")
    killed = StreamKey(claimed.key, "contacts")
    world.stores.checkpointer.acquire(killed, "dead worker", MINUTE)
    world.work(1, "north")

    soon = {
        **calm,
        **dict.fromkeys([*revoked, scope], NEEDS_RECONNECT),
        **dict.fromkeys(paused, PAUSED),
        disabled: NOT_TRACKED,
    }
    assert soon == world.statuses() | dict.fromkeys([*late, *south], FRESH)

    world.work(2, "north")

    bad = {**soon, **dict.fromkeys(late, LATE), **dict.fromkeys(south, STALLED)}
    assert bad == world.statuses()
    health = world.engine.health()
    assert health.ok is False
    assert {name: one.status for name, one in health.domains.items()} == {
        "idle": NEVER,
        "north": NEEDS_RECONNECT,
        "south": STALLED,
    }
    assert [(one.condition, len(one.accounts)) for one in health.problems] == [
        (Condition.NEEDS_RECONNECT, 1),  # by another remedy
        (Condition.NEEDS_RECONNECT, 3),
        (Condition.STALLED, 14),
        (Condition.LATE, 5),
    ]
    told = world.recorder.of(AttentionNeeded)
    assert Counter(one.condition for one in told) == {
        Condition.NEEDS_RECONNECT: 4,
        Condition.LATE: 5,
    }

    # All is over: nobody sets any health.
    world.faults.clear()
    for one in [*paused, *revoked]:
        domain.resume(one)
    world.work(3, "north", "south", "idle")

    assert {**dict.fromkeys(north + south + idle, FRESH), disabled: NOT_TRACKED} == world.statuses()
    assert world.engine.health().problems == ()
    assert world.engine.health().status is FRESH


def test_a_clock_of_the_database_that_is_set_is_right_again_after_a_sync(clock, tmp_path):
    """Forward or back: after each account's next sync nothing is left of it."""
    database_clock = Off(clock, timedelta(0))
    world = World(SqliteStores(str(tmp_path / "crm.db"), clock=database_clock), clock)
    world.add("north", *ids(1, 3))
    world.work(2, "north")
    for by in (6 * HOUR, timedelta(0), -6 * HOUR):
        database_clock.by = by
        world.work(1.5, "north")

        assert world.statuses() == dict.fromkeys(ids(1, 3), FRESH)

    world.clock.advance(4 * HOUR)
    assert world.statuses() == dict.fromkeys(ids(1, 3), STALLED)
    world.engine.close()


def test_a_mark_of_unknown_age_is_compared_with_the_clock_of_who_asks(clock, tmp_path):
    """A database of before, and one whose clock was set back meanwhile, say no time."""
    database_clock = Off(clock, timedelta(0))
    world = World(SqliteStores(str(tmp_path / "crm.db"), clock=database_clock), clock)
    world.add("north", "1")
    world.work(1, "north")

    database_clock.by = -24 * HOUR
    assert world.statuses() == {"1": FRESH}
    clock.advance(4 * HOUR)
    assert world.statuses() == {"1": STALLED}
    world.engine.close()


class TestOneAccount:
    """What is said of each stream."""

    def test_a_fresh_stream_says_how_far_it_is(self, small):
        """Complete until, compared, next due, and how many objects were delivered."""
        small.clock.advance(10 * MINUTE)

        health = small.engine.domain("north").health("1")
        contacts = health["Contact"]

        assert (contacts.status, contacts.ok, contacts.problems) == (FRESH, True, ())
        assert contacts.since == small.clock.now() - 10 * MINUTE
        assert contacts.complete_until is not None
        assert contacts.age == contacts.compared_ago == 10 * MINUTE
        assert contacts.next_sync_at == contacts.since + HOUR
        assert contacts.delivered == 0
        assert contacts.rejected == RejectedCounts()
        assert str(health) == "north/1: fresh"

    def test_objects_are_counted_where_one_account_is_asked_for(self, clock):
        """And not where all are, for that would take long."""
        rows = {"contacts": [[[record("1"), record("2")]]]}
        engine = SyncEngine(
            MemoryStores(clock=clock), open_source=ScriptedSource(rows, clock=clock), clock=clock
        )
        engine.domain("acme").add("1", streams=[StreamSettings("contacts")])
        engine.sync_due()

        assert engine.domain("acme").health("1")["contacts"].delivered == 2
        assert engine.domain("acme").health().accounts[0]["contacts"].delivered is None

    @pytest.mark.parametrize("queue", [None, "one that cannot tally"])
    def test_what_cannot_be_counted_is_not_known(self, clock, queue):
        """Neither none nor some."""
        stores = MemoryStores(clock=clock)

        class Queue:
            """An `ErrorQueue` without what an `ErrorQueueAdmin` has."""

            put = staticmethod(stores.error_queue.put)

        engine = engine_on(stores, clock=clock, error_queue=queue and Queue())
        engine.domain("acme").add("1")

        assert engine.domain("acme").health("1")["contacts"].rejected is None

    def test_hosts_that_ask_for_each_sync_are_seen_to_while_they_do(self, small):
        """An account that is never due by itself is late, and stalled when nobody asks any more."""
        accounts = small.stores.accounts
        key = AccountKey("north", "1")
        small.faults["1"] = HubSpotUnavailableError("HubSpot is away; try again later")
        small.clock.advance(3 * HOUR)
        small.engine.domain("north").sync("1")
        accounts.save(evolve(accounts.load(key), next_sync_at=None))
        assert small.statuses() == {"1": LATE}

        small.clock.advance(3 * HOUR)

        assert small.statuses() == {"1": STALLED}

    def test_suspected_deletions_wait_for_a_person(self, small):
        """Until they are confirmed, or were a false alarm."""
        key = StreamKey(AccountKey("north", "1"), "contacts")
        checkpointer = small.stores.checkpointer
        lease = checkpointer.acquire(key, "a", MINUTE)
        before = checkpointer.load(key)
        checkpointer.commit(lease, evolve(before, suspected=70))

        contacts = small.engine.domain("north").health("1")["contacts"]

        assert (contacts.status, contacts.suspected) == (FRESH, 70)
        (problem,) = contacts.problems
        assert problem.condition is Condition.DELETIONS_SUSPECTED
        assert "confirm_deletions" in problem.remedy
        checkpointer.commit(lease, evolve(before, suspected=70, confirmed=True))
        assert small.engine.domain("north").health("1").problems == ()

    def test_a_type_that_is_not_read_is_not_tracked(self, small):
        """Neither good nor bad."""
        deals = small.engine.domain("north").health("1")["deals"]

        assert (deals.status, deals.ok) == (NOT_TRACKED, None)

    def test_a_stream_that_is_late_says_why_and_what_to_do(self, small):
        """Its error, as the run had it, and since when it is late."""
        small.faults["1"] = HubSpotUnavailableError("HubSpot is away; try again later")
        small.work(3, "north")

        contacts = small.engine.domain("north").health("1")["companies"]

        assert contacts.status is LATE
        assert contacts.error_type == "HubSpotUnavailableError"
        assert "HubSpot is away" in contacts.error
        assert contacts.since == small.clock.now() - HOUR
        (problem,) = contacts.problems
        assert (problem.condition, problem.since) == (Condition.LATE, contacts.since)

    def test_a_scope_that_is_missing_is_for_a_person(self, small):
        """The account goes on by itself; that stream does not."""
        small.faults["1"] = MissingScopeError("contacts cannot be read")
        small.work(1, "north")

        health = small.engine.domain("north").health("1")

        assert health.status is NEEDS_RECONNECT
        (problem,) = health.problems
        assert "scope" in problem.remedy
        assert {one.object_type for one in problem.streams} == {"companies", "contacts"}

    def test_a_first_load_that_goes_on_is_never_complete(self, small):
        """While a worker has it, however long it takes; stalled when none has it any more."""
        small.add("north", "2")
        key = StreamKey(AccountKey("north", "2"), "contacts")
        checkpointer = small.stores.checkpointer
        lease = checkpointer.acquire(key, "a", 48 * HOUR)
        begun = evolve(StreamProgress(checkpoint=checkpointer.load(key)).checkpoint, unread=("1",))
        checkpointer.commit(lease, begun)
        small.clock.advance(24 * HOUR)

        assert small.statuses()["2"] is NEVER
        checkpointer.release(lease)
        assert small.engine.domain("north").health("2")["contacts"].status is STALLED

    def test_an_unknown_account_is_refused(self, small):
        """As everywhere in a domain."""
        with pytest.raises(UnknownAccountError):
            small.engine.domain("south").health("1")

    def test_without_an_account_store_there_is_no_health(self):
        """It says which accounts there are."""
        engine = engine_on(MemoryStores(), accounts=None)

        with pytest.raises(ConfigurationError, match="account store"):
            engine.health()

    def test_parked_actions_are_a_problem_of_their_own(self, clock):
        """However fresh the stream is."""
        rows = {"contacts": [[[record("1")]]]}
        recorder = Recorder()
        engine = SyncEngine(
            MemoryStores(clock=clock),
            open_source=ScriptedSource(rows, clock=clock),
            clock=clock,
            validators=[lambda action: "no"],
            observers=[recorder],
            settings=SyncSettings(max_attempts=1, max_rejected_share=1.0),
        )
        engine.domain("acme").add("1", streams=[StreamSettings("contacts")])
        engine.sync_due()

        contacts = engine.domain("acme").health("1")["contacts"]

        assert contacts.status is FRESH
        assert contacts.rejected == RejectedCounts(parked=1)
        assert [one.condition for one in contacts.problems] == [Condition.PARKED]
        assert [one.condition for one in recorder.of(AttentionNeeded)] == [Condition.PARKED]

    def test_a_sink_that_refuses_most_is_told_of_once(self, clock):
        """By the runs in which it begins; the health says so as long as it lasts."""
        rows = {"contacts": [[[record(str(number)) for number in range(1, 201)]]]}
        recorder = Recorder()
        refuses = [True]
        engine = SyncEngine(
            MemoryStores(clock=clock),
            open_source=ScriptedSource(rows, clock=clock),
            clock=clock,
            validators=[lambda action: "no" if refuses else None],
            observers=[recorder],
        )
        acme = engine.domain("acme")
        acme.add("1", streams=[StreamSettings("contacts")])
        engine.sync_due()

        assert [one.condition for one in acme.health().problems] == [Condition.MANY_REJECTED]
        (told,) = recorder.of(AttentionNeeded)
        assert (told.condition, told.object_types) == (Condition.MANY_REJECTED, ("contacts",))
        assert "refused" in told.error

        refuses.clear()
        clock.advance(HOUR)
        engine.sync_due()
        assert acme.health().problems == ()

    def test_an_account_without_credentials_is_for_a_person(self, clock):
        """Told by the first run that was tried."""
        recorder = Recorder()
        engine = SyncEngine(MemoryStores(clock=clock), clock=clock, observers=[recorder])
        engine.domain("acme").add("1")
        engine.sync_due()
        clock.advance(HOUR)
        engine.sync_due()

        assert engine.domain("acme").health("1").status is NEEDS_RECONNECT
        (told,) = recorder.of(AttentionNeeded)
        assert told.condition is Condition.NEEDS_RECONNECT
        assert set(told.object_types) == {"companies", "contacts"}


class TestAsValues:
    """What hosts show."""

    def test_all_of_it_is_json(self, small):
        """From the whole to one stream."""
        small.clock.advance(24 * HOUR)
        health = small.engine.health()

        told = json.loads(json.dumps(health.as_dict()))

        assert (told["status"], told["ok"]) == ("stalled", False)
        assert told["counts"]["stalled"] == 1
        (account,) = told["accounts"]
        assert (account["domain_id"], account["account_id"]) == ("north", "1")
        assert account["streams"]["contacts"]["status"] == "stalled"
        (problem,) = told["problems"]
        assert problem["accounts"] == [
            {"domain_id": "north", "account_id": "1", "object_types": ["companies", "contacts"]}
        ]

    def test_one_line_says_it_for_people(self, small):
        """With each condition once."""
        assert str(small.engine.health()) == "1 account: 1 fresh"

        small.clock.advance(24 * HOUR)

        line = str(small.engine.health())
        assert line.startswith("1 account: 1 stalled; stalled since 2026-07-01 00:00 UTC: north/1/")
        assert "\n" not in line

    def test_no_accounts_are_neither_good_nor_bad(self, clock):
        """Nothing was measured."""
        health = World(MemoryStores(clock=clock), clock).engine.health()

        assert (health.status, health.ok, health.problems) == (NOT_TRACKED, None, ())


class Counted:
    """A part that counts the calls of its methods."""

    def __init__(self, part, calls):
        self._part, self._calls = part, calls

    def __getattr__(self, name):
        self._calls[name] += 1
        return getattr(self._part, name)


def test_many_accounts_take_few_questions(clock):
    """Two hundred at once: three questions for each page, and no stream is asked about alone."""
    stores = MemoryStores(clock=clock)
    calls = Counter()
    parts = {
        "checkpointer": Counted(stores.checkpointer, calls),
        "accounts": Counted(stores.accounts, calls),
        "error_queue": Counted(stores.error_queue, calls),
    }
    engine = engine_on(stores, clock=clock, **parts)
    for number in range(450):
        engine.domain(f"domain {number % 7}").add(str(number + 1))
    calls.clear()

    health = engine.health()

    assert len(health.accounts) == 450
    assert health.counts[NEVER] == 450
    assert calls["load"] == 0
    assert calls["survey"] <= 3
    assert calls["browse"] <= 4


def test_on_mongodb_the_server_tells_how_long_ago(mongodb, raw, clock):
    """By its own clock, whatever those of the workers and of who asks say."""
    world = World(MongoStores(mongodb), clock)
    world.add("north", "1")
    world.engine.sync_due()
    clock.advance(24 * HOUR)
    assert world.statuses() == {"1": FRESH}

    earlier = {"$subtract": ["$$NOW", 3 * HOUR // timedelta(milliseconds=1)]}
    raw.checkpoints.update_many({}, [{"$set": {"marked_at": earlier, "committed_at": earlier}}])
    assert world.statuses() == {"1": STALLED}

    # A database of before: no times at all.
    raw.checkpoints.update_many({}, {"$unset": {"marked_at": True, "committed_at": True}})
    assert world.statuses() == {"1": STALLED}
    world.engine.sync_due()
    assert world.statuses() == {"1": FRESH}
    world.engine.close()
