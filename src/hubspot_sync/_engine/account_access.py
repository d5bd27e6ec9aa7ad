"""The part of `Domain` that finds accounts, connects them and disconnects them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from attrs import field, frozen

from hubspot_sync._engine.arguments import is_status
from hubspot_sync._engine.connecting import Connecting, Wishes
from hubspot_sync._engine.directory import Directory
from hubspot_sync._engine.operations import Operations
from hubspot_sync.models import AccountEntry, AccountKey, AccountStatus, Credentials, StreamSettings
from hubspot_sync.models._checks import is_choice, is_text, is_text_key, maybe

P = ParamSpec("P")
T = TypeVar("T")
A = TypeVar("A", bound="AccountAccess")


def counted(method: Callable[Concatenate[A, P], T]) -> Callable[Concatenate[A, P], T]:
    """Have the engine closed only when *method*, one of a domain's, has ended."""

    @wraps(method)
    def call(self: A, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._operations.under_way(f"{method.__name__} in domain {self.domain_id!r}"):
            return method(self, *args, **kwargs)

    return call


@frozen(kw_only=True, eq=False)
class AccountAccess:
    """What opens the accounts of one tenant.

    Attributes:
        domain_id: The tenant, as the host names it.
    """

    domain_id: str = field(validator=is_text_key)
    _operations: Operations = field(repr=False)
    _directory: Directory = field(repr=False)
    _connecting: Callable[[], Connecting] = field(repr=False)

    def accounts(self, status: AccountStatus | None = None) -> Iterator[AccountEntry]:
        """The domain's accounts in the order of their ids as text, or those with *status*."""
        is_status.of("status", status)
        self._operations.check_open()
        return self._operations.steps("accounts", self._directory.browse(self.domain_id, status))

    @counted
    def account(self, account_id: str) -> AccountEntry:
        """One account, as it is kept now."""
        return self._directory.entry(self._key(account_id))

    @counted
    def authorization_url(self, account_id: str | None = None) -> str:
        """Where to send a person to consent, so that an account is connected by OAuth.

        It is good for ten minutes and one consent.

        Args:
            account_id: An account of the domain that is to be connected again; another one is
                then refused. None takes the one that the person chooses.

        Raises:
            ConfigurationError: The engine has no OAuth app, or the app no redirect URI.
        """
        if account_id is not None:
            account_id = self.account(account_id).key.account_id
        return self._connecting().begin(self.domain_id, account_id)

    @counted
    def finish_authorization(
        self,
        *,
        state: str | None,
        code: str | None = None,
        error: str | None = None,
        streams: Iterable[StreamSettings] | None = None,
        sync_every: timedelta | None = None,
        name: str | None = None,
    ) -> AccountEntry:
        """Connect the account that a person chose at HubSpot; it is due at once.

        Give what HubSpot sent to the redirect URI, as it came, and None for what it did not send.
        An account that the domain has already keeps its streams and its rhythm where nothing else
        is given, and is active again; one that is paused stays paused. When only some of the
        streams can be read with the scopes that were granted, the entry's reason says which not;
        when none can, its status is `AccountStatus.NEEDS_REAUTHORIZATION`.

        Args:
            state: The query parameter of this name.
            code: The query parameter of this name.
            error: The query parameter of this name, for a person who did not consent.
            streams: What to read of the account; see `Account`.
            sync_every: How often; see `Account`.
            name: What people call it; HubSpot's name of the account by default.

        Raises:
            ConsentError: Nothing was connected: `state` is not this domain's, is out of date, was
                used or altered, the person did not consent, or HubSpot does not take the code.
            ConfigurationError: The engine has no OAuth app, or the app's credentials are wrong.
            WrongAccountError: Another account was to be connected again; nothing was stored.
            RetryableError: HubSpot or a store is away; send the person to HubSpot again.
        """
        for parameter, given in (("state", state), ("code", code), ("error", error)):
            maybe(is_text).of(parameter, given)
        wishes = Wishes(streams=streams, sync_every=sync_every, name=name)
        return self._connecting().finish(
            self.domain_id, proof=state, code=code, error=error, wishes=wishes
        )

    @counted
    def connect(
        self,
        credentials: Credentials,
        *,
        account_id: str | None = None,
        streams: Iterable[StreamSettings] | None = None,
        sync_every: timedelta | None = None,
        name: str | None = None,
    ) -> AccountEntry:
        """Connect the account that *credentials* open, with or without OAuth; it is due at once.

        HubSpot is asked which one that is; its credentials are stored, and the account is put into
        the account store, for `sync`, `sync_all` and `SyncEngine.run`. All else is as in
        `finish_authorization`.

        Args:
            credentials: A static access token, or OAuth tokens that the host got itself.
            account_id: Which account they have to open; needed only for a static access token
                without the scope "oauth", of which HubSpot does not say it. None takes any.
            streams: What to read of the account; see `Account`.
            sync_every: How often; see `Account`.
            name: What people call it.

        Raises:
            AuthorizationRevokedError: HubSpot does not accept the credentials.
            ConfigurationError: HubSpot does not say which account they open, or they are OAuth
                tokens and the engine has no OAuth app, or mere text.
            WrongAccountError: They open another account; nothing was stored.
            RetryableError: HubSpot or a store is away.
        """
        wishes = Wishes(streams=streams, sync_every=sync_every, name=name)
        return self._connecting().connect(self.domain_id, credentials, account_id, wishes)

    @counted
    def disconnect(self, account_id: str, *, revoke: bool = True) -> AccountEntry:
        """Tell HubSpot that the tokens are not used any more, forget them, disable the account.

        When HubSpot could not be told, the entry's reason says so; the tokens are forgotten
        nevertheless. A sync that runs just now ends when it needs a new access token, half an
        hour from now at the latest. Connecting the account again makes it active.

        Args:
            account_id: HubSpot's id of the account, digits as text.
            revoke: Whether to tell HubSpot. Where another domain has connected the same HubSpot
                account, HubSpot may have given it the same refresh token: then give False.
        """
        is_choice.of("revoke", revoke)
        key = self.account(account_id).key
        return self._connecting().disconnect(key, revoke=revoke)

    def _key(self, account_id: str) -> AccountKey:
        return AccountKey(self.domain_id, account_id)
