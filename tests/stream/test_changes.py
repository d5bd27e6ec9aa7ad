"""Every kind of change arrives by polling: deletions, restorations, merges and associations."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import (
    Account,
    ActionKind,
    OAuthApp,
    OAuthTokens,
    RejectedSelection,
    StreamSettings,
    StreamStatus,
    SyncSettings,
)
from hubspot_sync.models import DeletionsSuspected, Evidence, Gone, StreamKey
from hubspot_sync.stores.memory import MemoryAccountStore, MemoryErrorQueue, MemoryRecordSink
from hubspot_sync.testing import ManualClock
from hubspot_sync.testing.emulator import Fault, Hostility
from kit.support import ACCOUNT, Crash, Dying, Host

QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)
CONTACTS = StreamKey(ACCOUNT.key, "contacts")
ONLY_CONTACTS = Account(
    account_id="62515",
    domain_id="acme",
    streams=(StreamSettings("contacts", associations=("companies",)),),
)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def host(hubspot_emulator, clock):
    """Two hundred contacts that were loaded."""
    host = Host(hubspot_emulator(contacts=200, companies=20, clock=clock), clock)
    sync(host)
    return host


def sync(host, pause=QUARTER, account=ONLY_CONTACTS, *, reconcile=False, **parts):
    """A run after *pause*; the report of its stream."""
    host.clock.advance(pause)
    engine = host.engine(**parts)
    if reconcile:
        engine.reconcile(account)
    report = engine.sync(account)
    report.raise_for_failure()
    return report.streams[-1]


def ids(host, count=1):
    """Some contacts, from all over the ids."""
    known = sorted(host.emulator.records("contacts"), key=int)
    return known[:: len(known) // count][:count]


def told(host, kind):
    """What the sink was told of one kind."""
    return [one for one in host.sink.actions if one.kind is kind]


def test_a_deletion_arrives(host):
    """At the next look, with the date that HubSpot has; the second look finds nothing."""
    (one,) = ids(host)
    host.emulator.archive("contacts", one)
    at = host.clock.now()

    sync(host)

    (action,) = told(host, ActionKind.DELETED)
    assert (action.object_id, action.evidence, action.name) == (
        one,
        Evidence.ARCHIVED,
        "Contact Deleted",
    )
    assert abs(action.occurred_at - at) < timedelta(seconds=2)
    assert host.checkpointer.recall(CONTACTS, [one])[one].gone is Gone.DELETED
    assert sync(host).counts.delivered == 0


def test_a_restoration_arrives_though_no_date_moved(host):
    """And the object is not created a second time."""
    (one,) = ids(host)
    host.emulator.archive("contacts", one)
    sync(host)
    host.emulator.restore("contacts", one)

    sync(host)

    kinds = [action.kind for action in host.sink.actions if action.object_id == one]
    assert kinds == [ActionKind.CREATED, ActionKind.DELETED, ActionKind.RESTORED]
    sequences = [action.sequence for action in host.sink.actions if action.object_id == one]
    assert sequences == sorted(set(sequences))
    assert sync(host).counts.delivered == 0


def test_a_record_that_was_deleted_before_the_first_load_is_restored(hubspot_emulator, clock):
    """Its modified date is old, and it was never delivered."""
    host = Host(hubspot_emulator(contacts=200, companies=0, clock=clock), clock)
    (one,) = ids(host)
    host.emulator.archive("contacts", one)
    sync(host)
    host.emulator.restore("contacts", one)

    sync(host)

    assert [action.kind for action in host.sink.actions if action.object_id == one] == [
        ActionKind.CREATED
    ]


def test_deleted_and_restored_between_two_runs_is_nothing(host):
    """The state is what it was."""
    (one,) = ids(host)
    host.emulator.archive("contacts", one)
    host.clock.advance(60)
    host.emulator.restore("contacts", one)

    assert sync(host).counts.delivered == 0


def test_a_merge_tells_of_the_survivor_first(host):
    """Then of each record that it consumed."""
    first, second = ids(host, 2)
    survivor = host.emulator.merge("contacts", first, second)

    sync(host, pause=60)

    told_last = host.sink.actions[-3:]
    assert (told_last[0].object_id, told_last[0].kind) == (survivor, ActionKind.CREATED)
    assert {(one.object_id, one.kind, one.merged_into) for one in told_last[1:]} == {
        (first, ActionKind.MERGED, survivor),
        (second, ActionKind.MERGED, survivor),
    }
    assert sync(host).counts.delivered == 0


@pytest.mark.parametrize("reconcile", [False, True])
@pytest.mark.parametrize("left", ["archived", "erased", "merged"])
def test_what_a_killed_run_created_and_left_since(host, left, reconcile):
    """Nothing was committed of it, and the sink has it."""
    one, other = (
        host.emulator.create("contacts", {"email": f"new{n}@example.com"}) for n in (1, 2)
    )
    with suppress(Crash):
        sync(host, pause=60, sink=Dying(host.sink))
    assert {one, other} <= {action.object_id for action in host.sink.actions}
    if left == "merged":
        host.emulator.merge("contacts", other, one)
    else:
        {"archived": host.emulator.archive, "erased": host.emulator.erase}[left]("contacts", one)

    sync(host, reconcile=reconcile)

    assert host.checkpointer.load(CONTACTS).announced == {}
    assert [action.kind for action in host.sink.actions if action.object_id == one] == [
        ActionKind.CREATED,
        ActionKind.MERGED if left == "merged" else ActionKind.DELETED,
    ]


@pytest.mark.parametrize("left", ["deleted", "erased", "restored"])
def test_an_end_that_a_killed_run_announced_and_another_one_since(host, left):
    """A merge is told as what it was; of what was deleted the last state counts."""
    first, second = ids(host, 2)

    class Dead:
        def write(self, actions):
            raise Crash if any(one.kind.gone for one in actions) else AssertionError

    if left == "restored":
        host.emulator.archive("contacts", first)
    else:
        survivor = host.emulator.merge("contacts", second, first)
    with suppress(Crash):
        sync(host, sink=Dead())
    if left == "restored":
        host.emulator.restore("contacts", first)
    elif left == "deleted":
        host.emulator.archive("contacts", survivor)
    else:
        host.emulator.erase("contacts", survivor)

    sync(host)
    sync(host, reconcile=True)

    kinds = [action.kind for action in host.sink.actions if action.object_id == first]
    told_last = ActionKind.RESTORED if left == "restored" else ActionKind.MERGED
    assert kinds == [ActionKind.CREATED, told_last]
    assert sync(host).counts.delivered == 0


def test_what_a_killed_run_created_and_the_queue_has(host):
    """It was refused before, so the sink does not have it, and it waits as it did."""
    one = host.emulator.create("contacts", {"email": "new@example.com"})
    queue = MemoryErrorQueue()

    def refused(action):
        return "not yet" if action.object_id == one else None

    class Dead:
        def __getattr__(self, name):
            return getattr(host.checkpointer, name)

        def commit(self, lease, checkpoint, fingerprints=()):
            if queue.held(CONTACTS, [one]):
                raise Crash
            host.checkpointer.commit(lease, checkpoint, fingerprints)

    with suppress(Crash):
        sync(host, pause=60, validators=[refused], error_queue=queue, checkpointer=Dead())
    host.emulator.archive("contacts", one)

    sync(host, validators=[refused], error_queue=queue)

    assert one not in {action.object_id for action in host.sink.actions}
    assert host.checkpointer.load(CONTACTS).announced == {}


def test_merges_are_found_without_the_property_that_names_them(hubspot_emulator, clock):
    """A read by id tells a merge from a deletion."""
    host = Host(hubspot_emulator(contacts=200, companies=0, clock=clock), clock)
    account = evolve(ONLY_CONTACTS, streams=(StreamSettings("contacts", properties=("email",)),))
    sync(host, account=account)
    first, second = ids(host, 2)
    survivor = host.emulator.merge("contacts", first, second)

    sync(host, account=account)

    merged = told(host, ActionKind.MERGED)
    assert {one.object_id for one in merged} == {first, second}
    assert {one.merged_into for one in merged} == {survivor}


@pytest.mark.parametrize("change", ["added", "removed"])
def test_an_association_that_changes_is_an_update(host, change):
    """It moves no modified date of the contact."""
    edges = {action.object_id: action.associations["companies"] for action in host.sink.actions}
    lonely = next(one for one, found in edges.items() if not found)
    related = next(one for one, found in edges.items() if len(found) == 1)
    one = {"added": lonely, "removed": related}[change]
    company = edges[related][0].object_id
    act = {"added": host.emulator.associate, "removed": host.emulator.dissociate}[change]
    act("contacts", one, "companies", company)

    report = sync(host, pause=HOUR)

    assert report.counts.delivered == 1
    action = host.sink.actions[-1]
    assert (action.object_id, action.kind) == (one, ActionKind.UPDATED)
    assert [edge.object_id for edge in action.associations["companies"]] == {
        "added": [company],
        "removed": [],
    }[change]
    assert sync(host, pause=HOUR).counts.delivered == 0


@pytest.mark.parametrize("count", [1, 50])
def test_few_calls_for_few_deletions(hubspot_emulator, clock, count):
    """Ten at most for 50 deletions, whatever the size of the account."""
    host = Host(hubspot_emulator(contacts=3_000, companies=0, clock=clock), clock)
    account = evolve(ONLY_CONTACTS, streams=(StreamSettings("contacts"),))
    sync(host, account=account)
    gone = ids(host, count)
    for one in gone:
        host.emulator.archive("contacts", one)

    report = sync(host, account=account)

    assert {one.object_id for one in told(host, ActionKind.DELETED)} == set(gone)
    assert sum(report.api_calls.values()) <= 10


def test_one_deletion_among_many_archived_records(hubspot_emulator, clock):
    """Where the list of deleted records is long, halving by ids finds it."""
    host = Host(hubspot_emulator(contacts=6_000, companies=0, clock=clock), clock)
    account = evolve(ONLY_CONTACTS, streams=(StreamSettings("contacts"),))
    known = sorted(host.emulator.records("contacts"), key=int)
    for one in known[:2_000]:
        host.emulator.archive("contacts", one)
    sync(host, account=account)
    host.emulator.archive("contacts", known[5_432])

    report = sync(host, account=account)

    assert [one.object_id for one in told(host, ActionKind.DELETED)] == [known[5_432]]
    assert sum(report.api_calls.values()) <= 40


def test_what_waits_in_the_error_queue_is_deleted_too(host):
    """The version that was rejected is dropped, and the deletion is told once."""
    (one,) = ids(host)
    queue = MemoryErrorQueue()
    host.emulator.update("contacts", one, {"city": "Cork"})
    refuse = [lambda action: "no" if action.kind is ActionKind.UPDATED else None]
    sync(host, error_queue=queue, validators=refuse)
    host.emulator.archive("contacts", one)

    sync(host, error_queue=queue, validators=refuse)
    sync(host, pause=HOUR, error_queue=queue)

    kinds = [action.kind for action in host.sink.actions if action.object_id == one]
    assert kinds == [ActionKind.CREATED, ActionKind.DELETED]
    assert queue.count(RejectedSelection(account=ACCOUNT.key)) == {}


def test_a_deletion_that_is_rejected_is_tried_again(host):
    """As any other action; looking again does not tell it twice."""
    (one,) = ids(host)
    queue = MemoryErrorQueue()
    host.emulator.archive("contacts", one)
    refuse = [lambda action: "no" if action.kind is ActionKind.DELETED else None]

    assert sync(host, error_queue=queue, validators=refuse).counts.rejected == 1
    assert sync(host, pause=QUARTER, error_queue=queue, validators=refuse).counts.rejected == 0
    report = sync(host, pause=HOUR, error_queue=queue)

    assert report.retried.delivered == 1
    assert [action.object_id for action in told(host, ActionKind.DELETED)] == [one]
    assert sync(host, error_queue=queue).counts.delivered == 0


def test_a_reconcile_pass_finds_what_left_no_trace(host):
    """HubSpot forgets deleted records after 90 days; an account's token shows that it is gone."""
    settings = SyncSettings(archived_every=None, reconcile_every=None)
    (one,) = ids(host)
    host.emulator.archive("contacts", one)
    host.clock.advance(timedelta(days=91))

    sync(host, settings=settings)
    assert told(host, ActionKind.DELETED) == []
    sync(host, reconcile=True, settings=settings)

    (action,) = told(host, ActionKind.DELETED)
    assert (action.object_id, action.evidence) == (one, Evidence.ABSENT)


