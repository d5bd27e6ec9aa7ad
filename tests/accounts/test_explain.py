"""Why an object is in the host's store as it is, or is not."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from hubspot_sync import (
    HubSpotSettings,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncSettings,
    UnknownAccountError,
)
from hubspot_sync.models import Gone, InHubSpot, Verdict
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import Fault, ManualClock

ID = "62515"
STREAMS = (StreamSettings("companies"), StreamSettings("contacts", exclude=["phone"]))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    return hubspot_emulator(clock=clock, contacts=10, companies=2)


@pytest.fixture
def refused():
    """The ids of objects that the host refuses."""
    return set()


@pytest.fixture
def acme(emulator, clock, refused):
    with SyncEngine(
        MemoryStores(clock=clock),
        validators=[lambda action: "no room" if action.object_id in refused else None],
        settings=SyncSettings(max_attempts=2, max_rejected_share=1.0),
        hubspot=HubSpotSettings(base_url=emulator.base_url),
        clock=clock,
    ) as engine:
        domain = engine.domain("acme")
        domain.connect(StaticAccessToken(emulator.access_token), account_id=ID, streams=STREAMS)
        yield domain


@pytest.fixture
def sync(acme, clock):
    """Syncs, by default when deletions are looked for again."""

    def run(after=timedelta(hours=1)):
        clock.advance(after)
        return acme.sync(ID)

    return run


@pytest.fixture
def contact(emulator):
    return sorted(emulator.records("contacts"), key=int)[3]


@pytest.fixture
def explain(acme, contact):
    """Explains the contact, or another object; its JSON has to be JSON."""

    def explained(object_id=contact, object_type="contacts", *, ask=False):
        found = acme.explain(ID, object_type, object_id, ask_hubspot=ask)
        json.dumps(found.as_dict())
        assert str(found).startswith(f"acme/{ID}/{found.stream.object_type} {object_id}: ")
        assert "no room" not in repr(found)
        return found

    return explained


def why(found):
    return "\n".join(found.because)


def test_it_is_delivered(sync, explain, emulator, contact):
    """In the state that HubSpot has."""
    sync()

    found = explain(ask=True)

    assert (found.verdict, found.in_hubspot) == (Verdict.DELIVERED, InHubSpot.THERE)
    assert found.modified_at == found.modified_in_hubspot
    assert "the others are not read" in why(found)


def test_nobody_is_asked_but_the_stores(sync, explain, emulator):
    """Unless HubSpot is to be."""
    sync()
    before = emulator.calls.count()

    assert explain().in_hubspot is None
    assert emulator.calls.count() == before


def test_it_was_edited_since(sync, explain, emulator, contact, clock):
    sync()
    clock.advance(60)
    emulator.update("contacts", contact, {"city": "Cork"})

    assert explain().verdict is Verdict.DELIVERED
    found = explain(ask=True)
    assert found.verdict is Verdict.OUTDATED
    assert "the next sync brings it" in why(found)
    sync()
    assert explain(ask=True).verdict is Verdict.DELIVERED


def test_its_stream_was_never_synced(explain):
    assert explain().verdict is Verdict.WAITING
    assert "first load" in why(explain())


def test_it_was_created_since(sync, explain, emulator):
    sync()
    made = emulator.create("contacts", {"email": "new@example.com"})

    assert explain(made).verdict is Verdict.UNKNOWN
    assert explain(made, ask=True).verdict is Verdict.WAITING


def test_there_is_no_such_object(sync, explain):
    sync()

    found = explain("987654321", ask=True)

    assert (found.verdict, found.in_hubspot) == (Verdict.UNKNOWN, InHubSpot.NOWHERE)


def test_it_is_one_of_another_type(sync, explain, emulator):
    """A company's id, asked for among the contacts."""
    sync()
    company = max(emulator.records("companies"), key=int)

    assert explain(company).verdict is Verdict.UNKNOWN
    assert explain(company, "companies").verdict is Verdict.DELIVERED


def test_its_type_is_not_synced(sync, explain):
    sync()

    found = explain("7", "deals", ask=True)

    assert (found.verdict, found.in_hubspot) == (Verdict.NOT_SYNCED, None)
    assert "StreamSettings('deals')" in why(found)


