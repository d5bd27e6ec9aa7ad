"""Permits: as many as HubSpot's limits allow, and no window of HubSpot's is ever too full."""

import gc
import heapq
import itertools
import random
import threading
from collections import deque
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubspot_sync import RateLimitedError
from hubspot_sync._clock import StopRequested
from hubspot_sync._limits import (
    DailyPot,
    LimiterShelf,
    Outcome,
    RateLimiter,
    RollingWindow,
    Usage,
)
from hubspot_sync._limits.estimates import Latencies, Pace
from hubspot_sync._limits.window import Ledger, Turnstile
from hubspot_sync.testing import ManualClock

MARGIN = 0.04
GOOD = Outcome(accepted=True)


class Server:
    """A rolling window as HubSpot keeps it: calls count when they arrive, refused ones do not."""

    def __init__(self, limit, seconds):
        self.limit, self.seconds = limit, seconds
        self.arrivals = deque()
        self.refusals = []

    def accepts(self, now):
        while self.arrivals and self.arrivals[0] <= now - self.seconds + 1e-9:
            self.arrivals.popleft()
        if len(self.arrivals) >= self.limit:
            self.refusals.append(now)
            return False
        self.arrivals.append(now)
        return True


def simulate(ledger, server, delays, *, calls, threads=8):
    """Several threads make *calls* calls as soon as *ledger* lets them.

    Each of *delays* is how long one call is on its way there, and back. Gives when the calls were
    accepted.
    """
    accepted, ways, numbers = [], iter(delays), itertools.count()
    free, left, events = threads, calls, []

    def at(moment, happening):
        heapq.heappush(events, (moment, next(numbers), happening))

    def send(taken_at):
        there, back = next(ways)

        def arrive(now):
            good = server.accepts(now)
            accepted.extend([now] if good else [])
            at(now + back, lambda later: answer(later, good))

        def answer(now, good):
            nonlocal free
            free += 1
            outcome = GOOD if good else Outcome(pause=server.seconds)
            ledger.settle("list", taken_at, now, outcome)

        at(taken_at + there, arrive)

    at(0.0, lambda _: None)
    while events:
        now, _, happening = heapq.heappop(events)
        happening(now)
        while free and left:
            wait = ledger.take(now)
            if wait != 0.0:
                if wait is not None:
                    at(now + wait, lambda _: None)
                break
            free, left = free - 1, left - 1
            send(now)
    return accepted


def steady(server, accepted):
    """Calls in a second over whole windows, as a share of the limit."""
    full = (len(accepted) - 1) // server.limit * server.limit
    seconds = accepted[full] - accepted[0]
    return full / seconds / (server.limit / server.seconds)


