"""The HTTP server: the standard library's, with keep-alive and one write per answer."""

from __future__ import annotations

import socket
import socketserver
import struct
import sys
import threading
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import attrs

from hubspot_sync.testing.emulator.server.application import ClosingError
from hubspot_sync.testing.emulator.wire import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync._clock import Clock

_HOST: Final = "127.0.0.1"
_CLOSE_SECONDS: Final = 5.0
_NO_LINGER: Final = struct.pack("ii", 1, 0)


_HINTS: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - as above

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Print nothing: there is a call log."""

    def _serve(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        body = self.rfile.read(int(length)) if length.isdecimal() else b""
        path, _, query_text = self.path.partition("?")
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(query_text, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        request = Request(
            method=self.command,
            path=path,
            query=query,
            query_text=query_text,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            base_url=self.server.base_url,
        )
        try:
            self._send(self.server.owner.answer(request))
        except ClosingError:
            self.close_connection = True

    def _send(self, answer: Answer) -> None:
        if answer.mangle == "reset":
            # Closing with lingering off makes the kernel send RST instead of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.connection.close()
            self.close_connection = True
            return
        body = answer.body
        if answer.mangle in {"cut", "stall", "endless"}:
            body = body[: len(body) // 2]
            self.close_connection = True
        if answer.mangle == "endless":
            self._send_without_end(answer, body)
            return
        hints = _HINTS if answer.mangle == "hints" else b""
        # One write: head and body in two would wait for the client's delayed ACK.
        self.wfile.write(hints + self._head(answer) + body)
        if answer.mangle == "stall":
            self.rfile.read(1)  # until the client or the server hangs up

    def _send_without_end(self, answer: Answer, body: bytes) -> None:
        """Send blanks after *body* until the client or the server hangs up."""
        headers = {**answer.headers, "Content-Length": None, "Transfer-Encoding": "chunked"}
        head = self._head(attrs.evolve(answer, headers=headers))
        self.wfile.write(head + _chunk(body or b"{"))
        blanks = _chunk(b" " if answer.pause else b" " * 65_536)
        waiting = threading.Event()
        while True:
            waiting.wait(answer.pause)
            self.wfile.write(blanks)

    def _head(self, answer: Answer) -> bytes:
        reason = self.responses[answer.status][0] if answer.status in self.responses else "Unknown"
        headers: dict[str, tuple[str, str | None]] = {
            "date": ("Date", format_datetime(self.server.owner.clock.now(), usegmt=True)),
            "content-type": ("Content-Type", answer.content_type),
            "content-length": ("Content-Length", str(len(answer.body))),
        }
        # Each header once, whatever capitals it is given in.
        headers |= {name.lower(): (name, value) for name, value in answer.headers.items()}
        lines = [
            f"HTTP/1.1 {answer.status} {reason}",
            *(f"{name}: {value}" for name, value in headers.values() if value is not None),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class _Listener(ThreadingHTTPServer):
    """A port and the connections to it."""

    daemon_threads = True
    # A client's whole pool may connect at once.
    request_queue_size = 512

    def __init__(self, owner: Server, port: int) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._idle = threading.Condition()
        super().__init__((_HOST, port), _Handler)
        self.base_url = f"http://{_HOST}:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without the base class's reverse look-up, which may ask a name server."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = _HOST, int(self.server_address[1])

    def hang_up(self) -> None:
        """Close the port and every connection, and wait for the threads behind them."""
        self.server_close()
        with self._idle:
            for connection in self._open:
                _hang_up(connection)
            self._idle.wait_for(lambda: not self._open, timeout=_CLOSE_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, then let the base class start its thread."""
        with self._idle:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection after the base class has closed it."""
        super().shutdown_request(request)
        with self._idle:
            self._open.discard(request)
            self._idle.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that went away."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ValueError)):
            super().handle_error(request, client_address)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is closed already


class Server:
    """Answers over HTTP on 127.0.0.1 between `start` and `close`; may start again.

    Args:
        answer: Turns requests into answers; called from many threads.
        closing: Set while it is closed; ends delays.
        clock: Dates the answers.
        port: 0 takes a free one.

    Attributes:
        answer: As given.
        clock: As given; may be set.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        closing: threading.Event,
        clock: Clock,
        port: int,
    ) -> None:
        self.answer = answer
        self.clock = clock
        self._closing = closing
        self._port = port
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        """Where it listens: `http://127.0.0.1:<port>`.

        Raises:
            RuntimeError: It is not started.
        """
        if self._listener is None:
            raise RuntimeError("the emulator is not started; use it as a context manager")
        return self._listener.base_url

    def start(self) -> None:
        """Listen, and answer in threads of its own.

        Raises:
            OSError: The port is taken.
            RuntimeError: It is started already.
        """
        if self._listener is not None:
            raise RuntimeError("the emulator is started already")
        self._listener = _Listener(self, self._port)
        self._closing.clear()
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and hang up; calls that are held back get no answer. Idempotent."""
        listener, self._listener = self._listener, None
        if listener is None or self._thread is None:
            return
        self._closing.set()
        listener.shutdown()
        self._thread.join()
        listener.hang_up()
