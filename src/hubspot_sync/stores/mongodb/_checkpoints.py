"""Leases, checkpoints and fingerprints in MongoDB; leases go by the server's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import evolve
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo import ReturnDocument
from pymongo.collection import Collection

from hubspot_sync._clock import SLACK
from hubspot_sync._documents import checkpoint_from_document, checkpoint_to_document
from hubspot_sync.errors import HubSpotSyncError
from hubspot_sync.models import (
    AccountKey,
    Checkpoint,
    Fingerprint,
    Lease,
    StreamKey,
    StreamProgress,
)
from hubspot_sync.stores._refusals import lease_held, lease_lost, mark_falls
from hubspot_sync.stores._stored import ago, instant, place_of, reading, text, whole
from hubspot_sync.stores.mongodb._database import MongoDatabase, beginning, the_database
from hubspot_sync.stores.mongodb._fingerprints import at_this_moment, between, fingerprint_of, learn
from hubspot_sync.stores.mongodb._schema import CHECKPOINTS, FINGERPRINTS

Document = dict[str, Any]


_IDS_AT_ONCE: Final = 10_000
_MILLISECOND: Final = timedelta(milliseconds=1)
_MARK: Final = "checkpoint.high_water_mark"
_RESET: Final[Document] = {
    "$set": {"checkpoint": None},
    "$unset": {"committed_at": True, "marked_at": True},
}


class MongoCheckpointer:
    """A `Checkpointer` in MongoDB, for workers on any number of machines.

    Args:
        database: The database; the caller closes it.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = the_database(database)

    def acquire(
        self, stream: StreamKey, owner: str, duration: timedelta, *, evict: str | None = None
    ) -> Lease:
        """Take the lease on *stream* in one atomic step; see `Checkpointer.acquire`."""
        grant = ObjectId()
        with self._database.collection(CHECKPOINTS) as checkpoints:
            document = checkpoints.find_one_and_update(
                {"_id": _key_of(stream)},
                [_granting(stream, owner, duration, evict, grant)],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        assert document is not None
        with reading(_document_of(stream)):
            if document["grant"] == grant:
                return Lease(
                    stream=stream,
                    owner=owner,
                    fence=whole(document["fence"]),
                    expires_at=instant(document["expires_at"]),
                )
            holder = text(document["owner"])
        raise lease_held(stream, holder)

    def renew(self, lease: Lease, duration: timedelta) -> Lease:
        """Extend *lease*; see `Checkpointer.renew`."""
        with self._database.collection(CHECKPOINTS) as checkpoints:
            document = checkpoints.find_one_and_update(
                _held(lease),
                [{"$set": _lasting(duration)}],
                return_document=ReturnDocument.AFTER,
            )
        if document is None:
            raise lease_lost(lease)
        with reading(_document_of(lease.stream)):
            return evolve(lease, expires_at=instant(document["expires_at"]))

    def release(self, lease: Lease) -> None:
        """Give *lease* back; see `Checkpointer.release`."""
        with self._database.collection(CHECKPOINTS) as checkpoints:
            checkpoints.update_one(_held(lease), {"$set": {"owner": None, "expires_at": None}})

    def streams(self, account: AccountKey) -> Sequence[StreamKey]:
        """Return the streams of *account*; see `Checkpointer.streams`."""
        with self._database.collection(CHECKPOINTS) as checkpoints:
            found = list(checkpoints.find(beginning(account), {"object_type": True}))
        with reading(f"a document of {account} in the collection {CHECKPOINTS}"):
            return [StreamKey(account, text(one["object_type"])) for one in found]

    def load(self, stream: StreamKey) -> Checkpoint:
        """Give the progress of *stream*; see `Checkpointer.load`."""
        with self._database.collection(CHECKPOINTS) as checkpoints:
            document = checkpoints.find_one({"_id": _key_of(stream)}, {"checkpoint": True})
        return Checkpoint() if document is None else _checkpoint(stream, document)

    def survey(self, streams: Sequence[StreamKey]) -> Mapping[StreamKey, StreamProgress]:
        """Return how far *streams* are; see `Checkpointer.survey`."""
        by_key = {_key_of(stream): stream for stream in streams}
        wanted = [{"$match": {"_id": {"$in": list(by_key)}}}, {"$project": _PROGRESS}]
        with self._database.collection(CHECKPOINTS) as checkpoints:
            found = list(checkpoints.aggregate(wanted, batchSize=len(by_key) + 1))
        return {by_key[one["_id"]]: _progress(by_key[one["_id"]], one) for one in found}

    def recall(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, Fingerprint]:
        """Give the fingerprints of *object_ids*; see `Checkpointer.recall`."""
        prefix = _key_of(stream) + ":"
        known: dict[str, Fingerprint] = {}
        with self._database.collection(FINGERPRINTS) as fingerprints:
            for start in range(0, len(object_ids), _IDS_AT_ONCE):
                keys = [prefix + place_of(one) for one in object_ids[start : start + _IDS_AT_ONCE]]
                for document in fingerprints.find({"_id": {"$in": keys}}, batch_size=len(keys)):
                    one = fingerprint_of(document, prefix)
                    known[one.object_id] = one
        return known

    def browse(
        self, stream: StreamKey, *, limit: int, after: str | None = None, until: str | None = None
    ) -> Sequence[Fingerprint]:
        """Return fingerprints in the order of their ids; see `Checkpointer.browse`."""
        key = _key_of(stream)
        with self._database.collection(FINGERPRINTS) as fingerprints:
            found = fingerprints.find(between(key, after, until), batch_size=limit + 1)
            return [fingerprint_of(one, f"{key}:") for one in found.sort("_id").limit(limit)]

    def count(
        self, stream: StreamKey, *, after: str | None = None, until: str | None = None
    ) -> int:
        """Count the objects that are there; see `Checkpointer.count`."""
        wanted = {
            **between(_key_of(stream), after, until),
            "$or": [{"gone": None}, {"digest": b""}],
        }
        with self._database.collection(FINGERPRINTS) as fingerprints:
            return fingerprints.count_documents(wanted)

    def commit(
        self, lease: Lease, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint] = ()
    ) -> None:
        """Store progress under *lease*; see `Checkpointer.commit`.

        Fingerprints come first, so a crash in between leaves them ahead of the checkpoint.
        """
        document = checkpoint_to_document(checkpoint)
        allowed, moved = _allowing(lease, document), [{"$set": _moving_to(document)}]
        with self._database.collection(CHECKPOINTS) as checkpoints:
            if fingerprints:
                if at_this_moment(checkpoints).find_one(allowed, {"_id": True}) is None:
                    raise _refusal(checkpoints, lease)
                with self._database.collection(FINGERPRINTS) as collection:
                    learn(collection, _key_of(lease.stream), fingerprints)
            if not checkpoints.update_one(allowed, moved).matched_count:
                raise _refusal(checkpoints, lease)

    def forget(self, lease: Lease, object_ids: Sequence[str] | None = None) -> int:
        """Delete fingerprints under *lease*; see `Checkpointer.forget`."""
        key = _key_of(lease.stream)
        with (
            self._database.collection(CHECKPOINTS) as checkpoints,
            self._database.collection(FINGERPRINTS) as fingerprints,
        ):
            if at_this_moment(checkpoints).find_one(_held(lease), {"_id": True}) is None:
                raise lease_lost(lease)
            if object_ids is None:
                checkpoints.update_one(_held(lease), _RESET)
                return fingerprints.delete_many(between(key, None, None)).deleted_count
            keys = [f"{key}:{place_of(one)}" for one in object_ids]
            return fingerprints.delete_many({"_id": {"$in": keys}}).deleted_count


