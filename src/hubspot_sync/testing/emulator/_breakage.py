"""What a scripted fault makes of an answer."""

from __future__ import annotations

import gzip
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import attrs
import orjson

from hubspot_sync.testing.emulator._wire import Answer, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.testing.emulator._faults import Fault

_PROXY_PAGE: Final = b"<!DOCTYPE html><html><body><h1>Error %d</h1><p>cloudflare</p></body></html>"
_BLOCK: Final = 16 * 1024**2


def broken(fault: Fault, route: str, account_id: str, serve: Callable[[], Answer]) -> Answer:
    """The answer that a call gets which meets *fault*; *serve* makes the right one."""
    if fault.kind == "reset":
        return Answer(mangle="reset")
    if fault.kind == "html" or (fault.kind == "status" and _redirects(fault.status)):
        status = fault.status or 502
        page = _PROXY_PAGE % status if fault.body is None else _encoded(fault.body)
        return Answer(status=status, body=page, content_type="text/html", headers=fault.headers)
    if fault.kind == "status":
        given = refusal(fault.refusal(route, account_id), str(uuid.uuid4()))
        given = given if fault.body is None else attrs.evolve(given, body=_encoded(fault.body))
        return attrs.evolve(given, headers={**given.headers, **fault.headers})
    if fault.kind == "bomb":
        headers = {"Content-Encoding": "gzip", **fault.headers}
        return Answer(body=_bomb(fault.size), headers=headers)
    given = serve()
    body = given.body
    if fault.kind == "malformed":
        body = body[: max(len(body) // 2, 1)]
    mangle = None if fault.kind in {"malformed", "delay"} else fault.kind
    headers = {**given.headers, **fault.headers}
    return attrs.evolve(given, headers=headers, body=body, mangle=mangle, pause=fault.pause)


def _redirects(status: int | None) -> bool:
    return status is not None and 300 <= status < 400  # noqa: PLR2004 - statuses


def _encoded(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return body.encode() if isinstance(body, str) else orjson.dumps(body)


@lru_cache(maxsize=2)
def _bomb(size: int) -> bytes:
    """JSON with one long text, as gzip: members of one file may follow each other (RFC 1952)."""
    blocks, rest = divmod(size, _BLOCK)
    return b"".join(
        (
            gzip.compress(b'{"results": [], "text": "'),
            gzip.compress(b"x" * min(size, _BLOCK)) * blocks,
            gzip.compress(b"x" * rest + b'"}'),
        )
    )
