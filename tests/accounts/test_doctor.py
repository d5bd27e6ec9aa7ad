"""What a set-up rests on is looked at, and what is wrong is told with what to do."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from hubspot_sync import (
    CredentialKeys,
    HubSpotSettings,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    StoreUnavailableError,
    StreamSettings,
    SyncEngine,
    UnknownAccountError,
)
from hubspot_sync.models import StreamStarted
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import Fault, ManualClock
from kit.support import Crash

ID = "62515"
STREAMS = (StreamSettings("companies"), StreamSettings("contacts"), StreamSettings("owners"))


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    return hubspot_emulator(clock=clock, contacts=10, companies=2)


@pytest.fixture
def domain_of(emulator, clock):
    """Makes domains, each of an engine of its own."""
    engines = []

    def make(stores=None, **parts):
        engine = SyncEngine(
            stores or MemoryStores(clock=clock),
            hubspot=HubSpotSettings(base_url=emulator.base_url, max_tries=1),
            clock=clock,
            **parts,
        )
        engines.append(engine)
        return engine.domain("acme")

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def acme(domain_of, emulator):
    domain = domain_of()
    domain.connect(StaticAccessToken(emulator.access_token), account_id=ID, streams=STREAMS)
    return domain


class Away:
    """A part that is away whatever it is asked."""

    def __init__(self, part):
        self._part = part

    def __getattr__(self, name):
        if not callable(getattr(self._part, name)):
            return getattr(self._part, name)

        def away(*_, **__):
            raise StoreUnavailableError("the database is away")

        return away


def wrong(diagnosis):
    """What is wrong, by what it is."""
    assert diagnosis.ok is not any(not one.ok for one in diagnosis.findings)
    assert all(one.remedy for one in diagnosis.findings if not one.ok)
    return {one.what: one for one in diagnosis.findings if not one.ok}


def test_all_is_well(acme, emulator):
    """Each part is named, and nothing is changed."""
    before = acme.account(ID)

    diagnosis = acme.doctor(ID)

    assert wrong(diagnosis) == {}
    assert [one.what for one in diagnosis.findings] == [
        "versions",
        "account store",
        "checkpoints",
        "error queue",
        "credentials",
        "clock",
        "stream companies",
        "stream contacts",
        "stream owners",
        "quota",
    ]
    assert "ok: stream contacts: can be read; " in str(diagnosis)
    assert "10 records" in str(diagnosis)
    assert json.loads(json.dumps(diagnosis.as_dict()))["ok"] is True
    assert repr(diagnosis) == "<Diagnosis acme/62515: 10 right>"
    assert acme.account(ID) == before
    assert acme.sync(ID).completed


def test_an_account_that_nobody_added(domain_of):
    """Nothing is looked at."""
    with pytest.raises(UnknownAccountError):
        domain_of().doctor("1")


@pytest.mark.parametrize("act", ["pause", "disable"])
def test_an_account_that_is_not_active(acme, act):
    getattr(acme, act)(ID)

    assert "Domain.resume" in wrong(acme.doctor(ID))["account store"].said


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ("accounts", ["account store"]),
        ("checkpointer", ["checkpoints"]),
        ("error_queue", ["error queue"]),
        ("tokens", ["credentials"]),
    ],
)
def test_a_store_that_is_away(domain_of, clock, emulator, part, what):
    """It is told at once, and the others are looked at all the same."""
    stores = MemoryStores(clock=clock)
    domain = domain_of(stores)
    domain.connect(StaticAccessToken(emulator.access_token), account_id=ID, streams=STREAMS)
    given = {part: Away(getattr(stores, part))}

    found = wrong(domain_of(stores, **given).doctor(ID))

    assert list(found) == what
    assert "database" in found[what[0]].remedy


def test_credentials_that_are_not_accepted(acme, emulator):
    emulator.faults.add(Fault(route="account", status=401, times=9))

    found = wrong(acme.doctor(ID))

    assert list(found) == ["credentials"]
    assert "Domain.authorization_url" in found["credentials"].remedy


def test_a_scope_that_is_missing(acme, emulator):
    """Concerns its stream alone."""
    emulator.withhold_scopes("crm.objects.contacts.read")

    found = wrong(acme.doctor(ID))

    assert list(found) == ["stream contacts"]
    assert "grant what is missing" in found["stream contacts"].remedy


def test_a_property_that_does_not_exist(acme):
    acme.configure(ID, streams=[StreamSettings("contacts", properties=("no_such",))])

    found = wrong(acme.doctor(ID))

    assert "no_such" in found["stream contacts"].said


@pytest.mark.parametrize("ahead", [timedelta(minutes=5), -timedelta(minutes=5)])
def test_a_clock_that_is_wrong(hubspot_emulator, emulator, clock, ahead):
    """HubSpot's is in its answers."""
    own = ManualClock(clock.now() + ahead)
    with SyncEngine(
        MemoryStores(clock=own), hubspot=HubSpotSettings(base_url=emulator.base_url), clock=own
    ) as engine:
        domain = engine.domain("acme")
        domain.connect(StaticAccessToken(emulator.access_token), account_id=ID)

        found = wrong(domain.doctor(ID))

    assert list(found) == ["clock"]
    assert ("ahead of" if ahead > timedelta(0) else "behind") in found["clock"].said
    assert "NTP" in found["clock"].remedy


