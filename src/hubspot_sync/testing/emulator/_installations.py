"""The accounts on one server, and which of them a credential opens."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.testing.emulator._access import Access
    from hubspot_sync.testing.emulator._calls import CallLog
    from hubspot_sync.testing.emulator._faults import FaultScript
    from hubspot_sync.testing.emulator._interventions import Interventions
    from hubspot_sync.testing.emulator._limits import RateLimits
    from hubspot_sync.testing.emulator._portal import Portal
    from hubspot_sync.testing.emulator._search import SearchIndex


@attrs.frozen(kw_only=True, eq=False)
class Installation:
    """One account as the server sees it.

    Attributes:
        hub_domain: The account's own domain name, as HubSpot calls it: "acme.com".
        available_scopes: What the account can grant to an app; None is all there are.
        latency: Seconds of real time that every answer takes at least.
    """

    portal: Portal
    hub_domain: str
    search: SearchIndex
    access: Access
    limits: RateLimits
    faults: FaultScript
    calls: CallLog
    expired_calls: CallLog
    interventions: Interventions
    available_scopes: frozenset[str] | None
    latency: float

    @property
    def account_id(self) -> str:
        """The portal's number."""
        return self.portal.account_id


class Directory:
    """Finds accounts by number and by credential; thread-safe."""

    def __init__(self) -> None:
        self._installations: dict[str, Installation] = {}
        self._owners: dict[str, Installation] = {}
        self._lock = threading.Lock()

    @property
    def first(self) -> Installation:
        """The account that the server started with."""
        return next(iter(self._installations.values()))

    @property
    def open(self) -> Sequence[Installation]:
        """The accounts that are not deleted, oldest first."""
        return [one for one in list(self._installations.values()) if not one.access.deleted]

    def add(self, installation: Installation, *credentials: str) -> None:
        """Take in an account with what opens it.

        Raises:
            ValueError: Its number or a credential is taken.
        """
        account_id = installation.account_id
        with self._lock:
            if account_id in self._installations:
                raise ValueError(f"there is an account {account_id} already")
            if len(set(credentials)) < len(credentials) or self._owners.keys() & credentials:
                raise ValueError(f"a credential of account {account_id} is another one's, too")
            self._installations[account_id] = installation
            self._owners.update(dict.fromkeys(credentials, installation))

    def find(self, account_id: str) -> Installation | None:
        """The account with a number, if it is not deleted."""
        found = self._installations.get(account_id)
        return None if found is None or found.access.deleted else found

    def own(self, credential: str, installation: Installation) -> None:
        """Note whose a new credential is."""
        self._owners[credential] = installation

    def owner(self, credential: str | None) -> Installation | None:
        """Whose a credential is, or was; None for one that nobody was given."""
        return None if credential is None else self._owners.get(credential)
