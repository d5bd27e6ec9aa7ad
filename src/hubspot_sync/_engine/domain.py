"""`Domain`: one tenant's accounts, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from hubspot_sync._engine.connecting import Wishes
from hubspot_sync._engine.entries import altered, with_account, with_status
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import (
    Account,
    AccountEntry,
    AccountKey,
    AccountStatus,
    FailureSelection,
)
from hubspot_sync.models._checks import is_text_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import timedelta

    from hubspot_sync._clock import Clock
    from hubspot_sync._engine.connecting import Connecting
    from hubspot_sync._engine.credentials import Safe
    from hubspot_sync._engine.directory import Directory
    from hubspot_sync._engine.engine import SyncEngine
    from hubspot_sync.interfaces import ErrorQueue
    from hubspot_sync.models import (
        Credentials,
        Failure,
        FleetReport,
        RedriveReport,
        StreamSettings,
        SyncReport,
    )

_FAILURES_PAGE: Final = 100


@frozen(kw_only=True, eq=False)
class Domain:
    """One tenant's accounts; `SyncEngine.for_domain` gives one.

    Accounts are named by their ids alone, so nothing of another domain can be reached from here.
    Threads may share it. Every method that takes an *account_id* raises `UnknownAccountError`
    where the domain has no such account, and `StoreUnavailableError` when the account store stays
    away.

    Attributes:
        domain_id: The tenant, as the host names it.
    """

    domain_id: str = field(validator=is_text_key)
    _engine: SyncEngine = field(repr=False)
    _directory: Directory = field(repr=False)
    _connecting: Callable[[], Connecting] = field(repr=False)
    _safe: Safe = field(repr=False)
    _error_queue: Callable[[], ErrorQueue] = field(repr=False)
    _clock: Clock = field(repr=False)

    def accounts(self, status: AccountStatus | None = None) -> Iterator[AccountEntry]:
        """The domain's accounts in the order of their ids as text, or those with *status*."""
        return self._directory.browse(self.domain_id, status)

    def account(self, account_id: str) -> AccountEntry:
        """One account, as it is kept now."""
        return self._directory.entry(self._key(account_id))

    def add(
        self,
        account_id: str,
        *,
        streams: Iterable[StreamSettings] | None = None,
        sync_every: timedelta | None = None,
        name: str | None = None,
    ) -> AccountEntry:
        """Keep an account that the domain does not have yet; it is due at once.

        Args:
            account_id: HubSpot's id of the account, digits as text.
            streams: What to read of it; see `Account`.
            sync_every: How often; see `Account`.
            name: What people call it.

        Raises:
            ConfigurationError: The domain has it already.
        """
        now = self._clock.now()
        account = altered(
            Account(account_id=account_id, domain_id=self.domain_id), streams, sync_every
        )
        return self._directory.add(
            AccountEntry(account=account, name=name, status_since=now, next_sync_at=now)
        )

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
            self.account(account_id)
        return self._connecting().begin(self.domain_id, account_id)

    def finish_authorization(
        self,
        *,
        state: str,
        code: str | None = None,
        error: str | None = None,
        streams: Iterable[StreamSettings] | None = None,
        sync_every: timedelta | None = None,
        name: str | None = None,
    ) -> AccountEntry:
        """Connect the account that a person chose at HubSpot; it is due at once.

        Give what HubSpot sent to the redirect URI, as it came. An account that the domain has
        already keeps its streams and its rhythm where nothing else is given, and is active again;
        one that is paused stays paused. When only some of the streams can be read with the scopes
        that were granted, the entry's reason says which not; when none can, its status is
        `AccountStatus.NEEDS_REAUTHORIZATION`.

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
        wishes = Wishes(streams=streams, sync_every=sync_every, name=name)
        return self._connecting().finish(
            self.domain_id, proof=state, code=code, error=error, wishes=wishes
        )

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

        HubSpot is asked which one that is. All else is as in `finish_authorization`.

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
                tokens and the engine has no OAuth app.
            WrongAccountError: They open another account; nothing was stored.
            RetryableError: HubSpot or a store is away.
        """
        wishes = Wishes(streams=streams, sync_every=sync_every, name=name)
        return self._connecting().connect(self.domain_id, credentials, account_id, wishes)

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
        key = self.account(account_id).key
        return self._connecting().disconnect(key, revoke=revoke)

    def configure(
        self,
        account_id: str,
        *,
        streams: Iterable[StreamSettings] | None = None,
        sync_every: timedelta | None = None,
        name: str | None = None,
    ) -> AccountEntry:
        """Change what is given and leave the rest.

        An active account is due at once when its streams change, and when the new rhythm says so.
        """
        streams = None if streams is None else tuple(streams)
        now = self._clock.now()

        def change(entry: AccountEntry) -> AccountEntry:
            account = altered(entry.account, streams, sync_every)
            return evolve(with_account(entry, account, now), name=name or entry.name)

        return self._directory.change(self._key(account_id), change)

    def pause(self, account_id: str, *, reason: str | None = None) -> AccountEntry:
        """Sync the account only when it is asked for by name, until `resume`.

        A sync that runs just now goes on to its end.
        """
        return self._set(account_id, AccountStatus.PAUSED, reason)

    def resume(self, account_id: str) -> AccountEntry:
        """Make the account active and due at once; one that is active stays as it is."""
        return self._set(account_id, AccountStatus.ACTIVE, None)

    def disable(self, account_id: str, *, reason: str | None = None) -> AccountEntry:
        """Do not sync the account at all, not even when asked to, until `resume`.

        A sync that runs just now goes on to its end.
        """
        return self._set(account_id, AccountStatus.DISABLED, reason)

    def sync(self, account_id: str, *, reconcile: bool = False) -> SyncReport:
        """Bring the sink up to date with one account; see `SyncEngine.sync`.

        A paused account is synced too: pausing is about syncs that nobody asks for. So is one that
        needs to be authorised anew, and if HubSpot lets it in, it is active again.

        Raises:
            ConfigurationError: The account is disabled, or there are no credentials for it.
        """
        entry = self.account(account_id)
        if entry.status is AccountStatus.DISABLED:
            why = f" ({entry.reason})" if entry.reason else ""
            raise ConfigurationError(
                f"the account is disabled{why}; call resume first", account=str(entry.key)
            )
        return self._engine.sync(entry.account, reconcile=reconcile)

    def sync_all(
        self,
        *,
        due_only: bool = False,
        workers: int = 8,
        on_report: Callable[[SyncReport], None] | None = None,
    ) -> FleetReport:
        """Sync the domain's active accounts, or those that are due; see `SyncEngine.sync_all`."""
        return self._engine.sync_all(
            self.domain_id, due_only=due_only, workers=workers, on_report=on_report
        )

    def redrive(
        self,
        account_id: str,
        *,
        object_type: str | None = None,
        reason: str | None = None,
        object_ids: Iterable[str] | None = None,
        dead: bool | None = None,
    ) -> RedriveReport:
        """Try refused actions of one account again; see `SyncEngine.redrive`."""
        return self._engine.redrive(
            self.account(account_id).account,
            object_type=object_type,
            reason=reason,
            object_ids=object_ids,
            dead=dead,
        )

    def failures(
        self,
        account_id: str,
        *,
        object_type: str | None = None,
        reason: str | None = None,
        object_ids: Iterable[str] | None = None,
        dead: bool | None = None,
    ) -> Iterator[Failure]:
        """The refused actions of one account, all or those that fit; see `FailureSelection`.

        Raises:
            ConfigurationError: The engine has no error queue.
        """
        selection = FailureSelection(
            account=self.account(account_id).key,
            object_type=object_type,
            reason=reason,
            object_ids=object_ids,
            dead=dead,
        )
        return _pages(self._error_queue(), selection)

    def failure_counts(self, account_id: str) -> Mapping[str, int]:
        """How many refused actions of one account wait, dead letters included, by object type.

        Raises:
            ConfigurationError: The engine has no error queue.
        """
        selection = FailureSelection(account=self.account(account_id).key)
        return self._error_queue().count(selection)

    def remove(self, account_id: str) -> None:
        """Forget the account and its credentials here; HubSpot is told nothing.

        What it has brought stays: the sink's content is the host's, and if the account comes back,
        it goes on where it was.
        """
        entry = self.account(account_id)
        # In this order: an account without credentials can be removed again, not the reverse.
        self._safe.forget(entry.key)
        self._directory.remove(entry.key)

    def _set(self, account_id: str, status: AccountStatus, reason: str | None) -> AccountEntry:
        now = self._clock.now()
        return self._directory.change(
            self._key(account_id), lambda entry: with_status(entry, status, reason, now)
        )

    def _key(self, account_id: str) -> AccountKey:
        return AccountKey(self.domain_id, account_id)


def _pages(queue: ErrorQueue, selection: FailureSelection) -> Iterator[Failure]:
    after: Failure | None = None
    while page := queue.browse(selection, limit=_FAILURES_PAGE, after=after):
        yield from page
        after = page[-1]
