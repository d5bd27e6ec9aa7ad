"""Why one object is in the host's store as it is, or is not."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

from attrs import field, frozen

from hubspot_sync.models._checks import is_aware
from hubspot_sync.models._display import AsDict
from hubspot_sync.models.accounts import StreamKey
from hubspot_sync.models.actions import Gone
from hubspot_sync.models.health import StreamHealth
from hubspot_sync.models.rejected import RejectedAction


class Verdict(Enum):
    """In one word, what is the matter with an object."""

    DELIVERED = "delivered"
    OUTDATED = "outdated"
    WAITING = "waiting"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    PARKED = "parked"
    DELETED = "deleted"
    MERGED = "merged"
    ERASED = "erased"
    NOT_SYNCED = "not_synced"


class InHubSpot(Enum):
    """What HubSpot says of an object that it was asked for by its id."""

    THERE = "there"
    DELETED = "deleted"
    MERGED = "merged"
    NOWHERE = "nowhere"
    UNANSWERED = "unanswered"


@frozen(kw_only=True)
class Explanation(AsDict):
    """Why an object is in the host's store as it is, or is not.

    Attributes:
        stream: The stream that it belongs to.
        object_id: HubSpot's id of the object.
        verdict: In one word: the sink has its newest known state ("delivered"), or one that is
            older than HubSpot's ("outdated"); a run will bring it ("waiting"), or nobody has seen
            it ("unknown"); its action was refused and is tried again ("refused"), or is not any
            more ("parked"); the sink was told that it is gone ("deleted", "merged", "erased"); the
            account has no such stream ("not_synced").
        because: What that rests on and what to do, each a sentence without values of the object.
        modified_at: The modified date of the state that was delivered last, aware; None where
            nothing was.
        gone: How it left, as the sink was told; None otherwise.
        merged_into: The id of the record that it was merged into.
        rejected: The refused action on it, if there is one.
        health: How its stream is; None where the account does not have it.
        in_hubspot: What HubSpot says; None where it was not asked.
        modified_in_hubspot: The modified date that HubSpot says, aware.
    """

    stream: StreamKey
    object_id: str
    verdict: Verdict
    because: tuple[str, ...] = ()
    modified_at: datetime | None = field(default=None, validator=is_aware)
    gone: Gone | None = None
    merged_into: str | None = None
    rejected: RejectedAction | None = field(default=None, repr=False)
    health: StreamHealth | None = field(default=None, repr=False)
    in_hubspot: InHubSpot | None = None
    modified_in_hubspot: datetime | None = field(default=None, validator=is_aware)

    def __str__(self) -> str:
        lines = [f"{self.stream} {self.object_id}: {self.verdict.value.replace('_', ' ')}"]
        return "\n- ".join([*lines, *self.because])

    def __repr__(self) -> str:
        return f"<Explanation {self.stream} {self.object_id}: {self.verdict.value}>"

    def as_dict(self) -> dict[str, Any]:
        """The explanation as values that JSON knows; of a refused action no values."""
        fields = super().as_dict()
        rejected = self.rejected
        return {
            **fields,
            "stream": str(self.stream),
            "rejected": rejected
            and {
                "name": rejected.action.name,
                "reason": rejected.reason,
                "attempts": rejected.attempts,
                "next_at": rejected.next_at and rejected.next_at.isoformat(),
            },
            "health": self.health and self.health.as_dict(),
        }
