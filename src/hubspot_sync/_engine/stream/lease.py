"""The lease on a stream: taken, kept alive, and the right to commit as long as it is held."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from hubspot_sync._clock import StopRequested
from hubspot_sync._ownership import is_dead
from hubspot_sync._threads import new_thread
from hubspot_sync.errors import (
    HubSpotSyncError,
    LeaseHeldError,
    LeaseLostError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.models import Checkpoint, Fingerprint, Lease, StreamKey

PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.5
_RENEWALS_PER_LEASE: Final = 3
_logger = logging.getLogger("hubspot_sync")


@contextmanager
def held_lease(context: RunContext, stream: StreamKey, owner: str) -> Iterator[Progress]:
    """Hold the lease on *stream* until the `with` block ends.

    A worker of this machine that was killed does not keep it from anybody.

    Raises:
        LeaseHeldError: Another worker has the stream.
        StoreUnavailableError: The checkpointer stayed away.
        StopRequested: The run was stopped while the checkpointer was away.
    """
    lease = _acquired(context, stream, owner)
    with _LeaseKeeper(context, lease):
        yield Progress(context, lease)


@contextmanager
def awaited_lease(
    context: RunContext, stream: StreamKey, owner: str, *, until: float | None = None
) -> Iterator[Progress]:
    """Hold the lease on *stream* until the `with` block ends, and wait for it, ten seconds.

    Args:
        context: What to work with.
        stream: The stream.
        owner: Who takes the lease.
        until: When to give up, by the monotonic clock, where several are waited for together.

    Raises:
        LeaseHeldError: Another worker has the stream, still.
        StoreUnavailableError: The checkpointer stayed away.
        StopRequested: The run was stopped meanwhile.
    """
    clock = context.clock
    ends = clock.monotonic() + PATIENCE_SECONDS if until is None else until
    with ExitStack() as held:
        while True:
            try:
                progress = held.enter_context(held_lease(context, stream, owner))
                break
            except LeaseHeldError:
                if clock.monotonic() >= ends:
                    raise
            clock.sleep(_PAUSE_SECONDS, context.stop)
        yield progress


class Progress:
    """How far a stream is and what was delivered of it, for whoever holds its lease.

    Every method raises `StoreUnavailableError` when the checkpointer stays away, and
    `StopRequested` when the run is stopped while it is.

    Args:
        context: The checkpointer.
        lease: The right to commit.

    Attributes:
        stream: The stream.
    """

    def __init__(self, context: RunContext, lease: Lease) -> None:
        self._context = context
        self._checkpointer = context.checkpointer
        self._lease = lease
        self.stream: StreamKey = lease.stream

    def load(self) -> Checkpoint:
        """Return how far the stream is."""
        return self._context.call(self.stream, lambda: self._checkpointer.load(self.stream))

    def recall(self, object_ids: Sequence[str]) -> Mapping[str, Fingerprint]:
        """Return what was delivered last of these objects."""
        return self._context.call(
            self.stream, lambda: self._checkpointer.recall(self.stream, object_ids)
        )

    def browse(
        self, *, limit: int, after: str | None = None, until: str | None = None
    ) -> Sequence[Fingerprint]:
        """Return what was delivered of a range of ids, in their order."""
        return self._context.call(
            self.stream,
            lambda: self._checkpointer.browse(self.stream, limit=limit, after=after, until=until),
        )

    def count(self) -> int:
        """Return how many objects are there, as far as the sink was told."""
        return self._context.call(self.stream, lambda: self._checkpointer.count(self.stream))

    def commit(self, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint] = ()) -> None:
        """Store how far the stream is now, and what was delivered.

        Raises:
            LeaseLostError: Another worker took the stream over.
        """
        self._context.call(
            self.stream, lambda: self._checkpointer.commit(self._lease, checkpoint, fingerprints)
        )

    def forget(self) -> int:
        """Delete the checkpoint and what was delivered; return of how many objects that was.

        Raises:
            LeaseLostError: Another worker took the stream over.
        """
        return self._context.call(self.stream, lambda: self._checkpointer.forget(self._lease))

    def note(self, **changes: Any) -> None:
        """Store some parts of the checkpoint, where they differ; nothing was delivered.

        Raises:
            LeaseLostError: Another worker took the stream over.
        """
        before = self.load()
        after = evolve(before, **changes)
        if after != before:
            self.commit(after)


class _LeaseKeeper:
    """Renews *lease* from a thread of its own until the `with` block ends, then gives it back.

    A lease that is lost is not renewed any more; the store then refuses the next commit.

    Args:
        context: Where the lease is, and how long each renewal lasts.
        lease: The lease.
    """

    def __init__(self, context: RunContext, lease: Lease) -> None:
        self._context = context
        self._checkpointer = context.checkpointer
        self._duration = context.settings.lease_duration
        self._lease = lease
        self._ended = threading.Event()
        self._thread = new_thread(self._renew, f"lease {lease.stream}")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._context.call(
                self._lease.stream,
                lambda: self._checkpointer.release(self._lease),
                tries=1 if isinstance(exc_value, StoreUnavailableError) else None,
            )
        except (HubSpotSyncError, StopRequested) as error:
            # Whatever it is, the run's own outcome counts.
            _logger.warning(
                "%s: lease not given back, it ends by itself: %s", self._lease.stream, error
            )

    def _renew(self) -> None:
        # Real seconds, whatever clock the engine has: the store counts in real seconds too.
        while not self._ended.wait(self._duration.total_seconds() / _RENEWALS_PER_LEASE):
            try:
                # Once, because the next renewal is the next try.
                self._context.call(
                    self._lease.stream,
                    lambda: self._checkpointer.renew(self._lease, self._duration),
                    tries=1,
                )
            except LeaseLostError:
                return
            except HubSpotSyncError as error:
                _logger.warning("%s: lease not renewed yet: %s", self._lease.stream, error)


def _acquired(context: RunContext, stream: StreamKey, owner: str) -> Lease:
    evict: str | None = None
    while True:
        try:
            return _acquire(context, stream, owner, evict)
        except LeaseHeldError as held:
            # No two runs have a name in common: one that is ours was granted by a lost answer.
            if held.owner == evict or not (held.owner == owner or is_dead(held.owner)):
                raise
            evict = held.owner
            if evict != owner:
                _logger.info("%s: taking over from a worker that was killed", stream)


def _acquire(context: RunContext, stream: StreamKey, owner: str, evict: str | None) -> Lease:
    duration = context.settings.lease_duration
    return context.call(
        stream, lambda: context.checkpointer.acquire(stream, owner, duration, evict=evict)
    )
