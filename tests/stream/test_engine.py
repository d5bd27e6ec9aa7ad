"""The engine on memory stores against the emulator: what it delivers, and that it adds up."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import (
    Account,
    ActionKind,
    ActionRejectedError,
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotUnavailableError,
    InvariantError,
    LeaseHeldError,
    LeaseLostError,
    MissingScopeError,
    NotConnectedError,
    RequestRefusedError,
    SinkAnswer,
    StaticAccessToken,
    StoreUnavailableError,
    StreamSettings,
    StreamStatus,
    SyncSettings,
    WrongAccountError,
)
from hubspot_sync._ownership import new_owner_name
from hubspot_sync.models import (
    BatchStored,
    Mode,
    Retried,
    RunFinished,
    RunStarted,
    StreamFinished,
    StreamKey,
    StreamStarted,
    ValueKeptAsText,
)
from hubspot_sync.stores.memory import MemoryCheckpointer
from hubspot_sync.testing import Fault, ManualClock
from kit import scripted
from kit.scripted import Setting, record
from kit.support import ACCOUNT, Crash, Host, truth_of

CONTACTS = StreamKey(ACCOUNT.key, "contacts")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    return hubspot_emulator(contacts=450, companies=120, clock=clock)


@pytest.fixture
def host(emulator, clock):
    return Host(emulator, clock)


def latest(host):
    """The last action on each object, by type and id; each version of it once."""
    ids = [action.action_id for action in host.sink.actions]
    assert len(set(ids)) == len(ids)
    return {(action.object_type, action.object_id): action for action in host.sink.actions}


def assert_in_step(host):
    """The sink equals what HubSpot holds, and each object was created exactly once."""
    found = latest(host)
    for object_type in ("companies", "contacts"):
        truth = host.emulator.records(object_type)
        assert {key[1] for key in found if key[0] == object_type} == set(truth)
        for object_id, held in truth.items():
            action = found[object_type, object_id]
            assert action.modified_at == held.modified_at
            assert truth_of(host.emulator, object_type, object_id) == dict(action.properties)
            if object_type == "contacts":
                edges = {edge.object_id for edge in action.associations["companies"]}
                assert edges == set(held.associations.get("companies", {}))
    created = Counter(
        (action.object_type, action.object_id)
        for action in host.sink.actions
        if action.kind is ActionKind.CREATED
    )
    assert set(created) == set(found)
    assert set(created.values()) == {1}


def stream(report, object_type):
    """The report of one stream."""
    return report[object_type]


def test_the_first_run_delivers_everything(host):
    """Each record once, as created, and the report adds up."""
    report = host.engine().sync(ACCOUNT)

    assert report.completed
    assert_in_step(host)
    assert [one.mode for one in report.streams] == [Mode.BACKFILL, Mode.BACKFILL]
    assert report.counts.delivered == report.counts.read == 570
    assert {action.name for action in host.sink.actions} == {"Company Created", "Contact Created"}
    assert all(action.backfill for action in host.sink.actions)
    assert report.api_calls["list"] <= 7 + 3


def test_a_second_run_without_changes_delivers_nothing(host):
    """And costs a search a stream, once the definitions are known."""
    engine = host.engine()
    engine.sync(ACCOUNT)
    host.clock.advance(1)

    report = engine.sync(ACCOUNT)

    assert report.completed
    assert report.counts.read == 0
    assert report.api_calls == {"search": 2}


def test_a_new_process_needs_two_calls_a_stream_at_most(host):
    """It has to ask for the definitions again."""
    host.engine().sync(ACCOUNT)
    host.clock.advance(60)

    report = host.engine().sync(ACCOUNT)

    assert report.counts.delivered == 0
    assert all(sum(one.api_calls.values()) <= 2 for one in report.streams)


def test_what_changed_is_delivered_once(host, emulator):
    """Updates for touched records, creations for new ones, and again nothing in the next run."""
    host.engine().sync(ACCOUNT)
    host.clock.advance(60)
    touched = emulator.touch("contacts", count=37)
    company = emulator.create("companies", {"name": "Nova"})
    contact = emulator.create("contacts", {"email": "nova@example.com"})
    emulator.associate("contacts", contact, "companies", company, primary=True)
    host.clock.advance(60)

    report = host.engine().sync(ACCOUNT)
    host.clock.advance(1)
    again = host.engine().sync(ACCOUNT)

    fresh = host.sink.actions[570:]
    assert not any(action.backfill for action in fresh)
    assert Counter(action.name for action in fresh) == {
        "Contact Updated": 37,
        "Contact Created": 1,
        "Company Created": 1,
    }
    assert {action.object_id for action in fresh if action.kind is ActionKind.UPDATED} == set(
        touched
    )
    assert report.counts.delivered == 39
    assert again.counts.delivered == 0
    assert again.counts.repeated == 39
    assert_in_step(host)


@pytest.mark.parametrize("changed", [1_000, 4_000])
def test_an_increment_costs_few_calls(hubspot_emulator, clock, changed):
    """200 a search, 1,000 an association batch: at most 6.5 calls for 1,000 contacts."""
    emulator = hubspot_emulator(contacts=5_000, companies=20, clock=clock)
    host = Host(emulator, clock)
    engine = host.engine(settings=SyncSettings())
    engine.sync(ACCOUNT)
    clock.advance(60)
    emulator.touch("contacts", count=changed)
    clock.advance(1)

    report = engine.sync(ACCOUNT)

    contacts = stream(report, "contacts")
    assert contacts.counts.delivered == changed
    assert sum(contacts.api_calls.values()) <= 6.5 * changed / 1_000


def test_a_moved_date_alone_is_counted_not_delivered(host, emulator):
    """And the next run knows that version."""
    host.engine().sync(ACCOUNT)
    host.clock.advance(60)
    emulator.bump("contacts", count=5)
    host.clock.advance(1)

    report = host.engine().sync(ACCOUNT)
    again = host.engine().sync(ACCOUNT)

    assert report.counts.unchanged == 5
    assert report.counts.delivered == 0
    assert again.counts.repeated == 5


ODD_VALUES = {"total_revenue": "007", "contract_end": "20000-01-01", "closedate": "0000-01-01"}


def test_values_that_do_not_fit_their_type_are_delivered_as_text(host, emulator):
    """None is lost; each property is told of once, and all are counted."""
    odd = [emulator.create("contacts", ODD_VALUES) for _ in range(3)]
    emulator.create("contacts", {"erp_customer_number": "n/a"})

    report = host.engine().sync(ACCOUNT)

    assert report.completed
    found = latest(host)
    for object_id in odd:
        action = found["contacts", object_id]
        assert {name: action.properties[name] for name in ODD_VALUES} == ODD_VALUES
    expected = {**dict.fromkeys(ODD_VALUES, 3), "erp_customer_number": 1}
    assert stream(report, "contacts").unconverted == expected
    assert stream(report, "contacts").as_dict()["unconverted"] == expected
    assert stream(report, "companies").unconverted == {}
    told = host.recorder.of(ValueKeptAsText)
    assert sorted(event.property_name for event in told) == sorted(expected)
    assert {event.object_id for event in told} <= {*odd, *emulator.records("contacts")}


def test_a_value_written_in_another_way_is_no_change(host, emulator):
    """HubSpot formats again what nobody has edited; text is compared as it is."""
    before = {"total_revenue": "12.50", "closedate": "1772447701123", "zip": "12.50"}
    contact = emulator.create("contacts", before)
    host.engine().sync(ACCOUNT)
    host.clock.advance(60)
    emulator.update(
        "contacts", contact, {"total_revenue": "12.5", "closedate": "2026-03-02T10:35:01.123Z"}
    )
    host.clock.advance(60)
    quiet = host.engine().sync(ACCOUNT)
    emulator.update("contacts", contact, {"zip": "12.5"})
    host.clock.advance(1)

    report = host.engine().sync(ACCOUNT)

    assert (quiet.counts.unchanged, quiet.counts.delivered) == (1, 0)
    assert report.counts.delivered == 1


def test_unchanged_records_are_delivered_on_demand(host, emulator):
    """For hosts that keep the modified date."""
    host.engine().sync(ACCOUNT)
    host.clock.advance(60)
    emulator.bump("contacts", count=5)
    host.clock.advance(1)

    report = host.engine(settings=SyncSettings(deliver_unchanged=True)).sync(ACCOUNT)

    assert report.counts.delivered == 5


def test_records_created_and_edited_during_the_backfill_arrive(host, emulator):
    """The first window begins where the backfill began."""
    created = []

    class Meddler:
        def notify(self, event):
            if isinstance(event, BatchStored) and not created:
                host.clock.advance(1)
                emulator.touch("contacts", object_ids=list(emulator.records("contacts"))[:50])
                created.append(emulator.create("contacts", {"email": "late@example.com"}))
                host.clock.advance(1)

    host.engine(observers=[Meddler()]).sync(ACCOUNT)
    host.clock.advance(60)
    host.engine().sync(ACCOUNT)

    assert created
    assert_in_step(host)


@pytest.mark.parametrize("fails_at", range(1, 8))
def test_a_backfill_that_is_cut_off_goes_on_where_it_was(host, emulator, fails_at):
    """After each page in turn; what was read is stored, and the next run brings the rest."""
    emulator.faults.add(Fault(route="list", status=404, skip=fails_at - 1))

    first = host.engine().sync(ACCOUNT)
    stored = len(host.sink.actions)
    emulator.touch("contacts", count=3)
    host.clock.advance(1)
    second = host.engine().sync(ACCOUNT)

    assert not first.completed
    assert first.counts.delivered == stored
    assert second.completed
    assert_in_step(host)
    pages = sum(report.api_calls.get("list", 0) for report in (first, second))
    assert pages <= 7 + 6


class Unreliable:
    """A sink or checkpointer that fails at its n-th call, before or after it did its work."""

    def __init__(self, inner, method, failing_call, *, after, error):
        self._inner = inner
        self._method = method
        self._failing_call = failing_call
        self._after = after
        self._error = error
        self._calls = 0

    def __getattr__(self, name):
        inner = getattr(self._inner, name)
        if name != self._method:
            return inner

        def call(*args, **kwargs):
            self._calls += 1
            fails = self._calls == self._failing_call
            if fails and not self._after:
                raise self._error
            result = inner(*args, **kwargs)
            if fails:
                raise self._error
            return result

        return call


at_every_step = pytest.mark.parametrize(
    ("part", "method"),
    [
        ("sink", "write"),
        ("checkpointer", "commit"),
        ("checkpointer", "recall"),
        ("checkpointer", "load"),
        ("checkpointer", "acquire"),
        ("checkpointer", "release"),
    ],
)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failing_call", [1, 2, 4])
@at_every_step
def test_a_crash_at_any_step_loses_and_repeats_nothing(
    host, emulator, part, method, failing_call, after
):
    """Changes go on meanwhile; a later run ends with the sink equal to HubSpot."""
    broken = Unreliable(
        getattr(host, part), method, failing_call, after=after, error=Crash("killed")
    )
    with suppress(Crash):
        host.engine(**{part: broken}).sync(ACCOUNT)
    host.clock.advance(120)  # the dead worker's lease ends
    emulator.touch("contacts", count=40)
    emulator.touch("companies", object_ids=list(emulator.records("companies"))[:30])
    host.clock.advance(1)

    report = host.engine().sync(ACCOUNT)

    assert report.completed
    assert_in_step(host)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failing_call", [1, 2])
@at_every_step
def test_a_store_that_is_away_for_a_moment_is_waited_for(host, part, method, failing_call, after):
    """The queue holds back the reader meanwhile, and nothing is read twice."""
    away = Unreliable(
        getattr(host, part),
        method,
        failing_call,
        after=after,
        error=StoreUnavailableError("failover"),
    )

    report = host.engine(**{part: away}).sync(ACCOUNT)

    assert report.completed
    assert report.api_calls["list"] <= 7 + 3
    assert [event.reason for event in host.recorder.of(Retried)] == ["failover"]
    assert_in_step(host)
    host.checkpointer.acquire(CONTACTS, "another worker", timedelta(minutes=1))  # it is free


@pytest.mark.parametrize(("times", "store_tries"), [(2, 3), (2, 2)])
def test_a_token_store_that_is_away_is_waited_for(host, times, store_tries):
    """Like every other store: it is asked before anything else is."""
    load, raised = host.tokens.load, []

    def away(account):
        if len(raised) < times:
            raised.append("away")
            raise StoreUnavailableError("failover")
        return load(account)

    host.tokens.load = away
    engine = host.engine(settings=SyncSettings(store_tries=store_tries))

    if store_tries > times:
        assert engine.sync(ACCOUNT).completed
    else:
        with pytest.raises(StoreUnavailableError, match="failover"):
            engine.sync(ACCOUNT)
    assert len(raised) == times
    retries = [(event.what, event.account) for event in host.recorder.of(Retried)]
    assert retries == [("token store", ACCOUNT.key)] * (store_tries - 1)


def test_nobody_waits_for_a_token_store_in_an_engine_that_is_stopped(host):
    """Nothing was begun, so there is no report."""

    def away(account):
        raise StoreUnavailableError("failover")

    host.tokens.load = away
    engine = host.engine()
    engine.stop()

    with pytest.raises(StoreUnavailableError, match="stopped while the token store was away"):
        engine.sync(ACCOUNT)


class Losing:
    """A checkpointer whose answers to `acquire` are lost, after it did its work."""

    def __init__(self, inner, times):
        self._inner = inner
        self._left = times
        self.evicted = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def acquire(self, stream, owner, duration, *, evict=None):
        self.evicted.append(evict)
        lease = self._inner.acquire(stream, owner, duration, evict=evict)
        if self._left:
            self._left -= 1
            raise StoreUnavailableError("failover")
        return lease


def a_dead_owner():
    """The name of a process of this machine that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    machine, _, started, unique = new_owner_name().split("/")
    return f"{machine}/{process.pid}/{started}/{unique}"


