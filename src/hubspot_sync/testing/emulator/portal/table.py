"""The records of one object type, kept in the orders in which HubSpot hands them out."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, Final

import attrs

from hubspot_sync.testing.emulator.wire import to_iso

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMPACT_ABOVE: Final = 1000


@attrs.define(slots=True, eq=False)
class Record:
    """One record; only the portal changes it.

    Attributes:
        number: Its id within its type.
        values: The properties that have a value; computed ones are not here.
        created: Milliseconds.
        modified: Milliseconds; grows with every change.
        archived: Milliseconds of its deletion, or None.
        created_text: The created date as HubSpot prints it; every page needs it.
        modified_text: The modified date likewise.
    """

    number: int
    values: dict[str, str]
    created: int
    modified: int
    archived: int | None = None
    created_text: str = attrs.field(
        init=False, default=attrs.Factory(lambda self: to_iso(self.created), takes_self=True)
    )
    modified_text: str = attrs.field(
        init=False, default=attrs.Factory(lambda self: to_iso(self.modified), takes_self=True)
    )


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
    """All records of one type; not thread-safe, the portal's lock guards it."""

    def __init__(self) -> None:
        self.live: dict[int, Record] = {}
        self.archived: dict[int, Record] = {}
        self.numbers: list[int] = []
        self.archived_numbers: list[int] = []
        self._timeline = Timeline()
        self._highest = 0

    @property
    def highest(self) -> int:
        """The highest number ever given out; 0 when none was."""
        return self._highest

    def add(self, record: Record) -> None:
        """Take in a new record.

        Raises:
            ValueError: Its number is taken or not positive.
        """
        if record.number in self.live or record.number in self.archived or record.number < 1:
            raise ValueError(f"number {record.number} is taken or not positive")
        self.live[record.number] = record
        insort(self.numbers, record.number)
        self._timeline.add(record)
        self._highest = max(self._highest, record.number)

    def stamp(self, record: Record, now: int) -> None:
        """Move the modified date to *now*, or just past the old one if that is later."""
        record.modified = max(now, record.modified + 1)
        record.modified_text = to_iso(record.modified)
        self._timeline.add(record)
        self._timeline.compact(self.live)

    def archive(self, record: Record, now: int) -> None:
        """Move the record to the recycle bin; its modified date stays (HubSpot 8)."""
        del self.live[record.number]
        del self.numbers[bisect_left(self.numbers, record.number)]
        record.archived = now
        self.archived[record.number] = record
        insort(self.archived_numbers, record.number)

    def page(
        self, after: int, limit: int, *, archived: bool = False
    ) -> tuple[list[Record], int | None]:
        """Up to *limit* records from number *after* on, ascending, and the number that follows."""
        numbers = self.archived_numbers if archived else self.numbers
        records = self.archived if archived else self.live
        start = bisect_left(numbers, after)
        chosen = numbers[start : start + limit]
        following = numbers[start + limit] if start + limit < len(numbers) else None
        return [records[number] for number in chosen], following

    def modified_between(self, low: int | None, high: int | None) -> list[int]:
        """Live records modified within [low, high], by modified date, then number."""
        return self._timeline.between(low, high, self.live)


def clip(numbers: Sequence[int], low: int | None, high: int | None) -> Sequence[int]:
    """The part of an ascending sequence that lies within [low, high]."""
    if low is None and high is None:
        return numbers
    start = 0 if low is None else bisect_left(numbers, low)
    end = len(numbers) if high is None else bisect_right(numbers, high)
    return numbers[start:end]
