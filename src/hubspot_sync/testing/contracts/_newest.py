"""The part of the `ActionSink` contract for a mirror, which keeps the newest form of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
from msgspec.structs import replace

from hubspot_sync.models import ActionKind, Association, SinkAnswer
from hubspot_sync.testing.contracts._samples import (
    ALL_KINDS,
    STRANGE_ACTIONS,
    STRANGE_NAMES,
    VERSION,
    action,
    an_end,
    at_once,
    creation,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubspot_sync.interfaces import ActionSink
    from hubspot_sync.models import Action, Value

    Stored = Callable[[], Sequence[Action]]


def _versions_of(actions: Sequence[Action]) -> list[tuple[str, int]]:
    return sorted((action.object_id, action.version) for action in actions)


class NewestCases:
    """An older version never replaces a newer one, whoever writes in which order."""

    keeps_versions: ClassVar[bool]

    @pytest.fixture
    def _newest_only(self) -> None:
        if self.keeps_versions:
            pytest.skip("this sink keeps every version of an object")

    @pytest.mark.usefixtures("_newest_only")
    def test_a_newer_version_replaces_all_of_an_older_one(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """What the newer one does not carry is gone, associations too."""
        older = creation(
            properties={"email": "a@example.com", "phone": "1"},
            associations={"companies": (Association("7"),), "deals": ()},
        )
        newer = action(
            version=VERSION + 1,
            properties={"email": "b@example.com", "city": None},
            associations={"companies": ()},
        )
        store.write([older])

        assert SinkAnswer() == store.write([newer])

        (kept,) = stored()
        assert (VERSION + 1, newer.properties) == (kept.version, dict(kept.properties))
        assert newer.associations == kept.associations

    @pytest.mark.usefixtures("_newest_only")
    def test_an_older_version_changes_nothing(self, store: ActionSink, stored: Stored) -> None:
        """It comes back as repeated, whatever its kind, because there is nothing to store."""
        store.write([action("1"), action("2")])
        before = list(stored())
        older = [
            action("1", version=VERSION - 1, properties={"email": "old"}),
            creation("2", version=VERSION - 1, properties={"email": "old"}),
        ]

        answer = store.write([*older, action("3")])

        assert SinkAnswer(repeated=frozenset(one.action_id for one in older)) == answer
        assert before == [kept for kept in stored() if kept.object_id != "3"]

    @pytest.mark.usefixtures("_newest_only")
    def test_a_later_variant_replaces_an_earlier_one(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """Of two forms the one with the higher sequence counts, whatever its version."""
        forms = [
            action(
                variant=variant and VERSION + variant,
                version=VERSION + version,
                properties={"score": number},
            )
            for number, (version, variant) in enumerate(
                [(0, 0), (0, 5), (0, 70), (71, 0), (71, 76), (80, 0), (71, 90)]
            )
        ]

        for number, form in enumerate(forms):
            assert SinkAnswer() == store.write([form])

            obsolete = [replace(one, properties={"score": -1}) for one in forms[: number + 1]]
            for one in obsolete:
                assert SinkAnswer(repeated=frozenset({one.action_id})) == store.write([one])
            (kept,) = stored()
            assert (form.version, form.variant) == (kept.version, kept.variant)
            assert form.properties == dict(kept.properties)

    @pytest.mark.usefixtures("_newest_only")
    def test_new_later_and_earlier_variants_in_one_batch(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """Each is dealt with by what is held of it."""
        early, late = VERSION + 10, VERSION + 20
        held = [0, early, late]
        store.write([action(str(n), variant=held[n % 3]) for n in range(30)])
        batch = [action(str(n), variant=early) for n in range(40)]

        answer = store.write(batch)

        repeated = frozenset(action(str(n), variant=early).action_id for n in range(30) if n % 3)
        assert SinkAnswer(repeated=repeated) == answer
        expected = [(str(n), late if n % 3 == 2 and n < 30 else early) for n in range(40)]
        assert sorted(expected) == sorted((kept.object_id, kept.variant) for kept in stored())

    @pytest.mark.usefixtures("_newest_only")
    @pytest.mark.parametrize("kind", [ActionKind.DELETED, ActionKind.MERGED])
    def test_an_object_that_is_gone_stays_gone(
        self, store: ActionSink, stored: Stored, kind: ActionKind
    ) -> None:
        """Its values stay with its tombstone, which nothing older replaces."""
        here = creation(associations={"companies": (Association("7"),)})
        store.write([here])
        end = an_end(kind, VERSION + 5)

        assert SinkAnswer() == store.write([end])
        for old in (here, action(variant=VERSION + 4, properties={"email": "old"}), end):
            assert SinkAnswer(repeated=frozenset({old.action_id})) == store.write([old])

        (kept,) = stored()
        assert (kind, end.occurred_at, end.merged_into) == (
            *(kept.kind, kept.occurred_at),
            kept.merged_into,
        )
        assert (here.properties, here.associations) == (dict(kept.properties), kept.associations)

    @pytest.mark.usefixtures("_newest_only")
    @pytest.mark.parametrize("kind", [ActionKind.DELETED, ActionKind.MERGED])
    def test_an_end_that_names_an_older_version(
        self, store: ActionSink, stored: Stored, kind: ActionKind
    ) -> None:
        """After a crash an end may name a version before the one that the sink was told of."""
        newest = action(version=VERSION + 5, properties={"email": "new@example.com"})
        store.write([creation(), newest])

        assert SinkAnswer() == store.write([an_end(kind, VERSION + 9)])
        assert SinkAnswer(repeated=frozenset({newest.action_id})) == store.write([newest])

        (kept,) = stored()
        assert (kind, newest.properties) == (kept.kind, dict(kept.properties))

    @pytest.mark.usefixtures("_newest_only")
    def test_an_object_comes_back(self, store: ActionSink, stored: Stored) -> None:
        """With what the restoration says, whatever its modified date; nothing says it is gone."""
        store.write([creation(), an_end(ActionKind.DELETED, VERSION + 5)])
        back = action(
            kind=ActionKind.RESTORED, variant=VERSION + 6, properties={"email": "back@example.com"}
        )

        assert SinkAnswer() == store.write([back])

        (kept,) = stored()
        assert (kept.kind, kept.merged_into) == (ActionKind.CREATED, None)
        assert dict(kept.properties) == {"email": "back@example.com"}

    @pytest.mark.usefixtures("_newest_only")
    def test_an_erased_object_keeps_nothing(self, store: ActionSink, stored: Stored) -> None:
        """Only its tombstone stays, also of one that was never there."""
        store.write([creation("1"), an_end(ActionKind.DELETED, VERSION + 5)])

        store.write([an_end(ActionKind.ERASED, VERSION + 6, one) for one in ("1", "2")])

        nothing: dict[str, object] = {}
        expected = [(one, ActionKind.ERASED, nothing, nothing) for one in ("1", "2")]
        assert expected == sorted(
            (kept.object_id, kept.kind, dict(kept.properties), dict(kept.associations))
            for kept in stored()
        )

    @pytest.mark.usefixtures("_newest_only")
    def test_an_object_that_is_only_heard_of_when_it_is_gone(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """A tombstone without values, which a creation from before does not replace."""
        store.write([an_end(ActionKind.DELETED, VERSION + 5)])
        store.write([creation()])

        (kept,) = stored()
        assert (kept.kind, dict(kept.properties)) == (ActionKind.DELETED, {})

    @pytest.mark.usefixtures("_newest_only")
    def test_versions_of_one_object_in_one_batch(self, store: ActionSink, stored: Stored) -> None:
        """They count as if they came one by one: only what comes after a newer one is repeated."""
        batch = [
            creation("1"),
            action("2", version=VERSION + 1),
            action("1", version=VERSION + 1),
            action("2"),
            action("1", version=VERSION + 2),
        ]

        answer = store.write(batch)

        assert SinkAnswer(repeated=frozenset({action("2").action_id})) == answer
        assert _versions_of(stored()) == [("1", VERSION + 2), ("2", VERSION + 1)]

    @pytest.mark.usefixtures("_newest_only")
    def test_new_newer_and_older_in_one_large_batch(
        self, store: ActionSink, stored: Stored
    ) -> None:
        """Each of 2,500 is dealt with by what is held of it."""
        held = [action(str(n), version=VERSION + n % 3) for n in range(2_000)]
        store.write(held)
        batch = [action(str(n), version=VERSION + 1) for n in range(2_500)]

        answer = store.write(batch)

        assert {action(str(n), VERSION + 1).action_id for n in range(2_000) if n % 3} == set(
            answer.repeated
        )
        expected = [(str(n), VERSION + max(1, n % 3 * (n < 2_000))) for n in range(2_500)]
        assert sorted(expected) == _versions_of(stored())

    @pytest.mark.usefixtures("_newest_only")
    def test_any_name_and_value_in_a_newer_version(
        self, store: ActionSink, stored: Stored, as_kept: Callable[[Value], object]
    ) -> None:
        """A record that changes keeps what a new one keeps."""
        store.write([action()])
        strange: dict[str, Value] = {name: f"value of {name}" for name in STRANGE_NAMES}
        properties = {**strange, **ALL_KINDS}

        assert SinkAnswer() == store.write([action(version=VERSION + 1, properties=properties)])

        (kept,) = stored()
        assert {name: as_kept(value) for name, value in properties.items()} == kept.properties

    @pytest.mark.usefixtures("_newest_only")
    @pytest.mark.parametrize("strange", STRANGE_ACTIONS.values(), ids=STRANGE_ACTIONS)
    def test_a_strange_newer_version_leaves_what_is_held(
        self, store: ActionSink, stored: Stored, strange: Action
    ) -> None:
        """Where it is refused, the older version stays, and the rest of the batch is stored."""
        newer = replace(strange, version=max(strange.version, VERSION + 2))
        held = action("2", version=VERSION + 1)
        store.write([action("1"), action("2")])

        answer = store.write([action("1", version=VERSION + 1), held, newer, action("3")])

        refused = newer.action_id in answer.refused
        assert {newer.action_id} >= set(answer.refused)
        assert not answer.repeated
        assert [
            ("1", VERSION + 1),
            ("2", held.version if refused else newer.version),
            ("3", VERSION),
        ] == _versions_of(stored())

    @pytest.mark.usefixtures("_newest_only")
    def test_writers_with_versions_of_the_same_objects(
        self, store: ActionSink, reopen: Callable[[], ActionSink], stored: Stored
    ) -> None:
        """Of eight threads with different versions the newest stays, and was accepted."""
        handles = (store, reopen())
        batches = [
            [action(str(n), version=VERSION + (n + number) % 8) for n in range(50)]
            for number in range(8)
        ]
        store.write([action(str(n), version=VERSION - 1) for n in range(0, 50, 2)])

        answers = at_once(lambda number: handles[number % 2].write(batches[number]))

        newest = [(str(n), VERSION + 7) for n in range(50)]
        repeated = {one for answer in answers for one in answer.repeated}
        assert sorted(newest) == _versions_of(stored())
        assert not repeated & {action(n, version).action_id for n, version in newest}

    @pytest.mark.usefixtures("_newest_only")
    def test_writers_with_the_same_newer_versions(
        self, store: ActionSink, reopen: Callable[[], ActionSink], stored: Stored
    ) -> None:
        """Of eight threads with the same changes, each is accepted from exactly one."""
        store.write([action(str(n)) for n in range(50)])
        batch = [action(str(n), version=VERSION + 1) for n in range(50)]
        handles = (store, reopen())

        answers = at_once(lambda number: handles[number % 2].write(batch))

        everything = [one.action_id for one in batch]
        accepted = [one for answer in answers for one in everything if one not in answer.repeated]
        assert sorted(everything) == sorted(accepted)
        assert _versions_of(batch) == _versions_of(stored())