@pytest.mark.parametrize("dead", [False, True], ids=["free", "held by a dead worker"])
def test_a_lease_whose_answer_was_lost_again_and_again_is_ours(host, dead):
    """It is not somebody else's, so the stream is not busy."""
    if dead:
        for object_type in ("companies", "contacts"):
            stream_key = StreamKey(ACCOUNT.key, object_type)
            host.checkpointer.acquire(stream_key, a_dead_owner(), timedelta(hours=1))
    losing = Losing(host.checkpointer, 3)

    report = host.engine(checkpointer=losing).sync(ACCOUNT)

    assert report.completed
    assert_in_step(host)


def test_a_checkpointer_that_does_not_evict_leaves_the_stream_busy(host):
    """It is asked once more, not for ever."""

    class Stubborn:
        calls = 0

        def __getattr__(self, name):
            return getattr(host.checkpointer, name)

        def acquire(self, stream, owner, duration, *, evict=None):
            self.calls += 1
            raise LeaseHeldError("held", owner=owner)

    stubborn = Stubborn()

    report = host.engine(checkpointer=stubborn).sync(ACCOUNT)

    assert [one.status for one in report.streams] == [StreamStatus.BUSY] * 2
    assert stubborn.calls == 2 * 2


def test_a_lease_is_not_given_back_patiently_when_the_store_ended_the_run(host):
    """The run has waited long enough."""

    class Away:
        releases = 0

        def __getattr__(self, name):
            return getattr(host.checkpointer, name)

        def commit(self, *_):
            raise StoreUnavailableError("away")

        def release(self, lease):
            self.releases += 1
            raise StoreUnavailableError("away")

    away = Away()

    report = host.engine(checkpointer=away).sync(ACCOUNT)

    assert isinstance(report.error, StoreUnavailableError)
    assert away.releases == 1


