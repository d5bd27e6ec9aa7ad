"""What an observer is told while a run goes on; each event is one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from attrs import field, frozen

from hubspot_sync.models.accounts import AccountKey, StreamKey
from hubspot_sync.models.checkpoints import Mode, Pass
from hubspot_sync.models.fleet import FleetReport
from hubspot_sync.models.health import Condition
from hubspot_sync.models.reports import Counts, StreamReport, SyncReport


@frozen(kw_only=True)
class RunStarted:
    """A run over the streams of an account begins.

    Attributes:
        account: The account.
        object_types: The streams that will be read, in this order.
    """

    account: AccountKey
    object_types: tuple[str, ...]


@frozen(kw_only=True)
class StreamStarted:
    """The lease is taken and the pass is planned.

    Attributes:
        stream: The stream.
        mode: How records are found.
        reading: The pass, with what is left of it when an earlier run began it.
        resumed: Whether an earlier run began it.
    """

    stream: StreamKey
    mode: Mode
    reading: Pass
    resumed: bool


@frozen(kw_only=True)
class BatchStored:
    """The sink answered for a batch and the checkpoint is committed.

    Attributes:
        stream: The stream.
        counts: What this batch added.
        so_far: The counts of the stream's run up to here.
    """

    stream: StreamKey
    counts: Counts
    so_far: Counts


@frozen(kw_only=True)
class Retried:
    """A call to HubSpot or to a store failed in passing and is made again after a wait.

    Attributes:
        what: What was called: "store" in a stream's run, else "account store", "token store",
            "checkpointer" or "error queue"; or the class of HubSpot's endpoint ("list",
            "search", "oauth"...).
        account: The account that it is about; None where it is about no single one.
        stream: The stream; None where it is about no single one.
        attempt: How many tries have failed, from 1.
        wait: How long it waits now.
        reason: What failed, in one line.
    """

    what: str
    account: AccountKey | None = None
    stream: StreamKey | None = None
    attempt: int
    wait: timedelta
    reason: str


@frozen(kw_only=True)
class BookkeepingFailed:
    """A run ended, but how it went could not be written into the account's entry.

    What was synchronised is stored, and the run's report is whole.

    Attributes:
        account: The account.
        reason: Why, in one line.
    """

    account: AccountKey
    reason: str


@frozen(kw_only=True)
class AttentionNeeded:
    """Since the run that just ended somebody has to see to an account; told once, when it begins.

    Of accounts that are in the account store. What no worker looks after raises no event, see
    `SyncEngine.health` for that.

    Attributes:
        account: The account.
        condition: What is wrong.
        object_types: The streams that it concerns.
        remedy: What to do about it.
        error: The error behind it, as text, or None.
    """

    account: AccountKey
    condition: Condition
    object_types: tuple[str, ...]
    remedy: str
    error: str | None = None


@frozen(kw_only=True)
class RecordSkipped:
    """A record that HubSpot sent cannot be used.

    Attributes:
        stream: The stream.
        object_id: Its id as far as it could be read, or None.
        reason: What is wrong with it, in one line without its values.
    """

    stream: StreamKey
    object_id: str | None
    reason: str


@frozen(kw_only=True)
class ActionsRejected:
    """Actions of a batch were refused and are in the error queue.

    Attributes:
        stream: The stream.
        reasons: How many were refused, by reason.
        parked: How many of them were tried for the last time and are parked now.
    """

    stream: StreamKey
    reasons: Mapping[str, int]
    parked: int = 0


@frozen(kw_only=True)
class DeletionsSuspected:
    """More objects seem to be gone at once than is believed; the host is told of none of them.

    Look at HubSpot: if they are gone indeed, call `Domain.confirm_deletions`.

    Attributes:
        stream: The stream.
        gone: How many seem to be gone.
        bound: How many would have been believed.
    """

    stream: StreamKey
    gone: int
    bound: int


@frozen(kw_only=True)
class ValueKeptAsText:
    """The first value of a property in this pass that does not fit the property's type.

    It is delivered as the text that HubSpot sent, and so are those that follow, without an event;
    `StreamReport.unconverted` counts them.

    Attributes:
        stream: The stream.
        property_name: The property.
        object_id: The record that has the value.
    """

    stream: StreamKey
    property_name: str
    object_id: str


@frozen(kw_only=True)
class PropertiesChanged:
    """HubSpot lists other properties for an object type than when it was read before.

    It is told once for each stream and change, when the next pass begins; once more where that
    pass was cut off before it delivered anything.

    Attributes:
        stream: The stream.
        appeared: Names that are new, whether the settings choose them or not.
        vanished: Names that are gone; HubSpot has archived or deleted these properties.
        retyped: The type before and the type now, by name, of those that have another type.
    """

    stream: StreamKey
    appeared: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    retyped: Mapping[str, tuple[str, str]] = field(factory=dict)


@frozen(kw_only=True)
class StreamFinished:
    """A stream's run ended.

    Attributes:
        report: What it did.
    """

    report: StreamReport


@frozen(kw_only=True)
class RunFinished:
    """The run ended.

    Attributes:
        report: What it did.
    """

    report: SyncReport


@frozen(kw_only=True)
class FleetStarted:
    """A sync of many accounts begins.

    Attributes:
        workers: How many of them are worked on at once.
    """

    workers: int


@frozen(kw_only=True)
class AccountFinished:
    """One of many accounts is done for now; it may have had several runs, one in each turn.

    Attributes:
        report: What all its runs did together.
    """

    report: SyncReport


@frozen(kw_only=True)
class FleetFinished:
    """A sync of many accounts ended.

    Attributes:
        report: What it did.
    """

    report: FleetReport


Event = (
    RunStarted
    | StreamStarted
    | BatchStored
    | Retried
    | BookkeepingFailed
    | AttentionNeeded
    | RecordSkipped
    | ActionsRejected
    | DeletionsSuspected
    | ValueKeptAsText
    | PropertiesChanged
    | StreamFinished
    | RunFinished
    | FleetStarted
    | AccountFinished
    | FleetFinished
)
