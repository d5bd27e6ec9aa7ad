"""Time, waiting and randomness: the one place that asks the operating system for them."""

from __future__ import annotations

import math
import random
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from queue import Empty, SimpleQueue
from typing import Final, Protocol

_LOOK_UP_SECONDS: Final = 1.0

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
    """The instant so much later, or the last one that there is, to the millisecond."""
    try:
        return instant + by
    except OverflowError:
        return datetime.max.replace(microsecond=999_000, tzinfo=timezone.utc)


class StopRequested(Exception):  # noqa: N818 - a signal, not a failure
    """Somebody called `stop()`; the wait or the loop ends here."""


class StopSignal(threading.Event):
    """An event that can be set from a signal handler, whatever the handler interrupts.

    `threading.Event` takes a lock in `set` and in `wait`. A handler runs in the thread that it
    interrupts, so one that comes while the lock is held, and sets the event, waits for itself.
    Here a set is an assignment and a `put`, which may be interrupted by another one:
    https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put
    It is never cleared.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ended = False
        self._woken: SimpleQueue[None] = SimpleQueue()

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._ended

    def set(self) -> None:
        """Set it, and wake up all who wait. Twice: nothing more happens."""
        if not self._ended:
            self._ended = True
            self._woken.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most *timeout* seconds; whether it is."""
        left = math.inf if timeout is None else timeout
        while not self.is_set() and left > 0:
            with suppress(Empty):
                # An exception out of a handler can come between the two, so others look up, too.
                self._woken.get(timeout=min(left, _LOOK_UP_SECONDS))
                self._woken.put(None)  # for the others who wait
            left -= _LOOK_UP_SECONDS
        return self.is_set()


class Clock(Protocol):
    """What the library knows of time; a test hands in one that it can move."""

    def now(self) -> datetime:
        """The present instant, aware and in UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow, for measuring and for rate windows."""

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Wait, or raise `StopRequested` at once when *stop* is or becomes set."""

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

    def random(self) -> float:
        """From the operating system: several processes must not jitter alike."""
        return self._random.random()