def test_a_store_that_stays_away_ends_the_run(host):
    """With what was stored committed, and an error that says so."""

    class Away:
        def write(self, actions):
            raise StoreUnavailableError("the database is away")

    report = host.engine(sink=Away()).sync(ACCOUNT)

    assert isinstance(report.error, StoreUnavailableError)
    assert [one.status for one in report.streams] == [
        StreamStatus.FAILED,
        StreamStatus.NOT_STARTED,
    ]
    assert host.engine().sync(ACCOUNT).completed
    assert_in_step(host)


def test_a_refused_action_stops_its_stream_before_the_commit(host):
    """It is not skipped: once the cause is fixed, everything arrives."""

    class Picky:
        def write(self, actions):
            bad = {a.action_id: "no e-mail" for a in actions if not a.properties.get("email")}
            if any(action.object_type == "contacts" for action in actions) and bad:
                return SinkAnswer(refused=bad)
            return host.sink.write(actions)

    report = host.engine(sink=Picky()).sync(ACCOUNT)

    assert stream(report, "companies").status is StreamStatus.COMPLETED
    assert isinstance(stream(report, "contacts").error, ActionRejectedError)
    assert "no e-mail" in str(stream(report, "contacts").error)
    assert report.error is None
    assert host.engine().sync(ACCOUNT).completed
    assert_in_step(host)


