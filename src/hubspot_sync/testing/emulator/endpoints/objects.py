"""List, search, single read and batch read of records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from hubspot_sync.testing.emulator.hostility.batches import BatchSpoiler
from hubspot_sync.testing.emulator.hostility.list_pages import ARCHIVED
from hubspot_sync.testing.emulator.hostility.search_pages import SearchSpoiler
from hubspot_sync.testing.emulator.portal.portal import COMPUTED
from hubspot_sync.testing.emulator.portal.query import read_query
from hubspot_sync.testing.emulator.portal.table import page_of
from hubspot_sync.testing.emulator.portal.types import standard_type
from hubspot_sync.testing.emulator.refusals import (
    bad_request,
    batch_error,
    not_found,
    unknown_object_type,
    unsupported,
)
from hubspot_sync.testing.emulator.wire import Answer, Request, answer, integer, to_iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hubspot_sync.testing.emulator.endpoints.installations import Installation
    from hubspot_sync.testing.emulator.hostility.mischief import Mischief
    from hubspot_sync.testing.emulator.portal.associations import Kinds
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.record import Record
    from hubspot_sync.testing.emulator.portal.types import ObjectType

MAX_PAGE: Final = 100
MAX_INPUTS: Final = 100
# Observed, not documented: https://github.com/dlt-hub/verified-sources/issues/593
INLINE_CAP: Final = 100
_REPEATED: Final = 5
Readers: TypeAlias = "list[tuple[str, Callable[[Record], str | None]]]"


def object_type(portal: Portal, name: str) -> ObjectType:
    """The object type that a path names.

    Raises:
        RefusalError: There is none; HubSpot answers 400. For one of HubSpot's own that was not
            added to the emulator, 501.
    """
    kind = portal.types.find(name)
    if kind is not None:
        return kind
    if standard_type(name) is not None:
        raise unsupported(f"the object type {name} unless add_object_type adds it")
    raise unknown_object_type(name)


def page_size(request: Request, default: int, highest: int) -> int:
    """The `limit` parameter.

    Raises:
        RefusalError: It is out of bounds; HubSpot answers 400.
    """
    limit = integer(request.text("limit"), default, "limit")
    if not 1 <= limit <= highest:
        raise bad_request(f"limit must be between 1 and {highest}, not {limit}")
    return limit


def list_objects(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/objects/{type}`: ascending ids, `after` is the next id (HubSpot 1.2)."""
    _no_history(request.names("propertiesWithHistory"))
    kind = object_type(installation.portal, request.args["object_type"])
    limit = page_size(request, 10, MAX_PAGE)
    archived = request.flag("archived")
    records, after = _page(installation, kind, request.text("after"), limit, archived=archived)
    printer = _Associated(installation, request, kind)
    content: dict[str, Any] = {"results": [printer.one(record) for record in records]}
    if after is not None:
        content["paging"] = {"next": {"after": after, "link": request.link(after)}}
    return answer(content)


def _page(
    installation: Installation, kind: ObjectType, after: str | None, limit: int, *, archived: bool
) -> tuple[list[Record], str | None]:
    every, found = _rows(installation, kind, archived=archived)
    mischief = installation.mischief
    if not mischief.listing:
        records, following = page_of(every, found, integer(after, 0, "after"), limit)
        return records, None if following is None else str(following)
    walk = f"{kind.type_id}{ARCHIVED}" if archived else kind.type_id
    hidden = kind.pick(mischief.settings.hidden_from_list)
    numbers, following_text = installation.list_spoiler.page(walk, every, after, limit, hidden)
    return [found[number] for number in numbers], following_text


def _rows(
    installation: Installation, kind: ObjectType, *, archived: bool
) -> tuple[Sequence[int], Mapping[int, Record]]:
    """The numbers and records that the token's user may see; counts the lie."""
    if installation.portal.sight.test(kind) is not None:
        installation.mischief.lies.add("unseen")
    return installation.portal.rows(kind, archived=archived)


def search(installation: Installation, request: Request) -> Answer:
    """`POST .../search` (HubSpot 1.7)."""
    portal, mischief = installation.portal, installation.mischief
    kind = object_type(portal, request.args["object_type"])
    _refuse_search(mischief, kind, request)
    query = read_query(portal, kind, request.json())
    page = installation.index.page(kind, query)
    if mischief.search:
        most = min(_REPEATED, query.limit - 1) if mischief.settings.repeated_rows else 0
        before = installation.index.before(kind, query, most)
        page = SearchSpoiler(mischief, portal, kind, query, request.fingerprint).spoil(page, before)
    live = portal.indexed(kind).live
    renderer = Renderer(installation, kind, query.names)
    content: dict[str, Any] = {
        "total": page.total,
        "results": renderer.every(live[number] for number in page.numbers),
    }
    if page.following is not None:
        content["paging"] = {"next": {"after": str(page.following)}}
    return answer(content)


