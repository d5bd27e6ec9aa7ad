"""The object types of a portal and the names by which HubSpot's paths call them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

# https://developers.hubspot.com/docs/guides/crm/understanding-the-crm (object type ids)
_STANDARD: Final = (
    ("0-1", "contacts", "contact"),
    ("0-2", "companies", "company"),
    ("0-3", "deals", "deal"),
    ("0-5", "tickets", "ticket"),
    ("0-7", "products", "product"),
    ("0-8", "line_items", "line_item"),
    ("0-14", "quotes", "quote"),
    ("0-27", "tasks", "task"),
    ("0-46", "notes", "note"),
    ("0-47", "meetings", "meeting"),
    ("0-48", "calls", "call"),
    ("0-49", "emails", "email"),
    ("0-123", "orders", "order"),
    ("0-136", "leads", "lead"),
)
# https://developers.hubspot.com/docs/api-reference/search/guide (activities have their own)
_CREATED_BY_HUBSPOT: Final = frozenset({"0-14", "0-27", "0-46", "0-47", "0-48", "0-49"})
_DEFAULTS: Final = {
    "0-1": ("email", "firstname", "lastname"),
    "0-2": ("domain", "name"),
    "0-3": ("amount", "closedate", "dealname", "dealstage", "pipeline"),
}
_CUSTOM_ID: Final = re.compile(r"2-\d+")


@attrs.frozen(kw_only=True)
class ObjectType:
    """One object type.

    Attributes:
        type_id: HubSpot's objectTypeId: "0-1", "2-3465404".
        name: How the emulator's own API calls it, and the key in inline associations:
            "contacts", "p62515_pets".
        singular: How error messages and association names call it: "contact".
        modified_property: The property that mirrors `updatedAt`.
        created_property: The property that mirrors `createdAt`.
        default_properties: What an answer holds when no properties were asked for.
    """

    type_id: str
    name: str
    singular: str
    modified_property: str = "hs_lastmodifieddate"
    created_property: str = "createdate"
    default_properties: tuple[str, ...] = ()

    @property
    def always_returned(self) -> tuple[str, ...]:
        """The properties in every answer, asked for or not (HubSpot 1.2)."""
        return (self.created_property, "hs_object_id", self.modified_property)


def standard_type(name_or_id: str) -> ObjectType | None:
    """One of HubSpot's own types, by plural name or objectTypeId."""
    for type_id, name, singular in _STANDARD:
        if name_or_id in {type_id, name}:
            return ObjectType(
                type_id=type_id,
                name=name,
                singular=singular,
                # Contacts alone differ: HubSpot 1.8.
                modified_property="lastmodifieddate" if type_id == "0-1" else "hs_lastmodifieddate",
                created_property="hs_createdate"
                if type_id in _CREATED_BY_HUBSPOT
                else "createdate",
                default_properties=_DEFAULTS.get(type_id, ()),
            )
    return None


def custom_type(type_id: str, name: str, account_id: str) -> ObjectType:
    """A custom object type, `2-<number>`, answering to `p<portal>_<name>` as well.

    Raises:
        ValueError: *type_id* is not of that form.
    """
    if not _CUSTOM_ID.fullmatch(type_id):
        raise ValueError(f"{type_id!r} is not the id of a custom object type; give '2-<number>'")
    return ObjectType(type_id=type_id, name=f"p{account_id}_{name}", singular=name)


class TypeDirectory:
    """Finds a portal's object types by every name that HubSpot accepts."""

    def __init__(self) -> None:
        self._by_alias: dict[str, ObjectType] = {}
        self._types: dict[str, ObjectType] = {}

    def __iter__(self) -> Iterator[ObjectType]:
        return iter(self._types.values())

    def add(self, kind: ObjectType) -> None:
        """Make *kind* known; a second call changes nothing."""
        self._types[kind.type_id] = kind
        aliases = {kind.type_id, kind.name, kind.singular}
        if kind.type_id.startswith("2-"):
            aliases.add(f"p_{kind.singular}")
        self._by_alias.update((alias.lower(), kind) for alias in aliases)

    def find(self, name: str) -> ObjectType | None:
        """The type called *name* (plural, singular, id or full name), or None."""
        return self._by_alias.get(name.lower())
