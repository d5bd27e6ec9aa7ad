"""A demand to compare all records of an account, kept until each of its streams has met it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.leases import held_lease
from hubspot_sync._windows import after_all_passes, demanded, grounded, put_off
from hubspot_sync.errors import HubSpotSyncError, LeaseHeldError
from hubspot_sync.models import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from hubspot_sync._engine.parts import Parts
    from hubspot_sync.models import StreamKey

_logger = logging.getLogger("hubspot_sync")


class ReconcileDemand:
    """Writes into the checkpoints that all records are to be compared.

    So whatever cuts the run off, a later one knows what is left to do, and who asks again before
    that is done asks for the same.

    Args:
        parts: What to work with.
        streams: The streams of the account.
        owner: Who takes the leases.
    """

    def __init__(self, *, parts: Parts, streams: Sequence[StreamKey], owner: str) -> None:
        self._parts = parts
        self._streams = streams
        self._owner = owner

    def make(self) -> datetime:
        """Since when a pass over all records has to end, by HubSpot's time; what is new has none.

        Raises:
            HubSpotSyncError: A store stayed away, or HubSpot does not say what time it is.
            StopRequested: The run was stopped.
        """
        present = self._parts.source.server_time()
        checkpoints = self._checkpoints(present)
        since = min(
            (one.reconcile_since for one in checkpoints.values() if one.reconcile_since),
            default=None,
        )
        if since is None:
            since = after_all_passes(checkpoints.values(), present)
        for stream, checkpoint in checkpoints.items():
            if self._lacks(checkpoint, since):
                self._change(stream, lambda before: demanded(before, since))
        return since

    def put_off(self, failed: Sequence[StreamKey]) -> None:
        """Move the demand of streams that could not begin their pass behind what the others did.

        As for want of a scope, which may last. Who asks again would ask for the same else, and the
        others, which are done with that, would be compared no more until then.

        Args:
            failed: Streams that failed for reasons of their own.
        """
        try:
            present = self._parts.source.server_time()
            since = after_all_passes(self._checkpoints(present).values(), present)
            for stream in failed:
                self._change(stream, lambda before: put_off(before, since))
        except (HubSpotSyncError, StopRequested) as error:
            _logger.info("the demand to reconcile stays as it is: %s", error)

    def _change(self, stream: StreamKey, change: Callable[[Checkpoint], Checkpoint]) -> None:
        try:
            with held_lease(self._parts, stream, self._owner) as lease:
                before = self._load(stream)
                after = change(before)
                # A new stream is read as a whole in any case.
                if before not in (Checkpoint(), after):
                    self._parts.patience.call(
                        stream, lambda: self._parts.checkpointer.commit(lease, after)
                    )
        except LeaseHeldError:
            _logger.info("%s: somebody syncs it, so the demand to reconcile waits", stream)

    def _lacks(self, checkpoint: Checkpoint, since: datetime) -> bool:
        """Whether the demand is to be noted; a new stream is read as a whole in any case."""
        return checkpoint not in (Checkpoint(), demanded(checkpoint, since))

    def _checkpoints(self, present: datetime) -> dict[StreamKey, Checkpoint]:
        """As the streams' own passes will find them."""
        latest = partial(self._parts.source.server_time, latest=True)
        return {
            stream: grounded(self._load(stream), present, latest, self._parts.settings)
            for stream in self._streams
        }

    def _load(self, stream: StreamKey) -> Checkpoint:
        return self._parts.patience.call(stream, lambda: self._parts.checkpointer.load(stream))
