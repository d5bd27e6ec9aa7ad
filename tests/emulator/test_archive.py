"""The emulator's archived records and what comes back of them: HubSpot 1.4 and 8."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
BATCH = f"{LIST}/batch/read"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def caller(clock: ManualClock) -> Iterator[Caller]:
    """An account with five contacts, 11 to 15, all of company 7."""
    with HubSpotEmulator(clock=clock) as emulator:
        emulator.create("companies", object_id="7")
        for number in range(11, 16):
            emulator.create("contacts", {"city": "Oslo"}, object_id=str(number))
            emulator.associate("contacts", str(number), "companies", "7", primary=True)
        yield Caller(emulator)


def read(caller: Caller, *ids: str, **query: Any) -> list[str]:
    """The ids that a batch read finds."""
    query_text = "?archived=true" if query.get("archived") else ""
    return caller.post(BATCH + query_text, {"inputs": [{"id": one} for one in ids]}).ids


def test_an_archived_record_leaves_list_search_and_reads(caller: Caller):
    """HubSpot 1.4: it is in the archived list alone, and `total` does not count it."""
    caller.emulator.archive("contacts", "12", "14")

    assert caller.get(LIST).ids == ["11", "13", "15"]
    assert caller.search("contacts").json["total"] == 3
    assert read(caller, "12", "13") == ["13"]
    assert caller.get(f"{LIST}/12").status == 404
    assert caller.get(LIST, archived="true").ids == ["12", "14"]
    assert read(caller, "12", "13", archived=True) == ["12"]
    assert caller.get(f"{LIST}/12", archived="true").json["archived"] is True


def test_the_archived_list_pages_by_ascending_id(caller: Caller, clock: ManualClock):
    """HubSpot 1.2 and 1.4: the same paging as of the list, whatever went first."""
    for one in ("15", "11", "13"):
        clock.advance(1)
        caller.emulator.archive("contacts", one)

    first = caller.get(LIST, archived="true", limit=2)
    second = caller.get(LIST, archived="true", limit=2, after=first.after)

    assert (first.ids, first.after) == (["11", "13"], "15")
    assert (second.ids, second.after) == (["15"], None)


def test_the_date_of_deletion_is_told_and_the_modified_date_stays(
    caller: Caller, clock: ManualClock
):
    """HubSpot 8: archiving moves no modified date; `archivedAt` is the moment."""
    before = caller.get(f"{LIST}/12").json["updatedAt"]
    clock.advance(90)
    caller.emulator.archive("contacts", "12")

    row = caller.get(LIST, archived="true").json["results"][0]

    assert row["updatedAt"] == row["properties"]["lastmodifieddate"] == before
    assert row["archivedAt"] > before


def test_archived_records_are_kept_for_90_days(caller: Caller, clock: ManualClock):
    """HubSpot 1.4: then nothing has them, by the emulator's clock, and their ids stay taken."""
    caller.emulator.archive("contacts", "12")
    clock.advance(timedelta(days=89, hours=23).total_seconds())
    caller.emulator.archive("contacts", "13")
    assert caller.get(LIST, archived="true").ids == ["12", "13"]

    clock.advance(3600)

    assert caller.get(LIST, archived="true").ids == ["13"]
    assert caller.get(f"{LIST}/12", archived="true").status == 404
    assert caller.emulator.truth()["contacts"].purged == {"12"}
    with pytest.raises(KeyError):
        caller.emulator.restore("contacts", "12")
    with pytest.raises(ValueError, match="taken"):
        caller.emulator.create("contacts", object_id="12")


def test_a_restored_record_comes_back_with_its_date_and_associations(
    caller: Caller, clock: ManualClock
):
    """HubSpot 8: the same id; that the modified date stays is the harder case for readers."""
    before = caller.emulator.records("contacts")["12"]
    caller.emulator.archive("contacts", "12")
    assert "12" not in caller.emulator.records("companies")["7"].associations["contacts"]
    clock.advance(5)

    caller.emulator.restore("contacts", "12")

    row = caller.get(f"{LIST}/12", associations="companies").json
    assert (row["archived"], row["updatedAt"]) == (False, before.properties["lastmodifieddate"])
    assert "archivedAt" not in row
    assert row["associations"]["companies"]["results"][0] == {
        "id": "7",
        "type": "contact_to_company",
    }
    assert caller.emulator.records("contacts")["12"] == before
    assert caller.get(LIST, archived="true").ids == []
    window = {"propertyName": "lastmodifieddate", "operator": "GT", "value": "1"}
    assert caller.search("contacts", window).ids == ["11", "12", "13", "14", "15"]


