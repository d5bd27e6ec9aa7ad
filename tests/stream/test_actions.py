"""From records to actions: new, changed, repeated, and only seemingly changed."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hubspot_sync._actions import (
    digests_of,
    newest_versions,
    to_actions,
    unproved,
    without_repeats,
)
from hubspot_sync.models import (
    AccountKey,
    ActionKind,
    Association,
    AssociationType,
    Counts,
    Fingerprint,
    Record,
    to_milliseconds,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
VERSION = to_milliseconds(NOON)
ACCOUNT = AccountKey("acme", "62515")
ADA = Record(
    object_type="contacts",
    object_id="1",
    properties={"email": "ada@example.com", "phone": None, "lastmodifieddate": "x"},
    created_at=NOON - timedelta(days=9),
    modified_at=NOON,
)


def fingerprint_of(record):
    return Fingerprint(
        object_id=record.object_id,
        version=record.version,
        digest=digests_of(record)[0],
        edges=digests_of(record)[1],
    )


def test_an_unknown_record_was_created():
    """Its action says when HubSpot created it."""
    outcome = to_actions(ACCOUNT, [ADA], {}, deliver_unchanged=False)

    (action,) = outcome.actions
    assert action.name == "Contact Created"
    assert action.occurred_at == ADA.created_at
    assert action.modified_at == ADA.modified_at
    assert outcome.fingerprints == (fingerprint_of(ADA),)


@pytest.mark.parametrize("known", [{}, {"1": replace(fingerprint_of(ADA), version=VERSION - 1)}])
def test_what_is_part_of_a_first_load_says_so(known):
    """Its id is the same: who reads it a second time recognises it."""
    (usual,) = to_actions(ACCOUNT, [ADA], known, deliver_unchanged=True).actions
    (first,) = to_actions(ACCOUNT, [ADA], known, deliver_unchanged=True, backfill=True).actions

    assert (usual.backfill, first.backfill) == (False, True)
    assert usual.action_id == first.action_id
    assert usual == replace(first, backfill=False)


def test_a_known_record_with_another_value_was_updated():
    """Its action says when HubSpot changed it."""
    changed = replace(
        ADA, properties={**ADA.properties, "phone": "1"}, modified_at=NOON + timedelta(seconds=1)
    )

    outcome = to_actions(ACCOUNT, [changed], {"1": fingerprint_of(ADA)}, deliver_unchanged=False)

    assert [action.kind for action in outcome.actions] == [ActionKind.UPDATED]
    assert outcome.actions[0].occurred_at == changed.modified_at


def test_a_moved_date_alone_is_no_change():
    """HubSpot's background jobs move it; the host hears of it only when it asked to."""
    moved = replace(
        ADA,
        properties={**ADA.properties, "lastmodifieddate": "y"},
        modified_at=NOON + timedelta(hours=1),
    )
    known = {"1": fingerprint_of(ADA)}

    quiet = to_actions(ACCOUNT, [moved], known, deliver_unchanged=False)
    asked = to_actions(ACCOUNT, [moved], known, deliver_unchanged=True)

    assert quiet.actions == ()
    assert quiet.counts.unchanged == 1
    assert quiet.fingerprints == (fingerprint_of(moved),)
    assert [action.kind for action in asked.actions] == [ActionKind.UPDATED]


@pytest.mark.parametrize("ahead", [timedelta(days=9), timedelta(0), timedelta(days=-9)])
def test_a_known_version_with_other_values_is_a_later_action(ahead):
    """Whenever the pass's end was, it sorts behind what was told of the version before."""
    before = replace(ADA, properties={**ADA.properties, "phone": "1"})
    looked = to_milliseconds(NOON + ahead)

    outcome = to_actions(
        ACCOUNT, [ADA], {"1": fingerprint_of(before)}, deliver_unchanged=False, looked=looked
    )

    (action,) = outcome.actions
    assert (action.kind, action.version, action.variant) == (
        ActionKind.UPDATED,
        ADA.version,
        max(looked, VERSION + 1),
    )
    assert action.occurred_at == max(NOON + ahead, NOON + timedelta(milliseconds=1))
    assert outcome.fingerprints == (replace(fingerprint_of(ADA), variant=action.variant),)


@pytest.mark.parametrize("deliver_unchanged", [True, False])
def test_a_known_version_with_the_same_values_is_a_repeat(deliver_unchanged):
    """Also for a host that wants to hear of dates that moved; here none did."""
    known = {"1": fingerprint_of(ADA)}

    outcome = to_actions(ACCOUNT, [ADA], known, deliver_unchanged=deliver_unchanged, looked=VERSION)

    assert (outcome.actions, outcome.fingerprints) == ((), ())
    assert outcome.counts == Counts(repeated=1)


