"""Actions in MongoDB: one document each, stored once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo import DeleteMany
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync._documents import associations_to_document
from hubspot_sync.models import AccountKey, Action, ActionKind, SinkAnswer, StreamKey
from hubspot_sync.stores.mongodb._database import MongoDatabase, beginning, the_database
from hubspot_sync.stores.mongodb._expiry import check_expiry, ensure_expiry
from hubspot_sync.stores.mongodb._schema import ACTIONS, CREATED_KEYS
from hubspot_sync.stores.mongodb._unstorable import UnstorableError, encoded, reason_of
from hubspot_sync.stores.mongodb._values import to_long

Document = dict[str, Any]


class MongoActionSink:
    """An `ActionSink` that keeps every action as a document of the collection `actions`.

    Args:
        database: The database; the caller closes it.
        clock: Dates the documents; the operating system's time by default.
        expire_after: How long after it was stored an action is deleted by the server; None keeps
            all. The first write after a change of this setting changes it for the collection.
            One creation for each object is then promised within this time only.

    Raises:
        ConfigurationError: `expire_after` is shorter than a second, or longer than 68 years.
    """

    def __init__(
        self,
        database: MongoDatabase,
        *,
        clock: Clock | None = None,
        expire_after: timedelta | None = None,
    ) -> None:
        check_expiry(expire_after)
        self._database = the_database(database)
        self._clock: Clock = clock or SystemClock()
        self._expire_after = expire_after
        self._expiry_is_set = False

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Store each action once, without reading first; see `ActionSink.write`."""
        if not actions:
            return SinkAnswer()
        documents, refused = encoded_actions(actions, self._clock.now())
        with self._database.collection(ACTIONS) as collection:
            self._set_expiry(collection)
            return _insert(collection, documents, refused)

    def erase(self, stream: StreamKey, object_ids: Sequence[str]) -> int:
        """Delete all actions of these objects; see `ErasableSink.erase`."""
        if not object_ids:
            return 0
        named = {"object_type": stream.object_type, "kind": {"$ne": ActionKind.ERASED.value}}
        wanted = [
            DeleteMany({**beginning(stream.account, stream.object_type, one), **named})
            for one in object_ids
        ]
        with self._database.collection(ACTIONS) as collection:
            return collection.bulk_write(wanted, ordered=False).deleted_count

    def purge(self, account: AccountKey) -> int:
        """Delete all actions of *account*; see `ErasableSink.purge`."""
        with self._database.collection(ACTIONS) as collection:
            return collection.delete_many(beginning(account)).deleted_count

    def _set_expiry(self, collection: Collection[Document]) -> None:
        if not self._expiry_is_set:
            ensure_expiry(collection, self._expire_after)
            self._expiry_is_set = True


def encoded_actions(
    actions: Sequence[Action], stored_at: datetime
) -> tuple[list[RawBSONDocument], dict[str, str]]:
    """The documents of *actions*, and the reasons by id of those that have none.

    Each is encoded as soon as it is made. Dictionaries that waited for the whole batch would be
    gone through by the garbage collector again and again, which takes as long as the encoding.
    """
    # The driver would ask an aware one for its zone with each document.
    stored_at = stored_at.astimezone(timezone.utc).replace(tzinfo=None)
    texts: dict[tuple[str, str], tuple[str, str]] = {}
    documents: list[RawBSONDocument] = []
    refused: dict[str, str] = {}
    for action in actions:
        # Not the kind itself: an enum's hash is a call into Python.
        key = (action.object_type, action.kind.value)
        if key not in texts:
            texts[key] = (action.name, action.kind.value)
        try:
            documents.append(encoded(_document(action, texts[key], stored_at)))
        except UnstorableError as error:
            refused[action.action_id] = str(error)
    return documents, refused


def _document(action: Action, texts: tuple[str, str], stored_at: datetime) -> Document:
    account = action.account
    name, kind = texts
    document = {
        "_id": action.action_id,
        "domain_id": account.domain_id,
        "account_id": account.account_id,
        "object_type": action.object_type,
        "object_id": action.object_id,
        "name": name,
        "kind": kind,
        "version": to_long(action.version),
        "sequence": to_long(action.sequence),
        "occurred_at": action.occurred_at,
        "properties": action.properties,
        "associations": associations_to_document(action.associations),
        "stored_at": stored_at,
    }
    if action.evidence is not None:
        document["evidence"] = action.evidence.value
    if action.merged_into is not None:
        document["merged_into"] = action.merged_into
    if action.changes is not None:
        document["changes"] = action.changes.as_dict()
    return document


def _insert(
    collection: Collection[Document], documents: list[RawBSONDocument], refused: dict[str, str]
) -> SinkAnswer:
    try:
        if documents:
            collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        return _answer(error, documents, refused)
    return SinkAnswer(refused=refused)


def _answer(
    error: BulkWriteError, documents: list[RawBSONDocument], refused: dict[str, str]
) -> SinkAnswer:
    if error.details["writeConcernErrors"]:
        raise error
    repeated: set[str] = set()
    already_created: set[str] = set()
    for problem in error.details["writeErrors"]:
        action_id = documents[problem["index"]]["_id"]
        # The server looks at the id before the other indexes.
        taken = tuple(problem.get("keyPattern", ()))
        if taken == ("_id",):
            repeated.add(action_id)
        elif taken == CREATED_KEYS:
            already_created.add(action_id)
        elif reason := reason_of(problem["code"]):
            refused[action_id] = reason
        else:
            raise error
    return SinkAnswer(
        repeated=frozenset(repeated), already_created=frozenset(already_created), refused=refused
    )
