"""The emulator's list, single read, batch read, properties and account endpoints.

"HubSpot 1.2" is section 1.2 of `docs/hubspot.md`, which names the sources.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Fault, HubSpotEmulator, PropertyDefinition
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
BATCH = "/crm/v3/objects/contacts/batch/read"


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    """One emulator for the tests that only read."""
    with HubSpotEmulator(contacts=250, companies=20, clock=ManualClock()) as emulator:
        yield Caller(emulator)


@pytest.fixture
def empty() -> Iterator[Caller]:
    """An empty account of its own for a test that writes."""
    with HubSpotEmulator(clock=ManualClock()) as emulator:
        yield Caller(emulator)


def test_list_walks_all_ids_upwards(caller: Caller):
    """HubSpot 1.2: ascending ids, `after` is the next id, no `paging` on the last page."""
    seen, after = [], "0"
    while after is not None:
        page = caller.get(LIST, limit=100, after=after)
        seen += page.ids
        following = page.after
        assert following is None or int(following) > int(seen[-1])
        after = following
    assert "paging" not in page.json
    assert seen == list(caller.emulator.records("contacts"))
    assert seen == sorted(seen, key=int)


def test_list_default_page_and_link(caller: Caller):
    """HubSpot 1.2: `limit` is 10 by default; the link leads to the next page."""
    first = caller.get(LIST)
    link = first.json["paging"]["next"]["link"].removeprefix(caller.emulator.base_url)
    assert len(first.ids) == 10
    assert caller.get(link).ids[0] == first.after


@pytest.mark.parametrize("limit", ["0", "101", "-1", "many"])
def test_list_refuses_page_sizes(caller: Caller, limit):
    """HubSpot 1.2: at most 100; a 400 in HubSpot's shape (HubSpot 4)."""
    reply = caller.get(LIST, limit=limit)
    assert reply.status == 400
    assert reply.json["status"] == "error"
    assert reply.json["category"] == "VALIDATION_ERROR"
    assert reply.json["correlationId"]


def test_record_shape(caller: Caller):
    """HubSpot 1.2: envelope and always-returned properties, equal to the ground truth."""
    one = caller.get(LIST, limit=1, properties=["firstname"]).json["results"][0]
    truth = caller.emulator.records("contacts")[one["id"]]
    assert set(one) == {"id", "properties", "createdAt", "updatedAt", "archived", "url"}
    assert set(one["properties"]) == {
        "firstname",
        "createdate",
        "hs_object_id",
        "lastmodifieddate",
    }
    assert one["createdAt"] == one["properties"]["createdate"] == truth.properties["createdate"]
    assert one["updatedAt"] == one["properties"]["lastmodifieddate"]
    assert one["archived"] is False


def test_companies_have_another_modified_property(caller: Caller):
    """HubSpot 1.8: `hs_lastmodifieddate` for all but contacts; defaults as in recorded pages."""
    one = caller.get("/crm/v3/objects/0-2", limit=1).json["results"][0]
    assert set(one["properties"]) == {
        "name",
        "domain",
        "createdate",
        "hs_object_id",
        "hs_lastmodifieddate",
    }


def test_null_for_no_value_and_silence_for_unknown_names(empty: Caller):
    """HubSpot 1.2 and 9: null for no value, "" stays "", unknown names are dropped."""
    empty.emulator.create("contacts", {"city": ""})
    reply = empty.get(LIST, properties=["city", "email", "no_such"], associations=["no_such"])
    properties = reply.json["results"][0]["properties"]
    assert properties["city"] == ""
    assert properties["email"] is None
    assert "no_such" not in properties


def test_every_value_equals_the_truth(caller: Caller):
    """All properties of all records arrive unchanged, whatever script or line break."""
    names = list(next(iter(caller.emulator.records("contacts").values())).properties)
    found = {}
    for after in (0, 100_000, 110_338_039_632):
        for one in caller.get(LIST, limit=100, after=after, properties=names).json["results"]:
            found[one["id"]] = one["properties"]
    assert found
    for object_id, properties in found.items():
        assert properties == caller.emulator.records("contacts")[object_id].properties


