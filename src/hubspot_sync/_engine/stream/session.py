"""One stream's turn: take the lease, try again what was refused, read until it is up to date."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._engine.stream.archived import ArchivedPass
from hubspot_sync._engine.stream.associations import AssociationsPass
from hubspot_sync._engine.stream.batch_maker import MOST_UNREAD
from hubspot_sync._engine.stream.gone import GoneObjects
from hubspot_sync._engine.stream.lease import held_lease
from hubspot_sync._engine.stream.pipeline import Pipeline
from hubspot_sync._engine.stream.rejected import RejectedActions
from hubspot_sync._engine.stream.retry import Retry
from hubspot_sync._windows import (
    archived_due,
    associations_due,
    doubt_left,
    for_reference,
    grounded,
    marked,
    plan_pass,
    with_properties,
)
from hubspot_sync.errors import MissingScopeError, RequestRefusedError
from hubspot_sync.models import (
    Checkpoint,
    Counts,
    Fingerprint,
    Mode,
    Pass,
    PropertiesChanged,
    RetryCounts,
    StreamStarted,
)
from hubspot_sync.models.object_types import is_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import PropertySet, StreamKey, StreamSettings

_logger = logging.getLogger("hubspot_sync")


_NAMED: Final = 5


class StreamSession:
    """Brings one stream up to date.

    Args:
        context: What to work with.
        source: Reads HubSpot.
        stream: The stream.
        wanted: What to read of each record.
        owner: Who takes the lease.
        before_first_write: Called before anything of a new stream is stored.

    Attributes:
        stream: The stream.
        mode: How the first pass finds records; None until that is known.
    """

    def __init__(
        self,
        *,
        context: RunContext,
        source: Source,
        stream: StreamKey,
        wanted: StreamSettings,
        owner: str,
        before_first_write: Callable[[], None],
    ) -> None:
        self._is_reference = is_reference(stream.object_type)
        if self._is_reference:
            context = evolve(context, settings=for_reference(context.settings))
        self._context = context
        self._source = source
        self.stream = stream
        self._wanted = wanted
        self._owner = owner
        self._before_first_write = before_first_write
        self._compared = False
        self._settled: list[GoneObjects] = []
        self._suspected = 0
        self._refused: tuple[str, ...] = ()
        self._rejected = RejectedActions(context, stream)
        self._runs: list[Pipeline] = []
        self._retried: Retry | None = None
        self.mode: Mode | None = None

    @property
    def counts(self) -> Counts:
        """The records settled so far."""
        counts = [one.counts for one in self._runs] + [one.counts for one in self._settled]
        return sum(counts, start=Counts())

    @property
    def unconverted(self) -> Mapping[str, int]:
        """How many values were kept as text so far, by property name."""
        return sum((run.unconverted for run in self._runs), start=Counter())

    @property
    def gaps(self) -> tuple[str, ...]:
        """What the last passes could not read or prove, in words."""
        gaps: tuple[str, ...] = ()
        unread: tuple[str, ...] = ()
        for run in self._runs:
            # What a pass over all records says counts in place of what one before it said.
            gaps = run.gaps if run.is_whole else gaps + run.gaps
            unread = run.unread
        gaps += self._refused
        if self._suspected:
            gaps = (*gaps, self._not_believed())
        if not unread:
            return gaps
        named = ", ".join(unread[:_NAMED]) + (", ..." if len(unread) > _NAMED else "")
        kind = self.stream.object_type
        return (
            *gaps,
            f"{len(unread)} {kind} that could not be read: {named}; later runs ask for them again",
        )

    def _not_believed(self) -> str:
        return (
            f"{self._suspected} {self.stream.object_type} seem to be gone, more than is believed "
            "at once, and the sink was told of none; look at HubSpot, and call "
            "Domain.confirm_deletions if they are"
        )

    @property
    def retried(self) -> RetryCounts:
        """What became of the rejected actions that were due."""
        return RetryCounts() if self._retried is None else self._retried.counts

    def run(self) -> None:
        """Try again what is due, read what an earlier run left over, then up to the present.

        Raises:
            LeaseHeldError: Another worker has the stream.
            HubSpotSyncError: What else ended it.
            StopRequested: The engine was stopped.
        """
        with held_lease(self._context, self.stream, self._owner) as progress:
            self._retry(progress)
            self._read_all(progress)
            self._settle_announced(progress)
            self._look_around(progress)
            self._suspected = progress.load().suspected

    def _read_all(self, progress: Progress) -> None:
        """Read passes until the stream is up to date."""
        while self._pass(progress):
            pass

    def _settle_announced(self, progress: Progress) -> None:
        """Take for delivered what a killed run may have created and no pass came across again.

        It left HubSpot meanwhile, and only of what was delivered can the host be told so.
        """
        checkpoint = progress.load()
        object_ids = sorted(checkpoint.announced.keys() - set(checkpoint.unread))
        if not object_ids:
            return
        known = progress.recall(object_ids).keys() | self._rejected.held(object_ids).keys()
        versions = checkpoint.announced
        left = {one: version for one, version in versions.items() if one in checkpoint.unread}
        taken = [
            Fingerprint(object_id=one, version=versions[one], digest=b"")
            for one in object_ids
            if one not in known
        ]
        progress.commit(evolve(checkpoint, announced=left), taken)
        proved = any(run.is_whole and not run.gaps for run in self._runs)
        self._gone(progress).settle([one.object_id for one in taken], proved=proved)

    def _look_around(self, progress: Progress) -> None:
        """Make the passes over what no search finds, where they are due."""
        present, settings = self._source.server_time(), self._context.settings
        if archived_due(progress.load(), present, settings):
            self._look_for_deletions(progress, present)
        comparison = AssociationsPass(source=self._source, progress=progress, wanted=self._wanted)
        if self._wanted.associations and associations_due(
            progress.load(), present, settings, comparison.calls
        ):
            self._compare_associations(progress, comparison, present)

    def _look_for_deletions(self, progress: Progress, present: datetime) -> None:
        self._announce(Pass(mode=Mode.ARCHIVED, end=present, ranges=()))
        archived = ArchivedPass(
            context=self._context,
            source=self._source,
            progress=progress,
            wanted=self._wanted,
            gone=self._gone(progress),
            rejected=self._rejected,
        )
        try:
            archived.run(present)
        except (MissingScopeError, RequestRefusedError) as error:
            kind = self.stream.object_type
            self._refused = (f"deleted {kind} could not be looked for: {error.message}",)
            progress.note(archived_at=present)
            return
        checkpoint = progress.load()
        unread = tuple(dict.fromkeys((*checkpoint.unread, *archived.back)))
        lacks_proof = archived.lacks_proof or len(unread) > MOST_UNREAD
        if lacks_proof and not self._compared:
            checkpoint = marked(checkpoint, redeliver=False)
        progress.note(unread=unread[:MOST_UNREAD], reconcile_since=checkpoint.reconcile_since)
        if archived.back:
            self._compare_unread(progress, Mode.ARCHIVED)
        if lacks_proof and not self._compared:
            self._read_all(progress)

    def _compare_associations(
        self, progress: Progress, comparison: AssociationsPass, present: datetime
    ) -> None:
        self._announce(Pass(mode=Mode.ASSOCIATIONS, end=present, ranges=()))
        goes_on = True
        while goes_on:
            self._context.check_stop()
            room = MOST_UNREAD - len(progress.load().unread)
            if room <= 0:
                return
            goes_on = comparison.step(present, room)
            if progress.load().unread:
                self._compare_unread(progress, Mode.ASSOCIATIONS)

    def _announce(self, reading: Pass, *, resumed: bool = False) -> None:
        self._context.notify(
            StreamStarted(stream=self.stream, mode=reading.mode, reading=reading, resumed=resumed)
        )

    def _compare_unread(self, progress: Progress, mode: Mode) -> None:
        """Read what the checkpoint names by id, and deliver what differs."""
        reading = Pass(mode=mode, end=self._source.server_time(), ranges=())
        self._read(progress, progress.load(), reading, resumed=False, ask_unread=True)

    def _gone(self, progress: Progress) -> GoneObjects:
        gone = GoneObjects(
            context=self._context,
            source=self._source,
            progress=progress,
            wanted=self._wanted,
            rejected=self._rejected,
        )
        self._settled.append(gone)
        return gone

    def _settle_missing(self, progress: Progress, run: Pipeline) -> None:
        """Ask for what a pass over all records did not come across, by ids."""
        gone = self._gone(progress)
        gone.settle(run.missing, proved=not run.gaps)
        gone.conclude()

    def _retry(self, progress: Progress) -> None:
        """Try again what was rejected before and is due."""
        self._rejected.look()
        if not self._rejected.may_hold:
            return
        checkpoint = progress.load()
        # A sink that was emptied is told of creations first, by the pass that delivers all again.
        if checkpoint.redeliver:
            return
        self._retried = Retry(
            context=self._context,
            progress=progress,
            rejected=self._rejected,
            stored=checkpoint,
        )
        self._retried.run(self._rejected.due())

    def _pass(self, progress: Progress) -> bool:
        """Read one pass; whether it does not lead up to the present, so that another is due."""
        self._context.check_stop()
        checkpoint = progress.load()
        if checkpoint == Checkpoint():
            self._before_first_write()
        present = self._source.server_time()
        checkpoint = self._grounded(progress, checkpoint, present)
        reading = plan_pass(checkpoint, present, self._context.settings, compared=self._compared)
        if self._is_reference and reading.mode is Mode.INCREMENTAL:  # nothing is due
            self.mode = self.mode or reading.mode
            return False
        resumed = reading is checkpoint.reading
        if not resumed:
            before = checkpoint.properties
            properties = self._source.properties(self._wanted, before)
            _tell_of_changes(self._context, self.stream, before, properties)
            reading = with_properties(checkpoint, reading, properties, present)
            self._compared |= reading.mode is not Mode.INCREMENTAL
        checkpoint = evolve(
            checkpoint,
            reading=reading if resumed else None,
            doubtful_until=present if resumed else doubt_left(checkpoint, reading),
        )
        self.mode = self.mode or reading.mode
        run = self._read(progress, checkpoint, reading, resumed=resumed, ask_unread=not self._runs)
        if reading.mode is Mode.RECONCILE:
            self._settle_missing(progress, run)
        return resumed or run.began_too_late or reading.mode is Mode.RECONCILE

    def _read(
        self,
        progress: Progress,
        checkpoint: Checkpoint,
        reading: Pass,
        *,
        resumed: bool,
        ask_unread: bool,
    ) -> Pipeline:
        """Read *reading*, process it and store what it brings."""
        if reading.ranges:
            self._announce(reading, resumed=resumed)
        run = Pipeline(
            context=self._context,
            source=self._source,
            progress=progress,
            wanted=self._wanted,
            checkpoint=checkpoint,
            reading=reading,
            resumed=resumed,
            rejected=self._rejected,
            ask_unread=ask_unread,
        )
        self._runs.append(run)
        run.run()
        return run

    def _grounded(
        self, progress: Progress, checkpoint: Checkpoint, present: datetime
    ) -> Checkpoint:
        """*checkpoint* with nothing in HubSpot's future; what changes is stored first."""
        latest = partial(self._source.server_time, latest=True)
        after = grounded(checkpoint, present, latest, self._context.settings)
        if after != checkpoint:
            _logger.warning(
                "%s: what is stored of its progress lies in HubSpot's future (high-water mark %s, "
                "and at HubSpot it is %s), so a clock was wrong; what that may have hidden is read",
                self.stream,
                checkpoint.high_water_mark,
                present,
            )
            progress.commit(after)
        return after


def _tell_of_changes(
    context: RunContext, stream: StreamKey, before: PropertySet | None, now: PropertySet
) -> None:
    """Tell observers what has become of the properties that HubSpot lists."""
    if before is None or before.types == now.types:
        return
    context.notify(
        PropertiesChanged(
            stream=stream,
            appeared=tuple(sorted(now.types.keys() - before.types.keys())),
            vanished=tuple(sorted(before.types.keys() - now.types.keys())),
            retyped={
                name: (before.types[name], kind)
                for name, kind in sorted(now.types.items())
                if before.types.get(name, kind) != kind
            },
        )
    )
