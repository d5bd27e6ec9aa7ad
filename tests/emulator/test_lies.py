"""Answers that leave out, fail, contradict the clock or never end: HubSpot 1.2, 1.3, 1.6 and 9."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
BATCH = "/crm/v3/objects/contacts/batch/read"
EDGES = "/crm/v4/associations/contacts/companies/batch/read"
PROPERTIES = "/crm/v3/properties/contacts"
SCHEMAS = "/crm-object-schemas/2026-03/schemas"


@pytest.fixture
def clock() -> ManualClock:
    """Stands still."""
    return ManualClock()


@pytest.fixture
def caller(clock: ManualClock) -> Iterator[Caller]:
    """30 contacts; the first has three companies."""
    with HubSpotEmulator(contacts=30, companies=3, clock=clock) as emulator:
        for company in emulator.records("companies"):
            emulator.associate("contacts", ids_in(emulator)[0], "companies", company)
        yield Caller(emulator)


def ids_in(emulator: HubSpotEmulator) -> list[str]:
    """The ids of all contacts."""
    return list(emulator.records("contacts"))


def ids(caller: Caller) -> list[str]:
    """The ids of all contacts."""
    return ids_in(caller.emulator)


def read(caller: Caller, *some: str) -> Any:
    """A batch read of contacts."""
    return caller.post(BATCH, {"inputs": [{"id": one} for one in some or ids(caller)]})


def edges(caller: Caller, *some: str, after: str | None = None) -> Any:
    """A batch read of their companies."""
    more = {"after": after} if after else {}
    return caller.post(EDGES, {"inputs": [{"id": one, **more} for one in some or ids(caller)]})


def failed(reply: Any) -> list[dict[str, Any]]:
    """The entries of `errors` that are no "not found"."""
    return [one for one in reply.json.get("errors", ()) if one["category"] != "OBJECT_NOT_FOUND"]


def walk(caller: Caller, limit: int = 10, pages: int = 50, **more: Any) -> list[list[str]]:
    """The ids along `after`, page by page, *pages* at most."""
    found: list[list[str]] = []
    after: str | None = None
    while len(found) < pages:
        reply = caller.get(LIST, limit=limit, **({"after": after} if after else {}), **more)
        found.append(reply.ids)
        after = reply.after
        if after is None:
            break
    return found


def test_the_truth_by_default(caller: Caller):
    """HubSpot 1.6: everything is answered, and nothing is counted."""
    before = {one: record.to_json() for one, record in caller.emulator.records("contacts").items()}
    assert read(caller).ids == ids(caller)
    assert len(walk(caller)) == 3
    assert failed(edges(caller)) == []
    assert caller.emulator.lies.counts() == {}
    after = {one: record.to_json() for one, record in caller.emulator.records("contacts").items()}
    assert after == before


def test_inputs_that_fail_for_now(caller: Caller):
    """HubSpot 1.6: an INTERNAL_ERROR names its ids, which come another time."""
    caller.emulator.hostility = Hostility(failing_inputs=1)
    first, second = read(caller), read(caller)
    assert (first.status, second.status) == (207, 207)
    (entry,) = failed(first)
    assert entry["category"] == "INTERNAL_ERROR"
    assert sorted([*first.ids, *entry["context"]["ids"]], key=int) == ids(caller)
    assert len(entry["context"]["ids"]) == 3
    assert failed(second)[0]["context"] != entry["context"]
    assert caller.emulator.lies.count("failing_inputs") == 2


def test_edges_that_fail_for_now(caller: Caller):
    """The same in a batch of associations: one entry each, under `fromObjectId`."""
    caller.emulator.hostility = Hostility(failing_inputs=1, failing_category="RATE_LIMITS")
    reply = edges(caller)
    entries = failed(reply)
    assert [one["category"] for one in entries] == ["RATE_LIMITS"] * 3
    assert all(one["context"]["fromObjectType"] == ["contact"] for one in entries)
    gone = {one["context"]["fromObjectId"][0] for one in entries}
    assert gone.isdisjoint(one["from"]["id"] for one in reply.json["results"])


@pytest.mark.parametrize("spelling", ["contacts", "contact", "0-1", "CONTACTS"])
def test_inputs_that_cannot_be_answered(caller: Caller, spelling):
    """They fail each time; in company the others are answered."""
    bad = ids(caller)[0]
    caller.emulator.hostility = Hostility(
        unanswerable={spelling: [bad]}, unanswerable_edges={spelling: [bad]}
    )
    for _ in range(3):
        reply = read(caller)
        assert (reply.status, reply.ids) == (207, ids(caller)[1:])
        assert failed(reply)[0]["context"]["ids"] == [bad]
        assert failed(edges(caller, bad))[0]["context"]["fromObjectId"] == [bad]
    assert caller.emulator.lies.counts() == {"unanswerable": 3, "unanswerable_edges": 3}
    assert caller.get(f"{LIST}/{bad}").status == 200


def test_entries_without_ids(caller: Caller):
    """Some errors have the ids nowhere."""
    bad = ids(caller)[0]
    caller.emulator.hostility = Hostility(
        unanswerable={"contacts": [bad]},
        unanswerable_edges={"contacts": [bad]},
        unanswerable_as="nameless",
    )
    for reply in (read(caller), edges(caller, bad)):
        (entry,) = failed(reply)
        assert "context" not in entry
        assert bad not in str(entry)


@pytest.mark.parametrize(
    ("how", "among", "alone"), [("error", 500, 500), ("error_alone", 207, 500)]
)
def test_an_input_that_fails_the_call(caller: Caller, how, among, alone):
    """The whole call, always or when it asks for nothing else."""
    bad, good = ids(caller)[:2]
    caller.emulator.hostility = Hostility(
        unanswerable={"contacts": [bad]},
        unanswerable_edges={"contacts": [bad]},
        unanswerable_as=how,
    )
    assert [read(caller).status, edges(caller).status] == [among, among]
    assert [read(caller, bad).status, edges(caller, bad).status] == [alone, alone]
    assert [read(caller, good).status, edges(caller, good).status in {200, 207}] == [200, True]


def test_inputs_without_an_answer(caller: Caller):
    """Neither in `results` nor in `errors`, each time."""
    silent = ids(caller)[0]
    caller.emulator.hostility = Hostility(
        silent_inputs={"0-1": [silent]}, silent_edges={"0-1": [silent]}
    )
    for _ in range(3):
        assert (read(caller).status, read(caller).ids) == (200, ids(caller)[1:])
        assert edges(caller, silent).json["results"] == []
        assert "errors" not in edges(caller, silent).json
    assert caller.emulator.lies.counts() == {"silent_inputs": 6, "silent_edges": 6}


def test_definitions_that_are_empty_or_short(caller: Caller):
    """HubSpot 9: for now; the next answer may be whole."""
    names = set(caller.emulator.records("contacts")[ids(caller)[0]].properties)

    def listed():
        return {one["name"] for one in caller.get(PROPERTIES).json["results"]}

    assert listed() == names
    caller.emulator.hostility = Hostility(empty_definitions=0.5)
    assert {len(listed()) for _ in range(20)} == {0, len(names)}
    caller.emulator.hostility = Hostility(short_definitions=1, missing_definitions=0.1)
    answers = [listed() for _ in range(20)]
    assert all(names - one and one < names for one in answers)
    assert any("hs_object_id" not in one for one in answers)
    assert any("lastmodifieddate" not in one for one in answers)
    assert caller.emulator.lies.count("short_definitions") == 20
    assert set(caller.emulator.records("contacts")[ids(caller)[0]].properties) == names


def test_properties_that_are_not_listed(caller: Caller):
    """HubSpot 9: they can be read all the same."""
    caller.emulator.hostility = Hostility(unlisted_properties={"contacts": ["email"]})
    assert "email" not in {one["name"] for one in caller.get(PROPERTIES).json["results"]}
    email = caller.get(LIST, properties="email").json["results"][0]["properties"]["email"]
    assert email == caller.emulator.records("contacts")[ids(caller)[0]].properties["email"]


def test_a_property_that_an_import_fills_in(caller: Caller, clock):
    """Its values come with it, and the modified dates of these records move, of no others."""
    first, second, third = ids(caller)[:3]
    before = dict(caller.emulator.records("contacts"))
    clock.advance(1)
    caller.emulator.add_property(
        "contacts", "score", type="number", values={first: "7", second: "8"}
    )
    records = caller.emulator.records("contacts")
    assert [records[one].properties["score"] for one in (first, second, third)] == ["7", "8", None]
    assert records[first].modified_at == records[second].modified_at > before[first].modified_at
    assert records[third].modified_at == before[third].modified_at
    (found,) = [one for one in caller.get(PROPERTIES).json["results"] if one["name"] == "score"]
    assert (found["type"], found["fieldType"]) == ("number", "number")
    caller.post("/_emulator/remove_property", {"object_type": "contacts", "name": "score"})
    assert "score" not in records[first].properties
    more = {"object_type": "contacts", "name": "late", "values": {first: "x"}}
    assert caller.post("/_emulator/add_property", more).status == 200
    assert records[first].properties["late"] == "x"
    with pytest.raises(ValueError, match="internal name"):
        caller.emulator.add_property("contacts", "Not a name")


def test_pages_with_a_gap(caller: Caller):
    """One row each, which is there when its page is read again."""
    caller.emulator.hostility = Hostility(list_gaps=1)
    looks = [{one for page in walk(caller) for one in page} for _ in range(4)]
    gaps = [set(ids(caller)) - look for look in looks]
    assert [len(gap) for gap in gaps] == [3, 3, 3, 3]
    assert all(a.isdisjoint(b) for a, b in pairwise(gaps))
    # The same page in other sizes is a second look, too.
    first = set(ids(caller)) - set(caller.get(LIST, limit=30).ids)
    assert gaps[3].isdisjoint(first)
    assert caller.emulator.lies.count("list_gaps") == 13


@pytest.mark.parametrize("calls", [None, 2])
def test_records_that_the_list_hides(caller: Caller, calls):
    """For some calls or always; search and batch reads show them."""
    hidden = ids(caller)[4]
    caller.emulator.hostility = Hostility(
        hidden_from_list={"contacts": [hidden]}, hidden_from_list_calls=calls
    )
    shown = [hidden in {one for page in walk(caller) for one in page} for _ in range(4)]
    assert shown == [False, False, calls == 2, calls == 2]
    assert hidden in read(caller).ids
    assert hidden in caller.search("contacts").ids


def test_rows_without_a_date(caller: Caller):
    """Neither in the envelope nor as a property, wherever the row comes."""
    one, other = ids(caller)[:2]
    caller.emulator.hostility = Hostility(
        without_created={"contacts": [one]}, without_modified={"contacts": [other]}
    )
    for reply in (caller.get(LIST), read(caller), caller.search("contacts")):
        rows = {row["id"]: row for row in reply.json["results"]}
        assert rows[one].keys() >= {"updatedAt"}
        assert not rows[one].keys() & {"createdAt"}
        assert "createdate" not in rows[one]["properties"]
        assert rows[other].keys() >= {"createdAt"}
        assert not rows[other].keys() & {"updatedAt"}
        assert "lastmodifieddate" not in rows[other]["properties"]
    assert caller.emulator.records("contacts")[one].to_json()["created_at"]


def test_inline_keys_are_not_what_was_asked_for(caller: Caller):
    """HubSpot 1.3: "line items" with a space, a custom type by its qualified name."""
    emulator = caller.emulator
    first = ids(caller)[0]
    pets = emulator.add_object_type("pets", type_id="2-5", labels=("Pet", "Pets"))
    emulator.add_object_type("line_items")
    for other in (pets, "line_items"):
        emulator.associate("contacts", first, other, emulator.create(other))

    def keys(*names: str) -> list[str]:
        reply = caller.get(f"{LIST}/{first}", associations=",".join(names))
        return list(reply.json.get("associations", {}))

    for name in ("line_items", "0-8", "line_item"):
        assert keys(name) == ["line items"]
    for name in ("pets", "p62515_pets", "p_pets", "2-5"):
        assert keys(name) == ["p62515_pets"]
        path = f"/crm/associations/2026-03/contacts/{name}/batch/read"
        assert len(caller.post(path, {"inputs": [{"id": first}]}).json["results"]) == 1
    assert keys("compnies") == []
    emulator.hostility = Hostility(inline_keys={"pets": "2-5", "companies": ""})
    assert keys("p62515_pets", "companies") == ["2-5"]


@pytest.mark.parametrize("name", ["compnies", "2-99", "p62515_none"])
def test_unknown_types_in_paths(caller: Caller, name):
    """HubSpot 1.1: a 400 without a category."""
    path = f"/crm/v4/associations/contacts/{name}/batch/read"
    for reply in (
        caller.get(f"/crm/v3/objects/{name}"),
        caller.post(path, {"inputs": [{"id": 1}]}),
    ):
        assert reply.status == 400
        assert reply.json["message"] == f"Unable to infer object type from: {name}"
        assert "category" not in reply.json


def test_a_custom_type_called_like_a_type_of_hubspots(caller: Caller):
    """HubSpot 10: its bare name stays HubSpot's; its qualified one is its own."""
    own = caller.emulator.add_object_type("contacts", type_id="2-8")
    assert own == "p62515_contacts"
    record = caller.emulator.create(own, {"name": "x"})
    assert caller.get("/crm/v3/objects/p62515_contacts").ids == [record]
    assert caller.get("/crm/v3/objects/p_contacts").ids == [record]
    assert caller.get(LIST).ids == ids(caller)[:10]
    assert caller.emulator.add_object_type("deals", type_id="2-9") == "p62515_deals"
    assert caller.get("/crm/v3/objects/deals").status == 501


