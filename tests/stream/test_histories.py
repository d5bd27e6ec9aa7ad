"""Random histories of an account: the host ends with what HubSpot has, and was told no lies."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubspot_sync import Account, ActionKind, StreamSettings, SyncSettings
from hubspot_sync.models import Gone
from hubspot_sync.stores.memory import MemoryErrorQueue, MemoryRecordSink
from hubspot_sync.testing import HubSpotEmulator, ManualClock
from hubspot_sync.testing.emulator import Fault, Hostility
from hubspot_sync.testing.emulator.portal.series import Series
from kit.support import Host, truth_of

HOUR = 3_600
PAUSES = [60, 60, 900, 900, HOUR, 8 * 24 * HOUR]
ACCOUNT = Account(
    account_id="62515",
    domain_id="acme",
    streams=(
        StreamSettings("companies", associations=("contacts",)),
        StreamSettings("contacts", associations=("companies", "deals")),
        StreamSettings("deals", associations=("contacts",)),
    ),
)
TYPES = [one.object_type for one in ACCOUNT.streams]
GOING = {"archive", "merge", "erase"}


def values(properties):
    """Without the dates of change: those that move alone are not told."""
    return {name: one for name, one in properties.items() if "lastmodified" not in name}


class World:
    """A small account, a host, and what happened."""

    def __init__(self, **emulated):
        self.clock = ManualClock()
        self.emulator = HubSpotEmulator(contacts=30, companies=10, clock=self.clock, **emulated)
        self.emulator.start()
        self.emulator.add_object_type("deals")
        self.emulator.define_label("contacts", "companies", "Boss")
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
        """What the sink was told, in any order, comes to what HubSpot has."""
        actions = self.host.sink.actions
        replayed = MemoryRecordSink(clock=self.clock)
        replayed.write(actions)
        shuffled = MemoryRecordSink(clock=self.clock)
        shuffled.write(Series(1, "order").sample(list(actions), len(actions)))
        for object_type, truth in self.emulator.truth().items():
            if object_type in TYPES:
                self.check_mirror(replayed, object_type, truth)
                self.check_mirror(shuffled, object_type, truth)
        self.check_actions(actions)

    def check_mirror(self, mirror, object_type, truth):
        held = {one.object_id: one for one in mirror.records if one.object_type == object_type}
        there = {one for one, record in held.items() if record.gone is None}
        assert there == set(truth.live)
        for object_id in there:
            assert values(held[object_id].properties) == values(
                truth_of(self.emulator, object_type, object_id)
            )
            edges = {
                (other, edge.object_id, kind.type_id)
                for other, found in held[object_id].associations.items()
                for edge in found
                for kind in edge.types
            }
            assert edges == {
                (other, other_id, kind.type_id)
                for other, found in truth.live[object_id].associations.items()
                if other in held[object_id].associations
                for other_id, kinds in found.items()
                for kind in kinds
            }
        for object_id, record in held.items():
            if record.gone is Gone.MERGED:
                assert object_id in truth.merged

    def check_actions(self, actions):
        assert len({one.action_id for one in actions}) == len(actions)
        going = {
            (one.object_type, object_id)
            for one in self.made
            if one.kind in GOING
            for object_id in one.object_ids
        }
        last = {}
        for one in actions:
            name = (one.object_type, one.object_id)
            before = last.get(name)
            gone = before is not None and before.kind.gone is not None
            assert (before is None) == (one.kind is ActionKind.CREATED), name
            assert gone == (one.kind is ActionKind.RESTORED), name
            assert before is None or before.sequence < one.sequence, name
            if one.kind.gone:
                assert name in going
            last[name] = one


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
