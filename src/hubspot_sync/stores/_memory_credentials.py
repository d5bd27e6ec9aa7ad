"""Credentials that are kept in the process only."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from hubspot_sync.interfaces import TokenStore
from hubspot_sync.models import AccountKey, Credentials, StoredCredentials
from hubspot_sync.stores._refusals import revision_conflict


class MemoryTokenStore:
    """A `TokenStore` in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[AccountKey, StoredCredentials] = {}
        self._revisions: dict[AccountKey, int] = {}

    def load(self, account: AccountKey) -> StoredCredentials | None:
        """Give the credentials of *account*; see `TokenStore.load`."""
        with self._lock:
            return self._kept.get(account)

    def save(
        self, account: AccountKey, credentials: Credentials, *, expected_revision: int | None
    ) -> StoredCredentials:
        """Store *credentials* by compare-and-set; see `TokenStore.save`."""
        with self._lock:
            kept = self._kept.get(account)
            if (kept.revision if kept else None) != expected_revision:
                raise revision_conflict(account, expected_revision)
            revision = self._revisions.get(account, 0) + 1
            self._revisions[account] = revision
            stored = StoredCredentials(credentials=credentials, revision=revision)
            self._kept[account] = stored
            return stored

    def delete(self, account: AccountKey) -> None:
        """Forget the credentials of *account*; see `TokenStore.delete`."""
        with self._lock:
            self._kept.pop(account, None)

    def accounts(self, *, limit: int, after: AccountKey | None = None) -> Sequence[AccountKey]:
        """Give accounts that have credentials; see `TokenStoreAdmin.accounts`."""
        with self._lock:
            return sorted(key for key in self._kept if after is None or key > after)[:limit]


class UnsealedTokenStore(MemoryTokenStore):
    """A `TokenStore` in memory, beside a stored one that this process cannot open.

    An account that has no credentials here, and some in the other, is told apart from one that was
    never connected. Nothing is written to the other.

    Args:
        sealed: The other; its `load` raises where there are some.
    """

    def __init__(self, sealed: TokenStore) -> None:
        super().__init__()
        self._sealed = sealed
        self._deleted: set[AccountKey] = set()

    def load(self, account: AccountKey) -> StoredCredentials | None:
        """Give the credentials of *account*, or say that those that are stored cannot be opened."""
        kept = super().load(account)
        if kept is None and account not in self._deleted:
            self._sealed.load(account)
        return kept

    def delete(self, account: AccountKey) -> None:
        """Forget the credentials of *account* in this process, whatever is stored."""
        self._deleted.add(account)
        super().delete(account)
