"""Reading an account, against the emulator: everything, once, whatever its shape."""

from __future__ import annotations

import itertools
import threading
from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest

from hubspot_sync import (
    Account,
    ConfigurationError,
    HubSpotUnavailableError,
    RequestRefusedError,
    RetryableError,
    StreamSettings,
)
from hubspot_sync._hubspot.records import ranges
from hubspot_sync.models import IdRange, Mode, Pass
from hubspot_sync.testing import Fault, ManualClock
from kit.support import ACCOUNT, Host, truth_of

CONTACTS = StreamSettings(object_type="contacts", associations=("companies",))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    return hubspot_emulator(contacts=250, companies=40, clock=clock)


@pytest.fixture
def host(emulator, clock):
    return Host(emulator, clock)


def backfill(host, *ranges, listed=()):
    return Pass(
        mode=Mode.BACKFILL, end=host.clock.now(), ranges=ranges or (IdRange(),), listed=listed
    )


def window(start, seconds=60):
    """A window of modified time."""
    end = start + timedelta(seconds=seconds)
    return Pass(mode=Mode.INCREMENTAL, start=start, end=end)


def all_records(pages):
    return [record for page in pages for record in page.records]


def expected_edges(emulator, object_id):
    """A contact's companies as the emulator knows them: id to whether it is the primary one."""
    edges = emulator.records("contacts")[object_id].associations.get("companies", {})
    return {
        other: any(kind.category == "HUBSPOT_DEFINED" and kind.type_id == 1 for kind in kinds)
        for other, kinds in edges.items()
    }


def test_the_list_brings_every_record_once(host, emulator):
    """In pages of 100, with all properties that exist."""
    pages = list(host.source().read(CONTACTS, backfill(host)))

    records = all_records(pages)
    truth = emulator.records("contacts")
    assert [len(page.records) for page in pages] == [100, 100, 50]
    assert {record.object_id for record in records} == set(truth)
    assert len(records) == len(truth)
    sample = records[17]
    held = truth[sample.object_id]
    assert truth_of(emulator, "contacts", sample.object_id) == sample.properties
    assert sample.modified_at == held.modified_at
    assert sample.created_at == held.created_at


@pytest.mark.parametrize(("contacts", "allowed"), [(250, 5), (350, 7), (1_200, 15), (4_000, 47)])
def test_reading_side_by_side_costs_few_calls(hubspot_emulator, clock, contacts, allowed):
    """At most 15 for 100 pages, one for finding out that a range is not worth it, and the proof."""
    host = Host(hubspot_emulator(contacts=contacts, companies=0, clock=clock), clock)
    source = host.source()

    records = all_records(source.read(CONTACTS, backfill(host)))

    calls = source.api_calls()
    assert len(records) == contacts
    assert calls["list"] + calls.get("search", 0) <= allowed


@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 429, "policy": "SECONDLY"}, {"status": 404}],
    ids=["away", "used up", "refused"],
)
def test_a_backfill_needs_search_for_its_proof_only(hubspot_emulator, clock, fault):
    """The list has all; without a search nothing says so, and the next run asks once more."""
    emulator = hubspot_emulator(contacts=2_000, companies=0, clock=clock)
    emulator.faults.add(Fault(route="search", times=None, **fault))
    host = Host(emulator, clock)

    pages = []

    def keep(page):
        pages.append(page)
        return page

    with pytest.raises((RetryableError, RequestRefusedError)):
        all_records(map(keep, host.source().read(CONTACTS, backfill(host))))
    emulator.faults.clear()
    before = emulator.calls.count("list"), emulator.calls.count("search")
    reading = backfill(host, *pages[-1].ranges, listed=pages[-1].listed)
    rest = list(host.source().read(CONTACTS, reading))

    assert len(all_records(pages)) == 2_000
    assert all_records(rest) == []
    assert rest[-1].ranges == ()
    after = emulator.calls.count("list"), emulator.calls.count("search")
    assert (after[0] - before[0], after[1] - before[1]) == (1, 2)


