"""What the ledger of a window cannot know and estimates: latencies, other processes, the pace.

A call is counted between its permit and its answer: after the way there, before the way back. The
call that takes its place in the window is counted after a way there of its own. So the place is
free one window after the answer, less the way back, less the other call's way there, and no window
of HubSpot's is too full. Neither is known, but together they take at least as long as the fastest
answer of late, less what the ways there differ by. Where that is within a margin, no call is ever
refused; where it is not, the latencies vary too, and then the estimate is trusted less.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

_SAMPLES: Final = 64
_ENOUGH: Final = 5
# The way to HubSpot is mostly steady to within this, and 5 searches in 1.04 s are 0.96 of them.
_MARGIN: Final = 0.04
_CALM_SECONDS: Final = 60.0
# Others are expected to go on as they did in this many windows.
_WINDOWS: Final = 3
_DEVIATIONS: Final = 2
_REPEATED_SECONDS: Final = 30.0
_STEP_SECONDS: Final = 10.0
_STEP: Final = 0.2
_LEAST: Final = 1 / 16


class Latencies:
    """What recent answers took, by endpoint class: each class keeps HubSpot busy for its own time.

    Not thread-safe.
    """

    def __init__(self) -> None:
        self._recent: dict[str, deque[float]] = {}
        self._widened = 0.0
        self._widened_at = 0.0

    def observe(self, endpoint: str, seconds: float) -> None:
        """An answer from *endpoint* took *seconds*."""
        self._recent.setdefault(endpoint, deque(maxlen=_SAMPLES)).append(seconds)

    def widen(self, now: float) -> None:
        """Trust the estimate less: HubSpot refused a call that should have had a place.

        What is added to the margin doubles each time, and halves with each minute of peace.
        """
        self._widened, self._widened_at = max(2 * self._extra(now), _MARGIN), now

    def credit(self, endpoint: str, now: float) -> float:
        """Seconds before its answer at which a call to *endpoint* was counted at the latest.

        The more the latency varies, the less; nothing until a few answers have come.
        """
        recent = self._recent.get(endpoint, ())
        if len(recent) < _ENOUGH:
            return 0.0
        fastest = min(recent)
        spread = sum(recent) / len(recent) - fastest
        return max(fastest - spread / 2 - _MARGIN - self._extra(now), 0.0)

    def _extra(self, now: float) -> float:
        return self._widened * 0.5 ** int((now - self._widened_at) / _CALM_SECONDS)


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


class Pace:
    """A share of the limit that halves with repeated refusals and grows again in peace.

    All apps of an account share its five searches a second, and answers do not say how many are
    left: https://developers.hubspot.com/docs/api-reference/search/guide. So the refusals alone
    tell what the others use. A single one changes nothing. Not thread-safe.
    """

    def __init__(self) -> None:
        self._share = 1.0
        self._refused_at: float | None = None

    def share(self, now: float) -> float:
        """The share to take now, above 0 and at most 1."""
        if self._refused_at is None:
            return 1.0
        steps = int((now - self._refused_at) / _STEP_SECONDS)
        return min(self._share + _STEP * steps, 1.0)

    def refused(self, now: float) -> None:
        """HubSpot refused a call although there should have been room for it."""
        share = self.share(now)
        if self._refused_at is not None and now - self._refused_at <= _REPEATED_SECONDS:
            share = max(share / 2, _LEAST)
        self._share, self._refused_at = share, now
