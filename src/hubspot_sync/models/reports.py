"""What a run did, counted so that it adds up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from attrs import Factory, asdict, field, frozen

from hubspot_sync.errors import ConfigurationError, HubSpotSyncError, LeaseHeldError
from hubspot_sync.models._display import AsDict, number_of, one_line, seconds
from hubspot_sync.models.accounts import AccountKey, StreamKey
from hubspot_sync.models.checkpoints import Mode
from hubspot_sync.models.object_types import canonical_object_type


@frozen(kw_only=True)
class Counts(AsDict):
    """Where the records that were read ended; `read` is the sum of all others.

    Attributes:
        delivered: The sink accepted an action for it.
        repeated: This version was delivered before; nothing was stored again.
        unchanged: Its modified date moved, but no value that was read did.
        rejected: Its action was refused and waits in the error queue with its reason.
        skipped: The record could not be used at all, for a reason that was logged.
    """

    delivered: int = 0
    repeated: int = 0
    unchanged: int = 0
    rejected: int = 0
    skipped: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return {"read": self.read, **asdict(self)}

    @property
    def read(self) -> int:
        """Records that were read and settled."""
        return self.delivered + self.repeated + self.unchanged + self.rejected + self.skipped

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            delivered=self.delivered + other.delivered,
            repeated=self.repeated + other.repeated,
            unchanged=self.unchanged + other.unchanged,
            rejected=self.rejected + other.rejected,
            skipped=self.skipped + other.skipped,
        )


@frozen(kw_only=True)
class RetryCounts(AsDict):
    """Where failures that were tried again ended; `tried` is the sum of all others.

    Attributes:
        delivered: The sink took it, or held it already; it has left the queue.
        superseded: A newer version of its object was delivered meanwhile; it was dropped.
        rejected: It was refused again and stays in the queue.
        parked: It was refused for the last time and stays in the queue, parked.
    """

    delivered: int = 0
    superseded: int = 0
    rejected: int = 0
    parked: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return {"tried": self.tried, **asdict(self)}

    @property
    def tried(self) -> int:
        """Failures that were looked at."""
        return self.delivered + self.superseded + self.rejected + self.parked

    def __add__(self, other: RetryCounts) -> RetryCounts:
        return RetryCounts(
            delivered=self.delivered + other.delivered,
            superseded=self.superseded + other.superseded,
            rejected=self.rejected + other.rejected,
            parked=self.parked + other.parked,
        )


class _OfStream(Protocol):
    @property
    def stream(self) -> StreamKey: ...


Stream = TypeVar("Stream", bound=_OfStream)


class ByStream(AsDict, Generic[Stream]):
    """A report of reports, one for each stream; `report["contacts"]` is one of them."""

    __slots__ = ()

    def __getitem__(self, object_type: str) -> Stream:
        """The report of the stream of *object_type*; see also `StreamReport.name`.

        Raises:
            KeyError: There is no such stream in it.
        """
        reports = self._by_name()
        found = reports.get(_name_of(object_type))
        if found is None:
            held = ", ".join(map(repr, reports)) or "none"
            raise KeyError(f"no stream {object_type!r} in this report; it has {held}")
        return found

    def __contains__(self, object_type: object) -> bool:
        return _name_of(object_type) in self._by_name()

    def _by_name(self) -> dict[str | None, Stream]:
        streams: tuple[Stream, ...] = self.streams  # type: ignore[attr-defined]
        return {name: one for one in streams for name in _names_of(one)}


def _names_of(report: _OfStream) -> tuple[str, ...]:
    """The name that the settings have for the stream, if there is one, and its own."""
    return getattr(report, "name", report.stream.object_type), report.stream.object_type


def _name_of(object_type: Any) -> str | None:
    try:
        return canonical_object_type(object_type)
    except ConfigurationError:
        return None


class StreamStatus(Enum):
    """How a stream's run ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    BUSY = "busy"
    FAILED = "failed"
    NOT_STARTED = "not_started"

    @property
    def words(self) -> str:
        """For people: "not started"."""
        return self.value.replace("_", " ")


