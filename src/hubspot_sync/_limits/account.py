"""All limits of one account, and the place where those of all accounts are kept."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hubspot_sync._clock import Clock
    from hubspot_sync._limits.daily import DailyPot
    from hubspot_sync._limits.window import Permit, RollingWindow

_SWEEP_SECONDS: Final = 10.0


class RateLimiter:
    """The windows of one account by endpoint class, and its daily pot; threads may share it.

    Args:
        windows: The windows of the endpoint classes that have one of their own.
        rest: The window that all others count in.
        daily: The daily pot.

    Attributes:
        daily: The daily pot.
    """

    def __init__(
        self, *, windows: Mapping[str, RollingWindow], rest: RollingWindow, daily: DailyPot
    ) -> None:
        self._windows = dict(windows)
        self._rest = rest
        self.daily = daily

    @contextmanager
    def permit(self, endpoint: str, stop: threading.Event) -> Iterator[Permit]:
        """Wait for the right to make one call to *endpoint*, and hold it until its answer.

        Raises:
            StopRequested: *stop* was set while waiting.
        """
        with self._windows.get(endpoint, self._rest).permit(endpoint, stop) as permit:
            yield permit

    def idle(self) -> bool:
        """Whether forgetting it would change nothing."""
        windows = (self._rest, *self._windows.values())
        return not self.daily.closed and all(window.idle() for window in windows)


class LimiterShelf:
    """The limiters of all accounts; one that nobody uses and that is idle is dropped.

    Args:
        make: Makes the limiter of an account that has none.
        clock: Tells when to look for idle ones.
    """

    def __init__(self, make: Callable[[], RateLimiter], clock: Clock) -> None:
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, RateLimiter] = {}
        # What a run holds stays findable, or a second run of the account would get another one.
        self._known: weakref.WeakValueDictionary[str, RateLimiter] = weakref.WeakValueDictionary()
        self._swept_at = clock.monotonic()

    def __len__(self) -> int:
        """How many limiters are there."""
        with self._lock:
            return len(self._known)

    def limiter(self, account_id: str) -> RateLimiter:
        """The limiter of a HubSpot account, whichever domains it belongs to."""
        with self._lock:
            self._sweep()
            limiter = self._known.get(account_id) or self._make()
            self._known[account_id] = self._kept[account_id] = limiter
            return limiter

    def _sweep(self) -> None:
        now = self._clock.monotonic()
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        self._swept_at = now
        self._kept = {name: held for name, held in self._kept.items() if not held.idle()}
