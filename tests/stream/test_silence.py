"""Silence, an error or another name is never taken for "there is none" (docs/reading.md)."""

from __future__ import annotations

import pytest

from hubspot_sync import (
    Account,
    ConfigurationError,
    HubSpotUnavailableError,
    MissingScopeError,
    StreamSettings,
    StreamStatus,
    SyncSettings,
)
from hubspot_sync.testing import Fault, ManualClock
from hubspot_sync.testing.emulator import Hostility
from kit.support import ACCOUNT, Host

NO_COMPARISON = SyncSettings(batch_size=100, reconcile_every=None)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def start(hubspot_emulator, clock):
    """Starts an emulator and a host on it."""

    def host(**emulator):
        settings = {"contacts": 30, "companies": 10, **emulator}
        return Host(hubspot_emulator(clock=clock, **settings), clock)

    return host


def account(*streams):
    return Account(account_id="62515", domain_id="acme", streams=streams or ACCOUNT.streams)


def sync(host, what=ACCOUNT, *, reconcile=False):
    """One run a minute after the last one."""
    host.clock.advance(60)
    engine = host.engine(settings=NO_COMPARISON)
    if reconcile:
        engine.reconcile(what)
    return engine.sync(what)


def stream(report, object_type="contacts"):
    return report[object_type]


def told(host, object_type="contacts"):
    """The last action of each object."""
    return {
        action.object_id: action
        for action in host.sink.actions
        if action.object_type == object_type
    }


def check_edges(host, object_type, other, key):
    """The last that was told of each record has the edges that it has."""
    last = told(host, object_type)
    for object_id, held in host.emulator.records(object_type).items():
        edges = [edge.object_id for edge in last[object_id].associations[key]]
        assert edges == sorted(held.associations.get(other, {}), key=int), object_id


class TestAssociationsUnderAnotherName:
    """A1: HubSpot answers for an object type under whichever of its names it likes."""

    @pytest.fixture
    def host(self, start):
        host = start(contacts=120)
        emulator = host.emulator
        emulator.add_object_type("pets", type_id="2-3465404", labels=("Pet", "Pets"))
        emulator.add_object_type("line_items")
        emulator.add_object_type("deals")
        for object_type in ("p62515_pets", "line_items"):
            for contact in list(emulator.records("contacts"))[:70]:
                other = emulator.create(object_type, {})
                emulator.associate("contacts", contact, object_type, other)
        return host

    @pytest.mark.parametrize("spelling", ["2-3465404", "p62515_pets", "p_pets"])
    def test_a_custom_type(self, host, spelling):
        """By any spelling that the guide offers, in all three ways of reading."""
        pets = account(StreamSettings(object_type="contacts", associations=(spelling,)))

        assert sync(host, pets).completed
        check_edges(host, "contacts", "p62515_pets", "2-3465404")

        host.emulator.touch("contacts", count=30)
        assert sync(host, pets).completed
        check_edges(host, "contacts", "p62515_pets", "2-3465404")

        before = len(host.sink.actions)
        assert sync(host, pets, reconcile=True).completed
        assert len(host.sink.actions) == before

    @pytest.mark.parametrize("key", ["pets", "Pets", "PET", "2-3465404", "something_else", ""])
    def test_a_custom_type_under_a_key_of_hubspots_choice(self, host, key):
        """Also under one that nothing announces, and under none."""
        host.emulator.hostility = Hostility(inline_keys={"p62515_pets": key})
        pets = account(StreamSettings(object_type="contacts", associations=("2-3465404",)))

        assert sync(host, pets).completed

        check_edges(host, "contacts", "p62515_pets", "2-3465404")

    def test_line_items(self, host):
        """Inline they come under "line items", with a space."""
        wanted = account(
            StreamSettings(object_type="contacts", associations=("line_items", "companies"))
        )

        assert sync(host, wanted).completed

        check_edges(host, "contacts", "line_items", "line_items")
        check_edges(host, "contacts", "companies", "companies")
        assert host.emulator.calls.count("associations") <= 3

    def test_without_the_scope_for_schemas(self, host):
        """An id needs none, and what comes under other names is read in a batch."""
        host.emulator.faults.add(Fault(route="schemas", status=403, times=None))
        pets = account(StreamSettings(object_type="contacts", associations=("2-3465404",)))

        assert sync(host, pets).completed

        check_edges(host, "contacts", "p62515_pets", "2-3465404")


