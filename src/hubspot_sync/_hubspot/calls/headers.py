"""What the headers of an answer say: how full HubSpot's limits are, and what time it is.

Searches have no headers about limits, and OAuth apps not the daily ones:
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from attrs import frozen

from hubspot_sync._clock import SLACK
from hubspot_sync._limits import Outcome, Usage
from hubspot_sync.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.calls.transport import Answer
    from hubspot_sync.errors import HubSpotSyncError

DAILY: Final = "DAILY"
# Longer waits are the retry layer's, which ends the run and says when to come back.
_LONGEST_PAUSE: Final = timedelta(seconds=60)
_PREFIX: Final = "X-HubSpot-RateLimit"
_DIGITS: Final = 9
_LONGEST_MILLISECONDS: Final = 60_000
_RESOLUTION: Final = timedelta(seconds=1)
_RIVALS_KEPT: Final = 3
_SENSIBLE_YEARS: Final = range(2000, 9000)


def outcome_of(answer: Answer, error: HubSpotSyncError | None) -> Outcome:
    """What the limiter should know of *answer*, which stands for *error*."""
    usage = burst_usage(answer.headers)
    if not isinstance(error, RateLimitedError):
        return Outcome(accepted=error is None, usage=usage)
    # The end of the day stops all calls of the account, not those of one window.
    if error.policy == DAILY or error.retry_after is None:
        return Outcome()
    return Outcome(usage=usage, pause=min(error.retry_after, _LONGEST_PAUSE).total_seconds())


def burst_usage(headers: Mapping[str, str]) -> Usage | None:
    """How full the ten-second window is, or None where the headers do not say it in full."""
    limit = _number(headers, f"{_PREFIX}-Max")
    remaining = _number(headers, f"{_PREFIX}-Remaining")
    milliseconds = _number(headers, f"{_PREFIX}-Interval-Milliseconds")
    if not limit or remaining is None or milliseconds is None:
        return None
    if not 0 < milliseconds <= _LONGEST_MILLISECONDS:
        return None
    return Usage(limit=limit, remaining=min(remaining, limit), seconds=milliseconds / 1000)


def daily_usage(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """How many calls a day has and how many of them are left, or None where that is not said."""
    limit = _number(headers, f"{_PREFIX}-Daily")
    remaining = _number(headers, f"{_PREFIX}-Daily-Remaining")
    return None if not limit or remaining is None else (limit, remaining)


def _number(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= _DIGITS else None


@frozen
class _Bounds:
    """What HubSpot's clock showed when the host's monotonic clock showed zero.

    A Date header has a resolution of one second and is made somewhere between sending and
    receiving, so there is an earliest and a latest such instant.
    """

    earliest: datetime
    latest: datetime

    def agrees(self, other: _Bounds) -> bool:
        """Whether both can be true of one clock, but for some drift."""
        return max(self.earliest, other.earliest) - min(self.latest, other.latest) <= SLACK

    def narrowed(self, newer: _Bounds) -> _Bounds:
        """What both say, or *newer* where the clocks have drifted."""
        both = _Bounds(max(self.earliest, newer.earliest), min(self.latest, newer.latest))
        return both if both.earliest <= both.latest else newer

    def present(self, monotonic: timedelta, host: datetime) -> datetime:
        """HubSpot's time now: the host's where that fits, and little beyond the earliest."""
        earliest = self.earliest + monotonic
        latest = min(self.latest + monotonic, earliest + _RESOLUTION)
        return min(max(host, earliest), latest)


class ServerClock:
    """HubSpot's time, from witnesses of which none is believed alone; threads may share it.

    What is read by this time is lost where it is too late, and only read again later where it is
    too early. So a wrong witness must not make it later than it is:

    - Each answer of HubSpot's ties its Date to the monotonic clock. Nobody sets that one, so the
      tie holds whatever happens to the host's wall clock, and needs no new answer before each
      plan. While a machine sleeps the monotonic clock may stand still; then the time is too
      early, until the next answer.
    - An answer that contradicts what is known by more than `SLACK`, or the host's clock where
      nothing is known yet, is a rival: a proxy's old answer, say, or a front end with a wrong
      clock. It is believed once a second answer, or the host's clock, says the same.
    - `now` is the earliest that any of them says, the host's clock among them; `latest` is the
      latest that an answer says. Where all agree, which is nearly always, the two are the same.
    - A record that was modified later than the host's clock shows proves that clock to be behind.

    Args:
        clock: The host's clocks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: _Bounds | None = None
        self._rivals: tuple[_Bounds, ...] = ()
        self._host_zero: _Bounds | None = None
        self._stamped_zero: datetime | None = None

    @property
    def known(self) -> bool:
        """Whether any answer has told the time yet."""
        return self._known is not None or bool(self._rivals)

    @property
    def settled(self) -> bool:
        """Whether another answer would tell nothing new.

        It would after answers that nothing confirms, and where the host's two clocks have come
        apart since the last one: either the wall clock was set, or the machine was asleep.
        """
        with self._lock:
            zero, proved = self._host_zero, not self._rivals
        return proved and zero is not None and zero.agrees(self._host())

    @property
    def spread(self) -> timedelta:
        """How far apart `now` and `latest` are; nothing where all witnesses agree."""
        earliest, latest = self._span()
        return max(latest - earliest, timedelta(0))

    def observe(self, sent_at: float, date_header: str | None) -> None:
        """Learn from the Date header of an answer that has just come.

        Args:
            sent_at: When the call was sent, by the monotonic clock.
            date_header: What the answer says, or None.
        """
        told = _parse(date_header)
        if told is None:
            return
        received_at = self._clock.monotonic()
        seen = _Bounds(
            told - timedelta(seconds=received_at),
            told + _RESOLUTION - timedelta(seconds=sent_at),
        )
        host = self._host()
        with self._lock:
            # A host's clock that answers have overruled once is no witness before it is set.
            told_again = self._host_zero is None or not self._host_zero.agrees(host)
            witnesses = (self._known, *self._rivals, host if told_again else None)
            witness = next((one for one in witnesses if one and one.agrees(seen)), None)
            if witness is None:
                self._rivals = (*self._rivals, seen)[-_RIVALS_KEPT:]
            else:
                self._known = seen if witness is host else witness.narrowed(seen)
                self._rivals, self._host_zero = (), host

    def stamped(self, modified: Iterable[datetime]) -> None:
        """Learn from when records were modified that have just come."""
        newest = max(modified, default=None)
        if newest is None:
            return
        zero = newest - timedelta(seconds=self._clock.monotonic())
        with self._lock:
            self._stamped_zero = max(zero, self._stamped_zero or zero)

    def now(self) -> datetime:
        """The present time at HubSpot or a little before it, aware and in UTC."""
        return self._span()[0]

    def latest(self) -> datetime:
        """The latest that the present time at HubSpot can be, by what its answers say."""
        return self._span()[1]

    def _span(self) -> tuple[datetime, datetime]:
        """The earliest and the latest time that it can be, both of one moment."""
        with self._lock:
            known, rivals, stamped_zero = self._known, self._rivals, self._stamped_zero
            host, monotonic = self._clock.now(), timedelta(seconds=self._clock.monotonic())
        witnesses = rivals if known is None else (known, *rivals)
        told = [one.present(monotonic, host) for one in witnesses]
        latest = max(told if known is not None else (host, *told))
        proved = host if stamped_zero is None else max(host, stamped_zero + monotonic)
        return min(proved if told else host, *told, latest), latest

    def _host(self) -> _Bounds:
        zero = self._clock.now() - timedelta(seconds=self._clock.monotonic())
        return _Bounds(zero, zero)


def _parse(date_header: str | None) -> datetime | None:
    if not date_header:
        return None
    try:
        told = parsedate_to_datetime(date_header)
    except (OverflowError, TypeError, ValueError):
        return None
    return told if told.tzinfo is not None and told.year in _SENSIBLE_YEARS else None
