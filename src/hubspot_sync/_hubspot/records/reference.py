"""Reference data: owners, pipelines with their stages, and the definitions of properties.

There are few items of each, and HubSpot has no search for them, so they are read as a whole. An
item is a record like any other one; its values are those of HubSpot's JSON:
https://developers.hubspot.com/docs/api-reference/crm-crm-owners-v3/guide
https://developers.hubspot.com/docs/api-reference/latest/crm/pipelines/guide
https://developers.hubspot.com/docs/api-reference/crm-properties-v3/guide
"""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import orjson
from attrs import evolve, frozen

from hubspot_sync._hubspot.calls.answers import Pager, list_answer
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.records.values import to_instant
from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotUnavailableError,
    MissingScopeError,
    RequestRefusedError,
)
from hubspot_sync.models import ListedSpan, Page, Presence, Record, SkippedRow
from hubspot_sync.models.checkpoints import NO_END
from hubspot_sync.models.object_types import has_pipelines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hubspot_sync._hubspot.calls.client import HubSpotClient
    from hubspot_sync._hubspot.calls.paths import Paths
    from hubspot_sync.models import Value

# https://developers.hubspot.com/docs/api-reference/crm-crm-owners-v3/guide
_OWNERS_AT_ONCE: Final = 500
_NOT_FOUND: Final = 404
_ARCHIVED: Final = (("archived", "true"),)
_LIVE: Final = (("archived", "false"),)
# The version of a definition of HubSpot's own that has no dates.
_UNDATED: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
# What names an item, where it is no id.
_ID_FIELDS: Final[Mapping[str, str]] = {"properties": "name"}
_APART: Final = frozenset({"id", "createdAt", "updatedAt"})
# What each list of an item's is told by, beside the list itself: queries join by these.
_TOLD_BY: Final[Mapping[str, Mapping[str, str]]] = {
    "teams": {"teamIds": "id", "teamNames": "name"},
    "stages": {"stageIds": "id", "stageLabels": "label"},
    "options": {"optionValues": "value", "optionLabels": "label"},
}


@frozen(kw_only=True)
class _Listed:
    """What a list of HubSpot's has.

    Attributes:
        rows: Its items.
        object_type: The object type that they belong to; None for owners.
        id_field: The field that names an item.
    """

    rows: Sequence[Any]
    object_type: str | None = None
    id_field: str = "id"

    def records(self, kind: str, now: datetime) -> Iterator[Record | SkippedRow]:
        """Each item as a record of the stream *kind*, or why it is none."""
        for row in self.rows:
            named = str(row.get(self.id_field) or "")
            if not named:
                yield SkippedRow(object_id=None, reason=f"it has no {self.id_field!r}")
                continue
            object_id = named if self.object_type is None else f"{self.object_type}.{named}"
            try:
                yield _record(kind, object_id, row, now)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                reason = "it does not have the shape that HubSpot documents"
                yield SkippedRow(object_id=object_id, reason=reason)


