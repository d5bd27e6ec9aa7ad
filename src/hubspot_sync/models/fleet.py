"""What syncing many accounts did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from attrs import asdict, frozen

from hubspot_sync.errors import HubSpotSyncError, LeaseHeldError
from hubspot_sync.models.accounts import AccountKey
from hubspot_sync.models.reports import Counts, StreamStatus, SyncReport, with_total


@frozen(kw_only=True)
class FleetReport:
    """What a sync of many accounts did.

    Attributes:
        accounts: One report an account, in the order in which they ended. An account that had
            several turns has one report of all of them.
        stopped: Whether `stop()` ended it before every account had been synced.
        duration: From its beginning to its end.
    """

    accounts: tuple[SyncReport, ...] = ()
    stopped: bool = False
    duration: timedelta

    @property
    def completed(self) -> bool:
        """Whether every stream of every account completed."""
        return not self.stopped and all(report.completed for report in self.accounts)

    @property
    def failed(self) -> Mapping[AccountKey, HubSpotSyncError]:
        """What went wrong with each account that failed; one that was only busy is not in it."""
        return {
            report.account: report.failure
            for report in self.accounts
            if report.failure is not None and not isinstance(report.failure, LeaseHeldError)
        }

    @property
    def ended(self) -> Mapping[StreamStatus, int]:
        """How many accounts ended how."""
        ended = Counter(map(_status, self.accounts))
        return {one: ended[one] for one in StreamStatus if one is not StreamStatus.NOT_STARTED}

    @property
    def counts(self) -> Counts:
        """The counts of all accounts together."""
        return sum((report.counts for report in self.accounts), start=Counts())

    @property
    def api_calls(self) -> Mapping[str, int]:
        """Calls to HubSpot by endpoint class, of all accounts together."""
        return dict(sum((Counter(report.api_calls) for report in self.accounts), start=Counter()))

    def raise_for_failure(self) -> None:
        """Raise what went wrong with the first account that failed.

        The others that failed are named in its notes (`__notes__`), which Python shows from 3.11
        on.
        """
        failed = list(self.failed.items())
        if not failed:
            return
        (_, first), *others = failed
        if others:
            vars(first)["__notes__"] = [f"{key} failed too: {error}" for key, error in others]
        raise first

    def as_dict(self) -> dict[str, Any]:
        """The report as values that JSON knows; see the docs page "Storage and reports"."""
        return {
            "completed": self.completed,
            "stopped": self.stopped,
            "ended": {status.value: number for status, number in self.ended.items()},
            "read": self.counts.read,
            **asdict(self.counts),
            "api_calls": with_total(self.api_calls),
            "seconds": round(self.duration.total_seconds(), 3),
            "accounts": [report.as_dict() for report in self.accounts],
        }


def _status(report: SyncReport) -> StreamStatus:
    if report.failure is not None:
        busy = isinstance(report.failure, LeaseHeldError)
        return StreamStatus.BUSY if busy else StreamStatus.FAILED
    return StreamStatus.COMPLETED if report.completed else StreamStatus.STOPPED