def test_repeated_parameters_are_a_list(caller: Caller):
    """The official client 12 repeats `properties` instead of joining them."""
    reply = caller.get(f"{LIST}?limit=1&properties=email&properties=city,zip")
    assert {"email", "city", "zip"} <= set(reply.json["results"][0]["properties"])


def test_archived_rows_only_on_demand(empty: Caller):
    """HubSpot 1.4 and 8: deleted records are in `archived=true` alone, their date unmoved."""
    kept, gone = (empty.emulator.create("contacts", {"city": c}) for c in "ab")
    before = empty.emulator.records("contacts")[gone].modified_at
    empty.emulator.archive("contacts", gone)
    archived = empty.get(LIST, archived="true").json["results"]
    assert empty.get(LIST).ids == [kept]
    assert [one["id"] for one in archived] == [gone]
    assert archived[0]["archived"] is True
    assert archived[0]["archivedAt"]
    assert empty.emulator.records("contacts", archived=True)[gone].modified_at == before
    assert empty.get(f"{LIST}/{gone}").status == 404
    assert empty.get(f"{LIST}/{gone}", archived="true").status == 200


def test_created_during_a_walk_comes_last(empty: Caller):
    """HubSpot 1.2: the walk is by id, so a new record is appended to its end."""
    first = [empty.emulator.create("contacts") for _ in range(3)]
    page = empty.get(LIST, limit=2)
    late = empty.emulator.create("contacts")
    assert page.ids + empty.get(LIST, limit=2, after=page.after).ids == [*first, late]


def test_single_read(caller: Caller):
    """HubSpot 3.4: an absent id is 404 OBJECT_NOT_FOUND."""
    object_id = caller.get(LIST, limit=1).ids[0]
    assert caller.get(f"{LIST}/{object_id}").json["id"] == object_id
    for wrong in ("999999999", "abc"):
        reply = caller.get(f"{LIST}/{wrong}")
        assert (reply.status, reply.json["category"]) == (404, "OBJECT_NOT_FOUND")


def test_batch_read_all_found(caller: Caller):
    """HubSpot 1.6: 200, ids only once, and not in the order of the inputs."""
    ids = caller.get(LIST, limit=3).ids
    inputs = [{"id": i} for i in [*reversed(ids), ids[0]]]
    reply = caller.post(BATCH, {"properties": ["email"], "inputs": inputs})
    assert reply.status == 200
    assert reply.ids == ids
    assert reply.json["status"] == "COMPLETE"
    assert "errors" not in reply.json


def test_batch_read_some_missing(caller: Caller):
    """HubSpot 1.6: 207, `numErrors` counts groups; the shape of a recorded answer."""
    known = caller.get(LIST, limit=1).ids[0]
    reply = caller.post(BATCH, {"inputs": [{"id": "7777777"}, {"id": known}, {"id": "x"}]})
    error = reply.json["errors"][0]
    assert reply.status == 207
    assert reply.ids == [known]
    assert reply.json["numErrors"] == 1
    assert error["category"] == "OBJECT_NOT_FOUND"
    assert error["context"] == {"ids": ["7777777", "x"]}


def test_batch_read_by_email(empty: Caller):
    """HubSpot 1.6: `idProperty` takes e-mail or a unique property, nothing else."""
    object_id = empty.emulator.create("contacts", {"email": "Ann@example.com", "city": "x"})
    body = {"idProperty": "email", "inputs": [{"id": "ann@example.com"}, {"id": "b@x.y"}]}
    reply = empty.post(BATCH, body)
    assert (reply.status, reply.ids) == (207, [object_id])
    assert empty.post(BATCH, {**body, "idProperty": "city"}).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"inputs": []},
        {"inputs": ["1"]},
        {"inputs": [{"id": str(i)} for i in range(101)]},
    ],
)
def test_batch_read_refuses_inputs(caller: Caller, body):
    """DOC using-object-apis, "Limits": at most 100 inputs."""
    assert caller.post(BATCH, body).status == 400


def test_history_is_refused_loudly(caller: Caller):
    """What the emulator does not know is a 501, never a guess."""
    assert caller.get(LIST, propertiesWithHistory=["email"]).status == 501
    body = {"inputs": [{"id": "1"}], "propertiesWithHistory": ["email"]}
    assert caller.post(BATCH, body).status == 501


