"""Actions in MongoDB: one document each, stored once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import bson
from bson.errors import BSONError
from bson.int64 import Int64
from pymongo.errors import BulkWriteError, OperationFailure

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync._documents import associations_to_document
from hubspot_sync.models import SinkAnswer
from hubspot_sync.stores.mongodb._errors import DOCUMENT_TOO_LARGE, DUPLICATE_KEY
from hubspot_sync.stores.mongodb._schema import ACTIONS
from hubspot_sync.stores.mongodb._values import properties_to_bson

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from pymongo.collection import Collection

    from hubspot_sync.models import Action
    from hubspot_sync.stores.mongodb._database import MongoDatabase

    Document = dict[str, Any]

# https://www.mongodb.com/docs/manual/reference/limits/#bson-documents
_LARGEST: Final = 16 * 1024 * 1024
_UNENCODABLE: Final = (BSONError, OverflowError, UnicodeError)
# Of one document: bad value (also: too large), too deep, not as the host's validator wants it.
_REFUSED: Final = frozenset({2, 15, 121, DOCUMENT_TOO_LARGE})


class MongoActionSink:
    """An `ActionSink` that keeps every action as a document of the collection `actions`.

    Args:
        database: The database; the caller closes it.
        clock: Dates the documents; the operating system's time by default.
    """

    def __init__(self, database: MongoDatabase, *, clock: Clock | None = None) -> None:
        self._database = database
        self._clock: Clock = clock or SystemClock()

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Store each action once, without reading first; see `ActionSink.write`."""
        if not actions:
            return SinkAnswer()
        documents = _documents(actions, self._clock.now())
        with self._database.collection(ACTIONS) as collection:
            try:
                return _insert(collection, documents, {})
            except _UNENCODABLE:
                pass
            except OperationFailure as error:
                if error.code != DOCUMENT_TOO_LARGE:
                    raise
            # The driver or the server gave up on the whole batch because of some in it.
            refused = _unstorable(documents)
            return _insert(collection, [d for d in documents if d["_id"] not in refused], refused)


def _documents(actions: Sequence[Action], stored_at: datetime) -> list[Document]:
    # Most of a batch has one name; making it anew for each action costs as much as the rest.
    names = {(action.object_type, action.kind): action for action in actions}
    texts = {key: (action.name, action.kind.value) for key, action in names.items()}
    return [
        _document(action, texts[action.object_type, action.kind], stored_at) for action in actions
    ]


def _document(action: Action, texts: tuple[str, str], stored_at: datetime) -> Document:
    account = action.account
    name, kind = texts
    return {
        "_id": action.action_id,
        "domain_id": account.domain_id,
        "account_id": account.account_id,
        "object_type": action.object_type,
        "object_id": action.object_id,
        "name": name,
        "kind": kind,
        "version": Int64(action.version),
        "occurred_at": action.occurred_at,
        "properties": properties_to_bson(action.properties),
        "associations": associations_to_document(action.associations),
        "stored_at": stored_at,
    }


def _insert(
    collection: Collection[Document], documents: list[Document], refused: dict[str, str]
) -> SinkAnswer:
    try:
        if documents:
            collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        return _answer(error, documents, refused)
    return SinkAnswer(refused=refused)


def _answer(
    error: BulkWriteError, documents: list[Document], refused: dict[str, str]
) -> SinkAnswer:
    if error.details["writeConcernErrors"]:
        raise error
    repeated: set[str] = set()
    already_created: set[str] = set()
    for problem in error.details["writeErrors"]:
        action_id = documents[problem["index"]]["_id"]
        if problem["code"] == DUPLICATE_KEY:
            (repeated if _is_repeat(problem) else already_created).add(action_id)
        elif problem["code"] in _REFUSED:
            refused[action_id] = f"MongoDB does not take it (code {problem['code']})"
        else:
            raise error
    return SinkAnswer(
        repeated=frozenset(repeated), already_created=frozenset(already_created), refused=refused
    )


def _is_repeat(problem: Mapping[str, Any]) -> bool:
    """Whether the id is held; the server looks at it before the index of creations."""
    return "_id" in problem["keyPattern"]


def _unstorable(documents: Sequence[Document]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for document in documents:
        try:
            if len(bson.encode(document)) > _LARGEST:
                reasons[document["_id"]] = "it is larger than 16 MiB, which MongoDB does not take"
        except OverflowError:
            reasons[document["_id"]] = "it has a number beyond 64 bits"
        except _UNENCODABLE:
            reasons[document["_id"]] = "it has text that MongoDB does not take"
    return reasons