class TestLedger:
    """The reckoning, against a model of the server."""

    @settings(deadline=None)
    @given(
        limit=st.integers(1, 20),
        seconds=st.sampled_from([1.0, 10.0]),
        there=st.floats(0, 2),
        back=st.floats(0, 2),
        spread=st.floats(0, 3),
        threads=st.integers(1, 12),
        seed=st.integers(0, 1_000_000),
    )
    def test_no_call_is_refused_while_the_way_there_is_steady_within_the_margin(
        self, limit, seconds, there, back, spread, threads, seed
    ):
        """However much the way back varies, which HubSpot's own work is a part of."""
        dice = random.Random(seed)  # noqa: TID251 - hypothesis's seed
        ways = (
            (there + dice.uniform(0, MARGIN), back + dice.uniform(0, spread))
            for _ in itertools.count()
        )
        server = Server(limit, seconds)

        accepted = simulate(Ledger(limit, seconds), server, ways, calls=150, threads=threads)

        assert server.refusals == []
        assert len(accepted) == 150

    @settings(deadline=None, max_examples=25)
    @given(
        spread=st.floats(0, 1),
        seed=st.integers(0, 1_000_000),
        rates=st.sampled_from([(5, 1.0), (20, 10.0)]),
    )
    def test_hardly_a_call_is_refused_where_both_ways_vary(self, spread, seed, rates):
        """Nothing is proved then, but the spread of the latencies says how little to trust them."""
        dice = random.Random(seed)  # noqa: TID251 - hypothesis's seed
        ways = (
            (0.05 + dice.expovariate(1) * spread / 5, 0.1 + dice.expovariate(1) * spread)
            for _ in itertools.count()
        )
        server = Server(*rates)

        accepted = simulate(Ledger(*rates), server, ways, calls=300)

        assert len(server.refusals) <= 3
        assert len(accepted) >= 297

    @given(
        limit=st.integers(1, 20),
        delays=st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=4),
    )
    def test_the_first_calls_are_safe_whatever_the_network_does(self, limit, delays):
        """Nothing is known of it yet."""
        server = Server(limit, 10.0)

        simulate(Ledger(limit, 10.0), server, delays, calls=len(delays))

        assert server.refusals == []

    @pytest.mark.parametrize(
        ("limit", "seconds", "least"), [(110, 10.0, 0.99), (190, 10.0, 0.99), (5, 1.0, 0.94)]
    )
    def test_a_steady_latency_costs_next_to_nothing(self, limit, seconds, least):
        """At 300 ms, whichever way they are spent on, eight threads use the whole quota."""
        for there in (0.0, 0.15, 0.3):
            server = Server(limit, seconds)
            ways = itertools.repeat((there, 0.3 - there))

            accepted = simulate(Ledger(limit, seconds), server, ways, calls=8 * limit + 1)

            assert steady(server, accepted) > least
            assert server.refusals == []

    def test_a_latency_that_varies_backs_off_towards_the_safe_bound(self):
        """Where each call is counted until one window after its answer."""
        rates = []
        for spread in (0.0, 0.1, 0.4, 1.6):
            dice = random.Random(1)  # noqa: TID251 - reproducible
            ways = ((0.15 + dice.uniform(0, spread), 0.15) for _ in itertools.count())
            server = Server(5, 1.0)
            rates.append(steady(server, simulate(Ledger(5, 1.0), server, ways, calls=301)))
            assert server.refusals == []

        assert rates == sorted(rates, reverse=True)

    def test_refusals_widen_the_margin_until_there_are_none(self):
        """A network that turns fast at once, again and again, is trusted less and less."""
        dice = random.Random(3)  # noqa: TID251 - reproducible
        ways = (
            (dice.choice([0.001] + [0.9] * 80), dice.choice([0.001] + [0.9] * 80))
            for _ in itertools.count()
        )
        server = Server(5, 1.0)

        simulate(Ledger(5, 1.0), server, ways, calls=4_000, threads=20)

        assert len(server.refusals) < 20

    def test_calls_under_way_fill_the_window(self):
        """Nobody can say when HubSpot counts them, nor when they are answered."""
        ledger = Ledger(2, 10.0)

        assert ledger.take(0.0) == 0.0
        assert ledger.take(0.0) == 0.0
        assert ledger.take(30.0) is None
        ledger.settle("list", 0.0, 30.0, GOOD)
        assert ledger.take(30.0) == 10.0

    def test_a_call_without_an_answer_counts_in_full(self):
        """HubSpot may have seen it as late as when we gave up."""
        ledger = Ledger(1, 10.0)
        for moment in range(0, 200, 20):
            ledger.take(moment)
            ledger.settle("list", moment, moment + 1.0, GOOD)
        ledger.take(200.0)
        ledger.settle("list", 200.0, 201.0, Outcome())

        assert ledger.take(201.0) == 10.0

    def test_a_lower_limit_in_the_headers_counts_and_a_higher_one_does_not(self):
        """The setting is a cap."""
        for told, expected in ((2, 2), (100, 3)):
            ledger = Ledger(3, 10.0, learns=True)
            given_out = [ledger.take(0.0)]
            usage = Usage(limit=told, remaining=told - 1, seconds=10.0)
            ledger.settle("list", 0.0, 0.1, Outcome(accepted=True, usage=usage))
            given_out += [ledger.take(0.2) for _ in range(5)]
            assert given_out.count(0.0) == expected

    def test_without_a_limit_of_our_own_the_headers_give_it(self):
        """And until they do there is none."""
        ledger = Ledger(None, 10.0, learns=True)
        assert [ledger.take(0.0) for _ in range(50)] == [0.0] * 50
        for _ in range(50):
            usage = Usage(limit=190, remaining=140, seconds=10.0)
            ledger.settle("list", 0.0, 0.1, Outcome(accepted=True, usage=usage))

        assert [ledger.take(1.0) for _ in range(200)].count(0.0) == 140
        assert ledger.take(30.0) == 0.0

    def test_calls_of_another_process_are_counted_as_ours_for_one_window(self):
        """It has the same app's credentials, so HubSpot counts both together."""
        ledger = Ledger(100, 10.0, learns=True)
        ledger.take(0.0)
        usage = Usage(limit=100, remaining=52, seconds=10.0)
        ledger.settle("list", 0.0, 0.1, Outcome(accepted=True, usage=usage))

        assert [ledger.take(0.1) for _ in range(60)].count(0.0) == 52
        for _ in range(52):
            ledger.settle("list", 0.1, 0.2, GOOD)
        assert ledger.take(0.2) == pytest.approx(9.9)
        assert [ledger.take(10.3) for _ in range(101)].count(0.0) == 100

    def test_room_is_left_for_another_process_that_goes_on(self):
        """Its calls are noticed after the fact, and each would make one of ours too many."""
        ledger = Ledger(100, 10.0, learns=True)
        for now, remaining in ((0.0, 99), (20.0, 51)):
            ledger.take(now)
            usage = Usage(limit=100, remaining=remaining, seconds=10.0)
            ledger.settle("list", now, now, Outcome(accepted=True, usage=usage))

        # 48 in three windows are 16 in each; twice the root of that are 8.
        assert [ledger.take(20.0) for _ in range(60)].count(0.0) == 51 - 8
        for _ in range(51 - 8):
            ledger.settle("list", 20.0, 20.0, GOOD)
        assert [ledger.take(30.0) for _ in range(100)].count(0.0) == 100 - 16 - 8
        for _ in range(100 - 16 - 8):
            ledger.settle("list", 30.0, 30.0, GOOD)
        assert [ledger.take(50.0) for _ in range(101)].count(0.0) == 100

    def test_calls_of_another_process_are_counted_once(self):
        """Each answer tells of them again."""
        ledger = Ledger(100, 10.0, learns=True)
        for moment, remaining in ((0.0, 96), (0.2, 95), (0.4, 94)):
            ledger.take(moment)
            usage = Usage(limit=100, remaining=remaining, seconds=10.0)
            ledger.settle("list", moment, moment + 0.1, Outcome(accepted=True, usage=usage))

        assert ledger._neighbours.known(0.5, 10.0) == 3

    @given(
        limit=st.integers(1, 30),
        ways=st.lists(st.tuples(st.floats(0, 2), st.floats(0, 2)), min_size=60, max_size=60),
    )
    def test_our_own_calls_are_never_taken_for_others(self, limit, ways):
        """Whatever the order in which calls are counted and answers come."""
        ledger = Ledger(limit, 10.0, learns=True)
        server = Server(limit, 10.0)
        under_way, now = [], 0.0
        for there, back in ways:
            while ledger.take(now) != 0.0:
                now = _finish_first(ledger, server, under_way) if under_way else now + 0.5
            under_way.append((now, now + there, now + there + back))
        while under_way:
            _finish_first(ledger, server, under_way)

        assert ledger._neighbours.known(0.0, 10.0) == 0

    def test_a_longer_window_in_the_headers_counts(self):
        """The interval that HubSpot names is its own."""
        ledger = Ledger(1, 10.0, learns=True)
        ledger.take(0.0)
        usage = Usage(limit=1, remaining=0, seconds=20.0)
        ledger.settle("list", 0.0, 0.0, Outcome(accepted=True, usage=usage))

        assert ledger.take(0.0) == 20.0

    def test_a_refusal_pauses_everybody(self):
        """Not the one thread whose call it was."""
        ledger = Ledger(5, 1.0)
        ledger.take(0.0)
        ledger.take(0.0)
        ledger.settle("search", 0.0, 0.3, Outcome(pause=4.0))

        assert ledger.take(1.3) == pytest.approx(3.0)
        ledger.settle("search", 0.0, 0.4, GOOD)
        assert ledger.take(4.3) == 0.0

    def test_a_pause_holds_without_a_limit_too(self):
        """HubSpot has one all the same."""
        ledger = Ledger(None, 10.0)
        ledger.take(0.0)
        ledger.settle("associations", 0.0, 0.3, Outcome(pause=10.0))

        assert ledger.take(0.3) == 10.0

    def test_repeated_refusals_lower_the_rate_and_peace_raises_it(self):
        """Down to less than one call in a window, and back to all of it."""
        ledger = Ledger(5, 1.0)

        def allowed(now):
            return round(_allowance(ledger, now), 2)

        rates = [allowed(0.0)]
        for now in (0.0, 10.0, 11.5, 13.0, 14.5, 16.0, 17.5):
            ledger.take(now)
            ledger.settle("search", now, now, Outcome(pause=1.0))
            rates.append(allowed(now))

        assert rates == [5.0, 5.0, 2.0, 1.0, 0.62, 0.31, 0.31, 0.31]
        assert [allowed(now) for now in (20.0, 30.0, 40.0, 70.0)] == [0.31, 1.0, 2.0, 5.0]

    def test_refusals_of_one_moment_are_one(self):
        """Eight threads run into the same wall together."""
        ledger = Ledger(5, 1.0)
        for _ in range(5):
            ledger.take(0.0)
        for _ in range(5):
            ledger.settle("search", 0.0, 0.3, Outcome(pause=1.0))

        assert _allowance(ledger, 1.4) == 5.0

    def test_idle_is_when_nothing_is_left_to_be_remembered(self):
        """A pause and a lowered rate are memories too."""
        ledger = Ledger(5, 1.0)
        assert ledger.idle(0.0)
        ledger.take(0.0)
        assert not ledger.idle(5.0)
        ledger.settle("search", 0.0, 5.0, GOOD)
        assert not ledger.idle(5.9)
        assert ledger.idle(6.0)
        for now in (10.0, 12.0):
            ledger.take(now)
            ledger.settle("search", now, now, Outcome(pause=1.0))
        assert not ledger.idle(14.0)
        assert ledger.idle(100.0)


