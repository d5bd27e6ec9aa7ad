"""What goes over the wire: requests, answers, and instants as HubSpot writes them.

Instants are milliseconds since 1970, or ISO text in UTC.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

import attrs
import orjson

from hubspot_sync.testing.emulator.refusals import RefusalError, bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


CORRELATION: Final = "X-HubSpot-Correlation-Id"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MILLISECOND: Final = timedelta(milliseconds=1)
_DIGITS: Final = re.compile(r"-?\d+")
_ISO: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)


@attrs.frozen(kw_only=True)
class Request:
    """One HTTP request.

    Attributes:
        query: Each parameter with all its values: the official client repeats names where
            HubSpot's own documents join them with commas.
        headers: By lower-case name.
        args: The variable parts of the path.
        base_url: Where the emulator listens, for links.
    """

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    query_text: str = attrs.field(default="", repr=False)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes = attrs.field(default=b"", repr=False)
    args: Mapping[str, str] = attrs.field(factory=dict)
    base_url: str = ""

    @property
    def fingerprint(self) -> str:
        """A short text that equal requests share."""
        asked = f"{self.method} {self.path}?{self.query_text}\n".encode() + self.body
        return hashlib.blake2b(asked, digest_size=12).hexdigest()

    def text(self, name: str) -> str | None:
        """The last value of a query parameter; None where it is absent or empty."""
        values = self.query.get(name)
        return (values[-1] or None) if values else None

    def flag(self, name: str) -> bool:
        """A boolean query parameter, false by default."""
        return (self.text(name) or "false").lower() == "true"

    def names(self, name: str) -> list[str]:
        """A list parameter, comma-separated or repeated."""
        values = self.query.get(name, ())
        return [part for value in values for part in value.split(",") if part]

    def json(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            RefusalError: It is none; HubSpot answers 400.
        """
        try:
            decoded = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise bad_request("Invalid input JSON on line 1, column 1: malformed") from None
        if not isinstance(decoded, dict):
            raise bad_request("Invalid input JSON on line 1, column 1: expected an object")
        return decoded

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(errors="replace")))

    def link(self, after: str | int) -> str:
        """This URL with another `after`."""
        pairs = [(k, v) for k, values in self.query.items() if k != "after" for v in values]
        return f"{self.base_url}{self.path}?{urlencode([*pairs, ('after', str(after))])}"


@attrs.frozen(kw_only=True)
class Answer:
    """One HTTP answer.

    Attributes:
        headers: Further headers, or in place of the usual ones; None leaves one out.
        rows: How many results the body holds, for the call log.
        expired_for: For how many seconds the call's access token has been out of date, for the
            call log; None where it is not.
        mangle: What the server does to it on the wire: "reset", "cut", "hints", "stall",
            "endless" or nothing.
        pause: For "endless": seconds between two bytes.
    """

    status: int = 200
    body: bytes = attrs.field(default=b"", repr=False)
    headers: Mapping[str, str | None] = attrs.field(factory=dict)
    content_type: str = "application/json;charset=utf-8"
    rows: int = 0
    expired_for: float | None = None
    mangle: str | None = None
    pause: float = 0.0


def answer(content: Mapping[str, Any], *, status: int = 200) -> Answer:
    """A JSON answer; counts what is in `results`."""
    return Answer(status=status, body=orjson.dumps(content), rows=len(content.get("results", ())))


def refusal(error: RefusalError, correlation_id: str) -> Answer:
    """The answer that an endpoint's refusal becomes."""
    return Answer(
        status=error.status,
        body=orjson.dumps(error.content(correlation_id)),
        headers={CORRELATION: correlation_id, **error.headers},
        expired_for=error.expired_for,
    )


def integer(text: str | None, default: int, name: str) -> int:
    """A whole number from a query or a body.

    Raises:
        RefusalError: It is something else.
    """
    if text is None:
        return default
    if not text.isdecimal():
        raise bad_request(f"{name} must be a whole number, not {text[:50]!r}")
    return int(text)


def to_milliseconds(instant: datetime) -> int:
    """The whole milliseconds since 1970 of an aware instant."""
    return (instant - _EPOCH) // _MILLISECOND


def to_instant(milliseconds: int) -> datetime:
    """The aware UTC instant."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_iso(milliseconds: int) -> str:
    """As HubSpot prints it: `2026-03-02T10:35:01.123Z`."""
    moment = _EPOCH + timedelta(0, milliseconds // 1000)
    return f"{moment.isoformat()[:19]}.{milliseconds % 1000:03d}Z"


def parse_milliseconds(text: str) -> int | None:
    """Read epoch milliseconds, an ISO instant or an ISO date; None for anything else.

    A fraction beyond milliseconds is ignored (HubSpot 1.8).
    """
    if _DIGITS.fullmatch(text):
        return int(text)
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    day, clock_time, fraction, zone = match.groups()
    zone = "+00:00" if zone in {None, "Z", "z"} else zone
    zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        whole = datetime.fromisoformat(f"{day}T{clock_time or '00:00:00'}{zone}")
    except ValueError:
        return None
    return to_milliseconds(whole) + int((fraction or "0")[:3].ljust(3, "0"))
