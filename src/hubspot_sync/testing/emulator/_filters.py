"""Search filters: from HubSpot's JSON to spans of indexes and predicates."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import orjson

from hubspot_sync.testing.emulator._failures import bad_request, unknown_property, unsupported
from hubspot_sync.testing.emulator._instants import parse_milliseconds
from hubspot_sync.testing.emulator._types import standard_type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubspot_sync.testing.emulator._portal import Portal
    from hubspot_sync.testing.emulator._table import Record
    from hubspot_sync.testing.emulator._types import ObjectType

    Predicate: TypeAlias = Callable[[Record], bool]
    Key: TypeAlias = Callable[[Record], Any]

_COMPARISONS: Final = frozenset({"EQ", "NEQ", "LT", "LTE", "GT", "GTE"})
_SPANS: Final = frozenset({"EQ", "LT", "LTE", "GT", "GTE", "BETWEEN"})
_FOREIGN: Final = frozenset({"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"})
_ASSOCIATED: Final = "associations."
_MATCH_NOTHING: Final = "hs_lastmodifieddate"


@attrs.frozen
class Span:
    """A closed range of whole numbers; None is open."""

    low: int | None = None
    high: int | None = None

    def holds(self, number: int) -> bool:
        """Whether *number* lies in it."""
        above = self.low is None or number >= self.low
        return above and (self.high is None or number <= self.high)

    def narrowed(self, low: int | None, high: int | None) -> Span:
        """What lies in both."""
        lows = [bound for bound in (self.low, low) if bound is not None]
        highs = [bound for bound in (self.high, high) if bound is not None]
        return Span(max(lows, default=None), min(highs, default=None))


@attrs.frozen(kw_only=True)
class Group:
    """One filter group: all of it must hold.

    Attributes:
        numbers: Which record ids.
        modified: Which modified milliseconds.
        tests: The rest.
        key: Tells groups apart that differ in more than *numbers*.
    """

    numbers: Span
    modified: Span
    tests: tuple[Predicate, ...]
    key: bytes


def key_of(portal: Portal, kind: ObjectType, name: str) -> Key:
    """A function that gives a record's value of *name* as something to compare; None for none.

    Raises:
        RefusalError: There is no such property; HubSpot answers 400.
    """
    if name == "hs_object_id":
        return lambda record: record.number
    if name == kind.modified_property:
        return lambda record: record.modified
    if name == kind.created_property:
        return lambda record: record.created
    convert = _converter(portal, kind, name)
    read = portal.reader(kind, name)

    def key(record: Record) -> Any:
        text = read(record)
        return convert(text) if text else None

    return key


def compile_group(portal: Portal, kind: ObjectType, filters: Sequence[Any]) -> Group:
    """Read one `filters` list.

    Raises:
        RefusalError: HubSpot would answer 400.
    """
    numbers, modified = Span(), Span()
    tests: list[Predicate] = []
    rest: list[Any] = []
    for one in filters:
        if not isinstance(one, dict):
            raise bad_request("every filter must be an object")
        name, operator = one.get("propertyName"), one.get("operator")
        if name == "hs_object_id" and operator in _SPANS:
            numbers = numbers.narrowed(*_bounds(one, _number))
            continue
        rest.append(one)
        if name == kind.modified_property and operator in _SPANS:
            modified = modified.narrowed(*_bounds(one, parse_milliseconds))
        else:
            tests.append(_predicate(portal, kind, one))
    key = orjson.dumps([kind.type_id, rest], option=orjson.OPT_SORT_KEYS)
    return Group(numbers=numbers, modified=modified, tests=tuple(tests), key=key)


def _bounds(
    one: Mapping[str, Any], read: Callable[[str], int | None]
) -> tuple[int | None, int | None]:
    operator = one["operator"]
    value = _converted(one, "value", read)
    if operator == "BETWEEN":
        return value, _converted(one, "highValue", read)
    return {
        "EQ": (value, value),
        "LT": (None, value - 1),
        "LTE": (None, value),
        "GT": (value + 1, None),
        "GTE": (value, None),
    }[operator]


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _decimal(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _converter(portal: Portal, kind: ObjectType, name: str) -> Callable[[str], Any]:
    definition = portal.definitions(kind).get(name)
    if definition is None:
        if name == _MATCH_NOTHING:
            # On contacts it has no values and matches nothing, with a 200: HubSpot 1.8.
            return str
        raise unknown_property(name, kind.singular)
    if definition.type == "number":
        return _decimal
    if definition.type in {"date", "datetime"}:
        return parse_milliseconds
    # Matching ignores case except for enumerations (HubSpot 1.7).
    return str if definition.type == "enumeration" else str.lower


def _converted(one: Mapping[str, Any], part: str, convert: Callable[[str], Any]) -> Any:
    given = one.get(part)
    value = None if given is None or isinstance(given, (dict, list)) else convert(_text(given))
    if value is None:
        name = one.get("propertyName")
        raise bad_request(f"{part} {given!r} of the filter on {name!r} is not valid")
    return value


def _text(given: Any) -> str:
    return str(given).lower() if isinstance(given, bool) else str(given)


def _predicate(portal: Portal, kind: ObjectType, one: Mapping[str, Any]) -> Predicate:
    name, operator = one.get("propertyName"), one.get("operator")
    if not isinstance(name, str) or not isinstance(operator, str):
        raise bad_request("a filter needs propertyName and operator")
    if operator in _FOREIGN:
        raise unsupported(f"the search operator {operator}")
    if name.startswith(_ASSOCIATED):
        return _associated(portal, kind, name.removeprefix(_ASSOCIATED), one)
    key = key_of(portal, kind, name)
    if operator == "HAS_PROPERTY":
        return lambda record: key(record) is not None
    if operator == "NOT_HAS_PROPERTY":
        return lambda record: key(record) is None
    convert = _value_reader(portal, kind, name)
    if operator in _COMPARISONS:
        return _comparison(operator, key, _converted(one, "value", convert))
    if operator == "BETWEEN":
        low, high = _converted(one, "value", convert), _converted(one, "highValue", convert)
        return lambda record: (value := key(record)) is not None and low <= value <= high
    if operator in {"IN", "NOT_IN"}:
        return _membership(one, key, convert, wanted=operator == "IN")
    raise bad_request(f"{operator!r} is not a search operator")


def _associated(
    portal: Portal, kind: ObjectType, target_name: str, one: Mapping[str, Any]
) -> Predicate:
    """A filter on the ids of associated records, of HubSpot's own types only (HubSpot 1.7)."""
    target, operator = portal.types.find(target_name), one["operator"]
    if target is None and standard_type(target_name) is not None:
        raise unsupported(f"the object type {target_name} unless add_object_type adds it")
    if target is None or target.custom:
        raise unknown_property(f"{_ASSOCIATED}{target_name}", kind.singular)
    pair = (kind.type_id, target.type_id)

    def edges(record: Record) -> Mapping[int, Any]:
        return portal.edges.of(pair, record.number)

    if operator in {"HAS_PROPERTY", "NOT_HAS_PROPERTY"}:
        wanted = operator == "HAS_PROPERTY"
        return lambda record: bool(edges(record)) is wanted
    if operator == "EQ":
        number = _converted(one, "value", _number)
        return lambda record: number in edges(record)
    if operator == "IN":
        numbers = _members(one, _number)
        return lambda record: not numbers.isdisjoint(edges(record))
    raise unsupported(f"the operator {operator} on associated records")


