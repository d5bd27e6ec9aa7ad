"""The body of an answer: read within bounds, decompressed, and decoded once.

Neither its length, on the wire or decompressed, nor one bad value in it costs more than itself.
"""

from __future__ import annotations

import json
import re
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
from attrs import field, frozen

from hubspot_sync.errors import HubSpotUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import urllib3

OK: Final = range(200, 300)
_MEBIBYTE: Final = 1024 * 1024
# 200 records with all that fits into their properties have 180 MB; on the wire and decompressed.
_LARGEST: Final = 192 * _MEBIBYTE
# What a refusal says is in its first lines.
_LARGEST_REFUSAL: Final = _MEBIBYTE
_CHUNK: Final = 256 * 1024
# Of zlib: a header of zlib's or of gzip's, whichever comes.
_ANY_HEADER: Final = 32 + zlib.MAX_WBITS
_PLAIN: Final = ("", "identity")
_ZIPPED: Final = ("gzip", "x-gzip", "deflate")
# An escape of half a surrogate pair, told from whole pairs and from other escapes.
_SURROGATES: Final = re.compile(
    r"\\(?:u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_MARKS: Final = re.compile(r'\\.|["\[\]{}]', re.DOTALL)
# What is deeper cannot be encoded again, and nothing of HubSpot's is a tenth as deep.
_DEEPEST: Final = 250
# Python reads it, orjson and JSON know no such thing.
_CUT: Final = "-Infinity"


@frozen(kw_only=True)
class Received:
    """An answer with its whole body, in the shape that the official client asks for.

    Attributes:
        status: The HTTP status.
        reason: What the server calls it.
        headers: The headers, names in any case.
        data: The decompressed body.
    """

    status: int
    reason: str | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    data: bytes = field(repr=False)

    def getheaders(self) -> Mapping[str, str]:
        """The headers."""
        return self.headers

    def get_redirect_location(self) -> None:
        """Nowhere: a redirect is never followed, with a token least of all."""


def received(response: urllib3.BaseHTTPResponse) -> Received:
    """Read *response* to its end, and let its connection be used again.

    Of a refusal the beginning is enough; where it cannot be decompressed, its status is.

    Raises:
        HubSpotUnavailableError: It is larger than any answer of HubSpot's, cut off, or encoded in
            a way that was not asked for.
        zlib.error: It cannot be decompressed.
        urllib3.exceptions.HTTPError: It broke off, or was not complete in time.
    """
    try:
        data = _whole(response) if response.status in OK else _beginning(response)
    except BaseException:
        response.close()
        raise
    finally:
        response.release_conn()
    return Received(
        status=response.status, reason=response.reason, headers=response.headers, data=data
    )


def _whole(response: urllib3.BaseHTTPResponse) -> bytes:
    encoding = _encoding(response)
    if encoding not in (*_PLAIN, *_ZIPPED):
        raise HubSpotUnavailableError(
            f"HubSpot's answer is encoded as {encoding[:20]!a}, which was not asked for",
            status=response.status,
        )
    body = _Body(response, _LARGEST)
    parts = list(body)
    if body.is_too_large:
        raise HubSpotUnavailableError(
            f"HubSpot's answer is larger than {_LARGEST // _MEBIBYTE} MiB, which none of its "
            "answers are; it was not read to its end",
            status=response.status,
        )
    if not body.is_complete:
        raise HubSpotUnavailableError("HubSpot's answer was cut off", status=response.status)
    return b"".join(parts)


def _beginning(response: urllib3.BaseHTTPResponse) -> bytes:
    body = _Body(response, _LARGEST_REFUSAL)
    parts: list[bytes] = []
    with suppress(zlib.error):
        parts.extend(body)
    if not body.is_complete or body.is_too_large:
        response.close()
    return b"".join(parts)


def _encoding(response: urllib3.BaseHTTPResponse) -> str:
    return response.headers.get("Content-Encoding", "").strip().lower()


class _Body:
    """The parts of a body, decompressed, that are not beyond *largest* bytes.

    Args:
        response: Has it.
        largest: How many bytes it may have, on the wire as well as decompressed.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, largest: int) -> None:
        self._response = response
        self._largest = largest
        self._unzip = _Unzip() if _encoding(response) in _ZIPPED else None
        self.is_too_large = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing at the end of what was read."""
        return self._unzip is None or self._unzip.is_complete

    def __iter__(self) -> Iterator[bytes]:
        sent = size = 0
        while raw := self._response.read(_CHUNK, decode_content=False):
            sent += len(raw)
            for part in (raw,) if self._unzip is None else self._unzip.parts(raw):
                size += len(part)
                if size > self._largest:
                    break
                yield part
            if max(sent, size) > self._largest:
                self.is_too_large = True
                return


class _Unzip:
    """Decompresses in small parts; a body may have several members, one after another."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_ANY_HEADER)
        self._begun = self._whole = False

    @property
    def is_complete(self) -> bool:
        """Whether the last member has come to its end, or nothing came at all."""
        return self._whole or not self._begun

    def parts(self, raw: bytes) -> Iterator[bytes]:
        while raw:
            self._begun = True
            try:
                part = self._member.decompress(raw, _CHUNK)
            except zlib.error:
                if self._whole:
                    return  # something behind the end that is no further member
                raise
            raw = self._member.unconsumed_tail
            if self._member.eof:
                raw = self._member.unused_data
                self._member = zlib.decompressobj(_ANY_HEADER)
                self._whole = True
            elif part:
                self._whole = False
            if part:
                yield part


class TooDeep:
    """Stands for a value that is nested too deeply to be read; nothing can be made of it."""


TOO_DEEP: Final = TooDeep()


def loads(content: bytes) -> Any:
    """Decode *content*.

    Half a surrogate pair, which no store can keep, becomes U+FFFD, and so do bytes that are no
    UTF-8. A value that is nested too deeply becomes `TOO_DEEP`, whatever is beside it stays.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(content)
    except ValueError:
        text = _shallow(_without_halves(content.decode("utf-8", "replace")))
    try:
        return json.loads(text, parse_constant=_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _without_halves(text: str) -> str:
    """*text* with each escape of half a surrogate pair replaced."""
    return _SURROGATES.sub(lambda found: r"\ufffd" if found[1] else found[0], text)


def _shallow(text: str) -> str:
    """*text* with what is nested too deeply cut out; without recursion, which is what it saves."""
    kept: list[str] = []
    start = depth = 0
    in_string = False
    for found in _MARKS.finditer(text):
        mark = found[0]
        if mark == '"':
            in_string = not in_string
        elif in_string or len(mark) > 1:
            continue
        elif mark in "[{":
            depth += 1
            if depth == _DEEPEST + 1:
                kept.append(text[start : found.start()])
        else:
            if depth == _DEEPEST + 1:
                kept.append(_CUT)
                start = found.end()
            depth -= 1
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply, and ends before it closes")
    return "".join([*kept, text[start:]])


def _constant(name: str) -> Any:
    return TOO_DEEP if name == _CUT else float(name)
