"""Object types: their ids and names, the fields that date a record, what an account has of them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from attrs import frozen

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models._checks import shown
from hubspot_sync.models._display import AsDict

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
# What records refer to; each is read as a whole, and its items are told of like records.
REFERENCE_TYPES: Final = ("owners", "pipelines", "properties")
# https://developers.hubspot.com/docs/api-reference/latest/crm/pipelines/guide
_WITH_PIPELINES: Final = frozenset(
    {
        "deals",
        "tickets",
        "appointments",
        "courses",
        "listings",
        "orders",
        "services",
        "leads",
    }
)
_IRREGULAR_SINGULARS: Final = {"companies": "Company", "taxes": "Tax", "properties": "Property"}
# However one of these is spelled, it means the same objects, so it has to be the same stream.
_SPELLINGS: Final = {
    **OBJECT_TYPE_IDS,
    **{
        spelling: name
        for name in (*OBJECT_TYPE_IDS.values(), *REFERENCE_TYPES)
        for spelling in (
            name,
            _IRREGULAR_SINGULARS.get(name, name.removesuffix("s")).lower(),
        )
    },
}
_TYPE_ID: Final = re.compile(r"\d{1,9}-\d{1,18}", re.ASCII)
# What HubSpot's paths take, and what may be the label that people gave a custom type.
_API_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_LABEL: Final = re.compile(r"(?! )[\w &'()-]{1,100}(?<! )")
_CUSTOM: Final = "2-"


@frozen(kw_only=True)
class ObjectType(AsDict):
    """One object type of an account, and what is synced of it.

    Attributes:
        id: HubSpot's id of it: "0-1", "2-3465404".
        object_type: What streams, actions and associations call it: "contacts", and a custom type
            by its id, "2-3465404".
        name: Its name in HubSpot's API: "contacts", "pets".
        qualified_name: The name that no other account's type has, such as "p62515_pets"; None for
            HubSpot's own types.
        singular: What people call one of its objects, or None where HubSpot does not say.
        plural: What people call several, or None.
        properties: How many properties a custom type has; None where that is not known.
        synced: Whether the account has a stream of it.
        associations: The object types whose associations come with its records, by the name that
            actions have for them.
        high_water_mark: Every record modified before it is in the sink, aware; None before the
            first load is complete.
    """

    id: str
    object_type: str
    name: str
    qualified_name: str | None = None
    singular: str | None = None
    plural: str | None = None
    properties: int | None = None
    synced: bool = False
    associations: tuple[str, ...] = ()
    high_water_mark: datetime | None = None

    @property
    def custom(self) -> bool:
        """Whether the account made it itself."""
        return is_custom(self.id)

    def as_dict(self) -> dict[str, object]:
        """The fields, as values that JSON knows."""
        return {**super().as_dict(), "custom": self.custom}


def canonical_object_type(name: str) -> str:
    """The name that this library uses for an object type given by name or by id.

    HubSpot's own types may be in the singular and in capitals, too; other names stay as they are,
    until the schemas of an account say which custom type they mean.

    Args:
        name: "contacts", "Contact", "0-1", "2-3465404" (a custom type), "p62515_pets", or the
            label of a custom type, such as "Service contract".

    Raises:
        ConfigurationError: It cannot be the name of an object type.
    """
    if not isinstance(name, str) or not _LABEL.fullmatch(name):
        raise ConfigurationError(
            f"{shown(name)} is not a HubSpot object type; give a name such as 'contacts' or an id "
            "such as '0-1' or '2-3465404'"
        )
    return _SPELLINGS.get(name.lower().replace(" ", "_"), name)


def is_custom(type_id: str) -> bool:
    """Whether *type_id* is the id of a custom type."""
    return type_id.startswith(_CUSTOM)


def is_settled(name: str) -> bool:
    """Whether a canonical *name* is final: an id, or the name of one of HubSpot's own types."""
    is_known = name in OBJECT_TYPE_IDS.values() or is_reference(name)
    return is_known or _TYPE_ID.fullmatch(name) is not None


def is_reference(name: str) -> bool:
    """Whether *name* is that of reference data, which no search finds and no record is."""
    return name in REFERENCE_TYPES


def has_pipelines(object_type: str) -> bool:
    """Whether records of a canonical *object_type* may be in the stages of pipelines."""
    return object_type in _WITH_PIPELINES or is_custom(object_type)


def is_api_name(name: str) -> bool:
    """Whether HubSpot's paths could take *name* for an object type, which they do not labels."""
    return _API_NAME.fullmatch(name) is not None


def standard_types() -> tuple[ObjectType, ...]:
    """HubSpot's own object types."""
    return tuple(
        ObjectType(
            id=type_id,
            object_type=name,
            name=name,
            singular=singular_name(name),
            plural=name.replace("_", " ").title(),
        )
        for type_id, name in OBJECT_TYPE_IDS.items()
    )


def singular_name(object_type: str) -> str:
    """The name of one object for people and for action names: "Contact", "Line Item".

    A custom type keeps its id or name: what people call one of its objects stands in its schema
    only.
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
