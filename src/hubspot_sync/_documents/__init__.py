"""Models as plain documents that JSON knows, for the stores that keep them, and back.

Reading is tolerant: a field that is not known is passed over, a missing optional one is absent.
What cannot be read is an `InvariantError` that names the kind of document and none of its values.
Instants are text in UTC with exactly milliseconds (finer parts are cut off), so they sort as text.
Every number of a property is a JSON number with all its digits, however many; dates and instants
become text.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson
from attrs import evolve

from hubspot_sync.errors import InvariantError
from hubspot_sync.models import Checkpoint, OAuthTokens, StaticAccessToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubspot_sync.models import (
        AccountKey,
        Association,
        Credentials,
        PropertySet,
        StreamKey,
        Value,
    )

_UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError, InvariantError, zlib.error)


def instant_to_text(instant: datetime) -> str:
    """The instant as "2026-03-02T10:35:01.123Z"."""
    return instant.astimezone(timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"


def instant_from_text(text: str) -> datetime:
    """The aware UTC instant of what `instant_to_text` wrote.

    Raises:
        ValueError: It is no instant.
    """
    return datetime.fromisoformat(text.removesuffix("Z") + "+00:00")


def decimal_to_text(number: Decimal) -> str:
    """All digits as they were sent: "12.50", "0.00000001", "1E+400"."""
    text = str(number)
    # Python's own form has an exponent for what is small; three digits are what HubSpot sends.
    return f"{number:f}" if "E-" in text[-5:] else text


def properties_to_text(properties: Mapping[str, Value]) -> str:
    """Values by property name as JSON text; see the docs page "Storage and reports".

    Raises:
        TypeError: It has text that cannot be encoded as UTF-8.
        ValueError: It has a number that is too long for Python to write.
    """
    # Often there is nothing to convert, and to see that takes less than half the time of the rest.
    if _WRITERS.keys().isdisjoint(map(type, properties.values())):
        return orjson.dumps(dict(properties)).decode()
    writer_of = _WRITERS.get
    document: dict[str, Any] = dict(properties)
    for name, value in properties.items():
        if (write := writer_of(type(value))) is not None:
            document[name] = write(value)
    return orjson.dumps(document).decode()


def properties_from_text(text: str) -> dict[str, Any]:
    """Values by property name that `properties_to_text` wrote, with every digit of their numbers.

    Whole numbers are `int`, others `Decimal`, choices a tuple; dates and instants stay text, which
    only the definition of a property tells from other text.

    Args:
        text: The column `properties` of an action or a record.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        document = json.loads(text, parse_float=Decimal)
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document.items()
        }
    except _UNREADABLE:
        pass
    # Outside the handler, because the error above quotes what it could not read.
    raise InvariantError(
        "the stored properties of an object cannot be read; restore the row from a backup"
    )


_INT64: Final = 2**63


def _integer(number: int) -> int | orjson.Fragment:
    return number if -_INT64 <= number < _INT64 else orjson.Fragment(str(number))


def _decimal(number: Decimal) -> str | orjson.Fragment:
    text = decimal_to_text(number)
    return orjson.Fragment(text) if number.is_finite() else text


# Everything else is the same in JSON: a tuple is an array.
_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    int: _integer,
    Decimal: _decimal,
    datetime: instant_to_text,
    date: date.isoformat,
}


def associations_to_document(
    associations: Mapping[str, Sequence[Association]],
) -> dict[str, list[dict[str, Any]]]:
    """Associations by object type: a list of documents, empty where there are none."""
    document: dict[str, list[dict[str, Any]]] = {}
    # Nested comprehensions would be half as slow again.
    for object_type, associated in associations.items():
        edges = document[object_type] = []
        for association in associated:
            types = [
                {"category": kind.category, "type_id": kind.type_id, "label": kind.label}
                for kind in association.types
            ]
            edges.append(
                {"id": association.object_id, "primary": association.primary, "types": types}
            )
    return document


def to_document(value: Any) -> Any:
    """A model as dictionaries, lists and text; its instants are text."""
    return _texts(msgspec.to_builtins(value, builtin_types=(datetime,)))


