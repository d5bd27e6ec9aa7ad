"""Search pages as they should not be: HubSpot 11.1 to 11.4 and 11.8."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

SEARCH = "/crm/v3/objects/contacts/search"
LOW, HIGH = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in (2021, 2025))
WINDOW = {
    "propertyName": "lastmodifieddate",
    "operator": "BETWEEN",
    "value": str(int(LOW.timestamp() * 1000)),
    "highValue": str(int(HIGH.timestamp() * 1000)),
}


@pytest.fixture(scope="module")
def account() -> Iterator[Caller]:
    """300 contacts, half of them in the window."""
    with HubSpotEmulator(contacts=300, clock=ManualClock()) as emulator:
        yield Caller(emulator)


@contextmanager
def hostile(account: Caller, **settings: Any) -> Iterator[Caller]:
    """The account, hostile in this way for a while."""
    account.emulator.hostility = Hostility(**settings)
    yield account
    account.emulator.hostility = Hostility()


def inside(account: Caller) -> list[str]:
    """The ids of the records in the window, ascending."""
    records = account.emulator.records("contacts").items()
    return [one for one, record in records if LOW <= record.modified_at <= HIGH]


def page(account: Caller, after: str = "0", limit: int = 20, **more: Any) -> Any:
    """One page of a walk by id through the window."""
    above = {"propertyName": "hs_object_id", "operator": "GT", "value": after}
    return account.search("contacts", WINDOW, above, limit=limit, **more)


def ascends(reply: Any) -> bool:
    """Whether the ids of a page rise strictly."""
    return all(int(one) < int(other) for one, other in pairwise(reply.ids))


def walk(account: Caller) -> list[str]:
    """A careful walk: each page again until it is in order, whole by its total and in the window.

    Rows outside the window or already seen are left out; rises above the highest id in order.
    """
    found: list[str] = []
    while True:
        reply = page(account, found[-1] if found else "0")
        if reply.status != 200 or not ascends(reply):
            continue
        low, high = WINDOW["value"], WINDOW["highValue"]
        new = [
            row["id"]
            for row in reply.json["results"]
            if int(low) <= modified(row) <= int(high) and row["id"] not in found
        ]
        if len(new) + len(found) == len(inside(account)) or (reply.after and new):
            found += new
        if reply.after is None and len(found) == len(inside(account)):
            return found


def modified(row: Any) -> int:
    """A row's modified milliseconds."""
    instant = datetime.fromisoformat(row["updatedAt"].replace("Z", "+00:00"))
    return (instant - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)


def test_nothing_of_it_by_default(account: Caller):
    """The default emulator's pages are full, in order, in the window, and counted right."""
    expected = inside(account)
    assert account.emulator.hostility == Hostility()
    for start in range(0, len(expected), 20):
        reply = page(account, expected[start - 1] if start else "0")
        assert reply.ids == expected[start : start + 20]
        assert reply.json["total"] == len(expected) - start
        assert (reply.after == "20") == (start + 20 < len(expected))


def test_rows_out_of_order(account: Caller):
    """HubSpot 11.1: others fail on them; here a page of the same rows, hs_object_id too."""
    expected = inside(account)[:20]
    with hostile(account, search_disorder=1):
        reply = page(account)
    assert reply.ids != expected
    assert sorted(reply.ids, key=int) == expected


def test_sort_broken_by_up_to_an_hour(account: Caller):
    """HubSpot 11.1: a sort by modified time is off, the same way on each page."""
    emulator, sort = account.emulator, ["lastmodifieddate"]
    with hostile(account, sort_jitter=timedelta(days=30)):
        rows = [
            row
            for after in ("0", "20", "40")
            for row in account.search("contacts", WINDOW, sorts=sort, limit=20, after=after).json[
                "results"
            ]
        ]
        instants = [modified(row) for row in rows]
        assert len({row["id"] for row in rows}) == 60
        assert instants != sorted(instants)
        late = max(high - low for high, low in pairwise(instants))
        assert 0 < late <= 60 * 86_400_000
    exact = account.search("contacts", WINDOW, sorts=sort).json["results"]
    assert [modified(row) for row in exact] == sorted(map(modified, exact))
    assert emulator.hostility.sort_jitter == timedelta()


