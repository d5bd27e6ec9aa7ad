"""The emulator: accounts behind an HTTP server."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hubspot_sync._clock import SystemClock
from hubspot_sync.testing.emulator._accounts import EmulatedAccount, names_of
from hubspot_sync.testing.emulator._application import Application
from hubspot_sync.testing.emulator._calls import CallLog
from hubspot_sync.testing.emulator._consent import ConsentPage, ConsentRefusedError
from hubspot_sync.testing.emulator._control import Control
from hubspot_sync.testing.emulator._faults import FaultScript
from hubspot_sync.testing.emulator._hosting import Hosting
from hubspot_sync.testing.emulator._installations import Directory
from hubspot_sync.testing.emulator._oauth import App, TokenEndpoints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator._hostility import Duration, Hostility
    from hubspot_sync.testing.emulator._wire import Answer, Request


class HubSpotEmulator(EmulatedAccount, Hosting):
    """Answers like HubSpot, over real HTTP on 127.0.0.1, for one account or for many.

    ```python
    with HubSpotEmulator(contacts=10) as emulator:
        client = hubspot.Client.create(access_token=emulator.access_token, host=emulator.base_url)
    ```

    It is itself its first account; `add_account` adds more. One OAuth app serves them all.

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
        access_token_lifetime: How long access tokens from the token endpoint live, by the clock;
            seconds or a duration.
        clock: Dates changes and answers, expires access tokens and moves rate windows; the real
            one by default. Latency and delays take real time always.
        port: Where to listen; 0 takes a free port.
        extra_properties: Further custom properties per object type, for wide accounts.
        burst_limit: Calls per rolling ten seconds; None is no limit.
        search_limit: Searches per rolling second; None is no limit.
        latency: Seconds that every answer takes at least.
        daily_limit: Calls per day with the static access token, searches and association batches
            included; None is no limit, and no such headers (an OAuth app has none).
        time_zone: The account's IANA time zone; the daily limit starts anew at its midnight.
        scopes: The scopes of every access token; None is all there are. Without a scope that an
            endpoint needs: 403.
        hostility: What it does to its readers; nothing by default.
        hub_domain: The account's own domain name, `account-<number>.example.com` by default.
        available_scopes: What somebody of this account can consent to; None is all there are.
        installed: Whether the app is installed from the start, so that the refresh token is good
            without a consent.
        redirect_uris: Where the app may have people sent back to, word for word; None is anywhere.
        app_scopes: The scopes that the app requires, "oauth" always; None is whatever is asked for.
        app_optional_scopes: The scopes that the app may ask for besides.
        token_limit: Calls of the token endpoint per rolling second, of all accounts together;
            None is no limit. HubSpot has one and does not say which (HubSpot 5.3).
        code_lifetime: How long an authorization code is good.
        rotate_refresh_tokens: Whether each refresh gives a new refresh token and ends the old one.

    Attributes:
        shared_faults: Faults that calls of any account meet, before the account's own.
        calls: The calls of the first account, and those with nobody's credentials.
        all_calls: The calls of all accounts; `Call.account_id` tells them apart.
        client_id: As given.
        client_secret: As given.

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
        access_token_lifetime: Duration = timedelta(minutes=30),
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
        hub_domain: str | None = None,
        available_scopes: Iterable[str] | None = None,
        installed: bool = True,
        redirect_uris: Iterable[str] | None = None,
        app_scopes: Iterable[str] | None = None,
        app_optional_scopes: Iterable[str] = (),
        token_limit: int | None = None,
        code_lifetime: timedelta = timedelta(minutes=10),
        rotate_refresh_tokens: bool = False,
    ) -> None:
        Hosting.__init__(self, clock or SystemClock(), port)
        self._directory = Directory()
        self._app = App(
            client_id=client_id,
            client_secret=client_secret,
            redirect_uris=names_of(redirect_uris),
            scopes=names_of(app_scopes),
            optional_scopes=frozenset(app_optional_scopes),
        )
        self._tokens = TokenEndpoints(
            self._app,
            self._directory,
            self._clock,
            limit=token_limit,
            code_lifetime=code_lifetime,
            rotate=rotate_refresh_tokens,
        )
        EmulatedAccount.__init__(
            self,
            self._clock,
            self._directory,
            self._tokens,
            account_id=account_id,
            contacts=contacts,
            companies=companies,
            seed=seed,
            access_token=access_token,
            refresh_token=refresh_token,
            access_token_lifetime=access_token_lifetime,
            extra_properties=extra_properties,
            burst_limit=burst_limit,
            search_limit=search_limit,
            latency=latency,
            daily_limit=daily_limit,
            time_zone=time_zone,
            scopes=scopes,
            hostility=hostility,
            hub_domain=hub_domain,
            available_scopes=available_scopes,
            installed=installed,
        )
        self.client_id = client_id
        self.client_secret = client_secret
        self.shared_faults = FaultScript()
        self.all_calls = CallLog()
        self._seed = seed
        self._adding = threading.Lock()
        self._accounts: dict[str, EmulatedAccount] = {account_id: self}
        self._page = ConsentPage(self._app, self._directory, self._tokens)
        self._control = Control(self)

    @property
    def accounts(self) -> Mapping[str, EmulatedAccount]:
        """All accounts by number, the first one first: a live view."""
        return MappingProxyType(self._accounts)

    def add_account(self, account_id: str | None = None, **settings: Any) -> EmulatedAccount:
        """Put another account on the server; it may run already.

        Args:
            account_id: The portal's number; the one after the highest by default.
            settings: As of `EmulatedAccount`. By default its content is its own, not that of
                another account, and its credentials have its number in them.

        Raises:
            TypeError: There is no such setting.
            ValueError: A setting is out of range, or the number or a credential is taken.
        """
        with self._adding:
            number = account_id or str(max(int(taken) for taken in self._accounts) + 1)
            settings.setdefault("access_token", f"pat-na1-emulator-{number}")
            settings.setdefault("refresh_token", f"na1-emulator-refresh-{number}")
            if number.isdecimal():
                settings.setdefault("seed", self._seed + int(number))
            account = EmulatedAccount(
                self._clock, self._directory, self._tokens, account_id=number, **settings
            )
            self._accounts[number] = account
            return account

    def consent(self, url: str, account_id: str | None = None, *, allow: bool = True) -> str:
        """Do what a person does at the consent page; returns where HubSpot sends them then.

        Args:
            url: An authorization URL; its host does not matter.
            account_id: The account that the person chooses; the first one by default, or the one
                that the URL is for.
            allow: Or deny.

        Raises:
            ValueError: The page shows an error and sends nobody back; with its words.
        """
        try:
            return self._page.consent(url, account_id, allow=allow)
        except ConsentRefusedError as error:
            raise ValueError(f"the consent page says: {error}") from None

    @property
    def rotate_refresh_tokens(self) -> bool:
        """Whether each refresh gives a new refresh token and ends the old one; may be set."""
        return self._tokens.rotate

    @rotate_refresh_tokens.setter
    def rotate_refresh_tokens(self, rotate: bool) -> None:
        self._tokens.rotate = rotate

    def _answering(self, closing: threading.Event) -> Callable[[Request], Answer]:
        return self._control.before(
            Application(
                directory=self._directory,
                tokens=self._tokens,
                page=self._page,
                faults=self.shared_faults,
                calls=self.all_calls,
                clock=self._clock,
                closing=closing,
            )
        )

    def describe(self) -> dict[str, Any]:
        """Where it is and how to get in, for the command line and the control path."""
        return {
            "base_url": self.base_url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            **super().describe(),
            "accounts": [EmulatedAccount.describe(one) for one in list(self._accounts.values())],
        }