@frozen(kw_only=True)
class StreamReport(AsDict):
    """What a run did for one stream.

    Attributes:
        stream: The stream; that of a custom type has the type's id.
        name: What the settings of the account call the object type.
        status: How it ended: completed; stopped by `stop()`; busy, because another worker has
            it; failed; or not started, because what ended another stream ended the run.
        mode: How records were found; None when it ended before that was known.
        counts: Where the records ended.
        unconverted: How many values did not fit the type of their property and were kept as
            text, by property name; in records that were not delivered before.
        retried: Where the failures of earlier runs ended that were due to be tried again.
        api_calls: Calls to HubSpot by endpoint class, every try counted.
        duration: From taking the lease to giving it back.
        gaps: What of the stream is not there or not proved, in words, although it completed:
            records that HubSpot could not answer for, or a list that nothing could be held
            against. Later runs see to it. Empty when all that HubSpot has is in the sink.
        error: What ended it when it failed or was busy, or None.
    """

    stream: StreamKey
    name: str = field(default=Factory(lambda self: self.stream.object_type, takes_self=True))
    status: StreamStatus
    mode: Mode | None = None
    counts: Counts = Counts()
    unconverted: Mapping[str, int] = field(factory=dict)
    retried: RetryCounts = RetryCounts()
    api_calls: Mapping[str, int] = field(factory=dict)
    duration: timedelta
    gaps: tuple[str, ...] = ()
    error: HubSpotSyncError | None = None

    @property
    def left_over(self) -> bool:
        """Whether it is left to the next run by no fault of its own: stopped, or not started."""
        return self.status in (StreamStatus.STOPPED, StreamStatus.NOT_STARTED)

    @property
    def records_per_second(self) -> float:
        """Throughput; 0.0 when nothing was read."""
        seconds = self.duration.total_seconds()
        return self.counts.read / seconds if seconds > 0 else 0.0

    def __str__(self) -> str:
        return one_line(
            f"{self.stream}: {self.status.words} in {in_seconds(self.duration)}",
            _numbers(self),
            number_of(sum(self.api_calls.values()), "call", "calls"),
            _told(self.error),
        )

    def __repr__(self) -> str:
        return f"<StreamReport {self}>"

    def as_dict(self) -> dict[str, Any]:
        """The report as values that JSON knows."""
        return {
            "object_type": self.stream.object_type,
            "status": self.status.value,
            "mode": self.mode.value if self.mode else None,
            **self.counts.as_dict(),
            "unconverted": dict(sorted(self.unconverted.items())),
            "retried": asdict(self.retried),
            "api_calls": with_total(self.api_calls),
            "seconds": seconds(self.duration),
            "records_per_second": round(self.records_per_second, 1),
            "gaps": list(self.gaps),
            "error": str(self.error) if self.error else None,
        }


@frozen(kw_only=True)
class SyncReport(ByStream[StreamReport]):
    """What a run did for one account.

    `report["contacts"]` is the report of one stream, and `print(report)` all of it in one line.

    Attributes:
        account: The account.
        streams: One report for each stream of the account, also for those that the run did not
            reach, in their order.
        api_calls: Calls to HubSpot by endpoint class, every try counted, also those that belong
            to no stream.
        duration: From the beginning to the end of the run.
        error: What ended the whole run before its streams could complete, or None.
    """

    account: AccountKey
    streams: tuple[StreamReport, ...] = ()
    api_calls: Mapping[str, int] = field(factory=dict)
    duration: timedelta
    error: HubSpotSyncError | None = None

    def __str__(self) -> str:
        return one_line(
            f"{self.account}: {self.status.words} in {in_seconds(self.duration)}",
            *(_in_words(one) for one in self.streams),
            number_of(sum(self.api_calls.values()), "call", "calls"),
            _told(self.failure),
        )

    def __repr__(self) -> str:
        return f"<SyncReport {self}>"

    @property
    def status(self) -> StreamStatus:
        """How the run ended, all streams together."""
        if self.failure is not None:
            busy = isinstance(self.failure, LeaseHeldError)
            return StreamStatus.BUSY if busy else StreamStatus.FAILED
        return StreamStatus.COMPLETED if self.completed else StreamStatus.STOPPED

    @property
    def completed(self) -> bool:
        """Whether every stream completed."""
        return self.error is None and all(
            report.status is StreamStatus.COMPLETED for report in self.streams
        )

    @property
    def counts(self) -> Counts:
        """The counts of all streams together."""
        return sum((report.counts for report in self.streams), start=Counts())

    @property
    def failure(self) -> HubSpotSyncError | None:
        """What ended the run, or else what ended the first stream that failed or was busy.

        None for a run that completed, or that `stop()` ended.
        """
        errors = (self.error, *(report.error for report in self.streams))
        return next((error for error in errors if error is not None), None)

    def raise_for_failure(self) -> None:
        """Raise `failure`, if there is one."""
        if self.failure is not None:
            raise self.failure

    def as_dict(self) -> dict[str, Any]:
        """The report as values that JSON knows; see the docs page "Storage and reports"."""
        return {
            "domain_id": self.account.domain_id,
            "account_id": self.account.account_id,
            "completed": self.completed,
            "streams": {report.name: report.as_dict() for report in self.streams},
            "api_calls": with_total(self.api_calls),
            "seconds": seconds(self.duration),
            "error": str(self.error) if self.error else None,
        }


def with_total(api_calls: Mapping[str, int]) -> dict[str, int]:
    """Calls by endpoint class with their sum as "total"."""
    return {"total": sum(api_calls.values()), **dict(sorted(api_calls.items()))}


def in_seconds(duration: timedelta) -> str:
    """A duration for people: "2.1 s"."""
    return f"{duration.total_seconds():,.1f} s"


def _in_words(report: StreamReport) -> str:
    """What became of one stream, in a part of a line."""
    ended = "" if report.status is StreamStatus.COMPLETED else f" {report.status.words}"
    numbers = _numbers(report)
    between = "," if ended and numbers else ""
    return f"{report.name}{ended}{between} {numbers}".rstrip()


def _numbers(report: StreamReport) -> str:
    """How many records are new to the sink, and what else ought to be known of them."""
    counts = report.counts
    if report.mode is None and counts.read == 0:
        return ""
    kind = "new" if report.mode is Mode.BACKFILL else "new or changed"
    others = {
        "rejected": counts.rejected,
        "skipped": counts.skipped,
        "tried again": report.retried.tried,
        "gaps": len(report.gaps),
    }
    said = [f"{number:,} {what}" for what, number in others.items() if number]
    return ", ".join((f"{counts.delivered:,} {kind}", *said))


def _told(error: HubSpotSyncError | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}"