@pytest.mark.parametrize("name", ["contacts", "contact", "CONTACTS", "0-1"])
@pytest.mark.parametrize(
    "family",
    [
        "/crm/v3/objects/",
        "/crm/objects/2025-09/",
        "/crm/objects/2026-03/",
        "/crm/objects/2026-09/",
    ],
)
def test_families_and_names(caller: Caller, family, name):
    """HubSpot 1.1 and 6: every family side by side, types by name or id."""
    assert caller.get(f"{family}{name}", limit=1).status == 200


def test_unknown_object_type(caller: Caller):
    """HubSpot 1.1: a 400 without a category."""
    reply = caller.get("/crm/v3/objects/butterflies")
    assert reply.status == 400
    assert reply.json["message"] == "Unable to infer object type from: butterflies"
    assert "category" not in reply.json


@pytest.mark.parametrize("name", ["deals", "0-3", "tickets"])
def test_an_object_type_of_hubspot_that_was_not_added(empty: Caller, name):
    """HubSpot has it, so 400 would be a guess."""
    reply = empty.get(f"/crm/v3/objects/{name}")
    assert reply.status == 501
    assert "add_object_type" in reply.json["message"]

    empty.emulator.add_object_type(name)

    assert empty.get(f"/crm/v3/objects/{name}").status == 200


def test_custom_object_type(empty: Caller):
    """HubSpot 10: custom types by `2-<n>`, `p<portal>_<name>` and `p_<name>`."""
    name = empty.emulator.add_object_type("pets", type_id="2-77")
    object_id = empty.emulator.create(name, {"name": "Rex"})
    assert name == "p62515_pets"
    for alias in ("2-77", "p62515_pets", "p_pets"):
        assert empty.get(f"/crm/objects/2026-03/{alias}").ids == [object_id]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/crm/v3/nothing", 404),
        ("GET", "/crm/objects/2024-09/contacts", 404),
        ("DELETE", LIST, 405),
        ("GET", BATCH, 405),
    ],
)
def test_unknown_paths(caller: Caller, method, path, status):
    """HubSpot 4: also these in HubSpot's error shape, with the correlation header."""
    reply = caller.call(method, path)
    assert reply.status == status
    assert reply.json["status"] == "error"
    assert reply.headers["X-HubSpot-Correlation-Id"]


def test_malformed_json(caller: Caller):
    """HubSpot 3.4: a body that is no JSON object is 400."""
    assert caller.call("POST", BATCH, b"{nope").status == 400
    assert caller.call("POST", BATCH, b"[]").status == 400


def test_long_url(caller: Caller):
    """HubSpot 11.6: 414 near 16,200 characters; 15,000 pass."""
    assert caller.get(LIST, properties="x" * 15_000).status == 200
    assert caller.get(LIST, properties="x" * 16_200).status == 414


def test_property_definitions(caller: Caller):
    """HubSpot 9: the fields of a definition; ids hide in number properties."""
    reply = caller.get("/crm/v3/properties/contacts")
    by_name = {one["name"]: one for one in reply.json["results"]}
    assert len(by_name) >= 25
    assert by_name["lastmodifieddate"]["type"] == "datetime"
    assert by_name["lastmodifieddate"]["fieldType"] == "date"
    assert by_name["hs_object_id"]["type"] == "number"
    assert by_name["associatedcompanyid"]["referencedObjectType"] == "COMPANY"
    assert by_name["total_revenue"]["currencyPropertyName"] == "currency_code"
    assert [o["value"] for o in by_name["hs_email_optout"]["options"]] == ["true", "false"]
    assert by_name["message"]["modificationMetadata"]["readOnlyValue"] is False
    assert caller.get("/crm/properties/2026-03/0-2").status == 200
    assert caller.get("/crm/v3/properties/contacts", archived="true").json["results"] == []


def test_single_property(caller: Caller):
    """HubSpot 9: one definition by name, 404 without."""
    assert caller.get("/crm/v3/properties/contacts/email").json["name"] == "email"
    assert caller.get("/crm/v3/properties/contacts/no_such").status == 404


