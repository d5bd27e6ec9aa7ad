"""Turns: when one is over, whose is next, and what several of them did together."""

import threading
from datetime import datetime, timedelta, timezone

import pytest

from hubspot_sync import (
    Account,
    HubSpotUnavailableError,
    StreamReport,
    StreamStatus,
    SyncReport,
)
from hubspot_sync._clock import StopRequested, SystemClock
from hubspot_sync._engine.crew import Crew
from hubspot_sync._engine.joining import joined
from hubspot_sync._engine.turns import Ticket, Turn, TurnQueue
from hubspot_sync.models import AccountKey, Counts, Mode, RetryCounts, StreamKey

KEY = AccountKey("acme", "62515")
SECOND = timedelta(seconds=1)
CLOCK = SystemClock()


def turn(stop=None, over=lambda: False):
    return Turn(stop or threading.Event(), over, CLOCK)


def test_a_turn_goes_on_until_it_is_over():
    """Once it is over that stays, or half of a run's threads would stop."""
    over = [False, True, False, False]
    one = turn(over=lambda: over.pop(0))

    assert [one.is_set() for _ in range(5)] == [False, True, True, True, True]


def test_waiting_in_a_turn_takes_as_long_as_it_should():
    """Also longer than it takes to look up once."""
    began = CLOCK.monotonic()

    CLOCK.sleep(0.6, turn())

    assert 0.6 <= CLOCK.monotonic() - began


@pytest.mark.parametrize("timeout", [30, None])
def test_the_end_of_a_turn_ends_every_wait(timeout):
    """For whatever reason it ends."""
    stop, over = threading.Event(), threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert turn(stop).wait(timeout)
    threading.Timer(0.05, over.set).start()
    assert turn(over=over.is_set).wait(timeout)
    with pytest.raises(StopRequested):
        CLOCK.sleep(30, turn(over=over.is_set))


def ticket(name, *, long=False):
    account = Account(account_id=name, domain_id="acme")
    report = SyncReport(account=account.key, duration=SECOND) if long else None
    return Ticket(account=account, report=report)


def test_an_account_that_comes_up_once_more_while_it_is_under_way():
    """By itself when its claim ends, also where the store keeps milliseconds; else it was asked."""
    ends = [datetime(2026, 3, 2, 12, minute, 0, 789, timezone.utc) for minute in range(4)]
    account = ticket("1").account
    one = Ticket(account=account, claimed_until=ends[0])

    kept = ends[0].replace(microsecond=0)
    one.take_over(Ticket(account=account, was_due_at=kept, claimed_until=ends[1]))
    assert (one.again, one.claimed_until) == (False, ends[1])
    one.take_over(Ticket(account=account, was_due_at=kept, claimed_until=ends[2]))
    assert (one.again, one.claimed_until) == (True, ends[2])
    one.take_over(Ticket(account=account, was_due_at=ends[2], claimed_until=ends[3]))
    assert (one.again, one.claimed_until) == (True, ends[3])


def queue(workers, *tickets):
    one = TurnQueue(workers=workers, changed=threading.Condition())
    for held in tickets:
        assert one.put(held)
    return one


def taken(one, number):
    """The next accounts, none of which is done."""
    return [one.take().account.account_id for _ in range(number)]


def test_long_accounts_get_half_of_the_workers():
    """And no more while others wait; the first ones first."""
    fresh = [ticket(name) for name in "123456"]
    long = [ticket(name, long=True) for name in ("10", "11", "12")]

    one = queue(4, *fresh, *long)

    assert taken(one, 6) == ["10", "11", "1", "2", "3", "4"]
    one.done(long=True)
    assert taken(one, 2) == ["12", "5"]


def test_long_accounts_get_every_worker_that_nobody_else_wants():
    """One worker too."""
    assert taken(queue(1, ticket("10", long=True), ticket("1")), 2) == ["1", "10"]
    assert taken(queue(2, *(ticket(name, long=True) for name in ("10", "11"))), 2) == ["10", "11"]


def test_one_worker_takes_turns_too():
    """However many wait for their first one, a long account goes on."""
    fresh = [ticket(name) for name in "1234"]
    long = [ticket(name, long=True) for name in ("10", "11")]

    one = queue(1, *fresh, *long)

    assert taken(one, 6) == ["1", "10", "2", "11", "3", "4"]


def test_a_closed_queue_gives_back_what_waits():
    """And lets nobody wait for a turn."""
    waiting = [ticket("1"), ticket("10", long=True)]
    one = queue(2, *waiting)

    assert one.close() == waiting
    assert one.take() is None
    assert not one.put(ticket("2"))


