"""The Celery integration: what its tasks do, and that a fleet of real workers keeps every promise.

The first half runs the tasks in this process, with time that stands still. The second half has a
real broker, a real MongoDB, a HubSpot look-alike in a process of its own, and real workers.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import signal
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from celery import Celery, signals
from kombu.exceptions import OperationalError

from hubspot_sync import (
    Account,
    AccountKey,
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotUnavailableError,
    MissingScopeError,
    RateLimitedError,
    StaticAccessToken,
    StoreUnavailableError,
    SyncSettings,
    UnknownAccountError,
)
from hubspot_sync.integrations.celery import HubSpotTasks
from hubspot_sync.models import StreamKey
from hubspot_sync.stores.memory import MemoryErrorQueue
from hubspot_sync.testing import Fault, ManualClock
from kit.account import say, wait_until
from kit.celery_fleet import CeleryFleet, children_of, kill_all_of, terminate
from kit.fleets import FleetHost
from kit.redis_server import NoRedisError, Overheard, RedisServer

CLAIM = timedelta(minutes=15)
KEY = AccountKey("acme", "1001")
# An account that takes some seconds.
LONG = {"contacts": 600, "companies": 5, "latency": 0.4}


# The tasks, one by one, in this process.


@pytest.fixture
def host(hubspot_emulator):
    clock = ManualClock()
    host = FleetHost(hubspot_emulator(account_id="1", clock=clock), clock)
    host.add("acme", "1001", contacts=12, companies=4)
    return host


@pytest.fixture
def app():
    with Celery("test", broker="memory://", backend="cache+memory://", set_as_current=False) as app:
        app.conf.task_always_eager = True
        yield app


@pytest.fixture
def tasks(app, host):
    return HubSpotTasks(app, open_engine=host.engine, clock=host.clock)


@pytest.fixture
def sent_again(tasks):
    """Each time a task was sent again: in how many seconds, and with which options."""
    heard = []

    def on_retry(reason, **_):
        heard.append((reason.when, reason.sig.options))

    signals.task_retry.connect(on_retry)
    yield heard
    signals.task_retry.disconnect(on_retry)


def test_an_account_is_synced_and_the_report_returned(tasks, host):
    """As JSON knows it; the entry says when it is due again."""
    report = tasks.sync_account.delay("acme", "1001").get()

    assert report["completed"]
    assert (report["domain_id"], report["account_id"]) == ("acme", "1001")
    assert report["streams"]["contacts"]["delivered"] == 12
    host.assert_in_step(KEY)
    assert host.entry(KEY).next_sync_at == host.clock.now() + CLAIM


@pytest.mark.parametrize("deed", ["pause", "disable"])
def test_an_account_that_is_not_active_is_left_alone(tasks, host, deed):
    """With a word of why."""
    getattr(host.engine().domain("acme"), deed)("1001", reason="trial over")

    report = tasks.sync_account.delay("acme", "1001").get()

    assert report["skipped"] in ("paused: trial over", "disabled: trial over")
    assert report["completed"] is False
    assert host.sink.actions == ()


def test_an_account_that_nobody_has_is_an_error(tasks):
    """Whoever asked for it has to know."""
    with pytest.raises(UnknownAccountError, match="no account 77"):
        tasks.sync_account.delay("acme", "77").get()


def test_what_a_person_must_fix_is_not_tried_again(tasks, host, sent_again):
    """The task fails with the error, the entry says it too, and later messages are left alone."""
    host.emulator.accounts["1001"].delete_account()

    with pytest.raises(AuthorizationRevokedError):
        tasks.sync_account.delay("acme", "1001").get()

    assert sent_again == []
    assert (
        tasks.sync_account.delay("acme", "1001")
        .get()["skipped"]
        .startswith("needs_reauthorization: ")
    )


def test_what_passes_is_tried_again_with_growing_waits(tasks, host, sent_again):
    """Those of the account's own schedule; after the last try the task fails with the error."""
    host.emulator.accounts["1001"].faults.add(Fault(route="list", status=503, times=None))

    with pytest.raises(HubSpotUnavailableError):
        tasks.sync_account.delay("acme", "1001").get()

    waits = [when for when, _ in sent_again]
    assert len(waits) == 5
    assert all(30 * 2**n <= wait <= 60 * 2**n for n, wait in enumerate(waits)), waits
    assert [options["retries"] for _, options in sent_again] == [1, 2, 3, 4, 5]
    assert host.entry(KEY).failed_runs == 6


