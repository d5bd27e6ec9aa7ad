"""Spreads the syncs of many accounts over Celery workers; needs the extra `celery`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

try:
    from celery import Celery, signals
except ImportError as error:
    raise ImportError(
        "hubspot_sync.integrations.celery needs Celery; install it with "
        "pip install 'hubspot-sync[celery]'",
        name=error.name,
    ) from error

from collections.abc import Callable

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync.engine import SyncEngine
from hubspot_sync.errors import (
    AccessError,
    ConfigurationError,
    RetryableError,
    StoreUnavailableError,
)
from hubspot_sync.integrations._another_turn import AnotherTurn
from hubspot_sync.integrations._message import Message, task_class
from hubspot_sync.integrations._worker_engine import WorkerEngine
from hubspot_sync.interfaces._parts import is_clock, is_function
from hubspot_sync.models import AccountEntry, AccountStatus
from hubspot_sync.models._checks import (
    is_delay,
    is_number,
    is_positive_delay,
    is_text_key,
    is_whole,
    kind_of,
    maybe,
)

__all__ = ["HubSpotTasks"]

# Waits double with each try.
_MOST_RETRIES: Final = 30
# Failures with a remedy of their own: Celery logs them in one line, without a traceback.
_EXPECTED: Final = (AccessError, ConfigurationError, RetryableError)


class HubSpotTasks:
    """Registers the tasks with a Celery app.

    Messages hold the ids of domain and account and nothing else. Each worker process opens one
    engine when it first needs one, and closes it at its end; a warm shutdown ends the syncs at
    their next checkpoint and puts them back into the queue.

    An account for which a message is under way counts as due again when the message is given up,
    so neither a lost message nor a killed worker loses an account.

    Args:
        app: The Celery app.
        open_engine: Opens an engine that has an account store; called in worker processes.
        queue: The queue that the tasks go to; the app's default where it is None.
        prefix: What the names of the tasks begin with, for an app with several engines.
        claim_for: How long a message may wait in the queue before the account is sent again and
            the message dropped.
        turn: How long an account is synced at a time; then it queues up again behind the others.
            At most half of *claim_for*.
        dispatch_limit: How many accounts a dispatch sends at most.
        max_retries: How often a sync that failed in passing, or found the account busy, is tried
            again, before it is left to the dispatcher.
        busy_wait: How long to wait at first for a worker that has the account; it doubles.
        clock: Time and chance; the system's by default.

    Attributes:
        sync_account: The task `hubspot_sync.sync_account(domain_id, account_id)`. It gives the
            report of the sync as a dict (`SyncReport.as_dict`). An account that is not active is
            left alone: `{"skipped": why, ...}`. What does not pass by itself fails the task with
            the error of this library.
        dispatch_due: The task `hubspot_sync.dispatch_due()`, which sends a `sync_account` for each
            account that is due, and gives their number. It may run anywhere, at any time, also
            several times at once.
        redrive: The task `hubspot_sync.redrive(domain_id, account_id, **selection)`, which gives
            the report of `Domain.redrive` as a dict.

    Raises:
        ConfigurationError: An argument is something else, or the durations do not fit together.
    """

    def __init__(
        self,
        app: Celery,
        *,
        open_engine: Callable[[], SyncEngine],
        queue: str | None = None,
        prefix: str = "hubspot_sync",
        claim_for: timedelta = timedelta(minutes=15),
        turn: timedelta = timedelta(minutes=5),
        dispatch_limit: int = 1000,
        max_retries: int = 5,
        busy_wait: timedelta = timedelta(seconds=30),
        clock: Clock | None = None,
    ) -> None:
        if not isinstance(app, Celery):
            raise ConfigurationError(f"app is {kind_of(app)}; give the Celery app")
        is_function.of("open_engine", open_engine)
        maybe(is_text_key).of("queue", queue)
        is_text_key.of("prefix", prefix)
        is_positive_delay.of("claim_for", claim_for)
        is_delay.of("turn", turn)
        is_number.of("dispatch_limit", dispatch_limit)
        is_whole(0, _MOST_RETRIES).of("max_retries", max_retries)
        is_positive_delay.of("busy_wait", busy_wait)
        maybe(is_clock).of("clock", clock)
        if not timedelta(0) < turn <= claim_for / 2:
            raise ConfigurationError(
                f"turn is {turn} and claim_for {claim_for}; a turn lasts at most half of a claim"
            )
        self._app = app
        self._queue = queue
        self._claim_for = claim_for
        self._turn = turn
        self._dispatch_limit = dispatch_limit
        self._another_turn = AnotherTurn(
            claim_for=claim_for,
            max_retries=max_retries,
            busy_wait=busy_wait,
            clock=clock or SystemClock(),
        )
        self._engine = WorkerEngine(open_engine)
        self._register(task_class(queue), prefix)
        self._listen()

    def beat_entry(self, *, every: timedelta = timedelta(minutes=1)) -> dict[str, Any]:
        """A dispatch of what is due, for the app's `beat_schedule`.

        Args:
            every: How often. A dispatch that no worker has begun by the next one is dropped.
        """
        is_positive_delay.of("every", every)
        options: dict[str, Any] = {"expires": every.total_seconds()}
        if self._queue is not None:
            options["queue"] = self._queue
        return {"task": self.dispatch_due.name, "schedule": every, "options": options}

    def close(self) -> None:
        """Close this process's engine; its tasks do no more work then. Workers do it themselves."""
        self._engine.close()

    def _dispatch_due(self) -> int:
        engine = self._engine.get()
        sent = 0
        with self._app.producer_or_acquire() as producer:
            for entry in engine.claim_due(claim_for=self._claim_for, limit=self._dispatch_limit):
                self.sync_account.apply_async(
                    (entry.key.domain_id, entry.key.account_id),
                    expires=self._claim_for.total_seconds(),
                    ignore_result=True,  # the account's entry says how it went
                    producer=producer,
                )
                sent += 1
        return sent

    def _sync_account(self, task: Any, domain_id: str, account_id: str) -> dict[str, Any]:
        try:
            domain = self._engine.get().domain(domain_id)
            entry = domain.account(account_id)
            if entry.status is not AccountStatus.ACTIVE:
                return _skipped(entry)
            domain.postpone(account_id, by=self._claim_for)
            report = domain.sync(account_id, time_limit=self._turn)
            self._another_turn.take(Message(task), domain, report)
        except StoreUnavailableError as error:
            self._another_turn.try_later(Message(task), error)
        return report.as_dict()

    def _redrive(self, domain_id: str, account_id: str, **selection: Any) -> dict[str, Any]:
        return self._engine.get().domain(domain_id).redrive(account_id, **selection).as_dict()

    def _register(self, base: Any, prefix: str) -> None:
        """Make the three tasks; not shared, so that other apps of the process keep theirs."""

        def sync_account(task: Any, domain_id: str, account_id: str) -> dict[str, Any]:
            return self._sync_account(task, domain_id, account_id)

        def dispatch_due() -> int:
            return self._dispatch_due()

        def redrive(domain_id: str, account_id: str, **selection: Any) -> dict[str, Any]:
            return self._redrive(domain_id, account_id, **selection)

        common = {"base": base, "shared": False, "serializer": "json", "throws": _EXPECTED}
        self.sync_account: Any = self._app.task(
            sync_account,
            name=f"{prefix}.sync_account",
            bind=True,
            acks_late=True,
            reject_on_worker_lost=True,
            **common,
        )
        self.dispatch_due: Any = self._app.task(
            dispatch_due, name=f"{prefix}.dispatch_due", ignore_result=True, **common
        )
        self.redrive: Any = self._app.task(redrive, name=f"{prefix}.redrive", **common)

    def _listen(self) -> None:
        """Follow the life of the worker; Celery keeps weak references, and the app the tasks."""
        signals.worker_init.connect(self._engine.expect_children)
        signals.worker_process_init.connect(self._engine.watch_parent)
        signals.worker_shutting_down.connect(self._engine.stop)
        signals.worker_process_shutdown.connect(self._engine.close)
        signals.worker_shutdown.connect(self._engine.close)


def _skipped(entry: AccountEntry) -> dict[str, Any]:
    """What the task gives for an account that is not active."""
    return {
        "domain_id": entry.key.domain_id,
        "account_id": entry.key.account_id,
        "completed": False,
        "skipped": ": ".join(filter(None, (entry.status.value, entry.reason))),
    }
