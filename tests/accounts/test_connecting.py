"""Accounts are connected by those who may, to the domain that asked, and disconnected."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest

from hubspot_sync import (
    Account,
    AccountStatus,
    AuthorizationRevokedError,
    ConfigurationError,
    ConsentError,
    CredentialKeys,
    HubSpotUnavailableError,
    NotConnectedError,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    StoreUnavailableError,
    StreamSettings,
    UnknownAccountError,
    WrongAccountError,
)
from hubspot_sync.models import DEFAULT_SCOPES, AccountKey
from hubspot_sync.stores.memory import MemoryAccountStore, MemoryNonceStore
from hubspot_sync.stores.sqlite import SqliteDatabase, SqliteTokenStore
from hubspot_sync.testing import Fault
from kit.support import ACCOUNT, Host

CONTACTS_ONLY = (StreamSettings(object_type="contacts"),)
DEALS = StreamSettings(object_type="deals")
ACME = AccountKey("acme", "62515")


class Tenants(Host):
    """A host whose tenants connect their accounts themselves."""

    def __init__(self, emulator):
        self._database = None
        super().__init__(emulator)
        self.tokens.delete(ACME)
        self.accounts, self.nonces = MemoryAccountStore(), MemoryNonceStore(clock=self.clock)
        self.oauth_app = OAuthApp(
            client_id=emulator.client_id,
            client_secret=emulator.client_secret,
            redirect_uri="https://app.example.com/hubspot",
        )

    def engine(self, **parts):
        return super().engine(**{"accounts": self.accounts, "nonces": self.nonces, **parts})

    def domain(self, name="acme", **parts):
        return self.engine(**parts).domain(name)

    def answer(self, url, account_id=None, *, allow=True):
        """What a person brings back from HubSpot."""
        back = dict(parse_qsl(urlsplit(self.emulator.consent(url, account_id, allow=allow)).query))
        back.pop("error_description", None)
        return back

    def connected(self, domain_id="acme", account_id=None, **wishes):
        """An account, connected by OAuth."""
        domain = self.domain(domain_id)
        answer = self.answer(domain.authorization_url(), account_id)
        return domain.finish_authorization(**answer, **wishes)

    def lose_key(self):
        """All that is stored was sealed under another key than the one that is given."""
        database = self._database = SqliteDatabase(":memory:")
        lost, present = (CredentialKeys(CredentialKeys.generate_key()) for _ in range(2))
        credentials = self.tokens.load(ACME).credentials
        SqliteTokenStore(database, lost).save(ACME, credentials, expected_revision=None)
        self.tokens = SqliteTokenStore(database, present)

    def close(self):
        """Close what was opened."""
        if self._database is not None:
            self._database.close()

    def kept(self, key=ACME):
        """The credentials and the entry of an account."""
        return self.tokens.load(key), self.accounts.load(key)


@pytest.fixture
def emulator(hubspot_emulator):
    return hubspot_emulator(contacts=5, companies=3, installed=False)


@pytest.fixture
def tenants(emulator):
    with closing(Tenants(emulator)) as tenants:
        yield tenants


class TestConnectingByOAuth:
    """A person consents, and the account is there."""

    def test_an_account_is_connected_and_synced(self, tenants):
        """By what HubSpot says that it is; it is due at once."""
        entry = tenants.connected()

        assert entry.account == Account(account_id="62515", domain_id="acme")
        assert (entry.status, entry.reason) == (AccountStatus.ACTIVE, None)
        assert entry.name == "account-62515.example.com"
        assert set(entry.scopes) == set(DEFAULT_SCOPES)
        assert entry.next_sync_at == entry.status_since == tenants.clock.now()
        assert entry == tenants.domain().account("62515")
        assert tenants.domain().sync("62515").completed
        assert len(tenants.sink.actions) == 8

    def test_the_default_scopes_are_all_that_it_takes(self, hubspot_emulator):
        """An app at HubSpot that has the documented ones and no others."""
        documented = ["oauth", "crm.objects.companies.read", "crm.objects.contacts.read"]
        emulator = hubspot_emulator(contacts=5, companies=3, installed=False, app_scopes=documented)

        with closing(Tenants(emulator)) as tenants:
            entry = tenants.connected()

            assert set(entry.scopes) == set(DEFAULT_SCOPES) == set(documented)
            assert tenants.domain().sync("62515").completed
            assert len(tenants.sink.actions) == 8

    def test_what_the_host_wishes_is_kept(self, tenants):
        """What to read, how often, and what people call it."""
        entry = tenants.connected(
            streams=CONTACTS_ONLY, sync_every=timedelta(hours=1), name="Acme Ltd"
        )

        assert entry.account.streams == CONTACTS_ONLY
        assert (entry.account.sync_every, entry.name) == (timedelta(hours=1), "Acme Ltd")

    def test_connecting_again_keeps_what_was_set(self, tenants):
        """Streams and rhythm stay; a failed account is active and due."""
        tenants.connected(streams=CONTACTS_ONLY, sync_every=timedelta(hours=1))
        tenants.emulator.revoke_access()
        tenants.clock.advance(timedelta(hours=1))
        tenants.domain().sync("62515")
        assert tenants.domain().account("62515").status is AccountStatus.NEEDS_REAUTHORIZATION

        entry = tenants.connected()

        assert entry.account.streams == CONTACTS_ONLY
        assert entry.account.sync_every == timedelta(hours=1)
        assert (entry.status, entry.reason, entry.failed_runs) == (AccountStatus.ACTIVE, None, 0)
        assert entry.next_sync_at == tenants.clock.now()
        assert tenants.domain().sync("62515").completed

    def test_connecting_again_after_the_key_was_lost(self, tenants):
        """What nobody can open is replaced."""
        tenants.connected()
        tenants.lose_key()
        with pytest.raises(ConfigurationError, match="need the encryption key"):
            tenants.domain().sync("62515")

        tenants.connected()

        assert tenants.domain().sync("62515").completed

    def test_what_was_paused_stays_paused(self, tenants):
        """Consent is the customer's, pausing the host's."""
        tenants.connected()
        tenants.domain().pause("62515", reason="unpaid")

        entry = tenants.connected()

        assert (entry.status, entry.reason) == (AccountStatus.PAUSED, "unpaid")

    def test_what_was_disconnected_is_active_again(self, tenants):
        """A person consented again."""
        tenants.connected()
        tenants.domain().disconnect("62515")

        assert tenants.connected().status is AccountStatus.ACTIVE
        assert tenants.domain().sync("62515").completed

    def test_two_domains_may_connect_the_same_account(self, tenants):
        """Each has an entry, tokens and settings of its own."""
        tenants.connected("acme", streams=CONTACTS_ONLY)
        tenants.connected("globex")

        acme, globex = (tenants.domain(name).account("62515") for name in ("acme", "globex"))
        assert (len(acme.account.streams), len(globex.account.streams)) == (1, 2)
        tenants.domain("globex").disconnect("62515", revoke=False)
        assert tenants.domain("acme").sync("62515").completed

    def test_the_names_may_be_missing(self, tenants):
        """What HubSpot says with the tokens is enough."""
        tenants.emulator.faults.add(Fault(route="introspect", status=500, times=None))

        entry = tenants.connected()

        assert (entry.key, entry.name) == (ACME, None)
        assert entry.scopes

    def test_whose_tokens_they_are_may_come_later(self, tenants):
        """Older versions of the endpoint say it only when they are asked."""
        body = {"access_token": "a", "refresh_token": tenants.emulator.refresh_token}
        tenants.emulator.faults.add(Fault(route="oauth", status=200, body=body))
        url = tenants.domain().authorization_url()
        answer = tenants.answer(url)
        tenants.emulator.faults.clear()
        tenants.emulator.grant_access(DEFAULT_SCOPES)
        tenants.emulator.faults.add(Fault(route="oauth", status=200, body=body))

        entry = tenants.domain().finish_authorization(**answer)

        assert entry.key == ACME
        assert set(entry.scopes) == set(DEFAULT_SCOPES)

    def test_without_an_app_nobody_is_sent(self, tenants):
        """The error says what to give."""
        with pytest.raises(ConfigurationError, match="nonces="):
            tenants.domain(nonces=None).authorization_url()
        tenants.oauth_app = None
        with pytest.raises(ConfigurationError, match="oauth_app="):
            tenants.domain().authorization_url()

    def test_wrong_wishes_are_refused_before_anything_is_kept(self, tenants):
        """They are the host's mistake."""
        with pytest.raises(ConfigurationError, match="at least one stream"):
            tenants.connected(streams=())

        assert tenants.kept() == (None, None)


