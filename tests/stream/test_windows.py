"""Planning: windows overlap enough, marks fall only when they lie ahead, nothing is left out."""

from datetime import datetime, timedelta, timezone

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync import SyncSettings
from hubspot_sync._windows import (
    advance,
    doubt_left,
    grounded,
    is_late,
    marked,
    plan_pass,
)
from hubspot_sync.models import Checkpoint, IdRange, Mode, Pass, Record, to_milliseconds

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
SETTINGS = SyncSettings()


def test_a_new_stream_begins_with_a_backfill():
    """Whatever HubSpot holds is new."""
    reading = plan_pass(Checkpoint(), NOON, SETTINGS)

    assert reading.mode is Mode.BACKFILL
    assert reading.end == NOON
    assert reading.ranges == (IdRange(),)


def test_what_was_begun_is_finished_first():
    """A pass is fixed before its first page; a later run may not move its end."""
    reading = plan_pass(Checkpoint(), NOON, SETTINGS)
    checkpoint = advance(Checkpoint(), reading, (IdRange(after="77"),), SETTINGS)

    again = plan_pass(checkpoint, NOON + timedelta(days=1), SETTINGS)

    assert again.end == NOON
    assert again.ranges == (IdRange(after="77"),)


def test_the_first_window_does_not_read_the_backfill_again():
    """The list reads primary storage, so only the clock margin is read twice."""
    backfill = plan_pass(Checkpoint(), NOON, SETTINGS)
    checkpoint = advance(Checkpoint(), backfill, (), SETTINGS)

    window = plan_pass(checkpoint, NOON + timedelta(hours=1), SETTINGS)

    assert window.mode is Mode.INCREMENTAL
    assert window.start == NOON - SETTINGS.clock_margin
    assert window.end == NOON + timedelta(hours=1)


def test_later_windows_look_back():
    """Search shows some changes late, so the end of the last window is read again."""
    mark = NOON + timedelta(hours=1)
    checkpoint = Checkpoint(high_water_mark=mark, index_floor=NOON, reconciled_at=NOON)

    window = plan_pass(checkpoint, NOON + timedelta(hours=2), SETTINGS)

    assert window.start == mark - SETTINGS.lookback


def test_the_mark_waits_for_the_whole_pass():
    """Half a window promises nothing."""
    checkpoint = Checkpoint(high_water_mark=NOON, reconciled_at=NOON)
    window = plan_pass(checkpoint, NOON + timedelta(hours=1), SETTINGS)

    halfway = advance(checkpoint, window, (IdRange(after="5"),), SETTINGS)

    assert halfway.high_water_mark == NOON
    assert advance(halfway, window, (), SETTINGS).high_water_mark == window.end


@given(
    steps=st.lists(
        st.timedeltas(timedelta(minutes=-3), timedelta(hours=3)), min_size=1, max_size=8
    ),
    lookback=st.timedeltas(timedelta(0), timedelta(hours=1)),
    lag=st.timedeltas(timedelta(0), timedelta(minutes=10)),
    every=st.none() | st.timedeltas(timedelta(milliseconds=1), timedelta(hours=6)),
)
def test_windows_leave_no_gap_and_the_mark_never_falls(steps, lookback, lag, every):
    """Even when HubSpot's clock seems to go backwards between runs."""
    settings = SyncSettings(lookback=lookback, settle_lag=lag, reconcile_every=every)
    now = NOON
    checkpoint = advance(Checkpoint(), plan_pass(Checkpoint(), now, settings), (), settings)
    ends = [NOON]
    for step in steps:
        now += step
        reading = plan_pass(checkpoint, now, settings)
        later = advance(checkpoint, reading, (), settings)

        if reading.mode is Mode.RECONCILE:
            # It reads all there is, after its end; what it delivers is told apart by that.
            assert reading.start is None
            assert now <= reading.end
            assert max(ends) < reading.end
            assert later.reconciled_at == reading.end
            ends.append(reading.end)
        else:
            assert reading.start < checkpoint.high_water_mark
            assert reading.start <= checkpoint.high_water_mark - settings.clock_margin
            assert later.reconciled_at == checkpoint.reconciled_at
        assert later.high_water_mark >= checkpoint.high_water_mark
        assert later.index_floor >= checkpoint.index_floor
        assert later.index_floor <= max(ends) - settings.clock_margin
        checkpoint = later