@pytest.mark.parametrize("path", [SCHEMAS, "/crm-object-schemas/v3/schemas", "/crm/v3/schemas"])
def test_schemas(caller: Caller, path):
    """HubSpot 10: the account's own types, with what people call them."""
    assert caller.get(path).json == {"results": []}
    made = {"name": "pets", "type_id": "2-3465404", "labels": ["Pet", "Pets"]}
    reply = caller.post("/_emulator/add_object_type", made)
    assert reply.json == {"name": "p62515_pets"}
    (schema,) = caller.get(path).json["results"]
    assert schema["labels"] == {"singular": "Pet", "plural": "Pets"}
    assert (schema["name"], schema["fullyQualifiedName"]) == ("pets", "p62515_pets")
    assert (schema["objectTypeId"], schema["id"]) == ("2-3465404", "3465404")
    assert "name" in {one["name"] for one in schema["properties"]}
    assert "0-1" in {one["toObjectTypeId"] for one in schema["associations"]}
    for name in ("2-3465404", "p62515_pets", "pets"):
        assert caller.get(f"{path}/{name}").json == schema
    assert caller.get(f"{path}/contacts").json["fullyQualifiedName"] == "CONTACT"
    assert caller.get(f"{path}/nothing").status == 400


def test_schemas_need_a_scope_of_their_own(caller: Caller):
    """HubSpot 10: the names of the scopes stand elsewhere than in other refusals."""
    caller.emulator.withhold_scopes("crm.schemas.custom.read")
    reply = caller.get(SCHEMAS)
    assert (reply.status, reply.json["category"]) == (403, "MISSING_SCOPES")
    assert reply.json["context"]["requiredGranularScopes"] == ["crm.schemas.custom.read"]
    assert caller.get(LIST).status == 200
    caller.emulator.withhold_scopes()
    assert caller.get(SCHEMAS).status == 200


