"""The one retry layer: exponential backoff with full jitter, interruptible, errors of ours only."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import backoff
from attrs import frozen

from hubspot_sync.errors import RetryableError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from hubspot_sync._clock import Clock

T = TypeVar("T")

_MOST_DOUBLINGS: Final = 20


@frozen(kw_only=True)
class RetryPolicy:
    """How often, and how patiently, something is tried again.

    Attributes:
        max_tries: Tries in all, the first one included.
        max_wait: The longest single wait; an error that asks for more is raised at once.
        first_wait: The upper end of the first wait; it doubles with each try.
    """

    max_tries: int
    max_wait: timedelta
    first_wait: timedelta = timedelta(milliseconds=500)


@frozen(kw_only=True)
class Retrier:
    """Repeats a call that fails with a `RetryableError`.

    Attributes:
        policy: How often and how patiently.
        clock: Waits and rolls the dice.
        stop: Ends every wait with `StopRequested` when it is set.
    """

    policy: RetryPolicy
    clock: Clock
    stop: threading.Event

    def call(
        self,
        function: Callable[[], T],
        *,
        on_retry: Callable[[int, timedelta, RetryableError], None],
        tries_for: Callable[[RetryableError], int] | None = None,
    ) -> T:
        """Give the first result of *function*; the last error when the tries are used up.

        Args:
            function: What to try.
            on_retry: Told before each wait: tries failed so far, the wait, and the error.
            tries_for: How many tries an error deserves, where that is fewer than usual.

        Raises:
            RetryableError: The tries are used up, or the error asks for a wait beyond `max_wait`.
            StopRequested: `stop` was set during a wait.
        """
        ladder = self._ladder()
        failed = 0
        while True:
            try:
                return function()
            except RetryableError as error:
                failed += 1
                allowed = self.policy.max_tries
                if tries_for is not None:
                    allowed = min(allowed, tries_for(error))
                wait = self._wait(next(ladder), error)
                if failed >= allowed or wait > self.policy.max_wait:
                    raise
                on_retry(failed, wait, error)
                self.clock.sleep(wait.total_seconds(), self.stop)

    def pause(self, attempt: int) -> None:
        """Wait as long as before the try that follows *attempt* failed ones.

        Raises:
            StopRequested: `stop` was set meanwhile.
        """
        upper = self.policy.first_wait * 2 ** min(attempt - 1, _MOST_DOUBLINGS)
        wait = min(upper, self.policy.max_wait) * self.clock.random()
        self.clock.sleep(wait.total_seconds(), self.stop)

    def _ladder(self) -> Iterator[float]:
        """Upper ends of the waits in seconds: first_wait, twice that, and so on."""
        waits: Iterator[float] = backoff.expo(
            factor=self.policy.first_wait.total_seconds(),
            max_value=self.policy.max_wait.total_seconds(),
        )
        next(waits)  # the generator's first value only starts it
        return waits

    def _wait(self, upper_seconds: float, error: RetryableError) -> timedelta:
        jittered = timedelta(seconds=upper_seconds * self.clock.random())
        return max(jittered, error.retry_after or timedelta(0))
