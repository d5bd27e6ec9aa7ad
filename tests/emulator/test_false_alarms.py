"""Answers that look as if records had been deleted, of an emulator that deleted none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Fault, Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
BATCH = f"{LIST}/batch/read"
EDGES = "/crm/v4/associations/contacts/companies/batch/read"


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Contacts 1 to 4 and, archived, 5 to 8."""
    with HubSpotEmulator(clock=ManualClock()) as emulator:
        for number in map(str, range(1, 9)):
            emulator.create("contacts", object_id=number)
        emulator.archive("contacts", "5", "6", "7", "8")
        yield Caller(emulator)


@pytest.mark.parametrize(("part", "archived"), [("cut_list", "false"), ("cut_archived", "true")])
def test_a_list_ends_too_early(caller: Caller, part: str, archived: str):
    """One list alone; a page that is the last one anyway stays as it is."""
    other = "true" if archived == "false" else "false"
    caller.emulator.hostility = Hostility(**{part: 1.0})

    page = caller.get(LIST, limit=3, archived=archived)

    assert (len(page.ids), page.after) == (3, None)
    assert len(caller.get(LIST, archived=archived).ids) == 4
    assert caller.get(LIST, limit=3, archived=other).after is not None
    assert caller.emulator.lies.counts() == {part: 1}


def test_empty_lists(caller: Caller):
    """Both lists, with 200 and nothing to go on with."""
    caller.emulator.hostility = Hostility(empty_list=1.0)
    for archived in ("true", "false"):
        assert caller.get(LIST, archived=archived).json == {"results": []}
    assert caller.emulator.lies.counts() == {"empty_list": 2}


def test_empty_searches(caller: Caller):
    """`total` says that there is none."""
    caller.emulator.hostility = Hostility(empty_search=1.0)
    assert caller.search("contacts", limit=1).json == {"total": 0, "results": []}


def test_empty_batches(caller: Caller):
    """Neither found nor not found, of records and of associations."""
    caller.emulator.hostility = Hostility(empty_batch=1.0)
    for path in (BATCH, EDGES):
        reply = caller.post(path, {"inputs": [{"id": "1"}, {"id": "2"}]})
        assert (reply.status, reply.json["results"]) == (200, [])
        assert "errors" not in reply.json
    assert caller.emulator.lies.counts() == {"empty_batch": 2}


def test_a_fault_of_the_archived_list_alone(caller: Caller):
    """Such as a 403 or a 404 that only one pass meets."""
    caller.emulator.faults.add(
        Fault(route="list", archived=True, status=403), Fault(archived=False, status=404)
    )
    assert caller.get(LIST, archived="true").status == 403
    assert caller.get(LIST).status == 404
    assert len(caller.emulator.faults) == 0


def test_a_lost_scope_comes_back(caller: Caller):
    """HubSpot 5.4: both lists are refused meanwhile, of one object type alone."""
    caller.emulator.withhold_scopes("crm.objects.contacts.read")
    for archived in ("true", "false"):
        reply = caller.get(LIST, archived=archived)
        assert (reply.status, reply.json["category"]) == (403, "MISSING_SCOPES")
    assert caller.get("/crm/v3/objects/companies").status == 200

    caller.emulator.withhold_scopes()

    assert len(caller.get(LIST).ids) == 4
