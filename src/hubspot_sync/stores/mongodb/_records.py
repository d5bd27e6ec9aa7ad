"""Records in MongoDB: one document for each object, in its newest version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from bson.int64 import Int64
from pymongo.collection import Collection

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync._documents import associations_to_document
from hubspot_sync.models import AccountKey, Action, ActionKind, Gone, SinkAnswer, StreamKey
from hubspot_sync.stores.mongodb._database import MongoDatabase, beginning, the_database
from hubspot_sync.stores.mongodb._schema import RECORDS
from hubspot_sync.stores.mongodb._upserts import Outcome, Wanted, store
from hubspot_sync.stores.mongodb._values import EXACT, numbers_apart

# So that no tenant's question looks at another's records. Without a field that changes: one more,
# such as the modified date, makes an update half as long again.
_PLACE: Final = ("domain_id", "account_id", "object_type", "object_id")
_WITHOUT_VALUES: Final = (None, Gone.ERASED)


class MongoRecordSink:
    """An `ActionSink` that keeps the newest form of every object in the collection `records`.

    An action with the `sequence` of the one that is held, or a lower one, is a repeat and changes
    nothing. An object that is gone stays as a tombstone, so that no older form of it comes back.
    Fields that the host adds to the documents stay.

    Args:
        database: The database; the caller closes it.
        clock: Dates the documents; the operating system's time by default.
        keep_values: Whether an object that is deleted or merged keeps its last properties and
            associations; without them only its tombstone stays. One that is erased never does.
    """

    def __init__(
        self, database: MongoDatabase, *, clock: Clock | None = None, keep_values: bool = True
    ) -> None:
        self._keep_values = keep_values
        self._database = the_database(database)
        self._clock: Clock = clock or SystemClock()
        self._has_index = False

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Keep what is newer than what is held; see `ActionSink.write`."""
        if not actions:
            return SinkAnswer()
        outcome = Outcome()
        with self._database.collection(RECORDS) as collection:
            self._create_index(collection)
            for turn in _turns(self._all_wanted(actions, outcome)):
                store(collection, turn, outcome)
        return outcome.answer()

    def erase(self, stream: StreamKey, object_ids: Sequence[str]) -> int:
        """Delete the documents of these objects; see `ErasableSink.erase`."""
        account = stream.account
        keys = [
            f"{account.domain_id}:{account.account_id}:{stream.object_type}:{one}"
            for one in object_ids
        ]
        wanted = {"_id": {"$in": keys}, "gone": {"$ne": Gone.ERASED.value}}
        with self._database.collection(RECORDS) as collection:
            return collection.delete_many(wanted).deleted_count

    def purge(self, account: AccountKey) -> int:
        """Delete the documents of *account*; see `ErasableSink.purge`."""
        with self._database.collection(RECORDS) as collection:
            return collection.delete_many(beginning(account)).deleted_count

    def _all_wanted(self, actions: Iterable[Action], outcome: Outcome) -> Iterator[Wanted]:
        stored_at = self._clock.now()
        for action in actions:
            keeps = self._keep_values and action.kind.gone not in _WITHOUT_VALUES
            try:
                document = _document(action, stored_at)
            except OverflowError:
                outcome.refused[action.action_id] = "its modified date is out of range"
            else:
                yield Wanted(action.action_id, document, keeps_values=keeps)

    def _create_index(self, collection: Collection[dict[str, Any]]) -> None:
        # Here and not with the others, so that nobody has a collection that is not used.
        if not self._has_index:
            collection.create_index(_PLACE, name="place")
            self._has_index = True


def _document(action: Action, stored_at: datetime) -> dict[str, Any]:
    account = action.account
    properties, digits = numbers_apart(action.properties)
    document = {
        "_id": f"{account.domain_id}:{account.account_id}:{action.object_type}:{action.object_id}",
        "domain_id": account.domain_id,
        "account_id": account.account_id,
        "object_type": action.object_type,
        "object_id": action.object_id,
        "version": Int64(action.version),
        "variant": Int64(action.variant),
        "created_at": action.occurred_at if action.kind is ActionKind.CREATED else None,
        "modified_at": action.modified_at,
        "properties": properties,
        **({EXACT: digits} if digits else {}),
        "associations": associations_to_document(action.associations),
        "first_stored_at": stored_at,
        "last_stored_at": stored_at,
    }
    if (gone := action.kind.gone) is not None:
        document |= {
            "gone": gone.value,
            "gone_at": action.occurred_at,
            "merged_into": action.merged_into,
        }
    return document


def _turns(wanted: Iterable[Wanted]) -> list[list[Wanted]]:
    """Each object once in a turn, in its order; there is mostly just one turn."""
    turns: list[list[Wanted]] = []
    next_turn: dict[str, int] = {}
    for one in wanted:
        turn = next_turn.get(one.key, 0)
        next_turn[one.key] = turn + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(one)
    return turns
