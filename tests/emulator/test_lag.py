"""The emulator's search index lag: HubSpot 1.7 "freshness" and 11.1."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
LAG = Hostility(index_lag=timedelta(seconds=30))


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def caller(clock: ManualClock) -> Iterator[Caller]:
    """A small account whose search is 30 seconds late."""
    with HubSpotEmulator(contacts=20, clock=clock, hostility=LAG) as emulator:
        yield Caller(emulator)


def since(caller: Caller, clock: ManualClock, seconds: float = 0) -> list[str]:
    """The ids that search finds to be modified in the last seconds."""
    low = int((clock.now() - timedelta(seconds=seconds)).timestamp() * 1000)
    window = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": str(low)}
    found: list[str] = caller.search("contacts", window).ids
    return found


def test_the_seeded_content_is_indexed(caller: Caller):
    """Only changes lag: what the account starts with is there."""
    assert caller.search("contacts").ids == list(caller.emulator.records("contacts"))


def test_search_shows_the_old_version_until_then(caller: Caller, clock):
    """HubSpot 11.1: rows arrive late; until then the old date and the old values."""
    (one,) = caller.emulator.touch("contacts", count=1)
    by_id = {"propertyName": "hs_object_id", "operator": "EQ", "value": one}
    names = ["jobtitle"]
    truth = caller.get(f"{LIST}/{one}", properties=names).json
    clock.advance(29.999)
    old = caller.search("contacts", by_id, properties=names).json["results"][0]
    assert old["updatedAt"] < truth["updatedAt"]
    assert old["properties"]["jobtitle"] != truth["properties"]["jobtitle"]
    assert since(caller, clock, 60) == []
    clock.advance(0.001)
    assert caller.search("contacts", by_id, properties=names).json["results"] == [truth]
    assert since(caller, clock, 60) == [one]


def test_search_does_not_know_a_new_record_until_then(caller: Caller, clock):
    """HubSpot 1.7: new rows take "a few moments"."""
    one = caller.emulator.create("contacts")
    caller.emulator.touch("contacts", object_ids=[one])
    assert caller.search("contacts").json["total"] == 20
    assert since(caller, clock, 60) == []
    clock.advance(30)
    assert caller.search("contacts").ids[-1] == one
    assert since(caller, clock, 60) == [one]


def test_all_else_shows_the_truth_at_once(caller: Caller):
    """HubSpot 1.2: the list reads primary storage; so do single and batch reads here."""
    one = caller.emulator.create("contacts", {"city": "Rome"})
    caller.emulator.update("contacts", one, {"city": "Oslo"})
    listed = caller.get(LIST, limit=100, properties="city").json["results"][-1]
    single = caller.get(f"{LIST}/{one}", properties="city").json
    body = {"inputs": [{"id": one}], "properties": ["city"], "propertiesWithHistory": []}
    (batch,) = caller.post(f"{LIST}/batch/read", body).json["results"]
    assert listed == single == batch
    assert single["properties"]["city"] == "Oslo"


def test_archived_records_vanish_from_search_at_once(caller: Caller, clock):
    """HubSpot 1.7: archived never returned, late or not."""
    one = caller.emulator.create("contacts")
    (two,) = caller.emulator.touch("contacts", object_ids=[caller.search("contacts").ids[0]])
    caller.emulator.archive("contacts", one, two)
    assert two not in caller.search("contacts").ids
    clock.advance(30)
    assert caller.search("contacts").ids == list(caller.emulator.records("contacts"))


def test_an_older_version_never_overtakes_a_newer_one(clock):
    """Two changes whose lags cross: search goes from the first version to the last."""
    hostility = Hostility(index_lag=(timedelta(), timedelta(minutes=10)))
    with HubSpotEmulator(contacts=40, clock=clock, hostility=hostility) as emulator:
        caller = Caller(emulator)
        for _ in range(6):
            emulator.touch("contacts", count=40)
            clock.advance(1)
        seen = [""] * 40
        for _ in range(70):
            rows = [row["updatedAt"] for row in caller.search("contacts").json["results"]]
            assert all(after >= before for before, after in zip(seen, rows, strict=True))
            seen = rows
            clock.advance(10)
        assert since(caller, clock, 800) == list(emulator.records("contacts"))


def test_rows_arrive_out_of_modified_order(clock):
    """HubSpot 11.1: later changes are found before earlier ones."""
    hostility = Hostility(index_lag=(1, 60))
    with HubSpotEmulator(contacts=20, clock=clock, hostility=hostility) as emulator:
        caller = Caller(emulator)
        changed = []
        for object_id in emulator.records("contacts"):
            clock.advance(0.1)
            changed += emulator.touch("contacts", object_ids=[object_id])
        arrived: list[str] = []
        for _ in range(60):
            clock.advance(1)
            arrived += [one for one in since(caller, clock, 90) if one not in arrived]
        assert sorted(arrived) == sorted(changed)
        assert arrived != changed


def test_settling(caller: Caller, clock):
    """A test lets the index catch up, and new changes lag again."""
    (one,) = caller.emulator.touch("contacts", count=1)
    caller.emulator.settle_index()
    assert since(caller, clock) == [one]
    clock.advance(1)
    caller.emulator.touch("contacts", object_ids=[one])
    assert since(caller, clock) == []


def test_switching_the_lag_off(caller: Caller, clock):
    """New changes are visible at once, those before when they are due."""
    (one,) = caller.emulator.touch("contacts", count=1)
    caller.emulator.hostility = Hostility()
    two = caller.emulator.create("contacts")
    assert since(caller, clock) == [two]
    clock.advance(30)
    assert since(caller, clock, 60) == sorted([one, two], key=int)


def test_no_lag_by_default(clock):
    """The default emulator's search is never behind."""
    with HubSpotEmulator(contacts=5, clock=clock) as emulator:
        caller = Caller(emulator)
        two = emulator.create("contacts")
        (one,) = emulator.touch("contacts", count=1)
        assert since(caller, clock) == sorted({one, two}, key=int)


def test_the_same_seed_lags_alike(clock):
    """Each change draws its lag from the seed, whatever else is on."""

    def arrivals(**more):
        clock = ManualClock()
        hostility = Hostility(index_lag=(1, 60), **more)
        with HubSpotEmulator(contacts=20, clock=clock, hostility=hostility) as emulator:
            emulator.touch("contacts", count=20)
            steps = []
            for _ in range(6):
                clock.advance(10)
                steps.append(since(Caller(emulator), clock, 90))
            return steps

    assert arrivals() == arrivals(total_drift=0.5)
    assert arrivals() != arrivals(seed=2)
