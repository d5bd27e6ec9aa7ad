"""Accounts in an emulator process, a host on MongoDB and Redis, and its Celery processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from celery import Celery
from pymongo import MongoClient

from hubspot_sync import (
    Account,
    EncryptionKeys,
    HubSpotSettings,
    StaticAccessToken,
    SyncEngine,
    SyncSettings,
    mongodb_engine,
)
from hubspot_sync.integrations.celery import HubSpotTasks
from kit.account import OBJECT_TYPES, EmulatedAccount, wait_until
from kit.found import actions_in, compare, count_in

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from kit.redis_server import RedisServer

QUEUE = "hubspot"
_TESTS = Path(__file__).parents[1]


def host_of(given: dict[str, Any]) -> tuple[Celery, HubSpotTasks]:
    """A host's Celery app, as a product would have it, and its tasks.

    Args:
        given: See `CeleryFleet.given`.
    """

    def open_engine() -> SyncEngine:
        return mongodb_engine(
            given["store"],
            cipher=EncryptionKeys(given["key"]),
            hubspot=HubSpotSettings(
                base_url=given["base_url"], burst_limit=None, search_limit=None, max_tries=2
            ),
            settings=SyncSettings(
                batch_size=20, lease_duration=timedelta(seconds=given["lease_seconds"])
            ),
        )

    app = Celery("host", broker=given["broker"], backend=given["broker"], set_as_current=False)
    app.conf.broker_transport_options = {"visibility_timeout": given["visibility_timeout"]}
    app.conf.worker_prefetch_multiplier = 1
    tasks = HubSpotTasks(
        app,
        open_engine=open_engine,
        queue=QUEUE,
        claim_for=timedelta(seconds=given["claim_seconds"]),
        turn=timedelta(seconds=given["turn_seconds"]),
        busy_wait=timedelta(seconds=0.5),
    )
    return app, tasks


class CeleryFleet:
    """Everything around a Celery host; a context manager that ends all its processes.

    Args:
        redis: The broker.
        store: The URL of an empty MongoDB database.
        folder: Where logs go.
        accounts: How many accounts are connected, spread over *domains*.
        domains: How many tenants.
        emulator: Options of the emulator.
        host: Settings of `celery_host`.
    """

    def __init__(
        self,
        redis: RedisServer,
        store: str,
        folder: Path,
        *,
        accounts: int = 1,
        domains: int = 1,
        emulator: dict[str, Any] | None = None,
        **host: Any,
    ) -> None:
        self.redis = redis
        self.store = store
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._here: list[tuple[Celery, HubSpotTasks]] = []
        redis.client.flushall()
        options = {"contacts": 20, "companies": 5, **(emulator or {}), "accounts": accounts}
        self.emulator = EmulatedAccount(**options)
        self.key = EncryptionKeys.generate_key()
        self.given = {
            "broker": redis.url,
            "store": store,
            "key": self.key,
            "base_url": self.emulator.described["base_url"],
            "lease_seconds": 3,
            "claim_seconds": 600,
            "turn_seconds": 60,
            "visibility_timeout": 3600,
            **host,
        }
        self.app = Celery("test", broker=redis.url, backend=redis.url)
        self.accounts = [
            (f"domain-{number % domains}", described["account_id"], described["access_token"])
            for number, described in enumerate(self.emulator.described["accounts"])
        ]
        with self.engine() as engine:
            for domain_id, account_id, access_token in self.accounts:
                engine.connect(
                    Account(account_id=account_id, domain_id=domain_id),
                    StaticAccessToken(access_token=access_token),
                )
                engine.for_domain(domain_id).add(account_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            kill_all_of(process)
        for app, tasks in self._here:
            tasks.close()
            app.close()
        self.app.close()
        self.emulator.__exit__(None, None, None)

    @property
    def secrets(self) -> list[str]:
        """What may be nowhere outside of HubSpot and the encrypted store."""
        tokens = [one[2] for one in self.accounts]
        described = self.emulator.described["accounts"]
        return [self.key, *tokens, *(one["refresh_token"] for one in described)]

    def engine(self) -> Any:
        """An engine of the test's own on the host's store."""
        return mongodb_engine(self.store, cipher=EncryptionKeys(self.key))

    def worker(self, name: str, *options: str, ready: bool = True) -> subprocess.Popen[bytes]:
        """Start a worker with a process group of its own, and wait until it listens."""
        options = ("--concurrency=2", "--without-mingle", "--without-gossip", *options)
        process = self._start(name, "worker", f"--queues={QUEUE}", "--loglevel=INFO", *options)
        if ready:
            self.until_ready(name)
        return process

    def until_ready(self, name: str) -> None:
        """Wait until a worker listens."""
        wait_until(lambda: " ready." in self.log(name))

    def beat(self) -> subprocess.Popen[bytes]:
        """Start a scheduler."""
        schedule = self._folder / f"schedule-{len(self._processes)}"
        return self._start("beat", "beat", f"--schedule={schedule}")

    def send(self, account: int = 0) -> Any:
        """Ask for a sync of one account."""
        domain_id, account_id, _ = self.accounts[account]
        return self.app.send_task("hubspot_sync.sync_account", (domain_id, account_id), queue=QUEUE)

    def dispatcher(self, **given: Any) -> HubSpotTasks:
        """The host's tasks in this process, with a connection and an engine of their own."""
        app, tasks = host_of({**self.given, **given})
        self._here.append((app, tasks))
        return tasks

    def log(self, name: str) -> str:
        """What a process has logged so far."""
        return (self._folder / f"{name}.log").read_text()

    def queued(self) -> list[dict[str, Any]]:
        """The messages that wait in the queue."""
        return [json.loads(one) for one in self.redis.client.lrange(QUEUE, 0, -1)]

    def synced(self) -> int:
        """How many accounts have completed a sync by now."""
        with self._database() as database:
            return database["accounts"].count_documents({"entry.last_sync.completed": True})

    def actions(self) -> int:
        """How many actions are stored by now."""
        return count_in(self.store)

    def leases(self) -> list[dict[str, Any]]:
        """The streams that somebody has, or had when it was killed."""
        with self._database() as database:
            return list(database["checkpoints"].find({"owner": {"$ne": None}}))

    def locked(self) -> list[dict[str, Any]]:
        """The streams that are locked now."""
        now = datetime.now(timezone.utc)  # noqa: TID251 - a real store, real time
        return [one for one in self.leases() if one["expires_at"] > now]

    def disagreements(self) -> list[str]:
        """Everything in which the store is not what HubSpot has, once each."""
        by_stream: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for action in actions_in(self.store):
            name = (action["domain_id"], action["account_id"], action["object_type"])
            by_stream.setdefault(name, []).append(action)
        return [
            f"{account_id}/{object_type}/{problem}"
            for domain_id, account_id, _ in self.accounts
            for object_type in OBJECT_TYPES
            for problem in compare(
                by_stream.pop((domain_id, account_id, object_type), []),
                self.emulator.truth(object_type, account_id),
            )
        ] + [f"{name}: not of this account" for name in by_stream]

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "CELERY_HOST": json.dumps(self.given)}
        command = [sys.executable, "-m", "celery", "-A", "kit.celery_host", *arguments]
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=_TESTS,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _database(self) -> Any:
        return _Database(self.store)


class _Database:
    """The host's database, for as long as a look at it takes."""

    def __init__(self, store: str) -> None:
        self._client: MongoClient[Any] = MongoClient(store, tz_aware=True)

    def __enter__(self) -> Any:
        return self._client.get_default_database()

    def __exit__(self, *_: object) -> None:
        self._client.close()


def children_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The processes that a worker has forked."""
    found: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return found


def kill_all_of(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a worker and all that it has forked."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def terminate(process: subprocess.Popen[bytes], timeout: float = 300.0) -> int:
    """Ask a worker to end in good order; its exit status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout)