def test_properties_come_and_go(empty: Caller):
    """HubSpot 1.2: a deleted property is dropped silently."""
    extra = PropertyDefinition(name="shoe_size", type="number", field_type="number")
    empty.emulator.add_property("contacts", extra)
    empty.emulator.create("contacts", {"shoe_size": "43.5"})
    assert empty.get(LIST, properties="shoe_size").json["results"][0]["properties"]["shoe_size"]
    empty.emulator.remove_property("contacts", "shoe_size")
    reply = empty.get(LIST, properties="shoe_size")
    assert "shoe_size" not in reply.json["results"][0]["properties"]


def test_account_details(caller: Caller):
    """HubSpot 7: the keys of a recorded answer."""
    details = caller.get("/account-info/2026-03/details").json
    assert details["portalId"] == 62515
    assert set(details) == {
        "portalId",
        "accountType",
        "timeZone",
        "companyCurrency",
        "additionalCurrencies",
        "utcOffset",
        "utcOffsetMilliseconds",
        "uiDomain",
        "dataHostingLocation",
    }


def test_date_header_is_the_clock(caller: Caller):
    """A client may learn the server's time; it is the injected clock's."""
    assert caller.get(LIST).headers["Date"] == "Wed, 01 Jul 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/crm/v3/lists/search"),
        ("GET", "/account-info/v3/api-usage/daily/private-apps"),
        ("POST", "/crm/v3/associations/contacts/companies/batch/read"),
        ("POST", LIST),
        ("PATCH", f"{LIST}/1"),
        ("POST", f"{LIST}/batch/create"),
        ("PUT", "/crm/v4/objects/contacts/1/associations/companies"),
        ("GET", "/crm/v3/objects/0-162"),
        ("GET", "/crm/v3/objects/feedback_submissions"),
        ("GET", "/crm/v3/objects/tax"),
        ("POST", "/crm/v3/objects/projects/search"),
        ("GET", "/crm/v3/properties/0-410"),
    ],
)
def test_what_only_hubspot_has(caller: Caller, method, path):
    """Loud, and no guess."""
    reply = caller.call(method, path, b"{}")
    assert reply.status == 501
    assert "does not know" in reply.json["message"]


@pytest.mark.parametrize(
    ("type_id", "name", "created"),
    [
        ("0-18", "communications", "hs_createdate"),
        ("0-53", "invoices", "createdate"),
        ("0-86", "taxes", "createdate"),
        ("0-101", "commerce_payments", "createdate"),
        ("0-116", "postal_mail", "hs_createdate"),
        ("0-421", "appointments", "createdate"),
        ("0-970", "projects", "createdate"),
    ],
)
def test_all_types_of_hubspots(empty: Caller, type_id, name, created):
    """HubSpot 10: by id and by name."""
    assert empty.emulator.add_object_type(type_id) == name
    object_id = empty.emulator.create(name)
    for spelling in (type_id, name):
        (row,) = empty.get(f"/crm/v3/objects/{spelling}").json["results"]
        assert row["id"] == object_id
        assert {created, "hs_lastmodifieddate"} < row["properties"].keys()


def test_one_correlation_id(caller: Caller):
    """HubSpot 4: the body has that of the header; so has a scripted refusal."""
    caller.emulator.faults.add(Fault(status=503, route="properties", headers={"Retry-After": "1"}))
    for path in ("/crm/v3/objects/butterflies", f"{LIST}/5", "/nothing", "/crm/v3/properties/0-1"):
        reply = caller.get(path)
        assert reply.json["correlationId"] == reply.headers["X-HubSpot-Correlation-Id"]
    assert reply.headers["Retry-After"] == "1"


def test_values_as_hubspot_prints_them():
    """HubSpot 9: all digits of a double, an exponent, an instant without milliseconds."""
    with HubSpotEmulator(contacts=400, clock=ManualClock()) as emulator:
        records = list(emulator.records("contacts").values())
    numbers = [value for one in records if (value := one.properties["total_revenue"])]
    long = [one for one in numbers if len(one) > 34]
    assert len(long) > 3
    assert all(float(one) == Decimal(one) for one in long)
    assert any(one.endswith("E7") for one in numbers)
    instants = [one.properties["hs_analytics_last_timestamp"] or "" for one in records]
    assert any(len(one) == len("2026-12-31T00:00:00Z") for one in instants)
    assert any("." in one for one in instants)
