"""What syncing many accounts did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from attrs import frozen

from hubspot_sync.errors import HubSpotSyncError, LeaseHeldError
from hubspot_sync.models._display import AsDict, number_of, one_line, seconds
from hubspot_sync.models.accounts import AccountKey
from hubspot_sync.models.reports import Counts, StreamStatus, SyncReport, in_seconds, with_total


@frozen(kw_only=True)
class FleetReport(AsDict):
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

    def __str__(self) -> str:
        ended = [f"{number:,} {one.words}" for one, number in self.ended.items() if number]
        return one_line(
            f"{number_of(len(self.accounts), 'account', 'accounts')} in {in_seconds(self.duration)}"
            + (", stopped" if self.stopped else ""),
            ", ".join(ended),
            f"{self.counts.delivered:,} delivered",
            number_of(sum(self.api_calls.values()), "call", "calls"),
        )

    def __repr__(self) -> str:
        return f"<FleetReport {self}>"

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
        ended = Counter(report.status for report in self.accounts)
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
            **self.counts.as_dict(),
            "api_calls": with_total(self.api_calls),
            "seconds": seconds(self.duration),
            "accounts": [report.as_dict() for report in self.accounts],
        }
