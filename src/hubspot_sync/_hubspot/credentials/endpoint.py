"""HubSpot's token endpoint: buys tokens, says what they open, and takes them back.

https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from hubspot_sync._hubspot.calls.errors import token_error_for
from hubspot_sync._hubspot.calls.headers import outcome_of
from hubspot_sync._hubspot.calls.paths import INTROSPECT_PATH, REVOKE_PATH, TOKEN_PATH
from hubspot_sync._hubspot.calls.secrets import Secret
from hubspot_sync._limits import RollingWindow
from hubspot_sync.errors import HubSpotUnavailableError
from hubspot_sync.models import OAuthTokens
from hubspot_sync.models._checks import can_be_sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from typing import TypeAlias

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.calls.client import CallCounter
    from hubspot_sync._hubspot.calls.transport import Transport
    from hubspot_sync._retry import Retrier
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.models import OAuthApp

    _Form: TypeAlias = Mapping[str, str | Secret]

# HubSpot has a limit for each second and does not say which; far more than refreshing takes.
_CALLS_A_SECOND: Final = 10
# Answers that say that nothing was done yet: slow down, locked, moving, come back later.
_NOT_BEGUN: Final = (423, 429, 477, 488, 503)
# They live half an hour; a token that says more is refreshed once a day, or when it is refused.
_LONGEST_LIFE: Final = timedelta(days=1)
_ACCOUNT_ID: Final = re.compile("[1-9][0-9]{0,18}")


def token_window(clock: Clock) -> RollingWindow:
    """What all that talk to the token endpoint for one app should share."""
    return RollingWindow(_CALLS_A_SECOND, 1.0, clock)


@frozen(kw_only=True)
class TokenAnswer:
    """What the token endpoint sold, or said about tokens.

    Attributes:
        tokens: The tokens.
        account_id: HubSpot's id of the account that they open, or None where it did not say.
        scopes: What they may be used for, or None where it did not say.
        user: The e-mail address of the person who consented, or None.
        account_name: The account's domain name at HubSpot, or None.
    """

    tokens: OAuthTokens
    account_id: str | None = None
    scopes: tuple[str, ...] | None = None
    user: str | None = None
    account_name: str | None = None


@frozen(kw_only=True)
class TokenEndpoint:
    """Talks to the date-based token endpoint for one app.

    Attributes:
        app: The OAuth app.
        transport: Sends the calls.
        retrier: Repeats what fails in passing.
        window: Gives the permits: the endpoint has a limit for all accounts of the app together.
        clock: Tells when a new access token ends.
        calls: Counts every try.
        on_retry: Told of every retry: tries failed so far, the wait, and the error.
    """

    app: OAuthApp
    transport: Transport
    retrier: Retrier
    window: RollingWindow
    clock: Clock
    calls: CallCounter = field(repr=False)
    on_retry: Callable[[int, timedelta, RetryableError], None] = field(repr=False)

    def refresh(self, tokens: OAuthTokens) -> TokenAnswer:
        """Buy a new access token; HubSpot may send another refresh token, which then counts.

        Raises:
            AuthorizationRevokedError: The refresh token is not accepted any more.
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """
        form: _Form = {"grant_type": "refresh_token", "refresh_token": Secret(tokens.refresh_token)}
        return self.retrier.call(
            lambda: self._buy(form, tokens, "refreshing the access token"),
            on_retry=self.on_retry,
        )

    def exchange(self, code: str) -> TokenAnswer:
        """Buy tokens for an authorization code.

        It is repeated only after answers which say that HubSpot has not begun. When the answer
        was lost, the code may be used up; sending it twice is what thieves do, and a server may
        then take back what it sold for it (RFC 6749, 4.1.2).

        Raises:
            ConsentError: HubSpot does not take the code.
            ConfigurationError: The app's own credentials or its redirect URI are wrong.
            RetryableError: The endpoint could not answer.
        """
        form: _Form = {
            "grant_type": "authorization_code",
            "code": Secret(code),
            "redirect_uri": self.app.redirect_uri or "",
        }
        tries = self.retrier.policy.max_tries
        return self.retrier.call(
            lambda: self._buy(form, None, "exchanging an authorization code"),
            on_retry=self.on_retry,
            tries_for=lambda error: tries if error.status in _NOT_BEGUN else 1,
        )

    def introspect(self, tokens: OAuthTokens) -> TokenAnswer | None:
        """Ask what the refresh token of *tokens* opens; None when it opens nothing any more.

        Raises:
            AuthorizationRevokedError: It is not accepted any more.
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """
        body = self._about(INTROSPECT_PATH, tokens, "asking what tokens open")
        return None if body.get("active") is False else _answer(tokens, body)

    def revoke(self, tokens: OAuthTokens) -> None:
        """Take the refresh token of *tokens* back.

        Raises:
            AuthorizationRevokedError: It is not accepted any more.
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """
        self._about(REVOKE_PATH, tokens, "revoking tokens")

    def _buy(self, form: _Form, before: OAuthTokens | None, doing: str) -> TokenAnswer:
        asked_at = self.clock.now()
        sold = _sold(self._post(TOKEN_PATH, form, doing), before, asked_at)
        if sold is None:
            raise HubSpotUnavailableError(
                "the token endpoint's answer holds no tokens, or tokens with characters that "
                "cannot be sent"
            )
        return sold

    def _about(self, path: str, tokens: OAuthTokens, doing: str) -> Mapping[str, Any]:
        form: _Form = {"token": Secret(tokens.refresh_token), "token_type_hint": "refresh_token"}
        return self.retrier.call(lambda: self._post(path, form, doing), on_retry=self.on_retry)

    def _post(self, path: str, form: _Form, doing: str) -> Mapping[str, Any]:
        """One try; the secrets travel in the body, never in the URL."""
        self.calls.add("oauth")
        own = (("client_id", self.app.client_id), ("client_secret", Secret(self.app.client_secret)))
        with self.window.permit("oauth", self.retrier.stop) as permit:
            answer = self.transport.send("POST", path, form=(*form.items(), *own))
            error = None if answer.ok else token_error_for(answer, doing)
            permit.outcome = outcome_of(answer, error)
        if error is not None:
            raise error
        body = answer.json() if answer.content else {}
        return body if isinstance(body, dict) else {}


def _sold(
    body: Mapping[str, Any], before: OAuthTokens | None, asked_at: datetime
) -> TokenAnswer | None:
    """The tokens in an answer; their time runs from when they were asked for.

    None where there are none that can be used, instead of an error, which would show *body* among
    the local variables of its traceback.
    """
    bought = _text(body, "refresh_token") or (before.refresh_token if before else None)
    access_token = _text(body, "access_token")
    if not can_be_sent(access_token) or not can_be_sent(bought):
        return None
    tokens = OAuthTokens(
        refresh_token=bought,
        access_token=access_token,
        expires_at=asked_at + _lifetime(body.get("expires_in")),
        issued_at=asked_at,
    )
    return _answer(tokens, body)


def _lifetime(seconds: Any) -> timedelta:
    """How long a token lives; one that does not say so in numbers is refreshed before each use."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return timedelta(0)
    # In this order, because NaN is neither more nor less than anything.
    return timedelta(seconds=min(_LONGEST_LIFE.total_seconds(), max(0, seconds)))


def _answer(tokens: OAuthTokens, body: Mapping[str, Any]) -> TokenAnswer:
    hub_id, scopes = body.get("hub_id"), body.get("scopes")
    known = isinstance(hub_id, (int, str)) and _ACCOUNT_ID.fullmatch(str(hub_id))
    return TokenAnswer(
        tokens=tokens,
        account_id=str(hub_id) if known else None,
        scopes=(
            tuple(scope for scope in scopes if isinstance(scope, str))
            if isinstance(scopes, list)
            else None
        ),
        user=_text(body, "user"),
        account_name=_text(body, "hub_domain"),
    )


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None
