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
        StoreUnavailableError: The checkpointer is away.
    """
    lease = _acquired(parts, stream, owner)
    with LeaseKeeper(parts.checkpointer, lease, parts.settings.lease_duration):
        yield lease


def _acquired(parts: StoringParts, stream: StreamKey, owner: str) -> Lease:
    duration = parts.settings.lease_duration
    try:
        return parts.checkpointer.acquire(stream, owner, duration)
    except LeaseHeldError as held:
        if not is_dead(held.owner):
            raise
        _logger.info("%s: taking over from a worker that was killed", stream)
        return parts.checkpointer.acquire(stream, owner, duration, evict=held.owner)