def _texts(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_to_text(value)
    if isinstance(value, dict):
        return {name: _texts(one) for name, one in value.items()}
    return [_texts(one) for one in value] if isinstance(value, (list, tuple)) else value


def checkpoint_to_document(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint; `high_water_mark` is its text, or None."""
    reading = checkpoint.reading
    bare = reading and evolve(reading, properties=None)
    document: dict[str, Any] = to_document(evolve(checkpoint, properties=None, reading=bare))
    document["properties"] = _packed(checkpoint.properties)
    if reading is not None:
        del document["reading"]["object_ids"]
        document["reading"]["properties"] = _packed(reading.properties)
    return document


def checkpoint_from_document(stream: StreamKey, document: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint of *stream* that `checkpoint_to_document` wrote.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        return _checkpoint_from_document(document)
    except _UNREADABLE as error:
        raise _unreadable_checkpoint(stream) from error


def checkpoint_to_text(checkpoint: Checkpoint) -> str:
    """A checkpoint as JSON text."""
    return orjson.dumps(checkpoint_to_document(checkpoint)).decode()


def checkpoint_from_text(stream: StreamKey, text: str) -> Checkpoint:
    """The checkpoint of *stream* that `checkpoint_to_text` wrote.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        return _checkpoint_from_document(orjson.loads(text))
    except _UNREADABLE as error:
        raise _unreadable_checkpoint(stream) from error


def _checkpoint_from_document(document: Mapping[str, Any]) -> Checkpoint:
    # Written before there were reconcile passes: the floor is when the backfill began.
    known = {"reconciled_at": document.get("index_floor"), **document}
    known["properties"] = _unpacked(document.get("properties"))
    reading = document.get("reading")
    if reading is not None:
        known["reading"] = {**reading, "properties": _unpacked(reading.get("properties"))}
    return msgspec.convert(known, Checkpoint)


def _unreadable_checkpoint(stream: StreamKey) -> InvariantError:
    return InvariantError(
        "the stored checkpoint cannot be read; restore it, or delete it to read the stream again "
        "from the beginning",
        account=str(stream.account),
        stream=stream.object_type,
    )


def _packed(properties: PropertySet | None) -> dict[str, Any] | None:
    """A property set with the names in one text.

    An account may have a thousand of them, and a checkpoint is written with every batch.
    """
    if properties is None:
        return None
    types, read = dict(properties.types), properties.read
    content = orjson.dumps([types, None if read == types.keys() else sorted(read)])
    return {
        "packed": b64encode(zlib.compress(content, level=1)).decode(),
        "associations": sorted(properties.associations),
        "defined_at": instant_to_text(properties.defined_at),
    }


def _unpacked(document: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What `_packed` packed; one that was written before there were types is not known."""
    if document is None or "packed" not in document:
        return None
    types, read = orjson.loads(zlib.decompress(b64decode(document["packed"])))
    return {**document, "types": types, "read": list(types) if read is None else read}


def _optional_text(instant: datetime | None) -> str | None:
    return None if instant is None else instant_to_text(instant)


def _optional_instant(text: str | None) -> datetime | None:
    return None if text is None else instant_from_text(text)


def credentials_to_bytes(credentials: Credentials) -> bytes:
    """Credentials as JSON, in clear: to be sealed before they are stored."""
    return orjson.dumps(_credentials_to_document(credentials))


def credentials_from_bytes(account: AccountKey, content: bytes) -> Credentials:
    """The credentials of *account* that `credentials_to_bytes` wrote.

    Raises:
        InvariantError: They cannot be read.
    """
    try:
        return _credentials_from_document(orjson.loads(content))
    except _UNREADABLE:
        pass
    # Outside the handler, because the error above quotes what it could not read.
    raise InvariantError(
        "the stored credentials cannot be read; save them again", account=str(account)
    )


def _credentials_to_document(credentials: Credentials) -> dict[str, Any]:
    if isinstance(credentials, StaticAccessToken):
        return {"kind": "static", "access_token": credentials.access_token}
    return {
        "kind": "oauth",
        "refresh_token": credentials.refresh_token,
        "access_token": credentials.access_token,
        "expires_at": _optional_text(credentials.expires_at),
        "issued_at": _optional_text(credentials.issued_at),
        "refreshing_until": _optional_text(credentials.refreshing_until),
    }


def _credentials_from_document(document: Mapping[str, Any]) -> Credentials:
    kind = document["kind"]
    if kind == "static":
        return StaticAccessToken(access_token=document["access_token"])
    if kind == "oauth":
        return OAuthTokens(
            refresh_token=document["refresh_token"],
            access_token=document.get("access_token"),
            expires_at=_optional_instant(document.get("expires_at")),
            issued_at=_optional_instant(document.get("issued_at")),
            refreshing_until=_optional_instant(document.get("refreshing_until")),
        )
    raise InvariantError("credentials of an unknown kind")
