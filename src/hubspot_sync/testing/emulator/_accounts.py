"""One account of an emulator: its content, its credentials, its limits, its faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hubspot_sync.testing.emulator._access import Access
from hubspot_sync.testing.emulator._calls import CallLog
from hubspot_sync.testing.emulator._faults import FaultScript
from hubspot_sync.testing.emulator._hostility import Hostility, duration
from hubspot_sync.testing.emulator._installations import Installation
from hubspot_sync.testing.emulator._instants import time_zone_called
from hubspot_sync.testing.emulator._interventions import HostileAccount
from hubspot_sync.testing.emulator._limits import RateLimits
from hubspot_sync.testing.emulator._search import SearchIndex
from hubspot_sync.testing.emulator._seed import seed_portal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import timedelta

    from hubspot_sync._clock import Clock
    from hubspot_sync.testing.emulator._hostility import Duration
    from hubspot_sync.testing.emulator._installations import Directory
    from hubspot_sync.testing.emulator._mischief import Lies
    from hubspot_sync.testing.emulator._oauth import TokenEndpoints


class EmulatedAccount(HostileAccount):
    """One HubSpot account; `HubSpotEmulator.add_account` makes them.

    It has records, credentials, limits, hostility, faults and a call log of its own. Calls find
    their account by the access token that they carry, or by the refresh token or the code that
    they exchange.

    Args:
        clock: The emulator's.
        directory: The emulator's accounts.
        tokens: The emulator's token endpoints.
        account_id: The portal's number.
        contacts: How many contacts to start with.
        companies: How many companies to start with.
        seed: Chooses the content.
        access_token: A static access token that never expires.
        refresh_token: What the token endpoint takes for a new access token.
        access_token_lifetime: How long access tokens from the token endpoint live, by the clock;
            seconds or a duration.
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

    Attributes:
        account_id: As given.
        access_token: As given.
        faults: The scripted faults; `faults.add(Fault(...))`.
        calls: The calls with this account's credentials.
        expired_calls: Those of them whose access token was out of date; `Call.expired_for` says
            for how long.

    Raises:
        ValueError: An argument is out of range, or another account has the number or a credential.
    """

    def __init__(
        self,
        clock: Clock,
        directory: Directory,
        tokens: TokenEndpoints,
        *,
        account_id: str,
        contacts: int = 0,
        companies: int = 0,
        seed: int = 1,
        access_token: str,
        refresh_token: str,
        access_token_lifetime: Duration = 1800.0,
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
        zone = time_zone_called(time_zone)
        super().__init__(account_id, clock, seed, zone)
        self.account_id = account_id
        self.access_token = access_token
        self.faults = FaultScript()
        self.calls = CallLog()
        self.expired_calls = CallLog()
        self._tokens = tokens
        self._access = Access(
            clock,
            access_token=access_token,
            refresh_token=refresh_token,
            lifetime=duration(access_token_lifetime),
            scopes=names_of(scopes),
            installed=installed,
        )
        self._limits = RateLimits(clock, burst_limit, search_limit, daily_limit, zone)
        self._installation = Installation(
            portal=self._portal,
            hub_domain=hub_domain or f"account-{account_id}.example.com",
            search=SearchIndex(self._portal),
            access=self._access,
            limits=self._limits,
            faults=self.faults,
            calls=self.calls,
            expired_calls=self.expired_calls,
            interventions=self._interventions,
            available_scopes=names_of(available_scopes),
            latency=latency,
        )
        seed_portal(
            self._portal,
            seed=seed,
            contacts=contacts,
            companies=companies,
            extra_properties=extra_properties,
        )
        self.hostility = hostility or Hostility()
        directory.add(self._installation, access_token, refresh_token)

    def _behave(self, settings: Hostility) -> None:
        super()._behave(settings)
        self._limits.use(settings)

    @property
    def lies(self) -> Lies:
        """How many answers each part of the hostility has made wrong."""
        return self._portal.mischief.lies

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
        """How many access tokens the refresh token has bought."""
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
        return self._tokens.issue_code(self._installation, redirect_uri, names_of(scopes))

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


def names_of(names: Iterable[str] | None) -> frozenset[str] | None:
    """A set of names, None as it is."""
    return None if names is None else frozenset(names)


def _check(account_id: str, contacts: int, companies: int, extra: int, latency: float) -> None:
    if not account_id.isdecimal():
        raise ValueError(f"account_id {account_id!r} must be a number as text")
    if min(contacts, companies, extra) < 0 or latency < 0:
        raise ValueError("contacts, companies, extra_properties and latency cannot be negative")
