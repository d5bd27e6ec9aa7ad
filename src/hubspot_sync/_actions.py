"""From records to actions: what is new, what is known, and what only looks like a change."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from attrs import frozen
from msgspec.structs import replace

from hubspot_sync.models import (
    Action,
    ActionKind,
    Counts,
    Fingerprint,
    from_milliseconds,
)
from hubspot_sync.models.properties import Properties, comparable_values

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from hubspot_sync.models import AccountKey, Association, Record

_DIGEST_BYTES = 16
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


def digest_of(record: Record | Action) -> bytes:
    """A digest of all values and associations that were read of a record.

    Its dates of change are left out, and what it has nothing in: a property or an association that
    is read newly, and that nobody has filled in, makes no record another one.
    An action has the digest of the record that it was made from. Never empty. If it ever comes
    out differently for the same values, the next reconcile pass delivers everything again.
    """
    properties = record.properties
    values = properties.comparable if isinstance(properties, Properties) else None
    edges = {
        object_type: _comparable_edges(associations)
        for object_type, associations in sorted(record.associations.items())
        if associations
    }
    if values is not None:
        content = _encode((values, edges))
    else:
        content = _dumps((comparable_values(properties), edges))
    return blake2b(content, digest_size=_DIGEST_BYTES).digest()


def _dumps(content: Any) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # lone surrogates, which HubSpot's door does not let pass, others may
        return json.dumps(content, sort_keys=True).encode()


def _comparable_edges(edges: Sequence[Association]) -> list[tuple[str, list[tuple[str, int]]]]:
    """The other records, each with its types, in one order."""
    comparable = []
    for edge in edges:
        types = [(kind.category, kind.type_id) for kind in edge.types]
        if len(types) > 1:
            types.sort()
        comparable.append((edge.object_id, types))
    if len(comparable) > 1:
        comparable.sort()
    return comparable


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
    return [replace(one, digest=b"") for one in fingerprints if one.object_id in object_ids]


def to_actions(
    account: AccountKey,
    records: Sequence[Record],
    known: Mapping[str, Fingerprint],
    *,
    deliver_unchanged: bool,
    redeliver: bool = False,
    variant: int = 0,
    label: str | None = None,
    backfill: bool = False,
) -> Outcome:
    """Turn records that were not delivered yet into actions.

    Args:
        account: Whose records they are.
        records: Each object at most once, in the known version or one above it.
        known: What was delivered before, by object id.
        deliver_unchanged: Whether a record is delivered too whose values are all as before in an
            older version.
        redeliver: Whether all records are delivered, as creations: the sink may have lost them. One
            that is as it was before comes with the id that it had.
        variant: Sets what is delivered of a known version apart from what was before.
        label: What people call one of the objects, for custom types.
        backfill: Whether they are read for the first load of their stream.
    """
    actions: list[Action] = []
    fingerprints: list[Fingerprint] = []
    unchanged = repeated = 0
    for record in records:
        before = known.get(record.object_id)
        version, digest = record.version, digest_of(record)
        is_same = before is not None and before.digest == digest
        told = 0
        if before is not None and before.version == version:
            if is_same and not redeliver:
                repeated += 1
                continue
            # A clock may have gone back since; the newest variant is the highest all the same.
            later = variant if variant >= before.variant else before.variant + 1
            told = before.variant if is_same else later
        fingerprints.append(
            Fingerprint(object_id=record.object_id, version=version, digest=digest, variant=told)
        )
        if is_same and not (deliver_unchanged or redeliver):
            unchanged += 1
        else:
            action = _action(account, record, version, told, label=label, backfill=backfill)
            is_new = before is None or redeliver
            actions.append(action if is_new else as_update(action))
    return Outcome(
        actions=tuple(actions),
        fingerprints=tuple(fingerprints),
        counts=Counts(unchanged=unchanged, repeated=repeated),
    )


def _action(
    account: AccountKey,
    record: Record,
    version: int,
    variant: int,
    *,
    label: str | None,
    backfill: bool,
) -> Action:
    """The creation of *record*.

    A version that was delivered before with other values is a variant of it, which the end of the
    pass sets apart. Its values would not: a value that goes from A to B, back to A and to B again
    is delivered three times, and the last B must not be taken for the first. The end is part of
    the checkpoint, so what is sent again after a crash has the same id.
    """
    return Action(
        account=account,
        object_type=record.object_type,
        object_id=record.object_id,
        kind=ActionKind.CREATED,
        version=version,
        occurred_at=record.created_at,
        properties=record.properties,
        associations=record.associations,
        variant=variant,
        label=label,
        backfill=backfill,
    )


def as_update(action: Action) -> Action:
    """The same change of an object whose creation the host was told of before."""
    occurred_at = action.modified_at
    if action.variant:
        # A record may have been modified after the end of the pass; it is later all the same.
        occurred_at = from_milliseconds(max(action.variant, action.version + 1))
    return replace(action, kind=ActionKind.UPDATED, occurred_at=occurred_at)
