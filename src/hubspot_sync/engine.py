"""`SyncEngine`: keeps a host's own store in step with HubSpot accounts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

from attrs import evolve

from hubspot_sync._clock import Clock, StopSignal
from hubspot_sync._consent import ConsentDesk
from hubspot_sync._engine.account.connect import Connections
from hubspot_sync._engine.account.credentials import AccountCredentials
from hubspot_sync._engine.account.directory import Directory
from hubspot_sync._engine.context import RunContext
from hubspot_sync._engine.domain import Domain
from hubspot_sync._engine.lifetime import Lifetime
from hubspot_sync._engine.operations import Operations, is_account
from hubspot_sync._events import Broadcaster, LoggingObserver
from hubspot_sync._hubspot.connector import HubSpotConnector
from hubspot_sync._hubspot.credentials.connect import HubSpotOAuth, HubSpotProbe
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.interfaces import (
    AccountStore,
    ActionSink,
    Checkpointer,
    ErrorQueue,
    NonceStore,
    Observer,
    SourceFactory,
    TokenStore,
    Validator,
)
from hubspot_sync.interfaces._answers import (
    ACCOUNT_STORE,
    CHECKPOINTER,
    ERROR_QUEUE,
    NONCE_STORE,
    SINK,
    TOKEN_STORE,
    clock_of,
    guarded,
)
from hubspot_sync.interfaces._parts import is_clock, is_function, is_observer, is_validator
from hubspot_sync.models import (
    Account,
    AccountEntry,
    Credentials,
    FleetReport,
    Health,
    HubSpotSettings,
    OAuthApp,
    RedriveReport,
    ReencryptionReport,
    RejectedSelection,
    SyncReport,
    SyncSettings,
)
from hubspot_sync.models._checks import is_kind, maybe
from hubspot_sync.stores import Stores

_is_stores = is_kind(Stores, such_as='SqliteStores("crm.db"), of hubspot_sync.stores.sqlite')


class SyncEngine:
    """Synchronises HubSpot accounts into an `ActionSink`.

    Threads may share one engine; each `sync` works in threads of its own. One that was closed
    refuses to work with a `ConfigurationError`. It takes *stores* over: `close` closes what they
    opened, and so does the constructor when it refuses an argument.

    Args:
        stores: Keep what the engine knows and what it delivers, such as
            `hubspot_sync.stores.sqlite.SqliteStores("crm.db")`.
        tokens: Keeps the accounts' credentials, in place of that of *stores*.
        sink: Takes the actions, in place of that of *stores*; a host's own as a rule.
        checkpointer: Keeps how far each stream is, in place of that of *stores*.
        accounts: Keeps which accounts there are and how their syncs went, in place of that of
            *stores*.
        nonces: Remembers which consents were used, in place of that of *stores*.
        error_queue: Keeps the actions that are refused, in place of that of *stores*.
        validators: Asked in this order about each action, before the sink.
        observers: Told what happens, in this order; None logs it.
        oauth_app: The OAuth app, for accounts connected by OAuth.
        hubspot: How to talk to HubSpot.
        settings: How the engine works.
        clock: Time, waiting and randomness; the system's by default.
        open_source: Opens accounts, in place of what talks to HubSpot; for tests.

    Raises:
        ConfigurationError: An argument is something else, by its class or for want of a method.
    """

    def __init__(
        self,
        stores: Stores,
        *,
        tokens: TokenStore | None = None,
        sink: ActionSink | None = None,
        checkpointer: Checkpointer | None = None,
        accounts: AccountStore | None = None,
        nonces: NonceStore | None = None,
        error_queue: ErrorQueue | None = None,
        validators: Sequence[Validator] = (),
        observers: Sequence[Observer] | None = None,
        oauth_app: OAuthApp | None = None,
        hubspot: HubSpotSettings | None = None,
        settings: SyncSettings | None = None,
        clock: Clock | None = None,
        open_source: SourceFactory | None = None,
    ) -> None:
        _is_stores.of("stores", stores)
        try:
            maybe(is_kind(OAuthApp)).of("oauth_app", oauth_app)
            maybe(is_kind(HubSpotSettings)).of("hubspot", hubspot)
            maybe(is_kind(SyncSettings)).of("settings", settings)
            maybe(is_clock).of("clock", clock)
            maybe(is_function).of("open_source", open_source)
            replaced: dict[str, Any] = {
                "tokens": tokens,
                "sink": sink,
                "checkpointer": checkpointer,
                "accounts": accounts,
                "nonces": nonces,
                "error_queue": error_queue,
            }
            self._stores = evolve(
                stores, **{name: one for name, one in replaced.items() if one is not None}
            )
            self._operations = _wired(
                self._stores,
                validators=is_validator.each_of("validators", validators),
                observers=(
                    (LoggingObserver(),)
                    if observers is None
                    else is_observer.each_of("observers", observers)
                ),
                oauth_app=oauth_app,
                hubspot=hubspot or HubSpotSettings(),
                settings=settings or SyncSettings(),
                clock=clock_of(clock),
                open_source=open_source,
            )
        except BaseException:
            stores.close()
            raise

    def __repr__(self) -> str:
        return f"SyncEngine({self._stores!r})"

    def domain(self, domain_id: str) -> Domain:
        """The accounts of one tenant, and a handle that reaches no others.

        Args:
            domain_id: The tenant, as the host names it: 1 to 200 characters. It need not have
                accounts yet.

        Raises:
            ConfigurationError: The engine has no account store, or *domain_id* is no such text.
        """
        self._operations.directory()
        return Domain(domain_id=domain_id, operations=self._operations)

    def store_credentials(self, account: Account, credentials: Credentials) -> None:
        """Store the credentials that open *account*, in place of any that were stored.

        That is all: for hosts that keep their accounts themselves and call `sync(account)`. What
        `run`, `sync_all` and `Domain` are to work with has to be in the account store too, where
        `domain(...).connect` or `.add` puts it. Nothing is sent to HubSpot; the first `sync`
        proves that they open this very account.

        Raises:
            ConfigurationError: *account* is no `Account`, or *credentials* are none, such as a
                token as mere text.
            StoreUnavailableError: The token store is away.
        """
        self._operations.store_credentials(account, credentials)

    def sync(self, account: Account, *, time_limit: timedelta | None = None) -> SyncReport:
        """Bring the sink up to date with *account*: all of it the first time, then what changed.

        Streams run one after the other. Each continues where its last run ended, however that
        ended. What goes wrong on the way is in the report, whose `raise_for_failure` turns it
        into an exception; one stream's missing scope does not keep the others from running.

        HubSpot changes some things without moving the modified date: calculated properties, and
        associations. Those are found when a reconcile pass compares all records, which is due
        every `SyncSettings.reconcile_every`, or when `reconcile` asks for it, and costs a call for
        100 records.

        With an account store, the account's entry there is brought up to date, if it has one.
        Its status is not asked for; `Domain.sync` asks.

        Args:
            account: The account.
            time_limit: End after about this long with all that was read stored and the status
                "stopped"; the next run goes on from there. Give minutes: what is too short for
                one page leads nowhere.

        Returns:
            What was read and what became of it, per stream.

        Raises:
            NotConnectedError: There are no credentials for the account; nothing was done.
            ConfigurationError: *account* is no `Account`, or *time_limit* is not above zero;
                nothing was done.
            StoreUnavailableError: The token store stays away; nothing was done.
            InvariantError: The token store raised what it may not; nothing was done.
            BaseException: What is no `Exception` and came out of a sink or an observer, such as
                `KeyboardInterrupt`, when observers were told of the end.
        """
        return self._operations.sync(account, time_limit)

    def reconcile(self, account: Account, object_types: Iterable[str] | None = None) -> None:
        """Let the next sync compare all records with what was delivered, due or not.

        A mark is set in the checkpoints, and stays until all records of the stream were compared
        and it is up to date, whatever ends the syncs meanwhile. To ask again before that is to ask
        for the same. A new stream is read as a whole in any case. A stream that is being synced is
        waited for, ten seconds at most. HubSpot is asked only which custom type a name means.

        Args:
            account: The account.
            object_types: Names or ids of some of its object types; all by default.

        Raises:
            ConfigurationError: *account* is no `Account`, or has no stream of an object type.
            LeaseHeldError: A stream is still being synced; the others are marked.
            StoreUnavailableError: The checkpointer stays away, or the engine was stopped.
        """
        self._operations.mark("reconcile", account, object_types, redeliver=False)

    def resync(self, account: Account, object_types: Iterable[str] | None = None) -> None:
        """Let the next sync deliver all records again, to a sink that was emptied or restored.

        As `reconcile`, but each object comes as a creation, known or not. What the sink holds
        comes with the id that it had, and is repeated; what it holds in another version comes as
        an update. What waits in the error queue is tried again by the same pass. To ask again
        before it is done is to begin again.

        Args:
            account: The account.
            object_types: Names or ids of some of its object types; all by default.

        Raises:
            ConfigurationError: *account* is no `Account`, or has no stream of an object type.
            LeaseHeldError: A stream is still being synced; the others are marked.
            StoreUnavailableError: The checkpointer stays away, or the engine was stopped.
        """
        self._operations.mark("resync", account, object_types, redeliver=True)

    def sync_all(
        self,
        domain_id: str | None = None,
        *,
        workers: int = 8,
        accounts: Iterable[Account] | None = None,
        on_report: Callable[[SyncReport], None] | None = None,
    ) -> FleetReport:
        """Sync many accounts, *workers* at once, until each had what it needs.

        Domains take turns, and so do accounts: while others wait, an account is worked on for
        `SyncSettings.turn` at a time, and those that need several turns get half of the workers
        at most. So a first load of millions of records keeps nobody waiting until its end. What
        goes wrong with an account is in its report and touches no other. While the account store
        has no accounts at all, nothing is synced, and a warning is logged once.

        Args:
            domain_id: Only the accounts of this tenant.
            workers: How many accounts are worked on at once; each takes up to eleven threads and
                queues of its own.
            accounts: These accounts, instead of the active ones in the account store.
            on_report: Called in this thread with the report of each account when it is done. What
                it raises ends the sync, and is raised when all has been put down in good order.

        Raises:
            ConfigurationError: The arguments do not fit together, or there is no account store.
            OAuthAppError: HubSpot does not accept the app; no account can go on.
            StoreUnavailableError: The account store stays away.
            BaseException: What is no `Exception` and came out of a sink or an observer, or a
                signal, when all accounts are put down and due again.
        """
        if accounts is None:
            return self._operations.sync_all(domain_id, workers, on_report)
        if domain_id is not None:
            raise ConfigurationError("give either accounts or domain_id")
        return self._operations.sync_given(accounts, workers, on_report)

    def sync_due(
        self,
        domain_id: str | None = None,
        *,
        workers: int = 8,
        on_report: Callable[[SyncReport], None] | None = None,
    ) -> FleetReport:
        """Sync the accounts that are due: active, and their `next_sync_at` has come.

        For a scheduler that calls it every minute. As `sync_all`, but each account is claimed, so
        that of several processes that do this at once one begins it.

        Args:
            domain_id: Only the accounts of this tenant.
            workers: How many accounts are worked on at once.
            on_report: Called in this thread with the report of each account when it is done.

        Raises:
            ConfigurationError: An argument is something else, or there is no account store.
            OAuthAppError: HubSpot does not accept the app; no account can go on.
            StoreUnavailableError: The account store stays away.
            BaseException: As in `sync_all`.
        """
        return self._operations.sync_due(domain_id, workers, on_report)

    def run(self, *, workers: int = 8, poll_every: timedelta = timedelta(seconds=10)) -> None:
        """Loop until `stop()`, and sync accounts whenever they are due.

        For hosts without a scheduler. Accounts come from the account store, where
        `domain(...).connect` or `.add` puts them; while it has none, a warning is logged once.
        Several processes may do it on one account store. Observers are told of each account that
        is done (`AccountFinished`). While the account store is away it waits.

        Args:
            workers: How many accounts are worked on at once.
            poll_every: How often to look for accounts that are due.

        Raises:
            ConfigurationError: An argument is not above zero, or there is no account store.
            OAuthAppError: HubSpot does not accept the app; no account can go on.
        """
        self._operations.run(workers, poll_every)

    def claim_due(
        self, *, claim_for: timedelta, limit: int, domain_id: str | None = None
    ) -> Iterator[AccountEntry]:
        """Give accounts that are due, for hosts that have workers of their own sync them.

        Each is claimed when it is given out: several processes may ask at once, and none gets
        what another has. When nobody has synced it after *claim_for*, it is due again, so none is
        lost. Domains take turns. What is not taken from the iterator is not claimed.

        Args:
            claim_for: How long the sync may take to come to its end.
            limit: How many accounts at most.
            domain_id: Only those of this tenant.

        Raises:
            ConfigurationError: An argument is not above zero, or there is no account store.
            StoreUnavailableError: The account store stays away.
        """
        return self._operations.claim_due(domain_id, claim_for, limit)

    def health(self) -> Health:
        """How complete and fresh every account of every domain is, and what to do where it is not.

        It is worked out from the stores each time and never kept, so it is right, too, for
        accounts that no worker looks after any more. Nothing is asked of HubSpot. The stores are
        asked about 200 accounts at once; `Domain.health` does it for one tenant or account.

        Raises:
            ConfigurationError: There is no account store.
            StoreUnavailableError: A store stays away.
        """
        return self._operations.health(None)

    def redrive(
        self,
        account: Account,
        *,
        object_type: str | None = None,
        reason: str | None = None,
        object_ids: Iterable[str] | None = None,
        parked: bool | None = None,
    ) -> RedriveReport:
        """Try refused actions again, due or not; all of the account, or those that fit.

        HubSpot is asked only which custom type a name means. It works under the leases of the
        streams, one after the other, so it never meets a sync; a stream that somebody syncs just
        now is reported as busy. What is refused once more stays in the error queue.

        Args:
            account: The account.
            object_type: Name or id of an object type.
            reason: A reason, word for word as it is in the error queue.
            object_ids: HubSpot's ids of objects.
            parked: True for parked actions only, False for all others only.

        Returns:
            What became of them, per stream.

        Raises:
            ConfigurationError: The engine has no error queue, or *account* is no `Account`.
            StoreUnavailableError: The error queue stays away; nothing was done. What goes away
                later on is in the report.
        """
        is_account.of("account", account)
        selection = RejectedSelection(
            account=account.key,
            object_type=object_type,
            reason=reason,
            object_ids=object_ids,
            parked=parked,
        )
        return self._operations.redrive(selection)

    def reencrypt(self) -> ReencryptionReport:
        """Seal the stored credentials of all accounts again under the primary encryption key.

        Syncs may run meanwhile, in this and in other processes: each account's credentials are
        replaced only by themselves, and again if somebody refreshed them in between. Twice: they
        are sealed once more.

        Returns:
            How many there were, and what went wrong with which account; that one is as it was.

        Raises:
            ConfigurationError: The token store cannot say which accounts it has; see
                `hubspot_sync.interfaces.TokenStoreAdmin`.
            StoreUnavailableError: The token store is away.
        """
        return self._operations.reencrypt()

    def stop(self) -> None:
        """End all runs soon, each with all that it has read stored; later runs end at once.

        Returns immediately; `sync` returns when its run has ended. May be called from a signal
        handler and from any thread. Twice: nothing more happens.
        """
        self._operations.context.stop.set()

    def close(self) -> None:
        """Stop, wait for what runs, and close what was opened for this engine.

        So no run loses its database before it has stored what it read and given its leases back.
        What begins from now on is refused. It waits for 30 seconds at most; then the log says what
        is still at work, and the end of that closes. Called from inside a run, as by an observer
        or a signal handler, it cannot wait for itself: it returns, and the end of the run closes.
        May be called from any thread. Twice: nothing more happens.
        """
        self.stop()
        self._operations.lifetime.close()

    def __enter__(self) -> SyncEngine:  # noqa: PYI034 - Python has `Self` from 3.11 on
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _wired(
    stores: Stores,
    *,
    validators: Sequence[Validator],
    observers: Sequence[Observer],
    oauth_app: OAuthApp | None,
    hubspot: HubSpotSettings,
    settings: SyncSettings,
    clock: Clock,
    open_source: SourceFactory | None,
) -> Operations:
    """Put the engine together from parts that were checked."""
    stop, notify = StopSignal(), Broadcaster(observers).notify
    tokens = guarded(stores.tokens, TOKEN_STORE)
    if open_source is None:
        open_source = HubSpotConnector(settings=hubspot, tokens=tokens, app=oauth_app, clock=clock)
    context = RunContext(
        open_source=open_source,
        sink=guarded(stores.sink, SINK),
        checkpointer=guarded(stores.checkpointer, CHECKPOINTER),
        error_queue=(
            None if stores.error_queue is None else guarded(stores.error_queue, ERROR_QUEUE)
        ),
        validators=validators,
        settings=settings,
        clock=clock,
        stop=stop,
        notify=notify,
    )
    credentials = AccountCredentials(context=context, store=tokens)
    directory = connections = None
    if stores.accounts is not None:
        directory = Directory(context=context, store=guarded(stores.accounts, ACCOUNT_STORE))
        connections = Connections(
            probe=HubSpotProbe(settings=hubspot, clock=clock),
            provider=(
                HubSpotOAuth(app=oauth_app, settings=hubspot, clock=clock) if oauth_app else None
            ),
            desk=_consents(stores.nonces, oauth_app, clock),
            directory=directory,
            credentials=credentials,
            clock=clock,
        )
    return Operations(
        context=context,
        credentials=credentials,
        directory=directory,
        connections=connections,
        lifetime=Lifetime(stores.close),
    )


def _consents(
    nonces: NonceStore | None, oauth_app: OAuthApp | None, clock: Clock
) -> ConsentDesk | None:
    """What remembers the consents that people are asked for; None without an app to consent to."""
    if oauth_app is None or nonces is None:
        return None
    return ConsentDesk(app=oauth_app, nonces=guarded(nonces, NONCE_STORE), clock=clock)
