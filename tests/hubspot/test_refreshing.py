"""One refresh per expiry, whoever wants it, and no tokens lost whoever dies."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import (
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotUnavailableError,
    OAuthApp,
    OAuthAppError,
    OAuthTokens,
    StoreUnavailableError,
    WrongAccountError,
)
from hubspot_sync._clock import StopRequested, SystemClock
from hubspot_sync.testing import Fault, HubSpotEmulator, ManualClock
from kit.support import ACCOUNT, Host

LIFETIME = timedelta(minutes=30)


class BusyClock(ManualClock):
    """A clock during whose sleeps something happens elsewhere."""

    def __init__(self):
        super().__init__()
        self.meanwhile = lambda: None

    def sleep(self, seconds, stop=None):
        super().sleep(seconds, stop)
        self.meanwhile()


@pytest.fixture
def clock():
    return BusyClock()


@pytest.fixture
def emulator(clock):
    with HubSpotEmulator(contacts=1, clock=clock, access_token_lifetime=LIFETIME) as emulator:
        yield emulator


@pytest.fixture
def host(emulator, clock):
    return host_on(emulator, clock)


@pytest.fixture
def real():
    """A host of which several workers wait for each other in real time."""
    with HubSpotEmulator(contacts=1) as emulator:
        emulator.faults.add(Fault(route="oauth", kind="delay", delay=0.3, times=None))
        yield host_on(emulator, SystemClock())


def host_on(emulator, clock):
    host = Host(emulator, clock)
    host.oauth_app = OAuthApp(client_id=emulator.client_id, client_secret=emulator.client_secret)
    keep(host, OAuthTokens(refresh_token=emulator.refresh_token))
    return host


def kept(host):
    return host.tokens.load(ACCOUNT.key).credentials


def keep(host, tokens):
    revision = host.tokens.load(ACCOUNT.key).revision
    host.tokens.save(ACCOUNT.key, tokens, expected_revision=revision)


def refreshes(emulator):
    return emulator.calls.count("oauth")


def refreshed(host):
    """Tokens that the endpoint issued just now, beside all that is stored."""
    host.source().identify()
    return kept(host)


class TestOneForAll:
    """Who refreshes, and what the others do meanwhile."""

    def test_workers_that_begin_together_refresh_once(self, real):
        """Each has its own connections and reads the store itself; one refreshes, all use it."""
        sources = [real.source() for _ in range(8)]

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda source: source.identify().account_id, sources))

        assert ["62515"] * 8 == found
        assert refreshes(real.emulator) == 1

    def test_the_old_one_serves_while_another_worker_refreshes(self, host, emulator, clock):
        """Nobody waits for what is not needed yet."""
        tokens = refreshed(host)
        source = host.source()
        clock.advance(LIFETIME - timedelta(seconds=50))
        keep(host, evolve(tokens, refreshing_until=clock.now() + timedelta(seconds=30)))

        assert source.identify().account_id == "62515"
        assert refreshes(emulator) == 1
        assert not clock.waits

    def test_without_one_that_lasts_it_waits_for_the_other_worker(self, host, emulator, clock):
        """And takes what that one stored."""
        tokens = refreshed(host)
        emulator.faults.clear()
        claimed = evolve(
            tokens, access_token=None, refreshing_until=clock.now() + timedelta(seconds=30)
        )
        keep(host, claimed)
        looks = iter(range(5))
        clock.meanwhile = lambda: keep(host, tokens) if next(looks, 0) == 3 else None

        assert host.source().identify().account_id == "62515"
        assert refreshes(emulator) == 1
        assert len(clock.waits) == 4

    def test_who_dies_loses_the_claim(self, host, emulator, clock):
        """After its time, and not before; with nothing lost."""
        until = clock.now() + timedelta(seconds=30)
        keep(host, evolve(kept(host), refreshing_until=until))

        assert host.source().identify().account_id == "62515"
        assert refreshes(emulator) == 1
        assert timedelta() <= clock.now() - until < timedelta(seconds=2)
        assert kept(host).refreshing_until is None

    def test_a_claim_that_ends_in_years_is_none(self, host, emulator, clock):
        """No claim lasts that long, so nobody waits for it."""
        keep(host, evolve(kept(host), refreshing_until=clock.now() + timedelta(days=3653)))

        assert host.source().identify().account_id == "62515"
        assert not clock.waits
        assert kept(host).refreshing_until is None

    def test_an_access_token_of_a_clock_that_was_ahead_is_refreshed(self, host, emulator, clock):
        """Its end is that clock's, so it has long ended when that comes."""
        tokens = refreshed(host)
        years = timedelta(days=3653)
        ahead = {"issued_at": tokens.issued_at + years, "expires_at": tokens.expires_at + years}
        keep(host, evolve(tokens, **ahead))

        source = host.source()
        for _ in range(3):
            assert source.identify().account_id == "62515"

        assert refreshes(emulator) == 2
        assert kept(host).issued_at == clock.now()

    def test_a_clock_that_goes_wrong_elsewhere_blocks_nobody_for_long(self, host, emulator, clock):
        """A claim that ends next year is waited for no longer than any other."""
        began = clock.now()
        keep(host, evolve(kept(host), refreshing_until=began + timedelta(days=365)))

        assert host.source().identify().account_id == "62515"
        assert clock.now() - began < timedelta(seconds=35)

    def test_the_wait_ends_when_the_run_is_stopped(self, host, clock):
        """At once."""
        keep(host, evolve(kept(host), refreshing_until=clock.now() + timedelta(seconds=30)))
        stop = threading.Event()
        source = host.source_factory()(ACCOUNT, stop=stop, notify=host.recorder.notify)
        clock.meanwhile = stop.set

        with pytest.raises(StopRequested):
            source.identify()

        assert len(clock.waits) == 1

    def test_a_rejected_one_is_renewed_once_for_all(self, real):
        """Workers that meet a 401 together do not each ask for a new one."""
        refreshed(real)
        sources = [real.source() for _ in range(8)]
        real.emulator.expire_access_tokens()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda source: source.identify(), sources))

        assert refreshes(real.emulator) == 2

    def test_threads_of_one_run_refresh_once(self, real):
        """They share one set of connections and one claim."""
        source = real.source()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: source.identify(), range(16)))

        assert refreshes(real.emulator) == 1

    def test_what_is_fresh_is_not_refreshed_by_who_comes_later(self, host, emulator, clock):
        """However short its life: what counts is a share of it."""
        tokens = refreshed(host)
        now = clock.now()
        keep(host, evolve(tokens, issued_at=now, expires_at=now + timedelta(seconds=3)))

        host.source().identify()
        clock.advance(1.5)
        host.source().identify()
        assert refreshes(emulator) == 1

        clock.advance(1.3)
        host.source().identify()
        assert refreshes(emulator) == 2

    def test_workers_refresh_at_different_times(self, host, emulator, clock):
        """From two minutes to one before the end, by chance."""
        ahead = []
        for _ in range(20):
            tokens = refreshed(host)
            source = host.source()
            source.identify()
            before = refreshes(emulator)
            clock.advance(tokens.expires_at - clock.now() - timedelta(seconds=125))
            while refreshes(emulator) == before:
                clock.advance(1)
                source.identify()
            ahead.append((tokens.expires_at - clock.now()).total_seconds())
            clock.advance(1_000)

        assert 59 <= min(ahead) <= max(ahead) <= 121
        assert len({round(seconds) for seconds in ahead}) > 10


