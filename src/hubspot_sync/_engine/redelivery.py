"""Tries again what was refused before, under the lease of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.writing import SinkWriter
from hubspot_sync._processing import as_update, digest_of, unproved
from hubspot_sync.models import ActionKind, Fingerprint, RetryCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubspot_sync._engine.parts import StoringParts
    from hubspot_sync._engine.refusals import Refusals
    from hubspot_sync.interfaces import ErrorQueue
    from hubspot_sync.models import Action, Lease, RejectedAction, RejectedSelection

T = TypeVar("T")
_AT_ONCE: Final = 250


class Redelivery:
    """Brings failures of one stream to the sink, and takes them out of the error queue.

    A version that is older than the last one delivered is dropped: the sink may keep the latest
    version of each object, and one that keeps them all was told of a later one already. So what
    a sink gets of an object always comes in the order of its versions.

    Args:
        parts: The sink, the checkpointer and the settings.
        lease: The right to commit.
        queue: Where the failures are.
        refusals: Takes what is refused again.
    """

    def __init__(
        self, *, parts: StoringParts, lease: Lease, queue: ErrorQueue, refusals: Refusals
    ) -> None:
        self._parts = parts
        self._lease = lease
        self._queue = queue
        self._refusals = refusals
        self._writer = SinkWriter(parts, lease.stream)
        self.counts = RetryCounts()

    def retry(self) -> None:
        """Try what is due.

        Raises:
            HubSpotSyncError: What ended it; what was tried before is settled.
            StopRequested: The run was stopped.
        """
        stream = self._lease.stream
        now = self._parts.clock.now()
        while failures := self._call(lambda: self._queue.due(stream, now, limit=_AT_ONCE)):
            self._again(failures)

    def redrive(self, selection: RejectedSelection) -> None:
        """Try what fits *selection*, due or not.

        Raises:
            HubSpotSyncError: What ended it; what was tried before is settled.
            StopRequested: The run was stopped.
        """
        failures = self._page(selection, None)
        while failures:
            self._again(failures)
            failures = self._page(selection, failures[-1])

    def _page(
        self, selection: RejectedSelection, after: RejectedAction | None
    ) -> Sequence[RejectedAction]:
        return self._call(lambda: self._queue.browse(selection, limit=_AT_ONCE, after=after))

    def _again(self, failures: Sequence[RejectedAction]) -> None:
        if self._parts.stop.is_set():
            raise StopRequested
        known = self._recall(failures)
        waiting = [one for one in failures if not _is_settled(one, known)]
        superseded = sum(_is_superseded(one, known) for one in failures)
        refused = self._store(waiting, known)
        self.counts += RetryCounts(
            delivered=len(failures) - superseded - len(refused), superseded=superseded
        )
        # After the commit, so that an object that is taken out of the queue is in the sink.
        self._refusals.settle(
            {
                one.action.object_id: _version(one)
                for one in failures
                if one.action.object_id not in refused
            }
        )

    def _store(
        self, failures: Sequence[RejectedAction], known: Mapping[str, Fingerprint]
    ) -> set[str]:
        """Write, queue what is refused again, commit the rest; the ids of what was refused."""
        actions = [_timely(one.action, known) for one in failures]
        written = self._writer.write(actions)
        refused = {refusal.action.object_id for refusal in written.refusals}
        before = {one.action.object_id: one for one in failures}
        parked = self._refusals.keep(written.refusals, before)
        self._commit(
            [action for action in actions if action.object_id not in refused], written.unproved
        )
        self.counts += RetryCounts(rejected=len(refused) - parked, parked=parked)
        return refused

    def _commit(self, actions: Sequence[Action], held: Sequence[Action]) -> None:
        """Note what was delivered; what the sink *held* already may have had other values."""
        if not actions:
            return
        fingerprints = {
            action.object_id: Fingerprint(
                object_id=action.object_id,
                version=action.version,
                digest=digest_of(action),
                variant=action.variant,
            )
            for action in actions
        }
        for one in unproved(fingerprints.values(), held):
            fingerprints[one.object_id] = one
        checkpointer = self._parts.checkpointer
        checkpoint = self._call(lambda: checkpointer.load(self._lease.stream))
        self._call(lambda: checkpointer.commit(self._lease, checkpoint, [*fingerprints.values()]))

    def _recall(self, failures: Sequence[RejectedAction]) -> Mapping[str, Fingerprint]:
        """What was delivered last of the objects of *failures*."""
        object_ids = [one.action.object_id for one in failures]
        return self._call(lambda: self._parts.checkpointer.recall(self._lease.stream, object_ids))

    def _call(self, function: Callable[[], T]) -> T:
        return self._parts.patience.call(self._lease.stream, function)


def _version(failure: RejectedAction) -> int:
    return failure.action.version


def _is_superseded(failure: RejectedAction, known: Mapping[str, Fingerprint]) -> bool:
    """Whether a newer version was delivered."""
    delivered = known.get(failure.action.object_id)
    return delivered is not None and delivered.version > _version(failure)


def _is_settled(failure: RejectedAction, known: Mapping[str, Fingerprint]) -> bool:
    """Whether it was delivered, or a newer version was.

    Of a variant that alone says nothing that its version was delivered. No later variant can have
    been: a reconcile pass leaves alone what waits in the version that it finds. Nor does it where
    the sink may have lost that version.
    """
    action = failure.action
    delivered = known.get(action.object_id)
    if delivered is None or delivered.version != action.version:
        return _is_superseded(failure, known)
    proved = bool(delivered.digest) and not action.variant
    return proved or delivered.digest == digest_of(action)


def _timely(action: Action, known: Mapping[str, Fingerprint]) -> Action:
    """A creation, if the object was delivered in another version meanwhile, is an update.

    Where the sink may have lost that one, it is the sink that tells.
    """
    before = known.get(action.object_id)
    if action.kind is ActionKind.CREATED and before is not None and before.digest:
        return as_update(action)
    return action
