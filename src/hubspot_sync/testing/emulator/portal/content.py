"""The content of an account as tests handle it."""

from __future__ import annotations

from itertools import count as counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator.portal.definitions import own_definition
from hubspot_sync.testing.emulator.portal.record import Record
from hubspot_sync.testing.emulator.portal.records import Records, Truth
from hubspot_sync.testing.emulator.portal.relations import Relations
from hubspot_sync.testing.emulator.portal.series import Series
from hubspot_sync.testing.emulator.portal.types import custom_type, standard_type
from hubspot_sync.testing.emulator.wire import to_iso, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from hubspot_sync.testing.emulator.portal.definitions import PropertyDefinition
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.types import ObjectType

_TOUCHED: Final = {"0-1": "jobtitle", "0-2": "description", "0-3": "dealname"}
_COMPUTED_BY_HUBSPOT: Final = {
    "0-1": "hs_analytics_last_timestamp",
    "0-2": "hs_last_sales_activity_timestamp",
}


class Content(Relations):
    """The content of one HubSpot account, as a test handles it.

    Object types go by any name that HubSpot accepts ("contacts", "contact", "0-1"), ids are
    strings. Every change is visible to the next request, unless search is told to lag. A modified
    date is the clock's millisecond, or one past the record's former one if that is later.
    Thread-safe.
    Each method raises KeyError for an object type or a record that is not there.
    """

    def __init__(self, portal: Portal, seed: int) -> None:
        super().__init__(portal)
        self._random = Series(seed, "edits")
        self._touches = counter(1)
        for name in ("contacts", "companies"):
            self.add_object_type(name)

    def add_object_type(
        self,
        name: str,
        *,
        type_id: str | None = None,
        labels: Iterable[str] | None = None,
        properties: Iterable[PropertyDefinition | str] = (),
        associations: Mapping[str, Iterable[str]] | None = None,
    ) -> str:
        """Add one of HubSpot's types by name or id, or a custom one by *type_id* "2-<number>".

        Args:
            name: "deals", "0-3", or the bare name of a custom type: "pets".
            type_id: Of a custom type.
            labels: What people call one of a custom type and several: "Pet", "Pets".
            properties: Those that it has besides HubSpot's own; a name alone is text.
            associations: By another object type, the labels that associations with it may carry.

        Returns:
            The name to call it by; `p<account>_<name>` for a custom type.

        Raises:
            ValueError: Neither.
        """
        kind = standard_type(name)
        if type_id is not None:
            singular, plural = labels or (None, None)
            both = (singular, plural) if singular and plural else None
            kind = custom_type(type_id, name, self._portal.account_id, both)
        if kind is None:
            raise ValueError(f"{name!r} is no type of HubSpot's; give a type_id for a custom one")
        self._portal.add_type(kind)
        self.add_property(kind.name, *properties)
        for other, each in (associations or {}).items():
            for label in each:
                self.define_label(kind.name, other, label)
        return kind.name

    def add_property(
        self,
        object_type: str,
        *definitions: PropertyDefinition | str,
        type: str = "string",  # noqa: A002 - HubSpot's word
        values: Mapping[str, str | None] | None = None,
    ) -> None:
        """Add or replace properties, and perhaps fill one in at once, as an import does.

        Args:
            object_type: Of which type.
            definitions: The properties; a name alone is one of the account's own, of *type*.
            type: Of those given by name.
            values: By record id, of the last property; the modified dates of these records move,
                all to the same millisecond.
        """
        kind = self._portal.kind(object_type)
        defined = [
            own_definition(one, type) if isinstance(one, str) else one for one in definitions
        ]
        with self._portal.lock:
            records = [self._portal.record(kind, object_id) for object_id in values or ()]
            self._portal.define(kind, defined)
            now = self._portal.now()
            for record, value in zip(records, (values or {}).values(), strict=True):
                self._portal.write(kind, record, {defined[-1].name: value}, now)

    def remove_property(self, object_type: str, name: str) -> None:
        """Archive a property: HubSpot then drops its name from requests silently."""
        self._portal.undefine(self._portal.kind(object_type), name)

    def definitions(self, object_type: str) -> Mapping[str, PropertyDefinition]:
        """The properties of a type by name, without archived ones: a live view."""
        return MappingProxyType(self._portal.definitions(self._portal.kind(object_type)))

    def records(self, object_type: str, *, archived: bool = False) -> Records:
        """The records by id: a live view; `dict(...)` of it is a copy."""
        return Records(self._portal, self._portal.kind(object_type), archived=archived)

    def create(
        self,
        object_type: str,
        properties: Mapping[str, str | None] | None = None,
        *,
        object_id: str | None = None,
        created_at: datetime | None = None,
        modified_at: datetime | None = None,
    ) -> str:
        """Add a record, by default with the next id and dated now; returns its id.

        Raises:
            ValueError: The id is taken, or a property does not exist.
        """
        kind = self._portal.kind(object_type)
        values = self._checked(kind, properties or {})
        with self._portal.lock:
            created = to_milliseconds(created_at) if created_at else self._portal.now()
            record = Record(
                number=int(object_id) if object_id else self._portal.next_number(kind),
                values={name: value for name, value in values.items() if value is not None},
                created=created,
                modified=to_milliseconds(modified_at) if modified_at else created,
            )
            self._portal.insert(kind, record)
        return str(record.number)

    def update(
        self, object_type: str, object_id: str, properties: Mapping[str, str | None]
    ) -> None:
        """Set properties (None clears) and move the modified date.

        Raises:
            ValueError: A property does not exist.
        """
        kind = self._portal.kind(object_type)
        values = self._checked(kind, properties)
        with self._portal.lock:
            record = self._portal.record(kind, object_id)
            self._portal.write(kind, record, values, self._portal.now())

    def touch(
        self,
        object_type: str,
        *,
        count: int | None = None,
        object_ids: Iterable[str] | None = None,
    ) -> list[str]:
        """Give one property of each record a new value, all in the same millisecond.

        Returns:
            The ids, ascending: *object_ids*, or *count* that are chosen again each time.

        Raises:
            ValueError: Not exactly one of *count* and *object_ids*, or fewer records than *count*.
        """
        kind = self._portal.kind(object_type)
        name = _TOUCHED.get(kind.type_id, "description")
        with self._portal.lock:
            numbers = self._chosen(kind, count, object_ids)
            return self._stamp(kind, numbers, lambda: {name: f"Changed {next(self._touches)}"})

    def bump(
        self,
        object_type: str,
        *,
        count: int | None = None,
        object_ids: Iterable[str] | None = None,
    ) -> list[str]:
        """Move the modified date and change nothing else, as HubSpot's background jobs do.

        Arguments, result and errors are those of `touch`.
        """
        kind = self._portal.kind(object_type)
        with self._portal.lock:
            return self._stamp(kind, self._chosen(kind, count, object_ids), dict)

    def recalculate(
        self,
        object_type: str,
        *,
        count: int | None = None,
        object_ids: Iterable[str] | None = None,
        properties: Mapping[str, str | None] | None = None,
    ) -> list[str]:
        """Compute values again, as HubSpot does; no modified date moves (HubSpot 9).

        Result and errors are those of `touch`, and so are the other arguments.

        Args:
            object_type: Of which type.
            count: Of how many records.
            object_ids: Of which records.
            properties: The values; a new one of a property that HubSpot computes by default.
        """
        kind = self._portal.kind(object_type)
        name = _COMPUTED_BY_HUBSPOT.get(kind.type_id, "description")
        given = None if properties is None else self._checked(kind, properties)
        with self._portal.lock:
            numbers = self._chosen(kind, count, object_ids)
            return self._set(
                kind,
                numbers,
                lambda: {name: to_iso(next(self._touches))} if given is None else given,
                None,
            )

    def archive(self, object_type: str, *object_ids: str) -> None:
        """Delete records, and their associations with them; no modified date moves.

        They can be restored for 90 days.
        """
        kind = self._portal.kind(object_type)
        with self._portal.lock:
            for object_id in object_ids:
                self._portal.archive(kind, self._portal.record(kind, object_id))

    def restore(
        self,
        object_type: str,
        *object_ids: str,
        associations: bool = True,
        move_date: bool = False,
    ) -> None:
        """Bring archived records back with their ids.

        Args:
            object_type: Of which type.
            object_ids: Which.
            associations: Whether they have the associations again that they had.
            move_date: Whether their modified dates move; what HubSpot does is not proved.
        """
        kind = self._portal.kind(object_type)
        with self._portal.lock:
            now = self._portal.now() if move_date else None
            for object_id in object_ids:
                self._portal.restore(kind, int(object_id), now, associations=associations)

    def merge(
        self, object_type: str, primary_id: str, *object_ids: str, keep_id: bool = False
    ) -> str:
        """Merge records into one, which has their associations; returns its id.

        The others are gone from list and search and are not archived; a read of one of them by its
        old id leads to the merged record, and `hs_merged_object_ids` names them all. Its modified
        date is now.

        Args:
            object_type: Of which type.
            primary_id: Whose values win.
            object_ids: Which are merged with it.
            keep_id: Let the merged record have *primary_id*, as before January 2025, and not a new
                one.

        Raises:
            ValueError: Two of the records are the same, or there is but one.
        """
        kind = self._portal.kind(object_type)
        if not object_ids or len({primary_id, *object_ids}) <= len(object_ids):
            raise ValueError("merge needs at least two different records")
        with self._portal.lock:
            records = [self._portal.record(kind, one) for one in (primary_id, *object_ids)]
            return str(self._portal.merge(kind, records, keep_id=keep_id).number)

    def erase(self, object_type: str, *object_ids: str) -> None:
        """Delete records for good, live or archived, as a privacy deletion does."""
        kind = self._portal.kind(object_type)
        with self._portal.lock:
            for object_id in object_ids:
                self._portal.erase(kind, int(object_id))

    def truth(self) -> dict[str, Truth]:
        """Everything that is in the account now, by name of the object type: a copy."""
        with self._portal.lock:
            return {kind.name: Truth.of(self._portal, kind) for kind in self._portal.types}

    def settle_index(self) -> None:
        """Let search see every change now, as after its longest lag."""
        with self._portal.lock:
            self._portal.lag.settle()

    def _checked(
        self, kind: ObjectType, properties: Mapping[str, str | None]
    ) -> Mapping[str, str | None]:
        unknown = sorted(properties.keys() - self._portal.definitions(kind).keys())
        if unknown:
            raise ValueError(f"{kind.name} has no property {', '.join(unknown)}; add it first")
        wrong = [name for name, value in properties.items() if not isinstance(value, str | None)]
        if wrong:
            raise ValueError(f"HubSpot's values are text or None; not so: {', '.join(wrong)}")
        return properties

    def _chosen(
        self, kind: ObjectType, count: int | None, object_ids: Iterable[str] | None
    ) -> Sequence[int]:
        if (count is None) == (object_ids is None):
            raise ValueError("give either count or object_ids")
        if object_ids is not None:
            return sorted({int(object_id) for object_id in object_ids})
        numbers = self._portal.table(kind).numbers
        if not 0 <= (count or 0) <= len(numbers):
            raise ValueError(f"{kind.name} has {len(numbers)} records, {count} were asked for")
        return sorted(self._random.sample(numbers, count or 0))

    def _stamp(
        self, kind: ObjectType, numbers: Sequence[int], values: Callable[[], Mapping[str, str]]
    ) -> list[str]:
        return self._set(kind, numbers, values, self._portal.now())

    def _set(
        self,
        kind: ObjectType,
        numbers: Sequence[int],
        values: Callable[[], Mapping[str, str | None]],
        now: int | None,
    ) -> list[str]:
        records = [self._portal.record(kind, number) for number in numbers]
        for record in records:
            self._portal.write(kind, record, values(), now)
        return [str(record.number) for record in records]
