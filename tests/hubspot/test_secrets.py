"""Nothing that leaves the door to HubSpot shows a secret, whoever says it and however."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import parse_qs, quote

import pytest

from hubspot_sync import (
    ConfigurationError,
    HubSpotSettings,
    HubSpotSyncError,
    HubSpotUnavailableError,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
)
from hubspot_sync._hubspot.calls.secrets import Mask, Secret
from hubspot_sync._hubspot.calls.transport import Transport
from hubspot_sync._hubspot.credentials.connect import HubSpotOAuth, HubSpotProbe
from hubspot_sync.testing import ManualClock
from kit.shown import everything_in, only_ours
from kit.support import ACCOUNT, Host
from kit.wire import Wire, answering, http

ACCESS, REFRESH = "pat-canary-access/token", "na1-canary-refresh"
SECRET, CODE = "canary-client-secret", "canary-code"
FAST = {"read_timeout": timedelta(milliseconds=300)}
ALL = (ACCESS, REFRESH, SECRET, CODE)
BAD = [
    "canary\n",
    "canary\r\nX-Evil: 1",
    "canary\x00",
    "can\x1b[31mary",
    "canaryé",
    "canary\u2028x",
    "\t",
]


def spellings(secret):
    """How an answer may quote *secret*."""
    escaped = "".join(f"\\u{ord(one):04X}" for one in secret)
    return [
        secret,
        secret.replace("/", "\\/"),
        escaped,
        escaped.replace("\\", "\\\\"),
        quote(secret, safe=""),
        quote(quote(secret, safe=""), safe=""),
        "".join(f"%{ord(one):02x}" for one in secret),
        "".join(f"&#x{ord(one):x};" for one in secret),
        secret.upper(),
    ]


@pytest.mark.parametrize("secret", ALL)
def test_every_spelling_is_hidden(secret):
    """In text and in bytes."""
    mask = Mask([secret, ""])
    for spelling in spellings(secret):
        assert mask.words(f"<{spelling}>") == "<[hidden]>"
        assert mask.content(f"<{spelling}>".encode()) == b"<[hidden]>"


def test_hiding_takes_no_longer_for_hostile_text():
    """A row of backslashes, or of escaped percent signs, a megabyte long."""
    mask = Mask([ACCESS])
    for text in ("\\" * 1_000_000, "%25" * 300_000, "&#x0000" * 150_000):
        assert mask.words(text) == text


def test_without_secrets_nothing_is_hidden():
    """An empty one is everywhere."""
    assert Mask([""]).words("as it is") == "as it is"


def test_a_secret_shows_nowhere():
    """Neither alone nor in something else."""
    secret = Secret(ACCESS)
    assert "canary" not in f"{secret} {secret!r} {[secret]} {secret!s:>20}"
    assert secret.reveal() == ACCESS
    assert secret == Secret(ACCESS) != Secret(REFRESH)


@pytest.mark.parametrize("index", range(9))
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 407, 429, 488, 500])
def test_what_a_refusal_quotes_is_hidden(status, index, caplog):
    """In the body, and in each header that is looked at."""
    quoted = spellings(ACCESS)[index]
    words = "message", "category", "policyName", "correctHublet", "correlationId", "requiredScopes"
    parts = ", ".join(f'"{word}": ["{quoted}"]' for word in words)
    texts = ", ".join(f'"{word}": "{quoted}"' for word in words)
    refusal = http(
        f'{{{texts}, "errors": [{{"context": {{{parts}}}}}]}}'.encode(),
        f"X-HubSpot-Correlation-Id: {quoted}",
        f"Location: https://x.example/{quoted}?{quoted}",
        f"Retry-After: {quoted}",
        status=f"{status} {quoted}",
    )
    with Wire(answering(refusal)) as server:
        probe = HubSpotProbe(settings=settings_for(server), clock=ManualClock())
        with pytest.raises(HubSpotSyncError) as caught:
            probe(StaticAccessToken(access_token=ACCESS))
    shown = everything_in(caught.value) + caplog.text + repr(vars(caught.value))
    assert quoted not in shown
    assert "canary" not in shown.lower()
    assert only_ours(caught.value)


def test_quoted_words_are_one_printable_line():
    """No colours for a terminal, and no lines of their own in a log."""
    evil = "a\x1b[31mb\nc\x00d\u202ee"
    body = json.dumps({"message": evil, "category": evil, "correlationId": evil}).encode()
    with Wire(answering(http(body, status="400 No"))) as server:
        probe = HubSpotProbe(settings=settings_for(server), clock=ManualClock())
        with pytest.raises(HubSpotSyncError) as caught:
            probe(StaticAccessToken(access_token=ACCESS))
    assert str(caught.value).isprintable()
    assert caught.value.correlation_id.isprintable()
    assert caught.value.category.isprintable()


def settings_for(server, **settings):
    """Settings for a server of the test's."""
    return HubSpotSettings(base_url=server.url, max_tries=1, **settings)


