"""The archived pass: what was deleted or restored, for the price of one call where nothing was.

Search counts the records of a stream, and the fingerprints say how many the host has. Where the two
agree, nothing went. Else the list of deleted records says which, if it is short; if not, halving
by ids finds where the counts differ, and what lies there is read by its ids.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from hubspot_sync._actions import is_gone
from hubspot_sync.models import Gone, IdRange, Mode, Pass
from hubspot_sync.models._checks import EPOCH
from hubspot_sync.models.checkpoints import ListedSpan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.gone import GoneObjects
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync._engine.stream.rejected import RejectedActions
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import Fingerprint, StreamSettings

# As many pages of the list of deleted records are read in one run.
_PAGES: Final = 5
_BROWSED: Final = 2_000
# So few are read by their ids: a call for 100 of them says more than another count.
_FEW: Final = 25
# Counts that a search for differences takes at most, and so many more for each record; a
# reconcile pass finds the rest.
_CALLS: Final = 30
_CALLS_A_RECORD: Final = 1 / 400
_MOST_DIFFERENCES: Final = 200
# The highest number that all stores know.
_BEYOND: Final = 2**63 - 1


@frozen(kw_only=True)
class Span:
    """A range of ids between two others, and what was delivered of it.

    Attributes:
        after: The id that it begins behind; None for the lowest.
        until: The id that it ends before; None for the highest.
        there: How many objects are there, as far as the sink was told.
        known: The fingerprints, where they are few.
    """

    after: str | None
    until: str | None
    there: int
    known: tuple[Fingerprint, ...] = ()

    @property
    def first(self) -> int:
        """The lowest id that it can hold."""
        return 0 if self.after is None else int(self.after) + 1

    @property
    def end(self) -> int:
        """The id at which it ends, itself not part of it."""
        return _BEYOND if self.until is None else int(self.until)


class ArchivedPass:
    """Looks once for records of a stream that were deleted or restored.

    Args:
        context: The settings, and the stop signal.
        source: Reads HubSpot.
        progress: What was delivered.
        wanted: What is read of each record.
        gone: Tells of what is gone.
        rejected: Knows what waits in the error queue.

    Attributes:
        back: Records that are there and were not, or were never delivered, by id.
        lacks_proof: Whether something differs that only a pass over all records can settle.
    """

    def __init__(
        self,
        *,
        context: RunContext,
        source: Source,
        progress: Progress,
        wanted: StreamSettings,
        gone: GoneObjects,
        rejected: RejectedActions,
    ) -> None:
        self._context = context
        self._source = source
        self._progress = progress
        self._wanted = wanted
        self._gone = gone
        self._rejected = rejected
        self._differences: list[ListedSpan] = []
        self._calls = 0
        self.back: list[str] = []
        self.lacks_proof = False

    def run(self, present: datetime) -> None:
        """Look, tell the host of what is gone, and keep what was found in the checkpoint.

        Raises:
            HubSpotSyncError: HubSpot or a store could not be asked.
            StopRequested: The run was stopped.
        """
        before = self._progress.load()
        self._differences = list(before.differences)
        there, after, suspected = self._source.count(self._wanted), None, before.suspected
        expected = self._progress.count() + self._explained(0, _BEYOND)
        if there == expected:
            suspected = suspected if self._differences else 0
        elif there is None or not self._source.sees_all():
            # What a user may not see is missing from every count.
            after = self._listed(before.archived_after)
        elif self._gone.believes(expected - there):
            self._listed(None)
            self._narrow(there)
        self._progress.commit(
            evolve(
                self._progress.load(),
                archived_at=present,
                archived_after=after,
                differences=_merged(self._differences),
                suspected=self._gone.suspected or suspected,
            )
        )

    def _listed(self, after: str | None) -> str | None:
        """Read some of the list of deleted records; where it goes on, or None at its end."""
        found: list[str] = []
        for page in islice(self._source.archived(self._wanted, after), _PAGES):
            self._context.check_stop()
            known = self._progress.recall(list(page.deleted))
            found += [one for one, delivered in known.items() if not is_gone(delivered)]
            after = page.after
        self._gone.settle(found, proved=False)
        return after

    def _narrow(self, there: int) -> None:
        """Find the ranges of ids in which HubSpot has more or less than was delivered."""
        spans = list(self._spans())
        self._calls = _CALLS + int(_CALLS_A_RECORD * sum(one.there for one in spans))
        leaves: list[tuple[Span, int]] = []
        for span, counted in self._differing(spans, there):
            leaves += self._differing(list(self._pieces(span)), counted)
        self._settle(leaves)
        self.lacks_proof |= self._calls <= 0

    def _spans(self) -> Iterator[Span]:
        after: str | None = None
        while True:
            page = self._progress.browse(limit=_BROWSED, after=after)
            there = sum(not is_gone(one) for one in page)
            if len(page) < _BROWSED:
                yield Span(after=after, until=None, there=there)
                return
            last = page[-1].object_id
            yield Span(after=after, until=str(int(last) + 1), there=there)
            after = last

    def _pieces(self, span: Span) -> Iterator[Span]:
        """*span* in pieces of a few fingerprints each."""
        known = self._progress.browse(limit=_BROWSED, after=span.after, until=span.until)
        after = span.after
        for start in range(0, max(len(known), 1), _FEW):
            some = tuple(known[start : start + _FEW])
            is_last = start + _FEW >= len(known)
            until = span.until if is_last else str(int(some[-1].object_id) + 1)
            there = sum(not is_gone(one) for one in some)
            yield Span(after=after, until=until, there=there, known=some)
            after = some[-1].object_id if some else None

    def _differing(self, spans: Sequence[Span], there: int) -> Iterator[tuple[Span, int]]:
        """Those of *spans*, which follow each other, in which counts differ, with HubSpot's."""
        groups = [(spans, there)]
        while groups:
            some, counted = groups.pop()
            first, last = some[0], some[-1]
            delivered = sum(one.there for one in some)
            if counted == delivered + self._explained(first.first, last.end):
                continue
            if len(some) == 1:
                yield first, counted
                continue
            self._context.check_stop()
            if self._calls <= 0:
                return
            middle = len(some) // 2
            self._calls -= 1
            lower = self._source.count(
                self._wanted, after=first.after, until=some[middle - 1].until
            )
            if lower is not None:
                groups += [(some[middle:], counted - lower), (some[:middle], lower)]

    def _settle(self, leaves: Sequence[tuple[Span, int]]) -> None:
        """Ask for what lies in *leaves* by ids, and keep what differs in them for a reason."""
        known = {one.object_id: one for leaf, _ in leaves for one in leaf.known}
        findings = self._gone.settle(
            [object_id for object_id, one in known.items() if not is_gone(one)], proved=False
        )
        if self._gone.suspected:
            return
        back = self._gone.returned(
            [object_id for object_id, one in known.items() if one.gone is Gone.DELETED]
        )
        self.back += back
        self.lacks_proof |= bool(findings.traceless)
        gone = {end.object_id for end in findings.ends}
        for leaf, counted in leaves:
            delivered = sum(not is_gone(one) and one.object_id not in gone for one in leaf.known)
            returned = sum(one.object_id in back for one in leaf.known)
            left = counted - delivered - returned
            new = self._never_delivered(leaf) if left > 0 else []
            self.back += new
            self._explain(leaf, left - len(new))

    def _never_delivered(self, leaf: Span) -> list[str]:
        """Records in *leaf* that the host was never told of, by reading the list of it."""
        # The list begins with the id that it is given.
        listed = IdRange(after=str(leaf.first), until=leaf.until, listed=True)
        present = self._source.server_time()
        reading = Pass(mode=Mode.INCREMENTAL, start=EPOCH, end=present, ranges=(listed,))
        pages = self._source.read(self._wanted, reading)
        found = [record.object_id for page in pages for record in page.records]
        known = self._progress.recall(found)
        held = self._rejected.held(found)
        return [one for one in found if one not in known and one not in held]

    def _explained(self, first: int, end: int) -> int:
        """How many records more HubSpot is known to have in a range."""
        return sum(one.rows for one in self._differences if first <= one.first < end)

    def _explain(self, leaf: Span, rows: int) -> None:
        self._differences = [
            one for one in self._differences if not leaf.first <= one.first < leaf.end
        ]
        if rows:
            self._differences.append(ListedSpan(leaf.first, leaf.end, rows))


def _merged(differences: Sequence[ListedSpan]) -> tuple[ListedSpan, ...]:
    """*differences* in order, neighbours together where they are too many."""
    spans = sorted(differences)
    while len(spans) > _MOST_DIFFERENCES:
        pairs = [spans[at : at + 2] for at in range(0, len(spans), 2)]
        spans = [ListedSpan(one[0].first, one[-1].end, sum(o.rows for o in one)) for one in pairs]
    return tuple(spans)
