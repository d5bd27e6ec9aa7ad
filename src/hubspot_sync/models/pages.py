"""What a `Source` hands out while it reads a pass."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from hubspot_sync.models.checkpoints import IdRange, ListedSpan
from hubspot_sync.models.records import Association, Record


@frozen(kw_only=True)
class SkippedRow:
    """A row of HubSpot's answer that is no usable record, or a record that it cannot answer for.

    Attributes:
        object_id: Its id as far as it could be read, or None.
        reason: What is wrong with it, in one line without its values.
        again: Whether HubSpot may answer for it later, so that the next runs ask for it by its id.
    """

    object_id: str | None
    reason: str
    again: bool = False


@frozen(kw_only=True)
class Archived:
    """A page of the list of deleted records.

    Attributes:
        deleted: When each was deleted, by id; None where HubSpot does not say.
        after: Where the list goes on; None on its last page.
    """

    deleted: Mapping[str, datetime | None]
    after: str | None = None


@frozen(kw_only=True)
class FoundAssociations:
    """The associations of some records to one object type.

    Attributes:
        found: All of them by the records' ids; an empty tuple where HubSpot says there are none.
        unanswered: Records that HubSpot gives no answer for, with the reasons in one line.
    """

    found: Mapping[str, tuple[Association, ...]]
    unanswered: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Page:
    """Some records of a pass, and what is left to read once they are settled.

    Attributes:
        records: The records, in ascending order of id within their range.
        skipped: Rows that are no usable records, and records that HubSpot cannot answer for.
        absent: Ids that were asked for and that HubSpot says it does not have.
        ranges: What is left of the pass after this page; empty after the last one.
        listed: How many records the pass has listed so far, by ranges of ids, where it is a pass
            over all records; None where that is not known.
        covered: The range of ids of which the page has all records that HubSpot lists, so that
            another one that was there before may be gone; None where it has some records only.
        gaps: On the last page, what of the pass could not be proved complete, in words.
        compare_again: On the last page, whether all records have to be compared once more before
            the stream is known to be complete.
        size: Roughly how many bytes the page takes in memory.
    """

    records: tuple[Record, ...]
    skipped: tuple[SkippedRow, ...] = ()
    absent: tuple[str, ...] = ()
    ranges: tuple[IdRange, ...] = ()
    listed: tuple[ListedSpan, ...] | None = ()
    covered: ListedSpan | None = None
    gaps: tuple[str, ...] = ()
    compare_again: bool = False
    size: int = 0


@frozen(kw_only=True)
class Presence:
    """What became of some records that were asked for by their ids.

    Those that HubSpot did not answer for are in `page.skipped`, to be asked for again; of them
    nothing is known.

    Attributes:
        page: The records that are there.
        archived: When each of the others was deleted, by id, of those that HubSpot has among its
            archived ones; None where it does not say.
        merged: The id of the record that HubSpot answers with instead, by id.
        gone: Those that HubSpot has nowhere.
    """

    page: Page
    archived: Mapping[str, datetime | None] = field(factory=dict)
    merged: Mapping[str, str] = field(factory=dict)
    gone: tuple[str, ...] = ()
