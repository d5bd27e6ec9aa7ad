"""Answers that have to be complete by a deadline, however slowly their bytes come in.

The time-out of a socket starts anew with every byte, so a connection that drips would hold its
thread for ever. Here each read from the socket waits until the deadline at the latest.
"""

from __future__ import annotations

import http.client
import io
from typing import TYPE_CHECKING, Any, Final, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from hubspot_sync._clock import SystemClock

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

# A page of 100 records in two or three reads. At each of them other threads get in between.
_BUFFER: Final = 64 * 1024


def pools_with_deadline(seconds: float) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's connection pools by scheme, whose answers have to be complete within *seconds*.

    The time runs from when the request has been sent. A late answer raises `TimeoutError` where
    it is read, as any other time-out of the socket does.
    """

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            # Real seconds, whatever clock the engine has: a socket knows no other.
            raw = _UntilDeadline(self.fp, sock, seconds, SystemClock().monotonic)
            self.fp = io.BufferedReader(raw, _BUFFER)

    class Connection(HTTPConnection):
        response_class = Response

    class SafeConnection(HTTPSConnection):
        response_class = Response

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SafePool(HTTPSConnectionPool):
        ConnectionCls = SafeConnection

    return {"http": Pool, "https": SafePool}


class _UntilDeadline(io.RawIOBase):
    """The bytes of one answer.

    Args:
        source: Reads from the socket.
        sock: The socket, for its time-out.
        seconds: How long the answer may take from now on.
        monotonic: Tells the time.
    """

    def __init__(
        self,
        source: io.BufferedReader,
        sock: socket.socket,
        seconds: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._source = source
        self._socket = sock
        self._pause = sock.gettimeout()
        self._monotonic = monotonic
        self._ends_at = monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends_at - self._monotonic()
        if left <= 0:
            raise TimeoutError("the answer was not complete in time")
        # Seldom needed, and to set it is a system call, at which other threads get in between too.
        if self._pause is None or left < self._pause:
            self._socket.settimeout(left)
        raw = cast("io.RawIOBase", self._source.raw)
        return cast("int | None", raw.readinto(buffer))

    def close(self) -> None:
        if not self.closed:
            self._source.close()
        super().close()
