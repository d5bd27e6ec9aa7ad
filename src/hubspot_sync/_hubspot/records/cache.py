"""What HubSpot said a while ago, kept for a time and up to a number."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable
    from datetime import timedelta

    from hubspot_sync._clock import Clock

T = TypeVar("T")


class Cache(Generic[T]):
    """Remembers answers; threads may share it.

    Args:
        lifetime: How long an answer is believed.
        size: How many are kept; the oldest go first.
        clock: Tells their age.
    """

    def __init__(self, *, lifetime: timedelta, size: int, clock: Clock) -> None:
        self._lifetime = lifetime.total_seconds()
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[Hashable, tuple[float, T]] = {}

    def get(self, key: Hashable) -> T | None:
        """What is remembered of *key*, or None where that is nothing, or too old."""
        with self._lock:
            held = self._held.get(key)
            if held is None or self._clock.monotonic() - held[0] > self._lifetime:
                return None
            return held[1]

    def put(self, key: Hashable, answer: T) -> None:
        """Remember *answer*."""
        with self._lock:
            self._held.pop(key, None)
            while len(self._held) >= self._size:
                del self._held[next(iter(self._held))]
            self._held[key] = self._clock.monotonic(), answer