def test_a_creation_that_the_sink_holds_in_another_version_becomes_an_update(host, emulator):
    """The process died between the sink's answer and the commit, and the record moved on."""
    # The first commit notes that the pass has begun, the second one follows the sink's answer.
    broken = Unreliable(host.checkpointer, "commit", 2, after=False, error=Crash("killed"))
    with pytest.raises(Crash):
        host.engine(checkpointer=broken).sync(ACCOUNT)
    host.clock.advance(120)
    changed = emulator.touch("companies", object_ids=list(emulator.records("companies"))[:10])

    host.engine().sync(ACCOUNT)

    names = Counter(
        action.name
        for action in host.sink.actions
        if action.object_type == "companies" and action.object_id in changed
    )
    assert names == {"Company Created": 10, "Company Updated": 10}
    assert_in_step(host)


def test_only_one_worker_has_a_stream(host):
    """The other leaves at once, with a word."""
    lease = host.checkpointer.acquire(CONTACTS, "somebody else", timedelta(minutes=1))

    report = host.engine().sync(ACCOUNT)

    assert stream(report, "companies").status is StreamStatus.COMPLETED
    assert stream(report, "contacts").status is StreamStatus.BUSY
    assert isinstance(stream(report, "contacts").error, LeaseHeldError)
    host.checkpointer.release(lease)
    assert host.engine().sync(ACCOUNT).completed