def _refuse_search(mischief: Mischief, kind: ObjectType, request: Request) -> None:
    """Refuse what the hostility in force lets no search do."""
    settings, lies = mischief.settings, mischief.lies
    if any(kind.answers_to(name) for name in settings.unsearchable):
        lies.add("unsearchable")
        raise bad_request(f"Object type {kind.type_id} does not support search.")
    most = settings.search_body_limit
    if most is not None and len(request.body) > most:
        lies.add("search_body_limit")
        raise bad_request(f"The request is longer than {most} characters.")


def get_object(installation: Installation, request: Request) -> Answer:
    """`GET /crm/v3/objects/{type}/{id}`."""
    portal = installation.portal
    _no_history(request.names("propertiesWithHistory"))
    kind = object_type(portal, request.args["object_type"])
    object_id = request.args["object_id"]
    archived, id_property = request.flag("archived"), request.text("idProperty")
    _, records = _rows(installation, kind, archived=archived)
    # A merged id leads to the record that it went into (HubSpot 8).
    key = object_id if archived or id_property else _forwarded(portal, kind, object_id)
    found = _find(portal, kind, records, [key], id_property)
    if not found:
        raise not_found(f"Object not found.  objectId are usually numeric: {object_id}")
    return answer(_Associated(installation, request, kind).one(found[key]))


def _forwarded(portal: Portal, kind: ObjectType, object_id: str) -> str:
    return str(portal.survivor(kind, int(object_id))) if object_id.isdecimal() else object_id


def batch_read(installation: Installation, request: Request) -> Answer:
    """`POST .../batch/read`: 200, or 207 when some are missing (HubSpot 1.6)."""
    portal, mischief = installation.portal, installation.mischief
    started = to_iso(portal.now())
    kind = object_type(portal, request.args["object_type"])
    body = request.json()
    _no_history(body.get("propertiesWithHistory") or ())
    object_ids = [str(one["id"]) for one in batch_inputs(body, MAX_INPUTS)]
    spoiler = BatchSpoiler(mischief, request, kind)
    keys, failed = spoiler.objects(object_ids)
    archived, id_property = request.flag("archived"), body.get("idProperty")
    _, records = _rows(installation, kind, archived=archived)
    if mischief.settings.batch_forwards and not archived and not id_property:
        forwarded = [_forwarded(portal, kind, key) for key in keys]
        if forwarded != keys:
            mischief.lies.add("batch_forwards")
        keys = forwarded
    found = _find(portal, kind, records, keys, id_property)
    # Output order is not input order (HubSpot 1.6): ascending ids here, whatever was asked.
    chosen = {record.number: record for record in found.values()}
    renderer = Renderer(installation, kind, body.get("properties") or ())
    content: dict[str, Any] = {
        "completedAt": to_iso(portal.now()),
        "status": "COMPLETE",
        "startedAt": started,
        "results": renderer.every(chosen[number] for number in sorted(chosen)),
    }
    missing = [key for key in keys if key not in found]
    errors = [_missing(kind, missing)] if missing else []
    if failed:
        category = mischief.settings.failing_category
        message = f"Some {kind.singular.upper()} objects could not be read."
        errors.append(batch_error(category, message, **spoiler.context({"ids": failed})))
    if errors:
        content |= {"errors": errors, "numErrors": len(errors)}
    return answer(content, status=207 if errors else 200)


def _missing(kind: ObjectType, keys: Sequence[str]) -> dict[str, Any]:
    return batch_error(
        "OBJECT_NOT_FOUND",
        f"Could not get some {kind.singular.upper()} objects, they may be deleted or not exist. "
        "Check that ids are valid.",
        context={"ids": list(keys)},
    )


