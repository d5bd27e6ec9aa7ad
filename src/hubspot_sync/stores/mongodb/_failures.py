"""Refused actions in MongoDB: one document an object, in the newest version that was refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bson.int64 import Int64
from pymongo import DeleteOne, ReplaceOne
from pymongo.collection import Collection
from pymongo.cursor import Cursor
from pymongo.errors import BulkWriteError

from hubspot_sync._clock import LONGEST_WAIT, SLACK, later
from hubspot_sync.models import (
    AccountKey,
    Action,
    RejectedAction,
    RejectedCounts,
    RejectedSelection,
    StreamKey,
)
from hubspot_sync.stores._stored import instant, reading, text, whole
from hubspot_sync.stores.mongodb._database import MongoDatabase, the_database
from hubspot_sync.stores.mongodb._errors import DUPLICATE_KEY
from hubspot_sync.stores.mongodb._failure_parts import FailureParts
from hubspot_sync.stores.mongodb._schema import ERRORS

Document = dict[str, Any]


_LARGEST_INTEGER: Final = 2**63 - 1
_PAGE_BYTES: Final = 32 * 1024 * 1024


class MongoErrorQueue:
    """An `ErrorQueue` in MongoDB, with what an `ErrorQueueAdmin` has.

    Args:
        database: The database; the caller closes it.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = the_database(database)
        self._parts = FailureParts(database)

    def put(self, failures: Sequence[RejectedAction]) -> None:
        """Store *failures*, the newest version of each object; see `ErrorQueue.put`."""
        if not failures:
            return
        documents = [_document(failure) for failure in failures]
        self._parts.split(documents)
        with self._database.collection(ERRORS) as errors:
            _put(errors, documents)
        self._parts.forget({document["_id"]: document["version"] - 1 for document in documents})

    def due(self, stream: StreamKey, now: datetime, *, limit: int) -> Sequence[RejectedAction]:
        """Give a page of what is to be tried again; see `ErrorQueue.due`."""
        named = _named(stream.account, stream.object_type)
        ahead = {
            "next_at": {"$gt": later(now, LONGEST_WAIT)},
            "last_at": {"$gt": later(now, SLACK)},
        }
        wanted = {"$or": [{**named, "next_at": {"$lte": now}}, {**named, **ahead}]}
        with self._database.collection(ERRORS) as errors:
            return self._page(errors.find(wanted).sort([("next_at", 1), ("_id", 1)]).limit(limit))

    def browse(
        self, selection: RejectedSelection, *, limit: int, after: RejectedAction | None = None
    ) -> Sequence[RejectedAction]:
        """Give a page of what fits *selection*; see `ErrorQueue.browse`."""
        wanted = _selected(selection)
        prefix = f"{selection.account.domain_id}:{selection.account.account_id}:"
        if selection.object_type is not None:
            prefix += f"{selection.object_type}:"
        # All parts of the key after the prefix are ASCII, so this is where it ends.
        wanted["_id"] = {"$gt": prefix, "$lt": prefix + "\x7f"}
        if after is not None:
            wanted["_id"]["$gt"] = _key(after.stream, after.action.object_id)
        with self._database.collection(ERRORS) as errors:
            return self._page(errors.find(wanted).sort("_id", 1).limit(limit))

    def held(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, int]:
        """Give the versions that are held; see `ErrorQueue.held`."""
        if not object_ids:
            return {}
        wanted = {"_id": {"$in": [_key(stream, object_id) for object_id in object_ids]}}
        shown = {"object_id": True, "version": True}
        with self._database.collection(ERRORS) as errors:
            found = errors.find(wanted, shown, batch_size=len(object_ids))
            return dict(map(_held, found))

    def settle(self, stream: StreamKey, versions: Mapping[str, int]) -> None:
        """Forget what was stored meanwhile; see `ErrorQueue.settle`."""
        if not versions:
            return
        bounds = {
            _key(stream, object_id): _bounded(version) for object_id, version in versions.items()
        }
        with self._database.collection(ERRORS) as errors:
            errors.bulk_write(
                [
                    DeleteOne({"_id": key, "version": {"$lte": version}})
                    for key, version in bounds.items()
                ],
                ordered=False,
            )
        self._parts.forget(bounds)

    def count(self, selection: RejectedSelection) -> Mapping[str, int]:
        """Say how many fit *selection*, by object type; see `ErrorQueue.count`."""
        stages: list[Document] = [
            {"$match": _selected(selection)},
            {"$group": {"_id": "$object_type", "number": {"$sum": 1}}},
        ]
        with self._database.collection(ERRORS) as errors:
            return {str(found["_id"]): int(found["number"]) for found in errors.aggregate(stages)}

    def tally(self, accounts: Sequence[AccountKey]) -> Mapping[StreamKey, RejectedCounts]:
        """Count the failures by stream; see `ErrorQueueAdmin.tally`."""
        if not accounts:
            return {}
        by_domain: dict[str, list[str]] = defaultdict(list)
        for account in accounts:
            by_domain[account.domain_id].append(account.account_id)
        named = [
            {"domain_id": domain_id, "account_id": {"$in": ids}}
            for domain_id, ids in by_domain.items()
        ]
        # By fields of the index "due" alone, so that no payload is read.
        stream = {name: f"${name}" for name in ("domain_id", "account_id", "object_type")}
        parked = {"$cond": [{"$eq": [{"$ifNull": ["$next_at", None]}, None]}, 1, 0]}
        counts = {"all": {"$sum": 1}, "parked": {"$sum": parked}}
        stages: list[Document] = [{"$match": {"$or": named}}, {"$group": {"_id": stream, **counts}}]
        with self._database.collection(ERRORS) as errors:
            found = list(errors.aggregate(stages))
        return {
            StreamKey(
                AccountKey(one["_id"]["domain_id"], one["_id"]["account_id"]),
                one["_id"]["object_type"],
            ): RejectedCounts(waiting=one["all"] - one["parked"], parked=one["parked"])
            for one in found
        }

    def drop(self, selection: RejectedSelection) -> int:
        """Delete what fits *selection*; see `ErrorQueueAdmin.drop`."""
        wanted = _selected(selection)
        with self._database.collection(ERRORS) as errors:
            in_parts = [
                document["_id"]
                for document in errors.find({**wanted, "parts": {"$gt": 0}}, {"_id": True})
            ]
            dropped = errors.delete_many(wanted).deleted_count
        if selection == RejectedSelection(account=selection.account):
            self._parts.purge(selection.account)
        else:
            self._parts.forget(dict.fromkeys(in_parts, _LARGEST_INTEGER))
        return dropped

    def _page(self, cursor: Cursor[Document]) -> list[RejectedAction]:
        page: list[RejectedAction] = []
        size = 0
        with cursor:
            for document in cursor:
                with reading(_document_named(document)):
                    payload = self._parts.whole(document)
                    page.append(_failure(document, payload))
                size += len(payload)
                if size >= _PAGE_BYTES:
                    break
        return page


