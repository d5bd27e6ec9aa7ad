"""Rate windows (HubSpot 3.1 to 3.3)."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator.portal.series import Series
from hubspot_sync.testing.emulator.refusals import RefusalError, rate_limited

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, tzinfo

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator.hostility.settings import Hostility

_BURST_SECONDS: Final = 10.0
_SEARCH_SECONDS: Final = 1.0
_SECONDLY: Final = 11
# What the headers say where calls are not limited: they are never absent.
_UNLIMITED: Final = 1_000_000
_PREFIX: Final = "X-HubSpot-RateLimit"


class RollingWindow:
    """At most *limit* calls in any *seconds*; a refused call does not count."""

    def __init__(self, limit: int, seconds: float, clock: Clock) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()
        self._rate = 0.0
        self._source = Series(0, "other apps")
        self._next_other = 0.0

    def share(self, rate: float, source: Series) -> None:
        """Let others take *rate* calls a second on average, at random moments."""
        with self._lock:
            self._rate, self._source = rate, source
            self._next_other = self._clock.monotonic() + self._pause()

    def take(self) -> int | None:
        """How many calls are left after this one; None when it is one too many."""
        with self._lock:
            now = self._clock.monotonic()
            while self._taken and self._taken[0] <= now - self._seconds:
                self._taken.popleft()
            self._let_others(now)
            if len(self._taken) >= self._limit:
                return None
            self._taken.append(now)
            return self._limit - len(self._taken)

    def _let_others(self, now: float) -> None:
        if not self._rate:
            return
        # Random moments have no memory: those that have left the window need no drawing.
        self._next_other = max(self._next_other, now - self._seconds)
        while self._next_other <= now:
            if len(self._taken) < self._limit:
                self._taken.append(self._next_other)
            self._next_other += self._pause()

    def _pause(self) -> float:
        return self._source.expovariate(self._rate) if self._rate else 0.0


class DailyPot:
    """At most *limit* calls between two midnights of the account."""

    def __init__(self, limit: int, clock: Clock, time_zone: tzinfo) -> None:
        self._limit = limit
        self._clock = clock
        self._time_zone = time_zone
        self._day: date | None = None
        self._left = limit
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count a call.

        Raises:
            RefusalError: One too many: 429.
        """
        with self._lock:
            day = self._clock.now().astimezone(self._time_zone).date()
            if day != self._day:
                self._day, self._left = day, self._limit
            if not self._left:
                raise rate_limited("DAILY")
            self._left -= 1

    def give_back(self) -> None:
        """Another limit refused the call that was counted."""
        with self._lock:
            self._left += 1

    def headers(self) -> Mapping[str, str]:
        """The headers that static access tokens see (HubSpot 3.2)."""
        return {f"{_PREFIX}-Daily": str(self._limit), f"{_PREFIX}-Daily-Remaining": str(self._left)}


class RateLimits:
    """The ten-second pot of an app, and the one-second pot of search and the daily one of all.

    Args:
        burst_limit: Calls per rolling ten seconds; None switches it off, and the headers tell of a
            million.
        search_limit: Searches per rolling second; None switches it off.
        daily_limit: Calls of any kind per day of the account; None switches it off.
        time_zone: The account's.
    """

    def __init__(
        self,
        clock: Clock,
        burst_limit: int | None,
        search_limit: int | None,
        daily_limit: int | None,
        time_zone: tzinfo,
    ) -> None:
        self._burst_limit = burst_limit
        self._burst = burst_limit and RollingWindow(burst_limit, _BURST_SECONDS, clock)
        self._search = search_limit and RollingWindow(search_limit, _SEARCH_SECONDS, clock)
        self._daily = daily_limit and DailyPot(daily_limit, clock, time_zone)

    def use(self, settings: Hostility) -> None:
        """Let other apps take their part from now on (HubSpot 11.7)."""
        if self._search:
            self._search.share(
                settings.other_apps_search_rate, Series(settings.seed, "other apps: search")
            )
        if self._burst:
            self._burst.share(
                settings.other_apps_burst_rate, Series(settings.seed, "other apps: burst")
            )

    def count(self, pot: str, *, static: bool) -> Mapping[str, str]:
        """Count a call in its pot ("burst", "search" or "none").

        A call with a *static* access token counts in the daily pot, too; OAuth apps have none
        (HubSpot 3.1).

        Returns:
            The `X-HubSpot-RateLimit-*` headers of its answer; none for a search (HubSpot 1.7).

        Raises:
            RefusalError: One too many: 429, with the headers that belong to it.
        """
        daily = self._daily if static and self._daily else None
        try:
            if daily:
                daily.take()
            remaining = self._take(pot, daily)
        except RefusalError as error:
            error.headers = self._headers(pot, 0, daily)
            raise
        return self._headers(pot, remaining, daily)

    def _take(self, pot: str, daily: DailyPot | None) -> int | None:
        window = {"burst": self._burst, "search": self._search}.get(pot)
        if not window:
            return None
        remaining = window.take()
        if remaining is None:
            if daily:
                daily.give_back()
            raise rate_limited("SECONDLY" if pot == "search" else "TEN_SECONDLY_ROLLING")
        return remaining

    def _headers(
        self, pot: str, remaining: int | None, daily: DailyPot | None
    ) -> Mapping[str, str]:
        if pot == "search":
            return {}
        headers = dict(daily.headers()) if daily else {}
        # Association batches are exempt from the ten-second pot (HubSpot 1.7).
        if pot == "burst":
            remaining = _UNLIMITED - 1 if remaining is None else remaining
            headers |= {
                f"{_PREFIX}-Interval-Milliseconds": str(int(_BURST_SECONDS * 1000)),
                f"{_PREFIX}-Max": str(self._burst_limit or _UNLIMITED),
                f"{_PREFIX}-Remaining": str(remaining),
                f"{_PREFIX}-Secondly": str(_SECONDLY),
                f"{_PREFIX}-Secondly-Remaining": str(_SECONDLY - 1),
            }
        return headers
