"""HubSpot's limits, against the emulator that keeps them: no avoidable 429, and sense after one.

The limits are those of
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
"""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from hubspot_sync import Account, HubSpotSyncError, RateLimitedError
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.calls.headers import burst_usage, daily_usage
from hubspot_sync._limits import Usage
from hubspot_sync.testing import Fault, ManualClock
from hubspot_sync.testing.emulator import Hostility
from kit.support import ACCOUNT, Host


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def start(hubspot_emulator, clock):
    """Starts a host and its emulator, on one clock."""

    def start(hubspot=None, **emulator):
        started = hubspot_emulator(contacts=3, companies=2, clock=clock, **emulator)
        return Host(started, clock, **(hubspot or {}))

    return start


def client_of(host):
    """The door to HubSpot itself."""
    return host.source()._client


def search(client):
    """The cheapest search."""
    return client.call(
        Call(
            endpoint="search",
            method="POST",
            path="/crm/v3/objects/contacts/search",
            body={"limit": 1},
            doing="searching",
        ),
        dict,
    )


def listing(client):
    """The cheapest list."""
    return client.call(
        Call(
            endpoint="list",
            method="GET",
            path="/crm/v3/objects/contacts",
            query=[("limit", "1")],
            doing="listing",
        ),
        dict,
    )


def refusals(host):
    """How many calls the emulator answered with 429."""
    return sum(call.status == 429 for call in host.emulator.calls)


