"""Many accounts at once: all that can be is synced, and nobody waits for somebody else's end."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import (
    Account,
    AccountKey,
    AccountStatus,
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotUnavailableError,
    InvariantError,
    LeaseHeldError,
    MissingScopeError,
    NotConnectedError,
    OAuthApp,
    OAuthAppError,
    RateLimitedError,
    StoreUnavailableError,
    StreamSettings,
    StreamStatus,
    SyncSettings,
)
from hubspot_sync.models import (
    AccountFinished,
    FleetFinished,
    FleetStarted,
    RunStarted,
    StreamKey,
)
from hubspot_sync.stores.memory import MemoryAccountStore, MemoryActionSink
from hubspot_sync.testing import Fault, ManualClock
from kit.fleets import FleetHost, endless

HOUR = timedelta(hours=1)
SHORT_TURNS = SyncSettings(turn=timedelta(milliseconds=50), batch_size=1)
CONTACTS_ONLY = {"streams": (StreamSettings(object_type="contacts"),)}


@pytest.fixture
def emulator(hubspot_emulator):
    return hubspot_emulator(account_id="1")


@pytest.fixture
def host(emulator):
    return FleetHost(emulator)


def add_many(host, domains, accounts, **settings):
    """*accounts* healthy accounts in each of *domains* domains; gives their keys."""
    keys = []
    for domain in range(domains):
        for number in range(accounts):
            key = AccountKey(f"domain-{domain}", f"{1000 + domain * 100 + number}")
            host.add(key.domain_id, key.account_id, **{"contacts": 12, "companies": 4, **settings})
            keys.append(key)
    return keys


def test_each_account_ends_with_its_own_result(host):
    """The healthy ones complete whatever happens to the others, each of which says why."""
    healthy = add_many(host, domains=4, accounts=4, contacts=60)
    revoked = host.add("domain-0", "2001")
    host.emulator.accounts["2001"].delete_account()
    host.add("domain-1", "2002", contacts=20, scopes=["crm.objects.companies.read"])
    away = host.add("domain-2", "2003", contacts=20)
    away.faults.add(Fault(route="list", status=503, times=None))
    host.add("domain-3", "2004", contacts=20, daily_limit=1)
    host.engine().domain("domain-3").add("2005")

    report = host.engine().sync_all(workers=4)

    assert {key.account_id: type(error) for key, error in report.failed.items()} == {
        "2001": AuthorizationRevokedError,
        "2002": MissingScopeError,
        "2003": HubSpotUnavailableError,
        "2004": RateLimitedError,
        "2005": NotConnectedError,
    }
    host.assert_in_step(*healthy)
    assert not report.completed
    assert report.ended == {
        StreamStatus.COMPLETED: 16,
        StreamStatus.STOPPED: 0,
        StreamStatus.BUSY: 0,
        StreamStatus.FAILED: 5,
    }
    assert report.counts.delivered == len(host.sink.actions) >= 16 * 64
    assert report.api_calls["list"] >= 32
    assert revoked.account_id == "2001"
    statuses = {
        entry.account.account_id: entry.status for entry in host.accounts.browse(None, limit=99)
    }
    assert {name for name, one in statuses.items() if one is not AccountStatus.ACTIVE} == {"2001"}
    assert statuses["2001"] is AccountStatus.NEEDS_REAUTHORIZATION
    assert all(host.entry(key).last_sync.completed for key in healthy)
    assert "no credentials" in host.entry(AccountKey("domain-3", "2005")).last_sync.error


def test_everybody_is_told_of_every_account(host):
    """Observers from several threads, the caller in its own, once for each account."""
    keys = add_many(host, domains=3, accounts=2)
    told, threads = [], set()

    def on_report(report):
        told.append(report.account)
        threads.add(threading.current_thread())

    report = host.engine().sync_all(workers=3, on_report=on_report)

    assert sorted(told) == keys
    assert threads == {threading.current_thread()}
    assert [one.account for one in report.accounts] == told
    (started,) = host.recorder.of(FleetStarted)
    assert started.workers == 3
    finished = host.recorder.of(AccountFinished)
    assert sorted(event.report.account for event in finished) == keys
    assert [event.report for event in host.recorder.of(FleetFinished)] == [report]


def test_domains_take_turns(host):
    """A tenant with many accounts does not keep the others waiting."""
    add_many(host, domains=1, accounts=6, contacts=0, companies=0)
    host.add("small", "7001")
    host.add("tiny", "7002")

    report = host.engine().sync_all(workers=1)

    order = [one.account.domain_id for one in report.accounts]
    assert order[:3] == ["domain-0", "small", "tiny"]
    assert order[3:] == ["domain-0"] * 5


def test_a_domain_syncs_its_own_accounts_only(host):
    """And only those that are active."""
    keys = add_many(host, domains=2, accounts=3)
    domain = host.engine().domain("domain-1")
    domain.pause(keys[-1].account_id)

    report = domain.sync_all(workers=2)

    assert {one.account for one in report.accounts} == set(keys[3:5])
    assert report.completed


def test_what_is_not_due_is_left(host):
    """After a sync an account is due one period later."""
    keys = add_many(host, domains=2, accounts=2)
    engine = host.engine()
    engine.domain("domain-0").sync(keys[0].account_id)

    first = engine.sync_due(workers=2)
    second = engine.sync_due(workers=2)

    assert sorted(one.account for one in first.accounts) == keys[1:]
    assert second.accounts == ()
    assert second.completed
    for key in keys:
        entry = host.entry(key)
        assert entry.next_sync_at == entry.last_sync.started_at + entry.account.sync_every


def test_what_is_due_is_claimed_for_workers_of_the_hosts_own(host):
    """Each once, domains in turn, and only what is taken; a claim runs out by itself."""
    host.clock = ManualClock()
    keys = add_many(host, domains=2, accounts=3)
    engine, other = host.engine(), host.engine()

    claims = engine.claim_due(claim_for=HOUR, limit=4)
    mine = [next(claims).key, next(claims).key]
    others = [entry.key for entry in other.claim_due(claim_for=HOUR, limit=3)]
    rest = [entry.key for entry in claims]

    assert mine == [keys[0], keys[3]]
    assert len(rest) == 1
    assert sorted([*mine, *others, *rest]) == keys
    assert {host.entry(key).next_sync_at for key in keys} == {host.clock.now() + HOUR}
    host.clock.advance(3599)
    assert list(engine.claim_due(claim_for=HOUR, limit=9)) == []
    host.clock.advance(1)
    assert len(list(engine.claim_due(claim_for=HOUR, limit=9, domain_id="domain-1"))) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"claim_for": timedelta(0)}, "claim_for is 0:00:00; it has to be above zero"),
        ({"claim_for": 900}, "claim_for is 900; give a timedelta"),
        ({"limit": -1}, "limit is -1; give a whole number from 1 on"),
        ({"limit": True}, "limit is True; give a whole number from 1 on"),
    ],
)
def test_a_claim_needs_an_end_and_a_number(host, wrong, said):
    """A wrong argument is refused when it is given, not when the first account is taken."""
    with pytest.raises(ConfigurationError, match=said):
        host.engine().claim_due(**{"claim_for": HOUR, "limit": 1, **wrong})


# Fairness.


def fairness_host(host, large, small):
    """Endless accounts, listed before the others, that end when all others have."""
    ended = threading.Event()
    names = [str(100 + number) for number in range(large)]
    for name in names:
        host.add("a-large-domain", name, entry=CONTACTS_ONLY)
    for number in range(small):
        host.add(f"small-{number % 3}", str(900 + number), contacts=5)
    left = set(range(small))

    def on_report(report):
        if report.account.account_id not in names:
            left.pop()
            if not left:
                ended.set()

    engine = host.engine(open_source=endless(host, ended, *names), settings=SHORT_TURNS)
    return engine, names, on_report


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_no_small_account_waits_for_the_end_of_a_large_one(host, workers):
    """As many large ones as workers, and they end only when all small ones have."""
    engine, names, on_report = fairness_host(host, large=workers, small=9)

    report = engine.sync_all(workers=workers, on_report=on_report)

    assert report.completed
    assert {one.account.account_id for one in report.accounts[-workers:]} == set(names)
    large = report.accounts[-1]
    turns = [one for one in host.recorder.of(RunStarted) if one.account.account_id in names]
    assert len(turns) > workers  # one at least was put down, and taken up again
    told = [one.object_id for one in host.sink.actions if one.account == large.account]
    assert len(told) == len(set(told)) == large.counts.delivered
    assert large.streams[0].counts.read == large.counts.read


def test_large_accounts_go_on_beside_small_ones(host):
    """Half of the workers are theirs, also while others wait all the time."""
    engine, names, on_report = fairness_host(host, large=2, small=30)

    engine.sync_all(workers=2, on_report=on_report)

    runs = [event.account.account_id for event in host.recorder.of(RunStarted)]
    last_small = max(place for place, name in enumerate(runs) if name not in names)
    assert len([name for name in runs[:last_small] if name in names]) > 2


def test_alone_an_account_is_not_interrupted(host):
    """Turns are for those who wait."""
    ended = threading.Event()
    host.add("acme", "100", entry=CONTACTS_ONLY)
    threading.Timer(0.3, ended.set).start()

    engine = host.engine(open_source=endless(host, ended, "100"), settings=SHORT_TURNS)
    report = engine.sync_all(workers=2)

    assert report.completed
    assert len(host.recorder.of(RunStarted)) == 1


def test_a_turn_too_short_for_one_page_is_followed_by_a_longer_one(host):
    """Nobody comes to nothing for ever."""
    _, names, _ = fairness_host(host, large=2, small=1)
    slow = endless(host, threading.Event(), *names, first_page=0.4, most=3)

    report = host.engine(open_source=slow, settings=SHORT_TURNS).sync_all(workers=1)

    assert report.completed
    assert report.counts.delivered == 2 * 3 + 5


def test_an_account_that_is_paused_between_two_turns_has_had_its_last_one(host):
    """What it did is reported, and it is stopped where it was."""
    engine, names, _ = fairness_host(host, large=2, small=3)
    domain = engine.domain("a-large-domain")

    def on_report(report):
        for name in names:
            domain.pause(name, reason="too large")

    report = engine.sync_all(workers=1, on_report=on_report)

    large = [one for one in report.accounts if one.account.account_id in names]
    assert report.ended[StreamStatus.STOPPED] == len(large) >= 1
    assert all(host.entry(one.account).status is AccountStatus.PAUSED for one in large)


# Failures that concern more than one account.


def test_wrong_client_credentials_end_it_all(host):
    """Once, clearly; no account is blamed, and all are due as they were."""
    host.oauth_app = OAuthApp(client_id=host.emulator.client_id, client_secret="wrong")
    keys = add_many(host, domains=2, accounts=3, oauth=True)

    with pytest.raises(OAuthAppError, match="check the client id and the client secret"):
        host.engine().sync_due(workers=2)

    now = host.clock.now()
    for key in keys:
        entry = host.entry(key)
        assert entry.status is AccountStatus.ACTIVE
        assert entry.failed_runs == 0
        # One that ran beside the unlucky one was stopped, which is nobody's fault.
        assert entry.last_sync is None or entry.last_sync.error is None
        assert entry.next_sync_at <= now


def test_one_revoked_app_is_one_accounts_matter(host):
    """The others go on with their own tokens."""
    host.oauth_app = OAuthApp(
        client_id=host.emulator.client_id, client_secret=host.emulator.client_secret
    )
    keys = add_many(host, domains=2, accounts=2, oauth=True)
    host.emulator.accounts[keys[0].account_id].revoke_access()

    report = host.engine().sync_all(workers=2)

    assert {key: type(error) for key, error in report.failed.items()} == {
        keys[0]: AuthorizationRevokedError
    }
    assert host.entry(keys[0]).status is AccountStatus.NEEDS_REAUTHORIZATION
    host.assert_in_step(*keys[1:])


def test_an_account_that_somebody_else_syncs_is_busy_and_unchanged(host):
    """It is no failure."""
    (key,) = add_many(host, domains=1, accounts=1)
    for object_type in ("companies", "contacts"):
        host.checkpointer.acquire(StreamKey(key, object_type), "somebody else", HOUR)
    before = host.entry(key)

    report = host.engine().sync_all()

    assert report.ended[StreamStatus.BUSY] == 1
    assert report.failed == {}
    assert not report.completed
    assert isinstance(report.accounts[0].failure, LeaseHeldError)
    assert host.entry(key) == before
    report.raise_for_failure()


class Unforeseen(MemoryActionSink):
    """A sink with a bug that shows with one account."""

    def write(self, actions):
        if actions[0].account.account_id == "1001":
            raise KeyError("e-mail")
        return super().write(actions)


def test_a_bug_that_shows_with_one_account_touches_no_other(host, caplog):
    """The log has the traceback; the report says which account."""
    keys = add_many(host, domains=1, accounts=3)

    report = host.engine(sink=Unforeseen()).sync_all(workers=2)

    ((key, error),) = report.failed.items()
    assert key == keys[1]
    assert isinstance(error, InvariantError)
    assert "KeyError" in str(error)
    assert "Traceback" in caplog.text
    assert host.entry(key).failed_runs == 1
    assert report.ended[StreamStatus.COMPLETED] == 2


def test_a_directory_that_is_away_is_an_error(host):
    """What was going on is put down in good order first."""

    class Away(MemoryAccountStore):
        def browse(self, *args, **kwargs):
            raise StoreUnavailableError("the database is away")

    add_many(host, domains=1, accounts=1)
    away = Away()
    away.save(evolve(host.accounts.browse(None, limit=1)[0], revision=0))

    with pytest.raises(StoreUnavailableError, match="away"):
        host.engine(accounts=away).sync_all("domain-0")


# Ending it.


def test_stopping_leaves_the_rest_for_the_next_one(host):
    """What was claimed and not begun is due at once, what was begun goes on where it was."""
    keys = add_many(host, domains=3, accounts=4)
    engine = host.engine()

    report = engine.sync_due(workers=2, on_report=lambda report: engine.stop())

    assert report.stopped
    assert not report.completed
    done = {one.account for one in report.accounts if one.completed}
    assert 1 <= len(done) <= 4
    rest = host.engine().sync_due(workers=4)
    assert rest.completed
    assert {one.account for one in rest.accounts} == set(keys) - done
    host.assert_in_step(*keys)


def test_an_error_of_the_callback_ends_it(host):
    """It is raised when all has been put down."""
    keys = add_many(host, domains=3, accounts=4)

    def on_report(report):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        host.engine().sync_due(workers=2, on_report=on_report)

    assert not any(thread.name.startswith("hubspot-sync") for thread in threading.enumerate())
    rest = host.engine().sync_due(workers=4)
    assert len(rest.accounts) >= 8
    host.assert_in_step(*keys)


class Quitting:
    """Ends the process from a sink or an observer, at the first of an account's actions."""

    def __init__(self, host, key, error):
        self.host, self.key, self.error = host, key, error
        self.claimed = None

    def write(self, actions):
        if any(one.account == self.key for one in actions):
            self._quit()
        return self.host.sink.write(actions)

    def notify(self, event):
        if isinstance(event, RunStarted) and event.account == self.key:
            self._quit()

    def _quit(self):
        self.claimed = self.host.entry(self.key).next_sync_at
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)], ids=["Ctrl-C", "exit"])
@pytest.mark.parametrize("part", ["sink", "observers"])
def test_what_ends_the_process_leaves_no_claim(host, part, error):
    """It is raised as it is, and every account is due for whoever comes next."""
    keys = add_many(host, domains=2, accounts=4)
    quitting = Quitting(host, keys[2], error)
    parts = {part: [host.recorder, quitting] if part == "observers" else quitting}

    with pytest.raises(type(error)) as caught:
        host.engine(**parts).sync_due(workers=2)

    assert caught.value is error
    now = host.clock.now()
    assert quitting.claimed > now
    assert host.entry(keys[2]).next_sync_at <= now
    assert not any(thread.name.startswith("hubspot-sync") for thread in threading.enumerate())
    done = {one.report.account for one in host.recorder.of(AccountFinished) if one.report.completed}
    rest = host.engine().sync_due(workers=4)
    assert rest.completed
    assert {one.account for one in rest.accounts} == set(keys) - done
    host.assert_in_step(*keys)


