"""The content of one HubSpot account: types, properties, records and associations."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator.portal.associations import Edges, Link, LinkCatalogue
from hubspot_sync.testing.emulator.portal.definitions import schema_of
from hubspot_sync.testing.emulator.portal.index_lag import IndexLag, LateView
from hubspot_sync.testing.emulator.portal.table import Record, Table
from hubspot_sync.testing.emulator.portal.types import ObjectType, ObjectTypes
from hubspot_sync.testing.emulator.wire import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import tzinfo

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator.portal.definitions import PropertyDefinition

# Properties that follow from the associations.
COMPUTED: Final = frozenset({"associatedcompanyid", "num_associated_contacts"})
_ID_GAP: Final = 7
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
        return self._tables[kind.type_id]

    def indexed(self, kind: ObjectType) -> Table | LateView:
        """The records of a type as search sees them now."""
        return self.lag.view(kind.type_id, self.table(kind))

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
            self.table(kind).archive(record, self.now())
            self.edges.forget(kind.type_id, record.number)
            self.lag.forget(kind.type_id, record.number)
            self.revision += 1

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
                    self._demote(pair, source, link)
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

    def _demote(self, pair: tuple[str, str], source: int, link: Link) -> None:
        former = self.edges.primary(pair, source)
        if former is not None:
            self.edges.disconnect(pair, source, former, link)

    def _primary_company(self, record: Record) -> str | None:
        number = self.edges.primary(_CONTACT_COMPANY, record.number)
        return None if number is None else str(number)

    def _number_of_contacts(self, record: Record) -> str:
        return str(len(self.edges.of(_COMPANY_CONTACT, record.number)))
