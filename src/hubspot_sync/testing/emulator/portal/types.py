"""The object types of a portal and the names by which HubSpot's paths call them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# https://developers.hubspot.com/docs/guides/crm/understanding-the-crm (object type ids)
_STANDARD: Final = (
    ("0-1", "contacts", "contact"),
    ("0-2", "companies", "company"),
    ("0-3", "deals", "deal"),
    ("0-5", "tickets", "ticket"),
    ("0-7", "products", "product"),
    ("0-8", "line_items", "line_item"),
    ("0-14", "quotes", "quote"),
    ("0-18", "communications", "communication"),
    ("0-19", "feedback_submissions", "feedback_submission"),
    ("0-27", "tasks", "task"),
    ("0-46", "notes", "note"),
    ("0-47", "meetings", "meeting"),
    ("0-48", "calls", "call"),
    ("0-49", "emails", "email"),
    ("0-53", "invoices", "invoice"),
    ("0-54", "marketing_events", "marketing_event"),
    ("0-69", "subscriptions", "subscription"),
    ("0-74", "goal_targets", "goal_target"),
    ("0-84", "discounts", "discount"),
    ("0-85", "fees", "fee"),
    ("0-86", "taxes", "tax"),
    ("0-101", "commerce_payments", "commerce_payment"),
    ("0-115", "users", "user"),
    ("0-116", "postal_mail", "postal_mail"),
    ("0-123", "orders", "order"),
    ("0-136", "leads", "lead"),
    ("0-142", "carts", "cart"),
    ("0-162", "services", "service"),
    ("0-410", "courses", "course"),
    ("0-420", "listings", "listing"),
    ("0-421", "appointments", "appointment"),
    ("0-970", "projects", "project"),
)
# https://developers.hubspot.com/docs/api-reference/search/guide (activities have their own)
_CREATED_BY_HUBSPOT: Final = frozenset(
    {"0-14", "0-18", "0-19", "0-27", "0-46", "0-47", "0-48", "0-49", "0-69", "0-116"}
)
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
        name: How the emulator's own API calls it: "contacts", "p62515_pets".
        singular: How error messages and association names call it: "contact"; the bare name of a
            custom type, "pets".
        labels: What people call one of them and several; those of HubSpot's types follow from
            their names.
        modified_property: The property that mirrors `updatedAt`.
        created_property: The property that mirrors `createdAt`.
        default_properties: What an answer holds when no properties were asked for.
    """

    type_id: str
    name: str
    singular: str
    labels: tuple[str, str] = attrs.field(
        default=attrs.Factory(lambda self: _labels(self.singular, self.name), takes_self=True)
    )
    modified_property: str = "hs_lastmodifieddate"
    created_property: str = "createdate"
    default_properties: tuple[str, ...] = ()

    @property
    def custom(self) -> bool:
        """Whether it is one of the account's own."""
        return self.type_id.startswith("2-")

    @property
    def inline_key(self) -> str:
        """The key in inline associations, whatever they were asked for by (HubSpot 1.3)."""
        return self.name if self.custom else self.name.replace("_", " ")

    def answers_to(self, name: str) -> bool:
        """Whether *name* means this type, among those of one account."""
        if name.lower() in {self.type_id, self.name.lower()}:
            return True
        if self.custom and name.lower() == f"p_{self.singular}".lower():
            return True
        # A custom type's bare name is no match where HubSpot has a type of that name.
        return name.lower() == self.singular.lower() and not (self.custom and standard_type(name))

    def pick(self, by_type: Mapping[str, Any], default: Any = frozenset()) -> Any:
        """What a mapping by object type, in whichever spelling, holds for this one."""
        return next((by_type[name] for name in by_type if self.answers_to(name)), default)

    @property
    def always_returned(self) -> tuple[str, ...]:
        """The properties in every answer, asked for or not (HubSpot 1.2)."""
        return (self.created_property, "hs_object_id", self.modified_property)


def _labels(singular: str, plural: str) -> tuple[str, str]:
    return singular.replace("_", " ").capitalize(), plural.replace("_", " ").capitalize()


def standard_type(name_or_id: str) -> ObjectType | None:
    """One of HubSpot's own types, by plural or singular name or objectTypeId."""
    for type_id, name, singular in _STANDARD:
        if name_or_id.lower() in {type_id, name, singular}:
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


def custom_type(
    type_id: str, name: str, account_id: str, labels: tuple[str, str] | None = None
) -> ObjectType:
    """A custom object type, `2-<number>`, answering to `p<portal>_<name>` as well.

    Raises:
        ValueError: *type_id* is not of that form.
    """
    if not _CUSTOM_ID.fullmatch(type_id):
        raise ValueError(f"{type_id!r} is not the id of a custom object type; give '2-<number>'")
    return ObjectType(
        type_id=type_id,
        name=f"p{account_id}_{name}",
        singular=name,
        labels=labels or _labels(name, name),
    )


class ObjectTypes:
    """Finds a portal's object types by every name that HubSpot accepts."""

    def __init__(self) -> None:
        self._types: dict[str, ObjectType] = {}

    def __iter__(self) -> Iterator[ObjectType]:
        return iter(self._types.values())

    def add(self, kind: ObjectType) -> None:
        """Make *kind* known; a second call changes nothing."""
        self._types[kind.type_id] = kind

    def find(self, name: str) -> ObjectType | None:
        """The type called *name* (plural, singular, id or full name), or None."""
        return next((kind for kind in self._types.values() if kind.answers_to(name)), None)
