"""What a run leaves in an account's entry, and when the account is due again."""

from datetime import datetime, timedelta, timezone

import pytest
from attrs import evolve

from hubspot_sync import (
    Account,
    AccountEntry,
    AccountStatus,
    AuthorizationRevokedError,
    HubSpotUnavailableError,
    LeaseHeldError,
    LeaseLostError,
    MissingScopeError,
    RateLimitedError,
    StreamReport,
    StreamStatus,
    SyncEngine,
    SyncReport,
    WrongAccountError,
)
from hubspot_sync._engine.account.entry import noted
from hubspot_sync.models import Counts, Mode, StreamKey, StreamSummary
from hubspot_sync.stores.memory import MemoryAccountStore, MemoryStores
from hubspot_sync.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
ACCOUNT = Account(account_id="62515", domain_id="acme", sync_every=15 * MINUTE)
ENTRY = AccountEntry(account=ACCOUNT, status_since=NOON - MINUTE, next_sync_at=NOON)
AWAY = HubSpotUnavailableError("HubSpot is away")
ERRORS = {
    "another worker has it": LeaseHeldError("taken", owner="x"),
    "another worker took it over": LeaseLostError("lost"),
}


def stream(object_type, error=None, status=None):
    status = status or (StreamStatus.FAILED if error else StreamStatus.COMPLETED)
    return StreamReport(
        stream=StreamKey(ACCOUNT.key, object_type),
        status=status,
        mode=Mode.INCREMENTAL,
        counts=Counts(delivered=3),
        duration=MINUTE,
        error=error,
    )


def report(*streams, error=None):
    streams = streams or (stream("companies"), stream("contacts"))
    return SyncReport(account=ACCOUNT.key, streams=streams, duration=MINUTE, error=error)


def after(entry, report, chance=0.0, claimed_until=None):
    """The entry after a run from noon until a minute later."""
    return noted(
        entry,
        report,
        started_at=NOON,
        finished_at=NOON + MINUTE,
        claimed_until=claimed_until,
        chance=chance,
    )


def directory_of(store, clock):
    """What keeps the entries of *store* up to date."""
    return SyncEngine(MemoryStores(), accounts=store, clock=clock)._operations.directory()


def test_a_run_that_completes():
    """The next one is due one period after this one began."""
    entry = after(evolve(ENTRY, failed_runs=3), report())

    assert entry.last_sync.completed
    assert (entry.last_sync.started_at, entry.last_sync.finished_at) == (NOON, NOON + MINUTE)
    assert entry.failed_runs == 0
    assert entry.next_sync_at == NOON + 15 * MINUTE
    assert entry.status is AccountStatus.ACTIVE
    assert entry.streams["contacts"] == StreamSummary(
        status=StreamStatus.COMPLETED,
        mode=Mode.INCREMENTAL,
        counts=Counts(delivered=3),
        finished_at=NOON + MINUTE,
        completed_at=NOON + MINUTE,
    )


def test_what_passes_by_itself_is_tried_again_soon_and_then_ever_later():
    """From one minute to an hour, or the account's own period where that is longer."""
    entry, waits = ENTRY, []
    for _ in range(8):
        entry = after(entry, report(stream("companies", AWAY), error=AWAY))
        waits.append((entry.next_sync_at - NOON - MINUTE) / MINUTE)

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert entry.failed_runs == 8
    assert entry.last_sync.error == str(AWAY)
    assert not entry.last_sync.completed
    assert entry.status is AccountStatus.ACTIVE


def test_a_failed_run_of_a_rare_account_waits_at_most_its_period():
    """A thousand failures in a row do no harm either."""
    rare = evolve(ACCOUNT, sync_every=timedelta(days=1))
    entry = evolve(ENTRY, account=rare, failed_runs=1_000)

    entry = after(entry, report(stream("companies", AWAY), error=AWAY))

    assert entry.next_sync_at == NOON + MINUTE + timedelta(days=1)


def test_waits_are_spread_by_chance():
    """Accounts that failed together do not come back together."""
    entry = after(ENTRY, report(stream("companies", AWAY), error=AWAY), chance=0.5)

    assert entry.next_sync_at == NOON + MINUTE + 0.75 * MINUTE


def test_the_wait_that_hubspot_asks_for_counts():
    """The daily limit says when it is full again."""
    error = RateLimitedError("no calls left", retry_after=timedelta(hours=7))

    entry = after(ENTRY, report(stream("companies", error), error=error))

    assert entry.next_sync_at == NOON + MINUTE + timedelta(hours=7)


