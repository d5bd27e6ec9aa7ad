"""The stored credentials of accounts, changed and sealed again beside syncs that refresh them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from attrs import frozen

from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotSyncError,
    InvariantError,
    NotConnectedError,
    RevisionConflictError,
    StoreUnavailableError,
)
from hubspot_sync.models import ReencryptionReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.interfaces import TokenStore, TokenStoreAdmin
    from hubspot_sync.models import AccountKey, Credentials, StoredCredentials

_PAGE: Final = 200
# Each time somebody refreshed in between; a refresh is two saves, and comes every half an hour.
_SAVE_TRIES: Final = 20
# What `find` raises where there are credentials that nobody here can open.
UNREADABLE: Final = (ConfigurationError, InvariantError)


@frozen(kw_only=True)
class AccountCredentials:
    """Finds and changes the credentials of accounts; threads may share it.

    Each method raises `StoreUnavailableError` when the store stays away, and when the engine is
    stopped while it is.

    Attributes:
        context: Asks the store.
        store: Where the credentials are.
    """

    context: RunContext
    store: TokenStore

    def find(self, account: AccountKey) -> Credentials | None:
        """The credentials of *account*, or None.

        Raises:
            ConfigurationError: None of the keys opens them.
            InvariantError: They were damaged, or sealed for another account.
        """
        stored = self._load(account)
        return stored.credentials if stored else None

    def holds(self, account: AccountKey) -> bool:
        """Whether there are credentials of *account*, readable or not."""
        try:
            return self.find(account) is not None
        except UNREADABLE:
            return True  # whoever has the key can use them

    def require(self, account: AccountKey, why: str) -> None:
        """Refuse an account that nothing can open; *why* leads the message.

        Raises:
            NotConnectedError: There are no credentials for it, readable or not.
        """
        if not self.holds(account):
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
            stored = self._load(account)
            chosen = choose(stored)
            if chosen is None:
                return False
            with suppress(RevisionConflictError):
                self._store(account, chosen, stored.revision if stored else None)
                return True
        raise RevisionConflictError(
            "the account's credentials were changed by others at every try; do it again",
            account=str(account),
        )

    def _load(self, account: AccountKey) -> StoredCredentials | None:
        return self.context.ask("token store", lambda: self.store.load(account), account)

    def _store(self, account: AccountKey, credentials: Credentials, revision: int | None) -> None:
        self.context.ask(
            "token store",
            lambda: self.store.save(account, credentials, expected_revision=revision),
            account,
        )

    def accounts(self) -> Iterator[AccountKey]:
        """All accounts that have credentials; see `TokenStoreAdmin.accounts`.

        Raises:
            ConfigurationError: The store cannot say which.
        """
        if not hasattr(self.store, "accounts"):
            raise ConfigurationError(
                f"{self.store.__class__.__name__} cannot say which accounts it has; give it the "
                "method of TokenStoreAdmin, or save the credentials of each account again"
            )
        after: AccountKey | None = None
        while page := self._page(after):
            yield from page
            after = page[-1]

    def _page(self, after: AccountKey | None) -> Sequence[AccountKey]:
        store = cast("TokenStoreAdmin", self.store)
        return self.context.ask("token store", lambda: store.accounts(limit=_PAGE, after=after))

    def forget(self, account: AccountKey) -> None:
        """Forget the credentials of *account*."""
        self.context.ask("token store", lambda: self.store.delete(account), account)


def reencrypt(credentials: AccountCredentials) -> ReencryptionReport:
    """Seal all stored credentials again, those of one account after the other.

    One that fails keeps no other from it.

    Raises:
        ConfigurationError: The token store cannot say which accounts it has.
        StoreUnavailableError: It stays away.
    """
    resealed = 0
    failures: dict[AccountKey, HubSpotSyncError] = {}
    for account in credentials.accounts():
        if credentials.context.stop.is_set():
            return ReencryptionReport(resealed=resealed, failures=failures, completed=False)
        try:
            resealed += credentials.reseal(account)
        except StoreUnavailableError:
            raise
        except HubSpotSyncError as error:
            failures[account] = error
    return ReencryptionReport(resealed=resealed, failures=failures)