class TestUnknownAssociations:
    """A2: HubSpot drops an object type that it does not know without a word."""

    @pytest.mark.parametrize(
        ("name", "hint"), [("compnies", "companies"), ("deal", "deals"), ("p62515_pet", "pets")]
    )
    def test_are_refused_with_a_suggestion(self, start, name, hint):
        """Before a record is read."""
        host = start()
        host.emulator.add_object_type("pets", type_id="2-3465404")
        wanted = account(StreamSettings(object_type="contacts", associations=(name,)))

        report = sync(host, wanted)

        if name == "deal":  # another spelling of a type that exists
            assert wanted.streams[0].associations == (hint,)
            return
        error = stream(report).error
        assert isinstance(error, ConfigurationError)
        assert name in str(error)
        assert hint in str(error)
        assert not host.sink.actions


class TestBatchesThatAnswerInPart:
    """A3 and A4: only HubSpot's word means that a record is gone."""

    @pytest.fixture
    def wide(self, start):
        """So many properties that the list cannot ask for them, and rows are read by id."""
        host = start(contacts=130, companies=10)
        names = [f"a_property_with_quite_a_long_name_{number:04}" for number in range(500)]
        host.emulator.add_property("contacts", *names)
        return host

    def test_an_error_is_not_gone(self, wide):
        """What HubSpot fails to answer for now is asked for again."""
        wide.emulator.hostility = Hostility(failing_inputs=0.5)

        report = sync(wide)

        assert stream(report).counts.delivered == 130
        assert stream(report).counts.skipped == 0
        assert wide.emulator.lies.count("failing_inputs") > 0

    @pytest.mark.parametrize(
        "lie",
        [
            {"unanswerable": {"contacts": ["{}"]}},
            {"unanswerable": {"contacts": ["{}"]}, "unanswerable_as": "nameless"},
            {"unanswerable": {"contacts": ["{}"]}, "unanswerable_as": "error"},
            {"unanswerable": {"contacts": ["{}"]}, "unanswerable_as": "error_alone"},
            {"silent_inputs": {"contacts": ["{}"]}},
        ],
        ids=["entry", "nameless", "error", "error alone", "silent"],
    )
    def test_what_has_no_answer_is_named_and_asked_for_again(self, wide, lie):
        """The others arrive; the one does with the first run that HubSpot answers in."""
        bad = sorted(wide.emulator.records("contacts"), key=int)[57]
        lies = {
            name: {"contacts": {bad}} if isinstance(value, dict) else value
            for name, value in lie.items()
        }
        wide.emulator.hostility = Hostility(**lies)

        report = sync(wide)
        again = sync(wide)

        for one in (report, again):
            assert stream(one).status is StreamStatus.COMPLETED
            assert stream(one).counts.skipped == 1
            assert any(bad in gap for gap in stream(one).gaps)
        assert told(wide).keys() == wide.emulator.records("contacts").keys() - {bad}

        wide.emulator.hostility = Hostility()
        last = sync(wide)

        assert stream(last).gaps == ()
        assert stream(last).counts.delivered == 1
        assert told(wide).keys() == wide.emulator.records("contacts").keys()
        calls = wide.emulator.calls.count("batch_read")
        assert stream(sync(wide)).counts.skipped == 0
        assert wide.emulator.calls.count("batch_read") == calls

    def test_a_record_that_is_gone_is_not_asked_for_again(self, wide):
        """HubSpot says so."""
        bad = max(wide.emulator.records("contacts"), key=int)
        wide.emulator.hostility = Hostility(silent_inputs={"contacts": {bad}})
        sync(wide)
        wide.emulator.archive("contacts", bad)
        wide.emulator.hostility = Hostility()

        report = sync(wide)

        assert stream(report).gaps == ()
        assert stream(report).counts.skipped == 0


