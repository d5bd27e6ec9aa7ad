"""Threads whose failure is not lost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Worker:
    """A thread that starts at once and keeps what ended it."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        self._target = target
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
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
