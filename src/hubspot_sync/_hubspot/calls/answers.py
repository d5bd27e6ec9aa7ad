"""The shapes of HubSpot's answers, and how far their paging values are followed.

Every answer goes through a shape inside the retry layer, so an answer of another shape is asked
for again like one that is no JSON at all, and never taken for "there is none". Every loop over
HubSpot's pages goes through a `Pager`: HubSpot promises nothing about its paging values, so none
is trusted to lead to an end (docs/reading.md, "What ends a loop").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync.errors import HubSpotUnavailableError
from hubspot_sync.models import AccountDetails

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

T = TypeVar("T")

# What code raises that walks through JSON of another shape than it expects.
_MISSHAPEN: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
# HubSpot's have up to 15 digits; Python refuses to read numbers of thousands.
_LONGEST_ID: Final = 64
_NOT_FOUND: Final = "OBJECT_NOT_FOUND"
_NO_EDGES: Final = "NO_ASSOCIATIONS_FOUND"
# Short pages are usual, and so is a filter that leaves some of them empty; this many are not.
_IDLE_PAGES: Final = 100


@frozen(kw_only=True)
class ListAnswer:
    """One page of the list endpoint.

    Attributes:
        rows: The rows.
        after: The paging value of the next page, or None on the last one.
    """

    rows: list[Any]
    after: str | None


@frozen(kw_only=True)
class SearchAnswer:
    """One page of a search.

    Attributes:
        rows: The rows; each has an id of digits.
        ids: Their ids as numbers.
        total: How many rows HubSpot counts.
        more: Whether HubSpot offers a next page.
    """

    rows: list[Any]
    ids: tuple[int, ...]
    total: int
    more: bool


@frozen(kw_only=True)
class BatchError:
    """Why some inputs of a batch have no result.

    Attributes:
        ids: The inputs, as far as HubSpot names them.
        absent: Whether HubSpot says that there is nothing, which is an answer.
        reason: What HubSpot says, for people.
    """

    ids: frozenset[str]
    absent: bool
    reason: str


@frozen(kw_only=True)
class BatchAnswer:
    """The answer to a batch of inputs.

    Attributes:
        results: What was found: rows of objects, or lists of associations.
        errors: What was not, as far as HubSpot says so.
    """

    results: list[Any]
    errors: tuple[BatchError, ...]


def shaped(read: Callable[[Any], T], body: Any, doing: str) -> T:
    """What *read* makes of the decoded *body*.

    Raises:
        HubSpotUnavailableError: The body has another shape.
    """
    try:
        return read(body)
    except HubSpotUnavailableError as error:
        problem = f"{error.message} (while {doing})"
    except _MISSHAPEN:
        problem = f"HubSpot's answer while {doing} has another shape than its documentation says"
    # Outside the handlers, because what they handle has parts of the answer in its frames.
    # A collector of errors takes every local variable along, and a body may hold tokens.
    del body
    raise HubSpotUnavailableError(problem)


def list_answer(body: Any) -> ListAnswer:
    """A page of the list endpoint; `paging` is left out on the last one."""
    return ListAnswer(rows=_rows(body, "results"), after=next_after(body))


def search_answer(body: Any) -> SearchAnswer:
    """A page of a search."""
    rows, total = _rows(body, "results"), body.get("total")
    if not is_count(total):
        raise HubSpotUnavailableError("HubSpot's search does not say how many rows there are")
    return SearchAnswer(
        rows=rows,
        ids=tuple(number_of(row) for row in rows),
        total=total,
        more=next_after(body) is not None,
    )


def batch_answer(body: Any) -> BatchAnswer:
    """The answer to a batch read, of objects or of associations.

    Errors come beside results, with 207 or 200 (HubSpot 1.6 and 2.1 in docs/hubspot.md).
    """
    results = _rows(body, "results")
    errors = _rows(body, "errors") if body.get("errors") is not None else []
    return BatchAnswer(results=results, errors=tuple(map(_batch_error, errors)))


def account_details(body: Any) -> AccountDetails:
    """What HubSpot says about the account that was asked."""
    account_id = body["portalId"]
    if not is_count(account_id) and not (isinstance(account_id, str) and account_id.isdigit()):
        raise HubSpotUnavailableError("HubSpot did not say which account this is")
    return AccountDetails(
        account_id=str(account_id),
        time_zone=_text(body.get("timeZone")),
        account_type=_text(body.get("accountType")),
    )


def is_count(value: Any) -> bool:
    """Whether *value* is a whole number from 0 on; JSON's booleans are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def next_after(page: Any) -> str | None:
    """The paging value in *page*, or None where there is no next page.

    Raises:
        HubSpotUnavailableError: There is a next page, but not where.
    """
    paging = page.get("paging")
    following = None if paging is None else paging.get("next")
    if following is None:
        return None
    after = following["after"]
    if isinstance(after, str) and after:
        return after
    if is_count(after):
        return str(after)
    raise HubSpotUnavailableError("HubSpot does not say where its next page begins")


