"""What MongoDB can never take, and why, without showing any of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import bson
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument

from hubspot_sync.stores.mongodb._errors import DOCUMENT_TOO_LARGE, DUPLICATE_KEY
from hubspot_sync.stores.mongodb._values import CODEC_OPTIONS, EXACT, numbers_apart

# https://www.mongodb.com/docs/manual/reference/limits/#bson-documents
_LARGEST: Final = 16 * 1024 * 1024
# What the driver raises for a whole batch because of one document in it.
UNENCODABLE: Final = (BSONError, OverflowError, UnicodeError)
# Of one document: bad value (also: too large), too deep, a name that look-alikes do not take, not
# as the host's validator wants it, too large as such, in an index, or after an update.
_REFUSED: Final = frozenset({2, 15, 52, 56, 57, 121, DOCUMENT_TOO_LARGE, 17_280, 17_419, 17_420})


class UnstorableError(Exception):
    """A document that MongoDB can never take; the text says why."""


def encoded(document: Mapping[str, Any]) -> RawBSONDocument:
    """*document* as it is sent.

    Raises:
        UnstorableError: It cannot be encoded, or is too large.
    """
    try:
        content = _content(document)
    except OverflowError:
        raise UnstorableError("it has a number beyond 64 bits") from None
    except UNENCODABLE:
        raise UnstorableError("it has text that MongoDB does not take") from None
    if len(content) > _LARGEST:
        raise UnstorableError("it is larger than 16 MiB, which MongoDB does not take")
    return RawBSONDocument(content)


def _content(document: Mapping[str, Any]) -> bytes:
    try:
        return bson.encode(document, codec_options=CODEC_OPTIONS)
    except OverflowError:
        # Seldom, so nobody looks for long numbers before.
        properties, digits = numbers_apart(document["properties"])
        changed = {**document, "properties": properties, **({EXACT: digits} if digits else {})}
        return bson.encode(changed, codec_options=CODEC_OPTIONS)


def reason_against(document: Mapping[str, Any]) -> str | None:
    """Why *document* cannot be encoded for MongoDB; None if it can."""
    try:
        encoded(document)
    except UnstorableError as error:
        return str(error)
    return None


def reason_of(code: int) -> str | None:
    """Why the server refused one document of a batch; None where the document is not the cause."""
    if code == DUPLICATE_KEY:
        return "a unique index of the collection does not take it"
    return f"MongoDB does not take it (code {code})" if code in _REFUSED else None
