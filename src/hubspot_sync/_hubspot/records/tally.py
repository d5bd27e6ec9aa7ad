"""How many records a walk of the list found, by ranges of ids: what the proof of it needs.

What was listed in order of ids is counted by spans of ids, few enough to stand in a checkpoint.
What was listed in no order may come twice, so there the ids themselves are kept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from typing import TYPE_CHECKING, Final

from hubspot_sync.models import ListedSpan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hubspot_sync.models import Page

# A difference is narrowed down to one of these; 256 in a checkpoint are a few kilobytes.
_SPANS: Final = 256
# Eight bytes each. An account with more records whose list is unordered is not proved.
_MOST_IDS: Final = 2_000_000
_SORTED_AT: Final = 100_000
# The highest ids are those of the newest records, which search may not know yet.
_NEWEST: Final = 1_000


class Tally:
    """Counts what a walk lists; not for several threads at once.

    Args:
        listed: What earlier runs of the same pass have listed; None where that is not known.
    """

    def __init__(self, listed: Sequence[ListedSpan] | None = ()) -> None:
        self.known = listed is not None
        self._spans = list(listed or ())
        self._ids: array[int] | None = None
        self._sorted = 0
        self._newest: list[int] = []

    @property
    def listed(self) -> tuple[ListedSpan, ...] | None:
        """What is to be kept in the checkpoint; None where a later run could not go on with it."""
        return tuple(self._spans) if self.known and self._ids is None else None

    @property
    def by_id(self) -> bool:
        """Whether the ids themselves are known."""
        return self._ids is not None

    def add(self, page: Page) -> None:
        """Count the rows of *page*, which has no more in `listed` than itself."""
        if not self.known:
            return
        if page.listed is None:
            self._add_ids(row_ids(page))
            return
        for span in page.listed:
            insort(self._spans, span)
        end = page.listed[-1].end if page.listed else 0
        if len(self._newest) < _NEWEST or end > self._newest[0]:
            self._newest = sorted((*self._newest, *row_ids(page)))[-_NEWEST:]
        if len(self._spans) > _SPANS:
            self._merge()

    @property
    def end(self) -> int:
        """No record that was listed has this id or a higher one."""
        return max((span.end for span in self._spans), default=0)

    def begin_again(self) -> None:
        """Forget everything: the list is read once more from its beginning."""
        self.known = True
        self._spans, self._ids, self._sorted, self._newest = [], None, 0, []

    def above(self, object_id: int, span: ListedSpan) -> int:
        """How many records of *span* with higher ids were listed, as far as that is known."""
        ids = self._newest if self._ids is None else self._distinct()
        lowest = max(bisect_right(ids, object_id), bisect_left(ids, span.first))
        return max(bisect_left(ids, span.end) - lowest, 0)

    def spans(self) -> list[ListedSpan]:
        """All that was listed, in order of ids; they follow each other without gaps."""
        if self._ids is None:
            return self._spans
        ids = self._distinct()
        size = max(-(-len(ids) // _SPANS), 1)
        starts = [0, *ids[size::size]]
        ends = [*starts[1:], ids[-1] + 1 if ids else 0]
        return [
            ListedSpan(first, end, bisect_left(ids, end) - bisect_left(ids, first))
            for first, end in zip(starts, ends, strict=True)
        ]

    def ids_in(self, span: ListedSpan) -> set[int]:
        """The ids that were listed of *span*, where `by_id` is true."""
        ids = self._distinct()
        return set(ids[bisect_left(ids, span.first) : bisect_left(ids, span.end)])

    def forget(self, span: ListedSpan) -> None:
        """Count nothing of *span*, which is listed again."""
        self._spans.remove(span)

    def _add_ids(self, ids: Iterable[int]) -> None:
        if self._ids is None:
            self._ids = array("q")
        self._ids.extend(ids)
        if len(self._ids) > self._sorted + _SORTED_AT:
            self._distinct()
        if len(self._ids) > _MOST_IDS:
            self.known = False

    def _distinct(self) -> array[int]:
        ids = self._ids if self._ids is not None else array("q")
        if len(ids) != self._sorted:
            ids = array("q", sorted(set(ids)))
            self._ids, self._sorted = ids, len(ids)
        return ids

    def _merge(self) -> None:
        """Make one of the two neighbours that hold the fewest records together."""
        spans = self._spans
        neighbours = [
            index for index in range(len(spans) - 1) if spans[index].end == spans[index + 1].first
        ]
        if not neighbours:
            return
        index = min(neighbours, key=lambda one: spans[one].rows + spans[one + 1].rows)
        lower, upper = spans[index], spans[index + 1]
        spans[index : index + 2] = [ListedSpan(lower.first, upper.end, lower.rows + upper.rows)]


def row_ids(page: Page) -> set[int]:
    """The ids of the rows of *page*, also of those that are no usable records."""
    ids = {int(record.object_id) for record in page.records}
    names = (row.object_id or "" for row in page.skipped)
    ids.update(int(name) for name in names if name.isascii() and name.isdigit())
    return ids
