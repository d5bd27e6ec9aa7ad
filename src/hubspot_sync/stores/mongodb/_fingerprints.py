"""Fingerprints in MongoDB: which version of each object was delivered last."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pymongo import ReplaceOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from hubspot_sync.models import Fingerprint, Gone
from hubspot_sync.stores._stored import binary, object_id_of, place_of, reading, whole
from hubspot_sync.stores.mongodb._errors import DUPLICATE_KEY
from hubspot_sync.stores.mongodb._schema import FINGERPRINTS
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
    documents = [_document(prefix, one) for one in fingerprints]
    known = _insert_new(collection, documents)
    if known:
        changes = [_raising(document) for document in known]
        collection.bulk_write(changes, ordered=False)


def between(stream_key: str, after: str | None, until: str | None) -> Document:
    """Matches the fingerprints of a stream in a range of ids.

    The name of another domain may begin with the key of this stream, so the whole form is asked
    for.
    """
    prefix = f"{stream_key}:"
    return {
        "_id": {
            "$gt": prefix if after is None else prefix + place_of(after),
            "$lt": f"{stream_key};" if until is None else prefix + place_of(until),
            "$regex": f"^{re.escape(prefix)}[0-9]{{2}}:[^:]*$",
        }
    }


def fingerprint_of(document: Document, prefix: str) -> Fingerprint:
    """The fingerprint in *document*, whose key begins with *prefix*.

    Raises:
        InvariantError: It cannot be read.
    """
    key: str = document["_id"]
    with reading(f"the document {key} in the collection {FINGERPRINTS}"):
        gone = document.get("gone")
        return Fingerprint(
            object_id=object_id_of(key[len(prefix) :]),
            version=whole(document["version"]),
            digest=binary(document["digest"]),
            variant=whole(document.get("variant", 0)),
            edges=binary(document.get("edges", b"")),
            gone=None if gone is None else Gone(gone),
            merged_into=document.get("merged_into"),
            state=binary(document.get("state", b"")),
        )


def _document(prefix: str, one: Fingerprint) -> Document:
    document: Document = {
        "_id": prefix + place_of(one.object_id),
        "version": to_long(one.version),
        "digest": one.digest,
        "variant": to_long(one.variant),
    }
    if one.edges:
        document["edges"] = one.edges
    if one.gone is not None:
        document["gone"] = one.gone.value
        document["merged_into"] = one.merged_into
    if one.state:
        document["state"] = one.state
    return document


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


def _raising(document: Document) -> ReplaceOne[Document]:
    """Replaces a fingerprint unless the one that is stored is newer."""
    return ReplaceOne({"_id": document["_id"], "version": {"$lte": document["version"]}}, document)