class TestAssociationBatches:
    """A4 and B10: one record that HubSpot cannot answer for does not cost the others."""

    COMPANIES = account(StreamSettings(object_type="companies", associations=("contacts",)))

    @pytest.mark.parametrize("way", ["entry", "nameless", "error", "error_alone", "silent"])
    @pytest.mark.parametrize("companies", [1, 30])
    def test_the_one_is_named_and_tried_again(self, start, way, companies):
        """Whether it stands alone or among others."""
        host = start(companies=companies)
        ids = sorted(host.emulator.records("companies"), key=int)
        bad = ids[-1]
        for company in ids:  # more than come inline
            for contact in list(host.emulator.records("contacts"))[:3]:
                host.emulator.associate("companies", company, "contacts", contact)
        lie = (
            {"silent_edges": {"companies": {bad}}}
            if way == "silent"
            else {"unanswerable_edges": {"companies": {bad}}, "unanswerable_as": way}
        )
        host.emulator.hostility = Hostility(inline_page=1, **lie)

        report = stream(sync(host, self.COMPANIES), "companies")

        assert report.status is StreamStatus.COMPLETED
        assert (report.counts.delivered, report.counts.skipped) == (companies - 1, 1)
        assert any(bad in gap for gap in report.gaps)
        host.emulator.hostility = Hostility()
        assert stream(sync(host, self.COMPANIES), "companies").counts.delivered == 1
        check_edges(host, "companies", "contacts", "contacts")

    def test_a_row_that_says_there_is_more_is_not_stored_with_none(self, start):
        """The block of a contact with more than a hundred companies ends with a next page."""
        host = start(companies=130)
        contact = min(host.emulator.records("contacts"), key=int)
        for company in host.emulator.records("companies"):
            host.emulator.associate("contacts", contact, "companies", company)
        host.emulator.hostility = Hostility(silent_edges={"contacts": {contact}})

        sync(host)

        assert contact not in told(host)
        host.emulator.hostility = Hostility()
        sync(host)
        assert len(told(host)[contact].associations["companies"]) == 130


class TestWhatCouldNotBeRead:
    """It is treated as the pass that could not read it would have done."""

    COMPANIES = account(StreamSettings("companies", associations=("contacts",)))

    def companies(self, start, **emulator):
        """A host whose companies have edges that have to be read in a batch; one of them bad."""
        host = start(companies=30, **emulator)
        ids = sorted(host.emulator.records("companies"), key=int)
        contacts = list(host.emulator.records("contacts"))
        for company in ids:
            for contact in contacts[:3]:
                host.emulator.associate("companies", company, "contacts", contact)
        return host, ids[7], contacts[9]

    def test_a_resync_delivers_it_when_it_can_be_read(self, start):
        """As a creation: the sink was emptied."""
        host, bad, _ = self.companies(start)
        host.emulator.hostility = Hostility(inline_page=1)
        sync(host, self.COMPANIES)
        host.sink = type(host.sink)()
        host.emulator.hostility = Hostility(inline_page=1, silent_edges={"companies": {bad}})
        host.engine(settings=NO_COMPARISON).resync(self.COMPANIES)
        assert stream(sync(host, self.COMPANIES), "companies").counts.skipped == 1
        host.emulator.hostility = Hostility(inline_page=1)

        report = stream(sync(host, self.COMPANIES), "companies")

        assert (report.counts.delivered, report.gaps) == (1, ())
        kinds = [one.kind.value for one in host.sink.actions if one.object_id == bad]
        assert kinds == ["Created"]
        assert len(told(host, "companies")) == 30

    def test_a_comparison_is_made_up_for(self, start):
        """An edge that moved no modified date is found when the record can be read."""
        host, bad, contact = self.companies(start)
        host.emulator.hostility = Hostility(inline_page=1)
        sync(host, self.COMPANIES)
        host.emulator.associate("companies", bad, "contacts", contact)
        host.emulator.hostility = Hostility(inline_page=1, silent_edges={"companies": {bad}})
        sync(host, self.COMPANIES, reconcile=True)
        host.emulator.hostility = Hostility(inline_page=1)

        sync(host, self.COMPANIES)

        check_edges(host, "companies", "contacts", "contacts")

    def test_many_of_them_do_not_block_the_stream(self, start):
        """What changes meanwhile arrives."""
        host, _, _ = self.companies(start)
        bad = set(sorted(host.emulator.records("companies"), key=int)[:25])
        lies = Hostility(inline_page=1, unanswerable_edges={"companies": bad})
        host.emulator.hostility = lies
        assert stream(sync(host, self.COMPANIES), "companies").counts.skipped == 25
        changed = max(host.emulator.records("companies"), key=int)
        host.emulator.update("companies", changed, {"city": "Athens"})

        report = stream(sync(host, self.COMPANIES), "companies")

        assert report.status is StreamStatus.COMPLETED
        assert report.counts.skipped == 25
        assert told(host, "companies")[changed].properties["city"] == "Athens"


