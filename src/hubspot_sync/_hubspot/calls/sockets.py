"""Sockets whose every wait ends: by its time-out, by the answer's deadline, or when a run stops.

The time-out of a plain socket starts again with every byte, so a connection that drips would hold
its thread for ever, and nothing but that time-out ends a wait. Here a wait is a row of short ones,
and after each of them somebody looks whether it has to end.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from attrs import frozen
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util.wait import wait_for_write

from hubspot_sync._clock import StopRequested, SystemClock
from hubspot_sync._hubspot.calls.bodies import received

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubspot_sync._hubspot.calls.bodies import Received

T = TypeVar("T")

# A page of 100 records in two or three reads. At each of them other threads get in between.
_BUFFER: Final = 64 * 1024
_SHORT_SECONDS: Final = 0.25
# Most answers are there within it, so that a stop costs none of them, nor tokens just issued.
_GRACE_SECONDS: Final = 1.0
_UNDER_WAY: Final = (errno.EINPROGRESS, errno.EWOULDBLOCK)
_HINTS: Final = range(100, 200)
_SWITCHING: Final = 101


class Waits(threading.local):
    """How long the calls of each thread may still wait.

    Args:
        seconds: How long a call may take until its request is sent, and its answer from then on.
        stop: Ends what is waited for, after a moment in which most answers arrive.
    """

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        # Real seconds, whatever clock the engine has: a socket knows no other.
        self._monotonic = SystemClock().monotonic
        self._seconds = seconds
        self._stop = stop
        self.begin()

    def begin(self) -> None:
        """Let the time of what comes next begin."""
        self._ends_at = self._monotonic() + self._seconds
        self._stops_at: float | None = None

    def short_ones(self, seconds: float | None) -> Iterator[None]:
        """Short waits that together last *seconds*, or as long as the call may.

        Raises:
            StopRequested: The run was stopped.
            TimeoutError: Time is up.
        """
        now = self._monotonic()
        ends_at = self._ends_at if seconds is None else min(self._ends_at, now + seconds)
        while now < ends_at:
            if self._stop.is_set():
                self._stops_at = self._stops_at or now + _GRACE_SECONDS
                if now >= self._stops_at:
                    raise StopRequested
            yield
            now = self._monotonic()
        raise TimeoutError("it was not done in time")


class _Waiting(socket.socket):
    """What the plain and the safe sockets share."""

    waits: ClassVar[Waits]
    _pause: float | None = None

    def settimeout(self, value: float | None) -> None:
        self._pause = value
        super().settimeout(_SHORT_SECONDS if value is None else min(value, _SHORT_SECONDS))

    def gettimeout(self) -> float | None:
        return self._pause

    def recv(self, *args: Any) -> bytes:
        return self._patiently(lambda: super(_Waiting, self).recv(*args))

    def recv_into(self, *args: Any) -> int:
        return self._patiently(lambda: super(_Waiting, self).recv_into(*args))

    def send(self, *args: Any) -> int:
        return self._patiently(lambda: super(_Waiting, self).send(*args))

    def sendall(self, data: Any, flags: int = 0) -> None:
        left = memoryview(data).cast("B")
        while left:
            left = left[self.send(left, flags) :]

    def makefile(self, mode: Any = "r", buffering: int | None = None, **options: Any) -> Any:
        return super().makefile(mode, _BUFFER if buffering is None else buffering, **options)

    def _patiently(self, function: Callable[[], T]) -> T:
        for _ in self.waits.short_ones(self._pause):
            try:
                return function()
            except TimeoutError:
                continue
        raise AssertionError  # the waits end by raising


class _PlainSocket(_Waiting):
    def connect(self, address: Any) -> None:
        pause = self._pause
        self.setblocking(False)
        error = self.connect_ex(address)
        if error in _UNDER_WAY:
            for _ in self.waits.short_ones(pause):
                if wait_for_write(self, _SHORT_SECONDS):
                    break
            error = self.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.settimeout(pause)
        if error:
            raise OSError(error, os.strerror(error))


class _SafeSocket(_Waiting, ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's
        try:
            self._patiently(lambda: super(_SafeSocket, self).do_handshake(block))
        except StopRequested:
            self.close()  # nobody else has it yet
            raise


class _Response(http.client.HTTPResponse):
    def _read_status(self) -> tuple[str, int, str]:
        """The status line of the answer, past those of hints such as 103 that come before it."""
        while True:
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if status not in _HINTS or status == _SWITCHING:
                return version, status, reason
            http.client.parse_headers(self.fp)

    def begin(self) -> None:
        super().begin()
        # urllib3 would log what is no header, word for word and with a traceback.
        self.headers.defects = []
        self.headers.set_payload("")


class _Connection(HTTPConnection):
    waits: ClassVar[Waits]
    plain_socket: ClassVar[type[_PlainSocket]]
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Connect as urllib3 does, with sockets of ours."""
        try:
            return self._connected()
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except UnicodeError as error:
            raise LocationParseError(self.host) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, "the connection timed out") from error
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error

    def _connected(self) -> socket.socket:
        """A socket to the first of the host's addresses that takes a connection."""
        failure = OSError("the name has no addresses")
        host = self._dns_host.strip("[]")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, self.port, type=socket.SOCK_STREAM
        ):
            connection = self.plain_socket(family, kind, protocol)
            try:
                for option in self.socket_options or ():
                    connection.setsockopt(*option)
                connection.settimeout(self.timeout)
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise failure

    def getresponse(self) -> Any:
        self.waits.begin()
        return super().getresponse()


class _SafeConnection(_Connection, HTTPSConnection):
    pass


class _Receiving(HTTPConnectionPool):
    """Reads each answer to its end, as far as it has one within bounds."""

    def urlopen(self, *args: Any, **options: Any) -> Received:  # type: ignore[override]
        return received(super().urlopen(*args, **{**options, "preload_content": False}))


@frozen
class Sockets:
    """urllib3's connection pools by scheme, and the class of their safe sockets.

    Attributes:
        pools: The pools.
        safe_socket: For `ssl.SSLContext.sslsocket_class`.
    """

    pools: dict[str, type[HTTPConnectionPool]]
    safe_socket: type[ssl.SSLSocket]


def sockets_with(waits: Waits) -> Sockets:
    """Sockets and pools that wait as *waits* says.

    A wait that is over raises `TimeoutError`, as any other time-out of the socket does.
    """

    class PlainSocket(_PlainSocket):
        pass

    class SafeSocket(_SafeSocket):
        pass

    class Connection(_Connection):
        plain_socket = PlainSocket

    class SafeConnection(_SafeConnection):
        plain_socket = PlainSocket

    class Pool(_Receiving):
        ConnectionCls = Connection

    class SafePool(_Receiving, HTTPSConnectionPool):
        ConnectionCls = SafeConnection

    for kind in (PlainSocket, SafeSocket, Connection, SafeConnection):
        kind.waits = waits
    return Sockets({"http": Pool, "https": SafePool}, SafeSocket)
