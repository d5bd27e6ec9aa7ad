"""How much of a limit to take while others take their part of it."""

from __future__ import annotations

from typing import Final

_REPEATED_SECONDS: Final = 30.0
_STEP_SECONDS: Final = 10.0
_STEP: Final = 0.2
_LEAST: Final = 1 / 16


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
