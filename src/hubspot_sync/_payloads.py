"""Whole actions as text, and back, without any loss: what an error queue keeps.

It is JSON in ASCII, so every store takes it: NUL and lone surrogates are escaped.
Values that JSON does not know are objects with one key that says what they are.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from hubspot_sync.errors import InvariantError
from hubspot_sync.models import AccountKey, Action, ActionKind, Association, AssociationType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hubspot_sync.models import Value

_UNREADABLE: Final = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)
# Python refuses to write or read integers of more digits than about 4,300 in decimal.
_BITS_IN_DECIMAL: Final = 10_000


def action_to_text(action: Action) -> str:
    """All of *action*, as JSON in ASCII."""
    document = {
        "domain_id": action.account.domain_id,
        "account_id": action.account.account_id,
        "object_type": action.object_type,
        "object_id": action.object_id,
        "kind": action.kind.value,
        "version": action.version,
        "variant": action.variant,
        "label": action.label,
        "occurred_at": action.occurred_at.isoformat(),
        "properties": {name: _written(value) for name, value in action.properties.items()},
        "associations": {
            object_type: [_edge_to_document(edge) for edge in edges]
            for object_type, edges in action.associations.items()
        },
    }
    return json.dumps(document, separators=(",", ":"))


def action_from_text(text: str) -> Action:
    """The action that `action_to_text` wrote.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        return _action(json.loads(text))
    except _UNREADABLE:
        pass
    # Outside the handler, because the error above quotes what it could not read.
    raise InvariantError(
        "an action in the error queue cannot be read; restore it, or drop it from the queue"
    )


def _action(document: Mapping[str, Any]) -> Action:
    return Action(
        account=AccountKey(document["domain_id"], document["account_id"]),
        object_type=document["object_type"],
        object_id=document["object_id"],
        kind=ActionKind(document["kind"]),
        version=document["version"],
        variant=document.get("variant", 0),
        label=document.get("label"),
        occurred_at=datetime.fromisoformat(document["occurred_at"]),
        properties={name: _read(value) for name, value in document["properties"].items()},
        associations={
            object_type: tuple(_edge_from_document(edge) for edge in edges)
            for object_type, edges in document["associations"].items()
        },
    )


def _written(value: Value) -> Any:
    write = _WRITERS.get(type(value))
    return value if write is None else write(value)


def _integer(value: int) -> Any:
    return value if value.bit_length() <= _BITS_IN_DECIMAL else {"hexadecimal": hex(value)}


# By the exact type: a truth is an integer to Python, and an instant a date.
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