def test_hubspots_own_wish_is_heeded(tasks, host, sent_again):
    """Nothing is asked before `Retry-After` has passed."""
    slow_down = Fault(route="list", status=429, times=1, headers={"Retry-After": "700"})
    host.emulator.accounts["1001"].faults.add(slow_down)

    report = tasks.sync_account.delay("acme", "1001").get()

    assert report["completed"]
    assert [when for when, _ in sent_again] == [pytest.approx(700, abs=2)]


def test_a_wait_of_hours_is_left_to_the_dispatcher(tasks, host, sent_again):
    """No message lies about until midnight; the entry says when the account is due."""
    host.add("acme", "1002", contacts=20, daily_limit=1)

    with pytest.raises(RateLimitedError) as raised:
        tasks.sync_account.delay("acme", "1002").get()

    assert sent_again == []
    due = host.entry(AccountKey("acme", "1002")).next_sync_at
    assert due - host.clock.now() >= raised.value.retry_after > timedelta(hours=1)


def test_a_busy_account_is_tried_again_and_is_no_error(tasks, host, sent_again):
    """Somebody else has it; in the end the report says so."""
    for name in ("companies", "contacts"):
        host.checkpointer.acquire(StreamKey(KEY, name), "somebody", timedelta(days=1))

    report = tasks.sync_account.delay("acme", "1001").get()

    waits = [when for when, _ in sent_again]
    assert all(15 * 2**n <= wait <= 30 * 2**n for n, wait in enumerate(waits)), waits
    assert len(waits) == 5
    assert {one["status"] for one in report["streams"].values()} == {"busy"}


@pytest.fixture
def slow_host(host):
    """A host whose every batch takes longer than a turn."""
    host.sink.write, write = (
        lambda actions: (host.clock.advance(timedelta(minutes=6)), write(actions))[1],
        host.sink.write,
    )
    settings = SyncSettings(batch_size=50, queue_size=50, lease_duration=timedelta(days=1))
    host.engine = functools.partial(host.engine, settings=settings)
    return host


def test_a_long_account_queues_up_again_after_its_turn(tasks, slow_host, sent_again):
    """As often as it takes: turns are no failures."""
    slow_host.add("acme", "1002", contacts=3000)

    report = tasks.sync_account.delay("acme", "1002").get()

    assert report["completed"]
    assert len(sent_again) >= 2
    assert {when for when, _ in sent_again} == {0}
    assert {options["retries"] for _, options in sent_again} == {0}
    slow_host.assert_in_step(AccountKey("acme", "1002"))


def test_a_stream_that_failed_does_not_keep_a_long_one_from_going_on(tasks, slow_host, sent_again):
    """First what is unfinished, then the failure."""
    slow_host.add("acme", "1002", contacts=3000, scopes=["crm.objects.contacts.read"])

    with pytest.raises(MissingScopeError):
        tasks.sync_account.delay("acme", "1002").get()

    assert len(sent_again) >= 1
    assert len(slow_host.sink.actions) == 3000


def test_a_turn_that_came_to_nothing_takes_a_breath(app, host, sent_again):
    """An engine that somebody stopped must not have its messages run in circles."""
    stopped, good = host.engine(), host.engine()
    stopped.stop()
    engines = [stopped, good]
    engine = SimpleNamespace(domain=lambda name: engines.pop(0).domain(name))
    tasks = HubSpotTasks(app, open_engine=lambda: engine, clock=host.clock)

    report = tasks.sync_account.delay("acme", "1001").get()

    assert report["completed"]
    assert [when for when, _ in sent_again] == [2]


def test_a_database_that_is_away_is_waited_for(app, host, sent_again):
    """As long as it takes to give up; the message is what is left of the sync meanwhile."""
    away = [StoreUnavailableError("no server")] * 2

    def open_engine():
        if away:
            raise away.pop()
        return host.engine()

    tasks = HubSpotTasks(app, open_engine=open_engine, clock=host.clock)

    assert tasks.sync_account.delay("acme", "1001").get()["completed"]

    first, second = [when for when, _ in sent_again]
    assert 15 <= first <= 30 <= second <= 60
    away += [StoreUnavailableError("no server")] * 6
    with pytest.raises(StoreUnavailableError):
        HubSpotTasks(app, open_engine=open_engine, prefix="b").sync_account.delay("a", "1").get()


def test_the_claim_of_an_account_lasts_as_long_as_its_message(tasks, host):
    """Claimed when sent, and again when begun, so that nobody sends it meanwhile."""
    entered = []
    host.engine().domain("acme").postpone("1001", timedelta(0))
    host.sink.write, write = (
        lambda actions: (entered.append(host.entry(KEY).next_sync_at), write(actions))[1],
        host.sink.write,
    )

    assert tasks.dispatch_due.delay().get() == 1

    assert set(entered) == {host.clock.now() + CLAIM}
    host.assert_in_step(KEY)


