"""One sink that feeds several, so that an action counts as stored only when all have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hubspot_sync.errors import ActionRejectedError, ConfigurationError
from hubspot_sync.interfaces import ActionSink
from hubspot_sync.interfaces._answers import SINK, guarded
from hubspot_sync.interfaces._parts import is_sink
from hubspot_sync.models import Action, SinkAnswer

__all__ = ["FanOutSink"]


class FanOutSink:
    """An `ActionSink` that gives every batch to several sinks, one after the other.

    What becomes of an action is the first of these that holds:

    - One sink refused it: it is refused, with the name of the sink in the reason. The others may
      have it already.
    - One knew another creation of the object: it is already created. The update that the engine
      sends then is a repeat for those that took the creation, because its id is the same.
    - One accepted it: it is accepted. After a crash between two sinks the second one catches up,
      and the answer says which actions the first one had, perhaps with other values.
    - All had it: it is repeated.

    An error of a sink ends the write at once; the engine repeats it for all. Of two callers that
    race with the same action both may be told that it was accepted, each being the first in
    another sink; every sink has it once.

    Args:
        sinks: Where the actions go, in this order. Each has to keep the contract of `ActionSink`,
            so that it recognises what is repeated because of another one. The caller closes them.

    Raises:
        ConfigurationError: There are no sinks, or one of them cannot be any.
    """

    def __init__(self, sinks: Iterable[ActionSink]) -> None:
        given = is_sink.each_of("a FanOutSink takes a list of sinks; what was given", sinks)
        self._sinks = tuple(guarded(sink, SINK) for sink in given)
        if not self._sinks:
            raise ConfigurationError("a FanOutSink needs at least one sink")

    @property
    def sinks(self) -> tuple[ActionSink, ...]:
        """The sinks, in their order; `Domain.erase` and `Domain.purge` ask each of them."""
        return self._sinks

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Store *actions* in all sinks; see `ActionSink.write`."""
        if not actions:
            return SinkAnswer()
        answers = [_write(sink, actions) for sink in self._sinks]
        refused = self._refused(answers)
        created = frozenset[str]().union(*(answer.already_created for answer in answers))
        repeated = answers[0].repeated.intersection(*(answer.repeated for answer in answers))
        somewhere = frozenset[str]().union(
            *(answer.repeated | answer.partly_repeated for answer in answers)
        )
        return SinkAnswer(
            repeated=repeated - refused.keys(),
            already_created=created - refused.keys(),
            refused=refused,
            partly_repeated=somewhere - repeated - created - refused.keys(),
        )

    def _refused(self, answers: Sequence[SinkAnswer]) -> dict[str, str]:
        """The reason of the first sink that refuses counts."""
        refused: dict[str, str] = {}
        for number, (sink, answer) in enumerate(zip(self._sinks, answers, strict=True), start=1):
            for action_id, reason in answer.refused.items():
                refused.setdefault(
                    action_id, f"{sink.__class__.__name__} (sink {number}): {reason}"
                )
        return refused


def _write(sink: ActionSink, actions: Sequence[Action]) -> SinkAnswer:
    try:
        return sink.write(actions)
    except ActionRejectedError as error:
        if len(actions) > 1:
            raise
        # It is known which one, so the sinks behind this one get it as well.
        return SinkAnswer(refused={actions[0].action_id: error.message})
