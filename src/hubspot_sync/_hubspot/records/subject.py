"""What is read, and with what: the same for both ways of reading a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hubspot_sync._hubspot.calls.answers import SearchAnswer, search_answer
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.records.associations import NO_KEYS, InlineKeys, PageKeys
from hubspot_sync._hubspot.records.batch import FoundById, read_batch
from hubspot_sync._hubspot.records.rows import to_records
from hubspot_sync.errors import (
    HubSpotUnavailableError,
    MissingScopeError,
    RateLimitedError,
    RequestRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync._hubspot.calls.client import HubSpotClient, Reply
    from hubspot_sync._hubspot.calls.paths import Paths
    from hubspot_sync._hubspot.calls.reach import Reach
    from hubspot_sync._hubspot.records.ranges import Walk
    from hubspot_sync._hubspot.records.values import Conversion
    from hubspot_sync.models import Record, SkippedRow, StreamSettings

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