def batch_inputs(body: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    """What a batch read asks for.

    Raises:
        RefusalError: It is nothing, more than *most*, or something without an id.
    """
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise bad_request("inputs must be a list that is not empty")
    if len(inputs) > most:
        raise bad_request(f"The maximum number of inputs is {most}, {len(inputs)} were sent")
    if not all(isinstance(one, dict) and "id" in one for one in inputs):
        raise bad_request("every input needs an id")
    return inputs


def _find(
    portal: Portal,
    kind: ObjectType,
    records: Mapping[int, Record],
    keys: Sequence[str],
    id_property: str | None,
) -> dict[str, Record]:
    """The records behind the given ids or values of a unique property, by what was given."""
    if id_property in {None, "hs_object_id"}:
        return {key: records[int(key)] for key in keys if key.isdecimal() and int(key) in records}
    definition = portal.definitions(kind).get(id_property or "")
    if definition is None or not (definition.unique or id_property == "email"):
        raise bad_request(f"idProperty {id_property!r} is not a unique property")
    read = portal.reader(kind, definition.name)
    wanted = {key.lower(): key for key in keys}
    values = ((read(record), record) for record in records.values())
    return {
        wanted[value.lower()]: record
        for value, record in values
        if value is not None and value.lower() in wanted
    }


class _Associated:
    """Prints records with their associations inline."""

    def __init__(self, installation: Installation, request: Request, kind: ObjectType) -> None:
        portal = installation.portal
        self._portal = portal
        self._mischief = installation.mischief
        self._spoiler = BatchSpoiler(installation.mischief, request, kind)
        self._kind = kind
        self._renderer = Renderer(installation, kind, request.names("properties"))
        # Unknown types are dropped silently (HubSpot 1.2).
        kinds = (portal.types.find(name) for name in request.names("associations"))
        self._targets = [(self._key(target), target) for target in kinds if target is not None]
        # The first three parts are the family in either numbering: /crm/objects/2026-03.
        self._base = request.base_url + "/".join(request.path.split("/")[:4])

    def one(self, record: Record) -> dict[str, Any]:
        """A record; a type without edges is not in its map, without any there is no map."""
        content = self._renderer.one(record)
        for key, target in self._targets:
            block = self._block(record, target) if key else {}
            if block:
                content.setdefault("associations", {})[key] = block
        return content

    def _key(self, target: ObjectType) -> str:
        key: str = target.pick(self._mischief.settings.inline_keys, target.inline_key)
        if key != target.inline_key:
            self._mischief.lies.add("inline_keys")
        return key

    def _block(self, record: Record, target: ObjectType) -> dict[str, Any]:
        size = self._spoiler.inline_page or INLINE_CAP
        rows, following = seen_edges(self._portal, (self._kind, target), record.number, 0, size)
        block: dict[str, Any] = {"results": self._spoiler.inline(inline_rows(rows))} if rows else {}
        if following is not None:
            path = f"{self._kind.name}/{record.number}/associations/{target.name}"
            link = f"{self._base}/{path}?after={following}"
            block["paging"] = {"next": {"after": str(following), "link": link}}
        return block


def seen_edges(
    portal: Portal, ends: tuple[ObjectType, ObjectType], number: int, after: int, limit: int
) -> tuple[list[tuple[int, Kinds]], int | None]:
    """A page of a record's associations, and the number that follows, as the user may see them."""
    rows, following = portal.edges.page((ends[0].type_id, ends[1].type_id), number, after, limit)
    if not portal.sight.limited:
        return rows, following
    near, far = map(portal.sight.test, ends)
    if near is not None and not near(number):
        return [], None
    return rows if far is None else [row for row in rows if far(row[0])], following


def inline_rows(rows: Sequence[tuple[int, Sequence[Any]]]) -> list[dict[str, str]]:
    """One row per association type: the same id comes up several times (HubSpot 1.3)."""
    return [{"id": str(number), "type": kind.name} for number, kinds in rows for kind in kinds]


def _no_history(names: Sequence[str]) -> None:
    if names:
        raise unsupported("propertiesWithHistory")


class Renderer:
    """Prints records of one type with a chosen set of properties.

    Names that do not exist are dropped without an error, and a property without a value is null
    (HubSpot 1.2).
    """

    def __init__(self, installation: Installation, kind: ObjectType, names: Sequence[str]) -> None:
        portal = installation.portal
        wanted = set(names or kind.default_properties) - set(kind.always_returned)
        known = sorted(wanted & portal.definitions(kind).keys())
        self._kind = kind
        self._plain = [name for name in known if name not in COMPUTED]
        self._computed: Readers = [
            (name, portal.reader(kind, name)) for name in known if name in COMPUTED
        ]
        settings = installation.mischief.settings
        self._lies = installation.mischief.lies
        self._deep = kind.pick(settings.deep_values)
        self._levels = settings.deep_levels
        self._without_created = kind.pick(settings.without_created)
        self._without_modified = kind.pick(settings.without_modified)
        self._url = f"https://app.hubspot.com/contacts/{portal.account_id}/record/{kind.type_id}/"

    def one(self, record: Record) -> dict[str, Any]:
        """The whole record, without associations."""
        object_id, value = str(record.number), record.values.get
        created, modified = record.created_text, record.modified_text
        properties: dict[str, Any] = dict(zip(self._plain, map(value, self._plain), strict=True))
        properties[self._kind.created_property] = created
        properties["hs_object_id"] = object_id
        properties[self._kind.modified_property] = modified
        for name, read in self._computed:
            properties[name] = read(record)
        content: dict[str, Any] = {
            "id": object_id,
            "properties": properties,
            "createdAt": created,
            "updatedAt": modified,
            "archived": record.archived is not None,
            "url": self._url + object_id,
        }
        if record.archived is not None:
            content["archivedAt"] = to_iso(record.archived)
        if object_id in self._deep:
            self._lies.add("deep_values")
            name = self._plain[0] if self._plain else "hs_object_id"
            properties[name] = orjson.Fragment(b"[" * self._levels + b"]" * self._levels)
        if object_id in self._without_created:
            self._lies.add("without_created")
            del content["createdAt"], properties[self._kind.created_property]
        if object_id in self._without_modified:
            self._lies.add("without_modified")
            del content["updatedAt"], properties[self._kind.modified_property]
        return content

    def every(self, records: Iterable[Record]) -> list[dict[str, Any]]:
        """Several records."""
        return [self.one(record) for record in records]
