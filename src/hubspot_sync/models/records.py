"""What HubSpot holds: records, their associations, and the definitions of their properties."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from attrs import frozen
from msgspec import Struct, field

from hubspot_sync.models._checks import to_milliseconds
from hubspot_sync.models._display import AsDict, number_of, plain

Value: TypeAlias = str | bool | int | Decimal | date | datetime | tuple[str, ...] | None
"""The value of a property, by the type with which HubSpot defines the property.

| HubSpot's type | Value |
| --- | --- |
| bool, a single checkbox | `bool` |
| number without a fraction | `int` of any size, so ids are exact |
| any other number | `Decimal` with the digits that HubSpot sent, so amounts are exact |
| date | `date` |
| datetime | `datetime`, aware, in UTC, to the millisecond |
| multiple checkboxes | `tuple` of internal values, in HubSpot's order; never empty |
| everything else: text, other enumerations, phone numbers, JSON, types to come | `str` |
| no value, of any type | `None` |

A value that does not fit its type is HubSpot's text, a `str`. With `StreamSettings.raw_values` all
values are.
"""


class AssociationType(AsDict, Struct, frozen=True, gc=False):
    """One reason for which two records are associated.

    Attributes:
        category: "HUBSPOT_DEFINED", "USER_DEFINED", "INTEGRATOR_DEFINED" or "WORK".
        type_id: HubSpot's number of the type; unique within its category and direction only.
        label: The label people see, or None for an unlabelled association.
    """

    category: str
    type_id: int
    label: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The type as values that JSON knows, as the stores have it."""
        return {"category": self.category, "type_id": self.type_id, "label": self.label}


class Association(AsDict, Struct, frozen=True, gc=False):
    """One associated record, with every reason for which it is associated.

    Attributes:
        object_id: The other record's id, digits as text.
        primary: Whether it is the primary one (a contact's primary company).
        types: All association types of this pair of records.
    """

    object_id: str
    primary: bool = False
    types: tuple[AssociationType, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The association as values that JSON knows, as the stores have it."""
        return {"id": self.object_id, "primary": self.primary, "types": plain(self.types)}


class Record(Struct, kw_only=True, frozen=True, gc=False):
    """One CRM object as it was read.

    Attributes:
        object_type: Canonical name of the object type.
        object_id: HubSpot's id, digits as text; unique within the object type only. That of a
            pipeline or a property has its object type before it: "deals.default".
        properties: Values by property name; None where there is no value. A property that was
            not asked for has no key.
        created_at: When the record was created, aware, to the millisecond.
        modified_at: When it was last modified, aware, to the millisecond.
        associations: Associated records by object type: an empty tuple where there are none, no
            key where they were not asked for.
        unconverted: Names of the properties whose value does not fit the property's type; it is
            in `properties` as HubSpot's text.
    """

    object_type: str
    object_id: str
    properties: Mapping[str, Value]
    created_at: datetime
    modified_at: datetime
    associations: Mapping[str, tuple[Association, ...]] = field(default_factory=dict)
    unconverted: tuple[str, ...] = ()

    def __repr__(self) -> str:
        values = number_of(len(self.properties), "property", "properties")
        return f"<Record {self.object_type} {self.object_id}, version {self.version}: {values}>"

    @property
    def version(self) -> int:
        """The modified time in milliseconds since 1970."""
        return to_milliseconds(self.modified_at)


@frozen(kw_only=True)
class PropertyDefinition:
    """How HubSpot describes one property.

    Attributes:
        name: Internal name, immutable.
        type: "string", "number", "bool", "date", "datetime", "enumeration"...
        field_type: How HubSpot shows it: "text", "checkbox", "select"...
        calculated: Whether HubSpot computes it; such values can change without a modified date.
    """

    name: str
    type: str
    field_type: str
    calculated: bool = False
