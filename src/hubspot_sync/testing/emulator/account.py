"""One account of an emulator: its content, its behaviour, its credentials and its limits."""

from __future__ import annotations

import functools
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypedDict, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hubspot_sync._clock import SystemClock
from hubspot_sync.testing.emulator.endpoints.access import Access, names_of
from hubspot_sync.testing.emulator.endpoints.installations import Installation
from hubspot_sync.testing.emulator.endpoints.limits import RateLimits
from hubspot_sync.testing.emulator.hostility.settings import Hostility, duration
from hubspot_sync.testing.emulator.portal.content import Content
from hubspot_sync.testing.emulator.portal.history import History
from hubspot_sync.testing.emulator.portal.portal import Portal
from hubspot_sync.testing.emulator.portal.reference import Reference
from hubspot_sync.testing.emulator.portal.seed import seed_portal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator.calls import Call
    from hubspot_sync.testing.emulator.hostility.mischief import Lies
    from hubspot_sync.testing.emulator.hostility.settings import Duration

P = ParamSpec("P")
R = TypeVar("R")


def forwarded(
    part: str, method: Callable[Concatenate[Any, P], R]
) -> Callable[Concatenate[Any, P], R]:
    """The same method, of the part that goes by this name."""
    name = method.__name__

    @functools.wraps(method)
    def forward(self: Any, /, *args: P.args, **settings: P.kwargs) -> R:
        result: R = getattr(getattr(self, part), name)(*args, **settings)
        return result

    return forward


class AccountSettings(TypedDict, total=False):
    """The arguments of `EmulatedAccount` but for its number, for what passes them on."""

    contacts: int
    companies: int
    seed: int
    clock: Clock | None
    access_token: str | None
    refresh_token: str | None
    access_token_lifetime: Duration
    extra_properties: int
    burst_limit: int | None
    search_limit: int | None
    latency: float
    daily_limit: int | None
    time_zone: str
    scopes: Iterable[str] | None
    hostility: Hostility | None
    hub_domain: str | None
    available_scopes: Iterable[str] | None
    installed: bool