def test_its_type_is_not_synced_any_more(sync, explain, acme):
    sync()
    acme.configure(ID, streams=[StreamSettings("companies")])

    assert explain().verdict is Verdict.DELIVERED
    assert "not synced any more" in why(explain())


def test_its_account_is_not_tracked(acme):
    with pytest.raises(UnknownAccountError):
        acme.explain("4711", "contacts", "1")


def test_its_account_is_paused(sync, explain, acme):
    sync()
    acme.pause(ID, reason="unpaid")

    assert "its stream: paused" in why(explain())


def test_its_account_has_to_be_reconnected(sync, explain, emulator):
    sync()
    emulator.faults.add(Fault(status=401, times=None))
    sync()

    found = explain(ask=True)

    assert "its stream: needs reconnect" in why(found)
    assert found.in_hubspot is InHubSpot.UNANSWERED


def test_its_stream_is_late(sync, explain, clock):
    sync()
    clock.advance(48 * 3_600)

    assert "its stream: stalled" in why(explain())


def test_it_was_refused(sync, explain, refused, contact):
    refused.add(contact)
    sync()

    found = explain()

    assert (found.verdict, found.rejected.attempts) == (Verdict.REFUSED, 1)
    assert "no room" in why(found)
    assert "tried again from" in why(found)


def test_it_is_parked(sync, explain, refused, contact, acme):
    refused.add(contact)
    sync()
    sync()

    assert explain().verdict is Verdict.PARKED
    assert "Domain.redrive" in why(explain())
    refused.clear()
    acme.redrive(ID)
    assert explain().verdict is Verdict.DELIVERED


def test_it_was_deleted(sync, explain, emulator, contact):
    sync()
    emulator.archive("contacts", contact)

    found = explain(ask=True)
    assert (found.verdict, found.in_hubspot) == (Verdict.OUTDATED, InHubSpot.DELETED)
    sync()
    found = explain(ask=True)
    assert (found.verdict, found.gone) == (Verdict.DELETED, Gone.DELETED)


def test_it_was_restored(sync, explain, emulator, contact):
    sync()
    emulator.archive("contacts", contact)
    sync()
    emulator.restore("contacts", contact)

    found = explain(ask=True)
    assert (found.verdict, found.in_hubspot) == (Verdict.OUTDATED, InHubSpot.THERE)
    sync()
    assert explain(ask=True).verdict is Verdict.DELIVERED


def test_it_was_merged(sync, explain, emulator, contact):
    """It, and the record that it is part of now."""
    sync()
    other = max(emulator.records("contacts"), key=int)
    survivor = emulator.merge("contacts", other, contact)

    assert explain(ask=True).in_hubspot is InHubSpot.MERGED
    sync()
    found = explain()
    assert (found.verdict, found.merged_into) == (Verdict.MERGED, survivor)
    assert explain(survivor).verdict is Verdict.DELIVERED


def test_it_was_erased(sync, explain, acme, contact):
    """And stays out although HubSpot has it."""
    sync()
    acme.erase(ID, "contacts", [contact])
    sync()

    found = explain(ask=True)

    assert (found.verdict, found.in_hubspot) == (Verdict.ERASED, InHubSpot.THERE)


def test_too_many_seem_to_be_gone(sync, explain, emulator, acme, clock):
    """What is suspected is said of each object."""
    for number in range(90):
        emulator.create("contacts", {"email": f"{number}@example.com"})
    sync()
    for object_id in sorted(emulator.records("contacts"), key=int)[:60]:
        emulator.erase("contacts", object_id)
    acme.reconcile(ID)
    sync()

    assert "before Domain.confirm_deletions" in why(explain())


@pytest.mark.parametrize("status", [403, 500])
def test_hubspot_does_not_answer(sync, explain, emulator, status):
    """That changes nothing of what the stores say."""
    sync()
    emulator.faults.add(Fault(status=status, times=None))

    found = explain(ask=True)

    assert (found.verdict, found.in_hubspot) == (Verdict.DELIVERED, InHubSpot.UNANSWERED)
