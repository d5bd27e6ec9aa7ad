"""From records to actions: what is new, what is known, and what only looks like a change."""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from attrs import evolve, frozen
from msgspec.structs import replace

from hubspot_sync._changes import changes_since, packed
from hubspot_sync.models import (
    Action,
    ActionKind,
    Counts,
    Evidence,
    Fingerprint,
    Gone,
    from_milliseconds,
    to_milliseconds,
)
from hubspot_sync.models.properties import Properties, comparable_values

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from datetime import datetime

    from hubspot_sync.models import (
        AccountKey,
        Association,
        AssociationType,
        Changes,
        Presence,
        Record,
        StreamKey,
    )

_DIGEST_BYTES = 16
_EDGES_BYTES = 8
# What is known of an object that is gone: nothing of its values.
_TOMBSTONE = b"gone"
# Which records were merged into this one, on every object type:
# https://developers.hubspot.com/changelog/updated-merge-functionality-for-contacts-and-companies
_MERGED_IDS = "hs_merged_object_ids"
_encode = msgspec.json.Encoder().encode


@frozen(kw_only=True)
class Outcome:
    """What became of some records.

    Attributes:
        actions: What to tell the host.
        fingerprints: What is known of each object once the actions are stored.
        counts: The records that end here, without an action.
    """

    actions: tuple[Action, ...]
    fingerprints: tuple[Fingerprint, ...]
    counts: Counts


@frozen(kw_only=True)
class End:
    """How an object left HubSpot.

    Attributes:
        object_id: The object.
        kind: What happened to it.
        evidence: Why that is believed.
        at: When it happened; None where HubSpot does not say.
        merged_into: The id of the record that it was merged into.
    """

    object_id: str
    kind: ActionKind
    evidence: Evidence
    at: datetime | None = None
    merged_into: str | None = None


def digests_of(record: Record | Action) -> tuple[bytes, bytes]:
    """A digest of all values and associations that were read of a record, and one of the latter.

    Its dates of change are left out, and what it has nothing in: a property or an association that
    is read newly, and that nobody has filled in, makes no record another one.
    An action has the digests of the record that it was made from. The first is never empty, the
    second where no associations were read. If they ever come out differently for the same values,
    the next reconcile pass delivers everything again.
    """
    properties = record.properties
    edges = _edges(record.associations)
    if isinstance(properties, Properties):
        values = _encode(properties.comparable)
    else:
        values = _dumps(comparable_values(properties))
    content = blake2b(b"[%b,%b]" % (values, edges), digest_size=_DIGEST_BYTES).digest()
    return content, _short(edges) if record.associations else b""


def edges_digest(associations: Mapping[str, Sequence[Association]]) -> bytes:
    """The second digest of a record that has *associations*."""
    return _short(_edges(associations)) if associations else b""


def _edges(associations: Mapping[str, Sequence[Association]]) -> bytes:
    return _dumps(
        {
            object_type: _comparable_edges(edges)
            for object_type, edges in associations.items()
            if edges
        }
    )


def _short(edges: bytes) -> bytes:
    return blake2b(edges, digest_size=_EDGES_BYTES).digest()


def _dumps(content: Any) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # lone surrogates, which HubSpot's door does not let pass, others may
        return json.dumps(content, sort_keys=True).encode()


def _comparable_edges(edges: Sequence[Association]) -> list[tuple[str, list[tuple[str, int]]]]:
    """The other records, each with its types, in one order."""
    comparable = [(edge.object_id, _comparable_types(tuple(edge.types))) for edge in edges]
    if len(comparable) > 1:
        comparable.sort()
    return comparable


@lru_cache(maxsize=1_024)
def _comparable_types(types: tuple[AssociationType, ...]) -> list[tuple[str, int]]:
    return sorted((kind.category, kind.type_id) for kind in types)


def newest_versions(records: Iterable[Record]) -> tuple[list[Record], int]:
    """Each object once, in its newest version, and how many rows that left out."""
    newest: dict[str, Record] = {}
    seen = 0
    for record in records:
        seen += 1
        held = newest.get(record.object_id)
        if held is None or held.modified_at < record.modified_at:
            newest[record.object_id] = record
    return list(newest.values()), seen - len(newest)


def without_repeats(
    records: Sequence[Record],
    known: Mapping[str, Fingerprint],
    compared: Container[str] = (),
) -> tuple[list[Record], int]:
    """The records whose version was not delivered yet, and how many that left out.

    Args:
        records: Some records.
        known: What was delivered before, by object id.
        compared: Objects that stay in the version that was delivered, too, because it may have
            other values now.
    """
    fresh = [
        record
        for record in records
        if (fingerprint := known.get(record.object_id)) is None
        or fingerprint.version < record.version
        or (fingerprint.version == record.version and record.object_id in compared)
    ]
    return fresh, len(records) - len(fresh)


