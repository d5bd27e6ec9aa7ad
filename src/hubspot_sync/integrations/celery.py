"""Spreads the syncs of many accounts over Celery workers; needs the extra `celery`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

try:
    from celery import Task, signals
    from celery.exceptions import Reject, Retry
except ImportError as error:
    raise ImportError(
        "hubspot_sync.integrations.celery needs Celery; install it with "
        "pip install 'hubspot-sync[celery]'",
        name=error.name,
    ) from error

from hubspot_sync._clock import SystemClock
from hubspot_sync.errors import (
    AccessError,
    ConfigurationError,
    LeaseHeldError,
    RetryableError,
    StoreUnavailableError,
)
from hubspot_sync.integrations._worker_engine import WorkerEngine
from hubspot_sync.models import AccountStatus, StreamStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from hubspot_sync._clock import Clock
    from hubspot_sync._engine import Domain, SyncEngine
    from hubspot_sync.errors import HubSpotSyncError
    from hubspot_sync.models import AccountEntry, SyncReport

__all__ = ["HubSpotTasks"]

# What is further away is left to the dispatcher: with Redis, workers hold such messages in memory,
# and past `visibility_timeout`, an hour by default, they are delivered a second time.
# https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#caveats
_LONGEST_COUNTDOWN: Final = timedelta(minutes=30)
_BREATH: Final = timedelta(seconds=2)
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
        claim_for: How long a message may wait in the queue before the account is sent anew and
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
        ConfigurationError: The durations do not fit together.
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
        if not timedelta(0) < turn <= claim_for / 2:
            raise ConfigurationError(
                f"turn is {turn} and claim_for {claim_for}; a turn lasts at most half of a claim"
            )
        self._app = app
        self._queue = queue
        self._claim_for = claim_for
        self._turn = turn
        self._dispatch_limit = dispatch_limit
        self._max_retries = max_retries
        self._busy_wait = busy_wait
        self._clock = clock or SystemClock()
        self._engine = WorkerEngine(open_engine)
        self._register(_task_class(queue), prefix)
        self._listen()

    def beat_entry(self, *, every: timedelta = timedelta(minutes=1)) -> dict[str, Any]:
        """A dispatch of what is due, for the app's `beat_schedule`.

        Args:
            every: How often. A dispatch that no worker has begun by the next one is dropped.
        """
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
            domain = self._engine.get().for_domain(domain_id)
            entry = domain.account(account_id)
            if entry.status is not AccountStatus.ACTIVE:
                return _skipped(entry)
            domain.postpone(account_id, by=self._claim_for)
            report = domain.sync(account_id, at_most=self._turn)
            self._go_on(_Message(task), domain, report)
        except StoreUnavailableError as error:
            self._try_later(_Message(task), error)
        return report.as_dict()

    def _go_on(self, message: _Message, domain: Domain, report: SyncReport) -> None:
        """Send the account again, where that makes sense, and end the task by that.

        Raises:
            HubSpotSyncError: The sync failed, and trying again soon is no use.
            celery.exceptions.Retry: The account was sent again.
        """
        failure = report.failure
        if message.called_directly:
            report.raise_for_failure()
        elif _is_unfinished(report):
            # What came to nothing, as when the engine is stopped, must not spin.
            wait = timedelta(0) if report.counts.read else _BREATH
            self._send_again(message, domain, report, wait, retries=0)
        elif isinstance(failure, LeaseHeldError):
            if message.retries < self._max_retries:
                wait = self._growing(message)
                self._send_again(message, domain, report, wait, retries=message.retries + 1)
        elif isinstance(failure, RetryableError) and message.retries < self._max_retries:
            wait = self._due_in(domain, report, failure)
            if wait > _LONGEST_COUNTDOWN:
                raise failure
            self._send_again(message, domain, report, wait, retries=message.retries + 1)
        else:
            report.raise_for_failure()

    def _try_later(self, message: _Message, error: StoreUnavailableError) -> NoReturn:
        """Send the account again while its entry is out of reach, so its claim stays as it is."""
        if message.called_directly or message.retries >= self._max_retries:
            raise error
        message.send_again(self._growing(message), retries=message.retries + 1, failure=error)

    def _send_again(
        self,
        message: _Message,
        domain: Domain,
        report: SyncReport,
        wait: timedelta,
        *,
        retries: int,
    ) -> NoReturn:
        """Put the account back into the queue, and have its claim last as long as the message."""
        lasts = wait + self._claim_for
        domain.postpone(report.account.account_id, by=lasts)
        message.send_again(wait, retries=retries, failure=report.failure, lasts=lasts)

    def _growing(self, message: _Message) -> timedelta:
        """A wait that doubles with each try, less up to a half by chance."""
        longest: timedelta = self._busy_wait * 2**message.retries
        return longest * (1 - self._clock.random() / 2)

    def _due_in(self, domain: Domain, report: SyncReport, failure: RetryableError) -> timedelta:
        """Until the account is due again: that grows, differs, and is what HubSpot asked for."""
        due = domain.account(report.account.account_id).next_sync_at
        wait = timedelta(0) if due is None else due - self._clock.now()
        return max(wait, failure.retry_after or timedelta(0))

    def _redrive(self, domain_id: str, account_id: str, **selection: Any) -> dict[str, Any]:
        return self._engine.get().for_domain(domain_id).redrive(account_id, **selection).as_dict()

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


class _Message:
    """The message that a task has in hand.

    Args:
        task: The task, bound.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._request = task.request
        self.called_directly: bool = self._request.called_directly
        self.retries: int = self._request.retries

    def send_again(
        self,
        wait: timedelta,
        *,
        retries: int,
        failure: HubSpotSyncError | None,
        lasts: timedelta | None = None,
    ) -> NoReturn:
        """Send the same again, to be taken after *wait*, and end the task by that.

        Celery's own `retry` would drop a message that cannot be sent, and count every turn.

        Args:
            wait: When to take it.
            retries: How many tries have failed then.
            failure: Why.
            lasts: When to drop it, if it is one that may be dropped; None for no later than now.
        """
        seconds = wait.total_seconds()
        expires = {"expires": lasts.total_seconds()} if lasts and self._request.expires else {}
        signature = self._task.signature_from_request(
            self._request, countdown=seconds, retries=retries, **expires
        )
        if not self._request.is_eager:
            try:
                signature.apply_async()
            except Exception as error:
                # The message that is in hand takes the place of the one that could not be sent.
                raise Reject(error, requeue=True) from error
        raise Retry(exc=failure, when=seconds, is_eager=self._request.is_eager, sig=signature)


def _skipped(entry: AccountEntry) -> dict[str, Any]:
    """What the task gives for an account that is not active."""
    return {
        "domain_id": entry.key.domain_id,
        "account_id": entry.key.account_id,
        "completed": False,
        "skipped": ": ".join(filter(None, (entry.status.value, entry.reason))),
    }


def _is_unfinished(report: SyncReport) -> bool:
    """Whether time was up, or the worker is to end, whatever else went wrong."""
    return report.error is None and any(
        one.status is StreamStatus.STOPPED for one in report.streams
    )


def _task_class(queue: str | None) -> Any:
    """Tasks that go to *queue* unless their caller says otherwise."""

    class QueuedTask(Task):  # type: ignore[misc]
        abstract = True

        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
            if queue is not None:
                options.setdefault("queue", queue)
            return super().apply_async(args, kwargs, **options)

    return QueuedTask
