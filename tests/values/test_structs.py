"""Records and actions are frozen values: they travel, are compared and copied like plain ones."""

import copy
import pickle
from datetime import datetime, timezone
from decimal import Decimal

import pytest
from msgspec.structs import replace

from hubspot_sync.models import (
    AccountKey,
    Action,
    ActionKind,
    Association,
    AssociationType,
    Fingerprint,
    Record,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
EDGE = Association("7", True, (AssociationType("HUBSPOT_DEFINED", 1, "Primary"),))
RECORD = Record(
    object_type="contacts",
    object_id="1",
    properties={"email": "ada@example.com", "amount": Decimal("12.50"), "phone": None},
    created_at=NOON,
    modified_at=NOON,
    associations={"companies": (EDGE,)},
)
ACTION = Action(
    account=AccountKey("default", "62515"),
    object_type="contacts",
    object_id="1",
    kind=ActionKind.CREATED,
    version=RECORD.version,
    occurred_at=NOON,
    properties=RECORD.properties,
    associations=RECORD.associations,
)
VALUES = (RECORD, ACTION, EDGE, EDGE.types[0], Fingerprint(object_id="1", version=2, digest=b"3"))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_survives_pickling_and_copying(value):
    """Hosts hand actions to other processes."""
    assert [pickle.loads(pickle.dumps(value)), copy.deepcopy(value)] == [value, value]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_is_frozen(value):
    """What two threads share must not change."""
    name = value.__struct_fields__[0]

    with pytest.raises(AttributeError):
        setattr(value, name, "other")


def test_a_changed_copy_leaves_the_first_as_it_was():
    """By the one function for it."""
    changed = replace(ACTION, version=1)

    assert (changed.version, ACTION.version) == (1, RECORD.version)
    assert replace(changed, version=ACTION.version) == ACTION


def test_a_record_has_no_values_in_its_repr():
    """They may be personal data."""
    assert "ada" not in f"{RECORD!r} {ACTION!r}"


def test_an_association_is_shown_as_the_stores_have_it():
    """Each type with its category, number and label."""
    assert EDGE.as_dict() == {
        "id": "7",
        "primary": True,
        "types": [{"category": "HUBSPOT_DEFINED", "type_id": 1, "label": "Primary"}],
    }
