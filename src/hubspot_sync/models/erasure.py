"""What forgetting did: objects that were erased, and accounts that were purged."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from hubspot_sync.models._display import AsDict, number_of, one_line
from hubspot_sync.models.accounts import AccountKey, StreamKey


@frozen(kw_only=True)
class ErasureReport(AsDict):
    """What `Domain.erase` removed.

    Attributes:
        stream: The stream of the objects.
        object_ids: The objects that are erased now: those that were given, and those that were
            merged into them, as far as the sink was told of it.
        rejected: How many refused actions were removed from the error queue.
        stored: How many actions or records the sink's `erase` removed.
        told: How many actions of the kind `ActionKind.ERASED` the sink took, or had taken before.
        refused: How many of those it refused; they wait in the error queue, and have no values.
        survivors: Records that given objects were merged into, and that were not given: what is
            known of the same person under another id is still there.
        unable: The classes of sinks without `erase`; what they keep is the host's to remove.
    """

    stream: StreamKey
    object_ids: tuple[str, ...] = ()
    rejected: int = 0
    stored: int = 0
    told: int = 0
    refused: int = 0
    survivors: tuple[str, ...] = ()
    unable: tuple[str, ...] = ()

    def __str__(self) -> str:
        return one_line(
            f"{self.stream}: {number_of(len(self.object_ids), 'object', 'objects')} erased, "
            f"{_removed(self.stored, self.rejected)}",
            f"{self.refused:,} Erased actions were refused" if self.refused else "",
            f"not erased: {', '.join(self.survivors)}, merged with them" if self.survivors else "",
            _left_by(self.unable),
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as values that JSON knows."""
        return {**_of_account(self.stream.account), "object_type": self.stream.object_type} | {
            name: value for name, value in super().as_dict().items() if name != "stream"
        }


@frozen(kw_only=True)
class PurgeReport(AsDict):
    """What `Domain.purge` removed.

    Attributes:
        account: The account.
        streams: The object types whose progress was removed.
        fingerprints: Of how many objects it was removed what was known.
        rejected: How many refused actions were removed from the error queue.
        stored: How many actions or records the sink's `purge` removed.
        credentials: Whether there were credentials.
        entry: Whether there was an entry in the account store.
        unable: The classes of sinks without `purge`; what they keep is the host's to remove.
        untold: Why HubSpot could not be told that the tokens are not used any more; None where it
            was, or where there were none.
    """

    account: AccountKey
    streams: tuple[str, ...] = ()
    fingerprints: int = 0
    rejected: int = 0
    stored: int = 0
    credentials: bool = False
    entry: bool = False
    unable: tuple[str, ...] = ()
    untold: str | None = None

    def __str__(self) -> str:
        parts = {"credentials": self.credentials, "entry": self.entry}
        also = "".join(f", {name}" for name, was_there in parts.items() if was_there)
        return one_line(
            f"{self.account}: {_removed(self.stored, self.rejected)}, "
            f"{number_of(len(self.streams), 'stream', 'streams')} with what was known of "
            f"{number_of(self.fingerprints, 'object', 'objects')}{also}",
            _left_by(self.unable),
            self.untold or "",
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as values that JSON knows."""
        return _of_account(self.account) | {
            name: value for name, value in super().as_dict().items() if name != "account"
        }


def _of_account(account: AccountKey) -> dict[str, Any]:
    return {"domain_id": account.domain_id, "account_id": account.account_id}


def _removed(stored: int, rejected: int) -> str:
    kept = number_of(stored, "action or record", "actions or records")
    return f"{kept} and {number_of(rejected, 'refused action', 'refused actions')} removed"


def _left_by(unable: tuple[str, ...]) -> str:
    return f"{' and '.join(unable)} cannot forget" if unable else ""
