"""One rolling window of HubSpot's, shared by the threads of an account."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hubspot_sync._limits.ledger import Ledger, Outcome
from hubspot_sync._limits.turnstile import Turnstile, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubspot_sync._clock import Clock


class Permit:
    """The right to make one call.

    Attributes:
        outcome: What became of the call; until somebody says so, nothing that can be relied on.
    """

    def __init__(self) -> None:
        self.outcome = Outcome()


class RollingWindow:
    """Gives permits so that no window of HubSpot's holds more calls than its limit.

    Threads get theirs in the order in which they ask; each sleeps exactly until its turn.

    Args:
        limit: Calls that may lie in one window; None is as many as HubSpot's answers say.
        seconds: The window's length.
        clock: Tells the time and waits.
        learns: Whether answers tell how full this window is.
    """

    def __init__(
        self, limit: int | None, seconds: float, clock: Clock, *, learns: bool = False
    ) -> None:
        self._ledger = Ledger(limit, seconds, learns=learns)
        self._clock = clock
        self._lock = threading.Lock()
        self._turnstile = Turnstile()
        self._settled = threading.Event()

    @contextmanager
    def permit(self, endpoint: str, stop: threading.Event) -> Iterator[Permit]:
        """Wait for the right to make one call, and hold it until the answer is here.

        Raises:
            StopRequested: *stop* was set while waiting.
        """
        with self._turnstile.turn(stop):
            taken_at = self._take(stop)
        permit = Permit()
        try:
            yield permit
        finally:
            with self._lock:
                self._ledger.settle(endpoint, taken_at, self._clock.monotonic(), permit.outcome)
                self._settled.set()

    def idle(self) -> bool:
        """Whether no call is under way and nothing is left to be remembered."""
        with self._lock:
            return self._ledger.idle(self._clock.monotonic())

    def _take(self, stop: threading.Event) -> float:
        while True:
            with self._lock:
                self._settled.clear()
                now = self._clock.monotonic()
                wait = self._ledger.take(now)
            if wait == 0.0:
                return now
            if wait is None:
                wait_for(self._settled, stop)
            else:
                self._clock.sleep(wait, stop)
