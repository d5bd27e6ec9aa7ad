"""Where requests go in each version of the API, and how long they may be.

Date-based versions come each March and September and stay supported for 18 months; see
https://developers.hubspot.com/docs/developer-tooling/platform/versioning
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.models.settings import ApiVersion

# OAuth v1 stops working on 2027-02-16, so tokens come from the date-based endpoint only:
# https://developers.hubspot.com/changelog/v1-oauth-api-deprecation
TOKEN_PATH: Final = "/oauth/2026-03/token"  # noqa: S105 - a path
INTROSPECT_PATH: Final = f"{TOKEN_PATH}/introspect"
REVOKE_PATH: Final = f"{TOKEN_PATH}/revoke"
# HubSpot's front end answers 414 from about 16,200 characters on.
_URL_LENGTH: Final = 15_000
_PATH_AND_REST: Final = 500
# What HubSpot promises to take; a search that is refused is not refused for its length below it.
_PROMISED_BODY: Final = 3_000
_TOO_LONG: Final = (413, 414)
_BAD_REQUEST: Final = 400


@frozen(kw_only=True)
class Paths:
    """The paths of one version; names in braces are filled in by the client.

    Attributes:
        objects: List of one object type.
        search: Search in one object type.
        batch_read: Read of up to 100 records by id.
        associations: Associations of up to 1,000 records with one other object type.
        properties: Definitions of the properties of one object type.
        account: Details of the account that the credentials open.
        schemas: The custom object types.
        owners: The people to whom records belong.
        pipelines: The pipelines of one object type, with their stages.
    """

    objects: str
    search: str
    batch_read: str
    associations: str
    properties: str
    account: str
    schemas: str
    owners: str
    pipelines: str


def paths_for(version: ApiVersion) -> Paths:
    """The paths of *version*; "v3" takes its associations from "v4"."""
    if version == "v3":
        return Paths(
            objects="/crm/v3/objects/{object_type}",
            search="/crm/v3/objects/{object_type}/search",
            batch_read="/crm/v3/objects/{object_type}/batch/read",
            associations="/crm/v4/associations/{object_type}/{to_object_type}/batch/read",
            properties="/crm/v3/properties/{object_type}",
            account="/account-info/v3/details",
            schemas="/crm-object-schemas/v3/schemas",
            owners="/crm/v3/owners",
            pipelines="/crm/v3/pipelines/{object_type}",
        )
    return Paths(
        objects=f"/crm/objects/{version}/{{object_type}}",
        search=f"/crm/objects/{version}/{{object_type}}/search",
        batch_read=f"/crm/objects/{version}/{{object_type}}/batch/read",
        associations=f"/crm/associations/{version}/{{object_type}}/{{to_object_type}}/batch/read",
        properties=f"/crm/properties/{version}/{{object_type}}",
        account=f"/account-info/{version}/details",
        schemas=f"/crm-object-schemas/{version}/schemas",
        owners=f"/crm/owners/{version}",
        pipelines=f"/crm/pipelines/{version}/{{object_type}}",
    )


class Reach:
    """What requests HubSpot takes, by their length; shared by all runs of an engine.

    The names of all properties of a wide account are too long for a URL (HubSpot 11.6), and may be
    too long for the body of a search, of which HubSpot's guide allows 3,000 characters and takes
    far more: https://developers.hubspot.com/docs/api-reference/search/guide
    Where they are, records are asked for without them and read by id.
    """

    def __init__(self) -> None:
        self._url_length = _URL_LENGTH
        self._search_length: int | None = None

    def list_takes(self, names: Sequence[str]) -> bool:
        """Whether *names* can stand in the URL of the list endpoint."""
        return _length(names) + _PATH_AND_REST <= self._url_length

    def list_refused(self, names: Sequence[str], status: int | None) -> bool:
        """Learn from a refusal of a list with *names*; whether they were too long."""
        if status not in _TOO_LONG:
            return False
        self._url_length = min(self._url_length, _length(names) + _PATH_AND_REST - 1)
        return True

    def search_takes(self, names: Sequence[str]) -> bool:
        """Whether *names* can stand in the body of a search."""
        return self._search_length is None or _length(names) <= self._search_length

    def may_be_too_long(self, names: Sequence[str], status: int | None) -> bool:
        """Whether a search with *names* may have been refused for its length."""
        if status in _TOO_LONG:
            return True
        return status == _BAD_REQUEST and _length(names) > _PROMISED_BODY // 2

    def search_refused(self, names: Sequence[str]) -> None:
        """Learn that a search with *names* is refused, and one without them is not."""
        self._search_length = min(self._search_length or _length(names), _length(names)) - 1


def _length(names: Sequence[str]) -> int:
    # A comma or two quotes and a comma: for search this is a little short, which does no harm.
    return sum(len(name) + 1 for name in names)
