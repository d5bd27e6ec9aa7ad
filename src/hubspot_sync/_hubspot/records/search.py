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
from hubspot_sync._hubspot.records.ranges import Split
from hubspot_sync._hubspot.records.subject import modified_at
from hubspot_sync._windows import halves, is_empty, only_id
from hubspot_sync.errors import HubSpotUnavailableError, RequestRefusedError
from hubspot_sync.models import (
    IdRange,
    Page,
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
    from hubspot_sync.models import Pass

PAGE: Final = 200
_MILLISECOND: Final = timedelta(milliseconds=1)
_BAD_REQUEST: Final = 400
# Each cut costs two or three calls, which only many rows make up for.
_WORTH_SPLITTING: Final = 50 * PAGE
# One bad row is found within some 130 steps: two for each digit, in base two, of time and of ids.
_UNPROVEN_IN_A_ROW: Final = 200
# How often an id range is asked for before it is cut.
_LOOKS: Final = 2


@frozen(kw_only=True)
class _Answer:
    """A page, and what the search that found it says about its id range.

    Attributes:
        id_range: What was asked for, which the page begins.
        page: The page.
        ids: The ids of the rows inside the window, as numbers, in the order they came.
        strays: How many rows lie outside the window.
        total: How many rows HubSpot counts from here to the end of what was asked for.
        more: Whether HubSpot offers a next page.
    """

    id_range: IdRange
    page: Page
    ids: tuple[int, ...]
    strays: int
    total: int
    more: bool

    def is_all(self) -> bool:
        """Whether this is all there is of the range; the order does not matter then."""
        distinct = len(set(self.ids)) == len(self.ids)
        return distinct and len(self.ids) == self.total and not self.more and self._is_inside()

    def begins(self) -> bool:
        """Whether this can be the beginning of the range, with more to come."""
        rising = all(earlier < later for earlier, later in pairwise(self.ids))
        goes_on = len(self.ids) < self.total or (self.more and len(self.ids) == self.total)
        return bool(self.ids) and rising and goes_on and self._is_inside()

    def _is_inside(self) -> bool:
        after, until = self.id_range.after, self.id_range.until
        if not self.ids:
            return True
        return min(self.ids) > (-1 if after is None else int(after)) and (
            until is None or max(self.ids) < int(until)
        )


def ask(subject: Subject, id_range: IdRange, reading: Pass, *, max_tries: int | None) -> _Answer:
    """Search for the beginning of *id_range*.

    Raises:
        RequestRefusedError: HubSpot refuses to search the object type.
    """
    reply, whole = _asked(subject, id_range, reading, max_tries)
    answer = reply.content
    strays = _strays(subject.object_type, answer.rows, id_range, reading)
    if whole:
        records, skipped = subject.records(answer.rows)
        page = Page(records=records, skipped=skipped, size=reply.size)
    else:
        found = subject.page_of(subject.read_by_id([str(number) for number in answer.ids]))
        page = evolve(found, size=reply.size + found.size)
    return _Answer(
        id_range=id_range,
        page=page,
        ids=tuple(number for number in answer.ids if number not in strays),
        strays=len(strays),
        total=answer.total,
        more=answer.more,
    )


def _asked(
    subject: Subject, id_range: IdRange, reading: Pass, max_tries: int | None
) -> tuple[Reply[SearchAnswer], bool]:
    """The answer, and whether its rows have all properties that are wanted."""
    names, reach = subject.names, subject.reach
    dates_only = [cursor_field(subject.object_type)]
    if not reach.search_takes(names):
        return subject.search(
            _body(subject, id_range, reading, dates_only), max_tries=max_tries
        ), False
    try:
        return subject.search(_body(subject, id_range, reading, names), max_tries=max_tries), True
    except RequestRefusedError as error:
        if not reach.may_be_too_long(names, error.status):
            raise
        reply = subject.search(_body(subject, id_range, reading, dates_only), max_tries=max_tries)
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


def is_searchable(subject: Subject, refused: RequestRefusedError) -> bool:
    """Whether HubSpot, which *refused* a search, searches objects of this type at all."""
    if refused.status != _BAD_REQUEST:
        return True
    try:
        answers(subject)
    except RequestRefusedError as again:
        return again.status != _BAD_REQUEST
    return True


def _body(
    subject: Subject, id_range: IdRange, reading: Pass, names: Sequence[str]
) -> dict[str, Any]:
    return {
        "filterGroups": [{"filters": _filters(subject, id_range, reading)}],
        "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
        "properties": list(names),
        "limit": PAGE,
    }


def _filters(subject: Subject, id_range: IdRange, reading: Pass) -> list[dict[str, str]]:
    field = cursor_field(subject.object_type)
    start, end = id_range.start or reading.start, id_range.end or reading.end
    filters = [_filter(field, "LT", to_milliseconds(end))]
    if start is not None:
        filters.append(_filter(field, "GTE", to_milliseconds(start)))
    if id_range.after is not None:
        filters.append(_filter("hs_object_id", "GT", id_range.after))
    if id_range.until is not None:
        filters.append(_filter("hs_object_id", "LT", id_range.until))
    return filters


def _filter(name: str, operator: str, value: object) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": str(value)}


def _strays(object_type: str, rows: Sequence[Any], id_range: IdRange, reading: Pass) -> set[int]:
    """Rows from outside the window: true all the same, but no proof that the page is whole.

    What has no modified date was found by one that only the index knows.
    """
    start, end = id_range.start or reading.start, id_range.end or reading.end
    # HubSpot cuts dates to milliseconds on the way out, not in its index.
    earliest = from_milliseconds(0) if start is None else start - _MILLISECOND
    dates = ((number_of(row), modified_at(row, object_type)) for row in rows)
    return {number for number, date in dates if date and not earliest <= date <= end}


class _UnprovenError(Exception):
    """A page did not prove itself; the id ranges to look at more closely come with it."""

    def __init__(self, looks: Sequence[_Look]) -> None:
        super().__init__()
        self.looks = looks


@frozen
class _Look:
    """An id range to be read, and how often it was asked for without a usable answer."""

    id_range: IdRange
    failures: int = 0


@frozen(kw_only=True)
class Searching:
    """Reads one object type through search.

    Attributes:
        subject: What is read.
        reading: The window.
    """

    subject: Subject
    reading: Pass

    def read(self, walk: Walk) -> Iterator[Page]:
        """Read the range of *walk*, however often and in however small ranges that has to be.

        Raises:
            HubSpotUnavailableError: There is no answer, or none that can be believed.
        """
        looks = deque([_Look(walk.id_range)])
        unproven_in_a_row = 0
        while looks:
            look = looks.popleft()
            rest = tuple(waiting.id_range for waiting in looks)
            try:
                for page in self._look(look, rest, walk):
                    # What was read by id says nothing for search.
                    unproven_in_a_row *= only_id(look.id_range) is not None
                    yield page
            except _UnprovenError as unproven:
                looks.extendleft(reversed(unproven.looks))
                unproven_in_a_row += 1
                if unproven_in_a_row > _UNPROVEN_IN_A_ROW:
                    raise HubSpotUnavailableError(
                        f"HubSpot's search for {self.subject.object_type} contradicts itself, in "
                        "however small id ranges it is asked; run again later"
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

    def _look(self, look: _Look, rest: tuple[IdRange, ...], walk: Walk) -> Iterator[Page]:
        (id_range,) = walk.clip([look.id_range])
        single = only_id(id_range)
        if is_empty(id_range):
            yield Page(records=(), ranges=rest)
        elif single is not None and look.failures >= _LOOKS:
            yield evolve(self._by_id(single), ranges=rest)
        else:
            yield from self._follow(_Look(id_range, look.failures), rest, walk)

    def _follow(self, look: _Look, rest: tuple[IdRange, ...], walk: Walk) -> Iterator[Page]:
        """Read *look* page by page; each is handed out once it is proven.

        Raises:
            _UnprovenError: What is left has to be looked at more closely.
        """
        id_range, held, until = look.id_range, None, walk.until
        while True:
            answer = self._ask(id_range, look, held)
            if held is not None:
                # A walk that was shortened in between counts other rows than before.
                if answer.total != held.total - len(held.ids) or until != walk.until:
                    raise _UnprovenError([*_alone(held, look), _Look(id_range)])
                yield evolve(held.page, ranges=(id_range, *rest))
            if answer.is_all():
                walk.advance(max(answer.ids, default=int(id_range.after or -1)) + 1, 0.0)
                yield evolve(answer.page, ranges=rest)
                return
            if not answer.begins():
                raise _UnprovenError(self._again(id_range, look))
            held, id_range = answer, evolve(id_range, after=str(answer.ids[-1]))
            if not rest:
                left = answer.total - len(answer.ids)
                worth = left >= _WORTH_SPLITTING
                walk.advance(answer.ids[-1] + 1, left / max(walk.span, 1) if worth else 0.0)
            until = walk.until
            (id_range,) = walk.clip([id_range])

    def _ask(self, id_range: IdRange, look: _Look, held: _Answer | None) -> _Answer:
        """Ask for the beginning of *id_range*.

        Raises:
            _UnprovenError: There is no answer, or one that proves nothing.
        """
        failures = look.failures
        try:
            answer = ask(self.subject, id_range, self.reading, max_tries=1 if failures else None)
        except HubSpotUnavailableError:
            if not answers(self.subject):
                raise
            # HubSpot is well, so it is something in this range that it cannot answer for.
            again = self._again(id_range, evolve(look, failures=_LOOKS))
            raise _UnprovenError([*_alone(held, look), *again]) from None
        if answer.strays and (id_range != look.id_range or not failures):
            # Rows came, went, or were edited just now: this total proves nothing.
            raise _UnprovenError([*_alone(held, look), *self._again(id_range, look)])
        return answer

    def _again(self, id_range: IdRange, look: _Look) -> list[_Look]:
        """Ask for *id_range* once more, or cut it where that did not help."""
        failures = look.failures + 1 if id_range == look.id_range else 1
        if failures < _LOOKS or only_id(id_range) is not None:
            return [_Look(id_range, failures)]
        return [_Look(half, _LOOKS - 1) for half in halves(id_range, self.reading)]

    def _by_id(self, object_id: str) -> Page:
        """Read the one record that search cannot answer for; it may well not exist."""
        try:
            found = self.subject.read_by_id([object_id])
        except (HubSpotUnavailableError, RequestRefusedError) as error:
            if not answers(self.subject):
                raise
            reason = f"HubSpot cannot answer for it: {error.message}"
            row = SkippedRow(object_id=object_id, reason=reason, again=True)
            return Page(records=(), skipped=(row,))
        return self.subject.page_of(found)


def _alone(held: _Answer | None, look: _Look) -> list[_Look]:
    """A page that the next one did not prove has to prove itself, as a range of its own."""
    if held is None:
        return []
    failures = look.failures if held.id_range == look.id_range else 0
    return [_Look(evolve(held.id_range, until=str(held.ids[-1] + 1)), failures)]
