"""The search index's lag: which versions of which records search sees.

Search is an index beside the primary storage, new and changed rows need "a few moments" to get
there (https://developers.hubspot.com/docs/api-reference/search/guide) and have been seen to arrive
up to an hour late and not in modified order (HubSpot 11.1).
"""

from __future__ import annotations

from collections import ChainMap
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import attrs

from hubspot_sync.testing.emulator.portal.record import Record
from hubspot_sync.testing.emulator.portal.series import Series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync.testing.emulator.portal.table import Table


@attrs.define(eq=False)
class _Late:
    """One record that the index is behind on.

    Attributes:
        shown: The version that search shows; None for a record it does not know yet.
        coming: Later versions in the order of the changes, each with the millisecond from which
            it is visible; the last is the live record itself.
    """

    shown: Record | None
    coming: list[tuple[int, Record]] = attrs.field(factory=list)

    def catch_up(self, now: int) -> bool:
        """Show the latest version that is due; whether this is the live record."""
        due = [place for place, (at, _) in enumerate(self.coming) if at <= now]
        if due:
            # A version that comes after a later one is not taken: an index keeps the newest.
            self.shown = self.coming[due[-1]][1]
            del self.coming[: due[-1] + 1]
        return not self.coming


class LateView:
    """A table as search sees it, where it differs from the truth."""

    def __init__(self, table: Table, late: Mapping[int, _Late]) -> None:
        self._table = table
        self._late = late
        self._shown = {number: one.shown for number, one in late.items() if one.shown is not None}
        self.live: Mapping[int, Record] = ChainMap(self._shown, table.live)

    @property
    def numbers(self) -> Sequence[int]:
        """The ids that search knows, ascending."""
        unknown = self._late.keys() - self._shown.keys()
        return [number for number in self._table.numbers if number not in unknown]

    def modified_between(self, low: int | None, high: int | None) -> list[int]:
        """The ids of rows that search takes to be modified within [low, high]."""
        current = self._table.modified_between(low, high)
        return [number for number in current if number not in self._late] + [
            number
            for number, record in self._shown.items()
            if (low is None or record.modified >= low) and (high is None or record.modified <= high)
        ]


class IndexLag:
    """Remembers what search still has to learn; not thread-safe, the portal's lock guards it.

    Attributes:
        revision: Grows with every change of what search sees that is not one of the portal.
        jitter: By up to how many milliseconds search mistakes modified times when it sorts by them.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.jitter = 0
        self._bounds = (0, 0)
        self._seed = 0
        self._source = Series(0, "index lag")
        self._late: dict[str, dict[int, _Late]] = {}
        self._due: list[tuple[int, str, int]] = []
        self._views: dict[str, LateView] = {}

    @property
    def active(self) -> bool:
        """Whether changes have to be noted."""
        return bool(self._bounds[1] or self._due)

    def use(self, seed: int, shortest: int, longest: int, jitter: int) -> None:
        """From now on changes take between *shortest* and *longest* milliseconds.

        Changes that search has not learnt stay due as they are.
        """
        self._bounds = shortest, longest
        self._seed = seed
        self._source = Series(seed, "index lag")
        self.jitter = jitter

    def sort_time(self, record: Record) -> int:
        """The modified time that search sorts a record by; off by up to an hour (HubSpot 11.1)."""
        if not self.jitter:
            return record.modified
        source = Series(self._seed, f"sort jitter/{record.number}/{record.modified}")
        return record.modified + source.randint(-self.jitter, self.jitter)

    def note(self, type_id: str, record: Record, now: int, *, new: bool = False) -> None:
        """A record is about to change, or is *new*."""
        self._views.clear()
        records = self._late.setdefault(type_id, {})
        late = records.get(record.number)
        if late is None:
            late = records[record.number] = _Late(None if new else _copy(record))
        else:
            at, _ = late.coming.pop()
            late.coming.append((at, _copy(record)))
        due = now + self._source.randint(*self._bounds)
        late.coming.append((due, record))
        heappush(self._due, (due, type_id, record.number))

    def forget(self, type_id: str, number: int) -> None:
        """A record is archived: search loses it at once."""
        if self._late.get(type_id, {}).pop(number, None):
            self._views.clear()

    def settle(self) -> None:
        """Let search see everything now."""
        self._late.clear()
        self._due.clear()
        self._views.clear()
        self.revision += 1

    def catch_up(self, now: int) -> None:
        """Let search see what is due."""
        while self._due and self._due[0][0] <= now:
            _, type_id, number = heappop(self._due)
            records = self._late.get(type_id, {})
            if number in records:
                self._views.clear()
                self.revision += 1
                if records[number].catch_up(now):
                    del records[number]

    def view(self, type_id: str, table: Table) -> Table | LateView:
        """The records of a type as search sees them."""
        late = self._late.get(type_id)
        if not late:
            return table
        if type_id not in self._views:
            self._views[type_id] = LateView(table, late)
        return self._views[type_id]


def _copy(record: Record) -> Record:
    return Record(record.number, dict(record.values), record.created, record.modified)
