"""Domains: one tenant's accounts, what they are told, and that tenants do not meet."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError

from hubspot_sync import (
    Account,
    AccountKey,
    AccountStatus,
    ConfigurationError,
    NotConnectedError,
    StaticAccessToken,
    StoreUnavailableError,
    StreamSettings,
    StreamStatus,
    SyncSettings,
    UnknownAccountError,
)
from hubspot_sync._clock import SystemClock
from hubspot_sync.models import BookkeepingFailed, Retried
from hubspot_sync.stores.memory import MemoryAccountStore, MemoryErrorQueue
from kit.fleets import EndlessSource
from kit.support import ACCOUNT, Host

CONTACTS_ONLY = (StreamSettings(object_type="contacts"),)
HOUR = timedelta(hours=1)


@pytest.fixture
def host(hubspot_emulator):
    return Host(hubspot_emulator(contacts=30, companies=10))


@pytest.fixture
def store():
    return MemoryAccountStore()


@pytest.fixture
def engine(host, store):
    return host.engine(accounts=store, error_queue=MemoryErrorQueue())


@pytest.fixture
def acme(engine):
    domain = engine.domain("acme")
    domain.add("62515", name="acme.com")
    return domain


def test_an_account_is_added_and_due_at_once(acme, host):
    """With the defaults of `Account`."""
    entry = acme.account("62515")

    assert entry.account == ACCOUNT
    assert (entry.status, entry.name, entry.failed_runs) == (AccountStatus.ACTIVE, "acme.com", 0)
    assert entry.status_since == entry.next_sync_at == host.clock.now()
    assert list(acme.accounts()) == [entry]


def test_an_account_is_not_added_twice(acme):
    """What it was told is not overwritten by accident."""
    with pytest.raises(ConfigurationError, match="has account 62515 already"):
        acme.add("62515", streams=CONTACTS_ONLY)

    assert acme.account("62515").account == ACCOUNT


def test_a_sync_is_written_down(acme, host):
    """The entry says how each stream went and when the account is due again."""
    started = host.clock.now()

    report = acme.sync("62515")

    assert report.completed
    entry = acme.account("62515")
    assert entry.last_sync.completed
    assert entry.next_sync_at == started + entry.account.sync_every
    assert {name: one.counts.delivered for name, one in entry.streams.items()} == {
        "companies": 10,
        "contacts": 30,
    }


def test_a_sync_without_a_domain_is_written_down_too(engine, acme):
    """`engine.sync` keeps an entry up to date where there is one."""
    engine.sync(ACCOUNT)

    assert acme.account("62515").last_sync.completed


def test_a_sync_of_an_account_without_an_entry_leaves_none(engine, store):
    """Hosts may keep their own list of accounts."""
    assert engine.sync(ACCOUNT).completed

    assert store.load(ACCOUNT.key) is None


def test_an_account_that_hubspot_shuts_out_waits_for_its_owner(acme, host, engine):
    """It is shown with the reason, and a sync that HubSpot lets in again makes it active."""
    engine.store_credentials(ACCOUNT, StaticAccessToken(access_token="pat-na1-revoked"))

    report = acme.sync("62515")

    entry = acme.account("62515")
    assert entry.status is AccountStatus.NEEDS_REAUTHORIZATION
    assert entry.reason == str(report.error)
    assert [one.key for one in acme.accounts(AccountStatus.NEEDS_REAUTHORIZATION)] == [entry.key]
    assert list(acme.accounts(AccountStatus.ACTIVE)) == []
    engine.store_credentials(ACCOUNT, StaticAccessToken(access_token=host.emulator.access_token))
    assert acme.sync("62515").completed
    assert acme.account("62515").status is AccountStatus.ACTIVE


def test_a_paused_account_is_synced_when_it_is_asked_for(acme):
    """It stays paused, and is never due."""
    paused = acme.pause("62515", reason="trial over")

    assert acme.sync("62515").completed
    entry = acme.account("62515")
    assert (entry.status, entry.reason) == (AccountStatus.PAUSED, "trial over")
    assert entry.next_sync_at is paused.next_sync_at is None


def test_an_account_is_postponed_until_its_next_sync(acme, host):
    """An active one; others are never due anyway."""
    assert acme.postpone("62515", HOUR).next_sync_at == host.clock.now() + HOUR

    assert acme.sync("62515").completed
    assert acme.account("62515").next_sync_at == host.clock.now() + ACCOUNT.sync_every
    acme.pause("62515")
    assert acme.postpone("62515", HOUR).next_sync_at is None


def test_a_sync_that_may_take_so_long_goes_on_in_the_next_one(acme, host):
    """Nothing is read twice, and it is due at once."""
    ended = threading.Event()
    source = EndlessSource(ACCOUNT, ended, host.clock, most=400)
    engine = host.engine(
        accounts=MemoryAccountStore(),
        open_source=lambda account, **parts: source,
        settings=SyncSettings(batch_size=1),
        clock=SystemClock(),
    )
    domain = engine.domain("acme")
    domain.add("62515", streams=CONTACTS_ONLY)

    first = domain.sync("62515", time_limit=timedelta(milliseconds=100))
    entry = domain.account("62515")
    second = domain.sync("62515", time_limit=HOUR)

    assert [one.status for one in first.streams] == [StreamStatus.STOPPED]
    assert entry.next_sync_at == entry.last_sync.finished_at
    assert second.completed
    assert 0 < first.counts.read < 400
    assert first.counts.read + second.counts.read == 400


def test_a_disabled_account_is_not_synced(acme, host):
    """Not even when it is asked for; it says why, and what to do."""
    acme.disable("62515", reason="contract ended")

    with pytest.raises(ConfigurationError, match=r"disabled \(contract ended\); call resume"):
        acme.sync("62515")

    assert host.sink.actions == ()
    resumed = acme.resume("62515")
    assert resumed.reason is None
    assert resumed.next_sync_at == host.clock.now()
    assert acme.sync("62515").completed


def test_saying_the_same_again_keeps_the_time(acme, host):
    """A status is as old as it is; its reason may be put in other words."""
    first = acme.pause("62515")
    host.clock.advance(HOUR)

    again = acme.pause("62515", reason="trial over")

    assert again.status_since == first.status_since
    assert again.reason == "trial over"
    assert acme.pause("62515", reason="trial over").revision == again.revision


def test_other_streams_are_read_soon(acme, host):
    """What is not given stays."""
    acme.sync("62515")
    host.clock.advance(1)

    entry = acme.configure("62515", streams=CONTACTS_ONLY)

    assert entry.account == evolve(ACCOUNT, streams=CONTACTS_ONLY)
    assert entry.name == "acme.com"
    assert entry.next_sync_at == host.clock.now()
    assert [one.stream.object_type for one in acme.sync("62515").streams] == ["contacts"]
    assert set(acme.account("62515").streams) == {"contacts"}


def test_another_rhythm_counts_from_the_last_sync(acme, host):
    """And never lies in the past."""
    acme.sync("62515")
    started = acme.account("62515").last_sync.started_at
    host.clock.advance(60)

    assert acme.configure("62515", sync_every=HOUR).next_sync_at == started + HOUR
    entry = acme.configure("62515", sync_every=timedelta(seconds=1), name="ACME")
    assert entry.next_sync_at == host.clock.now()
    assert entry.name == "ACME"


def test_a_paused_account_is_configured_without_becoming_due(acme):
    """It stays as it is until it is resumed."""
    acme.pause("62515")

    assert acme.configure("62515", streams=CONTACTS_ONLY, sync_every=HOUR).next_sync_at is None


def test_refused_actions_are_seen_and_tried_again(host, store):
    """Those of this account, all or some."""
    refused = []
    engine = host.engine(
        accounts=store,
        error_queue=MemoryErrorQueue(),
        validators=[lambda action: "not now" if not refused else None],
    )
    acme = engine.domain("acme")
    acme.add("62515", streams=CONTACTS_ONLY)
    acme.sync("62515")

    failures = list(acme.rejected_actions("62515"))

    assert len(failures) == 30
    assert acme.rejected_counts("62515") == {"contacts": 30}
    assert list(acme.rejected_actions("62515", reason="another")) == []
    assert list(acme.rejected_actions("62515", object_type="companies")) == []
    assert list(acme.rejected_actions("62515", parked=True)) == []
    some = [failure.action.object_id for failure in failures[:2]]
    assert [one.action.object_id for one in acme.rejected_actions("62515", object_ids=some)] == some
    refused.append("no more")
    assert acme.redrive("62515").counts.delivered == 30
    assert acme.rejected_counts("62515") == {}


class AwayQueue(MemoryErrorQueue):
    """Cannot be reached for the next *failures* calls."""

    failures = 0

    def _away(self):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the database is away")

    def browse(self, *args, **kwargs):
        self._away()
        return super().browse(*args, **kwargs)

    def count(self, selection):
        self._away()
        return super().count(selection)


def test_an_error_queue_that_is_away_is_waited_for_by_those_who_look_into_it(host, store):
    """Like every other store, and observers are told."""
    queue = AwayQueue()
    engine = host.engine(accounts=store, error_queue=queue, validators=[lambda action: "not now"])
    acme = engine.domain("acme")
    acme.add("62515", streams=CONTACTS_ONLY)
    acme.sync("62515")

    queue.failures = 2
    found = list(acme.rejected_actions("62515"))
    queue.failures = 1
    counts = acme.rejected_counts("62515")

    assert (len(found), counts) == (30, {"contacts": 30})
    retries = [(event.what, event.attempt) for event in host.recorder.of(Retried)]
    assert retries == [("error queue", 1), ("error queue", 2), ("error queue", 1)]


def test_without_an_error_queue_there_is_none_to_look_into(host, store):
    """The error says what to give."""
    acme = host.engine(accounts=store).domain("acme")
    acme.add("62515")

    with pytest.raises(ConfigurationError, match="error_queue="):
        list(acme.rejected_actions("62515"))
    with pytest.raises(ConfigurationError, match="error_queue="):
        acme.rejected_counts("62515")


def test_a_removed_account_is_forgotten_with_its_credentials(acme, host, store):
    """What it brought stays, and it goes on there if it comes back."""
    acme.sync("62515")

    acme.remove("62515")

    assert list(acme.accounts()) == []
    assert host.tokens.load(ACCOUNT.key) is None
    assert len(host.sink.actions) == 40
    with pytest.raises(UnknownAccountError):
        acme.remove("62515")
    assert acme.add("62515").last_sync is None


def test_an_engine_without_an_account_store_has_no_domains(host):
    """The error says what to give."""
    with pytest.raises(ConfigurationError, match="no account store"):
        host.engine(accounts=None).domain("acme")


# Tenants do not meet.


def methods(domain, account_id):
    """A call of each method that names an account."""
    return {
        "account": lambda: domain.account(account_id),
        # None is any account there.
        "authorization_url": lambda: domain.authorization_url(
            "" if account_id is None else account_id
        ),
        "disconnect": lambda: domain.disconnect(account_id),
        "configure": lambda: domain.configure(account_id, name="mine"),
        "pause": lambda: domain.pause(account_id),
        "resume": lambda: domain.resume(account_id),
        "disable": lambda: domain.disable(account_id),
        "postpone": lambda: domain.postpone(account_id, HOUR),
        # None is all accounts there.
        "health": lambda: domain.health("" if account_id is None else account_id),
        "sync": lambda: domain.sync(account_id),
        "reconcile": lambda: domain.reconcile(account_id),
        "resync": lambda: domain.resync(account_id),
        "confirm_deletions": lambda: domain.confirm_deletions(account_id),
        "redrive": lambda: domain.redrive(account_id),
        "rejected_actions": lambda: list(domain.rejected_actions(account_id)),
        "rejected_counts": lambda: domain.rejected_counts(account_id),
        "object_types": lambda: domain.object_types(account_id),
        "explain": lambda: domain.explain(account_id, "contacts", "1"),
        "plan": lambda: domain.plan(account_id),
        "doctor": lambda: domain.doctor(account_id),
        "erase": lambda: domain.erase(account_id, "contacts", ["1"]),
        "remove": lambda: domain.remove(account_id),
    }


def test_every_method_is_tried(engine):
    """One that is new has to be added here."""
    public = {name for name in dir(engine.domain("acme")) if not name.startswith("_")}

    assert public - set(methods(None, None)) == {
        "accounts",
        "add",
        "connect",
        "domain_id",
        "finish_authorization",
        "purge",
        "sync_all",
        "sync_due",
    }


@pytest.mark.parametrize("method", methods(None, None))
def test_the_accounts_of_another_domain_do_not_exist(engine, acme, store, host, method):
    """Nothing is found of them, nothing told of them, and nothing done to them."""
    before = (store.load(ACCOUNT.key), host.tokens.load(ACCOUNT.key))
    globex = engine.domain("globex")

    with pytest.raises(UnknownAccountError, match="domain 'globex' has no account 62515"):
        methods(globex, "62515")[method]()

    assert before == (store.load(ACCOUNT.key), host.tokens.load(ACCOUNT.key))
    assert list(globex.accounts()) == []
    assert globex.sync_all().accounts == ()
    assert host.sink.actions == ()
    assert len(host.emulator.calls) == 0


@pytest.mark.parametrize("method", [*methods(None, None), "add"])
@pytest.mark.parametrize(
    "account_id",
    [
        AccountKey("acme", "62515"),
        ACCOUNT,
        "acme/62515",
        "../acme/62515",
        "62515\n",
        " 62515",
        "٦٢٥١٥",
        "",
        62515.0,
        True,
        -62515,
        None,
        {"$gt": ""},
    ],
    ids=repr,
)
def test_an_account_is_named_by_its_id_alone(engine, acme, store, method, account_id):
    """Whatever else is given is refused before anything is looked up."""
    globex = engine.domain("globex")
    calls = {**methods(globex, account_id), "add": lambda: globex.add(account_id)}

    with pytest.raises(ConfigurationError, match="give a HubSpot id as text"):
        calls[method]()

    assert [entry.key for entry in store.browse(None, limit=10)] == [ACCOUNT.key]


def test_an_id_may_be_a_number(engine, acme):
    """As HubSpot itself writes it; it is the same account, of the same domain."""
    assert acme.account(62515) == acme.account("62515")
    assert Account(account_id=62515).key == Account(account_id="62515").key
    assert acme.pause(62515).status is AccountStatus.PAUSED
    assert engine.domain("globex").add(62515).key == AccountKey("globex", "62515")


@pytest.mark.parametrize("domain_id", ["", "a" * 201, "ac\0me", "\ud800", None, 7, {"$gt": ""}])
def test_a_domain_is_named_by_storable_text(engine, domain_id):
    """None is no way to see all."""
    with pytest.raises(ConfigurationError, match=r"Domain\.domain_id"):
        engine.domain(domain_id)


@pytest.mark.parametrize("domain_id", ["acme/", "/acme", "ACME", "acm", "acme\t", "a*", "%", "."])
def test_domains_that_look_alike_are_not(engine, acme, domain_id):
    """Names are compared whole."""
    other = engine.domain(domain_id)

    assert list(other.accounts()) == []
    with pytest.raises(UnknownAccountError):
        other.account("62515")
    other.add("62515")
    other.remove("62515")
    assert acme.account("62515").revision == 1


def test_credentials_alone_are_not_an_account(engine, host, caplog):
    """Whoever only gave these learns it: once, and not when there are accounts."""
    engine.store_credentials(ACCOUNT, StaticAccessToken(access_token=host.emulator.access_token))
    domain = engine.domain("acme")

    assert engine.sync_all().accounts == engine.sync_due().accounts == ()

    assert caplog.text.count("the account store has no accounts") == 1
    with pytest.raises(UnknownAccountError, match=r"domain\(...\).connect .* \.add"):
        domain.sync("62515")
    domain.add("62515")
    caplog.clear()
    assert host.engine(accounts=engine._operations.directory().store).sync_all().completed
    assert "no accounts" not in caplog.text


def test_one_account_of_two_domains_is_two_accounts(engine, acme, host):
    """Each has its own entry, credentials and content."""
    globex = engine.domain("globex")
    globex.add("62515", streams=CONTACTS_ONLY)

    with pytest.raises(NotConnectedError, match="no credentials for account globex/62515"):
        globex.sync("62515")
    acme.sync("62515")

    assert globex.account("62515").last_sync is None
    assert {action.account.domain_id for action in host.sink.actions} == {"acme"}


def test_a_domain_cannot_be_made_another(acme):
    """Not even by accident."""
    with pytest.raises(FrozenInstanceError):
        acme.domain_id = "globex"
    assert repr(acme) == "Domain(domain_id='acme')"


# The account store away, and others at work.


class AwayStore(MemoryAccountStore):
    """Cannot be reached for the next *failures* calls."""

    failures = 0

    def _away(self):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailableError("the database is away")

    def load(self, account):
        self._away()
        return super().load(account)

    def save(self, entry):
        self._away()
        return super().save(entry)

    def browse(self, *args, **kwargs):
        self._away()
        return super().browse(*args, **kwargs)


@pytest.fixture
def away(host):
    store = AwayStore()
    host.engine(accounts=store).domain("acme").add("62515")
    return store


def test_a_store_that_is_away_for_a_moment_is_waited_for(host, away):
    """And observers are told."""
    acme = host.engine(accounts=away).domain("acme")
    away.failures = 3

    assert [entry.key for entry in acme.accounts()] == [ACCOUNT.key]

    assert [(event.what, event.attempt) for event in host.recorder.of(Retried)] == [
        ("account store", number) for number in (1, 2, 3)
    ]
    assert len(host.clock.waits) == 3


def test_a_store_that_stays_away_does_not_spoil_a_sync(host, away):
    """The report is whole; that nothing was written down is reported."""
    engine = host.engine(accounts=away)
    away.failures = 1_000

    report = engine.sync(ACCOUNT)

    assert report.completed
    (event,) = host.recorder.of(BookkeepingFailed)
    assert event == BookkeepingFailed(account=ACCOUNT.key, reason="the database is away")
    with pytest.raises(StoreUnavailableError):
        engine.domain("acme").account("62515")


def test_stopping_ends_the_wait_for_the_store(host, away):
    """With an error of ours."""
    engine = host.engine(accounts=away)
    engine.stop()
    away.failures = 1_000

    with pytest.raises(StoreUnavailableError, match="stopped while the account store was away"):
        engine.domain("acme").account("62515")
    assert engine.sync(ACCOUNT).streams[0].status is StreamStatus.STOPPED


def test_what_others_change_meanwhile_is_kept(host, store):
    """A change is applied again to what is stored then."""
    engine = host.engine(accounts=store)
    acme = engine.domain("acme")
    acme.add("62515")
    names = [f"name {number}" for number in range(8)]
    every = [timedelta(minutes=number) for number in range(1, 9)]
    barrier = threading.Barrier(16)

    def change(**what):
        barrier.wait()
        acme.configure("62515", **what)

    changes = [{"name": name} for name in names] + [{"sync_every": one} for one in every]
    threads = [threading.Thread(target=change, kwargs=what) for what in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entry = acme.account("62515")
    assert entry.revision == 17
    assert entry.name in names
    assert entry.account.sync_every in every


def test_a_save_that_went_through_although_it_seemed_not_to(host):
    """The change is there once."""

    class Stammering(MemoryAccountStore):
        lost = False

        def save(self, entry):
            stored = super().save(entry)
            if self.lost:
                self.lost = False
                raise StoreUnavailableError("the connection broke")
            return stored

    store = Stammering()
    acme = host.engine(accounts=store).domain("acme")
    acme.add("62515")
    store.lost = True

    entry = acme.pause("62515", reason="trial over")

    assert (entry.status, entry.revision) == (AccountStatus.PAUSED, 2)
    with pytest.raises(UnknownAccountError):
        acme.pause("62516")
    assert Account(account_id="62515").domain_id == "default"