def _document(failure: RejectedAction) -> Document:
    action = failure.action
    return {
        "_id": _key(failure.stream, action.object_id),
        **_named(action.account, action.object_type),
        "object_id": action.object_id,
        "action_id": action.action_id,
        "name": action.name,
        "version": _bounded(action.version),
        "reason": failure.reason,
        "error": failure.error,
        "attempts": failure.attempts,
        "first_at": failure.first_at,
        "last_at": failure.last_at,
        "next_at": failure.next_at,
        "dead": failure.parked,
        "payload": action.to_json(),
        "parts": 0,
    }


def _failure(document: Document, payload: str) -> RejectedAction:
    return RejectedAction(
        action=Action.from_json(payload),
        reason=text(document["reason"]),
        error=text(document["error"]),
        attempts=whole(document["attempts"]),
        first_at=instant(document["first_at"]),
        last_at=instant(document["last_at"]),
        next_at=None if document["next_at"] is None else instant(document["next_at"]),
    )


def _held(document: Document) -> tuple[str, int]:
    with reading(_document_named(document)):
        return text(document["object_id"]), whole(document["version"])


def _document_named(document: Document) -> str:
    return f"the document {document['_id']} in the collection {ERRORS}"


def _put(errors: Collection[Document], documents: list[Document]) -> None:
    """Put each of *documents* in the place of its object, unless a newer version has it."""
    # Looked at first, because inserts take a fifth of the time of replacements.
    keys = [document["_id"] for document in documents]
    found = errors.find({"_id": {"$in": keys}}, {"_id": True}, batch_size=len(keys))
    held = {document["_id"] for document in found}
    known = [document for document in documents if document["_id"] in held]
    new = [document for document in documents if document["_id"] not in held]
    if new:
        known += _refused_as_taken(new, lambda: errors.insert_many(new, ordered=False))
    if known:
        operations = [_replacing(one, upsert=True) for one in known]
        taken = _refused_as_taken(known, lambda: errors.bulk_write(operations, ordered=False))
        if taken:
            # By a newer version, or just now by a writer who was faster.
            errors.bulk_write([_replacing(one, upsert=False) for one in taken], ordered=False)


def _refused_as_taken(documents: Sequence[Document], write: Callable[[], object]) -> list[Document]:
    """Write *documents*; those whose place is taken come back."""
    try:
        write()
    except BulkWriteError as error:
        problems = error.details["writeErrors"]
        if error.details["writeConcernErrors"] or any(
            problem["code"] != DUPLICATE_KEY for problem in problems
        ):
            raise
        return [documents[problem["index"]] for problem in problems]
    return []


def _replacing(document: Document, *, upsert: bool) -> ReplaceOne[Document]:
    older = {"_id": document["_id"], "version": {"$lte": document["version"]}}
    return ReplaceOne(older, document, upsert=upsert)


def _key(stream: StreamKey, object_id: str) -> str:
    """All parts but the domain are free of colons, so two objects never share a key."""
    account = stream.account
    return f"{account.domain_id}:{account.account_id}:{stream.object_type}:{object_id}"


def _named(account: AccountKey, object_type: str) -> Document:
    return {
        "domain_id": account.domain_id,
        "account_id": account.account_id,
        "object_type": object_type,
    }


def _selected(selection: RejectedSelection) -> Document:
    wanted: Document = {
        "domain_id": selection.account.domain_id,
        "account_id": selection.account.account_id,
    }
    if selection.object_ids is not None:
        wanted["object_id"] = {"$in": list(selection.object_ids)}
    chosen = {
        "object_type": selection.object_type,
        "reason": selection.reason,
        "dead": selection.parked,
    }
    return wanted | {name: value for name, value in chosen.items() if value is not None}


def _bounded(version: int) -> Int64:
    """A version that BSON takes; the payload has the right one."""
    return Int64(min(version, _LARGEST_INTEGER))
