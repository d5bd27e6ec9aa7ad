"""An account that changes while it is read: HubSpot 11.4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Call, Hostility, HubSpotEmulator, Meddling
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"


@pytest.fixture
def caller() -> Iterator[Caller]:
    """A small account."""
    with HubSpotEmulator(contacts=30, companies=6, clock=ManualClock()) as emulator:
        yield Caller(emulator)


def test_hooks_change_the_account_before_the_answer(caller: Caller):
    """The answer already shows what the hook did; the hook knows the call, not its outcome."""
    seen: list[Call] = []

    def create(call: Call) -> None:
        seen.append(call)
        caller.emulator.create("contacts")

    caller.emulator.on_call(create)
    reply = caller.get("/crm/v3/objects/0-1", limit=100)
    assert len(reply.ids) == 31
    assert [(call.route, call.object_type, call.status) for call in seen] == [
        ("list", "contacts", 0)
    ]
    assert [call.status for call in caller.emulator.calls] == [200]


def test_hooks_by_route_and_turn(caller: Caller):
    """Only the named route, only each second call, until it is removed."""
    routes: list[str] = []
    remove = caller.emulator.on_call(lambda call: routes.append(call.route), "search", every=2)
    for _ in range(5):
        caller.search("contacts")
        caller.get(LIST)
    assert routes == ["search", "search"]
    remove()
    caller.search("contacts")
    assert len(routes) == 2
    with pytest.raises(ValueError, match="every"):
        caller.emulator.on_call(routes.append, every=0)
    with pytest.raises(ValueError, match="route"):
        caller.emulator.on_call(routes.append, "lists")


def test_hooks_that_fail_are_a_500(caller: Caller, capfd):
    """A mistake of the test is loud, and no lost connection."""
    caller.emulator.on_call(lambda _call: 1 / 0)
    assert caller.get(LIST).status == 500
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_hooks_do_not_hold_the_account(caller: Caller):
    """A hook may wait for another call: it runs outside the portal's lock."""
    inner: list[int] = []

    def ask(call: Call) -> None:
        if call.route == "list":
            inner.append(caller.search("contacts").status)

    caller.emulator.on_call(ask)
    assert caller.get(LIST).status == 200
    assert inner == [200]


def test_meddling(caller: Caller):
    """Each call changes, adds, deletes and connects records of its type."""
    emulator = caller.emulator
    emulator.hostility = Hostility(meddling=Meddling(edits_per_call=2, creates_per_call=1))
    before = dict(emulator.records("contacts"))
    caller.get(LIST)
    after = dict(emulator.records("contacts"))
    assert len(after) == 31
    changed = [one for one in before if before[one] != after[one]]
    assert 1 <= len(changed) <= 2
    assert all(after[one].modified_at > before[one].modified_at for one in changed)
    emulator.hostility = Hostility(meddling=Meddling(archives_per_call=0.5))
    for _ in range(20):
        assert not set(emulator.records("contacts", archived=True)) & set(
            caller.get(LIST, limit=100).ids
        )
    assert 3 < len(emulator.records("contacts", archived=True)) < 17


def test_meddling_with_computed_values(caller: Caller):
    """HubSpot 9: they change, and no modified date moves; search shows them, too."""
    before = dict(caller.emulator.records("contacts"))
    caller.emulator.hostility = Hostility(meddling=Meddling(recalculations_per_call=2))
    rows = caller.search("contacts", properties=["hs_analytics_last_timestamp"], limit=100).json[
        "results"
    ]
    after = dict(caller.emulator.records("contacts"))
    changed = [one for one in before if before[one] != after[one]]
    assert 1 <= len(changed) <= 2
    assert all(after[one].modified_at == before[one].modified_at for one in before)
    shown = {row["id"]: row["properties"]["hs_analytics_last_timestamp"] for row in rows}
    name = "hs_analytics_last_timestamp"
    assert shown == {one: record.properties[name] for one, record in after.items()}


def test_meddling_with_associations(caller: Caller):
    """HubSpot 2.5: edges come and go, and no modified date moves."""

    def edges():
        records = caller.emulator.records("contacts").items()
        return {(one, other) for one, r in records for other in r.associations.get("companies", {})}

    dates = [record.modified_at for record in caller.emulator.records("contacts").values()]
    before = edges()
    caller.emulator.hostility = Hostility(meddling=Meddling(associations_per_call=3))
    for _ in range(10):
        caller.get("/crm/v3/objects/companies")
    assert edges() - before
    assert before - edges()
    assert dates == [r.modified_at for r in caller.emulator.records("contacts").values()]


def test_meddling_leaves_other_calls_alone(caller: Caller):
    """No object type, nothing to meddle with; no record, nothing to change."""
    before = dict(caller.emulator.records("contacts"))
    caller.emulator.hostility = Hostility(meddling=Meddling(edits_per_call=1, archives_per_call=1))
    assert caller.get("/account-info/v3/details").status == 200
    caller.emulator.archive("companies", *caller.emulator.records("companies"))
    assert caller.get("/crm/v3/objects/companies").ids == []
    assert before.keys() == caller.emulator.records("contacts").keys()


def test_meddling_is_seeded():
    """The same seed, the same changes."""

    def account(seed):
        hostility = Hostility(
            seed=seed, meddling=Meddling(edits_per_call=2.5, archives_per_call=0.3)
        )
        with HubSpotEmulator(contacts=30, clock=ManualClock(), hostility=hostility) as emulator:
            for _ in range(10):
                Caller(emulator).get(LIST)
            return dict(emulator.records("contacts"))

    assert account(1) == account(1)
    assert account(1) != account(2)


def test_nothing_changes_by_default(caller: Caller):
    """Reading the default emulator changes nothing in it."""
    before = [dict(caller.emulator.records(name)) for name in ("contacts", "companies")]
    caller.get(LIST, limit=100, associations="companies")
    caller.search("companies")
    assert before == [dict(caller.emulator.records(name)) for name in ("contacts", "companies")]


def test_control_path(caller: Caller):
    """Another process sets and reads the hostility, and lets the index catch up."""
    given = {
        "index_lag": [1, 2.5],
        "poisonous": {"contacts": ["7"]},
        "refused_families": ["v4"],
        "meddling": {"edits_per_call": 1},
    }
    set_ = caller.call("PUT", "/_emulator/hostility", _json(given))
    assert set_.status == 200
    shown = caller.get("/_emulator/hostility").json
    assert shown == set_.json
    assert {name: shown[name] for name in ("index_lag", "poisonous", "refused_families")} == {
        name: given[name] for name in ("index_lag", "poisonous", "refused_families")
    }
    assert Hostility(**shown) == caller.emulator.hostility
    caller.get(LIST)
    assert caller.post("/_emulator/settle_index", {}).status == 200
    assert caller.call("PUT", "/_emulator/scopes", _json({"scopes": ["oauth"]})).status == 200
    assert caller.emulator.scopes == {"oauth"}
    for path, body in (("hostility", {"colour": 1}), ("hostility", {"short_pages": 2})):
        assert caller.call("PUT", f"/_emulator/{path}", _json(body)).status == 400
    assert caller.call("PUT", "/_emulator/calls", b"{}").status == 404
    assert caller.call("PUT", "/_emulator/hostility", b"{}").status == 200
    assert caller.emulator.hostility == Hostility()


def _json(content: object) -> bytes:
    import json

    return json.dumps(content).encode()
