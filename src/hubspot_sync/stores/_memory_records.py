"""The mirror of the stores in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from attrs import evolve, frozen

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync.models import (
    AccountKey,
    Action,
    ActionKind,
    Association,
    Gone,
    SinkAnswer,
    StreamKey,
    Value,
)

Place = tuple[AccountKey, str, str]


@frozen(kw_only=True)
class MirroredRecord:
    """One object in its newest form, as a `MemoryRecordSink` keeps it.

    Attributes:
        account: The account it belongs to.
        object_type: Canonical name of the object type ("contacts").
        object_id: HubSpot's id of the object, digits as text.
        version: The modified time in milliseconds since 1970.
        variant: Tells later forms of one version apart, as in `Action`; mostly 0.
        created_at: When it was created in HubSpot; None if the sink was never told.
        modified_at: When it was last modified in HubSpot.
        properties: Values by property name, as the newest action had them.
        associations: Associated records by object type, as the newest action had them.
        first_stored_at: When the sink stored the object for the first time.
        last_stored_at: When it stored this version.
        gone: How the object left HubSpot; None for one that is there. Its properties and
            associations are then those that it had last; an erased one has none.
        gone_at: When that happened, as far as is known.
        merged_into: The id of the record that it was merged into.
    """

    account: AccountKey
    object_type: str
    object_id: str
    version: int
    variant: int
    created_at: datetime | None
    modified_at: datetime
    properties: Mapping[str, Value]
    associations: Mapping[str, tuple[Association, ...]]
    first_stored_at: datetime
    last_stored_at: datetime
    gone: Gone | None = None
    gone_at: datetime | None = None
    merged_into: str | None = None

    @property
    def sequence(self) -> int:
        """That of the action that made it what it is."""
        return max(self.version, self.variant)


class MemoryRecordSink:
    """An `ActionSink` in memory that keeps the newest form of every object.

    An action with the `sequence` of the one that is held, or a lower one, is a repeat and changes
    nothing. An object that is gone stays as a tombstone, so that no older form of it comes back.

    Args:
        clock: Dates the records; the operating system's time by default.
        keep_values: Whether an object that is deleted or merged keeps its last properties and
            associations; without them only its tombstone stays. One that is erased never does.
    """

    def __init__(self, *, clock: Clock | None = None, keep_values: bool = True) -> None:
        self._keep_values = keep_values
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._kept: dict[Place, MirroredRecord] = {}

    @property
    def records(self) -> tuple[MirroredRecord, ...]:
        """Copies of all records, in the order in which the objects came."""
        with self._lock:
            return tuple(map(_copy, self._kept.values()))

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Keep what is newer than what is held; see `ActionSink.write`."""
        repeated: set[str] = set()
        refused: dict[str, str] = {}
        with self._lock:
            for action in actions:
                place = (action.account, action.object_type, action.object_id)
                held = self._kept.get(place)
                if held is not None and action.sequence <= held.sequence:
                    repeated.add(action.action_id)
                    continue
                try:
                    self._kept[place] = _record(
                        action, held, self._clock.now(), keep_values=self._keep_values
                    )
                except OverflowError:
                    refused[action.action_id] = "its modified date is out of range"
        return SinkAnswer(repeated=frozenset(repeated), refused=refused)

    def erase(self, stream: StreamKey, object_ids: Sequence[str]) -> int:
        """Delete the records of these objects; see `ErasableSink.erase`."""
        places = [(stream.account, stream.object_type, one) for one in object_ids]
        with self._lock:
            return self._forget(
                one
                for one in dict.fromkeys(places)
                if one in self._kept and self._kept[one].gone is not Gone.ERASED
            )

    def purge(self, account: AccountKey) -> int:
        """Delete all records of *account*; see `ErasableSink.purge`."""
        with self._lock:
            return self._forget(one for one in self._kept if one[0] == account)

    def _forget(self, places: Iterable[Place]) -> int:
        forgotten = list(places)
        for one in forgotten:
            del self._kept[one]
        return len(forgotten)


def _record(
    action: Action, held: MirroredRecord | None, now: datetime, *, keep_values: bool
) -> MirroredRecord:
    known = held.created_at if held else None
    gone = action.kind.gone
    kept = held if keep_values and gone not in (None, Gone.ERASED) else None
    return MirroredRecord(
        account=action.account,
        object_type=action.object_type,
        object_id=action.object_id,
        version=action.version,
        variant=action.variant,
        created_at=action.occurred_at if action.kind is ActionKind.CREATED else known,
        modified_at=action.modified_at,
        properties=dict((kept or action).properties),
        associations=dict((kept or action).associations),
        first_stored_at=held.first_stored_at if held else now,
        last_stored_at=now,
        gone=gone,
        gone_at=action.occurred_at if gone else None,
        merged_into=action.merged_into,
    )


def _copy(record: MirroredRecord) -> MirroredRecord:
    return evolve(
        record, properties=dict(record.properties), associations=dict(record.associations)
    )
