"""Actions and the checkpoint that follows them, stored in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError, OperationFailure

from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.models import Action, Checkpoint, Fingerprint, Lease
from hubspot_sync.stores.mongodb._actions import MongoActionSink, encoded_actions
from hubspot_sync.stores.mongodb._checkpoints import key_of, move, refusal
from hubspot_sync.stores.mongodb._errors import DUPLICATE_KEY, TRANSACTION_TOO_LARGE
from hubspot_sync.stores.mongodb._fingerprints import learn
from hubspot_sync.stores.mongodb._schema import ACTIONS, CHECKPOINTS, FINGERPRINTS
from hubspot_sync.stores.mongodb._unstorable import reason_of


class MongoAtomicSink(MongoActionSink):
    """A `MongoActionSink` that stores a batch together with its checkpoint: all or nothing.

    For an engine whose checkpointer is a `MongoCheckpointer` on the same database, which has to be
    a replica set, of one member at least. What a process that is killed had under way keeps the
    stream from others until the server ends it: `transactionLifetimeLimitSeconds`, 60 by default.

    Args:
        database: The database; the caller closes it.
        clock: Dates the documents; the operating system's time by default.
        expire_after: As for `MongoActionSink`.

    Attributes:
        parallel_writes: See `ParallelSink.parallel_writes`; of no use here.

    Raises:
        ConfigurationError: `expire_after` is shorter than a second, or longer than 68 years.
    """

    def write_and_commit(
        self,
        lease: Lease,
        actions: Sequence[Action],
        checkpoint: Checkpoint,
        fingerprints: Sequence[Fingerprint],
    ) -> bool:
        """Store all of it in a transaction, or nothing; see `AtomicSink.write_and_commit`."""
        documents, refused = encoded_actions(actions, self._clock.now())
        if refused:
            return False
        with self._database.collection(ACTIONS) as collection:
            self._set_expiry(collection)
        try:
            with self._database.transaction() as session:
                # First, so that an owner whose lease is lost does nothing else.
                self._move(lease, checkpoint, session)
                with self._database.collection(ACTIONS) as collection, _all_or_nothing():
                    collection.insert_many(documents, ordered=False, session=session)
                with self._database.collection(FINGERPRINTS) as collection, _all_or_nothing():
                    learn(collection, key_of(lease.stream), fingerprints, session)
        except _NotTogetherError:
            return False
        except StoreUnavailableError as error:
            cause = error.__cause__
            if isinstance(cause, OperationFailure) and cause.code in TRANSACTION_TOO_LARGE:
                return False  # apart it needs less room
            raise
        return True

    def _move(self, lease: Lease, checkpoint: Checkpoint, session: ClientSession) -> None:
        with self._database.collection(CHECKPOINTS) as checkpoints:
            if not move(checkpoints, lease, checkpoint, session):
                session.abort_transaction()
                raise refusal(checkpoints, lease)


class _NotTogetherError(Exception):
    """Some of it is there already, or cannot be stored."""


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    try:
        yield
    except BulkWriteError as error:
        if all(
            problem["code"] == DUPLICATE_KEY or reason_of(problem["code"])
            for problem in error.details["writeErrors"]
        ):
            raise _NotTogetherError from error
        raise