class TestScopes:
    """What was granted is compared with what the streams need."""

    def granted(self, tenants, *scopes, streams=None):
        tenants.oauth_app = OAuthApp(
            client_id=tenants.emulator.client_id,
            client_secret=tenants.emulator.client_secret,
            redirect_uri="https://app.example.com/hubspot",
            scopes=("oauth", *scopes),
        )
        return tenants.connected(streams=streams)

    def test_some_streams_may_lack_one(self, tenants):
        """The account is synced, and its entry says what is not."""
        entry = self.granted(tenants, "crm.objects.contacts.read")

        assert entry.status is AccountStatus.ACTIVE
        assert entry.reason == (
            "companies cannot be read until crm.objects.companies.read is granted"
        )
        assert len(tenants.domain().sync("62515").streams) == 2

    def test_an_account_of_which_nothing_can_be_read_waits(self, tenants):
        """Its tokens are kept; a person has to grant more."""
        entry = self.granted(tenants, "crm.objects.owners.read")

        assert entry.status is AccountStatus.NEEDS_REAUTHORIZATION
        assert "companies cannot be read" in entry.reason
        assert "contacts cannot be read" in entry.reason
        assert entry.next_sync_at is None
        assert tenants.tokens.load(ACME)

    def test_nothing_is_said_of_what_is_not_known_for_sure(self, tenants):
        """HubSpot itself says it when the stream is read."""
        entry = self.granted(tenants, streams=(DEALS,))

        assert (entry.status, entry.reason) == (AccountStatus.ACTIVE, None)


class TestRefusals:
    """Nothing is connected, and nothing that was there is touched."""

    def refusal(self, domain, **answer):
        with pytest.raises(ConsentError) as caught:
            domain.finish_authorization(**answer)
        return caught.value.reason

    def test_an_altered_one(self, tenants):
        """Whatever a browser made of it."""
        domain = tenants.domain()
        answer = tenants.answer(domain.authorization_url())

        changed = {**answer, "state": f"{answer['state'][:-1]}!"}
        assert self.refusal(domain, **changed) == "altered"
        assert tenants.kept() == (None, None)

    def test_a_replayed_one(self, tenants):
        """Also in another process."""
        domain = tenants.domain()
        answer = tenants.answer(domain.authorization_url())
        domain.finish_authorization(**answer)
        before = tenants.kept()

        assert self.refusal(tenants.domain(), **answer) == "used"
        assert before == tenants.kept()

    def test_one_that_is_out_of_date(self, tenants):
        """Ten minutes are enough to consent."""
        domain = tenants.domain()
        answer = tenants.answer(domain.authorization_url())
        tenants.clock.advance(timedelta(minutes=10))

        assert self.refusal(domain, **answer) == "expired"

    def test_one_that_another_domain_asked_for(self, tenants):
        """Neither can connect the other's account, nor use its consent up."""
        answer = tenants.answer(tenants.domain("globex").authorization_url())

        assert self.refusal(tenants.domain("acme"), **answer) == "other_domain"
        assert tenants.kept() == (None, None)
        assert tenants.domain("globex").finish_authorization(**answer).key.domain_id == "globex"

    def test_another_tenants_code_with_a_state_of_ones_own_is_worth_nothing_twice(self, tenants):
        """Whose code was used first has the account; the other one learns nothing."""
        globex = tenants.answer(tenants.domain("globex").authorization_url())
        tenants.domain("globex").finish_authorization(**globex)
        acme = tenants.answer(tenants.domain("acme").authorization_url())

        reason = self.refusal(tenants.domain("acme"), code=globex["code"], state=acme["state"])
        assert reason == "code"
        assert tenants.kept() == (None, None)

    def test_one_who_says_no(self, tenants, caplog):
        """Is taken at their word."""
        domain = tenants.domain()
        answer = tenants.answer(domain.authorization_url(), allow=False)

        assert answer["error"] == "access_denied"
        assert self.refusal(domain, **answer) == "denied"
        assert self.refusal(domain, **answer) == "used"

    def test_what_a_browser_brings_is_not_repeated(self, tenants):
        """It might be written into a page."""
        domain = tenants.domain()
        answer = tenants.answer(domain.authorization_url())

        with pytest.raises(ConsentError) as caught:
            domain.finish_authorization(state=answer["state"], error="<script>alert(1)</script>")
        assert "script" not in str(caught.value)

    def test_neither_a_code_nor_an_error(self, tenants):
        """Somebody opened the address by hand."""
        domain = tenants.domain()
        answer = tenants.answer(domain.authorization_url())

        assert self.refusal(domain, state=answer["state"]) == "code"

    def test_another_account_than_was_to_be_connected_again(self, tenants):
        """Nothing is overwritten, of neither of them."""
        other = tenants.emulator.add_account("7", contacts=1)
        tenants.connected()
        before = tenants.kept()
        domain = tenants.domain()
        answer = tenants.answer(domain.authorization_url("62515"), other.account_id)

        with pytest.raises(WrongAccountError, match="account 7 was opened, not 62515"):
            domain.finish_authorization(**answer)

        assert before == tenants.kept()
        assert tenants.kept(AccountKey("acme", "7")) == (None, None)
        assert domain.sync("62515").completed

    def test_the_very_account_is_connected_again(self, tenants):
        """As asked for."""
        tenants.connected()
        tenants.clock.advance(1)
        domain = tenants.domain()

        entry = domain.finish_authorization(
            **tenants.answer(domain.authorization_url("62515"), "62515")
        )
        assert entry.status_since == tenants.clock.now()

    def test_an_account_that_is_not_there_cannot_be_connected_again(self, tenants):
        """Least of all another domain's."""
        tenants.connected("globex")

        with pytest.raises(UnknownAccountError):
            tenants.domain("acme").authorization_url("62515")

    @pytest.mark.parametrize("kind", ["reset", "status"])
    def test_when_hubspot_is_away_a_new_consent_is_needed(self, tenants, kind):
        """The code may be used up, and the state is."""
        domain = tenants.domain()
        answer = tenants.answer(domain.authorization_url())
        status = 500 if kind == "status" else None
        tenants.emulator.faults.add(Fault(route="oauth", kind=kind, status=status))

        with pytest.raises(HubSpotUnavailableError):
            domain.finish_authorization(**answer)

        assert tenants.kept() == (None, None)
        assert self.refusal(domain, **answer) == "used"
        assert tenants.connected().status is AccountStatus.ACTIVE


class TestOtherCredentials:
    """What a host was given in another way."""

    def test_a_static_access_token(self, tenants):
        """HubSpot is asked which account it opens; its scopes are not known."""
        token = StaticAccessToken(access_token=tenants.emulator.access_token)

        entry = tenants.domain().connect(token, streams=CONTACTS_ONLY, name="Acme")

        assert (entry.key, entry.name, entry.scopes) == (ACME, "Acme", ())
        assert entry.next_sync_at == tenants.clock.now()
        assert tenants.domain().sync("62515").completed

    def test_one_of_another_account(self, tenants):
        """Is refused, with nothing stored."""
        token = StaticAccessToken(access_token=tenants.emulator.access_token)

        with pytest.raises(WrongAccountError, match="account 62515 was opened, not 7"):
            tenants.domain().connect(token, account_id="7")

        assert tenants.kept() == (None, None)
        assert tenants.kept(AccountKey("acme", "7")) == (None, None)

    def test_one_that_hubspot_does_not_take(self, tenants):
        """Is refused, with nothing stored, and not repeated."""
        token = StaticAccessToken(access_token="canary-wrong")

        with pytest.raises(AuthorizationRevokedError) as caught:
            tenants.domain().connect(token, account_id="62515")

        assert "canary" not in str(caught.value)
        assert tenants.kept() == (None, None)

    def test_one_without_the_scope_to_say_whose_it_is(self, tenants, caplog):
        """The host has to say it then."""
        tenants.emulator.scopes = {"crm.objects.contacts.read"}
        token = StaticAccessToken(access_token=tenants.emulator.access_token)

        with pytest.raises(ConfigurationError, match="give account_id"):
            tenants.domain().connect(token)
        with caplog.at_level(logging.WARNING, "hubspot_sync"):
            entry = tenants.domain().connect(token, account_id="62515")

        assert entry.key == ACME
        assert "not proved to be this account" in caplog.text

    def test_one_that_hubspot_cannot_read(self, tenants):
        """It does not find out where to go, however often it is asked."""
        tenants.emulator.shared_faults.add(
            Fault(kind="html", route="account", status=530, times=None)
        )
        token = StaticAccessToken(access_token=tenants.emulator.access_token)

        with pytest.raises(AuthorizationRevokedError, match="copied whole"):
            tenants.domain().connect(token)

    def test_hubspot_may_be_away(self, tenants):
        """For a moment it is waited for, and not for minutes."""
        token = StaticAccessToken(access_token=tenants.emulator.access_token)
        tenants.emulator.faults.add(Fault(route="account", status=503))
        assert tenants.domain().connect(token).key == ACME
        tenants.emulator.faults.add(Fault(route="account", status=503, times=None))
        with pytest.raises(HubSpotUnavailableError):
            tenants.domain().connect(token)

        assert sum(tenants.clock.waits) < 20

    def test_oauth_tokens_of_a_consent_of_the_hosts_own(self, tenants):
        """HubSpot is asked what they open."""
        tenants.emulator.grant_access(DEFAULT_SCOPES)
        tokens = OAuthTokens(refresh_token=tenants.emulator.refresh_token)

        entry = tenants.domain().connect(tokens)

        assert entry.key == ACME
        assert set(entry.scopes) == set(DEFAULT_SCOPES)
        assert entry.name == "account-62515.example.com"
        assert tenants.domain().sync("62515").completed

    @pytest.mark.parametrize("wrong", ["canary-pat-na1", None, {"access_token": "canary-pat-na1"}])
    def test_what_are_no_credentials(self, tenants, wrong):
        """Are refused at once, by a domain and by the engine, and not shown."""
        for connect in (
            tenants.domain().connect,
            partial(tenants.engine().store_credentials, ACCOUNT),
        ):
            with pytest.raises(
                ConfigurationError, match=r"StaticAccessToken\(.*OAuthTokens\("
            ) as told:
                connect(wrong)
            assert "canary" not in str(told.value)

        assert tenants.kept() == (None, None)

    def test_oauth_tokens_that_open_nothing(self, tenants):
        """Are refused, with nothing stored."""
        with pytest.raises(AuthorizationRevokedError, match="connected again"):
            tenants.domain().connect(OAuthTokens(refresh_token="canary-unknown"))

        assert tenants.kept() == (None, None)


class TestDisconnecting:
    """HubSpot is told, and what opened the account is forgotten."""

    def test_it_is_not_resumed_but_connected_again(self, tenants):
        """Nothing could open it, so it would fail at every sync."""
        tenants.connected()
        domain = tenants.domain()
        before = domain.disconnect("62515")

        for what in (domain.resume, domain.sync):
            with pytest.raises(
                NotConnectedError, match=r"disabled \(disconnected\).*connect it again"
            ):
                what("62515")

        assert domain.account("62515") == before
        assert tenants.connected().status is AccountStatus.ACTIVE
        assert domain.sync("62515").completed

    def test_it_is_not_resumed_while_it_is_disconnected(self, tenants):
        """Credentials that were there when somebody looked may be gone when the entry is saved."""
        tenants.connected()
        domain = tenants.domain()
        domain.disable("62515")
        load, rest = tenants.tokens.load, [lambda: domain.disconnect("62515", revoke=False)]

        def load_then_disconnect(account):
            found = load(account)
            if rest:
                rest.pop()()
            return found

        tenants.tokens.load = load_then_disconnect
        with pytest.raises(NotConnectedError):
            domain.resume("62515")

        assert domain.account("62515").reason == "disconnected"

    def test_credentials_that_nobody_here_can_open_are_credentials(self, tenants):
        """Another process may have the key; the next sync says which is missing here."""
        tenants.connected()
        tenants.lose_key()
        tenants.domain().disable("62515")

        assert tenants.domain().resume("62515").status is AccountStatus.ACTIVE

    def test_it_is_revoked_and_forgotten(self, tenants):
        """The entry stays, and says so."""
        tenants.connected()

        entry = tenants.domain().disconnect("62515")

        assert (entry.status, entry.reason) == (AccountStatus.DISABLED, "disconnected")
        assert entry.next_sync_at is None
        assert tenants.tokens.load(ACME) is None
        assert tenants.emulator.calls.count("revoke") == 1
        with pytest.raises(NotConnectedError, match="disconnected"):
            tenants.domain().sync("62515")

    def test_twice_does_what_is_left(self, tenants):
        """And tells HubSpot once."""
        tenants.connected()
        tenants.domain().disconnect("62515")

        assert tenants.domain().disconnect("62515").reason == "disconnected"
        assert tenants.emulator.calls.count("revoke") == 1

    def test_when_hubspot_cannot_be_told_a_person_has_to(self, tenants):
        """The tokens are forgotten nevertheless."""
        tenants.connected()
        tenants.emulator.faults.add(Fault(route="revoke", status=503, times=None))

        entry = tenants.domain().disconnect("62515")

        assert entry.status is AccountStatus.DISABLED
        assert "uninstall the app there" in entry.reason
        assert tenants.tokens.load(ACME) is None

    def test_a_static_access_token_is_only_forgotten(self, tenants):
        """There is nobody to tell."""
        token = StaticAccessToken(access_token=tenants.emulator.access_token)
        tenants.domain().connect(token)

        entry = tenants.domain().disconnect("62515")

        assert entry.reason == "disconnected"
        assert tenants.tokens.load(ACME) is None
        assert tenants.emulator.calls.count("revoke") == 0

    def test_a_running_sync_ends_when_it_needs_a_new_access_token(self, tenants):
        """And says why."""
        tenants.connected()
        source = tenants.source(tenants.domain().account("62515").account)
        source.identify()
        tenants.domain().disconnect("62515")
        tenants.clock.advance(timedelta(minutes=30))

        with pytest.raises(ConfigurationError, match="were removed"):
            source.identify()

    def test_what_no_key_opens_is_forgotten_too(self, tenants):
        """Then a person has to tell HubSpot."""
        tenants.connected()
        tenants.lose_key()

        entry = tenants.domain().disconnect("62515")

        assert entry.status is AccountStatus.DISABLED
        assert "uninstall the app there" in entry.reason
        assert tenants.tokens.load(ACME) is None

    def test_somebody_connects_it_at_the_same_moment(self, tenants):
        """An account whose new tokens were forgotten is not left active without any."""
        tenants.connected()
        find = tenants.tokens.load

        def load(account):
            tenants.tokens.load = find
            tenants.connected()
            return find(account)

        tenants.tokens.load = load
        tenants.domain().disconnect("62515")

        credentials, entry = tenants.kept()
        assert (credentials, entry.status) == (None, AccountStatus.DISABLED)
        assert tenants.connected().status is AccountStatus.ACTIVE


class TestStoresThatAreAway:
    """What a person consented to is not lost for a moment's outage."""

    def test_they_are_waited_for(self, tenants):
        """Each of them."""
        away = [self.once(tenants.tokens, "save"), self.once(tenants.accounts, "save")]

        assert tenants.connected().key == ACME
        assert away == [["away"], ["away"]]

    def test_and_not_for_ever(self, tenants):
        """The host hears of it."""
        self.once(tenants.tokens, "save", times=1_000)

        with pytest.raises(StoreUnavailableError):
            tenants.connected()
        assert tenants.accounts.load(ACME) is None

    def once(self, store, method, times=1):
        plain, raised = getattr(store, method), []

        def away(*arguments, **named):
            if len(raised) < times:
                raised.append("away")
                raise StoreUnavailableError("away")
            return plain(*arguments, **named)

        setattr(store, method, away)
        return raised


BROWSER = {
    "no state": ({"state": None}, "altered"),
    "an empty state": ({"state": ""}, "altered"),
    "a state without a dot": ({"state": "x"}, "altered"),
    "a state of 5 MB": ({"state": "x" * 5_000_000}, "altered"),
    "a state that is no well-formed text": ({"state": "\ud800.\0"}, "altered"),
    "no code": ({"code": None}, "code"),
    "an empty code": ({"code": ""}, "code"),
    "a code of 5 MB": ({"code": "x" * 5_000_000}, "code"),
    "a code that is no well-formed text": ({"code": "\ud800"}, "code"),
    "a code with a line break": ({"code": "a\r\nb"}, "code"),
    "an empty error": ({"error": ""}, "denied"),
    "an error of 5 MB": ({"error": "x" * 5_000_000}, "denied"),
    "an error that is no well-formed text": ({"error": "\ud800"}, "denied"),
}


@pytest.mark.parametrize("wrong", BROWSER)
def test_what_a_browser_may_bring(tenants, wrong):
    """Whoever can type a URL can send it; it connects nothing, and the person is sent back."""
    changes, reason = BROWSER[wrong]
    domain = tenants.domain()
    answer = tenants.answer(domain.authorization_url())

    with pytest.raises(ConsentError) as caught:
        domain.finish_authorization(**{**answer, **changes})

    assert caught.value.reason == reason
    assert len(str(caught.value)) < 300
    assert list(domain.accounts()) == []


@pytest.mark.parametrize("parameter", ["state", "code", "error"])
@pytest.mark.parametrize(
    "given", [["x"], b"x", 5, {"x": 1}, True, object()], ids=lambda given: type(given).__name__
)
def test_what_a_browser_cannot_bring(tenants, parameter, given):
    """Such as what `parse_qs` gives: the host's own mistake, and the state is not used up."""
    domain = tenants.domain()
    answer = tenants.answer(domain.authorization_url())

    with pytest.raises(ConfigurationError, match=f"{parameter} is an? .*; give one text"):
        domain.finish_authorization(**{**answer, parameter: given})

    assert domain.finish_authorization(**answer).account.account_id == "62515"


def test_an_account_that_is_asked_for_by_a_number(tenants):
    """It is the same account when the person comes back."""
    tenants.connected()
    domain = tenants.domain()

    answer = tenants.answer(domain.authorization_url(62515))

    assert domain.finish_authorization(**answer).account.account_id == "62515"
    token = StaticAccessToken(access_token=tenants.emulator.access_token)
    assert domain.connect(token, account_id=62515).account.account_id == "62515"
