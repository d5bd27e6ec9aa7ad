"""What is odd about the records of a pass: told to the observers, and counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hubspot_sync.models import RecordSkipped, ValueKeptAsText

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hubspot_sync.models import Event, Record, SkippedRow, StreamKey


class Oddities:
    """Notes rows that are no records, and values that do not fit their type.

    Args:
        stream: The stream.
        notify: Told of each skipped row, and of each property once.

    Attributes:
        unconverted: How many values were kept as text, by property name.
    """

    def __init__(self, stream: StreamKey, notify: Callable[[Event], None]) -> None:
        self._stream = stream
        self._notify = notify
        self.unconverted: Counter[str] = Counter()

    def skipped(self, rows: Iterable[SkippedRow]) -> int:
        """Note *rows*, and say how many they are."""
        number = 0
        for row in rows:
            self._notify(
                RecordSkipped(stream=self._stream, object_id=row.object_id, reason=row.reason)
            )
            number += 1
        return number

    def kept_as_text(self, records: Iterable[Record]) -> None:
        """Note the values of *records* that were kept as text."""
        for record in records:
            for name in record.unconverted:
                if name not in self.unconverted:
                    self._notify(
                        ValueKeptAsText(
                            stream=self._stream, property_name=name, object_id=record.object_id
                        )
                    )
                self.unconverted[name] += 1
