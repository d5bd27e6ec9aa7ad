"""Owners, and pipelines with their stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hubspot_sync.testing.emulator.endpoints.objects import object_type, page_size
from hubspot_sync.testing.emulator.refusals import not_found
from hubspot_sync.testing.emulator.wire import Answer, Request, answer, integer

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator.endpoints.installations import Installation

# https://developers.hubspot.com/docs/api-reference/crm-crm-owners-v3/guide
MAX_OWNERS: Final = 500


def list_owners(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/owners`: archived ones only on demand, pages by id (HubSpot 9.1)."""
    limit = page_size(request, 100, MAX_OWNERS)
    after, email = integer(request.text("after"), 0, "after"), request.text("email")
    owners = [
        owner
        for owner in installation.reference.owners(archived=request.flag("archived")).values()
        if int(owner.owner_id) >= after and email in {None, owner.email}
    ]
    content: dict[str, Any] = {"results": [owner.to_json() for owner in owners[:limit]]}
    if len(owners) > limit:
        following = owners[limit].owner_id
        content["paging"] = {"next": {"after": following, "link": request.link(following)}}
    return answer(content)


def get_owner(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/owners/{id}`."""
    owners = installation.reference.owners(archived=request.flag("archived"))
    owner = owners.get(request.args["object_id"])
    if owner is None:
        raise not_found(f"Owner {request.args['object_id']} does not exist")
    return answer(owner.to_json())


def list_pipelines(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/pipelines/{type}`: all at once, with their stages (HubSpot 9.2)."""
    return answer({"results": list(_printed(installation, request).values())})


def get_pipeline(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/pipelines/{type}/{id}`."""
    found = _printed(installation, request).get(request.args["object_id"])
    if found is None:
        raise not_found(f"Pipeline {request.args['object_id']} does not exist")
    return answer(found)


def list_stages(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/pipelines/{type}/{id}/stages`."""
    found = _printed(installation, request).get(request.args["object_id"])
    if found is None:
        raise not_found(f"Pipeline {request.args['object_id']} does not exist")
    return answer({"results": found["stages"]})


def _printed(installation: Installation, request: Request) -> dict[str, dict[str, Any]]:
    kind = object_type(installation.portal, request.args["object_type"])
    every = installation.reference.pipelines(kind.name)
    return {one.pipeline_id: one.to_json(place) for place, one in enumerate(every.values())}
