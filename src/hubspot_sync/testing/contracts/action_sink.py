"""What every `ActionSink` has to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.models import AccountKey, Action, SinkAnswer
from hubspot_sync.testing.contracts._erasure import ErasureCases
from hubspot_sync.testing.contracts._newest import NewestCases
from hubspot_sync.testing.contracts._once import OnceCases, ids_of
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    ALL_KINDS,
    KATHMANDU,
    MOMENT,
    NEIGHBOUR,
    OTHER_DOMAIN,
    STRANGE_ACTIONS,
    STRANGE_NAMES,
    action,
    creation,
    rich_action,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.interfaces import ActionSink
    from hubspot_sync.models import Value
    from hubspot_sync.testing.contracts._once import Stored


class ActionSinkContract(NewestCases, OnceCases, ErasureCases):
    """Subclass it and override `store`, `reopen` and `stored`; `away` where it applies.

    A sink that gives some kinds of values back in another form, as JSON without dates does, also
    overrides `as_kept`.
    A sink that cannot tell whether an object was created before sets `knows_creations` to False.
    One that keeps the newest version of each object only sets `keeps_versions` to False.
    What an `ErasableSink` has besides is tried where there is a method `erase`.
    """

    @pytest.fixture
    def as_kept(self) -> Callable[[Value], object]:
        """How a value of a property comes back; the same unless the sink is known to change it."""
        return lambda value: value

    def test_nothing_is_a_no_op(self, store: ActionSink, stored: Stored) -> None:
        """No actions get an empty answer and store nothing."""
        assert SinkAnswer() == store.write([])
        assert not stored()

    def test_what_is_accepted_is_stored_as_it_is(self, store: ActionSink, stored: Stored) -> None:
        """Every field comes back: scripts, line breaks, empty and absent values, associations."""
        assert SinkAnswer() == store.write([rich_action()])

        assert [rich_action()] == list(stored())

    def test_instants_keep_milliseconds_and_come_back_aware(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """An instant of another zone, or long ago, is the same instant when it is read."""
        instants = (
            MOMENT.astimezone(KATHMANDU),
            MOMENT.replace(microsecond=999_000),
            MOMENT.replace(microsecond=0),
            MOMENT.replace(year=1, month=1, day=2),
            MOMENT.replace(year=1969),
            MOMENT.replace(year=9999, month=12, day=30),
        )

        store.write([creation(str(n), occurred_at=at) for n, at in enumerate(instants, start=1)])

        read = {kept.object_id: kept.occurred_at for kept in stored()}
        assert list(instants) == [read[str(n)] for n in range(1, len(instants) + 1)]
        assert all(instant.tzinfo is not None for instant in read.values())

    def test_values_of_every_kind_keep_all_that_they_say(
        self, store: ActionSink, stored: Stored, as_kept: Callable[[Value], object]
    ) -> None:
        """Numbers of any size, exact amounts, dates, instants, lists and booleans, or `as_kept`."""
        assert SinkAnswer() == store.write([action(properties=dict(ALL_KINDS))])

        (kept,) = stored()
        expected = {name: as_kept(value) for name, value in ALL_KINDS.items()}
        assert expected == dict(kept.properties)
        assert [type(value) for value in expected.values()] == [
            type(kept.properties[name]) for name in expected
        ]

    def test_any_name_of_a_property_is_kept(self, store: ActionSink, stored: Stored) -> None:
        """Dots, dollars, every other mark and any script are names of properties like others."""
        properties = {name: f"value of {name}" for name in STRANGE_NAMES}

        answer = store.write([action(properties=properties)])

        assert SinkAnswer() == answer
        assert [properties] == [dict(kept.properties) for kept in stored()]

    def test_any_name_of_a_domain_is_kept_apart(self, store: ActionSink, stored: Stored) -> None:
        """Punctuation, scripts and look-alikes in domain ids are names like any other."""
        actions = [creation(account=AccountKey(name, "1")) for name in STRANGE_NAMES]

        assert SinkAnswer() == store.write(actions)

        assert ids_of(actions) == ids_of(stored())
        assert set(STRANGE_NAMES) == {kept.account.domain_id for kept in stored()}

    def test_objects_do_not_meet(self, store: ActionSink, stored: Stored) -> None:
        """The same object id in another account, domain or object type is another object."""
        actions = [
            creation(),
            creation(account=NEIGHBOUR),
            creation(account=OTHER_DOMAIN),
            creation(object_type="companies"),
        ]

        assert SinkAnswer() == store.write(actions)

        assert ids_of(actions) == ids_of(stored())

    @pytest.mark.parametrize("strange", STRANGE_ACTIONS.values(), ids=STRANGE_ACTIONS)
    def test_a_strange_action_never_costs_the_others(
        self, store: ActionSink, stored: Stored, strange: Action
    ) -> None:
        """What a sink can never take is refused with a reason; the rest of the batch is stored."""
        store.write([action("0")])
        secret = str(next(iter(strange.properties.values())))

        answer = store.write([action("0"), action("1"), strange, action("3")])

        accepted = {kept.object_id for kept in stored()}
        assert {"0", "1", "3"} <= accepted
        assert ("2" in accepted) is not (strange.action_id in answer.refused)
        assert {strange.action_id} >= set(answer.refused)
        assert frozenset({action("0").action_id}) == answer.repeated
        assert all(reason and secret not in reason for reason in answer.refused.values())

    def test_what_is_stored_is_a_copy(self, store: ActionSink, stored: Stored) -> None:
        """Changing the caller's mapping, or what was read, does not change what is stored."""
        properties: dict[str, Value] = {"email": "first@example.com"}
        store.write([action(properties=properties)])

        properties["email"] = "changed"
        for kept in stored():
            if isinstance(kept.properties, dict):
                kept.properties["email"] = "changed"

        assert [dict(kept.properties) for kept in stored()] == [{"email": "first@example.com"}]

    def test_a_large_batch(self, store: ActionSink, stored: Stored) -> None:
        """A batch of 2,500 is stored whole, and the second time is repeated whole."""
        batch = [creation(str(n)) for n in range(2_500)]

        assert SinkAnswer() == store.write(batch)
        assert SinkAnswer(repeated=frozenset(ids_of(batch))) == store.write(batch)

        assert ids_of(batch) == ids_of(stored())

    def test_another_handle_sees_everything(
        self, store: ActionSink, reopen: Callable[[], ActionSink], stored: Stored
    ) -> None:
        """What one worker stored is repeated for the next one."""
        store.write([creation()])

        reopened = reopen()

        assert SinkAnswer(repeated=frozenset(ids_of([creation()]))) == reopened.write([creation()])
        assert [kept.account for kept in stored()] == [ACCOUNT]

    def test_a_back_end_that_is_away_is_an_error_of_ours(self, away: ActionSink) -> None:
        """A write that cannot be made raises `StoreUnavailableError`."""
        with pytest.raises(StoreUnavailableError):
            away.write([action()])
