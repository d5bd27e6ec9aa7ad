"""Associations: HubSpot's numbers for a kind of edge, one for each direction, and the edges."""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import count
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync.testing.emulator.portal.types import ObjectType

# https://developers.hubspot.com/docs/api-reference/crm-associations-v4/guide (association type ids)
_STANDARD: Final = (
    ("0-1", "0-2", 1, 2, "Primary"),
    ("0-1", "0-2", 279, 280, None),
    ("0-1", "0-3", 4, 3, None),
    ("0-3", "0-2", 5, 6, "Primary"),
    ("0-3", "0-2", 341, 342, None),
    ("0-1", "0-5", 15, 16, None),
    ("0-5", "0-2", 26, 25, "Primary"),
    ("0-5", "0-2", 339, 340, None),
    ("0-3", "0-5", 27, 28, None),
    ("0-1", "0-1", 449, 449, None),
    ("0-2", "0-2", 450, 450, None),
    ("0-46", "0-1", 202, 201, None),
    ("0-46", "0-2", 190, 189, None),
    ("0-46", "0-3", 214, 213, None),
    ("0-46", "0-5", 228, 227, None),
    ("0-48", "0-1", 194, 193, None),
    ("0-48", "0-2", 182, 181, None),
    ("0-48", "0-3", 206, 205, None),
    ("0-48", "0-5", 220, 219, None),
    ("0-49", "0-1", 198, 197, None),
    ("0-49", "0-2", 186, 185, None),
    ("0-49", "0-3", 210, 209, None),
    ("0-49", "0-5", 224, 223, None),
    ("0-27", "0-1", 204, 203, None),
    ("0-27", "0-2", 192, 191, None),
    ("0-27", "0-3", 216, 215, None),
    ("0-27", "0-5", 230, 229, None),
    ("0-47", "0-1", 200, 199, None),
    ("0-47", "0-2", 188, 187, None),
    ("0-47", "0-3", 212, 211, None),
    ("0-47", "0-5", 226, 225, None),
    ("0-3", "0-8", 19, 20, None),
    ("0-3", "0-14", 63, 64, None),
)
_FIRST_OWN_NUMBER: Final = 1001


@attrs.frozen(kw_only=True, cache_hash=True)
class AssociationType:
    """What one edge means in one direction.

    Attributes:
        category: "HUBSPOT_DEFINED" or "USER_DEFINED".
        type_id: The number, unique within the category.
        label: What people read ("Primary", "Billing contact"), or None.
        name: What inline associations carry: "contact_to_company_unlabeled".
        primary: Whether it marks the primary record of the other type.
    """

    category: str
    type_id: int
    label: str | None
    name: str
    primary: bool = False

    def to_json(self) -> dict[str, Any]:
        """As v4 answers print it."""
        return {"category": self.category, "typeId": self.type_id, "label": self.label}


@attrs.frozen(cache_hash=True)
class Link:
    """A kind of edge with its two directions."""

    forward: AssociationType
    backward: AssociationType

    def reversed(self) -> Link:
        """The same, seen from the other end."""
        return Link(self.backward, self.forward)


