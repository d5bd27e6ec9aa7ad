"""Hands actions to the sink, and finds out which of them it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from hubspot_sync._engine.validation import Refusal, validated
from hubspot_sync._processing import as_update
from hubspot_sync.errors import ActionRejectedError, InvariantError
from hubspot_sync.models import ActionKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync._engine.parts import StoringParts
    from hubspot_sync.models import Action, SinkAnswer, StreamKey


@frozen(kw_only=True)
class Written:
    """What became of some actions.

    Attributes:
        delivered: How many the sink accepted.
        repeated: Those that it held already.
        unproved: Those of which it, or a part of it, may have other values: what it held already.
        refusals: Those that it, or a validator, refused.
    """

    delivered: int = 0
    repeated: int = 0
    unproved: tuple[Action, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    def __add__(self, other: Written) -> Written:
        return Written(
            delivered=self.delivered + other.delivered,
            repeated=self.repeated + other.repeated,
            unproved=self.unproved + other.unproved,
            refusals=self.refusals + other.refusals,
        )


class SinkWriter:
    """Validates actions and stores them.

    Args:
        parts: The sink, the validators, and what to do with refused actions.
        stream: The stream that the actions belong to.
    """

    def __init__(self, parts: StoringParts, stream: StreamKey) -> None:
        self._parts = parts
        self._stream = stream

    def write(self, actions: Sequence[Action]) -> Written:
        """Store *actions*; each object at most once.

        Raises:
            ActionRejectedError: The sink refused the batch, and there is no error queue.
            InvariantError: The sink raised or answered what it may not.
            StoreUnavailableError: The sink stayed away.
            StopRequested: The run was stopped while the sink was away.
        """
        if not self._parts.validators:
            return self._store(actions)
        passed, refusals = validated(actions, self._parts.validators)
        return self._store(passed) + Written(refusals=tuple(refusals))

    def _store(self, actions: Sequence[Action]) -> Written:
        if not actions:
            return Written()
        try:
            answer = self._parts.patience.call(
                self._stream, lambda: self._parts.sink.write(actions)
            )
        except ActionRejectedError as error:
            if self._parts.error_queue is None:
                raise
            return self._apart(actions, error)
        return self._sorted(actions, answer)

    def _apart(self, actions: Sequence[Action], error: ActionRejectedError) -> Written:
        """The sink does not say which it refuses: halve until those are alone."""
        if len(actions) == 1:
            kind = type(error).__name__
            return Written(refusals=(Refusal(action=actions[0], reason=error.message, error=kind),))
        middle = len(actions) // 2
        return self._store(actions[:middle]) + self._store(actions[middle:])

    def _sorted(self, actions: Sequence[Action], answer: SinkAnswer) -> Written:
        held = answer.repeated | answer.partly_repeated
        if not (answer.refused or answer.already_created or held):
            return Written(delivered=len(actions))
        self._check(actions, held.union(answer.refused, answer.already_created))
        refusals = tuple(
            Refusal(action=action, reason=answer.refused[action.action_id])
            for action in actions
            if action.action_id in answer.refused
        )
        named = answer.already_created - answer.refused.keys()
        again = [action for action in actions if action.action_id in named]
        repeated = len(answer.repeated - answer.refused.keys() - answer.already_created)
        known = Written(
            delivered=len(actions) - len(refusals) - len(again) - repeated,
            repeated=repeated,
            unproved=tuple(action for action in actions if action.action_id in held),
            refusals=refusals,
        )
        return known + self._store([as_update(_created(action)) for action in again])

    def _check(self, actions: Sequence[Action], named: frozenset[str]) -> None:
        """Refuse an answer about other actions, by which the counts would be wrong."""
        strange = named.difference(action.action_id for action in actions)
        if strange:
            name = self._parts.sink.__class__.__qualname__
            raise InvariantError(
                f"{name}.write answered about {len(strange)} actions that it was not given; fix "
                "it so that its SinkAnswer has ids of the batch only, and run again"
            )


def _created(action: Action) -> Action:
    if action.kind is not ActionKind.CREATED:
        raise InvariantError(f"the sink took {action.name!r} for a creation")
    return action
