"""A source that reads what a test wrote down, for tests that need records and no HubSpot."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Final, TypeVar

from attrs import evolve

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import (
    Account,
    AccountDetails,
    Archived,
    Event,
    FoundAssociations,
    IdRange,
    ObjectType,
    Page,
    Pass,
    Presence,
    PropertySet,
    Quota,
    Record,
    SkippedRow,
    StreamSettings,
)
from hubspot_sync.models._checks import EPOCH, kind_of
from hubspot_sync.models.object_types import canonical_object_type

# Two passes that begin one after the other differ in their ends, also with a clock that stands.
_TICK: Final = timedelta(milliseconds=1)

T = TypeVar("T")
ScriptedPage = Sequence[Record | SkippedRow] | Page | Exception
Script = Sequence[Sequence[ScriptedPage]] | Callable[[Pass], Sequence[ScriptedPage]]


class ScriptedSource:
    """Plays passes that a test wrote down, in place of HubSpot; a `Source` and its own factory.

    Each pass that the engine begins, of whatever mode, plays the next one of the script; one that
    it resumes goes on behind the last page that was committed, and one that it begins again
    without having read it to its end is played again. When the script is over, passes are empty.

        source = ScriptedSource({"contacts": [
            [[record("1"), record("2")], [record("3")]],          # the first pass has two pages
            [HubSpotUnavailableError("away"), [record("1")]],     # the second one fails at first
        ]})
        engine = SyncEngine(open_source=source, ...)

    One is for one account and reads one stream at a time.

    Args:
        passes: The script: for each object type its passes, for each pass its pages, and for each
            page its rows, or a `Page`, whose ranges are not used, or an exception, which is
            raised once in the place of a page. In place of a list of passes may stand a function,
            which returns the pages of the pass that it is given, begun or resumed.
        account_id: The account that the credentials open; None for the one that is asked for.
        clock: Tells HubSpot's time; None for the operating system's.
        before_page: Is called before each page with its number in the pass, beginning with 1; what
            it raises ends the reading.

    Attributes:
        rows: How many rows it has given so far.
        user_level: Whether the credentials are a user's, so that nothing follows from absence.

    Raises:
        ConfigurationError: *passes* is no script.
    """

    def __init__(
        self,
        passes: Mapping[str, Script] | None = None,
        *,
        account_id: str | None = None,
        clock: Clock | None = None,
        before_page: Callable[[int], None] | None = None,
    ) -> None:
        if passes is not None and not isinstance(passes, Mapping):
            raise ConfigurationError(
                f"passes is {kind_of(passes)}; give a mapping from object types to their passes"
            )
        self._streams = {
            canonical_object_type(object_type): _Played(script)
            for object_type, script in (passes or {}).items()
        }
        self._account_id = account_id
        self._opened_for = account_id
        self._clock = clock or SystemClock()
        self._time = EPOCH
        self._before_page = before_page
        self._gone: dict[tuple[str, str], datetime | str | None] = {}
        self.rows = 0
        self.user_level = False

    def __call__(
        self, account: Account, *, stop: threading.Event, notify: Callable[[Event], None]
    ) -> ScriptedSource:
        """The source itself, opened for *account*."""
        self._opened_for = self._account_id or account.account_id
        return self

    def archive(self, object_type: str, object_id: str) -> None:
        """Let an object be among the deleted ones from now on, by the clock."""
        self._gone[canonical_object_type(object_type), object_id] = self.server_time()

    def merge(self, object_type: str, object_id: str, *, into: str) -> None:
        """Let HubSpot answer with the object *into* for *object_id* from now on."""
        self._gone[canonical_object_type(object_type), object_id] = into

    def lose(self, object_type: str, object_id: str) -> None:
        """Let an object be nowhere, as one that HubSpot deleted for good."""
        self._gone[canonical_object_type(object_type), object_id] = None

    def restore(self, object_type: str, object_id: str) -> None:
        """Let an object be there again, in the newest version that the script has for it."""
        self._gone.pop((canonical_object_type(object_type), object_id), None)

    def identify(self) -> AccountDetails:
        """The account that it was made or opened for."""
        return AccountDetails(account_id=self._opened_for or "1")

    def server_time(self, *, latest: bool = False) -> datetime:
        """The clock's time, later each time."""
        self._time = max(self._clock.now(), self._time + _TICK)
        return self._time

    def resolve(self, settings: StreamSettings) -> StreamSettings:
        """The settings: a script has the names that it was given."""
        return settings

    def object_types(self) -> Sequence[ObjectType]:
        """None: a script has no schemas."""
        return ()

    def label(self, object_type: str) -> str | None:
        """None: actions are named after the object type."""
        return None

    def properties(self, settings: StreamSettings, last: PropertySet | None) -> PropertySet:
        """The same every time."""
        return PropertySet(types={}, read=frozenset(), defined_at=EPOCH)

    def read(self, settings: StreamSettings, reading: Pass) -> Iterator[Page]:
        """The pages of the script that are left of *reading*.

        A record that is asked for by its id is the newest one that the script has for it so far.
        """
        script = self._script_of(settings.object_type)
        if any(one.listed for one in reading.ranges):
            yield _page_of([row for row in self._there(settings) if _is_in(row, reading.ranges)])
            return
        script.begin(reading)
        if reading.object_ids:
            yield self._given(script.named(reading))
        while reading.ranges:
            number = int(reading.ranges[0].after or 0)
            if self._before_page is not None:
                self._before_page(number + 1)
            page = script.page(number)
            reading = evolve(reading, ranges=page.ranges)
            yield self._given(page)

    def find(self, settings: StreamSettings, object_ids: Sequence[str]) -> Presence:
        """As the script and `archive`, `merge` and `lose` say; all others were never there."""
        kind = settings.object_type
        ends = {one: self._gone[kind, one] for one in object_ids if (kind, one) in self._gone}
        known = self._script_of(kind).rows_by_id()
        there = [known[one] for one in object_ids if one in known and one not in ends]
        nowhere = [one for one in object_ids if one not in known and one not in ends]
        return Presence(
            page=_page_of(there),
            archived={one: end for one, end in ends.items() if isinstance(end, datetime)},
            merged={one: end for one, end in ends.items() if isinstance(end, str)},
            gone=(*nowhere, *(one for one, end in ends.items() if end is None)),
        )

    def archived(self, settings: StreamSettings, after: str | None) -> Iterator[Archived]:
        """What `archive` was told, on one page."""
        yield Archived(
            deleted={
                object_id: end
                for (kind, object_id), end in self._gone.items()
                if kind == settings.object_type and isinstance(end, datetime)
            }
        )

    def count(
        self, settings: StreamSettings, *, after: str | None = None, until: str | None = None
    ) -> int | None:
        """The records that the script has given so far, and that are there still."""
        span = IdRange(after=None if after is None else str(int(after) + 1), until=until)
        return sum(_is_in(row, (span,)) for row in self._there(settings))

    def sees_all(self) -> bool:
        """Whether it was not told that the credentials are a user's."""
        return not self.user_level

    def associations(
        self, object_type: str, to_object_type: str, object_ids: Sequence[str]
    ) -> FoundAssociations:
        """None for each record: those that a script has are part of its records."""
        return FoundAssociations(found=dict.fromkeys(object_ids, ()))

    def api_calls(self) -> Mapping[str, int]:
        """None."""
        return {}

    def quota(self) -> Quota:
        """As where HubSpot says nothing."""
        return Quota()

    def close(self) -> None:
        """Nothing to close."""

    def _there(self, settings: StreamSettings) -> list[Record]:
        kind = settings.object_type
        rows = self._script_of(kind).rows_by_id().values()
        records = [row for row in rows if isinstance(row, Record)]
        return [row for row in records if (kind, row.object_id) not in self._gone]

    def _script_of(self, object_type: str) -> _Played:
        return self._streams.setdefault(object_type, _Played(()))

    def _given(self, page: Page) -> Page:
        self.rows += len(page.records) + len(page.skipped)
        return page


