"""The emulator's consent page and what comes of a code: HubSpot 5.1 to 5.3 and 5.6."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

BACK = "https://host.example/hubspot/callback?tenant=a%26b"
SCOPES = "oauth crm.objects.contacts.read"
LIST = "/crm/v3/objects/contacts"


@pytest.fixture
def clock() -> ManualClock:
    """A clock to expire codes with."""
    return ManualClock()


@pytest.fixture
def caller(clock: ManualClock) -> Iterator[Caller]:
    """A server with an app, and an account 62516 that has not installed it."""
    with HubSpotEmulator(
        clock=clock,
        redirect_uris=[BACK],
        app_scopes=SCOPES.split(),
        app_optional_scopes=["crm.objects.companies.read", "crm.objects.deals.read"],
    ) as emulator:
        emulator.add_account(contacts=2, installed=False, hub_domain="acme.example")
        caller = Caller(emulator)
        caller.access_token = None
        yield caller


def asking(emulator: HubSpotEmulator, path: str = "/oauth/authorize", **changes: Any) -> str:
    """Path and query of an authorization URL."""
    query = {
        "client_id": emulator.client_id,
        "redirect_uri": BACK,
        "scope": SCOPES,
        "state": "s 1/&",
        **changes,
    }
    return f"{path}?{urlencode({k: v for k, v in query.items() if v is not None})}"


def answered(location: str) -> dict[str, str]:
    """What a redirect says, after a look at where it goes."""
    assert location.partition("?")[0] == BACK.partition("?")[0]
    return {name: value for name, (value,) in parse_qs(urlsplit(location).query).items()}


def exchange(caller: Caller, code: str, **changes: str) -> Any:
    """A code at the token endpoint."""
    fields = {
        "grant_type": "authorization_code",
        "client_id": caller.emulator.client_id,
        "client_secret": caller.emulator.client_secret,
        "redirect_uri": BACK,
        "code": code,
        **changes,
    }
    return caller.form("/oauth/2026-03/token", **fields)


def test_a_person_at_the_page(caller: Caller):
    """The form lists the accounts; what it sends leads back with a code for the one chosen."""
    path = asking(caller.emulator)
    page = caller.get(path)
    text = page.body.decode()

    assert (page.status, page.headers["Content-Type"]) == (200, "text/html;charset=utf-8")
    assert re.findall(r'<option value="(\d+)">([^<]*)', text) == [
        ("62515", "account-62515.example.com (62515)"),
        ("62516", "acme.example (62516)"),
    ]
    sent = caller.form(path, account_id="62516", decision="allow")
    assert sent.status == 302
    back = answered(sent.headers["Location"])
    assert (back["tenant"], back["state"]) == ("a&b", "s 1/&")

    content = exchange(caller, back["code"]).json
    assert (content["hub_id"], content["scopes"]) == (62516, sorted(SCOPES.split()))
    caller.access_token = content["access_token"]
    assert len(caller.get(LIST).ids) == 2
    assert caller.get("/crm/v3/objects/companies").json["category"] == "MISSING_SCOPES"
    assert [call.route for call in caller.emulator.calls] == ["authorize", "authorize"]


def test_a_person_who_declines(caller: Caller):
    """RFC 6749 (4.1.2.1): `access_denied`, and the state comes back."""
    sent = caller.form(asking(caller.emulator), account_id="62516", decision="deny")
    back = answered(sent.headers["Location"])
    assert (sent.status, back["error"], back["state"]) == (302, "access_denied", "s 1/&")
    assert back["error_description"]
    assert "code" not in back


def test_consent_without_a_browser(caller: Caller):
    """For the real host's URL as well; the first account by default."""
    emulator = caller.emulator
    url = "https://app.hubspot.com" + asking(emulator, state=None)
    back = answered(emulator.consent(url, "62516"))
    assert "state" not in back
    assert exchange(caller, back["code"]).json["hub_id"] == 62516
    first = answered(emulator.consent(url))
    assert exchange(caller, first["code"]).json["hub_id"] == 62515
    assert answered(emulator.consent(url, allow=False))["error"] == "access_denied"


