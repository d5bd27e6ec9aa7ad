"""The emulator: accounts and an OAuth app behind an HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from hubspot_sync.testing.emulator.account import AccountSettings, EmulatedAccount, forwarded
from hubspot_sync.testing.emulator.calls import CallLog
from hubspot_sync.testing.emulator.endpoints.consent import ConsentPage, ConsentRefusedError
from hubspot_sync.testing.emulator.endpoints.installations import Installations
from hubspot_sync.testing.emulator.endpoints.oauth import App, TokenEndpoints
from hubspot_sync.testing.emulator.hostility.faults import FaultScript
from hubspot_sync.testing.emulator.hostility.mischief import Lies
from hubspot_sync.testing.emulator.hostility.settings import Hostility
from hubspot_sync.testing.emulator.server.application import Application
from hubspot_sync.testing.emulator.server.control import Control
from hubspot_sync.testing.emulator.server.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from hubspot_sync._clock import Clock

# The arguments of an emulator that are those of its app, and what the app calls them.
_OF_THE_APP: Final = {
    "client_id": "client_id",
    "client_secret": "client_secret",
    "redirect_uris": "redirect_uris",
    "app_scopes": "scopes",
    "app_optional_scopes": "optional_scopes",
    "token_limit": "token_limit",
    "code_lifetime": "code_lifetime",
    "rotate_refresh_tokens": "rotate_refresh_tokens",
}
_CREDENTIALS: Final = {
    "access_token": "pat-na1-emulator",
    "refresh_token": "na1-emulator-refresh",
}
Read = TypeVar("Read")
Set = TypeVar("Set")


class EmulatorSettings(AccountSettings, total=False):
    """The short form's arguments: those of the first account and of the app."""

    account_id: str
    client_id: str
    client_secret: str
    redirect_uris: Iterable[str] | None
    app_scopes: Iterable[str] | None
    app_optional_scopes: Iterable[str]
    token_limit: int | None
    code_lifetime: timedelta
    rotate_refresh_tokens: bool


