"""Threads that belong to whoever started them, and whose failure is not lost."""

from __future__ import annotations

import threading
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def new_thread(target: Callable[[], None], name: str) -> threading.Thread:
    """A thread that works in a copy of the caller's context (`contextvars`), not started yet.

    So what a host's part is called from knows which run it belongs to, and the host's own
    variables, such as those of its tracing, are there too.
    """
    work = partial(copy_context().run, target)
    return threading.Thread(target=work, name=f"hubspot-sync {name}", daemon=True)


class Worker:
    """A thread that starts at once and keeps what ended it."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        self._target = target
        self._failure: BaseException | None = None
        self._thread = new_thread(self._run, name)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._target()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._failure = error

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def raise_failure(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self._failure is not None:
            raise self._failure
