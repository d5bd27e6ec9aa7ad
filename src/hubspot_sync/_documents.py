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
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
import orjson
from attrs import evolve

from hubspot_sync.errors import InvariantError
from hubspot_sync.models import (
    AccountEntry,
    Checkpoint,
    Mode,
    OAuthTokens,
    StaticAccessToken,
    StreamStatus,
)

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

T = TypeVar("T")

_UNREADABLE: Final = (
    AttributeError,
    KeyError,
    OverflowError,
    TypeError,
    ValueError,
    InvariantError,
    zlib.error,
)
_MILLISECOND: Final = timedelta(milliseconds=1)


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
    """A model as dictionaries, lists and text; its instants are text.

    A lone surrogate, which no store takes, becomes the replacement character.
    """
    return _texts(msgspec.to_builtins(value, builtin_types=(datetime,)))


def _texts(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_to_text(value)
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {name: _texts(one) for name, one in value.items()}
    return [_texts(one) for one in value] if isinstance(value, (list, tuple)) else value


def _of_kind(kind: type[T], document: Any) -> T:
    """The model of *document*: through JSON, so that no form passes that was not written."""
    return msgspec.json.decode(json.dumps(document, allow_nan=False), type=kind)


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
    return _of_kind(Checkpoint, known)


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


def entry_to_document(entry: AccountEntry) -> dict[str, Any]:
    """An entry without its key, its status, when it is due, and its revision.

    A store searches and compares by them, so it keeps them beside the document.
    """
    document: dict[str, Any] = to_document(entry)
    for kept_beside in ("status", "next_sync_at", "revision"):
        del document[kept_beside]
    if entry.postponed_at is None:
        del document["postponed_at"]
    document["account"] = {
        "streams": document["account"]["streams"],
        "sync_every_ms": max(1, entry.account.sync_every // _MILLISECOND),
    }
    document["streams"] = [
        {"object_type": name, **summary} for name, summary in document["streams"].items()
    ]
    return document


def entry_from_document(
    key: AccountKey,
    document: Mapping[str, Any],
    *,
    status: str,
    next_sync_at: datetime | None,
    revision: int,
) -> AccountEntry:
    """The entry of the account *key* that `entry_to_document` wrote.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        settings = {**document.get("account", {}), **to_document(key)}
        if "sync_every_ms" in settings:
            every = timedelta(milliseconds=settings["sync_every_ms"])
            settings["sync_every"] = msgspec.to_builtins(every)
        streams = _known_summaries(document.get("streams", ()))
        beside = {"status": status, "next_sync_at": None, "revision": revision}
        entry = _of_kind(
            AccountEntry, {**document, **beside, "account": settings, "streams": streams}
        )
        # Decoding runs no converter, and what they refuse is refused by building it again.
        account = evolve(entry.account, streams=[*map(evolve, entry.account.streams)])
        return evolve(entry, account=account, next_sync_at=next_sync_at)
    except _UNREADABLE as error:
        raise _unreadable_entry(key) from error


def entry_to_text(entry: AccountEntry) -> str:
    """What `entry_to_document` returns, as JSON text."""
    return orjson.dumps(entry_to_document(entry)).decode()


def entry_from_text(
    key: AccountKey, text: str, *, status: str, next_sync_at: str | None, revision: int
) -> AccountEntry:
    """The entry of the account *key* that `entry_to_text` wrote.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        document = orjson.loads(text)
        due = None if next_sync_at is None else instant_from_text(next_sync_at)
    except _UNREADABLE as error:
        raise _unreadable_entry(key) from error
    return entry_from_document(key, document, status=status, next_sync_at=due, revision=revision)


def _known_summaries(documents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Summaries by object type; one that a newer version wrote in its own words is left out."""
    return {
        document["object_type"]: document
        for document in documents
        if document.get("status") in _STATUSES and document.get("mode") in _MODES
    }


_STATUSES: Final = frozenset(status.value for status in StreamStatus)
_MODES: Final = frozenset((None, *(mode.value for mode in Mode)))


def _unreadable_entry(key: AccountKey) -> InvariantError:
    return InvariantError(
        "the stored account cannot be read; restore it, or delete it and connect the account again",
        account=str(key),
    )


def credentials_to_bytes(credentials: Credentials) -> bytes:
    """Credentials as JSON, in clear: to be sealed before they are stored."""
    kind = next(name for name, model in _CREDENTIALS.items() if isinstance(credentials, model))
    return orjson.dumps({"kind": kind, **to_document(credentials)})


def credentials_from_bytes(account: AccountKey, content: bytes) -> Credentials:
    """The credentials of *account* that `credentials_to_bytes` wrote.

    Raises:
        InvariantError: They cannot be read.
    """
    try:
        document = orjson.loads(content)
        return evolve(_of_kind(_CREDENTIALS[document["kind"]], document))
    except _UNREADABLE:
        pass
    # Outside the handler, because the error above quotes what it could not read.
    raise InvariantError(
        "the stored credentials cannot be read; save them again", account=str(account)
    )


_CREDENTIALS: Final[dict[str, type[Credentials]]] = {
    "static": StaticAccessToken,
    "oauth": OAuthTokens,
}
