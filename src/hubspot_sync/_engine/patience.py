"""Patience with a host's store that is away for a moment, such as during a failover."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.models import Retried

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from hubspot_sync._retry import Retrier
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.models import AccountKey, Event, StreamKey

T = TypeVar("T")

_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class Patience:
    """Repeats what a store could not do for now.

    Attributes:
        retrier: How often and how patiently.
        notify: Told of every retry.
    """

    retrier: Retrier
    notify: Callable[[Event], None]

    def call(self, stream: StreamKey, function: Callable[[], T]) -> T:
        """Give the result of *function*.

        Raises:
            StoreUnavailableError: The store stayed away.
            StopRequested: The run was stopped while the store was away.
        """

        def on_retry(attempt: int, wait: timedelta, error: RetryableError) -> None:
            self.notify(
                Retried(
                    what="store",
                    account=stream.account,
                    stream=stream,
                    attempt=attempt,
                    wait=wait,
                    reason=str(error),
                )
            )

        return self.retrier.call(function, on_retry=on_retry)

    def begin(self, account: AccountKey, store: str, function: Callable[[], T]) -> T:
        """Give the result of *function*, without which nothing of *account* can be done yet.

        Args:
            account: The account.
            store: What is asked, in words.
            function: What to try; no stream is known yet, so the log is told of retries.

        Raises:
            StoreUnavailableError: The store stayed away, or the run was stopped while it was.
        """

        def log(attempt: int, wait: timedelta, error: RetryableError) -> None:
            _logger.warning(
                "%s: try %d to ask %s failed, again in %s: %s",
                *(account, attempt, store, wait, error),
            )

        try:
            return self.retrier.call(function, on_retry=log)
        except StopRequested:
            raise StoreUnavailableError(
                f"the run was stopped while {store} was away; nothing was done, run again when it "
                "is back",
                account=str(account),
            ) from None