def run_all(work, *, threads):
    """Run *work* in several threads, and give what they raised."""
    failures = []

    def run():
        try:
            work()
        except HubSpotSyncError as error:
            failures.append(error)

    started = [threading.Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join(300)
    return failures


def test_the_limits_are_kept(start):
    """Eight threads, lists and searches, and not one refusal."""
    host = start({"burst_limit": 20, "search_limit": 5}, burst_limit=20, search_limit=5)
    client = client_of(host)

    def work():
        for _ in range(10):
            listing(client)
            search(client)

    assert run_all(work, threads=8) == []
    assert refusals(host) == 0
    assert client.api_calls() == {"list": 80, "search": 80}


def test_a_lower_limit_is_learnt_from_the_first_answer(start):
    """A Starter account allows less than the default."""
    host = start({"burst_limit": 110}, burst_limit=10)
    client = client_of(host)

    for _ in range(35):
        listing(client)

    assert refusals(host) == 0
    assert host.clock.monotonic() >= 30


def test_without_a_limit_of_our_own_the_headers_give_it(start):
    """So nobody has to know what an account's plan allows."""
    host = start({"burst_limit": None}, burst_limit=10)
    client = client_of(host)

    for _ in range(35):
        listing(client)

    assert refusals(host) == 0
    assert host.clock.monotonic() >= 30


def test_other_processes_of_the_app_are_made_room_for(start, clock):
    """What they take of the ten seconds is seen in what remains."""
    host = start(
        {"burst_limit": 110}, burst_limit=110, hostility=Hostility(other_apps_burst_rate=3.0)
    )
    client = client_of(host)

    for _ in range(600):
        listing(client)
        clock.advance(0.05)

    assert refusals(host) < 12
    assert 600 / clock.monotonic() > 5


def test_a_refusal_pauses_all_threads_of_the_account(start):
    """They share the window that is full; each by itself would only be refused too."""
    host = start()
    host.emulator.faults.add(Fault(status=429, policy="TEN_SECONDLY_ROLLING"))
    open_source = host.source_factory()
    waits = []

    def notice(event):
        waits.append(event.wait)
        listing(second)  # while the first one waits before it tries again

    first, second = (
        open_source(ACCOUNT, stop=threading.Event(), notify=notice)._client for _ in range(2)
    )
    listing(first)

    assert waits == [timedelta(seconds=10)]
    assert host.clock.waits == (10.0, 10.0)
    assert [call.status for call in host.emulator.calls] == [429, 200, 200]


def test_a_refused_search_does_not_pause_the_list(start):
    """They are limited apart."""
    host = start()
    host.emulator.faults.add(Fault(route="search", status=429))
    source = host.source_factory()(
        ACCOUNT, stop=threading.Event(), notify=lambda _: listing(source._client)
    )

    search(source._client)

    assert host.clock.waits == (1.0,)


def test_a_retry_after_counts_where_there_is_one(start):
    """HubSpot does not document it for 429, but says it now and then."""
    host = start()
    host.emulator.faults.add(Fault(status=429, headers={"Retry-After": "17"}))

    listing(client_of(host))

    assert host.clock.waits == (17.0,)


def test_searches_of_other_apps_are_adapted_to(start, clock):
    """All apps share five searches a second, and only refusals tell that others are at it."""
    host = start(
        {"search_limit": 5}, search_limit=5, hostility=Hostility(other_apps_search_rate=1.0)
    )
    client = client_of(host)

    for _ in range(300):
        search(client)

    assert refusals(host) < 300 * 0.1  # without adapting, it is twice as many
    assert 300 / clock.monotonic() > 1


class TestTheDay:
    """The daily pot, which the private apps of an account share."""

    def test_its_end_ends_the_run_and_says_when_to_go_on(self, start, clock):
        """No call is wasted on it until then, by no run; then all is well again."""
        host = start(daily_limit=4, time_zone="America/New_York")
        open_source = host.source_factory()
        source = open_source(ACCOUNT, stop=threading.Event(), notify=None)
        source.identify()
        for _ in range(3):
            listing(source._client)

        for run in range(3):
            source = open_source(ACCOUNT, stop=threading.Event(), notify=None)
            with pytest.raises(RateLimitedError, match=r"on at 2026-07-01 00:00 \(Am") as caught:
                listing(source._client)
            assert caught.value.policy == "DAILY"
            assert caught.value.retry_after == timedelta(hours=4) - run * timedelta(hours=1)
            clock.advance(timedelta(hours=1))
        assert host.emulator.calls.count() == 4

        clock.advance(timedelta(hours=1))
        listing(open_source(ACCOUNT, stop=threading.Event(), notify=None)._client)
        assert refusals(host) == 0
        assert host.clock.waits == ()

    def test_the_reserve_is_left_to_others(self, start):
        """The call that reaches it is answered; the next one is not sent."""
        host = start({"daily_reserve": 6}, daily_limit=10, time_zone="Europe/Berlin")
        client = client_of(host)
        for _ in range(4):
            listing(client)

        with pytest.raises(RateLimitedError, match=r"6 of the 10 daily calls.*Berlin") as caught:
            listing(client)

        assert caught.value.retry_after == timedelta(hours=22)
        # The time zone was asked for once, from the reserve.
        assert client.api_calls() == {"list": 4, "account": 1}

    def test_without_a_reserve_the_pot_is_used_to_its_end(self, start):
        """And HubSpot's refusal is what ends it."""
        host = start({"daily_reserve": None}, daily_limit=10)
        client = client_of(host)
        for _ in range(10):
            listing(client)

        with pytest.raises(RateLimitedError, match="used up") as caught:
            listing(client)

        assert caught.value.status == 429
        assert caught.value.correlation_id
        assert caught.value.retry_after == timedelta(hours=24)
        assert refusals(host) == 2  # one for the time zone

    def test_many_threads_meet_its_end_together(self, start):
        """Each hears of it, and nothing is sent any more."""
        host = start({"daily_reserve": 20}, daily_limit=100, time_zone="Asia/Tokyo")
        client = client_of(host)

        def work():
            for _ in range(101):  # one thread alone would meet it
                listing(client)

        failures = run_all(work, threads=8)

        assert len(failures) == 8
        assert {failure.policy for failure in failures} == {"DAILY"}
        assert 80 <= host.emulator.calls.count() <= 89
        assert refusals(host) == 0

    def test_nothing_is_sent_to_renew_an_access_token_either(self, start):
        """No further call for that account until then."""
        host = start({"daily_reserve": None})
        host.emulator.faults.add(Fault(status=429, policy="DAILY", times=None))
        client = client_of(host)
        for _ in range(3):
            with pytest.raises(RateLimitedError):
                listing(client)

        assert host.emulator.calls.count() == 2

    def test_other_accounts_go_on(self, start, hubspot_emulator):
        """Each has a pot of its own."""
        host = start(daily_limit=1)
        other = Account(account_id="4711", domain_id="other")
        credentials = host.tokens.load(ACCOUNT.key).credentials
        host.tokens.save(other.key, credentials, expected_revision=None)
        open_source = host.source_factory()
        first, second = (
            open_source(account, stop=threading.Event(), notify=None)._client
            for account in (ACCOUNT, other)
        )
        listing(first)
        with pytest.raises(RateLimitedError):
            listing(first)
        sent = host.emulator.calls.count()
        with pytest.raises(RateLimitedError):
            listing(second)

        assert host.emulator.calls.count() > sent

    def test_a_run_reports_it(self, start):
        """The engine ends the run, and the next one after midnight goes on."""
        host = start({"daily_reserve": 3}, daily_limit=5)
        report = host.engine().sync(ACCOUNT)

        assert isinstance(report.error, RateLimitedError)
        assert report.error.policy == "DAILY"
        assert not report.completed


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (("110", "108", "10000"), Usage(limit=110, remaining=108, seconds=10.0)),
        (("110", "200", "10000"), Usage(limit=110, remaining=110, seconds=10.0)),
        (("0", "0", "10000"), None),
        (("-1", "0", "10000"), None),
        (("many", "few", "long"), None),
        (("110", "108", "0"), None),
        (("110", "108", "86400000"), None),
        (("9" * 40, "1", "10000"), None),
        (("\u0663", "1", "10000"), None),
    ],
)
def test_headers_are_read_with_care(headers, expected):
    """A proxy may have written them."""
    names = ("Max", "Remaining", "Interval-Milliseconds")
    given = {
        f"X-HubSpot-RateLimit-{name}": value for name, value in zip(names, headers, strict=True)
    }

    assert burst_usage(given) == expected
    assert burst_usage({}) is None


def test_daily_headers_are_read_with_care():
    """OAuth apps get none."""
    given = {"X-HubSpot-RateLimit-Daily": "250000", "X-HubSpot-RateLimit-Daily-Remaining": "17"}

    assert daily_usage(given) == (250_000, 17)
    assert daily_usage({**given, "X-HubSpot-RateLimit-Daily-Remaining": ""}) is None
    assert daily_usage({}) is None
