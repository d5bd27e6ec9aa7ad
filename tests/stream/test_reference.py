"""Owners, pipelines and property definitions: read as a whole, told of where an item differs."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from hubspot_sync import (
    Account,
    ConfigurationError,
    MissingScopeError,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync.models import HealthStatus
from hubspot_sync.stores.memory import MemoryActionSink, MemoryStores
from hubspot_sync.testing import Fault, ManualClock
from kit.support import Crash, Host

HOUR = 3600.0
KINDS = ("owners", "pipelines", "properties")
STREAMS = tuple(map(StreamSettings, ("contacts", "deals", "tickets", *KINDS)))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    """An account with three contacts, and with deals and tickets to have pipelines."""
    made = hubspot_emulator(clock=clock, contacts=3, companies=0)
    made.add_object_type("deals")
    made.add_object_type("tickets")
    return made


@pytest.fixture
def host(emulator, clock):
    return Host(emulator, clock)


def sync(host, streams=STREAMS, *, after=HOUR, **parts):
    """One run, by default when everything is due."""
    host.clock.advance(after)
    return host.engine(**parts).sync(Account("62515", domain_id="acme", streams=streams))


def told(host, kind, since=0):
    """What the sink was told of the items of *kind*, by name and id."""
    return {
        (one.name, one.object_id): one.properties
        for one in host.sink.actions[since:]
        if one.object_type == kind
    }


@pytest.mark.parametrize("version", ["2025-09", "2026-03", "2026-09", "v3"])
def test_all_of_it_is_told(emulator, clock, version):
    """With what a join needs: ids and names as lists, beside HubSpot's own."""
    host = Host(emulator, clock, api_version=version)

    assert sync(host).completed

    owners = told(host, "owners")
    every = {**emulator.owners(), **emulator.owners(archived=True)}
    assert {object_id for _, object_id in owners} == every.keys()
    for object_id, owner in every.items():
        values = owners["Owner Created", object_id]
        assert values["email"] == owner.email
        assert values["archived"] is owner.archived
        assert values.get("teamNames") == (owner.teams or None)
    assert told(host, "pipelines").keys() == {
        ("Pipeline Created", "deals.default"),
        ("Pipeline Created", "tickets.0"),
    }
    sales = told(host, "pipelines")["Pipeline Created", "deals.default"]
    assert sales["objectType"] == "deals"
    assert sales["pipelineId"] == "default"
    assert dict(zip(sales["stageIds"], sales["stageLabels"], strict=True))["contractsent"] == (
        "Contract Sent"
    )
    assert json.loads(sales["stages"])[1]["metadata"] == {"probability": "0.9"}
    properties = told(host, "properties")
    for kind in ("contacts", "deals", "tickets"):
        for name, definition in emulator.definitions(kind).items():
            values = properties["Property Created", f"{kind}.{name}"]
            assert values["type"] == definition.type
            assert values.get("optionValues") == (definition.options or None)


def test_batches_are_no_larger_than_others(host):
    """Though all items come on one page; a crash in the middle leaves the rest for the next run."""
    written = []

    class Measuring:
        def write(self, actions):
            written.append(len(actions))
            if len(written) == 3:
                raise Crash
            return host.sink.write(actions)

    host.emulator.add_property("contacts", *(f"made_{n}" for n in range(700)))
    settings = SyncSettings(batch_size=10)
    with suppress(Crash):
        sync(host, sink=Measuring(), settings=settings)
    assert sync(host, sink=Measuring(), settings=settings).completed

    assert sorted(written)[-2:] == [200, 200]
    assert len(told(host, "properties")) == sum(
        len(host.emulator.definitions(kind)) for kind in ("contacts", "deals", "tickets")
    )


