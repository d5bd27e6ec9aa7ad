"""Spent nonces in MongoDB: one document each, which the server deletes when it is out of date."""

from __future__ import annotations

from datetime import datetime

from pymongo.errors import DuplicateKeyError

from hubspot_sync.stores.mongodb._database import MongoDatabase, the_database
from hubspot_sync.stores.mongodb._schema import NONCES


class MongoNonceStore:
    """A `NonceStore` in MongoDB, for workers on any number of machines.

    The server deletes what has been out of date for an hour by its own clock.

    Args:
        database: The database; the caller closes it.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._database = the_database(database)

    def spend(self, nonce: str, expires_at: datetime) -> bool:
        """Use *nonce* if nobody did; see `NonceStore.spend`."""
        with self._database.collection(NONCES) as nonces:
            try:
                nonces.insert_one({"_id": nonce, "expires_at": expires_at})
            except DuplicateKeyError:
                return False
        return True