def test_a_stopped_engine_begins_nothing(host):
    """And says so."""
    add_many(host, domains=1, accounts=2)
    engine = host.engine()
    engine.stop()

    report = engine.sync_all()

    assert (report.accounts, report.stopped) == ((), True)
    assert host.sink.actions == ()


# What is asked for.


def test_accounts_can_be_given(host):
    """For hosts that have a list of their own; one that is given twice is synced once."""
    keys = add_many(host, domains=1, accounts=3)
    accounts = [Account(account_id=key.account_id, domain_id=key.domain_id) for key in keys[:2]]

    report = host.engine(accounts=None).sync_all(accounts=[*accounts, accounts[0]])

    assert sorted(one.account for one in report.accounts) == keys[:2]
    host.assert_in_step(*keys[:2])


def test_accounts_that_are_given_have_their_entries_kept(host):
    """As with `sync`."""
    (key,) = add_many(host, domains=1, accounts=1)
    account = Account(account_id=key.account_id, domain_id=key.domain_id)

    host.engine().sync_all(accounts=[account])

    assert host.entry(key).last_sync.completed


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"accounts": [], "domain_id": "acme"}, "either accounts"),
        ({"workers": 0}, "workers is 0; give a whole number from 1 on"),
        ({"domain_id": ""}, "domain_id"),
        ({"domain_id": {"$gt": ""}}, "domain_id"),
    ],
)
def test_what_does_not_fit_together_is_refused(host, wrong, what):
    """Before anything is done."""
    with pytest.raises(ConfigurationError, match=what):
        host.engine().sync_all(**wrong)


