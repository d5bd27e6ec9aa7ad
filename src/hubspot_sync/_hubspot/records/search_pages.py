"""One page of a search: what is asked for, what comes back, and what that proves."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hubspot_sync._hubspot.calls.answers import number_of
from hubspot_sync._hubspot.records.rows import modified_at, skipped_of
from hubspot_sync.errors import HubSpotUnavailableError, RequestRefusedError
from hubspot_sync.models import cursor_field, from_milliseconds, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync._hubspot.calls.answers import SearchAnswer
    from hubspot_sync._hubspot.calls.client import Reply
    from hubspot_sync._hubspot.records.subject import Subject
    from hubspot_sync.models import IdRange, Pass, Record, SkippedRow

PAGE: Final = 200
_MILLISECOND: Final = timedelta(milliseconds=1)


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
