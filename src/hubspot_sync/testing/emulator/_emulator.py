"""The emulator: an account behind an HTTP server."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hubspot_sync._clock import SystemClock
from hubspot_sync.testing.emulator._application import Application
from hubspot_sync.testing.emulator._calls import CallLog
from hubspot_sync.testing.emulator._control import PREFIX, Control
from hubspot_sync.testing.emulator._faults import FaultScript
from hubspot_sync.testing.emulator._hostility import Hostility
from hubspot_sync.testing.emulator._instants import time_zone_called
from hubspot_sync.testing.emulator._interventions import HostileAccount
from hubspot_sync.testing.emulator._limits import RateLimits
from hubspot_sync.testing.emulator._oauth import Access, Credentials
from hubspot_sync.testing.emulator._search import SearchIndex
from hubspot_sync.testing.emulator._seed import seed_portal
from hubspot_sync.testing.emulator._server import Server

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from typing_extensions import Self

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator._wire import Answer, Request


class HubSpotEmulator(HostileAccount):
    """Answers like HubSpot, over real HTTP on 127.0.0.1, for one account.

    ```python
    with HubSpotEmulator(contacts=10) as emulator:
        client = hubspot.Client.create(access_token=emulator.access_token, host=emulator.base_url)
    ```

    The content comes from *seed* alone, so that two emulators with the same arguments hold the
    same records, today and next year. What it knows of HubSpot has its source beside it in the
    code; a feature that it does not know is answered with 501, never with a guess.

    Args:
        contacts: How many contacts to start with.
        companies: How many companies to start with.
        seed: Chooses the content.
        account_id: The portal's number.
        access_token: A static access token that never expires.
        client_id: The OAuth app's.
        client_secret: The OAuth app's.
        refresh_token: What the token endpoint takes for a new access token.
        access_token_lifetime: How long access tokens from the token endpoint live, by the clock.
        clock: Dates changes and answers, expires access tokens and moves rate windows; the real
            one by default. Latency and delays take real time always.
        port: Where to listen; 0 takes a free port.
        extra_properties: Further custom properties per object type, for wide accounts.
        burst_limit: Calls per rolling ten seconds; None is no limit, and no limit headers.
        search_limit: Searches per rolling second; None is no limit.
        latency: Seconds that every answer takes at least.
        daily_limit: Calls per day of the account, searches and association batches included; None
            is no limit, and no such headers (an OAuth app has none).
        time_zone: The account's IANA time zone; the daily limit starts anew at its midnight.
        scopes: The scopes of every access token; None is all there are. Without a scope that an
            endpoint needs: 403.
        hostility: What it does to its readers; nothing by default.

    Attributes:
        faults: The scripted faults; `faults.add(Fault(...))`.
        calls: The call log.
        account_id: As given.
        access_token: As given.
        client_id: As given.
        client_secret: As given.
        refresh_token: As given.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        *,
        contacts: int = 0,
        companies: int = 0,
        seed: int = 1,
        account_id: str = "62515",
        access_token: str = "pat-na1-emulator",  # noqa: S107 - of an emulator
        client_id: str = "emulator-client-id",
        client_secret: str = "emulator-client-secret",  # noqa: S107 - of an emulator
        refresh_token: str = "na1-emulator-refresh",  # noqa: S107 - of an emulator
        access_token_lifetime: timedelta = timedelta(minutes=30),
        clock: Clock | None = None,
        port: int = 0,
        extra_properties: int = 0,
        burst_limit: int | None = None,
        search_limit: int | None = None,
        latency: float = 0.0,
        daily_limit: int | None = None,
        time_zone: str = "UTC",
        scopes: Iterable[str] | None = None,
        hostility: Hostility | None = None,
    ) -> None:
        _check(account_id, contacts, companies, extra_properties, latency)
        self._clock: Clock = clock or SystemClock()
        zone = time_zone_called(time_zone)
        super().__init__(account_id, self._clock, seed, zone)
        seed_portal(
            self._portal,
            seed=seed,
            contacts=contacts,
            companies=companies,
            extra_properties=extra_properties,
        )
        self.account_id = account_id
        self.access_token = access_token
        self.client_id = client_id
        self.client_secret = client_secret
        self.refresh_token = refresh_token
        self.faults = FaultScript()
        self.calls = CallLog()
        self._port = port
        self._latency = latency
        self._limits = RateLimits(self._clock, burst_limit, search_limit, daily_limit, zone)
        self.hostility = hostility or Hostility()
        self._search = SearchIndex(self._portal)
        self._access = Access(
            Credentials(
                account_id=account_id,
                access_token=access_token,
                client_id=client_id,
                client_secret=client_secret,
                refresh_token=refresh_token,
                lifetime=access_token_lifetime,
            ),
            self._clock,
            None if scopes is None else frozenset(scopes),
        )
        self._control = Control(self)
        self._closing = threading.Event()
        self._server: Server | None = None

    def _behave(self, settings: Hostility) -> None:
        super()._behave(settings)
        self._limits.use(settings)

    @property
    def base_url(self) -> str:
        """Where it listens: `http://127.0.0.1:<port>`.

        Raises:
            RuntimeError: It is not started.
        """
        if self._server is None:
            raise RuntimeError("the emulator is not started; use it as a context manager")
        return self._server.base_url

    def start(self) -> Self:
        """Listen and answer until `close`; the content survives, and it may start again.

        Raises:
            OSError: The port is taken.
            RuntimeError: It is started already.
        """
        if self._server is not None:
            raise RuntimeError("the emulator is started already")
        self._closing = threading.Event()
        application = Application(
            portal=self._portal,
            search=self._search,
            access=self._access,
            limits=self._limits,
            faults=self.faults,
            calls=self.calls,
            interventions=self._interventions,
            clock=self._clock,
            latency=self._latency,
            closing=self._closing,
        )

        def answer(request: Request) -> Answer:
            own = request.path == PREFIX or request.path.startswith(f"{PREFIX}/")
            return self._control(request) if own else application(request)

        self._server = Server(answer, self._clock, self._port)
        self._server.start()
        return self

    def close(self) -> None:
        """Stop listening and hang up; calls that are held back get no answer. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            self._closing.set()
            server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of every access token, None for all; may be set while it runs."""
        return self._access.scopes

    @scopes.setter
    def scopes(self, scopes: Iterable[str] | None) -> None:
        self._access.scopes = None if scopes is None else frozenset(scopes)

    def issue_code(self, redirect_uri: str = "https://example.com/callback") -> str:
        """An authorization code, as after a user's consent; good for one exchange."""
        return self._access.issue_code(redirect_uri)

    def expire_access_tokens(self) -> None:
        """Let every access token from the token endpoint be out of date from now on."""
        self._access.expire()

    def revoke_access(self) -> None:
        """Uninstall the app: the refresh token is refused until a new code is exchanged."""
        self._access.revoke()

    def describe(self) -> dict[str, Any]:
        """Where it is and how to get in, for the command line and the control path."""
        return {
            "base_url": self.base_url,
            "account_id": self.account_id,
            "access_token": self.access_token,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
            "contacts": len(self.records("contacts")),
            "companies": len(self.records("companies")),
        }


def _check(account_id: str, contacts: int, companies: int, extra: int, latency: float) -> None:
    if not account_id.isdecimal():
        raise ValueError(f"account_id {account_id!r} must be a number as text")
    if min(contacts, companies, extra) < 0 or latency < 0:
        raise ValueError("contacts, companies, extra_properties and latency cannot be negative")
