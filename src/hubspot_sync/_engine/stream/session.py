"""One stream's turn: take the lease, try again what was refused, read until it is up to date."""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._engine.stream.delivery import Delivery
from hubspot_sync._engine.stream.lease import held_lease
from hubspot_sync._engine.stream.pipeline import Pipeline
from hubspot_sync._engine.stream.rejected import RejectedActions
from hubspot_sync._windows import doubt_left, grounded, plan_pass, with_properties
from hubspot_sync.models import (
    Checkpoint,
    Counts,
    Mode,
    PropertiesChanged,
    RetryCounts,
    StreamStarted,
)

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
        self._context = context
        self._source = source
        self.stream = stream
        self._wanted = wanted
        self._owner = owner
        self._before_first_write = before_first_write
        self._compared = False
        self._rejected = RejectedActions(context, stream)
        self._runs: list[Pipeline] = []
        self._retries: Delivery | None = None
        self.mode: Mode | None = None

    @property
    def counts(self) -> Counts:
        """The records settled so far."""
        return sum((run.counts for run in self._runs), start=Counts())

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
        if not unread:
            return gaps
        named = ", ".join(unread[:_NAMED]) + (", ..." if len(unread) > _NAMED else "")
        kind = self.stream.object_type
        return (
            *gaps,
            f"{len(unread)} {kind} that could not be read: {named}; later runs ask for them again",
        )

    @property
    def retried(self) -> RetryCounts:
        """What became of the rejected actions that were due."""
        return RetryCounts() if self._retries is None else self._retries.retried

    def run(self) -> None:
        """Try again what is due, read what an earlier run left over, then up to the present.

        Raises:
            LeaseHeldError: Another worker has the stream.
            HubSpotSyncError: What else ended it.
            StopRequested: The engine was stopped.
        """
        with held_lease(self._context, self.stream, self._owner) as progress:
            self._retry(progress)
            while self._pass(progress):
                pass

    def _retry(self, progress: Progress) -> None:
        """Try again what was rejected before and is due."""
        self._rejected.look()
        if not self._rejected.may_hold:
            return
        checkpoint = progress.load()
        # A sink that was emptied is told of creations first, by the pass that delivers all again.
        if checkpoint.redeliver:
            return
        self._retries = Delivery(
            context=self._context,
            progress=progress,
            rejected=self._rejected,
            stored=checkpoint,
            begun=True,
        )
        for waiting in self._rejected.due():
            self._retries.retry(waiting)

    def _pass(self, progress: Progress) -> bool:
        """Read one pass; whether it does not lead up to the present, so that another is due."""
        self._context.check_stop()
        checkpoint = progress.load()
        if checkpoint == Checkpoint():
            self._before_first_write()
        present = self._source.server_time()
        checkpoint = self._grounded(progress, checkpoint, present)
        reading = plan_pass(checkpoint, present, self._context.settings, compared=self._compared)
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
        self._context.notify(
            StreamStarted(stream=self.stream, mode=reading.mode, reading=reading, resumed=resumed)
        )
        run = Pipeline(
            context=self._context,
            source=self._source,
            progress=progress,
            wanted=self._wanted,
            checkpoint=checkpoint,
            reading=reading,
            resumed=resumed,
            rejected=self._rejected,
            ask_unread=not self._runs,
        )
        self._runs.append(run)
        run.run()
        return resumed or run.began_too_late or reading.mode is Mode.RECONCILE

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