class EmulatedAccount:
    """One HubSpot account; `HubSpotEmulator` serves them.

    It has records, credentials, limits, hostility, faults and a call log of its own. Calls find
    their account by the access token that they carry, or by the refresh token or the code that
    they exchange.

    Args:
        account_id: The portal's number.
        contacts: How many contacts to start with.
        companies: How many companies to start with.
        seed: Chooses the content.
        clock: Dates changes, expires access tokens and moves rate windows; the real one by
            default. Latency and delays take real time always.
        access_token: A static access token that never expires; one that has the account's number
            in it by default.
        refresh_token: What the token endpoint takes for a new access token; likewise.
        access_token_lifetime: How long access tokens from the token endpoint live, by the clock;
            seconds or a duration.
        extra_properties: Further custom properties per object type, for wide accounts.
        burst_limit: Calls per rolling ten seconds; None is no limit.
        search_limit: Searches per rolling second; None is no limit.
        latency: Seconds that every answer takes at least.
        daily_limit: Calls per day with the static access token, searches and association batches
            included; None is no limit, and no such headers (an OAuth app has none).
        time_zone: The account's IANA time zone; the daily limit starts again at its midnight.
        scopes: The scopes of every access token; None is all there are. Without a scope that an
            endpoint needs: 403.
        hostility: What it does to its readers; nothing by default.
        hub_domain: The account's own domain name, `account-<number>.example.com` by default.
        available_scopes: What a user of this account can consent to; None is all there are.
        installed: Whether the app is installed from the start, so that the refresh token is good
            without a consent.

    Attributes:
        account_id: As given.
        access_token: The static one.
        clock: What dates everything here.
        seed: As given.
        content: What is in it; its methods are here too.
        reference: The owners and pipelines; its methods are here too.
        history: Changes it at random; its methods are here too.
        faults: The scripted faults; `faults.add(Fault(...))`.
        calls: The calls with this account's credentials.
        expired_calls: Those of them whose access token was out of date; `Call.expired_for` says
            for how long.
        installation: What the server answers from.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        account_id: str = "62515",
        *,
        contacts: int = 0,
        companies: int = 0,
        seed: int = 1,
        clock: Clock | None = None,
        access_token: str | None = None,
        refresh_token: str | None = None,
        access_token_lifetime: Duration = timedelta(minutes=30),
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
    ) -> None:
        _check(account_id, contacts, companies, extra_properties, latency)
        zone = _time_zone(time_zone)
        self.account_id = account_id
        self.access_token = access_token or f"pat-na1-emulator-{account_id}"
        self.clock = clock or SystemClock()
        self.seed = seed
        portal = Portal(account_id, self.clock, zone)
        self.content = Content(portal, seed)
        self.reference = Reference(portal)
        self.history = History(self.content, portal)
        self._access = Access(
            self.clock,
            access_token=self.access_token,
            refresh_token=refresh_token or f"na1-emulator-refresh-{account_id}",
            lifetime=duration(access_token_lifetime),
            scopes=names_of(scopes),
            installed=installed,
        )
        self.installation = Installation(
            portal=portal,
            content=self.content,
            reference=self.reference,
            access=self._access,
            limits=RateLimits(self.clock, burst_limit, search_limit, daily_limit, zone),
            hub_domain=hub_domain or f"account-{account_id}.example.com",
            available_scopes=names_of(available_scopes),
            latency=latency,
        )
        self.faults = self.installation.faults
        self.calls = self.installation.calls
        self.expired_calls = self.installation.expired_calls
        seed_portal(
            portal,
            seed=seed,
            contacts=contacts,
            companies=companies,
            extra_properties=extra_properties,
        )
        self.hostility = hostility or Hostility()

    add_object_type = forwarded("content", Content.add_object_type)
    add_property = forwarded("content", Content.add_property)
    remove_property = forwarded("content", Content.remove_property)
    definitions = forwarded("content", Content.definitions)
    records = forwarded("content", Content.records)
    create = forwarded("content", Content.create)
    update = forwarded("content", Content.update)
    touch = forwarded("content", Content.touch)
    bump = forwarded("content", Content.bump)
    recalculate = forwarded("content", Content.recalculate)
    archive = forwarded("content", Content.archive)
    restore = forwarded("content", Content.restore)
    merge = forwarded("content", Content.merge)
    erase = forwarded("content", Content.erase)
    truth = forwarded("content", Content.truth)
    define_label = forwarded("content", Content.define_label)
    associate = forwarded("content", Content.associate)
    dissociate = forwarded("content", Content.dissociate)
    relabel = forwarded("content", Content.relabel)
    settle_index = forwarded("content", Content.settle_index)
    owners = forwarded("reference", Reference.owners)
    set_owner = forwarded("reference", Reference.set_owner)
    pipelines = forwarded("reference", Reference.pipelines)
    set_pipeline = forwarded("reference", Reference.set_pipeline)
    remove_pipeline = forwarded("reference", Reference.remove_pipeline)
    change = forwarded("history", History.change)
    changes = forwarded("history", History.changes)

    @property
    def hostility(self) -> Hostility:
        """What it does to its readers; may be set while it runs.

        Setting it starts its dice again; changes that search lags behind on stay due as they were.
        """
        return self.installation.mischief.settings

    @hostility.setter
    def hostility(self, settings: Hostility) -> None:
        self.installation.behave(settings)

    @property
    def lies(self) -> Lies:
        """How many answers each part of the hostility has made wrong."""
        return self.installation.mischief.lies

    def on_call(
        self, function: Callable[[Call], Any], route: str | None = None, every: int = 1
    ) -> Callable[[], None]:
        """Run *function* before every so many calls are answered, to change the account meanwhile.

        Args:
            function: Gets the call, without its status and rows. It runs in the thread of the
                call, may run in several at once, and may use the emulator.
            route: Only calls of this route, as in `Call.route`.
            every: Each call, each second one...

        Returns:
            A function that ends it.

        Raises:
            ValueError: *every* is less than 1, or there is no such route.
        """
        return self.installation.interventions.add(function, route, every)

    def withhold_scopes(self, *scopes: str) -> None:
        """Take scopes away from every access token, the static one too; a consent changes nothing.

        Without names nothing is withheld any longer.
        """
        self._access.withheld = self._access.withheld.union(scopes) if scopes else frozenset()

    @property
    def scopes(self) -> frozenset[str] | None:
        """The scopes of every access token, None for all; may be set, and a consent sets them."""
        return self._access.scopes

    @scopes.setter
    def scopes(self, scopes: Iterable[str] | None) -> None:
        self._access.scopes = names_of(scopes)

    @property
    def refresh_token(self) -> str:
        """What the token endpoint takes for a new access token; changes when it is rotated."""
        return self._access.refresh_token

    @property
    def refreshes(self) -> int:
        """How many access tokens were issued for the refresh token."""
        return self._access.refreshes

    @property
    def access_token_lifetime(self) -> timedelta:
        """How long access tokens that are issued from now on live; may be set, seconds too."""
        return self._access.lifetime

    @access_token_lifetime.setter
    def access_token_lifetime(self, lifetime: Duration) -> None:
        self._access.lifetime = duration(lifetime)

    def issue_code(
        self,
        redirect_uri: str = "https://example.com/callback",
        scopes: Iterable[str] | None = None,
    ) -> str:
        """An authorization code, as after a user's consent; good for one exchange.

        Args:
            redirect_uri: Which the exchange has to name, too.
            scopes: What was consented to; None leaves the account's scopes as they are.
        """
        return self._access.issue_code(redirect_uri, names_of(scopes))

    def grant_access(self, scopes: Iterable[str] | None = None) -> None:
        """Install the app, as a consent and the exchange of its code do: the refresh token is good.

        Args:
            scopes: What was consented to; None leaves the account's scopes as they are.
        """
        self._access.install(names_of(scopes), rotate=False)

    def expire_access_tokens(self) -> None:
        """Let every access token from the token endpoint be out of date from now on."""
        self._access.expire()

    def revoke_access(self) -> None:
        """Uninstall the app: the refresh token is refused until a new code is exchanged."""
        self._access.uninstall()

    def delete_account(self) -> None:
        """Close the account for good: a refresh is refused with BAD_HUB, access tokens with 401."""
        self._access.delete()

    def describe(self) -> dict[str, Any]:
        """How to get in, for the command line and the control path."""
        return {
            "account_id": self.account_id,
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "contacts": len(self.records("contacts")),
            "companies": len(self.records("companies")),
        }


def _check(account_id: str, contacts: int, companies: int, extra: int, latency: float) -> None:
    if not account_id.isdecimal():
        raise ValueError(f"account_id {account_id!r} must be a number as text")
    if min(contacts, companies, extra) < 0 or latency < 0:
        raise ValueError("contacts, companies, extra_properties and latency cannot be negative")


def _time_zone(name: str) -> tzinfo:
    """The time zone of an IANA name.

    Raises:
        ValueError: There is none.
    """
    if name == "UTC":
        return timezone.utc  # without the time zone database, which Windows has not
    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise ValueError(f"time_zone {name!r} is not in the time zone database") from None