class Briefly:
    """What an account does in its turn: nothing, and that once."""

    clock = CLOCK

    def length(self, _ticket):
        return 30

    def take(self, ticket, _turn):
        ticket.report = SyncReport(account=ticket.key, duration=SECOND)
        return True

    def end(self, ticket):
        return ticket.report

    def ask_again(self, ticket):
        assert not ticket.again


def test_reports_are_given_out_while_more_accounts_come():
    """Or an engine that runs for ever would keep them for ever."""
    waiting, given = [], []

    def supply():
        for number in range(1, 9):
            yield ticket(str(number))
            while len(given) + len(crew._reports) < number:  # until it is done
                CLOCK.sleep(0.001)
            waiting.append(len(crew._reports))

    with Crew(taking=Briefly(), stop=threading.Event(), workers=8) as crew:
        for report in crew.work_off(supply()):
            given.append(report)  # noqa: PERF402 - one by one, as they come

    assert len(given) == 8
    assert max(waiting) <= 2


class Interrupted(Briefly):
    """Turns that last until all is to end, and a signal as often as one is put down unbegun."""

    def __init__(self):
        self.begun, self.ended = [], []

    def take(self, ticket, turn):
        self.begun.append(ticket.key)
        turn.wait()
        return super().take(ticket, turn)

    def end(self, ticket):
        self.ended.append(ticket.key)
        if ticket.report is None:
            raise KeyboardInterrupt
        return ticket.report


def test_all_are_put_down_whatever_comes_out_of_it():
    """Those that wait, those that have their turn, and the threads; what came first is raised."""
    taking = Interrupted()
    tickets = [ticket(str(number)) for number in range(1, 4)]

    def supply():
        yield from tickets[:2]
        while len(taking.begun) < 2:
            CLOCK.sleep(0.001)
        yield tickets[2]  # it waits
        raise ZeroDivisionError

    crew = Crew(taking=taking, stop=threading.Event(), workers=2)
    with pytest.raises(ZeroDivisionError), crew:
        list(crew.work_off(supply()))

    assert {one.key for one in tickets} == set(taking.ended)
    assert not any(thread.is_alive() for thread in crew._threads)


def stream(object_type, status, mode, counts, error=None):
    return StreamReport(
        stream=StreamKey(KEY, object_type),
        status=status,
        mode=mode,
        counts=counts,
        unconverted={"revenue": 1},
        retried=RetryCounts(delivered=1),
        api_calls={"list": 2},
        duration=SECOND,
        error=error,
    )


def test_the_turns_of_an_account_make_one_report():
    """Counts add up; how it ended is how the last turn ended."""
    error = HubSpotUnavailableError("HubSpot is away")
    first = SyncReport(
        account=KEY,
        streams=(
            stream("companies", StreamStatus.COMPLETED, Mode.BACKFILL, Counts(delivered=3)),
            stream("contacts", StreamStatus.STOPPED, Mode.BACKFILL, Counts(delivered=4)),
        ),
        api_calls={"list": 4, "account": 1},
        duration=SECOND,
    )
    second = SyncReport(
        account=KEY,
        streams=(
            stream("contacts", StreamStatus.FAILED, Mode.INCREMENTAL, Counts(repeated=1), error),
        ),
        api_calls={"list": 2, "search": 1},
        duration=SECOND,
        error=error,
    )

    report = joined(first, second)

    companies, contacts = report.streams
    assert companies == first.streams[0]
    assert (contacts.status, contacts.mode) == (StreamStatus.FAILED, Mode.BACKFILL)
    assert contacts.counts == Counts(delivered=4, repeated=1)
    assert contacts.unconverted == {"revenue": 2}
    assert contacts.retried == RetryCounts(delivered=2)
    assert contacts.api_calls == {"list": 4}
    assert contacts.duration == report.duration == 2 * SECOND
    assert report.api_calls == {"list": 6, "account": 1, "search": 1}
    assert report.failure is error


@pytest.mark.parametrize("begun", [StreamStatus.STOPPED, StreamStatus.NOT_STARTED])
def test_a_report_of_two_turns_of_which_the_second_does_not_reach_a_stream(begun):
    """What was begun in the first one stays begun."""
    key = StreamKey(KEY, "contacts")
    first, second = (
        SyncReport(
            account=KEY,
            streams=(StreamReport(stream=key, status=status, duration=timedelta(0)),),
            duration=timedelta(0),
        )
        for status in (begun, StreamStatus.NOT_STARTED)
    )

    assert joined(first, second).streams[0].status is begun
