"""Whatever is read, refused, retried and cut off: counts add up, and nothing is lost or doubled."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hubspot_sync.models import Action, ActionKind, ActionsRejected, Association, AssociationType
from hubspot_sync.testing.contracts._samples import MOMENT, action
from kit.scripted import (
    ACCOUNT,
    SETTINGS,
    Forgetful,
    Picky,
    Setting,
    assert_told_right,
    record,
    skipped,
    version_of,
)
from kit.support import Crash

OBJECTS = [str(n) for n in range(1, 7)]
VERSIONS = st.lists(
    st.one_of(
        st.sampled_from(OBJECTS).map(lambda object_id: ("new", object_id)),
        st.sampled_from(OBJECTS).map(lambda object_id: ("bumped", object_id)),
        st.sampled_from(OBJECTS).map(lambda object_id: ("again", object_id)),
        st.just(("skipped", "0")),
    ),
    max_size=6,
)
RUN = st.tuples(
    st.lists(VERSIONS, min_size=1, max_size=4),
    st.sets(st.sampled_from(OBJECTS)),
    st.sets(st.sampled_from(OBJECTS)),
    st.integers(0, 12),
    st.sampled_from([0, 10]),
)


def scripted(runs):
    """The passes of *runs*, with versions that rise, and the newest version of each object."""
    newest: dict[str, int] = {}
    values: dict[str, int] = {}
    passes = []
    for pages, *_ in runs:
        rows = []
        for page in pages:
            rows.append([])
            for kind, object_id in page:
                if kind == "skipped":
                    rows[-1].append(skipped(object_id))
                    continue
                known = object_id in newest
                newest[object_id] = newest.get(object_id, 0) + (kind != "again" or not known)
                if kind == "new" or not known:
                    values[object_id] = newest[object_id]
                rows[-1].append(record(object_id, newest[object_id], version=values[object_id]))
        passes.append(rows)
    return passes, values


class Dying:
    """Dies at the n-th write to anything, before or after it."""

    def __init__(self, calls):
        self.left = calls

    def around(self, inner, *methods):
        """*inner*, of which these methods may die."""
        return _Dying(self, inner, methods)

    def tick(self):
        """One more step."""
        self.left -= 1
        if self.left == 0:
            raise Crash("killed")


class _Dying:
    def __init__(self, dying, inner, methods):
        self._dying, self._inner, self._methods = dying, inner, methods

    def __getattr__(self, name):
        inner = getattr(self._inner, name)
        if name not in self._methods:
            return inner

        def call(*args, **kwargs):
            self._dying.tick()
            result = inner(*args, **kwargs)
            self._dying.tick()
            return result

        return call


@settings(max_examples=150, deadline=None)
@given(
    runs=st.lists(RUN, min_size=1, max_size=4),
    forgetful=st.booleans(),
    whole_batches=st.booleans(),
    batch_size=st.integers(1, 4),
    max_attempts=st.integers(1, 3),
)
@example(
    runs=[
        ([[("new", "1")], [("new", "1")], [("new", "1")]], set(), set(), 1, 0),
        ([[]], set(), {"1"}, 12, 0),
        ([[("again", "1")]], set(), set(), 12, 0),
    ],
    forgetful=False,
    whole_batches=False,
    batch_size=1,
    max_attempts=1,
)
def test_nothing_is_lost_or_doubled(runs, forgetful, whole_batches, batch_size, max_attempts):
    """After any runs the sink, with what is redriven, has the newest of each object."""
    passes, newest = scripted(runs)
    setting = Setting(*passes)
    if forgetful:
        setting.sink = Forgetful()
    how = evolve(SETTINGS, batch_size=batch_size, max_attempts=max_attempts)
    for _, bad, invalid, dies_at, minutes in runs:
        # A sink that cannot tell creations is not promised to see one only after a crash.
        dying = Dying(0 if forgetful else dies_at)
        sink = Picky(
            setting.sink, lambda one, bad=bad: one.object_id in bad, whole_batches=whole_batches
        )
        with suppress(Crash):
            report = setting.sync(
                sink=dying.around(sink, "write"),
                checkpointer=dying.around(setting.checkpointer, "commit"),
                error_queue=dying.around(setting.queue, "put", "settle"),
                validators=[
                    lambda one, invalid=invalid: "no" if one.object_id in invalid else None
                ],
                settings=how,
            )
            assert report.counts.read == setting.source.rows
            refused = setting.recorder.of(ActionsRejected)
            retried = report.retried
            assert report.counts.rejected + retried.rejected + retried.parked == sum(
                sum(event.reasons.values()) for event in refused
            )
        setting.source.rows = 0
        setting.recorder.events.clear()
        setting.clock.advance(timedelta(minutes=minutes))
    for _ in runs:
        setting.sync(settings=how)

    report = setting.engine().redrive(ACCOUNT)

    assert report.completed
    assert setting.queued == {}
    last = {one.object_id: one.properties["version"] for one in setting.sink.actions}
    assert last == newest
    assert_told_right(
        setting.sink,
        {key: version_of(one) for key, one in last_of(setting).items()},
        killed=any(dies_at for *_, dies_at, _ in runs),
    )


def last_of(setting):
    """The last action on each object."""
    return {one.object_id: one for one in setting.sink.actions}


def is_one_instant(moment):
    """Whether its zone has it just once; else Python lets it equal nothing of another zone."""
    return moment.utcoffset() == moment.replace(fold=1 - moment.fold).utcoffset()


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
ANY_VALUE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(7**5_000), 7**5_000),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(timezones=st.timezones()).filter(is_one_instant),
    st.datetimes(timezones=st.just(MOMENT.tzinfo)),
    ANY_TEXT,
    st.lists(ANY_TEXT, min_size=1, max_size=3).map(tuple),
)
EDGES = st.lists(
    st.builds(
        Association,
        object_id=st.integers(0, 2**60).map(str),
        primary=st.booleans(),
        types=st.lists(
            st.builds(AssociationType, ANY_TEXT, st.integers(), st.none() | ANY_TEXT), max_size=2
        ).map(tuple),
    ),
    max_size=2,
).map(tuple)


@settings(deadline=None)
@given(
    properties=st.dictionaries(ANY_TEXT, ANY_VALUE, max_size=5),
    associations=st.dictionaries(st.sampled_from(["companies", "deals"]), EDGES),
    kind=st.sampled_from(ActionKind),
    version=st.integers(0, 2**70),
    backfill=st.booleans(),
)
def test_a_payload_comes_back_equal(properties, associations, kind, version, backfill):
    """In ASCII, every value in its type."""
    made = action(version=version, kind=kind, properties=properties, associations=associations)
    before = replace(made, backfill=backfill)

    text = before.to_json()
    after = Action.from_json(text)

    assert text.isascii()
    assert "\0" not in text
    assert isinstance(after, Action)
    assert before == after
    for name, value in properties.items():
        assert type(value) is type(after.properties[name])
        assert str(value) == str(after.properties[name]) or isinstance(
            value, (int, MOMENT.__class__)
        )
