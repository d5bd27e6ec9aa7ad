"""The emulator's user-level tokens: the user may not see all records (HubSpot 5.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Contacts 11 to 16, each of company 7; 15 and 16 are archived, the user sees odd ones."""
    with HubSpotEmulator(clock=ManualClock()) as emulator:
        emulator.create("companies", object_id="7")
        for number in map(str, range(11, 17)):
            emulator.create("contacts", object_id=number)
            emulator.associate("contacts", number, "companies", "7")
        emulator.archive("contacts", "15", "16")
        emulator.hostility = Hostility(unseen={"contact": ["12", "14", "16"]})
        yield Caller(emulator)


def test_what_is_hidden_is_absent_silently(caller: Caller):
    """No read has it, and no answer says so."""
    first = caller.get(LIST, limit=1)
    batch = caller.post(f"{LIST}/batch/read", {"inputs": [{"id": "11"}, {"id": "12"}]})
    changed = {"propertyName": "lastmodifieddate", "operator": "GT", "value": "1"}

    assert (first.ids, first.after) == (["11"], "13")
    assert caller.get(LIST).ids == ["11", "13"]
    assert caller.get(LIST, archived="true").ids == ["15"]
    assert batch.ids == ["11"]
    assert caller.get(f"{LIST}/12").status == 404
    for filters in ((), (changed,)):
        found = caller.search("contacts", *filters)
        assert (found.ids, found.json["total"]) == (["11", "13"], 2)
    assert caller.emulator.lies.count("unseen") == 5


def test_associations_with_what_is_hidden(caller: Caller):
    """What such a token gets of them is not proved; here they are hidden with the record."""
    far = caller.get("/crm/v4/objects/companies/7/associations/contacts").json["results"]
    body = {"inputs": [{"id": "11"}, {"id": "12"}]}
    near = caller.post("/crm/v4/associations/contacts/companies/batch/read", body).json

    assert [edge["toObjectId"] for edge in far] == [11, 13]
    assert [one["from"]["id"] for one in near["results"]] == ["11"]
    assert near["errors"][0]["context"]["fromObjectId"] == ["12"]


def test_permissions_can_change(caller: Caller):
    """Nothing was deleted: the truth is the same, and all of it can come back."""
    truth = caller.emulator.truth()
    assert list(truth["contacts"].live) == ["11", "12", "13", "14"]

    caller.emulator.hostility = Hostility()

    assert caller.get(LIST).ids == caller.search("contacts").ids == ["11", "12", "13", "14"]
    assert caller.emulator.truth() == truth


def test_a_share_of_all_records(caller: Caller):
    """The seed decides which; it is the same ones for every kind of read, old or new."""
    for _ in range(196):
        caller.emulator.create("contacts")
    caller.emulator.hostility = Hostility(unseen_share=0.5)

    listed = [*(page := caller.get(LIST, limit=100)).ids]
    while page.after:
        page = caller.get(LIST, limit=100, after=page.after)
        listed += page.ids

    assert 60 < len(listed) < 140
    assert listed == caller.search("contacts").ids
    caller.emulator.hostility = Hostility(unseen_share=0.5, seed=2)
    assert caller.search("contacts").ids != listed


def test_search_that_lags_hides_as_well(caller: Caller):
    """What search knows late is hidden all the same."""
    caller.emulator.hostility = Hostility(unseen={"contacts": ["12"]}, index_lag=60)
    caller.emulator.touch("contacts", object_ids=["12", "13"])
    assert caller.search("contacts").ids == ["11", "13", "14"]
