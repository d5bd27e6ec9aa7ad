"""Batches on their way to the sink: in their order, and what becomes of them."""

from __future__ import annotations

import threading
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from hubspot_sync import ActionRejectedError, SinkAnswer, StoreUnavailableError, StreamStatus
from hubspot_sync.models import BatchStored, Page
from kit.scripted import (
    ACCOUNT,
    CONTACTS,
    SETTINGS,
    Setting,
    assert_told_right,
    counted,
    record,
    version_of,
)
from kit.support import Crash

ONE_BY_ONE = evolve(SETTINGS, batch_size=1, store_tries=1)


class Watched:
    """A sink that takes one action at a time; what it does with each is up to its test."""

    def __init__(self, inner, **by_object_id):
        self.inner = inner
        self.by_object_id = by_object_id

    def write(self, actions):
        (action,) = actions
        self.by_object_id.get(f"o{action.object_id}", lambda: None)()
        return self.inner.write(actions)


def numbers_of(setting):
    """How far each commit went that went further: the number of its last page, None at the end."""
    commits = [0]

    class Noting:
        def __getattr__(self, name):
            return getattr(setting.checkpointer, name)

        def commit(self, lease, checkpoint, fingerprints=()):
            reading = checkpoint.reading
            number = None if reading is None else int(reading.ranges[0].after or 0)
            if number != commits[-1]:
                commits.append(number)
            setting.checkpointer.commit(lease, checkpoint, fingerprints)

    return Noting(), commits


def raising(error):
    """A function that does."""

    def fail():
        raise error

    return fail


def test_checkpoints_are_committed_in_order():
    """Each after all before it, and told of in that order."""
    setting = Setting([[record("1")], [record("2")], [record("3")], [record("4")]])
    checkpointer, commits = numbers_of(setting)

    report = setting.sync(checkpointer=checkpointer, settings=ONE_BY_ONE)

    assert counted(report) == (4, 0, 0, 0, 0)
    assert commits == [0, 1, 2, 3, None]
    so_far = [event.so_far.delivered for event in setting.recorder.of(BatchStored)]
    assert so_far == [1, 2, 3, 4]


def announced_by(fates):
    """What each commit announced of four pages, of which the sink took the first when 3 waited."""
    read = threading.Event()
    pages = [[record(str(number))] for number in range(1, 5)]
    setting = Setting(pages, before_page=lambda page: page < len(pages) or read.set())
    announced = []

    class Noting:
        def __getattr__(self, name):
            return getattr(setting.checkpointer, name)

        def commit(self, lease, checkpoint, fingerprints=()):
            announced.append(list(checkpoint.announced))
            setting.checkpointer.commit(lease, checkpoint, fingerprints)

    sink = Unruly(Watched(setting.sink), fates)
    watched = Watched(sink, o1=lambda: read.wait(300))
    setting.sync(sink=watched, checkpointer=Noting(), settings=ONE_BY_ONE)
    return announced


def test_a_batch_that_waits_is_announced_with_the_commit_before():
    """So it needs no commit of its own."""
    assert announced_by([])[:3] == [["1"], ["2"], ["3"]]


def test_what_waits_behind_a_refusal_is_not_announced():
    """The stream may end there, and nobody would have to settle what the sink was never told."""
    announced = announced_by(["refused"])

    assert announced == [["1"], [], ["2"], [], ["3"], [], ["4"], []]


def test_the_label_is_asked_for_once_a_pass():
    """HubSpot may be asked for it, and fail behind what was read."""
    setting = Setting([[record("1")], [record("2")], [record("3")]])
    asked = []
    setting.source.label = asked.append

    assert counted(setting.sync(settings=ONE_BY_ONE)) == (3, 0, 0, 0, 0)
    assert asked == ["contacts"]


def test_what_follows_a_batch_that_failed_is_not_committed_but_read_again():
    """The error is reported once, and the counts are those of what was committed."""
    setting = Setting([[record("1")], [record("2")], [record("3")], [record("4")]])
    error = StoreUnavailableError("the database is away")
    sink = Watched(setting.sink, o2=raising(error))
    checkpointer, commits = numbers_of(setting)

    report = setting.sync(sink=sink, checkpointer=checkpointer, settings=ONE_BY_ONE)

    assert report.error is error
    assert counted(report) == (1, 0, 0, 0, 0)
    assert commits == [0, 1]
    assert setting.told == [("1", "Created", 0)]
    assert counted(setting.sync(settings=ONE_BY_ONE)) == (3, 0, 0, 0, 0)
    assert_told_right(setting.sink, dict.fromkeys("1234", 0))


