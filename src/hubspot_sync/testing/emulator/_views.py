"""Records as others see them: as the object endpoints print them, and as ground truth for tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import orjson

from hubspot_sync.testing.emulator._instants import to_instant, to_iso
from hubspot_sync.testing.emulator._portal import COMPUTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from hubspot_sync.testing.emulator._links import AssociationType
    from hubspot_sync.testing.emulator._portal import Portal
    from hubspot_sync.testing.emulator._table import Record
    from hubspot_sync.testing.emulator._types import ObjectType

Readers: TypeAlias = "list[tuple[str, Callable[[Record], str | None]]]"


class Renderer:
    """Prints records of one type with a chosen set of properties.

    Names that do not exist are dropped without an error, and a property without a value is null
    (HubSpot 1.2).
    """

    def __init__(self, portal: Portal, kind: ObjectType, names: Sequence[str]) -> None:
        wanted = set(names or kind.default_properties) - set(kind.always_returned)
        known = sorted(wanted & portal.definitions(kind).keys())
        self._kind = kind
        self._plain = [name for name in known if name not in COMPUTED]
        self._computed: Readers = [
            (name, portal.reader(kind, name)) for name in known if name in COMPUTED
        ]
        settings = portal.mischief.settings
        self._lies = portal.mischief.lies
        self._deep = kind.pick(settings.deep_values)
        self._levels = settings.deep_levels
        self._without_created = kind.pick(settings.without_created)
        self._without_modified = kind.pick(settings.without_modified)
        self._url = f"https://app.hubspot.com/contacts/{portal.account_id}/record/{kind.type_id}/"

    def one(self, record: Record) -> dict[str, Any]:
        """The whole record, without associations."""
        object_id, value = str(record.number), record.values.get
        created, modified = record.created_text, record.modified_text
        properties: dict[str, Any] = dict(zip(self._plain, map(value, self._plain), strict=True))
        properties[self._kind.created_property] = created
        properties["hs_object_id"] = object_id
        properties[self._kind.modified_property] = modified
        for name, read in self._computed:
            properties[name] = read(record)
        content: dict[str, Any] = {
            "id": object_id,
            "properties": properties,
            "createdAt": created,
            "updatedAt": modified,
            "archived": record.archived is not None,
            "url": self._url + object_id,
        }
        if record.archived is not None:
            content["archivedAt"] = to_iso(record.archived)
        if object_id in self._deep:
            self._lies.add("deep_values")
            name = self._plain[0] if self._plain else "hs_object_id"
            properties[name] = orjson.Fragment(b"[" * self._levels + b"]" * self._levels)
        if object_id in self._without_created:
            self._lies.add("without_created")
            del content["createdAt"], properties[self._kind.created_property]
        if object_id in self._without_modified:
            self._lies.add("without_modified")
            del content["updatedAt"], properties[self._kind.modified_property]
        return content

    def every(self, records: Iterable[Record]) -> list[dict[str, Any]]:
        """Several records."""
        return [self.one(record) for record in records]


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
        return table.archived if self._archived else table.live

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
