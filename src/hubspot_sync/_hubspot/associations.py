"""Reads associations whole: inline ones as far as they go, else in batches with inner paging.

Type ids and the shapes of both answers:
https://developers.hubspot.com/docs/guides/api/crm/associations/associations-v4
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hubspot_sync._hubspot.client import Call
from hubspot_sync.errors import HubSpotUnavailableError, RequestRefusedError
from hubspot_sync.models import Association, AssociationType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubspot_sync._hubspot.client import HubSpotClient

BATCH_SIZE: Final = 1_000
_SILENT_ANSWERS: Final = 5
_SILENT_ANSWERS_MIDWAY: Final = 20
_DEFINED: Final = "HUBSPOT_DEFINED"
# Primary company of a contact, deal or ticket, and the same seen from the company.
_PRIMARY_TYPE_IDS: Final = frozenset({1, 2, 5, 6, 25, 26})
_PRIMARY_COMPANY: Final = AssociationType(_DEFINED, 1, "Primary")
_COMPANY: Final = AssociationType(_DEFINED, 279)
_PRIMARY_CONTACT: Final = AssociationType(_DEFINED, 2, "Primary")
_CONTACT: Final = AssociationType(_DEFINED, 280)
# Inline associations name their types only. These are the combinations of those whose ids are
# documented, with what they mean: whether it is the primary one, and the types.
_INLINE_TYPES: Final = {
    frozenset({"contact_to_company"}): (True, (_PRIMARY_COMPANY,)),
    frozenset({"contact_to_company_unlabeled"}): (False, (_COMPANY,)),
    frozenset({"contact_to_company", "contact_to_company_unlabeled"}): (
        True,
        (_PRIMARY_COMPANY, _COMPANY),
    ),
    frozenset({"company_to_contact"}): (True, (_PRIMARY_CONTACT,)),
    frozenset({"company_to_contact_unlabeled"}): (False, (_CONTACT,)),
    frozenset({"company_to_contact", "company_to_contact_unlabeled"}): (
        True,
        (_PRIMARY_CONTACT, _CONTACT),
    ),
}

Types = dict[str, dict[AssociationType, None]]


def read_inline(row: Any, to_object_types: Sequence[str]) -> dict[str, tuple[Association, ...]]:
    """The associations that came whole with a row of the list endpoint, by object type.

    The others have no key; they have to be read in a batch.
    """
    blocks = row.get("associations") or {}
    found: dict[str, tuple[Association, ...]] = {}
    for name in to_object_types:
        edges = _inline(blocks[name]) if name in blocks else ()
        if edges is not None:
            found[name] = edges
    return found


def _inline(block: Any) -> tuple[Association, ...] | None:
    """Read the block of one object type; None if it is not whole, or not as expected.

    No block means no associations. The block holds the first page only, and it names types
    without their ids, so a label of the account's own has to be read in a batch.
    """
    if not isinstance(block, dict):
        return ()
    if "paging" in block:
        return None
    names: dict[str, list[str]] = {}
    try:
        for edge in block.get("results") or ():
            names.setdefault(str(edge["id"]), []).append(edge["type"])
        edges: list[Association] = []
        for object_id, types in names.items():
            primary, kinds = _INLINE_TYPES[frozenset(types)]
            edges.append(Association(object_id, primary, kinds))
    except (KeyError, TypeError):
        return None
    return _in_order(edges)


def read_batches(
    client: HubSpotClient, path: str, object_type: str, to_object_type: str, ids: Sequence[str]
) -> dict[str, tuple[Association, ...]]:
    """Read all associations of the records *ids* to *to_object_type*, every page of each.

    Raises:
        HubSpotUnavailableError: The answer has another shape.
        RequestRefusedError: HubSpot could not read some of them.
    """
    found: dict[str, Types] = {object_id: {} for object_id in ids}
    pending: list[dict[str, str]] = [{"id": object_id} for object_id in found]
    silent_answers = 0
    while pending:
        batch, pending = pending[:BATCH_SIZE], pending[BATCH_SIZE:]
        body = client.call(
            Call(
                endpoint="associations",
                method="POST",
                path=path,
                path_params={"object_type": object_type, "to_object_type": to_object_type},
                body={"inputs": batch},
                doing=f"reading the {to_object_type} of {object_type}",
            )
        ).body
        answered = _without_any(body, object_type, to_object_type)
        following, seen = _collect(body["results"], found)
        ignored = [asked for asked in batch if asked["id"] not in answered | seen]
        silent_answers = silent_answers + 1 if len(ignored) == len(batch) else 0
        pending.extend(following)
        pending.extend(_worth_repeating(ignored, silent_answers))
    return {object_id: _associations(types) for object_id, types in found.items()}


def _worth_repeating(
    ignored: Sequence[dict[str, str]], silent_answers: int
) -> Sequence[dict[str, str]]:
    """Nothing promises an answer for each input; what is ignored again and again has none.

    Raises:
        HubSpotUnavailableError: There has to be more of one that is ignored.
    """
    if silent_answers < _SILENT_ANSWERS:
        return ignored
    if silent_answers < _SILENT_ANSWERS_MIDWAY and any("after" in asked for asked in ignored):
        return ignored
    if any("after" in asked for asked in ignored):
        raise HubSpotUnavailableError("HubSpot does not go on where it stopped with associations")
    return ()


def _collect(
    results: Iterable[Any], found: dict[str, Types]
) -> tuple[list[dict[str, str]], set[str]]:
    """Add the edges in *results* to *found*; give the inputs that go on, and the ids answered."""
    following: list[dict[str, str]] = []
    answered: set[str] = set()
    for result in results:
        object_id = str(result["from"]["id"])
        answered.add(object_id)
        types = found.setdefault(object_id, {})
        for edge in result.get("to") or ():
            # The other id is a number on the wire, whatever the specification says.
            held = types.setdefault(str(edge["toObjectId"]), {})
            for kind in edge.get("associationTypes") or ():
                held[_association_type(kind)] = None
        after = ((result.get("paging") or {}).get("next") or {}).get("after")
        if after:
            following.append({"id": object_id, "after": str(after)})
    return following, answered


def _without_any(body: Any, object_type: str, to_object_type: str) -> set[str]:
    """The ids without associations, which HubSpot reports as errors inside a 207.

    Raises:
        HubSpotUnavailableError: The answer has another shape.
        RequestRefusedError: There is an error of another kind.
    """
    if not isinstance(body, dict) or not isinstance(body.get("results"), list):
        raise HubSpotUnavailableError("HubSpot's answer holds no list of associations")
    lonely: set[str] = set()
    for error in body.get("errors") or ():
        kind = str(error.get("subCategory") or "")
        if "NO_ASSOCIATIONS_FOUND" not in kind and error.get("category") != "OBJECT_NOT_FOUND":
            raise RequestRefusedError(
                f"HubSpot could not read the {to_object_type} of some {object_type}: "
                f"{error.get('message') or 'no reason given'}",
                category=error.get("category"),
            )
        context = error.get("context") or {}
        for name in ("fromObjectId", "ids"):
            lonely.update(map(str, context.get(name) or ()))
    return lonely


def _associations(types: Mapping[str, Iterable[AssociationType]]) -> tuple[Association, ...]:
    return _in_order(
        [
            Association(object_id, _is_primary(kinds), tuple(sorted(kinds, key=_type_order)))
            for object_id, kinds in types.items()
        ]
    )


def _in_order(edges: list[Association]) -> tuple[Association, ...]:
    """In ascending order of ids, so that equal sets are equal tuples."""
    if len(edges) > 1:
        edges.sort(key=lambda edge: (len(edge.object_id), edge.object_id))
    return tuple(edges)


def _is_primary(kinds: Iterable[AssociationType]) -> bool:
    return any(kind.category == _DEFINED and kind.type_id in _PRIMARY_TYPE_IDS for kind in kinds)


def _type_order(kind: AssociationType) -> tuple[str, int]:
    return kind.category, kind.type_id


def _association_type(kind: Mapping[str, Any]) -> AssociationType:
    return AssociationType(
        str(kind.get("category") or _DEFINED), int(kind["typeId"]), kind.get("label") or None
    )
