"""What a `Source` hands out while it reads a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from hubspot_sync.models.checkpoints import IdRange
    from hubspot_sync.models.records import Record


@frozen(kw_only=True)
class SkippedRow:
    """A row of HubSpot's answer that is no usable record.

    Attributes:
        object_id: Its id as far as it could be read, or None.
        reason: What is wrong with it, in one line without its values.
    """

    object_id: str | None
    reason: str


@frozen(kw_only=True)
class Page:
    """Some records of a pass, and what is left to read once they are settled.

    Attributes:
        records: The records, in ascending order of id within their range.
        skipped: Rows that are no usable records.
        ranges: What is left of the pass after this page; empty after the last one.
        size: Roughly how many bytes the page takes in memory.
    """

    records: tuple[Record, ...]
    skipped: tuple[SkippedRow, ...] = ()
    ranges: tuple[IdRange, ...] = ()
    size: int = 0
