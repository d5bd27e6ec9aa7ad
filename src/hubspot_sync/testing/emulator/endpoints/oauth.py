"""The OAuth app and its token endpoints (HubSpot 5.1 to 5.3).

What introspection tells has the fields of `PublicAccessTokenInfoResponse` and
`PublicRefreshTokenInfoResponse` in `Auth/Oauth/Rollouts/279897/2026-03/oauth.json` of HubSpot's
specifications.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import attrs

from hubspot_sync.testing.emulator.endpoints.access import USUAL_SCOPES, names_of
from hubspot_sync.testing.emulator.endpoints.limits import RollingWindow
from hubspot_sync.testing.emulator.refusals import (
    TokenRefusalError,
    bad_code,
    bad_refresh_token,
    bad_request,
    rate_limited,
)
from hubspot_sync.testing.emulator.wire import Answer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator.endpoints.access import Issued
    from hubspot_sync.testing.emulator.endpoints.installations import Installation, Installations

_APP: Final = 1_234_567
_USER: Final = 123


@attrs.frozen(kw_only=True)
class App:
    """The OAuth app that accounts install.

    Attributes:
        client_id: Names it in authorization URLs and at the token endpoint.
        client_secret: What the token endpoint asks for besides.
        redirect_uris: Where people may be sent back to, word for word; None is anywhere.
        scopes: The scopes that it requires, "oauth" always; None is whatever is asked for.
        optional_scopes: The scopes that it may ask for besides.
        token_limit: Calls of the token endpoint per rolling second, of all accounts together;
            None is no limit. HubSpot has one and does not say which (HubSpot 5.3).
        code_lifetime: How long an authorization code is good; HubSpot's is not documented, and
            RFC 6749 (4.1.2) recommends ten minutes at most.
        rotate_refresh_tokens: Whether each refresh gives a new refresh token and ends the old one.
            HubSpot has not been seen to do so (HubSpot 5.2).
    """

    client_id: str = "emulator-client-id"
    client_secret: str = attrs.field(default="emulator-client-secret", repr=False)
    redirect_uris: frozenset[str] | None = attrs.field(default=None, converter=names_of)
    scopes: frozenset[str] | None = attrs.field(default=None, converter=names_of)
    optional_scopes: frozenset[str] = attrs.field(default=(), converter=frozenset)
    token_limit: int | None = None
    code_lifetime: timedelta = timedelta(minutes=10)
    rotate_refresh_tokens: bool = False

    def asks_for(self, scopes: frozenset[str], optional: frozenset[str]) -> bool:
        """Whether an authorization URL may ask for this (HubSpot 5.6).

        What the app requires has to be there, "oauth" of every app, and no more than it is
        configured for.
        """
        if "oauth" not in scopes:
            return False
        if self.scopes is None:
            return True
        required = self.scopes | {"oauth"}
        return required <= scopes and scopes | optional <= required | self.optional_scopes


class TokenEndpoints:
    """Exchanges codes and refresh tokens for access tokens; thread-safe.

    Attributes:
        rotate: Whether each refresh gives a new refresh token and ends the old one; may be set.
    """

    def __init__(self, app: App, installations: Installations, clock: Clock) -> None:
        self.rotate = app.rotate_refresh_tokens
        self._app = app
        self._installations = installations
        self._window = RollingWindow(app.token_limit, 1.0, clock) if app.token_limit else None

    def owner_of(self, request: Request) -> Installation | None:
        """The account that a call is about; None where that cannot be told."""
        form = request.form()
        given = form.get("refresh_token") or form.get("code") or form.get("token")
        return self._installations.owner(given)

    def exchange(self, request: Request) -> Answer:
        """`POST /oauth/{version}/token`."""
        if self._window and self._window.take() is None:
            raise rate_limited("SECONDLY")
        form = request.form()
        if not form.get("grant_type"):
            raise TokenRefusalError("BAD_GRANT_TYPE", "invalid_request", "missing grant_type")
        self._check_client(form)
        full = request.args["version"] != "v1"
        if form["grant_type"] == "refresh_token":
            return self._refresh(form, full=full)
        if form["grant_type"] == "authorization_code":
            return self._redeem(form, full=full)
        raise TokenRefusalError(
            "BAD_GRANT_TYPE", "unsupported_grant_type", "grant_type is not supported"
        )

    def introspect(self, request: Request) -> Answer:
        """`POST /oauth/{version}/token/introspect`."""
        form = request.form()
        self._check_client(form)
        given = _given(form)
        installation = self._installations.owner(given)
        if installation is None:
            return answer(_inactive())
        left = installation.access.seconds_left(given)
        if left is not None:
            return answer(_of_access(installation, self._app.client_id, given, left))
        if installation.access.accepts(given):
            return answer(_of_refresh(installation, self._app.client_id, given))
        return answer(_inactive())

    def revoke(self, request: Request) -> Answer:
        """`POST /oauth/{version}/token/revoke`: ends a refresh token.

        Its specification names no status; that of v1, `DELETE /oauth/v1/refresh-tokens/{token}`,
        is 204. An unknown token is no error in RFC 7009 (2.2).
        """
        form = request.form()
        self._check_client(form)
        given = _given(form)
        installation = self._installations.owner(given)
        if installation is not None and installation.access.accepts(given):
            installation.access.revoke()
        return Answer(status=204)

    def _check_client(self, form: Mapping[str, str]) -> None:
        if form.get("client_id") != self._app.client_id:
            raise TokenRefusalError(
                "BAD_CLIENT_ID", "invalid_client", "missing or unknown client id"
            )
        if form.get("client_secret") != self._app.client_secret:
            raise TokenRefusalError(
                "BAD_CLIENT_SECRET", "invalid_client", "missing or invalid client secret"
            )

    def _refresh(self, form: Mapping[str, str], *, full: bool) -> Answer:
        given = form.get("refresh_token", "")
        installation = self._installations.owner(given)
        if installation is None:
            raise bad_refresh_token()
        return self._issue(
            installation, installation.access.refresh(given, rotate=self.rotate), full=full
        )

    def _redeem(self, form: Mapping[str, str], *, full: bool) -> Answer:
        code = form.get("code", "")
        installation = self._installations.owner(code)
        if installation is None:
            raise bad_code()
        issued = installation.access.redeem(
            code, form.get("redirect_uri"), by=self._app.code_lifetime, rotate=self.rotate
        )
        return self._issue(installation, issued, full=full)

    def _issue(self, installation: Installation, issued: Issued, *, full: bool) -> Answer:
        content: dict[str, Any] = {
            "token_type": "bearer",
            "access_token": issued.access_token,
            "refresh_token": issued.refresh_token,
            "expires_in": issued.lifetime,
        }
        if full:
            content |= {
                "hub_id": int(installation.account_id),
                "scopes": sorted(USUAL_SCOPES if issued.scopes is None else issued.scopes),
                "token_use": "access_token",
                "user_id": _USER,
            }
        return answer(content)


def _given(form: Mapping[str, str]) -> str:
    # A page of HubSpot's calls the field `access_token` or `refresh_token`, its specification
    # `token` (HubSpot 5.1); only what is specified is taken.
    given = form.get("token")
    if not given:
        raise bad_request("missing token")
    return given


def _inactive() -> dict[str, Any]:
    """Of a token that is unknown or no longer good: RFC 7662 (2.2); HubSpot's is not documented."""
    return {"active": False}


