"""Decides when an account is synced again that a task of Celery's has had in hand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NoReturn

from attrs import frozen

from hubspot_sync.errors import LeaseHeldError, RetryableError

if TYPE_CHECKING:
    from hubspot_sync._clock import Clock
    from hubspot_sync._engine.domain import Domain
    from hubspot_sync.errors import StoreUnavailableError
    from hubspot_sync.integrations._message import Message
    from hubspot_sync.models import SyncReport

# What is further away is left to the dispatcher: with Redis, workers hold such messages in memory,
# and past `visibility_timeout`, an hour by default, they are delivered a second time.
# https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#caveats
_LONGEST_COUNTDOWN: Final = timedelta(minutes=30)
_BREATH: Final = timedelta(seconds=2)


@frozen(kw_only=True)
class AnotherTurn:
    """Sends an account again where that makes sense, at once, soon, or when it is due.

    Attributes:
        claim_for: How long a message may wait in the queue before the account is sent again.
        max_retries: How often one that failed in passing, or was busy, is tried again.
        busy_wait: How long to wait at first for a worker that has the account; it doubles.
        clock: Time and chance.
    """

    claim_for: timedelta
    max_retries: int
    busy_wait: timedelta
    clock: Clock

    def take(self, message: Message, domain: Domain, report: SyncReport) -> None:
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
            if message.retries < self.max_retries:
                wait = self._growing(message)
                self._send_again(message, domain, report, wait, retries=message.retries + 1)
        elif isinstance(failure, RetryableError) and message.retries < self.max_retries:
            wait = self._due_in(domain, report, failure)
            if wait > _LONGEST_COUNTDOWN:
                raise failure
            self._send_again(message, domain, report, wait, retries=message.retries + 1)
        else:
            report.raise_for_failure()

    def try_later(self, message: Message, error: StoreUnavailableError) -> NoReturn:
        """Send the account again while its entry is out of reach, so its claim stays as it is."""
        if message.called_directly or message.retries >= self.max_retries:
            raise error
        message.send_again(self._growing(message), retries=message.retries + 1, failure=error)

    def _send_again(
        self,
        message: Message,
        domain: Domain,
        report: SyncReport,
        wait: timedelta,
        *,
        retries: int,
    ) -> NoReturn:
        """Put the account back into the queue, and have its claim last as long as the message."""
        lasts = wait + self.claim_for
        domain.postpone(report.account.account_id, by=lasts)
        message.send_again(wait, retries=retries, failure=report.failure, lasts=lasts)

    def _growing(self, message: Message) -> timedelta:
        """A wait that doubles with each try, less up to a half by chance."""
        longest: timedelta = self.busy_wait * 2**message.retries
        return longest * (1 - self.clock.random() / 2)

    def _due_in(self, domain: Domain, report: SyncReport, failure: RetryableError) -> timedelta:
        """Until the account is due again: that grows, differs, and is what HubSpot asked for."""
        due = domain.account(report.account.account_id).next_sync_at
        wait = timedelta(0) if due is None else due - self.clock.now()
        return max(wait, failure.retry_after or timedelta(0))


def _is_unfinished(report: SyncReport) -> bool:
    """Whether time was up, or the worker is to end, whatever else went wrong."""
    return report.error is None and any(one.left_over for one in report.streams)
