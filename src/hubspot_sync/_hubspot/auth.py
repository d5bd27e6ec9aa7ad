"""Access tokens on demand: static ones as they are, OAuth ones refreshed ahead of their end."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve

from hubspot_sync._hubspot.errors import token_error_for
from hubspot_sync._hubspot.paths import TOKEN_PATH
from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotUnavailableError,
    RevisionConflictError,
)
from hubspot_sync.models import CallRetried, OAuthTokens, StaticAccessToken, StoredCredentials

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.counting import CallCounter
    from hubspot_sync._hubspot.transport import Transport
    from hubspot_sync._retry import Retrier
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.interfaces import TokenStore
    from hubspot_sync.models import AccountKey, Event, OAuthApp

# An access token lives 30 minutes; one that ends within this time is refreshed first.
_MARGIN: Final = timedelta(seconds=60)
_MARGIN_SHARE: Final = 5
_OK: Final = 200


class Authorizer(Protocol):
    """Gives the access token for each call."""

    def access_token(self) -> str:
        """The access token to send now, renewed first when its time is up."""

    def renew(self, rejected: str) -> bool:
        """Get a new access token because HubSpot rejected *rejected*; False where none can be."""


class StaticAuthorizer:
    """Sends the same access token with every call.

    Args:
        credentials: The access token.
    """

    def __init__(self, credentials: StaticAccessToken) -> None:
        self._access_token = credentials.access_token

    def access_token(self) -> str:
        """The access token."""
        return self._access_token

    def renew(self, rejected: str) -> bool:  # noqa: ARG002 - the protocol's
        """Never possible."""
        return False


class TokenEndpoint:
    """Buys access tokens with refresh tokens, over the date-based endpoint.

    Args:
        app: The OAuth app.
        transport: Sends the calls.
        retrier: Repeats what fails in passing; the token endpoint has limits of its own.
        clock: Tells when a new access token ends.
        calls: Counts every try.
        notify: Told of every retry.
    """

    def __init__(
        self,
        *,
        app: OAuthApp,
        transport: Transport,
        retrier: Retrier,
        clock: Clock,
        calls: CallCounter,
        notify: Callable[[Event], None],
    ) -> None:
        self._app = app
        self._transport = transport
        self._retrier = retrier
        self._clock = clock
        self._calls = calls
        self._notify = notify

    def refresh(self, account: AccountKey, tokens: OAuthTokens) -> OAuthTokens:
        """Buy a new access token.

        Raises:
            AuthorizationRevokedError: The refresh token is not accepted any more.
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """

        def on_retry(attempt: int, wait: timedelta, error: RetryableError) -> None:
            self._notify(
                CallRetried(
                    account=account,
                    endpoint="oauth",
                    attempt=attempt,
                    wait=wait,
                    reason=str(error),
                )
            )

        return self._retrier.call(lambda: self._once(tokens), on_retry=on_retry)

    def _once(self, tokens: OAuthTokens) -> OAuthTokens:
        self._calls.add("oauth")
        answer = self._transport.send(
            "POST",
            TOKEN_PATH,
            form=(
                ("grant_type", "refresh_token"),
                ("client_id", self._app.client_id),
                ("client_secret", self._app.client_secret),
                ("refresh_token", tokens.refresh_token),
            ),
        )
        if answer.status != _OK:
            raise token_error_for(answer)
        return _renewed(tokens, answer.json(), self._clock.now())


def _renewed(tokens: OAuthTokens, body: Any, now: datetime) -> OAuthTokens:
    """The tokens after a refresh; HubSpot may send another refresh token, which then counts."""
    if not isinstance(body, dict) or not isinstance(body.get("access_token"), str):
        raise HubSpotUnavailableError("the token endpoint's answer holds no access token")
    lifetime = body.get("expires_in")
    seconds = lifetime if isinstance(lifetime, (int, float)) else 0
    refresh_token = body.get("refresh_token")
    return OAuthTokens(
        refresh_token=refresh_token if isinstance(refresh_token, str) else tokens.refresh_token,
        access_token=body["access_token"],
        expires_at=now + timedelta(seconds=seconds),
    )


class OAuthAuthorizer:
    """Refreshes an account's access token ahead of its end, one thread at a time.

    Args:
        account: The account.
        stored: Its tokens as the store gave them out.
        store: Keeps the refreshed tokens.
        endpoint: Buys access tokens.
        clock: Tells when one ends.
    """

    def __init__(
        self,
        *,
        account: AccountKey,
        stored: StoredCredentials,
        store: TokenStore,
        endpoint: TokenEndpoint,
        clock: Clock,
    ) -> None:
        self._account = account
        self._store = store
        self._endpoint = endpoint
        self._clock = clock
        self._lock = threading.Lock()
        self._stored = stored
        self._margin = _MARGIN

    def access_token(self) -> str:
        """The access token, refreshed first when its time is nearly up."""
        with self._lock:
            tokens = self._tokens()
            if tokens.access_token is None or self._ends_soon(tokens):
                tokens = self._refresh()
            return tokens.access_token or ""

    def renew(self, rejected: str) -> bool:
        """Refresh because HubSpot rejected *rejected*, unless another thread just did."""
        with self._lock:
            if self._tokens().access_token == rejected:
                self._refresh()
            return True

    def _ends_soon(self, tokens: OAuthTokens) -> bool:
        return tokens.expires_at is None or tokens.expires_at - self._margin <= self._clock.now()

    def _refresh(self) -> OAuthTokens:
        """Take the tokens that another process refreshed, else refresh and store them."""
        before = self._tokens()
        self._reload()
        tokens = self._tokens()
        if tokens.access_token != before.access_token and not self._ends_soon(tokens):
            return tokens
        started = self._clock.now()
        renewed = self._endpoint.refresh(self._account, tokens)
        if renewed.expires_at is not None:
            self._margin = min(_MARGIN, (renewed.expires_at - started) / _MARGIN_SHARE)
        try:
            self._stored = self._store.save(
                self._account, renewed, expected_revision=self._stored.revision
            )
        except RevisionConflictError:
            # Another process stored its own at the same moment; HubSpot honours both.
            self._reload()
            self._stored = evolve(self._stored, credentials=renewed)
        return renewed

    def _reload(self) -> None:
        stored = self._store.load(self._account)
        if stored is None or not isinstance(stored.credentials, OAuthTokens):
            raise ConfigurationError(
                "the account's OAuth tokens were removed while it was synchronised; connect the "
                "account again",
                account=str(self._account),
            )
        self._stored = stored

    def _tokens(self) -> OAuthTokens:
        credentials = self._stored.credentials
        if not isinstance(credentials, OAuthTokens):
            raise ConfigurationError("static credentials cannot be refreshed")
        return credentials
