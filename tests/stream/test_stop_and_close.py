"""`stop` from signal handlers, and `close` while something runs: no deadlock, nothing lost."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta

import pytest

from hubspot_sync import (
    ConfigurationError,
    StaticAccessToken,
    StoreUnavailableError,
    StreamStatus,
    SyncEngine,
)
from hubspot_sync._clock import StopSignal
from hubspot_sync._engine import lifetime
from hubspot_sync.models import BatchStored
from hubspot_sync.stores.sqlite import SqliteCheckpointer, SqliteDatabase, SqliteStores
from kit.scripted import ACCOUNT, CONTACTS, Setting, record

INTERRUPTED_EVERYWHERE = """
    import signal, sys, threading
    from hubspot_sync._clock import StopSignal, StopRequested, SystemClock
    {signal_class}

    hit = []
    stop = StopSignal()
    names = ("set", "wait", "is_set", "put", "get", "notify_all", "notify", "__enter__", "__exit__")

    def handle(*_):
        hit.append(1)
        stop.set()

    def at_each_step(frame, event, _):
        frame.f_trace_opcodes = True
        if event in ("line", "opcode") and len(hit) < 500:
            sys.settrace(None)
            signal.raise_signal(signal.SIGTERM)
            sys.settrace(choose)
        return at_each_step

    def choose(frame, event, _):
        code = frame.f_code
        return at_each_step(frame, event, None) if code.co_name in names else None

    signal.signal(signal.SIGTERM, handle)
    waiters = [threading.Thread(target=stop.wait) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    sys.settrace(choose)
    {work}
    sys.settrace(None)
    for waiter in waiters:
        waiter.join(20)
        assert not waiter.is_alive()
    assert len(hit) > 3, hit  # Python 3.12.1 tells of lines only, not of each step of one
    print("ended", stop.is_set())
"""


def run(script, seconds=60):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=True,
    ).stdout


@pytest.mark.parametrize("work", ["stop.set()", "stop.wait(30)"])
def test_a_signal_at_each_step_of_a_stop_never_waits_for_itself(work):
    """The handler stops too, inside the stop or the wait that it interrupts."""
    assert run(INTERRUPTED_EVERYWHERE.format(signal_class="", work=work)) == "ended True\n"


@pytest.mark.parametrize("work", ["stop.set()", "stop.wait(30)"])
def test_with_an_ordinary_event_it_would(work):
    """So the test above can fail."""
    script = INTERRUPTED_EVERYWHERE.format(signal_class="StopSignal = threading.Event", work=work)
    with pytest.raises(subprocess.TimeoutExpired):
        run(script, seconds=3)


def test_a_storm_of_signals_ends_a_running_engine():
    """Thousands of them, into a loop that waits, from a timer of the system's."""
    script = """
        import signal
        from datetime import timedelta
        from hubspot_sync import SyncEngine
        from hubspot_sync.stores.memory import MemoryStores

        storm = []

        def handle(*_):
            storm.append(1)
            if len(storm) > 200:
                engine.stop()

        engine = SyncEngine(MemoryStores())
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        engine.run(poll_every=timedelta(minutes=5))
        for _ in range(5_000):
            engine.stop()
        engine.close()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print("ended", len(storm) > 200)
    """
    assert run(script) == "ended True\n"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_a_handler_raises_leaves_the_others_to_wake_up(error):
    """Whoever is interrupted with the wake-up call in hand does not take it along."""
    stop = StopSignal()

    class Interrupted:
        def put(self, _):
            raise error

    waiting = stop._woken
    stop._woken = Interrupted()
    with pytest.raises(error):
        stop.set()
    stop._woken = waiting

    assert stop.is_set()
    assert stop.wait(30)


def test_all_who_wait_wake_up():
    """One call is enough for any number of threads."""
    stop = StopSignal()
    woken = []
    threads = [threading.Thread(target=lambda: woken.append(stop.wait())) for _ in range(20)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(30)

    assert woken == [True] * 20
    assert not StopSignal().wait(0.01)


class Host:
    """A scripted account in a SQLite file, whose second page waits until it may come."""

    def __init__(self, path, **parts):
        self.path = path
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.setting = Setting(
            [[record("1")], [record("2")], [record("3")]], before_page=self._before
        )
        self.engine = SyncEngine(
            SqliteStores(path), **{"open_source": self.setting.source, **parts}
        )
        self.engine.store_credentials(ACCOUNT, StaticAccessToken(access_token="a"))

    def _before(self, number):
        if number == 2:
            self.reached.set()
            assert self.go_on.wait(60)

    def leases(self):
        """Whether the stream can be had at once, by somebody else, in a database opened again."""
        with SqliteDatabase(self.path) as database:
            checkpointer = SqliteCheckpointer(database)
            lease = checkpointer.acquire(CONTACTS, "somebody else", timedelta(seconds=1))
            checkpointer.release(lease)
        return True


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path / "crm.db")


def closed(engine):
    with pytest.raises(ConfigurationError, match="the engine was closed"):
        engine.sync(ACCOUNT)
    return True


def in_thread(function):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(function()))
    thread.start()
    return thread, outcome


