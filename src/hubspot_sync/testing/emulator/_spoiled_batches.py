"""Associations that come twice or in small portions, and batches that ignore some inputs.

The same id comes up once per association type, and more often than that: HubSpot 1.3,
https://github.com/airbytehq/airbyte/issues/14390. Nothing forbids a batch answer with fewer rows
than inputs: HubSpot 1.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator._mischief import Mischief
    from hubspot_sync.testing.emulator._wire import Request

_DROPPED: Final = 0.1
_T = TypeVar("_T")


class BatchSpoiler:
    """Spoils the inputs and association lists of one call, as far as the settings say so.

    Args:
        mischief: Says so.
        request: What is answered; the dice go by it.

    Attributes:
        inline_page: How many associated records come inline, or None for HubSpot's number.
        page: How many come from the association endpoints, or None.
    """

    def __init__(self, mischief: Mischief, request: Request) -> None:
        self._dice = mischief.dice
        self._repeated = mischief.settings.repeated_edges
        self._dropped = mischief.settings.dropped_inputs
        self._subject = request.fingerprint if self._repeated or self._dropped else ""
        self.inline_page = mischief.settings.inline_page
        self.page = mischief.settings.association_page

    def inline(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Rows of id and type, one of them perhaps twice."""
        return self._with_twin(rows)

    def edges(self, edges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Edges with their types; an edge perhaps twice, and a type of it."""
        twice = self._with_twin(edges) if self._repeated else edges
        if twice is not edges:
            kinds = twice[0]["associationTypes"]
            twice[0] = {**twice[0], "associationTypes": [*kinds, kinds[0]]}
        return twice

    def inputs(self, inputs: list[_T]) -> list[_T]:
        """The inputs that the batch takes notice of."""
        series = self._dice.roll(self._dropped, "dropped inputs", self._subject)
        if series is None:
            return inputs
        gone = set(series.sample(range(len(inputs)), max(int(len(inputs) * _DROPPED), 1)))
        return [one for place, one in enumerate(inputs) if place not in gone]

    def _with_twin(self, rows: list[Any]) -> list[Any]:
        if not self._repeated or not rows:
            return rows
        series = self._dice.roll(self._repeated, "repeated edge", f"{self._subject}/{rows[0]}")
        if series is None:
            return rows
        twin = series.choice(rows)
        place = series.randint(0, len(rows))
        return [*rows[:place], twin, *rows[place:]]