def test_a_backfill_goes_on_from_any_page(host):
    """The rest of the ranges is all that has to be kept."""
    source = host.source()
    whole = all_records(source.read(CONTACTS, backfill(host)))
    first = next(source.read(CONTACTS, backfill(host)))

    rest = all_records(source.read(CONTACTS, backfill(host, *first.ranges)))

    def in_order(records):
        return sorted(records, key=lambda record: int(record.object_id))

    assert in_order([*first.records, *rest]) == in_order(whole)
    assert list(source.read(CONTACTS, backfill(host)))[-1].ranges == ()


def test_associations_are_whole_and_the_primary_company_is_marked(host, emulator):
    """Inline where that is enough, else from the associations endpoint."""
    source = host.source()
    records = all_records(source.read(CONTACTS, backfill(host)))
    lacking = [record.object_id for record in records if "companies" not in record.associations]
    found = source.associations("contacts", "companies", lacking).found

    for record in records:
        edges = record.associations.get("companies", found.get(record.object_id))
        assert expected_edges(emulator, record.object_id) == {
            edge.object_id: edge.primary for edge in edges
        }


def test_inline_and_batch_say_the_same(host):
    """A record's digest may not depend on where its associations came from."""
    source = host.source()
    records = [
        record
        for record in all_records(source.read(CONTACTS, backfill(host)))
        if "companies" in record.associations
    ]
    ids = [record.object_id for record in records]
    found = source.associations("contacts", "companies", ids).found

    assert len(records) > 50
    assert {record.object_id: record.associations["companies"] for record in records} == found


def test_a_company_with_thousands_of_contacts_comes_out_whole(host, emulator):
    """The paging inside a result of the batch endpoint is followed to its end."""
    company = emulator.create("companies", {"name": "Everybody Ltd"})
    contacts = [emulator.create("contacts", {}) for _ in range(1_250)]
    for contact in contacts:
        emulator.associate("contacts", contact, "companies", company)

    found = host.source().associations("companies", "contacts", [company]).found

    assert [edge.object_id for edge in found[company]] == sorted(contacts, key=int)


def test_no_associations_is_an_answer(host, emulator):
    """HubSpot reports it as an error inside a 207."""
    lonely = emulator.create("contacts", {})
    source = host.source()

    assert source.associations("contacts", "companies", [lonely]).found == {lonely: ()}
    assert source.associations("contacts", "companies", []).found == {}


def test_more_than_a_thousand_are_asked_for_in_batches(host, emulator):
    """The endpoint refuses more."""
    contacts = [emulator.create("contacts", {}) for _ in range(1_001)]
    source = host.source()

    assert len(source.associations("contacts", "companies", contacts).found) == 1_001
    assert source.api_calls() == {"associations": 2}


def test_search_brings_what_changed_in_the_window(host, emulator, clock):
    """Start inclusive, end exclusive, in pages of 200, in order of ids."""
    start = clock.now()
    changed = emulator.touch("contacts", count=230)
    clock.advance(1)
    emulator.touch("contacts", object_ids=changed[:7])

    pages = list(host.source().read(CONTACTS, window(start, seconds=1)))

    assert [len(page.records) for page in pages] == [200, 23]
    assert [record.object_id for record in all_records(pages)] == changed[7:]
    assert pages[0].ranges == (IdRange(after=pages[0].records[-1].object_id),)
    assert {record.modified_at for record in all_records(pages)} == {start}


def test_more_than_ten_thousand_rows_are_no_limit(hubspot_emulator, clock):
    """No offset is ever used, so the cap on offsets is never met."""
    emulator = hubspot_emulator(contacts=10_300, clock=clock)
    host = Host(emulator, clock)
    start = clock.now()
    emulator.touch("contacts", object_ids=list(emulator.records("contacts")))

    only_email = StreamSettings(object_type="contacts", properties=("email",))
    records = all_records(host.source().read(only_email, window(start)))

    assert len({record.object_id for record in records}) == len(records) == 10_300