def _value_reader(portal: Portal, kind: ObjectType, name: str) -> Callable[[str], Any]:
    if name == "hs_object_id":
        return _number
    return _converter(portal, kind, name)


def _comparison(operator: str, key: Key, bound: Any) -> Predicate:
    # A record without a value matches none of them, NEQ included (that it is left out by NEQ is
    # reported by users of the search, not documented).
    tests: dict[str, Callable[[Any], bool]] = {
        "EQ": lambda value: bool(value == bound),
        "NEQ": lambda value: bool(value != bound),
        "LT": lambda value: bool(value < bound),
        "LTE": lambda value: bool(value <= bound),
        "GT": lambda value: bool(value > bound),
        "GTE": lambda value: bool(value >= bound),
    }
    test = tests[operator]
    return lambda record: (value := key(record)) is not None and test(value)


def _membership(
    one: Mapping[str, Any], key: Key, convert: Callable[[str], Any], *, wanted: bool
) -> Predicate:
    members = _members(one, convert)
    return lambda record: (value := key(record)) is not None and (value in members) is wanted


def _members(one: Mapping[str, Any], convert: Callable[[str], Any]) -> set[Any]:
    values = one.get("values")
    if not isinstance(values, list) or not values:
        raise bad_request("IN and NOT_IN need a list of values that is not empty")
    return {_converted({**one, "value": value}, "value", convert) for value in values}