class TestNothingIsLost:
    """What HubSpot issued is kept, whatever happens beside it."""

    def answer(self, **content):
        body = {"access_token": "new", "expires_in": 1800, "hub_id": 62515, **content}
        return Fault(route="oauth", status=200, body=body)

    def test_another_refresh_token_counts_from_then_on(self, host, emulator):
        """HubSpot may change it with each refresh."""
        emulator.faults.add(self.answer(refresh_token="changed"))
        emulator.faults.add(Fault(route="account", status=503, times=None))

        with pytest.raises((HubSpotUnavailableError, AuthorizationRevokedError)):
            host.source().identify()

        assert kept(host).refresh_token == "changed"
        assert kept(host).access_token == "new"

    def test_who_connects_again_meanwhile_is_not_overwritten(self, host, emulator, clock):
        """The new tokens count, and are used at once."""
        emulator.faults.add(Fault(route="oauth", status=503))
        renewed = OAuthTokens(
            refresh_token="of the new consent",
            access_token=emulator.access_token,
            expires_at=clock.now() + LIFETIME,
        )
        clock.meanwhile = lambda: keep(host, renewed)

        assert host.source().identify().account_id == "62515"
        assert kept(host) == renewed

    def test_who_connects_again_may_leave_the_access_token_to_be_refreshed(self, host, emulator):
        """With the new refresh token, before anything is sent."""
        emulator.faults.add(Fault(route="oauth", status=503))
        renewed = OAuthTokens(refresh_token=emulator.refresh_token)
        used_up = OAuthTokens(refresh_token="of the old consent")
        keep(host, used_up)
        host.clock.meanwhile = lambda: keep(host, renewed)
        emulator.faults.add(
            Fault(route="oauth", status=200, body={"access_token": "no longer wanted"})
        )

        assert host.source().identify().account_id == "62515"
        assert [call.status for call in emulator.calls] == [503, 200, 200, 200]
        assert kept(host).refresh_token == emulator.refresh_token

    def test_a_refresh_token_that_another_worker_used_up_is_no_revocation(
        self, host, emulator, clock
    ):
        """The one that it got is taken, although the claim was lost to it."""
        emulator.faults.add(
            Fault(route="oauth", status=503),
            Fault(route="oauth", status=400, body={"status": "BAD_REFRESH_TOKEN"}),
        )
        renewed = OAuthTokens(
            refresh_token="rotated",
            access_token=emulator.access_token,
            expires_at=clock.now() + LIFETIME,
        )
        clock.meanwhile = lambda: keep(host, renewed)

        assert host.source().identify().account_id == "62515"
        assert kept(host) == renewed

    @pytest.mark.parametrize(
        ("status", "reason", "kind"),
        [
            (400, "BAD_REFRESH_TOKEN", AuthorizationRevokedError),
            (400, "BAD_HUB", AuthorizationRevokedError),
            (400, "BAD_CLIENT_ID", OAuthAppError),
            (400, "BAD_CLIENT_SECRET", OAuthAppError),
            (400, "BAD_REDIRECT_URI", ConfigurationError),
            (401, None, ConfigurationError),
        ],
    )
    def test_a_refusal_leaves_the_tokens_as_they_were(self, host, emulator, status, reason, kind):
        """And free for the next who tries."""
        before = kept(host)
        body = {"status": reason, "message": "no"}
        emulator.faults.add(Fault(route="oauth", status=status, body=body))

        with pytest.raises(kind) as caught:
            host.source().identify()

        assert type(caught.value) is kind
        assert kept(host) == before
        assert host.source().identify().account_id == "62515"

    def test_an_account_that_is_moved_is_left_alone_for_as_long_as_hubspot_says(
        self, host, emulator, clock
    ):
        """477 with hours to wait ends the run at once, and is no refusal."""
        emulator.faults.add(
            Fault(route="oauth", status=477, headers={"Retry-After": "7200"}, times=None)
        )

        with pytest.raises(HubSpotUnavailableError) as caught:
            host.source().identify()

        assert caught.value.retry_after == timedelta(hours=2)
        assert not clock.waits
        assert kept(host).refreshing_until is None

    def test_an_outage_of_the_token_endpoint_is_waited_out_once(self, host, emulator):
        """Not once more for each try of the call that needs it."""
        emulator.faults.add(Fault(route="oauth", status=503, times=None))

        with pytest.raises(HubSpotUnavailableError):
            host.source().identify()

        assert refreshes(emulator) == host.hubspot.max_tries

    def test_tokens_of_another_account_are_refused(self, host, emulator):
        """Before any call is made with them, and nothing is stored."""
        before = kept(host)
        emulator.faults.add(self.answer(hub_id=7))

        with pytest.raises(WrongAccountError, match="open HubSpot account 7, not 62515"):
            host.source().identify()

        assert kept(host) == before
        assert emulator.calls.count("account") == 0

    def test_tokens_that_were_removed_end_the_run(self, host, emulator, clock):
        """Whoever disconnected the account meant it."""
        source = host.source()
        source.identify()
        host.tokens.delete(ACCOUNT.key)
        clock.advance(LIFETIME)

        with pytest.raises(ConfigurationError, match="were removed"):
            source.identify()


