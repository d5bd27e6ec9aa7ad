"""The emulator's associations as they change: any pair, labels, both directions (HubSpot 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

ENGAGEMENTS = ["notes", "calls", "tasks", "meetings", "emails"]


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Contact 1 and company 2, with two labels for their associations."""
    with HubSpotEmulator(clock=ManualClock()) as emulator:
        emulator.create("contacts", object_id="1")
        emulator.create("companies", object_id="2")
        emulator.define_label("contacts", "companies", "Buyer", inverse="Owns through")
        emulator.define_label("contacts", "companies", "Partner")
        yield Caller(emulator)


def labels(caller: Caller, from_type: str, from_id: str, to_type: str) -> list[str | None]:
    """The labels of the only association of a record."""
    reply = caller.get(f"/crm/v4/objects/{from_type}/{from_id}/associations/{to_type}")
    (edge,) = reply.json["results"]
    return [kind["label"] for kind in edge["associationTypes"]]


def dates(caller: Caller) -> list[datetime]:
    """The modified dates of both records."""
    ends = (("contacts", "1"), ("companies", "2"))
    return [caller.emulator.records(name)[one].modified_at for name, one in ends]


def test_relabelling_is_seen_from_both_ends(caller: Caller):
    """HubSpot 2.4: a label has a name for each direction; the plain association stays."""
    caller.emulator.associate("contacts", "1", "companies", "2", label="Partner")

    caller.emulator.relabel("companies", "2", "contacts", "1", "Owns through")

    assert labels(caller, "contacts", "1", "companies") == [None, "Buyer"]
    assert labels(caller, "companies", "2", "contacts") == [None, "Owns through"]
    caller.emulator.relabel("contacts", "1", "companies", "2", "Primary", "Partner")
    assert labels(caller, "contacts", "1", "companies") == ["Primary", None, "Partner"]
    caller.emulator.relabel("contacts", "1", "companies", "2")
    assert labels(caller, "companies", "2", "contacts") == [None]


def test_relabelling_moves_no_date(caller: Caller):
    """HubSpot 2.5: neither record's."""
    caller.emulator.associate("contacts", "1", "companies", "2")
    before = [
        caller.emulator.records(name)[one].modified_at
        for name, one in (("contacts", "1"), ("companies", "2"))
    ]
    caller.emulator.relabel("contacts", "1", "companies", "2", "Buyer")
    caller.emulator.dissociate("contacts", "1", "companies", "2")
    after = [
        caller.emulator.records(name)[one].modified_at
        for name, one in (("contacts", "1"), ("companies", "2"))
    ]
    assert after == before


def test_relabelling_needs_an_association_and_its_labels(caller: Caller):
    """A mistake of the test is told."""
    with pytest.raises(KeyError, match="not associated"):
        caller.emulator.relabel("contacts", "1", "companies", "2", "Buyer")
    caller.emulator.associate("contacts", "1", "companies", "2")
    with pytest.raises(ValueError, match="no label"):
        caller.emulator.relabel("contacts", "1", "companies", "2", "Seller")


def test_a_company_is_the_primary_one_of_several_contacts(caller: Caller):
    """HubSpot 2.4: a contact has one primary company, a company any number of contacts."""
    caller.emulator.create("contacts", object_id="3")
    for contact in "13":
        caller.emulator.associate("companies", "2", "contacts", contact, primary=True)
    assert labels(caller, "contacts", "1", "companies") == ["Primary", None]
    assert labels(caller, "contacts", "3", "companies") == ["Primary", None]


@pytest.mark.parametrize("engagement", ENGAGEMENTS)
@pytest.mark.parametrize("other", ["contacts", "companies", "deals", "tickets"])
def test_engagements(caller: Caller, engagement: str, other: str):
    """HubSpot 2.4: their associations are of HubSpot's own kind, one number per direction."""
    emulator = caller.emulator
    for name in (engagement, other):
        emulator.add_object_type(name)
    one, two = emulator.create(engagement), emulator.create(other)
    emulator.associate(engagement, one, other, two)

    numbers = []
    for near, far, object_id in ((engagement, other, one), (other, engagement, two)):
        body = {"inputs": [{"id": object_id}]}
        reply = caller.post(f"/crm/v4/associations/{near}/{far}/batch/read", body)
        (kind,) = reply.json["results"][0]["to"][0]["associationTypes"]
        assert (kind["category"], kind["label"]) == ("HUBSPOT_DEFINED", None)
        numbers.append(kind["typeId"])
    assert numbers[0] == numbers[1] + 1


def test_a_thousand_records_in_one_call(caller: Caller):
    """HubSpot 2.1: each result has its own paging, whatever the pair of types."""
    emulator = caller.emulator
    pets = emulator.add_object_type("pets", type_id="2-5")
    emulator.define_label("pets", "contacts", "Owner", inverse="Owns")
    for number in range(1, 1001):
        emulator.create(pets, object_id=str(number))
        emulator.associate(pets, str(number), "contacts", "1", label="Owner")
    for _ in range(501):
        emulator.associate(pets, "7", "contacts", emulator.create("contacts"))

    body = {"inputs": [{"id": str(number)} for number in range(1, 1001)]}
    reply = caller.post("/crm/v4/associations/2-5/contacts/batch/read", body)

    results = {one["from"]["id"]: one for one in reply.json["results"]}
    assert (reply.status, len(results)) == (200, 1000)
    assert results["8"]["to"][0]["associationTypes"][1]["label"] == "Owner"
    assert [one for one in results if "paging" in results[one]] == ["7"]
    after = results["7"]["paging"]["next"]["after"]
    rest = caller.post(
        "/crm/v4/associations/2-5/contacts/batch/read", {"inputs": [{"id": "7", "after": after}]}
    )
    assert len(results["7"]["to"]) + len(rest.json["results"][0]["to"]) == 502
