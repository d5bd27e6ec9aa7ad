"""A host's part that answers nonsense, or raises what it may not, is named."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from attrs import evolve

from hubspot_sync import (
    Account,
    AccountEntry,
    AccountKey,
    ConfigurationError,
    EncryptionKeys,
    HubSpotSyncError,
    InvariantError,
    OAuthApp,
    SinkAnswer,
    StaticAccessToken,
    StoreUnavailableError,
    hubspot_connecting,
)
from hubspot_sync.models import Checkpoint, Fingerprint, Lease, StreamKey
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.stores.memory import (
    MemoryAccountStore,
    MemoryActionSink,
    MemoryCheckpointer,
    MemoryErrorQueue,
    MemoryNonceStore,
    MemoryTokenStore,
)
from hubspot_sync.testing import ManualClock
from kit.scripted import ACCOUNT, CONTACTS, Setting, record, skipped

TOKEN = StaticAccessToken(access_token="a")
NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
OTHER = Account(account_id="99", domain_id="acme")


class Odd:
    """A part that does its work, but for one method."""

    def __init__(self, inner, method, odd):
        self._inner = inner
        self._method = method
        self._odd = odd

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        return self._call if name == self._method else found

    def _call(self, *args, **kwargs):
        if isinstance(self._odd, type) and issubclass(self._odd, BaseException):
            raise self._odd("geheim")
        return self._odd() if callable(self._odd) else self._odd


NONSENSE = {
    "None": None,
    "text": "geheim",
    "a number": 7,
    "a generator": lambda: (one for one in ()),
    "a class": lambda: Lease,
    "a dict with a number": {7: 7},
    "a list of None": lambda: [None],
    "an object": object,
}
RAISED = [ValueError, KeyError, AttributeError, OSError, RecursionError, StopIteration]
LEASE = Lease(stream=StreamKey(OTHER.key, "contacts"), owner="x", fence=1, expires_at=NOW)
ENTRY = AccountEntry(account=OTHER, status_since=NOW, next_sync_at=NOW, revision=1)
# By part: its methods, with the nonsense that is what it may answer, and more nonsense of its own.
CHECKPOINTER = {
    "acquire": (set(), [LEASE]),
    "load": (set(), [{}]),
    "recall": (set(), [{"1": Fingerprint(object_id="2", version=1, digest=b"")}, {"1": None}]),
    "commit": (set(NONSENSE), []),
    "release": (set(NONSENSE), []),
}
QUEUE = {
    "browse": (set(), [{}, "ab"]),
    "due": (set(), [{}]),
    "held": (set(), [{"not asked for": 1}, {"1": "1"}, {"1": True}]),
    "put": (set(NONSENSE), []),
    "settle": (set(NONSENSE), []),
    "count": (set(), [{"contacts": "1"}]),
}
TOKENS = {"load": ({"None"}, []), "save": (set(), []), "accounts": (set(), [["acme/62515"]])}
ACCOUNTS = {
    "load": ({"None"}, [ENTRY]),
    "save": (set(), [ENTRY]),
    "browse": (set(), [{}, "ab"]),
    "due": (set(), [{}]),
    "domains": (set(), ["ab", [b"acme"]]),
}
CLOCK = {
    "now": (set(), [datetime(2026, 7, 1)]),  # noqa: DTZ001
    "monotonic": ({"a number"}, [True]),
    "random": (set(), [1.0, -0.1, True]),
}


def cases(table):
    return [
        pytest.param(method, odd, id=f"{method}-{name}")
        for method, (fine, more) in table.items()
        for name, odd in [
            *((name, odd) for name, odd in NONSENSE.items() if name not in fine),
            *((repr(odd)[:40], odd) for odd in more),
            *((error.__name__, error) for error in RAISED),
        ]
    ]


def named(error, part, method):
    """Whether an error says whose mistake it is, and no more."""
    assert isinstance(error, InvariantError), error
    assert f"{part}.{method}" in str(error)
    assert "geheim" not in str(error)
    return True


@pytest.mark.parametrize(("method", "odd"), cases(CHECKPOINTER))
def test_a_checkpointer(method, odd):
    """Its stream fails, and whoever comes next finds no lease."""
    setting = Setting([[record("1")]])
    report = setting.sync(checkpointer=Odd(setting.checkpointer, method, odd))

    if method == "release":
        assert report.error is None
    else:
        assert named(report.error, "Odd", method)
    setting.clock.advance(timedelta(minutes=5))
    assert setting.sync().error is None


@pytest.mark.parametrize(("method", "odd"), cases(QUEUE))
def test_an_error_queue(method, odd):
    """Whatever it is asked."""
    setting = Setting([[record("1"), record("2")]], [[record("1", 1), record("3")]])
    setting.sync(sink=setting.refusing("1"))
    setting.clock.advance(timedelta(days=1))
    engine = setting.engine(
        error_queue=Odd(setting.queue, method, odd), sink=setting.refusing("1", "3")
    )
    if method == "count":
        with pytest.raises(InvariantError) as caught:
            engine.redrive(ACCOUNT)
        assert named(caught.value, "Odd", method)
        return
    if method == "settle":
        engine = setting.engine(error_queue=Odd(setting.queue, method, odd))
    report = engine.sync(ACCOUNT).streams[0]

    assert named(report.error, "Odd", method)


@pytest.mark.parametrize(("method", "odd"), cases(TOKENS))
def test_a_token_store(method, odd):
    """Connecting, syncing and sealing again."""
    setting = Setting([[record("1")]])
    engine = setting.engine(tokens=Odd(MemoryTokenStore(), method, odd))
    calls = {
        "accounts": engine.reencrypt,
        "load": lambda: engine._safe.find(ACCOUNT.key),
        "save": lambda: engine.connect(ACCOUNT, TOKEN),
    }
    with pytest.raises(InvariantError) as caught:
        calls[method]()
    assert named(caught.value, "Odd", method)


@pytest.mark.parametrize(("method", "odd"), cases(ACCOUNTS))
def test_an_account_store(method, odd):
    """From a domain and from the engine."""
    setting = Setting([[record("1")]])
    accounts = MemoryAccountStore()
    setting.engine(accounts=accounts).for_domain("acme").add("62515")
    engine = setting.engine(accounts=Odd(accounts, method, odd))
    domain = engine.for_domain("acme")
    calls = {
        "load": lambda: domain.account("62515"),
        "save": lambda: domain.pause("62515"),
        "browse": lambda: list(domain.accounts()),
        "due": lambda: engine.sync_all(due_only=True),
        "domains": engine.sync_all,
    }
    with pytest.raises(InvariantError) as caught:
        calls[method]()
    assert named(caught.value, "Odd", method)


@pytest.mark.parametrize("pages", ["browse", "domains"])
def test_a_page_that_comes_again_and_again_ends(pages):
    """As from a store that does not look at *after*."""
    accounts = MemoryAccountStore()
    engine = Setting().engine(accounts=accounts)
    entry = engine.for_domain("acme").add("62515")
    page = [entry] if pages == "browse" else ["acme"]
    engine = Setting().engine(accounts=Odd(accounts, pages, lambda: page))
    with pytest.raises(InvariantError, match=f"Odd.{pages} gave a list; .* goes on after the page"):
        list(engine.for_domain("acme").accounts()) if pages == "browse" else engine.sync_all()


@pytest.mark.parametrize(("method", "odd"), cases(CLOCK))
def test_a_clock(method, odd):
    """Time is everywhere, so it is an error wherever it is asked."""
    setting = Setting([[record("1")]])
    engine = setting.engine(clock=Odd(ManualClock(), method, odd), sink=setting.refusing("1"))
    with pytest.raises(InvariantError) as caught:
        engine.sync(ACCOUNT).raise_for_failure()
    assert named(caught.value, "Odd", method)


@pytest.mark.parametrize(("method", "odd"), cases({"spend": (set(), [1, 0])}))
def test_a_nonce_store(method, odd):
    """A consent that is not known to be fresh connects nothing."""
    clock = ManualClock()
    app = OAuthApp(client_id="id", client_secret="s", redirect_uri="https://host.example/")
    engine = Setting().engine(
        accounts=MemoryAccountStore(),
        clock=clock,
        connecting=hubspot_connecting(
            Odd(MemoryNonceStore(), method, odd), oauth_app=app, clock=clock
        ),
    )
    domain = engine.for_domain("acme")
    state = domain.authorization_url().partition("state=")[2]
    with pytest.raises(InvariantError) as caught:
        domain.finish_authorization(state=state, code="c")
    assert named(caught.value, "Odd", method)


class Keys:
    """A provider with one key."""

    def __init__(self):
        self._key = EncryptionKeys.generate_key()

    def primary(self):
        return "main"

    def key(self, name):
        return self._key


@pytest.mark.parametrize(
    ("method", "odd"), cases({"primary": ({"text"}, [b"k"]), "key": (set(), [])})
)
def test_a_key_provider(method, odd):
    """No key is sealed under a name that is none."""
    keys = EncryptionKeys(Odd(Keys(), method, odd))
    with pytest.raises(HubSpotSyncError) as caught:
        keys.seal(ACCOUNT.key, b"tokens")
    if isinstance(caught.value, ConfigurationError):
        assert odd is None or odd == "geheim"  # no key of this name, and one that is no key
        assert "geheim" not in str(caught.value)
    else:
        assert named(caught.value, "Odd", method)


@pytest.mark.parametrize(
    ("method", "odd"),
    cases(
        {
            "identify": (set(), []),
            "server_time": (set(), [datetime(2026, 7, 1)]),  # noqa: DTZ001
            "api_calls": (set(), [{"list": "7"}]),
        }
    ),
)
def test_a_source(method, odd):
    """A host's own way to read HubSpot."""
    setting = Setting([[record("1"), skipped("2")]])
    source = Odd(setting.source, method, odd)
    with pytest.raises(InvariantError) as caught:
        setting.engine(open_source=lambda *_, **__: source).sync(ACCOUNT).raise_for_failure()
    assert named(caught.value, "Odd", method)


