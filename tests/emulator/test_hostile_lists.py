"""List pages and association lists as they should not be: HubSpot 1.2, 1.3, 1.6, 2.1 and 3.4."""

from __future__ import annotations

import base64
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
BATCH = "/crm/v4/associations/contacts/companies/batch/read"


@pytest.fixture
def caller() -> Iterator[Caller]:
    """60 contacts, of whom the first has five companies."""
    with HubSpotEmulator(contacts=60, companies=5, clock=ManualClock()) as emulator:
        first = next(iter(emulator.records("contacts")))
        for company in emulator.records("companies"):
            emulator.associate("contacts", first, "companies", company)
        yield Caller(emulator)


def ids(caller: Caller) -> list[str]:
    """The ids of all contacts, ascending."""
    return list(caller.emulator.records("contacts"))


def pages(caller: Caller, limit: int = 7, **more: Any) -> list[list[str]]:
    """A walk along `after`, page by page."""
    found, after = [], None
    while True:
        reply = caller.get(LIST, limit=limit, **({"after": after} if after else {}), **more)
        assert reply.status == 200
        found.append(reply.ids)
        after = reply.after
        if after is None:
            return found


def flat(found: list[list[str]]) -> list[str]:
    """All rows of all pages."""
    return [one for page in found for one in page]


def test_nothing_of_it_by_default(caller: Caller):
    """HubSpot 1.2: ascending ids, full pages, each row once, `after` is the next id for ever."""
    found = pages(caller)
    assert flat(found) == ids(caller)
    assert {len(page) for page in found[:-1]} == {7}
    for _ in range(20):
        reply = caller.get(LIST, limit=7)
    assert reply.after == ids(caller)[7]
    assert caller.get(LIST, limit=1, after=reply.after).ids == [reply.after]


def test_rows_out_of_order_within_pages(caller: Caller):
    """HubSpot 1.2: ascending order is observed, not promised."""
    caller.emulator.hostility = Hostility(list_disorder=1)
    found = pages(caller)
    assert [sorted(page, key=int) for page in found] == [
        ids(caller)[i : i + 7] for i in range(0, 60, 7)
    ]
    assert all(page != sorted(page, key=int) for page in found if len(page) > 1)


def test_records_on_later_pages(caller: Caller):
    """A record comes behind higher ids, pages later; a walk along `after` has each once."""
    caller.emulator.hostility = Hostility(list_stragglers=0.1)
    found = flat(pages(caller))
    assert sorted(found, key=int) == ids(caller)
    late = [later for earlier, later in pairwise(found) if int(later) < int(earlier)]
    assert 0 < len(late) < 20
    # A walk that begins at an id of its own choice meets a row from before it.
    again = caller.get(LIST, limit=100, after=str(int(late[0]) + 1)).ids
    assert late[0] in again


def test_stragglers_while_records_go(caller: Caller):
    """What stays is not lost when a straggler is archived that `after` points to."""
    caller.emulator.hostility = Hostility(list_stragglers=0.5)
    seen: set[str] = set()
    after: str | None = "0"
    while after is not None:
        reply = caller.get(LIST, limit=4, after=after)
        seen.update(reply.ids)
        after = reply.after
        if after is not None and len(ids(caller)) > 50:
            caller.emulator.archive("contacts", after)
    assert seen >= set(ids(caller))


def test_rows_on_two_pages(caller: Caller):
    """A page begins with the last row of the one before, and the walk still ends."""
    caller.emulator.hostility = Hostility(list_repeats=1)
    found = pages(caller)
    assert all(page[-1] == following[0] for page, following in pairwise(found))
    assert sorted(set(flat(found)), key=int) == ids(caller)


def test_short_list_pages(caller: Caller):
    """Fewer rows than asked for, and a next page all the same."""
    caller.emulator.hostility = Hostility(short_pages=1)
    found = pages(caller)
    assert flat(found) == ids(caller)
    assert len(found) > 10
    assert min(map(len, found)) < 7


def test_opaque_after(caller: Caller):
    """HubSpot 1.2: `after` is to be treated as opaque; text of one's own is a 400."""
    caller.emulator.hostility = Hostility(opaque_after=True)
    assert flat(pages(caller)) == ids(caller)
    after = caller.get(LIST, limit=5).after
    assert after is not None
    assert not after.isdecimal()
    forged = base64.urlsafe_b64encode(ids(caller)[9].encode()).decode()
    for wrong in (ids(caller)[9], forged, "ü", f"{after}x"):
        reply = caller.get(LIST, after=wrong)
        assert (reply.status, reply.json["category"]) == (400, "VALIDATION_ERROR")
    other = caller.get("/crm/v3/objects/companies", after=after)
    assert other.status == 400


@pytest.mark.parametrize("opaque", [True, False])
def test_stale_after_some_calls(caller: Caller, opaque):
    """HubSpot 3.4: a bad paging value is a 400; nobody promises how long one is good."""
    caller.emulator.hostility = Hostility(stale_after_calls=3, opaque_after=opaque)
    after = caller.get(LIST, limit=5).after
    statuses = [caller.get(LIST, limit=5, after=after).status for _ in range(5)]
    assert statuses == [200, 200, 200, 400, 400]
    fresh = caller.get(LIST, limit=5).after
    assert caller.get(LIST, limit=5, after=fresh).status == 200
    assert sorted(flat(pages(caller)), key=int) == ids(caller)


