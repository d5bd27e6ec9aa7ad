"""Turns rows of HubSpot's answers into records, and finds those that are none."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from hubspot_sync._hubspot.records.associations import NO_KEYS, read_inline
from hubspot_sync._hubspot.records.values import to_instant
from hubspot_sync.models import Record, SkippedRow, cursor_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync._hubspot.records.associations import PageKeys
    from hubspot_sync._hubspot.records.batch import FoundById
    from hubspot_sync._hubspot.records.values import Conversion
    from hubspot_sync.models import Value


def to_records(
    rows: Sequence[Any], object_type: str, convert: Conversion, keys: PageKeys = NO_KEYS
) -> tuple[tuple[Record, ...], tuple[SkippedRow, ...]]:
    """Split *rows* into records, their values converted, and rows that are none.

    Args:
        rows: What HubSpot sent.
        object_type: What the rows are.
        convert: Converts the values.
        keys: What the keys of inline associations mean on this page.
    """
    field = cursor_field(object_type)
    records: list[Record] = []
    skipped: list[SkippedRow] = []
    for row in rows:
        try:
            records.append(_record(row, object_type, field, convert, keys))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            skipped.append(_skipped(row, _reason(error)))
    return tuple(records), tuple(skipped)


def skipped_of(found: FoundById) -> tuple[SkippedRow, ...]:
    """The records that HubSpot could not answer for when it was asked by their ids."""
    return tuple(
        SkippedRow(object_id=object_id, reason=reason, again=True)
        for object_id, reason in found.unanswered.items()
    )


def _record(row: Any, object_type: str, field: str, convert: Conversion, keys: PageKeys) -> Record:
    object_id = str(row["id"])
    if not (object_id.isascii() and object_id.isdigit()):
        raise ValueError("its id is no number")
    sent = row["properties"]
    values, unconverted = convert(sent)
    created = row.get("createdAt") or sent.get("createdate")
    modified = sent.get(field) or row.get("updatedAt")
    read_already = values.get("createdate") if created == sent.get("createdate") else None
    # A record that lacks one of its dates is a record all the same: the other one stands for it.
    return Record(
        object_type=object_type,
        object_id=object_id,
        properties=values,
        created_at=_instant(read_already, created or modified),
        modified_at=_instant(values.get(field), modified or created),
        associations=read_inline(row, keys),
        unconverted=unconverted,
    )


def modified_at(row: Any, object_type: str) -> datetime | None:
    """The modified date of *row*; None where it has none that can be read."""
    sent = row.get("properties")
    text = sent.get(cursor_field(object_type)) if isinstance(sent, dict) else None
    text = text or row.get("updatedAt")
    try:
        return to_instant(text) if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def _instant(read_already: Value, sent: Any) -> datetime:
    if isinstance(read_already, datetime):
        return read_already
    if not isinstance(sent, str):
        raise ValueError("it has no date of creation or change")  # noqa: TRY004 - one reason
    try:
        return to_instant(sent)
    except (ValueError, OverflowError):
        raise ValueError("its date of creation or change cannot be read") from None


def _skipped(row: Any, reason: str) -> SkippedRow:
    """A row that is no usable record; what has an id may be one the next time it is read."""
    object_id = row.get("id") if isinstance(row, dict) else None
    if object_id is None:
        return SkippedRow(object_id=None, reason=reason)
    name = str(object_id)
    return SkippedRow(object_id=name, reason=reason, again=name.isascii() and name.isdigit())


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, ValueError) and str(error).startswith("it"):
        return str(error)
    return "it does not have the shape of a record"
