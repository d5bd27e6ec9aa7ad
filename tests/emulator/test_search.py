"""The emulator's search: HubSpot 1.7."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCH = "/crm/v3/objects/contacts/search"
START = datetime(2026, 7, 1, tzinfo=timezone.utc)
START_MS = int(START.timestamp()) * 1000


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    """Five contacts: one a day, with values to filter by."""
    with HubSpotEmulator(clock=ManualClock(START)) as emulator:
        for day, (city, stage, revenue, end) in enumerate(
            [
                ("Oslo", "lead", "5", "2026-01-01"),
                ("oslo", "customer", "10.50", "2026-06-01"),
                ("Bergen", "customer", "9007199254740993", None),
                ("", "lead", None, "1767225600000"),
                (None, None, "-3", None),
            ]
        ):
            values = {
                "city": city,
                "lifecyclestage": stage,
                "total_revenue": revenue,
                "contract_end": end,
            }
            emulator.create("contacts", values, modified_at=START + timedelta(days=day))
        yield Caller(emulator)


def where(name: str, operator: str, value: Any = None, **more: Any) -> dict[str, Any]:
    """One filter."""
    given = {} if value is None else {"value": value}
    return {"propertyName": name, "operator": operator, **given, **more}


def places(caller: Caller, reply: Any) -> str:
    """Which of the five contacts a reply holds, as a text of digits."""
    order = list(caller.emulator.records("contacts"))
    return "".join(str(order.index(i)) for i in reply.ids)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (where("city", "EQ", "OSLO"), "01"),
        (where("lifecyclestage", "EQ", "lead"), "03"),
        (where("lifecyclestage", "EQ", "LEAD"), ""),
        (where("lifecyclestage", "NEQ", "lead"), "12"),
        (where("lifecyclestage", "IN", values=["lead", "customer"]), "0123"),
        (where("lifecyclestage", "NOT_IN", values=["lead"]), "12"),
        (where("city", "HAS_PROPERTY"), "012"),
        (where("city", "NOT_HAS_PROPERTY"), "34"),
        (where("total_revenue", "GT", "5"), "12"),
        (where("total_revenue", "GTE", "5"), "012"),
        (where("total_revenue", "LT", 5), "4"),
        (where("total_revenue", "LTE", "5.0"), "04"),
        (where("total_revenue", "EQ", "9007199254740993"), "2"),
        (where("total_revenue", "EQ", "9007199254740992"), ""),
        (where("total_revenue", "BETWEEN", "-3", highValue="5"), "04"),
        (where("contract_end", "GTE", "2026-06-01"), "1"),
        (where("contract_end", "EQ", "1767225600000"), "03"),
        (where("lastmodifieddate", "GTE", str(START_MS + 86_400_000)), "1234"),
        (where("lastmodifieddate", "GT", str(START_MS + 86_400_000)), "234"),
        (where("lastmodifieddate", "LT", "2026-07-02T00:00:00Z"), "0"),
        (where("lastmodifieddate", "LTE", "2026-07-02T00:00:00.000999Z"), "01"),
        (where("lastmodifieddate", "EQ", str(START_MS)), "0"),
        (
            where("lastmodifieddate", "BETWEEN", str(START_MS), highValue=START_MS + 86_400_000),
            "01",
        ),
        (where("lastmodifieddate", "NEQ", str(START_MS)), "1234"),
        (where("createdate", "GTE", str(START_MS)), "01234"),
    ],
)
def test_operators(caller: Caller, condition, expected):
    """HubSpot 1.7: strings ignore case, enumerations do not, numbers are exact."""
    reply = caller.search("contacts", condition)
    assert reply.status == 200
    assert places(caller, reply) == expected
    assert reply.json["total"] == len(expected)


def test_ids_compare_as_numbers(caller: Caller):
    """HubSpot 1.7: `hs_object_id` GT/GTE/IN are numeric, not by text."""
    ids = list(caller.emulator.records("contacts"))
    assert caller.search("contacts", where("hs_object_id", "GT", ids[1])).ids == ids[2:]
    assert caller.search("contacts", where("hs_object_id", "GTE", ids[1])).ids == ids[1:]
    assert caller.search("contacts", where("hs_object_id", "IN", values=ids[3:])).ids == ids[3:]


def test_groups_are_alternatives(caller: Caller):
    """HubSpot 1.7: filters of a group all hold, of several groups one must."""
    groups = [
        {"filters": [where("city", "EQ", "oslo"), where("lifecyclestage", "EQ", "lead")]},
        {"filters": [where("total_revenue", "LT", "0")]},
    ]
    reply = caller.post(SEARCH, {"filterGroups": groups, "sorts": ["hs_object_id"]})
    assert places(caller, reply) == "04"


@pytest.mark.parametrize(
    ("sorts", "expected"),
    [
        ([], "01234"),
        (["-hs_object_id"], "43210"),
        ([{"propertyName": "lastmodifieddate", "direction": "DESCENDING"}], "43210"),
        ([{"propertyName": "total_revenue", "direction": "ASCENDING"}], "40123"),
        ([{"propertyName": "total_revenue", "direction": "DESCENDING"}], "21043"),
    ],
)
def test_sorts(caller: Caller, sorts, expected):
    """HubSpot 1.7: one rule, as text or object; creation order without."""
    assert places(caller, caller.post(SEARCH, {"sorts": sorts})) == expected


def test_pages_by_offset(caller: Caller):
    """HubSpot 1.7: `after` is an integer offset, `total` is on every page, no link."""
    first = caller.post(SEARCH, {"limit": 2})
    last = caller.post(SEARCH, {"limit": 2, "after": "4"})
    assert first.json["paging"] == {"next": {"after": "2"}}
    assert first.json["total"] == last.json["total"] == 5
    assert len(last.ids) == 1
    assert "paging" not in last.json


def test_contacts_by_the_wrong_modified_property(caller: Caller):
    """airbytehq/airbyte PR 85019: 200 with no rows, silently."""
    reply = caller.search("contacts", where("hs_lastmodifieddate", "GTE", "0"))
    assert (reply.status, reply.json["total"]) == (200, 0)


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"limit": 0},
        {"after": "x"},
        {"after": "9900", "limit": 200},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [where("city", "EQ", "x")] * 7}]},
        {"filterGroups": [{"filters": [where("city", "EQ", "x")] * 5}] * 4},
        {"filterGroups": [{"filters": [where("no_such", "EQ", "x")]}]},
        {"filterGroups": [{"filters": [where("city", "LIKE", "x")]}]},
        {"filterGroups": [{"filters": [where("city", "EQ")]}]},
        {"filterGroups": [{"filters": [where("city", "IN", "x")]}]},
        {"filterGroups": [{"filters": [where("lastmodifieddate", "GTE", "soon")]}]},
        {"sorts": ["city", "zip"]},
        {"sorts": ["no_such"]},
    ],
)
def test_refusals(caller: Caller, body):
    """HubSpot 1.7: 200 a page, 10,000 in all, 5 groups, 6 filters each, 18 in all."""
    reply = caller.post(SEARCH, body)
    assert reply.status == 400
    assert reply.json["category"] == "VALIDATION_ERROR"


def test_cap_is_a_400_not_a_cut(caller: Caller):
    """HubSpot 11.3: the last page of 10,000 passes, the row after it does not."""
    assert caller.post(SEARCH, {"after": "9800", "limit": 200}).status == 200
    assert caller.post(SEARCH, {"after": "9801", "limit": 200}).status == 400


def test_unknown_features_are_loud(caller: Caller):
    """What the emulator does not know is a 501, never a guess."""
    assert caller.post(SEARCH, {"query": "x"}).status == 501
    assert caller.search("contacts", where("city", "CONTAINS_TOKEN", "x")).status == 501


def test_unknown_property_is_named(caller: Caller):
    """HubSpot 4: a structured error with code and property name."""
    error = caller.search("contacts", where("no_such", "EQ", "x")).json["errors"][0]
    assert error["code"] == "PROPERTY_DOESNT_EXIST"
    assert error["context"] == {"propertyName": ["no_such"]}


def test_no_associations_and_no_archived_rows():
    """HubSpot 1.7: search gives neither."""
    with HubSpotEmulator(clock=ManualClock()) as emulator:
        company = emulator.create("companies")
        kept, gone = emulator.create("contacts"), emulator.create("contacts")
        emulator.associate("contacts", kept, "companies", company, primary=True)
        emulator.archive("contacts", gone)
        caller = Caller(emulator)
        reply = caller.search("contacts", associations=["companies"])
        assert reply.ids == [kept]
        assert "associations" not in reply.json["results"][0]
        by_company = caller.search("contacts", where("associatedcompanyid", "EQ", company))
        assert by_company.ids == [kept]


def test_keyset_walk_sees_changes_between_pages():
    """The kept result is dropped with the first change; a walk by id loses nothing."""
    clock = ManualClock()
    with HubSpotEmulator(contacts=30, clock=clock) as emulator:
        caller = Caller(emulator)
        window = where("lastmodifieddate", "GTE", "1546300800000")
        page = caller.search("contacts", window, limit=10)
        assert page.json["total"] == 30
        emulator.archive("contacts", list(emulator.records("contacts"))[20])
        clock.advance(1)
        emulator.touch("contacts", count=5)
        last = where("hs_object_id", "GT", page.ids[-1])
        rest = caller.search("contacts", window, last)
        assert rest.json["total"] == 19
        assert page.ids + rest.ids == list(emulator.records("contacts"))


def test_the_old_form_of_filters(caller: Caller):
    """HubSpot 1.7: a top-level list is one group; beside groups it is refused, never ignored."""
    chosen, *others = list(caller.emulator.records("contacts"))
    one = {"propertyName": "hs_object_id", "operator": "EQ", "value": chosen}
    path = "/crm/v3/objects/contacts/search"
    assert caller.post(path, {"filters": [one]}).ids == [chosen]
    assert caller.post(path, {"filters": [one], "filterGroups": []}).ids == [chosen]
    assert len(others) > 0
    both = {"filters": [one], "filterGroups": [{"filters": [one]}]}
    assert caller.post(path, both).status == 501
    assert caller.post(path, {"filters": [one] * 7}).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {"filters": {"propertyName": "email", "operator": "HAS_PROPERTY"}},
        {"filters": ["email"]},
        {"filters": [{"property": "email", "operator": "HAS_PROPERTY"}]},
        {"filterGroups": {"filters": []}},
        {"filterGroups": [{"filters": "email"}]},
        {"sorts": "email"},
        {"sorts": [{"propertyName": "email", "direction": "DESC"}]},
        {"sorts": [1]},
        {"properties": "email"},
    ],
)
def test_searches_of_another_shape(caller: Caller, body):
    """Refused rather than answered with everything."""
    assert caller.post("/crm/v3/objects/contacts/search", body).status == 400


@pytest.fixture
def own() -> Iterator[Caller]:
    """An account for a test that writes."""
    with HubSpotEmulator(clock=ManualClock(START)) as emulator:
        yield Caller(emulator)


def test_associations_as_a_filter(own: Caller):
    """HubSpot 1.7: by the ids of the other records; custom types cannot be filtered by."""
    caller, emulator = own, own.emulator
    company, other = emulator.create("companies"), emulator.create("companies")
    contacts = [emulator.create("contacts") for _ in range(3)]
    emulator.associate("contacts", contacts[0], "companies", company)
    emulator.associate("contacts", contacts[0], "companies", other)
    emulator.associate("contacts", contacts[1], "companies", company)
    these = {"propertyName": "hs_object_id", "operator": "IN", "values": contacts}

    def found(name, **more):
        return caller.search("contacts", these, {"propertyName": name, **more}).ids

    for name in ("associations.company", "associations.companies", "associations.0-2"):
        assert found(name, operator="EQ", value=company) == contacts[:2]
        assert found(name, operator="IN", values=[other, "5"]) == contacts[:1]
        assert found(name, operator="HAS_PROPERTY") == contacts[:2]
        assert found(name, operator="NOT_HAS_PROPERTY") == contacts[2:]
    emulator.dissociate("contacts", contacts[1], "companies", company)
    assert found("associations.company", operator="EQ", value=company) == contacts[:1]
    emulator.add_object_type("pets", type_id="2-5")
    for name in ("associations.p62515_pets", "associations.nothing"):
        one = {"propertyName": name, "operator": "HAS_PROPERTY"}
        assert caller.search("contacts", one).status == 400
    for odd in (
        {"propertyName": "associations.company", "operator": "GT", "value": "1"},
        {"propertyName": "associations.deal", "operator": "EQ", "value": "1"},
    ):
        assert caller.search("contacts", odd).status == 501
