"""`SyncEngine`: keeps a host's own store in step with HubSpot accounts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from types import TracebackType

from hubspot_sync._clock import Clock, StopSignal
from hubspot_sync._engine.arguments import (
    checked_accounts,
    is_account,
    is_credentials,
    is_number_of_workers,
    is_sync_settings,
)
from hubspot_sync._engine.bookkeeping import Bookkeeping
from hubspot_sync._engine.connecting import Connecting, ConnectingParts
from hubspot_sync._engine.credentials import Safe
from hubspot_sync._engine.directory import Directory
from hubspot_sync._engine.domain import Domain
from hubspot_sync._engine.fleet import Fleet, claimed, due, given, listed
from hubspot_sync._engine.marks import streams_of
from hubspot_sync._engine.operations import Operations
from hubspot_sync._engine.reencrypting import reencrypt
from hubspot_sync._engine.runner import Runner
from hubspot_sync._engine.turns import Turn
from hubspot_sync._events import Broadcaster
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.interfaces import (
    AccountStore,
    ActionSink,
    Checkpointer,
    ErrorQueue,
    Observer,
    SourceFactory,
    TokenStore,
    Validator,
)
from hubspot_sync.interfaces._answers import (
    ACCOUNT_STORE,
    CHECKPOINTER,
    ERROR_QUEUE,
    SINK,
    TOKEN_STORE,
    clock_of,
    guarded,
)
from hubspot_sync.interfaces._parts import (
    is_account_store,
    is_callback,
    is_checkpointer,
    is_clock,
    is_error_queue,
    is_function,
    is_observer,
    is_sink,
    is_token_store,
    is_validator,
)
from hubspot_sync.models import (
    Account,
    AccountEntry,
    Credentials,
    FailureSelection,
    FleetReport,
    RedriveReport,
    ReencryptionReport,
    SyncReport,
    SyncSettings,
)
from hubspot_sync.models._checks import (
    is_choice,
    is_kind,
    is_number,
    is_positive_delay,
    maybe,
)


class SyncEngine:
    """Synchronises HubSpot accounts into an `ActionSink`.

    Threads may share one engine; each `sync` works in threads of its own. One that was closed
    refuses to work with a `ConfigurationError`.
    Most hosts get theirs from `hubspot_sync.embedded_engine` or `hubspot_sync.mongodb_engine`.

    Args:
        open_source: Opens a HubSpot account.
        tokens: Keeps the accounts' credentials.
        sink: Takes what the host is told.
        checkpointer: Keeps how far each stream is.
        accounts: Keeps which accounts there are and how their syncs went; without one, there are
            no domains, and the host says itself what to sync.
        connecting: What accounts are connected with, as `hubspot_sync.hubspot_connecting` gives
            it; without it, `Domain` connects none.
        error_queue: Keeps the actions that are refused; without one, a stream ends before the
            first of them.
        validators: Asked in this order about each action, before the sink.
        observers: Told what happens, in this order.
        settings: How the engine works.
        clock: Time, waiting and randomness; the system's by default.
        on_close: Called once by `close`, to close what was opened for this engine.

    Raises:
        ConfigurationError: An argument is something else, by its class or for want of a method.
    """

    def __init__(
        self,
        *,
        open_source: SourceFactory,
        tokens: TokenStore,
        sink: ActionSink,
        checkpointer: Checkpointer,
        accounts: AccountStore | None = None,
        connecting: ConnectingParts | None = None,
        error_queue: ErrorQueue | None = None,
        validators: Sequence[Validator] = (),
        observers: Sequence[Observer] = (),
        settings: SyncSettings | None = None,
        clock: Clock | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        is_function.of("open_source", open_source)
        is_token_store.of("tokens", tokens)
        is_sink.of("sink", sink)
        is_checkpointer.of("checkpointer", checkpointer)
        maybe(is_account_store).of("accounts", accounts)
        maybe(is_kind(ConnectingParts, such_as="hubspot_connecting(...)")).of(
            "connecting", connecting
        )
        maybe(is_error_queue).of("error_queue", error_queue)
        validators = is_validator.each_of("validators", validators)
        observers = is_observer.each_of("observers", observers)
        is_sync_settings.of("settings", settings)
        maybe(is_clock).of("clock", clock)
        maybe(is_callback).of("on_close", on_close)
        self._connecting = connecting
        self._clock = clock_of(clock)
        self._operations = Operations(on_close)
        self._stop = StopSignal()
        notify = Broadcaster(observers).notify
        self._runner = Runner(
            open_source=open_source,
            sink=guarded(sink, SINK),
            checkpointer=guarded(checkpointer, CHECKPOINTER),
            error_queue=None if error_queue is None else guarded(error_queue, ERROR_QUEUE),
            validators=validators,
            settings=settings or SyncSettings(),
            clock=self._clock,
            notify=notify,
        )
        self._safe = Safe(
            store=guarded(tokens, TOKEN_STORE), retrier=self._runner.store_retrier(self._stop)
        )
        self._bookkeeping = (
            None
            if accounts is None
            else Bookkeeping(
                directory=Directory(
                    store=guarded(accounts, ACCOUNT_STORE),
                    retrier=self._runner.store_retrier(self._stop),
                    notify=notify,
                ),
                clock=self._clock,
                notify=notify,
            )
        )

    def for_domain(self, domain_id: str) -> Domain:
        """The accounts of one tenant, and a handle that reaches no others.

        Args:
            domain_id: The tenant, as the host names it: 1 to 200 characters. One that has no
                accounts yet is as good as any.

        Raises:
            ConfigurationError: The engine has no account store, or *domain_id* is no such text.
        """
        return Domain(
            domain_id=domain_id,
            engine=self,
            operations=self._operations,
            directory=self._books().directory,
            connecting=self._connect_accounts,
            safe=self._safe,
            error_queue=self._runner.queue,
            clock=self._clock,
        )

    def connect(self, account: Account, credentials: Credentials) -> None:
        """Store the credentials that open *account*, in place of any that were stored.

        That is all: for hosts that keep their accounts themselves and call `sync(account)`. What
        `run`, `sync_all` and `Domain` are to work with has to be in the account store too, where
        `for_domain(...).connect` or `.add` puts it. Nothing is sent to HubSpot; the first `sync`
        proves that they open this very account.

        Raises:
            ConfigurationError: *account* is no `Account`, or *credentials* are none, such as a
                token as mere text.
            StoreUnavailableError: The token store is away.
        """
        is_account.of("account", account)
        is_credentials.of("credentials", credentials)
        with self._operations.under_way(f"connect {account.key}"):
            self._safe.replace(account.key, credentials)

    def sync(self, account: Account, *, at_most: timedelta | None = None) -> SyncReport:
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
            at_most: End after about this long with all that was read stored and the status
                "stopped"; the next run goes on from there. Give minutes: what is too short for
                one page leads nowhere.

        Returns:
            What was read and what became of it, per stream.

        Raises:
            NotConnectedError: There are no credentials for the account; nothing was done.
            ConfigurationError: *account* is no `Account`, or *at_most* is not above zero; nothing
                was done.
            StoreUnavailableError: The token store stays away; nothing was done.
            InvariantError: The token store raised what it may not; nothing was done.
            BaseException: What is no `Exception` and came out of a sink or an observer, such as
                `KeyboardInterrupt`, when observers were told of the end.
        """
        is_account.of("account", account)
        until = self._until(at_most)
        with self._operations.under_way(f"sync {account.key}"):
            started_at = self._clock.now()
            report = self._runner.sync(account, until)
            if self._bookkeeping is not None:
                self._bookkeeping.note(report, started_at)
            return report

    def reconcile(self, account: Account, object_types: Iterable[str] | None = None) -> None:
        """Let the next sync compare all records with what was delivered, due or not.

        Nothing is asked of HubSpot: a mark is set in the checkpoints, and stays until all records
        of the stream were compared and it is up to date, whatever ends the syncs meanwhile. To ask
        again before that is to ask for the same. A new stream is read as a whole in any case. A
        stream that is being synced is waited for, ten seconds at most.

        Args:
            account: The account.
            object_types: Names or ids of some of its object types; all by default.

        Raises:
            ConfigurationError: *account* is no `Account`, or has no stream of an object type.
            LeaseHeldError: A stream is still being synced; the others are marked.
            StoreUnavailableError: The checkpointer stays away, or the engine was stopped.
        """
        self._mark("reconcile", account, object_types, redeliver=False)

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
        self._mark("resync", account, object_types, redeliver=True)

    def _mark(
        self,
        name: str,
        account: Account,
        object_types: Iterable[str] | None,
        *,
        redeliver: bool,
    ) -> None:
        is_account.of("account", account)
        streams = streams_of(account, object_types)
        with self._operations.under_way(f"{name} {account.key}"):
            self._runner.mark(streams, self._stop, redeliver=redeliver)

    def sync_all(
        self,
        domain_id: str | None = None,
        *,
        due_only: bool = False,
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
            due_only: Only accounts whose `next_sync_at` has come; each is claimed, so that of
                several processes that do this at once one begins it.
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
        self._operations.check_open()
        if accounts is not None and (domain_id is not None or due_only):
            raise ConfigurationError("give either accounts, or domain_id and due_only")
        is_choice.of("due_only", due_only)
        maybe(is_callback).of("on_report", on_report)
        fleet = self._fleet(workers)
        if accounts is not None:
            supply = given(checked_accounts(accounts))
        else:
            books = self._books()
            if domain_id is not None:
                domain_id = self.for_domain(domain_id).domain_id
            supply = (
                due(books, domain_id, limit=workers)
                if due_only
                else listed(books.directory, domain_id)
            )
        with self._operations.under_way("sync_all"):
            if accounts is None:
                books.directory.warn_if_empty()
            return fleet.sync(supply, on_report)

    def run(self, *, workers: int = 8, poll_every: timedelta = timedelta(seconds=10)) -> None:
        """Sync accounts whenever they are due, until `stop()`; for hosts without a scheduler.

        As `sync_all(due_only=True)`, for ever. Accounts come from the account store, where
        `for_domain(...).connect` or `.add` puts them; while it has none, a warning is logged once.
        Several processes may do it on one account store. Observers are told of each account that
        is done (`AccountFinished`). While the account store is away it waits.

        Args:
            workers: How many accounts are worked on at once.
            poll_every: How often to look for accounts that are due.

        Raises:
            ConfigurationError: An argument is not above zero, or there is no account store.
            OAuthAppError: HubSpot does not accept the app; no account can go on.
        """
        self._operations.check_open()
        is_positive_delay.of("poll_every", poll_every)
        fleet, books = self._fleet(workers), self._books()
        with self._operations.under_way("run"):
            fleet.run(books, poll_every)

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
        self._operations.check_open()
        is_positive_delay.of("claim_for", claim_for)
        is_number.of("limit", limit)
        if domain_id is not None:
            domain_id = self.for_domain(domain_id).domain_id
        due_now = claimed(self._books(), domain_id, limit=limit, claim_for=claim_for)
        return self._operations.steps("claim_due", islice(due_now, limit))

    def redrive(
        self,
        account: Account,
        *,
        object_type: str | None = None,
        reason: str | None = None,
        object_ids: Iterable[str] | None = None,
        dead: bool | None = None,
    ) -> RedriveReport:
        """Try refused actions again, due or not; all of the account, or those that fit.

        Nothing is asked of HubSpot. It works under the leases of the streams, one after the
        other, so it never meets a sync; a stream that somebody syncs just now is reported as
        busy. What is refused once more stays in the error queue.

        Args:
            account: The account.
            object_type: Name or id of an object type.
            reason: A reason, word for word as it is in the error queue.
            object_ids: HubSpot's ids of objects.
            dead: True for dead letters only, False for all others only.

        Returns:
            What became of them, per stream.

        Raises:
            ConfigurationError: The engine has no error queue, or *account* is no `Account`.
            StoreUnavailableError: The error queue stays away; nothing was done. What goes away
                later on is in the report.
        """
        is_account.of("account", account)
        selection = FailureSelection(
            account=account.key,
            object_type=object_type,
            reason=reason,
            object_ids=object_ids,
            dead=dead,
        )
        with self._operations.under_way(f"redrive {account.key}"):
            return self._runner.redrive(selection, self._stop)

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
        with self._operations.under_way("reencrypt"):
            return reencrypt(self._safe, self._stop)

    def _until(self, at_most: timedelta | None) -> threading.Event:
        """What ends a run: the engine's stop, or the end of its time."""
        if at_most is None:
            return self._stop
        is_positive_delay.of("at_most", at_most)
        ends = self._clock.monotonic() + at_most.total_seconds()
        return Turn(self._stop, lambda: self._clock.monotonic() >= ends, self._clock)

    def _fleet(self, workers: int) -> Fleet:
        is_number_of_workers.of("workers", workers)
        return Fleet(runner=self._runner, books=self._bookkeeping, stop=self._stop, workers=workers)

    def _connect_accounts(self) -> Connecting:
        if self._connecting is None:
            raise ConfigurationError(
                "this engine cannot connect accounts; give it "
                "SyncEngine(connecting=hubspot_connecting(...))"
            )
        return Connecting(
            parts=self._connecting,
            directory=self._books().directory,
            safe=self._safe,
            clock=self._clock,
        )

    def _books(self) -> Bookkeeping:
        if self._bookkeeping is None:
            raise ConfigurationError(
                "this engine has no account store; give it one with SyncEngine(accounts=...)"
            )
        return self._bookkeeping

    def stop(self) -> None:
        """End all runs soon, each with all that it has read stored; later runs end at once.

        Returns immediately; `sync` returns when its run has ended. May be called from a signal
        handler and from any thread. Twice: nothing more happens.
        """
        self._stop.set()

    def close(self) -> None:
        """Stop, wait for what runs, and close what was opened for this engine.

        So no run loses its database before it has stored what it read and given its leases back.
        What begins from now on is refused. It waits for 30 seconds at most; then the log says what
        is still at work, and the end of that closes. Called from inside a run, as by an observer
        or a signal handler, it cannot wait for itself: it returns, and the end of the run closes.
        May be called from any thread. Twice: nothing more happens.
        """
        self.stop()
        self._operations.close()

    def __enter__(self) -> SyncEngine:  # noqa: PYI034 - Python has `Self` from 3.11 on
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
