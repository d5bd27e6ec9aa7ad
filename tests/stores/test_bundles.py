"""Bundles of stores: what they open is closed, what a host hands in is not, parts are replaced."""

from __future__ import annotations

import pytest
from attrs import evolve
from pymongo import MongoClient

from hubspot_sync import (
    ConfigurationError,
    CredentialKeys,
    StaticAccessToken,
    Stores,
    StoreUnavailableError,
    SyncEngine,
)
from hubspot_sync.models import AccountKey
from hubspot_sync.stores import check_store_url, open_stores
from hubspot_sync.stores.memory import (
    MemoryActionSink,
    MemoryCheckpointer,
    MemoryStores,
    MemoryTokenStore,
)
from hubspot_sync.stores.mongodb import MongoDatabase, MongoStores
from hubspot_sync.stores.sqlite import SqliteDatabase, SqliteStores
from kit.scripted import ACCOUNT, Setting, record

KEY = AccountKey("acme", "62515")
TOKEN = StaticAccessToken("pat-na1-canary")


@pytest.fixture(params=["sqlite", "mongodb"])
def url(request, tmp_path):
    """Where stores are opened."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'crm.db'}"
    return request.getfixturevalue("mongodb_uri")


def is_open(stores):
    """Whether the stores still answer."""
    try:
        stores.accounts.load(KEY)
    except StoreUnavailableError:
        return False
    return True


def test_an_engine_closes_the_stores_that_it_was_given(url):
    """They were opened for it, so nobody else closes them; a second time changes nothing."""
    stores = open_stores(url)
    with SyncEngine(stores) as engine:
        assert is_open(stores)
    engine.close()

    assert not is_open(stores)
    stores.close()


def test_an_engine_that_refuses_an_argument_closes_the_stores(url):
    """Nobody got an engine to close."""
    stores = open_stores(url)

    with pytest.raises(ConfigurationError, match="settings is a str"):
        SyncEngine(stores, settings="fast")

    assert not is_open(stores)


def test_a_sqlite_database_of_the_host_stays_open(tmp_path):
    """The host opened it and closes it."""
    with SqliteDatabase(tmp_path / "crm.db") as database:
        stores = SqliteStores(database)
        with SyncEngine(stores):
            pass

        assert is_open(stores)


def test_a_client_and_a_database_of_mongodb_stay_open(mongodb_uri):
    """They may be the pool of a whole application."""
    with MongoClient(mongodb_uri) as client:
        for given in (client, MongoDatabase(client)):
            stores = MongoStores(given)
            with SyncEngine(stores):
                pass

            assert is_open(stores)


def test_a_replaced_part_is_what_the_engine_works_with(tmp_path):
    """By its name, or in a changed copy; the others stay."""
    setting = Setting([[record("1")]], [[record("2")]])
    by_name, in_a_copy = MemoryActionSink(), MemoryActionSink()
    stores = SqliteStores(tmp_path / "crm.db", clock=setting.clock)
    parts = {"clock": setting.clock, "open_source": setting.source, "observers": []}

    with SyncEngine(stores, sink=by_name, **parts) as engine:
        assert engine.sync(ACCOUNT).completed
    changed = evolve(MemoryStores(clock=setting.clock), sink=in_a_copy)
    with SyncEngine(changed, **parts) as engine:
        assert engine.sync(ACCOUNT).completed

    assert [one.object_id for one in by_name.actions] == ["1"]
    assert in_a_copy.actions
    assert changed.close is not stores.close


def test_a_copy_closes_what_the_bundle_opened(tmp_path):
    """The database is the same."""
    stores = SqliteStores(tmp_path / "crm.db")

    with SyncEngine(evolve(stores, sink=MemoryActionSink())):
        pass

    assert not is_open(stores)


def test_a_host_brings_all_parts():
    """Those that may be left out are, and nothing is closed."""
    stores = Stores(
        tokens=MemoryTokenStore(), sink=MemoryActionSink(), checkpointer=MemoryCheckpointer()
    )

    with SyncEngine(stores) as engine:
        engine.store_credentials(ACCOUNT, TOKEN)
        with pytest.raises(ConfigurationError, match="no account store"):
            engine.sync_due()

    assert repr(engine) == (
        "SyncEngine(Stores(tokens=MemoryTokenStore, sink=MemoryActionSink, "
        "checkpointer=MemoryCheckpointer))"
    )


def test_credentials_are_stored_with_a_cipher_only(url):
    """Without one they end with the process, and another process's are refused by name."""
    keys = CredentialKeys(CredentialKeys.generate_key())
    without, sealed = open_stores(url), open_stores(url, cipher=keys)

    without.tokens.save(KEY, TOKEN, expected_revision=None)
    assert sealed.tokens.load(KEY) is None
    sealed.tokens.save(KEY, TOKEN, expected_revision=None)

    again = open_stores(url, cipher=keys)
    assert again.tokens.load(KEY).credentials == TOKEN
    another = open_stores(url)
    with pytest.raises(ConfigurationError, match="this engine was given no cipher"):
        another.tokens.load(KEY)
    for stores in (without, sealed, again, another):
        stores.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "postgresql://user:geheim@host/crm",
            "'postgresq'.*for sqlite:, mongodb: and mongodb",
        ),
        ("redis://x", "give sqlite:///crm.db, sqlite:////var/lib/crm.db or mongodb://host/"),
        ("crm.db", "begins 'crm.db'"),
        ("mongodb:host", "begins 'mongodb:h'"),
        ("sqlite:///", "names no file that stays"),
        ("sqlite:///:memory:", "names no file that stays"),
        ("sqlite:///crm.db?mode=ro", "names no file that stays, or more than a file"),
        ("", "no store is given"),
        (None, "is a NoneType; give sqlite:"),
        (MemoryStores, "is a function; give sqlite:"),
    ],
)
def test_a_url_of_no_store(url, message):
    """The error says which there are, and never repeats a password."""
    for check in (check_store_url, open_stores):
        with pytest.raises(ConfigurationError, match=message) as caught:
            check(url)
        assert "geheim" not in str(caught.value)


def test_the_scheme_of_a_url_goes_in_capitals_too(mongodb_uri, tmp_path):
    """As URLs do; the driver alone would refuse it."""
    for url in (mongodb_uri.replace("mongodb", "MongoDB", 1), f"SQLite:///{tmp_path / 'a.db'}"):
        stores = open_stores(url)

        assert is_open(stores)
        stores.close()


def test_a_mongodb_server_that_is_away_is_told_at_once():
    """Before an engine is made."""
    with pytest.raises(StoreUnavailableError):
        open_stores("mongodb://127.0.0.1:1/crm?serverSelectionTimeoutMS=100")