def _key_of(stream: StreamKey) -> str:
    """All parts but the domain are free of colons, so two streams never share a key."""
    return f"{stream.account.domain_id}:{stream.account.account_id}:{stream.object_type}"


def _document_of(stream: StreamKey) -> str:
    return f"the document {_key_of(stream)} in the collection {CHECKPOINTS}"


def _held(lease: Lease) -> Document:
    """Matches the stream's document while *lease* is the current one."""
    return {"_id": _key_of(lease.stream), "fence": lease.fence, "owner": {"$ne": None}}


def _allowing(lease: Lease, document: Document) -> Document:
    """The same, while the mark in *document* is not below the one that is stored."""
    return {**_held(lease), **_not_falling(document)}


def _not_falling(document: Document) -> Document:
    """What `Checkpoint.may_follow` says, as a filter."""
    allowed: list[Document] = [{_MARK: {"$in": [None, document["fell_from"]]}}]
    mark = document["high_water_mark"]
    if mark is not None:
        allowed.append({_MARK: {"$lte": mark}})
    return {"$or": allowed}


def _lasting(duration: timedelta) -> Document:
    return {"expires_at": _from_now(duration), "leased_at": "$$NOW"}


def _from_now(duration: timedelta) -> Document:
    return {"$add": ["$$NOW", duration // _MILLISECOND]}


def _moving_to(document: Document) -> Document:
    """What becomes of a stream's document when the checkpoint *document* is committed."""
    moved: Document = {"checkpoint": {"$literal": document}, "committed_at": "$$NOW"}
    mark = document["high_water_mark"]
    if mark is not None:
        rises = {"$gt": [mark, f"${_MARK}"]}  # no mark at all is below every other
        moved["marked_at"] = {"$cond": [rises, "$$NOW", "$marked_at"]}
    return moved


def _granting(
    stream: StreamKey, owner: str, duration: timedelta, evict: str | None, grant: ObjectId
) -> Document:
    """The stage that grants the lease if it is free, and else leaves the document as it is."""
    free: list[Document] = [
        {"$not": ["$owner"]},
        {"$lte": ["$expires_at", "$$NOW"]},
        # Granted in the future: the server's clock was wrong, and so is the lease's end.
        {"$gt": ["$leased_at", _from_now(SLACK)]},
    ]
    if evict is not None:
        free.append({"$eq": ["$owner", {"$literal": evict}]})
    granted = {
        "domain_id": {"$literal": stream.account.domain_id},
        "account_id": {"$literal": stream.account.account_id},
        "object_type": {"$literal": stream.object_type},
        "owner": {"$literal": owner},
        "grant": grant,
        "fence": {"$add": [{"$ifNull": ["$fence", Int64(0)]}, Int64(1)]},
        **_lasting(duration),
    }
    changed = {"$mergeObjects": ["$$ROOT", granted]}
    return {"$replaceWith": {"$cond": [{"$or": free}, changed, "$$ROOT"]}}


_GRANTED_AHEAD: Final = {"$gt": ["$leased_at", _from_now(SLACK)]}
_PROGRESS: Final[Document] = {
    "checkpoint": True,
    "held": {
        "$and": [
            {"$ne": [{"$ifNull": ["$owner", None]}, None]},
            {"$gt": ["$expires_at", "$$NOW"]},
            {"$not": [_GRANTED_AHEAD]},
        ]
    },
    "committed_ms": {"$subtract": ["$$NOW", "$committed_at"]},
    "marked_ms": {"$subtract": ["$$NOW", "$marked_at"]},
}


def _progress(stream: StreamKey, document: Document) -> StreamProgress:
    with reading(_document_of(stream)):
        committed, marked = (
            ago(passed if passed is None else whole(passed) * _MILLISECOND)
            for passed in (document.get("committed_ms"), document.get("marked_ms"))
        )
    return StreamProgress(
        checkpoint=_checkpoint(stream, document),
        held=document["held"],
        committed_ago=committed,
        marked_ago=marked,
    )


def _refusal(checkpoints: Collection[Document], lease: Lease) -> HubSpotSyncError:
    """Why a checkpoint may not be stored under *lease*."""
    held = at_this_moment(checkpoints).find_one(_held(lease), {"checkpoint": True})
    if held is None:
        return lease_lost(lease)
    # A mark of an odd form is below none.
    _checkpoint(lease.stream, held)
    return mark_falls(lease.stream)


def _checkpoint(stream: StreamKey, document: Document) -> Checkpoint:
    if document.get("checkpoint") is None:
        return Checkpoint()
    with reading(_document_of(stream)):
        return checkpoint_from_document(stream, document["checkpoint"])