def test_rows_outside_the_window(account: Caller):
    """HubSpot 11.1: rows below and above; they stand where ids rise."""
    expected, strays, after = inside(account), [], "0"
    with hostile(account, stray_rows=1):
        for _ in range(5):
            reply = page(account, after)
            assert len(reply.ids) <= 20
            assert ascends(reply)
            new = [row for row in reply.json["results"] if row["id"] not in expected]
            assert len(new) <= 1
            assert reply.json["total"] == len([n for n in expected if int(n) > int(after)]) + len(
                new
            )
            strays += new
            after = reply.ids[-1]
        last = page(account, expected[-2])
    assert len(last.ids) == 2
    sides = {modified(row) < int(WINDOW["value"]) for row in [*strays, *last.json["results"]]}
    assert len(strays) > 2
    assert sides == {True, False}


def test_total_drifts(account: Caller):
    """HubSpot 11.8: `total` may drift from page to page."""
    with hostile(account, total_drift=1, total_drift_rows=2):
        totals = {page(account).json["total"] - len(inside(account)) for _ in range(40)}
    assert totals == {-2, -1, 1, 2}


def test_short_pages(account: Caller):
    """HubSpot 1.7: a page's size says nothing; `paging.next` is there all the same."""
    with hostile(account, short_pages=1):
        reply = page(account)
        assert 0 < len(reply.ids) <= 20
        assert reply.after == str(len(reply.ids))
        assert reply.ids == inside(account)[: len(reply.ids)]
        # The very last row: nothing can follow, and yet it goes on.
        last = page(account, inside(account)[-2])
        assert (last.ids, last.after) == (inside(account)[-1:], "1")
        beyond = page(account, inside(account)[-1])
        assert (beyond.ids, beyond.after) == ([], None)


def test_empty_pages(account: Caller):
    """A page without rows that goes on at the same place; asked again, the rows come."""
    with hostile(account, empty_pages=0.5):
        replies = [page(account) for _ in range(20)]
    empty = [reply for reply in replies if not reply.ids]
    assert 0 < len(empty) < 20
    assert {reply.after for reply in empty} == {"0"}
    assert {tuple(reply.ids) for reply in replies} == {(), tuple(inside(account)[:20])}


@pytest.mark.parametrize("offset", [True, False])
def test_rows_of_the_page_before(account: Caller, offset):
    """HubSpot 11.4: offsets shift, so rows come again; by id too."""
    expected = inside(account)
    with hostile(account, repeated_rows=1):
        given = {"after": "20"} if offset else {}
        reply = (
            account.search("contacts", WINDOW, limit=20, **given)
            if offset
            else page(account, expected[19])
        )
        first = page(account)
    assert reply.ids == expected[15:35]
    assert first.ids == expected[:20]
    assert reply.after == ("35" if offset else "15")


def test_missing_rows_are_counted(account: Caller):
    """HubSpot 11.1: rows are left out; only `total` knows of them."""
    expected = inside(account)[:20]
    with hostile(account, missing_rows=1):
        replies = [page(account) for _ in range(10)]
    assert {len(reply.ids) for reply in replies} == {19}
    assert {reply.json["total"] for reply in replies} == {len(inside(account))}
    gone = {one for reply in replies for one in expected if one not in reply.ids}
    assert len(gone) > 1


