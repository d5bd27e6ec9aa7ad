"""Planning: windows overlap enough, marks never fall, and no modified time is left out."""

from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync import SyncSettings
from hubspot_sync._windows import advance, plan_pass
from hubspot_sync.models import Checkpoint, IdRange, Mode

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
    checkpoint = Checkpoint(high_water_mark=mark, index_floor=NOON)

    window = plan_pass(checkpoint, NOON + timedelta(hours=2), SETTINGS)

    assert window.start == mark - SETTINGS.lookback


def test_the_mark_waits_for_the_whole_pass():
    """Half a window promises nothing."""
    checkpoint = Checkpoint(high_water_mark=NOON)
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
)
def test_windows_leave_no_gap_and_the_mark_never_falls(steps, lookback, lag):
    """Even when HubSpot's clock seems to go backwards between runs."""
    settings = SyncSettings(lookback=lookback, settle_lag=lag)
    now = NOON
    checkpoint = advance(Checkpoint(), plan_pass(Checkpoint(), now, settings), (), settings)
    for step in steps:
        now += step
        window = plan_pass(checkpoint, now, settings)
        later = advance(checkpoint, window, (), settings)

        assert window.start < checkpoint.high_water_mark
        assert window.start <= checkpoint.high_water_mark - settings.clock_margin
        assert later.high_water_mark >= checkpoint.high_water_mark
        checkpoint = later
