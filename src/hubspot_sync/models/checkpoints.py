"""Durable progress of a stream: what was read, what was delivered, and who may go on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from attrs import field, frozen
from msgspec import Struct

from hubspot_sync.errors import InvariantError
from hubspot_sync.models._checks import is_aware
from hubspot_sync.models._display import settings_repr
from hubspot_sync.models.accounts import StreamKey
from hubspot_sync.models.actions import Gone

# The end of a range of ids that has none: HubSpot's ids are below.
NO_END: Final = 2**63


class Mode(Enum):
    """How a pass finds its records."""

    BACKFILL = "backfill"
    INCREMENTAL = "incremental"
    RECONCILE = "reconcile"
    ARCHIVED = "archived"
    ASSOCIATIONS = "associations"


@frozen(kw_only=True)
class IdRange:
    """A part of a pass that is still to be read, in ascending order of object ids.

    Attributes:
        after: Where to go on, exactly as the last page gave it; None at the beginning. For the
            list endpoint this is HubSpot's paging value, for search the last object id.
        until: The object id at which the range ends, itself not part of it; None for no end.
        start: Modified time from which records are wanted, inclusive, where the pass was cut into
            smaller windows; None for the start of the pass.
        end: Modified time up to which they are wanted, exclusive; None for the end of the pass.
        serial: Whether the list endpoint may only be followed by its own paging values, because
            it was seen not to keep the order of ids.
        listed: Whether it is read from the list endpoint in a pass that searches, because HubSpot
            refuses to search the object type.
    """

    after: str | None = None
    until: str | None = None
    start: datetime | None = field(default=None, validator=is_aware)
    end: datetime | None = field(default=None, validator=is_aware)
    serial: bool = False
    listed: bool = False

    def __repr__(self) -> str:
        return settings_repr(self)


class ListedSpan(Struct, frozen=True, order=True, array_like=True, gc=False):
    """How many records a walk of the list found in a range of ids.

    Attributes:
        first: The lowest id of the range.
        end: The id at which it ends, itself not part of it; `NO_END` where it does not.
        rows: How many records were listed.
    """

    first: int
    end: int
    rows: int


@frozen(kw_only=True)
class PropertySet:
    """What is read of each record of a stream, and which properties there were to choose from.

    Attributes:
        types: The type of each property that HubSpot lists for the object type, chosen or not.
        read: The names of the properties that are read.
        associations: The object types whose associated ids are read.
        defined_at: When HubSpot listed the properties, by its own clock; aware.
    """

    types: Mapping[str, str]
    read: frozenset[str]
    associations: frozenset[str] = frozenset()
    defined_at: datetime = field(validator=is_aware)

    def __repr__(self) -> str:
        return settings_repr(self)

    def adds_to(self, before: PropertySet) -> bool:
        """Whether a record may hold something in it that *before* had not, or not in this type."""
        return (
            not self.read <= before.read
            or not self.associations <= before.associations
            or any(self.types.get(name) != before.types.get(name) for name in self.read)
        )


@frozen(kw_only=True)
class Pass:
    """One pass over a stream, fixed before its first page is read.

    Attributes:
        mode: How records are found.
        start: Modified time from which records are wanted, inclusive; None where all are.
        end: Modified time up to which the pass promises completeness, exclusive.
        ranges: What is still to be read; empty when the pass is complete.
        listed: How many records were listed so far, by ranges of ids, where all records are
            read; None where that is not known.
        redelivers: Whether all records are delivered again, also those that are known.
        properties: What is read of each record; None where that is not known.
        missing: Objects that were delivered and that the pass did not come across so far, where
            it is a reconcile pass; the first 1,000 of them.
        object_ids: Records to be read by their ids before all else; not kept in a checkpoint.
    """

    mode: Mode
    start: datetime | None = field(default=None, validator=is_aware)
    end: datetime = field(validator=is_aware)
    ranges: tuple[IdRange, ...] = (IdRange(),)
    listed: tuple[ListedSpan, ...] | None = ()
    redelivers: bool = False
    properties: PropertySet | None = None
    missing: tuple[str, ...] = ()
    object_ids: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return settings_repr(self)

    @property
    def is_whole(self) -> bool:
        """Whether all records are read."""
        return self.mode in (Mode.BACKFILL, Mode.RECONCILE)

    def __attrs_post_init__(self) -> None:
        if (self.start is None) == (self.mode is Mode.INCREMENTAL):
            raise InvariantError(f"a pass in {self.mode.value} mode cannot start at {self.start}")


@frozen(kw_only=True)
class Checkpoint:
    """Durable progress of a stream; a new stream has the one with all defaults.

    Attributes:
        high_water_mark: Every record modified before it is in the sink; it only rises, but see
            *fell_from*. None until the backfill is complete.
        index_floor: Later passes never look back beyond this instant: everything before it was
            read from HubSpot's primary storage, whose answers are not late. None until the
            backfill is complete.
        reconciled_at: The end of the last complete pass over all records, backfill or reconcile:
            what HubSpot held then is in the sink, whether it moved a modified date or not. None
            until the backfill is complete.
        reading: The pass under way, or None between passes.
        doubtful_until: Until when the sink may have been told of versions that no fingerprint
            tells of, because a pass was cut off, and which nobody will read again, because the
            objects changed once more. A digest that is as before does not prove then that nothing
            changed. None again for passes that begin behind it.
        reconcile_since: The earliest end of a pass over all records that somebody asked for. None
            once such a pass is complete and the stream was brought up to the present after it.
        redeliver: Whether the next pass over all records delivers them again, because somebody
            asked for that. False again once it is complete.
        unread: Ids of records that could not be read, or that are to be compared; each run asks
            for them.
        undelivered: Those of them that the sink may have lost: they are delivered as if they were
            new.
        properties: What the last pass read of each record; None until that is known.
        fell_from: The mark that was there and was taken back, because a wrong clock had put it
            into HubSpot's future. None again once all records are compared.
        archived_at: Up to when deletions were looked for; None where that is due.
        archived_after: Where the list of deleted records goes on, where it is too long for one
            run; None for its beginning.
        differences: How many records more HubSpot has than were delivered, by ranges of ids, where
            that is known and no deletion: records that were rejected, for instance.
        associations_at: Up to when associations were compared; None where that is due.
        associations_after: The object id at which the comparison under way goes on; None where
            none is.
        suspected: How many objects seem to be gone that the host was not told of, because they are
            more than is believed without `Domain.confirm_deletions`.
        confirmed: Whether somebody confirmed them, so that the next pass over all records tells of
            them.
        announced: New objects of the batch that is on its way to the sink or next, and those of
            batches that were cut off there; their versions by id. Until a fingerprint tells of
            one, the sink may have it, or not.
    """

    high_water_mark: datetime | None = field(default=None, validator=is_aware)
    index_floor: datetime | None = field(default=None, validator=is_aware)
    reconciled_at: datetime | None = field(default=None, validator=is_aware)
    reading: Pass | None = None
    doubtful_until: datetime | None = field(default=None, validator=is_aware)
    reconcile_since: datetime | None = field(default=None, validator=is_aware)
    redeliver: bool = False
    unread: tuple[str, ...] = ()
    undelivered: tuple[str, ...] = ()
    properties: PropertySet | None = None
    fell_from: datetime | None = field(default=None, validator=is_aware)
    archived_at: datetime | None = field(default=None, validator=is_aware)
    archived_after: str | None = None
    differences: tuple[ListedSpan, ...] = ()
    associations_at: datetime | None = field(default=None, validator=is_aware)
    associations_after: str | None = None
    suspected: int = 0
    confirmed: bool = False
    announced: Mapping[str, int] = field(factory=dict)

    def __repr__(self) -> str:
        return settings_repr(self)

    def may_follow(self, mark: datetime | None) -> bool:
        """Whether a store that holds *mark* may put this checkpoint in its place."""
        if mark is None or mark == self.fell_from:
            return True
        return self.high_water_mark is not None and mark <= self.high_water_mark

    def rises_above(self, mark: datetime | None) -> bool:
        """Whether its high-water mark is later than *mark*, or the first one."""
        held = self.high_water_mark
        return held is not None and (mark is None or held > mark)


class Fingerprint(Struct, kw_only=True, frozen=True, gc=False):
    """Which state of an object was delivered last; that of an object that is gone is a tombstone.

    Attributes:
        object_id: HubSpot's id, digits as text.
        version: Its modified time in milliseconds since 1970.
        digest: A digest of the properties and associations that were delivered; empty where it
            is not known which of them the sink has in this version.
        variant: That of the action that it was delivered with; 0 for none.
        edges: A digest of the associations alone; empty where it is not known.
        gone: How the object left HubSpot; None for one that is there.
        merged_into: The id of the record that it was merged into.
        state: The values and associations that were delivered, packed, where
            `SyncSettings.track_changes` asks for it; empty where it does not, and where it is not
            known which of them the sink has.
    """

    object_id: str
    version: int
    digest: bytes
    variant: int = 0
    edges: bytes = b""
    gone: Gone | None = None
    merged_into: str | None = None
    state: bytes = b""

    @property
    def sequence(self) -> int:
        """The place of what was delivered last among all that was delivered of the object."""
        return max(self.version, self.variant)


@frozen(kw_only=True)
class StreamProgress:
    """How far a stream is, and how long ago it moved by the store's clock alone.

    The times are durations, so that they are right whatever the store's clock says: it is
    compared with itself only.

    Attributes:
        checkpoint: The progress.
        held: Whether a worker holds the lease.
        committed_ago: How long ago the last checkpoint was committed; None where the store does
            not know, as after its clock was set back.
        marked_ago: How long ago the high-water mark rose last; None where the store does not
            know.
    """

    checkpoint: Checkpoint
    held: bool = False
    committed_ago: timedelta | None = None
    marked_ago: timedelta | None = None


@frozen(kw_only=True)
class Lease:
    """The right to write one stream's checkpoint, for a time.

    Attributes:
        stream: The stream.
        owner: Who holds it, as given to `Checkpointer.acquire`.
        fence: Grows with every grant on this stream; a store refuses writes under an older one.
        expires_at: When it ends unless it is renewed, aware, by the store's clock.
    """

    stream: StreamKey
    owner: str
    fence: int
    expires_at: datetime = field(validator=is_aware)