def test_a_worker_that_lost_its_lease_changes_nothing(host, clock):
    """Another one took the stream over while it stood still."""
    taken = []

    class Stalled:
        def write(self, actions):
            answer = host.sink.write(actions)
            if actions[0].object_type == "contacts" and not taken:
                clock.advance(600)
                taken.append(host.checkpointer.acquire(CONTACTS, "successor", timedelta(minutes=1)))
            return answer

    report = host.engine(sink=Stalled()).sync(ACCOUNT)

    contacts = stream(report, "contacts")
    assert contacts.status is StreamStatus.FAILED
    assert isinstance(contacts.error, LeaseLostError)
    assert contacts.counts.read == 0
    host.checkpointer.commit(taken[0], host.checkpointer.load(CONTACTS))
    host.checkpointer.release(taken[0])
    host.engine().sync(ACCOUNT)
    assert_in_step(host)


def test_stop_ends_a_run_with_what_was_read(host):
    """Committed, and its lease given back; another engine goes on at once."""
    engine = host.engine()

    class Stopper:
        def notify(self, event):
            if isinstance(event, BatchStored):
                engine.stop()

    engine = host.engine(observers=[Stopper()])
    report = engine.sync(ACCOUNT)
    later = engine.sync(ACCOUNT)

    assert StreamStatus.STOPPED in {one.status for one in report.streams}
    assert not report.completed
    assert report.counts.delivered == len(host.sink.actions) > 0
    assert {one.status for one in later.streams} == {StreamStatus.STOPPED}
    assert later.api_calls == {}
    assert host.engine().sync(ACCOUNT).completed
    assert_in_step(host)


@pytest.mark.parametrize(
    ("page", "status"), [(2, StreamStatus.STOPPED), (3, StreamStatus.COMPLETED)]
)
def test_a_stop_at_the_last_page_leaves_nothing_undone(page, status):
    """A pass whose end was read is complete; nobody has to read it again."""
    setting = Setting(
        [[record("1")], [record("2")], [record("3")]],
        before_page=lambda number: number == page and engine.stop(),
    )
    engine = setting.engine()

    (stream,) = engine.sync(scripted.ACCOUNT).streams

    assert stream.status is status
    assert stream.counts.delivered == page
    assert (setting.mark() is None) == (status is StreamStatus.STOPPED)


