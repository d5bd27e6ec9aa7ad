"""Account information, property definitions and object schemas."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from hubspot_sync.testing.emulator.endpoints.objects import object_type
from hubspot_sync.testing.emulator.refusals import not_found
from hubspot_sync.testing.emulator.wire import Answer, Request, answer, to_instant

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator.endpoints.installations import Installation
    from hubspot_sync.testing.emulator.portal.associations import AssociationType
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.types import ObjectType

_DEFINED: Final = "2024-03-05T18:12:37.434Z"


def account_details(installation: Installation, _request: Request) -> Answer:
    """`GET /account-info/v3/details` (HubSpot 7)."""
    portal = installation.portal
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


def list_properties(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/properties/{type}`: all at once, no paging (HubSpot 9)."""
    portal = installation.portal
    kind = object_type(portal, request.args["object_type"])
    sensitivity = request.text("dataSensitivity") or "non_sensitive"
    if request.flag("archived"):  # gives only archived ones
        archived = portal.archived_definitions(kind).values()
        return answer({"results": [{**one.to_json(), "archived": True} for one in archived]})
    hidden = sensitivity != "non_sensitive"
    names = [] if hidden else _listed(installation, kind, request.fingerprint)
    every = portal.definitions(kind)
    return answer({"results": [every[name].to_json() for name in names]})


def _listed(installation: Installation, kind: ObjectType, subject: str) -> list[str]:
    """The names of the properties that the list holds, as far as the hostility in force lets it."""
    portal, mischief = installation.portal, installation.mischief
    settings = mischief.settings
    unlisted = kind.pick(settings.unlisted_properties)
    names = [name for name in portal.definitions(kind) if name not in unlisted]
    if len(names) < len(portal.definitions(kind)):
        mischief.lies.add("unlisted_properties")
    if mischief.roll("empty_definitions", subject):
        return []
    series = mischief.roll("short_definitions", subject)
    if series is None:
        return names
    gone = set(series.sample(names, max(round(len(names) * settings.missing_definitions), 1)))
    if series.happens(0.5):
        gone.add(series.choice(("hs_object_id", kind.modified_property)))
    return [name for name in names if name not in gone]


def get_property(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/properties/{type}/{name}`, with `archived` for one that is."""
    portal = installation.portal
    kind = object_type(portal, request.args["object_type"])
    archived = request.flag("archived")
    known = portal.archived_definitions(kind) if archived else portal.definitions(kind)
    definition = known.get(request.args["property_name"])
    if definition is None:
        raise not_found(f"Property {request.args['property_name']} does not exist")
    return answer({**definition.to_json(), **({"archived": True} if archived else {})})


def list_schemas(installation: Installation, request: Request) -> Answer:
    """`GET /crm-object-schemas/v3/schemas`: the account's own object types (HubSpot 10)."""
    portal = installation.portal
    own = [kind for kind in portal.types if kind.custom and not request.flag("archived")]
    return answer({"results": [_schema(portal, kind) for kind in own]})


def get_schema(installation: Installation, request: Request) -> Answer:
    """`GET /crm-object-schemas/v3/schemas/{type}`, also for HubSpot's own types (HubSpot 10)."""
    portal = installation.portal
    return answer(_schema(portal, object_type(portal, request.args["object_type"])))


def _schema(portal: Portal, kind: ObjectType) -> dict[str, Any]:
    name = kind.singular if kind.custom else kind.singular.upper()
    singular, plural = kind.labels
    return {
        "labels": {"singular": singular, "plural": plural},
        "requiredProperties": [],
        "searchableProperties": [],
        "primaryDisplayProperty": next(iter(portal.definitions(kind))),
        "secondaryDisplayProperties": [],
        "description": None,
        "allowsSensitiveProperties": True,
        "archived": False,
        "restorable": True,
        "metaType": "PORTAL_SPECIFIC" if kind.custom else "HUBSPOT",
        "id": kind.type_id.partition("-")[2],
        "fullyQualifiedName": kind.name if kind.custom else name,
        "createdAt": _DEFINED,
        "updatedAt": _DEFINED,
        "createdByUserId": None,
        "updatedByUserId": None,
        "objectTypeId": kind.type_id,
        "properties": [one.to_json() for one in portal.definitions(kind).values()],
        "associations": [
            _association(kind, other, link.forward)
            for other in portal.types
            for link in portal.links.between(kind, other)
        ],
        "name": name,
    }


def _association(kind: ObjectType, other: ObjectType, one: AssociationType) -> dict[str, Any]:
    return {
        "fromObjectTypeId": kind.type_id,
        "toObjectTypeId": other.type_id,
        "name": one.name.upper(),
        "cardinality": "ONE_TO_MANY",
        "inverseCardinality": "ONE_TO_MANY",
        "hasUserEnforcedMaxToObjectIds": False,
        "hasUserEnforcedMaxFromObjectIds": False,
        "maxToObjectIds": 10_000,
        "maxFromObjectIds": 10_000,
        "id": str(one.type_id),
        "createdAt": None,
        "updatedAt": None,
    }
