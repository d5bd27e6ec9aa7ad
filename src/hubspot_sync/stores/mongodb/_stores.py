"""All stores of an engine in one MongoDB database."""

from __future__ import annotations

from functools import partial
from typing import Any

from pymongo import MongoClient

from hubspot_sync._clock import Clock
from hubspot_sync._encryption import CredentialCipher
from hubspot_sync.errors import HubSpotSyncError
from hubspot_sync.interfaces._answers import clock_of
from hubspot_sync.interfaces._parts import is_clock
from hubspot_sync.models._checks import maybe
from hubspot_sync.stores._bundle import Stores, check_cipher, nothing_to_close, tokens_in
from hubspot_sync.stores.mongodb._accounts import MongoAccountStore
from hubspot_sync.stores.mongodb._actions import MongoActionSink
from hubspot_sync.stores.mongodb._checkpoints import MongoCheckpointer
from hubspot_sync.stores.mongodb._credentials import MongoTokenStore
from hubspot_sync.stores.mongodb._database import MongoDatabase
from hubspot_sync.stores.mongodb._failures import MongoErrorQueue
from hubspot_sync.stores.mongodb._nonces import MongoNonceStore


def MongoStores(  # noqa: N802 - it stands for a class
    database: str | MongoClient[Any] | MongoDatabase,
    *,
    cipher: CredentialCipher | None = None,
    clock: Clock | None = None,
) -> Stores:
    """Open all stores in one MongoDB database; the server is reached at once.

    Args:
        database: A connection string; or a `pymongo.MongoClient` or a `MongoDatabase` of the
            host's, which stays open. The database is the one that it names, else `hubspot_sync`.
        cipher: Encrypts the credentials in the database, for example `CredentialKeys(key)`.
            Without one, credentials are kept in this process's memory only, and have to be given
            again after a restart; those that were stored with one are refused by name.
        clock: Tells what was written when; the system's by default.

    Raises:
        ConfigurationError: The connection string is wrong, access is refused, the database was
            made by a newer version; or another argument is something else.
        StoreUnavailableError: MongoDB cannot be reached.
    """
    check_cipher(cipher)
    maybe(is_clock).of("clock", clock)
    if isinstance(database, MongoDatabase):
        opened, close = database, nothing_to_close
    else:
        opened = MongoDatabase(database)
        close = opened.close
    try:
        opened.prepare()
    except HubSpotSyncError:
        close()
        raise
    return Stores(
        tokens=tokens_in(partial(MongoTokenStore, opened), cipher),
        sink=MongoActionSink(opened, clock=clock_of(clock)),
        checkpointer=MongoCheckpointer(opened),
        accounts=MongoAccountStore(opened),
        nonces=MongoNonceStore(opened),
        error_queue=MongoErrorQueue(opened),
        close=close,
    )
