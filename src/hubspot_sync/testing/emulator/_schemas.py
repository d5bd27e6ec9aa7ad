"""The properties that the emulator's object types come with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hubspot_sync.testing.emulator._definitions import PropertyDefinition

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator._types import ObjectType

_YES_NO: Final = ("true", "false")
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
    ("hs_email_optout", "bool", "booleancheckbox", {"options": _YES_NO}),
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
    ("hs_merged_object_ids", "enumeration", "checkbox", {"read_only": True, "hidden": True}),
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
    ("is_public", "bool", "booleancheckbox", {"options": _YES_NO}),
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
_OTHERS: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    ("name", "string", "text", {}),
    ("description", "string", "textarea", {}),
)


def schema_of(kind: ObjectType) -> tuple[PropertyDefinition, ...]:
    """The definitions for *kind*, those that HubSpot keeps for every record included."""
    rows = {"0-1": _CONTACTS, "0-2": _COMPANIES, "0-3": _DEALS}.get(kind.type_id, _OTHERS)
    group = f"{kind.singular}information"
    definitions = [
        PropertyDefinition(name=name, type=type_, field_type=field_type, group=group, **more)
        for name, type_, field_type, more in rows
    ]
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
