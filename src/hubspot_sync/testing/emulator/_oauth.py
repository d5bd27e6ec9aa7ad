"""The OAuth app and its token endpoints (HubSpot 5.1 to 5.3)."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any, Final

import attrs

from hubspot_sync.testing.emulator._access import USUAL_SCOPES
from hubspot_sync.testing.emulator._failures import (
    TokenRefusalError,
    bad_refresh_token,
    bad_request,
    rate_limited,
)
from hubspot_sync.testing.emulator._instants import to_milliseconds
from hubspot_sync.testing.emulator._introspection import inactive, of_access, of_refresh
from hubspot_sync.testing.emulator._limits import RollingWindow
from hubspot_sync.testing.emulator._wire import Answer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator._access import Issued
    from hubspot_sync.testing.emulator._installations import Directory, Installation

_USER: Final = 123


@attrs.frozen(kw_only=True)
class App:
    """The app that accounts install.

    Attributes:
        redirect_uris: Where people may be sent back to, word for word; None is anywhere.
        scopes: What it requires; None is whatever is asked for.
        optional_scopes: What it may ask for besides.
    """

    client_id: str
    client_secret: str = attrs.field(repr=False)
    redirect_uris: frozenset[str] | None = None
    scopes: frozenset[str] | None = None
    optional_scopes: frozenset[str] = frozenset()

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


@attrs.frozen(kw_only=True)
class _Code:
    installation: Installation
    redirect_uri: str
    scopes: frozenset[str] | None
    expires: int


class TokenEndpoints:
    """Exchanges codes and refresh tokens for access tokens; thread-safe.

    Args:
        limit: Calls per rolling second of the app, whatever the account; None is no limit.
        code_lifetime: How long a code is good; HubSpot's is not documented, and RFC 6749
            (4.1.2) recommends ten minutes at most.

    Attributes:
        rotate: Whether each refresh gives a new refresh token and ends the old one. HubSpot has
            not been seen to do so (HubSpot 5.2).
    """

    def __init__(
        self,
        app: App,
        directory: Directory,
        clock: Clock,
        *,
        limit: int | None,
        code_lifetime: timedelta,
        rotate: bool,
    ) -> None:
        self.rotate = rotate
        self._app = app
        self._directory = directory
        self._clock = clock
        self._window = RollingWindow(limit, 1.0, clock) if limit else None
        self._code_lifetime = code_lifetime
        self._codes: dict[str, _Code] = {}
        self._lock = threading.Lock()

    def issue_code(
        self, installation: Installation, redirect_uri: str, scopes: frozenset[str] | None
    ) -> str:
        """A code for one exchange, as after a user's consent."""
        code = str(uuid.uuid4())
        lifetime = int(self._code_lifetime.total_seconds() * 1000)
        with self._lock:
            self._codes[code] = _Code(
                installation=installation,
                redirect_uri=redirect_uri,
                scopes=scopes,
                expires=self._now() + lifetime,
            )
        self._directory.own(code, installation)
        return code

    def owner_of(self, request: Request) -> Installation | None:
        """The account that a call is about; None where that cannot be told."""
        form = request.form()
        given = form.get("refresh_token") or form.get("code") or form.get("token")
        return self._directory.owner(given)

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
        installation = self._directory.owner(given)
        if installation is None:
            return answer(inactive())
        left = installation.access.seconds_left(given)
        if left is not None:
            return answer(of_access(installation, self._app.client_id, given, left))
        if installation.access.accepts(given):
            return answer(of_refresh(installation, self._app.client_id, given))
        return answer(inactive())

    def revoke(self, request: Request) -> Answer:
        """`POST /oauth/{version}/token/revoke`: ends a refresh token.

        Its specification names no status; that of v1, `DELETE /oauth/v1/refresh-tokens/{token}`,
        is 204. An unknown token is no error in RFC 7009 (2.2).
        """
        form = request.form()
        self._check_client(form)
        given = _given(form)
        installation = self._directory.owner(given)
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
        installation = self._directory.owner(given)
        if installation is None:
            raise bad_refresh_token()
        return self._issue(
            installation, installation.access.refresh(given, rotate=self.rotate), full=full
        )

    def _redeem(self, form: Mapping[str, str], *, full: bool) -> Answer:
        with self._lock:
            code = self._codes.pop(form.get("code", ""), None)
        if code is None:
            raise TokenRefusalError(
                "BAD_AUTH_CODE", "invalid_grant", "missing or unknown auth code"
            )
        if code.expires <= self._now():
            raise TokenRefusalError("EXPIRED_AUTH_CODE", "invalid_grant", "auth code is expired")
        if form.get("redirect_uri") != code.redirect_uri:
            raise TokenRefusalError("BAD_REDIRECT_URI", "invalid_grant", "redirect uri mismatch")
        issued = code.installation.access.install(code.scopes, rotate=self.rotate)
        return self._issue(code.installation, issued, full=full)

    def _issue(self, installation: Installation, issued: Issued, *, full: bool) -> Answer:
        self._directory.own(issued.access_token, installation)
        self._directory.own(issued.refresh_token, installation)
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

    def _now(self) -> int:
        return to_milliseconds(self._clock.now())


def _given(form: Mapping[str, str]) -> str:
    # A page of HubSpot's calls the field `access_token` or `refresh_token`, its specification
    # `token` (HubSpot 5.1); only what is specified is taken.
    given = form.get("token")
    if not given:
        raise bad_request("missing token")
    return given
