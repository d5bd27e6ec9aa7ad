"""What the next sync will cost is said before, and is what it costs then."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from hubspot_sync import (
    HubSpotSettings,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    UnknownAccountError,
)
from hubspot_sync.errors import ConfigurationError, MissingScopeError
from hubspot_sync.models import HealthStatus, Mode
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import Fault, ManualClock

ID = "62515"
COMPANIES = StreamSettings("companies")
CONTACTS = StreamSettings("contacts", associations=("companies",))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def opened(clock):
    """Makes engines on the same stores, each as a process of its own would."""
    stores = MemoryStores(clock=clock)
    engines = []

    def open_engine(emulator):
        engine = SyncEngine(
            stores, hubspot=HubSpotSettings(base_url=emulator.base_url), clock=clock
        )
        engines.append(engine)
        return engine

    yield open_engine
    for engine in engines:
        engine.close()


def connected(opened, emulator, *streams):
    domain = opened(emulator).domain("acme")
    domain.connect(StaticAccessToken(emulator.access_token), account_id=ID, streams=streams)
    return domain


def tiny(make):
    """A handful of records, each with all that belongs to it inline."""
    return make(contacts=7, companies=2), (COMPANIES, CONTACTS)


def usual(make):
    """More than one batch, and associations that come inline for some records only."""
    return make(contacts=2_400, companies=150), (COMPANIES, CONTACTS)


def long(make):
    """So many that the list is read side by side."""
    return make(contacts=12_000, companies=0), (StreamSettings("contacts"),)


def associated(make):
    """Two kinds of associations, and one object type that HubSpot has no records of."""
    emulator = make(contacts=1_300, companies=1_100)
    emulator.add_object_type("deals")
    many = StreamSettings("contacts", associations=("companies", "deals"))
    back = StreamSettings("companies", associations=("contacts",))
    return emulator, (many, back, StreamSettings("deals"))


def wide(make):
    """So many properties that their names do not fit into the address of the list."""
    emulator = make(contacts=900, companies=0)
    emulator.add_property("contacts", *(f"{'long_name_' * 6}{n}" for n in range(400)))
    reference = StreamSettings("owners"), StreamSettings("properties")
    return emulator, (StreamSettings("contacts"), *reference)


@pytest.mark.parametrize("shape", [tiny, usual, long, associated, wide])
def test_a_first_load_costs_what_was_planned(hubspot_emulator, clock, opened, shape):
    """Within a tenth, in every stream that takes more than ten calls."""
    emulator, streams = shape(lambda **sizes: hubspot_emulator(clock=clock, **sizes))
    plan = connected(opened, emulator, *streams).plan(ID)

    report = opened(emulator).domain("acme").sync(ID)

    assert report.completed
    for one in report.streams:
        planned, calls = plan[one.name], sum(one.api_calls.values())
        assert planned.mode is Mode.BACKFILL
        assert planned.records == one.counts.read
        assert abs(planned.calls - calls) <= max(calls / 10, 1), (one.name, one.api_calls)
    total = sum(report.api_calls.values())
    assert abs(plan.calls - total) <= max(total / 10, 1)
    assert plan.spent <= 2 + 4 * len(streams)
    assert plan.duration >= timedelta(seconds=plan.calls / 11)


def test_what_is_loaded_is_not_read_again(hubspot_emulator, clock, opened):
    """A sync that finds nothing costs a call for a stream; settings that grow cost all records."""
    emulator = hubspot_emulator(clock=clock, contacts=300, companies=20)
    before = COMPANIES, StreamSettings("contacts", properties=("email",))
    domain = connected(opened, emulator, *before)
    domain.sync(ID)

    grown = COMPANIES, StreamSettings("contacts", properties=("email", "city"))

    plan = domain.plan(ID)
    of_grown = domain.plan(ID, grown)

    assert [one.mode for one in plan.streams] == [Mode.INCREMENTAL] * 2
    assert (plan.records, plan.calls) == (0, 3)
    assert [one.mode for one in of_grown.streams] == [Mode.INCREMENTAL, Mode.RECONCILE]
    assert of_grown.records == 300
    domain.configure(ID, streams=grown)
    clock.advance(1)
    report = opened(emulator).domain("acme").sync(ID)
    assert abs(sum(report["contacts"].api_calls.values()) - of_grown["contacts"].calls) <= 1


def test_a_first_load_that_was_cut_off(hubspot_emulator, clock, opened):
    """What was delivered already is not counted again."""
    emulator = hubspot_emulator(clock=clock, contacts=3_000, companies=0)
    domain = connected(opened, emulator, StreamSettings("contacts"))
    emulator.faults.add(Fault(route="list", status=500, skip=20, times=99))
    assert not domain.sync(ID).completed
    emulator.faults.clear()

    plan = domain.plan(ID)

    assert plan["contacts"].mode is Mode.BACKFILL
    assert 0 < plan["contacts"].records < 3_000


def test_comparing_associations_is_part_of_it(hubspot_emulator, clock, opened):
    """A call for a thousand records, as often as the schedule and a hundredth of the day allow."""
    emulator = hubspot_emulator(clock=clock, contacts=2_400, companies=150)
    domain = connected(opened, emulator, COMPANIES, CONTACTS)

    plan = domain.plan(ID)

    assert plan["contacts"].sweep_calls == 3
    assert plan["contacts"].sweeps_a_day == 24
    assert plan["companies"].sweep_calls == 0
    assert plan.sweep_share == 72 / 250_000
    assert "72 a day for associations" in str(plan)


def test_a_plan_is_read_by_people_and_programs(hubspot_emulator, clock, opened):
    """Text with one line a stream, and JSON."""
    domain = connected(opened, hubspot_emulator(clock=clock, contacts=250), CONTACTS)

    plan = domain.plan(ID)

    assert str(plan).splitlines()[1].startswith("- contacts: all records, 250 records, ")
    assert "of 250,000 calls a day" in str(plan)
    document = json.loads(json.dumps(plan.as_dict()))
    assert document["streams"][0]["mode"] == "backfill"
    assert (document["records"], document["calls"]) == (250, plan.calls)
    assert "calls" in repr(plan)


def test_what_cannot_be_counted_is_not_guessed(hubspot_emulator, clock, opened):
    """HubSpot refuses to search the type."""
    emulator = hubspot_emulator(clock=clock, contacts=10)
    domain = connected(opened, emulator, COMPANIES, StreamSettings("contacts"))
    refusal = {"status": "error", "message": "cannot be searched", "category": "VALIDATION_ERROR"}
    emulator.faults.add(Fault(route="search", status=400, body=refusal, times=99))

    plan = domain.plan(ID)

    assert plan["contacts"].records is None
    assert (plan.records, plan.calls, plan.duration, plan.daily_share) == (None,) * 4
    assert "HubSpot does not count them" in str(plan)


def test_nothing_is_stored(hubspot_emulator, clock, opened):
    """And nothing is told."""
    domain = connected(opened, hubspot_emulator(clock=clock, contacts=10), CONTACTS)
    before = domain.account(ID)

    domain.plan(ID, (COMPANIES, CONTACTS))

    assert domain.account(ID) == before
    assert domain.health(ID).streams[0].status is HealthStatus.NEVER


def test_what_is_wrong_is_said(hubspot_emulator, clock, opened):
    """As a sync would."""
    emulator = hubspot_emulator(clock=clock, contacts=10)
    domain = connected(opened, emulator, CONTACTS)

    with pytest.raises(UnknownAccountError):
        domain.plan("1")
    with pytest.raises(ConfigurationError, match="no_such"):
        domain.plan(ID, [StreamSettings("contacts", properties=("no_such",))])
    emulator.withhold_scopes("crm.objects.companies.read")
    with pytest.raises(MissingScopeError):
        domain.plan(ID, [COMPANIES])
