"""A person is forgotten: nothing that is kept holds them any more, and no sync brings them back."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import (
    ActionKind,
    ActionRejectedError,
    ConfigurationError,
    CredentialKeys,
    Evidence,
    HubSpotSettings,
    LeaseHeldError,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncSettings,
    TooManyRejectedError,
    UnknownAccountError,
)
from hubspot_sync.models import AccountKey, Gone, RejectedSelection, StreamKey
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.testing import ManualClock
from kit.back_ends import BACK_ENDS, OnMemory, back_end
from kit.canaries import Canaries
from kit.scripted import Forgetful

KEY = AccountKey("acme", "62515")
CONTACTS = StreamKey(KEY, "contacts")
HOUR = timedelta(hours=1)
EMAIL = "canary-somebody-to-forget@example.com"
NAME = "Canary-Of-The-Updated-Name"
REFUSED = "Canary-Of-The-Refused-Name"
KEYS = CredentialKeys(CredentialKeys.generate_key())


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    return hubspot_emulator(contacts=60, companies=5, clock=clock)


@pytest.fixture(params=BACK_ENDS)
def on(request, clock, tmp_path):
    """A back end with an action log and a mirror."""
    return back_end(request, clock, tmp_path)


@pytest.fixture
def open_engine(on, emulator, clock):
    """Opens an engine on the back end, with a log and a mirror unless it is told otherwise."""
    opened = []

    def engine(**parts):
        given = {
            "sink": FanOutSink([on.stores.sink, on.mirror]),
            "hubspot": HubSpotSettings(
                base_url=emulator.base_url, burst_limit=None, search_limit=None
            ),
            "settings": SyncSettings(batch_size=20, max_rejected_share=1.0),
            "observers": [],
            "clock": clock,
            **parts,
        }
        opened.append(SyncEngine(evolve(on.stores, close=lambda: None), **given))
        return opened[-1]

    yield engine
    on.stores.close()


@pytest.fixture
def acme(open_engine, emulator):
    """A domain whose account was loaded, with a person in it."""
    emulator.create("contacts", {"email": EMAIL, "firstname": "Ann"})
    domain = open_engine().domain("acme")
    token = StaticAccessToken(access_token=emulator.access_token)
    domain.connect(token, streams=[StreamSettings("contacts", associations=("companies",))])
    domain.sync("62515").raise_for_failure()
    return domain


@pytest.fixture
def person(emulator):
    """The id of the person."""
    return next(
        one for one, held in emulator.records("contacts").items() if EMAIL in str(held.properties)
    )


def of(actions, object_id):
    """Those of *actions* that are on one contact."""
    return [one for one in actions if (one.object_type, one.object_id) == ("contacts", object_id)]


def looked_again(domain, clock, emulator, person):
    """All ways in which a sync finds records, after the person was changed in HubSpot."""
    clock.advance(HOUR)
    emulator.update("contacts", person, {"firstname": "Back Again"})
    for ask in (None, domain.reconcile, domain.resync):
        clock.advance(HOUR)
        if ask is not None:
            ask("62515")
        domain.sync("62515").raise_for_failure()


def test_nothing_of_a_person_is_left(acme, on, open_engine, emulator, person, clock):
    """Delivered, changed, refused, then forgotten: no store has a value, no file a byte of it."""
    canaries = Canaries(email=EMAIL, name=NAME, refused=REFUSED)
    emulator.update("contacts", person, {"firstname": NAME})
    clock.advance(HOUR)
    acme.sync("62515")
    emulator.update("contacts", person, {"firstname": REFUSED})
    clock.advance(HOUR)
    picky = open_engine(validators=[lambda one: "no" if one.object_id == person else None])
    picky.domain("acme").sync("62515")
    assert acme.rejected_counts("62515") == {"contacts": 1}
    if not isinstance(on, OnMemory):
        assert on.scan(canaries) == {"email", "name", "refused"}

    report = acme.erase("62515", "contacts", [person])

    assert on.scan(canaries) == set()
    assert (report.object_ids, report.rejected, report.stored, report.told) == ((person,), 1, 3, 1)
    assert acme.rejected_counts("62515") == {}
    (told,) = of(on.actions(), person)
    assert (told.kind, told.evidence) == (ActionKind.ERASED, Evidence.HOST)
    (kept,) = of(on.records(), person)
    assert kept.kind is ActionKind.ERASED
    for one in (told, kept):
        assert (dict(one.properties), dict(one.associations)) == ({}, {})
    known = on.stores.checkpointer.recall(CONTACTS, [person])[person]
    assert known.gone is Gone.ERASED
    assert len({one.object_id for one in on.actions()}) == 61


def test_nothing_of_former_values_is_left(acme, open_engine, on, emulator, person, clock):
    """Where changes are tracked, the former state is packed beside the fingerprint."""
    canaries = Canaries(email=EMAIL, name=NAME)
    tracking = SyncSettings(track_changes=True, max_rejected_share=1.0)
    tracked = open_engine(settings=tracking).domain("acme")
    for name in (NAME, "Another-Canary-Of-A-Name"):
        emulator.update("contacts", person, {"firstname": name})
        clock.advance(HOUR)
        tracked.sync("62515").raise_for_failure()
        state = on.stores.checkpointer.recall(CONTACTS, [person])[person].state
        canaries.add_bytes(f"state of {name}", state)
    if not isinstance(on, OnMemory):
        assert on.scan(canaries) >= {"email", "name", f"state of {name}"}

    tracked.erase("62515", "contacts", [person])

    assert on.scan(canaries) == set()
    assert on.stores.checkpointer.recall(CONTACTS, [person])[person].state == b""


@pytest.mark.parametrize("on", ["mongodb"], indirect=True)
def test_what_mongodb_keeps(acme, on, person):
    """No document has it, but its log of operations does until it rolls over, as docs say."""
    canaries = Canaries(email=EMAIL)

    acme.erase("62515", "contacts", [person])

    assert on.scan(canaries) == set()
    assert on.scan_log(canaries) == {"email"}


def test_no_sync_brings_a_person_back(acme, on, emulator, person, clock):
    """Neither a change, nor a pass over all records, nor one that delivers all of them again."""
    acme.erase("62515", "contacts", [person])
    before = len(on.actions())

    looked_again(acme, clock, emulator, person)

    assert [one.kind for one in of(on.actions(), person)] == [ActionKind.ERASED]
    assert [one.kind for one in of(on.records(), person)] == [ActionKind.ERASED]
    assert before == len(on.actions())
    assert on.scan(Canaries(email=EMAIL, name="Canary" + NAME)) == set()


def test_an_idle_run_costs_what_it_did(acme, emulator, clock):
    """Objects that HubSpot has and the sink has not are asked after once, not at each run."""

    def calls():
        clock.advance(HOUR)
        before = len(emulator.calls)
        acme.sync("62515").raise_for_failure()
        return len(emulator.calls) - before

    idle = [calls() for _ in range(2)][-1]
    acme.erase("62515", "contacts", list(emulator.records("contacts"))[:20])

    later = [calls() for _ in range(3)]

    assert later[1:] == [idle] * 2


def test_a_person_who_was_never_read(open_engine, on, emulator, clock):
    """Is kept out before the first sync; the sink is told, as of every other."""
    emulator.create("contacts", {"email": EMAIL})
    person = next(
        one for one, held in emulator.records("contacts").items() if EMAIL in str(held.properties)
    )
    domain = open_engine().domain("acme")
    domain.connect(StaticAccessToken(access_token=emulator.access_token))

    report = domain.erase("62515", "0-1", [person, "987654321"])
    domain.sync("62515").raise_for_failure()
    looked_again(domain, clock, emulator, person)

    assert (report.told, report.stored, report.rejected) == (2, 0, 0)
    for one in (person, "987654321"):
        assert [told.kind for told in of(on.actions(), one)] == [ActionKind.ERASED]
    assert {one.object_id for one in on.records() if one.object_type == "contacts"} == {
        *emulator.records("contacts"),
        "987654321",
    }


def test_twice(acme, on, person):
    """The second time there is nothing left, and nobody is told again."""
    first = acme.erase("62515", "contacts", [person, "987654321"])
    before = on.actions(), on.records()

    second = acme.erase("62515", "contacts", ["987654321", person])

    assert first.stored == 2
    assert (second.stored, second.rejected, second.told) == (0, 0, 2)
    assert before == (on.actions(), on.records())


def test_a_person_who_was_deleted_before(acme, on, emulator, person, clock):
    """Their last values go, too; the mirror's tombstone says so."""
    emulator.archive("contacts", person)
    clock.advance(HOUR)
    acme.sync("62515").raise_for_failure()
    assert ActionKind.DELETED in [one.kind for one in of(on.actions(), person)]

    acme.erase("62515", "contacts", person)
    clock.advance(HOUR)
    acme.sync("62515").raise_for_failure()

    assert [one.kind for one in of(on.actions(), person)] == [ActionKind.ERASED]
    assert [one.kind for one in of(on.records(), person)] == [ActionKind.ERASED]


