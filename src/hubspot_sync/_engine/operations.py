"""What a host asks an engine for; `SyncEngine` and `Domain` both work with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import islice

from attrs import evolve, frozen

from hubspot_sync._engine.account.connect import Connections
from hubspot_sync._engine.account.credentials import AccountCredentials, reencrypt
from hubspot_sync._engine.account.directory import Directory
from hubspot_sync._engine.account.doctor import diagnose
from hubspot_sync._engine.account.explain import explain
from hubspot_sync._engine.account.health import account_health, health_of
from hubspot_sync._engine.account.names import (
    canonical_names,
    label_of,
    object_types,
    streams_of,
)
from hubspot_sync._engine.account.plan import plan
from hubspot_sync._engine.account.purge import Purge
from hubspot_sync._engine.account.redrive import redrive
from hubspot_sync._engine.account.run import sync_account
from hubspot_sync._engine.context import RunContext
from hubspot_sync._engine.fleet.fleet import Fleet, claimed, due, given, listed
from hubspot_sync._engine.fleet.turns import Turn
from hubspot_sync._engine.lifetime import Lifetime
from hubspot_sync._engine.stream.erasure import erase
from hubspot_sync._engine.stream.marks import confirm, mark
from hubspot_sync._engine.stream.rejected import browsed
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.interfaces._parts import is_callback
from hubspot_sync.models import (
    Account,
    AccountEntry,
    AccountHealth,
    AccountKey,
    Credentials,
    Diagnosis,
    ErasureReport,
    Explanation,
    FleetReport,
    Health,
    OAuthTokens,
    ObjectType,
    PurgeReport,
    RedriveReport,
    ReencryptionReport,
    RejectedAction,
    RejectedSelection,
    StaticAccessToken,
    StreamKey,
    SyncPlan,
    SyncReport,
    canonical_object_type,
)
from hubspot_sync.models._checks import (
    Check,
    id_of,
    ids_of,
    is_choice,
    is_kind,
    is_list,
    is_number,
    is_positive_delay,
    is_text_key,
    is_whole,
    kind_of,
    maybe,
)

is_account = is_kind(
    Account, such_as="Account(account_id=...); domain(...) has methods that take an id alone"
)
is_credentials = Check(
    lambda value: isinstance(value, (StaticAccessToken, OAuthTokens)),
    "StaticAccessToken(access_token=...), or OAuthTokens(refresh_token=...)",
    shown=False,
)
# Each of them takes up to a dozen threads.
_is_number_of_workers = is_whole(1, 1_000)


@frozen(kw_only=True, eq=False)
class Operations:
    """Checks what is asked for, and does it while the engine is open; threads may share it.

    Attributes:
        context: What all runs work with.
        credentials: Keeps what opens the accounts.
        lifetime: Counts what is under way.
    """

    context: RunContext
    credentials: AccountCredentials
    _directory: Directory | None
    _connections: Connections | None
    lifetime: Lifetime

    def store_credentials(self, account: Account, credentials: Credentials) -> None:
        """Store the credentials that open *account*."""
        is_account.of("account", account)
        is_credentials.of("credentials", credentials)
        with self.lifetime.under_way(f"store_credentials {account.key}"):
            self.credentials.replace(account.key, credentials)

    def sync(self, account: Account, time_limit: timedelta | None) -> SyncReport:
        """Bring the sink up to date with *account*, and its entry with how that went."""
        is_account.of("account", account)
        until = self._until(time_limit)
        with self.lifetime.under_way(f"sync {account.key}"):
            started_at = self.context.clock.now()
            report = sync_account(self.context.until(until), account)
            if self._directory is not None:
                self._directory.note(report, started_at)
            return report

    def health(self, domain_id: str | None) -> Health:
        """How the accounts of one domain are, or those of all domains."""
        with self.lifetime.under_way("health"):
            return health_of(self.context, self.directory().browse(domain_id))

    def account_health(self, key: AccountKey) -> AccountHealth:
        """How one account is."""
        with self.lifetime.under_way(f"health of {key}"):
            return account_health(self.context, self.directory().entry(key))

    def mark(
        self,
        name: str,
        account: Account,
        object_types: Iterable[str] | None,
        *,
        redeliver: bool,
    ) -> None:
        """Let the next sync compare all records, or deliver them again."""
        is_account.of("account", account)
        with self.lifetime.under_way(f"{name} {account.key}"):
            streams = streams_of(self.context, account, object_types)
            mark(self.context, streams, redeliver=redeliver)

    def confirm_deletions(self, account: Account, object_types: Iterable[str] | None) -> int:
        """Let the next sync tell of the deletions that are suspected; how many there are."""
        is_account.of("account", account)
        with self.lifetime.under_way(f"confirm_deletions {account.key}"):
            streams = streams_of(self.context, account, object_types)
            return confirm(self.context, streams)

    def sync_given(
        self,
        accounts: Iterable[Account],
        workers: int,
        on_report: Callable[[SyncReport], None] | None,
    ) -> FleetReport:
        """Sync the accounts that the host names."""
        fleet = self._fleet(workers, on_report)
        supply = given(_checked(accounts))
        with self.lifetime.under_way("sync_all"):
            return fleet.sync(supply, on_report)

    def sync_all(
        self,
        domain_id: str | None,
        workers: int,
        on_report: Callable[[SyncReport], None] | None,
    ) -> FleetReport:
        """Sync the active accounts of one domain, or of all."""
        maybe(is_text_key).of("domain_id", domain_id)
        fleet, directory = self._fleet(workers, on_report), self.directory()
        with self.lifetime.under_way("sync_all"):
            directory.warn_if_empty()
            return fleet.sync(listed(directory, domain_id), on_report)

    def sync_due(
        self,
        domain_id: str | None,
        workers: int,
        on_report: Callable[[SyncReport], None] | None,
    ) -> FleetReport:
        """Sync the accounts of one domain, or of all, that are due."""
        maybe(is_text_key).of("domain_id", domain_id)
        fleet, directory = self._fleet(workers, on_report), self.directory()
        with self.lifetime.under_way("sync_due"):
            directory.warn_if_empty()
            return fleet.sync(due(directory, domain_id, limit=workers), on_report)

    def run(self, workers: int, poll_every: timedelta) -> None:
        """Sync accounts whenever they are due, until stopped."""
        is_positive_delay.of("poll_every", poll_every)
        fleet, directory = self._fleet(workers), self.directory()
        with self.lifetime.under_way("run"):
            fleet.run(directory, poll_every)

    def claim_due(
        self, domain_id: str | None, claim_for: timedelta, limit: int
    ) -> Iterator[AccountEntry]:
        """Claim accounts that are due, each when it is taken."""
        self.lifetime.check_open()
        is_positive_delay.of("claim_for", claim_for)
        is_number.of("limit", limit)
        maybe(is_text_key).of("domain_id", domain_id)
        due_now = claimed(self.directory(), domain_id, limit=limit, claim_for=claim_for)
        return self.lifetime.steps("claim_due", islice(due_now, limit))

    def object_types(self, account: Account) -> list[ObjectType]:
        """Return all object types of *account*, and what is synced of each."""
        with self.lifetime.under_way(f"object_types {account.key}"):
            return object_types(self.context, account)

    def doctor(self, key: AccountKey) -> Diagnosis:
        """Whether all that a sync of the account rests on is right."""
        with self.lifetime.under_way(f"doctor {key}"):
            return diagnose(self.context, self.directory(), key)

    def plan(self, account: Account) -> SyncPlan:
        """What the next sync of *account* will read and cost."""
        with self.lifetime.under_way(f"plan {account.key}"):
            return plan(self.context, account)

    def explain(
        self, key: AccountKey, object_type: str, object_id: str, *, ask_hubspot: bool
    ) -> Explanation:
        """Why one object is in the host's store as it is, or is not."""
        wanted = id_of("object_id", object_id)
        is_choice.of("ask_hubspot", ask_hubspot)
        name = canonical_object_type(object_type)
        with self.lifetime.under_way(f"explain {key}"):
            entry = self.directory().entry(key)
            kept = canonical_names(self.context, entry.account, (name,))[name]
            stream = StreamKey(key, kept)
            return explain(self.context, entry, stream, wanted, ask_hubspot=ask_hubspot)

    def erase(self, account: Account, object_type: str, object_ids: Iterable[str]) -> ErasureReport:
        """Remove objects from everything that is kept, and keep them out."""
        wanted = ids_of("object_ids", object_ids)
        name = canonical_object_type(object_type)
        with self.lifetime.under_way(f"erase {account.key}"):
            kept = canonical_names(self.context, account, (name,))[name]
            stream = StreamKey(account.key, kept)
            if not wanted:
                return ErasureReport(stream=stream)
            label = label_of(self.context, account, kept)
            return erase(self.context, stream, wanted, label=label)

    def purge(self, key: AccountKey, *, revoke: bool) -> PurgeReport:
        """Remove all that is kept of an account."""
        is_choice.of("revoke", revoke)
        with self.lifetime.under_way(f"purge {key}"):
            purge = Purge(
                context=self.context, directory=self.directory(), connections=self.connections()
            )
            return purge.run(key, revoke=revoke)

    def redrive(self, selection: RejectedSelection) -> RedriveReport:
        """Try rejected actions again."""
        with self.lifetime.under_way(f"redrive {selection.account}"):
            return redrive(self.context, self._resolved(selection))

    def rejected_actions(self, selection: RejectedSelection) -> Iterator[RejectedAction]:
        """Return the rejected actions that fit *selection*."""
        with self.lifetime.under_way(f"rejected_actions {selection.account}"):
            resolved = self._resolved(selection)
        return self.lifetime.steps("rejected_actions", browsed(self.context, resolved))

    def reencrypt(self) -> ReencryptionReport:
        """Seal all stored credentials again."""
        with self.lifetime.under_way("reencrypt"):
            return reencrypt(self.credentials)

    def directory(self) -> Directory:
        """The entries of the accounts.

        Raises:
            ConfigurationError: There is no account store.
        """
        if self._directory is None:
            raise _no_account_store()
        return self._directory

    def connections(self) -> Connections:
        """What connects accounts.

        Raises:
            ConfigurationError: There is no account store.
        """
        if self._connections is None:
            raise _no_account_store()
        return self._connections

    def _resolved(self, selection: RejectedSelection) -> RejectedSelection:
        """*selection* with the object type under the name that is kept of it."""
        name, key = selection.object_type, selection.account
        if name is None:
            return selection
        account = Account(key.account_id, domain_id=key.domain_id)
        known = canonical_names(self.context, account, (name,))
        return evolve(selection, object_type=known[name])

    def _until(self, time_limit: timedelta | None) -> threading.Event:
        """What ends a run: the engine's stop, or the end of its time."""
        if time_limit is None:
            return self.context.stop
        is_positive_delay.of("time_limit", time_limit)
        ends = self.context.clock.monotonic() + time_limit.total_seconds()
        return Turn(
            self.context.stop, lambda: self.context.clock.monotonic() >= ends, self.context.clock
        )

    def _fleet(self, workers: int, on_report: Callable[[SyncReport], None] | None = None) -> Fleet:
        self.lifetime.check_open()
        _is_number_of_workers.of("workers", workers)
        maybe(is_callback).of("on_report", on_report)
        return Fleet(context=self.context, directory=self._directory, workers=workers)


def _no_account_store() -> ConfigurationError:
    return ConfigurationError(
        "this engine has no account store; give it one with SyncEngine(..., accounts=...)"
    )


def _checked(accounts: Iterable[Account]) -> list[Account]:
    """The accounts as a list, each of them checked."""
    if not is_list(accounts):
        raise ConfigurationError(f"accounts is {kind_of(accounts)}; give a list of Account")
    named = list(accounts)
    for account in named:
        is_account.of("one of the accounts", account)
    return named
