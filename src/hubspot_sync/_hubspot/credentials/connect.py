"""HubSpot's side of connecting an account: consent by OAuth 2.0, and whose an access token is.

A person waits for these calls in front of a browser: they take seconds, not minutes.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from attrs import evolve

from hubspot_sync._hubspot.calls.answers import account_details
from hubspot_sync._hubspot.calls.client import Call, CallCounter, HubSpotClient
from hubspot_sync._hubspot.calls.paths import paths_for
from hubspot_sync._hubspot.calls.transport import Transport
from hubspot_sync._hubspot.credentials.authorizer import StaticAuthorizer
from hubspot_sync._hubspot.credentials.endpoint import TokenEndpoint, token_client, token_window
from hubspot_sync._limits import DailyPot, RateLimiter, RollingWindow
from hubspot_sync._retry import Retrier, RetryPolicy
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotSyncError,
    HubSpotUnavailableError,
)
from hubspot_sync.models import Grant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.credentials.endpoint import TokenAnswer
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.models import (
        AccountDetails,
        HubSpotSettings,
        OAuthApp,
        OAuthTokens,
        StaticAccessToken,
    )

_MAX_TRIES: Final = 3
_MAX_WAIT: Final = timedelta(seconds=10)
_BURST_SECONDS: Final = 10.0
_LONGEST_ANSWER: Final = timedelta(seconds=30)
_logger = logging.getLogger("hubspot_sync")


def brief_retrier(settings: HubSpotSettings, clock: Clock, stop: threading.Event) -> Retrier:
    """Tries no more often, and waits no longer, than somebody at a browser will."""
    policy = RetryPolicy(
        max_tries=min(_MAX_TRIES, settings.max_tries), max_wait=min(_MAX_WAIT, settings.max_wait)
    )
    return Retrier(policy=policy, clock=clock, stop=stop)


def brief_transport(settings: HubSpotSettings) -> Transport:
    """Connections of their own: accounts are connected rarely, and no run's end ends them."""
    return Transport(
        evolve(
            settings,
            read_timeout=min(settings.read_timeout, _LONGEST_ANSWER),
            answer_timeout=min(settings.answer_timeout, _LONGEST_ANSWER),
        )
    )


def log_retry(_endpoint: str, attempt: int, wait: timedelta, error: RetryableError) -> None:
    """Log a retry that no run's observer is told of."""
    _logger.warning("connecting: try %d failed, again in %s: %s", attempt, wait, error)


class HubSpotOAuth:
    """The `OAuthProvider` for the real HubSpot.

    Args:
        app: The OAuth app.
        settings: How to talk to HubSpot.
        clock: Time, waiting and randomness.
    """

    def __init__(self, *, app: OAuthApp, settings: HubSpotSettings, clock: Clock) -> None:
        self._app = app
        self._settings = settings
        self._clock = clock
        self._retrier = brief_retrier(settings, clock, threading.Event())
        self._window = token_window(clock)

    def consent_url(self, proof: str) -> str:
        """Where to send a person to consent; see `OAuthProvider.consent_url`."""
        query = {
            "client_id": self._app.client_id,
            "redirect_uri": self._redirect_uri(),
            "scope": " ".join(self._app.scopes),
            "optional_scope": " ".join(self._app.optional_scopes),
            "state": proof,
        }
        known = {name: value for name, value in query.items() if value}
        return f"{self._settings.consent_url}?{urlencode(known, quote_via=quote)}"

    def exchange(self, code: str) -> Grant:
        """Exchange a code for tokens; see `OAuthProvider.exchange`.

        The person's and the account's names come from a second question, which may fail as long
        as HubSpot has said with the tokens what they open.
        """
        self._redirect_uri()
        with self._endpoint() as endpoint:
            issued = endpoint.exchange(code)
            try:
                told = endpoint.introspect(issued.tokens)
            except HubSpotSyncError as error:
                if issued.account_id is None or issued.scopes is None:
                    raise
                _logger.info("the names of a new connection are not known: %s", error)
                told = None
        return _grant(issued, told)

    def inspect(self, tokens: OAuthTokens) -> Grant:
        """Ask what *tokens* open; see `OAuthProvider.inspect`."""
        with self._endpoint() as endpoint:
            told = endpoint.introspect(tokens)
        if told is None:
            raise AuthorizationRevokedError(
                "HubSpot no longer accepts the refresh token; the account has to be connected again"
            )
        return _grant(told, None)

    def revoke(self, tokens: OAuthTokens) -> None:
        """Take *tokens* back; see `OAuthProvider.revoke`."""
        with self._endpoint() as endpoint:
            try:
                endpoint.revoke(tokens)
            except AuthorizationRevokedError:
                return  # somebody was faster

    def _redirect_uri(self) -> str:
        if not self._app.redirect_uri:
            raise ConfigurationError(
                "the OAuth app has no redirect URI, so HubSpot cannot send people back; give "
                "OAuthApp(redirect_uri=...) as it stands in the app's settings at HubSpot"
            )
        return self._app.redirect_uri

    @contextmanager
    def _endpoint(self) -> Iterator[TokenEndpoint]:
        """The token endpoint over connections of its own."""
        client = token_client(
            transport=brief_transport(self._settings),
            window=self._window,
            retrier=self._retrier,
            calls=CallCounter(),
            on_retry=log_retry,
        )
        try:
            yield TokenEndpoint(app=self._app, client=client, clock=self._clock)
        finally:
            client.close()


def _grant(issued: TokenAnswer, told: TokenAnswer | None) -> Grant:
    """What both answers say, the first one first."""
    account_id = issued.account_id or (told.account_id if told else None)
    if account_id is None:
        raise HubSpotUnavailableError("HubSpot does not say which account the tokens open")
    scopes = issued.scopes if issued.scopes is not None else (told.scopes if told else None)
    return Grant(
        account_id=account_id,
        tokens=issued.tokens,
        scopes=scopes or (),
        user=issued.user or (told.user if told else None),
        account_name=issued.account_name or (told.account_name if told else None),
    )


class HubSpotProbe:
    """The `CredentialsProbe` for the real HubSpot.

    Args:
        settings: How to talk to HubSpot.
        clock: Time, waiting and randomness.
    """

    def __init__(self, *, settings: HubSpotSettings, clock: Clock) -> None:
        self._settings = settings
        self._retrier = brief_retrier(settings, clock, threading.Event())

    def __call__(self, credentials: StaticAccessToken) -> AccountDetails:
        """Ask which account *credentials* open; see `CredentialsProbe`."""
        clock = self._retrier.clock
        client = HubSpotClient(
            transport=brief_transport(self._settings),
            authorizer=StaticAuthorizer(credentials),
            limiter=RateLimiter(
                windows={},
                rest=RollingWindow(None, _BURST_SECONDS, clock),
                daily=DailyPot(None, clock.now),
            ),
            retrier=self._retrier,
            calls=CallCounter(),
            on_retry=log_retry,
        )
        call = Call(
            endpoint="account",
            method="GET",
            path=paths_for(self._settings.api_version).account,
            doing="asking which account the access token opens",
        )
        try:
            return client.call(call, account_details).content
        finally:
            client.close()
