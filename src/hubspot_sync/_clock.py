"""Time, waiting and randomness: the one place that asks the operating system for them."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import threading

# Clocks that are right differ by less, also those of two machines or of two runs.
SLACK: Final = timedelta(minutes=1)
# HubSpot's day is full again at a midnight, and some days have 25 hours. What is put off further
# says when it was.
LONGEST_WAIT: Final = timedelta(hours=25)


def is_ahead(instant: datetime, now: datetime) -> bool:
    """Whether *instant*, which somebody noted as the present, is in the future.

    Then a clock was wrong, and what was reckoned from it counts for nothing: a lease, a claim, or
    when something is due again would last for as long as the clock was ahead.
    """
    return instant - now > SLACK


def later(instant: datetime, by: timedelta) -> datetime:
    """The instant so much later, or the last one that there is."""
    try:
        return instant + by
    except OverflowError:
        return datetime.max.replace(tzinfo=timezone.utc)


class StopRequested(Exception):  # noqa: N818 - a signal, not a failure
    """Somebody called `stop()`; the wait or the loop ends here."""


class Clock(Protocol):
    """What the library knows of time; a test hands in one that it can move."""

    def now(self) -> datetime:
        """The present instant, aware and in UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow, for measuring and for rate windows."""

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Wait, or raise `StopRequested` at once when *stop* is or becomes set."""

    def wait(self, changed: threading.Condition, until: float) -> None:
        """Wait for a notification of *changed*, but not beyond the monotonic time *until*.

        The caller holds the condition's lock, and looks for itself what has happened.
        """

    def random(self) -> float:
        """A number in [0, 1)."""


class SystemClock:
    """The real thing."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def now(self) -> datetime:
        """The operating system's time."""
        return datetime.now(timezone.utc)  # noqa: TID251 - this is the place

    def monotonic(self) -> float:
        """The operating system's monotonic clock."""
        return time.monotonic()  # noqa: TID251 - this is the place

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Sleep; wakes up at once when *stop* is set."""
        if stop is None:
            time.sleep(max(seconds, 0.0))  # noqa: TID251 - this is the place
        elif stop.wait(max(seconds, 0.0)):
            raise StopRequested

    def wait(self, changed: threading.Condition, until: float) -> None:
        """Wait by the operating system's monotonic clock."""
        changed.wait(max(until - self.monotonic(), 0.0))

    def random(self) -> float:
        """From the operating system: several processes must not jitter alike."""
        return self._random.random()
