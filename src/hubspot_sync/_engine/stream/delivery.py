"""The one way to the sink: batches are validated and written, and only then committed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync._actions import as_update
from hubspot_sync._engine.stream.batch import Written
from hubspot_sync._engine.stream.rejected import Rejection
from hubspot_sync.errors import ActionRejectedError, InvariantError
from hubspot_sync.interfaces._answers import place_of
from hubspot_sync.models import ActionKind, BatchStored, Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.batch import Batch
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync._engine.stream.rejected import RejectedActions
    from hubspot_sync.interfaces import Validator
    from hubspot_sync.models import (
        Action,
        Checkpoint,
        Fingerprint,
        SinkAnswer,
        StreamKey,
    )


def _none() -> None:
    return None


class Delivery:
    """Stores the batches of one stream, one after the other.

    Args:
        context: The sink, the validators and the settings.
        progress: The right to commit.
        rejected: Takes the actions that are rejected.
        stored: The checkpoint, with the pass under way.
        begun: Whether the checkpointer knows of the pass.

    Attributes:
        counts: What became of fresh records.
    """

    def __init__(
        self,
        *,
        context: RunContext,
        progress: Progress,
        rejected: RejectedActions,
        stored: Checkpoint,
        begun: bool,
    ) -> None:
        self._context = context
        self._progress = progress
        self._rejected = rejected
        self._stored = stored
        self._begun = begun
        self._announced = dict(stored.announced)
        self._ahead: Batch | None = None
        self._writer = _SinkWriter(context, progress.stream)
        self.counts = Counts()

    def store(self, batch: Batch, following: Callable[[], Batch | None] = _none) -> None:
        """Bring a fresh batch to the sink, keep what is rejected of it, and commit its checkpoint.

        Args:
            batch: What to store.
            following: Gives the batch that comes next, if there is one already; it is announced
                with this commit and needs none of its own.

        Raises:
            ActionRejectedError: An action was rejected and there is no error queue; nothing of the
                batch is committed.
            LeaseLostError: Another worker took the stream over.
            StoreUnavailableError: A store stayed away. Nothing of the batch is committed, unless
                it is the error queue that stayed away behind the commit.
            StopRequested: The run was stopped while a store was away.
            TooManyRejectedError: So many actions were rejected that the stream ends here; the
                batch is committed.
        """
        self._announce(batch)
        written, _ = self.deliver(batch, following)
        self._stored = batch.checkpoint
        rejected = len(written.rejections)
        counts = batch.settled + Counts(
            delivered=written.delivered, repeated=written.repeated, rejected=rejected
        )
        self.counts += counts
        self._context.notify(
            BatchStored(stream=self._progress.stream, counts=counts, so_far=self.counts)
        )
        self._rejected.judge(written.delivered + written.repeated + rejected, rejected)

    def _announce(self, batch: Batch) -> None:
        """Note what is to come before the sink is told anything of it.

        If the run is cut off between the sink's answer and the commit, the next one sees that the
        pass has begun. A variant is noted for each object: its version is known, so afterwards
        only an unproved digest tells that the sink may have other values than those that were
        committed last. Of a new object nothing else would tell, if it left HubSpot meanwhile.
        """
        ahead, self._ahead = self._ahead, None
        if batch is not ahead:
            variants = self._announcement(batch)
            if batch.actions and (variants or batch.created() or not self._begun):
                self._commit(self._stored, variants)
        self._rejected.announce([one for one in batch.actions if one.object_id in batch.outdated])

    def _announcement(self, batch: Batch) -> list[Fingerprint]:
        """Let the next commit announce *batch*; what that says of objects known before."""
        self._announced.update(batch.created())
        return batch.doubtful(one for one in batch.actions if one.variant)

    def deliver(
        self, batch: Batch, following: Callable[[], Batch | None] = _none
    ) -> tuple[Written, int]:
        """Write, keep what is rejected, and commit the rest.

        Returns:
            What became of the actions, and how many of them are parked now.

        Raises:
            HubSpotSyncError: As for `store`, but for the last. If it is the error queue that stays
                away, the batch may be committed.
            StopRequested: Likewise.
        """
        written = self._writer.write(batch.actions)
        parked = self._rejected.keep(written.rejections, batch.tried)
        fingerprints = batch.delivered(written)
        for one in batch.actions:
            self._announced.pop(one.object_id, None)
        # What may yet end the stream behind this commit is the error queue, or too many rejections.
        may_end = written.rejections or self._rejected.has_rejected or batch.outdated
        after = None if may_end else following()
        if after is not None and (variants := self._announcement(after)):
            said = {one.object_id: one for one in (*fingerprints, *variants)}
            fingerprints = list(said.values())
        if fingerprints or not batch.tried:
            self._commit(batch.checkpoint, fingerprints)
        self._ahead = after
        # After the commit, so that an object that is taken out of the queue is in the sink.
        rejected = written.rejected_ids
        self._rejected.settle(
            {one: version for one, version in batch.outdated.items() if one not in rejected}
        )
        return written, parked

    def _commit(self, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint]) -> None:
        self._begun = True
        self._progress.commit(evolve(checkpoint, announced=dict(self._announced)), fingerprints)


class _SinkWriter:
    """Validates actions and stores them.

    Args:
        context: The sink, and the validators.
        stream: The stream that the actions belong to.
    """

    def __init__(self, context: RunContext, stream: StreamKey) -> None:
        self._context = context
        self._stream = stream

    def write(self, actions: Sequence[Action]) -> Written:
        """Store *actions*; each object at most once.

        Raises:
            ActionRejectedError: The sink rejected the batch, and there is no error queue.
            InvariantError: The sink raised or answered what it may not.
            StoreUnavailableError: The sink stayed away.
            StopRequested: The run was stopped while the sink was away.
        """
        if not self._context.validators:
            return self._store(actions)
        passed, rejections = _validated(actions, self._context.validators)
        return self._store(passed) + Written(rejections=tuple(rejections))

    def _store(self, actions: Sequence[Action]) -> Written:
        if not actions:
            return Written()
        try:
            answer = self._context.call(self._stream, lambda: self._context.sink.write(actions))
        except ActionRejectedError as error:
            if self._context.error_queue is None:
                raise
            return self._apart(actions, error)
        return self._sorted(actions, answer)

    def _apart(self, actions: Sequence[Action], error: ActionRejectedError) -> Written:
        """The sink does not say which it rejects: halve until those are alone."""
        if len(actions) == 1:
            kind = type(error).__name__
            return Written(
                rejections=(Rejection(action=actions[0], reason=error.message, error=kind),)
            )
        middle = len(actions) // 2
        return self._store(actions[:middle]) + self._store(actions[middle:])

    def _sorted(self, actions: Sequence[Action], answer: SinkAnswer) -> Written:
        held = answer.repeated | answer.partly_repeated
        if not (answer.refused or answer.already_created or held):
            return Written(delivered=len(actions))
        self._check(actions, held.union(answer.refused, answer.already_created))
        rejections = tuple(
            Rejection(action=action, reason=answer.refused[action.action_id])
            for action in actions
            if action.action_id in answer.refused
        )
        named = answer.already_created - answer.refused.keys()
        again = [action for action in actions if action.action_id in named]
        repeated = len(answer.repeated - answer.refused.keys() - answer.already_created)
        known = Written(
            delivered=len(actions) - len(rejections) - len(again) - repeated,
            repeated=repeated,
            unproved=tuple(action for action in actions if action.action_id in held),
            rejections=rejections,
        )
        return known + self._store([as_update(_created(action)) for action in again])

    def _check(self, actions: Sequence[Action], named: frozenset[str]) -> None:
        """Refuse an answer about other actions, by which the counts would be wrong."""
        strange = named.difference(action.action_id for action in actions)
        if strange:
            name = self._context.sink.__class__.__qualname__
            raise InvariantError(
                f"{name}.write answered about {len(strange)} actions that it was not given; fix "
                "it so that its SinkAnswer has ids of the batch only, and run again"
            )


def _created(action: Action) -> Action:
    if action.kind is not ActionKind.CREATED:
        raise InvariantError(f"the sink took {action.name!r} for a creation")
    return action


def _validated(
    actions: Iterable[Action], validators: Sequence[Validator]
) -> tuple[list[Action], list[Rejection]]:
    """The actions that all *validators* let pass, and the rejections of the others."""
    passed: list[Action] = []
    rejections: list[Rejection] = []
    for action in actions:
        rejection = _first_rejection(action, validators)
        if rejection is None:
            passed.append(action)
        else:
            rejections.append(rejection)
    return passed, rejections


def _first_rejection(action: Action, validators: Sequence[Validator]) -> Rejection | None:
    for validator in validators:
        rejection = _asked(validator, action)
        if rejection is not None:
            return rejection
    return None


def _asked(validator: Validator, action: Action) -> Rejection | None:
    try:
        reason: object = validator(action)
    except Exception as error:  # noqa: BLE001 - a host's mistake must not end the stream
        return Rejection(
            action=action, reason=_failed(validator, error), error=type(error).__name__
        )
    if reason is None:
        return None
    if isinstance(reason, str):
        return Rejection(action=action, reason=reason)
    kind = type(reason).__name__
    return Rejection(
        action=action, reason=f"the validator {_name(validator)} gave a {kind}, not a reason"
    )


def _failed(validator: Validator, error: Exception) -> str:
    """Which line failed and how, without the error's text, because that can hold values."""
    return (
        f"the validator {_name(validator)} failed with {type(error).__name__} ({place_of(error)})"
    )


def _name(validator: Validator) -> str:
    return getattr(validator, "__qualname__", type(validator).__qualname__)