class _Played:
    """The script of one stream, and how far it was played."""

    def __init__(self, script: Script) -> None:
        self._pages_of = script if callable(script) else None
        self._passes = [] if callable(script) else [_pages(pages) for pages in _list(script)]
        self._number = 0
        self._playing: tuple[object, ...] | None = None
        self._ended = False

    def begin(self, reading: Pass) -> None:
        """Turn to the script of *reading*: the next one, if the last pass was read to its end."""
        if self._pages_of is not None:
            self._passes = [_pages(self._pages_of(reading))]
            return
        this = (reading.mode, reading.start, reading.end)
        if this != self._playing:
            self._number += self._ended
            self._ended = False
        self._playing = this

    def page(self, number: int) -> Page:
        """The page of the present pass that *number* others come before."""
        pages = self._passes[self._number] if self._number < len(self._passes) else []
        page = pages[number] if number < len(pages) else Page(records=())
        if isinstance(page, Exception):
            del pages[number]
            raise page
        self._ended = number + 1 >= len(pages)
        return evolve(page, ranges=() if self._ended else (IdRange(after=str(number + 1)),))

    def rows_by_id(self) -> dict[str, Record | SkippedRow]:
        """The newest row of each object, in the passes so far."""
        rows: dict[str, Record | SkippedRow] = {}
        for page in chain.from_iterable(self._passes[: self._number + 1]):
            if isinstance(page, Page):
                rows.update((row.object_id, row) for row in page.skipped if row.object_id)
                rows.update((row.object_id, row) for row in page.records)
        return rows

    def named(self, reading: Pass) -> Page:
        """The records that *reading* asks for by their ids, before all else."""
        known = self.rows_by_id()
        return evolve(
            _page_of([known[one] for one in reading.object_ids if one in known]),
            absent=tuple(one for one in reading.object_ids if one not in known),
            ranges=reading.ranges,
        )


def _is_in(row: Record, ranges: Sequence[IdRange]) -> bool:
    """Whether *row* lies in one of *ranges*, which begin with the id that they name."""
    number = int(row.object_id)
    return any(
        int(one.after or 0) <= number and (one.until is None or number < int(one.until))
        for one in ranges
    )


def _pages(given: Sequence[ScriptedPage]) -> list[Page | Exception]:
    return [_page(page) for page in _list(given)]


def _page(given: ScriptedPage) -> Page | Exception:
    return given if isinstance(given, (Page, Exception)) else _page_of(_list(given))


def _page_of(rows: Sequence[Record | SkippedRow]) -> Page:
    for row in rows:
        if not isinstance(row, (Record, SkippedRow)):
            raise ConfigurationError(
                f"a row of the script is {kind_of(row)}; give a Record or a SkippedRow"
            )
    return Page(
        records=tuple(row for row in rows if isinstance(row, Record)),
        skipped=tuple(row for row in rows if isinstance(row, SkippedRow)),
    )


def _list(given: Sequence[T]) -> Sequence[T]:
    if isinstance(given, (list, tuple)):
        return given
    raise ConfigurationError(
        f"a part of the script is {kind_of(given)}; give, for each object type, a list of passes, "
        "each a list of pages, each a list of rows"
    )