def _finish_first(ledger, server, under_way):
    """Answer the call whose answer comes first, with the headers that HubSpot would send."""
    first = min(under_way, key=lambda call: call[2])
    under_way.remove(first)
    taken_at, arrival, answered = first
    server.arrivals.append(arrival)
    counted = sum(arrival - server.seconds < other <= arrival for other in server.arrivals)
    usage = Usage(
        limit=server.limit, remaining=max(server.limit - counted, 0), seconds=server.seconds
    )
    ledger.settle("list", taken_at, answered, Outcome(accepted=True, usage=usage))
    return answered


def _allowance(ledger, now):
    """Calls in a second."""
    calls, seconds = ledger._allowed(now)
    return calls / seconds


class TestLatencies:
    """What the answers say about when calls are counted."""

    def test_a_few_answers_are_too_few(self):
        """The fastest of them may be slow."""
        latencies = Latencies()
        for _ in range(4):
            latencies.observe("list", 0.3)
        assert latencies.credit("list", 0.0) == 0.0
        latencies.observe("list", 0.3)
        assert latencies.credit("list", 0.0) == pytest.approx(0.3 - MARGIN)

    def test_a_fast_endpoint_says_nothing_about_a_slow_one(self):
        """HubSpot works on each for its own time."""
        latencies = Latencies()
        for _ in range(10):
            latencies.observe("account", 0.05)
            latencies.observe("list", 0.4)
        assert latencies.credit("list", 0.0) == pytest.approx(0.4 - MARGIN)
        assert latencies.credit("account", 0.0) == pytest.approx(0.05 - MARGIN)

    def test_what_was_widened_narrows_with_time(self):
        """It doubles with each refusal and halves with each minute."""
        latencies = Latencies()
        for _ in range(10):
            latencies.observe("list", 1.0)
        latencies.widen(0.0)
        latencies.widen(0.0)
        found = [latencies.credit("list", now) for now in (0.0, 59.0, 60.0, 120.0)]
        assert found == pytest.approx([0.88, 0.88, 0.92, 0.94])


