"""The part of the `Checkpointer` contract that is about leases and fences."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from hubspot_sync.errors import InvariantError, LeaseHeldError, LeaseLostError
from hubspot_sync.models import Checkpoint, Lease, StreamKey, StreamProgress
from hubspot_sync.testing.contracts._fixtures import (
    LONG,
    OTHERS,
    CheckpointerFixtures,
    a_print,
    forged,
)
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    STREAM,
    VERSION,
    at_once,
    progress,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.interfaces import Checkpointer
    from hubspot_sync.testing.contracts._fixtures import Passing


class LeaseCases(CheckpointerFixtures):
    """Exactly one owner at a time, and a stale one changes nothing."""

    def _taken_over(self, store: Checkpointer, let_pass: Passing) -> tuple[Lease, Lease]:
        stale = store.acquire(STREAM, "a", self.short)
        let_pass(self.short * 2)
        return stale, store.acquire(STREAM, "b", LONG)

    def test_a_lease_says_what_was_asked_for(self, store: Checkpointer) -> None:
        """A lease names its stream and owner, has a positive fence and ends in the future."""
        short = store.acquire(OTHERS[0], "worker 1", self.short)
        lease = store.acquire(STREAM, "worker 1", LONG)

        assert (lease.stream, lease.owner) == (STREAM, "worker 1")
        assert lease.fence >= 1
        assert lease.expires_at - short.expires_at > LONG / 2

    @pytest.mark.parametrize("owner", ["a", "b"])
    def test_a_held_stream_is_refused(self, store: Checkpointer, owner: str) -> None:
        """Nobody gets a lease that runs, not even its owner; the error says who holds it."""
        lease = store.acquire(STREAM, "a", LONG)

        with pytest.raises(LeaseHeldError) as caught:
            store.acquire(STREAM, owner, LONG)

        assert caught.value.owner == "a"
        store.commit(lease, progress())
        assert progress() == store.load(STREAM)

    def test_a_released_stream_is_free_at_once(self, store: Checkpointer) -> None:
        """After a release anybody may acquire, and the fence is higher."""
        first = store.acquire(STREAM, "a", LONG)
        store.release(first)

        second = store.acquire(STREAM, "b", LONG)

        assert second.fence > first.fence

    def test_an_expired_lease_is_taken_over(self, store: Checkpointer, let_pass: Passing) -> None:
        """When the holder's time is up another owner gets the stream, with a higher fence."""
        stale, current = self._taken_over(store, let_pass)

        assert current.owner == "b"
        assert current.fence > stale.fence

    @pytest.mark.parametrize("by", [timedelta(days=3653), -timedelta(days=3653)])
    def test_a_lease_lasts_no_longer_than_was_asked_for(
        self, store: Checkpointer, let_pass: Passing, set_clock: Passing, by: timedelta
    ) -> None:
        """Whether the clock was years ahead when it was granted, or is set back by years then."""
        if by > timedelta(0):
            set_clock(by)
        stale = store.acquire(STREAM, "a", self.short)
        set_clock(-abs(by))
        let_pass(self.short * 2)

        current = store.acquire(STREAM, "b", LONG)

        assert current.fence > stale.fence
        with pytest.raises(LeaseHeldError):
            store.acquire(STREAM, "c", LONG)
        with pytest.raises(LeaseLostError):
            store.commit(stale, progress())

    def test_an_owner_takes_its_own_expired_lease_again(
        self, store: Checkpointer, let_pass: Passing
    ) -> None:
        """An owner whose time is up acquires again like anybody else."""
        first = store.acquire(STREAM, "a", self.short)
        let_pass(self.short * 2)

        assert store.acquire(STREAM, "a", LONG).fence > first.fence

    @pytest.mark.parametrize("owner", ["b", "a"])
    def test_a_dead_owner_is_evicted(self, store: Checkpointer, owner: str) -> None:
        """A caller that knows the holder to be dead, or to be itself, need not wait."""
        first = store.acquire(STREAM, "a", LONG)

        second = store.acquire(STREAM, owner, LONG, evict="a")

        assert second.fence > first.fence
        with pytest.raises(LeaseLostError):
            store.renew(first, LONG)

    def test_only_the_named_owner_is_evicted(self, store: Checkpointer) -> None:
        """Evicting somebody who does not hold the stream gains nothing."""
        store.acquire(STREAM, "a", LONG)

        with pytest.raises(LeaseHeldError):
            store.acquire(STREAM, "b", LONG, evict="c")

    def test_evicting_nobody_is_an_ordinary_acquire(self, store: Checkpointer) -> None:
        """A stream that nobody holds is granted whoever is to be evicted."""
        assert store.acquire(STREAM, "b", LONG, evict="a").owner == "b"

    def test_streams_are_leased_apart(self, store: Checkpointer) -> None:
        """A lease on one stream leaves other types, accounts and domains free."""
        store.acquire(STREAM, "a", LONG)

        leases = [store.acquire(other, "b", LONG) for other in OTHERS]

        assert list(OTHERS) == [lease.stream for lease in leases]

    def test_a_renewed_lease_runs_on(self, store: Checkpointer, let_pass: Passing) -> None:
        """Renewing moves the end and keeps the fence; it may be done again."""
        lease = store.acquire(STREAM, "a", self.short)

        renewed = store.renew(store.renew(lease, LONG), LONG)
        let_pass(self.short * 2)

        assert evolve(renewed, expires_at=lease.expires_at) == lease
        assert renewed.expires_at > lease.expires_at
        with pytest.raises(LeaseHeldError):
            store.acquire(STREAM, "b", LONG)

    def test_a_late_owner_goes_on_if_nobody_took_over(
        self, store: Checkpointer, let_pass: Passing
    ) -> None:
        """A lease whose time is up still commits and renews while it is the current one."""
        lease = store.acquire(STREAM, "a", self.short)
        let_pass(self.short * 2)

        store.commit(lease, progress(), [a_print()])
        renewed = store.renew(lease, LONG)

        assert lease.fence == renewed.fence
        assert progress() == store.load(STREAM)

    def test_a_stale_owner_changes_nothing(self, store: Checkpointer, let_pass: Passing) -> None:
        """Its commit and renewal are refused, its release is passed over."""
        stale, current = self._taken_over(store, let_pass)
        store.commit(current, progress(), [a_print()])

        with pytest.raises(LeaseLostError):
            store.commit(stale, progress(MOMENT + LONG), [a_print("1", VERSION + 1), a_print("2")])
        with pytest.raises(LeaseLostError):
            store.renew(stale, LONG)
        store.release(stale)

        assert progress() == store.load(STREAM)
        assert {"1": a_print()} == store.recall(STREAM, ["1", "2"])
        with pytest.raises(LeaseHeldError) as caught:
            store.acquire(STREAM, "c", LONG)
        assert caught.value.owner == "b"

    def test_a_stale_lease_of_the_same_owner_is_stale(
        self, store: Checkpointer, let_pass: Passing
    ) -> None:
        """The fence decides, not the owner's name."""
        stale = store.acquire(STREAM, "a", self.short)
        let_pass(self.short * 2)
        store.acquire(STREAM, "a", LONG)

        with pytest.raises(LeaseLostError):
            store.commit(stale, progress())
        with pytest.raises(LeaseLostError):
            store.renew(stale, LONG)
        store.release(stale)

        with pytest.raises(LeaseHeldError):
            store.acquire(STREAM, "b", LONG)

    def test_a_released_lease_writes_nothing(self, store: Checkpointer) -> None:
        """After its release a lease neither commits nor renews; releasing again is silent."""
        lease = store.acquire(STREAM, "a", LONG)
        store.release(lease)
        store.release(lease)

        with pytest.raises(LeaseLostError):
            store.commit(lease, progress(), [a_print()])
        with pytest.raises(LeaseLostError):
            store.renew(lease, LONG)

        assert Checkpoint() == store.load(STREAM)
        assert store.recall(STREAM, ["1"]) == {}

    def test_a_lease_that_was_never_granted_writes_nothing(self, store: Checkpointer) -> None:
        """A lease on a stream that the store does not know is refused like a stale one."""
        with pytest.raises(LeaseLostError):
            store.commit(forged(), progress(), [a_print()])
        with pytest.raises(LeaseLostError):
            store.renew(forged(), LONG)
        store.release(forged())

        assert Checkpoint() == store.load(STREAM)
        assert store.recall(STREAM, ["1"]) == {}

    def test_a_lease_opens_its_own_stream_only(self, store: Checkpointer) -> None:
        """A lease of one stream with the right fence writes nothing to another."""
        lease = store.acquire(STREAM, "a", LONG)

        with pytest.raises(LeaseLostError):
            store.commit(evolve(lease, stream=OTHERS[0]), progress())

        assert Checkpoint() == store.load(OTHERS[0])

    def test_one_of_many_gets_the_lease(
        self, store: Checkpointer, reopen: Callable[[], Checkpointer]
    ) -> None:
        """Of eight threads one gets the lease, round after round, with a higher fence each."""
        handles = (store, reopen())

        def acquire(number: int) -> Lease | None:
            try:
                return handles[number % 2].acquire(STREAM, f"worker {number}", LONG)
            except LeaseHeldError:
                return None

        fences = []
        for _ in range(4):
            granted = [lease for lease in at_once(acquire) if lease is not None]
            assert len(granted) == 1
            fences.append(granted[0].fence)
            store.release(granted[0])
        assert sorted(set(fences)) == fences

    def test_a_takeover_beats_commits_under_way(
        self, store: Checkpointer, reopen: Callable[[], Checkpointer]
    ) -> None:
        """Once the new owner has its lease, nothing the old one commits is seen."""
        stale, other = store.acquire(STREAM, "a", LONG), reopen()
        mine = Checkpoint(high_water_mark=MOMENT + LONG)

        def race(number: int) -> bool:
            if number == 0:
                other.commit(other.acquire(STREAM, "b", LONG, evict="a"), mine)
                return True
            try:
                store.commit(stale, progress(MOMENT + timedelta(milliseconds=number)))
            except (LeaseLostError, InvariantError):
                return False
            return True

        at_once(race)

        assert mine == store.load(STREAM)

    def test_a_survey_tells_of_many_streams(self, store: Checkpointer) -> None:
        """Each with its checkpoint, and whether it is held; one that nobody leased has no key."""
        never = StreamKey(ACCOUNT, "tickets")
        held = store.acquire(STREAM, "a", LONG)
        store.commit(held, progress())
        free = store.acquire(OTHERS[0], "a", LONG)
        store.commit(free, Checkpoint(reading=progress().reading))
        store.release(free)
        store.acquire(OTHERS[1], "a", LONG)

        found = store.survey([STREAM, *OTHERS[:2], never])

        assert store.survey([]) == {}
        assert {STREAM, *OTHERS[:2]} == set(found)
        assert progress() == found[STREAM].checkpoint
        assert Checkpoint(reading=progress().reading) == found[OTHERS[0]].checkpoint
        assert StreamProgress(checkpoint=Checkpoint(), held=True) == found[OTHERS[1]]
        assert [found[STREAM].held, found[OTHERS[0]].held] == [True, False]
        assert found[STREAM].committed_ago is not None
        assert found[STREAM].marked_ago is not None
        assert found[OTHERS[0]].committed_ago is not None
        assert found[OTHERS[0]].marked_ago is None

    def test_a_survey_tells_how_long_ago_a_stream_moved(
        self, store: Checkpointer, let_pass: Passing
    ) -> None:
        """By the store's own clock: since the last commit, and since the mark moved."""
        lease = store.acquire(STREAM, "a", LONG)
        store.commit(lease, progress())
        let_pass(self.short)
        store.commit(lease, progress())

        found = store.survey([STREAM])[STREAM]

        assert found.marked_ago is not None
        assert found.committed_ago is not None
        assert found.marked_ago >= self.short
        assert found.marked_ago - found.committed_ago >= self.short / 2
        store.commit(lease, Checkpoint(high_water_mark=MOMENT + timedelta(days=1)))
        again = store.survey([STREAM])[STREAM]
        assert again.marked_ago == again.committed_ago
        store.forget(lease)
        assert StreamProgress(checkpoint=Checkpoint(), held=True) == store.survey([STREAM])[STREAM]

    def test_a_lease_that_ran_out_is_not_held(self, store: Checkpointer, let_pass: Passing) -> None:
        """A worker that died is not at work."""
        store.acquire(STREAM, "a", self.short)
        assert store.survey([STREAM])[STREAM].held
        let_pass(self.short * 2)

        assert not store.survey([STREAM])[STREAM].held

    def test_a_clock_that_was_set_back_is_not_believed(
        self, store: Checkpointer, set_clock: Passing
    ) -> None:
        """It is not known how long ago what was committed in the future was, or a moment."""
        store.commit(store.acquire(STREAM, "a", LONG), progress())
        set_clock(-timedelta(hours=1))

        found = store.survey([STREAM])[STREAM]

        for known in (found.committed_ago, found.marked_ago):
            assert known is None or timedelta(0) <= known < timedelta(minutes=1)
        assert progress() == found.checkpoint
