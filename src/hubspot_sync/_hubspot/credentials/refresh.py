"""One refresh per expiry among all threads and processes that share an account's tokens.

Who wants to refresh first writes into the stored tokens that it is at it, by compare-and-set.
The others see that and go on with the old access token, or wait until there is a new one. Who dies
meanwhile loses the claim when its time is up, and what is stored is whole at every moment.

When HubSpot changes a refresh token, the one that is stored may open nothing any more. So new
tokens are stored patiently, used meanwhile, and stored at the latest at the end of the run.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen

from hubspot_sync._clock import StopRequested, is_ahead
from hubspot_sync._retry import RetryPolicy
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotSyncError,
    RetryableError,
    RevisionConflictError,
    StoreUnavailableError,
    WrongAccountError,
)
from hubspot_sync.models import OAuthTokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync._hubspot.credentials.endpoint import TokenEndpoint
    from hubspot_sync._retry import Retrier
    from hubspot_sync.interfaces import TokenStore
    from hubspot_sync.models import AccountKey, StoredCredentials

# Longer than the token endpoint takes, a few retries included.
_CLAIM: Final = timedelta(seconds=30)
# Short waits: new tokens are to be stored before another worker refreshes what is stored.
_PATIENTLY: Final = RetryPolicy(max_tries=12, max_wait=timedelta(seconds=5))
# Longer than that between two tries.
_GRACE: Final = timedelta(seconds=10)
_FIRST_LOOK_SECONDS: Final = 0.05
_LONGEST_LOOK_SECONDS: Final = 1.0
_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True, eq=False)
class _Refreshed:
    """New tokens, and those that were stored when HubSpot gave them out.

    Attributes:
        tokens: The new ones.
        before: What was stored.
    """

    tokens: OAuthTokens
    before: OAuthTokens

    @property
    def rotated(self) -> bool:
        """Whether HubSpot changed the refresh token, so that the stored one may be refused."""
        return self.tokens.refresh_token != self.before.refresh_token


class Refresher:
    """Gives the newest tokens of an account, refreshed where nobody else does it.

    Not for several threads at once.

    Args:
        account: The account.
        store: Where all workers find its tokens.
        endpoint: Issues new ones.
        retrier: Waits.
    """

    def __init__(
        self,
        *,
        account: AccountKey,
        store: TokenStore,
        endpoint: TokenEndpoint,
        retrier: Retrier,
    ) -> None:
        self._account = account
        self._store = store
        self._endpoint = endpoint
        self._retrier = retrier
        self._clock = retrier.clock
        self._unsaved: _Refreshed | None = None

    def finish(self) -> None:
        """Store new tokens, as far as they are not stored, at the end of a run."""
        unsaved = self._unsaved
        if unsaved is None:
            return
        try:
            self._save_patiently(unsaved)
        except StopRequested:
            error = StoreUnavailableError("the run was stopped while the token store was away")
            _log_unsaved(unsaved, _unsaved_error(self._account, unsaved, error))
        except RetryableError as error:
            _log_unsaved(unsaved, _unsaved_error(self._account, unsaved, error))
        except HubSpotSyncError as error:
            _log_unsaved(unsaved, error)

    def newer(
        self, *, is_due: Callable[[OAuthTokens], bool], lasts: Callable[[OAuthTokens], bool]
    ) -> OAuthTokens:
        """Tokens that are not due, or that still last while they cannot be had from the store.

        That is while another worker refreshes them, and while the store does not take those that
        were refreshed here. Nothing is refreshed before these are stored.

        Raises:
            AuthorizationRevokedError: The refresh token is not accepted any more.
            ConfigurationError: The account's tokens were removed, or the app's are wrong.
            RetryableError: The endpoint or the store could not answer.
            StopRequested: The run was stopped while another worker refreshed.
            WrongAccountError: The tokens are another HubSpot account's.
        """
        if self._unsaved is not None:
            kept = self._keep(self._unsaved, lasts)
            if kept is not None and (self._unsaved is not None or not is_due(kept)):
                return kept
        patience = _CLAIM.total_seconds()
        look = _FIRST_LOOK_SECONDS
        while True:
            stored = self._load()
            tokens = oauth_tokens(stored)
            if not is_due(tokens):
                return tokens
            if patience <= 0 or not self._is_claimed(tokens):
                refreshed = self._claim_and_refresh(stored, lasts)
                if refreshed is not None:
                    return refreshed
                patience = _CLAIM.total_seconds()
            elif lasts(tokens):
                return tokens
            else:
                self._clock.sleep(look, self._retrier.stop)
                patience -= look
                look = min(look * 2, _LONGEST_LOOK_SECONDS)

    def _is_claimed(self, tokens: OAuthTokens) -> bool:
        until, now = tokens.refreshing_until, self._clock.now()
        # One that ends later than any claim does is a wrong clock's.
        return until is not None and now < until and not is_ahead(until - _CLAIM, now)

    def _claim_and_refresh(
        self, stored: StoredCredentials, lasts: Callable[[OAuthTokens], bool]
    ) -> OAuthTokens | None:
        """New tokens, or None when somebody else stored some and there is something to read."""
        tokens = oauth_tokens(stored)
        claim = evolve(tokens, refreshing_until=self._clock.now() + _CLAIM)
        try:
            claimed = self._store.save(self._account, claim, expected_revision=stored.revision)
        except RevisionConflictError:
            return None
        try:
            refreshed = self._refresh(tokens)
        except AuthorizationRevokedError:
            self._give_up(claimed, tokens)
            if self._is_replaced(tokens):
                return None  # refreshed or connected again in the meantime
            raise
        except BaseException:
            self._give_up(claimed, tokens)
            raise
        return self._keep(_Refreshed(tokens=refreshed, before=tokens), lasts, claimed.revision)

    def _refresh(self, tokens: OAuthTokens) -> OAuthTokens:
        answer = self._endpoint.refresh(tokens)
        if answer.account_id not in (None, self._account.account_id):
            raise WrongAccountError(
                f"the stored tokens open HubSpot account {answer.account_id}, not "
                f"{self._account.account_id}; connect the account again",
                account=str(self._account),
            )
        return answer.tokens

    def _keep(
        self,
        refreshed: _Refreshed,
        lasts: Callable[[OAuthTokens], bool],
        revision: int | None = None,
    ) -> OAuthTokens | None:
        """Store new tokens; None where somebody stored others, which count then.

        Tried patiently at first, and once at each later call.
        """
        is_first, self._unsaved = self._unsaved is not refreshed, refreshed
        try:
            save = self._save_patiently if is_first else self._save
            return refreshed.tokens if save(refreshed, revision) else None
        except RetryableError as error:
            if not lasts(refreshed.tokens):
                raise _unsaved_error(self._account, refreshed, error) from error
            return refreshed.tokens

    def _save_patiently(self, refreshed: _Refreshed, revision: int | None = None) -> bool:
        def log(attempt: int, wait: timedelta, error: RetryableError) -> None:
            _logger.warning(
                "%s: try %d to store new tokens failed, again in %s: %s",
                *(self._account, attempt, wait, error),
            )

        retrier = evolve(self._retrier, policy=_PATIENTLY)
        return retrier.call(lambda: self._save(refreshed, revision), on_retry=log)

    def _save(self, refreshed: _Refreshed, revision: int | None = None) -> bool:
        """Store new tokens; False where somebody stored others, or removed them."""
        while True:
            if revision is None:
                stored = self._store.load(self._account)
                if stored is None or not _is_same(stored.credentials, refreshed.before):
                    self._unsaved = None
                    return False
                revision = stored.revision
            try:
                self._store.save(self._account, refreshed.tokens, expected_revision=revision)
            except RevisionConflictError:
                revision = None
            else:
                self._unsaved = None
                return True

    def _is_replaced(self, tokens: OAuthTokens) -> bool:
        """Whether others than *tokens*, which HubSpot refused, are stored.

        A claim that nobody gave back may be of a worker that refreshed while the store was away.
        """
        patience = 0.0 if tokens.refreshing_until is None else _GRACE.total_seconds()
        while _is_same(oauth_tokens(self._load()), tokens):
            if patience <= 0:
                return False
            self._clock.sleep(_LONGEST_LOOK_SECONDS, self._retrier.stop)
            patience -= _LONGEST_LOOK_SECONDS
        return True

    def _give_up(self, claimed: StoredCredentials, tokens: OAuthTokens) -> None:
        """Let others try; where this fails, the claim's own end does it."""
        free = evolve(tokens, refreshing_until=None)
        with suppress(RevisionConflictError, RetryableError):
            self._store.save(self._account, free, expected_revision=claimed.revision)

    def _load(self) -> StoredCredentials:
        stored = self._store.load(self._account)
        if stored is None or not isinstance(stored.credentials, OAuthTokens):
            raise ConfigurationError(
                "the account's OAuth tokens were removed while it was synchronised; connect the "
                "account again",
                account=str(self._account),
            )
        return stored


