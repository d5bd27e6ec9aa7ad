"""Connects accounts and disconnects them: consents, tokens, scopes, and what is kept of each.

Each domain has its own entry and its own tokens, also where two domains connect the same HubSpot
account: neither sees the other, and what one does changes nothing for the other.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from hubspot_sync._engine.account.credentials import UNREADABLE
from hubspot_sync._engine.account.entry import opened, with_status
from hubspot_sync.errors import (
    ConfigurationError,
    ConsentError,
    HubSpotSyncError,
    MissingScopeError,
    WrongAccountError,
)
from hubspot_sync.models import (
    Account,
    AccountEntry,
    AccountKey,
    AccountStatus,
    OAuthTokens,
    StaticAccessToken,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync._clock import Clock
    from hubspot_sync._consent import ConsentDesk
    from hubspot_sync._engine.account.credentials import AccountCredentials
    from hubspot_sync._engine.account.directory import Directory
    from hubspot_sync.interfaces import CredentialsProbe, OAuthProvider
    from hubspot_sync.models import Credentials, Grant

_DISCONNECTED: Final = "disconnected"
_LONGEST_CODE: Final = 2_000
_ERROR_NAME: Final = re.compile(r"[a-z_]{1,40}")
_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class Connections:
    """Connects and disconnects accounts of any domain; threads may share it.

    Attributes:
        probe: Says which account a static access token opens.
        provider: HubSpot's side of OAuth; None without an app.
        desk: Gives out and takes back the `state` of consents; None without an app.
        directory: Keeps the accounts.
        credentials: Keeps what opens them.
        clock: Tells when it happened.
    """

    probe: CredentialsProbe
    provider: OAuthProvider | None
    desk: ConsentDesk | None
    directory: Directory
    credentials: AccountCredentials
    clock: Clock

    def begin(self, domain_id: str, account_id: str | None) -> str:
        """Where to send a person of *domain_id* to consent."""
        provider, desk = self._oauth()
        return provider.consent_url(desk.ask(domain_id, account_id))

    def finish(
        self,
        domain_id: str,
        *,
        proof: str | None,
        code: str | None,
        error: str | None,
        alter: Callable[[Account], Account],
        name: str | None,
    ) -> AccountEntry:
        """Connect what a person consented to; all three texts came through a browser.

        The proof is used up before the code is: whatever goes wrong from then on, the person is
        sent to HubSpot again.
        """
        provider, desk = self._oauth()
        consent = desk.accept(proof, domain_id)
        if error is not None or not code:
            raise _denied(error)
        if len(code) > _LONGEST_CODE or not code.isascii() or not code.isprintable():
            raise ConsentError(
                "the code that came back was altered on its way; send the person to HubSpot again",
                reason="code",
            )
        grant = provider.exchange(code)
        key = AccountKey(domain_id, grant.account_id)
        # A wrong grant is not revoked: its tokens may be the very ones that another domain uses.
        _check(key, consent.account_id, "let the person choose that account at HubSpot")
        return self._keep(key, grant.tokens, grant, alter, name)

    def connect(
        self,
        domain_id: str,
        credentials: Credentials,
        account_id: str | None,
        alter: Callable[[Account], Account],
        name: str | None,
    ) -> AccountEntry:
        """Connect the account that *credentials* open."""
        grant = None
        expected = None if account_id is None else AccountKey(domain_id, account_id).account_id
        if isinstance(credentials, StaticAccessToken):
            found = self._opened_by(credentials, expected)
        else:
            grant = self._oauth()[0].inspect(credentials)
            found = grant.account_id
        key = AccountKey(domain_id, found)
        _check(key, expected, "give the right credentials or the right account id")
        return self._keep(key, credentials, grant, alter, name)

    def disconnect(self, key: AccountKey, *, revoke: bool) -> AccountEntry:
        """Tell HubSpot, forget the tokens, and leave the account disabled."""
        # First of all, so that nobody starts a sync meanwhile; a second call does what is left.
        self._disable(key, _DISCONNECTED)
        problem = self.revoke(key) if revoke else None
        self.credentials.forget(key)
        # Once more, because somebody who connected it meanwhile may have lost the tokens by that.
        entry = self._disable(key, "; ".join(filter(None, (_DISCONNECTED, problem))))
        _logger.info("%s: %s", key, entry.reason)
        return entry

    def revoke(self, key: AccountKey) -> str | None:
        """Tell HubSpot that the tokens are not used any more; return why it could not be told."""
        try:
            credentials = self.credentials.find(key)
        except UNREADABLE as error:
            return _untold(error)
        if not isinstance(credentials, OAuthTokens) or self.provider is None:
            return None
        try:
            self.provider.revoke(credentials)
        except HubSpotSyncError as error:
            return _untold(error)
        return None

    def _oauth(self) -> tuple[OAuthProvider, ConsentDesk]:
        if self.provider is not None and self.desk is None:
            raise ConfigurationError(
                "the engine has no nonce store, so no consent can be used once only; give it "
                "SyncEngine(..., nonces=...)"
            )
        if self.provider is None or self.desk is None:
            raise ConfigurationError(
                "the engine knows no OAuth app, so nobody can consent to it; give it "
                "oauth_app=OAuthApp(...)"
            )
        return self.provider, self.desk

    def _opened_by(self, credentials: StaticAccessToken, account_id: str | None) -> str:
        """The account that a static access token opens; *account_id* where HubSpot is silent."""
        try:
            return self.probe(credentials).account_id
        except MissingScopeError as error:
            if account_id is None:
                raise ConfigurationError(
                    "HubSpot does not say which account this access token opens, because it lacks "
                    'the scope "oauth"; grant it, or give account_id'
                ) from error
            _logger.warning("%s: not proved to be this account: %s", account_id, error)
            return account_id

    def _keep(
        self,
        key: AccountKey,
        credentials: Credentials,
        grant: Grant | None,
        alter: Callable[[Account], Account],
        name: str | None,
    ) -> AccountEntry:
        """Keep credentials, then the account: what is found to be due can be opened."""
        now = self.clock.now()
        account = Account(account_id=key.account_id, domain_id=key.domain_id)

        def change(entry: AccountEntry) -> AccountEntry:
            return opened(evolve(entry, account=alter(entry.account)), grant, name, now)

        fresh = AccountEntry(account=account, status_since=now)
        self.credentials.replace(key, credentials)
        entry = self.directory.put(fresh, change)
        _logger.info("%s: connected, %s", key, entry.reason or entry.status.value)
        return entry

    def _disable(self, key: AccountKey, reason: str) -> AccountEntry:
        now = self.clock.now()
        return self.directory.change(
            key, lambda entry: with_status(entry, AccountStatus.DISABLED, reason, now)
        )


def _check(key: AccountKey, expected: str | None, remedy: str) -> None:
    """Refuse an account that is another one than was asked for."""
    if expected not in (None, key.account_id):
        raise WrongAccountError(
            f"HubSpot account {key.account_id} was opened, not {expected}; nothing was stored, "
            f"{remedy}",
            account=f"{key.domain_id}/{expected}",
        )


def _untold(error: HubSpotSyncError) -> str:
    return f"HubSpot could not be told, so uninstall the app there: {error}"


def _denied(error: str | None) -> ConsentError:
    """What HubSpot said instead of sending a code; a browser brought it, so not word for word."""
    if error is None:
        return ConsentError(
            "HubSpot sent neither a code nor an error; send the person there again", reason="code"
        )
    name = error if _ERROR_NAME.fullmatch(error) else "an unknown error"
    return ConsentError(
        f"the person did not consent at HubSpot ({name}); nothing was connected", reason="denied"
    )
