"""One stream's turn: take the lease, see how far it is, and read until it is up to date."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.lease_keeper import LeaseKeeper
from hubspot_sync._engine.stream_run import StreamRun
from hubspot_sync._ownership import is_dead
from hubspot_sync._windows import plan_pass
from hubspot_sync.errors import LeaseHeldError
from hubspot_sync.models import Checkpoint, Counts, StreamStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubspot_sync._engine.stream_run import Parts
    from hubspot_sync.models import Lease, Mode, StreamKey, StreamSettings

_logger = logging.getLogger("hubspot_sync")


class StreamSession:
    """Brings one stream up to date.

    Args:
        parts: What to work with.
        stream: The stream.
        wanted: What to read of each record.
        owner: Who takes the lease.
        before_first_write: Called before anything of a new stream is stored.

    Attributes:
        mode: How records are found; None until that is known.
    """

    def __init__(
        self,
        *,
        parts: Parts,
        stream: StreamKey,
        wanted: StreamSettings,
        owner: str,
        before_first_write: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._stream = stream
        self._wanted = wanted
        self._owner = owner
        self._before_first_write = before_first_write
        self._runs: list[StreamRun] = []
        self.mode: Mode | None = None

    @property
    def counts(self) -> Counts:
        """The records settled so far."""
        return sum((run.counts for run in self._runs), start=Counts())

    @property
    def unconverted(self) -> Mapping[str, int]:
        """How many values were kept as text so far, by property name."""
        return sum((run.unconverted for run in self._runs), start=Counter())

    def run(self) -> None:
        """Read what an earlier run left over, if it did, and then up to the present.

        Raises:
            LeaseHeldError: Another worker has the stream.
            HubSpotSyncError: What else ended it.
            StopRequested: The engine was stopped.
        """
        lease = self._acquire()
        with LeaseKeeper(self._parts.checkpointer, lease, self._parts.settings.lease_duration):
            while self._pass(lease):
                pass

    def _pass(self, lease: Lease) -> bool:
        """Read one pass; whether an earlier run had begun it, so that another one is due."""
        if self._parts.stop.is_set():
            raise StopRequested
        checkpoint = self._parts.checkpointer.load(self._stream)
        if checkpoint == Checkpoint():
            self._before_first_write()
        reading = plan_pass(checkpoint, self._parts.source.server_time(), self._parts.settings)
        resumed = checkpoint.reading is not None
        self.mode = self.mode or reading.mode
        self._parts.notify(
            StreamStarted(stream=self._stream, mode=reading.mode, reading=reading, resumed=resumed)
        )
        run = StreamRun(
            parts=self._parts,
            lease=lease,
            wanted=self._wanted,
            checkpoint=checkpoint,
            reading=reading,
        )
        self._runs.append(run)
        run.run()
        return resumed

    def _acquire(self) -> Lease:
        """Take the lease, at once also from a worker of this machine that was killed."""
        duration = self._parts.settings.lease_duration
        try:
            return self._parts.checkpointer.acquire(self._stream, self._owner, duration)
        except LeaseHeldError as held:
            if not is_dead(held.owner):
                raise
            _logger.info("%s: taking over from a worker that was killed", self._stream)
            return self._parts.checkpointer.acquire(
                self._stream, self._owner, duration, evict=held.owner
            )