def test_what_was_merged_into_a_person_goes_with_them(acme, on, emulator, person, clock):
    """What the sink was told under the old ids is the same person's."""
    other, *_ = (one for one in emulator.records("contacts") if one != person)
    survivor = emulator.merge("contacts", other, person)
    clock.advance(HOUR)
    acme.sync("62515").raise_for_failure()
    assert ActionKind.MERGED in [one.kind for one in of(on.actions(), person)]

    partial = acme.erase("62515", "contacts", [person])
    assert (partial.object_ids, partial.survivors) == ((person,), (survivor,))
    assert f"not erased: {survivor}" in str(partial)
    report = acme.erase("62515", "contacts", [survivor])
    looked_again(acme, clock, emulator, survivor)

    assert {survivor, other} <= set(report.object_ids)
    assert report.survivors == ()
    for one in (survivor, person, other):
        assert [told.kind for told in of(on.actions(), one)] == [ActionKind.ERASED]
    assert on.scan(Canaries(email=EMAIL)) == set()


def test_other_objects_and_accounts_are_left_alone(acme, open_engine, on, emulator, person):
    """Also the same id of another type, and in another domain."""
    globex = open_engine().domain("globex")
    globex.connect(StaticAccessToken(access_token=emulator.access_token))
    globex.sync("62515").raise_for_failure()

    def others(actions):
        return sorted(
            (one for one in actions if (one.account, one.object_id) != (KEY, person)),
            key=lambda one: one.action_id,
        )

    before = others(on.actions()), others(on.records())
    acme.erase("62515", "contacts", [person])
    acme.erase("62515", "companies", [person])

    kept = [one for one in on.actions() if one.kind is not ActionKind.ERASED]
    assert before[0] == others(kept)
    assert len(of(kept, person)) == 1
    mirrored = [one for one in on.records() if one.kind is not ActionKind.ERASED]
    assert before[1] == others(mirrored)


