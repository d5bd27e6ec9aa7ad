"""Nothing that HubSpot answers is trusted without a bound, and each loop over its pages ends."""

from __future__ import annotations

import threading

import pytest

from hubspot_sync import (
    Account,
    HubSpotUnavailableError,
    StreamSettings,
    StreamStatus,
    SyncSettings,
)
from hubspot_sync._clock import StopRequested
from hubspot_sync._hubspot.calls.answers import Pager
from hubspot_sync.testing import ManualClock
from hubspot_sync.testing.emulator import Hostility
from kit.support import Host

CONTACTS = Account(
    account_id="62515",
    domain_id="acme",
    streams=(StreamSettings(object_type="contacts", associations=("companies",)),),
)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def start(hubspot_emulator, clock):
    """Starts an emulator and a host on it."""

    def host(hubspot=None, **emulator):
        settings = {"contacts": 250, "companies": 20, **emulator}
        return Host(hubspot_emulator(clock=clock, **settings), clock, **(hubspot or {}))

    return host


def sync(host, account=CONTACTS, settings=None, **arguments):
    host.clock.advance(60)
    settings = settings or SyncSettings(batch_size=100, reconcile_every=None)
    return host.engine(settings=settings).sync(account, **arguments)


class TestThePager:
    """The one thing that every loop over pages goes through."""

    @pytest.fixture
    def pager(self):
        return Pager("testing", threading.Event())

    @pytest.mark.parametrize("lead", [0, 1, 5, 40])
    @pytest.mark.parametrize("circle", [1, 2, 3, 17])
    def test_a_circle_is_found(self, pager, lead, circle):
        """However long it is, and whatever leads to it."""
        places = [*range(lead), *(lead + step % circle for step in range(1_000))]
        followed = []

        with pytest.raises(HubSpotUnavailableError, match="repeated a paging value while testing"):
            followed.extend(pager.follow(f"page {place}", new=True) for place in places)

        assert len(set(followed)) <= lead + circle

    def test_a_long_walk_goes_on(self, pager):
        """A page for each hundred of ten million records."""
        for number in range(100_000):
            assert pager.follow(str(number), new=True) == str(number)

    def test_pages_without_anything_new_end_it(self, pager):
        """Now and then one is usual."""
        for number in range(1_000):
            pager.follow(str(number), new=number % 50 == 0)

        with pytest.raises(HubSpotUnavailableError, match="brought nothing new while testing"):
            all(pager.follow(str(number), new=False) for number in range(1_000, 1_200))

    def test_stop_ends_it(self):
        """Between two pages."""
        stop = threading.Event()
        pager = Pager("testing", stop)
        pager.follow("1", new=True)
        stop.set()

        with pytest.raises(StopRequested):
            pager.follow("2", new=True)


class TestLoops:
    """B1 and B2, in each way of reading."""

    @pytest.mark.parametrize("loop", ["same", "pair"])
    @pytest.mark.parametrize("share", ["all", "one"])
    def test_associations_in_circles(self, start, loop, share):
        """All of them are HubSpot's matter; a single record's are left out and asked for again."""
        host = start()
        companies = sorted(host.emulator.records("companies"), key=int)
        contact = min(host.emulator.records("contacts"), key=int)
        for company in companies:
            host.emulator.associate("contacts", contact, "companies", company)
        host.emulator.hostility = Hostility(
            inline_page=1,
            association_page=2,
            loop=loop,
            **(
                {"looping_edges": 1.0}
                if share == "all"
                else {"looping_edges_of": {"contacts": {contact}}}
            ),
        )

        (report,) = sync(host).streams

        assert host.emulator.calls.count("associations") < 400
        if share == "one":
            assert report.status is StreamStatus.COMPLETED
            assert report.counts.skipped == 1
            assert len({action.object_id for action in host.sink.actions}) == 249
        host.emulator.hostility = Hostility()
        assert sync(host).completed
        assert {action.object_id for action in host.sink.actions} == set(
            host.emulator.records("contacts")
        )

    @pytest.mark.parametrize(
        "lie",
        [
            {"endless_list": 1.0},
            {"endless_list_tail": True},
            {"looping_list": 1.0},
            {"looping_list": 1.0, "loop": "pair"},
            {"opaque_after": True, "looping_list": 1.0},
            {"opaque_after": True, "looping_list": 1.0, "loop": "pair"},
        ],
        ids=str,
    )
    def test_lists_without_an_end(self, start, lie):
        """What came before is stored, and the next run reads the rest."""
        host = start()
        host.emulator.hostility = Hostility(**lie)

        (report,) = sync(host).streams

        assert report.status is StreamStatus.FAILED
        assert isinstance(report.error, HubSpotUnavailableError)
        assert host.emulator.calls.count("list") < 700
        host.emulator.hostility = Hostility()
        assert sync(host).completed
        assert {action.object_id for action in host.sink.actions} == set(
            host.emulator.records("contacts")
        )

    def test_a_search_without_an_end(self, start):
        """Pages without rows that lead on prove nothing."""
        host = start()
        sync(host)
        host.emulator.touch("contacts", count=5)
        host.emulator.hostility = Hostility(endless_search=1.0)

        (report,) = sync(host).streams

        assert report.status is StreamStatus.FAILED
        assert host.emulator.calls.count("search") < 700
        host.emulator.hostility = Hostility()
        (report,) = sync(host).streams
        assert report.counts.delivered == 5


