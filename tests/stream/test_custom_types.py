"""Custom types: one stream and one key of associations, whichever of its names is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubspot_sync import (
    Account,
    ConfigurationError,
    MissingScopeError,
    ObjectType,
    RequestRefusedError,
    StaticAccessToken,
    StreamSettings,
    StreamStatus,
    SyncEngine,
)
from hubspot_sync.models import StreamKey
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import Fault, ManualClock
from kit.support import ACCOUNT, Host

if TYPE_CHECKING:
    from hubspot_sync.testing.emulator import HubSpotEmulator

CONTRACTS = "2-3465404"
NAMES = [CONTRACTS, "contracts", "p62515_contracts", "p_contracts", "Service Contract", "verträge"]
PROPERTIES = [f"field_{number:02}" for number in range(30)]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    """An account with 150 contracts of 30 properties, each of them of two contacts."""
    made: HubSpotEmulator = hubspot_emulator(clock=clock, contacts=30, companies=5)
    made.add_object_type(
        "contracts",
        type_id=CONTRACTS,
        labels=("Service contract", "Verträge"),
        properties=PROPERTIES,
        associations={"contacts": ["Signatory", "Guarantor"]},
    )
    contacts = sorted(made.records("contacts"), key=int)
    for number in range(150):
        values = {name: f"{name} of {number}" for name in PROPERTIES}
        contract = made.create("p62515_contracts", values)
        made.associate("contracts", contract, "contacts", contacts[number % 30], label="Signatory")
        made.associate("contracts", contract, "contacts", contacts[(number + 7) % 30])
    return made


@pytest.fixture
def host(emulator, clock):
    return Host(emulator, clock)


def account(*streams: StreamSettings) -> Account:
    return Account("62515", domain_id="acme", streams=streams)


def sync(host: Host, what: Account):
    """One run a minute after the last one."""
    host.clock.advance(60)
    return host.engine().sync(what)


@pytest.mark.parametrize("version", ["2025-09", "2026-03", "2026-09", "v3"])
def test_a_custom_type_is_synced_with_no_code_but_its_name(emulator, clock, version):
    """All its properties, the associations in both directions, and their labels."""
    host = Host(emulator, clock, api_version=version)
    wanted = account(
        StreamSettings("contracts", associations=("contacts",)),
        StreamSettings("contacts", associations=("Service contract",)),
    )

    report = sync(host, wanted)

    assert report.completed
    assert report["contracts"].counts.delivered == 150
    contracts = {one.object_id: one for one in host.sink.actions if one.object_type == CONTRACTS}
    contacts = {one.object_id: one for one in host.sink.actions if one.object_type == "contacts"}
    assert {one.name for one in contracts.values()} == {"Service contract Created"}
    for object_id, held in emulator.records("contracts").items():
        told = contracts[object_id]
        assert {name: told.properties[name] for name in PROPERTIES} == {
            name: held.properties[name] for name in PROPERTIES
        }
        edges = {one.object_id: one.types for one in told.associations["contacts"]}
        assert edges.keys() == held.associations["contacts"].keys()
        assert [kind.label for types in edges.values() for kind in types].count("Signatory") == 1
        for contact in edges:
            back = {one.object_id for one in contacts[contact].associations[CONTRACTS]}
            assert object_id in back


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_the_same_stream(host, name):
    """What was delivered under one name is known under each other."""
    assert sync(host, account(StreamSettings(CONTRACTS))).completed
    before = list(host.sink.actions)
    changed = max(host.emulator.records("contracts"), key=int)
    host.emulator.update("contracts", changed, {"field_00": "new"})

    report = sync(host, account(StreamSettings(name, associations=("contacts",))))

    assert report[name].stream == StreamKey(ACCOUNT.key, CONTRACTS)
    assert report[CONTRACTS].name == name
    added = host.sink.actions[len(before) :]
    assert {(one.object_type, one.kind.value) for one in added} == {(CONTRACTS, "Updated")}
    assert changed in {one.object_id for one in added}


def test_a_report_calls_a_stream_as_the_settings_do(host):
    """As text and as JSON, which has the kept name beside it."""
    report = sync(host, account(StreamSettings("contracts")))

    assert "contracts 150 new" in str(report)
    assert report.as_dict()["streams"]["contracts"]["object_type"] == CONTRACTS


def test_one_type_twice_is_refused(host):
    """Before anything of it is read; the other streams are synced."""
    wanted = account(
        StreamSettings("contracts"), StreamSettings("companies"), StreamSettings("verträge")
    )

    report = sync(host, wanted)

    for name, other in (("contracts", "verträge"), ("verträge", "contracts")):
        assert isinstance(report[name].error, ConfigurationError)
        assert f"{name!r} and {other!r} are the same object type" in str(report[name].error)
    assert report["companies"].status is StreamStatus.COMPLETED
    assert {one.object_type for one in host.sink.actions} == {"companies"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("contract", "contracts"),
        ("Service contrakt", "Service contract"),
        ("compnies", "companies"),
    ],
)
def test_an_unknown_type_is_an_error_with_a_suggestion(host, name, hint):
    """As a stream and as a type of associations."""
    stream = sync(host, account(StreamSettings(name)))[name]
    edges = sync(host, account(StreamSettings("contacts", associations=(name,))))["contacts"]

    for report in (stream, edges):
        assert isinstance(report.error, (ConfigurationError, RequestRefusedError))
        assert repr(name) in str(report.error)
        assert f"did you mean {hint!r}?" in str(report.error)
    assert not host.sink.actions


def test_a_label_of_two_types_says_which_they_are(host):
    """Nobody can know which one is meant."""
    host.emulator.add_object_type("deeds", type_id="2-8", labels=("Deed", "Verträge"))

    report = sync(host, account(StreamSettings("Verträge")))

    assert "contracts (2-3465404) and deeds (2-8) are both called" in str(report.failure)


class TestWithoutTheScopeForSchemas:
    """HubSpot says what only ids do not need."""

    @pytest.fixture
    def host(self, emulator, clock):
        emulator.faults.add(Fault(route="schemas", status=403, times=None))
        return Host(emulator, clock)

    def test_an_id_works(self, host):
        """As a stream and in associations."""
        wanted = account(
            StreamSettings(CONTRACTS, associations=("contacts",)),
            StreamSettings("contacts", associations=(CONTRACTS,)),
        )

        assert sync(host, wanted).completed

        told = [one for one in host.sink.actions if one.object_type == CONTRACTS]
        assert len(told) == 150
        assert all(one.associations["contacts"] for one in told)

    def test_a_name_is_refused(self, host):
        """Under it the stream would be another one; HubSpot's own types go on."""
        report = sync(host, account(StreamSettings("contracts"), StreamSettings("companies")))

        assert isinstance(report["contracts"].error, MissingScopeError)
        assert "give the id" in str(report["contracts"].error)
        assert report["companies"].status is StreamStatus.COMPLETED

    def test_what_is_synced_by_name_is_not_forgotten(self, host):
        """A scope that is lost later ends the stream; it comes back as it was."""
        host.emulator.faults.clear()
        assert sync(host, account(StreamSettings("contracts"))).completed
        before = len(host.sink.actions)
        host.emulator.faults.add(Fault(route="schemas", status=403, times=1))
        host.clock.advance(3600)

        assert not sync(host, account(StreamSettings("contracts"))).completed
        host.clock.advance(3600)
        assert sync(host, account(StreamSettings("contracts"))).completed

        assert len(host.sink.actions) == before