def test_one_refusal_alone_changes_no_pace():
    """Somebody else's burst is over when it is noticed."""
    pace = Pace()
    pace.refused(0.0)
    pace.refused(31.0)
    assert pace.share(31.0) == 1.0
    pace.refused(35.0)
    assert pace.share(35.0) == 0.5


class TestRollingWindow:
    """Threads and the clock."""

    def test_it_sleeps_until_the_place_is_free(self):
        """Once, and exactly."""
        clock = ManualClock()
        window = RollingWindow(2, 10.0, clock)
        for _ in range(3):
            with window.permit("list", threading.Event()):
                pass
            clock.advance(1)

        assert clock.waits == (pytest.approx(8.0),)

    def test_a_wait_for_a_permit_can_be_stopped(self):
        """A full window may not hold up `stop()`."""
        window = RollingWindow(1, 10.0, ManualClock())
        stop = threading.Event()
        with window.permit("list", stop):
            pass
        stop.set()

        with pytest.raises(StopRequested), window.permit("list", stop):
            pass

    def test_a_wait_for_a_call_under_way_can_be_stopped(self):
        """However long its answer takes."""
        window = RollingWindow(1, 10.0, ManualClock())
        stop = threading.Event()
        stop.set()

        with window.permit("list", threading.Event()), pytest.raises(StopRequested):
            window.permit("list", stop).__enter__()

    def test_a_failed_call_counts_too(self):
        """HubSpot has seen it."""
        clock = ManualClock()
        window = RollingWindow(1, 10.0, clock)

        with pytest.raises(ZeroDivisionError), window.permit("list", threading.Event()):
            raise ZeroDivisionError
        with window.permit("list", threading.Event()):
            pass

        assert clock.waits == (10.0,)

    def test_threads_share_it(self):
        """No window ever holds more, and time is waited for once, not eight times."""
        clock = ManualClock()
        window = RollingWindow(5, 1.0, clock)
        server = Server(5, 1.0)
        lock = threading.Lock()

        def work():
            for _ in range(25):
                with window.permit("list", threading.Event()) as permit, lock:
                    assert server.accepts(clock.monotonic())
                    permit.outcome = GOOD

        _run_all(work, threads=8)
        assert server.refusals == []
        # A thread that is kept from its processor holds its call while others move the clock.
        assert 39 <= clock.monotonic() < 4 * 39

    def test_a_thread_wakes_when_the_call_that_it_waits_for_is_answered(self):
        """It does not look again and again."""
        clock = ManualClock()
        window = RollingWindow(1, 1.0, clock)
        taken = threading.Event()

        def work():
            with window.permit("list", threading.Event()):
                taken.set()

        with window.permit("list", threading.Event()):
            thread = threading.Thread(target=work)
            thread.start()
            assert not taken.wait(0.05)
            assert clock.waits == ()
        thread.join()
        assert clock.waits == (1.0,)


