"""What changed: updates say it where the host asks for it, and never wrongly."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync import Account, Action, ActionKind, StreamSettings, SyncSettings
from hubspot_sync._changes import changes_since, packed
from hubspot_sync.models import Association, AssociationType, EdgeChanges, Record, from_milliseconds
from hubspot_sync.models.properties import comparable_values
from hubspot_sync.testing import ManualClock
from kit.support import Host

HOUR = 3_600
ACCOUNT = Account(
    account_id="62515",
    domain_id="acme",
    streams=(StreamSettings("contacts", associations=("companies",)),),
)
SETTINGS = SyncSettings(track_changes=True)
BOSS = AssociationType("USER_DEFINED", 7, "Boss")
PLAIN = AssociationType("HUBSPOT_DEFINED", 1, None)

values = (
    st.none()
    | st.text("ab\u00e9\ud800", max_size=3)
    | st.integers()
    | st.booleans()
    | st.decimals(allow_nan=False, allow_infinity=False, places=2)
    | st.datetimes(timezones=st.just(from_milliseconds(0).tzinfo)).map(
        lambda one: one.replace(microsecond=one.microsecond // 1000 * 1000)
    )
    | st.lists(st.sampled_from("abc"), max_size=2).map(tuple)
)
edges = st.lists(
    st.builds(
        Association,
        st.sampled_from(["1", "2", "3"]),
        st.just(value=False),
        st.sampled_from([(PLAIN,), (PLAIN, BOSS), (BOSS,)]),
    ),
    max_size=3,
    unique_by=lambda one: one.object_id,
).map(tuple)
records = st.builds(
    Record,
    object_type=st.just("contacts"),
    object_id=st.just("1"),
    properties=st.dictionaries(st.sampled_from(["city", "score", "born"]), values),
    created_at=st.just(from_milliseconds(0)),
    modified_at=st.just(from_milliseconds(1)),
    associations=st.fixed_dictionaries({"companies": edges}),
)


@given(before=records, after=records)
def test_changes_lead_from_the_old_state_to_the_new(before, after):
    """All that differs is in them, and nothing that does not."""
    changes = changes_since(packed(before), after)

    properties = dict(before.properties)
    for name, (old, new) in changes.properties.items():
        assert comparable_values({"it": old}) == comparable_values(
            {"it": before.properties.get(name)}
        )
        properties[name] = new
    assert comparable_values(properties) == comparable_values(after.properties)
    found = {one.object_id: one for one in before.associations["companies"]}
    told = changes.associations.get("companies", EdgeChanges())
    for one in told.removed:
        del found[one.object_id]
    for one in (*told.added, *(new for _, new in told.relabelled)):
        found[one.object_id] = one
    assert {one: set(edge.types) for one, edge in found.items()} == {
        one.object_id: set(one.types) for one in after.associations["companies"]
    }


@given(record=records)
def test_what_did_not_change_is_not_told(record):
    """Another way to write a number is no change."""
    assert changes_since(packed(record), record).as_dict() == {"properties": {}, "associations": {}}


def test_a_state_that_cannot_be_read_is_not_known():
    """It is never guessed at."""
    record = Record(
        object_type="contacts",
        object_id="1",
        properties={},
        created_at=from_milliseconds(0),
        modified_at=from_milliseconds(0),
    )

    assert changes_since(b"\x00", record) is None
    assert changes_since(packed(record)[:-3], record) is None


@pytest.fixture
def host(hubspot_emulator):
    clock = ManualClock()
    host = Host(hubspot_emulator(contacts=30, companies=5, clock=clock), clock)
    sync(host)
    return host


def sync(host, settings=SETTINGS, **parts):
    host.clock.advance(HOUR)
    host.engine(settings=settings, **parts).sync(ACCOUNT).raise_for_failure()
    return host.sink.actions[-1]


def test_an_update_says_what_changed(host):
    """Old and new values, and the associations."""
    one = next(iter(host.emulator.records("contacts")))
    old = next(action for action in host.sink.actions if action.object_id == one)
    assert old.changes is None
    host.emulator.update("contacts", one, {"city": "Cork", "total_revenue": "12.50"})

    action = sync(host)

    assert action.kind is ActionKind.UPDATED
    assert action.changes.properties["city"] == (old.properties["city"], "Cork")
    assert action.changes.properties["total_revenue"] == (
        old.properties["total_revenue"],
        Decimal("12.50"),
    )
    assert set(action.changes.properties) == {"city", "total_revenue"}
    assert Action.from_json(action.to_json()) == action


def test_an_association_alone_is_told_too(host):
    """As one that was added."""
    lonely = next(one for one in host.sink.actions if not one.associations["companies"])
    company = next(iter(host.emulator.records("companies")))
    host.emulator.associate("contacts", lonely.object_id, "companies", company)

    action = sync(host)

    (added,) = action.changes.associations["companies"].added
    assert added.object_id == company


def test_a_restoration_says_what_changed_since_before_the_deletion(host):
    """Nothing of a deleted object is kept, so it is not known."""
    one = next(iter(host.emulator.records("contacts")))
    host.emulator.archive("contacts", one)
    sync(host)
    host.emulator.restore("contacts", one)

    action = sync(host)

    assert (action.kind, action.changes) == (ActionKind.RESTORED, None)


def test_the_first_update_after_it_is_switched_on(host):
    """What was delivered before is not known; from the next reconcile pass on it is."""
    plain = Host(host.emulator, host.clock)
    sync(plain, settings=SyncSettings())
    one = next(iter(host.emulator.records("contacts")))
    host.emulator.update("contacts", one, {"city": "Cork"})
    assert sync(plain).changes is None
    host.emulator.update("contacts", one, {"city": "Galway"})

    assert sync(plain).changes.properties["city"] == ("Cork", "Galway")
