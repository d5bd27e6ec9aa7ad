"""What a redrive did: failures tried again on demand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from attrs import asdict, field, frozen

from hubspot_sync.errors import HubSpotSyncError
from hubspot_sync.models._display import AsDict, one_line, seconds
from hubspot_sync.models.accounts import AccountKey, StreamKey
from hubspot_sync.models.reports import ByStream, RetryCounts, StreamStatus, in_seconds


@frozen(kw_only=True)
class StreamRedrive(AsDict):
    """What a redrive did for one stream.

    Attributes:
        stream: The stream.
        status: How it ended: completed; stopped by `stop()`; busy, because another worker has
            the stream; or failed.
        counts: Where the failures ended.
        error: What ended it when it failed or was busy, or None.
    """

    stream: StreamKey
    status: StreamStatus
    counts: RetryCounts = field(factory=RetryCounts)
    error: HubSpotSyncError | None = None

    def __str__(self) -> str:
        held = asdict(self.counts)
        said = [f"{number:,} {what}" for what, number in held.items() if number]
        ended = "" if self.status is StreamStatus.COMPLETED else f" {self.status.words},"
        return f"{self.stream.object_type}{ended} {', '.join(said) or 'nothing tried'}"

    def as_dict(self) -> dict[str, Any]:
        """The report as values that JSON knows."""
        return {
            "status": self.status.value,
            **self.counts.as_dict(),
            "error": str(self.error) if self.error else None,
        }


@frozen(kw_only=True)
class RedriveReport(ByStream[StreamRedrive]):
    """What a redrive did for one account.

    Attributes:
        account: The account.
        streams: One report for each stream that had failures, by object type.
        duration: From its beginning to its end.
    """

    account: AccountKey
    streams: tuple[StreamRedrive, ...] = ()
    duration: timedelta

    def __str__(self) -> str:
        return one_line(
            f"{self.account}: {'completed' if self.completed else 'not completed'} in "
            f"{in_seconds(self.duration)}",
            *map(str, self.streams),
        )

    def __repr__(self) -> str:
        return f"<RedriveReport {self}>"

    @property
    def completed(self) -> bool:
        """Whether every failure that was meant was tried; some may have been refused again."""
        return all(report.status is StreamStatus.COMPLETED for report in self.streams)

    @property
    def counts(self) -> RetryCounts:
        """The counts of all streams together."""
        return sum((report.counts for report in self.streams), start=RetryCounts())

    def raise_for_failure(self) -> None:
        """Raise what ended the first stream that failed or was busy, if any."""
        for report in self.streams:
            if report.error is not None:
                raise report.error

    def as_dict(self) -> dict[str, Any]:
        """The report as values that JSON knows."""
        return {
            "domain_id": self.account.domain_id,
            "account_id": self.account.account_id,
            "completed": self.completed,
            "streams": {report.stream.object_type: report.as_dict() for report in self.streams},
            "seconds": seconds(self.duration),
        }
