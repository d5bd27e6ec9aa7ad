"""HubSpot's time, as the Date headers of its answers tell it."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hubspot_sync._clock import Clock

_RESOLUTION: Final = timedelta(seconds=1)
_ZERO: Final = timedelta(0)


class ServerClock:
    """Bounds the offset between the host's clock and HubSpot's; narrower with every answer.

    A Date header has a resolution of one second and is made somewhere between sending and
    receiving. The host's clock is believed as long as no answer contradicts it.

    Args:
        clock: The host's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._bounds: tuple[timedelta, timedelta] | None = None

    @property
    def known(self) -> bool:
        """Whether any answer has told the time yet."""
        return self._bounds is not None

    def observe(self, sent_at: datetime, date_header: str | None) -> None:
        """Learn from the Date header of an answer that has just come, to a call of *sent_at*."""
        told = _parse(date_header)
        if told is None:
            return
        lower, upper = told - self._clock.now(), told + _RESOLUTION - sent_at
        with self._lock:
            if self._bounds is not None:
                narrowed = max(lower, self._bounds[0]), min(upper, self._bounds[1])
                # Bounds that exclude each other mean that a clock was set: begin anew.
                lower, upper = narrowed if narrowed[0] <= narrowed[1] else (lower, upper)
            self._bounds = lower, upper

    def now(self) -> datetime:
        """The present time at HubSpot, aware and in UTC."""
        with self._lock:
            lower, upper = self._bounds or (_ZERO, _ZERO)
        return self._clock.now() + min(max(_ZERO, lower), upper)


def _parse(date_header: str | None) -> datetime | None:
    if not date_header:
        return None
    try:
        told = parsedate_to_datetime(date_header)
    except ValueError:
        return None
    return told if told.tzinfo is not None else None