def test_an_url_for_one_account(caller: Caller):
    """HubSpot 5.6: with the account in the path no other one can be chosen."""
    path = asking(caller.emulator, "/oauth/62516/authorize")
    assert re.findall(r'<option value="(\d+)"', caller.get(path).body.decode()) == ["62516"]
    assert caller.form(path, account_id="62515", decision="allow").status == 400
    assert caller.form(path, account_id="62516", decision="allow").status == 302
    code = answered(caller.emulator.consent(path))["code"]
    assert exchange(caller, code).json["hub_id"] == 62516


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": "x"}, "invalid app client_id"),
        ({"client_id": None}, "invalid app client_id"),
        ({"redirect_uri": "https://evil.example/"}, "https://evil.example/"),
        ({"redirect_uri": BACK + "&more=1"}, "registered redirect URL"),
        ({"redirect_uri": None}, "registered redirect URL"),
        ({"scope": None}, "invalid scope name"),
        ({"scope": "oauth"}, "mismatch between the scopes"),
        ({"scope": f"{SCOPES} crm.export"}, "mismatch between the scopes"),
        ({"scope": "crm.objects.contacts.read"}, "mismatch between the scopes"),
        ({"optional_scope": "crm.export"}, "mismatch between the scopes"),
    ],
)
def test_urls_that_are_refused(caller: Caller, changes, words):
    """HubSpot 5.6: a page says what is wrong, and nobody is sent anywhere."""
    path = asking(caller.emulator, **changes)
    for reply in (
        caller.get(path),
        caller.form(path, account_id="62516", decision="allow"),
        caller.form(path, account_id="62516", decision="deny"),
    ):
        assert (reply.status, "Location" in reply.headers) == (400, False)
        assert "Couldn't complete the connection" in reply.body.decode()
        assert words in reply.body.decode()
    with pytest.raises(ValueError, match=words):
        caller.emulator.consent(path)


def test_the_page_repeats_no_markup(caller: Caller):
    """What comes with the URL is text."""
    page = caller.get(asking(caller.emulator, redirect_uri="https://x/<script>alert(1)</script>"))
    assert b"<script>" not in page.body


def test_scopes_that_the_account_lacks(caller: Caller):
    """HubSpot 5.6: a required one is an error page, an optional one is left out."""
    emulator = caller.emulator
    optional = "crm.objects.companies.read crm.objects.deals.read"
    poor = emulator.add_account(available_scopes=["oauth"])
    fair = emulator.add_account(available_scopes=[*SCOPES.split(), "crm.objects.deals.read"])
    path = asking(emulator, optional_scope=optional)

    with pytest.raises(ValueError, match=r"lacks access .* \[crm.objects.contacts.read\]"):
        emulator.consent(path, poor.account_id)
    code = answered(emulator.consent(path, fair.account_id))["code"]

    assert exchange(caller, code).json["scopes"] == sorted(
        [*SCOPES.split(), "crm.objects.deals.read"]
    )
    assert fair.scopes == {*SCOPES.split(), "crm.objects.deals.read"}


def test_only_accounts_that_are_there(caller: Caller):
    """Nobody can choose a deleted account, or none."""
    path = asking(caller.emulator)
    caller.emulator.accounts["62516"].delete_account()
    assert "62516" not in caller.get(path).body.decode()
    for account_id in ("62516", "7", ""):
        assert caller.form(path, account_id=account_id, decision="allow").status == 400
    with pytest.raises(ValueError, match="path"):
        caller.emulator.consent("https://app.hubspot.com/login")


def test_codes(caller: Caller, clock):
    """Good once, for a while, and with the redirect URI that was consented to."""

    def code() -> str:
        return answered(caller.emulator.consent(asking(caller.emulator)))["code"]

    used = code()
    assert exchange(caller, used).status == 200
    assert exchange(caller, used).json["status"] == "BAD_AUTH_CODE"
    other = exchange(caller, code(), redirect_uri="https://host.example/")
    assert other.json["status"] == "BAD_REDIRECT_URI"
    late = code()
    clock.advance(timedelta(minutes=10))
    assert exchange(caller, late).json["status"] == "EXPIRED_AUTH_CODE"