@pytest.mark.parametrize("kind", [AuthorizationRevokedError, WrongAccountError])
def test_credentials_that_do_not_open_the_account(kind):
    """It waits for its owner; a run that HubSpot lets in makes it active again."""
    error = kind("not accepted")

    shut = after(ENTRY, report(stream("companies", error), error=error))

    assert shut.status is AccountStatus.NEEDS_REAUTHORIZATION
    assert shut.reason == "not accepted"
    assert shut.status_since == NOON + MINUTE
    assert shut.next_sync_at is None
    opened = after(evolve(shut, status_since=NOON), report())
    assert opened.status is AccountStatus.ACTIVE
    assert opened.reason is None
    assert opened.next_sync_at == NOON + 15 * MINUTE


@pytest.mark.parametrize("status", [AccountStatus.PAUSED, AccountStatus.DISABLED])
def test_what_the_host_decided_stays(status):
    """A paused account is never due, however its run went."""
    error = AuthorizationRevokedError("not accepted")
    paused = evolve(ENTRY, status=status, reason="trial over", next_sync_at=None)

    for run in (report(), report(stream("companies", error), error=error)):
        entry = after(paused, run)
        assert (entry.status, entry.reason, entry.next_sync_at) == (status, "trial over", None)
        assert entry.last_sync.finished_at == NOON + MINUTE


def test_a_run_that_began_before_the_account_was_connected_again_does_not_shut_it():
    """It had the old credentials."""
    error = AuthorizationRevokedError("not accepted")
    connected = evolve(ENTRY, status_since=NOON + MINUTE / 2, next_sync_at=NOON + MINUTE / 2)

    entry = after(connected, report(stream("companies", error), error=error))

    assert entry.status is AccountStatus.ACTIVE
    assert entry.next_sync_at == NOON + MINUTE / 2


def test_a_missing_scope_is_no_reason_to_hurry():
    """The other streams go on as usual, and what completed once is remembered."""
    before = after(ENTRY, report())
    error = MissingScopeError("grant it")

    entry = after(before, report(stream("companies", error), stream("contacts")))

    assert entry.next_sync_at == NOON + 15 * MINUTE
    assert entry.failed_runs == 1
    assert entry.last_sync.error == "grant it"
    assert entry.streams["companies"].error == "grant it"
    assert entry.streams["companies"].completed_at == NOON + MINUTE
    assert entry.status is AccountStatus.ACTIVE


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_run_that_another_worker_does(error):
    """That one writes down how it went."""
    streams = [stream(name, error, StreamStatus.BUSY) for name in ("companies", "contacts")]

    assert after(ENTRY, report(*streams)) == ENTRY


def test_a_run_of_which_another_worker_does_a_part():
    """What was done here is written down, and it counts neither as failed nor as complete."""
    busy = stream("contacts", LeaseHeldError("taken", owner="x"), StreamStatus.BUSY)

    entry = after(evolve(ENTRY, failed_runs=2), report(stream("companies"), busy))

    assert set(entry.streams) == {"companies"}
    assert entry.failed_runs == 2
    assert (entry.last_sync.completed, entry.last_sync.error) == (False, None)
    assert entry.next_sync_at == NOON + 15 * MINUTE


def test_a_stopped_run_is_due_at_once():
    """What is left is left for whoever comes next."""
    entry = after(ENTRY, report(stream("companies", status=StreamStatus.STOPPED)))

    assert entry.next_sync_at == NOON + MINUTE
    assert entry.failed_runs == 0


def test_a_run_that_somebody_asked_for_meanwhile_stays_due():
    """A host that chose other streams during a run gets one with those."""
    entry = after(evolve(ENTRY, next_sync_at=NOON + MINUTE / 2), report())

    assert entry.next_sync_at == NOON + MINUTE / 2


def test_a_claim_that_ends_during_the_run_asks_for_nothing():
    """Whichever store kept it: some keep milliseconds."""
    until = NOON + MINUTE / 2 + timedelta(microseconds=789)
    stored = until - timedelta(microseconds=789)

    entry = after(evolve(ENTRY, next_sync_at=stored), report(), claimed_until=until)

    assert entry.next_sync_at == NOON + 15 * MINUTE


def test_an_account_that_was_connected_again_meanwhile_is_not_shut():
    """It was active all the time; the run had the old credentials."""
    error = AuthorizationRevokedError("not accepted")
    connected = evolve(ENTRY, next_sync_at=NOON + MINUTE / 2)

    entry = after(connected, report(stream("companies", error), error=error))

    assert (entry.status, entry.next_sync_at) == (AccountStatus.ACTIVE, NOON + MINUTE / 2)


