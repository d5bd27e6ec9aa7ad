"""HubSpot's token endpoint: issues tokens, says what they open, and takes them back.

https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, frozen

from hubspot_sync._hubspot.calls.client import Call, HubSpotClient
from hubspot_sync._hubspot.calls.paths import INTROSPECT_PATH, REVOKE_PATH, TOKEN_PATH
from hubspot_sync._hubspot.calls.secrets import Secret
from hubspot_sync._limits import DailyPot, RateLimiter, RollingWindow
from hubspot_sync.errors import HubSpotUnavailableError
from hubspot_sync.models import OAuthTokens
from hubspot_sync.models._checks import can_be_sent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from typing import TypeAlias

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.calls.client import CallCounter, OnRetry
    from hubspot_sync._hubspot.calls.transport import Transport
    from hubspot_sync._retry import Retrier
    from hubspot_sync.models import OAuthApp

    _Form: TypeAlias = Mapping[str, str | Secret]

# HubSpot has a limit for each second and does not say which; far more than refreshing takes.
_CALLS_A_SECOND: Final = 10
# They live half an hour; a token that says more is refreshed once a day, or when it is refused.
_LONGEST_LIFE: Final = timedelta(days=1)
_ACCOUNT_ID: Final = re.compile("[1-9][0-9]{0,18}")


def token_window(clock: Clock) -> RollingWindow:
    """What all that talk to the token endpoint for one app should share."""
    return RollingWindow(_CALLS_A_SECOND, 1.0, clock)


def token_client(
    *,
    transport: Transport,
    window: RollingWindow,
    retrier: Retrier,
    calls: CallCounter,
    on_retry: OnRetry,
) -> HubSpotClient:
    """The door as the token endpoint needs it: no access token, and a limit for the whole app."""
    daily = DailyPot(None, retrier.clock.now)
    return HubSpotClient(
        transport=transport,
        authorizer=None,
        limiter=RateLimiter(windows={}, rest=window, daily=daily),
        retrier=retrier,
        calls=calls,
        on_retry=on_retry,
    )


@frozen(kw_only=True)
class TokenAnswer:
    """What the token endpoint issued, or said about tokens.

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
        client: Sends the calls; see `token_client`.
        clock: Tells when a new access token ends.
    """

    app: OAuthApp
    client: HubSpotClient
    clock: Clock

    def refresh(self, tokens: OAuthTokens) -> TokenAnswer:
        """Ask for a new access token; HubSpot may send another refresh token, which then counts.

        In one try: it is asked for inside a call, which is made again as a whole.

        Raises:
            AuthorizationRevokedError: The refresh token is not accepted any more.
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """
        form: _Form = {"grant_type": "refresh_token", "refresh_token": Secret(tokens.refresh_token)}
        call = self._call(TOKEN_PATH, form, "refreshing the access token")
        asked_at = self.clock.now()
        return self.client.once(call, lambda body: _issued(body, tokens, asked_at)).content

    def exchange(self, code: str) -> TokenAnswer:
        """Exchange an authorization code for tokens.

        It is repeated only after answers which say that HubSpot has not begun. When the answer
        was lost, the code may be used up; a code that is sent twice may have been stolen, and a
        server may then take back what it issued for it (RFC 6749, 4.1.2).

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
        call = self._call(TOKEN_PATH, form, "exchanging an authorization code")
        asked_at = self.clock.now()
        return self.client.call(
            evolve(call, idempotent=False), lambda body: _issued(body, None, asked_at)
        ).content

    def introspect(self, tokens: OAuthTokens) -> TokenAnswer | None:
        """Ask what the refresh token of *tokens* opens; None when it opens nothing any more.

        Raises:
            AuthorizationRevokedError: It is not accepted any more.
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """
        body = self._about(INTROSPECT_PATH, tokens, "asking what tokens open")
        return None if body.get("active") is False else _answer(tokens, body)

    def is_user_level(self, access_token: Secret) -> bool:
        """Ask whether *access_token* shows what one user may see, and not all of the account.

        Apps with such tokens exist since September 2026; before that HubSpot did not say it.

        Raises:
            HubSpotSyncError: The endpoint could not answer, or the token is not good any more.
        """
        form: _Form = {"token": access_token, "token_type_hint": "access_token"}
        call = self._call(INTROSPECT_PATH, form, "asking whose token it is")
        body = self.client.call(call, _mapping).content
        signed = body.get("signed_access_token")
        told = signed if isinstance(signed, dict) else body
        if body.get("active") is False:
            raise HubSpotUnavailableError("HubSpot does not know an access token that it issued")
        return told.get("isUserLevel") is True

    def revoke(self, tokens: OAuthTokens) -> None:
        """Take the refresh token of *tokens* back.

        Raises:
            AuthorizationRevokedError: It is not accepted any more.
            ConfigurationError: The app's own credentials are wrong.
            RetryableError: The endpoint could not answer.
        """
        self._about(REVOKE_PATH, tokens, "revoking tokens")

    def _about(self, path: str, tokens: OAuthTokens, doing: str) -> Mapping[str, Any]:
        form: _Form = {"token": Secret(tokens.refresh_token), "token_type_hint": "refresh_token"}
        return self.client.call(self._call(path, form, doing), _mapping).content

    def _call(self, path: str, form: _Form, doing: str) -> Call:
        """The secrets travel in the body, never in the URL."""
        own = (("client_id", self.app.client_id), ("client_secret", Secret(self.app.client_secret)))
        return Call(
            endpoint="oauth", method="POST", path=path, form=(*form.items(), *own), doing=doing
        )


def _issued(body: Any, before: OAuthTokens | None, asked_at: datetime) -> TokenAnswer:
    """The tokens in an answer; their time runs from when they were asked for."""
    known = _mapping(body)
    refresh_token = _text(known, "refresh_token") or (before.refresh_token if before else None)
    access_token = _text(known, "access_token")
    if not can_be_sent(access_token) or not can_be_sent(refresh_token):
        raise HubSpotUnavailableError(
            "the token endpoint's answer holds no tokens, or tokens with characters that cannot "
            "be sent"
        )
    tokens = OAuthTokens(
        refresh_token=refresh_token,
        access_token=access_token,
        expires_at=asked_at + _lifetime(known.get("expires_in")),
        issued_at=asked_at,
    )
    return _answer(tokens, known)


def _mapping(body: Any) -> Mapping[str, Any]:
    return body if isinstance(body, dict) else {}


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
