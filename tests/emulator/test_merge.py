"""The emulator's merges and privacy deletions: HubSpot 8."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    """Contacts 11 of company 1, 12 of 2 and 13 of both, each at its primary company."""
    with HubSpotEmulator(clock=clock) as emulator:
        for number in "12":
            emulator.create("companies", object_id=number)
        emulator.create("contacts", {"city": "Oslo", "zip": "0150"}, object_id="11")
        emulator.create("contacts", {"city": "Rome", "phone": "1"}, object_id="12")
        emulator.create("contacts", {"phone": "2"}, object_id="13")
        emulator.associate("contacts", "11", "companies", "1", primary=True)
        emulator.associate("contacts", "12", "companies", "2", primary=True)
        emulator.associate("contacts", "13", "companies", "1")
        emulator.associate("contacts", "13", "companies", "2", primary=True)
        clock.advance(10)
        yield Caller(emulator)


def batch(caller: Caller, *ids: str) -> list[str]:
    """The ids that a batch read finds."""
    return caller.post(BATCH, {"inputs": [{"id": one} for one in ids]}).ids


def test_a_merge_makes_a_record_with_a_new_id(caller: Caller):
    """HubSpot 8, since January 2025: values of the first win, `hs_merged_object_ids` names both."""
    before = caller.emulator.records("contacts")["11"]

    new = caller.emulator.merge("contacts", "11", "12")

    names = ["city", "zip", "phone", "hs_merged_object_ids"]
    row = caller.get(f"{LIST}/{new}", properties=names).json
    assert int(new) > 13
    assert {name: row["properties"][name] for name in names} == {
        "city": "Oslo",
        "zip": "0150",
        "phone": "1",
        "hs_merged_object_ids": "11;12",
    }
    assert row["createdAt"] == before.properties["createdate"]
    assert row["updatedAt"] > before.properties["lastmodifieddate"]


def test_merged_ids_are_gone_but_lead_to_the_merged_record(caller: Caller):
    """HubSpot 8: neither in the list nor in search nor archived; single reads are forwarded."""
    new = caller.emulator.merge("contacts", "11", "12")

    assert caller.get(LIST).ids == caller.search("contacts").ids == ["13", new]
    assert caller.get(LIST, archived="true").ids == []
    assert caller.get(f"{LIST}/11").json["id"] == caller.get(f"{LIST}/12").json["id"] == new
    assert caller.get(f"{LIST}/11", archived="true").status == 404


def test_a_batch_read_by_a_merged_id(caller: Caller):
    """HubSpot 8: what it answers is not proved; not found by default, the other way by setting."""
    new = caller.emulator.merge("contacts", "11", "12")
    assert batch(caller, "11", "12", "13") == ["13"]

    caller.emulator.hostility = Hostility(batch_forwards=True)

    assert batch(caller, "11", "12", "13") == ["13", new]
    assert caller.emulator.lies.count("batch_forwards") == 1


def test_the_old_kind_of_merge_keeps_the_id(caller: Caller):
    """HubSpot 8, before January 2025."""
    kept = caller.emulator.merge("contacts", "11", "12", keep_id=True)

    assert kept == "11"
    assert caller.get(LIST).ids == ["11", "13"]
    row = caller.get(f"{LIST}/12", properties="hs_merged_object_ids").json
    assert (row["id"], row["properties"]["hs_merged_object_ids"]) == ("11", "12")


def test_merges_of_merged_records(caller: Caller):
    """All ids ever merged are named and lead to the last one."""
    first = caller.emulator.merge("contacts", "11", "12")
    last = caller.emulator.merge("contacts", "13", first)

    row = caller.get(f"{LIST}/12", properties="hs_merged_object_ids").json
    truth = caller.emulator.truth()["contacts"]
    assert row["id"] == last
    assert sorted(row["properties"]["hs_merged_object_ids"].split(";")) == ["11", "12", "13", first]
    assert truth.merged == {"11": last, "12": last, "13": last, first: last}
    assert list(truth.live) == [last]


def test_associations_move_to_the_merged_record(caller: Caller):
    """HubSpot 8: the first one's primary company stays primary, another one loses the role."""
    new = caller.emulator.merge("contacts", "11", "13")

    edges = caller.emulator.records("contacts")[new].associations["companies"]
    assert {other: [kind.type_id for kind in kinds] for other, kinds in edges.items()} == {
        "1": [1, 279],
        "2": [279],
    }
    far = caller.get("/crm/v4/objects/companies/1/associations/contacts").json["results"]
    assert [edge["toObjectId"] for edge in far] == [int(new)]