def test_a_reconcile_pass_is_due_by_the_settings():
    """So long after the last one, or after the backfill; never, where that is wanted."""
    done = advance(Checkpoint(), plan_pass(Checkpoint(), NOON, SETTINGS), (), SETTINGS)
    week, moment = timedelta(days=7), timedelta(milliseconds=1)

    assert plan_pass(done, NOON + week - moment, SETTINGS).mode is Mode.INCREMENTAL
    assert plan_pass(done, NOON + week, SETTINGS) == Pass(mode=Mode.RECONCILE, end=NOON + week)
    never = SyncSettings(reconcile_every=None)
    assert plan_pass(done, NOON + 99 * week, never).mode is Mode.INCREMENTAL


def asked(checkpoint):
    """The checkpoint when all records are to be compared."""
    return marked(checkpoint, redeliver=False)


def again(checkpoint):
    """The checkpoint when all records are to be delivered again."""
    return marked(checkpoint, redeliver=True)


def test_a_reconcile_pass_on_demand():
    """It can be asked for and kept off, whatever is due, but never cuts in."""
    done = Checkpoint(high_water_mark=NOON, index_floor=NOON)
    window = plan_pass(done, NOON, SETTINGS, compared=True)
    cut_off = advance(done, window, (IdRange(after="77"),), SETTINGS)

    assert window.mode is Mode.INCREMENTAL
    assert plan_pass(asked(done), NOON, SETTINGS).mode is Mode.RECONCILE
    assert plan_pass(asked(cut_off), NOON, SETTINGS) == cut_off.reading
    assert plan_pass(asked(Checkpoint()), NOON, SETTINGS).mode is Mode.BACKFILL
    assert again(Checkpoint()) == Checkpoint()


def test_a_mark_is_met_by_a_pass_that_ends_later():
    """Wherever HubSpot's clock is found to be then; another mark is the same until it is met."""
    moment = timedelta(milliseconds=1)
    done = Checkpoint(high_water_mark=NOON, index_floor=NOON, reconciled_at=NOON)

    assert asked(asked(done)) == asked(done)
    reading = plan_pass(asked(done), NOON - timedelta(hours=1), SETTINGS, compared=True)
    assert reading == Pass(mode=Mode.RECONCILE, end=NOON + moment)
    met = advance(asked(done), reading, (), SETTINGS)
    assert plan_pass(met, NOON, SETTINGS).mode is Mode.INCREMENTAL


def test_a_pass_that_has_begun_is_not_the_one_that_is_asked_for():
    """It goes on to its end, and then the other one begins."""
    done = Checkpoint(high_water_mark=NOON, index_floor=NOON, reconciled_at=NOON)
    reading = Pass(mode=Mode.RECONCILE, end=NOON + timedelta(hours=1))
    begun = evolve(done, reading=reading)

    assert plan_pass(asked(begun), NOON, SETTINGS) == reading
    then = advance(asked(begun), reading, (), SETTINGS)
    assert plan_pass(then, NOON, SETTINGS).end == reading.end + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "reading",
    [
        None,
        Pass(mode=Mode.INCREMENTAL, start=NOON, end=NOON),
        Pass(mode=Mode.RECONCILE, end=NOON + timedelta(hours=1)),
        Pass(mode=Mode.BACKFILL, end=NOON),
    ],
    ids=["none", "incremental", "reconcile", "backfill"],
)
def test_a_pass_that_delivers_all_again_comes_first(reading):
    """What has begun would tell of changes before it tells of creations."""
    mark = None if reading and reading.mode is Mode.BACKFILL else NOON
    done = Checkpoint(high_water_mark=mark, index_floor=mark, reconciled_at=mark, reading=reading)

    planned = plan_pass(again(done), NOON, SETTINGS)

    assert (planned.mode, planned.redelivers) == (Mode.RECONCILE, True)
    assert reading is None or reading.end < planned.end or reading.mode is Mode.INCREMENTAL
    cut_off = advance(again(done), planned, (IdRange(after="77"),), SETTINGS)
    assert plan_pass(cut_off, NOON, SETTINGS) == cut_off.reading
    ended = advance(cut_off, cut_off.reading, (), SETTINGS)
    assert not ended.redeliver
    assert plan_pass(ended, NOON, SETTINGS).mode is Mode.INCREMENTAL