def test_two_threads_share_an_engine(host):
    """Each account's streams go to one of them."""
    engine = host.engine()
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(engine.sync(ACCOUNT))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {one.status for report in reports for one in report.streams} <= {
        StreamStatus.COMPLETED,
        StreamStatus.BUSY,
    }
    engine.sync(ACCOUNT)
    assert_in_step(host)


def test_a_missing_scope_stops_its_stream_only(host, emulator):
    """The report says which scope to grant."""
    emulator.faults.add(Fault(route="properties", object_type="companies", status=403, times=None))

    report = host.engine().sync(ACCOUNT)

    assert isinstance(stream(report, "companies").error, MissingScopeError)
    assert stream(report, "contacts").status is StreamStatus.COMPLETED
    assert report.error is None
    assert not report.completed


def test_an_unknown_object_type_stops_its_stream_only(host):
    """The others are synced."""
    account = evolve(
        ACCOUNT,
        streams=(StreamSettings(object_type="unicorns"), StreamSettings(object_type="companies")),
    )

    report = host.engine().sync(account)

    assert isinstance(stream(report, "unicorns").error, RequestRefusedError)
    assert stream(report, "companies").status is StreamStatus.COMPLETED


def test_refused_credentials_end_the_run(host):
    """Every stream would fail alike."""
    engine = host.engine()
    engine.store_credentials(ACCOUNT, StaticAccessToken(access_token="wrong"))

    report = engine.sync(ACCOUNT)

    assert isinstance(report.error, AuthorizationRevokedError)
    assert [one.status.value for one in report.streams] == ["failed", "not_started"]
    assert report.error.account == "acme/62515"
    with pytest.raises(AuthorizationRevokedError):
        report.raise_for_failure()


FOUR = Account(
    account_id=ACCOUNT.account_id,
    domain_id=ACCOUNT.domain_id,
    streams=[
        StreamSettings(object_type=name) for name in ("companies", "deals", "contacts", "tickets")
    ],
)


def test_streams_that_a_run_does_not_reach_are_in_its_report(host, emulator):
    """Of four, the third ends the run; the fourth is named, and the next run does it."""
    reached = []
    for object_type in ("deals", "tickets"):
        emulator.add_object_type(object_type)
        emulator.create(object_type, {})

    class Away:
        def write(self, actions):
            reached.append(actions[0].object_type)
            if reached[-1] == "contacts":
                raise StoreUnavailableError("the database is away")
            return host.sink.write(actions)

    report = host.engine(sink=Away()).sync(FOUR)

    assert {one.stream.object_type: one.status.value for one in report.streams} == {
        "companies": "completed",
        "deals": "completed",
        "contacts": "failed",
        "tickets": "not_started",
    }
    assert not report.completed
    assert isinstance(report.failure, StoreUnavailableError)
    last = report.as_dict()["streams"]["tickets"]
    assert (last["status"], last["read"], last["error"]) == ("not_started", 0, None)
    assert {one.report.status for one in host.recorder.of(StreamFinished)} <= {
        StreamStatus.COMPLETED,
        StreamStatus.FAILED,
    }
    assert host.engine().sync(FOUR).completed


def test_streams_behind_an_interrupted_one_are_in_the_report(host):
    """Which observers get, when there is nobody to return it to."""

    class Ends:
        def write(self, actions):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.engine(sink=Ends()).sync(FOUR)

    (told,) = host.recorder.of(RunFinished)
    assert [one.status.value for one in told.report.streams] == ["stopped"] + ["not_started"] * 3


def test_hubspot_being_away_ends_the_run(host, emulator):
    """And the next one goes on."""
    emulator.faults.add(Fault(route="list", status=503, times=None))

    report = host.engine().sync(ACCOUNT)

    assert isinstance(report.error, HubSpotUnavailableError)
    assert report.error.stream == "companies"
    emulator.faults.clear()
    assert host.engine().sync(ACCOUNT).completed


