"""One refresh per expiry among all threads and processes that share an account's tokens.

Who wants to refresh first writes into the stored tokens that it is at it, by compare-and-set.
The others see that and go on with the old access token, or wait until there is a new one. Who dies
meanwhile loses the claim when its time is up, and what is stored is whole at every moment.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._clock import is_ahead
from hubspot_sync._hubspot.credentials.saving import Bought, TokenSaver, is_same
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    ConfigurationError,
    RetryableError,
    RevisionConflictError,
    StoreUnavailableError,
    WrongAccountError,
)
from hubspot_sync.models import OAuthTokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync._hubspot.credentials.endpoint import TokenEndpoint
    from hubspot_sync._hubspot.credentials.saving import UnsavedTokens
    from hubspot_sync._retry import Retrier
    from hubspot_sync.interfaces import TokenStore
    from hubspot_sync.models import AccountKey, StoredCredentials

# Longer than the token endpoint takes, a few retries included.
_CLAIM: Final = timedelta(seconds=30)
# Longer than who bought waits between two tries to store it.
_GRACE: Final = timedelta(seconds=10)
_FIRST_LOOK_SECONDS: Final = 0.05
_LONGEST_LOOK_SECONDS: Final = 1.0


class Refresher:
    """Gives the newest tokens of an account, refreshed where nobody else does it.

    Not for several threads at once.

    Args:
        account: The account.
        store: Where all workers find its tokens.
        endpoint: Sells new ones.
        retrier: Waits.
        unsaved: What was bought and could not be stored yet; outlives the run.
    """

    def __init__(
        self,
        *,
        account: AccountKey,
        store: TokenStore,
        endpoint: TokenEndpoint,
        retrier: Retrier,
        unsaved: UnsavedTokens,
    ) -> None:
        self._account = account
        self._store = store
        self._endpoint = endpoint
        self._retrier = retrier
        self._clock = retrier.clock
        self._saver = TokenSaver(account=account, store=store, retrier=retrier, unsaved=unsaved)

    @property
    def owes(self) -> bool:
        """Whether it is time to try once more to store what was bought."""
        return self._saver.is_due

    def finish(self) -> None:
        """Store what was bought, as far as it is not, at the end of a run."""
        self._saver.finish()

    def newer(
        self, *, is_due: Callable[[OAuthTokens], bool], lasts: Callable[[OAuthTokens], bool]
    ) -> OAuthTokens:
        """Tokens that are not due, or that still last while they cannot be had from the store.

        That is while another worker refreshes them, and while the store does not take those that
        were bought here. Nothing is bought before these are stored.

        Raises:
            AuthorizationRevokedError: The refresh token is not accepted any more.
            ConfigurationError: The account's tokens were removed, or the app's are wrong.
            RetryableError: The endpoint or the store could not answer.
            StopRequested: The run was stopped while another worker refreshed.
            WrongAccountError: The tokens are another HubSpot account's.
        """
        owed = self._saver.owed
        if owed is not None:
            kept = self._keep(owed, lasts)
            if kept is not None and (self._saver.owed is not None or not is_due(kept)):
                return kept
        patience = _CLAIM.total_seconds()
        look = _FIRST_LOOK_SECONDS
        while True:
            stored = self._load()
            tokens = oauth_tokens(stored)
            if not is_due(tokens):
                return tokens
            if patience <= 0 or not self._is_claimed(tokens):
                bought = self._claim_and_buy(stored, lasts)
                if bought is not None:
                    return bought
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

    def _claim_and_buy(
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
            bought = self._buy(tokens)
        except AuthorizationRevokedError:
            self._give_up(claimed, tokens)
            if self._is_replaced(tokens):
                return None  # bought or connected anew in the meantime
            raise
        except BaseException:
            self._give_up(claimed, tokens)
            raise
        return self._keep(Bought(tokens=bought, before=tokens), lasts, claimed.revision)

    def _buy(self, tokens: OAuthTokens) -> OAuthTokens:
        answer = self._endpoint.refresh(tokens)
        if answer.account_id not in (None, self._account.account_id):
            raise WrongAccountError(
                f"the stored tokens open HubSpot account {answer.account_id}, not "
                f"{self._account.account_id}; connect the account anew",
                account=str(self._account),
            )
        return answer.tokens

    def _keep(
        self, bought: Bought, lasts: Callable[[OAuthTokens], bool], revision: int | None = None
    ) -> OAuthTokens | None:
        """Store what was bought; None where somebody stored other tokens, which count then."""
        try:
            return bought.tokens if self._saver.save(bought, revision) else None
        except StoreUnavailableError:
            if not lasts(bought.tokens):
                raise
            return bought.tokens

    def _is_replaced(self, tokens: OAuthTokens) -> bool:
        """Whether others than *tokens*, which HubSpot refused, are stored.

        A claim that nobody gave back may be of a worker that bought while the store was away.
        """
        patience = 0.0 if tokens.refreshing_until is None else _GRACE.total_seconds()
        while is_same(oauth_tokens(self._load()), tokens):
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
