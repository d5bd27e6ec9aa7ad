"""Whatever bites sync engines, every record comes out; each behaviour alone, then all together."""

from __future__ import annotations

import pytest

from hubspot_sync import HubSpotUnavailableError, StreamSettings
from hubspot_sync.models import IdRange, Mode, Pass
from hubspot_sync.testing import Fault, ManualClock
from hubspot_sync.testing.emulator import Hostility
from kit.support import Host

EMAIL = StreamSettings(object_type="contacts", properties=("email",))
SEARCH = {
    "search_disorder": 0.2,
    "stray_rows": 0.3,
    "total_drift": 0.2,
    "short_pages": 0.3,
    "empty_pages": 0.2,
    "repeated_rows": 0.2,
    "missing_rows": 0.2,
}
LIST = {
    "list_disorder": 0.1,
    "list_stragglers": 0.01,
    "list_repeats": 0.2,
    "opaque_after": True,
    "stale_after": 0.02,
    "short_pages": 0.3,
}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    return hubspot_emulator(contacts=2_000, companies=20, clock=clock)


def change(emulator, clock):
    """1,500 records in one millisecond, some more over a second; gives their ids and the window."""
    start = clock.now()
    changed = set(emulator.touch("contacts", count=1_500))
    for _ in range(10):
        clock.advance(0.1)
        changed |= set(emulator.touch("contacts", count=20))
    clock.advance(1)
    return changed, Pass(mode=Mode.INCREMENTAL, start=start, end=clock.now())


def read(emulator, clock, reading):
    """All ids that come out, the rows that were skipped, and what it cost."""
    source = Host(emulator, clock).source()
    pages = list(source.read(EMAIL, reading))
    ids = [record.object_id for page in pages for record in page.records]
    assert pages[-1].ranges == ()
    return ids, [row.object_id for page in pages for row in page.skipped], source.api_calls()


@pytest.mark.parametrize("name", SEARCH)
def test_search_alone(emulator, clock, name):
    """One behaviour at a time."""
    changed, reading = change(emulator, clock)
    emulator.hostility = Hostility(**{name: SEARCH[name]})

    ids, skipped, _ = read(emulator, clock, reading)

    assert changed <= set(ids)
    assert skipped == []


@pytest.mark.parametrize("seed", range(5))
def test_search_with_everything_at_once(emulator, clock, seed):
    """And every record all the same.

    But for two lies that agree: a row left out of a page whose total is wrong by just that one.
    The next run reads the window's end again, and then finds it.
    """
    changed, reading = change(emulator, clock)
    lies = SEARCH.keys() - {"total_drift"}
    emulator.hostility = Hostility(seed=seed, **dict.fromkeys(lies, 0.15))

    ids, skipped, _ = read(emulator, clock, reading)

    assert changed <= set(ids)
    assert skipped == []


@pytest.mark.parametrize("poison", ["error", "disorder"])
def test_rows_that_break_every_page_are_found_and_read_by_id(emulator, clock, poison):
    """However small the window is; the cost is bounded by the digits of time and ids."""
    changed, reading = change(emulator, clock)
    bad = set(sorted(changed)[100:1_100:900])
    emulator.hostility = Hostility(poisonous={"contacts": bad}, poison=poison)

    ids, skipped, calls = read(emulator, clock, reading)

    assert changed <= set(ids)
    assert skipped == []
    assert calls["search"] < 600


def test_rows_that_cannot_be_read_at_all_are_named(emulator, clock):
    """They do not block the stream for ever, and everything else arrives."""
    changed, reading = change(emulator, clock)
    bad = next(iter(changed))
    emulator.hostility = Hostility(poisonous={"contacts": {bad}}, poison="error")
    emulator.faults.add(Fault(route="batch_read", status=400, times=None))

    ids, skipped, _ = read(emulator, clock, reading)

    assert set(ids) == changed - {bad}
    assert skipped == [bad]


