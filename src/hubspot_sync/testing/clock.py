"""A clock that stands still until a test moves it."""

from __future__ import annotations

import random
import threading
from datetime import datetime, timedelta, timezone
from typing import Final

from hubspot_sync._clock import StopRequested
from hubspot_sync.models._checks import Check, is_delay, is_instant, is_kind

# The day after the last date that the emulator seeds a portal with.
_START: Final = datetime(2026, 7, 1, tzinfo=timezone.utc)
_MOST_SECONDS: Final = 1e9
is_seconds: Final = Check(
    lambda value: (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value <= _MOST_SECONDS
    ),
    "a timedelta, or a number of seconds that is not below zero",
)


class ManualClock:
    """Time that passes only when told to; sleeping moves it and never waits.

    Several threads may share one: each sleep moves the time of all.

    Args:
        start: The first instant, aware.
        seed: What `random` starts from; the same seed gives the same numbers.

    Raises:
        ConfigurationError: *start* has no time zone, or an argument is something else.
    """

    def __init__(self, start: datetime = _START, *, seed: int = 0) -> None:
        is_instant.of("start", start)
        is_kind(int).of("seed", seed)
        self._start = start.astimezone(timezone.utc)
        self._passed = timedelta()
        self._lock = threading.Lock()
        self._random = random.Random(seed)  # noqa: S311, TID251 - reproducible seeding
        self._waits: list[float] = []

    @property
    def waits(self) -> tuple[float, ...]:
        """Every wait that was asked for so far, in seconds, in order."""
        with self._lock:
            return tuple(self._waits)

    def now(self) -> datetime:
        """The start plus all that has passed."""
        with self._lock:
            return self._start + self._passed

    def monotonic(self) -> float:
        """Seconds passed since the start."""
        with self._lock:
            return self._passed.total_seconds()

    def advance(self, by: timedelta | float) -> datetime:
        """Move time forward by a duration or a number of seconds; returns the new instant.

        Raises:
            ConfigurationError: *by* is negative, or no time at all.
        """
        if not isinstance(by, timedelta):
            is_seconds.of("by", by)
            by = timedelta(seconds=by)
        is_delay.of("by", by)
        step = by
        with self._lock:
            self._passed += step
            return self._start + self._passed

    def set(self, instant: datetime) -> None:
        """Set the wall clock, as an administrator or a time server would; no time passes.

        Raises:
            ValueError: *instant* has no time zone.
        """
        if instant.tzinfo is None:
            raise ValueError(f"instant {instant!r} has no time zone; give an aware datetime")
        with self._lock:
            self._start = instant.astimezone(timezone.utc) - self._passed

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> None:
        """Move time forward instead of waiting.

        Raises:
            StopRequested: *stop* is set; no time passes then.
        """
        if stop is not None and stop.is_set():
            raise StopRequested
        with self._lock:
            self._waits.append(seconds)
        self.advance(max(seconds, 0.0))

    def random(self) -> float:
        """The next number of the seeded series, in [0, 1)."""
        with self._lock:
            return self._random.random()
