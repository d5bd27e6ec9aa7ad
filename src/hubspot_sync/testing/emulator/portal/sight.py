"""What the user of a user-level token may see: records that are hidden vanish silently.

A user-level app sees what its user sees, and records vanish when the user's permissions change
(HubSpot 5.4).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator.portal.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubspot_sync.testing.emulator.portal.index_lag import LateView
    from hubspot_sync.testing.emulator.portal.table import Table
    from hubspot_sync.testing.emulator.portal.types import ObjectType

_MIXER: Final = 2_654_435_761


class Sight:
    """Decides which records are hidden; not thread-safe, the portal's lock guards it.

    Attributes:
        limited: Whether any records may be hidden.
    """

    def __init__(self) -> None:
        self.use({}, 0.0, 0)

    def use(self, hidden: Mapping[str, frozenset[str]], share: float, seed: int) -> None:
        """From now on hide these ids by object type, and a *share* of all records."""
        self.limited = bool(hidden or share)
        self._hidden = hidden
        self._below = share * 2**32
        self._seed = seed
        self._kept: dict[tuple[str, bool], tuple[int, list[int]]] = {}

    def test(self, kind: ObjectType) -> Callable[[int], bool] | None:
        """A function that says of a record's number whether it is seen; None where all are."""
        if not self.limited:
            return None
        hidden = kind.pick(self._hidden)
        if not hidden and not self._below:
            return None

        def seen(number: int) -> bool:
            drawn = zlib.crc32(f"{self._seed}/sight/{kind.type_id}/{number}".encode())
            # The checksum alone would draw alike for all seeds.
            return drawn * _MIXER % 2**32 >= self._below and str(number) not in hidden

        return seen

    def rows(
        self,
        kind: ObjectType,
        rows: tuple[Sequence[int], Mapping[int, Record]],
        revision: int,
        *,
        archived: bool = False,
    ) -> tuple[Sequence[int], Mapping[int, Record]]:
        """Ascending numbers and the records by number, without those that are hidden."""
        seen = self.test(kind)
        if seen is None:
            return rows
        numbers, records = rows
        at, kept = self._kept.get((kind.type_id, archived), (-1, []))
        if at != revision:
            kept = [number for number in numbers if seen(number)]
            self._kept[kind.type_id, archived] = revision, kept
        return kept, _Seen(records, seen)

    def index(self, kind: ObjectType, view: Table | LateView) -> Table | LateView | SeenView:
        """The records of a type as search shows them to the user."""
        seen = self.test(kind)
        return view if seen is None else SeenView(view, seen)


class _Seen(Mapping[int, Record]):
    """Records by number, without those that are hidden."""

    def __init__(self, records: Mapping[int, Record], seen: Callable[[int], bool]) -> None:
        self._records = records
        self._seen = seen

    def __getitem__(self, number: int) -> Record:
        if not self._seen(number):
            raise KeyError(number)
        return self._records[number]

    def __iter__(self) -> Iterator[int]:
        return filter(self._seen, self._records)

    def __len__(self) -> int:
        return sum(map(self._seen, self._records))


class SeenView:
    """A table, or what search knows of it, without the records that are hidden."""

    def __init__(self, view: Table | LateView, seen: Callable[[int], bool]) -> None:
        self._view = view
        self._seen = seen
        self.live: Mapping[int, Record] = _Seen(view.live, seen)

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of what is seen, ascending."""
        return [number for number in self._view.numbers if self._seen(number)]

    def modified_between(self, low: int | None, high: int | None) -> list[int]:
        """The numbers of what is seen and was modified within [low, high]."""
        return [number for number in self._view.modified_between(low, high) if self._seen(number)]