def test_an_outage_is_not_taken_for_a_bad_row(emulator, clock):
    """Cutting windows would only add to HubSpot's load."""
    _, reading = change(emulator, clock)
    emulator.faults.add(Fault(route="search", status=503, times=None))

    with pytest.raises(HubSpotUnavailableError):
        read(emulator, clock, reading)

    assert emulator.calls.count("search") < 15


@pytest.mark.parametrize("name", LIST)
def test_the_list_alone(emulator, clock, name):
    """One behaviour at a time; without order it is followed by one thread."""
    emulator.hostility = Hostility(**{name: LIST[name]})

    ids, skipped, _ = read(emulator, clock, Pass(mode=Mode.BACKFILL, end=clock.now()))

    assert set(ids) == set(emulator.records("contacts"))
    assert skipped == []


def test_a_serial_walk_goes_on_serially(emulator, clock):
    """A later run may not trust the order again, nor begin again without need."""
    emulator.hostility = Hostility(opaque_after=True)
    source = Host(emulator, clock).source()
    reading = Pass(mode=Mode.BACKFILL, end=clock.now(), ranges=(IdRange(serial=True),))
    first = next(source.read(EMAIL, reading))

    rest = Pass(mode=Mode.BACKFILL, end=clock.now(), ranges=first.ranges)
    ids, _, calls = read(emulator, clock, rest)

    assert first.ranges[0].serial
    assert {record.object_id for record in first.records} | set(ids) == set(
        emulator.records("contacts")
    )
    assert calls["list"] == 19


def test_a_paging_value_gone_stale_begins_the_list_again(emulator, clock):
    """A run that was cut off for days comes back with one that HubSpot refuses."""
    stale = Pass(mode=Mode.BACKFILL, end=clock.now(), ranges=(IdRange(after="!", serial=True),))

    ids, _, _ = read(emulator, clock, stale)

    assert set(ids) == set(emulator.records("contacts"))


@pytest.mark.parametrize(
    "hostility",
    [
        {"repeated_edges": 0.5},
        {"inline_page": 1},
        {"association_page": 1},
        {"dropped_inputs": 0.3},
        {"repeated_edges": 0.5, "inline_page": 1, "association_page": 1, "dropped_inputs": 0.3},
    ],
    ids=" ".join,
)
def test_associations(emulator, clock, hostility):
    """Each edge once, none left out."""
    emulator.hostility = Hostility(**hostility)
    contacts = list(emulator.records("contacts"))
    source = Host(emulator, clock).source()

    there = source.associations("contacts", "companies", contacts).found
    companies = list(emulator.records("companies"))
    back = source.associations("companies", "contacts", companies).found

    for found, truth, other in (
        (there, emulator.records("contacts"), "companies"),
        (back, emulator.records("companies"), "contacts"),
    ):
        assert {key: [edge.object_id for edge in edges] for key, edges in found.items()} == {
            key: sorted(held.associations.get(other, {}), key=int) for key, held in truth.items()
        }


def test_batch_reads_that_ignore_inputs_are_asked_again(hubspot_emulator, clock):
    """Nothing promises an answer for each input."""
    emulator = hubspot_emulator(contacts=300, extra_properties=900, clock=clock)
    emulator.hostility = Hostility(dropped_inputs=0.3)
    contacts = StreamSettings(object_type="contacts")

    pages = Host(emulator, clock).source().read(contacts, Pass(mode=Mode.BACKFILL, end=clock.now()))

    found = {record.object_id for page in pages for record in page.records}
    assert found == set(emulator.records("contacts"))


def test_fifteen_thousand_ties_are_read_in_one_run(hubspot_emulator, clock):
    """Bulk imports give them all one modified millisecond; no offset could get past 10,000."""
    emulator = hubspot_emulator(contacts=15_000, clock=clock)
    start = clock.now()
    emulator.touch("contacts", object_ids=list(emulator.records("contacts")))
    clock.advance(1)

    ids, _, calls = read(emulator, clock, Pass(mode=Mode.INCREMENTAL, start=start, end=clock.now()))

    assert sorted(ids) == sorted(emulator.records("contacts"))
    assert calls["search"] <= 82
