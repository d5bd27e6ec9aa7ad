"""Random histories of an emulated account."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import EmulatedAccount, HubSpotEmulator
from kit.caller import Caller


def account() -> EmulatedAccount:
    """Some contacts and companies, deals, notes and a custom type, with labels."""
    made = EmulatedAccount(contacts=30, companies=10, clock=ManualClock())
    for name in ("deals", "notes"):
        made.add_object_type(name)
    made.add_object_type("pets", type_id="2-5")
    made.define_label("pets", "contacts", "Owner", inverse="Owns")
    return made


def everything(caller: Caller, name: str, **query: Any) -> list[str]:
    """The ids of all pages of a list."""
    page = caller.get(f"/crm/v3/objects/{name}", limit=100, **query)
    found = [*page.ids]
    while page.after:
        page = caller.get(f"/crm/v3/objects/{name}", limit=100, after=page.after, **query)
        found += page.ids
    return found


def test_a_long_history_shows_every_kind_and_agrees_with_http():
    """List, archived list, search and single reads tell what the truth says, whatever happened."""
    one = account()
    made = one.changes(3000, seed=7)

    assert min(Counter(change.kind for change in made).values()) > 20
    assert {change.object_type for change in made} == set(one.truth())
    with HubSpotEmulator(accounts=[one]) as emulator:
        caller = Caller(emulator)
        for name, truth in one.truth().items():
            assert everything(caller, name) == list(truth.live)
            assert everything(caller, name, archived="true") == list(truth.archived)
            assert caller.search(name).json["total"] == len(truth.live)
            for old, new in truth.merged.items():
                reply = caller.get(f"/crm/v3/objects/{name}/{old}")
                assert (reply.status == 200) == (new in truth.live)
                assert reply.status == 404 or reply.json["id"] == new
            for erased in truth.erased:
                assert caller.get(f"/crm/v3/objects/{name}/{erased}").status == 404


def test_associations_agree_from_both_ends():
    """After any history: no association of what is gone, and each seen from both ends."""
    one = account()
    one.changes(3000, seed=8)

    truth = one.truth()
    near = {
        (name, object_id, other, other_id, len(kinds))
        for name, found in truth.items()
        for object_id, record in found.live.items()
        for other, edges in record.associations.items()
        for other_id, kinds in edges.items()
    }
    assert near
    assert {(c, d, a, b, n) for a, b, c, d, n in near} == near
    assert all(d in truth[c].live for _, _, c, d, _ in near)
    primaries = [
        sum(kind.primary for kinds in edges.values() for kind in kinds)
        for record in truth["contacts"].live.values()
        if (edges := record.associations.get("companies"))
    ]
    assert max(primaries) == 1


def test_a_seed_repeats_a_history():
    """On another account with the same content."""
    first, second = account(), account()
    assert first.changes(500, seed=3) == second.changes(500, seed=3)
    assert first.truth() == second.truth()
    assert first.changes(50, seed=4) != second.changes(50, seed=5)


def test_kinds_and_types_can_be_chosen():
    """A mapping says how often, too; what cannot be made gives way to another kind."""
    one = account()
    source = random.Random(1)  # noqa: TID251 - reproducible seeding
    archived = [one.change(source, ["archive"], ["companies"]) for _ in range(10)]

    assert {change.kind for change in archived if change} == {"archive"}
    assert one.change(source, ["archive"], ["companies"]) is None
    change = one.change(source, {"archive": 1.0, "restore": 0.1}, ["companies"])
    assert change is not None
    assert change.kind == "restore"
    assert len(one.truth()["contacts"].live) == 30
    with pytest.raises(KeyError):
        one.change(source, ["explode"])


@settings(deadline=None)
@given(source=st.randoms(use_true_random=False))
def test_hypothesis_can_decide(source: Any):
    """Each change is told as it is: replayed, it gives the same set of records."""
    one = EmulatedAccount(contacts=4, companies=2, clock=ManualClock())
    live = {(name, found) for name in ("contacts", "companies") for found in one.records(name)}
    for _ in range(12):
        change = one.change(source)
        assert change is not None
        ids = {(change.object_type, found) for found in change.object_ids}
        if change.kind in {"archive", "merge", "erase"}:
            live -= ids
        if change.kind in {"create", "restore"}:
            live |= ids
        if change.kind == "merge" and change.result:
            live.add((change.object_type, change.result))
    assert live == {(name, found) for name, truth in one.truth().items() for found in truth.live}


def test_over_the_control_path():
    """Another process makes the same history."""
    one, other = account(), account()
    with HubSpotEmulator(accounts=[one]) as emulator:
        body = {"count": 20, "seed": 5, "kinds": ["create", "merge"]}
        made = Caller(emulator).post("/_emulator/changes", body).json["changes"]
    assert [change["kind"] for change in made] == [
        change.kind for change in other.changes(20, 5, ["create", "merge"])
    ]
    assert one.truth() == other.truth()
