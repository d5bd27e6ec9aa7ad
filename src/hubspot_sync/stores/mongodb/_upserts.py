"""Stores documents so that an older version never replaces a newer one, in large batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field, frozen
from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

from hubspot_sync.models import SinkAnswer
from hubspot_sync.stores._stored import reading, whole
from hubspot_sync.stores.mongodb._errors import DOCUMENT_TOO_LARGE
from hubspot_sync.stores.mongodb._schema import RECORDS
from hubspot_sync.stores.mongodb._unstorable import UNENCODABLE, reason_against, reason_of
from hubspot_sync.stores.mongodb._values import EXACT

Document = dict[str, Any]

# Set when a document is made, and left alone afterwards.
_KEPT: Final = ("_id", "domain_id", "account_id", "object_type", "object_id", "first_stored_at")
_KEPT_OF_TOMBSTONES: Final = (*_KEPT, "properties", "associations", EXACT)
# Taken away where the newest form has none of it.
_OPTIONAL: Final = frozenset({EXACT, "gone", "gone_at", "merged_into"})
_UNKNOWN_IF_COMMITTED: Final = "UnknownTransactionCommitResult"


@frozen
class Wanted:
    """What is to be stored for an action.

    Attributes:
        action_id: Names the action in the answer.
        document: The whole document with `_id`, `version` and `variant`; None in it leaves what is
            held.
        keeps_values: Whether the properties and associations that are held stay.
    """

    action_id: str
    document: Document
    keeps_values: bool = False

    @property
    def key(self) -> str:
        """The `_id` of the document."""
        key: str = self.document["_id"]
        return key

    @property
    def sequence(self) -> int:
        """That of the action: the higher, the newer."""
        sequence: int = max(self.document["version"], self.document["variant"])
        return sequence

    def change(self) -> Document:
        """What changes in a document that is held in an older version."""
        kept = _KEPT_OF_TOMBSTONES if self.keeps_values else _KEPT
        values = {
            name: value
            for name, value in self.document.items()
            if name not in kept and value is not None
        }
        absent = dict.fromkeys(
            _OPTIONAL - values.keys() - ({EXACT} if self.keeps_values else set()), True
        )
        return {"$set": values, "$unset": absent} if absent else {"$set": values}

    def upsert(self) -> UpdateOne:
        """Changes the document that is held if it is older, makes it where there is none.

        Where it is not older, the server tries to make another one and finds the `_id` taken.
        """
        change = self.change()
        gone = change.get("$unset", {})
        new = {
            name: value
            for name, value in self.document.items()
            if name not in change["$set"] and name not in gone
        }
        del new["_id"]
        return UpdateOne(
            {"_id": self.key, **self._older()}, {**change, "$setOnInsert": new}, upsert=True
        )

    def _older(self) -> Document:
        """Matches what this one replaces; a document may be from before there were variants."""
        return {"version": {"$lt": self.sequence}, "variant": {"$not": {"$gte": self.sequence}}}


@define
class Outcome:
    """What has become of the actions of a batch so far."""

    repeated: set[str] = field(factory=set)
    refused: dict[str, str] = field(factory=dict)

    def answer(self) -> SinkAnswer:
        """The same for the caller of the sink."""
        return SinkAnswer(repeated=frozenset(self.repeated), refused=self.refused)


def store(collection: Collection[Document], wanted: Sequence[Wanted], outcome: Outcome) -> None:
    """Store each of *wanted*, of different documents, unless the one that is held is as new."""
    while wanted:
        held = _sequences(collection, wanted)
        outcome.repeated |= {
            one.action_id for one in wanted if one.key in held and one.sequence <= held[one.key]
        }
        newer = [one for one in wanted if one.action_id not in outcome.repeated]
        known = [one for one in newer if one.key in held]
        # Another look at those with which somebody else was faster.
        wanted = _insert(collection, [one for one in newer if one.key not in held], outcome)
        if known and not _change_together(collection, known):
            wanted += _upsert(collection, known, outcome)


def _sequence_held(document: Document) -> int:
    with reading(f"the document {document['_id']} in the collection {RECORDS}"):
        return max(whole(document["version"]), whole(document.get("variant", 0)))


def _sequences(
    collection: Collection[Document],
    wanted: Sequence[Wanted],
    session: ClientSession | None = None,
) -> dict[str, int]:
    keys = [one.key for one in wanted]
    # In one go, by what a majority has, so that no failover takes a repeat back.
    found = collection.find(
        {"_id": {"$in": keys}},
        {"version": True, "variant": True},
        batch_size=len(keys) + 1,
        session=session,
    )
    return {document["_id"]: _sequence_held(document) for document in found}


def _change_together(collection: Collection[Document], wanted: Sequence[Wanted]) -> bool:
    """Change documents that are held, all of them or none.

    Takes a third of the time of one by one, where the server has to plan each update because of
    its condition. Here none is needed: who changes one after it was read ends the transaction.

    Returns:
        Whether it was done; it is not where one is not older, one is not taken, somebody else
        changes one, or the server has no transactions.
    """
    client = collection.database.client
    try:
        with (
            client.start_session() as session,
            session.start_transaction(write_concern=collection.write_concern),
        ):
            held = _sequences(collection, wanted, session)
            if not all(held.get(one.key, one.sequence) < one.sequence for one in wanted):
                session.abort_transaction()
                return False
            collection.bulk_write(
                [UpdateOne({"_id": one.key}, one.change()) for one in wanted],
                session=session,
            )
    except (*UNENCODABLE, PyMongoError) as error:
        if isinstance(error, PyMongoError) and error.has_error_label(_UNKNOWN_IF_COMMITTED):
            raise
        return False
    return True


def _insert(
    collection: Collection[Document], wanted: list[Wanted], outcome: Outcome
) -> list[Wanted]:
    return _attempt(
        wanted,
        lambda: collection.insert_many([one.document for one in wanted], ordered=False),
        outcome,
    )


def _upsert(
    collection: Collection[Document], wanted: list[Wanted], outcome: Outcome
) -> list[Wanted]:
    return _attempt(
        wanted,
        lambda: collection.bulk_write([one.upsert() for one in wanted], ordered=False),
        outcome,
    )


def _attempt(wanted: list[Wanted], write: Callable[[], object], outcome: Outcome) -> list[Wanted]:
    """Write *wanted*; those that have to be looked at again come back."""
    if not wanted:
        return []
    try:
        write()
    except BulkWriteError as error:
        return _contested(error, wanted, outcome)
    except (*UNENCODABLE, OperationFailure) as error:
        if isinstance(error, OperationFailure) and error.code != DOCUMENT_TOO_LARGE:
            raise
        # The driver or the server gave up on the whole batch because of some in it.
        reasons = {one.action_id: reason_against(one.document) for one in wanted}
        refused = {action_id: reason for action_id, reason in reasons.items() if reason}
        if not refused:
            raise
        outcome.refused |= refused
        return [one for one in wanted if one.action_id not in refused]
    return []


def _contested(error: BulkWriteError, wanted: list[Wanted], outcome: Outcome) -> list[Wanted]:
    if error.details["writeConcernErrors"]:
        raise error
    again: list[Wanted] = []
    for problem in error.details["writeErrors"]:
        one = wanted[problem["index"]]
        if "_id" in problem.get("keyPattern", ()):
            again.append(one)
        elif reason := reason_of(problem["code"]):
            outcome.refused[one.action_id] = reason
        else:
            raise error
    return again
