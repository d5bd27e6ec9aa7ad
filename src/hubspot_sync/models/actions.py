"""What the host is told: actions, and the answer of the sink that stores them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import msgspec
from attrs import field, frozen
from msgspec import Struct

from hubspot_sync.errors import ConfigurationError, InvariantError
from hubspot_sync.models._checks import from_milliseconds, is_list, kind_of
from hubspot_sync.models._display import AsDict, number_of, plain
from hubspot_sync.models.accounts import AccountKey
from hubspot_sync.models.object_types import singular_name
from hubspot_sync.models.records import Association, AssociationType, Value

_UNREADABLE: Final = (
    ArithmeticError,
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
)
# Python refuses to write or read integers of more digits than about 4,300 in decimal.
_BITS_IN_DECIMAL: Final = 10_000


class Gone(Enum):
    """How an object left HubSpot."""

    DELETED = "deleted"
    MERGED = "merged"
    ERASED = "erased"


class ActionKind(Enum):
    """What happened to an object."""

    CREATED = "Created"
    UPDATED = "Updated"
    DELETED = "Deleted"
    RESTORED = "Restored"
    MERGED = "Merged"
    ERASED = "Erased"

    @property
    def gone(self) -> Gone | None:
        """How the object left HubSpot; None for one that is there."""
        return _ENDS.get(self)


_ENDS: Final = {
    ActionKind.DELETED: Gone.DELETED,
    ActionKind.MERGED: Gone.MERGED,
    ActionKind.ERASED: Gone.ERASED,
}


class Evidence(Enum):
    """Why an object is believed to be gone, or back."""

    ARCHIVED = "archived"
    """HubSpot lists it among the archived ones."""
    ABSENT = "absent"
    """A complete pass over all records lacked it, and a read by its id did not find it."""
    SURVIVOR = "survivor"
    """The record that it was merged into names it, or HubSpot answers with that record."""
    HOST = "host"
    """The host asked for it."""


@frozen(kw_only=True)
class EdgeChanges(AsDict):
    """How the associations of an object to one object type changed.

    Attributes:
        added: Those that it did not have before.
        removed: Those that it has no more, as they were.
        relabelled: Those whose types or labels changed, before and after.
    """

    added: tuple[Association, ...] = ()
    removed: tuple[Association, ...] = ()
    relabelled: tuple[tuple[Association, Association], ...] = ()


@frozen(kw_only=True)
class Changes(AsDict):
    """What changed in an object since the host was told of it last.

    Attributes:
        properties: The old and the new value, by property name; None for no value.
        associations: By the object type at the other end, where anything changed.
    """

    properties: Mapping[str, tuple[Value, Value]] = field(factory=dict)
    associations: Mapping[str, EdgeChanges] = field(factory=dict)


class Action(AsDict, Struct, kw_only=True, frozen=True, gc=False):
    """One change for the host.

    Attributes:
        account: The account it belongs to.
        object_type: Canonical name of the object type ("contacts").
        object_id: HubSpot's id of the object, digits as text.
        kind: What happened.
        version: The record's modified time in milliseconds since 1970.
        occurred_at: When it happened in HubSpot: the create date for a creation, the modified
            date for an update or a restoration, and where that did not move, the time at which a
            pass looked; the date of the deletion where HubSpot tells it; aware, to the
            millisecond.
        properties: All values that were read, by property name; None where there is no value.
            Empty for an object that is gone.
        associations: Associated records by object type: an empty tuple where there are none, no
            key where they were not asked for.
        variant: 0, unless the version alone does not set the action behind all that the host was
            told of the object before: then a number above those of all of them, mostly the time
            at which a pass looked, in milliseconds since 1970.
        label: What people call one object of a custom type ("Pet"); None for HubSpot's own types,
            and where HubSpot does not say.
        backfill: Whether it is part of the first load of its stream, so that what it tells of may
            be years old; also of what changed while that load ran.
        merged_into: The id of the record that it was merged into; for `ActionKind.MERGED` only.
        evidence: Why the object is believed to be gone; None for one that is there.
        changes: What changed since the host was told of the object last, for updates and
            restorations where `SyncSettings.track_changes` asks for it; None where it does not,
            and where that is not known, as after a crash.
    """

    account: AccountKey
    object_type: str
    object_id: str
    kind: ActionKind
    version: int
    occurred_at: datetime
    properties: Mapping[str, Value]
    associations: Mapping[str, tuple[Association, ...]] = msgspec.field(default_factory=dict)
    variant: int = 0
    label: str | None = None
    backfill: bool = False
    merged_into: str | None = None
    evidence: Evidence | None = None
    changes: Changes | None = None

    def __repr__(self) -> str:
        values = number_of(len(self.properties), "property", "properties")
        return f"<Action {self.action_id} {self.name!r}: {values}>"

    @property
    def action_id(self) -> str:
        """The same for the same version and variant of the same object, whatever the kind.

        All parts but the domain are free of colons, so two objects never share an id.
        """
        account = self.account
        action_id = (
            f"{account.domain_id}:{account.account_id}:{self.object_type}"
            f":{self.object_id}:{self.version}"
        )
        return f"{action_id}.{self.variant}" if self.variant else action_id

    @property
    def sequence(self) -> int:
        """The place of the action among those on its object: the highest one is the newest."""
        return max(self.version, self.variant)

    @property
    def name(self) -> str:
        """What happened, for people: "Contact Created"."""
        return f"{self.label or singular_name(self.object_type)} {self.kind.value}"

    @property
    def modified_at(self) -> datetime:
        """The object's modified date in HubSpot, aware, to the millisecond."""
        return from_milliseconds(self.version)

    def as_dict(self) -> dict[str, Any]:
        """The action as values that JSON knows, for people and other programs.

        Decimals, dates and datetimes are text; `to_json` keeps what they are.
        """
        return {
            "id": self.action_id,
            "domain_id": self.account.domain_id,
            "account_id": self.account.account_id,
            "object_type": self.object_type,
            "object_id": self.object_id,
            "name": self.name,
            "kind": self.kind.value,
            "version": self.version,
            "variant": self.variant,
            "sequence": self.sequence,
            "occurred_at": self.occurred_at.isoformat(),
            "backfill": self.backfill,
            "merged_into": self.merged_into,
            "evidence": plain(self.evidence),
            "changes": None if self.changes is None else self.changes.as_dict(),
            "properties": plain(self.properties),
            "associations": {
                object_type: [edge.as_dict() for edge in edges]
                for object_type, edges in self.associations.items()
            },
        }

    def to_json(self) -> str:
        """All of the action, as JSON that every store takes and `from_json` reads.

        It is ASCII: NUL and lone surrogates are escaped. Values that JSON does not know are
        objects with one key that says what they are.
        """
        document = {
            "domain_id": self.account.domain_id,
            "account_id": self.account.account_id,
            "object_type": self.object_type,
            "object_id": self.object_id,
            "kind": self.kind.value,
            "version": self.version,
            "variant": self.variant,
            "label": self.label,
            "backfill": self.backfill,
            "merged_into": self.merged_into,
            "evidence": plain(self.evidence),
            "occurred_at": self.occurred_at.isoformat(),
            **state_to_document(self.properties, self.associations),
        }
        if self.changes is not None:
            document["changes"] = _changes_to_document(self.changes)
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Action:
        """The action that `to_json` wrote, equal to it.

        Raises:
            InvariantError: It cannot be read; the message does not repeat it.
        """
        try:
            return _action(json.loads(text))
        except _UNREADABLE:
            pass
        # Outside the handler, because the error above quotes what it could not read.
        raise InvariantError(
            "the JSON of an action cannot be read; restore what was stored, or drop it"
        )


