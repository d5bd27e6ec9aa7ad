"""Batches that ignore or fail some inputs, and associations that come twice, in parts or for ever.

The same id comes up once per association type, and more often than that: HubSpot 1.3,
https://github.com/airbytehq/airbyte/issues/14390. Nothing forbids a batch answer with fewer rows
than inputs, or with entries of `errors` other than not found: HubSpot 1.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from hubspot_sync.testing.emulator.refusals import internal_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync.testing.emulator.hostility.mischief import Mischief
    from hubspot_sync.testing.emulator.portal.types import ObjectType
    from hubspot_sync.testing.emulator.wire import Request

_PART: Final = 0.1
_T = TypeVar("_T")


class BatchSpoiler:
    """Spoils the inputs and association lists of one call, as far as the settings say so.

    Args:
        mischief: Says so.
        request: What is answered; the dice go by it.
        kind: The object type of the inputs.

    Attributes:
        inline_page: How many associated records come inline, or None for HubSpot's number.
        page: How many come from the association endpoints, or None.
    """

    def __init__(self, mischief: Mischief, request: Request, kind: ObjectType) -> None:
        self._mischief = mischief
        self._settings = settings = mischief.settings
        self._kind = kind
        rolled = (
            settings.repeated_edges
            or settings.dropped_inputs
            or settings.failing_inputs
            or settings.looping_edges
            or settings.empty_batch
        )
        self._subject = request.fingerprint if rolled else ""
        self.inline_page = settings.inline_page
        self.page = settings.association_page

    def inline(self, rows: list[dict[str, str]]) -> list[dict[str, str]]:
        """Rows of id and type, one of them perhaps twice."""
        return self._with_twin(rows)

    def edges(self, edges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Edges with their types; an edge perhaps twice, and a type of it."""
        twice = self._with_twin(edges) if self._settings.repeated_edges else edges
        if twice is not edges:
            kinds = twice[0]["associationTypes"]
            twice[0] = {**twice[0], "associationTypes": [*kinds, kinds[0]]}
        return twice

    def objects(self, ids: Sequence[str]) -> tuple[list[str], list[str]]:
        """The ids that a batch read of records answers, and those that it fails to answer.

        Raises:
            RefusalError: It fails as a whole: 500.
        """
        return self._parted(ids, ids, "silent_inputs", "unanswerable")

    def sources(self, inputs: Sequence[_T], ids: Sequence[str]) -> tuple[list[_T], list[str]]:
        """The inputs that a batch read of associations answers, and the ids that it fails.

        Raises:
            RefusalError: It fails as a whole: 500.
        """
        return self._parted(inputs, ids, "silent_edges", "unanswerable_edges")

    def context(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """The parts of an entry of `errors` that name what could not be answered."""
        nameless = self._settings.unanswerable_as == "nameless"
        return {} if nameless else {"context": dict(content)}

    def loops(self, object_id: str) -> bool:
        """Whether the associations of a record lead back to where they began."""
        always = self._kind.pick(self._settings.looping_edges_of)
        if object_id in always:
            self._mischief.lies.add("looping_edges_of")
            return True
        subject = f"{self._subject}/{object_id}"
        return self._mischief.roll("looping_edges", subject) is not None

    def _parted(
        self, inputs: Sequence[_T], ids: Sequence[str], silent: str, unanswerable: str
    ) -> tuple[list[_T], list[str]]:
        if self._mischief.roll("empty_batch", self._subject):
            return [], []
        gone = self._always(silent, ids) | self._some("dropped_inputs", ids)
        never = self._always(unanswerable, ids) - gone
        how = self._settings.unanswerable_as
        if never and (how == "error" or (how == "error_alone" and len(ids) == 1)):
            raise internal_error()
        failed = (self._some("failing_inputs", ids) | never) - gone
        answered = [one for place, one in enumerate(inputs) if place not in gone | failed]
        return answered, [ids[place] for place in sorted(failed)]

    def _always(self, part: str, ids: Sequence[str]) -> set[int]:
        """The places of the ids that a part of the settings names."""
        named = self._kind.pick(getattr(self._settings, part))
        places = {place for place, one in enumerate(ids) if one in named} if named else set()
        if places:
            self._mischief.lies.add(part)
        return places

    def _some(self, part: str, ids: Sequence[str]) -> set[int]:
        series = self._mischief.roll(part, self._subject)
        if series is None:
            return set()
        return set(series.sample(range(len(ids)), max(int(len(ids) * _PART), 1)))

    def _with_twin(self, rows: list[Any]) -> list[Any]:
        if not self._settings.repeated_edges or not rows:
            return rows
        series = self._mischief.roll("repeated_edges", f"{self._subject}/{rows[0]}")
        if series is None:
            return rows
        twin = series.choice(rows)
        place = series.randint(0, len(rows))
        return [*rows[:place], twin, *rows[place:]]