def test_only_what_differs_is_told(host):
    """What is added, changed, archived and removed; where nothing is, nothing."""
    sync(host)
    seen = len(host.sink.actions)

    assert sync(host).completed
    assert host.sink.actions[seen:] == ()

    emulator, (first, second, *_) = host.emulator, host.emulator.owners()
    emulator.set_owner(first, email="new@example.com")
    emulator.set_owner(second, archived=True)
    emulator.set_owner("7", email="seven@example.com")
    emulator.set_pipeline("deals", "default", "Sales Pipeline", [("won", "Won")])
    emulator.remove_pipeline("tickets", "0")
    emulator.remove_property("contacts", "jobtitle")
    emulator.add_property("contacts", "shoe_size", type="number")
    report = sync(host)

    assert report.completed
    changes = {kind: told(host, kind, seen) for kind in KINDS}
    assert changes["owners"].keys() == {
        ("Owner Updated", first),
        ("Owner Updated", second),
        ("Owner Created", "7"),
    }
    assert changes["owners"]["Owner Updated", second]["archived"] is True
    assert changes["pipelines"].keys() == {
        ("Pipeline Updated", "deals.default"),
        ("Pipeline Deleted", "tickets.0"),
    }
    assert changes["pipelines"]["Pipeline Updated", "deals.default"]["stageLabels"] == ("Won",)
    assert changes["properties"].keys() == {
        ("Property Deleted", "contacts.jobtitle"),
        ("Property Created", "contacts.shoe_size"),
    }


def test_a_stage_that_changes_without_a_date(host, monkeypatch):
    """It is compared by its values."""
    sync(host)
    seen, modified = len(host.sink.actions), host.emulator.pipelines("deals")["default"].modified
    portal = host.emulator.account.reference._portal
    monkeypatch.setattr(portal, "now", lambda: modified)

    host.emulator.set_pipeline("deals", "default", "Sales Pipeline", [("won", "Won, at last")])
    sync(host)

    (values,) = told(host, "pipelines", seen).values()
    assert values["stageLabels"] == ("Won, at last",)


def test_it_is_read_when_it_is_due(host):
    """Between two readings its streams make no call; a reconcile reads it at once."""
    first = sync(host).api_calls
    assert {"owners": 2, "pipelines": 2} == {name: first[name] for name in ("owners", "pipelines")}

    between = sync(host, after=60)
    assert between.completed
    assert "owners" not in between.api_calls
    assert "pipelines" not in between.api_calls
    assert between["properties"].api_calls == {}

    host.engine().reconcile(Account("62515", domain_id="acme", streams=STREAMS), KINDS)
    assert sync(host, after=60).api_calls["owners"] == 2


def test_it_may_be_read_on_demand_only(host):
    """With `reference_every=None`; the first load comes all the same."""
    settings = SyncSettings(reference_every=None)
    sync(host, settings=settings)
    assert told(host, "owners")

    assert "owners" not in sync(host, after=100 * HOUR, settings=settings).api_calls


def test_all_again_for_a_sink_that_was_emptied(host):
    """As creations, like records."""
    sync(host)
    host.sink = MemoryActionSink()

    host.engine().resync(Account("62515", domain_id="acme", streams=STREAMS), ["pipelines"])
    sync(host, after=60)

    assert told(host, "pipelines").keys() == {
        ("Pipeline Created", "deals.default"),
        ("Pipeline Created", "tickets.0"),
    }
    assert told(host, "owners") == {}


def test_an_item_of_another_shape_fails_alone(host):
    """The others are told of; it is counted, and named where it has a name."""
    pipelines = {
        "results": [
            {"id": "good", "label": "Good", "stages": []},
            {"id": "bad", "label": "Bad", "stages": [{"label": "without an id"}]},
            {"label": "nameless"},
        ]
    }
    host.emulator.faults.add(Fault(route="pipelines", status=200, body=pipelines))

    report = sync(host, (StreamSettings("deals"), StreamSettings("pipelines")))

    assert report["pipelines"].counts.skipped == 2
    assert told(host, "pipelines").keys() == {("Pipeline Created", "deals.good")}


@pytest.mark.parametrize(
    "answer",
    [
        {"id": "other", "label": "Another one", "stages": []},
        {"id": "default", "label": "Misshapen", "stages": [{"label": "without an id"}]},
        {"label": "nameless", "archived": True},
    ],
)
def test_an_answer_about_another_item_says_nothing_of_this_one(host, answer):
    """It stays as it was, and the other streams go on."""
    sync(host)
    seen = len(host.sink.actions)
    host.emulator.faults.add(Fault(route="pipelines", status=200, body={"results": []}, times=2))
    host.emulator.faults.add(Fault(route="pipelines", status=200, body=answer, times=9))

    report = sync(host)

    assert host.sink.actions[seen:] == ()
    assert report.completed


