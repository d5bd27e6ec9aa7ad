"""The associations between a portal's records, readable from both ends."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync.testing.emulator._links import AssociationType, Link

Pair: TypeAlias = "tuple[str, str]"
Kinds: TypeAlias = "tuple[AssociationType, ...]"
Neighbours: TypeAlias = "dict[int, Kinds]"


class Edges:
    """For each pair of object type ids: record number -> neighbour number -> what the edge means.

    Not thread-safe, the portal's lock guards it.
    """

    def __init__(self) -> None:
        self._maps: dict[Pair, dict[int, Neighbours]] = {}
        # A million edges share a handful of meanings: one tuple each, for memory.
        self._shared: dict[tuple[Link, ...], tuple[Kinds, Kinds]] = {}

    def of(self, pair: Pair, number: int) -> Mapping[int, Kinds]:
        """The neighbours of one record; empty where it has none."""
        return self._maps.get(pair, {}).get(number, {})

    def page(
        self, pair: Pair, number: int, after: int, limit: int
    ) -> tuple[list[tuple[int, Kinds]], int | None]:
        """Up to *limit* neighbours from number *after* on, ascending, and the one that follows."""
        neighbours = self.of(pair, number)
        if len(neighbours) <= 1 and not after:
            return list(neighbours.items()), None
        order = sorted(neighbours)
        start = bisect_left(order, after) if after else 0
        following = order[start + limit] if start + limit < len(order) else None
        return [(other, neighbours[other]) for other in order[start : start + limit]], following

    def primary(self, pair: Pair, number: int) -> int | None:
        """The neighbour marked as primary, or None."""
        neighbours = self.of(pair, number)
        return next((n for n, kinds in neighbours.items() if any(k.primary for k in kinds)), None)

    def connect(self, pair: Pair, source: int, target: int, links: tuple[Link, ...]) -> None:
        """Add what *links* say to the edge, in both directions."""
        if links not in self._shared:
            forward = tuple(link.forward for link in links)
            self._shared[links] = forward, tuple(link.backward for link in links)
        forward, backward = self._shared[links]
        self._put(pair, source, target, forward)
        self._put(pair[::-1], target, source, backward)

    def disconnect(self, pair: Pair, source: int, target: int, link: Link | None) -> None:
        """Take one meaning off the edge, or the edge away when *link* is None."""
        self._take(pair, source, target, link.forward if link else None)
        self._take(pair[::-1], target, source, link.backward if link else None)

    def forget(self, type_id: str, number: int) -> None:
        """Take away every edge of a record."""
        for pair in list(self._maps):
            if pair[0] == type_id:
                for other in list(self.of(pair, number)):
                    self.disconnect(pair, number, other, None)

    def _put(self, pair: Pair, source: int, target: int, kinds: Kinds) -> None:
        neighbours = self._maps.setdefault(pair, {}).setdefault(source, {})
        known = neighbours.get(target)
        # Primary first, then the plain one, then labels: the order HubSpot prints them in.
        neighbours[target] = kinds if known is None else _merged(known, kinds)

    def _take(self, pair: Pair, source: int, target: int, kind: AssociationType | None) -> None:
        records = self._maps.get(pair, {})
        neighbours = records.get(source, {})
        if target not in neighbours:
            return
        left = tuple(one for one in neighbours[target] if kind is not None and one != kind)
        if left:
            neighbours[target] = left
            return
        del neighbours[target]
        if not neighbours:
            del records[source]


def _merged(known: Kinds, added: Kinds) -> Kinds:
    every = {kind.type_id: kind for kind in (*known, *added)}
    return tuple(
        sorted(every.values(), key=lambda kind: (not kind.primary, kind.label is not None))
    )
