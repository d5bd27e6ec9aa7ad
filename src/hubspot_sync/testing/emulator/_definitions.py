"""Property definitions as the properties API prints them."""

from __future__ import annotations

import re
from typing import Any, Final

import attrs

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
