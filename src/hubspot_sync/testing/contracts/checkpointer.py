"""What every `Checkpointer` has to keep: leases with fences, checkpoints, fingerprints."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest
from attrs import evolve
from msgspec.structs import replace

from hubspot_sync.errors import (
    InvariantError,
    LeaseHeldError,
    LeaseLostError,
    StoreUnavailableError,
)
from hubspot_sync.models import AccountKey, Checkpoint, Fingerprint, Gone, StreamKey
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


# What is gone, of the ids of some cases.
GONE: Final = {"10": Gone.DELETED, "99": Gone.MERGED}


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

    def test_a_tombstone_comes_back(self, store: Checkpointer) -> None:
        """How an object left, into which it was merged, and that it is there again."""
        lease = store.acquire(STREAM, "a", LONG)
        forms = [
            replace(a_print("1"), edges=b"\x00" * 8),
            replace(a_print("1"), variant=VERSION + 5, gone=Gone.MERGED, merged_into="2"),
            replace(a_print("1"), variant=VERSION + 6, gone=Gone.DELETED, digest=b""),
            replace(a_print("1"), variant=VERSION + 7),
            replace(a_print("1", VERSION + 9), gone=Gone.ERASED, edges=b"\xff" * 8),
        ]

        for form in forms:
            store.commit(lease, progress(), [form])

            assert {"1": form} == store.recall(STREAM, ["1"])

    def test_a_walk_meets_all_in_the_order_of_their_numbers(self, store: Checkpointer) -> None:
        """Page by page, tombstones included; 9 comes before 10, whatever their text says."""
        lease = store.acquire(STREAM, "a", LONG)
        ids = ["1", "2", "9", "10", "11", "99", "100", "1000000000000", "9007199254740993"]
        prints = {one: replace(a_print(one), gone=GONE.get(one)) for one in ids}
        store.commit(lease, progress(), [prints[one] for one in sorted(ids)])

        walked: list[Fingerprint] = []
        while page := store.browse(STREAM, limit=4, after=walked[-1].object_id if walked else None):
            assert len(page) <= 4
            walked.extend(page)

        assert [prints[one] for one in ids] == walked

    def test_ids_of_text(self, store: Checkpointer) -> None:
        """Reference data has them, of any length; a walk meets each once."""
        lease = store.acquire(STREAM, "a", LONG)
        ids = ["7", "deals.default", "2-34.a_b", f"contacts.{'x' * 100}", f"companies.{'y' * 120}"]
        prints = {one: a_print(one) for one in ids}
        store.commit(lease, progress(), list(prints.values()))

        walked: list[Fingerprint] = []
        while page := store.browse(STREAM, limit=2, after=walked[-1].object_id if walked else None):
            walked.extend(page)

        assert sorted(ids) == sorted(one.object_id for one in walked)
        assert prints == store.recall(STREAM, ids)
        assert len(ids) == store.count(STREAM)

    @pytest.mark.parametrize(
        ("after", "until", "expected"),
        [
            (None, None, ["1", "2", "9", "10", "11", "99", "100"]),
            ("2", "100", ["9", "10", "11", "99"]),
            ("3", "99", ["9", "10", "11"]),
            (None, "2", ["1"]),
            ("99", None, ["100"]),
            ("100", None, []),
        ],
    )
    def test_a_range_of_ids(
        self, store: Checkpointer, after: str | None, until: str | None, expected: list[str]
    ) -> None:
        """Neither end is part of it; what is gone is not counted."""
        lease = store.acquire(STREAM, "a", LONG)
        ids = ["1", "2", "9", "10", "11", "99", "100"]
        store.commit(
            lease, progress(), [replace(a_print(one), gone=GONE.get(one)) for one in reversed(ids)]
        )

        page = store.browse(STREAM, limit=50, after=after, until=until)

        assert expected == [one.object_id for one in page]
        there = [one for one in expected if one not in GONE]
        assert len(there) == store.count(STREAM, after=after, until=until)

    def test_a_tombstone_that_is_not_proved_is_counted(self, store: Checkpointer) -> None:
        """Nobody knows whether the sink was told."""
        lease = store.acquire(STREAM, "a", LONG)
        gone = replace(a_print("2"), gone=Gone.DELETED)

        store.commit(lease, progress(), [a_print("1"), replace(gone, digest=b"")])
        assert store.count(STREAM) == 2
        store.commit(lease, progress(), [gone])
        assert store.count(STREAM) == 1

    def test_what_was_delivered_is_kept_where_it_is_tracked(self, store: Checkpointer) -> None:
        """Byte for byte, until a fingerprint without it comes."""
        lease = store.acquire(STREAM, "a", LONG)
        tracked = replace(a_print("1"), state=bytes(range(256)))

        store.commit(lease, progress(), [tracked, a_print("2")])
        assert store.recall(STREAM, ["1", "2"]) == {"1": tracked, "2": a_print("2")}
        assert list(store.browse(STREAM, limit=9)) == [tracked, a_print("2")]
        store.commit(lease, progress(), [a_print("1")])
        assert store.recall(STREAM, ["1"]) == {"1": a_print("1")}

    def test_a_walk_stays_in_its_stream(self, store: Checkpointer) -> None:
        """Also where the name of another domain begins like the stream."""
        tricky = StreamKey(AccountKey("acme:62515:contacts", "12"), "contacts")
        for number, stream in enumerate((STREAM, tricky, *OTHERS)):
            lease = store.acquire(stream, "a", LONG)
            store.commit(lease, progress(), [a_print(str(n)) for n in range(number + 1)])

        for number, stream in enumerate((STREAM, tricky, *OTHERS)):
            assert number + 1 == store.count(stream)
            assert number + 1 == len(store.browse(stream, limit=50))

    def test_what_is_forgotten(self, store: Checkpointer) -> None:
        """Some fingerprints go, the others and the progress stay; the second time none is left."""
        lease = store.acquire(STREAM, "a", LONG)
        store.commit(lease, progress(), [a_print("1"), a_print("2"), a_print("3")])

        assert store.forget(lease, ["1", "3", "no such"]) == 2
        assert store.forget(lease, ["1", "3"]) == 0
        assert store.forget(lease, []) == 0

        assert {"2": a_print("2")} == store.recall(STREAM, ["1", "2", "3"])
        assert progress() == store.load(STREAM)

    def test_a_stream_is_forgotten_whole(self, store: Checkpointer) -> None:
        """Its progress goes too; other streams, and the lease, are left alone."""
        for stream in OTHERS:
            store.commit(store.acquire(stream, "b", LONG), progress(), [a_print()])
        lease = store.acquire(STREAM, "a", LONG)
        store.commit(lease, progress(), [a_print("1"), a_print("2")])

        assert store.forget(lease) == 2
        assert store.forget(lease) == 0

        assert Checkpoint() == store.load(STREAM)
        assert store.browse(STREAM, limit=5) == []
        assert [store.count(stream) for stream in OTHERS] == [1] * 3
        store.commit(lease, Checkpoint(), [a_print("1")])

    def test_the_streams_of_an_account(self, store: Checkpointer) -> None:
        """Those that were ever leased, forgotten or not; of no account whose name begins alike."""
        account = STREAM.account
        assert list(store.streams(account)) == []
        for stream in (STREAM, *OTHERS, StreamKey(AccountKey("acme:62515", "1"), "deals")):
            lease = store.acquire(stream, "a", LONG)
            store.commit(lease, progress(), [a_print()])
            store.forget(lease)
            store.release(lease)

        found = store.streams(account)

        assert {STREAM, StreamKey(account, "companies")} == set(found)
        assert len(found) == 2

    def test_a_stale_lease_forgets_nothing(self, store: Checkpointer) -> None:
        """Who lost the stream is refused."""
        stale = store.acquire(STREAM, "a", LONG)
        store.commit(stale, progress(), [a_print()])
        store.acquire(STREAM, "b", LONG, evict="a")

        for object_ids in (["1"], None):
            with pytest.raises(LeaseLostError):
                store.forget(stale, object_ids)

        assert {"1": a_print()} == store.recall(STREAM, ["1"])
        assert progress() == store.load(STREAM)

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
            lambda: away.browse(STREAM, limit=1),
            lambda: away.count(STREAM),
            lambda: away.forget(forged(), ["1"]),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailableError):
                call()