class TestDefinitions:
    """A5 and A6: what properties there are."""

    @pytest.mark.parametrize(
        "lie", [{"empty_definitions": 1.0}, {"short_definitions": 1.0}], ids=["empty", "short"]
    )
    @pytest.mark.parametrize("new_process", [True, False])
    def test_a_list_that_lacks_most_is_no_answer(self, start, lie, new_process):
        """A mirror would be emptied: a comparison finds each record without its values."""
        host = start()
        engine = host.engine(settings=NO_COMPARISON)
        engine.sync(ACCOUNT)
        before = len(host.sink.actions)
        host.clock.advance(700)
        host.emulator.hostility = Hostility(**lie)

        engine = host.engine(settings=NO_COMPARISON) if new_process else engine
        engine.reconcile(ACCOUNT)
        report = engine.sync(ACCOUNT)

        assert not report.completed
        assert isinstance(report.failure, HubSpotUnavailableError)
        assert len(host.sink.actions) == before

    def test_it_is_asked_for_again(self, start):
        """Once is enough for HubSpot to think better of it."""
        host = start()
        host.emulator.faults.add(
            Fault(route="properties", status=200, body={"results": []}, times=1)
        )

        report = sync(host)

        assert report.completed
        assert all(action.properties["hs_object_id"] for action in host.sink.actions)

    def test_properties_that_were_archived_are_believed_to_be_gone(self, start):
        """HubSpot lists them as such."""
        host = start()
        names = [f"own_{number}" for number in range(40)]
        host.emulator.add_property("contacts", *names)
        sync(host)
        for name in names:
            host.emulator.remove_property("contacts", name)
        host.clock.advance(700)

        report = sync(host)

        assert report.completed
        changed = min(host.emulator.records("contacts"), key=int)
        host.emulator.update("contacts", changed, {"city": "Athens"})
        sync(host)
        assert set(names).isdisjoint(told(host)[changed].properties)

    @pytest.mark.parametrize("after", [30, 200, 599])
    @pytest.mark.parametrize("new_process", [True, False])
    def test_a_property_that_came_between_two_readings_arrives(self, start, after, new_process):
        """It is made, and filled in by an import, while its absence is still believed."""
        host = start()
        engine = host.engine(settings=NO_COMPARISON)
        engine.sync(ACCOUNT)
        host.clock.advance(after)
        some = sorted(host.emulator.records("contacts"), key=int)[:20]
        host.emulator.add_property("contacts", "score", values=dict.fromkeys(some, "7"))
        host.clock.advance(1)
        engine.sync(ACCOUNT)
        for _ in range(3):
            host.clock.advance(900)
            if new_process:
                engine = host.engine(settings=NO_COMPARISON)
            engine.sync(ACCOUNT)

        assert {one: told(host)[one].properties.get("score") for one in some} == dict.fromkeys(
            some, "7"
        )
        assert len({action.action_id for action in host.sink.actions}) == len(host.sink.actions)

    def test_a_property_that_comes_during_a_backfill_arrives(self, start):
        """Which may take hours."""
        host = start(contacts=350)
        host.emulator.faults.add(Fault(route="list", object_type="contacts", skip=2, status=404))
        host.engine(settings=NO_COMPARISON).sync(ACCOUNT)
        some = sorted(host.emulator.records("contacts"), key=int)[:20]
        host.clock.advance(100)
        host.emulator.add_property("contacts", "score", values=dict.fromkeys(some, "7"))
        for _ in range(3):
            host.clock.advance(900)
            host.engine(settings=NO_COMPARISON).sync(ACCOUNT)

        assert {told(host)[one].properties.get("score") for one in some} == {"7"}