def test_a_task_that_is_called_directly_does_its_work_here(tasks, host):
    """Without a queue there is nothing to send again."""
    host.emulator.accounts["1001"].faults.add(Fault(route="list", status=503, times=None))

    with pytest.raises(HubSpotUnavailableError):
        tasks.sync_account("acme", "1001")

    host.emulator.accounts["1001"].faults.clear()
    assert tasks.sync_account("acme", "1001")["completed"]


def test_refused_actions_are_redriven(app, host):
    """All, or those that fit."""
    fixed = []
    queue = MemoryErrorQueue()
    engine = host.engine(
        error_queue=queue, validators=[lambda action: None if fixed else "not now"]
    )
    tasks = HubSpotTasks(app, open_engine=lambda: engine, clock=host.clock)
    tasks.sync_account.apply(("acme", "1001"))
    fixed.append(True)

    report = tasks.redrive.delay("acme", "1001", object_type="contacts").get()

    assert report["streams"]["contacts"]["delivered"] == 12
    assert set(report["streams"]) == {"contacts"}


def test_a_beat_entry_names_task_queue_and_an_end(app, host):
    """A dispatch that comes late is dropped: the next one does the same."""
    tasks = HubSpotTasks(app, open_engine=host.engine, queue="crm", prefix="eu")

    assert tasks.beat_entry(every=timedelta(seconds=20)) == {
        "task": "eu.dispatch_due",
        "schedule": timedelta(seconds=20),
        "options": {"queue": "crm", "expires": 20.0},
    }
    assert {name for name in app.tasks if name.startswith("eu.")} == {
        "eu.dispatch_due",
        "eu.redrive",
        "eu.sync_account",
    }


@pytest.mark.parametrize("turn", [timedelta(0), timedelta(minutes=8)])
def test_a_turn_outlives_no_claim(app, host, turn):
    """Else an account would be sent a second time while it is synced."""
    with pytest.raises(ConfigurationError, match="at most half of a claim"):
        HubSpotTasks(app, open_engine=host.engine, turn=turn, claim_for=CLAIM)


# A broker, and workers in processes of their own.


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """A real `redis-server` for the module; a test is skipped, in CI failed, without one."""
    try:
        server = RedisServer(tmp_path_factory.mktemp("redis"))
    except NoRedisError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI has to test against Redis: {error}", pytrace=False)
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def new_fleet(redis, mongodb_uri, tmp_path):
    """Makes a fleet on an empty broker and an empty database; it ends with the test."""
    made = []

    def new(**options):
        made.append(CeleryFleet(redis, mongodb_uri, tmp_path, **options))
        return made[-1]

    yield new
    for fleet in made:
        fleet.__exit__(None, None, None)


@pytest.mark.parametrize(
    ("accounts", "latency"),
    [(30, 0.05), pytest.param(100, 0.1, marks=[pytest.mark.long, pytest.mark.timeout(300)])],
)
def test_a_killed_worker_costs_nothing_but_time(new_fleet, redis, accounts, latency):
    """Two workers and a scheduler; one worker is killed in the middle, with all it has in hand."""
    fleet = new_fleet(
        accounts=accounts, domains=5, emulator={"latency": latency}, claim_seconds=8, turn_seconds=4
    )
    with Overheard(redis) as overheard:
        killed, other = fleet.worker("killed", ready=False), fleet.worker("other", ready=False)
        fleet.until_ready("killed")
        fleet.until_ready("other")
        fleet.beat()
        in_the_middle = wait_until(
            lambda: fleet.synced() >= accounts // 4 and owned_by(killed, fleet)
        )
        kill_all_of(killed)
        synced, locked = fleet.synced(), fleet.locked()
        unlocked = wait_until(lambda: not left_of(locked, fleet))
        took = wait_until(lambda: fleet.synced() == accounts)
        wait_until(lambda: not fleet.leases())

    say(
        f"{accounts} accounts: killed after {in_the_middle:.1f} s with {synced} synced and "
        f"{len(locked)} streams locked, all free {unlocked:.1f} s later, all synced in {took:.1f} s"
    )
    assert 0 < synced < accounts
    assert fleet.disagreements() == []
    assert unlocked <= fleet.given["lease_seconds"] + 1
    assert terminate(other) == 0
    assert "Traceback" not in fleet.log("other")
    told = overheard.text()
    assert f'[["domain-0", "{fleet.accounts[0][1]}"], {{}}' in told  # the body of a message
    assert [secret for secret in fleet.secrets if secret in told] == []