class TestLargeRecords:
    """B11: what is promised in bytes is kept in bytes."""

    def test_batches_keep_their_bound(self, start):
        """A page of 40 records of 100 kB is cut."""
        host = start(contacts=0, companies=0)
        sizes = []

        class Sink(type(host.sink)):
            def write(self, actions):
                sizes.append(sum(len(str(one.properties)) for one in actions))
                return super().write(actions)

        host.emulator.add_property("contacts", "notes")
        for _ in range(40):
            host.emulator.create("contacts", {"notes": "x" * 100_000})
        host.sink = Sink()

        report = sync(host, settings=SyncSettings(batch_bytes=500_000, reconcile_every=None))

        assert report.completed
        assert len(host.sink.actions) == 40
        assert max(sizes) < 650_000
        assert len(sizes) < 15

    def test_a_cut_between_two_pieces_loses_nothing(self, start):
        """The checkpoint moves with the last of them."""
        host = start(contacts=0, companies=0)
        host.emulator.add_property("contacts", "notes")
        for _ in range(20):
            host.emulator.create("contacts", {"notes": "x" * 100_000})
        calls = []

        class Failing(type(host.sink)):
            def write(self, actions):
                calls.append(len(actions))
                if len(calls) == 3:
                    raise RuntimeError("the plug is pulled")
                return super().write(actions)

        host.sink = Failing()
        settings = SyncSettings(batch_bytes=300_000, reconcile_every=None)

        assert not sync(host, settings=settings).completed
        stored = len(host.sink.actions)
        assert 0 < stored < 20
        assert sync(host, settings=settings).completed

        assert len(host.sink.actions) == 20
        assert len({one.action_id for one in host.sink.actions}) == 20

    def test_large_pages_are_followed_by_small_ones(self, start):
        """Eight threads hold a page each."""
        host = start(contacts=0, companies=0)
        host.emulator.add_property("contacts", "notes")
        for _ in range(150):
            host.emulator.create("contacts", {"notes": "x" * 200_000})

        report = sync(host)

        assert report.completed
        assert len(host.sink.actions) == 150
        assert host.emulator.calls.count("list") == 3  # 100, 41 and 9 rows


class TestRequestsThatAreTooLong:
    """B12: a refusal for the length leads to the other way of reading, and is remembered."""

    @pytest.fixture
    def names(self):
        return [f"a_property_with_quite_a_long_name_{number:04}" for number in range(200)]

    def test_a_url(self, start, names):
        """414 from a front end that takes less than HubSpot's."""
        host = start()
        host.emulator.add_property("contacts", *names)
        host.emulator.hostility = Hostility(url_limit=4_000)
        engine = host.engine(settings=SyncSettings(reconcile_every=None))

        assert engine.sync(CONTACTS).completed
        refused = host.emulator.lies.count("url_limit")
        engine.reconcile(CONTACTS)
        assert engine.sync(CONTACTS).completed

        assert len(host.sink.actions) == 250
        assert names[0] in host.sink.actions[0].properties
        assert host.emulator.lies.count("url_limit") == refused

    def test_the_body_of_a_search(self, start, names):
        """400, as it is for any other mistake."""
        host = start()
        host.emulator.add_property("contacts", *names)
        engine = host.engine(settings=SyncSettings(reconcile_every=None))
        engine.sync(CONTACTS)
        host.emulator.hostility = Hostility(search_body_limit=3_000)
        host.clock.advance(600)
        host.emulator.touch("contacts", count=30)
        host.clock.advance(1)

        (report,) = engine.sync(CONTACTS).streams
        refused = host.emulator.lies.count("search_body_limit")
        host.clock.advance(600)
        host.emulator.touch("contacts", count=10)
        host.clock.advance(1)
        (again,) = engine.sync(CONTACTS).streams

        assert report.counts.delivered == 30
        assert again.counts.delivered == 10
        assert names[0] in host.sink.actions[-1].properties
        assert host.emulator.lies.count("search_body_limit") == refused
