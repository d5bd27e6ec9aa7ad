"""The entries of accounts in an `AccountStore`: found, changed, and kept up to date by runs."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import field, frozen

from hubspot_sync._clock import later
from hubspot_sync._engine.account.conditions import begun
from hubspot_sync._engine.account.entry import noted
from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotSyncError,
    RevisionConflictError,
    UnknownAccountError,
)
from hubspot_sync.models import AccountStatus, BookkeepingFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.interfaces import AccountStore
    from hubspot_sync.models import AccountEntry, AccountKey, SyncReport

T = TypeVar("T")

_PAGE: Final = 200
# Each round somebody wins, so it takes as many who race before one of them gives up.
_SAVE_TRIES: Final = 50
# A process that died keeps others from its accounts no longer than this.
_LONGEST_CLAIM: Final = timedelta(minutes=15)
_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class Directory:
    """Finds and changes the entries of accounts; threads may share it.

    Each method raises `StoreUnavailableError` when the store stays away, and when the engine is
    stopped while it is; those that write down how a run went tell the observers instead.

    Attributes:
        context: Asks the store; time and chance.
        store: Where the entries are.
    """

    context: RunContext
    store: AccountStore
    _looked: threading.Event = field(factory=threading.Event, init=False, repr=False, eq=False)

    def find(self, key: AccountKey) -> AccountEntry | None:
        """The entry of an account, or None."""
        return self._ask(lambda: self.store.load(key))

    def entry(self, key: AccountKey) -> AccountEntry:
        """The entry of an account.

        Raises:
            UnknownAccountError: There is none.
        """
        found = self.find(key)
        if found is None:
            raise UnknownAccountError(
                f"domain {key.domain_id!r} has no account {key.account_id}; connect it first with "
                "domain(...).connect or .authorization_url, or add it with .add",
                account=str(key),
            )
        return found

    def browse(
        self, domain_id: str | None, status: AccountStatus | None = None
    ) -> Iterator[AccountEntry]:
        """All entries of one domain, or of all domains, in the order of their keys."""
        after: AccountKey | None = None
        while page := self._page(domain_id, status, after):
            yield from page
            after = page[-1].key

    def domains(self) -> Iterator[str]:
        """All domains that have accounts, in the order of their names."""
        after: str | None = None
        while page := self._domains(after):
            yield from page
            after = page[-1]

    def warn_if_empty(self) -> None:
        """Log, once, that no accounts are kept, for hosts that only gave credentials."""
        if self._looked.is_set():
            return
        if next(self.domains(), None) is None:
            _logger.warning(
                "the account store has no accounts, so there is nothing to sync; "
                "domain(...).connect or .add puts one in, SyncEngine.store_credentials stores "
                "credentials only"
            )
        self._looked.set()

    def due(self, now: datetime, *, limit: int, domain_id: str | None) -> Sequence[AccountEntry]:
        """Some accounts that are due, domains in turn; see `AccountStore.due`."""
        return self._ask(lambda: self.store.due(now, limit=limit, domain_id=domain_id))

    def add(self, entry: AccountEntry) -> AccountEntry:
        """Keep an account that was not known.

        Raises:
            ConfigurationError: It is known already.
        """
        try:
            return self.save(entry)
        except RevisionConflictError:
            raise ConfigurationError(
                f"domain {entry.key.domain_id!r} has account {entry.key.account_id} already; "
                "change it with Domain.configure",
                account=str(entry.key),
            ) from None

    def save(self, entry: AccountEntry) -> AccountEntry:
        """Store *entry* by compare-and-set.

        Raises:
            RevisionConflictError: Somebody else changed it, or a try that seemed to fail did not.
        """
        return self._ask(lambda: self.store.save(entry))

    def change(
        self, key: AccountKey, change: Callable[[AccountEntry], AccountEntry]
    ) -> AccountEntry:
        """Apply *change* to what is stored, again and again until nobody comes in between.

        Raises:
            UnknownAccountError: There is no such account.
            RevisionConflictError: Others come in between all the time.
        """
        return self._changed(key, lambda: self.entry(key), change)

    def put(
        self, fresh: AccountEntry, change: Callable[[AccountEntry], AccountEntry]
    ) -> AccountEntry:
        """Apply *change* to what is stored, or to *fresh* where there is nothing yet.

        Raises:
            RevisionConflictError: Others come in between all the time.
        """
        return self._changed(fresh.key, lambda: self.find(fresh.key) or fresh, change)

    def note(
        self, report: SyncReport, started_at: datetime, claimed_until: datetime | None = None
    ) -> None:
        """Write down what *report* says; an account without an entry gets none.

        Observers are told what somebody has to see to since then. A store that stays away spoils
        nothing: it is reported and that is all.

        Args:
            report: How the run went.
            started_at: When it began.
            claimed_until: What `claim` made of `next_sync_at`, where the account was claimed.
        """
        finished_at = self.context.clock.now()
        chance = self.context.clock.random()
        changed: list[tuple[AccountEntry, AccountEntry]] = []

        def change(before: AccountEntry) -> AccountEntry:
            after = noted(
                before,
                report,
                started_at=started_at,
                finished_at=finished_at,
                claimed_until=claimed_until,
                chance=chance,
            )
            changed[:] = [(before, after)]
            return after

        if self._change_quietly(report.account, change):
            parks_at_once = self.context.settings.max_attempts == 1
            for before, after in changed:
                for event in begun(before, after, report, parks_at_once=parks_at_once):
                    self.context.notify(event)

    def claim(self, entry: AccountEntry, claim_for: timedelta | None = None) -> AccountEntry | None:
        """Take a due account on, and give its entry; None if another did.

        Nobody else begins it for *claim_for*, or for one period of its own, 15 minutes at most.

        Raises:
            StoreUnavailableError: The account store stays away.
        """
        now = self.context.clock.now()
        until = later(now, claim_for or min(entry.account.sync_every, _LONGEST_CLAIM))
        try:
            return self.save(entry.due_from(until, now))
        except RevisionConflictError:
            return None

    def give_back(self, key: AccountKey) -> None:
        """Make an account due again that was claimed and not synced."""
        now = self.context.clock.now()
        self._change_quietly(
            key,
            lambda entry: (
                entry.due_from(now, now) if entry.status is AccountStatus.ACTIVE else entry
            ),
        )

    def remove(self, key: AccountKey) -> None:
        """Forget an account."""
        self._ask(lambda: self.store.delete(key))

    def _change_quietly(
        self, key: AccountKey, change: Callable[[AccountEntry], AccountEntry]
    ) -> bool:
        """Apply *change*, and whether that went well; where not, observers are told."""
        try:
            self.change(key, change)
        except UnknownAccountError:
            return False
        except HubSpotSyncError as error:
            self.context.notify(BookkeepingFailed(account=key, reason=str(error)))
            return False
        return True

    def _changed(
        self,
        key: AccountKey,
        load: Callable[[], AccountEntry],
        change: Callable[[AccountEntry], AccountEntry],
    ) -> AccountEntry:
        for _ in range(_SAVE_TRIES):
            before = load()
            after = change(before)
            if after == before and before.revision:
                return before
            with suppress(RevisionConflictError):
                return self.save(after)
        raise RevisionConflictError(
            "the account was changed by others at every try; do it again", account=str(key)
        )

    def _page(
        self, domain_id: str | None, status: AccountStatus | None, after: AccountKey | None
    ) -> Sequence[AccountEntry]:
        return self._ask(
            lambda: self.store.browse(domain_id, limit=_PAGE, after=after, status=status)
        )

    def _domains(self, after: str | None) -> Sequence[str]:
        return self._ask(lambda: self.store.domains(limit=_PAGE, after=after))

    def _ask(self, function: Callable[[], T]) -> T:
        return self.context.ask("account store", function)
