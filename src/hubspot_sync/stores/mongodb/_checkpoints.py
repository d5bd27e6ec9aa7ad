"""Leases, checkpoints and fingerprints in MongoDB; leases go by the server's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve
from bson.int64 import Int64
from bson.objectid import ObjectId
from pymongo import ReturnDocument

from hubspot_sync._documents import checkpoint_from_document, checkpoint_to_document
from hubspot_sync.models import Checkpoint, Fingerprint, Lease
from hubspot_sync.stores._refusals import lease_held, lease_lost, mark_falls
from hubspot_sync.stores.mongodb._database import MongoDatabase, the_database
from hubspot_sync.stores.mongodb._fingerprints import at_this_moment, learn
from hubspot_sync.stores.mongodb._schema import CHECKPOINTS, FINGERPRINTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymongo.client_session import ClientSession
    from pymongo.collection import Collection

    from hubspot_sync.errors import HubSpotSyncError
    from hubspot_sync.models import StreamKey

    Document = dict[str, Any]

_IDS_AT_ONCE: Final = 10_000
_MILLISECOND: Final = timedelta(milliseconds=1)
_MARK: Final = "checkpoint.high_water_mark"


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
                {"_id": key_of(stream)},
                [_granting(stream, owner, duration, evict, grant)],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        assert document is not None
        if document["grant"] != grant:
            raise lease_held(stream, document["owner"])
        return Lease(
            stream=stream,
            owner=owner,
            fence=int(document["fence"]),
            expires_at=document["expires_at"],
        )

    def renew(self, lease: Lease, duration: timedelta) -> Lease:
        """Extend *lease*; see `Checkpointer.renew`."""
        with self._database.collection(CHECKPOINTS) as checkpoints:
            document = checkpoints.find_one_and_update(
                _held(lease),
                [{"$set": {"expires_at": _from_now(duration)}}],
                return_document=ReturnDocument.AFTER,
            )
        if document is None:
            raise lease_lost(lease)
        return evolve(lease, expires_at=document["expires_at"])

    def release(self, lease: Lease) -> None:
        """Give *lease* back; see `Checkpointer.release`."""
        with self._database.collection(CHECKPOINTS) as checkpoints:
            checkpoints.update_one(_held(lease), {"$set": {"owner": None, "expires_at": None}})

    def load(self, stream: StreamKey) -> Checkpoint:
        """Give the progress of *stream*; see `Checkpointer.load`."""
        with self._database.collection(CHECKPOINTS) as checkpoints:
            document = checkpoints.find_one({"_id": key_of(stream)}, {"checkpoint": True})
        if document is None or document.get("checkpoint") is None:
            return Checkpoint()
        return checkpoint_from_document(stream, document["checkpoint"])

    def recall(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, Fingerprint]:
        """Give the fingerprints of *object_ids*; see `Checkpointer.recall`."""
        prefix = key_of(stream) + ":"
        known: dict[str, Fingerprint] = {}
        with self._database.collection(FINGERPRINTS) as fingerprints:
            for start in range(0, len(object_ids), _IDS_AT_ONCE):
                keys = [prefix + one for one in object_ids[start : start + _IDS_AT_ONCE]]
                for document in fingerprints.find({"_id": {"$in": keys}}, batch_size=len(keys)):
                    object_id = document["_id"][len(prefix) :]
                    known[object_id] = Fingerprint(
                        object_id=object_id,
                        version=int(document["version"]),
                        digest=document["digest"],
                    )
        return known

    def commit(
        self, lease: Lease, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint] = ()
    ) -> None:
        """Store progress under *lease*; see `Checkpointer.commit`.

        Fingerprints come first, so a crash in between leaves them ahead of the checkpoint.
        """
        allowed = _allowing(lease, checkpoint_to_document(checkpoint))
        with self._database.collection(CHECKPOINTS) as checkpoints:
            if fingerprints:
                if at_this_moment(checkpoints).find_one(allowed, {"_id": True}) is None:
                    raise refusal(checkpoints, lease)
                with self._database.collection(FINGERPRINTS) as collection:
                    learn(collection, key_of(lease.stream), fingerprints)
            if not move(checkpoints, lease, checkpoint):
                raise refusal(checkpoints, lease)


def move(
    checkpoints: Collection[Document],
    lease: Lease,
    checkpoint: Checkpoint,
    session: ClientSession | None = None,
) -> bool:
    """Replace the checkpoint, and say whether *lease* and the mark that is stored allow it."""
    document = checkpoint_to_document(checkpoint)
    written = checkpoints.update_one(
        _allowing(lease, document), {"$set": {"checkpoint": document}}, session=session
    )
    return written.matched_count > 0


def key_of(stream: StreamKey) -> str:
    """All parts but the domain are free of colons, so two streams never share a key."""
    return f"{stream.account.domain_id}:{stream.account.account_id}:{stream.object_type}"


def _held(lease: Lease) -> Document:
    """Matches the stream's document while *lease* is the current one."""
    return {"_id": key_of(lease.stream), "fence": lease.fence, "owner": {"$ne": None}}


def _allowing(lease: Lease, document: Document) -> Document:
    """The same, while the mark in *document* is not below the one that is stored."""
    return {**_held(lease), **_not_falling(document)}


def _not_falling(document: Document) -> Document:
    unset: Document = {_MARK: None}
    mark = document["high_water_mark"]
    return unset if mark is None else {"$or": [unset, {_MARK: {"$lte": mark}}]}


def _from_now(duration: timedelta) -> Document:
    return {"$add": ["$$NOW", duration // _MILLISECOND]}


def _granting(
    stream: StreamKey, owner: str, duration: timedelta, evict: str | None, grant: ObjectId
) -> Document:
    """The stage that grants the lease if it is free, and else leaves the document as it is."""
    free: list[Document] = [{"$not": ["$owner"]}, {"$lte": ["$expires_at", "$$NOW"]}]
    if evict is not None:
        free.append({"$eq": ["$owner", {"$literal": evict}]})
    granted = {
        "domain_id": {"$literal": stream.account.domain_id},
        "account_id": {"$literal": stream.account.account_id},
        "object_type": {"$literal": stream.object_type},
        "owner": {"$literal": owner},
        "grant": grant,
        "fence": {"$add": [{"$ifNull": ["$fence", Int64(0)]}, Int64(1)]},
        "expires_at": _from_now(duration),
    }
    changed = {"$mergeObjects": ["$$ROOT", granted]}
    return {"$replaceWith": {"$cond": [{"$or": free}, changed, "$$ROOT"]}}


def refusal(checkpoints: Collection[Document], lease: Lease) -> HubSpotSyncError:
    """Why a checkpoint may not be stored under *lease*."""
    held = at_this_moment(checkpoints).find_one(_held(lease), {"_id": True})
    return lease_lost(lease) if held is None else mark_falls(lease.stream)