def test_stale_at_once(caller: Caller):
    """A share of the values is refused as often as they are used, until given out again."""
    caller.emulator.hostility = Hostility(stale_after=0.5)
    answers = []
    for _ in range(20):
        after = caller.get(LIST, limit=5).after
        statuses = {caller.get(LIST, limit=5, after=after).status for _ in range(3)}
        assert len(statuses) == 1
        answers += statuses
    assert set(answers) == {200, 400}


def test_everything_at_once(caller: Caller):
    """A walk along `after` that removes repeats has every row: what is due comes."""
    caller.emulator.hostility = Hostility(
        list_disorder=0.3, list_stragglers=0.2, list_repeats=0.3, short_pages=0.3, opaque_after=True
    )
    archived = ids(caller)[::6]
    caller.emulator.archive("contacts", *archived)
    assert sorted(set(flat(pages(caller))), key=int) == ids(caller)
    assert sorted(set(flat(pages(caller, limit=3, archived="true"))), key=int) == archived


def test_repeated_inline_edges(caller: Caller):
    """HubSpot 1.3: the same id and the same type come twice: de-duplicate."""

    def rows():
        results = caller.get(LIST, limit=100, associations="companies").json["results"]
        return [
            [(row["id"], row["type"]) for row in one["associations"]["companies"]["results"]]
            for one in results
            if "associations" in one
        ]

    plain = rows()
    assert all(len(set(block)) == len(block) for block in plain)
    caller.emulator.hostility = Hostility(repeated_edges=1)
    doubled = rows()
    assert [len(block) + 1 for block in plain] == [len(block) for block in doubled]
    assert [set(block) for block in plain] == [set(block) for block in doubled]


def test_repeated_edges_in_batches(caller: Caller):
    """The same edge twice, and the same type twice; nothing else is added."""
    body = {"inputs": [{"id": ids(caller)[0]}]}

    def edges():
        (one,) = caller.post(BATCH, body).json["results"]
        return [
            (edge["toObjectId"], kind["typeId"])
            for edge in one["to"]
            for kind in edge["associationTypes"]
        ]

    plain = edges()
    assert max(Counter(plain).values()) == 1
    caller.emulator.hostility = Hostility(repeated_edges=1)
    assert set(edges()) == set(plain)
    assert max(Counter(edges()).values()) > 1
    single = caller.get(f"{LIST}/{ids(caller)[0]}", associations="companies").json
    assert len(single["associations"]["companies"]["results"]) > len(plain)


def test_small_portions_inline(caller: Caller):
    """Dlt #593: the rest is behind `paging.next.link` inside the block."""
    caller.emulator.hostility = Hostility(inline_page=2)
    block = caller.get(LIST, limit=1, associations="companies").json["results"][0]
    block = block["associations"]["companies"]
    found = [row["id"] for row in block["results"]]
    while "paging" in block:
        assert len({row["id"] for row in block["results"]}) <= 2
        path = block["paging"]["next"]["link"].removeprefix(caller.base_url)
        block = caller.call("GET", path).json
        found += [row["id"] for row in block["results"]]
    assert sorted(set(found), key=int) == list(caller.emulator.records("companies"))


def test_small_portions_in_batches(caller: Caller):
    """HubSpot 2.1: `paging` inside each result, its `after` goes into that input."""
    caller.emulator.hostility = Hostility(association_page=2)
    given: dict[str, str] | None = {"id": ids(caller)[0]}
    found: list[list[str]] = []
    while given:
        (one,) = caller.post(BATCH, {"inputs": [given]}).json["results"]
        found.append([str(edge["toObjectId"]) for edge in one["to"]])
        after = one.get("paging", {}).get("next", {}).get("after")
        given = after and {"id": given["id"], "after": after}
    assert [len(page) for page in found] == [2, 2, 1]
    assert flat(found) == list(caller.emulator.records("companies"))
    path = f"/crm/v4/objects/contacts/{ids(caller)[0]}/associations/companies"
    assert len(caller.get(path, limit=500).json["results"]) == 2


def test_inputs_that_a_batch_ignores(caller: Caller):
    """HubSpot 1.6: nothing forbids fewer rows; neither in `results` nor in `errors`."""
    body = {"inputs": [{"id": one} for one in ids(caller)]}

    def named():
        content = caller.post(BATCH, body).json
        with_edges = {one["from"]["id"] for one in content["results"]}
        return with_edges | {one["context"]["fromObjectId"][0] for one in content.get("errors", ())}

    assert named() == set(ids(caller))
    caller.emulator.hostility = Hostility(dropped_inputs=1)
    first, second = named(), named()
    assert len(first) == len(second) == 54
    assert first != second


def test_inputs_that_a_batch_read_ignores(caller: Caller):
    """HubSpot 1.6: a record is neither there nor reported, and there when it is asked for again."""
    body = {"inputs": [{"id": one} for one in ids(caller)], "properties": []}
    caller.emulator.hostility = Hostility(dropped_inputs=0.5)
    replies = [caller.post(f"{LIST}/batch/read", body) for _ in range(10)]
    assert {reply.status for reply in replies} == {200}
    assert {len(reply.ids) for reply in replies} == {54, 60}
