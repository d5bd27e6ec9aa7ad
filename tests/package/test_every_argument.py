"""Every argument of every public callable meets odd values: it takes them, or says what to give.

A parameter without a row, and a method without one, fail the test, so nothing new is forgotten.
"""

from __future__ import annotations

import inspect
from datetime import datetime, timedelta, timezone
from functools import partial

import pytest

import hubspot_sync
from hubspot_sync import (
    Account,
    AccountKey,
    AccountStatus,
    ConfigurationError,
    ConsentError,
    CredentialKeys,
    Domain,
    HubSpotSettings,
    HubSpotSyncError,
    NoEncryption,
    OAuthApp,
    OAuthTokens,
    RejectedSelection,
    SinkAnswer,
    StaticAccessToken,
    Stores,
    StreamSettings,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync.integrations.celery import HubSpotTasks
from hubspot_sync.stores import check_store_url, open_stores
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.stores.memory import (
    MemoryActionSink,
    MemoryCheckpointer,
    MemoryStores,
    MemoryTokenStore,
)
from hubspot_sync.stores.mongodb import MongoStores
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import ManualClock

STREAM = StreamSettings(object_type="contacts")
ACCOUNT = Account(account_id="62515", domain_id="acme")
TOKEN = StaticAccessToken(access_token="a")
SECRET = "geheim"
NOBODY = HubSpotSettings(base_url="http://127.0.0.1:1", max_tries=1)


async def coroutine_function(*_, **__):
    """What somebody may give who is used to asyncio."""


class Async:
    """A part whose methods would have to be awaited."""

    __call__ = write = notify = seal = open = spend = due = put = coroutine_function
    now = monotonic = sleep = wait = random = coroutine_function
    load = save = delete = acquire = renew = release = recall = commit = coroutine_function


class Slippery:
    """A value that cannot even be looked at."""

    def __repr__(self):
        raise RuntimeError(SECRET)


def function(*_, **__):
    """A function that takes anything."""


ODD = {
    "none": lambda: None,
    "true": lambda: True,
    "zero": lambda: 0,
    "minus one": lambda: -1,
    "one": lambda: 1,
    "a half": lambda: 0.5,
    "nan": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "a googol": lambda: 10**100,
    "5,000 digits": lambda: 10**5_000,
    "no text": lambda: "",
    "a word": lambda: "word",
    "a number as text": lambda: "7",
    "NUL": lambda: "a\0b",
    "a lone surrogate": lambda: "a\ud800b",
    "a megabyte": lambda: "x" * 2**20,
    "bytes": lambda: b"word",
    "an empty list": list,
    "a list": lambda: ["word"],
    "a list of lists": lambda: [["word"]],
    "a list of None": lambda: [None],
    "a generator": lambda: (one for one in ("word",)),
    "an empty dict": dict,
    "a dict": lambda: {"word": 1},
    "an object": object,
    "a slippery object": Slippery,
    "a class": lambda: MemoryActionSink,
    "an async part": Async,
    "an async class": lambda: Async,
    "an async function": lambda: coroutine_function,
    "a partial async function": lambda: partial(coroutine_function, 1),
    "a function": lambda: function,
    "a naive datetime": lambda: datetime(2026, 7, 1),  # noqa: DTZ001
    "a datetime": lambda: datetime(2026, 7, 1, tzinfo=timezone.utc),
    "no time": timedelta,
    "less than no time": lambda: timedelta(seconds=-1),
    "a minute": lambda: timedelta(minutes=1),
    "for ever": lambda: timedelta.max,
    "an account": lambda: ACCOUNT,
    "a key": lambda: ACCOUNT.key,
    "a stream": lambda: STREAM,
    "a list of streams": lambda: [STREAM],
    "a status": lambda: AccountStatus.ACTIVE,
    "sync settings": SyncSettings,
    "HubSpot settings": HubSpotSettings,
    "a token": lambda: TOKEN,
    "a secret": lambda: SECRET,
}
TEXTS = {"a word", "a number as text", "a secret"}
LISTS = {"an empty list"}
NOT_ASYNC = {"a function", "a class", "an async class"}
# What each kind of parameter takes of the odd values; all others it has to refuse.
TAKES = {
    "account": {"an account"},
    "accounts": {"none"} | LISTS,
    "choice": {"true"},
    "choice?": {"none", "true"},
    "account id": {"zero", "one", "a number as text"},
    "account id?": {"none", "zero", "one", "a number as text"},
    "object ids": {"none", "zero", "one", "a number as text"} | LISTS,
    "some object ids": {"zero", "one", "a number as text"} | LISTS,
    "object id": {"zero", "one", "a number as text"},
    "object type": TEXTS,
    "object type?": TEXTS | {"none"},
    "names": {"none", "a list", "a generator"} | LISTS,
    "object types?": {"none"} | LISTS,
    "object types": {"none", "a list", "a generator"} | LISTS,
    "key": TEXTS,
    "key?": TEXTS | {"none"},
    "remark": TEXTS | {"none", "no text"},
    "any text": TEXTS | {"none", "no text", "NUL", "a lone surrogate", "a megabyte"},
    "reason": TEXTS | {"none", "no text", "NUL", "a lone surrogate", "a megabyte"},
    "streams": {"a list of streams"},
    "streams?": {"none", "a list of streams"},
    "period": {"a minute", "for ever"},
    "period?": {"none", "a minute", "for ever"},
    "duration": {"no time", "a minute", "for ever"},
    "delay": {"no time", "a minute"},
    "delay above zero": {"a minute"},
    "delay above zero?": {"none", "a minute"},
    "number": {"one"},
    "number?": {"none", "one", "a googol", "5,000 digits"},
    "any number": {"one", "a googol", "5,000 digits"},
    "retries": {"zero", "one"},
    "reserve": {"none", "zero", "one", "a googol", "5,000 digits"},
    "share": {"zero", "one", "a half"},
    "status?": {"none", "a status"},
    "credentials": {"a token"},
    "callback?": {"none", "a function"},
    "callback": {"a function"},
    "factory": NOT_ASYNC,
    "factory?": {"none"} | NOT_ASYNC,
    "stores": set(),
    "URL of stores": set(),
    "parts": LISTS,
    "parts?": {"none"} | LISTS,
    "some parts": set(),
    "part": set(),
    "part?": {"none"},
    "sync settings?": {"none", "sync settings"},
    "HubSpot settings?": {"none", "HubSpot settings"},
    "app?": {"none"},
    "app": set(),
    "credential": TEXTS | {"a megabyte"},
    "instant": {"a datetime"},
    "instant?": {"none", "a datetime"},
    "seed": {"zero", "one", "minus one", "a googol", "5,000 digits", "true"},
    "seconds": {"no time", "a minute", "zero", "one", "a half"},
    "ids": {"a list", "a generator"} | LISTS,
    "reasons": {"an empty dict"},
    "AccountKey": {"a key"},
    "encryption key": set(),
}


class Engine:
    """An engine that was stopped, so that what it takes ends at once; and what it knows."""

    def __init__(self):
        self.app = OAuthApp(
            client_id="id", client_secret=SECRET, redirect_uri="https://host.example/"
        )
        self.parts = {
            "stores": MemoryStores(),
            "oauth_app": self.app,
            "hubspot": NOBODY,
            "settings": SyncSettings(store_tries=1),
            "clock": ManualClock(),
        }
        self.engine = SyncEngine(**self.parts)
        self.engine.store_credentials(ACCOUNT, TOKEN)
        self.domain = self.engine.domain("acme")
        self.domain.add("62515")
        self.engine.stop()


STREAMS_WANTED = {"streams": "streams?", "sync_every": "period?", "name": "remark"}
FAILURES_MEANT = {
    "object_type": "object type?",
    "reason": "reason",
    "object_ids": "object ids",
    "parked": "choice?",
}
STORES = {"cipher": "part?", "clock": "part?"}
ENGINE = {
    "stores": "stores",
    "tokens": "part?",
    "sink": "part?",
    "checkpointer": "part?",
    "accounts": "part?",
    "nonces": "part?",
    "error_queue": "part?",
    "validators": "parts",
    "observers": "parts?",
    "oauth_app": "app?",
    "hubspot": "HubSpot settings?",
    "settings": "sync settings?",
    "clock": "part?",
    "open_source": "factory?",
}
# By method: what is given when another parameter is tried, and the kind of each parameter.
ENGINE_METHODS = {
    "domain": ({"domain_id": "acme"}, {"domain_id": "key"}),
    "store_credentials": (
        {"account": ACCOUNT, "credentials": TOKEN},
        {"account": "account", "credentials": "credentials"},
    ),
    "sync": (
        {"account": ACCOUNT},
        {"account": "account", "time_limit": "delay above zero?"},
    ),
    "sync_all": (
        {},
        {
            "domain_id": "key?",
            "workers": "number",
            "accounts": "accounts",
            "on_report": "callback?",
        },
    ),
    "sync_due": ({}, {"domain_id": "key?", "workers": "number", "on_report": "callback?"}),
    "run": ({}, {"workers": "number", "poll_every": "delay above zero"}),
    "claim_due": (
        {"claim_for": timedelta(minutes=1), "limit": 1},
        {"claim_for": "delay above zero", "limit": "number", "domain_id": "key?"},
    ),
    "health": ({}, {}),
    "reconcile": ({"account": ACCOUNT}, {"account": "account", "object_types": "object types?"}),
    "resync": ({"account": ACCOUNT}, {"account": "account", "object_types": "object types?"}),
    "redrive": ({"account": ACCOUNT}, {"account": "account", **FAILURES_MEANT}),
    "reencrypt": ({}, {}),
    "stop": ({}, {}),
    "close": ({}, {}),
}
ID = {"account_id": "62515"}
DOMAIN_METHODS = {
    "accounts": ({}, {"status": "status?"}),
    "account": (ID, {"account_id": "account id"}),
    "object_types": (ID, {"account_id": "account id"}),
    "authorization_url": ({}, {"account_id": "account id?"}),
    "finish_authorization": (
        {"state": "nobody's"},
        {"state": "any text", "code": "any text", "error": "any text", **STREAMS_WANTED},
    ),
    "connect": (
        {"credentials": OAuthTokens(refresh_token="r")},
        {"credentials": "credentials", "account_id": "account id?", **STREAMS_WANTED},
    ),
    "disconnect": ({**ID, "revoke": False}, {"account_id": "account id", "revoke": "choice"}),
    "add": (ID, {"account_id": "account id", **STREAMS_WANTED}),
    "configure": (ID, {"account_id": "account id", **STREAMS_WANTED}),
    "pause": (ID, {"account_id": "account id", "reason": "remark"}),
    "resume": (ID, {"account_id": "account id"}),
    "disable": (ID, {"account_id": "account id", "reason": "remark"}),
    "postpone": ({**ID, "by": timedelta(0)}, {"account_id": "account id", "by": "delay"}),
    "sync": (
        ID,
        {"account_id": "account id", "time_limit": "delay above zero?"},
    ),
    "sync_all": ({}, {"workers": "number", "on_report": "callback?"}),
    "sync_due": ({}, {"workers": "number", "on_report": "callback?"}),
    "health": (ID, {"account_id": "account id?"}),
    "reconcile": (ID, {"account_id": "account id", "object_types": "object types?"}),
    "resync": (ID, {"account_id": "account id", "object_types": "object types?"}),
    "confirm_deletions": (ID, {"account_id": "account id", "object_types": "object types?"}),
    "redrive": (ID, {"account_id": "account id", **FAILURES_MEANT}),
    "rejected_actions": (ID, {"account_id": "account id", **FAILURES_MEANT}),
    "rejected_counts": (ID, {"account_id": "account id"}),
    "remove": (ID, {"account_id": "account id"}),
    "doctor": (ID, {"account_id": "account id"}),
    "plan": (ID, {"account_id": "account id", "streams": "streams?"}),
    "explain": (
        {**ID, "object_type": "contacts", "object_id": "1"},
        {
            "account_id": "account id",
            "object_type": "object type",
            "object_id": "object id",
            "ask_hubspot": "choice",
        },
    ),
    "erase": (
        {**ID, "object_type": "contacts", "object_ids": ["1"]},
        {"account_id": "account id", "object_type": "object type", "object_ids": "some object ids"},
    ),
    "purge": ({**ID, "revoke": False}, {"account_id": "account id", "revoke": "choice"}),
}
VALUES = {
    Account: (
        ID,
        {
            "account_id": "account id",
            "domain_id": "key",
            "streams": "streams",
            "sync_every": "period",
        },
    ),
    AccountKey: (
        {"domain_id": "acme", **ID},
        {"domain_id": "key", "account_id": "account id"},
    ),
    StreamSettings: (
        {"object_type": "contacts"},
        {
            "object_type": "object type",
            "properties": "names",
            "associations": "object types",
            "exclude": "names",
            "raw_values": "choice",
            "ignore_missing": "choice",
            "unlisted_properties": "names",
        },
    ),
    StaticAccessToken: ({"access_token": "a"}, {"access_token": "credential"}),
    OAuthApp: (
        {"client_id": "id", "client_secret": SECRET},
        {
            "client_id": "credential",
            "client_secret": "credential",
            "scopes": "names",
            "optional_scopes": "names",
        },
    ),
    RejectedSelection: (
        {"account": ACCOUNT.key},
        {"account": "AccountKey", **FAILURES_MEANT},
    ),
    SinkAnswer: (
        {},
        {
            "repeated": "ids",
            "already_created": "ids",
            "refused": "reasons",
            "partly_repeated": "ids",
        },
    ),
    FanOutSink: ({"sinks": [MemoryActionSink()]}, {"sinks": "some parts"}),
    ManualClock: ({}, {"start": "instant", "seed": "seed"}),
    CredentialKeys: (
        {"primary": CredentialKeys.generate_key()},
        {"primary": "encryption key", "older": "encryption key"},
    ),
    Stores: (
        {
            "tokens": MemoryTokenStore(),
            "sink": MemoryActionSink(),
            "checkpointer": MemoryCheckpointer(),
        },
        {
            "tokens": "part",
            "sink": "part",
            "checkpointer": "part",
            "accounts": "part?",
            "nonces": "part?",
            "error_queue": "part?",
            "close": "callback",
        },
    ),
    MemoryStores: ({}, {"clock": "part?"}),
    check_store_url: ({"url": "sqlite:///crm.db"}, {"url": "URL of stores"}),
}
# The settings have tests of their own that look at every field: test_models.py.
SETTINGS = {HubSpotSettings, SyncSettings}
LOOKED_AT_ELSEWHERE = {"redirect_uri"}
# Values that the library makes itself, and what hosts implement or catch.
MADE_HERE = {
    "AccountEntry",
    "AccountHealth",
    "AccountStatus",
    "Action",
    "ActionKind",
    "Clock",
    "Condition",
    "CredentialCipher",
    "Diagnosis",
    "Domain",
    "ErasureReport",
    "Explanation",
    "Evidence",
    "RejectedAction",
    "FleetReport",
    "Health",
    "HealthStatus",
    "KeyProvider",
    "LoggingObserver",
    "OAuthTokens",
    "ObjectType",
    "NoEncryption",
    "Problem",
    "PurgeReport",
    "RedriveReport",
    "StopRequested",
    "StreamHealth",
    "StreamReport",
    "StreamStatus",
    "SyncPlan",
    "SyncReport",
}
TASKS = {
    "app": "app",
    "open_engine": "factory",
    "queue": "key?",
    "prefix": "key",
    "claim_for": "delay above zero",
    "turn": "delay above zero",
    "dispatch_limit": "number",
    "max_retries": "retries",
    "busy_wait": "delay above zero",
    "clock": "part?",
}


def public_methods(kind):
    return {
        name
        for name, found in inspect.getmembers(kind, callable)
        if not name.startswith("_") and name != "domain_id"
    }


def parameters(function):
    return {name for name in inspect.signature(function).parameters if name != "self"}


def test_every_method_and_every_value_has_a_row():
    """What is new has to be tried, too."""
    assert public_methods(SyncEngine) == ENGINE_METHODS.keys()
    assert public_methods(Domain) == DOMAIN_METHODS.keys()
    for kind, rows in ((SyncEngine, ENGINE_METHODS), (Domain, DOMAIN_METHODS)):
        for name, (_, kinds) in rows.items():
            assert parameters(getattr(kind, name)) == kinds.keys(), name
    assert parameters(SyncEngine) == ENGINE.keys()
    for kind, (_, kinds) in VALUES.items():
        assert parameters(kind) - LOOKED_AT_ELSEWHERE == kinds.keys(), kind
    for bundle in (SqliteStores, MongoStores, open_stores):
        assert parameters(bundle) - {"database", "url"} == STORES.keys()
    assert parameters(HubSpotTasks) == TASKS.keys()
    errors = {
        name
        for name in hubspot_sync.__all__
        if isinstance(getattr(hubspot_sync, name), type)
        and issubclass(getattr(hubspot_sync, name), HubSpotSyncError)
    }
    known = {one.__name__ for one in (*VALUES, *SETTINGS, SyncEngine)}
    assert set(hubspot_sync.__all__) - errors - known == MADE_HERE


def meet(call, kind, name):
    """Give each odd value; an error of ours, or none where the kind takes it."""
    wrong = {odd: problem(call, make(), odd, odd in TAKES[kind]) for odd, make in ODD.items()}
    assert not [f"{name}: {odd} {what}" for odd, what in wrong.items() if what is not None]


def problem(call, value, odd, taken):
    """What is wrong with what becomes of *value*, or None."""
    try:
        call(value)
    except ConfigurationError as error:
        refused = type(error) is ConfigurationError  # and not for what it names is not there
        shows = odd == "a slippery object" and SECRET in str(error)
        if (taken and refused) or shows or len(str(error)) > 2_000:
            return f"is refused by {str(error)[:200]}"
        return None
    except ConsentError as error:
        return None if taken else f"is taken for a person's doing: {error}"
    except HubSpotSyncError as error:
        return None if taken else f"is found out late: {error!r}"
    except Exception as error:  # noqa: BLE001 - this is what must not come
        return f"raises {error!r:.200}"
    return None if taken else "is taken"


def rows(table):
    return [
        pytest.param(name, parameter, id=f"{getattr(name, '__name__', name)}-{parameter}")
        for name, (_, kinds) in table.items()
        for parameter in kinds
    ]


@pytest.mark.parametrize(("method", "parameter"), rows(ENGINE_METHODS))
def test_methods_of_the_engine(method, parameter):
    """Each argument, while all others are right."""
    given, kinds = ENGINE_METHODS[method]

    def call(odd):
        done = getattr(Engine().engine, method)(**{**given, parameter: odd})
        return list(done) if method == "claim_due" else done

    meet(call, kinds[parameter], f"{method}({parameter})")


@pytest.mark.parametrize(("method", "parameter"), rows(DOMAIN_METHODS))
def test_methods_of_a_domain(method, parameter):
    """Each argument, while all others are right."""
    given, kinds = DOMAIN_METHODS[method]

    def call(odd):
        host = Engine()
        if method == "add":
            host.domain.remove("62515")
        done = getattr(host.domain, method)(**{**given, parameter: odd})
        return list(done) if method in ("accounts", "rejected_actions") else done

    meet(call, kinds[parameter], f"{method}({parameter})")


@pytest.mark.parametrize("parameter", ENGINE)
def test_parts_of_an_engine(parameter):
    """Before anything is done with them."""
    meet(lambda odd: SyncEngine(**{**Engine().parts, parameter: odd}), ENGINE[parameter], parameter)


@pytest.mark.parametrize("parameter", STORES)
def test_stores(tmp_path, parameter):
    """Before a file is made, or a server asked."""

    def opened(odd):
        for stores in (
            lambda: SqliteStores(tmp_path / "crm.db", **{parameter: odd}),
            lambda: open_stores(f"sqlite:///{tmp_path / 'url.db'}", **{parameter: odd}),
        ):
            stores().close()

    meet(opened, STORES[parameter], f"SqliteStores({parameter})")


@pytest.mark.parametrize(("kind", "parameter"), rows(VALUES))
def test_values(kind, parameter):
    """Where they are made."""
    given, kinds = VALUES[kind]

    def call(odd):
        if kind is CredentialKeys and parameter == "older":
            return kind(given["primary"], odd)
        return kind(**{**given, parameter: odd})

    meet(call, kinds[parameter], f"{kind.__name__}({parameter})")


@pytest.mark.parametrize("parameter", TASKS)
def test_celery(parameter):
    """When the tasks are registered, not when a worker first runs one."""
    from celery import Celery

    def call(odd):
        given = {"app": Celery("odd", set_as_current=False), "open_engine": function}
        given["claim_for"] = timedelta(minutes=5)
        given["turn"] = timedelta(seconds=30)
        HubSpotTasks(**{**given, parameter: odd})

    meet(call, TASKS[parameter], f"HubSpotTasks({parameter})")


def test_a_dispatch_needs_a_rhythm():
    """And so does beat."""
    from celery import Celery

    tasks = HubSpotTasks(Celery("odd", set_as_current=False), open_engine=function)
    meet(lambda odd: tasks.beat_entry(every=odd), "delay above zero", "beat_entry(every)")


def test_a_manual_clock_goes_forward():
    """By what is an amount of time."""
    meet(lambda odd: ManualClock().advance(odd), "seconds", "advance(by)")


def test_what_is_refused_says_what_to_give(tmp_path):
    """In the cases that happen to people."""
    engine = Engine()
    for call, said in (
        (lambda: engine.domain.accounts("active"), "give an AccountStatus, such as AccountStatus."),
        (lambda: engine.domain.add(ACCOUNT), "give a HubSpot id as text, which is its account_id"),
        (lambda: engine.engine.sync("62515"), "give an Account, such as Account(account_id=...)"),
        (
            lambda: SqliteStores(tmp_path / "crm.db", cipher=SECRET),
            "cipher is a str; give CredentialKeys(key)",
        ),
        (
            lambda: SyncEngine(SqliteStores(tmp_path / "crm.db"), sink=MemoryActionSink),
            "sink is the class MemoryActionSink itself; give an object with a method `write`",
        ),
        (
            lambda: SyncEngine(SqliteStores(tmp_path / "crm.db"), sink=Async()),
            "sink: `write` is async, and would never be awaited",
        ),
    ):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert said in str(caught.value)
    assert isinstance(NoEncryption().seal(ACCOUNT.key, b"a"), bytes)