def without_queued(
    records: Sequence[Record], queued: Mapping[str, int]
) -> tuple[list[Record], int]:
    """The records whose version was not refused before, and how many that left out.

    Args:
        records: Some records.
        queued: Versions of objects that wait in the error queue.
    """
    fresh = [
        record
        for record in records
        if (version := queued.get(record.object_id)) is None or version < record.version
    ]
    return fresh, len(records) - len(fresh)


def doubted(
    known: Mapping[str, Fingerprint], object_ids: Iterable[str]
) -> Mapping[str, Fingerprint]:
    """*known*, but without what would prove that these objects have not changed.

    Of one that waits in the error queue the sink may hold that version, or a part of its sinks.
    """
    doubtful = {
        object_id: replace(known[object_id], digest=b"")
        for object_id in object_ids
        if object_id in known
    }
    return {**known, **doubtful} if doubtful else known


def unproved(fingerprints: Iterable[Fingerprint], actions: Iterable[Action]) -> list[Fingerprint]:
    """What may be said of the objects of *actions* as long as the sink may have other values."""
    object_ids = {action.object_id for action in actions}
    return [
        replace(one, digest=b"", edges=b"", state=b"")
        for one in fingerprints
        if one.object_id in object_ids
    ]


def fingerprint_of(action: Action, *, track: bool = False) -> Fingerprint:
    """What is known of an object once *action* is delivered; *track* keeps its values."""
    gone = action.kind.gone
    digest, edges = (_TOMBSTONE, b"") if gone else digests_of(action)
    return Fingerprint(
        object_id=action.object_id,
        version=action.version,
        digest=digest,
        variant=action.variant,
        edges=edges,
        gone=gone,
        merged_into=action.merged_into,
        state=b"" if gone or not track else packed(action),
    )


def to_actions(
    account: AccountKey,
    records: Sequence[Record],
    known: Mapping[str, Fingerprint],
    *,
    deliver_unchanged: bool,
    redeliver: bool = False,
    looked: int = 0,
    label: str | None = None,
    backfill: bool = False,
    track: bool = False,
) -> Outcome:
    """Turn records that were not delivered yet into actions.

    An object that the host had erased stays out.

    Args:
        account: Whose records they are.
        records: Each object at most once, in the known version or one above it.
        known: What was delivered before, by object id.
        deliver_unchanged: Whether a record is delivered too whose values are all as before in an
            older version.
        redeliver: Whether all records are delivered, as creations: the sink may have lost them. One
            that is as it was before comes with the id that it had.
        looked: The end of the pass, in milliseconds since 1970; see `_variant`.
        label: What people call one of the objects, for custom types.
        backfill: Whether they are read for the first load of their stream.
        track: Whether updates say what changed.
    """
    actions: list[Action] = []
    fingerprints: list[Fingerprint] = []
    unchanged = repeated = 0
    for record in records:
        before = known.get(record.object_id)
        if before is not None and before.gone is Gone.ERASED:
            unchanged += 1
            continue
        version, (digest, edges) = record.version, digests_of(record)
        state = packed(record) if track else b""
        variant, is_same = 0, False
        if before is not None:
            version = max(version, before.version)
            is_same = before.digest == digest and before.gone is None
            if is_same and version == before.version and not redeliver:
                repeated += 1
                if edges != before.edges or bool(state) != bool(before.state):
                    fingerprints.append(replace(before, edges=edges, state=state))
                continue
            variant = _variant(before, version, looked, is_same=is_same)
        fingerprints.append(
            Fingerprint(
                object_id=record.object_id,
                version=version,
                digest=digest,
                variant=variant,
                edges=edges,
                state=state,
            )
        )
        if is_same and not (deliver_unchanged or redeliver):
            unchanged += 1
            continue
        kind = ActionKind.CREATED if redeliver else _kind(before)
        actions.append(
            Action(
                account=account,
                object_type=record.object_type,
                object_id=record.object_id,
                kind=kind,
                version=version,
                occurred_at=_occurred_at(record, kind, before, version, variant),
                properties=record.properties,
                associations=record.associations,
                variant=variant,
                label=label,
                backfill=backfill,
                changes=_changes(before, record) if track and not redeliver else None,
            )
        )
    return Outcome(
        actions=tuple(actions),
        fingerprints=tuple(fingerprints),
        counts=Counts(unchanged=unchanged, repeated=repeated),
    )


def _kind(before: Fingerprint | None) -> ActionKind:
    """What happened to an object of which *before* was told, and that is there."""
    if before is None:
        return ActionKind.CREATED
    return ActionKind.RESTORED if before.gone else ActionKind.UPDATED


def _occurred_at(
    record: Record, kind: ActionKind, before: Fingerprint | None, version: int, variant: int
) -> datetime:
    if kind is ActionKind.CREATED:
        return record.created_at
    has_moved = before is None or version > before.version
    return from_milliseconds(version if has_moved else variant or version)


def _changes(before: Fingerprint | None, record: Record) -> Changes | None:
    """What changed since the sink was told of the state *before*, where that is known."""
    if before is None or not before.state or not before.digest:
        return None
    return changes_since(before.state, record)