@pytest.mark.parametrize("kind", ["owners", "pipelines"])
def test_an_empty_answer_removes_nothing(host, kind):
    """Each item that it lacks is asked for by itself, and is there."""
    sync(host)
    seen = len(host.sink.actions)
    for _ in range(2):
        host.emulator.faults.add(Fault(route=kind, status=200, body={"results": []}))

    assert sync(host).completed

    assert host.sink.actions[seen:] == ()


def test_an_account_that_lacks_a_scope(host):
    """It ends that stream, by its name, and no other one."""
    host.emulator.withhold_scopes("crm.objects.owners.read")

    report = sync(host)

    assert isinstance(report["owners"].error, MissingScopeError)
    assert "crm.objects.owners.read" in str(report["owners"].error)
    assert told(host, "pipelines")
    assert told(host, "properties")


def test_one_object_type_whose_pipelines_are_refused(host):
    """The others are told of, the report says which are not, and none of them is gone."""
    sync(host)
    seen = len(host.sink.actions)
    host.emulator.set_pipeline("deals", "second", "Second", [("a", "A")])
    host.emulator.withhold_scopes("crm.objects.tickets.read", "crm.schemas.tickets.read")

    report = sync(host, (StreamSettings("tickets"), StreamSettings("deals"), STREAMS[4]))

    assert told(host, "pipelines", seen).keys() == {("Pipeline Created", "deals.second")}
    (gap,) = report["pipelines"].gaps
    assert gap.startswith("the pipelines of tickets could not be read: ")


def test_an_object_type_that_is_no_longer_synced(host):
    """Its pipelines and properties are not gone from HubSpot."""
    sync(host)
    seen = len(host.sink.actions)

    assert sync(host, (StreamSettings("deals"), *STREAMS[3:])).completed

    assert host.sink.actions[seen:] == ()


@pytest.mark.parametrize(("kind", "such_as"), [("pipelines", "deals"), ("properties", "contacts")])
def test_an_account_without_object_types_that_have_any(host, kind, such_as):
    """What to add is in the error."""
    report = sync(host, (StreamSettings(kind),))

    assert isinstance(report[kind].error, ConfigurationError)
    assert f"give it a StreamSettings for one, such as {such_as}" in str(report[kind].error)


@pytest.mark.parametrize(
    "chosen",
    [
        {"properties": ["email"]},
        {"exclude": ["email"]},
        {"associations": ["contacts"]},
        {"unlisted_properties": ["email"]},
        {"raw_values": True},
    ],
)
def test_it_comes_whole(chosen):
    """Nothing of it can be chosen; a list that is for other types is not for it."""
    with pytest.raises(ConfigurationError, match=r"owners come whole.*StreamSettings\('owners'\)"):
        StreamSettings("Owner", **chosen)
    StreamSettings("owners", properties=["email"], ignore_missing=True)


def test_it_is_fresh_between_two_readings(host, clock):
    """Health counts how often it is read."""
    engine = SyncEngine(MemoryStores(clock=clock), hubspot=host.hubspot, clock=clock)
    domain = engine.domain("acme")
    domain.connect(
        StaticAccessToken(host.emulator.access_token),
        account_id="62515",
        streams=(StreamSettings("deals"), StreamSettings("owners")),
    )
    domain.sync("62515").raise_for_failure()

    clock.advance(0.9 * HOUR)
    domain.sync("62515").raise_for_failure()
    assert {one.status for one in domain.health("62515").streams} == {HealthStatus.FRESH}

    clock.advance(3 * HOUR)
    assert {one.status for one in domain.health("62515").streams} <= {
        HealthStatus.LATE,
        HealthStatus.STALLED,
    }


def test_it_is_read_by_an_account_of_nothing_else(host):
    """Also where no record tells the time."""
    report = sync(host, (StreamSettings("owners"),))

    assert report.completed
    assert len(told(host, "owners")) == report["owners"].counts.delivered > 0
