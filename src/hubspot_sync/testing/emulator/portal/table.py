"""The records of one object type, kept in the orders in which HubSpot hands them out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator.portal.recycle_bin import RecycleBin
from hubspot_sync.testing.emulator.wire import to_iso

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync.testing.emulator.portal.associations import Edge
    from hubspot_sync.testing.emulator.portal.record import Record

_COMPACT_ABOVE: Final = 1000


class Timeline:
    """Record numbers ordered by modified date.

    Changed records leave their old entry behind, which readers recognise and skip; appending is
    what nearly every change amounts to, so a touch costs no move of half a million entries.
    """

    def __init__(self) -> None:
        self._entries: list[tuple[int, int]] = []

    def add(self, record: Record) -> None:
        """Note the record's present modified date."""
        insort(self._entries, (record.modified, record.number))

    def remove(self, record: Record) -> None:
        """Forget a record that is no longer live; it may come back with the same date."""
        place = bisect_left(self._entries, (record.modified, record.number))
        if self._entries[place : place + 1] == [(record.modified, record.number)]:
            del self._entries[place]

    def between(self, low: int | None, high: int | None, live: dict[int, Record]) -> list[int]:
        """The live records modified within [low, high], by modified date, then number."""
        start = 0 if low is None else bisect_left(self._entries, (low, -1))
        end = len(self._entries)
        if high is not None:
            end = bisect_left(self._entries, (high + 1, -1))
        return [number for entry in self._entries[start:end] if (number := _valid(entry, live))]

    def compact(self, live: dict[int, Record]) -> None:
        """Drop the entries left behind once they outnumber the valid ones."""
        if len(self._entries) > 2 * len(live) + _COMPACT_ABOVE:
            self._entries = [entry for entry in self._entries if _valid(entry, live)]


def _valid(entry: tuple[int, int], live: dict[int, Record]) -> int:
    modified, number = entry
    record = live.get(number)
    return number if record is not None and record.modified == modified else 0


class Table:
    """All records of one type; not thread-safe, the portal's lock guards it.

    Attributes:
        live: By number.
        numbers: The numbers of live records, ascending.
        bin: The archived records.
        erased: The numbers of records that privacy deletions took away.
    """

    def __init__(self) -> None:
        self.live: dict[int, Record] = {}
        self.numbers: list[int] = []
        self.bin = RecycleBin()
        self.erased: set[int] = set()
        self._merged: dict[int, int] = {}
        self._timeline = Timeline()
        self._highest = 0

    @property
    def highest(self) -> int:
        """The highest number ever given out; 0 when none was."""
        return self._highest

    @property
    def merged(self) -> Mapping[int, int]:
        """By the number of a record that was merged away: the one that it went into then."""
        return self._merged

    def add(self, record: Record) -> None:
        """Take in a new record, or one that comes back.

        Raises:
            ValueError: Its number is taken or not positive.
        """
        if record.number < 1 or self._taken(record.number):
            raise ValueError(f"number {record.number} is taken or not positive")
        self.live[record.number] = record
        insort(self.numbers, record.number)
        self._timeline.add(record)
        self._highest = max(self._highest, record.number)

    def _taken(self, number: int) -> bool:
        return any(
            number in known
            for known in (
                self.live,
                self.bin.records,
                self.bin.purged,
                self.erased,
                self._merged,
            )
        )

    def stamp(self, record: Record, now: int) -> None:
        """Move the modified date to *now*, or just past the old one if that is later."""
        record.modified = max(now, record.modified + 1)
        record.modified_text = to_iso(record.modified)
        self._timeline.add(record)
        self._timeline.compact(self.live)

    def archive(self, record: Record, now: int, edges: list[Edge]) -> None:
        """Move the record to the recycle bin; its modified date stays (HubSpot 8)."""
        self.remove(record)
        self.bin.put(record, now, edges)

    def merge(self, record: Record, survivor: int) -> None:
        """Take a live record away that went into another one: its number leads there."""
        self.remove(record)
        self._merged[record.number] = survivor

    def survivor(self, number: int) -> int:
        """The record that a number stands for after all merges."""
        while number in self._merged:
            number = self._merged[number]
        return number

    def erase(self, number: int) -> None:
        """Take a record away for good, live or archived."""
        if number in self.live:
            self.remove(self.live[number])
        else:
            self.bin.take(number)
        self.erased.add(number)

    def remove(self, record: Record) -> None:
        """Take a live record away."""
        del self.live[record.number]
        del self.numbers[bisect_left(self.numbers, record.number)]
        self._timeline.remove(record)

    def modified_between(self, low: int | None, high: int | None) -> list[int]:
        """Live records modified within [low, high], by modified date, then number."""
        return self._timeline.between(low, high, self.live)


def page_of(
    numbers: Sequence[int], records: Mapping[int, Record], after: int, limit: int
) -> tuple[list[Record], int | None]:
    """Up to *limit* records from number *after* on, ascending, and the number that follows."""
    start = bisect_left(numbers, after)
    chosen = numbers[start : start + limit]
    following = numbers[start + limit] if start + limit < len(numbers) else None
    return [records[number] for number in chosen], following


def clip(numbers: Sequence[int], low: int | None, high: int | None) -> Sequence[int]:
    """The part of an ascending sequence that lies within [low, high]."""
    if low is None and high is None:
        return numbers
    start = 0 if low is None else bisect_left(numbers, low)
    end = len(numbers) if high is None else bisect_right(numbers, high)
    return numbers[start:end]
