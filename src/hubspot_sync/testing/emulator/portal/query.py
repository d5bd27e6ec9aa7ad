"""Searches: from HubSpot's JSON to a checked query, its filters as spans and predicates."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import orjson

from hubspot_sync.testing.emulator.portal.types import standard_type
from hubspot_sync.testing.emulator.refusals import bad_request, unknown_property, unsupported
from hubspot_sync.testing.emulator.wire import integer, parse_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.record import Record
    from hubspot_sync.testing.emulator.portal.types import ObjectType

    Predicate: TypeAlias = Callable[[Record], bool]
    Key: TypeAlias = Callable[[Record], Any]

# https://developers.hubspot.com/docs/api-reference/search/guide (limits)
MAX_PAGE: Final = 200
MAX_ROWS: Final = 10_000
MAX_GROUPS: Final = 5
MAX_FILTERS: Final = 6
MAX_FILTERS_IN_ALL: Final = 18
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


@attrs.frozen(kw_only=True)
class Query:
    """A search request, read and checked.

    Attributes:
        sort: The property to sort by; None is creation order.
    """

    groups: tuple[Group, ...]
    sort: str | None
    descending: bool
    names: tuple[str, ...]
    limit: int
    offset: int

    @property
    def by_id(self) -> bool:
        """Whether its rows ascend by id."""
        return self.sort == "hs_object_id" and not self.descending


@attrs.frozen(kw_only=True)
class Page:
    """One page of a search.

    Attributes:
        numbers: The ids of its rows.
        total: How many rows match in all.
        following: The offset of the next page, or None.
    """

    numbers: Sequence[int]
    total: int
    following: int | None


def read_query(portal: Portal, kind: ObjectType, body: Mapping[str, Any]) -> Query:
    """Check a search body.

    Raises:
        RefusalError: HubSpot would answer 400, or the emulator does not know a feature.
    """
    if body.get("query"):
        raise unsupported("full-text search by query")
    limit = integer(_optional_text(body.get("limit")), 10, "limit")
    if not 1 <= limit <= MAX_PAGE:
        raise bad_request(f"limit must be between 1 and {MAX_PAGE}, not {limit}")
    offset = integer(_optional_text(body.get("after")), 0, "after")
    # A 400, not a cut; the exact body has not been seen by us (HubSpot 1.7).
    if offset + limit > MAX_ROWS:
        raise bad_request(f"You can only page through the first {MAX_ROWS} results of a search.")
    sort, descending = _sort(portal, kind, _list(body, "sorts"))
    return Query(
        groups=_groups(portal, kind, _filter_groups(body)),
        sort=sort,
        descending=descending,
        names=tuple(_list(body, "properties")),
        limit=limit,
        offset=offset,
    )


def _optional_text(given: Any) -> str | None:
    return None if given is None or given == "" else str(given)


def _list(body: Mapping[str, Any], name: str) -> list[Any]:
    given = body.get(name) or []
    if not isinstance(given, list):
        raise bad_request(f"{name} must be a list")
    return given


def _filter_groups(body: Mapping[str, Any]) -> list[Any]:
    """The groups, of which a list `filters` beside them, an old form, is the only one (1.7)."""
    groups, filters = _list(body, "filterGroups"), _list(body, "filters")
    if groups and filters:
        raise unsupported("a search with filters beside filterGroups")
    return [{"filters": filters}] if filters else groups


def _groups(portal: Portal, kind: ObjectType, groups: Sequence[Any]) -> tuple[Group, ...]:
    lists = [_list(group, "filters") for group in groups if isinstance(group, dict)]
    if len(lists) != len(groups):
        raise bad_request("every filter group must be an object")
    if len(groups) > MAX_GROUPS:
        raise bad_request(f"a search takes at most {MAX_GROUPS} filter groups")
    if any(len(filters) > MAX_FILTERS for filters in lists):
        raise bad_request(f"a filter group takes at most {MAX_FILTERS} filters")
    if sum(map(len, lists)) > MAX_FILTERS_IN_ALL:
        raise bad_request(f"a search takes at most {MAX_FILTERS_IN_ALL} filters")
    return tuple(compile_group(portal, kind, filters) for filters in lists)


def _sort(portal: Portal, kind: ObjectType, sorts: Sequence[Any]) -> tuple[str | None, bool]:
    """The one sort rule, as a string ("-name" descends) or as an object."""
    if len(sorts) > 1:
        raise bad_request("a search takes one sort rule")
    if not sorts:
        return None, False
    rule = sorts[0]
    if isinstance(rule, str):
        name, descending = rule.removeprefix("-"), rule.startswith("-")
    elif isinstance(rule, dict):
        name, direction = str(rule.get("propertyName")), rule.get("direction", "ASCENDING")
        if direction not in {"ASCENDING", "DESCENDING"}:
            raise bad_request(f"direction {direction!r} is neither ASCENDING nor DESCENDING")
        descending = direction == "DESCENDING"
    else:
        raise bad_request("a sort rule is a property name or an object")
    key_of(portal, kind, name)
    return name, descending


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
