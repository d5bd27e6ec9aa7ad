"""HubSpot's time: no witness is believed alone, and no mistake makes it later than it is."""

import threading
from datetime import datetime, timedelta, timezone

import pytest

from hubspot_sync._hubspot.calls.headers import ServerClock
from hubspot_sync.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
MINUTE, HOUR, YEAR = timedelta(minutes=1), timedelta(hours=1), timedelta(days=365)
WRONG = {"20 minutes ahead": 20 * MINUTE, "a year ahead": YEAR, "an hour behind": -HOUR}


class World:
    """A host's clocks, and HubSpot's, which is right unless *host_off* says who is not."""

    def __init__(self, host_off=timedelta(0)):
        self.clock = ManualClock(NOON + host_off)
        self.server_clock = ServerClock(self.clock)

    @property
    def truth(self):
        return NOON + timedelta(seconds=self.clock.monotonic())

    def answer(self, off=timedelta(0)):
        """One whose Date is *off*."""
        date = (self.truth + off).strftime("%a, %d %b %Y %H:%M:%S GMT")
        self.server_clock.observe(self.clock.monotonic(), date)

    @property
    def error(self):
        return self.server_clock.now() - self.truth

    @property
    def latest_error(self):
        return self.server_clock.latest() - self.truth


def test_the_hosts_clock_is_believed_within_a_date():
    """A Date header is up to a second old."""
    world = World()
    world.clock.advance(0.9)

    assert not world.server_clock.known
    world.answer()

    assert world.server_clock.known
    assert world.server_clock.settled
    assert world.server_clock.now() == world.server_clock.latest() == world.clock.now()


@pytest.mark.parametrize("off", WRONG.values(), ids=WRONG)
def test_two_answers_correct_the_hosts_clock(off):
    """One alone does not; nothing is later than it is meanwhile."""
    world = World(host_off=off)

    world.answer()
    assert not world.server_clock.settled
    assert world.error <= timedelta(seconds=1)
    world.answer()

    assert world.server_clock.settled
    assert world.error <= timedelta(seconds=1)
    assert abs(world.latest_error) <= timedelta(seconds=1)


@pytest.mark.parametrize("off", WRONG.values(), ids=WRONG)
def test_the_first_date_of_a_process_is_not_believed_alone(off):
    """The next answer agrees with the host's clock, which is two against one."""
    world = World()

    world.answer(off)
    assert not world.server_clock.settled
    assert world.error <= timedelta(0)
    assert world.latest_error >= timedelta(0)
    world.answer()

    assert world.server_clock.settled
    assert world.error == world.latest_error == timedelta(0)


@pytest.mark.parametrize("host_off", [timedelta(0), HOUR, -HOUR, 10 * YEAR])
@pytest.mark.parametrize("off", WRONG.values(), ids=WRONG)
def test_one_bad_date_among_good_ones(off, host_off):
    """It changes nothing for long, whatever the host's clock shows."""
    world = World(host_off)
    world.answer()
    world.answer()

    world.answer(off)
    assert not world.server_clock.settled
    assert world.error <= timedelta(seconds=1)
    world.answer()

    assert world.server_clock.settled
    assert world.error <= timedelta(seconds=1)
    assert abs(world.latest_error) <= timedelta(seconds=1)


@pytest.mark.parametrize("dates", [(YEAR, 0 * YEAR, 0 * YEAR), (0 * YEAR, YEAR, 0 * YEAR)])
def test_three_clocks_that_all_say_otherwise(dates):
    """The earliest counts until two agree."""
    world = World(10 * YEAR)

    for off in dates[:2]:
        world.answer(off)
    assert not world.server_clock.settled
    assert world.error <= timedelta(seconds=1)
    world.answer(dates[2])

    assert world.server_clock.settled
    assert world.error <= timedelta(seconds=1)


@pytest.mark.parametrize("off", [timedelta(seconds=5), timedelta(seconds=30), 20 * MINUTE])
def test_dates_that_are_all_ahead_of_a_host_that_is_right(off):
    """The end of a window is never beyond what two clocks allow; what is there is read at once."""
    world = World()
    for _ in range(5):
        world.answer(off)
        world.clock.advance(MINUTE)

    assert world.error == timedelta(0)
    assert abs(world.latest_error - off) <= timedelta(seconds=1)


