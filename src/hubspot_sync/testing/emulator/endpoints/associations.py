"""Associations of single records and of batches, and their labels."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from hubspot_sync.testing.emulator.endpoints.objects import (
    batch_inputs,
    inline_rows,
    object_type,
    page_size,
    seen_edges,
)
from hubspot_sync.testing.emulator.hostility.batches import BatchSpoiler
from hubspot_sync.testing.emulator.refusals import bad_request, batch_error, not_found
from hubspot_sync.testing.emulator.wire import Answer, Request, answer, to_iso

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.testing.emulator.endpoints.installations import Installation
    from hubspot_sync.testing.emulator.hostility.mischief import Mischief
    from hubspot_sync.testing.emulator.portal.associations import Kinds
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.types import ObjectType

# https://developers.hubspot.com/docs/api-reference/crm-associations-v4/guide
MAX_INPUTS: Final = 1000
MAX_EDGES: Final = 500
_PLACE: Final = re.compile(r"(\d+-\d+)-(\d+)")


def batch_associations(installation: Installation, request: Request) -> Answer:
    """`POST /crm/v4/associations/{from}/{to}/batch/read` (HubSpot 2.1)."""
    portal, mischief = installation.portal, installation.mischief
    started = to_iso(portal.now())
    source, target = _ends(portal, request)
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    spoiler = BatchSpoiler(installation.mischief, request, source)
    size = spoiler.page or MAX_EDGES
    inputs = batch_inputs(request.json(), MAX_INPUTS)
    answered, failed = spoiler.sources(inputs, [str(one["id"]) for one in inputs])
    for one in answered:
        object_id = str(one["id"])
        if not object_id.isdecimal():
            errors.append(_invalid(object_id))
            continue
        after = _place(one.get("after"), target)
        found = seen_edges(portal, (source, target), int(object_id), after, size)
        if found[0]:
            block = _block(request, source, target, object_id, found)
            if spoiler.loops(object_id):
                back = _leading_back(mischief, target, one.get("after"), found[0])
                block["paging"] = _paging(request, source, target, object_id, back)
            block["to"] = spoiler.edges(block["to"])
            results.append(block)
        else:
            errors.append(_no_edges(source, target, object_id))
    errors += [_failed(mischief, spoiler, source, target, object_id) for object_id in failed]
    content: dict[str, Any] = {
        "completedAt": to_iso(portal.now()),
        "status": "COMPLETE",
        "startedAt": started,
        "results": results,
    }
    if errors:
        content |= {"errors": errors, "numErrors": len(errors)}
    return answer(content, status=207 if errors else 200)


def get_associations(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v4/objects/{type}/{id}/associations/{to}` (HubSpot 2.2)."""
    portal = installation.portal
    source, target = _ends(portal, request)
    spoiler = BatchSpoiler(installation.mischief, request, source)
    rows, following = _single(portal, request, (source, target), spoiler.page)
    edges = [_edge(number, kinds) for number, kinds in rows]
    content: dict[str, Any] = {"results": spoiler.edges(edges)}
    after = None if following is None else _cursor_text(target, following)
    if rows and spoiler.loops(request.args["object_id"]):
        after = _leading_back(installation.mischief, target, request.text("after"), rows)
    if after is not None:
        content["paging"] = {"next": {"after": after, "link": request.link(after)}}
    return answer(content)


