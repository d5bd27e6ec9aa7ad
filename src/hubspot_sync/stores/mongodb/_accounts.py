"""Accounts in MongoDB: one document each, with what is searched in fields of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import evolve
from bson.int64 import Int64
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from hubspot_sync._clock import LONGEST_WAIT, SLACK, later
from hubspot_sync._documents import entry_from_document, entry_to_document, instant_to_text
from hubspot_sync.errors import InvariantError
from hubspot_sync.models import AccountEntry, AccountKey, AccountStatus
from hubspot_sync.stores._refusals import entry_conflict
from hubspot_sync.stores._scopes import id_before
from hubspot_sync.stores._stored import instant, reading, text, whole
from hubspot_sync.stores.mongodb._database import MongoDatabase, the_database
from hubspot_sync.stores.mongodb._schema import ACCOUNTS

Document = dict[str, Any]


# A document without a status is what a delete leaves behind, so that revisions go on from there.
_PRESENT: Final = {"status": {"$gt": ""}}
_KEYS: Final = {"_id": False, "domain_id": True, "account_id": True, "next_sync_at": True}
# Only one field can be numbered by, so that is an object of two, which is compared part by part.
_PLACE: Final = {"place": {"next_sync_at": "$next_sync_at", "account_id": "$account_id"}}
_TURNS: Final = {
    "partitionBy": "$domain_id",
    "sortBy": {"place": 1},
    "output": {"turn": {"$documentNumber": {}}},
}
_IN_TURN: Final = {"turn": 1, "next_sync_at": 1, "domain_id": 1, "account_id": 1}


class MongoAccountStore:
    """An `AccountStore` in MongoDB.

    Args:
        database: The database; the caller closes it.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = the_database(database)

    def load(self, account: AccountKey) -> AccountEntry | None:
        """Give the entry of *account*; see `AccountStore.load`."""
        with self._database.collection(ACCOUNTS) as accounts:
            document = accounts.find_one({"_id": str(account), **_PRESENT})
        return None if document is None else _entry(document)

    def save(self, entry: AccountEntry) -> AccountEntry:
        """Store *entry* by compare-and-set; see `AccountStore.save`."""
        first = entry.revision == 0
        wanted = {"status": None} if first else {"revision": entry.revision, **_PRESENT}
        with self._database.collection(ACCOUNTS) as accounts:
            try:
                document = accounts.find_one_and_update(
                    {"_id": str(entry.key), **wanted},
                    {"$set": _fields(entry), "$inc": {"revision": Int64(1)}},
                    projection={"revision": True},
                    upsert=first,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                # There is one, so the filter for "none yet" missed and the insert failed.
                document = None
        if document is None:
            raise entry_conflict(entry)
        with reading(_named(entry.key)):
            return evolve(entry, revision=whole(document["revision"]))

    def delete(self, account: AccountKey) -> None:
        """Forget *account*; see `AccountStore.delete`."""
        nothing = {"status": None, "next_sync_at": None, "entry": None}
        with self._database.collection(ACCOUNTS) as accounts:
            accounts.update_one({"_id": str(account)}, {"$set": nothing})

    def browse(
        self,
        domain_id: str | None,
        *,
        limit: int,
        after: AccountKey | None = None,
        status: AccountStatus | None = None,
    ) -> Sequence[AccountEntry]:
        """Give a page of accounts; see `AccountStore.browse`."""
        if limit < 1:
            return []
        wanted = {**_PRESENT, **_following(domain_id, after)}
        if status is not None:
            wanted["status"] = status.value
        with self._database.collection(ACCOUNTS) as accounts:
            found = accounts.find(wanted).sort([("domain_id", 1), ("account_id", 1)]).limit(limit)
            return [_entry(document) for document in found]

    def due(
        self, now: datetime, *, limit: int, domain_id: str | None = None
    ) -> Sequence[AccountEntry]:
        """Give what is due, of each domain in turn; see `AccountStore.due`."""
        found: list[AccountEntry] = []
        for which in ({"next_sync_at": {"$lte": now}}, _ahead(now)):
            wanted: Document = {"status": AccountStatus.ACTIVE.value, **which}
            if domain_id is not None:
                wanted["domain_id"] = domain_id
            found += self._of(wanted, limit - len(found))
        return found

    def _of(self, wanted: Document, limit: int) -> list[AccountEntry]:
        before: list[str] = []
        while names := self._in_turn(wanted, limit):
            with self._database.collection(ACCOUNTS) as accounts:
                found = {
                    one["_id"]: one for one in accounts.find({**wanted, "_id": {"$in": names}})
                }
            if found:
                return [_entry(found[name]) for name in names if name in found]
            # Others have taken all of them in between; what is due still has another id.
            if names == before:
                raise InvariantError(
                    f"the document of {names[0]} in the collection {ACCOUNTS} has another _id; "
                    "restore it from a backup, or delete it"
                )
            before = names
        return []

    def domains(self, *, limit: int, after: str | None = None) -> Sequence[str]:
        """Give a page of the domains that have accounts; see `AccountStore.domains`."""
        if limit < 1:
            return []
        stages: list[Document] = [
            {"$match": {"domain_id": {"$gt": after or ""}, **_PRESENT}},
            {"$group": {"_id": "$domain_id"}},
            {"$sort": {"_id": 1}},
            {"$limit": limit},
        ]
        with self._database.collection(ACCOUNTS) as accounts:
            return [str(document["_id"]) for document in accounts.aggregate(stages)]

    def _in_turn(self, wanted: Document, limit: int) -> list[str]:
        """The ids of the documents whose turn it is; an index has all that this takes."""
        if limit < 1:
            return []
        stages: list[Document] = [
            {"$match": wanted},
            {"$project": _KEYS},
            {"$set": _PLACE},
            {"$setWindowFields": _TURNS},
            {"$sort": _IN_TURN},
            {"$limit": limit},
        ]
        with self._database.collection(ACCOUNTS) as accounts:
            found = accounts.aggregate(stages, allowDiskUse=True)
            return [str(_key(document)) for document in found]


def _ahead(now: datetime) -> Document:
    """Due further ahead than somebody said; see `AccountEntry.is_due`."""
    wait = {"$subtract": ["$next_sync_at", now]}
    return {
        # The first comparison leaves hardly any document for the others.
        "next_sync_at": {"$gt": later(now, LONGEST_WAIT)},
        "$expr": {"$gt": [wait, "$entry.account.sync_every_ms"]},
        "entry.postponed_at": {"$not": {"$lte": instant_to_text(later(now, SLACK))}},
    }


def _following(domain_id: str | None, after: AccountKey | None) -> Document:
    if domain_id is not None:
        return {"domain_id": domain_id, "account_id": {"$gt": id_before(domain_id, after)}}
    if after is None:
        return {}
    same = {"domain_id": after.domain_id, "account_id": {"$gt": after.account_id}}
    return {"$or": [same, {"domain_id": {"$gt": after.domain_id}}]}


def _fields(entry: AccountEntry) -> Document:
    return {
        "domain_id": entry.key.domain_id,
        "account_id": entry.key.account_id,
        "status": entry.status.value,
        "next_sync_at": entry.next_sync_at,
        "entry": entry_to_document(entry),
    }


def _key(document: Document) -> AccountKey:
    with reading(_named(document.get("_id", "of an account that is due"))):
        return AccountKey(text(document["domain_id"]), text(document["account_id"]))


def _entry(document: Document) -> AccountEntry:
    moment = document.get("next_sync_at")
    with reading(_named(document["_id"])):
        return entry_from_document(
            _key(document),
            document["entry"],
            status=document["status"],
            next_sync_at=None if moment is None else instant(moment),
            revision=whole(document["revision"]),
        )


def _named(key: object) -> str:
    return f"the document {key} in the collection {ACCOUNTS}"
