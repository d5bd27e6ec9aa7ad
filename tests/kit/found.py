"""What a host finds in its store, and how that compares with the account."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kit.account import OBJECT_TYPES
from kit.support import as_json, from_bson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.account import EmulatedAccount

_COLUMNS = (
    "id, domain_id, object_type, object_id, kind, version, occurred_at, properties, associations"
)


def actions_in(store: str) -> list[dict[str, Any]]:
    """All actions, in one form for both back ends."""
    if store.startswith("mongodb"):
        return [_from_mongodb(document) for document in _documents(store, "actions")]
    with closing(_opened(store)) as database:
        rows = database.execute(f"SELECT {_COLUMNS} FROM actions").fetchall()
    names = _COLUMNS.split(", ")
    return [_from_sqlite(dict(zip(names, row, strict=True))) for row in rows]


def count_in(store: str) -> int:
    """How many actions there are by now; none where there is no table yet."""
    if store.startswith("mongodb"):
        from pymongo import MongoClient

        client: MongoClient[Any] = MongoClient(store)
        with client:
            return client.get_default_database()["actions"].count_documents({})
    try:
        with closing(_opened(store)) as database:
            number: int = database.execute("SELECT count(*) FROM actions").fetchone()[0]
            return number
    except sqlite3.OperationalError:
        return 0


def streams_in(store: str) -> list[dict[str, Any]]:
    """The rows of leases and checkpoints: domain_id, object_type, owner, fence, marked."""
    if store.startswith("mongodb"):
        return [
            {**document, "marked": bool((document.get("checkpoint") or {}).get("high_water_mark"))}
            for document in _documents(store, "checkpoints")
        ]
    names = ("domain_id", "object_type", "owner", "fence", "checkpoint")
    try:
        with closing(_opened(store)) as database:
            rows = database.execute(f"SELECT {', '.join(names)} FROM checkpoints").fetchall()
    except sqlite3.OperationalError:
        return []
    found = (dict(zip(names, row, strict=True)) for row in rows)
    return [
        {**row, "marked": bool(json.loads(row["checkpoint"] or "{}").get("high_water_mark"))}
        for row in found
    ]


def disagreements(
    store: str, account: EmulatedAccount, domains: Iterable[str] = ("acme",)
) -> list[str]:
    """Everything in which *store* is not what it has to be; the empty list when all is well."""
    by_domain: dict[str, list[dict[str, Any]]] = {domain: [] for domain in domains}
    for action in actions_in(store):
        by_domain[action["domain_id"]].append(action)
    problems: list[str] = []
    for object_type in OBJECT_TYPES:
        truth = account.truth(object_type)
        for domain, actions in by_domain.items():
            ours = [action for action in actions if action["object_type"] == object_type]
            problems += (f"{domain}/{object_type}/{problem}" for problem in compare(ours, truth))
    return problems


def compare(actions: list[dict[str, Any]], truth: dict[str, dict[str, Any]]) -> Iterator[str]:
    """In what the actions on one stream are not the account's records."""
    versions = Counter((action["object_id"], action["version"]) for action in actions)
    yield from (f"{key}: {n} actions" for key, n in versions.items() if n > 1)
    created = Counter(a["object_id"] for a in actions if a["kind"] == "Created")
    latest: dict[str, dict[str, Any]] = {}
    for action in sorted(actions, key=lambda action: int(action["version"])):
        latest[action["object_id"]] = action
    yield from (f"{one}: not in the account" for one in latest.keys() - truth.keys())
    for object_id, record in truth.items():
        if object_id not in latest:
            yield f"{object_id}: missing"
        elif created[object_id] != 1:
            yield f"{object_id}: created {created[object_id]} times"
        else:
            yield from (f"{object_id}: {text}" for text in _differences(latest[object_id], record))


def _differences(action: dict[str, Any], record: dict[str, Any]) -> Iterator[str]:
    """In what the last action on an object is not the record."""
    behind = action["version"] != _milliseconds(record["version"])
    values = {
        name: (action["properties"].get(name, "(absent)"), value)
        for name, value in record["properties"].items()
        if action["properties"].get(name, "(absent)") != value
    }
    # A date alone that moved is no change for the host.
    dates = {"lastmodifieddate", "hs_lastmodifieddate"}
    if values.keys() - dates or (values and not behind):
        yield f"{'an old version, ' if behind else ''}differs in {values}"
    if action["object_type"] == "contacts" and action["companies"] != record["companies"]:
        yield f"associated with {action['companies']}, not {record['companies']}"


def _milliseconds(iso: str) -> int:
    return round(datetime.fromisoformat(iso).timestamp() * 1000)


def _from_sqlite(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "properties": json.loads(row["properties"], parse_float=Decimal),
        "companies": _edges(json.loads(row["associations"])),
    }


def _from_mongodb(document: dict[str, Any]) -> dict[str, Any]:
    properties = {name: as_json(from_bson(value)) for name, value in document["properties"].items()}
    return {
        **document,
        "properties": properties,
        "companies": _edges(document["associations"]),
    }


def _edges(associations: dict[str, Any]) -> dict[str, list[tuple[str, int]]]:
    return {
        edge["id"]: sorted((kind["category"], kind["type_id"]) for kind in edge["types"])
        for edge in associations.get("companies", ())
    }


def _opened(store: str) -> sqlite3.Connection:
    path = store.removeprefix("sqlite:///")
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)


def _documents(store: str, collection: str) -> list[dict[str, Any]]:
    from pymongo import MongoClient

    client: MongoClient[Any] = MongoClient(store, tz_aware=True, tzinfo=timezone.utc)
    with client:
        return list(client.get_default_database()[collection].find())