@pytest.mark.parametrize("odd", NONSENSE)
def test_a_source_factory(odd):
    """What it opens has to be a source."""
    factory = Odd(None, "open", NONSENSE[odd])
    setting = Setting()

    def open_source(*_, **__):
        return factory._call()

    with pytest.raises(InvariantError, match=r"open_source gave a .* without a method `read`"):
        setting.engine(open_source=open_source).sync(ACCOUNT)


@pytest.mark.parametrize(("method", "odd"), cases({"write": (set(), [{"repeated": ()}])}))
def test_the_sink_of_a_fan_out(method, odd):
    """The one that is wrong is named, not the one that asks it."""
    setting = Setting([[record("1")]])
    report = setting.sync(sink=FanOutSink([setting.sink, Odd(MemoryActionSink(), method, odd)]))

    assert named(report.error, "Odd", method)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_the_process_stays_as_it_is(error):
    """Out of any part."""
    setting = Setting([[record("1")]])
    with pytest.raises(error):
        setting.sync(checkpointer=Odd(setting.checkpointer, "load", error))


def test_a_part_is_what_it_was():
    """Only its answers are looked at: its class, what else it has, and its errors stay."""
    sink, queue = MemoryActionSink(), MemoryErrorQueue()
    engine = Setting().engine(sink=sink, error_queue=queue)

    assert isinstance(engine._runner.sink, MemoryActionSink)
    assert engine._runner.sink.actions == sink.actions == ()
    assert engine._runner.sink.write([]) == SinkAnswer()
    away = Odd(MemoryCheckpointer(), "load", StoreUnavailableError)
    with pytest.raises(StoreUnavailableError):
        Setting().engine(checkpointer=away)._runner.checkpointer.load(CONTACTS)
    assert evolve(Checkpoint(), reading=None) == Checkpoint()
    assert AccountKey("acme", "62515") == ACCOUNT.key