def test_a_search_without_changes_costs_one_call(host, emulator, clock):
    """And one for the definitions, which are kept for the next run."""
    factory = host.source_factory()

    def source():
        return factory(ACCOUNT, stop=threading.Event(), notify=host.recorder.notify)

    first, second = source(), source()
    assert [len(page.records) for page in first.read(CONTACTS, window(clock.now()))] == [0]
    assert [len(page.records) for page in second.read(CONTACTS, window(clock.now()))] == [0]

    assert first.api_calls() == {"properties": 1, "search": 1}
    assert second.api_calls() == {"search": 1}


@pytest.mark.parametrize("extra", [0, 900])
def test_wide_accounts_are_read_whole(hubspot_emulator, extra):
    """Names that do not fit into a URL go into the body of a batch read."""
    emulator = hubspot_emulator(contacts=120, companies=5, extra_properties=extra)
    host = Host(emulator)
    source = host.source()

    records = all_records(source.read(CONTACTS, backfill(host)))

    truth = emulator.records("contacts")
    assert {record.object_id for record in records} == set(truth)
    assert all(len(record.properties) > extra for record in records)
    assert all(
        edge.primary == expected_edges(emulator, record.object_id)[edge.object_id]
        for record in records
        for edge in record.associations.get("companies", ())
    )
    assert ("batch_read" in source.api_calls()) is bool(extra)


def test_chosen_properties_only(host):
    """What was not asked for has no key, but for what HubSpot always sends."""
    chosen = StreamSettings(object_type="contacts", properties=("email",))

    (record, *_) = all_records(host.source().read(chosen, backfill(host)))

    assert set(record.properties) == {"email", "createdate", "hs_object_id", "lastmodifieddate"}


def seeded(emulator, object_type, kind):
    """Whether the emulator's account has a value of this kind that is not text."""
    return any(
        isinstance(value, kind)
        for object_id in emulator.records(object_type)
        for value in truth_of(emulator, object_type, object_id).values()
    )


@pytest.mark.parametrize("object_type", ["companies", "contacts"])
@pytest.mark.parametrize("mode", ["backfill", "window"])
def test_values_of_every_kind_are_read_exactly(hubspot_emulator, clock, object_type, mode):
    """Booleans, ids beyond a float, amounts, dates, instants in both forms, and choices."""
    emulator = hubspot_emulator(contacts=250, companies=120, clock=clock, extra_properties=20)
    host = Host(emulator, clock)
    start = clock.now()
    if mode == "window":
        emulator.bump(object_type, count=100)
    reading = backfill(host) if mode == "backfill" else window(start)

    records = all_records(host.source().read(StreamSettings(object_type=object_type), reading))

    assert len(records) >= 100
    for record in records:
        truth = truth_of(emulator, object_type, record.object_id)
        assert truth == record.properties
        assert [*map(type, truth.values())] == [type(record.properties[name]) for name in truth]
        assert record.unconverted == ()
    kinds = (bool, int, Decimal, date, datetime, tuple)
    assert all(seeded(emulator, object_type, kind) for kind in kinds)
    number = {"companies": "tax_number", "contacts": "erp_customer_number"}[object_type]
    assert max(record.properties[number] or 0 for record in records) > 2**53


def test_raw_values_are_hubspots_text(host, emulator):
    """For hosts that have a reading of their own; no value is None all the same."""
    raw = StreamSettings(object_type="contacts", raw_values=True)

    records = all_records(host.source().read(raw, backfill(host)))

    for record in records:
        held = emulator.records("contacts")[record.object_id].properties
        assert {name: text or None for name, text in held.items()} == record.properties


def test_patterns_and_exclusions_choose_properties(host):
    """What HubSpot always sends cannot be left out."""
    chosen = StreamSettings(
        object_type="contacts", properties=("*name", "hs_*"), exclude=("lastname", "hs_a*")
    )

    (record, *_) = all_records(host.source().read(chosen, backfill(host)))

    assert set(record.properties) == {
        "firstname",
        "hs_email_optout",
        "hs_lead_status",
        "hs_merged_object_ids",
        "createdate",
        "hs_object_id",
        "lastmodifieddate",
    }


