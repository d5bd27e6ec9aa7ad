"""Batches on their way to the sink: when they set out, and in which order they end."""

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
from hubspot_sync.models import BatchStored
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.stores.memory import MemoryActionSink
from hubspot_sync.stores.mongodb import MongoActionSink, MongoDatabase, MongoRecordSink
from scripted import (
    ACCOUNT,
    CONTACTS,
    SETTINGS,
    Setting,
    assert_told_right,
    counted,
    record,
    version_of,
)

ONE_BY_ONE = evolve(SETTINGS, batch_size=1, store_tries=1)
IN_PAIRS = evolve(ONE_BY_ONE, sink_writers=2)


class Paired:
    """A sink that takes batches side by side; what it does with each is up to its test."""

    parallel_writes = 2

    def __init__(self, inner, **by_object_id):
        self.inner = inner
        self.by_object_id = by_object_id
        self.entered = defaultdict(threading.Event)
        self.answered = defaultdict(threading.Event)

    def write(self, actions):
        (action,) = actions
        object_id = f"o{action.object_id}"
        self.entered[object_id].set()
        self.by_object_id.get(object_id, lambda: None)()
        answer = self.inner.write(actions)
        self.answered[object_id].set()
        return answer


def numbers_of(setting):
    """How far each commit went: the number of the last page of each, None at the end."""
    commits = []

    class Noting:
        def __getattr__(self, name):
            return getattr(setting.checkpointer, name)

        def commit(self, lease, checkpoint, fingerprints=()):
            reading = checkpoint.reading
            commits.append(None if reading is None else int(reading.ranges[0].after or 0))
            setting.checkpointer.commit(lease, checkpoint, fingerprints)

    return Noting(), commits


def seen(event):
    assert event.wait(timeout=300)


def failing(error, event):
    """Waits for *event*, then raises *error*."""

    def fail():
        seen(event)
        raise error

    return fail


def test_checkpoints_are_committed_in_order_whatever_the_order_of_the_answers():
    """The first batch is answered after the second one."""
    setting = Setting([[record("1")], [record("2")], [record("3")], [record("4")]])
    sink = Paired(setting.sink)
    # The first batch of a pass goes alone, because the pass is noted as begun before it.
    sink.by_object_id["o3"] = lambda: seen(sink.answered["o4"])
    checkpointer, commits = numbers_of(setting)

    report = setting.sync(sink=sink, checkpointer=checkpointer, settings=IN_PAIRS)

    assert counted(report) == (4, 0, 0, 0, 0)
    assert commits == [0, 1, 2, 3, None]
    so_far = [event.so_far.delivered for event in setting.recorder.of(BatchStored)]
    assert so_far == [1, 2, 3, 4]


def test_what_follows_a_batch_that_failed_is_not_committed_but_read_again():
    """The error is reported once, and the counts are those of what was committed."""
    setting = Setting([[record("1")], [record("2")], [record("3")], [record("4")]])
    sink = Paired(setting.sink)
    error = StoreUnavailableError("the database is away")
    sink.by_object_id["o2"] = failing(error, sink.answered["o3"])
    checkpointer, commits = numbers_of(setting)

    report = setting.sync(sink=sink, checkpointer=checkpointer, settings=IN_PAIRS)

    assert report.error is error
    assert counted(report) == (1, 0, 0, 0, 0)
    assert commits == [0, 1]
    assert counted(setting.sync(settings=IN_PAIRS)) == (2, 1, 0, 0, 0)
    assert_told_right(setting.sink, dict.fromkeys("1234", 0))


def test_what_is_ahead_of_a_batch_that_failed_is_committed():
    """Its answer comes after the failure, and still counts; nothing else sets out."""
    setting = Setting([[record(str(n))] for n in range(1, 9)])
    sink = Paired(setting.sink)
    failed = threading.Event()
    sink.by_object_id["o2"] = lambda: seen(failed)

    def fail():
        seen(sink.entered["o2"])
        failed.set()
        raise StoreUnavailableError("the database is away")

    sink.by_object_id["o3"] = fail

    report = setting.sync(sink=sink, settings=IN_PAIRS)

    assert isinstance(report.error, StoreUnavailableError)
    assert counted(report) == (2, 0, 0, 0, 0)
    assert setting.told == [("1", "Created", 0), ("2", "Created", 0)]


def test_of_two_that_fail_the_earlier_one_is_reported():
    """Whichever failed first."""
    setting = Setting([[record("1")], [record("2")], [record("3")]])
    sink = Paired(setting.sink)
    sink.by_object_id["o2"] = failing(StoreUnavailableError("second"), sink.entered["o3"])
    sink.by_object_id["o3"] = failing(StoreUnavailableError("third"), sink.entered["o2"])

    report = setting.sync(sink=sink, settings=IN_PAIRS)

    assert report.error.message == "second"


