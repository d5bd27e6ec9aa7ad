"""An account is purged: nothing of it is left in any store, and of others everything."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import evolve

from hubspot_sync import (
    AccountStatus,
    ConfigurationError,
    CredentialKeys,
    HubSpotSettings,
    LeaseHeldError,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncSettings,
    UnknownAccountError,
)
from hubspot_sync.models import AccountKey, RejectedSelection, StreamKey
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.testing import Fault, ManualClock
from kit.back_ends import BACK_ENDS, OnMemory, back_end
from kit.canaries import Canaries
from kit.scripted import Forgetful

KEY = AccountKey("acme", "62515")
# The same HubSpot account of another tenant, whose name begins like the key of this one.
NEIGHBOUR = "acme:62515"
KEYS = CredentialKeys(CredentialKeys.generate_key())
EMAIL = "canary-somebody-of-acme@example.com"
OF_GLOBEX = "canary-somebody-of-globex@example.com"
STREAMS = [StreamSettings("contacts"), StreamSettings("companies")]
# What numbers are left, so that writers from before are refused and revisions go on.
LEFT = {"accounts": 1, "checkpoints": 2, "credentials": 1}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    return hubspot_emulator(contacts=40, companies=10, clock=clock)


@pytest.fixture(params=BACK_ENDS)
def on(request, clock, tmp_path):
    """A back end with an action log and a mirror."""
    return back_end(request, clock, tmp_path)


@pytest.fixture
def open_engine(on, emulator, clock):
    def engine(**parts):
        given = {
            "sink": FanOutSink([on.stores.sink, on.mirror]),
            "hubspot": HubSpotSettings(
                base_url=emulator.base_url, burst_limit=None, search_limit=None
            ),
            "settings": SyncSettings(batch_size=20, max_rejected_share=1.0),
            "observers": [],
            "clock": clock,
            **parts,
        }
        return SyncEngine(evolve(on.stores, close=lambda: None), **given)

    yield engine
    on.stores.close()


@pytest.fixture
def acme(open_engine, emulator):
    """A domain whose account was loaded; all of its companies were refused."""
    emulator.create("contacts", {"email": EMAIL})
    engine = open_engine(validators=[lambda one: "no" if one.object_type == "companies" else None])
    domain = engine.domain("acme")
    token = StaticAccessToken(access_token=emulator.access_token)
    domain.connect(token, streams=STREAMS, name="The account of somebody")
    domain.sync("62515").raise_for_failure()
    assert domain.rejected_counts("62515") == {"companies": 10}
    return domain


def without_leases(rows):
    """*rows* without those that count how often a stream was leased."""
    return rows and {name: found for name, found in rows.items() if name != "checkpoints"}


def load(domain, emulator):
    """Connect and sync the account of another tenant."""
    token = StaticAccessToken(access_token=emulator.access_token)
    domain.connect(token, streams=STREAMS)
    domain.sync("62515").raise_for_failure()


def test_nothing_is_left_of_an_account(acme, open_engine, on, emulator):
    """Of a neighbour in the same stores, whose name begins alike, everything is."""
    canaries = Canaries(email=EMAIL, name="The account of somebody")
    if not isinstance(on, OnMemory):
        assert on.scan(canaries) == {"email", "name"}
    (somebody,) = (
        one for one, held in emulator.records("contacts").items() if EMAIL in str(held.properties)
    )
    emulator.update("contacts", somebody, {"email": OF_GLOBEX})
    neighbour = open_engine().domain(NEIGHBOUR)
    load(neighbour, emulator)
    before = on.rows(NEIGHBOUR)

    report = acme.purge("62515")

    assert on.scan(canaries) == set()
    rows = on.rows("acme")
    if rows is not None:
        assert {name: len(found) for name, found in rows.items()} == LEFT
        assert before == on.rows(NEIGHBOUR)
    assert on.scan(Canaries(of_globex=OF_GLOBEX)) == (set() if rows is None else {"of_globex"})
    assert set(report.streams) == {"contacts", "companies"}
    assert (report.fingerprints, report.rejected, report.stored) == (41, 10, 82)
    assert (report.credentials, report.entry, report.unable, report.untold) == (
        True,
        True,
        (),
        None,
    )
    with pytest.raises(UnknownAccountError):
        acme.account("62515")
    assert on.stores.tokens.load(KEY) is None
    assert on.stores.error_queue.count(RejectedSelection(account=KEY)) == {}
    assert neighbour.sync("62515").counts.delivered == 0


def test_an_account_that_comes_back_is_loaded_as_a_new_one(acme, on, emulator):
    """Whatever was kept of it is forgotten, tombstones included."""
    some = list(emulator.records("contacts"))[:3]
    acme.erase("62515", "contacts", some)
    acme.purge("62515")

    acme.connect(StaticAccessToken(access_token=emulator.access_token), streams=STREAMS[:1])
    report = acme.sync("62515")

    assert report.counts.delivered == 41
    assert report.counts.repeated == 0


def test_twice(acme, on):
    """The second time there is nothing left; an account that nobody knows is the same."""
    acme.purge("62515")
    before = without_leases(on.rows("acme"))

    again, strange = acme.purge("62515"), acme.purge("4711")

    for report in (again, strange):
        assert (report.stored, report.rejected, report.fingerprints) == (0, 0, 0)
        assert (report.credentials, report.entry) == (False, False)
    assert before == without_leases(on.rows("acme"))


def test_an_account_that_was_removed_before(acme, on):
    """What it has brought is still there, and goes."""
    acme.remove("62515")

    report = acme.purge("62515")

    assert (report.stored, report.rejected, report.entry) == (82, 10, False)
    assert set(report.streams) == {"contacts", "companies"}


def test_a_stream_that_is_not_read_any_more(acme, on):
    """It goes with the others."""
    acme.configure("62515", streams=STREAMS[1:])

    report = acme.purge("62515")

    assert set(report.streams) == {"contacts", "companies"}
    assert on.stores.checkpointer.browse(StreamKey(KEY, "contacts"), limit=5) == []


def test_an_account_that_is_being_synced(acme, on, clock):
    """It is waited for; then nothing was removed, and the account goes on."""
    lease = on.stores.checkpointer.acquire(
        StreamKey(KEY, "contacts"), "worker-7", timedelta(days=1)
    )
    before = on.rows("acme")
    started = clock.now()

    with pytest.raises(LeaseHeldError, match="worker-7 is synchronising contacts, so nothing was"):
        acme.purge("62515")

    assert timedelta(seconds=10) <= clock.now() - started < timedelta(seconds=12)
    assert acme.account("62515").status is AccountStatus.ACTIVE
    assert on.stores.tokens.load(KEY) is not None
    if before is not None:
        assert before["actions"] == on.rows("acme")["actions"]
    on.stores.checkpointer.release(lease)
    assert acme.purge("62515").stored == 82


def test_a_sink_that_cannot_forget(acme, open_engine, on):
    """It is named in the report, and the rest goes."""
    engine = open_engine(sink=FanOutSink([Forgetful(), on.stores.sink]))

    report = engine.domain("acme").purge("62515")

    assert report.unable == ("Forgetful",)
    assert report.stored == 41
    assert "Forgetful cannot forget" in str(report)


def test_a_queue_with_no_more_than_its_interface(acme, open_engine, on):
    """It is emptied page by page."""

    class Plain:
        def __init__(self, inner):
            for name in ("put", "due", "browse", "held", "settle", "count"):
                setattr(self, name, getattr(inner, name))

    engine = open_engine(error_queue=Plain(on.stores.error_queue))

    report = engine.domain("acme").purge("62515")

    assert report.rejected == 10
    assert on.stores.error_queue.count(RejectedSelection(account=KEY)) == {}


class TestHubSpotIsTold:
    @pytest.fixture
    def app(self, emulator):
        return OAuthApp(
            client_id=emulator.client_id,
            client_secret=emulator.client_secret,
            redirect_uri="https://host.example/hubspot/callback",
        )

    @pytest.fixture
    def connected(self, open_engine, emulator, app):
        domain = open_engine(oauth_app=app).domain("acme")
        domain.connect(OAuthTokens(refresh_token=emulator.refresh_token), streams=STREAMS)
        return domain

    def test_the_tokens_are_revoked(self, connected, emulator):
        """As `disconnect` does."""
        report = connected.purge("62515")

        assert report.untold is None
        with pytest.raises(Exception, match="refresh token"):
            connected.connect(OAuthTokens(refresh_token=emulator.refresh_token))

    def test_hubspot_is_away(self, connected, emulator):
        """All is removed nevertheless, and the report says so."""
        emulator.faults.add(Fault(route="revoke", status=503, times=None))

        report = connected.purge("62515")

        assert report.entry
        assert "could not be told" in report.untold
        assert "could not be told" in str(report)

    def test_it_is_not_told_where_that_is_not_wanted(self, connected, emulator):
        """Another domain may use the same refresh token."""
        connected.purge("62515", revoke=False)

        connected.connect(OAuthTokens(refresh_token=emulator.refresh_token))


def test_arguments(acme):
    """They are looked at before anything is touched."""
    for wrong in ({"account_id": "x"}, {"account_id": "62515", "revoke": "no"}):
        with pytest.raises(ConfigurationError):
            acme.purge(**wrong)

    assert acme.account("62515").status is AccountStatus.ACTIVE


def test_the_report(acme):
    """Values that JSON knows, and one line without personal data."""
    report = acme.purge("62515")

    assert report.as_dict() == {
        "domain_id": "acme",
        "account_id": "62515",
        "streams": ["companies", "contacts"],
        "fingerprints": 41,
        "rejected": 10,
        "stored": 82,
        "credentials": True,
        "entry": True,
        "unable": [],
        "untold": None,
    }
    assert str(report) == (
        "acme/62515: 82 actions or records and 10 refused actions removed, 2 streams with what was "
        "known of 41 objects, credentials, entry"
    )
