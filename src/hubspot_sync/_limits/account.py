"""The limits of one account, its calls of a day among them, and where those of all are kept."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager
from datetime import datetime, time, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from hubspot_sync._clock import is_ahead
from hubspot_sync.errors import RateLimitedError
from hubspot_sync.models import Quota

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hubspot_sync._clock import Clock
    from hubspot_sync._limits.window import Permit, RollingWindow

# A pot that is empty this soon after it should have been filled was not filled yet.
_SOON: Final = timedelta(minutes=10)
_AGAIN: Final = timedelta(hours=1)
_TENTH: Final = 10
_SWEEP_SECONDS: Final = 10.0


class DailyPot:
    """Whether the calls of the day are used up; threads may share it.

    HubSpot fills the pot at midnight in the account's time zone:
    https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines

    Args:
        reserve: Calls that are left to others; one as large as the pot counts as a tenth of it.
            None leaves nothing to them.
        now: Tells HubSpot's time.
    """

    def __init__(self, reserve: int | None, now: Callable[[], datetime]) -> None:
        self._reserve = reserve
        self._now = now
        self._lock = threading.Lock()
        self._zone: tzinfo | None = None
        self._closed_at: datetime | None = None
        self._too_early = False
        self._reason = ""
        self._asked = False
        self._told: tuple[int, int] | None = None

    @property
    def told(self) -> tuple[int, int] | None:
        """How many calls a day has and how many were left, as HubSpot said last."""
        return self._told

    @property
    def closed(self) -> bool:
        """Whether nothing may be asked now."""
        with self._lock:
            return self._closed(self._now())

    def check(self) -> None:
        """Let a call pass.

        Raises:
            RateLimitedError: Not today.
        """
        if self.closed:
            raise self.error()

    def error(self, **context: Any) -> RateLimitedError:
        """What to raise while it is closed; *context* is for the error."""
        with self._lock:
            until, now, reason = self._until(), self._now(), self._reason
            zone = str(self._zone or "UTC, as the account's time zone is not known")
            local = until.astimezone(self._zone or timezone.utc)
        return RateLimitedError(
            f"{reason}; it can go on at {local:%Y-%m-%d %H:%M} ({zone}), and nothing is asked "
            "before",
            policy="DAILY",
            retry_after=max(until - now, timedelta(0)),
            **context,
        )

    def shortage(self, limit: int, remaining: int) -> str | None:
        """Why *remaining* of *limit* calls are too few to go on, or None when they are not."""
        self._told = limit, remaining
        if self._reserve is None:
            return None
        reserve = self._reserve if self._reserve < limit else limit // _TENTH
        if remaining > reserve:
            return None
        return (
            f"{remaining} of the {limit} daily calls of this HubSpot account are left, and "
            f"{reserve} are reserved for others (daily_reserve)"
        )

    def close(self, reason: str) -> None:
        """Nothing may be asked any more today. Twice: nothing more happens."""
        with self._lock:
            now = self._now()
            if not self._closed(now):
                # The time zone may be unknown, or HubSpot late: then it is tried by the hour.
                self._too_early = self._closed_at is not None and now - self._until() < _SOON
                self._closed_at, self._reason = now, reason

    def needs_zone(self) -> bool:
        """Whether the time zone should be asked for; true once at most."""
        with self._lock:
            asked, self._asked = self._asked, True
            return not asked and self._zone is None

    def learn_zone(self, name: Any) -> None:
        """Take note of the account's time zone, by its IANA name; nonsense is ignored."""
        try:
            zone = ZoneInfo(name)
        except (LookupError, OSError, TypeError, ValueError):
            return
        with self._lock:
            self._zone = zone

    def _closed(self, now: datetime) -> bool:
        closed_at = self._closed_at
        # Where it was closed in the future the clock was wrong, and so is the day.
        return closed_at is not None and not is_ahead(closed_at, now) and now < self._until()

    def _until(self) -> datetime:
        closed_at = self._closed_at or self._now()
        if self._too_early:
            return closed_at + _AGAIN
        local = closed_at.astimezone(self._zone or timezone.utc)
        tomorrow = datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo)
        return tomorrow.astimezone(timezone.utc)


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

    def quota(self) -> Quota:
        """How often HubSpot may be asked, as far as its answers say so."""
        told, rate = self.daily.told, self._rest.rate()
        if told is None:
            return Quota(calls_a_second=rate)
        return Quota(calls_a_day=told[0], calls_a_second=rate, left_today=told[1])

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
