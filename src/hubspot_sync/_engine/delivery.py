"""The end of the pipeline: batches go to the sink, and only then is the checkpoint committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from hubspot_sync.errors import ActionRejectedError, InvariantError
from hubspot_sync.models import ActionKind, BatchStored, Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubspot_sync._engine.patience import Patience
    from hubspot_sync.interfaces import ActionSink, Checkpointer
    from hubspot_sync.models import Action, Checkpoint, Event, Fingerprint, Lease


@frozen(kw_only=True)
class Batch:
    """Actions for the sink, and what holds once they are stored.

    Attributes:
        actions: What to store.
        fingerprints: What is known of the objects then.
        settled: Records that ended before the sink.
        checkpoint: How far the stream is then.
    """

    actions: tuple[Action, ...]
    fingerprints: tuple[Fingerprint, ...]
    settled: Counts
    checkpoint: Checkpoint


class Delivery:
    """Stores the batches of one stream, in order.

    Args:
        sink: Takes the actions.
        checkpointer: Takes the checkpoints.
        lease: The right to commit.
        patience: Repeats writes while a store is away.
        notify: Told of every batch.
    """

    def __init__(
        self,
        *,
        sink: ActionSink,
        checkpointer: Checkpointer,
        lease: Lease,
        patience: Patience,
        notify: Callable[[Event], None],
    ) -> None:
        self._sink = sink
        self._checkpointer = checkpointer
        self._lease = lease
        self._patience = patience
        self._notify = notify
        self.counts = Counts()

    def deliver(self, batch: Batch) -> None:
        """Store *batch*, then commit its checkpoint.

        Raises:
            ActionRejectedError: The sink refused an action; nothing of the batch is committed.
            LeaseLostError: Somebody else took the stream over.
            StoreUnavailableError: A store stayed away; nothing of the batch is committed.
            StopRequested: The run was stopped while a store was away.
        """
        counts = batch.settled + self._store(batch.actions)
        self._patience.call(
            self._lease.stream,
            lambda: self._checkpointer.commit(self._lease, batch.checkpoint, batch.fingerprints),
        )
        self.counts += counts
        self._notify(BatchStored(stream=self._lease.stream, counts=counts, so_far=self.counts))

    def _store(self, actions: Sequence[Action]) -> Counts:
        if not actions:
            return Counts()
        answer = self._patience.call(self._lease.stream, lambda: self._sink.write(actions))
        if answer.refused:
            _refuse(actions, answer.refused)
        repeated = len(answer.repeated)
        again = [action for action in actions if action.action_id in answer.already_created]
        counts = Counts(delivered=len(actions) - repeated - len(again), repeated=repeated)
        return counts + self._store([_as_update(action) for action in again])


def _refuse(actions: Sequence[Action], reasons: Mapping[str, str]) -> None:
    """Stop before the commit: a refused action is not skipped, so nothing is lost."""
    first = next((action for action in actions if action.action_id in reasons), None)
    if first is None:
        raise InvariantError("the sink refused actions that it was not given")
    raise ActionRejectedError(
        f"the sink refused {len(reasons)} of {len(actions)} actions, first {first.name!r} of "
        f"object {first.object_id}: {reasons[first.action_id]}; mend the cause and run again, the "
        "stream goes on from there"
    )


def _as_update(action: Action) -> Action:
    """The sink has a creation of this object from before a crash, so this is an update."""
    if action.kind is not ActionKind.CREATED:
        raise InvariantError(f"the sink took {action.name!r} for a creation")
    return evolve(action, kind=ActionKind.UPDATED, occurred_at=action.modified_at)
