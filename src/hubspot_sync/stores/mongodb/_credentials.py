"""Credentials in MongoDB: one document an account, sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bson.int64 import Int64
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from hubspot_sync._documents import credentials_from_bytes, credentials_to_bytes
from hubspot_sync._encryption import CredentialCipher, the_cipher, unsealed
from hubspot_sync.models import AccountKey, Credentials, StoredCredentials
from hubspot_sync.stores._refusals import revision_conflict
from hubspot_sync.stores._stored import reading, text, whole
from hubspot_sync.stores.mongodb._database import MongoDatabase, the_database
from hubspot_sync.stores.mongodb._schema import CREDENTIALS

_NAMES: Final = {"domain_id": True, "account_id": True}


class MongoTokenStore:
    """A `TokenStore` in MongoDB.

    Args:
        database: The database; the caller closes it.
        cipher: What seals the credentials: `CredentialKeys`, a cipher of the host's own, or, by
            name, `NoEncryption`.
    """

    def __init__(self, database: MongoDatabase, cipher: CredentialCipher) -> None:
        self._database = the_database(database)
        self._cipher = the_cipher(cipher)

    def load(self, account: AccountKey) -> StoredCredentials | None:
        """Give the credentials of *account*; see `TokenStore.load`."""
        with self._database.collection(CREDENTIALS) as credentials:
            document = credentials.find_one(_kept(account))
        if document is None:
            return None
        content = unsealed(self._cipher, account, document["sealed"])
        return StoredCredentials(
            credentials=credentials_from_bytes(account, content),
            revision=_revision(account, document),
        )

    def save(
        self, account: AccountKey, credentials: Credentials, *, expected_revision: int | None
    ) -> StoredCredentials:
        """Store *credentials* by compare-and-set; see `TokenStore.save`."""
        sealed = self._cipher.seal(account, credentials_to_bytes(credentials))
        document = self._replace(account, sealed, expected_revision)
        if document is None:
            raise revision_conflict(account, expected_revision)
        return StoredCredentials(credentials=credentials, revision=_revision(account, document))

    def delete(self, account: AccountKey) -> None:
        """Forget the credentials of *account*; see `TokenStore.delete`."""
        with self._database.collection(CREDENTIALS) as credentials:
            # The document stays behind, so that revisions go on from there.
            credentials.update_one({"_id": str(account)}, {"$set": {"sealed": None}})

    def accounts(self, *, limit: int, after: AccountKey | None = None) -> Sequence[AccountKey]:
        """Give accounts that have credentials; see `TokenStoreAdmin.accounts`."""
        wanted: dict[str, Any] = {"sealed": {"$ne": None}}
        if after is not None:
            wanted["_id"] = {"$gt": str(after)}
        with self._database.collection(CREDENTIALS) as credentials:
            found = list(credentials.find(wanted, _NAMES).sort("_id").limit(limit))
        return [_key(one) for one in found]

    def _replace(
        self, account: AccountKey, sealed: bytes, expected_revision: int | None
    ) -> dict[str, Any] | None:
        first = expected_revision is None
        wanted = {"_id": str(account), "sealed": None} if first else _kept(account)
        values = {
            "domain_id": account.domain_id,
            "account_id": account.account_id,
            "sealed": sealed,
        }
        with self._database.collection(CREDENTIALS) as credentials:
            try:
                return credentials.find_one_and_update(
                    wanted if first else {**wanted, "revision": expected_revision},
                    {"$set": values, "$inc": {"revision": Int64(1)}},
                    upsert=first,
                    return_document=ReturnDocument.AFTER,
                )
            except DuplicateKeyError:
                # There are some, so the filter for "none yet" missed and the insert failed.
                return None


def _revision(account: AccountKey, document: dict[str, Any]) -> int:
    with reading(_named(account)):
        return whole(document["revision"])


def _key(document: dict[str, Any]) -> AccountKey:
    with reading(_named(document["_id"])):
        return AccountKey(text(document["domain_id"]), text(document["account_id"]))


def _named(key: object) -> str:
    return f"the document {key} in the collection {CREDENTIALS}"


def _kept(account: AccountKey) -> dict[str, Any]:
    return {"_id": str(account), "sealed": {"$ne": None}}