def to_ends(
    stream: StreamKey,
    ends: Sequence[End],
    known: Mapping[str, Fingerprint],
    *,
    queued: Mapping[str, int],
    looked: int,
    label: str | None = None,
) -> Outcome:
    """Turn what became of objects into actions, as far as the host knew them and knows it not.

    Args:
        stream: Their stream.
        ends: Each object at most once.
        known: What was delivered of them before, by object id.
        queued: Versions of objects that wait in the error queue.
        looked: When they were looked for, in milliseconds since 1970.
        label: What people call one of the objects, for custom types.
    """
    actions: list[Action] = []
    repeated = 0
    for found in ends:
        before = known.get(found.object_id)
        if before is None or is_gone(before) or _is_being_erased(before, found):
            repeated += before is not None
            continue
        end = _as_announced(before, found)
        waits = queued.get(end.object_id)
        if before.gone and waits == before.version:
            repeated += 1  # it is this very end that waits
            continue
        at = looked if end.at is None else to_milliseconds(end.at)
        # One that was announced before a crash is told again, and not once more. The sink may have
        # a version that was modified last when the object left, or up to the present.
        variant = before.variant
        if before.gone is not end.kind.gone:
            variant = max(at, looked, before.sequence, waits or 0) + 1
        actions.append(
            Action(
                account=stream.account,
                object_type=stream.object_type,
                object_id=end.object_id,
                kind=end.kind,
                version=max(before.version, waits or 0),
                occurred_at=from_milliseconds(at),
                properties={},
                variant=variant,
                label=label,
                merged_into=end.merged_into,
                evidence=end.evidence,
            )
        )
    return Outcome(
        actions=tuple(actions),
        fingerprints=tuple(map(fingerprint_of, actions)),
        counts=Counts(repeated=repeated),
    )


def _is_being_erased(before: Fingerprint, end: End) -> bool:
    """Whether the host had the object erased, and whoever does that tells of it."""
    return before.gone is Gone.ERASED and end.kind is not ActionKind.ERASED


def _as_announced(before: Fingerprint, end: End) -> End:
    """*end*, or the merge that was announced before a crash; the survivor may be gone since."""
    if before.gone is not Gone.MERGED or end.kind is not ActionKind.DELETED:
        return end
    return evolve(
        end,
        kind=ActionKind.MERGED,
        evidence=Evidence.SURVIVOR,
        merged_into=before.merged_into,
    )


def merged_ids(records: Iterable[Record]) -> list[str]:
    """The objects that were merged into *records*, as those say."""
    ids: dict[str, None] = {}
    for record in records:
        named = record.properties.get(_MERGED_IDS)
        if named:
            texts = named if isinstance(named, tuple) else str(named).split(";")
            ids.update(
                (one, None) for one in map(str.strip, texts) if one.isascii() and one.isdigit()
            )
    return list(ids)


def ends_of(presence: Presence) -> list[End]:
    """Which of the objects that were asked for left HubSpot, where it says how."""
    deleted = [
        End(object_id=one, kind=ActionKind.DELETED, evidence=Evidence.ARCHIVED, at=at)
        for one, at in presence.archived.items()
    ]
    merged = [
        End(
            object_id=one,
            kind=ActionKind.MERGED,
            evidence=Evidence.SURVIVOR,
            merged_into=survivor,
        )
        for one, survivor in presence.merged.items()
    ]
    return deleted + merged


def is_gone(fingerprint: Fingerprint) -> bool:
    """Whether the sink was told that the object is gone."""
    return fingerprint.gone is not None and bool(fingerprint.digest)


def is_back(record: Record, known: Mapping[str, Fingerprint]) -> bool:
    """Whether *record* is of an object that was deleted, or merged into another one."""
    before = known.get(record.object_id)
    return before is not None and before.gone in (Gone.DELETED, Gone.MERGED)


def _variant(before: Fingerprint, version: int, looked: int, *, is_same: bool) -> int:
    """What sets a state of an object behind all that was told of it before; 0 for its version.

    Mostly the version does. If it did not move, or was overtaken by an end of the object, the time
    at which the pass looked does: its values would not, because one that goes from A to B, back to
    A and to B again is delivered three times, and the last B must not be taken for the first.
    The time is part of the checkpoint, so what is sent again after a crash has the same id. A state
    that is the same keeps what it had.
    """
    if is_same:
        return before.variant if version < before.sequence else 0
    if version > before.sequence:
        return 0
    is_announced = not before.digest and version == before.version and not before.gone
    if is_announced and before.variant >= looked:
        return before.variant
    # A clock may have gone back since; the newest variant is the highest all the same.
    return max(looked, before.sequence + 1)


def as_update(action: Action) -> Action:
    """The same change of an object whose creation the host was told of before."""
    occurred_at = action.modified_at
    if action.variant:
        # A record may have been modified after the end of the pass; it is later all the same.
        occurred_at = from_milliseconds(max(action.variant, action.version + 1))
    return replace(action, kind=ActionKind.UPDATED, occurred_at=occurred_at)
