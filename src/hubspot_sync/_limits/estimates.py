"""How long answers take, and what that says about the moment at which HubSpot counted a call.

A call is counted between its permit and its answer: after the way there, before the way back. The
call that takes its place in the window is counted after a way there of its own. So the place is
free one window after the answer, less the way back, less the other call's way there, and no window
of HubSpot's is too full. Neither is known, but together they take at least as long as the fastest
answer of late, less what the ways there differ by. Where that is within a margin, no call is ever
refused; where it is not, the latencies vary too, and then the estimate is trusted less.
"""

from __future__ import annotations

from collections import deque
from typing import Final

_SAMPLES: Final = 64
_ENOUGH: Final = 5
# The way to HubSpot is mostly steady to within this, and 5 searches in 1.04 s are 0.96 of them.
_MARGIN: Final = 0.04
_CALM_SECONDS: Final = 60.0


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
