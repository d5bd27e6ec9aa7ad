"""Property definitions as the properties API prints them, and those that object types come with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator.portal.types import ObjectType

_DEFINED: Final = "2019-08-06T02:41:08.304Z"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")
_REVISED: Final = "2024-09-12T14:22:56.844Z"
_EXTRA_KINDS: Final = (
    ("string", "text"),
    ("number", "number"),
    ("enumeration", "select"),
    ("datetime", "date"),
    ("bool", "booleancheckbox"),
    ("date", "date"),
)


@attrs.frozen(kw_only=True)
class PropertyDefinition:
    """One property of an object type.

    Attributes:
        name: The internal name, immutable, lower case.
        type: How values are to be read: string, number, bool, date, datetime, enumeration...
        field_type: How HubSpot's forms show it; a datetime has "date" here.
        options: The internal values of an enumeration; their labels are derived from them.
        money: The property that names the currency, for amounts.
        hubspot_defined: False for one of the account's own.
        read_only: Whether only HubSpot sets it.
    """

    name: str
    type: str
    field_type: str
    label: str = attrs.field(default=attrs.Factory(lambda self: _label(self.name), takes_self=True))
    group: str = "contactinformation"
    description: str = ""
    options: tuple[str, ...] = ()
    calculated: bool = False
    unique: bool = False
    hidden: bool = False
    read_only: bool = False
    external_options: bool = False
    references: str | None = None
    money: str | None = None
    hubspot_defined: bool = True

    def to_json(self) -> dict[str, Any]:
        """The shape of recorded definitions (HubSpot 9)."""
        return {
            "updatedAt": _REVISED,
            "createdAt": _DEFINED,
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": [_option(place, value) for place, value in enumerate(self.options)],
            "displayOrder": -1,
            "calculated": self.calculated,
            "externalOptions": self.external_options,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "modificationMetadata": {
                "archivable": True,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyValue": self.read_only,
            },
            "formField": not (self.read_only or self.hidden),
            "dataSensitivity": "non_sensitive",
            **self._optional(),
        }

    def _optional(self) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        if self.hubspot_defined:
            parts["hubspotDefined"] = True
        else:
            parts |= {"createdUserId": "61526374", "updatedUserId": "61526374"}
            parts |= {"archived": False}
        if self.references is not None:
            parts["referencedObjectType"] = self.references
        if self.money is not None:
            parts |= {"showCurrencySymbol": True, "currencyPropertyName": self.money}
        return parts


_FIELD_TYPES: Final = {
    **dict(_EXTRA_KINDS),
    "phone_number": "phonenumber",
}


def own_definition(name: str, kind: str) -> PropertyDefinition:
    """A custom property as a person makes it in HubSpot.

    Raises:
        ValueError: *name* is not the internal name of a property.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the internal name of a property")
    return PropertyDefinition(
        name=name,
        type=kind,
        field_type=_FIELD_TYPES.get(kind, "text"),
        options=_YES_NO.get(kind, ()),
        hubspot_defined=False,
    )


def extra_definitions(number: int) -> tuple[PropertyDefinition, ...]:
    """As many custom properties as a wide account has on top of HubSpot's own."""
    return tuple(_extra(place) for place in range(number))


def _extra(place: int) -> PropertyDefinition:
    kind, field_type = _EXTRA_KINDS[place % len(_EXTRA_KINDS)]
    return PropertyDefinition(
        name=f"custom_field_{place + 1:04d}",
        type=kind,
        field_type=field_type,
        group="custom_fields",
        options=("bronze", "silver", "gold") if kind == "enumeration" else _YES_NO.get(kind, ()),
        hubspot_defined=False,
    )


_YES_NO: Final = {"bool": ("true", "false")}


def _label(name: str) -> str:
    return name.removeprefix("hs_").replace("_", " ").capitalize()


def _option(place: int, value: str) -> dict[str, Any]:
    label = {"true": "Yes", "false": "No"}.get(value, _label(value.lower()))
    return {"label": label, "value": value, "displayOrder": place, "hidden": False}


_STAGES: Final = ("subscriber", "lead", "marketingqualifiedlead", "opportunity", "customer")
_TOPICS: Final = ("pricing", "roadmap", "security", "integrations", "training", "events")

