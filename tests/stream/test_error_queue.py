"""Refused actions: they wait in the error queue, the rest goes on, and nothing is lost."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import (
    ActionRejectedError,
    ConfigurationError,
    InvariantError,
    LeaseHeldError,
    SinkAnswer,
    StoreUnavailableError,
    StreamStatus,
    SyncSettings,
    TooManyRejectedError,
)
from hubspot_sync.models import ActionsRejected, Retried, RetryCounts
from hubspot_sync.stores.memory import MemoryActionSink, MemoryErrorQueue
from kit.scripted import (
    ACCOUNT,
    CONTACTS,
    SETTINGS,
    Forgetful,
    Picky,
    Setting,
    assert_told_right,
    counted,
    record,
    skipped,
    told_by,
    version_of,
)
from kit.support import Crash

THREE = [record("1"), record("2"), record("3")]


@pytest.mark.parametrize("whole_batches", [False, True], ids=["by name", "whole batches"])
def test_a_refused_action_waits_and_the_rest_arrives(whole_batches):
    """With its reason and all it holds; the checkpoint goes on, and the run is complete."""
    setting = Setting([THREE, [record("4"), skipped("5")]])

    report = setting.sync(sink=setting.refusing("2", whole_batches=whole_batches))

    assert report.status is StreamStatus.COMPLETED
    assert counted(report) == (3, 0, 0, 1, 1)
    assert [one[0] for one in setting.told] == ["1", "3", "4"]
    failure = setting.queued["2"]
    assert failure.reason == ("some are bad" if whole_batches else "it is bad")
    assert failure.error == "ActionRejectedError"
    assert (failure.attempts, failure.parked) == (1, False)
    assert failure.first_at == failure.last_at < failure.next_at
    assert dict(failure.action.properties) == dict(record("2").properties)
    (event,) = setting.recorder.of(ActionsRejected)
    assert event == ActionsRejected(stream=CONTACTS, reasons={failure.reason: 1})
    assert setting.checkpointer.load(CONTACTS).high_water_mark is not None


def test_a_batch_is_halved_until_the_bad_ones_are_alone():
    """Few calls for few bad ones; in order."""
    rows = [record(str(n)) for n in range(100, 164)]
    setting = Setting([rows])
    sink = setting.refusing("117", whole_batches=True)

    report = setting.sync(sink=sink, settings=evolve(SETTINGS, batch_size=64))

    assert counted(report) == (63, 0, 0, 1, 0)
    assert [one[0] for one in setting.told] == [str(n) for n in range(100, 164) if n != 117]
    assert len(sink.sizes) == 1 + 2 * 6


def test_an_error_that_refuses_is_named_by_its_class():
    """A host may make a class of its own of it."""

    class NoEmailError(ActionRejectedError):
        pass

    class Sink:
        def write(self, actions):
            raise NoEmailError("there is none")

    setting = Setting([THREE])

    setting.sync(sink=Sink())

    assert {(one.error, one.reason) for one in setting.queued.values()} == {
        ("NoEmailError", "there is none")
    }


def test_what_waits_is_known_when_it_is_read_again():
    """It counts as repeated, and neither the sink nor the queue is asked to take it again."""
    setting = Setting([THREE], [[record("1"), record("2")]])
    sink = setting.refusing("2")
    setting.sync(sink=sink)
    before = setting.queued["2"]

    report = setting.sync(sink=sink)

    assert counted(report) == (0, 2, 0, 0, 0)
    assert sink.sizes == [3]
    assert setting.queued == {"2": before}


def test_due_failures_are_tried_before_anything_is_read():
    """With growing waits; once the sink takes them they leave the queue, as what they were."""
    setting = Setting([THREE])
    sink = setting.refusing("1", "2")
    setting.sync(sink=sink)
    waits = []
    for _ in range(4):
        waits.append(setting.queued["1"].next_at - setting.queued["1"].last_at)
        setting.clock.advance(
            max(one.next_at for one in setting.queued.values()) - setting.clock.now()
        )
        report = setting.sync(sink=sink)
        assert report.retried == RetryCounts(rejected=2)
    assert setting.queued["1"].attempts == 5
    assert setting.queued["1"].first_at < setting.queued["1"].last_at
    setting.clock.advance(timedelta(days=1))

    report = setting.sync()

    assert report.retried == RetryCounts(delivered=2)
    assert counted(report) == (0, 0, 0, 0, 0)
    assert setting.queued == {}
    assert sorted(setting.told) == [(str(n), "Created", 0) for n in (1, 2, 3)]
    first = SyncSettings().first_retry
    assert all(first * 2**n / 2 <= wait <= first * 2**n for n, wait in enumerate(waits))
    assert report.as_dict()["retried"] == {
        "delivered": 2,
        "superseded": 0,
        "rejected": 0,
        "parked": 0,
    }


def test_what_is_not_due_is_left_alone():
    """Nobody is asked before its time."""
    setting = Setting([THREE])
    sink = setting.refusing("1")
    setting.sync(sink=sink)

    report = setting.sync(sink=sink)

    assert report.retried.tried == 0
    assert setting.queued["1"].attempts == 1


def test_after_the_last_attempt_it_is_a_dead_letter():
    """Parked, told to the observers, tried on demand only."""
    setting = Setting([THREE])
    sink = setting.refusing("1")
    settings = evolve(SETTINGS, max_attempts=2)
    setting.sync(sink=sink, settings=settings)
    setting.clock.advance(timedelta(days=1))

    report = setting.sync(sink=sink, settings=settings)
    setting.clock.advance(timedelta(days=100))
    later = setting.sync(settings=settings)

    assert report.retried == RetryCounts(parked=1)
    assert setting.recorder.of(ActionsRejected)[-1].parked == 1
    assert later.retried.tried == 0
    assert setting.queued["1"].parked
    redriven = setting.engine().redrive(ACCOUNT, parked=True)
    assert redriven.counts == RetryCounts(delivered=1)
    assert setting.queued == {}


def test_the_longest_wait_is_the_longest():
    """However often it was tried."""
    setting = Setting([THREE])
    settings = evolve(SETTINGS, max_attempts=10**6, first_retry=timedelta(hours=20))
    sink = setting.refusing("1")
    setting.sync(sink=sink, settings=settings)
    engine = setting.engine(sink=sink, settings=settings)
    for _ in range(80):
        engine.redrive(ACCOUNT)

    wait = setting.queued["1"].next_at - setting.queued["1"].last_at

    assert timedelta(hours=12) <= wait <= timedelta(days=1)


def test_a_newer_version_that_is_taken_makes_the_older_one_obsolete():
    """It is created by the newer one; the older one leaves the queue and never follows it."""
    setting = Setting([THREE], [[record("2", 5)]])
    setting.sync(sink=setting.refusing("2"))

    report = setting.sync()

    assert counted(report) == (1, 0, 0, 0, 0)
    assert setting.queued == {}
    assert setting.told[2:] == [("2", "Created", 5)]


def test_a_newer_version_that_is_refused_takes_the_place_of_the_older_one():
    """As a failure of its own, with attempts of its own, also that of a parked action."""
    setting = Setting([THREE], [[record("2", 5)]])
    sink = setting.refusing("2")
    setting.sync(sink=sink, settings=evolve(SETTINGS, max_attempts=1))

    report = setting.sync(sink=sink)

    assert counted(report) == (0, 0, 0, 1, 0)
    failure = setting.queued["2"]
    assert (version_of(failure.action), failure.attempts, failure.parked) == (5, 1, False)
    setting.engine().redrive(ACCOUNT)
    assert setting.told[2:] == [("2", "Created", 5)]


def test_a_change_that_was_refused_and_taken_back_is_told_all_the_same():
    """Nobody knows whether the sink has it, after a crash or in a part of several sinks."""
    first, changed, back = (
        record("1", at, version="", email=mail) for at, mail in ((0, "a"), (1, "b"), (2, "a"))
    )
    setting = Setting([[first]], [[changed]], [[back]])
    setting.sync()
    setting.sync(sink=setting.refusing("1"))

    report = setting.sync()

    assert counted(report) == (1, 0, 0, 0, 0)
    assert setting.queued == {}
    assert setting.told == [("1", "Created", 0), ("1", "Updated", 2)]


@pytest.mark.parametrize("sink", [MemoryActionSink(), Forgetful()], ids=["memory", "forgetful"])
def test_an_older_version_never_follows_a_newer_one(sink):
    """A failure that somebody put late is dropped and counted; one Created whatever happens."""
    setting = Setting([THREE], [[record("2", 5)]])
    setting.sync(sink=Picky(sink, lambda action: action.object_id == "2"))
    late = setting.queued["2"]
    setting.sync(sink=sink)
    setting.queue.put([late])

    report = setting.engine(sink=sink).redrive(ACCOUNT)

    assert report.counts == RetryCounts(superseded=1)
    assert setting.queued == {}
    created = [one for one in told_by(sink) if one[:2] == ("2", "Created")]
    assert created == [("2", "Created", 5)]
    assert [one for one in told_by(sink) if one[0] == "2"] == created


def test_what_was_delivered_before_a_crash_leaves_the_queue():
    """The commit was the last thing that happened."""
    setting = Setting([THREE])
    setting.sync(sink=setting.refusing("2"))
    late = setting.queued["2"]
    setting.engine().redrive(ACCOUNT)
    setting.queue.put([late])

    report = setting.engine().redrive(ACCOUNT)

    assert report.counts == RetryCounts(delivered=1)
    assert setting.queued == {}
    assert len(setting.told) == 3


@pytest.mark.parametrize("sink", [MemoryActionSink, Forgetful])
def test_a_creation_becomes_an_update_where_another_version_was_delivered(sink):
    """A stale worker queued it beside the one that delivered an older version."""
    setting = Setting([[record("1")]])
    setting.sink = sink()
    setting.sync()
    other = Setting([[record("1", 7)]])
    other.sync(sink=other.refusing("1"))
    setting.queue.put(list(other.queued.values()))

    setting.engine().redrive(ACCOUNT)

    assert setting.told == [("1", "Created", 0), ("1", "Updated", 7)]
    assert setting.sink.actions[1].occurred_at == setting.sink.actions[1].modified_at


def test_a_crash_behind_a_newer_version_does_not_bring_the_older_one_back():
    """It was taken but not committed; what is tried next is this version again."""
    setting = Setting([[record("1")]], [[record("1", 7)]])
    setting.sync(sink=setting.refusing("1"))
    broken = Fragile(setting.sink, "write", 1, after=True)
    with pytest.raises(Crash):
        setting.sync(sink=broken)
    assert version_of(setting.queued["1"].action) == 7
    assert "on its way" in setting.queued["1"].reason

    report = setting.engine().redrive(ACCOUNT)

    assert report.counts == RetryCounts(delivered=1)
    assert setting.told == [("1", "Created", 7)]
    assert counted(setting.sync()) == (0, 1, 0, 0, 0)
    assert setting.queued == {}


def test_a_redriven_object_is_known_afterwards():
    """Its version is a repeat, its next change an update, a moved date alone no change."""
    moved = record("2", 2, version=0)
    setting = Setting([THREE], [[record("2")]], [[moved]], [[record("2", 3)]])
    setting.sync(sink=setting.refusing("2"))
    setting.engine().redrive(ACCOUNT)

    again, bumped, changed = setting.sync(), setting.sync(), setting.sync()

    assert counted(again) == (0, 1, 0, 0, 0)
    assert counted(bumped) == (0, 0, 1, 0, 0)
    assert counted(changed) == (1, 0, 0, 0, 0)
    assert setting.told[-1] == ("2", "Updated", 3)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, ["1", "2", "3"]),
        ({"object_type": "0-1"}, ["1", "2", "3"]),
        ({"object_type": "companies"}, []),
        ({"object_ids": ["1", "3"]}, ["1", "3"]),
        ({"reason": "it is odd"}, ["1", "3"]),
        ({"parked": True}, []),
        ({"parked": False, "object_ids": "2"}, ["2"]),
    ],
)
def test_a_redrive_tries_what_was_asked_for(wanted, expected):
    """By account, type, reason, id, parked or not."""
    setting = Setting([THREE])
    setting.sync(
        validators=[lambda action: "it is odd" if int(action.object_id) % 2 else "it is even"]
    )

    report = setting.engine().redrive(ACCOUNT, **wanted)

    assert report.completed
    assert report.counts == RetryCounts(delivered=len(expected))
    assert sorted(one[0] for one in setting.told) == expected


def test_a_redrive_never_meets_a_sync():
    """A stream that somebody has is reported as busy, and nothing of it is touched."""
    setting = Setting([THREE])
    setting.sync(sink=setting.refusing("2"))
    lease = setting.checkpointer.acquire(CONTACTS, "somebody else", timedelta(hours=1))

    busy = setting.engine().redrive(ACCOUNT)
    setting.checkpointer.release(lease)
    free = setting.engine().redrive(ACCOUNT)

    assert [one.status for one in busy.streams] == [StreamStatus.BUSY]
    assert not busy.completed
    with pytest.raises(LeaseHeldError):
        busy.raise_for_failure()
    free.raise_for_failure()
    assert free.completed
    assert free.as_dict()["streams"]["contacts"]["delivered"] == 1


def test_a_redrive_says_what_ended_it():
    """Here the sink, which stays away; what was not tried stays queued."""

    class Away:
        def write(self, actions):
            raise StoreUnavailableError("the database is away")

    setting = Setting([THREE])
    setting.sync(sink=setting.refusing("2"))

    report = setting.engine(sink=Away()).redrive(ACCOUNT)

    assert [one.status for one in report.streams] == [StreamStatus.FAILED]
    assert report.streams[0].error.stream == "contacts"
    assert "away" in report.as_dict()["streams"]["contacts"]["error"]
    assert list(setting.queued) == ["2"]


def test_a_redrive_says_which_sink_failed_unexpectedly():
    """What it may not raise is in the report, and nothing is lost."""

    class Buggy:
        def write(self, actions):
            raise KeyError("jane@example.com")

    setting = Setting([THREE])
    setting.sync(sink=setting.refusing("2"))

    report = setting.engine(sink=Buggy()).redrive(ACCOUNT)

    assert isinstance(report.streams[0].error, InvariantError)
    assert "Buggy.write failed with KeyError" in str(report.streams[0].error)
    assert list(setting.queued) == ["2"]


class Gone:
    """An error queue that cannot say what it has for a number of times."""

    def __init__(self, queue, times):
        self._queue = queue
        self.left = times

    def __getattr__(self, name):
        return getattr(self._queue, name)

    def count(self, selection):
        if self.left:
            self.left -= 1
            raise StoreUnavailableError("failover")
        return self._queue.count(selection)


def test_a_redrive_waits_for_an_error_queue_that_is_away():
    """Already when it asks what there is; for as long as for any other store."""
    setting = Setting([THREE])
    setting.sync(sink=setting.refusing("2"))
    tries = SETTINGS.store_tries
    queue = Gone(setting.queue, tries - 1)

    assert setting.engine(error_queue=queue).redrive(ACCOUNT).counts.delivered == 1
    retried = setting.recorder.of(Retried)
    assert [(one.what, one.attempt) for one in retried] == [
        ("error queue", failed) for failed in range(1, tries)
    ]
    queue.left = tries
    with pytest.raises(StoreUnavailableError, match="failover"):
        setting.engine(error_queue=queue).redrive(ACCOUNT)
    assert queue.left == 0


def test_stopping_ends_the_wait_for_the_error_queue():
    """Which streams there are is not known then, so there is no report."""
    setting = Setting([THREE])
    engine = setting.engine(error_queue=Gone(setting.queue, 2))
    engine.stop()

    with pytest.raises(StoreUnavailableError, match="while the error queue was away") as caught:
        engine.redrive(ACCOUNT)

    assert caught.value.account == str(ACCOUNT.key)


def test_an_engine_that_was_stopped_redrives_nothing():
    """And an engine without an error queue has nothing to redrive."""
    setting = Setting([THREE])
    setting.sync(sink=setting.refusing("2"))
    engine = setting.engine()
    engine.stop()

    report = engine.redrive(ACCOUNT)

    assert [one.status for one in report.streams] == [StreamStatus.STOPPED]
    assert list(setting.queued) == ["2"]
    with pytest.raises(ConfigurationError, match="no error queue"):
        setting.engine(error_queue=None).redrive(ACCOUNT)


def test_a_redrive_stops_between_pages():
    """With what it has tried settled."""
    setting = Setting([[record(str(n)) for n in range(600)]])
    setting.sync(validators=[lambda action: "no"])
    engine = setting.engine()

    class Stopping:
        def write(self, actions):
            engine.stop()
            return setting.sink.write(actions)

    engine = setting.engine(sink=Stopping())
    report = engine.redrive(ACCOUNT)

    assert [one.status for one in report.streams] == [StreamStatus.STOPPED]
    assert report.counts.delivered == len(setting.told) == 600 - len(setting.queued) > 0
    assert setting.queued


def test_a_validator_keeps_actions_from_the_sink():
    """The first one that objects gives the reason; a batch of which nothing is left is skipped."""
    asked = []

    def no_second(action):
        return "it is the second" if action.object_id == "2" else None

    def no_odd(action):
        asked.append(action.object_id)
        return "it is odd" if int(action.object_id) % 2 else None

    setting = Setting([THREE, [record("4")], [record("5")]])
    sink = setting.refusing()

    report = setting.sync(
        sink=sink, validators=[no_second, no_odd], settings=evolve(SETTINGS, batch_size=1)
    )

    assert counted(report) == (1, 0, 0, 4, 0)
    assert sink.sizes == [1]
    assert [one[0] for one in setting.told] == ["4"]
    assert asked == ["1", "3", "4", "5"]
    assert {key: one.reason for key, one in setting.queued.items()} == {
        "1": "it is odd",
        "2": "it is the second",
        "3": "it is odd",
        "5": "it is odd",
    }


class Rule:
    """A validator with a bug, as an object."""

    def __call__(self, action):
        """Fails for most."""
        return action.properties["hush-" + action.object_id]


def test_a_validator_that_fails_refuses():
    """With the class and the line of its error, and nothing of the text, which can hold values."""
    setting = Setting([THREE])

    report = setting.sync(validators=[Rule()])

    assert counted(report) == (0, 0, 0, 3, 0)
    failure = setting.queued["1"]
    assert failure.error == "KeyError"
    assert "the validator Rule failed with KeyError (test_error_queue.py, line " in failure.reason
    assert "hush" not in failure.reason


@pytest.mark.parametrize("answer", [True, False, 0, b"no"])
def test_a_validator_that_answers_nonsense_refuses(answer):
    """A truth is neither a reason nor None; better refused than let pass."""
    setting = Setting([THREE])

    setting.sync(validators=[lambda action: answer])

    assert len(setting.queued) == 3
    assert f"gave a {type(answer).__name__}, not a reason" in setting.queued["1"].reason


def test_an_empty_reason_is_a_reason():
    """Only None lets pass."""
    setting = Setting([THREE])

    setting.sync(validators=[lambda action: ""])

    assert {one.reason for one in setting.queued.values()} == {"no reason given"}


def test_without_an_error_queue_a_validator_stops_the_stream():
    """Before the commit: nothing is skipped."""
    setting = Setting([THREE])

    def no_second(action):
        return "it is the second" if action.object_id == "2" else None

    report = setting.sync(error_queue=None, validators=[no_second])

    assert isinstance(report.error, ActionRejectedError)
    assert "it is the second" in str(report.error)
    assert counted(report) == (0, 0, 0, 0, 0)
    assert counted(setting.sync(error_queue=None)) == (1, 2, 0, 0, 0)


def test_without_an_error_queue_a_refused_batch_stops_the_stream():
    """As it is; nobody can tell which of it is bad."""
    setting = Setting([THREE])

    report = setting.sync(error_queue=None, sink=setting.refusing("2", whole_batches=True))

    assert isinstance(report.error, ActionRejectedError)
    assert setting.told == []
    assert counted(setting.sync(error_queue=None)) == (3, 0, 0, 0, 0)


def test_an_answer_about_an_action_that_was_not_sent_is_an_invariant_broken():
    """A sink that refuses what it was not given is wrong about more."""

    class Confused:
        def write(self, actions):
            return SinkAnswer(refused={"another": "no"})

    setting = Setting([THREE])

    assert isinstance(setting.sync(sink=Confused()).error, InvariantError)


def test_an_update_that_the_sink_takes_for_a_creation_is_an_invariant_broken():
    """Sent again it would only come back again."""

    class Confused:
        def write(self, actions):
            return SinkAnswer(already_created=frozenset(one.action_id for one in actions))

    setting = Setting([THREE])

    assert isinstance(setting.sync(sink=Confused()).error, InvariantError)


def test_an_action_is_counted_once_whatever_the_answer_says():
    """Refused goes before created already, and that before repeated."""
    everything = {one.object_id for one in THREE}

    class Contradictory:
        def __init__(self):
            self.first = True

        def write(self, actions):
            ids = [one.action_id for one in actions]
            first, self.first = self.first, False
            return SinkAnswer(
                repeated=frozenset(ids),
                already_created=frozenset(ids[:2]) if first else frozenset(),
                refused={ids[0]: "no"} if first else {},
            )

    setting = Setting([THREE])

    report = setting.sync(sink=Contradictory())

    assert counted(report) == (0, 2, 0, 1, 0)
    assert set(setting.queued) == {"1"} < everything


def test_too_many_refusals_stop_the_stream_loudly():
    """Nothing is lost: they are queued and committed, and the next run goes on from there."""
    pages = [[record(str(n)) for n in range(start, start + 50)] for start in range(0, 300, 50)]
    setting = Setting(pages)
    settings = SyncSettings(batch_size=50, max_rejected_share=0.5)
    bad = {str(n) for n in range(300) if n % 3}
    sink = setting.refusing(*bad)

    report = setting.sync(sink=sink, settings=settings)

    assert report.status is StreamStatus.FAILED
    assert isinstance(report.error, TooManyRejectedError)
    assert "66 of 100 actions of this run were refused" in str(report.error)
    assert "it is bad" in str(report.error)
    assert counted(report) == (34, 0, 0, 66, 0)
    assert len(setting.queued) == 66
    fixed = setting.sync(settings=settings)
    assert counted(fixed) == (200, 0, 0, 0, 0)
    setting.engine().redrive(ACCOUNT)
    assert sorted(one[0] for one in setting.told) == sorted(str(n) for n in range(300))


def test_fewer_than_a_hundred_actions_do_not_stop_a_stream():
    """One bad record of one that changed is no sign of anything."""
    setting = Setting([THREE])

    report = setting.sync(sink=setting.refusing("1", "2", "3"), settings=SyncSettings())

    assert report.status is StreamStatus.COMPLETED
    assert counted(report) == (0, 0, 0, 3, 0)


def test_an_error_queue_that_stays_away_ends_the_run_before_the_commit():
    """The next run reads the batch again; nothing is lost."""

    class Away(MemoryErrorQueue):
        def put(self, failures):
            raise StoreUnavailableError("the database is away")

    setting = Setting([THREE])

    report = setting.sync(sink=setting.refusing("2"), error_queue=Away())

    assert isinstance(report.error, StoreUnavailableError)
    assert counted(report) == (0, 0, 0, 0, 0)
    assert counted(setting.sync(sink=setting.refusing("2"))) == (0, 2, 0, 1, 0)
    assert list(setting.queued) == ["2"]


def test_a_newer_version_waits_for_the_outcome_of_an_older_one_on_its_way():
    """Otherwise it would be an update of, or unchanged against, what the sink never took."""
    read = threading.Event()

    class Slow:
        """Holds the first version until the second one is about to be read."""

        def write(self, actions):
            assert read.wait(timeout=300)
            if version_of(actions[0]) == 0:
                return SinkAnswer(refused={actions[0].action_id: "too early"})
            return setting.sink.write(actions)

    pages = [[record("1", version="")], [record("1")], [record("1", 4, version="")], []]
    setting = Setting(pages, before_page=lambda number: read.set() if number == 3 else None)

    report = setting.sync(sink=Slow(), settings=evolve(SETTINGS, batch_size=1))

    assert counted(report) == (1, 1, 0, 1, 0)
    assert setting.told == [("1", "Created", 4)]
    assert setting.queued == {}


def test_a_version_that_waits_for_an_older_one_gives_up_when_the_writer_fails():
    """The run ends with the writer's error instead of waiting for ever."""
    read = threading.Event()

    class Failing:
        def write(self, actions):
            assert read.wait(timeout=300)
            raise StoreUnavailableError("the database is away")

    pages = [[record("1")], [record("1", 4)], []]
    setting = Setting(pages, before_page=lambda number: read.set() if number == 2 else None)

    report = setting.sync(sink=Failing(), settings=evolve(SETTINGS, batch_size=1, store_tries=1))

    assert isinstance(report.error, StoreUnavailableError)
    assert counted(setting.sync()) == (1, 1, 0, 0, 0)