def oauth_host(emulator, server):
    """A host whose account has OAuth tokens."""
    host = Host(emulator)
    host.hubspot = settings_for(server)
    host.oauth_app = OAuthApp(
        client_id="app", client_secret=SECRET, redirect_uri="https://h.example"
    )
    tokens = OAuthTokens(refresh_token=REFRESH)
    host.tokens.save(ACCOUNT.key, tokens, expected_revision=1)
    return host


def echo(status):
    """Answer each request with its own head and body."""

    def serve(wire, connection):
        sent = connection.recv(65536)
        body = json.dumps({"message": sent.decode(), "status": sent.decode()}).encode()
        connection.sendall(http(body, status=status))

    return serve


def cut(_wire, connection):
    """Break off in the middle of an answer."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")


def silent(wire, connection):
    """Answer nothing."""
    connection.recv(65536)
    wire.over.wait()


TROUBLE = {
    "a refusal": echo("400 No"),
    "401": echo("401 No"),
    "an outage": echo("503 No"),
    "no JSON": answering(http(b"<html>" + ACCESS.encode())),
    "a list": answering(http(b"[]")),
    "tokens of odd types": answering(
        http(json.dumps({"access_token": [ACCESS], "refresh_token": REFRESH}).encode())
    ),
    "a token that cannot be sent": answering(
        http(json.dumps({"access_token": f"{ACCESS}\n", "refresh_token": REFRESH}).encode())
    ),
    "a cut": cut,
    "no answer": silent,
}


any_trouble = pytest.mark.parametrize("trouble", TROUBLE)
# An account call, or a probe, never gets tokens.
other_trouble = pytest.mark.parametrize("trouble", [one for one in TROUBLE if "token" not in one])


class TestTracebacks:
    """A collector of errors takes every local variable along, of the whole chain."""

    def check(self, trouble, ask, caplog, **settings):
        """Let *ask* fail at a server with *trouble*."""
        with Wire(TROUBLE[trouble]) as server, pytest.raises(HubSpotSyncError) as caught:
            ask(settings_for(server, **settings))
        shown = everything_in(caught.value) + caplog.text
        for secret in (ACCESS, REFRESH, SECRET):
            assert secret not in shown
        assert only_ours(caught.value)

    @other_trouble
    def test_a_call_with_an_access_token(self, trouble, caplog, hubspot_emulator):
        """As every read is."""
        host = Host(hubspot_emulator())

        def ask(settings):
            host.hubspot = settings
            token = StaticAccessToken(access_token=ACCESS)
            host.tokens.save(ACCOUNT.key, token, expected_revision=1)
            source = host.source()
            try:
                source.identify()
            finally:
                source.close()

        self.check(trouble, ask, caplog, **FAST)

    @any_trouble
    def test_a_refresh(self, trouble, caplog, hubspot_emulator):
        """It sends the refresh token and the client secret."""
        emulator = hubspot_emulator()

        def ask(settings):
            host = oauth_host(emulator, FakeServer(settings.base_url))
            host.hubspot = settings
            source = host.source()
            try:
                source.identify()
            finally:
                source.close()

        self.check(trouble, ask, caplog, **FAST)

    @any_trouble
    @pytest.mark.parametrize("what", ["exchange", "inspect", "revoke"])
    def test_a_consent(self, trouble, what, caplog):
        """What connecting and disconnecting ask for."""

        def ask(settings):
            app = OAuthApp(client_id="app", client_secret=SECRET, redirect_uri="https://h.example")
            provider = HubSpotOAuth(app=app, settings=settings, clock=ManualClock())
            tokens = OAuthTokens(refresh_token=REFRESH, access_token=ACCESS)
            getattr(provider, what)(CODE if what == "exchange" else tokens)
            raise HubSpotUnavailableError("revoking believes any answer")

        self.check(trouble, ask, caplog, **FAST)

    @other_trouble
    def test_a_probe(self, trouble, caplog):
        """Which account an access token opens."""

        def ask(settings):
            probe = HubSpotProbe(settings=settings, clock=ManualClock())
            probe(StaticAccessToken(access_token=ACCESS))

        self.check(trouble, ask, caplog, **FAST)


class FakeServer:
    """Something with an address."""

    def __init__(self, url):
        self.url = url


def test_what_is_no_failure_shows_nothing_either(monkeypatch):
    """Somebody who presses Ctrl-C in the middle of a call."""
    transport = Transport(HubSpotSettings(base_url="http://127.0.0.1:9"))

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(transport._client, "call_api", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        transport.send("GET", "/", access_token=Secret(ACCESS))
    assert ACCESS not in everything_in(caught.value)


class TestTokens:
    """Characters that no credential has."""

    @pytest.mark.parametrize("value", [*BAD, "", 7, b"canary"])
    @pytest.mark.parametrize(
        ("name", "make"),
        [
            (
                "OAuthTokens.access_token",
                lambda value: OAuthTokens(refresh_token="r", access_token=value),
            ),
            ("OAuthTokens.refresh_token", lambda value: OAuthTokens(refresh_token=mid(value))),
            (
                "StaticAccessToken.access_token",
                lambda value: StaticAccessToken(access_token=mid(value)),
            ),
            (
                "OAuthApp.client_secret",
                lambda value: OAuthApp(client_id="app", client_secret=mid(value)),
            ),
        ],
    )
    def test_they_are_refused_by_name(self, name, make, value):
        """And without their value."""
        with pytest.raises(ConfigurationError, match=name) as caught:
            make(value)
        assert "canary" not in everything_in(caught.value)
        assert only_ours(caught.value)

    def test_an_access_token_is_one_word(self):
        """Whoever copied two lines copied too much."""
        with pytest.raises(ConfigurationError, match=r"StaticAccessToken\.access_token"):
            StaticAccessToken(access_token="pat canary")

    @pytest.mark.parametrize("value", BAD)
    @pytest.mark.parametrize("name", ["access_token", "refresh_token"])
    def test_from_the_endpoint_they_are_no_tokens(self, hubspot_emulator, name, value):
        """What is stored stays as it was, and nothing is sent with them."""
        issued = {"access_token": "a", "refresh_token": "r", "expires_in": 1800, name: value}
        with Wire(answering(http(json.dumps(issued).encode()))) as server:
            host = oauth_host(hubspot_emulator(), server)
            with pytest.raises(HubSpotUnavailableError, match="cannot be sent") as caught:
                host.source().identify()
        assert "canary" not in everything_in(caught.value)
        assert host.tokens.load(ACCOUNT.key).credentials == OAuthTokens(refresh_token=REFRESH)
        assert all("X-Evil" not in head for head in server.requests)


def test_a_misspelt_argument_shows_no_other():
    """What Python itself refuses."""
    with pytest.raises(TypeError, match="acces_token") as caught:
        OAuthTokens(refresh_token="canary", acces_token="canary")
    assert "canary" not in everything_in(caught.value)


def test_a_password_in_settings_shows_nowhere():
    """Whichever of them is wrong."""
    with pytest.raises(ConfigurationError) as caught:
        HubSpotSettings(proxy="http://user:canary@host:1", ca_file="/nowhere")
    assert "canary" not in everything_in(caught.value)


class TestLifetimes:
    """How long an access token lives, as far as one can believe it."""

    @pytest.mark.parametrize(
        ("sent", "seconds"),
        [
            ("1800", 1800),
            ("1800.5", 1800.5),
            ("86401", 86400),
            ("1000000000000", 86400),
            ("1e300", 86400),
            ("1e999", 86400),
            ("9" * 400, 86400),
            ("Infinity", 86400),
            ("-Infinity", 0),
            ("NaN", 0),
            ("-1", 0),
            ("-1e300", 0),
            ("0", 0),
            ("true", 0),
            ('"1800"', 0),
            ("null", 0),
            ("[]", 0),
            ("{}", 0),
            ("[" * 3000 + "]" * 3000, 0),
        ],
    )
    def test_it_is_cut_to_what_is_sensible(self, hubspot_emulator, sent, seconds):
        """The token is used all the same."""
        issued = f'{{"access_token": "a", "refresh_token": "r", "expires_in": {sent}}}'
        with Wire(answering(http(issued.encode()), http(b'{"portalId": 62515}'))) as server:
            host = oauth_host(hubspot_emulator(), server)
            source = host.source()
            source._client._authorizer.access_token()
        tokens = host.tokens.load(ACCOUNT.key).credentials
        assert (tokens.expires_at - tokens.issued_at).total_seconds() == seconds

    @pytest.mark.parametrize(
        "odd",
        [
            {"hub_id": True},
            {"hub_id": 1.5},
            {"hub_id": {"a": 1}},
            {"hub_id": "007"},
            {"hub_id": -7},
            {"hub_id": "9" * 5_000},
            {"scopes": "oauth", "user": 7, "hub_domain": []},
            {"scopes": [["oauth"], None, {"a": 1}]},
        ],
    )
    def test_other_fields_may_be_anything(self, odd):
        """They say nothing then."""
        issued = {"access_token": "a", "refresh_token": "r", "expires_in": 1800, **odd}
        told = {"active": True, "hub_id": 62515, "scopes": ["oauth"], "user": "a@b.c"}
        answers = [http(json.dumps(body).encode()) for body in (issued, told)]
        app = OAuthApp(client_id="app", client_secret=SECRET, redirect_uri="https://h.example")
        with Wire(answering(*answers)) as server:
            provider = HubSpotOAuth(app=app, settings=settings_for(server), clock=ManualClock())
            grant = provider.exchange("code")
        assert grant.account_id == "62515"
        assert all(isinstance(scope, str) for scope in grant.scopes)


class TestAddresses:
    """Where access tokens may be sent."""

    @pytest.mark.parametrize(
        "url",
        [
            "https://user:canary@api.hubapi.com",
            "user:canary@api.hubapi.com",
            "https://user:canary@[bad",
            "https://canary@api.hubapi.com",
        ],
    )
    @pytest.mark.parametrize("name", ["base_url", "consent_url"])
    def test_not_with_a_password(self, name, url):
        """Which is not repeated."""
        with pytest.raises(ConfigurationError, match=f"HubSpotSettings.{name}") as caught:
            HubSpotSettings(**{name: url})
        assert "canary" not in str(caught.value)

    @pytest.mark.parametrize(
        "url",
        [
            "http://api.hubapi.com",
            "http://10.0.0.1:80",
            "http://localhost.evil.com",
            "http://127.0.0.1.x",
        ],
    )
    def test_not_unencrypted_to_another_machine(self, url):
        """The message says what to do."""
        with pytest.raises(ConfigurationError, match="https"):
            HubSpotSettings(base_url=url)

    @pytest.mark.parametrize(
        "url",
        [
            "http://localhost:1",
            "http://127.0.0.1",
            "http://127.8.8.8:9",
            "http://[::1]:80",
            "http://a.localhost",
        ],
    )
    def test_unencrypted_within_this_machine(self, url):
        """As emulators are."""
        assert HubSpotSettings(base_url=url).base_url == url

    @pytest.mark.parametrize(
        "url", ["https://a b", "https://a\r\nX: y", "https://a/#b", "https://a\x7f"]
    )
    def test_not_with_characters_that_no_address_has(self, url):
        """They would end up in a header."""
        with pytest.raises(ConfigurationError, match=r"HubSpotSettings\.base_url"):
            HubSpotSettings(base_url=url)


def test_secrets_travel_in_the_body_as_they_are(hubspot_emulator):
    """Wrapped or not, HubSpot gets the right ones."""
    issued = http(b'{"access_token": "a", "expires_in": 1800}')
    with Wire(answering(issued)) as server:
        host = oauth_host(hubspot_emulator(), server)
        host.source()._client._authorizer.access_token()
    assert parse_qs(server.bodies[0].decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": [REFRESH],
        "client_id": ["app"],
        "client_secret": [SECRET],
    }
    assert "canary" not in server.requests[0]


def mid(value):
    """*value* where spaces around it would be taken off."""
    return f"canary{value}canary" if isinstance(value, str) and value else value
