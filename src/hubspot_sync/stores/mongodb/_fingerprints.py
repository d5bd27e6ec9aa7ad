"""Fingerprints in MongoDB: which version of each object was delivered last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from hubspot_sync.models import Fingerprint
from hubspot_sync.stores.mongodb._errors import DUPLICATE_KEY
from hubspot_sync.stores.mongodb._values import to_long

Document = dict[str, Any]


def at_this_moment(collection: Collection[Document]) -> Collection[Document]:
    """The collection as its primary has it at this moment, confirmed by the others or not yet."""
    return collection.with_options(read_concern=ReadConcern("local"))


def learn(
    collection: Collection[Document], stream_key: str, fingerprints: Sequence[Fingerprint]
) -> None:
    """Keep *fingerprints* that are not older than those that are known."""
    prefix = f"{stream_key}:"
    documents: list[Document] = [
        {
            "_id": prefix + one.object_id,
            "version": to_long(one.version),
            "digest": one.digest,
            "variant": to_long(one.variant),
        }
        for one in fingerprints
    ]
    known = _insert_new(collection, documents)
    if known:
        changes = [_raising(document) for document in known]
        collection.bulk_write(changes, ordered=False)


def _insert_new(collection: Collection[Document], documents: list[Document]) -> list[Document]:
    """Insert those of *documents* whose id is not taken; the others come back."""
    # To look first costs little in a backfill, where all are new, and saves much later on:
    # the server takes ten times as long to refuse an insert as to make one.
    ids = [document["_id"] for document in documents]
    found = at_this_moment(collection).find(
        {"_id": {"$in": ids}}, {"_id": True}, batch_size=len(ids) + 1
    )
    held = {document["_id"] for document in found}
    known = [document for document in documents if document["_id"] in held]
    new = [document for document in documents if document["_id"] not in held]
    return known + _insert(collection, new) if new else known


def _insert(collection: Collection[Document], documents: list[Document]) -> list[Document]:
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        problems = error.details["writeErrors"]
        taken = all(problem["code"] == DUPLICATE_KEY for problem in problems)
        if not taken or error.details["writeConcernErrors"]:
            raise
        return [documents[problem["index"]] for problem in problems]
    return []


def _raising(document: Document) -> UpdateOne:
    """Replaces a fingerprint unless the one that is stored is newer."""
    return UpdateOne(
        {"_id": document["_id"], "version": {"$lte": document["version"]}},
        {"$set": {name: document[name] for name in ("version", "digest", "variant")}},
    )
