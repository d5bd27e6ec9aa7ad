"""Search pages as they should not be: https://github.com/estuary/connectors guards against most.

Its `source_hubspot_native/api/search_objects.py` drops rows outside the window and fails on rows
out of order; others tell of the rest (HubSpot 11.1, 11.2, 11.4 and 11.8).
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Final

import attrs

from hubspot_sync.testing.emulator.portal.query import Span
from hubspot_sync.testing.emulator.portal.table import clip
from hubspot_sync.testing.emulator.refusals import internal_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.testing.emulator.hostility.mischief import Mischief
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.query import Page, Query
    from hubspot_sync.testing.emulator.portal.series import Series
    from hubspot_sync.testing.emulator.portal.types import ObjectType

_LOOKED_AT: Final = 2_000


class SearchSpoiler:
    """Spoils one page.

    Args:
        mischief: Says how.
        portal: Knows all rows.
        kind: The object type.
        query: What was asked for.
        subject: The request's fingerprint, which the dice go by.
    """

    def __init__(
        self, mischief: Mischief, portal: Portal, kind: ObjectType, query: Query, subject: str
    ) -> None:
        self._mischief = mischief
        self._portal = portal
        self._kind = kind
        self._query = query
        self._subject = subject
        self._settings = mischief.settings

    def spoil(self, page: Page, before: Sequence[int]) -> Page:
        """The page with what the dice decide.

        Args:
            page: As it should be.
            before: The last rows of the page before it.

        Raises:
            RefusalError: It has a poisonous row: 500.
        """
        # What ends a page early comes first: the rows that it loses come with the next page.
        for change in (
            self._nothing,
            self._empty,
            self._endless,
            self._short,
            lambda page: self._with_repeats(page, before),
            self._with_stray,
            self._without_one,
            self._disordered,
            self._drifting,
        ):
            page = change(page)
        return self._poisoned(page)

    def _roll(self, part: str) -> Series | None:
        return self._mischief.roll(part, self._subject)

    def _nothing(self, page: Page) -> Page:
        if page.total and self._roll("empty_search"):
            return attrs.evolve(page, numbers=(), total=0, following=None)
        return page

    def _empty(self, page: Page) -> Page:
        if page.numbers and self._roll("empty_pages"):
            return attrs.evolve(page, numbers=(), following=self._query.offset)
        return page

    def _endless(self, page: Page) -> Page:
        if self._roll("endless_search"):
            return attrs.evolve(page, numbers=(), following=self._query.offset + 1)
        return page

    def _short(self, page: Page) -> Page:
        series = self._roll("short_pages") if page.numbers else None
        if series is None:
            return page
        page = self._cut(page, series.randint(1, len(page.numbers)))
        if page.following is None:
            # The last page, whole: it goes on all the same, to an empty one.
            return attrs.evolve(page, following=self._query.offset + len(page.numbers))
        return page

    def _with_repeats(self, page: Page, before: Sequence[int]) -> Page:
        if not page.numbers or not before or not self._roll("repeated_rows"):
            return page
        page = self._cut(page, self._query.limit - len(before))
        return attrs.evolve(page, numbers=[*before, *page.numbers])

    def _with_stray(self, page: Page) -> Page:
        series = self._roll("stray_rows") if page.numbers else None
        stray = series and self._stray(series, page)
        if not stray:
            return page
        # The index takes it for a match: it is counted, and it stands where its id belongs.
        page = self._cut(page, self._query.limit - 1)
        numbers = list(page.numbers)
        if self._query.by_id:
            insort(numbers, stray)
        else:
            numbers.insert(len(numbers) // 2, stray)
        return attrs.evolve(page, numbers=numbers, total=page.total + 1)

    def _without_one(self, page: Page) -> Page:
        series = self._roll("missing_rows") if page.numbers else None
        if series is None:
            return page
        gone = series.randrange(len(page.numbers))
        return attrs.evolve(page, numbers=[*page.numbers[:gone], *page.numbers[gone + 1 :]])

    def _disordered(self, page: Page) -> Page:
        series = self._roll("search_disorder") if len(page.numbers) > 1 else None
        numbers = page.numbers if series is None else series.shuffled(page.numbers)
        return attrs.evolve(page, numbers=numbers)

    def _drifting(self, page: Page) -> Page:
        series = self._roll("total_drift")
        if series is None:
            return page
        drift = series.randint(1, self._settings.total_drift_rows) * series.choice((-1, 1))
        # A total of 0 cannot drop any further.
        return attrs.evolve(page, total=max(page.total + drift, 0) if page.total else abs(drift))

    def _poisoned(self, page: Page) -> Page:
        poisonous = self._kind.pick(self._settings.poisonous)
        if not any(str(number) in poisonous for number in page.numbers):
            return page
        self._mischief.lies.add("poisonous")
        if self._settings.poison == "error":
            raise internal_error()
        # One row alone cannot be out of order, so it comes twice.
        numbers = list(page.numbers[::-1]) if len(page.numbers) > 1 else [*page.numbers] * 2
        return attrs.evolve(page, numbers=numbers)

    def _cut(self, page: Page, size: int) -> Page:
        """At most *size* rows; the others come with the next page."""
        dropped = len(page.numbers) - size
        if dropped <= 0:
            return page
        end = page.total if page.following is None else page.following
        return attrs.evolve(page, numbers=page.numbers[:size], following=end - dropped)

    def _stray(self, series: Series, page: Page) -> int | None:
        """A row that the window does not hold, among the ids asked for."""
        group = self._query.groups[0] if self._query.groups else None
        if group is None or group.modified == Span() or self._query.limit == 1:
            return None
        view = self._portal.indexed(self._kind)
        # A walk by id goes on above the last row: a stray must not lead it past others.
        more = page.following is not None or len(page.numbers) >= self._query.limit
        high = page.numbers[-1] if self._query.by_id and more else group.numbers.high
        numbers = clip(view.numbers, group.numbers.low, high)
        some = numbers if len(numbers) <= _LOOKED_AT else series.sample(numbers, _LOOKED_AT)
        outside = [n for n in some if not group.modified.holds(view.live[n].modified)]
        # Of several filter groups another one may hold it.
        stray = series.choice(outside) if outside else None
        return None if stray in page.numbers else stray
