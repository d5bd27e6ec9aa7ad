"""Payloads that are too large for one document: the rest of them, in documents of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pymongo import ReplaceOne

from hubspot_sync.models import AccountKey
from hubspot_sync.stores._stored import reading, text, whole
from hubspot_sync.stores.mongodb._database import MongoDatabase
from hubspot_sync.stores.mongodb._schema import ERROR_PARTS

Document = dict[str, Any]


# Half of what MongoDB takes, so that the other fields always fit beside it.
_PART: Final = 8 * 1024 * 1024


class FailureParts:
    """Keeps what does not fit into the documents of an error queue.

    A document's `payload` is the first part, and its `parts` says how many follow. They are
    written before the document and deleted after it.

    Args:
        database: The database.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    def split(self, documents: Sequence[Document]) -> None:
        """Leave in *documents* what fits, and store the rest."""
        rest = [part for document in documents for part in _cut(document)]
        if not rest:
            return
        with self._database.collection(ERROR_PARTS) as parts:
            parts.bulk_write(
                [ReplaceOne({"_id": part["_id"]}, part, upsert=True) for part in rest],
                ordered=False,
            )

    def whole(self, document: Document) -> str:
        """The payload of *document* with all its parts."""
        payload = text(document["payload"])
        if not whole(document["parts"]):
            return payload
        wanted = {"error_id": document["_id"], "version": document["version"]}
        with self._database.collection(ERROR_PARTS) as parts:
            found = parts.find(wanted).sort("part", 1)
            return payload + "".join(text(part["text"]) for part in found)

    def forget(self, versions: Mapping[str, int]) -> None:
        """Delete the parts of these documents, in these versions or older ones."""
        keys = list(versions)
        if not keys:
            return
        with self._database.collection(ERROR_PARTS) as parts:
            found = parts.find({"error_id": {"$in": keys}}, {"error_id": True, "version": True})
            obsolete = [
                part["_id"] for part in found if _version(part) <= versions[part["error_id"]]
            ]
            if obsolete:
                parts.delete_many({"_id": {"$in": obsolete}})

    def purge(self, account: AccountKey) -> None:
        """Delete all parts of *account*, also what a crash has left behind.

        The name of another domain may begin with the key of this account, so the whole form of
        the keys is asked for.
        """
        prefix = f"{account.domain_id}:{account.account_id}:"
        wanted = {
            "$gt": prefix,
            "$lt": f"{prefix[:-1]};",
            "$regex": f"^{re.escape(prefix)}[^:]*:[^:]*$",
        }
        with self._database.collection(ERROR_PARTS) as parts:
            parts.delete_many({"error_id": wanted})


def _version(part: Document) -> int:
    with reading(f"the document {part['_id']} in the collection {ERROR_PARTS}"):
        return whole(part["version"])


def _cut(document: Document) -> Iterator[Document]:
    """Everything behind the first part, which stays in *document*."""
    payload: str = document["payload"]
    for number, start in enumerate(range(_PART, len(payload), _PART), start=1):
        document["parts"] = number
        yield {
            "_id": f"{document['_id']}:{document['version']}:{number}",
            "error_id": document["_id"],
            "version": document["version"],
            "part": number,
            "text": payload[start : start + _PART],
        }
    document["payload"] = payload[:_PART]
