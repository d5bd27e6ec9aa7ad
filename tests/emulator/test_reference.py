"""The emulator's owners, pipelines, custom types and definitions that change: HubSpot 9, 10."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import HubSpotEmulator, PropertyDefinition, Stage
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNERS = "/crm/v3/owners"
DEAL_STAGES = ["appointmentscheduled", "contractsent", "closedwon", "closedlost"]


@pytest.fixture
def caller() -> Iterator[Caller]:
    with HubSpotEmulator(contacts=40, clock=ManualClock()) as emulator:
        for name in ("deals", "tickets"):
            emulator.add_object_type(name)
        yield Caller(emulator)


@pytest.mark.parametrize("path", [OWNERS, "/crm/owners/2026-03"])
def test_owners_page_by_id(caller: Caller, path: str):
    """HubSpot 9.1: those that are active, 100 a page by default."""
    first = caller.get(path, limit=20)
    second = caller.get(path, limit=20, after=first.after)
    whole = caller.get(path)

    assert first.ids + second.ids == whole.ids == list(caller.emulator.owners())
    assert (second.after, whole.after) == (None, None)
    assert whole.json["results"][0] == {
        "id": "41000001",
        "email": "anna.smith@example.com",
        "type": "PERSON",
        "firstName": "Anna",
        "lastName": "Smith",
        "userId": 61000001,
        "userIdIncludingInactive": 61000001,
        "createdAt": "2019-08-06T02:41:08.304Z",
        "updatedAt": "2019-08-06T02:41:08.304Z",
        "archived": False,
        "teams": [{"id": "1", "name": "Sales", "primary": True}],
    }


def test_archived_owners_only_on_demand(caller: Caller):
    """HubSpot 9.1: without a user, whose number stands beside."""
    caller.emulator.set_owner("41000001", archived=True)
    archived = caller.get(OWNERS, archived="true")

    assert "41000001" in archived.ids
    assert "41000001" not in caller.get(OWNERS).ids
    row = archived.json["results"][0]
    assert (row["userId"], row["userIdIncludingInactive"]) == (None, 61000001)
    assert caller.get(f"{OWNERS}/41000001").status == 404
    assert caller.get(f"{OWNERS}/41000001", archived="true").json == row


def test_owners_change(caller: Caller):
    """A field changes alone; a new owner has an address of its own."""
    caller.emulator.set_owner("41000002", last_name="Married")
    caller.post("/_emulator/set_owner", {"owner_id": "7", "email": "seven@example.com"})

    changed = caller.get(f"{OWNERS}/41000002").json
    assert (changed["lastName"], changed["updatedAt"]) == ("Married", "2026-07-01T00:00:00.000Z")
    assert caller.get(OWNERS, email="seven@example.com").ids == ["7"]


def test_owners_need_a_scope(caller: Caller):
    """HubSpot 5.4."""
    caller.emulator.withhold_scopes("crm.objects.owners.read")
    assert caller.get(OWNERS).json["category"] == "MISSING_SCOPES"


def test_every_owner_of_a_record_exists(caller: Caller):
    """The content fits together."""
    known = {**caller.emulator.owners(), **caller.emulator.owners(archived=True)}
    records = caller.emulator.records("contacts").values()
    assert {one.properties["hubspot_owner_id"] for one in records} <= {*known, None, ""}


@pytest.mark.parametrize(
    ("path", "stages"),
    [
        (
            "/crm/v3/pipelines/deals",
            DEAL_STAGES,
        ),
        ("/crm/pipelines/2026-03/0-5", ["1", "2", "4"]),
        ("/crm/v3/pipelines/contacts", None),
    ],
)
def test_pipelines_come_with_their_stages(caller: Caller, path: str, stages):
    """HubSpot 9.2: all at once."""
    results = caller.get(path).json["results"]
    if stages is None:
        assert results == []
        return
    (one,) = results
    assert [stage["id"] for stage in one["stages"]] == stages
    assert [stage["displayOrder"] for stage in one["stages"]] == list(range(len(stages)))
    assert caller.get(f"{path}/{one['id']}").json == one
    assert caller.get(f"{path}/{one['id']}/stages").json["results"] == one["stages"]


def test_pipelines_change(caller: Caller):
    """Also of a custom type, and over the control path."""
    pets = caller.emulator.add_object_type("pets", type_id="2-5")
    stages = [Stage("a", "Sick"), ("b", "Well", {"isClosed": "true"})]
    caller.emulator.set_pipeline(pets, "p1", "Care", stages)
    more = {"object_type": "deals", "pipeline_id": "9", "label": "Partners"}
    caller.post("/_emulator/set_pipeline", {**more, "stages": [["x", "Open"]]})
    caller.emulator.remove_pipeline("deals", "default")

    (care,) = caller.get("/crm/v3/pipelines/p62515_pets").json["results"]
    assert [(one["label"], one["metadata"]) for one in care["stages"]] == [
        ("Sick", {}),
        ("Well", {"isClosed": "true"}),
    ]
    assert caller.get("/crm/v3/pipelines/deals").ids == ["9"]
    assert caller.get("/crm/v3/pipelines/deals/default").status == 404


def test_a_custom_type_in_one_call(caller: Caller):
    """HubSpot 10: readable by name, qualified name and id, with properties and labels."""
    name = caller.emulator.add_object_type(
        "pets",
        type_id="2-3465404",
        labels=("Pet", "Pets"),
        properties=["breed", PropertyDefinition(name="age", type="number", field_type="number")],
        associations={"contacts": ["Owner", "Walker"]},
    )
    pet = caller.emulator.create(name, {"breed": "Pug", "age": "3"})
    contact = next(iter(caller.emulator.records("contacts")))
    caller.emulator.associate(name, pet, "contacts", contact, label="Walker")

    schema = caller.get("/crm-object-schemas/v3/schemas/pets").json
    assert {"breed", "age"} <= {one["name"] for one in schema["properties"]}
    for alias in ("pets", "p62515_pets", "p_pets", "2-3465404"):
        (row,) = caller.get(f"/crm/v3/objects/{alias}", properties="breed,age").json["results"]
        assert (row["properties"]["breed"], row["properties"]["age"]) == ("Pug", "3")
        labels = caller.get(f"/crm/v4/associations/{alias}/contacts/labels").json["results"]
        assert [one["label"] for one in labels] == [None, "Owner", "Walker"]


def test_property_definitions_change(caller: Caller):
    """HubSpot 9: added, of another type, archived, and with the same name once more."""
    path = "/crm/v3/properties/contacts"

    def types(**query: str) -> dict[str, str]:
        return {one["name"]: one["type"] for one in caller.get(path, **query).json["results"]}

    caller.emulator.add_property("contacts", "score", type="number")
    assert types()["score"] == "number"
    caller.emulator.add_property("contacts", "score", type="string")
    assert types()["score"] == "string"
    caller.emulator.remove_property("contacts", "score")
    assert "score" not in types()
    assert types(archived="true") == {"score": "string"}
    caller.emulator.add_property("contacts", "score")
    assert ("score" in types(), types(archived="true")) == (True, {})
