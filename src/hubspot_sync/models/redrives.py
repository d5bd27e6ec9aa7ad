"""What a redrive did: failures tried again on demand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from attrs import asdict, field, frozen

from hubspot_sync.errors import HubSpotSyncError
from hubspot_sync.models.accounts import AccountKey, StreamKey
from hubspot_sync.models.reports import RetryCounts, StreamStatus


@frozen(kw_only=True)
class StreamRedrive:
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


@frozen(kw_only=True)
class RedriveReport:
    """What a redrive did for one account.

    Attributes:
        account: The account.
        streams: One report for each stream that had failures, by object type.
        duration: From its beginning to its end.
    """

    account: AccountKey
    streams: tuple[StreamRedrive, ...] = ()
    duration: timedelta

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
            "streams": {
                report.stream.object_type: {
                    "status": report.status.value,
                    "tried": report.counts.tried,
                    **asdict(report.counts),
                    "error": str(report.error) if report.error else None,
                }
                for report in self.streams
            },
            "seconds": round(self.duration.total_seconds(), 3),
        }
