"""Retries: how often, how long, and never longer than somebody wants to wait."""

import threading
from datetime import timedelta

import pytest

from hubspot_sync import HubSpotUnavailableError
from hubspot_sync._clock import StopRequested
from hubspot_sync._retry import Retrier, RetryPolicy
from hubspot_sync.testing import ManualClock


class Flaky:
    """Fails a number of times, then answers."""

    def __init__(self, failures, retry_after=None):
        self.failures = failures
        self.retry_after = retry_after
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.calls <= self.failures:
            raise HubSpotUnavailableError("away", retry_after=self.retry_after)
        return "answer"


@pytest.fixture
def clock():
    return ManualClock()


def retrier(clock, *, max_tries=5, max_wait=timedelta(seconds=60), stop=None):
    policy = RetryPolicy(max_tries=max_tries, max_wait=max_wait)
    return Retrier(policy=policy, clock=clock, stop=stop or threading.Event())


def ignore(*_):
    """Nobody listens."""


def test_waits_grow_and_are_jittered(clock):
    """Full jitter: each wait lies between zero and an end that doubles."""
    assert retrier(clock, max_tries=9).call(Flaky(8), on_retry=ignore) == "answer"

    ends = [0.5 * 2**number for number in range(8)]
    assert all(0 <= wait < min(end, 60) for wait, end in zip(clock.waits, ends, strict=True))
    assert len(set(clock.waits)) == 8


def test_the_last_failure_is_raised(clock):
    """After as many tries as allowed, not one more."""
    flaky = Flaky(99)

    with pytest.raises(HubSpotUnavailableError, match="away"):
        retrier(clock).call(flaky, on_retry=ignore)

    assert flaky.calls == 5


def test_the_server_is_waited_for(clock):
    """A wait that was asked for is never cut short."""
    retrier(clock).call(Flaky(2, timedelta(seconds=40)), on_retry=ignore)

    assert clock.waits == (40.0, 40.0)


def test_a_wait_beyond_patience_ends_it_at_once(clock):
    """The caller learns when to come back instead of hanging for hours."""
    with pytest.raises(HubSpotUnavailableError) as caught:
        retrier(clock).call(Flaky(1, timedelta(hours=3)), on_retry=ignore)

    assert caught.value.retry_after == timedelta(hours=3)
    assert clock.waits == ()


def test_some_errors_deserve_fewer_tries(clock):
    """A call can say so by the error."""
    flaky = Flaky(99)

    with pytest.raises(HubSpotUnavailableError):
        retrier(clock).call(flaky, on_retry=ignore, tries_for=lambda _: 2)

    assert flaky.calls == 2


def test_each_retry_is_told(clock):
    """Before the wait: how many failed, how long it waits, and why."""
    told = []

    retrier(clock).call(Flaky(2), on_retry=lambda *event: told.append(event))

    assert [attempt for attempt, _, _ in told] == [1, 2]
    assert [wait.total_seconds() for _, wait, _ in told] == pytest.approx(list(clock.waits))
    assert all(str(error) == "away" for _, _, error in told)


def test_stop_ends_a_wait(clock):
    """At once, not after the wait."""
    stop = threading.Event()
    stop.set()

    with pytest.raises(StopRequested):
        retrier(clock, stop=stop).call(Flaky(1), on_retry=ignore)