class TestCalls:
    """The schemas are read only where a name may be that of a custom type."""

    def test_hubspots_own_types_cost_none(self, host):
        """An idle run costs one call for each stream."""
        engine = host.engine()
        engine.sync(ACCOUNT)
        host.clock.advance(60)
        before = host.emulator.calls.count()

        assert engine.sync(ACCOUNT).completed

        assert host.emulator.calls.count() == before + 2
        assert host.emulator.calls.count("schemas") == 0

    def test_schemas_are_read_once(self, host):
        """For all streams, names and associations of a run."""
        wanted = account(
            StreamSettings("contacts", associations=("contracts",)),
            StreamSettings("Verträge", associations=("contacts", "companies")),
        )

        assert sync(host, wanted).completed

        assert host.emulator.calls.count("schemas") == 1


def test_reconcile_and_resync_take_any_name(host):
    """The marks are in the checkpoint of the one stream."""
    wanted = account(StreamSettings("contracts"), StreamSettings("companies"))
    sync(host, wanted)
    before = len(host.sink.actions)

    host.engine().reconcile(wanted, ["service contract"])
    assert sync(host, wanted)["contracts"].mode.value == "reconcile"
    assert len(host.sink.actions) == before

    host.engine().resync(wanted, [CONTRACTS])
    host.sink = type(host.sink)()
    assert sync(host, wanted)["contracts"].counts.delivered == 150

    with pytest.raises(ConfigurationError, match="give some of contracts, companies"):
        host.engine().reconcile(wanted, ["contacts"])


