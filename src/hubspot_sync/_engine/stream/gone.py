"""Objects that seem to be gone: what became of them, and whether the host is told.

Inventing a deletion is worse than missing one. So an object that is missing somewhere is asked for
by its id, and counts as deleted only where HubSpot has it among the archived ones, or where a
complete pass lacked it too and the credentials show all of the account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import Factory, define, field, frozen

from hubspot_sync._actions import End, ends_of, is_gone, to_ends
from hubspot_sync._engine.stream.batch import Batch
from hubspot_sync._engine.stream.delivery import Delivery
from hubspot_sync.models import (
    ActionKind,
    Counts,
    DeletionsSuspected,
    Evidence,
    to_milliseconds,
)
from hubspot_sync.models.checkpoints import NO_END

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync._engine.stream.rejected import RejectedActions
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import Fingerprint, Page, Presence, StreamSettings

_AT_ONCE: Final = 100
_BROWSED: Final = 1_000
# More of one stream than memory should hold; who asks for them by id finds the others later.
_MOST_MISSING: Final = 100_000
# As many may be gone at once in any stream, without a trace and in all.
_FEW: Final = 20
_MANY: Final = 1_000
_ALL: Final = 0.5


class Missing:
    """Delivered objects that the pages of a pass over all records lack.

    Args:
        progress: What was delivered.
        object_ids: Those that the pass lacked in earlier runs.

    Attributes:
        object_ids: Their ids.
    """

    def __init__(self, progress: Progress, object_ids: Iterable[str] = ()) -> None:
        self._progress = progress
        self.object_ids = list(object_ids)

    def look(self, pages: Sequence[Page]) -> None:
        """Compare *pages* with what was delivered of the ids that they cover."""
        listed: set[str | None] = {one.object_id for page in pages for one in page.records}
        listed.update(one.object_id for page in pages for one in page.skipped)
        for first, end in _ranges(pages):
            after = str(first - 1) if first > 0 else None
            until = str(end) if end < NO_END else None
            for one in _delivered(self._progress, after, until):
                if one.object_id not in listed and len(self.object_ids) < _MOST_MISSING:
                    self.object_ids.append(one.object_id)


def _ranges(pages: Sequence[Page]) -> Iterator[tuple[int, int]]:
    """What *pages* cover; what belongs together as one range."""
    spans = sorted(page.covered for page in pages if page.covered is not None)
    for first, end in _joined([(one.first, one.end) for one in spans]):
        if first < end:
            yield first, end


def _joined(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    if not spans:
        return
    first, end = spans[0]
    for one in spans[1:]:
        if one[0] <= end:
            end = max(end, one[1])
        else:
            yield first, end
            first, end = one
    yield first, end


def _delivered(progress: Progress, after: str | None, until: str | None) -> Iterator[Fingerprint]:
    """The fingerprints of a range whose objects are there, as far as the sink knows."""
    while True:
        page = progress.browse(limit=_BROWSED, after=after, until=until)
        yield from (one for one in page if not is_gone(one))
        if len(page) < _BROWSED:
            return
        after = page[-1].object_id


@define
class Findings:
    """What reads by id said.

    Attributes:
        ends: How objects left HubSpot, where it says so.
        traceless: Those that it has nowhere.
        there: Those that are there.
    """

    ends: list[End] = Factory(list)
    traceless: list[str] = Factory(list)
    there: set[str] = Factory(set)

    def add(self, presence: Presence) -> None:
        """Sort what one read says; what HubSpot did not answer for is in no part of it."""
        self.there.update(record.object_id for record in presence.page.records)
        self.ends += ends_of(presence)
        self.traceless += presence.gone


@frozen
class _Bounds:
    """How many objects may be gone at once: without a trace, and in all."""

    traceless: int = field()
    all: int = field()


class GoneObjects:
    """Finds out what became of objects of one stream that seem to be gone, and tells the host.

    Args:
        context: The sink and the settings.
        source: Reads HubSpot.
        progress: What was delivered, and the right to commit.
        wanted: What is read of each record.
        rejected: Takes the actions that are rejected.

    Attributes:
        counts: What became of the actions.
        suspected: How many objects were found to be more than is believed; 0 for none.
    """

    def __init__(
        self,
        *,
        context: RunContext,
        source: Source,
        progress: Progress,
        wanted: StreamSettings,
        rejected: RejectedActions,
    ) -> None:
        self._context = context
        self._source = source
        self._progress = progress
        self._wanted = wanted
        self._rejected = rejected
        self.counts = Counts()
        self.suspected = 0

    def settle(self, object_ids: Sequence[str], *, proved: bool) -> Findings:
        """Ask for *object_ids* one by one, and tell the host of those that are gone.

        Args:
            object_ids: Objects that were delivered.
            proved: Whether a complete pass over all records lacked them; otherwise those that
                HubSpot has nowhere are left as they are.

        Returns:
            What HubSpot said; it has no ends where they were too many to be believed.

        Raises:
            HubSpotSyncError: HubSpot or a store could not be asked.
            StopRequested: The run was stopped.
        """
        findings = Findings()
        if not object_ids:
            return findings
        bounds = self._bounds()
        for chunk in _chunks(object_ids):
            self._context.check_stop()
            findings.add(self._source.find(self._wanted, chunk))
            if len(findings.traceless) > bounds.traceless:
                break
        traceless = findings.traceless if proved else []
        if traceless and not self._source.sees_all():
            traceless = []
        gone = len(findings.ends) + len(traceless)
        if len(traceless) > bounds.traceless or gone > bounds.all:
            self._suspect(gone, bounds)
            findings.ends.clear()
            return findings
        findings.ends += [
            End(object_id=one, kind=ActionKind.DELETED, evidence=Evidence.ABSENT)
            for one in traceless
        ]
        if traceless:
            findings.traceless.clear()
        self._tell(findings.ends)
        return findings

    def returned(self, object_ids: Sequence[str]) -> set[str]:
        """Which of *object_ids*, that were deleted, are there again.

        Raises:
            HubSpotSyncError: HubSpot could not be asked.
            StopRequested: The run was stopped.
        """
        findings = Findings()
        for chunk in _chunks(object_ids):
            self._context.check_stop()
            findings.add(self._source.find(self._wanted, chunk))
        return findings.there

    def _bounds(self) -> _Bounds:
        there = self._progress.count()
        if self._progress.load().confirmed:
            return _Bounds(there, there)
        share = self._context.settings.max_gone_share
        return _Bounds(max(_FEW, int(share * there)), max(_MANY, int(_ALL * there)))

    def believes(self, gone: int) -> bool:
        """Whether so many may be gone at once; if not, they are suspected."""
        bounds = self._bounds()
        if gone <= bounds.all:
            return True
        self._suspect(gone, bounds)
        return False

    def _suspect(self, gone: int, bounds: _Bounds) -> None:
        self.suspected = max(self.suspected, gone)
        self._context.notify(
            DeletionsSuspected(
                stream=self._progress.stream, gone=gone, bound=min(bounds.traceless, bounds.all)
            )
        )

    def _tell(self, ends: Sequence[End]) -> None:
        """Deliver *ends* in batches, each committed by itself."""
        if not ends:
            return
        delivery = Delivery(
            context=self._context,
            progress=self._progress,
            rejected=self._rejected,
            stored=self._progress.load(),
            begun=True,
        )
        try:
            deliver_ends(
                delivery,
                ends,
                context=self._context,
                progress=self._progress,
                rejected=self._rejected,
                looked=to_milliseconds(self._source.server_time()),
                label=self._source.label(self._progress.stream.object_type),
            )
        finally:
            self.counts += delivery.counts

    def conclude(self) -> None:
        """Keep in the checkpoint how many are suspected, once a whole pass was settled."""
        self._progress.note(suspected=self.suspected, confirmed=False)


def deliver_ends(
    delivery: Delivery,
    ends: Sequence[End],
    *,
    context: RunContext,
    progress: Progress,
    rejected: RejectedActions,
    looked: int,
    label: str | None,
) -> None:
    """Deliver *ends* in batches, each committed by itself; nothing is told twice.

    Args:
        delivery: Stores the batches.
        ends: Each object at most once.
        context: The settings.
        progress: What was delivered.
        rejected: What waits in the error queue.
        looked: When the objects were looked for, in milliseconds since 1970.
        label: What people call one of the objects, for custom types.
    """
    checkpoint, size = progress.load(), context.settings.batch_size
    for start in range(0, len(ends), size):
        context.check_stop()
        some = ends[start : start + size]
        object_ids = [one.object_id for one in some]
        queued = rejected.held(object_ids)
        outcome = to_ends(
            progress.stream,
            some,
            progress.recall(object_ids),
            queued=queued,
            looked=looked,
            label=label,
        )
        delivery.store(
            Batch(
                actions=outcome.actions,
                fingerprints=outcome.fingerprints,
                settled=outcome.counts,
                checkpoint=checkpoint,
                before=checkpoint,
                outdated={
                    one.object_id: one.version for one in outcome.actions if one.object_id in queued
                },
            )
        )


def _chunks(object_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(object_ids), _AT_ONCE):
        yield object_ids[start : start + _AT_ONCE]
