"""Credentials in SQLite: one row an account, sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hubspot_sync._documents import credentials_from_bytes, credentials_to_bytes
from hubspot_sync._encryption import CredentialCipher, the_cipher, unsealed
from hubspot_sync.models import AccountKey, Credentials, StoredCredentials
from hubspot_sync.stores._refusals import revision_conflict
from hubspot_sync.stores._stored import reading, text, whole
from hubspot_sync.stores.sqlite._database import SqliteDatabase, the_database

# A row without content is what a delete leaves behind, so that revisions go on from there.
_LOAD = """SELECT revision, sealed FROM credentials
    WHERE domain_id = ? AND account_id = ? AND sealed IS NOT NULL"""
_DELETE = "UPDATE credentials SET sealed = NULL WHERE domain_id = ? AND account_id = ?"
_ACCOUNTS = """SELECT domain_id, account_id FROM credentials
    WHERE (domain_id, account_id) > (?, ?) AND sealed IS NOT NULL
    ORDER BY domain_id, account_id LIMIT ?"""
_SAVE_FIRST = """INSERT INTO credentials (domain_id, account_id, revision, sealed)
    VALUES (:domain_id, :account_id, 1, :sealed)
    ON CONFLICT (domain_id, account_id)
    DO UPDATE SET revision = revision + 1, sealed = excluded.sealed WHERE sealed IS NULL"""
_SAVE_NEXT = """UPDATE credentials SET revision = revision + 1, sealed = :sealed
    WHERE domain_id = :domain_id AND account_id = :account_id
    AND revision = :expected_revision AND sealed IS NOT NULL"""


class SqliteTokenStore:
    """A `TokenStore` in an SQLite file.

    Args:
        database: The file; the caller closes it.
        cipher: What seals the credentials: `CredentialKeys`, a cipher of the host's own, or, by
            name, `NoEncryption`.
    """

    def __init__(self, database: SqliteDatabase, cipher: CredentialCipher) -> None:
        self._database = the_database(database)
        self._cipher = the_cipher(cipher)

    def load(self, account: AccountKey) -> StoredCredentials | None:
        """Give the credentials of *account*; see `TokenStore.load`."""
        with self._database.reading() as connection:
            row = connection.execute(_LOAD, (account.domain_id, account.account_id)).fetchone()
        if row is None:
            return None
        content = unsealed(self._cipher, account, row[1])
        return StoredCredentials(
            credentials=credentials_from_bytes(account, content), revision=_revision(account, row)
        )

    def save(
        self, account: AccountKey, credentials: Credentials, *, expected_revision: int | None
    ) -> StoredCredentials:
        """Store *credentials* by compare-and-set; see `TokenStore.save`."""
        values = {
            "domain_id": account.domain_id,
            "account_id": account.account_id,
            "sealed": self._cipher.seal(account, credentials_to_bytes(credentials)),
            "expected_revision": expected_revision,
        }
        statement = _SAVE_FIRST if expected_revision is None else _SAVE_NEXT
        with self._database.writing() as connection:
            if connection.execute(statement, values).rowcount != 1:
                raise revision_conflict(account, expected_revision)
            found = connection.execute(_LOAD, (account.domain_id, account.account_id)).fetchone()
        return StoredCredentials(credentials=credentials, revision=_revision(account, found))

    def delete(self, account: AccountKey) -> None:
        """Forget the credentials of *account*; see `TokenStore.delete`."""
        with self._database.writing() as connection:
            connection.execute(_DELETE, (account.domain_id, account.account_id))

    def accounts(self, *, limit: int, after: AccountKey | None = None) -> Sequence[AccountKey]:
        """Give accounts that have credentials; see `TokenStoreAdmin.accounts`."""
        place = (after.domain_id, after.account_id) if after else ("", "")
        with self._database.reading() as connection:
            rows = connection.execute(_ACCOUNTS, (*place, limit)).fetchall()
        return [_key(row) for row in rows]


def _revision(account: AccountKey, row: tuple[Any, ...]) -> int:
    with reading(f"the row of {account} in the table credentials"):
        return whole(row[0])


def _key(row: tuple[Any, ...]) -> AccountKey:
    domain_id, account_id = row
    with reading(f"the row of {domain_id}/{account_id} in the table credentials"):
        return AccountKey(text(domain_id), text(account_id))
