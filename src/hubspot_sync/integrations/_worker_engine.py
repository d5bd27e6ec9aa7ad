"""One engine for each worker process, told in time when the worker is to end."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.engine import SyncEngine


class WorkerEngine:
    """Opens an engine when a process first needs one, and stops it when its worker ends.

    An engine does not survive a fork: connections and locks would be shared. A child process that
    was forked from a worker holds one end of a pipe, whose other end the worker closes when it is
    to end; the kernel does it for a worker that was killed.

    The methods that follow a worker's life also take what Celery's signals come with.

    Args:
        open_engine: Opens an engine.
    """

    def __init__(self, open_engine: Callable[[], SyncEngine]) -> None:
        self._open_engine = open_engine
        self._lock = threading.Lock()
        self._engine: SyncEngine | None = None
        self._pid = os.getpid()
        self._stopping = False
        self._pipe: tuple[int, int] | None = None

    def get(self) -> SyncEngine:
        """This process's engine; it is opened by the first call."""
        if self._pid != os.getpid():
            self._begin_again()
        with self._lock:
            if self._engine is None:
                self._engine = self._open_engine()
                if self._stopping:
                    self._engine.stop()
            return self._engine

    def expect_children(self, **_: object) -> None:
        """In a worker, before it forks: have its children watch it."""
        self._pid = os.getpid()
        self._close_pipe()
        self._pipe = os.pipe()

    def watch_parent(self, **_: object) -> None:
        """In a process that is to run tasks: stop when the worker that forked it ends."""
        if self._pid == os.getpid():
            return  # the worker itself runs the tasks
        pipe = self._pipe
        self._begin_again()
        if pipe is None:
            return
        alive, ours = pipe
        os.close(ours)
        threading.Thread(
            target=self._stop_after, args=(alive,), name="hubspot-sync parent", daemon=True
        ).start()

    def stop(self, **_: object) -> None:
        """End what runs in this process and in those that watch it; it is resumed elsewhere.

        May be called from a signal handler. Twice: nothing more happens.
        """
        self._stopping = True
        engine = self._engine if self._pid == os.getpid() else None
        if engine is not None:
            engine.stop()
        self._close_pipe()

    def close(self, **_: object) -> None:
        """Stop, and close this process's engine, if it was opened."""
        self.stop()
        if self._pid == os.getpid() and self._engine is not None:
            self._engine.close()

    def _stop_after(self, alive: int) -> None:
        os.read(alive, 1)  # nobody writes: it returns when the other end is closed
        os.close(alive)
        self.stop()

    def _begin_again(self) -> None:
        """In a child: what was inherited is the parent's, the lock as somebody held it too."""
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._engine = None
        self._stopping = False
        self._pipe = None

    def _close_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            for end in pipe:
                os.close(end)
