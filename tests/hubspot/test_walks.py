"""Parallel reading: every record in some page, and at each page the rest is known exactly."""

from __future__ import annotations

import bisect
import threading
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from hubspot_sync._hubspot.records import ranges
from hubspot_sync._hubspot.records.ranges import Split, Walk, WalkPool
from hubspot_sync._threads import new_thread
from hubspot_sync.models import IdRange, Page, Record

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
PAGE = 3
WHOLE = (IdRange(),)


def record(object_id):
    return Record(
        object_type="contacts",
        object_id=str(object_id),
        properties={},
        created_at=NOON,
        modified_at=NOON,
    )


class SortedReader:
    """Reads sorted numbers in small pages; `after` is the next number, as in the list."""

    def __init__(self, ids, fail_at=None, *, shared=True):
        self.ids = sorted(ids)
        self.fail_at = fail_at
        self.shared = shared
        self.pages = self.splits = 0
        self.lock = threading.Lock()

    def page(self, after):
        with self.lock:
            self.pages += 1
            if self.pages == self.fail_at:
                raise ConnectionError("cut off")
        start = bisect.bisect_left(self.ids, int(after or 0))
        rows = self.ids[start : start + PAGE]
        more = start + PAGE < len(self.ids)
        return SimpleNamespace(rows=rows, after=str(self.ids[start + PAGE]) if more else None)

    def read(self, walk):
        after, page = walk.id_range.after, walk.first
        while True:
            page = page or self.page(after)
            after = page.after
            walk.advance(2**63 if after is None else int(after), 1.0 if self.shared else 0.0)
            until = walk.until
            rows = [row for row in page.rows if until is None or row < until]
            done = after is None or (until is not None and int(after) >= until)
            left = () if done else (evolve(walk.id_range, after=after),)
            yield Page(records=tuple(record(row) for row in rows), ranges=left)
            if done:
                return
            page = None

    def split(self, walk):
        self.splits += 1
        if walk.highest is None:
            walk.highest = (walk.until or max(self.ids) + 1) - 1
        middle = walk.middle(walk.highest)
        if middle is None:
            return None
        page = self.page(str(middle))
        if not page.rows or (walk.until is not None and page.rows[0] >= walk.until):
            walk.highest = middle - 1
            return None
        until = None if walk.until is None else str(walk.until)
        upper = evolve(walk.id_range, after=str(page.rows[0]), until=until)
        return Split(at=page.rows[0], upper=upper, first=page)


def read(reader, ranges=WHOLE, width=4):
    return list(WalkPool(reader, ranges, width=width, max_bytes=1 << 20).pages())


def ids_in(pages):
    return [int(found.object_id) for page in pages for found in page.records]


IDS = st.sets(
    st.one_of(st.integers(1, 200), st.integers(10**9, 10**9 + 500), st.integers(1, 2**45)),
    max_size=120,
)


@settings(deadline=None)
@given(ids=IDS, width=st.integers(1, 6))
def test_every_record_is_read_once_however_the_threads_run(ids, width):
    """Ranges are split at records that exist, so none lies between two of them."""
    pages = read(SortedReader(ids), width=width)

    assert sorted(ids_in(pages)) == sorted(ids)
    assert pages[-1].ranges == ()


@settings(deadline=None)
@given(ids=IDS, width=st.integers(1, 6), cut=st.integers(0, 30))
def test_at_each_page_the_rest_is_known(ids, width, cut):
    """Whatever page was the last one stored, going on from its ranges brings all others."""
    pages = read(SortedReader(ids), width=width)[: cut + 1]

    rest = read(SortedReader(ids), pages[-1].ranges) if pages[-1].ranges else []

    assert sorted(set(ids_in(pages)) | set(ids_in(rest))) == sorted(ids)


@settings(deadline=None)
@given(ids=IDS.filter(lambda ids: len(ids) > PAGE), fail_at=st.integers(1, 20))
def test_a_failure_loses_nothing_that_was_read(ids, fail_at):
    """All pages before it are handed out, then it is raised."""
    reader = SortedReader(ids, fail_at=fail_at)
    pages, left = [], WHOLE
    try:
        for page in WalkPool(reader, left, width=3, max_bytes=1 << 20).pages():
            pages.append(page)
            left = page.ranges
    except ConnectionError:
        pass

    rest = read(SortedReader(ids), left) if left else []

    assert sorted(set(ids_in(pages)) | set(ids_in(rest))) == sorted(ids)


def test_a_failure_is_raised_once_all_threads_have_ended():
    """In the reader's own words."""
    with pytest.raises(ConnectionError, match="cut off"):
        read(SortedReader(range(100), fail_at=5))
    assert not [t for t in threading.enumerate() if t.name.startswith("hubspot-sync walk")]


@pytest.fixture
def started(monkeypatch):
    """The names of the threads that were started for reading."""
    names = []

    def noting(target, name):
        names.append(name)
        return new_thread(target, name)

    monkeypatch.setattr(ranges, "new_thread", noting)
    return names


@pytest.mark.parametrize(("rows", "threads"), [(0, 0), (PAGE, 0), (PAGE + 1, 1), (300, 4)])
def test_threads_are_started_when_there_is_something_to_share(started, rows, threads):
    """One page needs none, and a second one nobody beside who reads it."""
    reader = SortedReader(range(1, rows + 1), shared=rows > PAGE + 1)

    assert sorted(ids_in(read(reader))) == list(range(1, rows + 1))
    assert len(started) == threads


def test_what_was_left_of_a_pass_begins_with_a_thread_for_each_range(started):
    """As many as may be."""
    left = [IdRange(after=str(n), until=str(n + 10)) for n in range(0, 60, 10)]

    assert sorted(ids_in(read(SortedReader(range(60)), left))) == list(range(60))
    assert len(started) == 4


def test_a_consumer_that_leaves_ends_the_threads():
    """Closing the iterator is enough."""
    pages = WalkPool(SortedReader(range(500)), WHOLE, width=4, max_bytes=1 << 20).pages()
    next(pages)
    pages.close()

    assert not [t for t in threading.enumerate() if t.name.startswith("hubspot-sync walk")]


def test_a_walk_is_never_shortened_below_what_is_read():
    """The other thread's range would then overlap, or leave a gap."""
    walk = Walk(IdRange(after="10", until="100"))
    walk.advance(50, 1.0)

    assert not walk.shorten(50)
    assert not walk.shorten(100)
    assert walk.shorten(51)
    assert walk.until == 51
    assert walk.middle(50) is None
    assert walk.clip((IdRange(after="50", until="100"),)) == (IdRange(after="50", until="51"),)


def test_the_largest_rest_is_split_first():
    """By what is expected in it, not by its ids."""
    sparse, dense = Walk(IdRange(until="1000001")), Walk(IdRange(until="101"))
    sparse.advance(0, 0.00001)
    dense.advance(0, 0.5)

    assert (sparse.expected, dense.expected) == (10.0, 50.0)
    dense.highest = 20
    assert dense.expected == 10.0


def test_what_splitting_may_cost_is_shared_with_what_is_split_off():
    """So all ranges that came of one together make no more calls than the whole was allowed."""
    walk, upper = Walk(IdRange()), Walk(IdRange())
    walk.advance(0, 1.0)
    assert walk.spend()  # nobody has said anything
    assert not walk.is_bounded

    walk.allow(5)
    walk.hand_over(upper)

    assert sum(walk.spend() for _ in range(9)) == 3
    assert sum(upper.spend() for _ in range(9)) == 2
    assert walk.expected == 0