def test_a_sink_that_cannot_forget(acme, open_engine, on, person):
    """Is told by an action, and named in the report; the others forget."""
    own = Forgetful()
    domain = open_engine(sink=FanOutSink([own, on.stores.sink])).domain("acme")

    report = domain.erase("62515", "contacts", [person])

    assert report.unable == ("Forgetful",)
    assert "Forgetful cannot forget" in str(report)
    (told,) = own.actions
    assert (told.name, told.kind, told.object_id) == ("Contact Erased", ActionKind.ERASED, person)
    assert [one.kind for one in of(on.actions(), person)] == [ActionKind.ERASED]


def test_a_sink_that_refuses_to_be_told(acme, open_engine, on, person):
    """All is removed; what it refused waits without values, and is told when it is fixed."""
    picky = open_engine(validators=[lambda one: None if one.properties else "it is empty"])

    report = picky.domain("acme").erase("62515", "contacts", [person])

    assert (report.told, report.refused, report.stored) == (0, 1, 2)
    assert of(on.actions(), person) == []
    (waiting,) = acme.rejected_actions("62515")
    assert dict(waiting.action.properties) == {}
    assert on.scan(Canaries(email=EMAIL)) == set()
    assert acme.redrive("62515").counts.delivered == 1
    assert [one.kind for one in of(on.actions(), person)] == [ActionKind.ERASED]


