"""Who may call: the credentials of one account, and what they may be used for."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Final

import attrs

from hubspot_sync.testing.emulator.refusals import (
    TokenRefusalError,
    bad_code,
    bad_hub,
    bad_refresh_token,
    expired,
    missing_schema_scopes,
    missing_scopes,
    unauthenticated,
)
from hubspot_sync.testing.emulator.wire import to_iso, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import timedelta

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator.portal.types import ObjectType

USUAL_SCOPES: Final = (
    "oauth",
    "crm.objects.companies.read",
    "crm.objects.contacts.read",
    "crm.schemas.companies.read",
    "crm.schemas.contacts.read",
)
_WRITING: Final = frozenset({"archive", "merge", "erase"})
# Activities are read with the contacts' scope; the scopes of custom objects share a name.
_ACTIVITIES: Final = frozenset({"0-27", "0-46", "0-47", "0-48", "0-49"})


def scopes_for(route: str, kinds: Sequence[ObjectType], *, strict: bool = False) -> list[list[str]]:
    """Lists of scopes of each of which any one is needed; none for no need (HubSpot 5.4).

    Property definitions and pipelines are read with the objects' scope or with that of their
    schema, and associations with that of either end, or if *strict* with both.
    """
    if route == "account":
        return [["oauth"]]
    if route == "owners":
        return [["crm.objects.owners.read"]]
    names = [_scope_name(kind) for kind in kinds]
    if route == "schemas":
        return [[f"crm.schemas.{name}.read"] for name in names or ["custom"]]
    if route in _WRITING:
        return [[f"crm.objects.{name}.write" for name in names]]
    scopes = [f"crm.objects.{name}.read" for name in names]
    if route in {"properties", "pipelines"}:
        scopes += [f"crm.schemas.{name}.read" for name in names]
    return [[scope] for scope in scopes] if strict else [scopes]


def _scope_name(kind: ObjectType) -> str:
    if kind.custom:
        return "custom"
    return "contacts" if kind.type_id in _ACTIVITIES else kind.name


@attrs.frozen(kw_only=True)
class _Code:
    redirect_uri: str
    scopes: frozenset[str] | None
    issued: int


@attrs.frozen(kw_only=True)
class Issued:
    """One issued access token.

    Attributes:
        lifetime: Seconds.
    """

    access_token: str = attrs.field(repr=False)
    refresh_token: str = attrs.field(repr=False)
    lifetime: int
    scopes: frozenset[str] | None


class Access:
    """The credentials of one account; thread-safe.

    Attributes:
        scopes: The scopes granted to every access token; None is all there are.
        withheld: Scopes that no access token has, whatever was granted.
        lifetime: How long access tokens that are issued from now on live.
        refreshes: How many access tokens were issued for a refresh token.
        deleted: Whether the account is no more.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        access_token: str,
        refresh_token: str,
        lifetime: timedelta,
        scopes: frozenset[str] | None,
        installed: bool,
    ) -> None:
        self.scopes = scopes
        self.withheld: frozenset[str] = frozenset()
        self.lifetime = lifetime
        self.refreshes = 0
        self._clock = clock
        self._static: str | None = access_token
        self._refresh_token = refresh_token
        self._expiries: dict[str, int] = {}
        self._codes: dict[str, _Code] = {}
        self._given = [access_token, refresh_token]
        self._known = set(self._given)
        self._installed = installed
        self.deleted = False
        self._lock = threading.Lock()

    @property
    def refresh_token(self) -> str:
        """The refresh token that is good now, or will be after the next consent."""
        return self._refresh_token

    @property
    def credentials(self) -> Sequence[str]:
        """Every token and code that was ever given out, oldest first."""
        return list(self._given)

    def knows(self, credential: str) -> bool:
        """Whether a token or code was given out here, good or no longer good."""
        return credential in self._known

    def expire(self) -> None:
        """Let every issued access token be out of date from now on."""
        now = self._now()
        with self._lock:
            self._expiries = {one: min(at, now) for one, at in self._expiries.items()}

    def uninstall(self) -> None:
        """The user uninstalls the app: the refresh token and issued access tokens are refused."""
        with self._lock:
            self._installed = False
            self._expiries.clear()

    def revoke(self) -> None:
        """The refresh token is refused; access tokens live out their time (HubSpot 5.1)."""
        with self._lock:
            self._installed = False

    def delete(self) -> None:
        """The account is no more: nothing opens it again."""
        with self._lock:
            self.deleted, self._static = True, None
            self._expiries.clear()

    def check(self, headers: Mapping[str, str]) -> bool:
        """Let a request pass; returns whether its access token is the static one.

        Raises:
            RefusalError: 401.
        """
        given = bearer_of(headers)
        if given is None:
            raise unauthenticated()
        if given == self._static:
            return True
        expiry = self._expiries.get(given)
        if expiry is None:
            raise unauthenticated()
        late = self._now() - expiry
        if late >= 0:
            raise expired(late / 1000, to_iso(expiry))
        return False

    def end(self, headers: Mapping[str, str]) -> None:
        """Let the access token that a request carries be out of date from now on, if issued."""
        given = bearer_of(headers)
        with self._lock:
            if given in self._expiries:
                self._expiries[given] = min(self._expiries[given], self._now())

    def check_scopes(self, any_of: Sequence[str]) -> None:
        """Let a request pass for which one of the scopes *any_of* is enough.

        Raises:
            RefusalError: None of them is granted: 403.
        """
        granted = set(any_of) if self.scopes is None else self.scopes.intersection(any_of)
        if any_of and not granted - self.withheld:
            schemas = any_of[0].startswith("crm.schemas.")
            raise missing_schema_scopes(any_of) if schemas else missing_scopes(any_of)

    def accepts(self, refresh_token: str) -> bool:
        """Whether a refresh token is good."""
        return self._installed and not self.deleted and refresh_token == self._refresh_token

    def seconds_left(self, access_token: str) -> int | None:
        """How long an issued access token will live; None for one that is not good."""
        expiry = self._expiries.get(access_token)
        left = None if expiry is None else (expiry - self._now()) // 1000
        return left if left is not None and left > 0 else None

    def refresh(self, refresh_token: str, *, rotate: bool) -> Issued:
        """A new access token for a refresh token, which *rotate* replaces.

        Raises:
            RefusalError: 400.
        """
        with self._lock:
            if self.deleted:
                raise bad_hub()
            if not self.accepts(refresh_token):
                raise bad_refresh_token()
            self.refreshes += 1
            return self._issue(rotate=rotate)

    def issue_code(self, redirect_uri: str, scopes: frozenset[str] | None) -> str:
        """A code for one exchange, as after a consent to *scopes*; None leaves them."""
        code = str(uuid.uuid4())
        with self._lock:
            self._codes[code] = _Code(redirect_uri=redirect_uri, scopes=scopes, issued=self._now())
            self._note(code)
        return code

    def redeem(self, code: str, redirect_uri: str | None, *, by: timedelta, rotate: bool) -> Issued:
        """The first access token after a consent, for a code that is good until *by* has passed.

        Raises:
            RefusalError: 400.
        """
        with self._lock:
            found = self._codes.pop(code, None)
        if found is None:
            raise bad_code()
        if found.issued + int(by.total_seconds() * 1000) <= self._now():
            raise TokenRefusalError("EXPIRED_AUTH_CODE", "invalid_grant", "auth code is expired")
        if redirect_uri != found.redirect_uri:
            raise TokenRefusalError("BAD_REDIRECT_URI", "invalid_grant", "redirect uri mismatch")
        return self.install(found.scopes, rotate=rotate)

    def install(self, scopes: frozenset[str] | None, *, rotate: bool) -> Issued:
        """The first access token after a consent; *scopes* are granted, None leaves them.

        Raises:
            RefusalError: 400.
        """
        with self._lock:
            if self.deleted:
                raise bad_hub()
            self._installed = True
            if scopes is not None:
                self.scopes = scopes
            return self._issue(rotate=rotate)

    def _issue(self, *, rotate: bool) -> Issued:
        if rotate:
            self._refresh_token = f"na1-{uuid.uuid4()}"
            self._note(self._refresh_token)
        issued = f"emulated-{uuid.uuid4().hex}"
        seconds = self.lifetime.total_seconds()
        self._expiries[issued] = self._now() + int(seconds * 1000)
        self._note(issued)
        return Issued(
            access_token=issued,
            refresh_token=self._refresh_token,
            lifetime=int(seconds),
            scopes=self.scopes,
        )

    def _note(self, credential: str) -> None:
        self._given.append(credential)
        self._known.add(credential)

    def _now(self) -> int:
        return to_milliseconds(self._clock.now())


def names_of(names: Iterable[str] | None) -> frozenset[str] | None:
    """A set of names, None as it is."""
    return None if names is None else frozenset(names)


def bearer_of(headers: Mapping[str, str]) -> str | None:
    """The access token that a request carries, or None."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given if scheme.lower() == "bearer" else None