class TestTurnstile:
    """First come, first served."""

    def test_threads_go_through_in_the_order_in_which_they_came(self):
        """None overtakes another."""
        turnstile = Turnstile()
        order = []

        def work(number):
            with turnstile.turn(threading.Event()):
                order.append(number)

        threads = []
        with turnstile.turn(threading.Event()):
            for number in range(20):
                threads.append(threading.Thread(target=work, args=(number,)))
                threads[-1].start()
                _until(lambda: len(turnstile._queue) == number + 2)  # noqa: B023 - at once
        for thread in threads:
            thread.join()

        assert order == list(range(20))

    def test_one_that_gives_up_lets_the_next_one_pass(self):
        """`stop()` takes it out of the queue."""
        turnstile = Turnstile()
        stop = threading.Event()
        stop.set()
        passed = threading.Event()

        def work():
            with turnstile.turn(threading.Event()):
                passed.set()

        with turnstile.turn(threading.Event()):
            with pytest.raises(StopRequested):
                turnstile.turn(stop).__enter__()
            thread = threading.Thread(target=work)
            thread.start()
        assert passed.wait(300)
        thread.join()


class TestDailyPot:
    """The calls of a day."""

    @pytest.fixture
    def clock(self):
        return ManualClock(datetime(2026, 7, 1, 14, 30, tzinfo=timezone.utc))

    @pytest.fixture
    def pot(self, clock):
        return DailyPot(100, clock.now)

    @pytest.mark.parametrize(
        ("zone", "expected"),
        [
            (None, timedelta(hours=9, minutes=30)),
            ("nonsense", timedelta(hours=9, minutes=30)),
            ("Europe/Berlin", timedelta(hours=7, minutes=30)),
            ("US/Eastern", timedelta(hours=13, minutes=30)),
            ("Asia/Kolkata", timedelta(hours=4)),
        ],
    )
    def test_it_is_closed_until_midnight_in_the_accounts_time_zone(
        self, pot, clock, zone, expected
    ):
        """UTC where that is not known."""
        pot.learn_zone(zone)
        pot.close("the calls are used up")

        with pytest.raises(RateLimitedError, match="used up; it can go on at 2026-07-0") as caught:
            pot.check()
        assert caught.value.policy == "DAILY"
        assert caught.value.retry_after == expected
        clock.advance(expected - timedelta(seconds=1))
        assert pot.closed
        clock.advance(1)
        pot.check()

    def test_a_time_zone_that_is_learnt_later_counts(self, pot):
        """It is asked for when the day is over already."""
        pot.close("used up")
        pot.learn_zone("Europe/Berlin")

        assert pot.error().retry_after == timedelta(hours=7, minutes=30)
        assert "2026-07-02 00:00 (Europe/Berlin)" in str(pot.error())

    def test_the_day_when_clocks_change_has_another_length(self):
        """Midnight is midnight."""
        clock = ManualClock(datetime(2026, 10, 24, 22, 30, tzinfo=timezone.utc))
        pot = DailyPot(100, clock.now)
        pot.learn_zone("Europe/Berlin")
        pot.close("used up")

        assert pot.error().retry_after == timedelta(hours=24, minutes=30)

    @pytest.mark.parametrize("zone", [None, 7, "", "../etc", "America", "No/Where", ["x"]])
    def test_nonsense_is_no_time_zone(self, pot, zone):
        """The account's details are somebody else's text."""
        pot.learn_zone(zone)
        assert pot.needs_zone()

    def test_the_time_zone_is_asked_for_once(self, pot):
        """An account that does not tell it is not asked again."""
        assert [pot.needs_zone() for _ in range(3)] == [True, False, False]

    @pytest.mark.parametrize(
        ("reserve", "limit", "remaining", "short"),
        [
            (100, 250_000, 101, False),
            (100, 250_000, 100, True),
            (100, 50, 6, False),
            (100, 50, 5, True),
            (0, 250_000, 1, False),
            (0, 250_000, 0, True),
            (None, 250_000, 0, False),
        ],
    )
    def test_what_is_reserved_is_left(self, clock, reserve, limit, remaining, short):
        """Of a pot that is no larger than the reserve, a tenth."""
        reason = DailyPot(reserve, clock.now).shortage(limit, remaining)
        assert (reason is not None) is short
        assert not short or "daily_reserve" in reason

    def test_a_day_that_a_wrong_clock_closed_is_over(self, pot, clock):
        """Nobody waits ten years for the midnight after it."""
        right = clock.now()
        clock.set(right + timedelta(days=3653))
        pot.close("used up")

        clock.set(right)

        assert not pot.closed
        pot.check()
        pot.close("used up")
        assert pot.error().retry_after < timedelta(days=1)

    def test_a_pot_that_is_empty_at_midnight_is_tried_by_the_hour(self, pot, clock):
        """The time zone was not known, or HubSpot is late."""
        pot.close("used up")
        clock.advance(timedelta(hours=9, minutes=31))
        pot.close("used up")
        assert pot.error().retry_after == timedelta(hours=1)
        clock.advance(timedelta(hours=1))
        pot.close("used up")
        assert pot.error().retry_after == timedelta(hours=1)
        clock.advance(timedelta(hours=3))
        assert not pot.closed
        pot.close("used up")
        assert pot.error().retry_after == timedelta(hours=19, minutes=59)

    def test_closing_it_twice_changes_nothing(self, pot, clock):
        """Eight threads notice it together."""
        pot.close("the first reason")
        clock.advance(timedelta(hours=1))
        pot.close("the second reason")
        assert "the first reason" in str(pot.error())
        assert pot.error().retry_after == timedelta(hours=8, minutes=30)