def test_a_user_token_infers_nothing_from_absence(host):
    """What the user may not see any more is not gone."""
    emulator = host.emulator
    host.oauth_app = OAuthApp(client_id=emulator.client_id, client_secret=emulator.client_secret)
    host.tokens.save(
        ACCOUNT.key, OAuthTokens(refresh_token=emulator.refresh_token), expected_revision=1
    )
    emulator.hostility = Hostility(unseen={"contacts": set(ids(host, 5))})

    for _ in range(2):
        sync(host, reconcile=True)

    assert told(host, ActionKind.DELETED) == []


def test_too_many_are_not_believed(host):
    """Nothing is told, the report and an event say so, and a person may confirm it."""
    settings = SyncSettings(archived_every=None, reconcile_every=None)
    gone = ids(host, 100)
    for one in gone:
        host.emulator.archive("contacts", one)
    host.clock.advance(timedelta(days=91))

    report = sync(host, reconcile=True, settings=settings)

    assert told(host, ActionKind.DELETED) == []
    assert "call Domain.confirm_deletions" in report.gaps[-1]
    (event,) = host.recorder.of(DeletionsSuspected)
    assert event.bound == 20
    assert "call Domain.confirm_deletions" in sync(host, settings=settings).gaps[-1]
    domain = host.engine(accounts=MemoryAccountStore()).domain("acme")
    domain.add("62515", streams=ONLY_CONTACTS.streams)
    assert domain.confirm_deletions("62515") == 100
    report = sync(host, settings=settings)
    assert {one.object_id for one in told(host, ActionKind.DELETED)} == set(gone)
    assert report.gaps == ()


