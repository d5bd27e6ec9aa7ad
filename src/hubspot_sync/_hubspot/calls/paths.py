"""Every path of HubSpot's that is used, by API family and version.

Date-based versions come each March and September and stay supported for 18 months; see
https://developers.hubspot.com/docs/developer-tooling/platform/versioning
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

if TYPE_CHECKING:
    from hubspot_sync.models.settings import ApiVersion

# OAuth v1 stops working on 2027-02-16, so tokens come from the date-based endpoint only:
# https://developers.hubspot.com/changelog/v1-oauth-api-deprecation
TOKEN_PATH: Final = "/oauth/2026-03/token"  # noqa: S105 - a path
INTROSPECT_PATH: Final = f"{TOKEN_PATH}/introspect"
REVOKE_PATH: Final = f"{TOKEN_PATH}/revoke"


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
    """

    objects: str
    search: str
    batch_read: str
    associations: str
    properties: str
    account: str
    schemas: str


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
        )
    return Paths(
        objects=f"/crm/objects/{version}/{{object_type}}",
        search=f"/crm/objects/{version}/{{object_type}}/search",
        batch_read=f"/crm/objects/{version}/{{object_type}}/batch/read",
        associations=f"/crm/associations/{version}/{{object_type}}/{{to_object_type}}/batch/read",
        properties=f"/crm/properties/{version}/{{object_type}}",
        account=f"/account-info/{version}/details",
        schemas=f"/crm-object-schemas/{version}/schemas",
    )