def test_credentials_of_another_account_are_found_out_before_anything_is_stored(host):
    """A customer who connected the wrong portal may not pour it into the right one's data."""
    other = Account(account_id="777", domain_id="acme")
    engine = host.engine()
    engine.store_credentials(other, StaticAccessToken(access_token=host.emulator.access_token))

    report = engine.sync(other)

    assert isinstance(report.error, WrongAccountError)
    assert "62515" in str(report.error)
    assert list(host.sink.actions) == []


def test_an_account_that_cannot_be_asked_who_it_is_is_synced_all_the_same(host, emulator):
    """A service key may lack the scope."""
    emulator.faults.add(Fault(route="account", status=403, times=None))

    assert host.engine().sync(ACCOUNT).completed


def test_no_credentials_are_raised(host):
    """Nothing was done that a report could tell."""
    with pytest.raises(NotConnectedError, match="no credentials"):
        host.engine().sync(Account(account_id="777"))


def test_two_domains_with_the_same_account_do_not_meet(host):
    """Each gets everything, under its own name."""
    other = evolve(ACCOUNT, domain_id="other")
    engine = host.engine()
    engine.store_credentials(other, StaticAccessToken(access_token=host.emulator.access_token))

    first, second = engine.sync(ACCOUNT), engine.sync(other)

    assert first.counts.delivered == second.counts.delivered == 570
    assert Counter(action.account.domain_id for action in host.sink.actions) == {
        "acme": 570,
        "other": 570,
    }


class Buggy:
    """A sink that gives or raises what a sink may not."""

    def __init__(self, outcome):
        self.outcome = outcome

    def write(self, actions):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def test_an_unforeseen_error_of_the_hosts_sink_is_in_the_report(host, caplog):
    """With the sink's name; the lease is given back, and nothing of the batch is committed."""
    bug = KeyError("jane@example.com")

    report = host.engine(sink=Buggy(bug)).sync(ACCOUNT)

    assert isinstance(report.error, InvariantError)
    assert report.error.__cause__ is bug
    assert "Buggy.write failed with KeyError (test_engine.py, line " in str(report.error)
    assert "jane" not in str(report.error)
    assert report.error.stream == "companies"
    assert "Traceback" in caplog.text
    assert_told_of_the_end(host, StreamStatus.FAILED)
    assert host.engine().sync(ACCOUNT).counts.delivered == 570
    assert_in_step(host)


@pytest.mark.parametrize("answer", [None, True, [], {"repeated": set()}], ids=repr)
def test_a_sink_that_gives_no_answer(host, answer):
    """The report names the sink and what it has to return; nothing is committed."""
    report = host.engine(sink=Buggy(answer)).sync(ACCOUNT)

    assert isinstance(report.error, InvariantError)
    expected = f"Buggy.write gave a {type(answer).__name__}; fix it so that it returns a SinkAnswer"
    assert expected in str(report.error)
    assert host.engine().sync(ACCOUNT).counts.delivered == 570


@pytest.mark.parametrize(
    "answer",
    [
        {"repeated": {"another"}},
        {"already_created": ["another"]},
        {"partly_repeated": {"another"}},
        {"refused": {"another": "no"}},
    ],
    ids=lambda answer: next(iter(answer)),
)
def test_a_sink_that_answers_about_something_else(host, answer):
    """It is not believed, since the counts would be wrong."""
    report = host.engine(sink=Buggy(SinkAnswer(**answer))).sync(ACCOUNT)

    assert isinstance(report.error, InvariantError)
    assert "Buggy.write answered about 1 actions that it was not given" in str(report.error)
    assert report.counts.repeated == report.counts.delivered == 0
    assert host.engine().sync(ACCOUNT).counts.delivered == 570


def test_what_ends_the_process_is_raised_when_the_end_was_told(host):
    """It is no failure of the sync, and leaves as it is."""
    with pytest.raises(KeyboardInterrupt):
        host.engine(sink=Buggy(KeyboardInterrupt())).sync(ACCOUNT)

    assert_told_of_the_end(host, StreamStatus.STOPPED)
    assert host.engine().sync(ACCOUNT).counts.delivered == 570


