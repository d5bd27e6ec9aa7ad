"""Records as they are: the truth that tests compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from hubspot_sync.testing.emulator.wire import to_instant

if TYPE_CHECKING:
    from datetime import datetime

    from hubspot_sync.testing.emulator.portal.associations import AssociationType
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.record import Record
    from hubspot_sync.testing.emulator.portal.types import ObjectType


@attrs.frozen(kw_only=True)
class EmulatedRecord:
    """One record as it is.

    Attributes:
        properties: Every property that the portal defines for the type; None is no value.
        associations: By name of the other type, then by the other id; a type with no edges is
            not there.
        archived_at: When it was deleted, or None.
    """

    object_type: str
    object_id: str
    properties: Mapping[str, str | None]
    created_at: datetime
    modified_at: datetime
    archived_at: datetime | None
    associations: Mapping[str, Mapping[str, tuple[AssociationType, ...]]]

    def to_json(self) -> dict[str, Any]:
        """For the control path."""
        return {
            "id": self.object_id,
            "object_type": self.object_type,
            "properties": dict(self.properties),
            "created_at": self.created_at.isoformat(),
            "modified_at": self.modified_at.isoformat(),
            "archived_at": self.archived_at and self.archived_at.isoformat(),
            "associations": {
                name: {other: [kind.to_json() for kind in kinds] for other, kinds in edges.items()}
                for name, edges in self.associations.items()
            },
        }


class Records(Mapping[str, EmulatedRecord]):
    """The records of one type by id, ascending; a live view that builds each on demand.

    `dict(records)` is a copy that stays as it is.
    """

    def __init__(self, portal: Portal, kind: ObjectType, *, archived: bool) -> None:
        self._portal = portal
        self._kind = kind
        self._archived = archived

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[str]:
        with self._portal.lock:
            numbers = sorted(self._records)
        return iter([str(number) for number in numbers])

    def __getitem__(self, object_id: str) -> EmulatedRecord:
        with self._portal.lock:
            if not object_id.isdecimal() or int(object_id) not in self._records:
                raise KeyError(object_id)
            return self._view(self._records[int(object_id)])

    @property
    def _records(self) -> dict[int, Record]:
        table = self._portal.table(self._kind)
        return table.bin.records if self._archived else table.live

    def _view(self, record: Record) -> EmulatedRecord:
        names = self._portal.definitions(self._kind)
        return EmulatedRecord(
            object_type=self._kind.name,
            object_id=str(record.number),
            properties={name: self._portal.reader(self._kind, name)(record) for name in names},
            created_at=to_instant(record.created),
            modified_at=to_instant(record.modified),
            archived_at=None if record.archived is None else to_instant(record.archived),
            associations=self._associations(record),
        )

    def _associations(self, record: Record) -> dict[str, dict[str, tuple[AssociationType, ...]]]:
        edges = {
            other.name: self._portal.edges.of((self._kind.type_id, other.type_id), record.number)
            for other in self._portal.types
        }
        return {
            name: {str(number): neighbours[number] for number in sorted(neighbours)}
            for name, neighbours in edges.items()
            if neighbours
        }


@attrs.frozen(kw_only=True)
class Truth:
    """What an account has of one object type, and what has become of the rest.

    Attributes:
        live: By id.
        archived: By id, when it was deleted; those that can still be restored.
        merged: By id of a record that was merged away, the one that it is part of after all merges.
        erased: The ids that privacy deletions took away.
        purged: The ids that were archived for 90 days and are gone for good.
    """

    live: Mapping[str, EmulatedRecord]
    archived: Mapping[str, datetime]
    merged: Mapping[str, str]
    erased: frozenset[str]
    purged: frozenset[str]

    @classmethod
    def of(cls, portal: Portal, kind: ObjectType) -> Truth:
        """A copy of what is there now; the portal's lock is held meanwhile."""
        table = portal.table(kind)
        archived = {n: one.archived for n, one in sorted(table.bin.records.items())}
        return cls(
            live=dict(Records(portal, kind, archived=False)),
            archived={str(n): to_instant(at) for n, at in archived.items() if at is not None},
            merged={str(number): str(table.survivor(number)) for number in table.merged},
            erased=frozenset(map(str, table.erased)),
            purged=frozenset(map(str, table.bin.purged)),
        )

    def to_json(self) -> dict[str, Any]:
        """For the control path."""
        return {
            "live": {object_id: one.to_json() for object_id, one in self.live.items()},
            "archived": {object_id: at.isoformat() for object_id, at in self.archived.items()},
            "merged": dict(self.merged),
            "erased": sorted(self.erased, key=int),
            "purged": sorted(self.purged, key=int),
        }