@pytest.mark.parametrize(("period", "claimed"), [(5, 5), (15, 15), (60 * 24, 15)])
def test_a_claim_lasts_one_period_and_not_too_long(period, claimed):
    """A process that dies must not keep a daily account from others for a day."""
    clock = ManualClock()
    store = MemoryAccountStore()
    account = evolve(ACCOUNT, sync_every=period * MINUTE)
    entry = store.save(evolve(ENTRY, account=account))
    directory = directory_of(store, clock)

    mine = directory.claim(entry)

    assert mine == store.load(account.key)
    assert mine.next_sync_at == clock.now() + claimed * MINUTE
    assert directory.claim(entry) is None


def test_streams_that_the_account_has_no_more_are_forgotten():
    """Whether they are in the entry or in the report."""
    contacts_only = evolve(ACCOUNT, streams=ACCOUNT.streams[1:])
    before = evolve(after(ENTRY, report()), account=contacts_only)

    assert set(before.streams) == {"companies", "contacts"}
    assert set(after(before, report()).streams) == {"contacts"}


YEARS = timedelta(days=3653)


def noted_with(entry, report, started_at, finished_at):
    return noted(entry, report, started_at=started_at, finished_at=finished_at, chance=0.0)


@pytest.mark.parametrize("error", [None, AWAY])
def test_a_clock_that_was_put_right_during_a_run(error):
    """The account is due after its period, or its wait, and not in ten years."""
    entry = noted_with(ENTRY, report(stream("companies", error)), NOON + YEARS, NOON)

    assert entry.next_sync_at == NOON + (MINUTE if error else ACCOUNT.sync_every)
    assert entry.last_sync.started_at <= entry.last_sync.finished_at


def test_an_entry_of_a_clock_that_was_ahead_is_due_and_heals():
    """Whatever it is that was decided in the future."""
    ahead = noted_with(ENTRY, report(), NOON + YEARS, NOON + YEARS + MINUTE)
    assert ahead.next_sync_at > NOON + YEARS
    assert ahead.is_due(NOON)

    healed = noted_with(ahead, report(), NOON, NOON + MINUTE)

    assert healed.next_sync_at == NOON + ACCOUNT.sync_every
    assert not healed.is_due(NOON + MINUTE)


def test_a_status_since_the_future_keeps_nothing():
    """It was decided before this run, by a wrong clock."""
    entry = evolve(ENTRY, status_since=NOON + YEARS)
    revoked = AuthorizationRevokedError("not accepted")

    entry = after(entry, report(stream("companies", revoked), error=revoked))

    assert entry.status is AccountStatus.NEEDS_REAUTHORIZATION


@pytest.mark.parametrize("days", [1, 2, 365])
def test_a_long_wait_that_was_asked_for_is_kept(days):
    """HubSpot, or the host, may ask for more than a day; not so who asked in the future."""
    error = RateLimitedError("no calls left", retry_after=timedelta(days=days))

    entry = after(ENTRY, report(stream("companies", error), error=error))

    assert (entry.postponed_at is None) == (days == 1)
    assert not entry.is_due(NOON + MINUTE)
    assert not entry.is_due(entry.next_sync_at - MINUTE)
    assert entry.is_due(entry.next_sync_at)
    if days > 1:
        assert entry.is_due(NOON - MINUTE), "before it was asked for"


def test_a_claim_of_a_clock_that_is_ahead_is_none():
    """The process died with it, and somebody put the clock right."""
    clock, store = ManualClock(NOON), MemoryAccountStore()
    directory = directory_of(store, clock)
    entry = store.save(ENTRY)
    clock.set(NOON + YEARS)
    assert directory.claim(entry, timedelta(days=30)) is not None

    clock.set(NOON)

    (due,) = store.due(NOON, limit=10)
    claimed = directory.claim(due)
    assert claimed.next_sync_at == NOON + ACCOUNT.sync_every
    assert list(store.due(NOON, limit=10)) == []


def test_a_stream_that_was_not_reached():
    """The entry says so, and still knows when the stream last was complete."""
    before = after(ENTRY, report())
    entry = after(
        before,
        report(
            stream("companies", AWAY),
            stream("contacts", status=StreamStatus.NOT_STARTED),
            error=AWAY,
        ),
    )

    assert entry.streams["contacts"].status is StreamStatus.NOT_STARTED
    assert entry.streams["contacts"].completed_at == NOON + MINUTE
    assert entry.failed_runs == 1
    assert entry.next_sync_at > NOON + MINUTE
