"""What an answer says about HubSpot's limits, by its headers or by being a refusal.

Searches have none of them, and OAuth apps not the daily ones:
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hubspot_sync._limits import Outcome, Usage
from hubspot_sync.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync._hubspot.calls.transport import Answer
    from hubspot_sync.errors import HubSpotSyncError

DAILY: Final = "DAILY"
# Longer waits are the retry layer's, which ends the run and says when to come back.
_LONGEST_PAUSE: Final = timedelta(seconds=60)
_PREFIX: Final = "X-HubSpot-RateLimit"
_DIGITS: Final = 9
_LONGEST_MILLISECONDS: Final = 60_000


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