def test_to_ask_again_for_all_records_is_to_begin_again():
    """The sink may have been emptied once more."""
    done = Checkpoint(high_water_mark=NOON, index_floor=NOON, reconciled_at=NOON)
    first = plan_pass(again(done), NOON, SETTINGS)
    begun = advance(again(done), first, (IdRange(after="77"),), SETTINGS)

    second = plan_pass(again(begun), NOON, SETTINGS)

    assert second.redelivers
    assert second.ranges == (IdRange(),)
    assert second.end > first.end


def test_the_window_after_a_reconcile_pass_begins_where_it_began():
    """What was edited during the walk was modified later than the pass's end."""
    mark, begun = NOON + timedelta(hours=1), NOON + timedelta(days=9)
    before = Checkpoint(high_water_mark=mark, index_floor=NOON, reconciled_at=NOON)
    after = advance(before, plan_pass(before, begun, SETTINGS), (), SETTINGS)

    window = plan_pass(after, begun + timedelta(hours=1), SETTINGS)

    assert window.mode is Mode.INCREMENTAL
    assert window.start == begun - SETTINGS.clock_margin


def test_a_clock_that_went_back_lowers_nothing():
    """The mark and the floor stay, and no two passes have the same end."""
    before = Checkpoint(high_water_mark=NOON, index_floor=NOON, reconciled_at=NOON)

    reading = plan_pass(asked(before), NOON - timedelta(hours=1), SETTINGS)
    after = advance(before, reading, (), SETTINGS)

    assert to_milliseconds(reading.end) == to_milliseconds(NOON) + 1
    assert after.high_water_mark >= NOON
    assert after.index_floor == NOON


def test_doubt_ends_with_the_first_window_behind_it():
    """One that looks back into it may find what search showed late."""
    mark = NOON + timedelta(hours=1)
    before = Checkpoint(high_water_mark=mark, reconciled_at=NOON, doubtful_until=mark)
    window = plan_pass(before, mark + timedelta(hours=1), SETTINGS)

    assert doubt_left(before, window) == mark
    later = advance(before, window, (), SETTINGS)
    assert later.doubtful_until == mark
    assert doubt_left(later, plan_pass(later, mark + timedelta(hours=2), SETTINGS)) is None


def test_a_pass_over_all_records_ends_all_doubt():
    """Each is read in the version that it has now."""
    before = Checkpoint(high_water_mark=NOON, reconciled_at=NOON, doubtful_until=NOON)
    later = NOON + timedelta(hours=1)
    reading = plan_pass(asked(before), later, SETTINGS)

    assert doubt_left(before, reading) == NOON
    assert advance(before, reading, (), SETTINGS).doubtful_until is None


HOUR, MARGIN = timedelta(hours=1), SETTINGS.clock_margin


def ground(checkpoint, latest=NOON):
    return grounded(checkpoint, NOON, lambda: latest, SETTINGS)


def test_what_is_not_in_the_future_stays():
    """Within the margin clocks may differ, and nobody is asked for more."""
    edge = NOON + MARGIN
    window = Pass(mode=Mode.INCREMENTAL, start=NOON, end=edge)
    checkpoint = Checkpoint(
        high_water_mark=edge,
        index_floor=edge,
        reconciled_at=edge,
        doubtful_until=edge,
        reconcile_since=edge,
        reading=window,
    )

    def nobody():
        raise AssertionError("nothing is ahead")

    assert grounded(checkpoint, NOON, nobody, SETTINGS) == checkpoint
    assert grounded(Checkpoint(), NOON, nobody, SETTINGS) == Checkpoint()
    later = NOON + HOUR
    ahead = Checkpoint(high_water_mark=later, index_floor=later, reconciled_at=later)
    assert ground(ahead, latest=later) == ahead, "as long as one witness allows it"