def test_a_property_that_does_not_exist_is_an_error(host):
    """HubSpot drops it silently; we say so, and what was probably meant."""
    chosen = StreamSettings(object_type="contacts", properties=("email", "fristname"))

    with pytest.raises(ConfigurationError, match=r"'fristname' \(did you mean 'firstname'\?\)"):
        list(host.source().read(chosen, backfill(host)))


def test_an_unknown_object_type_is_an_error(host):
    """HubSpot says so, and so do we."""
    unknown = StreamSettings(object_type="unicorns")

    with pytest.raises(RequestRefusedError, match="unicorns"):
        list(host.source().read(unknown, backfill(host)))


@pytest.mark.parametrize("version", ["2025-09", "2026-03", "2026-09", "v3"])
def test_every_api_version_reads_the_same(emulator, clock, version):
    """Paths come from one table."""
    source = Host(emulator, clock, api_version=version).source()

    records = all_records(source.read(CONTACTS, backfill(Host(emulator))))
    start = clock.now()
    emulator.touch("contacts", count=2)
    changed = all_records(source.read(CONTACTS, window(start)))
    edges = source.associations("contacts", "companies", [records[0].object_id]).found

    assert len(records) == 250
    assert len(changed) == 2
    assert list(edges) == [records[0].object_id]
    assert source.identify().account_id == "62515"


def test_object_types_go_by_id_too(host, emulator):
    """Other types are read in the same way."""
    emulator.add_object_type("deals")
    emulator.create("deals", {})

    (record,) = all_records(host.source().read(StreamSettings(object_type="0-3"), backfill(host)))

    assert record.object_type == "deals"


def test_a_failing_page_is_retried_where_it_was(host, emulator):
    """No page is left out, none is read twice."""
    for skip in range(3):
        emulator.faults.add(Fault(route="list", status=503, skip=skip))

    records = all_records(host.source().read(CONTACTS, backfill(host)))

    assert sorted(record.object_id for record in records) == sorted(emulator.records("contacts"))


def test_a_search_that_always_contradicts_itself_is_not_believed(host, emulator, clock):
    """Nor asked for ever: nothing of the window is committed, and a later run tries again."""
    row = {
        "id": "9",
        "properties": {"lastmodifieddate": "2026-03-02T10:35:01.123Z"},
        "createdAt": "2026-03-02T10:35:01.123Z",
        "updatedAt": "2026-03-02T10:35:01.123Z",
    }
    emulator.faults.add(
        Fault(route="search", status=200, body={"total": 7, "results": [row]}, times=None)
    )

    with pytest.raises(HubSpotUnavailableError, match="contradicts itself"):
        list(host.source().read(CONTACTS, window(clock.now())))

    assert emulator.calls.count("search") < 500


def test_a_paging_value_that_does_not_move_ends_the_walk(host, emulator):
    """Instead of a loop without end."""
    body = {"results": [], "paging": {"next": {"after": "7"}}}
    emulator.faults.add(Fault(route="list", status=200, body=body, times=None))

    with pytest.raises(HubSpotUnavailableError, match="repeated a paging value"):
        list(itertools.islice(host.source().read(CONTACTS, backfill(host)), 9))


def test_server_time_comes_from_an_answer(host, emulator, clock):
    """The first time a call is made that is needed anyway; then none."""
    source = host.source()

    told = source.server_time()
    source.server_time()

    assert abs(told - clock.now()) < timedelta(seconds=2)
    assert source.api_calls() == {"properties": 1}


def test_streams_of_an_account_need_not_have_associations(host):
    """Companies come without a question about contacts."""
    source = host.source(Account(account_id="62515", domain_id="acme"))

    records = all_records(source.read(StreamSettings(object_type="companies"), backfill(host)))

    assert all(record.associations == {} for record in records)
    assert "associations" not in source.api_calls()


def test_a_stream_without_changes_starts_no_thread_to_read(host, clock, monkeypatch):
    """One search says it all."""
    started = []
    monkeypatch.setattr(ranges, "new_thread", lambda _, name: started.append(name))

    (page,) = host.source().read(CONTACTS, window(clock.now() + timedelta(minutes=1)))

    assert page.records == page.ranges == ()
    assert started == []