@pytest.mark.parametrize("poison", ["error", "disorder"])
def test_poisonous_rows(account: Caller, poison):
    """HubSpot 1.7 "500 trap": some rows break each page that they are on, however small."""
    expected = inside(account)
    with hostile(account, poisonous={"contacts": [expected[30]]}, poison=poison):
        assert page(account).ids == expected[:20]
        assert page(account, expected[30]).ids == expected[31:51]
        for limit in (20, 2, 1):
            reply = page(account, expected[29], limit=limit)
            assert reply.status == (500 if poison == "error" else 200)
            assert poison == "error" or not ascends(reply)
        # In the list and in single reads it does no harm.
        listed = account.get("/crm/v3/objects/contacts", after=expected[30], limit=1)
        assert listed.ids == [expected[30]]
        assert account.emulator.add_object_type("deals") == "deals"
        assert account.post("/crm/v3/objects/companies/search", {}).status == 200


@pytest.mark.parametrize("sort", ["hs_object_id", "lastmodifieddate"])
def test_pages_by_offset_lose_nothing(account: Caller, sort):
    """A walk along `after` has every row, repeats and strays left out: what is cut comes next."""
    expected = inside(account)
    for seed in range(5):
        with hostile(account, seed=seed, short_pages=0.4, stray_rows=0.4, repeated_rows=0.4):
            found: set[str] = set()
            after: str | None = "0"
            while after is not None:
                reply = account.search("contacts", WINDOW, sorts=[sort], limit=20, after=after)
                found.update(reply.ids)
                after = reply.after
            assert found >= set(expected)


@pytest.mark.parametrize("seed", range(5))
def test_a_careful_reader_loses_nothing(account: Caller, seed):
    """Everything at once, except poison: what one answer leaves out comes with another."""
    shares = {
        "search_disorder": 0.2,
        "stray_rows": 0.3,
        "total_drift": 0.3,
        "short_pages": 0.3,
        "empty_pages": 0.2,
        "repeated_rows": 0.3,
    }
    with hostile(account, seed=seed, **shares):
        assert walk(account) == inside(account)


def test_the_parts_are_independent_and_seeded(account: Caller):
    """The same seed hits the same pages, whatever else is on; another seed hits others."""

    def hit(**settings):
        with hostile(account, missing_rows=0.3, **settings):
            starts = inside(account)[::7]
            return [len(page(account, one, limit=5).ids) for one in starts[:-2]]

    first = hit()
    assert first == hit() == hit(total_drift=1)
    assert first != hit(seed=2)
    assert 0 < first.count(4) < len(first)


def test_too_many_rows_in_one_millisecond():
    """HubSpot 11.2: 15,000 ties are real, and a search by offset ends at 10,000 with a 400."""
    clock = ManualClock()
    with HubSpotEmulator(contacts=15_001, clock=clock) as emulator:
        emulator.touch("contacts", count=15_000)
        caller = Caller(emulator)
        instant = str(int(clock.now().timestamp() * 1000))
        tie = {"propertyName": "lastmodifieddate", "operator": "EQ", "value": instant}
        assert caller.search("contacts", tie, limit=1).json["total"] == 15_000
        rows, after, reply = 0, "0", None
        while after is not None:
            reply = caller.search("contacts", tie, sorts=["lastmodifieddate"], after=after)
            if reply.status != 200:
                break
            rows, after = rows + len(reply.ids), reply.after
        assert (rows, reply and reply.status) == (10_000, 400)


@pytest.mark.parametrize(
    "wrong",
    [
        {"short_pages": 1.5},
        {"missing_rows": -0.1},
        {"poison": "arsenic"},
        {"index_lag": (60, 1)},
        {"index_lag": -1},
        {"sort_jitter": -1},
        {"inline_page": 0},
        {"refused_families": {"v2"}},
        {"meddling": {"edits_per_call": -1}},
        {"other_apps_search_rate": -1},
        {"total_drift_rows": 0},
    ],
)
def test_impossible_hostility(wrong):
    """Hostility that could never happen is refused when it is made."""
    with pytest.raises(ValueError):
        Hostility(**wrong)
