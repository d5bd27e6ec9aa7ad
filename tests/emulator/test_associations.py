"""The emulator's associations: HubSpot 1.3 and 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = "/crm/v4/associations/contacts/companies/batch/read"
PRIMARY = {"category": "HUBSPOT_DEFINED", "typeId": 1, "label": "Primary"}
PLAIN = {"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}


@pytest.fixture
def caller() -> Iterator[Caller]:
    """An account with one contact at two companies, one contact alone."""
    with HubSpotEmulator(clock=ManualClock()) as emulator:
        emulator.create("contacts", object_id="501")
        emulator.create("contacts", object_id="502")
        emulator.create("companies", object_id="29022297485")
        emulator.create("companies", object_id="7")
        emulator.define_label("contacts", "companies", "Billing contact", inverse="Billed by")
        emulator.associate("contacts", "501", "companies", "29022297485", primary=True)
        emulator.associate("contacts", "501", "companies", "7", label="Billing contact")
        yield Caller(emulator)


@pytest.fixture
def crowd() -> Iterator[Caller]:
    """One company with 1,205 contacts."""
    with HubSpotEmulator(contacts=1205, clock=ManualClock()) as emulator:
        emulator.create("companies", object_id="9")
        for contact in emulator.records("contacts"):
            emulator.associate("contacts", contact, "companies", "9")
        yield Caller(emulator)


def inline(reply: Any) -> Any:
    """The inline association rows of a single read."""
    return reply.json["associations"]["companies"]["results"]


def test_inline_rows(caller: Caller):
    """HubSpot 1.3: one row per type; `contact_to_company` marks the primary company."""
    reply = caller.get("/crm/v3/objects/contacts/501", associations="companies")
    assert inline(reply) == [
        {"id": "7", "type": "contact_to_company_unlabeled"},
        {"id": "7", "type": "billing_contact"},
        {"id": "29022297485", "type": "contact_to_company"},
        {"id": "29022297485", "type": "contact_to_company_unlabeled"},
    ]


def test_no_edges_no_key(caller: Caller):
    """HubSpot 1.3: without any the whole key is absent."""
    reply = caller.get("/crm/v3/objects/contacts/502", associations="companies")
    assert "associations" not in reply.json


def test_seen_from_the_company(caller: Caller):
    """HubSpot 2.4: 2 and 280 in the other direction."""
    reply = caller.get("/crm/v4/objects/companies/29022297485/associations/contacts")
    kinds = reply.json["results"][0]["associationTypes"]
    assert [kind["typeId"] for kind in kinds] == [2, 280]


def test_batch_read_as_recorded(caller: Caller):
    """HubSpot 2.1, as recorded by others: numbers, labels, and 207 for no edges."""
    reply = caller.post(BATCH, {"inputs": [{"id": "501"}, {"id": "502"}, {"id": "x"}]})
    assert reply.status == 207
    one = reply.json["results"][0]
    assert one["from"] == {"id": "501"}
    assert [edge["toObjectId"] for edge in one["to"]] == [7, 29022297485]
    assert one["to"][1]["associationTypes"] == [PRIMARY, PLAIN]
    assert one["to"][0]["associationTypes"][1]["category"] == "USER_DEFINED"
    assert "paging" not in one
    missing, invalid = reply.json["errors"]
    assert missing["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert missing["message"] == "No company is associated with contact 502."
    assert missing["context"] == {
        "fromObjectId": ["502"],
        "fromObjectType": ["contact"],
        "toObjectType": ["company"],
    }
    assert invalid["subCategory"] == "crm.associations.INVALID_IDENTIFIER"
    assert reply.json["numErrors"] == 2


def test_batch_read_without_errors(caller: Caller):
    """HubSpot 2.1: 200 when every record has edges; the date-based twin answers alike."""
    body = {"inputs": [{"id": "501"}]}
    legacy = caller.post(BATCH, body)
    dated = caller.post("/crm/associations/2026-03/0-1/0-2/batch/read", body)
    assert legacy.status == dated.status == 200
    assert legacy.json["results"] == dated.json["results"]
    assert "errors" not in legacy.json


@pytest.mark.parametrize("count", [0, 1001])
def test_batch_read_refuses_inputs(caller: Caller, count):
    """DOC associations guide: at most 1,000 inputs."""
    body = {"inputs": [{"id": str(i)} for i in range(count)]}
    assert caller.post(BATCH, body).status == 400


def test_batch_read_pages_each_record(crowd: Caller):
    """HubSpot 2.1: `paging` inside each result, its `after` goes into that input."""
    path = "/crm/v4/associations/companies/contacts/batch/read"
    seen: list[str] = []
    pages, given = 0, {"id": "9"}
    while given:
        block = crowd.post(path, {"inputs": [given]}).json["results"][0]
        seen += [str(edge["toObjectId"]) for edge in block["to"]]
        after = block.get("paging", {}).get("next", {}).get("after")
        given = {"id": "9", "after": after} if after else {}
        pages += 1
    assert pages == 3
    assert seen == list(crowd.emulator.records("contacts"))


def test_single_read_pages(crowd: Caller):
    """HubSpot 2.2: at most 500 a page, the link leads on."""
    path = "/crm/v4/objects/companies/9/associations/contacts"
    first = crowd.get(path)
    link = first.json["paging"]["next"]["link"].removeprefix(crowd.emulator.base_url)
    assert len(first.json["results"]) == 500
    assert len(crowd.get(link).json["results"]) == 500
    assert crowd.get(path, limit=501).status == 400
    for wrong in ("nonsense", "schön"):
        assert crowd.get(path, after=wrong).status == 400


@pytest.mark.parametrize("family", ["/crm/v3/objects", "/crm/objects/2026-03"])
def test_inline_cap_and_continuation(crowd: Caller, family):
    """dlt-hub/verified-sources 593: cut at 100, told only by the inner `paging`."""
    block = crowd.get(f"{family}/companies/9", associations="contacts").json["associations"]
    seen = [row["id"] for row in block["contacts"]["results"]]
    assert len(seen) == 100
    link = block["contacts"]["paging"]["next"]["link"]
    while link:
        page = crowd.get(link.removeprefix(crowd.emulator.base_url)).json
        seen += [str(row.get("id") or row["toObjectId"]) for row in page["results"]]
        link = page.get("paging", {}).get("next", {}).get("link")
    assert seen == list(crowd.emulator.records("contacts"))


def test_labels(caller: Caller):
    """HubSpot 2.4: `GET /crm/v4/associations/{from}/{to}/labels`."""
    labels = caller.get("/crm/v4/associations/contacts/companies/labels").json["results"]
    other = caller.get("/crm/associations/2026-03/0-2/0-1/labels").json["results"]
    assert labels[:2] == [PRIMARY, PLAIN]
    assert labels[2]["label"] == "Billing contact"
    assert other[2]["label"] == "Billed by"


def test_edges_do_not_move_the_modified_date(caller: Caller):
    """HubSpot 2.5: only the derived property follows."""
    emulator = caller.emulator
    before = emulator.records("contacts")["501"]
    emulator.dissociate("contacts", "501", "companies", "29022297485")
    after = emulator.records("contacts")["501"]
    assert after.modified_at == before.modified_at
    assert before.properties["associatedcompanyid"] == "29022297485"
    assert after.properties["associatedcompanyid"] is None
    assert list(after.associations["companies"]) == ["7"]


def test_one_primary_company(caller: Caller):
    """A new primary company takes that role from the former one."""
    emulator = caller.emulator
    emulator.associate("contacts", "501", "companies", "7", primary=True)
    edges = emulator.records("contacts")["501"].associations["companies"]
    primaries = [other for other, kinds in edges.items() if any(k.primary for k in kinds)]
    assert primaries == ["7"]
    assert [kind.type_id for kind in edges["29022297485"]] == [279]


def test_label_alone_can_go(caller: Caller):
    """Taking a label off leaves the plain edge, seen from both ends."""
    caller.emulator.dissociate("contacts", "501", "companies", "7", label="Billing contact")
    near = caller.emulator.records("contacts")["501"].associations["companies"]["7"]
    far = caller.emulator.records("companies")["7"].associations["contacts"]["501"]
    assert [kind.type_id for kind in near] == [279]
    assert [kind.type_id for kind in far] == [280]


def test_deleting_a_record_deletes_its_edges(caller: Caller):
    """An archived company is nobody's company."""
    caller.emulator.archive("companies", "7", "29022297485")
    assert caller.emulator.records("contacts")["501"].associations == {}
    assert caller.post(BATCH, {"inputs": [{"id": "501"}]}).json["results"] == []


def test_custom_types_can_be_associated(caller: Caller):
    """HubSpot 10: any pair of types has a plain association type."""
    emulator = caller.emulator
    pets = emulator.add_object_type("pets", type_id="2-5")
    pet = emulator.create(pets)
    emulator.associate("contacts", "501", pets, pet)
    reply = caller.get("/crm/v3/objects/contacts/501", associations="2-5")
    assert reply.json["associations"]["p62515_pets"]["results"][0]["id"] == pet
    with pytest.raises(ValueError, match="no primary record"):
        emulator.associate("contacts", "501", pets, pet, primary=True)
