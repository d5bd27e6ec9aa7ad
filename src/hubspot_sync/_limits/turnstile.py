"""Lets threads through one at a time, in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hubspot_sync._clock import StopRequested

if TYPE_CHECKING:
    from collections.abc import Iterator

_STOP_SECONDS: Final = 0.25


class Turnstile:
    """A queue of threads of which the first one alone watches the clock.

    Those behind it sleep until it is their turn: one wakes one, and however many wait, time is
    waited for once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[threading.Event] = deque()

    @contextmanager
    def turn(self, stop: threading.Event) -> Iterator[None]:
        """Wait for everybody who came before, and keep everybody who comes later waiting.

        Raises:
            StopRequested: *stop* was set while waiting.
        """
        mine = threading.Event()
        with self._lock:
            self._queue.append(mine)
            self._queue[0].set()
        try:
            wait_for(mine, stop)
            yield
        finally:
            with self._lock:
                self._queue.remove(mine)
                if self._queue:
                    self._queue[0].set()


def wait_for(happened: threading.Event, stop: threading.Event) -> None:
    """Wait for what another thread does, which takes real time whatever the clock says.

    Raises:
        StopRequested: *stop* was set while waiting.
    """
    while not happened.is_set():
        if stop.is_set():
            raise StopRequested
        # A thread can wait for one event only, so it looks up from the one to the other.
        happened.wait(_STOP_SECONDS)
