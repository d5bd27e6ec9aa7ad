"""Spent nonces in SQLite: one row each, until it is out of date."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync._documents import instant_to_text
from hubspot_sync.stores.sqlite._database import SqliteDatabase, the_database

_FORGET: Final = "DELETE FROM nonces WHERE expires_at <= ?"
_SPEND: Final = """INSERT INTO nonces (nonce, expires_at) VALUES (?, ?)
    ON CONFLICT (nonce) DO NOTHING"""
# Kept beyond the end, for a clock that was set back meanwhile.
_SPARE: Final = timedelta(hours=1)


class SqliteNonceStore:
    """A `NonceStore` in an SQLite file, for the processes of one machine.

    What has been out of date for an hour is deleted when another one is spent.

    Args:
        database: The file; the caller closes it.
        clock: Tells what is out of date; the operating system's time by default.
    """

    def __init__(self, database: SqliteDatabase, *, clock: Clock | None = None) -> None:
        self._database = the_database(database)
        self._clock: Clock = clock or SystemClock()

    def spend(self, nonce: str, expires_at: datetime) -> bool:
        """Use *nonce* if nobody did; see `NonceStore.spend`."""
        with self._database.writing() as connection:
            connection.execute(_FORGET, (instant_to_text(self._clock.now() - _SPARE),))
            return connection.execute(_SPEND, (nonce, instant_to_text(expires_at))).rowcount == 1
