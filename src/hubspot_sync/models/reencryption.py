"""What became of stored credentials when they were encrypted again."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from hubspot_sync.errors import HubSpotSyncError
from hubspot_sync.models._display import AsDict, number_of, one_line
from hubspot_sync.models.accounts import AccountKey


@frozen(kw_only=True)
class ReencryptionReport(AsDict):
    """How re-encrypting went; what failed is as it was.

    Attributes:
        resealed: How many accounts have credentials that are sealed under the primary key now.
        failures: What went wrong, by account.
        completed: Whether all accounts were reached; False when the engine was stopped.
    """

    resealed: int = 0
    failures: Mapping[AccountKey, HubSpotSyncError] = field(factory=dict)
    completed: bool = True

    def __str__(self) -> str:
        sealed = number_of(self.resealed, "account", "accounts")
        return one_line(
            f"{sealed} sealed under the primary key",
            f"{len(self.failures):,} failed" if self.failures else "",
            "" if self.completed else "stopped before the end",
        )

    def __repr__(self) -> str:
        return f"<ReencryptionReport {self}>"

    def raise_for_failure(self) -> None:
        """Raise the first error, if there is any.

        Raises:
            HubSpotSyncError: What went wrong.
        """
        for error in self.failures.values():
            raise error