def test_any_app_scopes_by_default(clock):
    """An emulator that is told nothing about its app takes any redirect URI and scopes."""
    with HubSpotEmulator(clock=clock) as emulator:
        url = asking(emulator, redirect_uri="http://localhost:1/x", scope="oauth a b")
        code = parse_qs(urlsplit(emulator.consent(url)).query)["code"][0]
        reply = exchange(Caller(emulator), code, redirect_uri="http://localhost:1/x")
        assert reply.json["scopes"] == ["a", "b", "oauth"]


def ask(caller: Caller, what: str, version: str = "2026-03", **fields: str) -> Any:
    """A call of `introspect` or `revoke`."""
    client = {
        "client_id": caller.emulator.client_id,
        "client_secret": caller.emulator.client_secret,
    }
    return caller.form(f"/oauth/{version}/token/{what}", **{**client, **fields})


@pytest.mark.parametrize("version", ["v3", "2026-03", "2026-09"])
def test_introspection(caller: Caller, clock, version):
    """The fields that HubSpot's specification names, of both kinds of tokens."""
    emulator = caller.emulator
    code = answered(emulator.consent(asking(emulator), "62516"))["code"]
    tokens = exchange(caller, code).json
    clock.advance(60)
    common = {
        "active": True,
        "hub_id": 62516,
        "hub_domain": "acme.example",
        "user": "admin@acme.example",
        "user_id": 123,
        "client_id": emulator.client_id,
        "scopes": sorted(SCOPES.split()),
    }

    access = ask(caller, "introspect", version, token=tokens["access_token"]).json
    kept = ask(caller, "introspect", version, token=tokens["refresh_token"]).json

    assert {name: access[name] for name in common} == common
    assert {name: kept[name] for name in common} == common
    assert (access["token_use"], access["expires_in"]) == ("access_token", 1740)
    assert access["signed_access_token"]["hubId"] == 62516
    assert (kept["token_use"], "expires_in" in kept) == ("refresh_token", False)
    clock.advance(1740)
    assert ask(caller, "introspect", version, token=tokens["access_token"]).json == {
        "active": False
    }
    assert ask(caller, "introspect", version, token="x").json == {"active": False}
    assert emulator.accounts["62516"].calls.count("introspect") == 3


@pytest.mark.parametrize("version", ["v3", "2026-03", "2026-09"])
def test_revocation(caller: Caller, version):
    """The refresh token is refused, access tokens live on, and a new consent lets the app in."""
    emulator = caller.emulator
    account = emulator.accounts["62516"]
    code = answered(emulator.consent(asking(emulator), "62516"))["code"]
    tokens = exchange(caller, code).json

    assert ask(caller, "revoke", version, token=tokens["refresh_token"]).status == 204
    assert ask(caller, "revoke", version, token="x").status == 204

    again = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert exchange(caller, "", **again).json["status"] == "BAD_REFRESH_TOKEN"
    assert ask(caller, "introspect", version, token=tokens["refresh_token"]).json["active"] is False
    caller.access_token = tokens["access_token"]
    assert caller.get(LIST).status == 200
    code = answered(emulator.consent(asking(emulator), "62516"))["code"]
    assert exchange(caller, code).status == 200
    assert exchange(caller, "", **again).status == 200
    assert account.refreshes == 1


@pytest.mark.parametrize("what", ["introspect", "revoke"])
def test_refusals_of_introspection_and_revocation(caller: Caller, what):
    """HubSpot 5.3: wrong client; no token; and v1 has neither path."""
    assert ask(caller, what, token="x", client_id="y").json["status"] == "BAD_CLIENT_ID"
    assert ask(caller, what, token="x", client_secret="y").json["status"] == "BAD_CLIENT_SECRET"
    assert ask(caller, what, access_token="x").status == 400
    assert ask(caller, what, "v1", token="x").status == 404