def test_close_waits_for_a_run_of_another_thread(host, caplog):
    """And the run ends as one that was stopped, with its lease given back."""
    host.go_on.clear()
    thread, outcome = in_thread(lambda: host.engine.sync(ACCOUNT))
    assert host.reached.wait(60)
    closer, _ = in_thread(host.engine.close)
    second, _ = in_thread(host.engine.close)
    closer.join(0.2)
    assert closer.is_alive()
    assert closed(host.engine)

    host.go_on.set()
    for one in (closer, second, thread):
        one.join(60)

    (report,) = outcome
    assert report.failure is None
    assert [one.status for one in report.streams] == [StreamStatus.STOPPED]
    assert host.leases()
    assert "lease not given back" not in caplog.text


class Closing:
    """An observer, a validator and a sink that closes the engine in the middle of a run."""

    def __init__(self):
        self.engine = None
        self.times = 0

    def __call__(self, action):
        self._close()

    def notify(self, event):
        if isinstance(event, BatchStored):
            self._close()

    def _close(self):
        if self.engine is not None:
            self.times += 1
            self.engine.close()


@pytest.mark.parametrize("part", ["observers", "validators"])
def test_close_from_inside_a_run_closes_at_its_end(tmp_path, part, caplog):
    """It cannot wait for itself; nothing is closed under the run."""
    closing = Closing()
    host = Host(tmp_path / "crm.db", **{part: [closing]})
    closing.engine = host.engine

    report = host.engine.sync(ACCOUNT)

    assert closing.times
    assert report.failure is None
    assert closed(host.engine)
    assert host.leases()
    assert "lease not given back" not in caplog.text
    with pytest.raises(ConfigurationError):
        next(host.engine.domain("acme").accounts())


def test_close_from_inside_many_runs(tmp_path):
    """As `on_report` may."""
    host = Host(tmp_path / "crm.db")
    report = host.engine.sync_all(accounts=[ACCOUNT], on_report=lambda _: host.engine.close())

    assert report.accounts[0].completed
    assert closed(host.engine)
    assert host.leases()


def test_an_exception_out_of_the_with_block_closes_too(tmp_path):
    """In the usual order."""
    host = Host(tmp_path / "crm.db")
    host.engine.sync(ACCOUNT)
    with pytest.raises(RuntimeError), host.engine:
        raise RuntimeError

    assert closed(host.engine)
    assert host.leases()


def test_close_gives_up_waiting_and_leaves_the_rest_to_the_run(host, monkeypatch, caplog):
    """What hangs keeps nobody for ever, and still loses nothing."""
    monkeypatch.setattr(lifetime, "_PATIENCE_SECONDS", 0.1)
    host.go_on.clear()
    thread, outcome = in_thread(lambda: host.engine.sync(ACCOUNT))
    assert host.reached.wait(60)

    with caplog.at_level(logging.WARNING):
        host.engine.close()
    assert "still at work" in caplog.text
    assert "sync acme/62515" in caplog.text
    host.go_on.set()
    thread.join(60)

    assert outcome[0].failure is None
    assert host.leases()


def test_an_iterator_that_nobody_goes_on_with_holds_up_nobody(tmp_path):
    """Each step is an operation of its own."""
    with SyncEngine(SqliteStores(tmp_path / "crm.db")) as engine:
        domain = engine.domain("acme")
        for number in ("1", "2", "3"):
            domain.add(number)
        iterators = [
            domain.accounts(),
            engine.claim_due(claim_for=timedelta(minutes=5), limit=3),
        ]
        for one in iterators:
            next(one)

    for one in iterators:
        with pytest.raises(ConfigurationError, match="the engine was closed"):
            next(one)