@pytest.mark.parametrize("before", [-HOUR, HOUR, 10 * YEAR])
def test_a_host_clock_that_is_put_right_between_two_runs(before):
    """Offsets are to the monotonic clock, so nothing has to be learnt again."""
    world = World(before)
    world.answer()
    world.answer()

    world.clock.advance(15 * MINUTE)
    world.clock.set(world.truth)

    assert not world.server_clock.settled, "worth an answer: the machine may have been asleep"
    assert abs(world.error) <= timedelta(seconds=1)
    world.answer()
    assert world.server_clock.settled
    assert abs(world.error) <= timedelta(seconds=1)


@pytest.mark.parametrize("after", [-HOUR, HOUR, 10 * YEAR])
def test_a_host_clock_that_goes_wrong_makes_nothing_late(after):
    """What is known of HubSpot's holds without it."""
    world = World()
    world.answer()

    world.clock.set(world.truth + after)

    assert world.error <= timedelta(seconds=1)
    assert abs(world.latest_error) <= timedelta(seconds=1)
    world.answer()
    assert world.server_clock.settled


def test_records_prove_that_the_hosts_clock_is_behind():
    """So its being behind does not make every window begin that much earlier."""
    world = World(-10 * YEAR)
    world.answer()
    world.answer()
    assert world.error == -10 * YEAR

    world.server_clock.stamped([NOON - HOUR, NOON - MINUTE, NOON - YEAR])
    world.server_clock.stamped([])
    assert world.error == -MINUTE
    world.clock.advance(HOUR)
    assert world.error == -MINUTE

    world.server_clock.stamped([world.truth + YEAR])
    assert abs(world.error) <= timedelta(seconds=1), "no record proves more than answers allow"


def test_a_machine_that_was_asleep():
    """Its monotonic clock stood still, and its wall clock did not: the time is too early."""
    world = World()
    world.answer()
    asleep = 8 * HOUR
    world.clock.set(world.clock.now() + asleep)

    assert not world.server_clock.settled
    assert world.error < asleep
    world.answer(asleep)

    assert world.server_clock.settled
    assert world.server_clock.now() == world.server_clock.latest() == world.clock.now()


def test_an_idle_host_needs_no_new_answer():
    """For days; clocks drift apart by less than the lookback."""
    world = World()
    world.answer()

    world.clock.advance(timedelta(days=2))

    assert world.server_clock.settled
    assert world.error == timedelta(0)


def test_drift_is_followed():
    """By less than a minute, with one answer."""
    world = World(-30 * timedelta(seconds=1))
    world.answer()
    world.answer(timedelta(seconds=20))

    assert world.server_clock.settled
    assert abs(world.latest_error.total_seconds() - 20) <= 1


def test_witnesses_that_agree_leave_no_spread():
    """Also while time passes: a window's end is not moved by as much as a millisecond."""

    class Ticking(ManualClock):
        def now(self):
            return self.advance(0.0004)

    clock = Ticking(NOON)
    server_clock = ServerClock(clock)
    assert server_clock.spread == timedelta(0)

    server_clock.observe(clock.monotonic(), "Mon, 02 Mar 2026 12:00:00 GMT")

    assert [server_clock.spread for _ in range(5)] == [timedelta(0)] * 5


def test_a_slow_answer_widens_nothing():
    """Its Date was made at any time between sending and receiving; the earliest counts."""
    world = World(HOUR)
    for _ in range(2):
        sent_at = world.clock.monotonic()
        made_at = world.truth
        world.clock.advance(90)
        world.server_clock.observe(sent_at, made_at.strftime("%a, %d %b %Y %H:%M:%S GMT"))

    assert world.error <= timedelta(seconds=1)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "soon",
        "Mon, 02 Mar 2026 12:00:00",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 99 Mar 2026 12:00:00 GMT",
    ],
)
def test_answers_without_a_usable_date_teach_nothing(header):
    """Proxies may drop it."""
    world = World()

    world.server_clock.observe(0.0, header)

    assert not world.server_clock.known
    assert world.server_clock.now() == world.server_clock.latest() == world.clock.now()


def test_threads_share_a_server_clock():
    """No answer is lost, none breaks it."""
    world = World()
    threads = [threading.Thread(target=world.answer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert world.server_clock.now() == world.clock.now()
