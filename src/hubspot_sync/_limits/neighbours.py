"""Calls of others in the same window, as answers tell of them."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

# Others are expected to go on as they did in this many windows.
_WINDOWS: Final = 3
_DEVIATIONS: Final = 2


class Neighbours:
    """What other processes of the same app use of a window, and how much to leave to them.

    An answer tells of their calls after the fact only, and each that comes in between would make
    one of ours too many. So as much is left free as they used of late, and twice the deviation
    that chance gives to such a number. Not thread-safe.
    """

    def __init__(self) -> None:
        self._noticed: deque[tuple[float, bool]] = deque()

    def notice(self, calls: int, now: float, *, lasting: bool) -> None:
        """*calls* more than were known have been found in the window.

        *lasting*: whether more of them are to be expected.
        """
        self._noticed.extend([(now, lasting)] * calls)

    def known(self, now: float, seconds: float) -> int:
        """Calls that are taken to lie in the window of *seconds* that ends *now*."""
        while self._noticed and self._noticed[0][0] <= now - _WINDOWS * seconds:
            self._noticed.popleft()
        return sum(moment > now - seconds for moment, _ in self._noticed)

    def room(self, now: float, seconds: float) -> int:
        """Calls to leave free for those that are not known yet."""
        known = self.known(now, seconds)
        usual = sum(lasting for _, lasting in self._noticed) / _WINDOWS
        return max(math.ceil(usual) - known, 0) + math.ceil(_DEVIATIONS * math.sqrt(usual))