class TestTheProofOfTheList:
    """A7: a page that leaves a row out looks like any other."""

    @pytest.mark.parametrize("mode", ["backfill", "reconcile"])
    @pytest.mark.parametrize("hidden", [[0], [57], [249], [3, 4, 5], [0, 100, 249], [100, 99]])
    @pytest.mark.parametrize("calls", [1, None])
    def test_a_record_that_is_left_out_is_found(self, start, mode, hidden, calls):
        """Once or always, alone or with others, anywhere."""
        host = start(contacts=250 if mode == "backfill" else 0)
        if mode == "reconcile":
            sync(host)
            for _ in range(250):
                host.emulator.create("contacts", {})
            host.clock.advance(10_000)
            host.emulator.hostility = Hostility(index_lag=0)
        ids = sorted(host.emulator.records("contacts"), key=int)
        bad = {ids[index] for index in hidden}
        host.emulator.hostility = Hostility(
            hidden_from_list={"contacts": bad}, hidden_from_list_calls=calls
        )

        report = sync(host, reconcile=mode == "reconcile")

        assert report.completed
        assert told(host).keys() == host.emulator.records("contacts").keys()
        assert host.emulator.lies.count("hidden_from_list") > 0

    @pytest.mark.parametrize("cut_after", [1, 2])
    def test_a_list_that_ends_too_early(self, start, cut_after):
        """Its page says that it is the last one."""
        host = start(contacts=350)
        rows = [
            {
                "id": object_id,
                "properties": {"lastmodifieddate": "2026-03-02T10:35:01.123Z"},
                "createdAt": "2026-03-02T10:35:01.123Z",
            }
            for object_id in sorted(host.emulator.records("contacts"), key=int)
        ]
        host.emulator.faults.add(
            Fault(
                route="list",
                object_type="contacts",
                skip=cut_after,
                status=200,
                body={"results": rows[100 * cut_after : 100 * cut_after + 7]},
            )
        )

        sync(host)

        assert told(host).keys() == host.emulator.records("contacts").keys()

    def test_it_costs_two_searches_where_nothing_is_missing(self, start):
        """For each stream."""
        host = start(contacts=150, companies=20)

        report = sync(host)

        assert report.api_calls["search"] == 4

    @pytest.mark.parametrize("missing", [0, 1])
    def test_it_costs_few_calls_where_something_is(self, hubspot_emulator, clock, missing):
        """At most 20 for a large account, the reading of it apart."""
        host = Host(hubspot_emulator(contacts=20_000, companies=0, clock=clock), clock)
        sync(host, account(StreamSettings(object_type="contacts")))
        plain = host.emulator.calls.count("list"), host.emulator.calls.count("search")
        bad = sorted(host.emulator.records("contacts"), key=int)[12_345]
        host.emulator.hostility = Hostility(
            hidden_from_list={"contacts": {bad} if missing else set()}
        )
        before = len(host.emulator.calls)

        report = sync(host, account(StreamSettings(object_type="contacts")), reconcile=True)

        assert report.completed
        spent = len(host.emulator.calls) - before
        assert spent - sum(plain) <= 20 + 10  # the splitting of ranges differs from run to run

    @pytest.mark.parametrize("route", ["list", "batch_read"])
    def test_what_is_known_to_be_missing_is_not_forgotten(self, start, route):
        """While HubSpot fails to bring it, the pass is not complete."""
        host = start(contacts=250)
        bad = sorted(host.emulator.records("contacts"), key=int)[133]
        host.emulator.hostility = Hostility(hidden_from_list={"contacts": {bad}})
        skip = 3 if route == "list" else 0
        host.emulator.faults.add(
            Fault(route=route, object_type="contacts", status=502, skip=skip, times=20)
        )

        assert not sync(host).completed
        host.emulator.faults.clear()
        assert sync(host).completed

        assert bad in told(host)

    def test_a_list_that_is_never_counted_is_compared_once_more_at_the_most(self, start):
        """It may be too long for one run, each time."""
        host = start(contacts=450)
        host.emulator.hostility = Hostility(opaque_after=True)
        for _ in range(4):
            host.emulator.faults.add(
                Fault(route="list", object_type="contacts", skip=2, status=404)
            )
            sync(host)
        host.emulator.faults.clear()
        sync(host)
        listed = host.emulator.calls.count("list")

        assert sync(host).completed

        assert host.emulator.calls.count("list") == listed

    def test_a_type_that_cannot_be_searched_is_not_proved_and_says_so(self, start):
        """The report has it, and the pass is complete."""
        host = start()
        host.emulator.hostility = Hostility(unsearchable={"contacts"})

        report = stream(sync(host))

        assert report.status is StreamStatus.COMPLETED
        assert any("not proved" in gap for gap in report.gaps)

    def test_what_is_deleted_meanwhile_is_no_gap(self, start, clock):
        """Search knows of it a little longer than the list."""
        host = start(contacts=250)
        host.emulator.hostility = Hostility(index_lag=30)
        host.clock.advance(100)
        gone = sorted(host.emulator.records("contacts"), key=int)[100]
        host.emulator.archive("contacts", gone)

        report = host.engine(settings=NO_COMPARISON).sync(ACCOUNT)

        assert report.completed
        assert stream(report).gaps == ()
        assert gone not in told(host)

    def test_an_unordered_list_is_proved_too(self, start):
        """Its rows may come twice, so their ids are held against search."""
        host = start(contacts=450)
        bad = sorted(host.emulator.records("contacts"), key=int)[311]
        host.emulator.hostility = Hostility(
            opaque_after=True, list_repeats=0.5, hidden_from_list={"contacts": {bad}}
        )

        report = sync(host)

        assert report.completed
        assert told(host).keys() == host.emulator.records("contacts").keys()

    def test_an_unordered_list_over_several_runs_is_read_again(self, start):
        """Nobody knows what the first runs saw."""
        host = start(contacts=450)
        bad = sorted(host.emulator.records("contacts"), key=int)[50]
        lies = Hostility(opaque_after=True, hidden_from_list={"contacts": {bad}})
        host.emulator.hostility = lies
        host.emulator.faults.add(Fault(route="list", object_type="contacts", skip=4, status=404))
        sync(host)

        sync(host)
        report = sync(host)

        assert report.completed
        assert told(host).keys() == host.emulator.records("contacts").keys()

    def test_a_pass_that_is_cut_off_is_proved_as_a_whole(self, start):
        """What was listed before the cut is known to the checkpoint."""
        host = start(contacts=450)
        bad = sorted(host.emulator.records("contacts"), key=int)[50]
        host.emulator.hostility = Hostility(hidden_from_list={"contacts": {bad}})
        host.emulator.faults.add(Fault(route="list", object_type="contacts", skip=3, status=404))
        assert not sync(host).completed
        assert bad not in told(host)

        assert sync(host).completed

        assert told(host).keys() == host.emulator.records("contacts").keys()


