"""The hostility in force and what it remembers."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from hubspot_sync.testing.emulator._hostility import Hostility
from hubspot_sync.testing.emulator._index import IndexLag
from hubspot_sync.testing.emulator._series import Dice, Series
from hubspot_sync.testing.emulator._spoiled_list import SpoiledList

_MILLISECOND: Final = timedelta(milliseconds=1)


class Mischief:
    """What the endpoints ask for how to behave; not thread-safe, the portal's lock guards it.

    Attributes:
        settings: The hostility in force.
        dice: Decides whom it hits.
        lag: What search has still to learn.
        spoiled_list: The list endpoint's pages.
        search: Whether search pages have to be spoiled.
        listing: Whether list pages have to be.
    """

    def __init__(self) -> None:
        self.lag = IndexLag()
        self.use(Hostility())

    def use(self, settings: Hostility) -> None:
        """Behave like this from now on; changes that search has not learnt stay due as they are."""
        self.settings = settings
        self.dice = Dice(settings.seed)
        self.spoiled_list = SpoiledList(settings, self.dice)
        shortest, longest = (lag // _MILLISECOND for lag in settings.index_lag)
        self.lag.use(shortest, longest, Series(settings.seed, "index lag"))
        self.search = bool(
            settings.search_disorder
            or settings.stray_rows
            or settings.total_drift
            or settings.short_pages
            or settings.empty_pages
            or settings.repeated_rows
            or settings.missing_rows
            or settings.poisonous
        )
        self.listing = bool(
            settings.list_disorder
            or settings.list_stragglers
            or settings.list_repeats
            or settings.short_pages
            or settings.opaque_after
            or settings.stale_after
            or settings.stale_after_calls
        )
