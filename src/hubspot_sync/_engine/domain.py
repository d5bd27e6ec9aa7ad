"""`Domain`: one tenant's accounts, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, overload

from attrs import evolve, field, frozen

from hubspot_sync._clock import later
from hubspot_sync._engine.account.directory import Directory
from hubspot_sync._engine.account.entry import (
    alteration,
    status_in_words,
    with_account,
    with_status,
)
from hubspot_sync._engine.operations import Operations, is_credentials
from hubspot_sync._engine.stream.rejected import counted
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import (
    Account,
    AccountEntry,
    AccountHealth,
    AccountKey,
    AccountStatus,
    Credentials,
    Diagnosis,
    ErasureReport,
    Explanation,
    FleetReport,
    Health,
    ObjectType,
    PurgeReport,
    RedriveReport,
    RejectedAction,
    RejectedSelection,
    StreamSettings,
    SyncPlan,
    SyncReport,
)
from hubspot_sync.models._checks import (
    is_choice,
    is_delay,
    is_kind,
    is_remark,
    is_text,
    is_text_key,
    maybe,
)

P = ParamSpec("P")
T = TypeVar("T")

_is_status = maybe(is_kind(AccountStatus, such_as="AccountStatus.ACTIVE"))


def _counted(
    method: Callable[Concatenate[Domain, P], T],
) -> Callable[Concatenate[Domain, P], T]:
    """Have the engine closed only when *method* has ended."""

    @wraps(method)
    def call(self: Domain, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._operations.lifetime.under_way(f"{method.__name__} in domain {self.domain_id!r}"):
            return method(self, *args, **kwargs)

    return call


@frozen(kw_only=True, eq=False)
class Domain:
    """One tenant's accounts; `SyncEngine.domain` gives one.

    Accounts are named by their ids alone, so nothing of another domain can be reached from here.
    Threads may share it. Every method that takes an *account_id* raises `UnknownAccountError`
    where the domain has no such account, and `StoreUnavailableError` when the account store stays
    away.

    Attributes:
        domain_id: The tenant, as the host names it.
    """

    domain_id: str = field(validator=is_text_key)
    _operations: Operations = field(repr=False)

    def accounts(self, status: AccountStatus | None = None) -> Iterator[AccountEntry]:
        """The domain's accounts in the order of their ids as text, or those with *status*."""
        _is_status.of("status", status)
        self._operations.lifetime.check_open()
        return self._operations.lifetime.steps(
            "accounts", self._directory.browse(self.domain_id, status)
        )

    @_counted
    def account(self, account_id: str) -> AccountEntry:
        """One account, as it is kept now."""
        return self._directory.entry(self._key(account_id))

    @overload
    def health(self) -> Health: ...

    @overload
    def health(self, account_id: str) -> AccountHealth: ...

    def health(self, account_id: str | None = None) -> Health | AccountHealth:
        """How complete and fresh the accounts are, or one of them; see `SyncEngine.health`.

        That of one account also counts its objects, which takes a moment where it has millions.
        """
        if account_id is None:
            return self._operations.health(self.domain_id)
        return self._operations.account_health(self._key(account_id))

    def object_types(self, account_id: str) -> list[ObjectType]:
        """All object types that one account has, and what is synced of each.

        HubSpot's own types come first; whether the credentials may read one is found out when it
        is synced. The custom ones are what the account's schemas say; where the credentials may
        not read these (scope "crm.schemas.custom.read"), only those are listed that have a stream,
        and the log says so.

        Raises:
            NotConnectedError: There are no credentials for the account.
            ConfigurationError: A stream of the account is of no type that it has.
            RetryableError: HubSpot or a store is away.
        """
        return self._operations.object_types(self.account(account_id).account)

    @_counted
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
        return self._operations.connections().begin(self.domain_id, account_id)

    @_counted
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
        alter = alteration(streams, sync_every, name)
        return self._operations.connections().finish(
            self.domain_id, proof=state, code=code, error=error, alter=alter, name=name
        )

    @_counted
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
        is_credentials.of("credentials", credentials)
        alter = alteration(streams, sync_every, name)
        return self._operations.connections().connect(
            self.domain_id, credentials, account_id, alter, name
        )

    @_counted
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
        return self._operations.connections().disconnect(key, revoke=revoke)

    @_counted
    def add(
        self,
        account_id: str,
        *,
        streams: Iterable[StreamSettings] | None = None,
        sync_every: timedelta | None = None,
        name: str | None = None,
    ) -> AccountEntry:
        """Keep an account that the domain does not have yet; it is due at once.

        Without credentials, which `SyncEngine.store_credentials` stores; `connect` does both.

        Args:
            account_id: HubSpot's id of the account, digits as text.
            streams: What to read of it; see `Account`.
            sync_every: How often; see `Account`.
            name: What people call it.

        Raises:
            ConfigurationError: The domain has it already.
        """
        alter = alteration(streams, sync_every, name)
        now = self._operations.context.clock.now()
        key = self._key(account_id)
        account = alter(Account(account_id=key.account_id, domain_id=key.domain_id))
        return self._directory.add(
            AccountEntry(account=account, name=name, status_since=now, next_sync_at=now)
        )

    @_counted
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
        alter = alteration(streams, sync_every, name)
        now = self._operations.context.clock.now()

        def change(entry: AccountEntry) -> AccountEntry:
            changed = with_account(entry, alter(entry.account), now)
            return evolve(changed, name=name or entry.name)

        return self._directory.change(self._key(account_id), change)

    @_counted
    def pause(self, account_id: str, *, reason: str | None = None) -> AccountEntry:
        """Sync the account only when it is asked for by name, until `resume`.

        A sync that runs just now goes on to its end.
        """
        return self._set(account_id, AccountStatus.PAUSED, reason)

    @_counted
    def resume(self, account_id: str) -> AccountEntry:
        """Make the account active and due at once; one that is active stays as it is.

        Raises:
            NotConnectedError: It was disconnected, or never connected; connect it instead, which
                makes it active by itself.
        """
        now = self._operations.context.clock.now()

        def change(entry: AccountEntry) -> AccountEntry:
            # Asked at each try: whoever disconnects it meanwhile changes the entry.
            if entry.status is not AccountStatus.ACTIVE:
                self._operations.credentials.require(
                    entry.key, f"the account is {status_in_words(entry)}"
                )
            return with_status(entry, AccountStatus.ACTIVE, None, now)

        return self._directory.change(self._key(account_id), change)

    @_counted
    def disable(self, account_id: str, *, reason: str | None = None) -> AccountEntry:
        """Do not sync the account at all, not even when asked to, until `resume`.

        A sync that runs just now goes on to its end.
        """
        return self._set(account_id, AccountStatus.DISABLED, reason)

    @_counted
    def postpone(self, account_id: str, by: timedelta) -> AccountEntry:
        """Let an active account be due not before *by* has passed; its next sync decides again.

        For hosts that have a sync of it in hand, so that nobody begins another one meanwhile.
        """
        is_delay.of("by", by)
        now = self._operations.context.clock.now()

        def change(entry: AccountEntry) -> AccountEntry:
            active = entry.status is AccountStatus.ACTIVE
            return entry.due_from(later(now, by), now) if active else entry

        return self._directory.change(self._key(account_id), change)

    @_counted
    def sync(self, account_id: str, *, time_limit: timedelta | None = None) -> SyncReport:
        """Bring the sink up to date with one account; see `SyncEngine.sync`.

        A paused account is synced too: pausing is about syncs that nobody asks for. So is one that
        needs to be authorised again, and if HubSpot lets it in, it is active again.

        Raises:
            ConfigurationError: The account is disabled.
            NotConnectedError: There are no credentials for it.
        """
        entry = self.account(account_id)
        if entry.status is AccountStatus.DISABLED:
            disabled = f"the account is {status_in_words(entry)}"
            self._operations.credentials.require(entry.key, disabled)
            raise ConfigurationError(f"{disabled}; call resume first", account=str(entry.key))
        return self._operations.sync(entry.account, time_limit)

    def reconcile(self, account_id: str, object_types: Iterable[str] | None = None) -> None:
        """Let the next sync of one account compare all records; see `SyncEngine.reconcile`."""
        account = self.account(account_id).account
        self._operations.mark("reconcile", account, object_types, redeliver=False)

    def resync(self, account_id: str, object_types: Iterable[str] | None = None) -> None:
        """Let the next sync of one account deliver all again; see `SyncEngine.resync`."""
        account = self.account(account_id).account
        self._operations.mark("resync", account, object_types, redeliver=True)

    def confirm_deletions(self, account_id: str, object_types: Iterable[str] | None = None) -> int:
        """Let the next sync of one account tell of all deletions, however many they are.

        Where more objects seem to be gone at once than `SyncSettings.max_gone_share` lets pass,
        the sink is told of none, the report has a gap that says so, and observers get a
        `DeletionsSuspected`. Look at HubSpot first: what is deleted there by mistake can be
        restored for 90 days.

        Args:
            account_id: The account.
            object_types: Some of its streams; None for all.

        Returns:
            How many objects were suspected to be gone; 0 where there is nothing to confirm.

        Raises:
            ConfigurationError: The domain does not have the account, or it no such stream.
            LeaseHeldError: A stream is being synced; ask again.
            StoreUnavailableError: A store stays away.
        """
        account = self.account(account_id).account
        return self._operations.confirm_deletions(account, object_types)

    def sync_all(
        self,
        *,
        workers: int = 8,
        on_report: Callable[[SyncReport], None] | None = None,
    ) -> FleetReport:
        """Sync the domain's active accounts; see `SyncEngine.sync_all`."""
        return self._operations.sync_all(self.domain_id, workers, on_report)

    def sync_due(
        self,
        *,
        workers: int = 8,
        on_report: Callable[[SyncReport], None] | None = None,
    ) -> FleetReport:
        """Sync the domain's accounts that are due; see `SyncEngine.sync_due`."""
        return self._operations.sync_due(self.domain_id, workers, on_report)

    def redrive(
        self,
        account_id: str,
        *,
        object_type: str | None = None,
        reason: str | None = None,
        object_ids: Iterable[str] | None = None,
        parked: bool | None = None,
    ) -> RedriveReport:
        """Try refused actions of one account again; see `SyncEngine.redrive`."""
        selection = RejectedSelection(
            account=self.account(account_id).key,
            object_type=object_type,
            reason=reason,
            object_ids=object_ids,
            parked=parked,
        )
        return self._operations.redrive(selection)

    def rejected_actions(
        self,
        account_id: str,
        *,
        object_type: str | None = None,
        reason: str | None = None,
        object_ids: Iterable[str] | None = None,
        parked: bool | None = None,
    ) -> Iterator[RejectedAction]:
        """The refused actions of one account, all or those that fit; see `RejectedSelection`.

        Raises:
            ConfigurationError: The engine has no error queue.
        """
        selection = RejectedSelection(
            account=self.account(account_id).key,
            object_type=object_type,
            reason=reason,
            object_ids=object_ids,
            parked=parked,
        )
        return self._operations.rejected_actions(selection)

    @_counted
    def rejected_counts(self, account_id: str) -> Mapping[str, int]:
        """How many refused actions of one account wait, parked actions included, by object type.

        Raises:
            ConfigurationError: The engine has no error queue.
        """
        selection = RejectedSelection(account=self.account(account_id).key)
        return counted(self._operations.context, selection)

    def doctor(self, account_id: str) -> Diagnosis:
        """Look at all that syncs of an account rest on, and say what to put right; `print` it.

        That is the stores, the credentials, the clock, the day's calls, and for each stream whether
        its records may be read. HubSpot is asked: one call for the account, and about three for
        each stream. Nothing is changed, and whatever is wrong is a finding and no error.

        Args:
            account_id: The account.

        Raises:
            UnknownAccountError: The domain does not have the account.
        """
        return self._operations.doctor(self._key(account_id))

    def plan(self, account_id: str, streams: Iterable[StreamSettings] | None = None) -> SyncPlan:
        """Say what the next sync will read and cost, before it is made; `print` it.

        Of a new account that is its first load, with *streams* what a change of settings brings:
        a stream that is new is loaded, and one that reads more properties or associations than
        before is compared once. HubSpot is asked: one call for the account, and about three for
        each stream. Nothing is stored.

        Args:
            account_id: The account.
            streams: What to read of it; None for what it reads now.

        Raises:
            ConfigurationError: There is no such object type or property.
            AccessError: HubSpot refuses an object type to the credentials, or there are none.
            RetryableError: HubSpot or a store is away; try again.
            UnknownAccountError: The domain does not have the account.
        """
        account = self.account(account_id).account
        if streams is not None:
            account = evolve(account, streams=streams)
        return self._operations.plan(account)

    def explain(
        self, account_id: str, object_type: str, object_id: str, *, ask_hubspot: bool = False
    ) -> Explanation:
        """Say why one object is in your store as it is, or is not; `print` it.

        The stores are asked; HubSpot is only for the schemas, where *object_type* is the name of
        a custom type, and for the object itself with *ask_hubspot*, which takes one to three calls.

        Args:
            account_id: The account.
            object_type: Name or id of the object type.
            object_id: HubSpot's id of the object.
            ask_hubspot: Whether HubSpot is asked for it, by its id.

        Raises:
            ConfigurationError: There is no such object type, or the id is none.
            StoreUnavailableError: A store stays away.
            UnknownAccountError: The domain does not have the account.
        """
        return self._operations.explain(
            self._key(account_id), object_type, object_id, ask_hubspot=ask_hubspot
        )

    def erase(self, account_id: str, object_type: str, object_ids: Iterable[str]) -> ErasureReport:
        """Forget objects, as a person may ask for: remove them everywhere, and keep them out.

        They are removed from the error queue, from the sink where it has `erase` (all shipped
        ones have), with all that the sink was told of records that were merged into them, and
        from the files of SQLite, of which no byte is left. The sink is told once of each of them,
        by an action of the kind `ActionKind.ERASED` without values. What stays is a tombstone with
        the id: no sync, reconcile or resync brings the object back, as long as HubSpot has it.
        Nothing is deleted at HubSpot.

        Ids that nothing is known of are kept out all the same. Whatever ends it, or where the
        report says that a sink cannot, the same call once more does what is left. A stream that
        is being synced is waited for, ten seconds at most.

        Args:
            account_id: HubSpot's id of the account, digits as text.
            object_type: Name or id of the object type, synced now or in former times; of a custom
                type best its id, for which HubSpot need not be asked.
            object_ids: HubSpot's ids of the objects; one may be given alone.

        Raises:
            ConfigurationError: An id is none, or HubSpot knows no such object type.
            LeaseHeldError: The stream is still being synced; nothing was removed.
            StoreUnavailableError: A store stays away, the engine was stopped, or an SQLite file
                is being read by others, so that its remains could not be removed.
            ActionRejectedError: The sink, or a validator, refuses to be told, and there is no
                error queue; all is removed.
            TooManyRejectedError: The sink refuses to be told, of most objects; all is removed.
        """
        account = self.account(account_id).account
        return self._operations.erase(account, object_type, object_ids)

    def purge(self, account_id: str, *, revoke: bool = True) -> PurgeReport:
        """Forget an account: remove everything that is kept of it, and what it has brought.

        HubSpot is told that the tokens are not used any more, as `disconnect` does. Then the
        credentials go, the refused actions, what the sink has where it has `purge` (all shipped
        ones have), what is known of each object, the progress of all streams, and last the
        account's entry. Other accounts that share the stores are left alone. Numbers stay that
        make old writers fail: the fences of leases and the revisions of the entries.

        An account that is not known is purged too: what is left of it goes. Whatever ends it, the
        same call once more does what is left. Streams that are being synced are waited for, ten
        seconds at most.

        Args:
            account_id: HubSpot's id of the account, digits as text.
            revoke: Whether to tell HubSpot; see `disconnect`.

        Raises:
            LeaseHeldError: A stream is still being synced; nothing was removed.
            StoreUnavailableError: A store stays away, the engine was stopped, or an SQLite file
                is being read by others, so that its remains could not be removed.
        """
        return self._operations.purge(self._key(account_id), revoke=revoke)

    @_counted
    def remove(self, account_id: str) -> None:
        """Forget the account and its credentials here; HubSpot is told nothing.

        What it has brought stays: the sink's content is the host's, and if the account comes back,
        it goes on where it was. `purge` removes that too.
        """
        entry = self.account(account_id)
        # In this order: an account without credentials can be removed again, not the reverse.
        self._operations.credentials.forget(entry.key)
        self._directory.remove(entry.key)

    @property
    def _directory(self) -> Directory:
        return self._operations.directory()

    def _key(self, account_id: str) -> AccountKey:
        return AccountKey(self.domain_id, account_id)

    def _set(self, account_id: str, status: AccountStatus, reason: str | None) -> AccountEntry:
        maybe(is_remark).of("reason", reason)
        now = self._operations.context.clock.now()
        return self._directory.change(
            self._key(account_id), lambda entry: with_status(entry, status, reason, now)
        )