def test_associations_that_need_both_scopes(caller: Caller):
    """HubSpot 5.4: not proved; without the far end's scope the whole call is refused."""
    caller.emulator.withhold_scopes("crm.objects.companies.read")
    assert caller.get(LIST, associations="companies").status == 200
    assert edges(caller).status in {200, 207}
    caller.emulator.hostility = Hostility(strict_scopes=True)
    for reply in (caller.get(LIST, associations="companies"), edges(caller)):
        assert (reply.status, reply.json["category"]) == (403, "MISSING_SCOPES")
        context = reply.json["errors"][0]["context"]
        assert context["requiredGranularScopes"] == ["crm.objects.companies.read"]
    assert caller.get(LIST).status == 200
    assert caller.get("/crm/v3/properties/companies").status == 200


def test_types_that_cannot_be_searched(caller: Caller):
    """Each search is a 400; the list works."""
    caller.emulator.hostility = Hostility(unsearchable={"contacts"})
    reply = caller.search("contacts")
    assert (reply.status, reply.json["category"]) == (400, "VALIDATION_ERROR")
    assert caller.search("companies").status == 200
    assert caller.get(LIST).status == 200


@pytest.mark.parametrize(
    ("loop", "expected"), [("same", ["a", "a", "a", "a"]), ("pair", ["a", "b", "a", "b"])]
)
def test_edges_that_lead_back(caller: Caller, loop, expected):
    """The same `after` for ever, or two that take turns; the rows stay the same."""
    first = ids(caller)[0]
    caller.emulator.hostility = Hostility(
        looping_edges_of={"contacts": [first]}, loop=loop, association_page=2
    )
    single = f"/crm/v4/objects/contacts/{first}/associations/companies"
    for ask in (
        lambda after: edges(caller, first, after=after).json["results"][0],
        lambda after: caller.get(single, **({"after": after} if after else {})).json,
    ):
        afters: list[str] = []
        rows = []
        for _ in range(4):
            block = ask(afters[-1] if afters else None)
            afters.append(block["paging"]["next"]["after"])
            rows.append([one["toObjectId"] for one in block.get("to") or block["results"]])
        letters = dict(zip(dict.fromkeys(afters), "ab", strict=False))
        assert [letters[one] for one in afters] == expected
        assert rows == [rows[0]] * 4
    assert caller.emulator.lies.count("looping_edges_of") == 8