def test_an_unforeseen_error_of_a_store_is_in_the_report(host, caplog):
    """With the line that raised it."""

    class Forgetful(MemoryCheckpointer):
        def recall(self, stream, object_ids):
            raise LookupError("jane@example.com")

    report = host.engine(checkpointer=Forgetful()).sync(ACCOUNT)

    assert isinstance(report.error, InvariantError)
    assert "failed with LookupError (test_engine.py, line " in str(report.error)
    assert "Traceback" in caplog.text
    assert_told_of_the_end(host, StreamStatus.FAILED)


def test_an_unforeseen_error_before_the_run(host):
    """There is nothing to report, so it is raised, as ours."""

    def broken(account, **_):
        raise LookupError("geheim")

    with pytest.raises(InvariantError, match="opening the account failed with LookupErr") as caught:
        host.engine(open_source=broken).sync(ACCOUNT)

    assert isinstance(caught.value.__cause__, LookupError)
    assert "geheim" not in str(caught.value)


def assert_told_of_the_end(host, status):
    """One stream began, and observers know how it and the run ended."""
    kinds = [type(event) for event in host.recorder.events]
    assert kinds == [RunStarted, StreamStarted, StreamFinished, RunFinished]
    assert host.recorder.events[2].report.status is status
    assert not host.recorder.events[3].report.completed


def test_a_run_tells_its_observers_what_happens(host):
    """From the start to the end, in order, with counts that grow."""
    report = host.engine().sync(ACCOUNT)

    kinds = [type(event) for event in host.recorder.events]
    assert kinds[:2] == [RunStarted, StreamStarted]
    assert kinds[-2:] == [StreamFinished, RunFinished]
    assert host.recorder.events[-1].report == report
    contacts = [e.so_far.read for e in host.recorder.of(BatchStored) if e.stream == CONTACTS]
    assert contacts == sorted(contacts)
    assert contacts[-1] == 450


def test_the_engine_closes_what_was_opened_for_it_once(host):
    """And nothing else."""
    closed = []
    with host.engine(close=lambda: closed.append(1)) as engine:
        pass
    engine.close()

    assert closed == [1]


@pytest.mark.parametrize(
    "work",
    [
        lambda engine: engine.store_credentials(ACCOUNT, StaticAccessToken(access_token="another")),
        lambda engine: engine.sync(ACCOUNT),
        lambda engine: engine.sync_all(accounts=[ACCOUNT]),
        lambda engine: engine.run(),
        lambda engine: engine.claim_due(claim_for=timedelta(minutes=5), limit=1),
        lambda engine: engine.redrive(ACCOUNT),
        lambda engine: engine.reencrypt(),
    ],
)
def test_a_closed_engine_refuses_to_work(host, emulator, work):
    """A report that says "stopped" would hide from the host that nothing is ever done."""
    engine = host.engine()
    engine.close()

    with pytest.raises(ConfigurationError, match="the engine was closed; open another one"):
        work(engine)

    assert host.tokens.load(ACCOUNT.key).revision == 1
    assert len(emulator.calls) == 0


def test_connect_replaces_credentials(host):
    """The second time as the first."""
    engine = host.engine()
    for name in ("first", "second"):
        engine.store_credentials(ACCOUNT, StaticAccessToken(access_token=name))

    assert host.tokens.load(ACCOUNT.key).credentials == StaticAccessToken(access_token="second")


def test_a_resumed_run_goes_on_to_the_present(host, emulator):
    """What an earlier run left over comes first, then what changed since."""
    emulator.faults.add(Fault(route="list", object_type="contacts", status=404, skip=2))
    host.engine().sync(ACCOUNT)
    host.clock.advance(600)
    emulator.touch("contacts", object_ids=[next(iter(emulator.records("contacts")))])
    host.clock.advance(1)

    report = host.engine().sync(ACCOUNT)

    assert report.completed
    started = [e for e in host.recorder.of(StreamStarted) if e.stream == CONTACTS]
    assert [(event.mode, event.resumed) for event in started] == [
        (Mode.BACKFILL, False),
        (Mode.BACKFILL, True),
        (Mode.INCREMENTAL, False),
    ]
    assert_in_step(host)
