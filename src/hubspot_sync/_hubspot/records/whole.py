"""Reads all records of an object type: the list, in parallel, and the proof that it is complete."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._hubspot.records.list import OrderNotKeptError
from hubspot_sync._hubspot.records.proof import NotSearchableError, Proof, again
from hubspot_sync._hubspot.records.tally import Tally
from hubspot_sync._hubspot.records.walk_pool import WalkPool
from hubspot_sync.errors import HubSpotUnavailableError, RetryableError
from hubspot_sync.models import IdRange, Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubspot_sync._hubspot.records.list import Listing
    from hubspot_sync._hubspot.records.ranges import Part
    from hubspot_sync.models import ListedSpan, Pass

# At a latency of 0.3 s six reach 190 list calls in ten seconds, the others make up for slower
# answers. How many really run is decided by what there is to read.
_LISTERS: Final = 8
_BYTES_AHEAD: Final = 16 * 1024 * 1024
_FRESH_STARTS: Final = 3
# How often what search and the list disagree about is listed once more in one run.
_ROUNDS: Final = 3
_logger = logging.getLogger("hubspot_sync")


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


def _proved(listing: Listing, tally: Tally, last: Page, kept: Sequence[IdRange]) -> Iterator[Page]:
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
        yield evolve(last, gaps=(gap,), compare_again=True)
        return
    # A run that is cut off here goes on behind the last record and proves the whole once more.
    hold = tuple(kept) if tally.by_id else (IdRange(after=str(tally.end)),)
    held: Page | None = last
    try:
        for _ in range(_ROUNDS):
            small, large = proof.differences()
            if held is not None and (small or large):
                yield evolve(held, ranges=hold)
                held = None
            for span in small:
                for part in proof.settle(span):
                    yield _page(part, hold, tally)
            if not large:
                yield held or Page(records=())
                return
            yield from _listed_again(listing, tally, large, hold)
    except NotSearchableError as error:
        gap = (
            f"HubSpot refuses to search {subject.object_type} ({error}), so nothing counts them "
            "and the list is not proved"
        )
        yield evolve(held or Page(records=()), ranges=(), gaps=(gap,))
        return
    except RetryableError:
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


def _page(part: Part, hold: tuple[IdRange, ...], tally: Tally) -> Page:
    return Page(
        records=part.records,
        skipped=part.skipped,
        absent=part.absent,
        ranges=hold,
        listed=tally.listed,
        size=part.size,
    )
