"""Counts the records of an object type by ranges of ids, as search knows them.

One call tells how many there are in any range, so where two counts differ is found by halving.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync._hubspot.records.ranges import END
from hubspot_sync._hubspot.records.search import answers, is_searchable
from hubspot_sync.errors import HubSpotUnavailableError, RequestRefusedError

if TYPE_CHECKING:
    from hubspot_sync._hubspot.calls.answers import SearchAnswer
    from hubspot_sync._hubspot.records.subject import Subject


class NotSearchableError(Exception):
    """HubSpot refuses to search this object type, so nothing can be counted."""


@frozen
class Census:
    """Counts by search.

    Attributes:
        subject: What is counted.
    """

    subject: Subject

    def count(self, first: int = 0, end: int = END) -> int:
        """How many records have ids from *first* on and below *end*.

        Raises:
            NotSearchableError: Nothing can be counted.
            HubSpotSyncError: Search could not be asked.
        """
        return self.search(first, end, limit=1).total

    def search(self, first: int, end: int, *, limit: int, order: str = "ASCENDING") -> SearchAnswer:
        """The first rows of a range in the order of their ids, and how many there are in all.

        Raises:
            NotSearchableError: Nothing can be counted.
            HubSpotSyncError: Search could not be asked.
        """
        filters = [{"propertyName": "hs_object_id", "operator": "GTE", "value": str(first)}]
        if end != END:
            filters.append({"propertyName": "hs_object_id", "operator": "LT", "value": str(end)})
        body: dict[str, Any] = {
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": "hs_object_id", "direction": order}],
            "properties": [],
            "limit": limit,
        }
        subject = self.subject
        if subject.client.stop.is_set():
            raise StopRequested
        try:
            return subject.search(body).content
        except RequestRefusedError as error:
            if is_searchable(subject, error):
                raise
            raise NotSearchableError(
                f"HubSpot refuses to search {subject.object_type} ({error.message})"
            ) from error
        except HubSpotUnavailableError as error:
            if error.status is None or not answers(subject):
                raise
            # HubSpot is well, so it is something in these ids that it cannot search.
            raise NotSearchableError(
                f"HubSpot's search fails for some {subject.object_type} ({error.message})"
            ) from error