def number_of(row: Any) -> int:
    """The id of *row* as a number.

    Raises:
        HubSpotUnavailableError: It has none.
    """
    object_id = str(row.get("id"))
    if not (object_id.isascii() and object_id.isdigit()):
        raise HubSpotUnavailableError("a row of HubSpot's answer has no id")
    return int(object_id)


def _rows(body: Any, name: str) -> list[Any]:
    rows = body.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise HubSpotUnavailableError(f"HubSpot's answer holds no list of {name}")
    for row in rows:
        object_id = row.get("id", "")
        if not isinstance(object_id, (str, int, type(None))) or len(str(object_id)) > _LONGEST_ID:
            raise HubSpotUnavailableError("HubSpot's answer holds an id that is no id")
    return rows


def _batch_error(error: Any) -> BatchError:
    """One entry of `errors`; contacts of another kind than "not found" are no answer.

    The ids stand under `ids` for objects, and under `fromObjectId` for associations.
    """
    context = error.get("context") or {}
    named = (context.get(name) or () for name in ("ids", "fromObjectId"))
    ids = frozenset(str(one) for some in named for one in (_listed(some)))
    absent = error.get("category") == _NOT_FOUND or _NO_EDGES in str(error.get("subCategory"))
    reason = _text(error.get("message")) or _text(error.get("category")) or "no reason given"
    return BatchError(ids=ids, absent=absent, reason=" ".join(reason.split())[:300])


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [value]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


class Pager:
    """One loop over pages.

    A value that comes again is found within as many further pages as its circle is long, and
    without remembering all values (Brent's algorithm): a walk of millions of records has tens of
    thousands of pages.

    Args:
        doing: What the pages are read for, to finish the sentence "HubSpot ... while ...".
        stop: Ends the loop.
    """

    def __init__(self, doing: str, stop: threading.Event) -> None:
        self._doing = doing
        self._stop = stop
        self._remembered: str | None = None
        self._steps = 0
        self._renewed_at = 1
        self._idle = 0

    def follow(self, after: str, *, new: bool) -> str:
        """*after*, if it may be followed.

        Args:
            after: The paging value of the next page.
            new: Whether the page before it brought anything new.

        Raises:
            HubSpotUnavailableError: The value came before, or too many pages brought nothing.
            StopRequested: The run was stopped.
        """
        if self._stop.is_set():
            raise StopRequested
        if after == self._remembered:
            raise HubSpotUnavailableError(
                f"HubSpot repeated a paging value while {self._doing}, so its pages have no end"
            )
        self._idle = 0 if new else self._idle + 1
        if self._idle >= _IDLE_PAGES:
            raise HubSpotUnavailableError(
                f"{_IDLE_PAGES} pages in a row brought nothing new while {self._doing}"
            )
        self._steps += 1
        if self._steps == self._renewed_at:
            self._remembered, self._renewed_at = after, 2 * self._renewed_at
        return after