@pytest.mark.parametrize("queued", [True, False], ids=["queued", "without a queue"])
def test_a_sink_that_refuses_nearly_all(acme, open_engine, on, emulator, queued):
    """It is said, after all was removed."""
    wanted = [*emulator.records("contacts"), *map(str, range(1, 100))]
    settings = SyncSettings(batch_size=500)
    stores = evolve(on.stores, close=lambda: None)
    parts = {} if queued else {"error_queue": None}
    picky = open_engine(settings=settings, validators=[lambda _: "no"])
    if not queued:
        picky = SyncEngine(
            evolve(stores, **parts),
            sink=FanOutSink([on.stores.sink, on.mirror]),
            settings=settings,
            validators=[lambda _: "no"],
        )

    with pytest.raises(TooManyRejectedError if queued else ActionRejectedError):
        picky.domain("acme").erase("62515", "contacts", wanted)

    assert [one for one in on.actions() if one.object_type == "contacts"] == []
    assert on.scan(Canaries(email=EMAIL)) == set()
    assert acme.erase("62515", "contacts", wanted).told >= 61


def test_a_stream_that_is_being_synced(acme, on, person, clock):
    """It is waited for, then nothing was removed; afterwards the same call does it."""
    lease = on.stores.checkpointer.acquire(CONTACTS, "worker-7", timedelta(days=1))
    before = on.actions()
    started = clock.now()

    with pytest.raises(LeaseHeldError, match="worker-7 is synchronising contacts, so nothing"):
        acme.erase("62515", "contacts", [person])

    assert timedelta(seconds=10) <= clock.now() - started < timedelta(seconds=12)
    assert before == on.actions()
    on.stores.checkpointer.release(lease)
    assert acme.erase("62515", "contacts", [person]).told == 1


def test_arguments(acme, on, person):
    """Ids and types are looked at before anything is touched; no ids are nothing to do."""
    before = on.actions()
    for ids in (["4711", "x"], None, [True], "jane@example.com", [["1"]]):
        with pytest.raises(ConfigurationError, match="HubSpot id"):
            acme.erase("62515", "contacts", ids)
    with pytest.raises(UnknownAccountError):
        acme.erase("1", "contacts", [person])
    with suppress(ConfigurationError):
        acme.erase("62515", "no such type", [person])

    report = acme.erase("62515", "contacts", [])

    assert report.object_ids == ()
    assert report.told == 0
    assert before == on.actions()


def test_the_report(acme, on, person):
    """Values that JSON knows, and one line without personal data."""
    report = acme.erase("62515", "contacts", [int(person)])

    assert report.as_dict() == {
        "domain_id": "acme",
        "account_id": "62515",
        "object_type": "contacts",
        "object_ids": [person],
        "rejected": 0,
        "stored": 2,
        "told": 1,
        "refused": 0,
        "survivors": [],
        "unable": [],
    }
    assert str(report) == (
        "acme/62515/contacts: 1 object erased, 2 actions or records and 0 refused actions removed"
    )
    assert on.stores.error_queue.count(RejectedSelection(account=KEY)) == {}
