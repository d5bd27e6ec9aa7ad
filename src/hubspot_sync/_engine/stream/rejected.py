"""Rejected actions: kept in the error queue, found there again, and too many end the stream."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from attrs import frozen

from hubspot_sync.errors import ActionRejectedError, TooManyRejectedError
from hubspot_sync.models import ActionsRejected, RejectedAction, RejectedSelection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.models import Action, StreamKey

_AT_ONCE: Final = 250
_ENOUGH_TO_JUDGE: Final = 100
_ON_ITS_WAY: Final = "an older version was refused, and this one was on its way to the sink"
# Doubling stops being of use long before it would leave the range of a float.
_MOST_DOUBLINGS: Final = 60


@frozen(kw_only=True)
class Rejection:
    """An action that was rejected just now.

    Attributes:
        action: The action.
        reason: Why.
        error: The class of the error.
    """

    action: Action
    reason: str
    error: str = ActionRejectedError.__name__


class RejectedActions:
    """Keeps the rejected actions of one stream in the error queue, while its lease is held.

    Args:
        context: The error queue, where there is one, and the settings.
        stream: The stream.

    Attributes:
        may_hold: Whether anything of the stream may be queued.
    """

    def __init__(self, context: RunContext, stream: StreamKey) -> None:
        self._context = context
        self._stream = stream
        self._queue = context.error_queue
        self.may_hold = context.error_queue is not None
        self._handed_over = 0
        self._rejected = 0
        self._last_reason = ""

    @property
    def has_rejected(self) -> bool:
        """Whether anything was rejected in this run, so that more of it may be too much."""
        return self._rejected > 0

    def look(self) -> None:
        """See whether the queue has anything of the stream; if not, it need not be asked again."""
        queue = self._queue
        if queue is not None:
            selection = RejectedSelection(
                account=self._stream.account, object_type=self._stream.object_type
            )
            found = self._context.call(self._stream, lambda: queue.browse(selection, limit=1))
            self.may_hold = bool(found)

    def held(self, object_ids: Sequence[str]) -> Mapping[str, int]:
        """The versions of these objects that wait in the queue."""
        queue = self._queue
        if queue is None or not self.may_hold or not object_ids:
            return {}
        return self._context.call(self._stream, lambda: queue.held(self._stream, object_ids))

    def due(self) -> Iterator[Sequence[RejectedAction]]:
        """What is due now, page by page; each page has to be settled or kept before the next."""
        queue, now = self._context.queue(), self._context.clock.now()
        while page := self._context.call(
            self._stream, lambda: queue.due(self._stream, now, limit=_AT_ONCE)
        ):
            yield page

    def selected(self, selection: RejectedSelection) -> Iterator[Sequence[RejectedAction]]:
        """What fits *selection*, due or not, page by page."""
        after: RejectedAction | None = None
        while page := self._page(selection, after):
            yield page
            after = page[-1]

    def _page(
        self, selection: RejectedSelection, after: RejectedAction | None
    ) -> Sequence[RejectedAction]:
        queue = self._context.queue()
        return self._context.call(
            self._stream, lambda: queue.browse(selection, limit=_AT_ONCE, after=after)
        )

    def keep(self, rejections: Sequence[Rejection], tried: Mapping[str, RejectedAction]) -> int:
        """Put *rejections* into the queue, and say how many of them are parked now.

        Args:
            rejections: Some rejections.
            tried: What was in the queue before, and was tried again, by object id.

        Raises:
            ActionRejectedError: There is no queue.
            StoreUnavailableError: The queue stayed away.
        """
        if not rejections:
            return 0
        queue = self._queue
        if queue is None:
            raise _no_queue(rejections)
        now = self._context.clock.now()
        kept = [self._kept(one, tried.get(one.action.object_id), now) for one in rejections]
        self.may_hold = True
        self._context.call(self._stream, lambda: queue.put(kept))
        self._last_reason = kept[-1].reason
        parked = sum(one.parked for one in kept)
        reasons = Counter(one.reason for one in kept)
        self._context.notify(ActionsRejected(stream=self._stream, reasons=reasons, parked=parked))
        return parked

    def announce(self, actions: Sequence[Action]) -> None:
        """Put *actions*, of which an older version is queued, in its place before they are stored.

        Otherwise, after a crash between the sink's answer and the commit, the older version would
        be tried again and follow the newer one.
        """
        queue = self._queue
        if queue is None or not actions:
            return
        now = self._context.clock.now()
        announced = [
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
        self._context.call(self._stream, lambda: queue.put(announced))

    def settle(self, versions: Mapping[str, int]) -> None:
        """Take out of the queue what these versions of their objects make obsolete."""
        queue = self._queue
        if queue is not None and versions:
            self._context.call(self._stream, lambda: queue.settle(self._stream, versions))

    def judge(self, handed_over: int, rejected: int) -> None:
        """Count what was handed over.

        Raises:
            TooManyRejectedError: Too large a share of it was rejected.
        """
        self._handed_over += handed_over
        self._rejected += rejected
        bound = self._context.settings.max_rejected_share
        if self._handed_over >= _ENOUGH_TO_JUDGE and self._rejected > bound * self._handed_over:
            raise self._too_many()

    def _too_many(self) -> TooManyRejectedError:
        return TooManyRejectedError(
            f"{self._rejected} of {self._handed_over} actions of this run were refused, more than "
            f"the share of {self._context.settings.max_rejected_share:g} that "
            f"SyncSettings.max_rejected_share allows, the last for {self._last_reason!r}; they are "
            "in the error queue: fix the cause, call SyncEngine.redrive, and run again"
        )

    def _kept(
        self, rejection: Rejection, before: RejectedAction | None, now: datetime
    ) -> RejectedAction:
        attempts = before.attempts + 1 if before else 1
        return RejectedAction(
            action=rejection.action,
            reason=rejection.reason,
            error=rejection.error,
            attempts=attempts,
            first_at=before.first_at if before else now,
            last_at=now,
            next_at=self._next_attempt(attempts, now),
        )

    def _next_attempt(self, attempts: int, now: datetime) -> datetime | None:
        settings = self._context.settings
        if attempts >= settings.max_attempts:
            return None
        doublings = min(attempts - 1, _MOST_DOUBLINGS)
        longest = settings.longest_retry / settings.first_retry
        wait = settings.first_retry * min(2.0**doublings, longest)
        return now + wait * (1 - self._context.clock.random() / 2)


def browsed(context: RunContext, selection: RejectedSelection) -> Iterator[RejectedAction]:
    """What fits *selection*, for people who look at it.

    Raises:
        ConfigurationError: There is no error queue.
        StoreUnavailableError: The queue stays away.
    """
    queue = context.queue()

    def page(after: RejectedAction | None) -> Sequence[RejectedAction]:
        return context.ask(
            "error queue",
            lambda: queue.browse(selection, limit=_AT_ONCE, after=after),
            selection.account,
        )

    def pages() -> Iterator[RejectedAction]:
        found = page(None)
        while found:
            yield from found
            found = page(found[-1])

    return pages()


def counted(context: RunContext, selection: RejectedSelection) -> Mapping[str, int]:
    """How many rejected actions fit *selection*, by object type.

    Raises:
        ConfigurationError: There is no error queue.
        StoreUnavailableError: The queue stays away.
    """
    queue = context.queue()
    return context.ask("error queue", lambda: queue.count(selection), selection.account)


def _no_queue(rejections: Sequence[Rejection]) -> ActionRejectedError:
    """Without a queue the stream ends before the commit, so that nothing is skipped."""
    first = rejections[0]
    return ActionRejectedError(
        f"{len(rejections)} actions of a batch were refused, first {first.action.name!r} of object "
        f"{first.action.object_id}: {first.reason}; fix the cause and run again, the stream goes "
        "on from there, or give the engine an error queue"
    )
