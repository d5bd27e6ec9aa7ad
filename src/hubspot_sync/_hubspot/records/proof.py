"""Proves that a walk of the list left no record out, by what search counts.

The list says nothing of how many records there are, so a page that leaves one out looks like any
other. Search counts: one call compares its total with what was listed. Where they differ, halving
by ids finds where, and what lies there is looked at again from all sides: listed once more, its
ids taken from search, and what only search knows read by id from the primary storage, which alone
says whether a record is there.

What is created or deleted meanwhile makes counts differ too. It is settled in the same way, since
only a record that search knows and the list does not have can be missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from hubspot_sync._hubspot.records.list import OrderNotKeptError
from hubspot_sync._hubspot.records.ranges import END, Part, Walk
from hubspot_sync._hubspot.records.rows import skipped_of
from hubspot_sync.errors import RequestRefusedError
from hubspot_sync.models import IdRange, ListedSpan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubspot_sync._hubspot.calls.answers import SearchAnswer
    from hubspot_sync._hubspot.records.list import Listing
    from hubspot_sync._hubspot.records.tally import Tally

# A proof without differences takes one call, and one with a single difference some fifteen.
_CALLS: Final = 24
_PAGES_FOR_A_CALL: Final = 50
_PAGE: Final = 200
# How often the ids are asked for that a total counts and that do not come.
_LOOKS: Final = 3


class NotSearchableError(Exception):
    """HubSpot refuses to search this object type, so nothing can be counted."""


@frozen(kw_only=True)
class Proof:
    """Compares one whole walk with search.

    Attributes:
        listing: Lists what has to be looked at again.
        tally: What was listed.
    """

    listing: Listing
    tally: Tally

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
        waiting = [(spans, self._count(spans))]
        while waiting:
            some, total = waiting.pop()
            if total == sum(span.rows for span in some):
                continue
            if len(some) == 1:
                small.append(some[0])
            elif left <= 0:
                large.extend(some)
            else:
                middle = len(some) // 2
                lower, upper = some[:middle], some[middle:]
                left -= 1
                counted = self._count(lower)
                # If one of the counts was wrong, the halves say so.
                waiting.extend(((lower, counted), (upper, total - counted)))
        return (small + large, []) if self.tally.by_id else (small, large)

    def settle(self, span: ListedSpan) -> Iterator[Part]:
        """Look at *span* from all sides; what is found is handed out.

        Raises:
            NotSearchableError: Its ids cannot be asked for.
            HubSpotSyncError: HubSpot could not be asked.
        """
        listed: set[int] = set()
        if self.tally.by_id:
            listed = self.tally.ids_in(span)
        else:
            for part in self._listed_again(span):
                listed.update(part.ids)
                yield part
        missing = sorted(self._searched(span) - listed)
        if missing:
            yield self._read([str(number) for number in missing])

    def _listed_again(self, span: ListedSpan) -> Iterator[Part]:
        try:
            yield from self.listing.parts(Walk(again(span)))
        except OrderNotKeptError:
            return  # what search knows is read by id then

    def _read(self, object_ids: Sequence[str]) -> Part:
        """Records that the list left out, from the primary storage."""
        subject = self.listing.subject
        found = subject.read_by_id(object_ids)
        records, skipped = subject.records(list(found.rows.values()))
        return Part(records=records, skipped=skipped + skipped_of(found), size=found.size)

    def _count(self, spans: Sequence[ListedSpan]) -> int:
        return self._search(spans[0].first, spans[-1].end, limit=1).total

    def _searched(self, span: ListedSpan) -> set[int]:
        """The ids that search knows of *span*."""
        ids: set[int] = set()
        for _ in range(_LOOKS):
            first, total = span.first, None
            while True:
                answer = self._search(first, span.end, limit=_PAGE)
                total = answer.total if total is None else total
                new = {number for number in answer.ids if first <= number < span.end}
                ids |= new
                # A page that brings nothing new is the last one, whatever it says.
                if not new or answer.total <= len(answer.ids):
                    break
                first = max(new) + 1
            if len(ids) >= total:
                break
        return ids

    def _search(self, first: int, end: int, *, limit: int) -> SearchAnswer:
        filters = [{"propertyName": "hs_object_id", "operator": "GTE", "value": str(first)}]
        if end != END:
            filters.append({"propertyName": "hs_object_id", "operator": "LT", "value": str(end)})
        body: dict[str, Any] = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": [],
            "limit": limit,
        }
        try:
            return self.listing.subject.search(body).content
        except RequestRefusedError as error:
            raise NotSearchableError(error.message) from error


def again(span: ListedSpan) -> IdRange:
    """*span* as a range to be listed once more."""
    whole = IdRange(after=str(span.first) if span.first else None)
    return whole if span.end == END else evolve(whole, until=str(span.end))
