"""What changed in a record: its values and associations beside those that were delivered last.

The latter are kept with the fingerprint, packed, where `SyncSettings.track_changes` asks for it.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from hubspot_sync.models import Changes, EdgeChanges
from hubspot_sync.models.actions import state_from_document, state_to_document
from hubspot_sync.models.properties import DATES_OF_CHANGE, comparable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hubspot_sync.models import Action, Association, Record, Value

_LEVEL: Final = 1


def packed(record: Record | Action) -> bytes:
    """The values and associations of *record*, as few bytes; those without a value left out."""
    properties = {name: one for name, one in record.properties.items() if one is not None}
    document = state_to_document(properties, record.associations)
    text = json.dumps(document, separators=(",", ":"))
    return zlib.compress(text.encode(), _LEVEL)


def changes_since(state: bytes, record: Record) -> Changes | None:
    """What *record* has otherwise than the packed *state*; None where that cannot be read."""
    try:
        properties, associations = state_from_document(json.loads(zlib.decompress(state)))
    except (zlib.error, ValueError, KeyError, TypeError):
        return None
    return Changes(
        properties=dict(_values(properties, record.properties)),
        associations=dict(_edges(associations, record.associations)),
    )


def _values(
    before: Mapping[str, Value], after: Mapping[str, Value]
) -> Iterator[tuple[str, tuple[Value, Value]]]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if name not in DATES_OF_CHANGE and comparable(old) != comparable(new):
            yield name, (old, new)


def _edges(
    before: Mapping[str, Sequence[Association]], after: Mapping[str, Sequence[Association]]
) -> Iterator[tuple[str, EdgeChanges]]:
    for object_type in sorted(before.keys() | after.keys()):
        old = {edge.object_id: edge for edge in before.get(object_type, ())}
        new = {edge.object_id: edge for edge in after.get(object_type, ())}
        changes = EdgeChanges(
            added=tuple(new[one] for one in new if one not in old),
            removed=tuple(old[one] for one in old if one not in new),
            relabelled=tuple(
                (old[one], new[one])
                for one in new
                if one in old and _kinds(old[one]) != _kinds(new[one])
            ),
        )
        if changes != EdgeChanges():
            yield object_type, changes


def _kinds(edge: Association) -> Any:
    return sorted((kind.category, kind.type_id) for kind in edge.types)
