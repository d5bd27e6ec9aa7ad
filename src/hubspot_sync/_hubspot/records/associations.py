"""Reads associations whole: inline ones as far as they go, else in batches with inner paging.

Type ids and the shapes of both answers:
https://developers.hubspot.com/docs/guides/api/crm/associations/associations-v4
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hubspot_sync._hubspot.calls.answers import Pager, batch_answer, next_after
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.records.batch_calls import Batches, Round
from hubspot_sync.errors import HubSpotUnavailableError
from hubspot_sync.models import Association, AssociationType, FoundAssociations

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubspot_sync._hubspot.calls.answers import BatchError
    from hubspot_sync._hubspot.calls.client import HubSpotClient

BATCH_SIZE: Final = 1_000
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
_MOST_TYPES: Final = 2
_IN_ORDER: Final = {
    order: known for types, known in _INLINE_TYPES.items() for order in permutations(types)
}

Types = dict[str, dict[AssociationType, None]]


class InlineKeys:
    """Under which keys the list endpoint brings the associations that were asked for.

    A record that has no associations of a type has no block for it, so a missing block says
    "there are none" only where HubSpot is known to use the very key that is looked for: on a page
    without blocks that nobody asked for, once the key was seen. HubSpot answers for custom types
    under a name of its own choice, and for line items under "line items" (HubSpot 1.3).

    Threads may share it.

    Args:
        spellings: By the name that was asked for, all names of that object type.
    """

    def __init__(self, spellings: Mapping[str, Iterable[str]]) -> None:
        self._asked = {
            _plain(spelling): name for name, known in spellings.items() for spelling in known
        }
        self._seen: set[str] = set()

    def on_page(self, rows: Sequence[Any]) -> PageKeys:
        """What the keys of *rows* say."""
        found: dict[str, str] = {}
        strange = False
        for row in rows:
            blocks = row.get("associations")
            if not isinstance(blocks, dict):
                # Without any associations there is no map; anything else is no map of ours.
                strange = strange or blocks is not None
                continue
            for key in blocks:
                if key not in found:
                    name = self._asked.get(_plain(key))
                    strange = strange or name is None
                    found[key] = name or ""
        self._seen.update(found.values())
        silent = () if strange else tuple(self._seen.intersection(self._asked.values()))
        return PageKeys({key: name for key, name in found.items() if name}, frozenset(silent))


@frozen
class PageKeys:
    """The keys of one page of the list.

    Attributes:
        names: The name that was asked for, by the key that HubSpot uses for it.
        silent: The names for which no block means no associations.
    """

    names: Mapping[str, str]
    silent: frozenset[str]


def _plain(spelling: str) -> str:
    return spelling.replace(" ", "_").lower()


NO_KEYS: Final = PageKeys({}, frozenset())


def read_inline(row: Any, keys: PageKeys) -> dict[str, tuple[Association, ...]]:
    """The associations that came whole with a row of the list endpoint, by object type.

    The others have no key; they have to be read in a batch.
    """
    blocks = row.get("associations") or {}
    found: dict[str, tuple[Association, ...]] = dict.fromkeys(keys.silent, ())
    for key in blocks:
        name = keys.names.get(key)
        if name is None:
            continue
        edges = _inline(blocks[key])
        if edges is not None:
            found[name] = edges
        else:
            found.pop(name, None)
    return found


def _inline(block: Any) -> tuple[Association, ...] | None:
    """Read the block of one object type; None if it is not whole, or not as expected.

    The block holds the first page only, and it names types without their ids, so a label of the
    account's own has to be read in a batch.
    """
    if not isinstance(block, dict) or "paging" in block:
        return None
    try:
        edges = block["results"]
        return edges_of([str(edge["id"]) for edge in edges], [edge["type"] for edge in edges])
    except (KeyError, TypeError):
        return None


def edges_of(ids: Sequence[str], types: Sequence[str]) -> tuple[Association, ...] | None:
    """The associations with the records *ids*, each for the reason in *types*; None for others."""
    if len(ids) <= _MOST_TYPES and ids and ids[0] == ids[-1]:  # as most records have it
        known = _IN_ORDER.get(tuple(types))
        if known is not None:
            return (Association(ids[0], known[0], known[1]),)
    names: dict[str, list[str]] = {}
    for object_id, name in zip(ids, types, strict=True):
        names.setdefault(object_id, []).append(name)
    edges: list[Association] = []
    for object_id, kinds in names.items():
        known = _INLINE_TYPES.get(frozenset(kinds))
        if known is None:
            return None
        edges.append(Association(object_id, *known))
    return _in_order(edges)


def read_batches(
    client: HubSpotClient,
    path: str,
    object_type: str,
    to_object_type: str,
    object_ids: Sequence[str],
) -> FoundAssociations:
    """Read all associations of the records *object_ids* to *to_object_type*, every page of each.

    Raises:
        HubSpotSyncError: HubSpot answers for none of many records, or refuses the call.
        StopRequested: The run was stopped.
    """
    doing = f"reading the {to_object_type} of {object_type}"
    found: dict[str, Types] = {object_id: {} for object_id in object_ids}
    cursors: dict[str, str] = {}
    pagers: dict[str, Pager] = {}
    lost: dict[str, str] = {}

    def ask(ids: Sequence[str], *, max_tries: int | None) -> Round:
        inputs = [
            {"id": one, "after": cursors[one]} if one in cursors else {"id": one} for one in ids
        ]
        call = Call(
            endpoint="associations",
            method="POST",
            path=path,
            path_params={"object_type": object_type, "to_object_type": to_object_type},
            body={"inputs": inputs},
            doing=doing,
            max_tries=max_tries,
        )
        pages, errors = client.call(call, _edge_pages).content
        more: set[str] = set()
        for page in pages:
            known = found.get(page.object_id)
            if known is None:
                continue
            new = _add(page, known)
            if page.after is not None:
                try:
                    pager = pagers.setdefault(page.object_id, Pager(doing, client.stop))
                    cursors[page.object_id] = pager.follow(page.after, new=new)
                    more.add(page.object_id)
                except HubSpotUnavailableError as error:
                    lost[page.object_id] = error.message
        lonely = {one for error in errors if error.absent for one in error.ids}
        done = lonely.union(page.object_id for page in pages) - more
        return Round(done=frozenset(done), more=frozenset(more), errors=errors)

    unanswered = Batches(client=client, ask=ask, size=BATCH_SIZE).run(list(found)) | lost
    whole = {
        object_id: _associations(types)
        for object_id, types in found.items()
        if object_id not in unanswered
    }
    return FoundAssociations(found=whole, unanswered=unanswered)


@frozen
class _EdgePage:
    """One page of the associations of one record: other ids with their types."""

    object_id: str
    edges: tuple[tuple[str, tuple[AssociationType, ...]], ...]
    after: str | None


def _edge_pages(body: Any) -> tuple[list[_EdgePage], tuple[BatchError, ...]]:
    """The answer to a batch read of associations."""
    answer = batch_answer(body)
    return [_edge_page(result) for result in answer.results], answer.errors


def _edge_page(result: Any) -> _EdgePage:
    # The other id is a number on the wire, whatever the specification says.
    edges = tuple(
        (
            _digits(edge["toObjectId"]),
            tuple(_association_type(kind) for kind in edge.get("associationTypes") or ()),
        )
        for edge in result.get("to") or ()
    )
    return _EdgePage(_digits(result["from"]["id"]), edges, next_after(result))


def _digits(object_id: Any) -> str:
    text = str(object_id)
    if not (text.isascii() and text.isdigit()):
        raise ValueError("an id that is no number")
    return text


def _add(page: _EdgePage, known: Types) -> bool:
    """Add the edges of *page* to *known*; whether any of them was new."""
    new = False
    for object_id, kinds in page.edges:
        new = new or object_id not in known
        known.setdefault(object_id, {}).update(dict.fromkeys(kinds))
    return new


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