class Outage:
    """A token store that does not take new tokens, or takes nothing at all, while it is away."""

    def __init__(self, host):
        self.tokens = host.tokens
        self.refused = []
        self.away = self.silent = False
        self.save, self.load = host.tokens.save, host.tokens.load
        host.tokens.save, host.tokens.load = self._save, self._load

    def _save(self, account, credentials, **rest):
        claims = getattr(credentials, "refreshing_until", None) is not None
        if self.silent or (self.away and not claims):
            self.refused.append(credentials.access_token)
            raise StoreUnavailableError("the disk is full")
        return self.save(account, credentials, **rest)

    def _load(self, account):
        if self.silent:
            raise StoreUnavailableError("the disk is full")
        return self.load(account)


class TestTheStoreIsAway:
    """The only refresh token that is good is in the memory of one process, and must not be lost."""

    @pytest.fixture
    def emulator(self, clock):
        with HubSpotEmulator(
            contacts=1,
            clock=clock,
            access_token_lifetime=LIFETIME,
            rotate_refresh_tokens=True,
        ) as emulator:
            yield emulator

    @pytest.fixture
    def factory(self, host):
        return host.source_factory()

    @pytest.fixture
    def open_source(self, host, factory):
        def opened(stop=None):
            return factory(ACCOUNT, stop=stop or threading.Event(), notify=host.recorder.notify)

        return opened

    @pytest.fixture
    def outage(self, host):
        return Outage(host)

    def test_saving_is_tried_patiently(self, host, emulator, clock, outage, open_source):
        """With short waits, so that no other worker is there first."""
        outage.away = True
        clock.meanwhile = lambda: setattr(outage, "away", len(clock.waits) < 8)

        open_source().identify()

        assert outage.refused == [kept(host).access_token] * 8
        assert max(clock.waits) <= 5
        assert kept(host).refresh_token == emulator.refresh_token

    def test_a_run_goes_on_with_what_it_refreshed(self, host, emulator, clock, outage, open_source):
        """Without another try before it is refreshed again, or the run ends."""
        source = open_source()
        outage.away = True
        source.identify()
        waited, tried = len(clock.waits), len(outage.refused)

        for _ in range(4):
            clock.advance(3)
            source.identify()
        assert (len(clock.waits), len(outage.refused)) == (waited, tried)
        outage.away = False
        clock.advance(LIFETIME)
        source.identify()

        assert len(clock.waits) == waited
        assert kept(host).refresh_token == emulator.refresh_token
        assert refreshes(emulator) == 2
        assert {call.status for call in emulator.calls} == {200}

    def test_the_end_of_a_run_saves_it(self, host, emulator, clock, outage, open_source):
        """As patiently as at first."""
        source = open_source()
        outage.away = True
        source.identify()
        ended = len(clock.waits)
        clock.meanwhile = lambda: setattr(outage, "away", len(clock.waits) < ended + 5)
        source.close()

        assert kept(host).refresh_token == emulator.refresh_token

    def test_a_run_that_ends_before_it_is_saved_says_so(
        self, emulator, outage, open_source, caplog
    ):
        """The log says what is at stake, and no secret."""
        source = open_source()
        outage.away = True
        source.identify()
        source.close()

        assert "the token store did not take the new one" in caplog.records[-1].message
        assert "connect the account again" in caplog.records[-1].message
        assert caplog.records[-1].levelname == "ERROR"
        assert emulator.refresh_token not in caplog.text

    def test_stopping_ends_the_wait(self, clock, outage, open_source, caplog):
        """The run ends at once, after one more try."""
        stop = threading.Event()
        source = open_source(stop)
        outage.away = True
        clock.meanwhile = stop.set

        with pytest.raises(StopRequested):
            source.identify()
        source.close()

        assert len(clock.waits) == 1
        assert len(outage.refused) == 3
        assert "stopped while the token store was away" in caplog.records[-1].message

    def test_when_even_that_access_token_ends_the_run_does(
        self, host, emulator, clock, outage, open_source
    ):
        """Nothing more is issued; the error says what to do, and no secret."""
        source = open_source()
        outage.away = True
        source.identify()
        clock.advance(LIFETIME)

        with pytest.raises(StoreUnavailableError) as caught:
            source.identify()

        message = str(caught.value)
        assert "HubSpot changed the account's refresh token" in message
        assert "connect the account again" in message
        assert "the disk is full" in message
        assert emulator.refresh_token not in message
        assert caught.value.account == str(ACCOUNT.key)
        assert refreshes(emulator) == 1

    def test_a_refresh_token_that_stays_is_at_no_risk(
        self, host, emulator, clock, outage, open_source, caplog
    ):
        """So nobody is alarmed."""
        emulator.rotate_refresh_tokens = False
        source = open_source()
        outage.away = True
        source.identify()
        source.close()

        assert caplog.records[-1].levelname == "WARNING"
        assert "the token store did not take a new access token" in caplog.records[-1].message

    def test_the_old_access_token_serves_as_long_as_it_lasts(
        self, host, emulator, clock, outage, open_source
    ):
        """Where nothing can be refreshed because the claim cannot be written."""
        refreshed(host)
        source = open_source()
        outage.silent = True
        clock.advance(LIFETIME - timedelta(seconds=50))
        source.identify()
        clock.advance(30)
        source.identify()
        assert refreshes(emulator) == 1
        clock.advance(20)

        with pytest.raises(StoreUnavailableError, match="the disk is full"):
            source.identify()

    def test_tokens_that_are_removed_meanwhile_stay_removed(
        self, host, emulator, clock, outage, open_source
    ):
        """Who disconnects the account means it."""
        source = open_source()
        outage.away = True
        source.identify()
        outage.away = False
        host.tokens.delete(ACCOUNT.key)
        clock.advance(LIFETIME)

        with pytest.raises(ConfigurationError, match="were removed"):
            source.identify()
        source.close()

        assert host.tokens.load(ACCOUNT.key) is None

    def test_who_connects_again_meanwhile_counts(self, host, emulator, clock, outage, open_source):
        """What was issued before is forgotten."""
        source = open_source()
        outage.away = True
        source.identify()
        outage.away = False
        renewed = OAuthTokens(
            refresh_token="of the new consent",
            access_token=emulator.access_token,
            expires_at=clock.now() + LIFETIME,
        )
        keep(host, renewed)
        clock.advance(5)
        source.identify()
        source.close()

        assert kept(host) == renewed

    def test_another_worker_waits_for_who_refreshes(
        self, host, emulator, clock, outage, open_source
    ):
        """A claim that ran out in an outage may have refreshed, so a refusal waits some seconds."""
        first = open_source()
        outage.away = True
        first.identify()
        outage.away = False
        clock.advance(30)
        clock.meanwhile = first.close

        assert host.source().identify().account_id == "62515"
        assert kept(host).refresh_token == emulator.refresh_token
        assert [call.status for call in emulator.calls if call.route == "oauth"] == [200, 400]

    def test_a_worker_that_died_is_not_waited_for_for_long(self, host, emulator, clock):
        """The refusal counts some seconds later."""
        keep(host, OAuthTokens(refresh_token="used up", refreshing_until=clock.now() - LIFETIME))

        with pytest.raises(AuthorizationRevokedError):
            host.source().identify()

        assert sum(clock.waits) == 10
