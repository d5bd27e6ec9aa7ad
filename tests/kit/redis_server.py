"""A real Redis for the tests: found, started without persistence on a free port, and stopped."""

from __future__ import annotations

import base64
import re
import shutil
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import redis

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

_PATIENCE = 300.0
_BODY = re.compile(r'"body": "([A-Za-z0-9+/=]+)"')


class NoRedisError(Exception):
    """There is no server to test against; the text says why."""


class RedisServer:
    """A server of our own.

    Attributes:
        url: Where it is.
        client: A client for tests to share.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise NoRedisError("no redis-server on PATH")
        port = _free_port()
        command = [program, "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client: Any = redis.Redis.from_url(self.url)
        until = time.monotonic() + _PATIENCE  # noqa: TID251 - a real server, real time
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:  # noqa: TID251
                self.stop()
                raise NoRedisError(f"{program} did not start")
            time.sleep(0.02)  # noqa: TID251

    def stop(self) -> None:
        """Close the client, and end the server."""
        self.client.close()
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False


class Overheard:
    """Every command that reaches a server until the `with` block ends, word for word."""

    def __init__(self, server: RedisServer) -> None:
        self._commands: list[str] = []
        # Nothing to hear for a while is no failure.
        self._client: Any = redis.Redis.from_url(server.url, socket_timeout=None)
        self._ended = threading.Event()
        self._mark = server.client
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._listening = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(_PATIENCE)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._mark.ping()  # one more command, so that the listener wakes up
        self._thread.join(_PATIENCE)
        self._client.close()

    def text(self) -> str:
        """All that was heard, and the bodies of messages in clear."""
        heard = "\n".join(self._commands)
        bodies = [base64.b64decode(body).decode() for body in _BODY.findall(heard)]
        return "\n".join([heard, *bodies])

    def _listen(self) -> None:
        with self._client.monitor() as monitor:
            self._listening.set()
            while not self._ended.is_set():
                self._commands.append(monitor.next_command()["command"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