def _action(document: Mapping[str, Any]) -> Action:
    properties, associations = state_from_document(document)
    changes = document.get("changes")
    return Action(
        account=AccountKey(document["domain_id"], document["account_id"]),
        object_type=document["object_type"],
        object_id=document["object_id"],
        kind=ActionKind(document["kind"]),
        version=document["version"],
        variant=document.get("variant", 0),
        label=document.get("label"),
        backfill=document.get("backfill", False),
        merged_into=document.get("merged_into"),
        evidence=None if (evidence := document.get("evidence")) is None else Evidence(evidence),
        occurred_at=datetime.fromisoformat(document["occurred_at"]),
        properties=properties,
        associations=associations,
        changes=None if changes is None else _changes_from_document(changes),
    )


def state_to_document(
    properties: Mapping[str, Value], associations: Mapping[str, Sequence[Association]]
) -> dict[str, Any]:
    """Values and associations as values that JSON knows, and that tell what they are."""
    return {
        "properties": {name: _written(value) for name, value in properties.items()},
        "associations": {
            object_type: [_edge_to_document(edge) for edge in edges]
            for object_type, edges in associations.items()
        },
    }


def state_from_document(
    document: Mapping[str, Any],
) -> tuple[dict[str, Value], dict[str, tuple[Association, ...]]]:
    """The values and associations that `state_to_document` wrote."""
    properties = {name: _read(value) for name, value in document["properties"].items()}
    associations = {
        object_type: tuple(_edge_from_document(edge) for edge in edges)
        for object_type, edges in document["associations"].items()
    }
    return properties, associations