def owned_by(worker, fleet):
    """Leases of the processes of *worker*."""
    pids = {str(child.pid) for child in children_of(worker)}
    return [one for one in fleet.leases() if one["owner"].split("/")[1] in pids]


def left_of(leases, fleet):
    """Which of these very leases lock a stream still."""
    known = {(one["_id"], one["fence"]) for one in leases}
    return [one for one in fleet.locked() if (one["_id"], one["fence"]) in known]


@pytest.mark.parametrize(
    "pool", ["prefork", "solo", pytest.param("threads", marks=pytest.mark.long)]
)
def test_a_warm_shutdown_ends_at_a_checkpoint_and_loses_nothing(new_fleet, pool):
    """The account is back in the queue, with what was read in the store, and goes on from there."""
    fleet = new_fleet(emulator=LONG)
    worker = fleet.worker("first", f"--pool={pool}", "--concurrency=1")
    result = fleet.send()
    wait_until(lambda: fleet.actions() > 100)

    worker.send_signal(signal.SIGTERM)
    wait_until(lambda: worker.poll() is not None)

    assert worker.returncode == 0
    assert fleet.leases() == []
    assert [message["headers"]["id"] for message in fleet.queued()] == [result.id]
    assert fleet.synced() == 0
    fleet.worker("second", "--pool=solo", ready=False)
    report = result.get(timeout=300)
    assert report["completed"]
    assert fleet.disagreements() == []
    assert 0 < report["streams"]["contacts"]["read"] < 600
    assert fleet.queued() == []


def test_a_killed_child_is_replaced_and_its_account_goes_on(new_fleet):
    """The message goes back into the queue at once, long before its time at the broker is up."""
    fleet = new_fleet(emulator=LONG)
    worker = fleet.worker("bereaved", "--concurrency=1")
    result = fleet.send()
    wait_until(fleet.leases)

    children_of(worker)[0].kill()

    assert result.get(timeout=300)["completed"]
    assert fleet.disagreements() == []
    assert terminate(worker) == 0


def test_failures_reach_whoever_asked_and_tell_no_secret(new_fleet, redis):
    """An error of the library comes back as itself; neither broker nor log has a credential."""
    canary = "pat-na1-canary-7f3a"
    fleet = new_fleet()
    domain_id, account_id, _ = fleet.accounts[0]
    with fleet.engine() as engine:
        engine.store_credentials(
            Account(account_id=account_id, domain_id=domain_id),
            StaticAccessToken(access_token=canary),
        )

    with Overheard(redis) as overheard:
        fleet.worker("refused", "--pool=solo", ready=False)
        with pytest.raises(AuthorizationRevokedError, match="not accept"):
            fleet.send().get(timeout=300)
        assert fleet.send().get(timeout=300)["skipped"].startswith("needs_reauthorization")

    told = overheard.text() + fleet.log("refused")
    assert "AuthorizationRevokedError" in told
    assert [secret for secret in (canary, *fleet.secrets) if secret in told] == []


def test_dispatchers_at_once_send_each_account_once(new_fleet):
    """However many beats there are; each with an engine and a connection of its own."""
    fleet = new_fleet(accounts=12, domains=3)
    gate = threading.Barrier(4)
    dispatchers, sent = [fleet.dispatcher() for _ in range(4)], []

    def dispatch(tasks):
        gate.wait()
        sent.append(tasks.dispatch_due())

    threads = [threading.Thread(target=dispatch, args=(one,)) for one in dispatchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    queued = [arguments_of(message) for message in fleet.queued()]
    assert sum(sent) == len(queued) == 12
    assert sorted(queued) == sorted([domain, account] for domain, account, _ in fleet.accounts)
    assert all(message["headers"]["expires"] for message in fleet.queued())
    assert dispatchers[0].dispatch_due() == 0


def arguments_of(message):
    """The positional arguments in a message, and proof that there is nothing else in its body."""
    arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
    assert keywords == {}
    return arguments


def test_an_account_that_could_not_be_sent_is_due_again(new_fleet):
    """Its claim runs out; those behind it were not claimed at all."""
    fleet = new_fleet(accounts=3, claim_seconds=4, turn_seconds=1)
    tasks = fleet.dispatcher()

    with pytest.raises(OperationalError, match="refused"):
        fleet.dispatcher(broker="redis://127.0.0.1:1/0").dispatch_due()

    assert fleet.queued() == []
    assert tasks.dispatch_due() == 2
    wait_until(lambda: tasks.dispatch_due() and len({*map(account_in, fleet.queued())}) == 3)


def account_in(message):
    return arguments_of(message)[1]