class TestDates:
    """A8: a record that lacks one of its dates is a record."""

    @pytest.mark.parametrize("lie", ["without_created", "without_modified"])
    def test_it_is_delivered_with_the_other_one(self, start, lie):
        """In a first run and in later ones."""
        host = start()
        bad = sorted(host.emulator.records("contacts"), key=int)[:3]
        host.emulator.hostility = Hostility(**{lie: {"contacts": set(bad)}})

        first = sync(host)
        host.emulator.update("contacts", bad[0], {"city": "Athens"})
        second = sync(host)

        assert stream(first).counts.skipped == 0
        assert stream(second).counts.skipped == 0
        assert told(host).keys() == host.emulator.records("contacts").keys()


class TestScopes:
    """A9: contacts may be read, companies not."""

    def test_the_message_says_which_associations_may_not_be_read(self, start):
        """And how to do without."""
        host = start()
        host.emulator.hostility = Hostility(strict_scopes=True)
        host.emulator.scopes = {"oauth", "crm.objects.contacts.read"}

        error = stream(sync(host)).error

        assert isinstance(error, MissingScopeError)
        assert "which companies they are associated with" in str(error)
        assert "crm.objects.companies.read" in str(error)
        assert "StreamSettings(associations=...)" in str(error)

    def test_without_the_associations_it_works(self, start):
        """As the message says."""
        host = start()
        host.emulator.hostility = Hostility(strict_scopes=True)
        host.emulator.scopes = {"oauth", "crm.objects.contacts.read"}

        report = sync(host, account(StreamSettings(object_type="contacts")))

        assert report.completed
        assert len(told(host)) == 30


