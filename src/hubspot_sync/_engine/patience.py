"""Patience with a host's store that is away for a moment, such as during a failover."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from hubspot_sync.models import StoreRetried

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from hubspot_sync._retry import Retrier
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.models import Event, StreamKey

T = TypeVar("T")


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
            self.notify(StoreRetried(stream=stream, attempt=attempt, wait=wait, reason=str(error)))

        return self.retrier.call(function, on_retry=on_retry)
