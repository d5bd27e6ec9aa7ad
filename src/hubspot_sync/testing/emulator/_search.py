"""The search endpoint and the index behind it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import attrs

from hubspot_sync.testing.emulator._failures import bad_request, unsupported
from hubspot_sync.testing.emulator._filters import Group, compile_group, key_of
from hubspot_sync.testing.emulator._objects import object_type
from hubspot_sync.testing.emulator._series import Series
from hubspot_sync.testing.emulator._spoiled_search import Page, Spoiler
from hubspot_sync.testing.emulator._table import clip
from hubspot_sync.testing.emulator._views import Renderer
from hubspot_sync.testing.emulator._wire import Answer, Request, answer, integer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubspot_sync.testing.emulator._filters import Key
    from hubspot_sync.testing.emulator._portal import Portal
    from hubspot_sync.testing.emulator._types import ObjectType

# https://developers.hubspot.com/docs/api-reference/search/guide (limits)
MAX_PAGE: Final = 200
MAX_ROWS: Final = 10_000
MAX_GROUPS: Final = 5
MAX_FILTERS: Final = 6
MAX_FILTERS_IN_ALL: Final = 18
_KEPT_RESULTS: Final = 16


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


class SearchIndex:
    """Finds records for search; keeps results until the portal changes.

    A keyset walk asks for the same window again and again with another `hs_object_id GT n`: the
    window is evaluated once and the rest is bisection.
    """

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._kept: OrderedDict[tuple[Any, ...], Sequence[int]] = OrderedDict()
        self._revision = (-1, -1)

    def search(self, request: Request) -> Answer:
        """`POST .../search` (HubSpot 1.7)."""
        kind = object_type(self._portal, request.args["object_type"])
        mischief = self._portal.mischief
        self._refuse(kind, request)
        query = read_query(self._portal, kind, request.json())
        if mischief.lag.active:
            mischief.lag.catch_up(self._portal.now())
        page = self._page(kind, query)
        if mischief.search:
            page = Spoiler(self, self._portal, kind, query, request.fingerprint).spoil(page)
        live = self._portal.indexed(kind).live
        renderer = Renderer(self._portal, kind, query.names)
        content: dict[str, Any] = {
            "total": page.total,
            "results": renderer.every(live[number] for number in page.numbers),
        }
        if page.following is not None:
            content["paging"] = {"next": {"after": str(page.following)}}
        return answer(content)

    def _refuse(self, kind: ObjectType, request: Request) -> None:
        """Refuse what the hostility in force lets no search do."""
        settings, lies = self._portal.mischief.settings, self._portal.mischief.lies
        if any(kind.answers_to(name) for name in settings.unsearchable):
            lies.add("unsearchable")
            raise bad_request(f"Object type {kind.type_id} does not support search.")
        most = settings.search_body_limit
        if most is not None and len(request.body) > most:
            lies.add("search_body_limit")
            raise bad_request(f"The request is longer than {most} characters.")

    def numbers(self, kind: ObjectType, query: Query) -> Sequence[int]:
        """The ids of all matches, in the order asked for."""
        revision = (self._portal.revision, self._portal.mischief.lag.revision)
        if self._revision != revision:
            self._kept.clear()
            self._revision = revision
        if query.sort == "hs_object_id" and not query.descending:
            return self._union(kind, query)
        spans = tuple((group.key, group.numbers) for group in query.groups)
        key = (kind.type_id, spans, query.sort, query.descending)
        return self._keep(key, lambda: self._ordered(kind, query))

    def _page(self, kind: ObjectType, query: Query) -> Page:
        numbers = self.numbers(kind, query)
        end = query.offset + query.limit
        return Page(
            numbers=numbers[query.offset : end],
            total=len(numbers),
            following=end if end < len(numbers) else None,
        )

    def _ordered(self, kind: ObjectType, query: Query) -> list[int]:
        live = self._portal.indexed(kind).live
        read = self._sort_key(kind, query.sort or kind.created_property)
        keyed = [(read(live[number]), number) for number in self._union(kind, query)]
        valued = sorted((pair for pair in keyed if pair[0] is not None), reverse=query.descending)
        return [number for _, number in valued] + [n for value, n in keyed if value is None]

    def _sort_key(self, kind: ObjectType, name: str) -> Key:
        settings = self._portal.mischief.settings
        jitter = int(settings.sort_jitter.total_seconds() * 1000)
        if not jitter or name != kind.modified_property:
            return key_of(self._portal, kind, name)
        # Seen by others to be off by up to an hour: HubSpot 11.1.
        return lambda record: (
            record.modified
            + Series(settings.seed, f"sort jitter/{record.number}/{record.modified}").randint(
                -jitter, jitter
            )
        )

    def _union(self, kind: ObjectType, query: Query) -> Sequence[int]:
        if not query.groups:
            return self._portal.indexed(kind).numbers
        parts = [self._group(kind, group) for group in query.groups]
        if len(parts) == 1:
            return parts[0]
        return sorted(set().union(*parts))

    def _group(self, kind: ObjectType, group: Group) -> Sequence[int]:
        numbers = self._keep(("group", group.key), lambda: self._evaluate(kind, group))
        return clip(numbers, group.numbers.low, group.numbers.high)

    def _evaluate(self, kind: ObjectType, group: Group) -> Sequence[int]:
        table = self._portal.indexed(kind)
        numbers: Sequence[int] = table.numbers
        if group.modified.low is not None or group.modified.high is not None:
            numbers = sorted(table.modified_between(group.modified.low, group.modified.high))
        for test in group.tests:
            numbers = [number for number in numbers if test(table.live[number])]
        return numbers

    def _keep(self, key: tuple[Any, ...], evaluate: Callable[[], Sequence[int]]) -> Sequence[int]:
        if key not in self._kept:
            self._kept[key] = evaluate()
            if len(self._kept) > _KEPT_RESULTS:
                self._kept.popitem(last=False)
        return self._kept[key]


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
