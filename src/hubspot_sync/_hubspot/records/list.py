"""Walks the list endpoint, which reads HubSpot's primary storage and knows every record.

`after` is the id of the next record, and rows come in ascending order of ids: documented for the
first, observed for both, promised for neither. So every page is checked, and where that does not
hold, the list is followed by its own paging values only, from the beginning, by one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen
from msgspec.structs import replace

from hubspot_sync._hubspot.calls.answers import Pager, list_answer
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.records.layout import LayoutReader, ReadPage
from hubspot_sync._hubspot.records.ranges import END, Split
from hubspot_sync._hubspot.records.subject import skipped_of
from hubspot_sync._hubspot.records.tally import row_ids
from hubspot_sync.errors import RequestRefusedError
from hubspot_sync.models import ListedSpan, Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hubspot_sync._hubspot.calls.answers import ListAnswer
    from hubspot_sync._hubspot.calls.client import Reply
    from hubspot_sync._hubspot.records.ranges import Walk
    from hubspot_sync._hubspot.records.subject import Subject
    from hubspot_sync.models import IdRange, SkippedRow

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
_NOTHING: Final = ListedSpan(0, 0, 0)


class OrderNotKeptError(Exception):
    """The list is not in ascending order of ids, or its paging values are no ids."""


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
        layout: How they are built.
    """

    subject: Subject
    page_size: PageSize = field(factory=PageSize, init=False)
    layout: LayoutReader = field(init=False)

    @layout.default
    def _unknown_layout(self) -> LayoutReader:
        return LayoutReader(self.subject.object_type, self.subject.convert)

    def read(self, walk: Walk) -> Iterator[Page]:
        """Read the range of *walk* page by page.

        Raises:
            OrderNotKeptError: It has to be read serially, from the beginning.
        """
        id_range, page = walk.id_range, walk.first
        pager = Pager(self.subject.doing, self.subject.client.stop)
        seen: set[int] = set()
        # What was split off was found to be long.
        pages = 0 if page is None else _PAGES_BEFORE_SPLITTING
        while True:
            if page is None:
                page = self._page(id_range)
            pages += 1
            after = page.ranges[0].after if page.ranges else None
            if after is None:
                walk.advance(END, 0.0)
            elif not id_range.serial:
                long = pages >= _PAGES_BEFORE_SPLITTING
                walk.advance(int(after), _density(page) if long else 0.0)
            yield (inside := _inside(page, walk.until))
            if not inside.ranges or after is None:
                return
            ids = row_ids(page)
            after = pager.follow(after, new=not seen.issuperset(ids))
            id_range, seen, page = evolve(id_range, after=after), ids, None

    def split(self, walk: Walk) -> Split | None:
        """Look halfway through what is left; the upper range begins with the record found there."""
        until = walk.until
        middle = walk.middle(self._highest_in(walk))
        if middle is None or walk.expected < _WORTH_SPLITTING or not walk.spend():
            return None
        above = evolve(
            walk.id_range, after=str(middle), until=None if until is None else str(until)
        )
        page = self._page(above)
        if walk.until != until:
            return None  # another thread was faster; what was found may belong to it
        at = min(row_ids(page), default=None)
        if at is None or (until is not None and at >= until):
            walk.highest = None  # halving on and on could cost more than to ask
            return None
        listed = tuple(replace(span, first=at) for span in page.listed or ())
        return Split(
            at=at,
            upper=evolve(above, after=str(at)),
            first=evolve(page, listed=listed),
            below=middle - 1,
        )

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

    def _page(self, id_range: IdRange) -> Page:
        """The page at the beginning of *id_range*, with what HubSpot says that follows it."""
        reply = self._list(id_range.after)
        answer, after = reply.content, reply.content.after
        if isinstance(answer, ReadPage):
            ids = answer.ids
        else:
            ids = _ids(answer.rows) if id_range.serial else _all_ids(answer.rows)
        if not id_range.serial:
            _check_order(ids, id_range.after, after)
        if isinstance(answer, ReadPage):
            page = Page(records=answer.records, size=reply.size)
        else:
            page = self._of_rows(answer.rows, ids, reply.size)
        self.page_size.learn(len(page.records) + len(page.skipped), page.size)
        return evolve(
            page,
            ranges=() if after is None else (evolve(id_range, after=after),),
            listed=None if id_range.serial else (_span(ids, id_range.after, after),),
        )

    def _of_rows(self, rows: Sequence[Any], ids: Sequence[int], size: int) -> Page:
        """The records of *rows*, with their properties read by id where the list brings none."""
        keys = self.subject.inline_keys.on_page(rows)
        unanswered: tuple[SkippedRow, ...] = ()
        if self.subject.reach.list_takes(self.subject.names):
            self.layout.learn(rows, keys)
        elif rows:
            found = self.subject.read_by_id([str(number) for number in ids])
            rows, size = _merged(rows, found.rows), size + found.size
            unanswered = skipped_of(found)
        records, skipped = self.subject.records(rows, keys)
        return Page(records=records, skipped=skipped + unanswered, size=size)

    def _list(self, after: str | None) -> Reply[ListAnswer | ReadPage]:
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
                self.layout.read if with_names else None,
            )
        except RequestRefusedError as error:
            if with_names and reach.list_refused(names, error.status):
                return self._list(after)
            if after is None or error.status != _BAD_REQUEST:
                raise
            # HubSpot does not take this for a paging value, or not any more.
            raise OrderNotKeptError(str(error)) from error


def _density(page: Page) -> float:
    """Records an id, as far as a full page tells."""
    (span,) = page.listed or (_NOTHING,)
    return span.rows / (span.end - span.first) if span.rows >= _PAGE else 0.0


def _inside(page: Page, until: int | None) -> Page:
    """What of *page* lies below *until*, where the range ends; nothing is left of it then."""
    if until is None or page.listed is None:
        return page
    if page.ranges and int(page.ranges[0].after or 0) < until:
        return page
    (span,) = page.listed
    beyond = {str(number) for number in row_ids(page) if number >= until}
    return evolve(
        page,
        records=tuple(one for one in page.records if int(one.object_id) < until),
        skipped=tuple(one for one in page.skipped if one.object_id not in beyond),
        ranges=(),
        listed=(ListedSpan(span.first, max(until, span.first), span.rows - len(beyond)),),
    )


def _span(ids: Sequence[int], begin: str | None, after: str | None) -> ListedSpan:
    """The ids that a page settles; after the last one of the list there may be new ones."""
    first = int(begin or 0)
    end = max(ids, default=first - 1) + 1 if after is None else int(after)
    return ListedSpan(first, max(end, first), len(ids))


def _check_order(ids: Sequence[int], after: str | None, following: str | None) -> None:
    """The *ids* of a page have to rise from *after* to below *following*.

    Raises:
        OrderNotKeptError: They do not, or what is between pages is no number.
    """
    try:
        bounds = (int(after or 0) - 1, *ids, *(() if following is None else (int(following),)))
    except ValueError:
        raise OrderNotKeptError("paging values are no numbers") from None
    if list(bounds) != sorted(set(bounds)):
        raise OrderNotKeptError("ids do not rise")


def _all_ids(rows: Sequence[Any]) -> tuple[int, ...]:
    """The ids of *rows*.

    Raises:
        OrderNotKeptError: One of them is no number.
    """
    try:
        return tuple(int(row["id"]) for row in rows)
    except (KeyError, TypeError, ValueError):
        raise OrderNotKeptError("ids are no numbers") from None


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
