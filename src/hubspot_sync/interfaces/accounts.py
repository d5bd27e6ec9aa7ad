"""Which accounts there are, and what opens them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from hubspot_sync.models import (
    AccountDetails,
    AccountEntry,
    AccountKey,
    AccountStatus,
    Credentials,
    Grant,
    OAuthTokens,
    StaticAccessToken,
    StoredCredentials,
)


class TokenStore(Protocol):
    """Keeps the credentials of each account."""

    def load(self, account: AccountKey) -> StoredCredentials | None:
        """Give the credentials of *account* and their revision.

        - Absent: None.
        - Twice: the same answer as long as nobody saved.
        - Racing: a load beside a save sees either all of the old or all of the new.

        Raises:
            ConfigurationError: They are stored encrypted and none of the keys opens them.
            InvariantError: They were damaged, or sealed for another account.
        """

    def save(
        self, account: AccountKey, credentials: Credentials, *, expected_revision: int | None
    ) -> StoredCredentials:
        """Store *credentials* if the stored revision is still *expected_revision*.

        None as *expected_revision* means: there are none yet. The first revision is 1, and each
        save adds one, also after a delete.

        - Twice: the second call with the same *expected_revision* is refused.
        - Racing: of two callers with the same *expected_revision* exactly one wins.

        Raises:
            RevisionConflictError: The stored revision is another one; nothing was written.
        """

    def delete(self, account: AccountKey) -> None:
        """Forget the credentials of *account* so that no later load finds them.

        - Absent and twice: nothing happens.
        """


class TokenStoreAdmin(Protocol):
    """What re-encrypting needs of a `TokenStore` besides; the shipped ones have both."""

    def accounts(self, *, limit: int, after: AccountKey | None = None) -> Sequence[AccountKey]:
        """Give a page of the accounts that have credentials, or of those that follow *after*.

        They come in an order that stays the same, at most *limit* of them; an empty page is the
        end. No key is needed.
        """


class AccountStore(Protocol):
    """Keeps which accounts a host has, domain by domain, and how their syncs went.

    Pages hold at most *limit* entries; an empty page is the end. Text is compared by its code
    points, and instants are kept to the millisecond.
    """

    def load(self, account: AccountKey) -> AccountEntry | None:
        """Give the entry of *account*.

        - Absent: None.
        """

    def save(self, entry: AccountEntry) -> AccountEntry:
        """Store *entry* if the stored revision is still its own, and give it with the next one.

        Revision 0 means: there is none yet. The first stored revision is 1, and each save adds
        one, also after a delete.

        - Twice: the second call with the same revision is refused.
        - Racing: of two callers with the same revision exactly one wins.

        Raises:
            RevisionConflictError: The stored revision is another one; nothing was written.
        """

    def delete(self, account: AccountKey) -> None:
        """Forget *account* so that no later call finds it.

        - Absent and twice: nothing happens.
        """

    def browse(
        self,
        domain_id: str | None,
        *,
        limit: int,
        after: AccountKey | None = None,
        status: AccountStatus | None = None,
    ) -> Sequence[AccountEntry]:
        """Give a page of the accounts of one domain, or of all, or of those that follow *after*.

        They come in the order of their keys as text, domain first. With *status* only those that
        have it.
        """

    def due(
        self, now: datetime, *, limit: int, domain_id: str | None = None
    ) -> Sequence[AccountEntry]:
        """Give active accounts that are due by `AccountEntry.is_due`, at most *limit*.

        That are those whose next sync is not after *now*, and then those that a wrong clock put
        off: whose next sync is further ahead than the account's period and 25 hours, unless
        `postponed_at` says that somebody wanted that, and is not in the future itself.

        Domains take turns: first comes of each domain the account that has waited longest, these
        in the order of their waiting, then the second of each domain, and so on. So a domain with
        thousands of accounts does not keep others from being found.
        """

    def domains(self, *, limit: int, after: str | None = None) -> Sequence[str]:
        """Give a page of the domains that have accounts, in the order of their names as text."""


class NonceStore(Protocol):
    """Remembers what may be used once only, until it is out of date anyway."""

    def spend(self, nonce: str, expires_at: datetime) -> bool:
        """Use *nonce*, and say whether nobody did before.

        It is remembered until *expires_at* at least; the caller refuses it from then on.

        - Twice: the second answer is False.
        - Racing: exactly one caller gets True.

        Raises:
            StoreUnavailableError: It may be used up all the same: begin again with another nonce.
        """


class CredentialsProbe(Protocol):
    """Finds out which account a static access token opens."""

    def __call__(self, credentials: StaticAccessToken) -> AccountDetails:
        """Ask HubSpot which account *credentials* open.

        Raises:
            AuthorizationRevokedError: None: they are wrong, or were revoked.
            MissingScopeError: HubSpot does not tell with these.
            RetryableError: HubSpot could not answer.
        """


class OAuthProvider(Protocol):
    """HubSpot's side of connecting an account by OAuth 2.0, for one app."""

    def consent_url(self, proof: str) -> str:
        """Where to send a person to consent; HubSpot gives *proof* back as `state`.

        Raises:
            ConfigurationError: The app has no redirect URI.
        """

    def exchange(self, code: str) -> Grant:
        """Exchange the code that HubSpot sent after a consent for tokens; it works once.

        Raises:
            ConsentError: The code is used up, out of date, or another app's.
            ConfigurationError: The app's own credentials or its redirect URI are wrong.
            RetryableError: The endpoint could not answer; the code may be used up nevertheless.
        """

    def inspect(self, tokens: OAuthTokens) -> Grant:
        """Ask HubSpot what *tokens* open.

        Raises:
            AuthorizationRevokedError: Nothing any more.
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """

    def revoke(self, tokens: OAuthTokens) -> None:
        """Tell HubSpot that *tokens* are not used any more.

        Access tokens that were issued live out their time.

        - Absent and twice: nothing happens.

        Raises:
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """
