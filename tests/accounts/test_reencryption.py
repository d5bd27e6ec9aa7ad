"""Keys change while syncs run, and nothing is lost."""

from __future__ import annotations

import threading

import pytest

from hubspot_sync import (
    Account,
    ConfigurationError,
    CredentialKeys,
    HubSpotSettings,
    NotConnectedError,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    StoreUnavailableError,
    SyncEngine,
)
from hubspot_sync._encryption import NoEncryption
from hubspot_sync.models import AccountKey
from hubspot_sync.stores.memory import MemoryTokenStore
from hubspot_sync.stores.mongodb import MongoStores
from hubspot_sync.stores.sqlite import SqliteStores
from kit.support import Host

OLD, NEW = CredentialKeys.generate_key(), CredentialKeys.generate_key()
ACME = Account(account_id="62515", domain_id="acme")


def token(name):
    return StaticAccessToken(access_token=f"pat-na1-{name}")


@pytest.fixture(params=["sqlite", "mongodb"])
def open_engine(request, tmp_path):
    """Opens engines on one database with the keys that are given."""
    opened = opener(request, request.param, tmp_path)
    return lambda *keys, **rest: opened(CredentialKeys(*keys), **rest)


def opener(request, store, folder):
    """Opens engines with a cipher on one database; all are closed at the end of the test."""
    uri = request.getfixturevalue("mongodb_uri") if store == "mongodb" else None

    def open_engine(cipher=None, **rest):
        if uri is None:
            stores = SqliteStores(folder / "crm.db", cipher=cipher)
        else:
            stores = MongoStores(uri, cipher=cipher)
        request.addfinalizer(stores.close)
        return SyncEngine(stores, **rest)

    return open_engine


class Vault:
    """A key provider that counts what it is asked for."""

    def __init__(self, **known):
        self.known, self.name, self.asked = known, next(iter(known), "none"), []

    def primary(self):
        return self.name

    def key(self, name):
        self.asked.append(name)
        return self.known.get(name)


def test_everything_is_sealed_again(open_engine):
    """After that the old key is not needed any more; accounts without an entry count too."""
    with open_engine(OLD) as engine:
        for number in range(450):
            engine.store_credentials(
                Account(account_id=str(number), domain_id=f"d{number % 7}"), token("a")
            )

    with open_engine(NEW, OLD) as engine:
        report = engine.reencrypt()

    assert (report.resealed, dict(report.failures), report.completed) == (450, {}, True)
    with open_engine(NEW) as engine:
        assert engine.reencrypt().resealed == 450
    with open_engine(OLD) as engine:
        assert len(engine.reencrypt().failures) == 450


def test_one_that_does_not_open_keeps_no_other_from_it(open_engine):
    """It is named, with the keys' names and without their content, and stays as it was."""
    third = CredentialKeys.generate_key()
    with open_engine(third) as engine:
        engine.store_credentials(ACME, token("lost"))
    with open_engine(OLD) as engine:
        engine.store_credentials(Account(account_id="7", domain_id="acme"), token("kept"))

    with open_engine(NEW, OLD) as engine:
        report = engine.reencrypt()

    assert report.resealed == 1
    assert list(report.failures) == [ACME.key]
    with pytest.raises(ConfigurationError, match="need the encryption key") as caught:
        report.raise_for_failure()
    assert str(CredentialKeys(third))[15:-1] in str(caught.value)
    assert not any(key in str(caught.value) for key in (OLD, NEW, third))
    with open_engine(third) as engine:
        assert engine.reencrypt().resealed == 1


def test_it_ends_when_the_engine_is_stopped(open_engine):
    """What is done is done; a later call does all."""
    with open_engine(OLD) as engine:
        engine.store_credentials(ACME, token("a"))
        engine.stop()

        report = engine.reencrypt()

    assert (report.resealed, report.completed) == (0, False)


def test_a_store_that_cannot_list_is_refused(hubspot_emulator):
    """The error says what it lacks."""

    class Plain:
        load = save = delete = None

    engine = Host(hubspot_emulator()).engine(tokens=Plain())

    with pytest.raises(ConfigurationError, match="TokenStoreAdmin"):
        engine.reencrypt()


def test_a_store_that_goes_away_ends_it(hubspot_emulator):
    """It would be the same for every account."""
    tokens = MemoryTokenStore()
    host = Host(hubspot_emulator())
    host.tokens = tokens
    host.tokens.save(ACME.key, token("a"), expected_revision=None)

    def away(*_, **__):
        raise StoreUnavailableError("away")

    tokens.load = away
    with pytest.raises(StoreUnavailableError):
        host.engine(tokens=tokens).reencrypt()


def test_rotating_while_syncs_run_loses_nothing(open_engine, hubspot_emulator):
    """Refresh tokens that change with every refresh, of accounts that are refreshed all the time.

    Some workers know the new key already and seal with the old one still; one seals all again.
    """
    emulator = hubspot_emulator(
        contacts=3, companies=3, access_token_lifetime=1.0, rotate_refresh_tokens=True
    )
    accounts = [emulator, *(emulator.add_account(contacts=3, companies=3) for _ in range(3))]
    rest = {
        "oauth_app": OAuthApp(client_id=emulator.client_id, client_secret=emulator.client_secret),
        "hubspot": HubSpotSettings(base_url=emulator.base_url),
    }
    keys = [Account(account_id=one.account_id, domain_id="acme") for one in accounts]
    with open_engine(OLD, **rest) as engine:
        for one, account in zip(accounts, keys, strict=True):
            one.access_token_lifetime = 1.0
            engine.store_credentials(account, OAuthTokens(refresh_token=one.refresh_token))
    done, errors, runs = threading.Event(), [], []

    def sync(account, *sealing):
        with open_engine(*sealing, **rest) as engine:
            while not done.is_set():
                report = engine.sync(account)
                runs.append(account.account_id)
                if report.error is not None:
                    errors.append(report.error)

    workers = [
        threading.Thread(target=sync, args=(account, *sealing))
        for account in keys
        for sealing in ((OLD, NEW), (NEW, OLD))
    ]
    for worker in workers:
        worker.start()
    try:
        with open_engine(NEW, OLD, **rest) as engine:
            reports = [engine.reencrypt()]
            while not errors and min(one.refreshes for one in accounts) < 3:
                reports.append(engine.reencrypt())
    finally:
        done.set()
        for worker in workers:
            worker.join()

    assert not errors
    assert set(runs) == {account.account_id for account in keys}
    assert all(not report.failures and report.resealed == 4 for report in reports)
    with open_engine(NEW, OLD, **rest) as engine:
        assert engine.reencrypt().resealed == 4
    with open_engine(NEW, **rest) as engine:
        assert all(engine.sync(account).completed for account in keys)


class TestKeyProvider:
    """Keys by name, from a service."""

    KEY = AccountKey("acme", "62515")

    def test_what_it_sealed_it_opens(self):
        """Each key is asked for once, and also after it changed."""
        vault = Vault(first=OLD, second=NEW)
        keys = CredentialKeys(vault)
        sealed = [keys.seal(self.KEY, b"one")]
        vault.name = "second"
        sealed.append(keys.seal(self.KEY, b"two"))

        assert [keys.open(self.KEY, one) for one in sealed] == [b"one", b"two"]
        assert vault.asked == ["first", "second"]
        assert b"first" in sealed[0]
        assert b"second" in sealed[1]

    def test_it_goes_with_keys_that_were_given_as_values(self):
        """In either direction."""
        given, provided = CredentialKeys(OLD), CredentialKeys(Vault(only=NEW))
        sealed = given.seal(self.KEY, b"one"), provided.seal(self.KEY, b"two")

        for keys in (CredentialKeys(OLD, Vault(only=NEW)), CredentialKeys(Vault(only=NEW), OLD)):
            assert [keys.open(self.KEY, one) for one in sealed] == [b"one", b"two"]

    def test_a_key_that_it_has_not_is_named(self):
        """And so is whose keys are given."""
        sealed = CredentialKeys(Vault(lost=OLD)).seal(self.KEY, b"secret")

        with pytest.raises(ConfigurationError) as caught:
            CredentialKeys(Vault(other=NEW)).open(self.KEY, sealed)

        assert "need the encryption key lost, given is what Vault has" in str(caught.value)

    @pytest.mark.parametrize("name", ["", "x" * 256, "none"])
    def test_a_primary_key_has_to_be_there_and_have_a_name(self, name):
        """The host's mistake, and said so."""
        vault = Vault(first=OLD)
        vault.name = name

        with pytest.raises(ConfigurationError, match="key provider"):
            CredentialKeys(vault).seal(self.KEY, b"secret")

    def test_what_is_no_key_is_not_shown(self):
        """Neither in the error nor in the repr."""
        with pytest.raises(ConfigurationError, match="32 bytes") as caught:
            CredentialKeys(Vault(first="canary")).seal(self.KEY, b"secret")

        assert "canary" not in str(caught.value)
        assert repr(CredentialKeys(Vault(first=OLD))) == "CredentialKeys(what Vault has)"

    def test_an_altered_name_does_not_open(self):
        """What is sealed is bound to the name of its key."""
        vault = Vault(first=OLD, furst=OLD)
        sealed = CredentialKeys(vault).seal(self.KEY, b"secret")

        with pytest.raises(Exception, match="damaged"):
            CredentialKeys(vault).open(self.KEY, sealed.replace(b"first", b"furst"))

    @pytest.mark.parametrize("end", range(9))
    def test_what_was_cut_does_not_open(self, end):
        """Wherever."""
        vault = Vault(first=OLD)
        sealed = CredentialKeys(vault).seal(self.KEY, b"secret")

        with pytest.raises(Exception, match=r"damaged|not encrypted by|need the encryption key"):
            CredentialKeys(vault).open(self.KEY, sealed[:end])


class TestWithoutCipher:
    """An engine without a cipher on a store whose credentials were stored with one."""

    @pytest.fixture
    def plain(self, open_engine, request, tmp_path):
        """Opens engines without a cipher on the database of `open_engine`."""
        return opener(request, "sqlite" if "sqlite" in request.node.name else "mongodb", tmp_path)

    @pytest.fixture
    def emulator(self, hubspot_emulator):
        return hubspot_emulator(contacts=3, companies=2)

    @pytest.fixture
    def hubspot(self, emulator):
        return HubSpotSettings(base_url=emulator.base_url, burst_limit=None, search_limit=None)

    def test_what_it_says(self, open_engine, plain, hubspot, emulator):
        """It names what is missing; an account that was never connected is still told apart."""
        with open_engine(OLD, hubspot=hubspot) as engine:
            engine.store_credentials(ACME, StaticAccessToken(access_token=emulator.access_token))

        with plain(hubspot=hubspot) as engine:
            with pytest.raises(ConfigurationError) as caught:
                engine.sync(ACME).raise_for_failure()
            with pytest.raises(NotConnectedError, match="there are no credentials"):
                engine.sync(Account(account_id="62516", domain_id="acme")).raise_for_failure()

        assert not isinstance(caught.value, NotConnectedError)
        assert (
            "credentials of account acme/62515 are stored encrypted, and this engine was given no "
            "cipher; give cipher=CredentialKeys(key)"
        ) in str(caught.value)

    def test_connecting_again(self, open_engine, plain, hubspot, emulator):
        """Credentials that are given again count in this process; what is stored stays."""
        access = StaticAccessToken(access_token=emulator.access_token)
        with open_engine(OLD, hubspot=hubspot) as engine:
            engine.store_credentials(ACME, access)

        with plain(hubspot=hubspot) as engine:
            engine.store_credentials(ACME, access)
            assert engine.sync(ACME).completed
        with open_engine(OLD, hubspot=hubspot) as engine:
            assert engine.sync(ACME).completed

    def test_credentials_in_clear(self, open_engine, plain, hubspot, emulator):
        """They are told apart from encrypted ones."""
        access = StaticAccessToken(access_token=emulator.access_token)
        with plain(hubspot=hubspot, cipher=NoEncryption()) as engine:
            engine.store_credentials(ACME, access)

        with plain(hubspot=hubspot) as engine, pytest.raises(ConfigurationError) as caught:
            engine.sync(ACME).raise_for_failure()
        assert (
            "stored in clear, and this engine was given no cipher; give cipher=NoEncryption()"
            in (str(caught.value))
        )
        with (
            open_engine(OLD, hubspot=hubspot) as engine,
            pytest.raises(ConfigurationError) as caught,
        ):
            engine.sync(ACME).raise_for_failure()
        assert "but stored in clear; open them with NoEncryption()" in str(caught.value)

    @pytest.mark.parametrize("cipher", ["key", b"key", CredentialKeys, 7])
    def test_what_is_no_cipher(self, plain, cipher):
        """It is refused before anything is opened."""
        with pytest.raises(
            ConfigurationError, match=r"cipher is .*; give (CredentialKeys|an object with methods)"
        ):
            plain(cipher=cipher)
