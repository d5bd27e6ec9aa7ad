"""What happens to refused actions: they wait in the error queue, and too many end the stream."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from hubspot_sync.errors import ActionRejectedError, TooManyRejectedError
from hubspot_sync.models import ActionsRejected, RejectedAction, RejectedSelection

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hubspot_sync._engine.parts import StoringParts
    from hubspot_sync._engine.validation import Refusal
    from hubspot_sync._engine.writing import Written
    from hubspot_sync.interfaces import ErrorQueue
    from hubspot_sync.models import Action, StreamKey

_ENOUGH_TO_JUDGE: Final = 100
_ON_ITS_WAY: Final = "an older version was refused, and this one was on its way to the sink"
# Doubling stops being of use long before it would leave the range of a float.
_MOST_DOUBLINGS: Final = 60


class Refusals:
    """Keeps the refused actions of one stream in the error queue, while its lease is held.

    Args:
        parts: The error queue, where there is one, and the settings.
        stream: The stream.

    Attributes:
        may_hold: Whether anything of the stream may be queued.
    """

    def __init__(self, parts: StoringParts, stream: StreamKey) -> None:
        self._parts = parts
        self._stream = stream
        self._queue = parts.error_queue
        self.may_hold = parts.error_queue is not None
        self._handed_over = 0
        self._rejected = 0
        self._last_reason = ""

    def look(self, queue: ErrorQueue) -> None:
        """See whether *queue* has anything of the stream; if not, nobody has to ask later on."""
        selection = RejectedSelection(
            account=self._stream.account, object_type=self._stream.object_type
        )
        found = self._parts.patience.call(self._stream, lambda: queue.browse(selection, limit=1))
        self.may_hold = bool(found)

    def held(self, object_ids: Sequence[str]) -> Mapping[str, int]:
        """The versions of these objects that wait in the queue."""
        queue = self._queue
        if queue is None or not self.may_hold or not object_ids:
            return {}
        return self._parts.patience.call(self._stream, lambda: queue.held(self._stream, object_ids))

    def keep(
        self, refusals: Sequence[Refusal], before: Mapping[str, RejectedAction] | None = None
    ) -> int:
        """Put *refusals* into the queue, and say how many of them are parked now.

        Args:
            refusals: Some refusals.
            before: The failures that were tried again, by object id.

        Raises:
            ActionRejectedError: There is no queue.
            StoreUnavailableError: The queue stayed away.
        """
        if not refusals:
            return 0
        queue = self._queue
        if queue is None:
            raise _no_queue(refusals)
        now = self._parts.clock.now()
        failures = [
            self._failure(one, (before or {}).get(one.action.object_id), now) for one in refusals
        ]
        self.may_hold = True
        self._parts.patience.call(self._stream, lambda: queue.put(failures))
        self._last_reason = failures[-1].reason
        parked = sum(failure.parked for failure in failures)
        reasons = Counter(failure.reason for failure in failures)
        self._parts.notify(ActionsRejected(stream=self._stream, reasons=reasons, parked=parked))
        return parked

    def announce(self, actions: Sequence[Action]) -> None:
        """Put *actions*, of which an older version is queued, in its place before they are stored.

        Otherwise, after a crash between the sink's answer and the commit, the older version would
        be tried again and follow the newer one.
        """
        queue = self._queue
        if queue is None or not actions:
            return
        now = self._parts.clock.now()
        failures = [
            RejectedAction(
                action=action,
                reason=_ON_ITS_WAY,
                error=ActionRejectedError.__name__,
                first_at=now,
                last_at=now,
                next_at=now,
            )
            for action in actions
        ]
        self._parts.patience.call(self._stream, lambda: queue.put(failures))

    def settle(self, versions: Mapping[str, int]) -> None:
        """Take out of the queue what these versions of their objects make obsolete."""
        queue = self._queue
        if queue is not None and versions:
            self._parts.patience.call(self._stream, lambda: queue.settle(self._stream, versions))

    def judge(self, written: Written) -> None:
        """Count what was handed over.

        Raises:
            TooManyRejectedError: Too large a share of it was refused.
        """
        refused = len(written.refusals)
        self._handed_over += written.delivered + written.repeated + refused
        self._rejected += refused
        bound = self._parts.settings.max_rejected_share
        if self._handed_over >= _ENOUGH_TO_JUDGE and self._rejected > bound * self._handed_over:
            raise self._too_many()

    def _too_many(self) -> TooManyRejectedError:
        return TooManyRejectedError(
            f"{self._rejected} of {self._handed_over} actions of this run were refused, more than "
            f"the share of {self._parts.settings.max_rejected_share:g} that "
            f"SyncSettings.max_rejected_share allows, the last for {self._last_reason!r}; they are "
            "in the error queue: fix the cause, call SyncEngine.redrive, and run again"
        )

    def _failure(
        self, refusal: Refusal, before: RejectedAction | None, now: datetime
    ) -> RejectedAction:
        attempts = before.attempts + 1 if before else 1
        return RejectedAction(
            action=refusal.action,
            reason=refusal.reason,
            error=refusal.error,
            attempts=attempts,
            first_at=before.first_at if before else now,
            last_at=now,
            next_at=self._next_attempt(attempts, now),
        )

    def _next_attempt(self, attempts: int, now: datetime) -> datetime | None:
        settings = self._parts.settings
        if attempts >= settings.max_attempts:
            return None
        doublings = min(attempts - 1, _MOST_DOUBLINGS)
        longest = settings.longest_retry / settings.first_retry
        wait = settings.first_retry * min(2.0**doublings, longest)
        return now + wait * (1 - self._parts.clock.random() / 2)


def _no_queue(refusals: Sequence[Refusal]) -> ActionRejectedError:
    """Without a queue the stream ends before the commit, so that nothing is skipped."""
    first = refusals[0]
    return ActionRejectedError(
        f"{len(refusals)} actions of a batch were refused, first {first.action.name!r} of object "
        f"{first.action.object_id}: {first.reason}; fix the cause and run again, the stream goes "
        "on from there, or give the engine an error queue"
    )
