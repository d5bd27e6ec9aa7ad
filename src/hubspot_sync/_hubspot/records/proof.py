"""Reads all records of an object type, and proves by what search counts that none is missing.

The list says nothing of how many records there are, so a page that leaves one out looks like any
other. Search counts: one call compares its total with what was listed. Where they differ, halving
by ids finds where, and what lies there is looked at again from all sides: listed once more, its
ids taken from search, and what only search knows read by id from the primary storage, which alone
says whether a record is there.

What is created or deleted meanwhile makes counts differ too. It is settled in the same way, since
only a record that search knows and the list does not have can be missing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from hubspot_sync._hubspot.records.census import Census, NotSearchableError
from hubspot_sync._hubspot.records.list import OrderNotKeptError
from hubspot_sync._hubspot.records.ranges import END, Walk, WalkPool
from hubspot_sync._hubspot.records.tally import Tally, row_ids
from hubspot_sync.errors import HubSpotSyncError, HubSpotUnavailableError
from hubspot_sync.models import IdRange, ListedSpan, Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubspot_sync._hubspot.records.list import Listing
    from hubspot_sync.models import Pass

# At a latency of 0.3 s six reach 190 list calls in ten seconds, the others make up for slower
# answers. How many really run is decided by what there is to read.
_LISTERS: Final = 8
_BYTES_AHEAD: Final = 16 * 1024 * 1024
_FRESH_STARTS: Final = 3
# How often what search and the list disagree about is listed once more in one run.
_ROUNDS: Final = 3
_logger = logging.getLogger("hubspot_sync")
# A proof without differences takes one call, and one with a single difference some fifteen.
_CALLS: Final = 24
_PAGES_FOR_A_CALL: Final = 50
_PAGE: Final = 200
# How often the ids are asked for that a total counts and that do not come.
_LOOKS: Final = 3
# What differs by more than this is listed again, by all threads.
_MOST_SETTLED: Final = 2_000


def read_whole(listing: Listing, reading: Pass) -> Iterator[Page]:
    """Read what is left of *reading* from the list; the last page says what was not proved.

    Raises:
        HubSpotUnavailableError: The list has no end, or is not complete; all that was read is
            handed out, and a later run goes on from the ranges of the last page.
    """
    # What came in no order and was not read to its end cannot be counted any more.
    uncounted = any(one.serial and one.after is not None for one in reading.ranges)
    tally = Tally(None if uncounted else reading.listed)
    last: Page | None = None
    kept = reading.ranges
    for page in read_list(listing, reading.ranges, tally):
        if page.ranges:
            kept = page.ranges
            yield page
        else:
            last = page
    if last is not None:
        yield from _proved(listing, tally, last, kept)


def read_list(
    listing: Listing, ranges: Sequence[IdRange], tally: Tally | None = None
) -> Iterator[Page]:
    """Read the list in parallel; serially, from the beginning, when it turns out unordered.

    Raises:
        HubSpotUnavailableError: HubSpot refuses its own paging values, or they have no end.
    """
    object_type = listing.subject.object_type
    for _ in range(_FRESH_STARTS):
        serial = any(id_range.serial for id_range in ranges)
        try:
            yield from WalkPool(
                listing,
                ranges,
                width=1 if serial else _LISTERS,
                max_bytes=_BYTES_AHEAD,
                tally=tally,
            ).pages()
        except OrderNotKeptError as error:
            _logger.warning("listing %s by one thread, because %s", object_type, error)
            ranges = (IdRange(serial=True),)
            if tally is not None:
                tally.begin_again()
        else:
            return
    raise HubSpotUnavailableError(
        f"HubSpot refused its own paging values {_FRESH_STARTS} times while listing {object_type}"
    )


def _proved(  # noqa: C901 - one story, told in its order
    listing: Listing, tally: Tally, last: Page, kept: Sequence[IdRange]
) -> Iterator[Page]:
    """*last*, and what the list left out before it.

    Args:
        listing: What was listed.
        tally: How many records were.
        last: The last page, with no ranges left.
        kept: What was left before the last page, for a list that cannot be gone on with by id.
    """
    subject, proof = listing.subject, Proof(listing=listing, tally=tally)
    if not tally.known:
        gap = f"{subject.object_type} came in no order over several runs, so the list is not proved"
        # The next pass compares, until one is not cut off: what is missing would be so for ever.
        yield evolve(last, gaps=(gap,), compare_again=True)
        return
    # A run that is cut off here goes on behind the last record and proves the whole once more.
    hold = tuple(kept) if tally.by_id else (IdRange(after=str(tally.end)),)
    held: Page | None = last
    large: list[ListedSpan] = []
    try:
        for _ in range(_ROUNDS):
            small, large = proof.differences()
            if held is not None and (small or large):
                yield evolve(held, ranges=hold)
                held = None
            for span in small:
                for page in proof.settle(span):
                    yield evolve(page, ranges=hold, listed=tally.listed)
            if not large:
                yield held or Page(records=())
                return
            yield from _listed_again(listing, tally, large, hold)
    except NotSearchableError as error:
        unproved = f"{error}, so nothing counts them and the list is not proved"
        if large:  # what is to be listed again is not complete
            yield Page(records=(), ranges=tuple(map(again, large)), listed=tally.listed)
            raise HubSpotUnavailableError(unproved) from error
        yield evolve(held or Page(records=()), ranges=(), gaps=(unproved,))
        return
    except HubSpotSyncError:
        if held is not None:
            yield evolve(held, ranges=hold)
        raise
    yield Page(records=(), ranges=tuple(map(again, large)), listed=tally.listed)
    raise HubSpotUnavailableError(
        f"search and list disagree about how many {subject.object_type} there are, however often "
        "they are asked; all that was listed is stored, and the next run lists the rest again"
    )


def _listed_again(
    listing: Listing, tally: Tally, spans: Sequence[ListedSpan], hold: tuple[IdRange, ...]
) -> Iterator[Page]:
    """List *spans* once more, because too much of them differs to look at each record."""
    for span in spans:
        tally.forget(span)
    for page in read_list(listing, tuple(map(again, spans)), tally):
        yield evolve(page, ranges=page.ranges or hold)


@frozen(kw_only=True)
class Proof:
    """Compares one whole walk with search.

    Attributes:
        listing: Lists what has to be looked at again.
        tally: What was listed.
    """

    listing: Listing
    tally: Tally

    @property
    def census(self) -> Census:
        """Counts what was listed."""
        return Census(self.listing.subject)

    def differences(self) -> tuple[list[ListedSpan], list[ListedSpan]]:
        """The spans to look at again, and those that would take too many calls to narrow down.

        Raises:
            NotSearchableError: Nothing can be counted.
            HubSpotSyncError: Search could not be asked.
        """
        spans = list(self.tally.spans())
        top = spans[-1].end if spans else 0
        # What lies above was created meanwhile, unless the list ended too early.
        spans.append(ListedSpan(top, END, 0))
        left = _CALLS + sum(span.rows for span in spans) // (_PAGES_FOR_A_CALL * 100)
        small: list[ListedSpan] = []
        large: list[ListedSpan] = []
        all_of_it = self.census.search(0, END, limit=1, order="DESCENDING")
        # Search learns of the newest records last; the others have to agree without them.
        newest = max(all_of_it.ids, default=-1)
        counted = [(span, span.rows - self.tally.above(newest, span)) for span in spans]
        total = all_of_it.total
        if total == sum(rows for _, rows in counted):
            # Totals have been seen to be wrong, so two of them have to say so.
            total = self.census.count(0, newest + 1) if total else 0
        waiting = [(counted, total)]
        while waiting:
            some, total = waiting.pop()
            if total == sum(rows for _, rows in some):
                continue
            if len(some) == 1 and abs(total - some[0][1]) <= _MOST_SETTLED:
                small.append(some[0][0])
            elif len(some) == 1:
                large.append(some[0][0])
            elif left <= 0:
                large.extend(span for span, _ in some)
            else:
                middle = len(some) // 2
                lower, upper = some[:middle], some[middle:]
                left -= 1
                below = self.census.count(lower[0][0].first, lower[-1][0].end)
                # If one of the counts was wrong, the halves say so.
                waiting.extend(((lower, below), (upper, total - below)))
        return (small + large, []) if self.tally.by_id else (small, large)

    def settle(self, span: ListedSpan) -> Iterator[Page]:
        """Look at *span* from all sides; what is found is handed out.

        Raises:
            NotSearchableError: Its ids cannot be asked for.
            HubSpotSyncError: HubSpot could not be asked.
        """
        listed: set[int] = set()
        if self.tally.by_id:
            listed = self.tally.ids_in(span)
        else:
            for page in self._listed_again(span):
                listed |= row_ids(page)
                yield page
        missing = sorted(self._searched(span) - listed)
        if missing:
            yield self._read([str(number) for number in missing])

    def _listed_again(self, span: ListedSpan) -> Iterator[Page]:
        try:
            yield from self.listing.read(Walk(again(span)))
        except OrderNotKeptError:
            return  # what search knows is read by id then

    def _read(self, object_ids: Sequence[str]) -> Page:
        """Records that the list left out, from the primary storage."""
        subject = self.listing.subject
        return subject.page_of(subject.read_by_id(object_ids))

    def _searched(self, span: ListedSpan) -> set[int]:
        """The ids that search knows of *span*: as many as it counts.

        Raises:
            HubSpotUnavailableError: It shows fewer, however often it is asked.
        """
        ids: set[int] = set()
        for _ in range(_LOOKS):
            total, first = self.census.count(span.first, span.end), span.first
            while True:
                answer = self.census.search(first, span.end, limit=_PAGE)
                new = {number for number in answer.ids if first <= number < span.end}
                ids |= new
                # A page that brings nothing new is the last one, whatever it says.
                if not new or answer.total <= len(answer.ids):
                    break
                first = max(new) + 1
            if len(ids) >= total:
                return ids
        raise HubSpotUnavailableError(
            f"HubSpot's search counts {total} {self.listing.subject.object_type} from id "
            f"{span.first} to {span.end} and shows {len(ids)} of them"
        )


def again(span: ListedSpan) -> IdRange:
    """*span* as a range to be listed once more."""
    whole = IdRange(after=str(span.first) if span.first else None)
    return whole if span.end == END else evolve(whole, until=str(span.end))
