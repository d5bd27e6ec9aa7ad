"""The part of the `ActionSink` contract that is about storing everything once."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from msgspec.structs import replace

from hubspot_sync.models import SinkAnswer
from hubspot_sync.testing.contracts._samples import VERSION, action, at_once, creation, rich_action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from hubspot_sync.interfaces import ActionSink
    from hubspot_sync.models import Action

    Stored = Callable[[], Sequence[Action]]


def ids_of(actions: Iterable[Action]) -> list[str]:
    """The ids of *actions*, sorted."""
    return sorted(action.action_id for action in actions)


class OnceCases:
    """Each action is stored once, each object created once, whoever writes how often.

    Attributes:
        knows_creations: Whether the sink itself sees that an object was created before. Set it
            to False for a sink that cannot tell; that part of the contract is then skipped.
        keeps_versions: Whether every version of an object is kept. Set it to False for a mirror,
            which keeps the newest; another part of the contract then takes the place of this one.
        one_wins: Whether of callers that race exactly one is told that it was accepted. Set it to
            False for a sink of several parts, where each caller may be the first in one part.
    """

    knows_creations: ClassVar[bool] = True
    keeps_versions: ClassVar[bool] = True
    one_wins: ClassVar[bool] = True

    @pytest.fixture
    def store(self) -> ActionSink:
        """An empty sink."""
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], ActionSink]:
        """Opens a second handle on what `store` keeps, as another worker would."""
        raise NotImplementedError

    @pytest.fixture
    def stored(self) -> Stored:
        """Gives back all actions that are stored, in any order."""
        raise NotImplementedError

    @pytest.fixture
    def away(self) -> ActionSink:
        """A sink whose back end cannot be reached."""
        pytest.skip("this sink has no back end that could be away")

    @pytest.fixture
    def _creations(self) -> None:
        if not self.knows_creations:
            pytest.skip("this sink cannot tell whether an object was created before")

    @pytest.fixture
    def _versions(self) -> None:
        if not self.keeps_versions:
            pytest.skip("this sink keeps the newest version of an object only")

    def test_a_repeated_batch_changes_nothing(self, store: ActionSink, stored: Stored) -> None:
        """The second time all ids come back as repeated, and what was stored stays."""
        batch = [rich_action(), action("2"), creation("3")]
        store.write(batch)
        changed = [replace(kept, properties={"email": "new"}) for kept in batch]

        answer = store.write(changed)

        assert SinkAnswer(repeated=frozenset(ids_of(batch))) == answer
        assert ids_of(batch) == ids_of(stored())
        assert {"email": "new"} not in [kept.properties for kept in stored()]

    def test_the_new_part_of_a_batch_is_stored(self, store: ActionSink, stored: Stored) -> None:
        """A batch of which some is known stores the rest, and names only what is known."""
        store.write([action("2"), creation("4")])

        answer = store.write([action("1"), action("2"), creation("3"), creation("4"), action("5")])

        assert SinkAnswer(repeated=frozenset(ids_of([action("2"), action("4")]))) == answer
        assert sorted(kept.object_id for kept in stored()) == ["1", "2", "3", "4", "5"]

    def test_one_id_twice_in_a_batch_is_stored_once(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """A repeat inside one batch is a repeat like any other."""
        answer = store.write([action("1"), action("1"), action("2")])

        assert SinkAnswer(repeated=frozenset({action("1").action_id})) == answer
        assert ids_of([action("1"), action("2")]) == ids_of(stored())

    @pytest.mark.usefixtures("_versions")
    def test_versions_of_one_object_are_different_actions(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """A creation and later updates of one object may share a batch."""
        batch = [creation(), action(version=VERSION + 1), action(version=VERSION + 2)]

        assert SinkAnswer() == store.write(batch)

        assert ids_of(batch) == ids_of(stored())

    @pytest.mark.usefixtures("_versions")
    def test_variants_of_one_version_are_different_actions(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """Each is stored once, in whatever order, beside the version as it came first."""
        batch = [creation(), action(variant=VERSION + 7), action(variant=VERSION + 3)]

        assert SinkAnswer() == store.write(batch)
        assert SinkAnswer(repeated=frozenset(ids_of(batch))) == store.write(batch)

        assert ids_of(batch) == ids_of(stored())

    def test_the_same_version_is_repeated_whatever_its_kind(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """An update with the id of a stored creation is a repeat, and the other way round."""
        store.write([creation("1"), action("2")])

        answer = store.write([action("1"), creation("2")])

        assert SinkAnswer(repeated=frozenset(ids_of([action("1"), action("2")]))) == answer
        assert ids_of([creation("1"), action("2")]) == ids_of(stored())

    @pytest.mark.usefixtures("_creations")
    def test_an_object_is_created_once(self, store: ActionSink, stored: Stored) -> None:
        """A second creation with another version is not stored; the same as an update is."""
        later = creation(version=VERSION + 1)
        store.write([creation()])

        answer = store.write([later, creation("2")])

        assert SinkAnswer(already_created=frozenset({later.action_id})) == answer
        assert SinkAnswer() == store.write([action(version=VERSION + 1)])
        assert SinkAnswer(repeated=frozenset({later.action_id})) == store.write([later])
        assert ids_of([creation(), later, creation("2")]) == ids_of(stored())

    @pytest.mark.usefixtures("_creations", "_versions")
    def test_a_creation_that_is_a_variant(self, store: ActionSink, stored: Stored) -> None:
        """It is another creation of the object, and the first one where there is none."""
        again = creation(variant=VERSION + 7)
        store.write([creation()])

        answer = store.write([again, creation("2", variant=VERSION + 7)])

        assert SinkAnswer(already_created=frozenset({again.action_id})) == answer
        assert SinkAnswer() == store.write([action(variant=VERSION + 7)])
        assert SinkAnswer(repeated=frozenset({again.action_id})) == store.write([again])
        assert [again.variant] * 2 == [kept.variant for kept in stored() if kept.variant]

    @pytest.mark.usefixtures("_creations")
    def test_an_older_creation_does_not_replace_a_newer_one(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """Which creation came first to the sink decides, not its version."""
        older = creation(version=VERSION - 1)
        store.write([creation()])

        assert SinkAnswer(already_created=frozenset({older.action_id})) == store.write([older])
        assert ids_of([creation()]) == ids_of(stored())

    @pytest.mark.usefixtures("_creations")
    def test_two_creations_in_one_batch(self, store: ActionSink, stored: Stored) -> None:
        """Of two creations of one object in a batch the first is accepted."""
        answer = store.write([creation(), creation(version=VERSION + 1), action("2")])

        assert frozenset({creation(version=VERSION + 1).action_id}) == answer.already_created
        assert ids_of([creation(), action("2")]) == ids_of(stored())

    @pytest.mark.usefixtures("_versions")
    def test_a_creation_may_follow_an_update(self, store: ActionSink, stored: Stored) -> None:
        """An object of which only updates are held can still be created."""
        store.write([action()])

        assert SinkAnswer() == store.write([creation(version=VERSION + 1)])
        assert len(stored()) == 2

    def test_writers_with_the_same_batch(
        self, store: ActionSink, reopen: Callable[[], ActionSink], stored: Stored
    ) -> None:
        """Of eight threads with the same actions, each is accepted from exactly one."""
        batch = [creation(str(n)) for n in range(50)]
        handles = (store, reopen())

        answers = at_once(lambda number: handles[number % 2].write(batch))

        accepted = [i for answer in answers for i in ids_of(batch) if i not in answer.repeated]
        assert ids_of(batch) == ids_of(stored())
        assert ids_of(batch) == sorted(accepted if self.one_wins else set(accepted))
        assert not any(answer.already_created or answer.refused for answer in answers)

    @pytest.mark.usefixtures("_creations")
    def test_writers_with_creations_of_one_object(
        self, store: ActionSink, reopen: Callable[[], ActionSink], stored: Stored
    ) -> None:
        """Of eight threads with different creations of one object, one gets it accepted."""
        handles = (store, reopen())
        made = [creation(version=VERSION + n) for n in range(8)]

        answers = at_once(lambda number: handles[number % 2].write([made[number]]))

        accepted = [answer for answer in answers if not answer.already_created]
        assert len(stored()) == 1
        assert len(accepted) == 1 if self.one_wins else len(accepted) <= 1
