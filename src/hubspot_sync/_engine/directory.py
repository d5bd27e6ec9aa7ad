"""The accounts that an `AccountStore` keeps, with patience where it is away for a moment."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import field, frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync.errors import (
    ConfigurationError,
    RevisionConflictError,
    StoreUnavailableError,
    UnknownAccountError,
)
from hubspot_sync.models import Retried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime, timedelta

    from hubspot_sync._retry import Retrier
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.interfaces import AccountStore
    from hubspot_sync.models import AccountEntry, AccountKey, AccountStatus, Event

T = TypeVar("T")

_PAGE: Final = 200
# Each round somebody wins, so it takes as many who race before one of them gives up.
_SAVE_TRIES: Final = 50
_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class Directory:
    """Finds and changes the entries of accounts; threads may share it.

    Each method raises `StoreUnavailableError` when the store stays away, and when the engine is
    stopped while it is.

    Attributes:
        store: Where the entries are.
        retrier: How often and how patiently.
        notify: Told of every retry.
    """

    store: AccountStore
    retrier: Retrier
    notify: Callable[[Event], None]
    _looked: threading.Event = field(factory=threading.Event, init=False, repr=False, eq=False)

    def find(self, key: AccountKey) -> AccountEntry | None:
        """The entry of an account, or None."""
        return self._patiently(lambda: self.store.load(key))

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
        return self._patiently(lambda: self.store.due(now, limit=limit, domain_id=domain_id))

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
        return self._patiently(lambda: self.store.save(entry))

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

    def remove(self, key: AccountKey) -> None:
        """Forget an account."""
        self._patiently(lambda: self.store.delete(key))

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
        return self._patiently(
            lambda: self.store.browse(domain_id, limit=_PAGE, after=after, status=status)
        )

    def _domains(self, after: str | None) -> Sequence[str]:
        return self._patiently(lambda: self.store.domains(limit=_PAGE, after=after))

    def _patiently(self, function: Callable[[], T]) -> T:
        def on_retry(attempt: int, wait: timedelta, error: RetryableError) -> None:
            reason = str(error)
            self.notify(Retried(what="account store", attempt=attempt, wait=wait, reason=reason))

        try:
            return self.retrier.call(function, on_retry=on_retry)
        except StopRequested:
            raise StoreUnavailableError(
                "the engine was stopped while the account store was away; nothing is lost, do it "
                "again when both are back"
            ) from None