WORK = {
    "accounts": lambda domain: list(domain.accounts()),
    "account": lambda domain: domain.account("62515"),
    "add": lambda domain: domain.add("62515"),
    "authorization_url": lambda domain: domain.authorization_url(),
    "configure": lambda domain: domain.configure("62515"),
    "connect": lambda domain: domain.connect(StaticAccessToken(access_token="a")),
    "disable": lambda domain: domain.disable("62515"),
    "disconnect": lambda domain: domain.disconnect("62515"),
    "confirm_deletions": lambda domain: domain.confirm_deletions("62515"),
    "explain": lambda domain: domain.explain("62515", "contacts", "1"),
    "plan": lambda domain: domain.plan("62515"),
    "doctor": lambda domain: domain.doctor("62515"),
    "erase": lambda domain: domain.erase("62515", "contacts", ["1"]),
    "health": lambda domain: domain.health("62515"),
    "object_types": lambda domain: domain.object_types("62515"),
    "purge": lambda domain: domain.purge("62515"),
    "rejected_counts": lambda domain: domain.rejected_counts("62515"),
    "rejected_actions": lambda domain: list(domain.rejected_actions("62515")),
    "finish_authorization": lambda domain: domain.finish_authorization(state="a"),
    "pause": lambda domain: domain.pause("62515"),
    "postpone": lambda domain: domain.postpone("62515", timedelta(minutes=1)),
    "reconcile": lambda domain: domain.reconcile("62515"),
    "redrive": lambda domain: domain.redrive("62515"),
    "remove": lambda domain: domain.remove("62515"),
    "resume": lambda domain: domain.resume("62515"),
    "resync": lambda domain: domain.resync("62515"),
    "sync": lambda domain: domain.sync("62515"),
    "sync_all": lambda domain: domain.sync_all(),
    "sync_due": lambda domain: domain.sync_due(),
}


def test_a_domain_of_a_closed_engine_refuses_to_work(tmp_path):
    """Whatever it is asked; a new method needs a line above."""
    with SyncEngine(SqliteStores(tmp_path / "crm.db")) as engine:
        domain = engine.domain("acme")
    public = {name for name in dir(domain) if not name.startswith("_")} - {"domain_id"}

    assert public == WORK.keys()
    for work in WORK.values():
        with pytest.raises(ConfigurationError, match="the engine was closed"):
            work(domain)


def test_what_cannot_be_closed_spoils_no_report():
    """It is in the log; who closes is told."""

    def fails():
        raise StoreUnavailableError("the disk is gone")

    setting = Setting([[record("1")]])
    closing = Closing()
    closing.engine = engine = setting.engine(close=fails, observers=[closing])
    assert engine.sync(ACCOUNT).failure is None
    with pytest.raises(StoreUnavailableError, match="the disk is gone"):
        setting.engine(close=fails).close()


def test_a_close_in_a_handler_that_interrupts_a_run():
    """As `signal.signal(SIGTERM, lambda *_: engine.close())` does; also while closing."""
    script = """
        import os, signal, sys
        sys.path.insert(0, "tests")
        from kit.scripted import ACCOUNT, Setting, record

        def at_once(number):
            os.kill(os.getpid(), signal.SIGTERM)

        closed = []

        def close():
            os.kill(os.getpid(), signal.SIGTERM)
            closed.append(1)

        setting = Setting([[record("1")], [record("2")]], before_page=at_once)
        engine = setting.engine(close=close)
        signal.signal(signal.SIGTERM, lambda *_: engine.close())
        report = engine.sync(ACCOUNT)
        print(report.streams[0].status.value, closed)
    """
    assert run(script, seconds=25) in ("stopped [1]\n", "completed [1]\n")


FORKED = """
    import os, sys
    from datetime import timedelta
    from hubspot_sync import Account, ConfigurationError, SyncEngine
    from hubspot_sync.stores.sqlite import SqliteStores

    engine = SyncEngine(SqliteStores(sys.argv[1]))
    account = Account(62515)
    calls = {
        "sync": lambda: engine.sync(account),
        "sync_all": engine.sync_all,
        "run": engine.run,
        "claim_due": lambda: engine.claim_due(claim_for=timedelta(minutes=1), limit=1),
        "reencrypt": engine.reencrypt,
        "accounts": lambda: list(engine.domain("acme").accounts()),
        "add": lambda: engine.domain("acme").add("62515"),
    }
    with engine._operations.lifetime.under_way("sync"):  # a fork in the middle of one
        child = os.fork()
    if child == 0:
        for name, call in calls.items():
            try:
                call()
            except ConfigurationError as error:
                print(name, error)
        engine.close()
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
    engine.domain("acme").add("62515")
    print("parent", len(list(engine.domain("acme").accounts())))
    engine.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_an_engine_does_not_survive_a_fork(tmp_path):
    """It says so at the first call, and closes nothing of the other process's."""
    code = textwrap.dedent(FORKED)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "crm.db")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )

    *refused, parent = done.stdout.splitlines()
    assert [line.split()[0] for line in refused] == [
        "sync",
        "sync_all",
        "run",
        "claim_due",
        "reencrypt",
        "accounts",
        "add",
    ]
    assert all("made in another process" in line for line in refused)
    assert all("gunicorn: post_fork" in line for line in refused)
    assert parent == "parent 1"