def test_merged_records_that_were_associated_with_each_other(caller: Caller):
    """A record is not associated with itself."""
    caller.emulator.associate("contacts", "11", "contacts", "12")
    new = caller.emulator.merge("contacts", "11", "12")
    assert set(caller.emulator.records("contacts")[new].associations) == {"companies"}


def test_a_company_restored_after_a_merge_finds_the_merged_contact(caller: Caller):
    """Its association leads where the old id leads."""
    caller.emulator.archive("companies", "1")
    new = caller.emulator.merge("contacts", "11", "12")

    caller.emulator.restore("companies", "1")

    assert list(caller.emulator.records("companies")["1"].associations["contacts"]) == ["13", new]


def test_a_merge_over_http(caller: Caller):
    """HubSpot 8: the answer is the merged record."""
    body = {"primaryObjectId": "11", "objectIdToMerge": "12"}
    reply = caller.post(f"{LIST}/merge", body)

    assert reply.status == 200
    assert caller.get(f"{LIST}/11").json["id"] == reply.json["id"]
    assert caller.post(f"{LIST}/merge", body).status == 404
    same = {"primaryObjectId": "13", "objectIdToMerge": "13"}
    assert caller.post("/crm/objects/2026-03/contacts/merge", same).status == 400


@pytest.mark.parametrize("ids", [("11",), ("11", "11"), ("11", "12", "12")])
def test_a_merge_needs_two_records(caller: Caller, ids):
    """One alone, or one twice, is a mistake of the test."""
    with pytest.raises(ValueError, match="two different"):
        caller.emulator.merge("contacts", *ids)


@pytest.mark.parametrize("archived", [False, True])
def test_an_erased_record_is_gone_from_everything(caller: Caller, archived):
    """HubSpot 8: a privacy deletion is not in the archived list, live or archived before."""
    if archived:
        caller.emulator.archive("contacts", "11")

    caller.emulator.erase("contacts", "11")

    assert caller.get(LIST).ids == caller.search("contacts").ids == ["12", "13"]
    assert caller.get(LIST, archived="true").ids == []
    assert (
        caller.get(f"{LIST}/11").status == caller.get(f"{LIST}/11", archived="true").status == 404
    )
    assert batch(caller, "11", "12") == ["12"]
    assert list(caller.emulator.records("companies")["1"].associations["contacts"]) == ["13"]
    assert caller.emulator.truth()["contacts"].erased == {"11"}
    with pytest.raises(KeyError):
        caller.emulator.restore("contacts", "11")
    with pytest.raises(ValueError, match="taken"):
        caller.emulator.create("contacts", object_id="11")


def test_the_ids_merged_into_an_erased_record_lead_nowhere(caller: Caller):
    """Nothing of the person is left."""
    new = caller.emulator.merge("contacts", "11", "12")
    caller.emulator.erase("contacts", new)
    assert caller.get(f"{LIST}/11").status == 404


def test_a_privacy_deletion_over_http(caller: Caller):
    """HubSpot 8: 204, by id or by a unique property."""
    caller.emulator.update("contacts", "12", {"email": "A@example.com"})
    by_id = caller.post(f"{LIST}/gdpr-delete", {"objectId": "11"})
    body = {"objectId": "a@example.com", "idProperty": "email"}
    by_email = caller.post("/crm/objects/2026-03/contacts/gdpr-delete", body)

    assert (by_id.status, by_email.status) == (204, 204)
    assert caller.get(LIST).ids == ["13"]
    assert caller.post(f"{LIST}/gdpr-delete", {"objectId": "11"}).status == 404
