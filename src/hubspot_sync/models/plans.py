"""What the next sync will read and cost, before it is made."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Any, Final

from attrs import frozen

from hubspot_sync.models._display import AsDict, number_of
from hubspot_sync.models.accounts import AccountKey, Quota, StreamKey
from hubspot_sync.models.checkpoints import Mode
from hubspot_sync.models.reports import ByStream

# Seconds from which on minutes are said.
_MINUTES_FROM: Final = 100
_LEAST_SHARE: Final = 0.001


@frozen(kw_only=True)
class StreamPlan(AsDict):
    """What the next sync of one stream will read and cost.

    Attributes:
        stream: The stream, under the name that is kept of it.
        name: Its object type as the settings name it.
        mode: How the records are found. Only in modes "backfill" and "reconcile" all are read.
        records: How many HubSpot has; None where it counts them for nobody, as where it refuses
            to search the object type.
        calls: How many calls to HubSpot the sync takes, retries aside; of a stream that is loaded
            already those of a sync that finds nothing new. None where *records* is.
        sweep_calls: How many calls each comparison of all associations takes.
        sweeps_a_day: How many there are in a day, in runs that come often enough.
    """

    stream: StreamKey
    name: str
    mode: Mode
    records: int | None = None
    calls: int | None = None
    sweep_calls: int = 0
    sweeps_a_day: float = 0.0

    def __str__(self) -> str:
        if self.calls is None:
            return f"{self.name}: nobody can say, HubSpot does not count them"
        what = "all records" if self.mode is not Mode.INCREMENTAL else "what changed"
        records = number_of(self.records or 0, "record", "records")
        sweep = self.sweep_calls * self.sweeps_a_day
        more = f", and {round(sweep):,} a day for associations" if sweep else ""
        return f"{self.name}: {what}, {records}, {number_of(self.calls, 'call', 'calls')}{more}"

    def as_dict(self) -> dict[str, Any]:
        """The plan as values that JSON knows."""
        return {**super().as_dict(), "stream": str(self.stream)}


@frozen(kw_only=True)
class SyncPlan(ByStream[StreamPlan]):
    """What the next sync of an account will read and cost; `plan["contacts"]` is one stream's.

    Attributes:
        account: The account.
        streams: The streams, in the order in which they are synced.
        quota: How often HubSpot may be asked.
        spent: How many calls making the plan took.
    """

    account: AccountKey
    streams: tuple[StreamPlan, ...]
    quota: Quota
    spent: int = 0

    @property
    def records(self) -> int | None:
        """How many records are there to be read; None where that is not known of a stream."""
        known = [one.records for one in self.streams if one.mode is not Mode.INCREMENTAL]
        return None if None in known else sum(one or 0 for one in known)

    @property
    def calls(self) -> int | None:
        """How many calls it takes, that for the account included; None as in `records`."""
        known = [one.calls for one in self.streams]
        return None if None in known else 1 + sum(one or 0 for one in known)

    @property
    def duration(self) -> timedelta | None:
        """The least time that it takes, by HubSpot's limits alone; None where it is not known."""
        if self.calls is None or not self.quota.calls_a_second:
            return None
        return timedelta(seconds=self.calls / self.quota.calls_a_second)

    @property
    def daily_share(self) -> float | None:
        """Which part of a day's calls it takes: 0.01 is one in a hundred; None as in `calls`."""
        return None if self.calls is None else self.calls / self.quota.calls_a_day

    @property
    def sweep_share(self) -> float:
        """Which part of a day's calls comparing associations takes, day by day."""
        calls = sum(one.sweep_calls * one.sweeps_a_day for one in self.streams)
        return calls / self.quota.calls_a_day

    def __str__(self) -> str:
        lines = [f"{self.account}: {self._in_all()}", *map(str, self.streams)]
        return "\n- ".join(lines)

    def _in_all(self) -> str:
        if self.calls is None:
            return "not all streams can be counted"
        parts = [number_of(self.calls, "call", "calls")]
        if self.duration is not None:
            parts.append(f"at least {_words(self.duration)}")
        share = _percent(self.calls / self.quota.calls_a_day)
        parts.append(f"{share} of {self.quota.calls_a_day:,} calls a day")
        if self.sweep_share:
            parts.append(f"then {_percent(self.sweep_share)} of them for associations")
        return ", ".join(parts)

    def __repr__(self) -> str:
        return f"<SyncPlan {self.account}: {self._in_all()}>"

    def as_dict(self) -> dict[str, Any]:
        """The plan as values that JSON knows, with what follows from it."""
        duration = self.duration
        return {
            **super().as_dict(),
            "account": str(self.account),
            "streams": [one.as_dict() for one in self.streams],
            "records": self.records,
            "calls": self.calls,
            "seconds": None if duration is None else round(duration.total_seconds(), 1),
            "daily_share": self.daily_share,
            "sweep_share": self.sweep_share,
        }


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= _LEAST_SHARE else f"under {_LEAST_SHARE:.1%}"


def _words(duration: timedelta) -> str:
    seconds = ceil(duration.total_seconds())
    return f"{seconds} s" if seconds < _MINUTES_FROM else f"{ceil(seconds / 60)} min"