class TestTypesThatCannotBeSearched:
    """A10: HubSpot refuses each search with 400."""

    def test_changes_are_found_by_the_list(self, start, caplog):
        """With a warning; nothing is delivered twice."""
        host = start(contacts=250)
        host.emulator.hostility = Hostility(unsearchable={"contacts"})
        sync(host)
        changed = sorted(host.emulator.records("contacts"), key=int)[100:103]
        for one in changed:
            host.emulator.update("contacts", one, {"city": "Athens"})
        new = host.emulator.create("contacts", {"city": "Bergen"})

        report = stream(sync(host))

        assert report.status is StreamStatus.COMPLETED
        assert report.counts.delivered == 4
        assert {told(host)[one].properties["city"] for one in changed} == {"Athens"}
        assert told(host)[new].properties["city"] == "Bergen"
        assert "refuses to search" in caplog.text

    def test_it_goes_on_where_it_was_cut_off(self, start):
        """By the list again."""
        host = start(contacts=450)
        host.emulator.hostility = Hostility(unsearchable={"contacts"})
        sync(host)
        changed = max(host.emulator.records("contacts"), key=int)
        host.emulator.update("contacts", changed, {"city": "Athens"})
        host.emulator.faults.add(Fault(route="list", object_type="contacts", skip=3, status=404))

        assert not sync(host).completed
        assert sync(host).completed

        assert told(host)[changed].properties["city"] == "Athens"


class TestActionNames:
    """C14: an object is called what people call it."""

    @pytest.mark.parametrize(
        ("name", "labels", "called"),
        [
            ("pets", ("Pet", "Pets"), "Pet Created"),
            ("addresses", ("Address", "Addresses"), "Address Created"),
            ("status", ("Status", "Statuses"), "Status Created"),
            ("contacts", ("Ansprechpartner", "Ansprechpartner"), "Ansprechpartner Created"),
        ],
    )
    @pytest.mark.parametrize("spelling", ["id", "name"])
    def test_by_its_label(self, start, name, labels, called, spelling):
        """Whatever it is configured by."""
        host = start()
        kind = host.emulator.add_object_type(f"{name}", type_id="2-77", labels=labels)
        host.emulator.create(kind, {})
        wanted = account(StreamSettings(object_type="2-77" if spelling == "id" else kind))

        assert sync(host, wanted).completed

        assert [action.name for action in host.sink.actions] == [called]

    def test_without_the_scope_for_schemas_by_its_id(self, start):
        """Never by a standard type's."""
        host = start()
        kind = host.emulator.add_object_type("pets", type_id="2-77")
        host.emulator.create(kind, {})
        host.emulator.faults.add(Fault(route="schemas", status=403, times=None))

        assert sync(host, account(StreamSettings(object_type="2-77"))).completed

        assert [action.name for action in host.sink.actions] == ["2-77 Created"]
