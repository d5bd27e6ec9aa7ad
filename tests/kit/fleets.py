"""Many accounts on one emulator, and a host that has them all."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from attrs import evolve

from hubspot_sync import (
    Account,
    ActionKind,
    HubSpotSettings,
    OAuthTokens,
    StaticAccessToken,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync._clock import SystemClock
from hubspot_sync._hubspot.connector import HubSpotConnector
from hubspot_sync.models import (
    AccountKey,
    IdRange,
    Page,
    Record,
    from_milliseconds,
)
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import ScriptedSource
from kit.support import Recorder, engine_on

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from hubspot_sync.testing import HubSpotEmulator

TYPES = ("companies", "contacts")


class FleetHost:
    """Memory stores, an emulator with many accounts, and engines on them."""

    def __init__(self, emulator: HubSpotEmulator, clock: Any = None) -> None:
        self.emulator = emulator
        self.clock = clock or SystemClock()
        # A stream ends before the first action that is refused, unless a test brings a queue.
        self.stores = evolve(MemoryStores(clock=self.clock), error_queue=None)
        self.accounts = self.stores.accounts
        self.tokens = self.stores.tokens
        self.sink = self.stores.sink
        self.checkpointer = self.stores.checkpointer
        self.recorder = Recorder()
        self.oauth_app = None
        self.hubspot = HubSpotSettings(
            base_url=emulator.base_url, burst_limit=None, search_limit=None, max_tries=2
        )

    def add(self, domain_id: str, account_id: str, **settings: Any) -> Any:
        """An account at HubSpot that the domain has connected; gives its emulation."""
        oauth, entry = settings.pop("oauth", False), settings.pop("entry", {})
        emulated = self.emulator.add_account(account_id, **settings)
        self.tokens.save(
            AccountKey(domain_id, account_id),
            OAuthTokens(refresh_token=emulated.refresh_token)
            if oauth
            else StaticAccessToken(access_token=emulated.access_token),
            expected_revision=None,
        )
        self.engine().domain(domain_id).add(account_id, **entry)
        return emulated

    def engine(self, **parts: Any) -> SyncEngine:
        """An engine on the host's stores; *parts* replace some of them."""
        return engine_on(
            self.stores,
            **{
                "accounts": self.accounts,
                "tokens": self.tokens,
                "sink": self.sink,
                "checkpointer": self.checkpointer,
                "hubspot": self.hubspot,
                "oauth_app": self.oauth_app,
                "observers": [self.recorder],
                "settings": SyncSettings(batch_size=100, store_tries=2),
                "clock": self.clock,
                **parts,
            },
        )

    def source_factory(self) -> Any:
        """Opens accounts on the emulator."""
        return HubSpotConnector(
            settings=self.hubspot, tokens=self.tokens, app=self.oauth_app, clock=self.clock
        )

    def entry(self, key: AccountKey) -> Any:
        """What is kept of an account."""
        return self.accounts.load(key)

    def assert_in_step(self, *keys: AccountKey) -> None:
        """The sink has every record of these accounts in its newest version, each created once."""
        held, created = {}, Counter()
        for action in self.sink.actions:
            name = (action.account, action.object_type, action.object_id)
            held[name] = action.modified_at
            created[name] += action.kind is ActionKind.CREATED
        for key in keys:
            portal = self.emulator.accounts[key.account_id]
            for kind in TYPES:
                truth = {
                    (key, kind, object_id): record.modified_at
                    for object_id, record in portal.records(kind).items()
                }
                found = {name: at for name, at in held.items() if name[:2] == (key, kind)}
                assert found == truth
                assert {created[name] for name in truth} <= {1}


class EndlessSource(ScriptedSource):
    """An account with as many contacts as it takes until somebody ends it; for fairness.

    Args:
        account: The account.
        ended: Ends it.
        clock: Tells the server's time.
        first_page: Waits before each run's first page, in seconds.
        page: Waits between two pages, in seconds.
        most: How many contacts there are at most.
    """

    def __init__(
        self,
        account: Account,
        ended: threading.Event,
        clock: Any,
        *,
        first_page: float = 0.0,
        page: float = 0.002,
        most: int = 20_000,
    ) -> None:
        super().__init__(account_id=account.account_id, clock=clock)
        self._ended = ended
        self._first_page = first_page
        self._page = page
        self._most = most

    def read(self, settings: Any, reading: Any) -> Iterator[Page]:
        """One record a page, in ascending order of ids, from where the last run ended."""
        if reading.mode.value != "backfill":
            yield Page(records=(), skipped=(), ranges=())
            return
        self._ended.wait(self._first_page)
        number = int(reading.ranges[0].after or 0)
        last = False
        while not last:
            number += 1
            last = self._ended.wait(self._page) or number >= self._most
            record = Record(
                object_type=settings.object_type,
                object_id=str(number),
                properties={},
                associations={"companies": ()},
                created_at=from_milliseconds(number),
                modified_at=from_milliseconds(number),
            )
            ranges = () if last else (IdRange(after=str(number)),)
            yield Page(records=(record,), skipped=(), ranges=ranges)


def endless(
    host: FleetHost, ended: threading.Event, *account_ids: str, **how: Any
) -> Callable[..., Any]:
    """A source factory in which some accounts are endless and the others the emulator's."""
    others = host.source_factory()

    def open_source(account: Account, **parts: Any) -> Any:
        if account.account_id in account_ids:
            return EndlessSource(account, ended, host.clock, **how)
        return others(account, **parts)

    return open_source