@pytest.mark.parametrize("method", ["sync_all", "run"])
def test_without_an_account_store_there_is_nothing_to_choose_from(host, method):
    """The error says what to give."""
    with pytest.raises(ConfigurationError, match="accounts="):
        getattr(host.engine(accounts=None), method)()


def test_a_report_says_all(host):
    """As JSON, and as an exception that names the others."""
    keys = add_many(host, domains=2, accounts=2)
    for key in keys[1:]:
        host.emulator.accounts[key.account_id].faults.add(
            Fault(route="list", status=404, times=None)
        )

    report = host.engine().sync_all(workers=1)

    as_dict = report.as_dict()
    assert as_dict["ended"] == {"completed": 1, "stopped": 0, "busy": 0, "failed": 3}
    assert as_dict["read"] == as_dict["delivered"] == 16
    assert as_dict["api_calls"]["total"] == sum(report.api_calls.values())
    assert [one["account_id"] for one in as_dict["accounts"]] == [
        one.account.account_id for one in report.accounts
    ]
    with pytest.raises(type(report.accounts[1].failure)) as raised:
        report.raise_for_failure()
    assert raised.value is next(iter(report.failed.values()))
    assert len(raised.value.__notes__) == 2
    assert all("failed too" in note for note in raised.value.__notes__)


def test_the_token_endpoint_is_asked_within_its_limit(hubspot_emulator):
    """All accounts of an app share it, and begin with access tokens to be refreshed at once."""
    clock = ManualClock()  # on a machine under load calls may reach a server in a heap
    host = FleetHost(hubspot_emulator(account_id="1", token_limit=10, clock=clock), clock)
    host.oauth_app = OAuthApp(
        client_id=host.emulator.client_id, client_secret=host.emulator.client_secret
    )
    keys = add_many(host, domains=3, accounts=8, oauth=True, contacts=1, companies=1)

    report = host.engine().sync_all(workers=12)

    assert report.completed
    asked = [call.status for call in host.emulator.all_calls if call.route == "oauth"]
    assert asked == [200] * len(keys)
