"""HubSpot's side of connecting an account: where to consent, and what a code is exchanged for."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from hubspot_sync import (
    AuthorizationRevokedError,
    ConfigurationError,
    ConsentError,
    HubSpotSettings,
    HubSpotUnavailableError,
    OAuthApp,
    OAuthTokens,
)
from hubspot_sync._hubspot.credentials.connect import HubSpotOAuth
from hubspot_sync.testing import Fault, HubSpotEmulator, ManualClock

REDIRECT = "https://app.example.com/hubspot callback"


@pytest.fixture
def emulator():
    with HubSpotEmulator(contacts=1, clock=ManualClock()) as emulator:
        yield emulator


def provider(emulator, **app):
    known = {
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
        "redirect_uri": REDIRECT,
    }
    return HubSpotOAuth(
        app=OAuthApp(**{**known, **app}),
        settings=HubSpotSettings(base_url=emulator.base_url),
        clock=ManualClock(),
    )


class TestConsentUrl:
    """Where a person is sent."""

    def test_it_asks_for_what_the_app_needs(self, emulator):
        """Every part arrives at HubSpot as it was given, spaces and all."""
        url = provider(
            emulator, scopes=("oauth", "crm.objects.contacts.read"), optional_scopes=("crm.export",)
        ).consent_url("a proof&more")

        assert url.startswith("https://app.hubspot.com/oauth/authorize?")
        assert "+" not in url
        assert parse_qs(urlsplit(url).query) == {
            "client_id": [emulator.client_id],
            "redirect_uri": [REDIRECT],
            "scope": ["oauth crm.objects.contacts.read"],
            "optional_scope": ["crm.export"],
            "state": ["a proof&more"],
        }

    def test_the_secret_stays_at_home(self, emulator):
        """What a browser sees says nothing of it."""
        assert emulator.client_secret not in provider(emulator).consent_url("proof")

    def test_another_host_can_be_named(self, emulator):
        """For a data centre's own address, and for tests."""
        oauth = HubSpotOAuth(
            app=OAuthApp(client_id="a", client_secret="b", redirect_uri=REDIRECT),
            settings=HubSpotSettings(consent_url="https://app-eu1.hubspot.com/oauth/authorize/"),
            clock=ManualClock(),
        )

        assert oauth.consent_url("x").startswith("https://app-eu1.hubspot.com/oauth/authorize?")

    def test_without_a_redirect_uri_nobody_comes_back(self, emulator):
        """So nobody is sent."""
        oauth = provider(emulator, redirect_uri=None)

        with pytest.raises(ConfigurationError, match="redirect_uri"):
            oauth.consent_url("proof")
        with pytest.raises(ConfigurationError, match="redirect_uri"):
            oauth.exchange("code")
        assert emulator.calls.count() == 0