# name, type, fieldType, further arguments of PropertyDefinition
_CONTACTS: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("email", "string", "text", {"unique": True}),
    ("firstname", "string", "text", {"label": "First Name"}),
    ("lastname", "string", "text", {"label": "Last Name"}),
    ("phone", "string", "phonenumber", {"label": "Phone Number"}),
    ("mobilephone", "string", "phonenumber", {"label": "Mobile Phone Number"}),
    ("company", "string", "text", {"label": "Company Name"}),
    ("jobtitle", "string", "text", {"label": "Job Title"}),
    ("website", "string", "text", {}),
    ("address", "string", "text", {"label": "Street Address"}),
    ("city", "string", "text", {}),
    ("zip", "string", "text", {"label": "Postal Code"}),
    ("country", "string", "text", {}),
    ("lifecyclestage", "enumeration", "radio", {"options": _STAGES}),
    ("hs_lead_status", "enumeration", "radio", {"options": ("NEW", "OPEN", "CONNECTED")}),
    (
        "hubspot_owner_id",
        "enumeration",
        "select",
        {"external_options": True, "references": "OWNER"},
    ),
    ("message", "string", "textarea", {}),
    ("hs_email_optout", "bool", "booleancheckbox", {"options": ("true", "false")}),
    ("contract_end", "date", "date", {"hubspot_defined": False}),
    ("closedate", "datetime", "date", {"label": "Became a Customer Date"}),
    ("hs_analytics_last_timestamp", "datetime", "date", {"read_only": True}),
    ("total_revenue", "number", "number", {"money": "currency_code"}),
    ("currency_code", "enumeration", "select", {"options": ("EUR", "USD", "GBP", "JPY")}),
    (
        "topics_of_interest",
        "enumeration",
        "checkbox",
        {"options": _TOPICS, "hubspot_defined": False},
    ),
    ("erp_customer_number", "number", "number", {"hubspot_defined": False}),
    (
        "associatedcompanyid",
        "number",
        "number",
        {"references": "COMPANY", "hidden": True, "external_options": True},
    ),
)
_COMPANIES: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("name", "string", "text", {"label": "Company name"}),
    ("domain", "string", "text", {"label": "Company Domain Name"}),
    ("website", "string", "text", {}),
    ("phone", "string", "phonenumber", {}),
    ("address", "string", "text", {"label": "Street Address"}),
    ("city", "string", "text", {}),
    ("zip", "string", "text", {"label": "Postal Code"}),
    ("country", "string", "text", {}),
    ("industry", "enumeration", "select", {"options": ("SOFTWARE", "RETAIL", "BANKING", "FOOD")}),
    ("type", "enumeration", "select", {"options": ("PROSPECT", "PARTNER", "RESELLER", "VENDOR")}),
    ("lifecyclestage", "enumeration", "radio", {"options": _STAGES}),
    (
        "hubspot_owner_id",
        "enumeration",
        "select",
        {"external_options": True, "references": "OWNER"},
    ),
    ("description", "string", "textarea", {}),
    ("founded_year", "string", "text", {}),
    ("numberofemployees", "number", "number", {"label": "Number of Employees"}),
    ("annualrevenue", "number", "number", {"money": "hs_revenue_currency"}),
    ("hs_revenue_currency", "enumeration", "select", {"options": ("EUR", "USD", "GBP", "JPY")}),
    ("is_public", "bool", "booleancheckbox", {"options": ("true", "false")}),
    ("renewal_date", "date", "date", {"hubspot_defined": False}),
    ("hs_last_sales_activity_timestamp", "datetime", "date", {"read_only": True}),
    ("web_technologies", "enumeration", "checkbox", {"options": ("react", "rails", "django")}),
    ("tax_number", "number", "number", {"hubspot_defined": False, "unique": True}),
    (
        "num_associated_contacts",
        "number",
        "calculation_rollup",
        {"read_only": True},
    ),
)
_DEALS: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("dealname", "string", "text", {"label": "Deal Name"}),
    ("amount", "number", "number", {"money": "deal_currency_code"}),
    ("deal_currency_code", "enumeration", "select", {"options": ("EUR", "USD", "GBP", "JPY")}),
    ("hs_deal_stage_probability", "number", "number", {"read_only": True}),
    ("dealstage", "enumeration", "radio", {"external_options": True}),
    ("pipeline", "enumeration", "select", {"external_options": True}),
    ("closedate", "datetime", "date", {}),
    ("description", "string", "textarea", {}),
    (
        "hubspot_owner_id",
        "enumeration",
        "select",
        {"external_options": True, "references": "OWNER"},
    ),
)
_TICKETS: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("subject", "string", "text", {"label": "Ticket name"}),
    ("content", "string", "textarea", {"label": "Ticket description"}),
    ("hs_pipeline", "enumeration", "select", {"external_options": True}),
    ("hs_pipeline_stage", "enumeration", "select", {"external_options": True}),
    (
        "hubspot_owner_id",
        "enumeration",
        "select",
        {"external_options": True, "references": "OWNER"},
    ),
)
_OTHERS: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("name", "string", "text", {}),
    ("description", "string", "textarea", {}),
)


def schema_of(kind: ObjectType) -> tuple[PropertyDefinition, ...]:
    """The definitions for *kind*, those that HubSpot keeps for every record included."""
    rows = {
        "0-1": _CONTACTS,
        "0-2": _COMPANIES,
        "0-3": _DEALS,
        "0-5": _TICKETS + _OTHERS,
    }.get(kind.type_id, _OTHERS)
    group = f"{kind.singular}information"
    definitions = [
        PropertyDefinition(name=name, type=type_, field_type=field_type, group=group, **more)
        for name, type_, field_type, more in rows
    ]
    # On every object type (HubSpot 8).
    definitions.append(
        PropertyDefinition(
            name="hs_merged_object_ids",
            type="enumeration",
            field_type="checkbox",
            group=group,
            read_only=True,
            hidden=True,
        )
    )
    dates = (kind.created_property, kind.modified_property)
    definitions += [
        PropertyDefinition(
            name=name, type="datetime", field_type="date", group=group, read_only=True
        )
        for name in dates
    ]
    # Declared a number although it is an id: never to be read as a float (HubSpot 9).
    definitions.append(
        PropertyDefinition(
            name="hs_object_id", type="number", field_type="number", group=group, read_only=True
        )
    )
    return tuple(sorted(definitions, key=lambda definition: definition.name))