class TestObjectTypes:
    """`Domain.object_types` lists what an account has."""

    @pytest.fixture
    def domain(self, emulator, host):
        """A domain whose account has two streams, one of them of a custom type."""
        stores = MemoryStores(clock=host.clock)
        acme = SyncEngine(stores, hubspot=host.hubspot, clock=host.clock).domain("acme")
        acme.connect(
            StaticAccessToken(emulator.access_token),
            streams=[
                StreamSettings("contracts", associations=("contacts",)),
                StreamSettings("companies"),
            ],
        )
        return acme

    def test_lists_all_with_what_is_synced(self, domain):
        """HubSpot's own and the custom ones; the mark once the first load is complete."""
        before = {one.object_type: one for one in domain.object_types("62515")}
        assert domain.sync("62515").completed
        after = {one.object_type: one for one in domain.object_types("62515")}

        assert {"contacts", "companies", "deals", "notes", CONTRACTS} <= after.keys()
        contracts = after[CONTRACTS]
        assert contracts.custom
        assert (contracts.name, contracts.qualified_name) == ("contracts", "p62515_contracts")
        assert (contracts.singular, contracts.plural) == ("Service contract", "Verträge")
        assert contracts.properties >= 30
        assert (contracts.synced, contracts.associations) == (True, ("contacts",))
        assert before[CONTRACTS].high_water_mark is None
        assert contracts.high_water_mark is not None
        assert not after["contacts"].synced
        assert after["companies"].synced
        assert after["companies"].singular == "Company"
        assert not after["companies"].custom

    def test_as_values_for_json(self, domain):
        """Dates as text."""
        domain.sync("62515")

        shown = [one.as_dict() for one in domain.object_types("62515")]

        (contracts,) = [one for one in shown if one["custom"]]
        assert contracts["id"] == CONTRACTS
        assert contracts["high_water_mark"].startswith("20")
        assert isinstance(next(iter(domain.object_types("62515"))), ObjectType)

    def test_without_the_scope_for_schemas(self, domain, emulator, caplog):
        """What is configured by id is there all the same, and the log says what is not."""
        domain.configure("62515", streams=[StreamSettings(CONTRACTS)])
        emulator.faults.add(Fault(route="schemas", status=403, times=None))

        listed = {one.object_type: one for one in domain.object_types("62515")}

        assert listed[CONTRACTS].synced
        assert listed["contacts"].name == "contacts"
        assert "its custom object types are not known" in caplog.text

    def test_the_entry_keeps_a_summary_by_the_name_of_the_settings(self, domain):
        """Also when the next run does not come to the stream."""
        domain.sync("62515")

        assert set(domain.account("62515").streams) == {"contracts", "companies"}
