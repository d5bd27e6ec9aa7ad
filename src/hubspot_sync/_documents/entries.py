"""Entries of accounts as plain documents.

The key, the status, the instant of the next sync and the revision are no part of the document: a
store searches and compares by them, so it keeps them beside it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import orjson

from hubspot_sync._documents import (
    _UNREADABLE,
    _optional_instant,
    _optional_text,
    instant_from_text,
    instant_to_text,
)
from hubspot_sync.errors import InvariantError
from hubspot_sync.models import (
    Account,
    AccountEntry,
    AccountStatus,
    Counts,
    Mode,
    StreamSettings,
    StreamStatus,
    StreamSummary,
    SyncSummary,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from hubspot_sync.models import AccountKey

    Readers = Mapping[str, Callable[[Any], Any]]

_MILLISECOND: Final = timedelta(milliseconds=1)


def entry_to_document(entry: AccountEntry) -> dict[str, Any]:
    """What is known of an account, without what a store keeps beside it.

    A lone surrogate, which no store takes, becomes the replacement character.
    """
    document: dict[str, Any] = {
        "account": {
            "streams": [_settings_to_document(stream) for stream in entry.account.streams],
            "sync_every_ms": max(1, entry.account.sync_every // _MILLISECOND),
        },
        "reason": entry.reason,
        "status_since": instant_to_text(entry.status_since),
        "name": entry.name,
        "scopes": list(entry.scopes),
        "last_sync": None if entry.last_sync is None else _sync_to_document(entry.last_sync),
        "failed_runs": entry.failed_runs,
        "streams": [
            {"object_type": object_type, **_summary_to_document(summary)}
            for object_type, summary in entry.streams.items()
        ],
    }
    if entry.postponed_at is not None:
        document["postponed_at"] = instant_to_text(entry.postponed_at)
    return {name: _storable(value) for name, value in document.items()}


def entry_from_document(
    account: AccountKey,
    document: Mapping[str, Any],
    *,
    status: str,
    next_sync_at: datetime | None,
    revision: int,
) -> AccountEntry:
    """The entry of *account* that `entry_to_document` wrote.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        return AccountEntry(
            account=Account(
                domain_id=account.domain_id,
                account_id=account.account_id,
                **_values(document.get("account", {}), _ACCOUNT),
            ),
            status=AccountStatus(status),
            next_sync_at=next_sync_at,
            revision=revision,
            **_values(document, _ENTRY),
        )
    except (*_UNREADABLE, OverflowError) as error:
        raise _unreadable(account) from error


def entry_to_text(entry: AccountEntry) -> str:
    """What `entry_to_document` gives, as JSON text."""
    return orjson.dumps(entry_to_document(entry)).decode()


def entry_from_text(
    account: AccountKey, text: str, *, status: str, next_sync_at: str | None, revision: int
) -> AccountEntry:
    """The entry of *account* that `entry_to_text` wrote; *next_sync_at* is the text of an instant.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        document = orjson.loads(text)
        moment = _optional_instant(next_sync_at)
    except _UNREADABLE as error:
        raise _unreadable(account) from error
    return entry_from_document(
        account, document, status=status, next_sync_at=moment, revision=revision
    )


def _unreadable(account: AccountKey) -> InvariantError:
    return InvariantError(
        "the stored account cannot be read; restore it, or delete it and connect the account again",
        account=str(account),
    )


def _settings_to_document(stream: StreamSettings) -> dict[str, Any]:
    return {
        "object_type": stream.object_type,
        "properties": None if stream.properties is None else list(stream.properties),
        "associations": list(stream.associations),
        "exclude": list(stream.exclude),
        "raw_values": stream.raw_values,
        "ignore_missing": stream.ignore_missing,
        "unlisted_properties": list(stream.unlisted_properties),
    }


def _sync_to_document(sync: SyncSummary) -> dict[str, Any]:
    return {
        "started_at": instant_to_text(sync.started_at),
        "finished_at": instant_to_text(sync.finished_at),
        "completed": sync.completed,
        "error": sync.error,
        "error_type": sync.error_type,
    }


def _summary_to_document(summary: StreamSummary) -> dict[str, Any]:
    return {
        "status": summary.status.value,
        "mode": None if summary.mode is None else summary.mode.value,
        "counts": {name: getattr(summary.counts, name) for name in _COUNTS},
        "finished_at": instant_to_text(summary.finished_at),
        "completed_at": _optional_text(summary.completed_at),
        "error": summary.error,
        "error_type": summary.error_type,
    }


def _storable(value: Any) -> Any:
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {name: _storable(one) for name, one in value.items()}
    return [_storable(one) for one in value] if isinstance(value, list) else value


def _values(document: Mapping[str, Any], readers: Readers) -> dict[str, Any]:
    """Arguments for a model: what is not there is left to the model, what is new is passed over."""
    return {
        _NAMES.get(name, name): read(document[name])
        for name, read in readers.items()
        if name in document
    }


def _settings_from_documents(documents: Sequence[Mapping[str, Any]]) -> tuple[StreamSettings, ...]:
    return tuple(StreamSettings(**_values(document, _SETTINGS)) for document in documents)


def _sync_from_document(document: Mapping[str, Any] | None) -> SyncSummary | None:
    return None if document is None else SyncSummary(**_values(document, _SYNC))


def _summaries_from_documents(
    documents: Sequence[Mapping[str, Any]],
) -> dict[str, StreamSummary]:
    summaries = {}
    for document in documents:
        # They are for people only: one that a newer version wrote in its own words is left out.
        if document.get("status") in _KNOWN_STATUSES and document.get("mode") in _KNOWN_MODES:
            summaries[document["object_type"]] = StreamSummary(**_values(document, _SUMMARY))
    return summaries


def _as_it_is(value: Any) -> Any:
    return value


# What is called otherwise in a document than in its model.
_NAMES: Final = {"sync_every_ms": "sync_every"}
_KNOWN_STATUSES: Final = frozenset(status.value for status in StreamStatus)
_KNOWN_MODES: Final = frozenset((None, *(mode.value for mode in Mode)))

_COUNTS: Final[Readers] = dict.fromkeys(
    ("delivered", "repeated", "unchanged", "rejected", "skipped"), int
)
_SETTINGS: Final[Readers] = {
    "object_type": _as_it_is,
    "properties": _as_it_is,
    "associations": _as_it_is,
    "exclude": _as_it_is,
    "raw_values": bool,
    "ignore_missing": bool,
    "unlisted_properties": _as_it_is,
}
_SYNC: Final[Readers] = {
    "started_at": instant_from_text,
    "finished_at": instant_from_text,
    "completed": bool,
    "error": _as_it_is,
    "error_type": _as_it_is,
}
_SUMMARY: Final[Readers] = {
    "status": StreamStatus,
    "mode": lambda value: None if value is None else Mode(value),
    "counts": lambda document: Counts(**_values(document, _COUNTS)),
    "finished_at": instant_from_text,
    "completed_at": _optional_instant,
    "error": _as_it_is,
    "error_type": _as_it_is,
}
_ACCOUNT: Final[Readers] = {
    "streams": _settings_from_documents,
    "sync_every_ms": lambda number: number * _MILLISECOND,
}
_ENTRY: Final[Readers] = {
    "reason": _as_it_is,
    "status_since": instant_from_text,
    "name": _as_it_is,
    "scopes": tuple,
    "last_sync": _sync_from_document,
    "postponed_at": _optional_instant,
    "failed_runs": int,
    "streams": _summaries_from_documents,
}
