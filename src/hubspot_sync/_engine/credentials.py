"""The stored credentials of accounts, changed beside syncs that refresh them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar, cast

from attrs import frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync.errors import (
    ConfigurationError,
    InvariantError,
    NotConnectedError,
    RevisionConflictError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from hubspot_sync._retry import Retrier
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.interfaces import TokenStore, TokenStoreAdmin
    from hubspot_sync.models import AccountKey, Credentials, StoredCredentials

T = TypeVar("T")

# Each time somebody refreshed in between; a refresh is two saves, and comes every half an hour.
_SAVE_TRIES: Final = 20
# What `find` raises where there are credentials that nobody here can open.
UNREADABLE: Final = (ConfigurationError, InvariantError)
_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class Safe:
    """Finds and changes the credentials of accounts; threads may share it.

    Each method raises `StoreUnavailableError` when the store stays away, and when the engine is
    stopped while it is.

    Attributes:
        store: Where the credentials are.
        retrier: How often and how patiently.
    """

    store: TokenStore
    retrier: Retrier

    def find(self, account: AccountKey) -> Credentials | None:
        """The credentials of *account*, or None.

        Raises:
            ConfigurationError: None of the keys opens them.
            InvariantError: They were damaged, or sealed for another account.
        """
        stored = self._patiently(lambda: self.store.load(account))
        return stored.credentials if stored else None

    def require(self, account: AccountKey, why: str) -> None:
        """Refuse an account that nothing can open; *why* leads the message.

        Raises:
            NotConnectedError: There are no credentials for it, readable or not.
        """
        try:
            found = self.find(account)
        except UNREADABLE:
            return  # there are some, and whoever has the key can use them
        if found is None:
            raise NotConnectedError(
                f"{why}, and there are no credentials for it; connect it again, by OAuth "
                "(Domain.authorization_url) or with Domain.connect",
                account=str(account),
            )

    def replace(self, account: AccountKey, credentials: Credentials) -> None:
        """Keep *credentials* for *account*, whatever was stored, and whoever can open it.

        Raises:
            RevisionConflictError: Others stored theirs again and again.
        """
        try:
            self.find(account)
        except UNREADABLE:
            self.forget(account)
        self._save(account, lambda _: credentials)

    def reseal(self, account: AccountKey) -> bool:
        """Save the credentials of *account* as they are, and say whether there are any.

        Raises:
            ConfigurationError: None of the keys opens them.
            InvariantError: They were damaged, or sealed for another account.
            RevisionConflictError: Others stored theirs again and again.
        """
        return self._save(account, lambda stored: stored.credentials if stored else None)

    def _save(
        self,
        account: AccountKey,
        choose: Callable[[StoredCredentials | None], Credentials | None],
    ) -> bool:
        """Save what is chosen when the stored credentials are known, and say whether it is any."""
        for _ in range(_SAVE_TRIES):
            stored = self._patiently(lambda: self.store.load(account))
            chosen = choose(stored)
            if chosen is None:
                return False
            with suppress(RevisionConflictError):
                self._patiently(self._saving(account, chosen, stored.revision if stored else None))
                return True
        raise RevisionConflictError(
            "the account's credentials were changed by others at every try; do it again",
            account=str(account),
        )

    def _saving(
        self, account: AccountKey, credentials: Credentials, revision: int | None
    ) -> Callable[[], object]:
        return lambda: self.store.save(account, credentials, expected_revision=revision)

    def accounts(self, *, limit: int, after: AccountKey | None) -> Sequence[AccountKey]:
        """A page of the accounts that have credentials; see `TokenStoreAdmin.accounts`."""
        store = cast("TokenStoreAdmin", self.store)
        return self._patiently(lambda: store.accounts(limit=limit, after=after))

    def forget(self, account: AccountKey) -> None:
        """Forget the credentials of *account*."""
        self._patiently(lambda: self.store.delete(account))

    def _patiently(self, function: Callable[[], T]) -> T:
        try:
            return self.retrier.call(function, on_retry=_log)
        except StopRequested:
            raise StoreUnavailableError(
                "the engine was stopped while the token store was away; do it again when both are "
                "back"
            ) from None


def _log(attempt: int, wait: timedelta, error: RetryableError) -> None:
    _logger.warning("token store: try %d failed, again in %s: %s", attempt, wait, error)
