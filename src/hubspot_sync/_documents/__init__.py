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

import orjson

from hubspot_sync.errors import InvariantError
from hubspot_sync.models import (
    Checkpoint,
    IdRange,
    ListedSpan,
    Mode,
    OAuthTokens,
    Pass,
    PropertySet,
    StaticAccessToken,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hubspot_sync.models import AccountKey, Association, Credentials, StreamKey, Value

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


def checkpoint_to_document(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint; `high_water_mark` is its text, or None."""
    return {
        "high_water_mark": _optional_text(checkpoint.high_water_mark),
        "index_floor": _optional_text(checkpoint.index_floor),
        "reconciled_at": _optional_text(checkpoint.reconciled_at),
        "reading": None if checkpoint.reading is None else _pass_to_document(checkpoint.reading),
        "doubtful_until": _optional_text(checkpoint.doubtful_until),
        "reconcile_since": _optional_text(checkpoint.reconcile_since),
        "redeliver": checkpoint.redeliver,
        "unread": list(checkpoint.unread),
        "undelivered": list(checkpoint.undelivered),
        "properties": _properties_to_document(checkpoint.properties),
        "fell_from": _optional_text(checkpoint.fell_from),
        "archived_at": _optional_text(checkpoint.archived_at),
        "archived_after": checkpoint.archived_after,
        "differences": _spans_to_document(checkpoint.differences),
        "associations_at": _optional_text(checkpoint.associations_at),
        "associations_after": checkpoint.associations_after,
        "suspected": checkpoint.suspected,
        "confirmed": checkpoint.confirmed,
    }


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
    reading = document.get("reading")
    floor = document.get("index_floor")
    return Checkpoint(
        high_water_mark=_optional_instant(document.get("high_water_mark")),
        index_floor=_optional_instant(floor),
        # Written before there were reconcile passes: the floor is when the backfill began.
        reconciled_at=_optional_instant(document.get("reconciled_at", floor)),
        reading=None if reading is None else _pass_from_document(reading),
        doubtful_until=_optional_instant(document.get("doubtful_until")),
        reconcile_since=_optional_instant(document.get("reconcile_since")),
        redeliver=bool(document.get("redeliver")),
        unread=tuple(document.get("unread") or ()),
        undelivered=tuple(document.get("undelivered") or ()),
        properties=_properties_from_document(document.get("properties")),
        fell_from=_optional_instant(document.get("fell_from")),
        archived_at=_optional_instant(document.get("archived_at")),
        archived_after=document.get("archived_after"),
        differences=_spans_from_document(document.get("differences") or ()),
        associations_at=_optional_instant(document.get("associations_at")),
        associations_after=document.get("associations_after"),
        suspected=document.get("suspected") or 0,
        confirmed=bool(document.get("confirmed")),
    )


def _unreadable_checkpoint(stream: StreamKey) -> InvariantError:
    return InvariantError(
        "the stored checkpoint cannot be read; restore it, or delete it to read the stream again "
        "from the beginning",
        account=str(stream.account),
        stream=stream.object_type,
    )


def _pass_to_document(reading: Pass) -> dict[str, Any]:
    return {
        "mode": reading.mode.value,
        "start": _optional_text(reading.start),
        "end": instant_to_text(reading.end),
        "ranges": [_range_to_document(part) for part in reading.ranges],
        "listed": None if reading.listed is None else _spans_to_document(reading.listed),
        "redelivers": reading.redelivers,
        "properties": _properties_to_document(reading.properties),
    }


def _spans_to_document(spans: Iterable[ListedSpan]) -> list[list[int]]:
    return [[span.first, span.end, span.rows] for span in spans]


def _spans_from_document(document: Iterable[Sequence[int]]) -> tuple[ListedSpan, ...]:
    return tuple(ListedSpan(first, end, rows) for first, end, rows in document)


def _properties_to_document(properties: PropertySet | None) -> dict[str, Any] | None:
    if properties is None:
        return None
    types, read = dict(properties.types), properties.read
    # An account may have a thousand of them, and a checkpoint is written with every batch.
    content = orjson.dumps([types, None if read == types.keys() else sorted(read)])
    return {
        "packed": b64encode(zlib.compress(content, level=1)).decode(),
        "associations": sorted(properties.associations),
        "defined_at": instant_to_text(properties.defined_at),
    }


def _properties_from_document(document: Mapping[str, Any] | None) -> PropertySet | None:
    if document is None or "packed" not in document:
        return None
    types, read = orjson.loads(zlib.decompress(b64decode(document["packed"])))
    return PropertySet(
        types=dict(types),
        read=frozenset(types if read is None else read),
        associations=frozenset(document["associations"]),
        defined_at=instant_from_text(document["defined_at"]),
    )


def _range_to_document(part: IdRange) -> dict[str, Any]:
    return {
        "after": part.after,
        "until": part.until,
        "start": _optional_text(part.start),
        "end": _optional_text(part.end),
        "serial": part.serial,
        "listed": part.listed,
    }


def _pass_from_document(document: Mapping[str, Any]) -> Pass:
    return Pass(
        mode=Mode(document["mode"]),
        start=_optional_instant(document.get("start")),
        end=instant_from_text(document["end"]),
        ranges=tuple(_range_from_document(part) for part in document["ranges"]),
        # What was listed before records were counted is not known.
        listed=None if (listed := document.get("listed")) is None else _spans_from_document(listed),
        redelivers=bool(document.get("redelivers")),
        properties=_properties_from_document(document.get("properties")),
    )


def _range_from_document(document: Mapping[str, Any]) -> IdRange:
    return IdRange(
        after=document.get("after"),
        until=document.get("until"),
        start=_optional_instant(document.get("start")),
        end=_optional_instant(document.get("end")),
        serial=bool(document.get("serial")),
        listed=bool(document.get("listed")),
    )


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
