"""The hostility in force and what it remembers."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator.hostility.settings import Hostility
from hubspot_sync.testing.emulator.portal.series import Dice

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator.portal.series import Series

_IN_SEARCH: Final = (
    "search_disorder",
    "stray_rows",
    "total_drift",
    "short_pages",
    "empty_pages",
    "endless_search",
    "repeated_rows",
    "missing_rows",
    "poisonous",
    "empty_search",
)
_IN_LISTS: Final = (
    "list_disorder",
    "list_stragglers",
    "list_repeats",
    "list_gaps",
    "hidden_from_list",
    "endless_list",
    "endless_list_tail",
    "looping_list",
    "short_pages",
    "opaque_after",
    "stale_after",
    "stale_after_calls",
    "cut_list",
    "cut_archived",
    "empty_list",
)


class Lies:
    """How many answers each part of the hostility has made wrong; thread-safe.

    A part goes by the name of its field in `Hostility`. What makes no single answer wrong is not
    counted: `index_lag`, `sort_jitter`, `opaque_after`, the sizes of pages, other apps' calls.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, part: str) -> None:
        """Count one answer."""
        with self._lock:
            self._counts[part] += 1

    def count(self, part: str) -> int:
        """How many answers, since the last `clear`."""
        with self._lock:
            return self._counts[part]

    def counts(self) -> dict[str, int]:
        """How many by part."""
        with self._lock:
            return dict(self._counts)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._counts.clear()


class Mischief:
    """What the endpoints ask for how to behave; not thread-safe, the portal's lock guards it.

    Attributes:
        settings: The hostility in force.
        dice: Decides whom it hits.
        lies: Counts what was done.
        search: Whether search pages have to be spoiled.
        listing: Whether list pages have to be.
    """

    def __init__(self) -> None:
        self.lies = Lies()
        self.use(Hostility())

    def use(self, settings: Hostility) -> None:
        """Behave like this from now on."""
        self.settings = settings
        self.dice = Dice(settings.seed)
        self.search = any(getattr(settings, name) for name in _IN_SEARCH)
        self.listing = any(getattr(settings, name) for name in _IN_LISTS)

    def roll(self, part: str, subject: str) -> Series | None:
        """A series for further choices when a part of the hostility happens, which is counted."""
        series = self.dice.roll(getattr(self.settings, part), part, subject)
        if series is not None:
            self.lies.add(part)
        return series
