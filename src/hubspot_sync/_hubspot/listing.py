"""Walks the list endpoint, which reads HubSpot's primary storage and knows every record.

`after` is the id of the next record, and rows come in ascending order of ids: documented for the
first, observed for both, promised for neither. So every page is checked, and where that does not
hold, the list is followed by its own paging values only, from the beginning, by one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from hubspot_sync._hubspot.answers import next_after, rows_of
from hubspot_sync._hubspot.client import Call
from hubspot_sync._hubspot.walks import Part, Split
from hubspot_sync.errors import HubSpotUnavailableError, RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubspot_sync._hubspot.client import Reply
    from hubspot_sync._hubspot.subject import Subject
    from hubspot_sync._hubspot.walks import Walk
    from hubspot_sync.models import Record, SkippedRow

_PAGE: Final = 100
_BAD_REQUEST: Final = 400
_END: Final = 2**63
_WORTH_SPLITTING: Final = 8 * _PAGE
# A range shows this many full pages before anybody asks how long it is, so small accounts cost no
# call more than they have pages.
_PAGES_BEFORE_SPLITTING: Final = 3
# What reading side by side may cost: calls for each page that is left.
_CALLS_FOR_SPLITTING: Final = 0.15
# HubSpot's front end answers 414 from about 16,200 characters on.
_URL_LENGTH: Final = 15_000
_PATH_AND_REST: Final = 500


class OrderNotKeptError(Exception):
    """The list is not in ascending order of ids, or its paging values are no ids."""


@frozen(kw_only=True)
class ListPage:
    """One page of the list.

    Attributes:
        records: The records.
        skipped: Rows that are no usable records.
        ids: The ids of all rows, as numbers; empty where the order does not matter.
        after: HubSpot's paging value for the next page, or None on the last one.
        size: How many bytes the answer had.
        asked_at: When it was asked for, in seconds of the clock that only grows.
        answered_at: When it came, in the same seconds.
    """

    records: tuple[Record, ...]
    skipped: tuple[SkippedRow, ...]
    ids: tuple[int, ...]
    after: str | None
    size: int
    asked_at: float
    answered_at: float


@frozen(kw_only=True)
class Listing:
    """Reads one object type through the list endpoint.

    Attributes:
        subject: What is read.
    """

    subject: Subject

    def parts(self, walk: Walk) -> Iterator[Part]:
        """Read the range of *walk* page by page.

        Raises:
            OrderNotKeptError: It has to be read serially, from the beginning.
        """
        id_range, page = walk.id_range, walk.first
        after = id_range.after
        # What was split off was found to be long.
        pages = 0 if page is None else _PAGES_BEFORE_SPLITTING
        while True:
            if page is None:
                page = self._page(after, serial=id_range.serial)
                walk.timed(page.asked_at, page.answered_at)
            pages += 1
            if page.after is not None and page.after == after:
                raise HubSpotUnavailableError("HubSpot gave the same paging value twice")
            after = page.after
            if after is None:
                walk.advance(_END, 0.0)
            elif not id_range.serial:
                long = pages >= _PAGES_BEFORE_SPLITTING
                walk.advance(int(after), _density(page) if long else 0.0)
            yield (part := _part(page, walk))
            if not part.left:
                return
            page = None

    def split(self, walk: Walk) -> Split | None:
        """Look halfway through what is left; the upper part begins with the record found there."""
        until = walk.until
        middle = walk.middle(self._highest_in(walk))
        if middle is None or walk.expected < _WORTH_SPLITTING or not walk.spend():
            return None
        page = self._page(str(middle), serial=False)
        if walk.until != until:
            return None  # another thread was faster; what was found may belong to it
        if not page.ids or (until is not None and page.ids[0] >= until):
            walk.highest = None  # halving on and on could cost more than to ask
            return None
        upper = evolve(
            walk.id_range, after=str(page.ids[0]), until=None if until is None else str(until)
        )
        return Split(at=page.ids[0], upper=upper, first=page, below=middle - 1)

    def _highest_in(self, walk: Walk) -> int:
        """The highest id that is left of *walk*; the first answer tells what splits may cost."""
        highest = walk.highest
        if highest is None:
            if not walk.spend():
                return -1
            rest = self.subject.rest_of(walk)
            highest = walk.highest = rest.highest
            if not walk.is_bounded:
                walk.allow(int(_CALLS_FOR_SPLITTING * rest.rows / _PAGE) - 1)
        return highest

    def _page(self, after: str | None, *, serial: bool) -> ListPage:
        reply = self._list(after)
        rows, size = rows_of(reply.body), reply.size
        following = next_after(reply.body)
        ids = () if serial else _checked_ids(rows, after, following)
        if not self._names_fit and rows:
            listed = [str(row.get("id")) for row in rows]
            found, more = self.subject.read_by_id(listed)
            rows, size = _merged(rows, found), size + more
        records, skipped = self.subject.records(rows, self.subject.settings.associations)
        return ListPage(
            records=records,
            skipped=skipped,
            ids=ids,
            after=following,
            size=size,
            asked_at=reply.asked_at,
            answered_at=reply.answered_at,
        )

    @property
    def _names_fit(self) -> bool:
        """Whether the names of all properties can stand in a URL."""
        return sum(len(name) + 1 for name in self.subject.names) + _PATH_AND_REST <= _URL_LENGTH

    def _list(self, after: str | None) -> Reply:
        object_type = self.subject.object_type
        query = [("limit", str(_PAGE))]
        if self._names_fit:
            query.append(("properties", ",".join(self.subject.names)))
        if self.subject.settings.associations:
            query.append(("associations", ",".join(self.subject.settings.associations)))
        if after is not None:
            query.append(("after", after))
        try:
            return self.subject.client.call(
                Call(
                    endpoint="list",
                    method="GET",
                    path=self.subject.paths.objects,
                    path_params={"object_type": object_type},
                    query=query,
                    doing=f"listing {object_type}",
                )
            )
        except RequestRefusedError as error:
            if after is None or error.status != _BAD_REQUEST:
                raise
            # HubSpot does not take this for a paging value, or not any more.
            raise OrderNotKeptError(str(error)) from error


def _density(page: ListPage) -> float:
    """Records an id, as far as a full page tells."""
    if len(page.ids) < _PAGE:
        return 0.0
    return len(page.ids) / (page.ids[-1] - page.ids[0] + 1)


def _part(page: ListPage, walk: Walk) -> Part:
    """What of *page* belongs to *walk*, and what is left of it."""
    records, until = page.records, walk.until
    if until is not None and not (page.ids and page.ids[-1] < until):
        records = tuple(record for record in records if int(record.object_id) < until)
    done = page.after is None or (until is not None and int(page.after) >= until)
    left = () if done else (evolve(walk.id_range, after=page.after),)
    return Part(records=records, skipped=page.skipped, left=left, size=page.size)


def _checked_ids(rows: Sequence[Any], after: str | None, following: str | None) -> tuple[int, ...]:
    """The ids of *rows*, which have to rise from *after* to below *following*.

    Raises:
        OrderNotKeptError: They do not, or one of them is no number.
    """
    try:
        ids = tuple(int(row["id"]) for row in rows)
        bounds = (int(after or 0) - 1, *ids, *(() if following is None else (int(following),)))
    except (KeyError, TypeError, ValueError):
        raise OrderNotKeptError("ids or paging values are no numbers") from None
    if list(bounds) != sorted(set(bounds)):
        raise OrderNotKeptError("ids do not rise")
    return ids


def _merged(listed: Sequence[Any], read: Sequence[Any]) -> list[Any]:
    """The rows as they were read, each with the associations that came with the list.

    A record that was deleted since it was listed is missing, rightly.
    """
    found = {str(row.get("id")): row for row in read}
    return [
        {**found[object_id], "associations": row.get("associations")}
        for row in listed
        if (object_id := str(row.get("id"))) in found
    ]
