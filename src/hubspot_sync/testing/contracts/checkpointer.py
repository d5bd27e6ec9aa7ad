"""What every `Checkpointer` has to keep: leases with fences, checkpoints, fingerprints."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from msgspec.structs import replace

from hubspot_sync.errors import InvariantError, LeaseHeldError, StoreUnavailableError
from hubspot_sync.models import AccountKey, Checkpoint, StreamKey
from hubspot_sync.testing.contracts._fixtures import LONG, OTHERS, a_print, forged
from hubspot_sync.testing.contracts._leases import LeaseCases
from hubspot_sync.testing.contracts._samples import (
    KATHMANDU,
    MOMENT,
    STRANGE_NAMES,
    STREAM,
    VERSION,
    at_once,
    progress,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.interfaces import Checkpointer
    from hubspot_sync.testing.contracts._fixtures import Passing


class CheckpointerContract(LeaseCases):
    """Subclass it and override `store` and `reopen`; where they apply, the rest too.

    Where the store takes a clock, override `let_pass` with one that moves that clock; where it
    goes by the time of its server, nothing has to be done.
    """

    def test_a_new_stream_has_no_progress(self, store: Checkpointer) -> None:
        """The checkpoint of a stream that was never committed is the default one."""
        assert Checkpoint() == store.load(STREAM)
        assert store.recall(STREAM, ["1", "2"]) == {}

    @pytest.mark.parametrize("checkpoint", [progress(), progress(None), Checkpoint()])
    def test_a_commit_comes_back(self, store: Checkpointer, checkpoint: Checkpoint) -> None:
        """Instants to the millisecond, ranges in their order; the same again changes nothing."""
        lease = store.acquire(STREAM, "a", LONG)

        store.commit(lease, checkpoint, [a_print()])
        store.commit(lease, checkpoint, [a_print()])

        assert checkpoint == store.load(STREAM)
        assert {"1": a_print()} == store.recall(STREAM, ["1"])

    def test_instants_come_back_aware(self, store: Checkpointer) -> None:
        """An instant given in another zone is the same instant, with a zone, when it is read."""
        lease = store.acquire(STREAM, "a", LONG)
        store.commit(lease, Checkpoint(high_water_mark=MOMENT.astimezone(KATHMANDU)))

        mark = store.load(STREAM).high_water_mark

        assert mark == MOMENT
        assert mark.tzinfo is not None

    def test_progress_outlives_the_lease(self, store: Checkpointer, let_pass: Passing) -> None:
        """Who takes a stream over finds what was committed before."""
        lease = store.acquire(STREAM, "a", self.short)
        store.commit(lease, progress(), [a_print()])
        let_pass(self.short * 2)

        store.release(store.acquire(STREAM, "b", LONG))

        assert progress() == store.load(STREAM)
        assert {"1": a_print()} == store.recall(STREAM, ["1"])

    @pytest.mark.parametrize("mark", [MOMENT - timedelta(milliseconds=1), None])
    def test_the_mark_never_falls(self, store: Checkpointer, mark: None) -> None:
        """A commit that would lower the high-water mark is refused whole."""
        lease = store.acquire(STREAM, "a", LONG)
        store.commit(lease, progress())

        with pytest.raises(InvariantError):
            store.commit(lease, Checkpoint(high_water_mark=mark), [a_print()])

        assert progress() == store.load(STREAM)
        assert store.recall(STREAM, ["1"]) == {}

    @pytest.mark.parametrize("mark", [MOMENT - timedelta(days=400), None])
    def test_a_mark_is_taken_back_by_its_name(self, store: Checkpointer, mark: None) -> None:
        """One that a wrong clock set falls to a checkpoint whose `fell_from` it is, to no other."""
        lease = store.acquire(STREAM, "a", LONG)
        store.commit(lease, progress())
        fallen = Checkpoint(high_water_mark=mark, fell_from=MOMENT)

        with pytest.raises(InvariantError):
            store.commit(lease, evolve(fallen, fell_from=MOMENT + timedelta(milliseconds=1)))
        store.commit(lease, fallen, [a_print()])
        store.commit(lease, fallen, [a_print()])

        assert fallen == store.load(STREAM)
        assert {"1": a_print()} == store.recall(STREAM, ["1"])
        if mark is not None:
            with pytest.raises(InvariantError):
                store.commit(lease, Checkpoint())

    def test_the_mark_rises(self, store: Checkpointer) -> None:
        """A commit replaces the whole checkpoint, whose mark may stay or rise."""
        lease = store.acquire(STREAM, "a", LONG)
        later = Checkpoint(high_water_mark=MOMENT + timedelta(milliseconds=1))

        for checkpoint in (progress(None), progress(), Checkpoint(high_water_mark=MOMENT), later):
            store.commit(lease, checkpoint)

        assert later == store.load(STREAM)

    def test_fingerprints_never_go_back(self, store: Checkpointer) -> None:
        """A newer or equal version replaces, an older one is passed over, others are kept."""
        lease = store.acquire(STREAM, "a", LONG)
        store.commit(lease, progress(), [a_print("1"), a_print("2"), a_print("3"), a_print("4")])

        newer, equal = a_print("1", VERSION + 1, b"newer"), a_print("3", VERSION, b"equal")
        older = a_print("2", VERSION - 1, b"older")
        store.commit(lease, progress(), [newer, older, equal, a_print("5")])

        expected = {"1": newer, "2": a_print("2"), "3": equal, "4": a_print("4"), "5": a_print("5")}
        assert expected == store.recall(STREAM, ["1", "2", "3", "4", "5", "6"])

    def test_a_version_with_other_values(self, store: Checkpointer) -> None:
        """The digest of the last commit counts, an empty one and one that was there before too."""
        lease = store.acquire(STREAM, "a", LONG)

        for digest in (b"a" * 16, b"b" * 16, b"", b"a" * 16, b""):
            fingerprint = a_print("1", VERSION, digest)
            store.commit(lease, progress(), [a_print("2"), fingerprint])
            assert {"1": fingerprint, "2": a_print("2")} == store.recall(STREAM, ["1", "2"])

    def test_the_variant_is_that_of_the_last_commit(self, store: Checkpointer) -> None:
        """A newer version may have none again."""
        lease = store.acquire(STREAM, "a", LONG)

        for version, variant in ((0, 7), (0, VERSION + 9), (1, 0), (1, 5)):
            fingerprint = replace(a_print("1", VERSION + version), variant=variant)
            store.commit(lease, progress(), [fingerprint])
            assert {"1": fingerprint} == store.recall(STREAM, ["1"])

    def test_one_object_twice_in_a_commit(self, store: Checkpointer) -> None:
        """The newest version counts, in whatever order they come."""
        lease = store.acquire(STREAM, "a", LONG)
        newer = a_print("1", VERSION + 1, b"newer")

        store.commit(lease, progress(), [a_print("1"), newer, a_print("1", VERSION - 1, b"older")])

        assert {"1": newer} == store.recall(STREAM, ["1"])

    def test_many_fingerprints(self, store: Checkpointer) -> None:
        """2,500 fingerprints are committed and recalled in one call each; no ids give nothing."""
        lease = store.acquire(STREAM, "a", LONG)
        prints = {str(n): a_print(str(n), VERSION + n, bytes([n % 256]) * 16) for n in range(2_500)}

        store.commit(lease, progress(), list(prints.values()))

        assert prints == store.recall(STREAM, [*prints, "no such", *prints])
        assert store.recall(STREAM, []) == {}

    def test_streams_do_not_meet(self, store: Checkpointer) -> None:
        """Progress and fingerprints of one stream are not those of another."""
        store.commit(store.acquire(STREAM, "a", LONG), progress(), [a_print()])

        assert [Checkpoint()] * 3 == [store.load(other) for other in OTHERS]
        assert [store.recall(other, ["1"]) for other in OTHERS] == [{}] * 3

    def test_any_name_is_kept_apart(self, store: Checkpointer) -> None:
        """Punctuation, scripts and look-alikes in domains and owners are names like any other."""
        streams = [StreamKey(AccountKey(name, "1"), "contacts") for name in STRANGE_NAMES]
        for number, (stream, name) in enumerate(zip(streams, STRANGE_NAMES, strict=True)):
            lease = store.acquire(stream, name, LONG, evict=name)
            store.commit(lease, progress(), [a_print("1", number)])
            assert name == store.renew(lease, LONG).owner

        recalled = [store.recall(stream, ["1"])["1"].version for stream in streams]

        assert list(range(len(streams))) == recalled

    def test_many_commit_at_once(
        self, store: Checkpointer, reopen: Callable[[], Checkpointer]
    ) -> None:
        """Threads that share a lease lose no fingerprint, and the newest version wins."""
        lease = store.acquire(STREAM, "a", LONG)
        handles = (store, reopen())

        def commit(number: int) -> None:
            mine = a_print(f"own-{number}"), a_print("shared", VERSION + number)
            handles[number % 2].commit(lease, progress(), mine)

        at_once(commit)

        recalled = store.recall(STREAM, ["shared", *(f"own-{n}" for n in range(8))])
        assert len(recalled) == 9
        assert recalled["shared"].version == VERSION + 7

    def test_another_handle_sees_everything(
        self, store: Checkpointer, reopen: Callable[[], Checkpointer]
    ) -> None:
        """The lease, the progress and the fingerprints are there for the next worker."""
        lease = store.acquire(STREAM, "a", LONG)
        store.commit(lease, progress(), [a_print()])

        reopened = reopen()

        assert progress() == reopened.load(STREAM)
        assert {"1": a_print()} == reopened.recall(STREAM, ["1"])
        with pytest.raises(LeaseHeldError):
            reopened.acquire(STREAM, "b", LONG)
        reopened.release(lease)
        assert store.acquire(STREAM, "b", LONG).fence > lease.fence

    def test_a_back_end_that_is_away_is_an_error_of_ours(self, away: Checkpointer) -> None:
        """Every method raises `StoreUnavailableError`."""
        calls: list[Callable[[], object]] = [
            lambda: away.acquire(STREAM, "a", LONG),
            lambda: away.renew(forged(), LONG),
            lambda: away.release(forged()),
            lambda: away.load(STREAM),
            lambda: away.recall(STREAM, ["1"]),
            lambda: away.commit(forged(), progress(), [a_print()]),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailableError):
                call()
