"""The accounts on one server, each with its installation of the app, and who opens which."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import attrs

from hubspot_sync.testing.emulator.calls import CallLog
from hubspot_sync.testing.emulator.hostility.faults import FaultScript
from hubspot_sync.testing.emulator.hostility.interventions import Interventions
from hubspot_sync.testing.emulator.hostility.list_pages import ListSpoiler
from hubspot_sync.testing.emulator.hostility.mischief import Mischief
from hubspot_sync.testing.emulator.portal.index import SearchIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.testing.emulator.endpoints.access import Access
    from hubspot_sync.testing.emulator.endpoints.limits import RateLimits
    from hubspot_sync.testing.emulator.hostility.settings import Hostility
    from hubspot_sync.testing.emulator.portal.content import Content
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.reference import Reference

_MILLISECOND: Final = timedelta(milliseconds=1)


@attrs.frozen(kw_only=True, eq=False)
class Installation:
    """One account as the endpoints see it: its content, and what stands before it.

    Attributes:
        content: What changes the portal.
        reference: The owners and pipelines.
        hub_domain: The account's own domain name, as HubSpot calls it: "acme.com".
        available_scopes: What the account can grant to an app; None is all there are.
        latency: Seconds of real time that every answer takes at least.
        expired_calls: The calls whose access token was out of date.
        mischief: How it treats its readers; the portal's lock guards it.
        list_spoiler: What becomes of list pages then.
        interventions: What happens before a call is answered.
    """

    portal: Portal
    content: Content
    reference: Reference
    access: Access
    limits: RateLimits
    hub_domain: str
    available_scopes: frozenset[str] | None
    latency: float
    faults: FaultScript = attrs.field(factory=FaultScript)
    calls: CallLog = attrs.field(factory=CallLog)
    expired_calls: CallLog = attrs.field(factory=CallLog)
    mischief: Mischief = attrs.field(factory=Mischief)
    index: SearchIndex = attrs.field(
        init=False, default=attrs.Factory(lambda self: SearchIndex(self.portal), takes_self=True)
    )
    list_spoiler: ListSpoiler = attrs.field(
        init=False, default=attrs.Factory(lambda self: ListSpoiler(self.mischief), takes_self=True)
    )
    interventions: Interventions = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: Interventions(self.content, self.portal, self.mischief.lies),
            takes_self=True,
        ),
    )

    @property
    def account_id(self) -> str:
        """The portal's number."""
        return self.portal.account_id

    def behave(self, settings: Hostility) -> None:
        """Treat readers like this from now on."""
        shortest, longest = (lag // _MILLISECOND for lag in settings.index_lag)
        with self.portal.lock:
            self.mischief.use(settings)
            self.list_spoiler.forget()
            self.portal.lag.use(
                settings.seed, shortest, longest, settings.sort_jitter // _MILLISECOND
            )
            self.portal.sight.use(settings.unseen, settings.unseen_share, settings.seed)
            self.portal.revision += 1
        self.limits.use(settings)
        self.interventions.use(settings)


class Installations:
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

    @property
    def credentials(self) -> Sequence[str]:
        """Everything that opens an account, or did."""
        return [
            given for one in list(self._installations.values()) for given in one.access.credentials
        ]

    def add(self, installation: Installation) -> None:
        """Take in an account.

        Raises:
            ValueError: Its number or one of its credentials is taken.
        """
        account_id = installation.account_id
        with self._lock:
            if account_id in self._installations:
                raise ValueError(f"there is an account {account_id} already")
            own = installation.access.credentials
            if len(set(own)) < len(own) or not set(own).isdisjoint(self.credentials):
                raise ValueError(f"a credential of account {account_id} is another one's, too")
            self._installations[account_id] = installation

    def find(self, account_id: str) -> Installation | None:
        """The account with a number, if it is not deleted."""
        found = self._installations.get(account_id)
        return None if found is None or found.access.deleted else found

    def owner(self, credential: str | None) -> Installation | None:
        """Whose a credential is, or was; None for one that nobody was given."""
        if credential is None:
            return None
        found = self._owners.get(credential)
        if found is None:
            every = list(self._installations.values())
            found = next((one for one in every if one.access.knows(credential)), None)
            if found is not None:
                # Whose it is never changes.
                self._owners[credential] = found
        return found
