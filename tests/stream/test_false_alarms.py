"""False alarms: whatever HubSpot leaves out, cuts off or refuses, no deletion is invented."""

from __future__ import annotations

from contextlib import closing

import pytest

from hubspot_sync import Account, OAuthApp, OAuthTokens, StreamSettings, SyncSettings
from hubspot_sync.stores.memory import MemoryRecordSink
from hubspot_sync.testing import HubSpotEmulator, ManualClock
from hubspot_sync.testing.emulator import Fault, Hostility
from kit.support import Host

HOUR = 3_600
ACCOUNT = Account(
    account_id="62515",
    domain_id="acme",
    streams=(StreamSettings("contacts", associations=("companies",)),),
)
LIES = [
    "empty_list",
    "cut_list",
    "list_gaps",
    "cut_archived",
    "empty_search",
    "empty_batch",
    "missing_rows",
    "total_drift",
    "short_pages",
    "empty_pages",
    "dropped_inputs",
    "failing_inputs",
    "repeated_rows",
]
ANSWERS = {
    "scope": {"status": 403},
    "not found": {"status": 404},
    "down": {"status": 500},
    "nothing": {"status": 200, "body": {"results": [], "total": 0}},
    "an empty object": {"status": 200, "body": {}},
}
ROUTES = ["list", "search", "batch_read", "get", "associations"]


class World:
    """Two hundred contacts that were loaded, and some that went since."""

    def __init__(self):
        self.clock = ManualClock()
        self.emulator = HubSpotEmulator(contacts=200, companies=10, clock=self.clock).start()
        self.host = Host(self.emulator, self.clock)
        self.settings = SyncSettings(batch_size=50, store_tries=1)
        self.sync()
        known = sorted(self.emulator.records("contacts"), key=int)
        self.gone = {known[20], known[150]}
        for one in self.gone:
            self.emulator.archive("contacts", one)
        self.emulator.touch("contacts", object_ids=known[30:40])

    def sync(self, *, reconcile=False):
        """A run in which all passes are due that are not too dear."""
        self.clock.advance(HOUR)
        engine = self.host.engine(settings=self.settings)
        if reconcile:
            engine.reconcile(ACCOUNT)
        return engine.sync(ACCOUNT)

    def check(self):
        """Nothing is said to be gone that is there."""
        told = {one.object_id for one in self.host.sink.actions if one.kind.gone}
        assert told <= self.gone

    def check_after(self):
        """Once the alarm is over everything is in step again by itself."""
        self.emulator.faults.clear()
        self.emulator.hostility = Hostility()
        self.sync().raise_for_failure()
        self.sync(reconcile=True).raise_for_failure()
        mirror = MemoryRecordSink(clock=self.clock)
        mirror.write(self.host.sink.actions)
        there = {one.object_id for one in mirror.records if one.gone is None}
        assert there == set(self.emulator.records("contacts"))
        self.check()


@pytest.fixture
def world():
    world = World()
    with closing(world.emulator):
        yield world


@pytest.mark.parametrize("reconcile", [False, True])
@pytest.mark.parametrize("share", [0.3, 1.0])
@pytest.mark.parametrize("lie", LIES)
def test_answers_that_leave_something_out(world, lie, share, reconcile):
    """A page, a list, a batch or a count."""
    world.emulator.hostility = Hostility(seed=7, **{lie: share})

    for _ in range(2):
        world.sync(reconcile=reconcile)
        world.check()

    world.check_after()


@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("answer", ANSWERS)
def test_answers_that_refuse(world, answer, route, skip):
    """At each call of the passes, with either status, and with nothing at all."""
    for reconcile in (False, True):
        world.emulator.faults.clear()
        world.emulator.faults.add(Fault(route=route, skip=skip, times=None, **ANSWERS[answer]))
        world.sync(reconcile=reconcile)
        world.check()

    world.check_after()


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_users_who_may_not_see_all(world, share):
    """Nothing follows from what they do not see."""
    emulator = world.emulator
    world.host.oauth_app = OAuthApp(
        client_id=emulator.client_id, client_secret=emulator.client_secret
    )
    tokens = OAuthTokens(refresh_token=emulator.refresh_token)
    world.host.tokens.save(ACCOUNT.key, tokens, expected_revision=1)
    emulator.hostility = Hostility(unseen_share=share)

    for reconcile in (False, True):
        world.sync(reconcile=reconcile)
        world.check()

    world.check_after()


def test_records_that_the_list_alone_hides(world):
    """Search and reads by id know them."""
    hidden = set(sorted(world.emulator.records("contacts"), key=int)[::10])
    world.emulator.hostility = Hostility(hidden_from_list={"contacts": hidden})

    world.sync(reconcile=True)
    world.check()

    world.check_after()
