"""The recycle bin of one object type: archived records, for 90 days."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator.portal.associations import Edge
    from hubspot_sync.testing.emulator.portal.record import Record

# https://knowledge.hubspot.com/records/restore-deleted-records (up to 90 days)
KEPT: Final = 90 * 86_400_000


class RecycleBin:
    """Archived records, with the associations that come back with them.

    Not thread-safe, the portal's lock guards it.

    Attributes:
        records: By number.
        numbers: Their numbers, ascending: the order of the list with `archived=true`.
        purged: The numbers of records that were here for 90 days and are gone for good.
    """

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self.numbers: list[int] = []
        self.purged: set[int] = set()
        self._edges: dict[int, list[Edge]] = {}
        self._queue: deque[tuple[int, int]] = deque()

    def put(self, record: Record, now: int, edges: list[Edge]) -> None:
        """Take in a record that was live."""
        record.archived = now
        self.records[record.number] = record
        insort(self.numbers, record.number)
        self._queue.append((now, record.number))
        if edges:
            self._edges[record.number] = edges

    def take(self, number: int) -> tuple[Record, list[Edge]]:
        """Take out a record, and the associations that it had.

        Raises:
            KeyError: It is not here.
        """
        record = self.records.pop(number)
        del self.numbers[bisect_left(self.numbers, number)]
        record.archived = None
        return record, self._edges.pop(number, [])

    def keep(self, number: int, edge: Edge) -> None:
        """Remember one more association of a record that is here."""
        self._edges.setdefault(number, []).append(edge)

    def purge(self, now: int) -> None:
        """Delete for good what has been here for 90 days (HubSpot 1.4)."""
        while self._queue and self._queue[0][0] + KEPT <= now:
            at, number = self._queue.popleft()
            found = self.records.get(number)
            # Restored meanwhile, and perhaps archived once more.
            if found is not None and found.archived == at:
                self.take(number)
                self.purged.add(number)
