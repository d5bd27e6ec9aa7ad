"""Scripted faults: what goes wrong, on which route, how often, and what becomes of the answer."""

from __future__ import annotations

import gzip
import threading
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import attrs
import orjson

from hubspot_sync.testing.emulator.refusals import (
    RefusalError,
    missing_scopes,
    rate_limited,
    wrong_hublet,
)
from hubspot_sync.testing.emulator.wire import Answer, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROUTES: Final = (
    "list",
    "get",
    "search",
    "batch_read",
    "archive",
    "merge",
    "erase",
    "associations",
    "labels",
    "properties",
    "schemas",
    "owners",
    "pipelines",
    "account",
    "oauth",
    "introspect",
    "revoke",
    "authorize",
)
KINDS: Final = (
    "status",
    "html",
    "reset",
    "cut",
    "malformed",
    "delay",
    "hints",
    "stall",
    "endless",
    "bomb",
)
_STATUSES: Final = range(200, 600)


def _in(allowed: tuple[str, ...]) -> Callable[[Fault, attrs.Attribute[Any], str | None], None]:
    def check(_fault: Fault, attribute: attrs.Attribute[Any], value: str | None) -> None:
        if value is not None and value not in allowed:
            raise ValueError(f"{attribute.name} must be one of {', '.join(allowed)}, not {value!r}")

    return check


@attrs.frozen(kw_only=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        route: Which route, or None for any.
        object_type: Only calls for this type, by its plural name (of associations: the first).
        archived: Only calls with `archived=true`, or, if false, only those without.
        kind: "status": *status* with *body*, in HubSpot's shape by default. "html": *status* with
            an HTML page, as a proxy sends. "reset": the connection is reset before the answer.
            "cut": the answer ends in the middle of its body. "malformed": its JSON is broken.
            "delay": the right answer, late. "hints": the right answer, after a 103 of its own.
            "stall": half of the right answer, and then nothing. "endless": a body without an end.
            "bomb": a small gzip body that becomes *size* bytes of JSON.
        status: The HTTP status for "status" and "html". A redirect is 301, 302, 307 or 308 with a
            header `Location`.
        headers: Further headers, such as `Retry-After`, or in place of the usual ones, `Date` and
            `Content-Type` among them; None leaves one out.
        body: In place of the default body; JSON unless it is text or bytes.
        policy: For 429: "TEN_SECONDLY_ROLLING", "SECONDLY" or "DAILY"; chosen by route by default.
        correct_hublet: For 477 and 488: the data centre that the body names; "eu1" by default for
            488. (HubSpot 3.4.)
        size: For "bomb": how many bytes; 2 GiB by default, of which gzip makes a thousandth.
        pause: For "endless": seconds between two bytes; without it they come as fast as they can.
        delay: Seconds of real time before anything is sent, for every kind; a large number makes
            the connection hang until the client gives up or the emulator closes.
        times: How many calls it hits; None for all.
        skip: How many matching calls pass unharmed before.

    Raises:
        ValueError: Arguments that do not fit together.
    """

    route: str | None = attrs.field(default=None, validator=_in(ROUTES))
    object_type: str | None = None
    archived: bool | None = None
    kind: str = attrs.field(default="status", validator=_in(KINDS))
    status: int | None = None
    headers: Mapping[str, str | None] = attrs.field(factory=dict)
    body: Any = None
    policy: str | None = attrs.field(
        default=None, validator=_in(("TEN_SECONDLY_ROLLING", "SECONDLY", "DAILY"))
    )
    correct_hublet: str | None = None
    size: int = attrs.field(default=2 * 1024**3, validator=attrs.validators.ge(1))
    pause: float = attrs.field(default=0.0, validator=attrs.validators.ge(0.0))
    delay: float = 0.0
    times: int | None = 1
    skip: int = 0

    def __attrs_post_init__(self) -> None:
        if (self.status is not None) != (self.kind in {"status", "html"}):
            raise ValueError("a status is needed for kind 'status' and 'html', and only there")
        if self.status is not None and self.status not in _STATUSES:
            raise ValueError(f"{self.status} is not an HTTP status")
        if self.delay < 0 or self.skip < 0 or (self.times is not None and self.times < 1):
            raise ValueError("delay and skip cannot be negative, times is at least 1 or None")

    def matches(self, route: str, object_type: str | None, *, archived: bool = False) -> bool:
        """Whether a call is of the kind that this fault hits."""
        return (
            self.route in {None, route}
            and self.object_type in {None, object_type}
            and self.archived in {None, archived}
        )

    def refusal(self, route: str, account_id: str) -> RefusalError:
        """The refusal in HubSpot's shape for kind "status" without a body."""
        status = self.status or 500
        if status == 488:  # noqa: PLR2004 - a status
            return wrong_hublet(account_id, self.correct_hublet or "eu1")
        hublet = {"correctHublet": self.correct_hublet} if self.correct_hublet else {}
        if status == 429:  # noqa: PLR2004 - a status
            usual = "SECONDLY" if route == "search" else "TEN_SECONDLY_ROLLING"
            return rate_limited(self.policy or usual)
        if status == 403:  # noqa: PLR2004 - a status
            return missing_scopes([f"crm.objects.{self.object_type or 'contacts'}.read"])
        if status == 401:  # noqa: PLR2004 - a status
            return RefusalError(401, "expired", category="EXPIRED_AUTHENTICATION")
        category = _CATEGORIES.get(status, "VALIDATION_ERROR" if status < 500 else "INTERNAL_ERROR")  # noqa: PLR2004
        message = f"scripted fault: HTTP {status}"
        return RefusalError(status, message, category=category, **hublet)


_CATEGORIES: Final = {404: "OBJECT_NOT_FOUND", 423: "LOCKED", 477: "MIGRATION_IN_PROGRESS"}


@attrs.define(eq=False)
class _Armed:
    fault: Fault
    seen: int = 0
    fired: int = 0

    def fires(self) -> bool:
        self.seen += 1
        if self.seen <= self.fault.skip:
            return False
        self.fired += 1
        return True

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.fired >= self.fault.times


class FaultScript:
    """The faults in force; thread-safe. A call meets at most one: the first that fires."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many faults have calls left to hit."""
        with self._lock:
            return len(self._armed)

    def add(self, *faults: Fault) -> None:
        """Arm faults, behind those that are armed already."""
        with self._lock:
            self._armed.extend(_Armed(fault) for fault in faults)

    def clear(self) -> None:
        """Disarm all."""
        with self._lock:
            self._armed.clear()

    def take(self, route: str, object_type: str | None, *, archived: bool = False) -> Fault | None:
        """The fault that this call meets, or None."""
        with self._lock:
            for armed in self._armed:
                if armed.fault.matches(route, object_type, archived=archived) and armed.fires():
                    if armed.spent:
                        self._armed.remove(armed)
                    return armed.fault
        return None


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