class LinkCatalogue:
    """The association types of a portal; not thread-safe, the portal's lock guards it."""

    def __init__(self) -> None:
        self._links: dict[tuple[str, str], list[Link]] = {}
        self._numbers = count(_FIRST_OWN_NUMBER)

    def between(self, source: ObjectType, target: ObjectType) -> list[Link]:
        """Every link from *source* to *target*, the primary one first, the unlabeled second."""
        key = (source.type_id, target.type_id)
        if key not in self._links:
            self._store(source, target, self._standard(source, target))
        return self._links[key]

    def unlabeled(self, source: ObjectType, target: ObjectType) -> Link:
        """The link that every edge carries."""
        return next(link for link in self.between(source, target) if link.forward.label is None)

    def primary(self, source: ObjectType, target: ObjectType) -> Link | None:
        """The link that marks the primary record, where the pair knows one."""
        return next((link for link in self.between(source, target) if link.forward.primary), None)

    def labelled(self, source: ObjectType, target: ObjectType, label: str) -> Link | None:
        """The link with this label, or None."""
        links = self.between(source, target)
        return next((link for link in links if link.forward.label == label), None)

    def define(self, source: ObjectType, target: ObjectType, label: str, inverse: str) -> Link:
        """Add a label of the account's own; one that exists already is returned as it is."""
        known = self.labelled(source, target, label)
        if known is not None:
            return known
        first = next(self._numbers)
        # One number for both directions when both read alike, as for HubSpot's own 449 and 450.
        second = first if source == target and label == inverse else next(self._numbers)
        link = Link(_own(first, label), _own(second, inverse))
        added = [link, link.reversed()] if source == target and first != second else [link]
        self._store(source, target, [*self.between(source, target), *added])
        return link

    def _store(self, source: ObjectType, target: ObjectType, links: list[Link]) -> None:
        self._links[target.type_id, source.type_id] = [link.reversed() for link in links]
        self._links[source.type_id, target.type_id] = links

    def _standard(self, source: ObjectType, target: ObjectType) -> list[Link]:
        for first, second in ((source, target), (target, source)):
            rows = [row for row in _STANDARD if row[:2] == (first.type_id, second.type_id)]
            if rows:
                links = [_official(first, second, row, paired=len(rows) > 1) for row in rows]
                return links if first == source else [link.reversed() for link in links]
        name = f"{source.singular}_to_{target.singular}"
        back = f"{target.singular}_to_{source.singular}"
        return [Link(_generic(next(self._numbers), name), _generic(next(self._numbers), back))]


def _official(
    source: ObjectType,
    target: ObjectType,
    row: tuple[str, str, int, int, str | None],
    *,
    paired: bool,
) -> Link:
    _, _, forward, backward, label = row
    # `contact_to_company` is the primary company; the plain edge has the suffix (HubSpot 1.3).
    suffix = "_unlabeled" if paired and label is None else ""
    return Link(
        *(
            AssociationType(
                category="HUBSPOT_DEFINED",
                type_id=number,
                label=label,
                name=f"{one.singular}_to_{other.singular}{suffix}",
                primary=label is not None,
            )
            for number, one, other in ((forward, source, target), (backward, target, source))
        )
    )


def _generic(number: int, name: str) -> AssociationType:
    return AssociationType(category="USER_DEFINED", type_id=number, label=None, name=name)


def _own(number: int, label: str) -> AssociationType:
    name = re.sub(r"\W+", "_", label.lower()).strip("_")
    return AssociationType(category="USER_DEFINED", type_id=number, label=label, name=name)


Pair: TypeAlias = "tuple[str, str]"
Kinds: TypeAlias = "tuple[AssociationType, ...]"
Neighbours: TypeAlias = "dict[int, Kinds]"


@attrs.frozen
class Edge:
    """One association, seen from a record that has left.

    Attributes:
        pair: The object type of that record, and of the other one.
        other: The number of the other one.
        forward: What it means, seen from that record.
        backward: What it means, seen from the other one.
    """

    pair: Pair
    other: int
    forward: Kinds
    backward: Kinds

    def reversed(self, number: int) -> Edge:
        """The same, seen from the other one; *number* is this end."""
        return Edge(self.pair[::-1], number, self.backward, self.forward)

    def plain(self) -> Edge:
        """The same without the mark of the primary record."""
        return Edge(self.pair, self.other, _unmarked(self.forward), _unmarked(self.backward))


def _unmarked(kinds: Kinds) -> Kinds:
    return tuple(kind for kind in kinds if not kind.primary)


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

    def take(self, type_id: str, number: int) -> list[Edge]:
        """Take away every edge of a record; returns them."""
        taken = []
        for pair in list(self._maps):
            if pair[0] == type_id:
                for other, forward in list(self.of(pair, number).items()):
                    backward = self.of(pair[::-1], other)[number]
                    taken.append(Edge(pair, other, forward, backward))
                    self.disconnect(pair, number, other, None)
        return taken

    def give(self, number: int, edge: Edge) -> None:
        """Put an edge back, or on another record."""
        self._put(edge.pair, number, edge.other, edge.forward)
        self._put(edge.pair[::-1], edge.other, number, edge.backward)

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
