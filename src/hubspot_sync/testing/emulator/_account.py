"""Account information and property definitions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hubspot_sync.testing.emulator._failures import not_found
from hubspot_sync.testing.emulator._instants import to_instant
from hubspot_sync.testing.emulator._objects import object_type
from hubspot_sync.testing.emulator._wire import Answer, Request, answer

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator._portal import Portal


def account_details(portal: Portal, _request: Request) -> Answer:
    """`GET /account-info/v3/details` (HubSpot 7)."""
    now = to_instant(portal.now()).astimezone(portal.time_zone)
    offset = now.utcoffset() or timedelta()
    text = now.strftime("%z")
    return answer(
        {
            "portalId": int(portal.account_id),
            "accountType": "STANDARD",
            "timeZone": str(portal.time_zone),
            "companyCurrency": "EUR",
            "additionalCurrencies": ["USD"],
            "utcOffset": f"{text[:3]}:{text[3:]}",
            "utcOffsetMilliseconds": int(offset.total_seconds()) * 1000,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "na1",
        }
    )


def list_properties(portal: Portal, request: Request) -> Answer:
    """`GET /crm/v3/properties/{type}`: all at once, no paging (HubSpot 9)."""
    kind = object_type(portal, request.args["object_type"])
    sensitivity = request.text("dataSensitivity") or "non_sensitive"
    # `archived=true` gives only archived ones, of which there are none here.
    hidden = request.flag("archived") or sensitivity != "non_sensitive"
    definitions = () if hidden else portal.definitions(kind).values()
    return answer({"results": [definition.to_json() for definition in definitions]})


def get_property(portal: Portal, request: Request) -> Answer:
    """`GET /crm/v3/properties/{type}/{name}`."""
    kind = object_type(portal, request.args["object_type"])
    definition = portal.definitions(kind).get(request.args["property_name"])
    if definition is None:
        raise not_found(f"Property {request.args['property_name']} does not exist")
    return answer(definition.to_json())