def test_edges_that_lead_back_for_now(caller: Caller):
    """A share of the answers: who goes on has them all."""
    first = ids(caller)[0]
    caller.emulator.hostility = Hostility(looping_edges=0.5, association_page=1)
    found: list[int] = []
    after = None
    for _ in range(50):
        block = edges(caller, first, after=after).json["results"][0]
        found += [one["toObjectId"] for one in block["to"]]
        after = block.get("paging", {}).get("next", {}).get("after")
        if after is None:
            break
    assert after is None
    assert len(set(found)) == 3
    assert caller.emulator.lies.count("looping_edges") > 0


@pytest.mark.parametrize("opaque", [True, False])
@pytest.mark.parametrize("loop", ["same", "pair"])
def test_lists_that_lead_back(caller: Caller, loop, opaque):
    """The first page again and again."""
    caller.emulator.hostility = Hostility(looping_list=1, loop=loop, opaque_after=opaque)
    afters: list[str] = []
    for _ in range(6):
        reply = caller.get(LIST, limit=7, **({"after": afters[-1]} if afters else {}))
        assert reply.ids == ids(caller)[:7]
        afters.append(reply.after or "")
    assert len(set(afters)) == (1 if loop == "same" else 2)
    assert afters[0] == afters[2] == afters[4]
    caller.emulator.hostility = Hostility(looping_list=0.5, loop=loop, opaque_after=opaque)
    assert {one for page in walk(caller, 7) for one in page} == set(ids(caller))


