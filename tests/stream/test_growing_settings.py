"""Settings that grow, and properties that come and go at HubSpot (docs/reading.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubspot_sync import Account, ConfigurationError, StreamSettings, SyncSettings
from hubspot_sync.models import Mode, PropertiesChanged
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import Fault, ManualClock
from hubspot_sync.testing.emulator import Hostility
from kit.support import Host

if TYPE_CHECKING:
    from hubspot_sync import StreamReport
    from hubspot_sync.testing.emulator import HubSpotEmulator

# Nothing is compared but for what the settings, or HubSpot, have more of.
SETTINGS = SyncSettings(batch_size=100, reconcile_every=None)
RATED = 7


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def host(hubspot_emulator, clock):
    """250 contacts, every tenth of them with a company and seven with a rating."""
    emulator: HubSpotEmulator = hubspot_emulator(clock=clock, contacts=0, companies=25)
    emulator.add_property("contacts", "rating")
    companies = sorted(emulator.records("companies"), key=int)
    for number in range(250):
        values = {"email": f"{number}@example.com", "city": "Cork"}
        if number < RATED:
            values["rating"] = "high"
        contact = emulator.create("contacts", values)
        if number % 10 == 0:
            emulator.associate("contacts", contact, "companies", companies[number // 10])
    return Host(emulator, clock)


def sync(host: Host, *, properties=("email", "city"), after: int = 900, **settings) -> StreamReport:
    """A run of the contacts, so many seconds after the last one, by a process of its own."""
    host.clock.advance(after)
    wanted = StreamSettings("contacts", properties=properties, **settings)
    account = Account("62515", domain_id="acme", streams=(wanted,))
    report = host.engine(settings=SETTINGS).sync(account)
    assert report.completed, report.failure
    return report["contacts"]


def changes(host: Host) -> list[PropertiesChanged]:
    return host.recorder.of(PropertiesChanged)


class TestWhatTheSettingsAdd:
    """All records are compared once, and what has something new is delivered."""

    def test_a_property(self, host):
        """The records with a value in it come as updates, and all others count as repeated."""
        sync(host)

        report = sync(host, properties=("email", "city", "rating"))

        assert report.mode is Mode.RECONCILE
        assert (report.counts.delivered, report.counts.read) == (RATED, 250)
        added = host.sink.actions[250:]
        assert {(one.kind.value, one.properties["rating"]) for one in added} == {
            ("Updated", "high")
        }
        assert report.api_calls["list"] <= 250 / 100 + 1

    def test_an_association(self, host):
        """The records that have one come as updates."""
        sync(host)

        report = sync(host, associations=("companies",))

        assert report.counts.delivered == 25
        assert all(one.associations["companies"] for one in host.sink.actions[250:])

    def test_is_loaded_once(self, host):
        """The next run costs one call again."""
        sync(host)
        sync(host, properties=("email", "rating"), associations=("companies",))

        engine = host.engine(settings=SETTINGS)
        wanted = StreamSettings(
            "contacts", properties=("email", "rating"), associations=("companies",)
        )
        account = Account("62515", domain_id="acme", streams=(wanted,))
        engine.sync(account)
        host.clock.advance(60)
        report = engine.sync(account)["contacts"]

        assert (report.mode, report.counts.read) == (Mode.INCREMENTAL, 0)
        assert report.api_calls == {"search": 1}

    def test_goes_on_where_it_was_cut_off(self, host):
        """By later runs, and each record is delivered once."""
        sync(host)
        host.emulator.faults.add(Fault(route="list", object_type="contacts", skip=1, status=404))
        host.clock.advance(900)
        wanted = StreamSettings("contacts", properties=("email", "city", "rating"))
        account = Account("62515", domain_id="acme", streams=(wanted,))
        assert not host.engine(settings=SETTINGS).sync(account).completed

        report = sync(host, properties=("email", "city", "rating"))

        assert report.mode is Mode.RECONCILE
        assert len(host.sink.actions) == 250 + RATED

    def test_during_a_backfill(self, host):
        """Those that were read without it are compared after it."""
        host.emulator.faults.add(Fault(route="list", object_type="contacts", skip=1, status=404))
        account = Account(
            "62515",
            domain_id="acme",
            streams=(StreamSettings("contacts", properties=("email", "city")),),
        )
        assert not host.engine(settings=SETTINGS).sync(account).completed

        sync(host, properties=("email", "city", "rating"))

        last = {one.object_id: one.properties for one in host.sink.actions}
        assert [one.get("rating") for one in last.values()].count("high") == RATED

    @pytest.mark.parametrize("less", [("email",), ("city",)])
    def test_less_is_no_reason_to_compare(self, host, less):
        """What is not read any more comes off with the next change of a record."""
        sync(host, associations=("companies",))

        report = sync(host, properties=less)

        assert (report.mode, report.counts.delivered) == (Mode.INCREMENTAL, 0)

    def test_is_known_to_every_store(self, host, tmp_path):
        """What was read is a part of the checkpoint."""
        stores = SqliteStores(tmp_path / "crm.db", clock=host.clock)
        host.checkpointer = stores.checkpointer
        sync(host)
        report = sync(host, properties=("email", "city", "rating"))
        again = sync(host, properties=("email", "city", "rating"))
        stores.close()

        assert (report.counts.delivered, again.mode) == (RATED, Mode.INCREMENTAL)


class TestWhatHubSpotChanges:
    """Properties appear, vanish, and change their type."""

    def test_a_new_property_that_a_pattern_matches(self, host):
        """It arrives where it has a value, and observers are told of it once."""
        sync(host, properties=("email", "city", "own_*"), ignore_missing=True)
        some = sorted(host.emulator.records("contacts"), key=int)[:3]
        host.emulator.add_property("contacts", "own_score", values=dict.fromkeys(some, "7"))

        report = sync(host, properties=("email", "city", "own_*"))
        sync(host, properties=("email", "city", "own_*"))

        assert report.counts.delivered == 3
        (told,) = changes(host)
        assert (told.stream.object_type, told.appeared) == ("contacts", ("own_score",))
        assert (told.vanished, told.retyped) == ((), {})

    def test_a_new_property_that_nobody_reads(self, host):
        """It is told, and nothing is compared."""
        sync(host)
        host.emulator.add_property("contacts", "own_score")

        report = sync(host)

        assert report.mode is Mode.INCREMENTAL
        assert [one.appeared for one in changes(host)] == [("own_score",)]

    def test_a_property_that_vanishes(self, host):
        """It is told once."""
        sync(host, properties=None)
        host.emulator.remove_property("contacts", "rating")

        for _ in range(2):
            report = sync(host, properties=None)

        assert report.mode is Mode.INCREMENTAL
        assert [one.vanished for one in changes(host)] == [("rating",)]

    def test_a_property_of_another_type(self, host):
        """Its values are delivered again, in the new type."""
        for number, one in enumerate(sorted(host.emulator.records("contacts"), key=int)[:RATED]):
            host.emulator.update("contacts", one, {"rating": str(number)})
        sync(host, properties=("email", "rating"))
        host.emulator.add_property("contacts", "rating", type="number")

        report = sync(host, properties=("email", "rating"))

        assert report.counts.delivered == RATED
        assert {one.properties["rating"] for one in host.sink.actions[250:]} == set(range(RATED))
        assert [one.retyped for one in changes(host)] == [{"rating": ("string", "number")}]

    def test_a_process_that_remembers_older_definitions(self, host):
        """It asks again, and takes nothing for gone."""
        wanted = StreamSettings("contacts")
        account = Account("62515", domain_id="acme", streams=(wanted,))
        older = host.engine(settings=SETTINGS)
        older.sync(account)
        some = sorted(host.emulator.records("contacts"), key=int)[:3]
        host.emulator.add_property("contacts", "own_score", values=dict.fromkeys(some, "7"))
        assert sync(host, properties=None, after=60).counts.delivered == 3
        host.emulator.update("contacts", some[0], {"city": "Athens"})
        host.clock.advance(60)

        report = older.sync(account)["contacts"]

        assert (report.mode, report.counts.delivered) == (Mode.INCREMENTAL, 1)
        assert host.sink.actions[-1].properties["own_score"] == "7"
        assert len(changes(host)) == 1

    def test_nothing_is_told_of_a_first_load(self, host):
        """There is nothing to hold it against."""
        sync(host, properties=None)

        assert changes(host) == []


class TestUnlistedProperties:
    """Some properties can be read by name and are in no list of definitions."""

    NAME = "hs_v2_date_entered_123"

    @pytest.fixture
    def host(self, host):
        host.emulator.add_property("contacts", self.NAME)
        for one in list(host.emulator.records("contacts"))[:RATED]:
            host.emulator.update("contacts", one, {self.NAME: "2026-03-02T10:35:01.123Z"})
        host.emulator.hostility = Hostility(unlisted_properties={"contacts": [self.NAME]})
        return host

    def test_are_read_by_consent(self, host):
        """As text, with all or with chosen properties."""
        for properties in (None, ("email",)):
            report = sync(host, properties=properties, unlisted_properties=(self.NAME,))
            assert report.counts.rejected == 0

        values = [one.properties.get(self.NAME) for one in host.sink.actions[:250]]
        assert values.count("2026-03-02T10:35:01.123Z") == RATED

    def test_are_loaded_when_they_are_added(self, host):
        """As any other property."""
        sync(host)

        report = sync(host, unlisted_properties=(self.NAME,))

        assert report.counts.delivered == RATED

    def test_are_refused_without_it(self, host):
        """The error says how to consent."""
        host.clock.advance(60)
        wanted = StreamSettings("contacts", properties=(self.NAME,))
        account = Account("62515", domain_id="acme", streams=(wanted,))

        error = host.engine(settings=SETTINGS).sync(account)["contacts"].error

        assert isinstance(error, ConfigurationError)
        assert "unlisted_properties" in str(error)

    def test_are_no_patterns(self):
        """Nothing lists what one could match."""
        with pytest.raises(ConfigurationError, match="pattern"):
            StreamSettings("contacts", unlisted_properties=("hs_v2_*",))