def test_a_stop_drains_what_was_read():
    """Also what waits."""
    setting = Setting([[record(str(n))] for n in range(1, 40)])
    sink = Watched(setting.sink)
    engine = setting.engine(sink=sink, settings=evolve(ONE_BY_ONE, queue_size=1))
    sink.by_object_id["o3"] = engine.stop

    (report,) = engine.sync(ACCOUNT).streams

    assert report.status is StreamStatus.STOPPED
    assert report.counts.delivered == setting.source.rows == len(setting.sink.actions)
    reading = setting.checkpointer.load(CONTACTS).reading
    assert int(reading.ranges[0].after) == setting.source.rows


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [({"batch_bytes": 25}, [3, 1]), ({"batch_bytes": 99, "queue_bytes": 15}, [2, 2]), ({}, [4])],
)
def test_a_batch_is_bounded_in_bytes(changes, sizes):
    """By whole pages."""
    setting = Setting([Page(records=(record(str(n)),), size=10) for n in range(1, 5)])
    written = []

    class Measuring:
        def write(self, actions):
            written.append(len(actions))
            return setting.sink.write(actions)

    setting.sync(sink=Measuring(), settings=evolve(SETTINGS, batch_size=100, **changes))

    assert written == sizes


class Unruly:
    """A sink that answers rightly, wrongly or not at all.

    Args:
        inner: Takes the actions.
        fates: What becomes of each batch: "stored", "refused", "unnamed", "away", "lost", "killed"
            or "dying"; those after the last one are stored.
    """

    def __init__(self, inner, fates):
        self._inner = inner
        self._fates = iter(fates)
        self.acknowledged = []

    def write(self, actions):
        answer = self._answer(actions, next(self._fates, "stored"))
        self.acknowledged += actions
        return answer

    def _answer(self, actions, fate):
        if fate == "away":
            raise StoreUnavailableError("the sink is away")
        if fate == "killed":
            raise Crash("before it was stored")
        if fate == "unnamed":
            # A refusal of one is an answer.
            self.acknowledged += actions if len(actions) == 1 else ()
            raise ActionRejectedError("some are bad")
        if fate == "refused":
            return SinkAnswer(refused={one.action_id: "it is bad" for one in actions})
        answer = self._inner.write(actions)
        if fate == "lost":
            raise StoreUnavailableError("the answer was lost")
        if fate == "dying":
            raise Crash("after it was stored")
        return answer


class Watching:
    """A checkpointer that compares each commit with what the sink has acknowledged."""

    def __init__(self, inner, pages, sink):
        self._inner = inner
        self._pages = pages
        self._sink = sink

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def commit(self, lease, checkpoint, fingerprints=()):
        reading = checkpoint.reading
        done = len(self._pages) if reading is None else int(reading.ranges[0].after or 0)
        known = {}
        for one in self._sink.acknowledged:
            known[one.object_id] = max(one.version, known.get(one.object_id, 0))
        for page in self._pages[:done]:
            for row in page:
                # A batch holds just the newest version of an object.
                assert known.get(row.object_id, -1) >= row.version
        self._inner.commit(lease, checkpoint, fingerprints)


FATES = st.lists(
    st.sampled_from(["stored", "refused", "unnamed", "away", "lost", "killed", "dying"]),
    max_size=12,
)


def versions_rise(draws):
    """Pages of the objects that were drawn, each in a newer version than before."""
    versions = defaultdict(lambda: -1)
    pages = []
    for page in draws:
        pages.append([])
        for object_id in sorted(page):
            versions[object_id] += 1
            pages[-1].append(record(object_id, versions[object_id]))
    return pages, dict(versions)


@settings(max_examples=150, deadline=None)
@given(
    draws=st.lists(st.sets(st.sampled_from("1234567"), min_size=1), min_size=1, max_size=8),
    fates=st.lists(FATES, max_size=3),
    batch_size=st.integers(1, 4),
)
def test_no_checkpoint_lies_beyond_what_was_acknowledged(draws, fates, batch_size):
    """Whatever the sink does; and afterwards the sink was told right."""
    pages, newest = versions_rise(draws)
    setting = Setting(pages)
    how = evolve(ONE_BY_ONE, batch_size=batch_size, max_attempts=99)
    acknowledged = []
    for some in fates:
        sink = Unruly(setting.sink, some)
        sink.acknowledged = acknowledged
        checkpointer = Watching(setting.checkpointer, pages, sink)
        with suppress(Crash):
            report = setting.sync(sink=sink, checkpointer=checkpointer, settings=how)
            assert not isinstance(report.error, AssertionError)
        setting.clock.advance(timedelta(days=2))

    assert setting.sync(settings=how).status is StreamStatus.COMPLETED
    assert setting.engine().redrive(ACCOUNT).completed

    assert setting.queued == {}
    last = {one.object_id: version_of(one) for one in setting.sink.actions}
    assert last == newest
    assert_told_right(setting.sink, newest)
