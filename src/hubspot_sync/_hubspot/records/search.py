"""Walks a window of modified time through search, in ascending order of ids, never by offset.

So neither the cap of 10,000 rows, nor ties in one millisecond, nor rows edited meanwhile can lose
a record: https://developers.hubspot.com/docs/api-reference/search/guide

Search is an index that lags and has been seen to break its own order, so a page is believed only
when it proves itself. It does so alone when it holds as many rows as its `total` counts, else
together with the next page, whose `total` has to count just the rows that were still to come.
What does not prove itself is asked for again, and then cut into smaller id ranges until it does;
one that comes down to one id is read by that id.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from hubspot_sync._hubspot.calls.answers import number_of
from hubspot_sync._hubspot.records.ranges import Part, Split
from hubspot_sync._hubspot.records.subject import modified_at, skipped_of
from hubspot_sync._windows import halves, is_empty, only_id
from hubspot_sync.errors import HubSpotUnavailableError, RequestRefusedError
from hubspot_sync.models import (
    IdRange,
    SkippedRow,
    cursor_field,
    from_milliseconds,
    to_milliseconds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubspot_sync._hubspot.calls.answers import SearchAnswer
    from hubspot_sync._hubspot.calls.client import Reply
    from hubspot_sync._hubspot.records.ranges import Walk
    from hubspot_sync._hubspot.records.subject import Subject
    from hubspot_sync.models import IdRange, Pass, Record

PAGE: Final = 200
_MILLISECOND: Final = timedelta(milliseconds=1)
# Each cut costs two or three calls, which only many rows make up for.
_WORTH_SPLITTING: Final = 50 * PAGE
# One bad row is found within some 130 steps: two for each digit, in base two, of time and of ids.
_UNPROVEN_IN_A_ROW: Final = 200
# How often a piece is asked for before it is cut.
_LOOKS: Final = 2


@frozen(kw_only=True)
class SearchPage:
    """One page of a search.

    Attributes:
        records: The records.
        skipped: Rows that are no usable records.
        ids: The ids of the rows inside the window, as numbers, in the order they came.
        strays: How many rows lie outside the window.
        total: How many rows HubSpot counts from here to the end of what was asked for.
        more: Whether HubSpot offers a next page.
        size: How many bytes the answer had.
    """

    records: tuple[Record, ...]
    skipped: tuple[SkippedRow, ...]
    ids: tuple[int, ...]
    strays: int
    total: int
    more: bool
    size: int

    def whole(self, piece: IdRange) -> bool:
        """Whether this is all there is of *piece*; the order does not matter then."""
        distinct = len(set(self.ids)) == len(self.ids)
        return (
            distinct and len(self.ids) == self.total and not self.more and _inside(self.ids, piece)
        )

    def begins(self, piece: IdRange) -> bool:
        """Whether this can be the beginning of *piece*, with more to come."""
        rising = all(earlier < later for earlier, later in pairwise(self.ids))
        goes_on = len(self.ids) < self.total or (self.more and len(self.ids) == self.total)
        return bool(self.ids) and rising and goes_on and _inside(self.ids, piece)


def _inside(ids: Sequence[int], piece: IdRange) -> bool:
    after = -1 if piece.after is None else int(piece.after)
    return not ids or (min(ids) > after and (piece.until is None or max(ids) < int(piece.until)))


def ask(subject: Subject, piece: IdRange, reading: Pass, *, max_tries: int | None) -> SearchPage:
    """Search for the beginning of *piece*.

    Raises:
        RequestRefusedError: HubSpot refuses to search the object type.
    """
    reply, whole = _asked(subject, piece, reading, max_tries)
    answer, size = reply.content, reply.size
    strays = _strays(subject.object_type, answer.rows, piece, reading)
    if whole:
        records, skipped = subject.records(answer.rows)
    else:
        found = subject.read_by_id([str(number) for number in answer.ids])
        records, skipped = subject.records(list(found.rows.values()))
        skipped, size = skipped + skipped_of(found), size + found.size
    return SearchPage(
        records=records,
        skipped=skipped,
        ids=tuple(number for number in answer.ids if number not in strays),
        strays=len(strays),
        total=answer.total,
        more=answer.more,
        size=size,
    )


def _asked(
    subject: Subject, piece: IdRange, reading: Pass, max_tries: int | None
) -> tuple[Reply[SearchAnswer], bool]:
    """The answer, and whether its rows have all properties that are wanted."""
    names, reach = subject.names, subject.reach
    dates_only = [cursor_field(subject.object_type)]
    if not reach.search_takes(names):
        return subject.search(
            _body(subject, piece, reading, dates_only), max_tries=max_tries
        ), False
    try:
        return subject.search(_body(subject, piece, reading, names), max_tries=max_tries), True
    except RequestRefusedError as error:
        if not reach.may_be_too_long(names, error.status):
            raise
        reply = subject.search(_body(subject, piece, reading, dates_only), max_tries=max_tries)
        reach.search_refused(names)
        return reply, False


def answers(subject: Subject) -> bool:
    """Whether HubSpot can answer a search that finds nothing."""
    nothing = [_filter("hs_object_id", "LT", 0)]
    body = {"filterGroups": [{"filters": nothing}], "limit": 1, "properties": []}
    try:
        subject.search(body, max_tries=1)
    except HubSpotUnavailableError:
        return False
    return True


def is_searchable(subject: Subject) -> bool:
    """Whether HubSpot searches objects of this type at all."""
    try:
        return answers(subject)
    except RequestRefusedError:
        return False


def _body(subject: Subject, piece: IdRange, reading: Pass, names: Sequence[str]) -> dict[str, Any]:
    return {
        "filterGroups": [{"filters": _filters(subject, piece, reading)}],
        "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
        "properties": list(names),
        "limit": PAGE,
    }


def _filters(subject: Subject, piece: IdRange, reading: Pass) -> list[dict[str, str]]:
    field = cursor_field(subject.object_type)
    start, end = piece.start or reading.start, piece.end or reading.end
    filters = [_filter(field, "LT", to_milliseconds(end))]
    if start is not None:
        filters.append(_filter(field, "GTE", to_milliseconds(start)))
    if piece.after is not None:
        filters.append(_filter("hs_object_id", "GT", piece.after))
    if piece.until is not None:
        filters.append(_filter("hs_object_id", "LT", piece.until))
    return filters


def _filter(name: str, operator: str, value: object) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _strays(object_type: str, rows: Sequence[Any], piece: IdRange, reading: Pass) -> set[int]:
    """Rows from outside the window: true all the same, but no proof that the page is whole.

    What has no modified date was found by one that only the index knows.
    """
    start, end = piece.start or reading.start, piece.end or reading.end
    # HubSpot cuts dates to milliseconds on the way out, not in its index.
    earliest = from_milliseconds(0) if start is None else start - _MILLISECOND
    dates = ((number_of(row), modified_at(row, object_type)) for row in rows)
    return {number for number, date in dates if date and not earliest <= date <= end}


class _UnprovenError(Exception):
    """A page did not prove itself; the pieces to look at more closely come with it."""

    def __init__(self, looks: Sequence[_Look]) -> None:
        super().__init__()
        self.looks = looks


@frozen
class _Look:
    """A piece to be read, and how often it was asked for in vain."""

    piece: IdRange
    failures: int = 0


@frozen
class _Held:
    """A page that waits for the next one to prove it, and the piece that it begins."""

    piece: IdRange
    page: SearchPage


@frozen(kw_only=True)
class Searching:
    """Reads one object type through search.

    Attributes:
        subject: What is read.
        reading: The window.
    """

    subject: Subject
    reading: Pass

    def parts(self, walk: Walk) -> Iterator[Part]:
        """Read the range of *walk*, however often and in however small pieces that has to be.

        Raises:
            HubSpotUnavailableError: There is no answer, or none that can be believed.
        """
        looks = deque([_Look(walk.id_range)])
        unproven_in_a_row = 0
        while looks:
            look = looks.popleft()
            rest = [waiting.piece for waiting in looks]
            try:
                for part in self._look(look, rest, walk):
                    # What was read by id says nothing for search.
                    unproven_in_a_row *= only_id(look.piece) is not None
                    yield part
            except _UnprovenError as unproven:
                looks.extendleft(reversed(unproven.looks))
                unproven_in_a_row += 1
                if unproven_in_a_row > _UNPROVEN_IN_A_ROW:
                    raise HubSpotUnavailableError(
                        f"HubSpot's search for {self.subject.object_type} contradicts itself, in "
                        "however small pieces it is asked; run again later"
                    ) from None

    def split(self, walk: Walk) -> Split | None:
        """Cut at the middle of the ids that are left."""
        if walk.expected < _WORTH_SPLITTING:
            return None
        if walk.highest is None:
            walk.highest = self.subject.rest_of(walk).highest
        at = walk.middle(walk.highest)
        if at is None:
            return None
        until = None if walk.until is None else str(walk.until)
        return Split(at=at, upper=evolve(walk.id_range, after=str(at - 1), until=until))

    def _look(self, look: _Look, rest: Sequence[IdRange], walk: Walk) -> Iterator[Part]:
        (piece,) = walk.clip([look.piece])
        single = only_id(piece)
        if is_empty(piece):
            yield Part(left=tuple(rest))
        elif single is not None and look.failures >= _LOOKS:
            yield self._by_id(single, rest)
        else:
            yield from self._follow(_Look(piece, look.failures), rest, walk)

    def _follow(self, look: _Look, rest: Sequence[IdRange], walk: Walk) -> Iterator[Part]:
        """Read *look* page by page; each is handed out once it is proven.

        Raises:
            _UnprovenError: What is left has to be looked at more closely.
        """
        piece, held, until = look.piece, None, walk.until
        while True:
            page = self._ask(piece, look, held)
            if held is not None:
                # A walk that was shortened in between counts other rows than before.
                if page.total != held.page.total - len(held.page.ids) or until != walk.until:
                    raise _UnprovenError([*_alone(held, look), _Look(piece)])
                yield _part(held.page, (piece, *rest))
            if page.whole(piece):
                walk.advance(max(page.ids, default=int(piece.after or -1)) + 1, 0.0)
                yield _part(page, rest)
                return
            if not page.begins(piece):
                raise _UnprovenError(self._again(piece, look))
            held, piece = _Held(piece, page), evolve(piece, after=str(page.ids[-1]))
            if not rest:
                left = page.total - len(page.ids)
                walk.advance(page.ids[-1] + 1, left / max(walk.span, 1))
            until = walk.until
            (piece,) = walk.clip([piece])

    def _ask(self, piece: IdRange, look: _Look, held: _Held | None) -> SearchPage:
        """Ask for the beginning of *piece*.

        Raises:
            _UnprovenError: There is no answer, or one that proves nothing.
        """
        failures = look.failures
        try:
            page = ask(self.subject, piece, self.reading, max_tries=1 if failures else None)
        except HubSpotUnavailableError:
            if not answers(self.subject):
                raise
            # HubSpot is well, so it is something in this piece that it cannot answer for.
            again = self._again(piece, evolve(look, failures=_LOOKS))
            raise _UnprovenError([*_alone(held, look), *again]) from None
        if page.strays and (piece != look.piece or not failures):
            # Rows came, went, or were edited just now: this total proves nothing.
            raise _UnprovenError([*_alone(held, look), *self._again(piece, look)])
        return page

    def _again(self, piece: IdRange, look: _Look) -> list[_Look]:
        """Ask for *piece* once more, or cut it when that was in vain too."""
        failures = look.failures + 1 if piece == look.piece else 1
        if failures < _LOOKS or only_id(piece) is not None:
            return [_Look(piece, failures)]
        return [_Look(half, _LOOKS - 1) for half in halves(piece, self.reading)]

    def _by_id(self, object_id: str, rest: Sequence[IdRange]) -> Part:
        """Read the one record that search cannot answer for; it may well not exist."""
        try:
            found = self.subject.read_by_id([object_id])
        except (HubSpotUnavailableError, RequestRefusedError) as error:
            if not answers(self.subject):
                raise
            reason = f"HubSpot cannot answer for it: {error.message}"
            row = SkippedRow(object_id=object_id, reason=reason, again=True)
            return Part(skipped=(row,), left=tuple(rest))
        records, skipped = self.subject.records(list(found.rows.values()))
        return Part(
            records=records,
            skipped=skipped + skipped_of(found),
            absent=tuple(found.absent),
            left=tuple(rest),
            size=found.size,
        )


def _alone(held: _Held | None, look: _Look) -> list[_Look]:
    """A page that the next one did not prove has to prove itself, as a piece of its own."""
    if held is None:
        return []
    failures = look.failures if held.piece == look.piece else 0
    return [_Look(evolve(held.piece, until=str(held.page.ids[-1] + 1)), failures)]


def _part(page: SearchPage, left: Sequence[IdRange]) -> Part:
    return Part(records=page.records, skipped=page.skipped, left=tuple(left), size=page.size)
