"""A redrive: the rejected actions of an account that were asked for, stream by stream."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync._engine.context import outcome_of
from hubspot_sync._engine.stream.lease import held_lease
from hubspot_sync._engine.stream.rejected import RejectedActions, counted
from hubspot_sync._engine.stream.retry import Retry
from hubspot_sync._ownership import new_owner_name
from hubspot_sync.models import RedriveReport, RetryCounts, StreamKey, StreamRedrive

if TYPE_CHECKING:
    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.models import RejectedSelection


def redrive(context: RunContext, selection: RejectedSelection) -> RedriveReport:
    """Try all rejected actions again that fit *selection*, due or not, and report.

    Raises:
        ConfigurationError: There is no error queue.
        StoreUnavailableError: The error queue stays away; nothing was done.
    """
    started, owner = context.clock.monotonic(), new_owner_name()
    reports = tuple(
        _stream(context, evolve(selection, object_type=object_type), owner)
        for object_type in sorted(counted(context, selection))
    )
    duration = timedelta(seconds=context.clock.monotonic() - started)
    return RedriveReport(account=selection.account, streams=reports, duration=duration)


def _stream(context: RunContext, selection: RejectedSelection, owner: str) -> StreamRedrive:
    stream = StreamKey(selection.account, selection.object_type or "")
    counts = RetryCounts()

    def work() -> None:
        nonlocal counts
        context.check_stop()
        with held_lease(context, stream, owner) as progress:
            rejected = RejectedActions(context, stream)
            retry = Retry(
                context=context, progress=progress, rejected=rejected, stored=progress.load()
            )
            try:
                retry.run(rejected.selected(selection))
            finally:
                counts = retry.counts

    status, error = outcome_of(work, stream, "the redrive")
    return StreamRedrive(stream=stream, status=status, counts=counts, error=error)
