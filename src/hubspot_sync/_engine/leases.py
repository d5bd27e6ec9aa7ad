"""Takes the lease on a stream, at once also from a worker of this machine that was killed."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hubspot_sync._engine.lease_keeper import LeaseKeeper
from hubspot_sync._ownership import is_dead
from hubspot_sync.errors import LeaseHeldError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubspot_sync._engine.parts import StoringParts
    from hubspot_sync.models import Lease, StreamKey

_logger = logging.getLogger("hubspot_sync")


@contextmanager
def held_lease(parts: StoringParts, stream: StreamKey, owner: str) -> Iterator[Lease]:
    """Hold the lease on *stream* until the `with` block ends.

    Raises:
        LeaseHeldError: Another worker has the stream.
        StoreUnavailableError: The checkpointer stayed away.
        StopRequested: The run was stopped while the checkpointer was away.
    """
    lease = _acquired(parts, stream, owner)
    with LeaseKeeper(parts, lease):
        yield lease


def _acquired(parts: StoringParts, stream: StreamKey, owner: str) -> Lease:
    evict: str | None = None
    while True:
        try:
            return _acquire(parts, stream, owner, evict)
        except LeaseHeldError as held:
            # No two runs have a name in common: one that is ours was granted by a lost answer.
            if held.owner == evict or not (held.owner == owner or is_dead(held.owner)):
                raise
            evict = held.owner
            if evict != owner:
                _logger.info("%s: taking over from a worker that was killed", stream)


def _acquire(parts: StoringParts, stream: StreamKey, owner: str, evict: str | None) -> Lease:
    duration = parts.settings.lease_duration
    return parts.patience.call(
        stream, lambda: parts.checkpointer.acquire(stream, owner, duration, evict=evict)
    )