def _changes_to_document(changes: Changes) -> dict[str, Any]:
    return {
        "properties": {
            name: [_written(old), _written(new)] for name, (old, new) in changes.properties.items()
        },
        "associations": {
            object_type: {
                "added": [_edge_to_document(edge) for edge in edges.added],
                "removed": [_edge_to_document(edge) for edge in edges.removed],
                "relabelled": [
                    [_edge_to_document(old), _edge_to_document(new)]
                    for old, new in edges.relabelled
                ],
            }
            for object_type, edges in changes.associations.items()
        },
    }


def _changes_from_document(document: Mapping[str, Any]) -> Changes:
    return Changes(
        properties={
            name: (_read(old), _read(new)) for name, (old, new) in document["properties"].items()
        },
        associations={
            object_type: EdgeChanges(
                added=tuple(map(_edge_from_document, edges["added"])),
                removed=tuple(map(_edge_from_document, edges["removed"])),
                relabelled=tuple(
                    (_edge_from_document(old), _edge_from_document(new))
                    for old, new in edges["relabelled"]
                ),
            )
            for object_type, edges in document["associations"].items()
        },
    )


def _written(value: Value) -> Any:
    write = _WRITERS.get(type(value))
    return value if write is None else write(value)


def _integer(value: int) -> Any:
    return value if value.bit_length() <= _BITS_IN_DECIMAL else {"hexadecimal": hex(value)}


# By the exact type: a boolean is an integer to Python, and an instant a date.
_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    int: _integer,
    Decimal: lambda value: {"decimal": str(value)},
    datetime: lambda value: {"instant": value.isoformat()},
    date: lambda value: {"date": value.isoformat()},
}
_READERS: Final[dict[str, Callable[[str], Value]]] = {
    "hexadecimal": lambda text: int(text, 16),
    "decimal": Decimal,
    "instant": datetime.fromisoformat,
    "date": date.fromisoformat,
}


def _read(value: Any) -> Value:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, dict):
        ((kind, text),) = value.items()
        return _READERS[kind](text)
    kept: Value = value  # the rest is as JSON has it
    return kept


def _edge_to_document(edge: Association) -> list[Any]:
    return [edge.object_id, edge.primary, [[t.category, t.type_id, t.label] for t in edge.types]]


def _edge_from_document(edge: Sequence[Any]) -> Association:
    object_id, primary, types = edge
    return Association(object_id, primary, tuple(AssociationType(*kind) for kind in types))


def _ids(values: Iterable[str]) -> frozenset[str]:
    if not is_list(values):
        raise ConfigurationError(
            f"a SinkAnswer takes ids of actions in a set, not {kind_of(values)}"
        )
    given = tuple(values)
    for one in given:
        if not isinstance(one, str):
            raise ConfigurationError(
                f"a SinkAnswer takes ids of actions, as text, not {kind_of(one)}"
            )
    return frozenset(given)


def _are_reasons(_instance: object, _attribute: object, refused: Mapping[str, str]) -> None:
    if not isinstance(refused, Mapping) or not all(
        isinstance(action_id, str) and isinstance(reason, str)
        for action_id, reason in refused.items()
    ):
        raise ConfigurationError(
            "SinkAnswer.refused takes reasons, as text, by the ids of the actions"
        )


@frozen(kw_only=True)
class SinkAnswer:
    """What a sink did with a batch; an action that is named nowhere here was accepted.

    Attributes:
        repeated: Ids of actions of the batch that the sink held already; nothing was stored again.
        already_created: Ids of creations not stored because the sink holds a creation of the
            same object with another version; the engine sends them again as updates.
        refused: Reasons by id of the actions that the sink can never take as they are.
        partly_repeated: Ids of actions that were accepted although a part of the sink held them
            already, and may have them with other values; for a sink that feeds several. It says
            nothing about what became of them, so it makes no two answers different.

    Raises:
        ConfigurationError: It is made of something else.
    """

    repeated: frozenset[str] = field(default=frozenset(), converter=_ids)
    already_created: frozenset[str] = field(default=frozenset(), converter=_ids)
    refused: Mapping[str, str] = field(factory=dict, validator=_are_reasons)
    partly_repeated: frozenset[str] = field(default=frozenset(), converter=_ids, eq=False)