class ForwardedAttribute(Generic[Read, Set]):
    """An attribute of the first account, as one of the emulator."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, emulator: HubSpotEmulator, owner: type) -> Read:
        # Tools that show a class ask for the attributes of no instance.
        found: Read = self if emulator is None else getattr(emulator.account, self._name)
        return found

    def __set__(self, emulator: HubSpotEmulator, value: Set) -> None:
        setattr(emulator.account, self._name, value)


class HubSpotEmulator:
    """Answers like HubSpot, over real HTTP on 127.0.0.1, for one account or for many.

    ```python
    with HubSpotEmulator(contacts=10) as emulator:
        client = hubspot.Client.create(access_token=emulator.access_token, host=emulator.base_url)
    ```

    It has accounts and one OAuth app that serves them all. Composed, it takes them as they are:

    ```python
    HubSpotEmulator(accounts=[EmulatedAccount(contacts=10)], app=App(scopes=["oauth"]))
    ```

    The short form takes the arguments of one `EmulatedAccount` and of an `App` (its scopes as
    `app_scopes` and `app_optional_scopes`), and `add_account` adds more accounts. This account's
    credentials are "pat-na1-emulator" and "na1-emulator-refresh" by default. What an
    `EmulatedAccount` has, the emulator has too, for its first account.

    The content comes from an account's *seed* alone, so that two emulators with the same arguments
    hold the same records, today and next year. What it knows of HubSpot has its source beside it in
    the code; a feature that it does not know is answered with 501, never with a guess.

    Args:
        accounts: The accounts, the first one first; one of the *settings* by default.
        app: The OAuth app; that of the *settings* by default.
        port: Where to listen; 0 takes a free port.
        settings: Of the first account and of the app, where these are not given.

    Attributes:
        account: The first account.
        clock: The first account's; dates answers and calls too.
        shared_faults: Faults that calls of any account meet, before the account's own.
        calls: The calls of the first account, and those with nobody's credentials.
        all_calls: The calls of all accounts; `Call.account_id` tells them apart.
        client_id: The app's.
        client_secret: The app's.

    Raises:
        TypeError: There is no such setting, or *accounts* or *app* are given together with
            settings of theirs.
        ValueError: An argument is out of range, or two accounts share a number or a credential.
    """

    def __init__(
        self,
        *,
        accounts: Iterable[EmulatedAccount] = (),
        app: App | None = None,
        port: int = 0,
        **settings: Unpack[EmulatorSettings],
    ) -> None:
        of_account: dict[str, Any] = {**settings}
        of_app = {
            name: of_account.pop(given)
            for given, name in _OF_THE_APP.items()
            if given in of_account
        }
        first, *further = _either("accounts", list(accounts), of_account) or [
            EmulatedAccount(**{**_CREDENTIALS, **of_account})
        ]
        self._app = _either("app", app, of_app) or App(**of_app)
        self.account = first
        self.clock: Clock = first.clock
        self.client_id = self._app.client_id
        self.client_secret = self._app.client_secret
        self.shared_faults = FaultScript()
        self.all_calls = CallLog()
        self._adding = threading.Lock()
        self._accounts: dict[str, EmulatedAccount] = {}
        self._installations = Installations()
        self._tokens = TokenEndpoints(self._app, self._installations, self.clock)
        self._page = ConsentPage(self._app, self._installations)
        for account in (first, *further):
            self._add(account)
        self._server = self._serving(port)

    def _serving(self, port: int) -> Server:
        closing = threading.Event()
        application = Application(
            installations=self._installations,
            tokens=self._tokens,
            page=self._page,
            faults=self.shared_faults,
            calls=self.all_calls,
            clock=self.clock,
            closing=closing,
        )
        control = Control(
            self.accounts,
            self.add_account,
            self.describe,
            faults=self.shared_faults,
            calls=self.all_calls,
        )
        return Server(control.before(application), closing, self.clock, port)

    # What the first account has.

    account_id = ForwardedAttribute[str, NoReturn]()
    access_token = ForwardedAttribute[str, NoReturn]()
    refresh_token = ForwardedAttribute[str, NoReturn]()
    refreshes = ForwardedAttribute[int, NoReturn]()
    access_token_lifetime = ForwardedAttribute[timedelta, timedelta | float]()
    scopes = ForwardedAttribute[frozenset[str] | None, Iterable[str] | None]()
    hostility = ForwardedAttribute[Hostility, Hostility]()
    lies = ForwardedAttribute[Lies, NoReturn]()
    faults = ForwardedAttribute[FaultScript, NoReturn]()
    calls = ForwardedAttribute[CallLog, NoReturn]()
    expired_calls = ForwardedAttribute[CallLog, NoReturn]()

    add_object_type = forwarded("account", EmulatedAccount.add_object_type)
    add_property = forwarded("account", EmulatedAccount.add_property)
    remove_property = forwarded("account", EmulatedAccount.remove_property)
    definitions = forwarded("account", EmulatedAccount.definitions)
    records = forwarded("account", EmulatedAccount.records)
    create = forwarded("account", EmulatedAccount.create)
    update = forwarded("account", EmulatedAccount.update)
    touch = forwarded("account", EmulatedAccount.touch)
    bump = forwarded("account", EmulatedAccount.bump)
    recalculate = forwarded("account", EmulatedAccount.recalculate)
    archive = forwarded("account", EmulatedAccount.archive)
    restore = forwarded("account", EmulatedAccount.restore)
    merge = forwarded("account", EmulatedAccount.merge)
    erase = forwarded("account", EmulatedAccount.erase)
    truth = forwarded("account", EmulatedAccount.truth)
    define_label = forwarded("account", EmulatedAccount.define_label)
    associate = forwarded("account", EmulatedAccount.associate)
    dissociate = forwarded("account", EmulatedAccount.dissociate)
    relabel = forwarded("account", EmulatedAccount.relabel)
    settle_index = forwarded("account", EmulatedAccount.settle_index)
    owners = forwarded("account", EmulatedAccount.owners)
    set_owner = forwarded("account", EmulatedAccount.set_owner)
    pipelines = forwarded("account", EmulatedAccount.pipelines)
    set_pipeline = forwarded("account", EmulatedAccount.set_pipeline)
    remove_pipeline = forwarded("account", EmulatedAccount.remove_pipeline)
    change = forwarded("account", EmulatedAccount.change)
    changes = forwarded("account", EmulatedAccount.changes)
    on_call = forwarded("account", EmulatedAccount.on_call)
    withhold_scopes = forwarded("account", EmulatedAccount.withhold_scopes)
    issue_code = forwarded("account", EmulatedAccount.issue_code)
    grant_access = forwarded("account", EmulatedAccount.grant_access)
    expire_access_tokens = forwarded("account", EmulatedAccount.expire_access_tokens)
    revoke_access = forwarded("account", EmulatedAccount.revoke_access)
    delete_account = forwarded("account", EmulatedAccount.delete_account)

    @property
    def accounts(self) -> Mapping[str, EmulatedAccount]:
        """All accounts by number, the first one first: a live view."""
        return MappingProxyType(self._accounts)

    def add_account(
        self, account_id: str | None = None, **settings: Unpack[AccountSettings]
    ) -> EmulatedAccount:
        """Put another account on the server; it may run already.

        Args:
            account_id: The portal's number; the one after the highest by default.
            settings: As of `EmulatedAccount`. By default its content is its own, not that of
                another account, and its clock is the emulator's.

        Raises:
            TypeError: There is no such setting.
            ValueError: A setting is out of range, or the number or a credential is taken.
        """
        with self._adding:
            number = account_id or str(max(int(taken) for taken in self._accounts) + 1)
            settings.setdefault("clock", self.clock)
            if number.isdecimal():
                settings.setdefault("seed", self.account.seed + int(number))
            return self._add(EmulatedAccount(number, **settings))

    def _add(self, account: EmulatedAccount) -> EmulatedAccount:
        self._installations.add(account.installation)
        self._accounts[account.account_id] = account
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

    @property
    def credentials(self) -> Sequence[str]:
        """Every token and code that any account was ever given, for tests that look for leaks."""
        return self._installations.credentials

    def describe(self) -> dict[str, Any]:
        """Where it is and how to get in, for the command line and the control path."""
        return {
            "base_url": self.base_url,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            **self.account.describe(),
            "accounts": [one.describe() for one in list(self._accounts.values())],
        }

    @property
    def base_url(self) -> str:
        """Where it listens: `http://127.0.0.1:<port>`.

        Raises:
            RuntimeError: It is not started.
        """
        return self._server.base_url

    def start(self) -> Self:
        """Listen and answer until `close`; the content survives, and it may start again.

        Raises:
            OSError: The port is taken.
            RuntimeError: It is started already.
        """
        self._server.start()
        return self

    def close(self) -> None:
        """Stop listening and hang up; calls that are held back get no answer. Idempotent."""
        self._server.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _either(name: str, given: Read, settings: Mapping[str, Any]) -> Read:
    """What was *given*, if anything, which leaves no room for settings of it."""
    if given and settings:
        raise TypeError(f"give {name} or the settings {', '.join(sorted(settings))}, not both")
    return given
