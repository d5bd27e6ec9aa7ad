"""Turns rows of HubSpot's answers into records, and finds those that are none."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from hubspot_sync._hubspot.associations import read_inline
from hubspot_sync._hubspot.values import to_instant
from hubspot_sync.models import Record, SkippedRow, cursor_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync._hubspot.values import Conversion
    from hubspot_sync.models import Value


def to_records(
    rows: Sequence[Any], object_type: str, convert: Conversion, inline: Sequence[str] = ()
) -> tuple[tuple[Record, ...], tuple[SkippedRow, ...]]:
    """Split *rows* into records, their values converted, and rows that are none.

    Args:
        rows: What HubSpot sent.
        object_type: What the rows are.
        convert: Converts the values.
        inline: The object types whose associations come with the rows.
    """
    field = cursor_field(object_type)
    records: list[Record] = []
    skipped: list[SkippedRow] = []
    for row in rows:
        try:
            records.append(_record(row, object_type, field, convert, inline))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            skipped.append(SkippedRow(object_id=_object_id(row), reason=_reason(error)))
    return tuple(records), tuple(skipped)


def _record(
    row: Any, object_type: str, field: str, convert: Conversion, inline: Sequence[str]
) -> Record:
    object_id = str(row["id"])
    if not (object_id.isascii() and object_id.isdigit()):
        raise ValueError("its id is no number")
    sent = row["properties"]
    values, unconverted = convert(sent)
    created = row.get("createdAt") or sent.get("createdate")
    read_already = values.get("createdate") if created == sent.get("createdate") else None
    return Record(
        object_type=object_type,
        object_id=object_id,
        properties=values,
        created_at=_instant(read_already, created),
        modified_at=_instant(values.get(field), sent.get(field) or row.get("updatedAt")),
        associations=read_inline(row, inline),
        unconverted=unconverted,
    )


def _instant(read_already: Value, sent: Any) -> datetime:
    if isinstance(read_already, datetime):
        return read_already
    if not isinstance(sent, str):
        raise ValueError("it has no date of creation or change")  # noqa: TRY004 - one reason
    try:
        return to_instant(sent)
    except (ValueError, OverflowError):
        raise ValueError("its date of creation or change cannot be read") from None


def _object_id(row: Any) -> str | None:
    object_id = row.get("id") if isinstance(row, dict) else None
    return str(object_id) if object_id is not None else None


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    if isinstance(error, ValueError) and str(error).startswith("it"):
        return str(error)
    return "it does not have the shape of a record"