class TestExchange:
    """What a code is exchanged for."""

    def test_a_code_is_exchanged_for_tokens_and_says_whose_they_are(self, emulator):
        """The account and what was granted come with them."""
        grant = provider(emulator).exchange(emulator.issue_code(REDIRECT))

        assert grant.account_id == emulator.account_id
        assert "crm.objects.contacts.read" in grant.scopes
        assert grant.tokens.refresh_token == emulator.refresh_token
        assert grant.tokens.access_token
        assert grant.tokens.expires_at > grant.tokens.issued_at

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_code_works_once(self, emulator, times):
        """A second exchange, and one of nonsense, ask for a new consent."""
        code = emulator.issue_code(REDIRECT) if times == 2 else "canary-code"
        if times == 2:
            provider(emulator).exchange(code)

        with pytest.raises(ConsentError, match="send the person to HubSpot again") as caught:
            provider(emulator).exchange(code)

        assert caught.value.reason == "code"
        assert code not in str(caught.value)

    def test_a_code_that_has_run_out(self):
        """It too asks for a new consent, and is no mistake of the host's (HubSpot 5.6)."""
        clock = ManualClock()
        with HubSpotEmulator(clock=clock) as emulator:
            code = emulator.issue_code(REDIRECT)
            clock.advance(3600)

            with pytest.raises(ConsentError, match="EXPIRED_AUTH_CODE") as caught:
                provider(emulator).exchange(code)

        assert caught.value.reason == "code"

    def test_what_the_consent_page_gives_out(self, emulator):
        """The URL passes HubSpot's checks, and the code is of the account that was chosen."""
        oauth = provider(emulator)
        customer = emulator.add_account(installed=False)
        sent_to = emulator.consent(oauth.consent_url("a proof&more"), customer.account_id)
        answered = parse_qs(urlsplit(sent_to).query)

        grant = oauth.exchange(answered["code"][0])

        assert answered["state"] == ["a proof&more"]
        assert grant.account_id == customer.account_id

    def test_a_wrong_redirect_uri_is_the_hosts_mistake(self, emulator):
        """HubSpot compares it with the one of the consent."""
        code = emulator.issue_code("https://elsewhere.example.com/")

        with pytest.raises(ConfigurationError, match="check the redirect URI"):
            provider(emulator).exchange(code)

    def test_wrong_app_credentials_are_the_hosts_mistake(self, emulator):
        """Nobody needs to consent again for that."""
        with pytest.raises(ConfigurationError, match="client secret"):
            provider(emulator, client_secret="wrong").exchange(emulator.issue_code(REDIRECT))

    @pytest.mark.parametrize("status", [429, 477, 503])
    def test_it_is_repeated_when_hubspot_has_not_begun(self, emulator, status):
        """The code is as good as before."""
        emulator.faults.add(Fault(route="oauth", status=status))

        grant = provider(emulator).exchange(emulator.issue_code(REDIRECT))

        assert grant.account_id == emulator.account_id

    @pytest.mark.parametrize(
        "fault",
        [Fault(route="oauth", kind="reset"), Fault(route="oauth", status=500)],
        ids=["reset", "500"],
    )
    def test_it_is_not_repeated_when_the_code_may_be_used_up(self, emulator, fault):
        """The person is sent to HubSpot again instead."""
        emulator.faults.add(fault)

        with pytest.raises(HubSpotUnavailableError):
            provider(emulator).exchange(emulator.issue_code(REDIRECT))

        assert emulator.calls.count("oauth") == 1


class TestInspectAndRevoke:
    """What tokens open, and that they open nothing any more."""

    @pytest.fixture
    def tokens(self, emulator):
        return OAuthTokens(refresh_token=emulator.refresh_token)

    def test_hubspot_says_what_tokens_open(self, emulator, tokens):
        """With the names that people know."""
        grant = provider(emulator).inspect(tokens)

        assert (grant.account_id, grant.tokens) == (emulator.account_id, tokens)
        assert grant.account_name == "account-62515.example.com"
        assert grant.user == "admin@account-62515.example.com"
        assert "crm.objects.contacts.read" in grant.scopes

    def test_what_was_revoked_opens_nothing(self, emulator, tokens):
        """Revoking twice is no error, and neither is what HubSpot never knew."""
        oauth = provider(emulator)
        oauth.revoke(tokens)
        oauth.revoke(tokens)
        oauth.revoke(OAuthTokens(refresh_token="unknown"))

        with pytest.raises(AuthorizationRevokedError, match="connected again"):
            oauth.inspect(tokens)
        assert emulator.calls.count("revoke") == 3

    def test_wrong_app_credentials_are_the_hosts_mistake(self, emulator, tokens):
        """They say nothing of the account."""
        oauth = provider(emulator, client_secret="wrong")

        for ask in (oauth.inspect, oauth.revoke):
            with pytest.raises(ConfigurationError, match="client secret"):
                ask(tokens)

    def test_hubspot_has_to_say_which_account(self, emulator, tokens):
        """An answer without it is no answer."""
        emulator.faults.add(Fault(route="introspect", status=200, body={"active": True}))

        with pytest.raises(HubSpotUnavailableError, match="which account"):
            provider(emulator).inspect(tokens)

    def test_passing_trouble_is_waited_out(self, emulator, tokens):
        """For seconds, as somebody is waiting."""
        emulator.faults.add(
            Fault(route="introspect", status=503), Fault(route="revoke", status=429)
        )

        assert provider(emulator).inspect(tokens).account_id == emulator.account_id
        provider(emulator).revoke(tokens)