def test_a_mark_in_the_future_proves_nothing():
    """All records are compared, and their pass ends the fall."""
    mark = NOON + HOUR
    stored = Checkpoint(high_water_mark=mark, index_floor=NOON, reconciled_at=NOON - HOUR)

    fallen = ground(stored)

    assert fallen == Checkpoint(fell_from=mark, reconciled_at=NOON - HOUR)
    assert fallen.may_follow(mark)
    assert not fallen.may_follow(mark + HOUR)
    assert ground(fallen) == fallen
    reading = plan_pass(fallen, NOON, SETTINGS, compared=True)
    assert reading == Pass(mode=Mode.RECONCILE, end=NOON)
    after = advance(fallen, reading, (), SETTINGS)
    assert after == Checkpoint(
        high_water_mark=NOON, index_floor=NOON - MARGIN, reconciled_at=NOON, associations_at=NOON
    )


def test_a_whole_pass_that_began_in_time_ends_the_fall():
    """Whatever the mark was when it began."""
    pass_under_way = Pass(mode=Mode.RECONCILE, end=NOON - HOUR, ranges=(IdRange(after="7"),))
    stored = Checkpoint(high_water_mark=NOON + HOUR, reading=pass_under_way)

    fallen = ground(stored)

    assert fallen.reading == pass_under_way
    assert advance(fallen, pass_under_way, (), SETTINGS).high_water_mark == NOON - HOUR


def test_a_window_that_ends_in_the_future_is_planned_again():
    """From the mark, which has not moved; what the cut-off one has delivered is in doubt."""
    window = Pass(mode=Mode.INCREMENTAL, start=NOON - HOUR, end=NOON + HOUR)
    stored = Checkpoint(high_water_mark=NOON - HOUR, reconciled_at=NOON - HOUR, reading=window)

    assert ground(stored) == evolve(stored, reading=None, doubtful_until=NOON)


def test_each_instant_falls_by_itself():
    """A pass over all records that never was is due; demands and doubts are of the present."""
    ahead = NOON + HOUR
    mark = NOON - HOUR
    stored = Checkpoint(
        high_water_mark=mark, reconciled_at=ahead, doubtful_until=ahead, reconcile_since=ahead
    )

    expected = Checkpoint(high_water_mark=mark, doubtful_until=NOON, reconcile_since=NOON)
    assert ground(stored) == expected


def test_what_should_not_be_new_to_the_first_window():
    """What was modified before the pass over all records ended, by half of the margin."""
    after = advance(Checkpoint(), plan_pass(Checkpoint(), NOON, SETTINGS), (), SETTINGS)
    first = plan_pass(after, NOON + HOUR, SETTINGS)
    later = advance(after, first, (), SETTINGS)
    second = plan_pass(later, NOON + 2 * HOUR, SETTINGS)
    moment = timedelta(milliseconds=1)

    def late(at, before=after, reading=first):
        record = Record(
            object_type="contacts", object_id="1", properties={}, modified_at=at, created_at=at
        )
        return is_late(record, before, reading, SETTINGS)

    assert late(first.start)
    assert late(NOON - MARGIN / 2 - moment)
    assert not late(NOON - MARGIN / 2)
    assert not late(first.start - moment), "of no window"
    assert not late(second.start, later, second)
    assert not late(NOON - MARGIN, Checkpoint(), Pass(mode=Mode.BACKFILL, end=NOON))


def test_a_comparison_is_asked_for_again_when_the_last_one_is_complete():
    """Although the pass that leads up to the present is still to come."""
    done = Checkpoint(
        high_water_mark=NOON, reconciled_at=NOON, reconcile_since=NOON, index_floor=NOON
    )

    assert asked(done).reconcile_since > NOON
