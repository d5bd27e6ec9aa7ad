"""What a host was told of an account in which everything can happen, held against the truth."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from hubspot_sync import ActionKind, StreamSettings
from hubspot_sync.models import Gone
from hubspot_sync.stores.memory import MemoryRecordSink
from hubspot_sync.testing.emulator.portal.series import Series
from kit.support import as_json, truth_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hubspot_sync import Action
    from hubspot_sync.testing import HubSpotEmulator
    from hubspot_sync.testing.emulator import Change

STREAMS = (
    StreamSettings("companies", associations=("contacts",)),
    StreamSettings("contacts", associations=("companies", "deals")),
    StreamSettings("deals", associations=("contacts",)),
)
TYPES = [one.object_type for one in STREAMS]
_GOING = {"archive", "merge", "erase"}


def prepared(emulator: HubSpotEmulator) -> HubSpotEmulator:
    """*emulator*, started, with all that can change in it."""
    emulator.start()
    emulator.add_object_type("deals")
    emulator.define_label("contacts", "companies", "Boss")
    return emulator


def check_mirrors(emulator: HubSpotEmulator, actions: Sequence[Action], clock: Any) -> None:
    """What the sink was told, in any order, comes to what HubSpot has."""
    orders = [actions, Series(1, "order").sample(list(actions), len(actions))]
    for order in orders:
        mirror = MemoryRecordSink(clock=clock)
        mirror.write(order)
        for object_type, truth in emulator.truth().items():
            if object_type in TYPES:
                _check_mirror(emulator, mirror, object_type, truth)


def _check_mirror(
    emulator: HubSpotEmulator, mirror: MemoryRecordSink, object_type: str, truth: Any
) -> None:
    held = {one.object_id: one for one in mirror.records if one.object_type == object_type}
    there = {one for one, record in held.items() if record.gone is None}
    assert there == set(truth.live)
    for object_id in there:
        there_now = _values(truth_of(emulator, object_type, object_id))
        assert _values(held[object_id].properties) == there_now, (object_type, object_id)
        edges = {
            (other, edge.object_id, kind.type_id)
            for other, found in held[object_id].associations.items()
            for edge in found
            for kind in edge.types
        }
        assert edges == {
            (other, other_id, kind.type_id)
            for other, found in truth.live[object_id].associations.items()
            if other in held[object_id].associations
            for other_id, kinds in found.items()
            for kind in kinds
        }
    for object_id, record in held.items():
        if record.gone is Gone.MERGED:
            assert object_id in truth.merged


def _values(properties: Any) -> dict[str, Any]:
    """As any store has them, without the dates of change: those that move alone are not told."""
    return {name: as_json(one) for name, one in properties.items() if "lastmodified" not in name}


def check_actions(
    actions: Iterable[Action], made: Iterable[Change], *, killed: bool = False
) -> None:
    """Nothing was told that did not happen, nor twice, nor out of order.

    Args:
        actions: What the sink was told.
        made: What happened.
        killed: Whether runs were killed: what was announced and never told may be missing then,
            such as the creation of an object that is deleted, or the end of one that is restored,
            a restoration that was cut off may come as an update, and one between a deletion and a
            merge be left out.
    """
    actions = list(actions)
    assert len({one.action_id for one in actions}) == len(actions)
    going = {
        (one.object_type, object_id)
        for one in made
        if one.kind in _GOING
        for object_id in one.object_ids
    }
    last: dict[tuple[str, str], Action] = {}
    for one in sorted(actions, key=attrgetter("sequence")) if killed else actions:
        name = (one.object_type, one.object_id)
        before = last.get(name)
        gone = before is not None and before.kind.gone is not None
        back = one.kind is ActionKind.RESTORED
        created = one.kind is ActionKind.CREATED
        assert not (created and before), name
        assert created or before or killed, name
        told_otherwise = back or one.kind in (ActionKind.UPDATED, ActionKind.MERGED)
        assert gone == back or (killed and told_otherwise), name
        assert not back or name in going, name
        assert before is None or before.sequence < one.sequence, name
        if one.kind.gone:
            assert name in going, name
        last[name] = one
