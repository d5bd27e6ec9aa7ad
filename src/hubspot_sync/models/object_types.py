"""What is known about HubSpot's object types: ids, names, and the fields that date a record."""

from __future__ import annotations

import re
from typing import Final

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models._checks import shown

# https://developers.hubspot.com/docs/guides/crm/understanding-the-crm (object type ids)
OBJECT_TYPE_IDS: Final = {
    "0-1": "contacts",
    "0-2": "companies",
    "0-3": "deals",
    "0-5": "tickets",
    "0-7": "products",
    "0-8": "line_items",
    "0-14": "quotes",
    "0-18": "communications",
    "0-19": "feedback_submissions",
    "0-27": "tasks",
    "0-46": "notes",
    "0-47": "meetings",
    "0-48": "calls",
    "0-49": "emails",
    "0-53": "invoices",
    "0-54": "marketing_events",
    "0-69": "subscriptions",
    "0-74": "goal_targets",
    "0-84": "discounts",
    "0-85": "fees",
    "0-86": "taxes",
    "0-101": "commerce_payments",
    "0-115": "users",
    "0-116": "postal_mail",
    "0-123": "orders",
    "0-136": "leads",
    "0-142": "carts",
    "0-162": "services",
    "0-410": "courses",
    "0-420": "listings",
    "0-421": "appointments",
    "0-970": "projects",
}
_IRREGULAR_SINGULARS: Final = {"companies": "Company", "taxes": "Tax"}
# However one of these is spelled, it means the same objects, so it has to be the same stream.
_SPELLINGS: Final = {
    **OBJECT_TYPE_IDS,
    **{name: name for name in OBJECT_TYPE_IDS.values()},
    **{
        _IRREGULAR_SINGULARS.get(name, name.removesuffix("s")).lower(): name
        for name in OBJECT_TYPE_IDS.values()
    },
}
_TYPE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


def canonical_object_type(name: str) -> str:
    """The name that this library uses for an object type given by name or by id.

    HubSpot's own types may be in the singular and in capitals, too; other names stay as they are.

    Args:
        name: "contacts", "Contact", "0-1", "2-3465404" (a custom type), "p62515_pets"...

    Raises:
        ConfigurationError: It cannot be the name of an object type.
    """
    if not isinstance(name, str) or not _TYPE_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{shown(name)} is not a HubSpot object type; give a name such as 'contacts' or an id "
            "such as '0-1' or '2-3465404'"
        )
    return _SPELLINGS.get(name.lower(), name)


def singular_name(object_type: str) -> str:
    """The name of one object for people and for action names: "Contact", "Line Item".

    A custom type is called what it is called in HubSpot's API: how people call one of its objects
    stands in its schema only, and without its prefix it may have a standard type's name.
    """
    if object_type in _IRREGULAR_SINGULARS:
        return _IRREGULAR_SINGULARS[object_type]
    if object_type not in _SPELLINGS:
        return object_type
    return object_type.replace("_", " ").title().removesuffix("s")


def cursor_field(object_type: str) -> str:
    """The property that holds a record's modified date.

    Filtering contacts by `hs_lastmodifieddate` answers 200 with no rows, silently; see
    https://developers.hubspot.com/docs/api-reference/search/guide
    """
    return "lastmodifieddate" if object_type == "contacts" else "hs_lastmodifieddate"