@pytest.mark.parametrize("opaque", [True, False])
def test_lists_without_an_end(caller: Caller, opaque):
    """Empty pages, each with a higher `after`; those of a share lead on."""
    caller.emulator.hostility = Hostility(endless_list=1, opaque_after=opaque)
    afters: list[str] = []
    for _ in range(20):
        reply = caller.get(LIST, limit=10, **({"after": afters[-1]} if afters else {}))
        assert reply.ids == []
        afters.append(reply.after or "")
    assert len(set(afters)) == 20
    if not opaque:
        assert sorted(afters, key=int) == afters
    caller.emulator.hostility = Hostility(endless_list=0.5, opaque_after=opaque)
    assert {one for page in walk(caller) for one in page} == set(ids(caller))
    caller.emulator.hostility = Hostility(endless_list_tail=True, opaque_after=opaque)
    found = walk(caller, pages=30)
    assert [one for page in found[:3] for one in page] == ids(caller)
    assert found[3:] == [[]] * 27


def test_searches_without_an_end(caller: Caller):
    """No rows, and a next page."""
    caller.emulator.hostility = Hostility(endless_search=1)
    replies = [caller.search("contacts", after=str(place)) for place in range(5)]
    assert [reply.after for reply in replies] == ["1", "2", "3", "4", "5"]
    assert [reply.ids for reply in replies] == [[]] * 5
    assert {reply.json["total"] for reply in replies} == {30}