def test_a_key_that_opens_nothing(domain_of, emulator, tmp_path, clock):
    """The tokens were sealed under another one."""
    app = OAuthApp(client_id=emulator.client_id, client_secret=emulator.client_secret)
    path = tmp_path / "crm.db"

    def domain(key):
        stores = SqliteStores(path, cipher=CredentialKeys(key), clock=clock)
        return domain_of(stores, oauth_app=app)

    tokens = OAuthTokens(refresh_token=emulator.refresh_token)
    domain(CredentialKeys.generate_key()).connect(tokens, account_id=ID, streams=STREAMS)

    found = wrong(domain(CredentialKeys.generate_key()).doctor(ID))

    assert list(found) == ["credentials"]
    assert "key" in found["credentials"].said


def test_hubspot_that_is_not_reached(acme, emulator):
    emulator.close()

    found = wrong(acme.doctor(ID))

    assert list(found) == ["credentials"]
    assert "proxy" in found["credentials"].remedy


def test_calls_of_the_day_that_are_nearly_used_up(acme, emulator):
    headers = {
        "X-HubSpot-RateLimit-Daily": "250000",
        "X-HubSpot-RateLimit-Daily-Remaining": "2000",
    }
    empty = {"results": []}
    emulator.faults.add(Fault(route="list", status=200, headers=headers, body=empty, times=9))

    found = wrong(acme.doctor(ID))

    assert list(found) == ["quota"]
    assert found["quota"].said == "2,000 of 250,000 calls are left today"


def test_a_worker_that_is_syncing_is_nothing_wrong(domain_of, emulator):
    """Whoever holds the lease can write."""
    seen = []

    class Looking:
        def notify(self, event):
            if isinstance(event, StreamStarted):
                seen.append(domain.doctor(ID))

    domain = domain_of(observers=[Looking()])
    domain.connect(StaticAccessToken(emulator.access_token), account_id=ID, streams=STREAMS[:1])

    assert domain.sync(ID).completed

    assert wrong(seen[0]) == {}
    assert "a worker is syncing the account" in str(seen[0])


def test_a_mistake_of_the_hosts_is_no_finding(acme, emulator, monkeypatch):
    """What is no error of the library leaves `doctor` as it is."""
    monkeypatch.setattr("hubspot_sync._engine.account.doctor._versions", _crash)

    with pytest.raises(Crash):
        acme.doctor(ID)


def _crash():
    raise Crash
