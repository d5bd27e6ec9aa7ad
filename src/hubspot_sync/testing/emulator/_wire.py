"""What goes in and out of an endpoint."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

import attrs
import orjson

from hubspot_sync.testing.emulator._failures import RefusalError, bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


CORRELATION: Final = "X-HubSpot-Correlation-Id"


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