def test_a_stop_drains_what_was_read():
    """Also what is side by side, and what waits."""
    setting = Setting([[record(str(n))] for n in range(1, 40)])
    sink = Paired(setting.sink)
    engine = setting.engine(sink=sink, settings=IN_PAIRS)
    sink.by_object_id["o3"] = engine.stop

    (report,) = engine.sync(ACCOUNT).streams

    assert report.status is StreamStatus.STOPPED
    assert report.counts.delivered == setting.source.rows_given == len(setting.sink.actions)
    reading = setting.checkpointer.load(CONTACTS).reading
    assert int(reading.ranges[0].after) == setting.source.rows_given


@pytest.mark.parametrize(
    ("takes", "allowed", "expected"), [(None, 4, 1), (2, 4, 2), (4, 2, 2), (4, 1, 1)]
)
def test_a_sink_gets_as_many_batches_side_by_side_as_it_takes(takes, allowed, expected):
    """And no more than the setting says; one that says nothing gets one."""
    setting = Setting([[record(str(n))] for n in range(1, 12)])
    lock = threading.Lock()
    full = threading.Event()

    class Counting:
        inside = most = 0

        def write(self, actions):
            with lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            if self.inside == expected:
                full.set()
            # The first batch of a pass goes alone.
            if int(actions[0].object_id) > 1:
                assert full.wait(timeout=300)
            with lock:
                self.inside -= 1
            return setting.sink.write(actions)

    sink = Counting()
    if takes is not None:
        sink.parallel_writes = takes

    report = setting.sync(sink=sink, settings=evolve(ONE_BY_ONE, sink_writers=allowed))

    assert counted(report) == (11, 0, 0, 0, 0)
    assert sink.most == expected


def test_a_fan_out_takes_what_all_its_sinks_take():
    """One that says nothing takes one batch at a time."""
    with MongoDatabase("mongodb://127.0.0.1:1") as database:
        both = FanOutSink([MongoActionSink(database), MongoRecordSink(database)])

        assert both.parallel_writes == MongoActionSink.parallel_writes > 1
        assert FanOutSink([both, MemoryActionSink()]).parallel_writes == 1


def test_a_slow_trickle_reaches_the_sink():
    """A batch that is not full goes on when its time has come, while the reader still waits."""
    stored = threading.Event()

    class Telling:
        def write(self, actions):
            answer = setting.sink.write(actions)
            stored.set()
            return answer

    def before_page(number):
        if number == 2:
            for _ in range(30_000):  # until the other thread waits for the time
                setting.clock.advance(timedelta(seconds=7))
                if stored.wait(timeout=0.01):
                    return
            raise AssertionError("nothing was stored")

    setting = Setting([[record("1")], [record("2")]], before_page=before_page)
    how = evolve(SETTINGS, batch_size=100, batch_age=timedelta(seconds=7))

    report = setting.sync(sink=Telling(), settings=how)

    assert counted(report) == (2, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("changes", "sizes"),
    [({"batch_bytes": 25}, [3, 1]), ({"batch_bytes": 99, "queue_bytes": 15}, [2, 2]), ({}, [4])],
)
def test_a_batch_is_bounded_in_bytes(changes, sizes):
    """By whole pages."""
    setting = Setting([[record(str(n))] for n in range(1, 5)])
    setting.source.page_size = 10
    written = []

    class Measuring:
        def write(self, actions):
            written.append(len(actions))
            return setting.sink.write(actions)

    setting.sync(sink=Measuring(), settings=evolve(SETTINGS, batch_size=100, **changes))

    assert written == sizes


class Crash(BaseException):
    """The process dies here."""


class Unruly:
    """A sink whose answers come in any order, if at all.

    Args:
        inner: Takes the actions.
        fates: What becomes of each batch: "stored", "late", "refused", "unnamed", "away", "lost",
            "killed" or "dying"; those after the last one are stored.
        parallel_writes: How many batches it takes at once.
    """

    def __init__(self, inner, fates, parallel_writes):
        self._inner = inner
        self._fates = iter(fates)
        self._lock = threading.Lock()
        self._answers = threading.Condition()
        self._answered = 0
        self.parallel_writes = parallel_writes
        self.acknowledged = []

    def write(self, actions):
        with self._lock:
            fate = next(self._fates, "stored")
        if fate == "late":
            self._wait_for_another()
        answer = self._answer(actions, fate)
        with self._answers:
            self.acknowledged += actions
            self._answered += 1
            self._answers.notify_all()
        return answer

    def _wait_for_another(self):
        with self._answers:
            before = self._answered
            # There may be none: then for a moment only.
            self._answers.wait_for(lambda: self._answered > before, timeout=0.01)

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
    st.sampled_from(["stored", "late", "refused", "unnamed", "away", "lost", "killed", "dying"]),
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
    writers=st.integers(1, 4),
    batch_size=st.integers(1, 4),
)
def test_no_checkpoint_lies_beyond_what_was_acknowledged(draws, fates, writers, batch_size):
    """Whatever the sink does; and afterwards the sink was told right."""
    pages, newest = versions_rise(draws)
    setting = Setting(pages)
    how = evolve(ONE_BY_ONE, batch_size=batch_size, sink_writers=writers, max_attempts=99)
    acknowledged = []
    for some in fates:
        sink = Unruly(setting.sink, some, writers)
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