def continue_inline(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/objects/{type}/{id}/associations/{to}`: where inline associations go on."""
    portal = installation.portal
    source, target = _ends(portal, request)
    spoiler = BatchSpoiler(installation.mischief, request, source)
    rows, following = _single(portal, request, (source, target), spoiler.inline_page)
    content: dict[str, Any] = {"results": spoiler.inline(inline_rows(rows))}
    after = None if following is None else str(following)
    if rows and spoiler.loops(request.args["object_id"]):
        after = _leading_back(installation.mischief, target, request.text("after"), rows)
    if after is not None:
        content["paging"] = {"next": {"after": after, "link": request.link(after)}}
    return answer(content)


def list_labels(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v4/associations/{from}/{to}/labels` (HubSpot 2.4)."""
    portal = installation.portal
    links = portal.links.between(*_ends(portal, request))
    return answer({"results": [link.forward.to_json() for link in links]})


def _ends(portal: Portal, request: Request) -> tuple[ObjectType, ObjectType]:
    return (
        object_type(portal, request.args["object_type"]),
        object_type(portal, request.args["to_type"]),
    )


def _single(
    portal: Portal,
    request: Request,
    ends: tuple[ObjectType, ObjectType],
    highest: int | None,
) -> tuple[list[tuple[int, Kinds]], int | None]:
    source, target = ends
    object_id = request.args["object_id"]
    if not object_id.isdecimal() or int(object_id) not in portal.rows(source)[1]:
        raise not_found(f"No {source.singular} with id {object_id} exists")
    limit = min(page_size(request, MAX_EDGES, MAX_EDGES), highest or MAX_EDGES)
    after = _place(request.text("after"), target)
    return seen_edges(portal, ends, int(object_id), after, limit)


def _block(
    request: Request,
    source: ObjectType,
    target: ObjectType,
    object_id: str,
    found: tuple[list[tuple[int, Kinds]], int | None],
) -> dict[str, Any]:
    rows, following = found
    block: dict[str, Any] = {
        "from": {"id": object_id},
        "to": [_edge(number, kinds) for number, kinds in rows],
    }
    if following is not None:
        after = _cursor_text(target, following)
        block["paging"] = _paging(request, source, target, object_id, after)
    return block


def _paging(
    request: Request, source: ObjectType, target: ObjectType, object_id: str, after: str
) -> dict[str, Any]:
    path = f"/crm/v4/objects/{source.name}/{object_id}/associations/{target.name}"
    link = f"{request.base_url}{path}?after={quote(after)}"
    return {"next": {"after": after, "link": link}}


def _leading_back(
    mischief: Mischief, target: ObjectType, asked: str | None, rows: Sequence[tuple[int, Any]]
) -> str:
    """An `after` that leads to the page that holds *rows*: the one that was asked for, or a twin.

    The twin is the same place as the plain number of v3.
    """
    place = _place(asked, target) or rows[0][0]
    first, second = _cursor_text(target, place), str(place)
    return second if mischief.settings.loop == "pair" and asked == first else first


def _edge(number: int, kinds: Sequence[Any]) -> dict[str, Any]:
    # A JSON number, whatever the specification says (HubSpot 2.1).
    return {"toObjectId": number, "associationTypes": [kind.to_json() for kind in kinds]}


def _no_edges(source: ObjectType, target: ObjectType, object_id: str) -> dict[str, Any]:
    return batch_error(
        "OBJECT_NOT_FOUND",
        f"No {target.singular} is associated with {source.singular} {object_id}.",
        subCategory="crm.associations.NO_ASSOCIATIONS_FOUND",
        context={
            "fromObjectId": [object_id],
            "fromObjectType": [source.singular],
            "toObjectType": [target.singular],
        },
    )


def _failed(
    mischief: Mischief,
    spoiler: BatchSpoiler,
    source: ObjectType,
    target: ObjectType,
    object_id: str,
) -> dict[str, Any]:
    context = {
        "fromObjectId": [object_id],
        "fromObjectType": [source.singular],
        "toObjectType": [target.singular],
    }
    return batch_error(
        mischief.settings.failing_category,
        f"The {target.singular} associations of a {source.singular} could not be read.",
        **spoiler.context(context),
    )


def _invalid(object_id: str) -> dict[str, Any]:
    return batch_error(
        "VALIDATION_ERROR",
        f"{object_id} is not a valid ID",
        subCategory="crm.associations.INVALID_IDENTIFIER",
        context={"id": [object_id]},
    )


def _cursor_text(target: ObjectType, number: int) -> str:
    return base64.b64encode(f"{target.type_id}-{number}".encode()).decode()


def _place(after: str | None, target: ObjectType) -> int:
    """The record number in an `after`: base64 of `0-2-7502`, or the plain number of v3."""
    if not after:
        return 0
    if after.isdecimal():
        return int(after)
    try:
        match = _PLACE.fullmatch(base64.b64decode(after, validate=True).decode())
    except ValueError:
        match = None
    if match is None or match[1] != target.type_id:
        raise bad_request(f"after {after[:50]!r} is not valid here")
    return int(match[2])
