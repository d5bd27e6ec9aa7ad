"""The calls that lie in a rolling window as HubSpot counts them: reckoning without waiting."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import deque

from attrs import frozen

from hubspot_sync._limits.estimates import Latencies
from hubspot_sync._limits.neighbours import Neighbours
from hubspot_sync._limits.pace import Pace

_MICROSECONDS = 1_000_000


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
