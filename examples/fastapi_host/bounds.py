"""What no request may exceed, whoever sends it, and what every answer says to a browser.

It stands around the whole application, so it also covers requests without an API key, paths that
lead nowhere, and answers to errors that nobody foresaw. A body is counted while it arrives: what is
announced as too long is refused before a byte of it is read, and what is not announced when the
bound is reached. A request costs no more memory than the bounds together.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from .problems import of_status

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_URL: Final = 4_096
LONGEST_HEADERS: Final = 16_384
LONGEST_BODY: Final = 65_536
_TOO_LONG: Final = f"The body of a request has at most {LONGEST_BODY} bytes."
_BODY_SECONDS = 10.0
# Nothing from elsewhere, in nobody's frame, kept by nobody, and no address with a secret in it is
# passed on; a page says in a policy of its own what else it needs.
_ALWAYS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Bounded:
    """An ASGI application that gets no more than the bounds from a client.

    Args:
        app: Gets the requests that are within them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or whatever else a server has to say."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(headers, receive, send)
        refusal = _excess(scope, headers)
        app = self._app if refusal is None else of_status(*refusal)
        await app(scope, exchange.receive, exchange.send)


def _excess(scope: Scope, headers: Headers) -> tuple[int, str] | None:
    """What is too large about a request before its body, as the status and words of a refusal."""
    url = len(scope.get("raw_path") or scope["path"].encode()) + len(scope["query_string"])
    if url > LONGEST_URL:
        return 414, f"An address has at most {LONGEST_URL} characters."
    if sum(len(name) + len(value) for name, value in headers.raw) > LONGEST_HEADERS:
        return 431, f"The headers of a request have at most {LONGEST_HEADERS} bytes."
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        return 400, "Content-Length has to be a number."
    if len(length.lstrip("0")) > len(str(LONGEST_BODY)) or int(length) > LONGEST_BODY:
        return 413, _TOO_LONG
    return None


class _Exchange:
    """One request as it arrives, and the answer to it."""

    def __init__(self, headers: Headers, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._until = asyncio.get_running_loop().time() + _BODY_SECONDS
        self._size = 0
        length = headers.get("content-length", "0").strip("0")
        self._arrived = not length and "transfer-encoding" not in headers
        self._answering = False

    async def receive(self) -> Message:
        """The next part of the body; with it complete, that the client has gone."""
        if self._arrived:
            return await self._receive()
        left = self._until - asyncio.get_running_loop().time()
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0))
        except asyncio.TimeoutError:
            return self._refuse(408, f"The body of a request arrives within {_BODY_SECONDS:g} s.")
        self._size += len(message.get("body", b""))
        if self._size > LONGEST_BODY:
            return self._refuse(413, _TOO_LONG)
        self._arrived = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    def _refuse(self, status: int, detail: str) -> Message:
        if self._answering:  # nobody can be told any more
            return {"type": "http.disconnect"}
        raise HTTPException(status, detail)

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if message["type"] == "http.response.start":
            self._answering = True
            headers = MutableHeaders(scope=message)
            headers.update(_ALWAYS)
            headers.setdefault("Content-Security-Policy", _POLICY)
            if not self._arrived:  # else a server would go on to read what nobody wants
                headers["Connection"] = "close"
        await self._send(message)
