"""Follows HubSpot's paging values: each step moves on, or the loop ends.

Every loop over HubSpot's pages goes through a `Pager`. HubSpot promises nothing about its paging
values, so none is trusted to lead to an end (docs/reading.md, "What ends a loop").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubspot_sync._clock import StopRequested
from hubspot_sync.errors import HubSpotUnavailableError

if TYPE_CHECKING:
    import threading

# Short pages are usual, and so is a filter that leaves some of them empty; this many are not.
_IDLE_PAGES: Final = 100


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