@frozen(kw_only=True)
class ReferenceData:
    """Reads the reference data of one account.

    Attributes:
        client: Calls HubSpot for it.
        paths: Where things are.
        object_types: The object types whose pipelines and properties are read.
    """

    client: HubSpotClient
    paths: Paths
    object_types: Sequence[str]

    def page(self, kind: str, now: datetime) -> Page:
        """All items of the stream *kind*; what is wrong with one of them concerns no other.

        Args:
            kind: The stream.
            now: HubSpot's time; an item without a date counts as created then.

        Raises:
            ConfigurationError: The account syncs no object type that has such items.
            HubSpotSyncError: HubSpot could not be asked, or refuses all of them.
        """
        gaps: list[str] = []
        records: dict[str, Record] = {}
        skipped: list[SkippedRow] = []
        lists = self._owners() if kind == "owners" else self._by_type(kind, gaps)
        for one in (item for listed in lists for item in listed.records(kind, now)):
            if isinstance(one, SkippedRow):
                skipped.append(one)
            else:  # an owner who was archived meanwhile is in both lists
                records.setdefault(one.object_id, one)
        return Page(
            records=tuple(records.values()),
            skipped=tuple(skipped),
            covered=ListedSpan(first=0, end=NO_END, rows=len(records)),
            listed=None,
            gaps=tuple(gaps),
        )

    def find(self, kind: str, object_ids: Sequence[str], now: datetime) -> Presence:
        """Say what became of *object_ids*, each asked for by itself; see `page`.

        Raises:
            HubSpotSyncError: HubSpot could not be asked.
        """
        there: list[Record] = []
        archived: dict[str, datetime | None] = {}
        gone: list[str] = []
        skipped: list[SkippedRow] = []
        for one in object_ids:
            try:
                row = self._single(kind, one)
            except (MissingScopeError, RequestRefusedError) as error:
                skipped.append(SkippedRow(object_id=one, reason=error.message, again=True))
                continue
            if row is None:
                gone.append(one)
                continue
            item = _read_alone(kind, one, row, now)
            if isinstance(item, SkippedRow):
                skipped.append(item)
            elif row.get("archived") is True and kind != "owners":
                archived[one] = _dated(row.get("archivedAt"), None)
            else:
                there.append(item)
        page = Page(records=tuple(there), skipped=tuple(skipped), absent=tuple(gone))
        return Presence(page=page, archived=archived, gone=tuple(gone))

    def _owners(self) -> Iterator[_Listed]:
        """Those who have a seat in HubSpot, then those who had one."""
        call = Call(
            endpoint="owners", method="GET", path=self.paths.owners, doing="listing the owners"
        )
        for archived in (_LIVE, _ARCHIVED):
            query = (("limit", str(_OWNERS_AT_ONCE)), *archived)
            pager = Pager(call.doing, self.client.stop)
            seen: set[str] = set()
            answer = self.client.call(evolve(call, query=query), list_answer).content
            while True:
                yield _Listed(rows=answer.rows)
                if answer.after is None:
                    break
                ids = {str(row.get("id")) for row in answer.rows}
                after = pager.follow(answer.after, new=not seen.issuperset(ids))
                seen = ids
                following = evolve(call, query=(*query, ("after", after)))
                answer = self.client.call(following, list_answer).content

    def _by_type(self, kind: str, gaps: list[str]) -> Iterator[_Listed]:
        """The lists of all object types, but for those that HubSpot refuses."""
        refused: MissingScopeError | RequestRefusedError | None = None
        object_types = self._types_with(kind)
        for object_type in object_types:
            call = Call(
                endpoint=kind,
                method="GET",
                path=self._path(kind),
                path_params={"object_type": object_type},
                doing=f"reading the {kind} of {object_type}",
            )
            try:
                rows = self.client.call(call, list_answer).content.rows
            except (MissingScopeError, RequestRefusedError) as error:
                refused = error
                gaps.append(f"the {kind} of {object_type} could not be read: {error.message}")
                continue
            yield _Listed(rows=rows, object_type=object_type, id_field=_ID_FIELDS.get(kind, "id"))
        if refused is not None and len(gaps) == len(object_types):
            raise refused

    def _types_with(self, kind: str) -> Sequence[str]:
        """The synced object types that have items of *kind*."""
        if kind == "properties":
            found, such_as = self.object_types, "contacts"
        else:
            found, such_as = [one for one in self.object_types if has_pipelines(one)], "deals"
        if not found:
            raise ConfigurationError(
                f"the account syncs no object type that has {kind}; give it a StreamSettings for "
                f"one, such as {such_as}, beside that for {kind}"
            )
        return found

    def _single(self, kind: str, object_id: str) -> dict[str, Any] | None:
        """One item as HubSpot prints it, archived or not; None where it says there is none."""
        object_type, _, name = object_id.rpartition(".")
        call = Call(
            endpoint=kind,
            method="GET",
            path=f"{self._path(kind)}/{{name}}",
            path_params={"object_type": object_type, "name": name}
            if object_type
            else {"name": name},
            doing=f"reading one of the {kind} by its id",
        )
        for query in ((), _ARCHIVED):
            try:
                return self.client.call(evolve(call, query=query), _object).content
            except RequestRefusedError as error:
                if error.status != _NOT_FOUND:
                    raise
        return None

    def _path(self, kind: str) -> str:
        path: str = getattr(self.paths, kind)
        return path


def _read_alone(
    kind: str, object_id: str, row: Mapping[str, Any], now: datetime
) -> Record | SkippedRow:
    """The record of the item that was asked for by its id, or why *row* is none."""
    listed = _Listed(
        rows=(row,),
        object_type=object_id.rpartition(".")[0] or None,
        id_field=_ID_FIELDS.get(kind, "id"),
    )
    (item,) = listed.records(kind, now)
    if isinstance(item, SkippedRow):
        return SkippedRow(object_id=object_id, reason=item.reason, again=True)
    if item.object_id != object_id:
        reason = f"HubSpot answered about {item.object_id!r}"
        return SkippedRow(object_id=object_id, reason=reason, again=True)
    return item


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise HubSpotUnavailableError("HubSpot's answer is no item")
    return body


def _record(kind: str, object_id: str, row: Mapping[str, Any], now: datetime) -> Record:
    """*row* as a record of the stream *kind*."""
    created_at = _dated(row.get("createdAt"), None)
    object_type = object_id.rpartition(".")[0]
    values: dict[str, Value] = {"objectType": object_type} if object_type else {}
    if kind == "pipelines":
        values["pipelineId"] = str(row["id"])
    for name, sent in row.items():
        if name in _APART:
            continue
        values[name] = _value(sent)
        for told, key in _TOLD_BY.get(name, {}).items():
            values[told] = tuple(str(one[key]) for one in sent or ()) or None
    return Record(
        object_type=kind,
        object_id=object_id,
        properties=values,
        created_at=created_at or now,
        modified_at=_dated(row.get("updatedAt"), created_at or _UNDATED),
    )


def _value(sent: Any) -> Value:
    """A value of HubSpot's JSON; what is no text, number or boolean is JSON again."""
    if sent is None or isinstance(sent, (bool, int)):
        return sent
    if isinstance(sent, str):
        return sent or None
    if isinstance(sent, float):
        return Decimal(repr(sent))
    return orjson.dumps(sent, option=orjson.OPT_SORT_KEYS).decode()


def _dated(text: Any, otherwise: Any) -> Any:
    try:
        return to_instant(text) if isinstance(text, str) and text else otherwise
    except (ValueError, OverflowError):
        return otherwise
