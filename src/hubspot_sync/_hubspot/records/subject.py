"""What is read, and with what: one object type, and what makes records of its rows."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hubspot_sync._hubspot.calls.answers import SearchAnswer, search_answer
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.records.associations import NO_KEYS, InlineKeys, PageKeys, read_inline
from hubspot_sync._hubspot.records.batch_calls import FoundById, read_batch
from hubspot_sync._hubspot.records.values import to_instant
from hubspot_sync.errors import (
    HubSpotUnavailableError,
    MissingScopeError,
    RateLimitedError,
    RequestRefusedError,
)
from hubspot_sync.models import Page, Record, SkippedRow, cursor_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync._hubspot.calls.client import HubSpotClient, Reply
    from hubspot_sync._hubspot.calls.paths import Paths, Reach
    from hubspot_sync._hubspot.records.associations import PageKeys
    from hubspot_sync._hubspot.records.batch_calls import FoundById
    from hubspot_sync._hubspot.records.ranges import Walk
    from hubspot_sync._hubspot.records.values import Conversion
    from hubspot_sync.models import StreamSettings, Value

# What keeps nobody from reading a range, only from sharing it.
_NO_ANSWER: Final = (
    HubSpotUnavailableError,
    MissingScopeError,
    RateLimitedError,
    RequestRefusedError,
)

# At its end a pass waits for whoever still asks.
_TRIES: Final = 2


@frozen(kw_only=True)
class Rest:
    """What is left of a range, as far as the search index knows.

    Attributes:
        highest: The highest id; -1 where there is none, or where it cannot be found out, so that
            nothing is split.
        rows: How many records are left.
    """

    highest: int = -1
    rows: int = 0


@frozen(kw_only=True)
class Subject:
    """One object type of one account, and what is wanted of it.

    Attributes:
        client: Calls HubSpot.
        paths: Where things are.
        settings: What is wanted.
        names: The properties to ask for.
        convert: Converts their values.
        reach: How long requests may be.
        inline_keys: Under which keys associations come with the list.
    """

    client: HubSpotClient
    paths: Paths
    settings: StreamSettings
    names: Sequence[str]
    convert: Conversion
    reach: Reach
    inline_keys: InlineKeys

    @property
    def doing(self) -> str:
        """What a walk of the list does, in words."""
        return f"listing {self.object_type}"

    @property
    def object_type(self) -> str:
        """The object type."""
        return self.settings.object_type

    def records(
        self, rows: Sequence[Any], keys: PageKeys = NO_KEYS
    ) -> tuple[tuple[Record, ...], tuple[SkippedRow, ...]]:
        """Split *rows* into records and rows that are none.

        Args:
            rows: The rows.
            keys: What the keys of inline associations mean.
        """
        return to_records(rows, self.object_type, self.convert, keys)

    def search(self, body: dict[str, Any], *, max_tries: int | None = None) -> Reply[SearchAnswer]:
        """Make one search."""
        return self.client.call(
            Call(
                endpoint="search",
                method="POST",
                path=self.paths.search,
                path_params={"object_type": self.object_type},
                body=body,
                doing=f"searching {self.object_type}",
                max_tries=max_tries,
            ),
            search_answer,
        )

    def read_by_id(self, object_ids: Sequence[str]) -> FoundById:
        """Read rows from primary storage, 100 a call."""
        return read_batch(
            self.client, self.paths.batch_read, self.object_type, self.names, object_ids
        )

    def page_of(self, found: FoundById) -> Page:
        """What was read by ids, with what HubSpot does not have and could not answer for."""
        records, skipped = self.records(list(found.rows.values()))
        return Page(
            records=records,
            skipped=skipped + skipped_of(found),
            absent=tuple(found.absent),
            size=found.size,
        )

    def rest_of(self, walk: Walk) -> Rest:
        """Ask the search index what is left of *walk*."""
        after, until = walk.position - 1, walk.until
        filters = [{"propertyName": "hs_object_id", "operator": "GT", "value": str(after)}]
        if until is not None:
            filters.append({"propertyName": "hs_object_id", "operator": "LT", "value": str(until)})
        body = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "DESCENDING"}],
            "properties": [],
            "limit": 1,
        }
        try:
            answer = self.search(body, max_tries=_TRIES).content
        except _NO_ANSWER:
            return Rest()
        return Rest(highest=answer.ids[0], rows=answer.total) if answer.ids else Rest()


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
