"""Access: the static access token, the OAuth token endpoint, and who may call."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import attrs

from hubspot_sync.testing.emulator._failures import (
    TokenRefusalError,
    expired,
    missing_scopes,
    unauthenticated,
)
from hubspot_sync.testing.emulator._instants import to_iso, to_milliseconds
from hubspot_sync.testing.emulator._wire import Answer, Request, answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator._types import ObjectType

_SCOPES: Final = (
    "oauth",
    "crm.objects.companies.read",
    "crm.objects.contacts.read",
    "crm.schemas.companies.read",
    "crm.schemas.contacts.read",
)


# Activities are read with the contacts' scope; the scopes of custom objects share a name.
_ACTIVITIES: Final = frozenset({"0-27", "0-46", "0-47", "0-48", "0-49"})


def scopes_for(route: str, kinds: Sequence[ObjectType]) -> list[str]:
    """The scopes of which any one lets a call pass; none for a call that needs none (HubSpot 5.4).

    Property definitions are read with the objects' scope or with that of their schema, and
    associations with that of either end.
    """
    if route == "account":
        return ["oauth"]
    names = [_scope_name(kind) for kind in kinds]
    scopes = [f"crm.objects.{name}.read" for name in names]
    if route == "properties":
        scopes += [f"crm.schemas.{name}.read" for name in names]
    return scopes


def _scope_name(kind: ObjectType) -> str:
    if kind.type_id.startswith("2-"):
        return "custom"
    return "contacts" if kind.type_id in _ACTIVITIES else kind.name


@attrs.frozen(kw_only=True)
class Credentials:
    """What the emulated account accepts.

    Attributes:
        access_token: A static one; it never expires.
        lifetime: How long issued access tokens live.
    """

    account_id: str
    access_token: str = attrs.field(repr=False)
    client_id: str
    client_secret: str = attrs.field(repr=False)
    refresh_token: str = attrs.field(repr=False)
    lifetime: timedelta


class Access:
    """Issues access tokens and checks them; thread-safe.

    Attributes:
        scopes: The scopes granted to every access token; None is all there are.
    """

    def __init__(
        self, credentials: Credentials, clock: Clock, scopes: frozenset[str] | None
    ) -> None:
        self.scopes = scopes
        self._credentials = credentials
        self._clock = clock
        self._expiries: dict[str, int] = {}
        self._codes: dict[str, str] = {}
        self._revoked = False
        self._lock = threading.Lock()

    def issue_code(self, redirect_uri: str) -> str:
        """An authorization code for one exchange, as after a user's consent."""
        code = str(uuid.uuid4())
        with self._lock:
            self._codes[code] = redirect_uri
        return code

    def expire(self) -> None:
        """Let every issued access token be out of date from now on."""
        now = self._now()
        with self._lock:
            self._expiries = {one: min(at, now) for one, at in self._expiries.items()}

    def revoke(self) -> None:
        """The user uninstalls the app: the refresh token and issued access tokens are refused."""
        with self._lock:
            self._revoked = True
            self._expiries.clear()

    def check(self, headers: Mapping[str, str]) -> None:
        """Let a request pass.

        Raises:
            RefusalError: 401.
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise unauthenticated()
        if given == self._credentials.access_token:
            return
        expiry = self._expiries.get(given)
        if expiry is None:
            raise unauthenticated()
        late = self._now() - expiry
        if late >= 0:
            raise expired(late // 1000, to_iso(expiry))

    def end(self, headers: Mapping[str, str]) -> None:
        """Let the access token that a request carries be out of date from now on, if issued."""
        given = headers.get("authorization", "").partition(" ")[2]
        with self._lock:
            if given in self._expiries:
                self._expiries[given] = min(self._expiries[given], self._now())

    def check_scopes(self, any_of: Sequence[str]) -> None:
        """Let a request pass for which one of the scopes *any_of* is enough.

        Raises:
            RefusalError: None of them is granted: 403.
        """
        if any_of and self.scopes is not None and not self.scopes.intersection(any_of):
            raise missing_scopes(any_of)

    def exchange(self, request: Request) -> Answer:
        """`POST /oauth/{version}/token` (HubSpot 5)."""
        form = dict(parse_qsl(request.body.decode(errors="replace")))
        if not form.get("grant_type"):
            raise TokenRefusalError("BAD_GRANT_TYPE", "invalid_request", "missing grant_type")
        self._check_client(form)
        if form["grant_type"] == "refresh_token":
            self._check_refresh(form)
        elif form["grant_type"] == "authorization_code":
            self._check_code(form)
        else:
            raise TokenRefusalError(
                "BAD_GRANT_TYPE", "unsupported_grant_type", "grant_type is not supported"
            )
        return answer(self._issue(full=request.args["version"] != "v1"))

    def _check_client(self, form: Mapping[str, str]) -> None:
        known = self._credentials
        if form.get("client_id") != known.client_id:
            raise TokenRefusalError(
                "BAD_CLIENT_ID", "invalid_client", "missing or unknown client id"
            )
        if form.get("client_secret") != known.client_secret:
            raise TokenRefusalError(
                "BAD_CLIENT_SECRET", "invalid_client", "missing or invalid client secret"
            )

    def _check_refresh(self, form: Mapping[str, str]) -> None:
        if self._revoked or form.get("refresh_token") != self._credentials.refresh_token:
            raise TokenRefusalError(
                "BAD_REFRESH_TOKEN",
                "invalid_grant",
                "refresh token is invalid, expired or revoked",
            )

    def _check_code(self, form: Mapping[str, str]) -> None:
        with self._lock:
            expected = self._codes.pop(form.get("code", ""), None)
        if expected is None:
            raise TokenRefusalError(
                "BAD_AUTH_CODE", "invalid_grant", "missing or unknown auth code"
            )
        if form.get("redirect_uri") != expected:
            raise TokenRefusalError("BAD_REDIRECT_URI", "invalid_grant", "redirect uri mismatch")

    def _issue(self, *, full: bool) -> dict[str, Any]:
        seconds = int(self._credentials.lifetime.total_seconds())
        issued = f"emulated-{uuid.uuid4().hex}"
        with self._lock:
            self._revoked = False
            self._expiries[issued] = self._now() + seconds * 1000
        content: dict[str, Any] = {
            "token_type": "bearer",
            "access_token": issued,
            # The same string comes back on every refresh (HubSpot 5.2).
            "refresh_token": self._credentials.refresh_token,
            "expires_in": seconds,
        }
        if full:
            content |= {
                "hub_id": int(self._credentials.account_id),
                "scopes": sorted(_SCOPES if self.scopes is None else self.scopes),
                "token_use": "access_token",
                "user_id": 123,
            }
        return content

    def _now(self) -> int:
        return to_milliseconds(self._clock.now())