def test_a_restored_record_may_come_back_bare_and_dated(caller: Caller, clock: ManualClock):
    """HubSpot 8: whether the modified date moves is not proved."""
    before = caller.emulator.records("contacts")["12"]
    caller.emulator.archive("contacts", "12")
    clock.advance(5)

    caller.emulator.restore("contacts", "12", associations=False, move_date=True)

    after = caller.emulator.records("contacts")["12"]
    assert after.modified_at - before.modified_at == timedelta(seconds=5)
    assert after.associations == {}


@pytest.mark.parametrize("first", ["contacts", "companies"])
def test_an_association_of_two_restored_records_comes_back_with_the_second(
    caller: Caller, first: str
):
    """Whichever was deleted first, and whichever comes back first."""
    for order in (("contacts", "companies"), ("companies", "contacts")):
        ids = {"contacts": "12", "companies": "7"}
        second = "companies" if first == "contacts" else "contacts"
        for name in (first, second):
            caller.emulator.archive(name, ids[name])
        for name in order:
            caller.emulator.restore(name, ids[name])

        edges = caller.emulator.records("contacts")["12"].associations["companies"]

        assert [kind.type_id for kind in edges["7"]] == [1, 279]


def test_search_finds_a_restored_record_after_its_lag(caller: Caller, clock: ManualClock):
    """HubSpot 11.1: the index learns of it like of a new one."""
    caller.emulator.hostility = Hostility(index_lag=60)
    caller.emulator.archive("contacts", "12")
    caller.emulator.restore("contacts", "12")
    assert caller.search("contacts").ids == ["11", "13", "14", "15"]
    assert "12" in caller.get(LIST).ids

    clock.advance(60)

    assert caller.search("contacts").ids == ["11", "12", "13", "14", "15"]


@pytest.mark.parametrize("family", ["/crm/v3/objects", "/crm/objects/2026-03"])
def test_deletion_over_http(caller: Caller, family: str):
    """HubSpot 8: 204 for one and for many; a repetition changes nothing."""
    one = caller.call("DELETE", f"{family}/contacts/11")
    many = caller.post(f"{family}/contacts/batch/archive", {"inputs": [{"id": "12"}, {"id": "11"}]})

    assert (one.status, one.body, many.status) == (204, b"", 204)
    assert caller.get(LIST, archived="true").ids == ["11", "12"]
    assert [call.route for call in caller.emulator.calls][:2] == ["archive", "archive"]


def test_deletion_needs_a_scope_of_its_own(caller: Caller):
    """HubSpot 5.4: to read is not to write."""
    caller.emulator.scopes = ["crm.objects.contacts.read"]
    assert caller.call("DELETE", f"{LIST}/11").status == 403


def test_halving_by_ids(caller: Caller):
    """HubSpot 1.7: `total` of a range of `hs_object_id` is exact, with one row asked for."""
    caller.emulator.archive("contacts", "12")

    def total(low: str, high: str) -> int:
        between = {"propertyName": "hs_object_id", "operator": "BETWEEN"}
        reply = caller.search("contacts", {**between, "value": low, "highValue": high}, limit=1)
        found: int = reply.json["total"]
        return found

    assert [total("0", "13"), total("14", "99"), total("12", "12"), total("11", "11")] == [
        2,
        2,
        0,
        1,
    ]
    both = [
        {"filters": [{"propertyName": "hs_object_id", "operator": "LT", "value": "12"}]},
        {"filters": [{"propertyName": "hs_object_id", "operator": "GTE", "value": "14"}]},
    ]
    assert caller.search("contacts", filterGroups=both, limit=1).json["total"] == 3


def test_all_of_it_over_the_control_path(caller: Caller):
    """Another process does the same, and sees the same truth."""

    def control(verb: str, **arguments: Any) -> Any:
        return caller.post(f"/_emulator/{verb}", arguments).json

    contacts = {"object_type": "contacts"}
    control("archive", **contacts, object_ids=["11", "12"])
    control("restore", **contacts, object_ids=["11"], move_date=True)
    new = control("merge", **contacts, primary_id="13", object_ids=["14"])["id"]
    control("erase", **contacts, object_ids=["15"])

    truth = caller.get("/_emulator/truth").json["contacts"]
    assert list(truth["live"]) == ["11", new]
    assert list(truth["archived"]) == ["12"]
    assert (truth["merged"], truth["erased"]) == ({"13": new, "14": new}, ["15"])
