"""A rolling window of HubSpot's limits: who may call now, and who waits for how long.

A `Ledger` reckons which calls lie in the window as HubSpot counts them, a `Turnstile` keeps the
threads that wait in order, and a `RollingWindow` is both of them together.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_right, insort
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from attrs import frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync._limits.estimates import Latencies, Neighbours, Pace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubspot_sync._clock import Clock

_STOP_SECONDS: Final = 0.25
_MICROSECONDS = 1_000_000


class Turnstile:
    """A queue of threads of which the first one alone watches the clock.

    Those behind it sleep until it is their turn: one wakes one, and however many wait, time is
    waited for once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, stop: threading.Event) -> Iterator[None]:
        """Wait for everybody who came before, and keep everybody who comes later waiting.

        Raises:
            StopRequested: *stop* was set while waiting.
        """
        mine = threading.Event()
        with self._lock:
            self._queue.append(mine)
            self._queue[0].set()
        try:
            wait_for(mine, stop)
            yield
        finally:
            with self._lock:
                self._queue.remove(mine)
                if self._queue:
                    self._queue[0].set()


def wait_for(happened: threading.Event, stop: threading.Event) -> None:
    """Wait for what another thread does, which takes real time whatever the clock says.

    Raises:
        StopRequested: *stop* was set while waiting.
    """
    while not happened.is_set():
        if stop.is_set():
            raise StopRequested
        # A thread can wait for one event only, so it looks up from the one to the other.
        happened.wait(_STOP_SECONDS)


@frozen(kw_only=True)
class Usage:
    """What an answer says about the window that its call counted in.

    Attributes:
        limit: Calls that HubSpot allows in one window.
        remaining: How many of them were left after this call.
        seconds: The window's length.
    """

    limit: int
    remaining: int
    seconds: float


@frozen(kw_only=True)
class Outcome:
    """What became of a call.

    Attributes:
        accepted: Whether HubSpot did what it was asked for.
        usage: What the answer says about the window.
        pause: How many seconds nobody may call, because this call was one too many.
    """

    accepted: bool = False
    usage: Usage | None = None
    pause: float | None = None


class Ledger:
    """At most *limit* calls in any *seconds*, whatever the network does; not thread-safe.

    Times are seconds of a monotonic clock and never go back.

    Args:
        limit: Calls that may lie in one window; None is as many as HubSpot's answers say.
        seconds: The window's length.
        learns: Whether answers tell how full this window is.
    """

    def __init__(self, limit: int | None, seconds: float, *, learns: bool = False) -> None:
        self._cap = limit
        self._told: int | None = None
        self._seconds = seconds
        self._learns = learns
        self._latencies = Latencies()
        self._pace = Pace()
        self._under_way = 0
        self._leaving: list[float] = []  # when each other call leaves the window, ascending
        self._answered: deque[float] = deque()
        self._neighbours = Neighbours()
        self._paused_until = -math.inf
        self._refused_at = -math.inf
        self._began_at = math.inf

    def take(self, now: float) -> float | None:
        """Take a permit and give 0.0, or give the seconds after which to ask again.

        None: nobody can say when, because calls under way fill the window; ask again when one of
        them has its answer.
        """
        self._forget(now)
        if now < self._paused_until:
            return _rounded_up(self._paused_until - now)
        limit, _ = self._allowed(now)
        surplus = -1 if limit is None else self._under_way + len(self._leaving) - limit
        if surplus < 0:
            self._under_way += 1
            self._began_at = min(self._began_at, now)
            return 0.0
        if surplus < len(self._leaving):
            return _rounded_up(self._leaving[surplus] - now)
        return None

    def settle(self, endpoint: str, taken_at: float, now: float, outcome: Outcome) -> None:
        """A call to *endpoint* that took its permit at *taken_at* has come to its end."""
        if self._learns and outcome.usage is not None:
            self._learn(outcome.usage, taken_at, now)
        if outcome.pause is not None:
            self._refuse(outcome.pause, taken_at, now)
        limit, seconds = self._allowed(now)
        credit = 0.0
        if outcome.accepted:
            self._latencies.observe(endpoint, now - taken_at)
            credit = self._latencies.credit(endpoint, now)
        if limit is not None:
            insort(self._leaving, now + seconds - credit)
            self._answered.append(now)
        self._under_way -= 1

    def rate(self) -> float | None:
        """How many calls a second may be made where nobody else makes any; None for no bound."""
        limits = [limit for limit in (self._cap, self._told) if limit is not None]
        return min(limits) / self._seconds if limits else None

    def idle(self, now: float) -> bool:
        """Whether nothing is left to be remembered."""
        self._forget(now)
        waits = now < self._paused_until or self._pace.share(now) < 1.0
        return not (self._under_way or self._leaving or waits)

    def _allowed(self, now: float) -> tuple[int | None, float]:
        """How many calls may lie in a window of how many seconds."""
        limits = [limit for limit in (self._cap, self._told) if limit is not None]
        if not limits:
            return None, self._seconds
        room = self._neighbours.room(now, self._seconds) if self._learns else 0
        allowance = max(min(limits) - room, 1) * self._pace.share(now)
        # Less than one call in a window is one call in a longer one.
        return max(int(allowance + 1e-9), 1), self._seconds * max(1 / allowance, 1.0)

    def _refuse(self, pause: float, taken_at: float, now: float) -> None:
        self._paused_until = max(self._paused_until, now + pause)
        if taken_at >= self._refused_at:  # else it was under way already: the same refusal
            self._pace.refused(now)
            self._latencies.widen(now)
            self._refused_at = now

    def _learn(self, usage: Usage, taken_at: float, now: float) -> None:
        """Count calls that are not ours, as another process of the same app makes them."""
        self._told = usage.limit
        self._seconds = max(self._seconds, usage.seconds)
        since = taken_at - self._seconds
        if taken_at < now - self._seconds:
            return  # that old, the count says nothing about now
        ours = self._under_way + sum(answered > since for answered in self._answered)
        known = self._neighbours.known(now, self._seconds)
        unexplained = max(usage.limit - usage.remaining - ours - known, 0)
        # What is found at first may be our own, of a process that was here before.
        lasting = now - self._seconds > self._began_at
        self._neighbours.notice(unexplained, now, lasting=lasting)
        for _ in range(unexplained):
            insort(self._leaving, now + self._seconds)

    def _forget(self, now: float) -> None:
        del self._leaving[: bisect_right(self._leaving, now)]
        while self._answered and self._answered[0] <= now - 2 * self._seconds:
            self._answered.popleft()


def _rounded_up(seconds: float) -> float:
    """To whole microseconds, the finest that a clock of timedeltas knows."""
    return max(math.ceil(seconds * _MICROSECONDS - 1e-3), 1) / _MICROSECONDS


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

    def rate(self) -> float | None:
        """How many calls a second may be made where nobody else makes any; None for no bound."""
        with self._lock:
            return self._ledger.rate()

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