def _of_access(
    installation: Installation, client_id: str, access_token: str, seconds_left: int
) -> dict[str, Any]:
    """Of an access token that is good."""
    content = _common(installation, client_id, access_token, "access_token")
    return {
        **content,
        "expires_in": seconds_left,
        "is_private_distribution": False,
        "signed_access_token": _signed(installation, content["scopes"]),
    }


def _of_refresh(installation: Installation, client_id: str, refresh_token: str) -> dict[str, Any]:
    """Of a refresh token that is good."""
    return _common(installation, client_id, refresh_token, "refresh_token")


def _common(installation: Installation, client_id: str, given: str, use: str) -> dict[str, Any]:
    scopes = installation.access.scopes
    return {
        "active": True,
        "token": given,
        "token_type": "bearer",
        "token_use": use,
        "app_id": _APP,
        "client_id": client_id,
        "hub_id": int(installation.account_id),
        "hub_domain": installation.hub_domain,
        "user": f"admin@{installation.hub_domain}",
        "user_id": _USER,
        "scopes": sorted(USUAL_SCOPES if scopes is None else scopes),
    }


def _signed(installation: Installation, scopes: list[str]) -> dict[str, Any]:
    return {
        "appId": _APP,
        "appInstallId": f"emulated-{installation.account_id}",
        "audience": "",
        "expiresAt": 0,
        "hubId": int(installation.account_id),
        "hublet": "na1",
        "installingUserId": _USER,
        "isPrivateDistribution": False,
        "isServiceAccount": False,
        "isUserLevel": installation.portal.sight.limited,
        "newSignature": "emulated",
        "scopeToScopeGroupPks": "",
        "scopes": " ".join(scopes),
        "signature": "emulated",
        "trialScopeToScopeGroupPks": "",
        "trialScopes": "",
        "userId": _USER,
    }
