"""Random histories of an account: the host ends with what HubSpot has, and was told no lies."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubspot_sync import Account, SyncSettings
from hubspot_sync.stores.memory import MemoryErrorQueue
from hubspot_sync.testing import HubSpotEmulator, ManualClock
from hubspot_sync.testing.emulator import Fault, Hostility
from hubspot_sync.testing.emulator.portal.series import Series
from kit.histories import STREAMS, TYPES, check_actions, check_mirrors, prepared
from kit.support import Host

HOUR = 3_600
PAUSES = [60, 60, 900, 900, HOUR, 8 * 24 * HOUR]
ACCOUNT = Account("62515", domain_id="acme", streams=STREAMS)


class World:
    """A small account, a host, and what happened."""

    def __init__(self, **emulated):
        self.clock = ManualClock()
        self.emulator = prepared(
            HubSpotEmulator(contacts=30, companies=10, clock=self.clock, **emulated)
        )
        self.host = Host(self.emulator, self.clock)
        self.parts = {
            "settings": SyncSettings(batch_size=20, store_tries=1),
            "error_queue": MemoryErrorQueue(),
        }
        self.made = []

    def change(self, source):
        change = self.emulator.change(source, object_types=TYPES)
        if change is not None:
            self.made.append(change)

    def sync(self, pause, *, reconcile=False):
        self.clock.advance(pause)
        engine = self.host.engine(**self.parts)
        if reconcile:
            engine.reconcile(ACCOUNT)
        return engine.sync(ACCOUNT)

    def settle(self):
        """Let all passes come to their end, and HubSpot's index too."""
        self.emulator.faults.clear()
        self.emulator.hostility = Hostility()
        self.sync(HOUR, reconcile=True).raise_for_failure()
        report = self.sync(HOUR)
        report.raise_for_failure()
        return report

    def check(self):
        """What the sink was told is right, and nothing of it did not happen."""
        actions = self.host.sink.actions
        check_mirrors(self.emulator, actions, self.clock)
        check_actions(actions, self.made)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    source=st.randoms(use_true_random=False),
    rounds=st.lists(st.tuples(st.integers(0, 40), st.sampled_from(PAUSES)), min_size=1, max_size=6),
    lag=st.sampled_from([0, 0, 30]),
)
def test_the_host_has_what_hubspot_has(source, rounds, lag):
    """Whatever happened, in whatever order, and between whichever runs."""
    world = World()
    with closing(world.emulator):
        world.emulator.hostility = Hostility(index_lag=lag)
        world.sync(60).raise_for_failure()
        for changes, pause in rounds:
            for _ in range(changes):
                world.change(source)
                world.clock.advance(source.choice([0, 1, 20]))
            world.sync(pause).raise_for_failure()

        report = world.settle()

        assert [one.gaps for one in report.streams] == [()] * 3
        world.check()


@pytest.mark.parametrize("seed", range(6))
def test_a_long_history_with_faults(seed):
    """Calls fail, answers are cut or empty, and runs end in the middle."""
    source = Series(seed, "faults")
    world = World()
    with closing(world.emulator):
        world.sync(60).raise_for_failure()
        for _ in range(25):
            world.emulator.faults.clear()
            for _ in range(source.randrange(30)):
                world.change(source)
                world.clock.advance(source.choice([0, 1, 20]))
            world.emulator.hostility = Hostility(
                seed=source.randrange(10**6), **{source.choice(ALARMS): 0.5}
            )
            world.emulator.faults.add(
                Fault(
                    route=source.choice(["list", "search", "batch_read", "associations", "get"]),
                    status=source.choice([403, 404, 500, 503]),
                    skip=source.randrange(4),
                    times=None,
                )
            )
            world.sync(source.choice(PAUSES))

        world.settle()
        world.sync(timedelta(days=8).total_seconds(), reconcile=True).raise_for_failure()
        world.check()


ALARMS = ["empty_list", "empty_search", "empty_batch", "cut_list", "cut_archived", "total_drift"]
