"""A redrive on demand: the failures of an account, stream by stream."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.leases import held_lease
from hubspot_sync._engine.outcomes import outcome_of
from hubspot_sync._engine.redelivery import Redelivery
from hubspot_sync._engine.refusals import Refusals
from hubspot_sync.models import RedriveReport, RetryCounts, StreamKey, StreamRedrive

if TYPE_CHECKING:
    from hubspot_sync._engine.parts import StoringParts
    from hubspot_sync.interfaces import ErrorQueue
    from hubspot_sync.models import RejectedSelection


class AccountRedrive:
    """Tries failures of one account again.

    Args:
        parts: What storing takes.
        queue: Where the failures are.
        selection: Which of them.
        owner: Who takes the leases.
    """

    def __init__(
        self, *, parts: StoringParts, queue: ErrorQueue, selection: RejectedSelection, owner: str
    ) -> None:
        self._parts = parts
        self._queue = queue
        self._selection = selection
        self._owner = owner

    def run(self) -> RedriveReport:
        """Try all that fit, and report.

        Raises:
            StoreUnavailableError: The error queue stays away; nothing was done.
        """
        started = self._parts.clock.monotonic()
        account = self._selection.account
        waiting = self._parts.patience.begin(
            account, "the error queue", lambda: self._queue.count(self._selection)
        )
        reports = tuple(
            self._stream(StreamKey(account, object_type)) for object_type in sorted(waiting)
        )
        duration = timedelta(seconds=self._parts.clock.monotonic() - started)
        return RedriveReport(account=account, streams=reports, duration=duration)

    def _stream(self, stream: StreamKey) -> StreamRedrive:
        counts: list[RetryCounts] = []
        status, error = outcome_of(lambda: self._redrive(stream, counts), stream, "the redrive")
        total = sum(counts, start=RetryCounts())
        return StreamRedrive(stream=stream, status=status, counts=total, error=error)

    def _redrive(self, stream: StreamKey, counts: list[RetryCounts]) -> None:
        if self._parts.stop.is_set():
            raise StopRequested
        with held_lease(self._parts, stream, self._owner) as lease:
            redelivery = Redelivery(
                parts=self._parts,
                lease=lease,
                queue=self._queue,
                refusals=Refusals(self._parts, stream),
            )
            try:
                redelivery.redrive(evolve(self._selection, object_type=stream.object_type))
            finally:
                counts.append(redelivery.counts)