def test_what_is_unproved_differs_from_everything():
    """The sink may have other values in this version."""
    (unsure,) = unproved([fingerprint_of(ADA), fingerprint_of(replace(ADA, object_id="2"))], [ADA])

    outcome = to_actions(ACCOUNT, [ADA], {"1": unsure}, deliver_unchanged=False, looked=VERSION)

    assert unsure.version == ADA.version
    assert [one.variant for one in outcome.actions] == [VERSION + 1]


def digest(value):
    """The digest of a record with this value."""
    return digests_of(replace(ADA, properties={"it": value}))[0]


DIFFERENT = (
    None,
    "",
    "1",
    1,
    True,
    "true",
    False,
    0,
    Decimal("0.5"),
    "0.5",
    2**63,
    str(2**63),
    2**64 + 1,
    10**40,
    10**40 + 1,
    Decimal("1E-40"),
    date(2026, 3, 2),
    "2026-03-02",
    datetime(2026, 3, 2, tzinfo=timezone.utc),
    "2026-03-02T00:00:00.000Z",
    "2026-03-02T00:00:00+00:00",
    1_772_409_600_000,
    ("a", "b"),
    ("b", "a"),
    ("a",),
    "a",
    "a;b",
)


@pytest.mark.parametrize(("place", "value"), list(enumerate(DIFFERENT)))
def test_values_that_differ_are_a_change(place, value):
    """Also where only their kind does: "1" is not 1, and 1 is not True."""
    assert digest(value) not in [digest(other) for other in DIFFERENT[:place]]


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (1, Decimal("1.00")),
        (1, Decimal("1E+0")),
        (1_000, Decimal("1E+3")),
        (-17, Decimal("-17.0")),
        (0, Decimal("-0.00")),
        (Decimal("1.0"), Decimal("1.00")),
        (Decimal("0.1"), Decimal("1E-1")),
        (Decimal("-0.10"), Decimal("-0.1")),
        (0, Decimal("0E+400")),
        (2**63, Decimal(2**63)),
        (2**64 - 1, Decimal(2**64 - 1)),
        (2**64, Decimal(2**64)),
        (-(2**63) - 1, Decimal(-(2**63) - 1)),
        (10**400, Decimal("1E+400")),
        (10**40, Decimal("1E+40")),
        (NOON, NOON.astimezone(timezone(timedelta(hours=-8)))),
    ],
)
def test_another_way_to_write_a_value_is_no_change(value, same):
    """HubSpot may format a number or a date again without anybody having changed it."""
    assert digest(value) == digest(same)


@given(st.integers() | st.decimals(-(10**30), 10**30, places=12), st.integers(0, 9))
def test_numbers_are_compared_by_their_value(number, zeros):
    """Whatever they look like."""
    text = f"{Decimal(number):f}"
    longer = Decimal(f"{text}{'' if '.' in text else '.'}{'0' * zeros}")

    assert digest(number) == digest(longer)
    assert digest(number) != digest(str(number))


def test_what_is_no_value_has_no_digest():
    """A `Source` of somebody's own hears of its mistake."""
    with pytest.raises(TypeError, match="set"):
        digest({1})


def test_a_cleared_value_is_a_change():
    """Whatever value was there."""
    before = replace(ADA, properties={"phone": "1"})
    after = replace(ADA, properties={"phone": None})

    assert digests_of(before) != digests_of(after)


def test_a_new_property_without_a_value_is_no_change():
    """Or a reconcile pass would deliver the whole account when somebody adds a property."""
    without = replace(ADA, properties={"email": "ada@example.com"})
    before = replace(ADA, properties={"email": "ada@example.com", "shoe_size": None})
    after = replace(ADA, properties={"email": "ada@example.com", "shoe_size": 37})

    assert digests_of(without) == digests_of(before)
    assert digests_of(before) != digests_of(after)


def test_associations_are_part_of_what_is_compared():
    """In any order."""
    kind = AssociationType("HUBSPOT_DEFINED", 279)
    one, two = Association("1", types=(kind,)), Association("2", types=(kind,))
    there = replace(ADA, associations={"companies": (one, two)})
    back = replace(ADA, associations={"companies": (two, one)})

    assert digests_of(there) == digests_of(back)
    assert digests_of(there) != digests_of(replace(ADA, associations={"companies": (one,)}))


def test_versions_that_were_delivered_are_left_out():
    """An older version from a late index never comes after a newer one."""
    newer = replace(ADA, modified_at=NOON + timedelta(milliseconds=1))
    older = replace(ADA, modified_at=NOON - timedelta(milliseconds=1))
    known = {"1": fingerprint_of(ADA)}

    assert without_repeats([ADA], known) == ([], 1)
    assert without_repeats([older], known) == ([], 1)
    assert without_repeats([newer], known) == ([newer], 0)
    assert without_repeats([ADA, older], known, compared={"1"}) == ([ADA], 1)


def test_the_newest_of_several_rows_counts():
    """A record that was edited while pages were read may come twice."""
    newer = replace(ADA, modified_at=NOON + timedelta(seconds=1))

    assert newest_versions([ADA, newer, ADA]) == ([newer], 2)
