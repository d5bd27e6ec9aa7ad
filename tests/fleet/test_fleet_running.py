"""`engine.run`: what is due is synced, again and again, by one process or several."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hubspot_sync import (
    AccountKey,
    ConfigurationError,
    EncryptionKeys,
    HubSpotSettings,
    HubSpotSyncError,
    OAuthApp,
    OAuthAppError,
    StaticAccessToken,
    StoreUnavailableError,
    StreamSettings,
    SyncSettings,
    mongodb_engine,
)
from hubspot_sync._clock import SystemClock
from hubspot_sync.models import AccountFinished, Retried, RunStarted
from hubspot_sync.stores.memory import MemoryAccountStore
from hubspot_sync.testing import HubSpotEmulator
from kit.fleets import FleetHost, endless

CLOCK = SystemClock()
SOON = timedelta(milliseconds=20)
PERIOD = timedelta(milliseconds=300)
HOUR = timedelta(hours=1)


@pytest.fixture
def host(hubspot_emulator):
    return FleetHost(hubspot_emulator(account_id="1"))


@contextmanager
def running(engine, **how):
    """The engine at work in a thread; stopped, and looked after, at the end."""
    failures = []

    def run():
        try:
            engine.run(**{"workers": 2, "poll_every": SOON, **how})
        except HubSpotSyncError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield failures
    finally:
        engine.stop()
        thread.join(300)
        assert not thread.is_alive()


def until(condition, seconds=300):
    """Wait for what another thread does."""
    end = CLOCK.monotonic() + seconds
    while not condition():
        assert CLOCK.monotonic() < end, "it did not happen"
        CLOCK.sleep(0.01)


def runs(host, key):
    """How many runs of an account have begun."""
    return len([event for event in host.recorder.of(RunStarted) if event.account == key])


def test_what_is_due_is_synced_once_a_period(host):
    """Also accounts that are added meanwhile; those that are paused are left."""
    often, rarely, paused, late = (AccountKey("acme", str(number)) for number in range(100, 104))
    host.add("acme", "100", contacts=5, entry={"sync_every": PERIOD})
    host.add("acme", "101", contacts=5, entry={"sync_every": HOUR})
    host.add("acme", "102", contacts=5)
    acme = host.engine().for_domain("acme")
    acme.pause("102")
    begun = CLOCK.monotonic()

    with running(host.engine()):
        until(lambda: runs(host, often) >= 3)
        host.add("acme", "103", contacts=5, entry={"sync_every": HOUR})
        until(lambda: host.entry(late).last_sync)
        lasted = CLOCK.monotonic() - begun

    assert runs(host, often) <= lasted / PERIOD.total_seconds() + 1
    assert (runs(host, rarely), runs(host, paused)) == (1, 0)
    assert host.entry(late).last_sync.completed
    host.assert_in_step(often, rarely, late)
    assert len(host.recorder.of(AccountFinished)) == sum(
        runs(host, key) for key in (often, rarely, late)
    )


def test_stopping_wakes_it_up(host):
    """However rarely it looks."""
    host.add("acme", "100", contacts=5)
    engine = host.engine()

    with running(engine, poll_every=HOUR):
        until(lambda: host.recorder.of(AccountFinished))


def test_stopping_gives_back_what_was_begun(host):
    """The account is due at once, for whoever comes next."""
    ended = threading.Event()
    key = AccountKey("acme", "100")
    host.add("acme", "100", entry={"streams": (StreamSettings(object_type="contacts"),)})
    engine = host.engine(open_source=endless(host, ended, "100"))

    with running(engine):
        until(lambda: host.sink.actions)

    entry = host.entry(key)
    assert entry.next_sync_at == entry.last_sync.finished_at
    assert entry.failed_runs == 0
    (report,) = (event.report for event in host.recorder.of(AccountFinished))
    assert report.failure is None
    assert not report.completed


def test_an_account_that_takes_longer_than_its_period_is_begun_once(host):
    """Even though it comes up as due again while it waits for its next turn."""
    ended = threading.Event()
    streams = (StreamSettings(object_type="contacts"),)
    for name in ("100", "101"):
        host.add("acme", name, entry={"streams": streams, "sync_every": SOON})
    settings = SyncSettings(turn=timedelta(milliseconds=30), batch_size=1)
    engine = host.engine(open_source=endless(host, ended, "100", "101"), settings=settings)

    with running(engine, workers=1):
        until(lambda: len(host.recorder.of(RunStarted)) >= 12)

    assert len(host.recorder.of(AccountFinished)) == 2
    told = Counter((one.account, one.object_id) for one in host.sink.actions)
    assert set(told.values()) == {1}


def test_what_is_asked_for_during_a_run_comes_after_it(host):
    """An account that gets other streams meanwhile is found to be due, and under way."""
    ended, key = threading.Event(), AccountKey("acme", "100")
    contacts, companies = (StreamSettings(object_type=name) for name in ("contacts", "companies"))
    host.add("acme", "100", entry={"streams": (contacts,), "sync_every": HOUR})
    engine = host.engine(open_source=endless(host, ended, "100", most=10_000))

    with running(engine):
        until(lambda: host.sink.actions)
        engine.for_domain("acme").configure("100", streams=(contacts, companies))
        until(lambda: host.entry(key).next_sync_at > host.clock.now())  # claimed once more
        ended.set()
        until(lambda: runs(host, key) == 2, 10)
        until(lambda: "companies" in host.entry(key).streams)

    assert runs(host, key) == 2


def test_an_account_store_that_is_away_is_waited_for(host, caplog):
    """However long that takes."""

    class Away(MemoryAccountStore):
        away = True

        def due(self, *args, **kwargs):
            if self.away:
                raise StoreUnavailableError("the database is away")
            return super().due(*args, **kwargs)

    host.accounts = store = Away()
    host.add("acme", "100", contacts=5)
    settings = SyncSettings(store_tries=1)

    with running(host.engine(settings=settings)) as failures:
        until(lambda: caplog.text.count("not known what is due") >= 3)
        assert failures == []
        store.away = False
        until(lambda: host.recorder.of(AccountFinished))

    assert host.recorder.of(Retried) == []
    host.assert_in_step(AccountKey("acme", "100"))


def test_a_store_without_accounts_is_told_of_once(host, caplog):
    """And what comes later is synced all the same."""
    with running(host.engine()):
        until(lambda: "the account store has no accounts" in caplog.text)
        host.add("acme", "100", contacts=5)
        until(lambda: host.recorder.of(AccountFinished))

    assert caplog.text.count("the account store has no accounts") == 1


def test_an_app_that_hubspot_does_not_accept_ends_it(host):
    """Waiting would not help."""
    host.oauth_app = OAuthApp(client_id=host.emulator.client_id, client_secret="wrong")
    host.add("acme", "100", contacts=5, oauth=True)

    with running(host.engine()) as failures:
        until(lambda: failures)

    assert isinstance(failures[0], OAuthAppError)


@pytest.mark.parametrize(
    "wrong", [{"poll_every": timedelta(0)}, {"poll_every": 10}, {"workers": 0}, {"workers": "8"}]
)
def test_what_would_never_wait_or_work_is_refused(host, wrong):
    """Before anything is done."""
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        host.engine().run(**wrong)


ACCOUNTS = [AccountKey(f"domain-{number % 4}", str(100 + number)) for number in range(12)]


@pytest.fixture
def fleet(mongodb_uri):
    """Twelve accounts of four domains in MongoDB, due every second."""
    key = EncryptionKeys.generate_key()
    with HubSpotEmulator(account_id="1") as emulator:
        settings = HubSpotSettings(base_url=emulator.base_url)
        with mongodb_engine(mongodb_uri, cipher=EncryptionKeys(key), hubspot=settings) as engine:
            for account in ACCOUNTS:
                emulated = emulator.add_account(account.account_id, contacts=20, companies=5)
                entry = engine.for_domain(account.domain_id).add(
                    account.account_id, sync_every=timedelta(seconds=1)
                )
                engine.connect(entry.account, StaticAccessToken(access_token=emulated.access_token))
            yield engine, [mongodb_uri, emulator.base_url, key]


def test_two_processes_share_the_accounts(fleet):
    """Each due account is begun by one of them, once a period; nothing is told twice."""
    engine, arguments = fleet
    script = Path(__file__).parents[1] / "kit" / "fleet_process.py"
    command = [sys.executable, "-W", "error", str(script), *arguments]
    begun = CLOCK.monotonic()
    with ExitStack() as stack:
        processes, lines = [], [[], []]
        for said in lines:
            process = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.terminate)
            reader = threading.Thread(target=said.extend, args=[process.stdout])
            reader.start()
            processes.append((process, reader))
        until(lambda: enough(lines))
        for process, reader in processes:
            process.terminate()
            reader.join(300)
        lasted = CLOCK.monotonic() - begun

    assert [process.returncode for process, _ in processes] == [0, 0]
    begun_by = [Counter(told(said, "began")) for said in lines]
    together = begun_by[0] + begun_by[1]
    assert max(together.values()) <= lasted + 1
    assert all(begun_by)
    assert told(lines[0] + lines[1], "busy") == told(lines[0] + lines[1], "failed") == []
    for account in ACCOUNTS:
        entry = engine.for_domain(account.domain_id).account(account.account_id)
        assert entry.status.value == "active"
        assert entry.failed_runs == 0
        assert entry.streams["contacts"].completed_at


def told(lines, what):
    """The accounts of which a process said this."""
    return [line.split()[1] for line in lines if line.split()[0] == what]


def enough(lines):
    """Whether every account has had three runs, and each process some."""
    begun = Counter(told(lines[0] + lines[1], "began"))
    return len(begun) == len(ACCOUNTS) and min(begun.values()) >= 3 and all(lines)
