"""What every `AtomicSink` has to keep beyond what each `ActionSink` does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from hubspot_sync.errors import InvariantError, LeaseLostError, StoreUnavailableError
from hubspot_sync.models import Checkpoint
from hubspot_sync.testing.contracts._fixtures import LONG, a_print, forged
from hubspot_sync.testing.contracts._once import ids_of
from hubspot_sync.testing.contracts._samples import (
    MOMENT,
    STREAM,
    VERSION,
    action,
    at_once,
    creation,
    progress,
    rich_action,
)
from hubspot_sync.testing.contracts.action_sink import ActionSinkContract

if TYPE_CHECKING:
    from hubspot_sync.interfaces import AtomicSink, Checkpointer
    from hubspot_sync.models import Lease
    from hubspot_sync.testing.contracts._once import Stored


class AtomicSinkContract(ActionSinkContract):
    """Subclass it and override what `ActionSinkContract` asks for, and `checkpointer`."""

    @pytest.fixture
    def checkpointer(self) -> Checkpointer:
        """The checkpointer that belongs to `store`, empty."""
        raise NotImplementedError

    @pytest.fixture
    def lease(self, checkpointer: Checkpointer) -> Lease:
        """The current lease on the samples' stream."""
        return checkpointer.acquire(STREAM, "a", LONG)

    def _has_nothing(self, checkpointer: Checkpointer, stored: Stored) -> bool:
        progress_made = checkpointer.load(STREAM) != Checkpoint()
        return not (stored() or progress_made or checkpointer.recall(STREAM, ["1", "2"]))

    def test_all_of_it_is_stored(
        self, store: AtomicSink, stored: Stored, checkpointer: Checkpointer, lease: Lease
    ) -> None:
        """Actions as they are, the checkpoint and the fingerprints."""
        assert store.write_and_commit(lease, [rich_action()], progress(), [a_print()])

        assert [rich_action()] == list(stored())
        assert progress() == checkpointer.load(STREAM)
        assert {"1": a_print()} == checkpointer.recall(STREAM, ["1"])

    def test_what_is_held_already_leaves_all_as_it_was(
        self, store: AtomicSink, stored: Stored, checkpointer: Checkpointer, lease: Lease
    ) -> None:
        """One repeated action is enough; nothing beside it is stored."""
        store.write([creation("2")])

        prints = [a_print("1"), a_print("2")]
        done = store.write_and_commit(lease, [creation("1"), creation("2")], progress(), prints)

        assert not done
        assert ids_of([creation("2")]) == ids_of(stored())
        assert Checkpoint() == checkpointer.load(STREAM)
        assert checkpointer.recall(STREAM, ["1", "2"]) == {}

    def test_a_second_creation_leaves_all_as_it_was(
        self, store: AtomicSink, stored: Stored, checkpointer: Checkpointer, lease: Lease
    ) -> None:
        """Whatever its version."""
        store.write([creation("1")])

        newer = creation("1", version=VERSION + 1)
        done = store.write_and_commit(lease, [newer], progress(), [a_print()])

        assert not done
        assert ids_of([creation("1")]) == ids_of(stored())
        assert Checkpoint() == checkpointer.load(STREAM)

    def test_the_same_again_changes_nothing(
        self, store: AtomicSink, stored: Stored, checkpointer: Checkpointer, lease: Lease
    ) -> None:
        """As after an answer that was lost."""
        first = store.write_and_commit(lease, [creation("1")], progress(), [a_print()])
        second = store.write_and_commit(lease, [creation("1")], progress(), [a_print()])

        assert (first, second) == (True, False)
        assert ids_of([creation("1")]) == ids_of(stored())
        assert progress() == checkpointer.load(STREAM)

    def test_a_stale_owner_changes_nothing(
        self, store: AtomicSink, stored: Stored, checkpointer: Checkpointer, lease: Lease
    ) -> None:
        """Nor does one with a lease that was given back, or that nobody granted."""
        checkpointer.release(lease)
        current = checkpointer.acquire(STREAM, "b", LONG)
        checkpointer.release(current)

        for refused in (lease, current, forged(fence=99)):
            with pytest.raises(LeaseLostError):
                store.write_and_commit(refused, [creation("1")], progress(), [a_print()])

        assert self._has_nothing(checkpointer, stored)

    def test_a_mark_that_would_fall_is_refused(
        self, store: AtomicSink, stored: Stored, checkpointer: Checkpointer, lease: Lease
    ) -> None:
        """And nothing else is stored."""
        held = Checkpoint(high_water_mark=MOMENT)
        checkpointer.commit(lease, held)

        earlier = Checkpoint(high_water_mark=MOMENT - timedelta(milliseconds=1))
        with pytest.raises(InvariantError):
            store.write_and_commit(lease, [creation("1")], earlier, [a_print()])

        assert held == checkpointer.load(STREAM)
        assert not stored()
        assert checkpointer.recall(STREAM, ["1"]) == {}

    def test_fingerprints_never_go_back(
        self, store: AtomicSink, checkpointer: Checkpointer, lease: Lease
    ) -> None:
        """Newer ones replace what is known, older ones do not."""
        known = [a_print("1", VERSION + 5), a_print("2", VERSION)]
        checkpointer.commit(lease, progress(), known)

        given = [a_print("1", VERSION), a_print("2", VERSION + 5)]
        assert store.write_and_commit(lease, [action("1"), action("2")], progress(), given)

        expected = {"1": known[0], "2": given[1]}
        assert expected == checkpointer.recall(STREAM, ["1", "2"])

    def test_of_eight_at_once_one_stores_it(
        self, store: AtomicSink, stored: Stored, checkpointer: Checkpointer, lease: Lease
    ) -> None:
        """The others are told so, or that they have to try again."""

        def write(_: int) -> bool:
            try:
                return store.write_and_commit(lease, [creation("1")], progress(), [a_print()])
            except StoreUnavailableError:
                return False

        assert sum(at_once(write)) <= 1
        store.write_and_commit(lease, [creation("1")], progress(), [a_print()])
        assert ids_of([creation("1")]) == ids_of(stored())
        assert {"1": a_print()} == checkpointer.recall(STREAM, ["1"])