def oauth_tokens(stored: StoredCredentials) -> OAuthTokens:
    """The OAuth tokens among *stored*.

    Raises:
        ConfigurationError: They are static credentials.
    """
    if not isinstance(stored.credentials, OAuthTokens):
        raise ConfigurationError("static credentials cannot be refreshed")
    return stored.credentials


def _is_same(stored: object, tokens: OAuthTokens) -> bool:
    """Whether *stored* are *tokens*, whoever has the claim to them."""
    if not isinstance(stored, OAuthTokens):
        return False
    known = (tokens.refresh_token, tokens.access_token)
    return (stored.refresh_token, stored.access_token) == known


def _unsaved_error(
    account: AccountKey, refreshed: _Refreshed, cause: RetryableError
) -> StoreUnavailableError:
    advice = (
        "HubSpot changed the account's refresh token, and the token store did not take the new "
        "one, which only this run knows: fix the store, and if HubSpot refuses what is stored, "
        "connect the account again"
        if refreshed.rotated
        else "the token store did not take a new access token: fix it and run again"
    )
    return StoreUnavailableError(f"{advice} ({cause.message})", account=str(account))


def _log_unsaved(refreshed: _Refreshed, error: HubSpotSyncError) -> None:
    _logger.log(logging.ERROR if refreshed.rotated else logging.WARNING, "%s", error)
