"""All stores of an engine in one SQLite file."""

from __future__ import annotations

import os
from functools import partial

from hubspot_sync._clock import Clock
from hubspot_sync._encryption import CredentialCipher
from hubspot_sync.interfaces._answers import clock_of
from hubspot_sync.interfaces._parts import is_clock
from hubspot_sync.models._checks import maybe
from hubspot_sync.stores._bundle import Stores, check_cipher, nothing_to_close, tokens_in
from hubspot_sync.stores.sqlite._accounts import SqliteAccountStore
from hubspot_sync.stores.sqlite._actions import SqliteActionSink
from hubspot_sync.stores.sqlite._checkpoints import SqliteCheckpointer
from hubspot_sync.stores.sqlite._credentials import SqliteTokenStore
from hubspot_sync.stores.sqlite._database import SqliteDatabase
from hubspot_sync.stores.sqlite._failures import SqliteErrorQueue
from hubspot_sync.stores.sqlite._nonces import SqliteNonceStore


def SqliteStores(  # noqa: N802 - it stands for a class
    database: str | os.PathLike[str] | SqliteDatabase,
    *,
    cipher: CredentialCipher | None = None,
    clock: Clock | None = None,
) -> Stores:
    """Open all stores in one SQLite file.

    Args:
        database: The path of the file, which is created when it is not there, its folder is not;
            or a `SqliteDatabase` that the host has open, which stays open.
        cipher: Encrypts the credentials in the file, for example `CredentialKeys(key)`. Without
            one, credentials are kept in this process's memory only, and have to be given again
            after a restart; those that were stored with one are refused by name.
        clock: Tells when leases end and what was written when; the system's by default.

    Raises:
        ConfigurationError: The path is a URL, the file cannot be opened or written, is no SQLite
            database, or was made by a newer version; or another argument is something else.
        StoreUnavailableError: The file is locked, or the disk is full.
    """
    check_cipher(cipher)
    maybe(is_clock).of("clock", clock)
    clock = clock_of(clock)
    if isinstance(database, SqliteDatabase):
        opened, close = database, nothing_to_close
    else:
        opened = SqliteDatabase(database)
        close = opened.close
    return Stores(
        tokens=tokens_in(partial(SqliteTokenStore, opened), cipher),
        sink=SqliteActionSink(opened, clock=clock),
        checkpointer=SqliteCheckpointer(opened, clock=clock),
        accounts=SqliteAccountStore(opened),
        nonces=SqliteNonceStore(opened, clock=clock),
        error_queue=SqliteErrorQueue(opened),
        close=close,
    )
