"""The message that a task of Celery's has in hand, and where its messages go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from celery import Task
from celery.exceptions import Reject, Retry

if TYPE_CHECKING:
    from datetime import timedelta

    from hubspot_sync.errors import HubSpotSyncError


class Message:
    """The message that a task has in hand.

    Args:
        task: The task, bound.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._request = task.request
        self.called_directly: bool = self._request.called_directly
        self.retries: int = self._request.retries

    def send_again(
        self,
        wait: timedelta,
        *,
        retries: int,
        failure: HubSpotSyncError | None,
        lasts: timedelta | None = None,
    ) -> NoReturn:
        """Send the same again, to be taken after *wait*, and end the task by that.

        Celery's own `retry` would drop a message that cannot be sent, and count every turn.

        Args:
            wait: When to take it.
            retries: How many tries have failed then.
            failure: Why.
            lasts: When to drop it, if it is one that may be dropped; None for no later than now.
        """
        seconds = wait.total_seconds()
        expires = {"expires": lasts.total_seconds()} if lasts and self._request.expires else {}
        signature = self._task.signature_from_request(
            self._request, countdown=seconds, retries=retries, **expires
        )
        if not self._request.is_eager:
            try:
                signature.apply_async()
            except Exception as error:
                # The message that is in hand takes the place of the one that could not be sent.
                raise Reject(error, requeue=True) from error
        raise Retry(exc=failure, when=seconds, is_eager=self._request.is_eager, sig=signature)


def task_class(queue: str | None) -> Any:
    """Tasks that go to *queue* unless their caller says otherwise."""

    class QueuedTask(Task):  # type: ignore[misc]
        abstract = True

        def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
            if queue is not None:
                options.setdefault("queue", queue)
            return super().apply_async(args, kwargs, **options)

    return QueuedTask
