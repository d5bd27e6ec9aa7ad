"""Reads what the sinks have stored, in the way in which a host would: by columns and fields."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from typing import Any

from hubspot_sync.models import (
    AccountKey,
    Action,
    ActionKind,
    Association,
    AssociationType,
    Evidence,
    Gone,
)
from hubspot_sync.stores.mongodb import properties_from_document
from hubspot_sync.stores.sqlite import properties_from_text


def sqlite_rows(database: Any, statement: str) -> list[dict[str, Any]]:
    """The rows of *statement* as dicts."""
    with database.reading() as connection:
        found = connection.execute(statement)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def sqlite_actions(database: Any) -> list[Action]:
    """What is in the table of actions."""
    return [_action(_plain(row)) for row in sqlite_rows(database, "SELECT * FROM actions")]


def sqlite_records(database: Any) -> list[Action]:
    """What is in the table of records, see `record_as_action`."""
    return [record_as_action(_plain(row)) for row in sqlite_rows(database, "SELECT * FROM records")]


def mongodb_actions(raw: Any) -> list[Action]:
    """What is in the collection of actions."""
    found = _documents(raw, "actions")
    return [_action({**document, "id": document["_id"]}) for document in found]


def mongodb_records(raw: Any) -> list[Action]:
    """What is in the collection of records, see `record_as_action`."""
    return [record_as_action(document) for document in _documents(raw, "records")]


def record_as_action(record: dict[str, Any]) -> Action:
    """A record as the action that has it made: a creation where its create date is known."""
    created = record["created_at"] is not None
    occurred_at = record["created_at"] if created else record["modified_at"]
    kind = ActionKind.CREATED if created else ActionKind.UPDATED
    if gone := record.get("gone"):
        kind = next(one for one in ActionKind if one.gone is Gone(gone))
        occurred_at = record["gone_at"]
    return _action({**record, "occurred_at": occurred_at, "kind": kind.value})


def kept_by_mongodb(value: Any) -> Any:
    """What of a value MongoDB keeps as text: dates without a time."""
    return value.isoformat() if type(value) is date else value


def _action(document: dict[str, Any]) -> Action:
    return Action(
        variant=document["variant"] if "variant" in document else variant_in(document["id"]),
        account=AccountKey(document["domain_id"], document["account_id"]),
        object_type=document["object_type"],
        object_id=document["object_id"],
        kind=ActionKind(document["kind"]),
        version=document["version"],
        occurred_at=document["occurred_at"],
        merged_into=document.get("merged_into"),
        evidence=Evidence(evidence) if (evidence := document.get("evidence")) else None,
        properties=document["properties"],
        associations={
            name: tuple(map(_association, associated))
            for name, associated in document["associations"].items()
        },
    )


def variant_in(action_id: str) -> int:
    """What follows the version in the id of an action."""
    return int(action_id.rpartition(":")[2].partition(".")[2] or 0)


def _association(document: dict[str, Any]) -> Association:
    types = (AssociationType(**kind) for kind in document["types"])
    return Association(document["id"], primary=document["primary"], types=tuple(types))


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    instants = {name: _instant(text) for name, text in row.items() if name.endswith("_at")}
    properties = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in properties_from_text(row["properties"]).items()
    }
    associations = json.loads(row["associations"])
    return {**row, **instants, "properties": properties, "associations": associations}


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def _documents(raw: Any, name: str) -> list[dict[str, Any]]:
    options = raw.codec_options.with_options(tz_aware=True)
    return [
        {**document, "properties": properties_from_document(document)}
        for document in raw.get_collection(name, codec_options=options).find()
    ]