def test_a_mirror_follows(hubspot_emulator, clock):
    """It equals HubSpot, with tombstones for what went."""
    host = Host(hubspot_emulator(contacts=120, companies=10, clock=clock), clock)
    mirror = MemoryRecordSink(clock=clock)
    sync(host, sink=mirror)
    host.emulator.changes(60, seed=3)

    sync(host, pause=HOUR, sink=mirror)
    sync(host, pause=HOUR, sink=mirror)

    truth = host.emulator.truth()["contacts"]
    live = {one.object_id for one in mirror.records if one.gone is None}
    assert live == set(truth.live)
    for one in mirror.records:
        if one.gone is Gone.MERGED:
            assert truth.merged[one.object_id]
        elif one.gone is None:
            names = truth.live[one.object_id].properties
            assert one.properties["city"] == (names.get("city") or None)


def test_a_lost_scope_deletes_nothing(host):
    """Nor does any other refusal."""
    host.emulator.withhold_scopes("crm.objects.contacts.read")
    host.clock.advance(HOUR)
    engine = host.engine()

    report = engine.sync(ONLY_CONTACTS)

    assert not report.completed
    assert told(host, ActionKind.DELETED) == []


def test_an_archived_list_that_is_refused_is_a_gap(host):
    """The stream is up to date otherwise, and the next look is not sooner than usual."""
    (one,) = ids(host)
    host.emulator.archive("contacts", one)
    host.emulator.faults.add(Fault(route="list", status=403, archived=True, times=None))

    report = sync(host)

    assert report.status is StreamStatus.COMPLETED
    assert "deleted contacts could not be looked for" in report.gaps[-1]
    assert sync(host, pause=timedelta(minutes=1)).gaps == ()
    host.emulator.faults.clear()
    assert sync(host).gaps == ()
    assert [action.object_id for action in told(host, ActionKind.DELETED)] == [one]


def test_a_reconcile_pass_in_many_runs_finds_what_left_no_trace(host):
    """What it lacked in earlier runs is kept in the checkpoint."""
    settings = SyncSettings(archived_every=None, reconcile_every=None, batch_size=20)
    (one,) = ids(host)
    host.emulator.archive("contacts", one)
    host.clock.advance(timedelta(days=91))
    engine = host.engine(settings=settings)
    engine.reconcile(ONLY_CONTACTS)
    host.emulator.faults.add(Fault(route="list", status=503, skip=1, times=None))
    engine.sync(ONLY_CONTACTS)
    assert host.checkpointer.load(CONTACTS).reading.missing == (one,)
    host.emulator.faults.clear()

    sync(host, settings=settings)

    assert [action.object_id for action in told(host, ActionKind.DELETED)] == [one]


def test_the_newest_record_may_leave_no_trace_either(host):
    """Nothing that is listed comes behind it."""
    settings = SyncSettings(archived_every=None, reconcile_every=None)
    last = max(host.emulator.records("contacts"), key=int)
    host.emulator.archive("contacts", last)
    host.clock.advance(timedelta(days=91))

    sync(host, reconcile=True, settings=settings)

    assert [action.object_id for action in told(host, ActionKind.DELETED)] == [last]
