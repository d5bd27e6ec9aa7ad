"""The search index: which records a search finds, in which order."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import attrs

from hubspot_sync.testing.emulator.portal.query import Page, key_of
from hubspot_sync.testing.emulator.portal.table import clip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.query import Group, Key, Query
    from hubspot_sync.testing.emulator.portal.types import ObjectType

_KEPT_RESULTS: Final = 16


class SearchIndex:
    """Finds records for search; keeps results until the portal changes.

    A keyset walk asks for the same window again and again with another `hs_object_id GT n`: the
    window is evaluated once and the rest is bisection.
    Not thread-safe, the portal's lock guards it.
    """

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._kept: OrderedDict[tuple[Any, ...], Sequence[int]] = OrderedDict()
        self._revision = (-1, -1)

    def page(self, kind: ObjectType, query: Query) -> Page:
        """The page that a search asks for."""
        if self._portal.lag.active:
            self._portal.lag.catch_up(self._portal.now())
        numbers = self._numbers(kind, query)
        end = query.offset + query.limit
        return Page(
            numbers=numbers[query.offset : end],
            total=len(numbers),
            following=end if end < len(numbers) else None,
        )

    def before(self, kind: ObjectType, query: Query, most: int) -> Sequence[int]:
        """The last rows of the page before, in whichever way it was asked for; *most* of them."""
        if query.offset:
            return self._numbers(kind, query)[max(query.offset - most, 0) : query.offset]
        lows = [group.numbers.low for group in query.groups if group.numbers.low is not None]
        if not lows or not query.by_id or not most:
            return ()
        # A walk by `hs_object_id GT n` has the page before it below n.
        groups = tuple(
            attrs.evolve(group, numbers=attrs.evolve(group.numbers, low=None, high=min(lows) - 1))
            for group in query.groups
        )
        return self._numbers(kind, attrs.evolve(query, groups=groups))[-most:]

    def _numbers(self, kind: ObjectType, query: Query) -> Sequence[int]:
        """The ids of all matches, in the order asked for."""
        revision = (self._portal.revision, self._portal.lag.revision)
        if self._revision != revision:
            self._kept.clear()
            self._revision = revision
        if query.by_id:
            return self._union(kind, query)
        spans = tuple((group.key, group.numbers) for group in query.groups)
        key = (kind.type_id, spans, query.sort, query.descending)
        return self._keep(key, lambda: self._ordered(kind, query))

    def _ordered(self, kind: ObjectType, query: Query) -> list[int]:
        live = self._portal.indexed(kind).live
        read = self._sort_key(kind, query.sort or kind.created_property)
        keyed = [(read(live[number]), number) for number in self._union(kind, query)]
        valued = sorted((pair for pair in keyed if pair[0] is not None), reverse=query.descending)
        return [number for _, number in valued] + [n for value, n in keyed if value is None]

    def _sort_key(self, kind: ObjectType, name: str) -> Key:
        if name == kind.modified_property:
            return self._portal.lag.sort_time
        return key_of(self._portal, kind, name)

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
