"""Instants as HubSpot writes them: milliseconds since 1970, and ISO text in UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DIGITS: Final = re.compile(r"-?\d+")
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)


def to_milliseconds(instant: datetime) -> int:
    """The whole milliseconds since 1970 of an aware instant."""
    return (instant - _EPOCH) // _MILLISECOND


def to_instant(milliseconds: int) -> datetime:
    """The aware UTC instant."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_iso(milliseconds: int) -> str:
    """As HubSpot prints it: `2026-03-02T10:35:01.123Z`."""
    moment = _EPOCH + timedelta(0, milliseconds // 1000)
    return f"{moment.isoformat()[:19]}.{milliseconds % 1000:03d}Z"


def parse_milliseconds(text: str) -> int | None:
    """Read epoch milliseconds, an ISO instant or an ISO date; None for anything else.

    A fraction beyond milliseconds is ignored (HubSpot 1.8).
    """
    if _DIGITS.fullmatch(text):
        return int(text)
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    day, clock_time, fraction, zone = match.groups()
    zone = "+00:00" if zone in {None, "Z", "z"} else zone
    zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        whole = datetime.fromisoformat(f"{day}T{clock_time or '00:00:00'}{zone}")
    except ValueError:
        return None
    return to_milliseconds(whole) + int((fraction or "0")[:3].ljust(3, "0"))


def time_zone_called(name: str) -> tzinfo:
    """The time zone of an IANA name.

    Raises:
        ValueError: There is none.
    """
    if name == "UTC":
        return timezone.utc  # without the time zone database, which Windows has not
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise ValueError(f"time_zone {name!r} is not in the time zone database") from None
