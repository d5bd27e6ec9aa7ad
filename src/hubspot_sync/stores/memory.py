"""Stores that live in the process: for tests, for trying things out, for one-off runs.

They keep every promise of their interfaces but one: nothing survives the process.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from attrs import define, evolve, field
from msgspec.structs import replace

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync.interfaces._answers import clock_of
from hubspot_sync.interfaces._parts import is_clock
from hubspot_sync.models import (
    AccountKey,
    Action,
    ActionKind,
    Checkpoint,
    Fingerprint,
    Lease,
    SinkAnswer,
    StreamKey,
    StreamProgress,
)
from hubspot_sync.models._checks import maybe
from hubspot_sync.stores._bundle import Stores
from hubspot_sync.stores._memory_accounts import MemoryAccountStore, MemoryNonceStore
from hubspot_sync.stores._memory_credentials import MemoryTokenStore
from hubspot_sync.stores._memory_failures import MemoryErrorQueue
from hubspot_sync.stores._memory_records import MemoryRecordSink, MirroredRecord
from hubspot_sync.stores._refusals import lease_held, lease_lost, mark_falls
from hubspot_sync.stores._stored import object_id_of, place_of

__all__ = [
    "MemoryAccountStore",
    "MemoryActionSink",
    "MemoryCheckpointer",
    "MemoryErrorQueue",
    "MemoryNonceStore",
    "MemoryRecordSink",
    "MemoryStores",
    "MemoryTokenStore",
    "MirroredRecord",
]


def MemoryStores(*, clock: Clock | None = None) -> Stores:  # noqa: N802 - it stands for a class
    """All stores in memory: what they keep ends with the process.

    Args:
        clock: Tells when leases end; the system's by default.

    Raises:
        ConfigurationError: *clock* is something else.
    """
    maybe(is_clock).of("clock", clock)
    return Stores(
        tokens=MemoryTokenStore(),
        sink=MemoryActionSink(),
        checkpointer=MemoryCheckpointer(clock=clock_of(clock)),
        accounts=MemoryAccountStore(),
        nonces=MemoryNonceStore(),
        error_queue=MemoryErrorQueue(),
    )


class MemoryActionSink:
    """An `ActionSink` in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Action] = {}
        self._created: set[tuple[AccountKey, str, str]] = set()

    @property
    def actions(self) -> tuple[Action, ...]:
        """Copies of all that was accepted, in the order in which it came."""
        with self._lock:
            return tuple(map(_copy, self._kept.values()))

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Keep each action once; see `ActionSink.write`."""
        repeated: set[str] = set()
        already_created: set[str] = set()
        with self._lock:
            for action in actions:
                action_id = action.action_id
                if action_id in self._kept:
                    repeated.add(action_id)
                elif not self._may_be_created(action):
                    already_created.add(action_id)
                else:
                    self._kept[action_id] = _copy(action)
        return SinkAnswer(repeated=frozenset(repeated), already_created=frozenset(already_created))

    def erase(self, stream: StreamKey, object_ids: Sequence[str]) -> int:
        """Delete all actions of these objects; see `ErasableSink.erase`."""
        wanted = set(object_ids)
        return self._forget(
            lambda one: (
                (one.account, one.object_type) == (stream.account, stream.object_type)
                and one.object_id in wanted
                and one.kind is not ActionKind.ERASED
            )
        )

    def purge(self, account: AccountKey) -> int:
        """Delete all actions of *account*; see `ErasableSink.purge`."""
        return self._forget(lambda one: one.account == account)

    def _forget(self, is_meant: Callable[[Action], bool]) -> int:
        with self._lock:
            forgotten = [one for one in self._kept.values() if is_meant(one)]
            for one in forgotten:
                del self._kept[one.action_id]
                if one.kind is ActionKind.CREATED:
                    self._created.discard((one.account, one.object_type, one.object_id))
        return len(forgotten)

    def _may_be_created(self, action: Action) -> bool:
        if action.kind is not ActionKind.CREATED:
            return True
        created = (action.account, action.object_type, action.object_id)
        if created in self._created:
            return False
        self._created.add(created)
        return True


def _copy(action: Action) -> Action:
    return replace(
        action, properties=dict(action.properties), associations=dict(action.associations)
    )


@define
class _Stream:
    """What is known of one stream; *lease* is None when nobody holds it.

    Its times are by the monotonic clock, which nobody sets.
    """

    fence: int = 0
    lease: Lease | None = None
    ends_at: float = 0.0
    committed_at: float | None = None
    marked_at: float | None = None
    checkpoint: Checkpoint = field(factory=Checkpoint)
    fingerprints: dict[str, Fingerprint] = field(factory=dict)
    _places: list[str] | None = None

    def forget(self, object_ids: Sequence[str]) -> int:
        """Drop what is known of *object_ids*; how many there were."""
        self._places = None
        return sum(self.fingerprints.pop(one, None) is not None for one in object_ids)

    def in_order(self) -> list[str]:
        """The places of all objects whose fingerprint is known."""
        if self._places is None:
            self._places = sorted(map(place_of, self.fingerprints))
        return self._places

    def is_free(self, monotonic: float, evict: str | None) -> bool:
        return self.lease is None or self.ends_at <= monotonic or self.lease.owner == evict

    def holds(self, lease: Lease) -> bool:
        return self.lease is not None and self.lease.fence == lease.fence

    def learn(self, fingerprint: Fingerprint) -> None:
        known = self.fingerprints.get(fingerprint.object_id)
        if known is None or known.version <= fingerprint.version:
            self.fingerprints[fingerprint.object_id] = fingerprint
            if known is None:
                self._places = None


def _since(before: float | None, now: float) -> timedelta | None:
    return None if before is None else timedelta(seconds=now - before)


class MemoryCheckpointer:
    """A `Checkpointer` in memory, for the threads of one process.

    Args:
        clock: Tells when leases end; the operating system's time by default.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._streams: dict[StreamKey, _Stream] = {}

    def acquire(
        self, stream: StreamKey, owner: str, duration: timedelta, *, evict: str | None = None
    ) -> Lease:
        """Take the lease on *stream*; see `Checkpointer.acquire`."""
        with self._lock:
            kept = self._streams.setdefault(stream, _Stream())
            if kept.lease is not None and not kept.is_free(self._clock.monotonic(), evict):
                raise lease_held(stream, kept.lease.owner)
            kept.fence += 1
            lease = Lease(
                stream=stream, owner=owner, fence=kept.fence, expires_at=self._clock.now()
            )
            return self._extended(kept, lease, duration)

    def renew(self, lease: Lease, duration: timedelta) -> Lease:
        """Extend *lease*; see `Checkpointer.renew`."""
        with self._lock:
            return self._extended(self._held(lease), lease, duration)

    def release(self, lease: Lease) -> None:
        """Give *lease* back; see `Checkpointer.release`."""
        with self._lock:
            kept = self._streams.get(lease.stream)
            if kept is not None and kept.holds(lease):
                kept.lease = None

    def streams(self, account: AccountKey) -> Sequence[StreamKey]:
        """Return the streams of *account*; see `Checkpointer.streams`."""
        with self._lock:
            return [one for one in self._streams if one.account == account]

    def load(self, stream: StreamKey) -> Checkpoint:
        """Give the progress of *stream*; see `Checkpointer.load`."""
        with self._lock:
            kept = self._streams.get(stream)
            return kept.checkpoint if kept else Checkpoint()

    def survey(self, streams: Sequence[StreamKey]) -> Mapping[StreamKey, StreamProgress]:
        """Return how far *streams* are; see `Checkpointer.survey`."""
        with self._lock:
            now = self._clock.monotonic()
            known = {stream: self._streams.get(stream) for stream in streams}
            return {
                stream: StreamProgress(
                    checkpoint=kept.checkpoint,
                    held=not kept.is_free(now, None),
                    committed_ago=_since(kept.committed_at, now),
                    marked_ago=_since(kept.marked_at, now),
                )
                for stream, kept in known.items()
                if kept is not None
            }

    def recall(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, Fingerprint]:
        """Give the fingerprints of *object_ids*; see `Checkpointer.recall`."""
        with self._lock:
            known = self._streams.get(stream, _Stream()).fingerprints
            return {object_id: known[object_id] for object_id in object_ids if object_id in known}

    def browse(
        self, stream: StreamKey, *, limit: int, after: str | None = None, until: str | None = None
    ) -> Sequence[Fingerprint]:
        """Return fingerprints in the order of their ids; see `Checkpointer.browse`."""
        with self._lock:
            return self._between(stream, after, until, limit)

    def count(
        self, stream: StreamKey, *, after: str | None = None, until: str | None = None
    ) -> int:
        """Count the objects that are there; see `Checkpointer.count`."""
        with self._lock:
            return sum(
                one.gone is None or not one.digest for one in self._between(stream, after, until)
            )

    def _between(
        self, stream: StreamKey, after: str | None, until: str | None, limit: int | None = None
    ) -> list[Fingerprint]:
        kept = self._streams.get(stream, _Stream())
        places = kept.in_order()
        first = 0 if after is None else bisect_right(places, place_of(after))
        end = len(places) if until is None else bisect_left(places, place_of(until))
        if limit is not None:
            end = min(end, first + limit)
        return [kept.fingerprints[object_id_of(one)] for one in places[first:end]]

    def commit(
        self, lease: Lease, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint] = ()
    ) -> None:
        """Store progress under *lease*; see `Checkpointer.commit`."""
        with self._lock:
            kept = self._held(lease)
            if not checkpoint.may_follow(kept.checkpoint.high_water_mark):
                raise mark_falls(lease.stream)
            for fingerprint in fingerprints:
                kept.learn(fingerprint)
            kept.committed_at = self._clock.monotonic()
            if checkpoint.rises_above(kept.checkpoint.high_water_mark):
                kept.marked_at = kept.committed_at
            kept.checkpoint = checkpoint

    def forget(self, lease: Lease, object_ids: Sequence[str] | None = None) -> int:
        """Delete fingerprints; see `Checkpointer.forget`."""
        with self._lock:
            kept = self._held(lease)
            if object_ids is None:
                kept.checkpoint = Checkpoint()
                kept.committed_at = kept.marked_at = None
                object_ids = list(kept.fingerprints)
            return kept.forget(object_ids)

    def _extended(self, kept: _Stream, lease: Lease, duration: timedelta) -> Lease:
        kept.ends_at = self._clock.monotonic() + duration.total_seconds()
        kept.lease = evolve(lease, expires_at=self._clock.now() + duration)
        return kept.lease

    def _held(self, lease: Lease) -> _Stream:
        kept = self._streams.get(lease.stream)
        if kept is None or not kept.holds(lease):
            raise lease_lost(lease)
        return kept
