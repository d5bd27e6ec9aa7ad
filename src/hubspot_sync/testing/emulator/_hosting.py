"""A thing that listens: its life cycle, as a context manager or by hand."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from hubspot_sync.testing.emulator._server import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Self

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator._wire import Answer, Request


class Hosting(ABC):
    """Answers over HTTP on 127.0.0.1 between `start` and `close`."""

    def __init__(self, clock: Clock, port: int) -> None:
        self._clock = clock
        self._port = port
        self._closing = threading.Event()
        self._server: Server | None = None

    @abstractmethod
    def _answering(self, closing: threading.Event) -> Callable[[Request], Answer]:
        """What turns requests into answers until *closing* is set."""

    @property
    def base_url(self) -> str:
        """Where it listens: `http://127.0.0.1:<port>`.

        Raises:
            RuntimeError: It is not started.
        """
        if self._server is None:
            raise RuntimeError("the emulator is not started; use it as a context manager")
        return self._server.base_url

    def start(self) -> Self:
        """Listen and answer until `close`; the content survives, and it may start again.

        Raises:
            OSError: The port is taken.
            RuntimeError: It is started already.
        """
        if self._server is not None:
            raise RuntimeError("the emulator is started already")
        self._closing = threading.Event()
        self._server = Server(self._answering(self._closing), self._clock, self._port)
        self._server.start()
        return self

    def close(self) -> None:
        """Stop listening and hang up; calls that are held back get no answer. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            self._closing.set()
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