class TestLimiters:
    """All windows of an account, and all accounts."""

    def limiter(self, clock):
        return RateLimiter(
            windows={
                "search": RollingWindow(1, 1.0, clock),
                "associations": RollingWindow(None, 10.0, clock),
            },
            rest=RollingWindow(2, 10.0, clock),
            daily=DailyPot(0, clock.now),
        )

    def test_endpoints_share_a_window_or_have_their_own(self):
        """List and batch read count together, association batches not at all."""
        clock = ManualClock()
        limiter = self.limiter(clock)
        for endpoint in ("list", "batch_read", "associations", "associations", "search", "list"):
            with limiter.permit(endpoint, threading.Event()):
                pass

        assert clock.waits == (10.0,)

    def test_idle_limiters_are_dropped(self):
        """A process that serves thousands of accounts keeps those that are at work."""
        clock = ManualClock()
        shelf = LimiterShelf(lambda: self.limiter(clock), clock)
        for number in range(500):
            with shelf.limiter(str(number)).permit("list", threading.Event()):
                pass
            clock.advance(1)

        assert len(shelf) < 25

    def test_what_is_to_be_remembered_is_kept(self):
        """A day that is over, a window that is full, a run that goes on."""
        clock = ManualClock()
        shelf = LimiterShelf(lambda: self.limiter(clock), clock)
        shelf.limiter("closed").daily.close("used up")
        held = shelf.limiter("held")
        number = len(shelf)
        for _ in range(4):
            clock.advance(60)
            shelf.limiter("other")
        gc.collect()

        assert shelf.limiter("closed").daily.closed
        assert shelf.limiter("held") is held
        assert len(shelf) == number + 1

    def test_threads_that_open_one_account_share_its_limiter(self):
        """At the same moment too."""
        shelf = LimiterShelf(lambda: self.limiter(ManualClock()), ManualClock())
        found = []
        _run_all(lambda: found.append(shelf.limiter("62515")), threads=8)
        assert len({id(limiter) for limiter in found}) == 1


def _run_all(work, *, threads):
    """Run *work* in several threads, and raise what one of them raises."""
    failures = []

    def run():
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    started = [threading.Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(300)
    if failures:
        raise failures[0]


def _until(condition):
    """Let other threads run until something is so."""
    patience = threading.Event()
    for _ in range(300_000):
        if condition():
            return
        patience.wait(0.001)
    pytest.fail("it did not happen")