class Fragile:
    """A store that dies at its n-th call of a method, before or after it did its work."""

    def __init__(self, inner, method, failing_call, *, after):
        self._inner = inner
        self._method = method
        self._left = failing_call
        self._after = after

    def __getattr__(self, name):
        """The method of the store, or the one that dies."""
        inner = getattr(self._inner, name)
        return self._dying(inner) if name == self._method else inner

    def _dying(self, inner):
        def call(*args, **kwargs):
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Crash("killed")
            result = inner(*args, **kwargs)
            if self._left == 0:
                raise Crash("killed")
            return result

        return call


ARROWS = [
    ("sink", "write"),
    ("checkpointer", "commit"),
    ("checkpointer", "recall"),
    ("checkpointer", "load"),
    ("error_queue", "put"),
    ("error_queue", "due"),
    ("error_queue", "browse"),
    ("error_queue", "held"),
    ("error_queue", "settle"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("failing_call", [1, 2, 3, 5])
@pytest.mark.parametrize(("part", "method"), ARROWS)
@pytest.mark.parametrize("forgetful", [False, True], ids=["telling", "forgetful"])
def test_a_crash_at_any_step_loses_and_repeats_nothing(
    part, method, failing_call, after, forgetful
):
    """Refusals, retries and changes go on; in the end the sink has the newest of each object."""
    passes = [
        [[record(str(n)) for n in range(start, start + 4)] for start in (10, 14, 18)],
        [[record(str(n), 1) for n in range(10, 22, 2)], [record("10", 2), record("13", 2)]],
        [[record(str(n), 3) for n in range(10, 16)]],
    ]
    setting = Setting(*passes)
    if forgetful:
        setting.sink = Forgetful()
    bad = {"11", "12", "14", "17", "20"}
    parts = {
        "sink": Picky(setting.sink, lambda action: action.object_id in bad),
        "checkpointer": setting.checkpointer,
        "error_queue": setting.queue,
    }
    parts[part] = Fragile(parts[part], method, failing_call, after=after)
    for _ in range(4):
        with suppress(Crash):
            assert setting.sync(**parts).status is StreamStatus.COMPLETED
        setting.clock.advance(timedelta(minutes=10))
        bad -= {"11", "20"}

    setting.sync(sink=setting.sink)
    report = setting.engine(sink=setting.sink).redrive(ACCOUNT)

    assert report.completed
    assert setting.queued == {}
    assert_told_right(
        setting.sink, {str(n): 3 if n < 16 else (1 if n % 2 == 0 else 0) for n in range(10, 22)}
    )
