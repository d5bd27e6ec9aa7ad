"""Bought tokens reach the store, however long it is away: they may be the only ones that are good.

When HubSpot changes a refresh token, the one that is stored may open nothing any more. So what was
bought stays in memory until the store has it, also from one run to the next.
"""

from __future__ import annotations

import logging
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync._retry import RetryPolicy
from hubspot_sync.errors import (
    HubSpotSyncError,
    RetryableError,
    RevisionConflictError,
    StoreUnavailableError,
)
from hubspot_sync.models import OAuthTokens

if TYPE_CHECKING:
    from hubspot_sync._retry import Retrier
    from hubspot_sync.interfaces import TokenStore
    from hubspot_sync.models import AccountKey

# Short waits: who bought is to be back before another worker buys with what is stored.
_LONGEST_WAIT: Final = timedelta(seconds=5)
_PATIENTLY: Final = RetryPolicy(max_tries=12, max_wait=_LONGEST_WAIT)
_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True, eq=False)
class Bought:
    """Tokens that HubSpot sold, and those that they were bought with.

    Attributes:
        tokens: The new ones.
        before: What was stored when they were bought.
    """

    tokens: OAuthTokens
    before: OAuthTokens

    @property
    def rotated(self) -> bool:
        """Whether HubSpot changed the refresh token, so that the stored one may be refused."""
        return self.tokens.refresh_token != self.before.refresh_token


@frozen(kw_only=True, eq=False)
class UnsavedTokens:
    """What was bought and no store has taken yet, by account; threads may share it."""

    _lock: threading.Lock = field(factory=threading.Lock, init=False, repr=False)
    _bought: dict[AccountKey, Bought] = field(factory=dict, init=False, repr=False)

    def find(self, account: AccountKey) -> Bought | None:
        """What is not saved yet of *account*."""
        return self._bought.get(account)

    def put(self, account: AccountKey, bought: Bought) -> None:
        """Keep *bought* until it is dropped."""
        with self._lock:
            self._bought[account] = bought

    def drop(self, account: AccountKey, bought: Bought) -> None:
        """Forget *bought*, which is saved or does not count any more."""
        with self._lock:
            if self._bought.get(account) is bought:
                del self._bought[account]


class TokenSaver:
    """Saves what was bought for one account: patiently at first and at last, else by the way.

    Not for several threads at once.

    Args:
        account: The account.
        store: Where all workers find its tokens.
        retrier: Tells the time, and the end of the run.
        unsaved: Outlives the run.
    """

    def __init__(
        self, *, account: AccountKey, store: TokenStore, retrier: Retrier, unsaved: UnsavedTokens
    ) -> None:
        self._account = account
        self._store = store
        self._retrier = evolve(retrier, policy=_PATIENTLY)
        self._unsaved = unsaved
        self._tried: Bought | None = None
        self._tried_at = 0.0

    @property
    def owed(self) -> Bought | None:
        """What is not saved yet."""
        return self._unsaved.find(self._account)

    @property
    def is_due(self) -> bool:
        """Whether there is something to save and the last try is some seconds ago."""
        if self.owed is None:
            return False
        since = self._retrier.clock.monotonic() - self._tried_at
        return self._tried is not self.owed or since >= _LONGEST_WAIT.total_seconds()

    def save(self, bought: Bought, revision: int | None = None) -> bool:
        """Store *bought*; False where others stored or removed the tokens, which counts then.

        Tried patiently at first, and once at each later call.

        Args:
            bought: What to store.
            revision: The revision that is stored, where that is known.

        Raises:
            StoreUnavailableError: The store stayed away; it is kept in memory.
            StopRequested: The run was stopped while the store was away; likewise.
        """
        patiently = self._tried is not bought
        self._tried = bought
        self._unsaved.put(self._account, bought)
        try:
            ours = self._patiently(bought, revision) if patiently else self._save(bought, revision)
        except RetryableError as error:
            raise _unsaved_error(self._account, bought, error) from error
        finally:
            self._tried_at = self._retrier.clock.monotonic()
        self._unsaved.drop(self._account, bought)
        return ours

    def finish(self) -> None:
        """Save what is still owed at the end of a run; what cannot be is left to the next one."""
        bought = self.owed
        if bought is None:
            return
        self._tried = None
        try:
            self.save(bought)
        except StopRequested:
            error = StoreUnavailableError("the run was stopped while the token store was away")
            _log_unsaved(bought, _unsaved_error(self._account, bought, error))
        except HubSpotSyncError as error:
            _log_unsaved(bought, error)

    def _patiently(self, bought: Bought, revision: int | None) -> bool:
        def log(attempt: int, wait: timedelta, error: RetryableError) -> None:
            _logger.warning(
                "%s: try %d to store new tokens failed, again in %s: %s",
                *(self._account, attempt, wait, error),
            )

        return self._retrier.call(lambda: self._save(bought, revision), on_retry=log)

    def _save(self, bought: Bought, revision: int | None) -> bool:
        while True:
            if revision is None:
                stored = self._store.load(self._account)
                if stored is None or not is_same(stored.credentials, bought.before):
                    return False
                revision = stored.revision
            try:
                self._store.save(self._account, bought.tokens, expected_revision=revision)
            except RevisionConflictError:
                revision = None
            else:
                return True


def is_same(stored: object, tokens: OAuthTokens) -> bool:
    """Whether *stored* are *tokens*, whoever has the claim to them."""
    if not isinstance(stored, OAuthTokens):
        return False
    known = (tokens.refresh_token, tokens.access_token)
    return (stored.refresh_token, stored.access_token) == known


def _unsaved_error(
    account: AccountKey, bought: Bought, cause: RetryableError
) -> StoreUnavailableError:
    advice = (
        "HubSpot changed the account's refresh token, and the token store did not take the new "
        "one, which only this process knows: mend the store and let this process sync the account "
        "once more before it ends; if it has ended, and HubSpot refuses what is stored, connect "
        "the account anew"
        if bought.rotated
        else "the token store did not take a new access token: mend it and run again"
    )
    return StoreUnavailableError(f"{advice} ({cause.message})", account=str(account))


def _log_unsaved(bought: Bought, error: HubSpotSyncError) -> None:
    _logger.log(logging.ERROR if bought.rotated else logging.WARNING, "%s", error)