def dated(reply: Any, clock: ManualClock) -> timedelta:
    """How far the header is ahead of the clock."""
    return parsedate_to_datetime(reply.headers["Date"]) - clock.now()


def test_dates_of_answers(caller: Caller, clock):
    """The header is the clock's, ahead of it, behind it, and now and then far off."""
    assert dated(caller.get(LIST), clock) == timedelta()
    caller.emulator.hostility = Hostility(date_offset=-5)
    assert dated(caller.get(LIST), clock) == timedelta(seconds=-5)
    caller.emulator.hostility = Hostility(date_offset=5, date_jumps=0.3, date_jump=1200)
    offsets = {dated(caller.get(LIST), clock) for _ in range(30)}
    assert offsets == {timedelta(seconds=5), timedelta(seconds=1205)}
    created = caller.emulator.create("contacts")
    assert caller.emulator.records("contacts")[created].created_at == clock.now()
    caller.emulator.hostility = Hostility(date_missing=1)
    assert "Date" not in caller.get(LIST).headers
    caller.emulator.hostility = Hostility(date_broken=1)
    with pytest.raises(ValueError, match="date"):
        parsedate_to_datetime(caller.get(LIST).headers["Date"])
    assert caller.emulator.lies.counts().keys() == {
        "date_offset", "date_jumps", "date_missing", "date_broken",
    }  # fmt: skip


def test_limits_on_what_is_asked(caller: Caller):
    """HubSpot 1.7 and 11.6: a long URL is a 414, a long search a 400."""
    path = f"{LIST}?limit=1&properties="
    caller.emulator.hostility = Hostility(url_limit=8000, search_body_limit=3000)
    assert caller.call("GET", path + "x" * (8000 - len(path))).status == 200
    assert caller.call("GET", path + "x" * (8001 - len(path))).status == 414
    assert caller.search("contacts", properties=["x" * 2000]).status == 200
    reply = caller.search("contacts", properties=["x" * 3000])
    assert (reply.status, reply.json["category"]) == (400, "VALIDATION_ERROR")
    assert caller.emulator.lies.counts() == {"url_limit": 1, "search_body_limit": 1}


def test_every_part_over_the_control_path(caller: Caller):
    """What is put comes back, and the lies are counted there."""
    settings = Hostility(
        unanswerable={"contacts": ["1"]},
        unsearchable={"deals"},
        inline_keys={"2-5": "pets"},
        date_offset=timedelta(minutes=-2),
        index_lag=(1, 2),
        list_gaps=1,
        meddling={"edits_per_call": 0.5},
    )
    assert Hostility(**settings.to_json()) == settings
    reply = caller.call("PUT", "/_emulator/hostility", json_of(settings))
    assert reply.json == settings.to_json()
    assert caller.emulator.hostility == settings
    caller.get(LIST)
    assert caller.get("/_emulator/lies").json["counts"]["list_gaps"] == 1
    caller.call("DELETE", "/_emulator/lies")
    assert caller.get("/_emulator/lies").json == {"counts": {}}
    caller.post("/_emulator/withhold_scopes", {"scopes": ["crm.objects.contacts.read"]})
    assert caller.get(LIST).status == 403


def json_of(settings: Hostility) -> bytes:
    """As a body."""
    return json.dumps(settings.to_json()).encode()
