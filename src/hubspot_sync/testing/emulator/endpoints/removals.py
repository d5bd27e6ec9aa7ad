"""Deleting, merging and privacy deletion of records, as HubSpot's API does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hubspot_sync.testing.emulator.endpoints.objects import (
    MAX_INPUTS,
    Renderer,
    batch_inputs,
    object_type,
)
from hubspot_sync.testing.emulator.refusals import bad_request, not_found
from hubspot_sync.testing.emulator.wire import Answer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hubspot_sync.testing.emulator.endpoints.installations import Installation
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.record import Record
    from hubspot_sync.testing.emulator.portal.types import ObjectType

_DONE: Final = Answer(status=204, headers={"Content-Length": None, "Content-Type": None})


def delete_object(installation: Installation, request: Request) -> Answer:
    """`DELETE /crm/v3/objects/{type}/{id}`: 204, also for one that is gone (HubSpot 8)."""
    return _archive(installation, request, [request.args["object_id"]])


def batch_archive(installation: Installation, request: Request) -> Answer:
    """`POST .../batch/archive`: 204 (HubSpot 8)."""
    inputs = batch_inputs(request.json(), MAX_INPUTS)
    return _archive(installation, request, [str(one["id"]) for one in inputs])


def _archive(installation: Installation, request: Request, object_ids: Iterable[str]) -> Answer:
    portal = installation.portal
    kind = object_type(portal, request.args["object_type"])
    live = portal.table(kind).live
    for object_id in dict.fromkeys(object_ids):
        if object_id.isdecimal() and int(object_id) in live:
            portal.archive(kind, live[int(object_id)])
    return _DONE


def merge_objects(installation: Installation, request: Request) -> Answer:
    """`POST .../merge`: answers with the merged record, which has a new id (HubSpot 8)."""
    portal, body = installation.portal, request.json()
    kind = object_type(portal, request.args["object_type"])
    records = [
        _record(portal, kind, body.get(part)) for part in ("primaryObjectId", "objectIdToMerge")
    ]
    if records[0] is records[1]:
        raise bad_request("a record cannot be merged with itself")
    merged = portal.merge(kind, records, keep_id=False)
    return answer(Renderer(installation, kind, ()).one(merged))


def erase_object(installation: Installation, request: Request) -> Answer:
    """`POST .../gdpr-delete`: 204, and the record is gone for good (HubSpot 8)."""
    portal, body = installation.portal, request.json()
    kind = object_type(portal, request.args["object_type"])
    object_id = str(body.get("objectId"))
    if body.get("idProperty"):
        wanted, read = object_id.lower(), portal.reader(kind, str(body["idProperty"]))
        live = portal.table(kind).live.values()
        found = next((one for one in live if (read(one) or "").lower() == wanted), None)
        object_id = str(found.number) if found else ""
    try:
        portal.erase(kind, int(object_id))
    except (KeyError, ValueError):
        raise not_found() from None
    return _DONE


def _record(portal: Portal, kind: ObjectType, object_id: Any) -> Record:
    try:
        return portal.record(kind, str(object_id))
    except KeyError:
        raise not_found(f"Could not get {kind.singular.upper()} {object_id}") from None
