"""`Domain`: one tenant's accounts, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from hubspot_sync._clock import Clock, later
from hubspot_sync._engine.account_access import AccountAccess, counted
from hubspot_sync._engine.connecting import Wishes
from hubspot_sync._engine.credentials import Safe
from hubspot_sync._engine.entries import altered, status_in_words, with_account, with_status
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.interfaces import ErrorQueue
from hubspot_sync.models import (
    Account,
    AccountEntry,
    AccountStatus,
    Failure,
    FailureSelection,
    FleetReport,
    RedriveReport,
    StreamSettings,
    SyncReport,
)
from hubspot_sync.models._checks import is_delay, is_remark, maybe

_FAILURES_PAGE: Final = 100

if TYPE_CHECKING:  # it makes domains, so it cannot be there first
    from hubspot_sync._engine.engine import SyncEngine


@frozen(kw_only=True, eq=False)
class Domain(AccountAccess):
    """One tenant's accounts; `SyncEngine.for_domain` gives one.

    Accounts are named by their ids alone, so nothing of another domain can be reached from here.
    Threads may share it. Every method that takes an *account_id* raises `UnknownAccountError`
    where the domain has no such account, and `StoreUnavailableError` when the account store stays
    away.

    Attributes:
        domain_id: The tenant, as the host names it.
    """

    _engine: SyncEngine = field(repr=False)
    _safe: Safe = field(repr=False)
    _error_queue: Callable[[], ErrorQueue] = field(repr=False)
    _clock: Clock = field(repr=False)

    @counted
    def add(
        self,
        account_id: str,
        *,
        streams: Iterable[StreamSettings] | None = None,
        sync_every: timedelta | None = None,
        name: str | None = None,
    ) -> AccountEntry:
        """Keep an account that the domain does not have yet; it is due at once.

        Without credentials, which `SyncEngine.connect` stores; `connect` does both.

        Args:
            account_id: HubSpot's id of the account, digits as text.
            streams: What to read of it; see `Account`.
            sync_every: How often; see `Account`.
            name: What people call it.

        Raises:
            ConfigurationError: The domain has it already.
        """
        wishes = Wishes(streams=streams, sync_every=sync_every, name=name)
        now = self._clock.now()
        key = self._key(account_id)
        account = altered(Account(account_id=key.account_id, domain_id=key.domain_id), wishes)
        return self._directory.add(
            AccountEntry(account=account, name=name, status_since=now, next_sync_at=now)
        )

    @counted
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
        wishes = Wishes(streams=streams, sync_every=sync_every, name=name)
        now = self._clock.now()

        def change(entry: AccountEntry) -> AccountEntry:
            account = altered(entry.account, wishes)
            return evolve(with_account(entry, account, now), name=name or entry.name)

        return self._directory.change(self._key(account_id), change)

    @counted
    def pause(self, account_id: str, *, reason: str | None = None) -> AccountEntry:
        """Sync the account only when it is asked for by name, until `resume`.

        A sync that runs just now goes on to its end.
        """
        return self._set(account_id, AccountStatus.PAUSED, reason)

    @counted
    def resume(self, account_id: str) -> AccountEntry:
        """Make the account active and due at once; one that is active stays as it is.

        Raises:
            NotConnectedError: It was disconnected, or never connected; connect it instead, which
                makes it active by itself.
        """
        now = self._clock.now()

        def change(entry: AccountEntry) -> AccountEntry:
            # Asked at each try: whoever disconnects it meanwhile changes the entry.
            if entry.status is not AccountStatus.ACTIVE:
                self._safe.require(entry.key, f"the account is {status_in_words(entry)}")
            return with_status(entry, AccountStatus.ACTIVE, None, now)

        return self._directory.change(self._key(account_id), change)

    @counted
    def disable(self, account_id: str, *, reason: str | None = None) -> AccountEntry:
        """Do not sync the account at all, not even when asked to, until `resume`.

        A sync that runs just now goes on to its end.
        """
        return self._set(account_id, AccountStatus.DISABLED, reason)

    @counted
    def postpone(self, account_id: str, by: timedelta) -> AccountEntry:
        """Let an active account be due not before *by* has passed; its next sync decides again.

        For hosts that have a sync of it in hand, so that nobody begins another one meanwhile.
        """
        is_delay.of("by", by)
        now = self._clock.now()

        def change(entry: AccountEntry) -> AccountEntry:
            active = entry.status is AccountStatus.ACTIVE
            return entry.due_from(later(now, by), now) if active else entry

        return self._directory.change(self._key(account_id), change)

    @counted
    def sync(self, account_id: str, *, at_most: timedelta | None = None) -> SyncReport:
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
            self._safe.require(entry.key, disabled)
            raise ConfigurationError(f"{disabled}; call resume first", account=str(entry.key))
        return self._engine.sync(entry.account, at_most=at_most)

    def reconcile(self, account_id: str, object_types: Iterable[str] | None = None) -> None:
        """Let the next sync of one account compare all records; see `SyncEngine.reconcile`."""
        self._engine.reconcile(self.account(account_id).account, object_types)

    def resync(self, account_id: str, object_types: Iterable[str] | None = None) -> None:
        """Let the next sync of one account deliver all again; see `SyncEngine.resync`."""
        self._engine.resync(self.account(account_id).account, object_types)

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
        return self._operations.steps("failures", _pages(self._error_queue(), selection))

    @counted
    def failure_counts(self, account_id: str) -> Mapping[str, int]:
        """How many refused actions of one account wait, dead letters included, by object type.

        Raises:
            ConfigurationError: The engine has no error queue.
        """
        selection = FailureSelection(account=self.account(account_id).key)
        return self._error_queue().count(selection)

    @counted
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
        maybe(is_remark).of("reason", reason)
        now = self._clock.now()
        return self._directory.change(
            self._key(account_id), lambda entry: with_status(entry, status, reason, now)
        )


def _pages(queue: ErrorQueue, selection: FailureSelection) -> Iterator[Failure]:
    after: Failure | None = None
    while page := queue.browse(selection, limit=_FAILURES_PAGE, after=after):
        yield from page
        after = page[-1]
