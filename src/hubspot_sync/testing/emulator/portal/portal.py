"""The content of one HubSpot account: types, properties, records and associations."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import attrs

from hubspot_sync.testing.emulator.portal.associations import Edge, Edges, Link, LinkCatalogue
from hubspot_sync.testing.emulator.portal.definitions import schema_of
from hubspot_sync.testing.emulator.portal.index_lag import IndexLag, LateView
from hubspot_sync.testing.emulator.portal.record import Record
from hubspot_sync.testing.emulator.portal.sight import SeenView, Sight
from hubspot_sync.testing.emulator.portal.table import Table
from hubspot_sync.testing.emulator.portal.types import ObjectType, ObjectTypes
from hubspot_sync.testing.emulator.wire import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import tzinfo

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator.portal.definitions import PropertyDefinition

# Properties that follow from the associations.
COMPUTED: Final = frozenset({"associatedcompanyid", "num_associated_contacts"})
_ID_GAP: Final = 7
_MERGED: Final = "hs_merged_object_ids"
_COMPANY: Final = "0-2"
_CONTACT_COMPANY: Final = ("0-1", "0-2")
_COMPANY_CONTACT: Final = ("0-2", "0-1")


class Portal:
    """Holds the records and is the only one to change them.

    Every method may be called from any thread; a caller that needs several answers to fit
    together holds `lock` meanwhile.

    Attributes:
        account_id: The portal's number, as text.
        time_zone: At whose midnight the daily limit starts again.
        types: The object types there are.
        links: The association types there are.
        edges: The associations.
        lag: What search has still to learn.
        sight: What the token's user may see.
        lock: Re-entrant; guards everything here.
        revision: Grows with every change, so that derived results can be kept until then.
    """

    def __init__(self, account_id: str, clock: Clock, time_zone: tzinfo) -> None:
        self.account_id = account_id
        self.time_zone = time_zone
        self.types = ObjectTypes()
        self.links = LinkCatalogue()
        self.edges = Edges()
        self.lag = IndexLag()
        self.sight = Sight()
        self.lock = threading.RLock()
        self.revision = 0
        self._clock = clock
        self._tables: dict[str, Table] = {}
        self._definitions: dict[str, dict[str, PropertyDefinition]] = {}
        self._archived_definitions: dict[str, dict[str, PropertyDefinition]] = {}

    def now(self) -> int:
        """The clock's milliseconds."""
        return to_milliseconds(self._clock.now())

    def add_type(self, kind: ObjectType) -> None:
        """Make an object type known, empty; a known one stays as it is."""
        with self.lock:
            if kind.type_id not in self._tables:
                self._tables[kind.type_id] = Table()
                self.types.add(kind)
                self.define(kind, schema_of(kind))

    def kind(self, name: str) -> ObjectType:
        """The object type called *name*.

        Raises:
            KeyError: The portal has none.
        """
        found = self.types.find(name)
        if found is None:
            raise KeyError(f"the portal has no object type {name!r}; add it first")
        return found

    def table(self, kind: ObjectType) -> Table:
        """The records of a type."""
        table = self._tables[kind.type_id]
        if table.bin.numbers:
            table.bin.purge(self.now())
        return table

    def rows(
        self, kind: ObjectType, *, archived: bool = False
    ) -> tuple[Sequence[int], Mapping[int, Record]]:
        """Ascending numbers and the records by number, as far as the token's user sees them."""
        table = self.table(kind)
        every = (table.bin.numbers, table.bin.records) if archived else (table.numbers, table.live)
        return self.sight.rows(kind, every, self.revision, archived=archived)

    def indexed(self, kind: ObjectType) -> Table | LateView | SeenView:
        """The records of a type as search sees them now."""
        return self.sight.index(kind, self.lag.view(kind.type_id, self.table(kind)))

    def define(self, kind: ObjectType, definitions: Iterable[PropertyDefinition]) -> None:
        """Add or replace property definitions."""
        with self.lock:
            known = self._definitions.setdefault(kind.type_id, {})
            for definition in definitions:
                known[definition.name] = definition
                self._archived_definitions.get(kind.type_id, {}).pop(definition.name, None)
            self.revision += 1

    def undefine(self, kind: ObjectType, name: str) -> None:
        """Archive a property; its values are no longer returned.

        Raises:
            KeyError: There is none of that name.
        """
        with self.lock:
            archived = self._archived_definitions.setdefault(kind.type_id, {})
            archived[name] = self._definitions[kind.type_id].pop(name)
            self.revision += 1

    def definitions(self, kind: ObjectType) -> Mapping[str, PropertyDefinition]:
        """The property definitions of a type by name."""
        return self._definitions[kind.type_id]

    def archived_definitions(self, kind: ObjectType) -> Mapping[str, PropertyDefinition]:
        """The properties of a type that were archived, by name; HubSpot keeps them for 90 days."""
        return self._archived_definitions.get(kind.type_id, {})

    def record(self, kind: ObjectType, object_id: str | int) -> Record:
        """A live record.

        Raises:
            KeyError: There is none with this id, or it is archived.
        """
        try:
            return self.table(kind).live[int(object_id)]
        except (KeyError, ValueError):
            raise KeyError(f"no live record {object_id!r} in {kind.name}") from None

    def reader(self, kind: ObjectType, name: str) -> Callable[[Record], str | None]:
        """A function that reads property *name* off a record; None stands for no value."""
        if name == "hs_object_id":
            return lambda record: str(record.number)
        if name == kind.created_property:
            return lambda record: record.created_text
        if name == kind.modified_property:
            return lambda record: record.modified_text
        if (kind.type_id, name) == ("0-1", "associatedcompanyid"):
            return self._primary_company
        if (kind.type_id, name) == ("0-2", "num_associated_contacts"):
            return self._number_of_contacts
        return lambda record: record.values.get(name)

    def next_number(self, kind: ObjectType) -> int:
        """The id that the next created record gets: ids ascend and have gaps."""
        return self.table(kind).highest + _ID_GAP

    def insert(self, kind: ObjectType, record: Record) -> None:
        """Take in a record as it is, dates included.

        Raises:
            ValueError: Its id is taken.
        """
        with self.lock:
            self.table(kind).add(record)
            self._note(kind, record, new=True)
            self.revision += 1

    def write(
        self, kind: ObjectType, record: Record, values: Mapping[str, str | None], now: int | None
    ) -> None:
        """Set values (None clears) and move the modified date; it stays where *now* is None."""
        with self.lock:
            self._note(kind, record)
            for name, value in values.items():
                if value is None:
                    record.values.pop(name, None)
                else:
                    record.values[name] = value
            if now is not None:
                self.table(kind).stamp(record, now)
            self.revision += 1

    def archive(self, kind: ObjectType, record: Record) -> None:
        """Delete a record: it and its associations vanish from everything but `archived=true`."""
        with self.lock:
            edges = self.edges.take(kind.type_id, record.number)
            self.table(kind).archive(record, self.now(), edges)
            self._left(kind, record.number)

    def restore(
        self, kind: ObjectType, number: int, now: int | None, *, associations: bool
    ) -> None:
        """Bring an archived record back; its modified date moves to *now*, or stays if None.

        Raises:
            KeyError: It is not archived, or was for more than 90 days.
        """
        with self.lock:
            table = self.table(kind)
            record, edges = table.bin.take(number)
            table.add(record)
            self._note(kind, record, new=True)
            if now is not None:
                table.stamp(record, now)
            for edge in edges if associations else ():
                self._give(kind, number, edge)
            self.revision += 1

    def merge(self, kind: ObjectType, records: Sequence[Record], *, keep_id: bool) -> Record:
        """Merge records into the first one, or into a new one with its values; returns it.

        Values and primary associations of the first one win
        (https://developers.hubspot.com/changelog/updated-merge-functionality-for-contacts-and-companies).
        """
        with self.lock:
            table = self.table(kind)
            values: dict[str, str] = {}
            for record in reversed(records):
                values |= record.values
            consumed = records[1:] if keep_id else records
            ids = [record.values.get(_MERGED) for record in records]
            known = [one for text in ids if text for one in text.split(";")]
            values[_MERGED] = ";".join([*known, *(str(one.number) for one in consumed)])
            now = max(self.now(), *(record.modified + 1 for record in records))
            if keep_id:
                survivor = records[0]
                self.write(kind, survivor, values, now)
            else:
                created = min(record.created for record in records)
                survivor = Record(self.next_number(kind), values, created, now)
                self.insert(kind, survivor)
            for record in consumed:
                edges = self.edges.take(kind.type_id, record.number)
                table.merge(record, survivor.number)
                self._left(kind, record.number)
                for edge in edges:
                    self._give(kind, survivor.number, edge)
            return survivor

    def erase(self, kind: ObjectType, number: int) -> None:
        """Delete a record for good, live or archived: it vanishes from everything (HubSpot 8).

        Raises:
            KeyError: It is neither.
        """
        with self.lock:
            self.table(kind).erase(number)
            self.edges.take(kind.type_id, number)
            self._left(kind, number)

    def survivor(self, kind: ObjectType, number: int) -> int:
        """The number of the record that *number* stands for after all merges; perhaps itself."""
        return self._tables[kind.type_id].survivor(number)

    def _left(self, kind: ObjectType, number: int) -> None:
        """A record is no longer live."""
        self.lag.forget(kind.type_id, number)
        self.revision += 1

    def _give(self, kind: ObjectType, number: int, edge: Edge) -> None:
        """Put an edge on a record, as far as its other end is there or may come back."""
        table = self._tables[edge.pair[1]]
        edge = attrs.evolve(edge, other=table.survivor(edge.other))
        if edge.other in table.live:
            if edge.pair[1] != kind.type_id or edge.other != number:
                edge = edge.plain() if self._has_primary(edge, number) else edge
                self.edges.give(number, edge)
        elif edge.other in table.bin.records:
            table.bin.keep(edge.other, edge.reversed(number))

    def _has_primary(self, edge: Edge, number: int) -> bool:
        """Whether the place of the primary company is taken by another one."""
        if not any(kind.primary for kind in edge.forward):
            return False
        pair, holder = edge.pair, number
        if pair[1] != _COMPANY:
            pair, holder = pair[::-1], edge.other
        return self.edges.primary(pair, holder) is not None

    def connect(
        self,
        ends: tuple[ObjectType, ObjectType],
        source: int,
        target: int,
        links: tuple[Link, ...],
    ) -> None:
        """Associate two records; no modified date moves (HubSpot 2.5).

        A new primary record takes that role from the former one.
        """
        pair = (ends[0].type_id, ends[1].type_id)
        with self.lock:
            for link in links:
                if link.forward.primary:
                    self._demote(pair, source, target, link)
            self.edges.connect(pair, source, target, links)
            self.revision += 1

    def disconnect(
        self, ends: tuple[ObjectType, ObjectType], source: int, target: int, link: Link | None
    ) -> None:
        """Take one label off an association, or all of it away; no modified date moves."""
        with self.lock:
            self.edges.disconnect((ends[0].type_id, ends[1].type_id), source, target, link)
            self.revision += 1

    def _note(self, kind: ObjectType, record: Record, *, new: bool = False) -> None:
        if self.lag.active:
            self.lag.note(kind.type_id, record, self.now(), new=new)

    def _demote(self, pair: tuple[str, str], source: int, target: int, link: Link) -> None:
        """Take the role of the primary company from the one that has it."""
        if pair[1] != _COMPANY:
            pair, source, link = pair[::-1], target, link.reversed()
        former = self.edges.primary(pair, source)
        if former is not None:
            self.edges.disconnect(pair, source, former, link)

    def _primary_company(self, record: Record) -> str | None:
        number = self.edges.primary(_CONTACT_COMPANY, record.number)
        return None if number is None else str(number)

    def _number_of_contacts(self, record: Record) -> str:
        return str(len(self.edges.of(_COMPANY_CONTACT, record.number)))
