"""Walks the list endpoint, which reads HubSpot's primary storage and knows every record.

`after` is the id of the next record, and rows come in ascending order of ids: documented for the
first, observed for both, promised for neither. So every page is checked, and where that does not
hold, the list is followed by its own paging values only, from the beginning, by one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen

from hubspot_sync._hubspot.calls.answers import Pager, list_answer
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.records.ranges import END, Part, Split
from hubspot_sync._hubspot.records.subject import skipped_of
from hubspot_sync.errors import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hubspot_sync._hubspot.calls.answers import ListAnswer
    from hubspot_sync._hubspot.calls.client import Reply
    from hubspot_sync._hubspot.records.ranges import Walk
    from hubspot_sync._hubspot.records.subject import Subject
    from hubspot_sync.models import Record, SkippedRow

_PAGE: Final = 100
_BAD_REQUEST: Final = 400
_WORTH_SPLITTING: Final = 8 * _PAGE
# A range shows this many full pages before anybody asks how long it is, so small accounts cost no
# call more than they have pages.
_PAGES_BEFORE_SPLITTING: Final = 3
# What reading side by side may cost: calls for each page that is left.
_CALLS_FOR_SPLITTING: Final = 0.15
# Records of nearly a megabyte each exist; a page of a hundred would take that much of memory, and
# eight threads hold one each.
_LARGE_PAGE: Final = 8 * 1024 * 1024


class OrderNotKeptError(Exception):
    """The list is not in ascending order of ids, or its paging values are no ids."""


@frozen(kw_only=True)
class ListPage:
    """One page of the list.

    Attributes:
        records: The records.
        skipped: Rows that are no usable records.
        ids: The ids of all rows, as numbers.
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


class PageSize:
    """How many rows to ask for: fewer where the last page was large in bytes."""

    def __init__(self) -> None:
        self.rows = _PAGE

    def learn(self, rows: int, size: int) -> None:
        """Learn from a page of *rows* that took *size* bytes."""
        if size > _LARGE_PAGE:
            self.rows = max(rows * _LARGE_PAGE // size, 1)
        elif self.rows < _PAGE:
            self.rows = min(self.rows * 2, _PAGE)


@frozen(kw_only=True)
class Listing:
    """Reads one object type through the list endpoint.

    Attributes:
        subject: What is read.
        page_size: How many rows a page has.
    """

    subject: Subject
    page_size: PageSize = field(factory=PageSize, init=False)

    def parts(self, walk: Walk) -> Iterator[Part]:
        """Read the range of *walk* page by page.

        Raises:
            OrderNotKeptError: It has to be read serially, from the beginning.
        """
        id_range, page = walk.id_range, walk.first
        after = id_range.after
        pager = Pager(self.subject.doing, self.subject.client.stop)
        seen: set[int] = set()
        # What was split off was found to be long.
        pages = 0 if page is None else _PAGES_BEFORE_SPLITTING
        while True:
            if page is None:
                page = self._page(after, serial=id_range.serial)
                walk.timed(page.asked_at, page.answered_at)
            pages += 1
            begin, after = after, page.after
            if after is None:
                walk.advance(END, 0.0)
            elif not id_range.serial:
                long = pages >= _PAGES_BEFORE_SPLITTING
                walk.advance(int(after), _density(page) if long else 0.0)
            yield (part := _part(page, begin, walk))
            if not part.left or after is None:
                return
            new = not seen.issuperset(page.ids)
            after, seen, page = pager.follow(after, new=new), set(page.ids), None

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
        rows, size, following = reply.content.rows, reply.size, reply.content.after
        ids = _ids(rows) if serial else _checked_ids(rows, after, following)
        unanswered: tuple[SkippedRow, ...] = ()
        keys = self.subject.inline_keys.on_page(rows)
        if rows and not self.subject.reach.list_takes(self.subject.names):
            found = self.subject.read_by_id([str(number) for number in ids])
            rows, size = _merged(rows, found.rows), size + found.size
            unanswered = skipped_of(found)
        self.page_size.learn(len(rows), size)
        records, skipped = self.subject.records(rows, keys)
        return ListPage(
            records=records,
            skipped=skipped + unanswered,
            ids=ids,
            after=following,
            size=size,
            asked_at=reply.asked_at,
            answered_at=reply.answered_at,
        )

    def _list(self, after: str | None) -> Reply[ListAnswer]:
        object_type, names, reach = self.subject.object_type, self.subject.names, self.subject.reach
        query = [("limit", str(self.page_size.rows))]
        with_names = reach.list_takes(names)
        if with_names:
            query.append(("properties", ",".join(names)))
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
                    doing=self.subject.doing,
                ),
                list_answer,
            )
        except RequestRefusedError as error:
            if with_names and reach.list_refused(names, error.status):
                return self._list(after)
            if after is None or error.status != _BAD_REQUEST:
                raise
            # HubSpot does not take this for a paging value, or not any more.
            raise OrderNotKeptError(str(error)) from error


def _density(page: ListPage) -> float:
    """Records an id, as far as a full page tells."""
    if len(page.ids) < _PAGE:
        return 0.0
    return len(page.ids) / (page.ids[-1] - page.ids[0] + 1)


def _part(page: ListPage, begin: str | None, walk: Walk) -> Part:
    """What of *page*, which begins at *begin*, belongs to *walk*, and what is left of it."""
    records, ids, until = page.records, page.ids, walk.until
    if until is not None and not (ids and ids[-1] < until):
        records = tuple(record for record in records if int(record.object_id) < until)
        ids = tuple(number for number in ids if number < until)
    done = page.after is None or (until is not None and int(page.after) >= until)
    return Part(
        records=records,
        skipped=page.skipped,
        left=() if done else (evolve(walk.id_range, after=page.after),),
        ids=ids,
        span=None if walk.id_range.serial else _span(page, begin, until),
        size=page.size,
    )


def _span(page: ListPage, begin: str | None, until: int | None) -> tuple[int, int]:
    """The ids that *page* settles; after the last one of the list there may be new ones."""
    first = int(begin or 0)
    if page.after is None:
        end = until if until is not None else max(page.ids, default=first - 1) + 1
    else:
        end = int(page.after) if until is None else min(int(page.after), until)
    return first, max(end, first)


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


def _ids(rows: Sequence[Any]) -> tuple[int, ...]:
    """The ids of *rows* as numbers, as far as they are some."""
    ids = (str(row.get("id")) for row in rows)
    return tuple(int(one) for one in ids if one.isascii() and one.isdigit())


def _merged(listed: Sequence[Any], found: Mapping[str, Any]) -> list[Any]:
    """The rows as they were read, each with the associations that came with the list.

    A record that was deleted since it was listed is missing, rightly.
    """
    return [
        {**found[object_id], "associations": row.get("associations")}
        for row in listed
        if (object_id := str(row.get("id"))) in found
    ]
