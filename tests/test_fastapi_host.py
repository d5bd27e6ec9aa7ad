"""The FastAPI example, served by a real server, with an emulator in place of HubSpot."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from attrs import evolve, frozen

from fastapi_host import Settings, create_app
from fastapi_host.problems import _KINDS, problem_of
from fastapi_host.security import ApiKey, ApiKeys, Invitation, Invitations, new_api_key
from fastapi_host.syncs import LiveSync
from hubspot_sync import ConfigurationError, EncryptionKeys, HubSpotSettings, errors
from hubspot_sync.testing import Fault, HubSpotEmulator
from test_examples import ENVIRONMENT, assert_holds_the_account, sqlite_actions

ROOT = Path(__file__).parent.parent
KEY = EncryptionKeys.generate_key()
TENANTS = {name: new_api_key() for name in ("acme", "globex")}
ACME, GLOBEX = "62515", "62516"
# In names and contents of one tenant's account only.
CANARIES = {"acme": "acme-canary", "globex": "globex-canary"}


def two_accounts(make):
    """Two HubSpot accounts that nobody has connected yet."""
    emulator = make(contacts=30, companies=10, installed=False, hub_domain="acme-canary.example")
    emulator.add_account(
        GLOBEX, contacts=20, companies=5, installed=False, hub_domain="globex-canary.example"
    )
    return emulator


@pytest.fixture
def emulator(hubspot_emulator):
    return two_accounts(hubspot_emulator)


@frozen
class Served:
    """A host that runs, and who may call it."""

    url: str
    emulator: object

    def client(self, tenant=None, **options):
        """A client with a tenant's key, or a browser with none."""
        headers = {"X-API-Key": TENANTS[tenant]} if tenant else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, **options)

    def connect(self, tenant, account_id, **answer):
        """What a client and a person do to connect an account; gives the last page."""
        with self.client(tenant) as client, self.client() as browser:
            link = client.post("/accounts/connect", json={}).json()["url"]
            return browser.get(self.consent(browser, link, account_id, **answer))

    def consent(self, browser, link, account_id, **answer):
        """Open the link and go through HubSpot's page; gives where HubSpot sends the person."""
        page = browser.get(link)
        assert page.status_code == 200, page.text
        href = unescape(re.search(r'href="([^"]+)"', page.text)[1])
        return self.emulator.consent(href, account_id, **answer)


def settings_for(emulator, folder):
    """Everything but where the host is."""
    return Settings(
        api_keys=tuple(ApiKey.of(*pair) for pair in TENANTS.items()),
        client_id=emulator.client_id,
        client_secret=emulator.client_secret,
        encryption_keys=(KEY,),
        store=str(folder / "host.db"),
        sync_due=False,
        hubspot=HubSpotSettings(
            base_url=emulator.base_url,
            consent_url=f"{emulator.base_url}/oauth/authorize",
            burst_limit=None,
            search_limit=None,
            max_tries=2,
        ),
    )


@pytest.fixture
def settings(emulator, tmp_path):
    return settings_for(emulator, tmp_path)


@contextmanager
def serving(settings, emulator):
    """A real server in a thread of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(evolve(settings, public_url=url))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive())
            assert server.started
            yield Served(url, emulator)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def host(settings, emulator):
    with serving(settings, emulator) as served:
        yield served


@pytest.fixture
def acme(host):
    """A client of acme, whose account is connected."""
    assert host.connect("acme", ACME).status_code == 200
    with host.client("acme") as client:
        yield client


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A host that nobody changes, with an account of each tenant."""
    with HubSpotEmulator() as emulator:
        emulator.add_account(GLOBEX, contacts=20)
        with serving(settings_for(emulator, tmp_path_factory.mktemp("host")), emulator) as host:
            host.connect("acme", ACME)
            host.connect("globex", GLOBEX)
            yield host


def wait_until(happened):
    deadline = time.monotonic() + 30  # noqa: TID251 - waits for real threads and processes
    while not happened():
        assert time.monotonic() < deadline  # noqa: TID251
        time.sleep(0.01)  # noqa: TID251


def follow(client, account_id):
    """The events of a sync, to its end."""
    with client.stream("GET", f"/accounts/{account_id}/sync/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line.startswith(("event", "data"))]
    kinds = [line.removeprefix("event: ") for line in lines[::2]]
    shown = [json.loads(line.removeprefix("data: ")) for line in lines[1::2]]
    return list(zip(kinds, shown, strict=True))


def sync(client, account_id):
    """Sync to the end; gives the report."""
    assert client.post(f"/accounts/{account_id}/sync").status_code == 202
    kind, last = follow(client, account_id)[-1]
    assert (kind, last["state"]) == ("ended", "ended")
    return last["report"]


def refusal(answer, status):
    """The problem document of an answer that has to be one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


class TestConnecting:
    """A person connects an account through HubSpot's page."""

    def test_an_account_is_connected(self, acme):
        """It is the tenant's, active and due; and it can be synced."""
        (account,) = acme.get("/accounts").json()

        assert account["account_id"] == ACME
        assert (account["name"], account["status"]) == ("acme-canary.example", "active")
        assert account["next_sync_at"] == account["status_since"]
        assert account["last_sync"] is None
        report = sync(acme, ACME)
        assert report["completed"]
        assert report["streams"]["contacts"]["delivered"] == 30

    def test_the_link_says_for_whom(self, host):
        """And it is of no use in a frame, or to whom it refers to."""
        with host.client("acme") as client:
            link = client.post("/accounts/connect").json()
            page = client.get(link["url"])

        assert link["expires_in"] == 600
        assert "copied to acme." in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer"
        cookie = page.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/oauth/callback" in cookie

    def test_the_cookie_is_for_https_where_the_host_is(self, settings, emulator):
        """A browser then sends it in no other way."""
        app = create_app(evolve(settings, public_url="https://host.example"))

        async def page():
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app) as state,
                httpx.AsyncClient(transport=with_state(transport, state)) as client,
            ):
                sealed = state["host"].invitations.seal(Invitation("acme"))
                return await client.get(f"https://host.example/connect/{sealed}")

        assert "; Secure" in asyncio.run(page()).headers["set-cookie"]

    def test_a_person_who_declines(self, host):
        """Nothing is connected, and the page says so."""
        page = host.connect("acme", ACME, allow=False)

        assert page.status_code == 400
        assert "did not consent" in page.text
        with host.client("acme") as client:
            assert client.get("/accounts").json() == []

    def test_a_callback_works_once(self, host):
        """Whoever replays it, with the cookie too, gets nowhere."""
        with host.client("acme") as client, host.client() as browser:
            link = client.post("/accounts/connect").json()["url"]
            back = host.consent(browser, link, ACME)
            cookies = dict(browser.cookies)
            assert browser.get(back).status_code == 200
            assert dict(browser.cookies) == {}

            assert "no invitation" in browser.get(back).text
            again = httpx.get(back, cookies=cookies)
            assert again.status_code == 400
            assert "used before" in again.text

    def test_a_callback_of_another_tenant(self, host):
        """Is refused, and stays good for the browser that it belongs to."""
        with (
            host.client("acme") as acme,
            host.client("globex") as globex,
            host.client() as victim,
            host.client() as attacker,
        ):
            victim.get(acme.post("/accounts/connect").json()["url"])
            link = globex.post("/accounts/connect").json()["url"]
            back = host.consent(attacker, link, GLOBEX)

            refused = victim.get(back)

            assert refused.status_code == 400
            assert "another domain" in refused.text
            assert acme.get("/accounts").json() == globex.get("/accounts").json() == []
            assert attacker.get(back).status_code == 200
            assert [one["account_id"] for one in globex.get("/accounts").json()] == [GLOBEX]

    @pytest.mark.parametrize("cookie", [None, "", "acme", "gAAAA-forged"])
    def test_a_browser_without_an_invitation(self, host, cookie):
        """Has no say, even with a good state and code."""
        with host.client("acme") as client, host.client() as browser:
            back = host.consent(browser, client.post("/accounts/connect").json()["url"], ACME)
            cookies = {} if cookie is None else {"hubspot_invitation": cookie}
            refused = httpx.get(back, cookies=cookies)

            assert refused.status_code == 400
            assert client.get("/accounts").json() == []

    @pytest.mark.parametrize("link", ["/connect/x", "/connect/gAAAA", "/connect/%F0%9F%92%A9"])
    def test_a_link_that_is_none(self, host, link):
        """Leads nowhere, and sets no cookie."""
        with host.client() as browser:
            page = browser.get(link)

        assert page.status_code == 400
        assert "set-cookie" not in page.headers

    def test_connecting_again_the_same_account_only(self, host, acme):
        """Another one is refused, an unknown one cannot be asked for."""
        link = acme.post("/accounts/connect", json={"account_id": ACME}).json()["url"]
        with host.client() as browser:
            refused = browser.get(host.consent(browser, link, GLOBEX))

        assert refused.status_code == 409
        assert [one["account_id"] for one in acme.get("/accounts").json()] == [ACME]
        refusal(acme.post("/accounts/connect", json={"account_id": GLOBEX}), 404)
        refusal(acme.post("/accounts/connect", json={"account_id": "x"}), 422)

    def test_hubspot_is_away(self, host, emulator):
        """The person is told to come back; the words say nothing of the host."""
        emulator.shared_faults.add(Fault(route="oauth", status=503, times=None))

        page = host.connect("acme", ACME)

        assert page.status_code == 503
        assert "try again later" in page.text


def with_state(transport, state):
    """What a server does with the state of a lifespan."""
    app = transport.app

    async def inner(scope, receive, send):
        await app({**scope, "state": dict(state)}, receive, send)

    transport.app = inner
    return transport


class TestAccounts:
    """What a client sees of its accounts, and does with them."""

    def test_pause_and_resume(self, acme):
        """With a reason, or without."""
        paused = acme.post(f"/accounts/{ACME}/pause", json={"reason": "unpaid"}).json()
        assert (paused["status"], paused["reason"]) == ("paused", "unpaid")
        assert acme.get("/accounts", params={"status": "active"}).json() == []
        assert len(acme.get("/accounts", params={"status": "paused"}).json()) == 1
        assert acme.post(f"/accounts/{ACME}/resume").json()["status"] == "active"
        assert acme.post(f"/accounts/{ACME}/pause").json()["reason"] is None

    def test_how_the_last_sync_went(self, acme):
        """Is in the account, stream by stream."""
        report = sync(acme, ACME)

        account = acme.get(f"/accounts/{ACME}").json()

        assert account["last_sync"]["completed"]
        contacts = account["streams"]["contacts"]
        assert (contacts["status"], contacts["mode"]) == ("completed", "backfill")
        assert contacts["counts"]["delivered"] == report["streams"]["contacts"]["delivered"]
        assert account["next_sync_at"] > account["last_sync"]["started_at"]

    def test_disconnect(self, acme, emulator):
        """HubSpot is told, and the account is not synced until it is connected again."""
        sync(acme, ACME)

        account = acme.post(f"/accounts/{ACME}/disconnect").json()

        assert (account["status"], account["reason"]) == ("disabled", "disconnected")
        assert emulator.calls.count("revoke") == 1
        assert "disabled" in refusal(acme.post(f"/accounts/{ACME}/sync"), 409)["detail"]

    def test_disconnecting_leaves_another_tenant_connected(self, host, acme, emulator):
        """HubSpot may have given both the same tokens."""
        host.connect("globex", ACME)

        acme.post(f"/accounts/{ACME}/disconnect")

        assert emulator.calls.count("revoke") == 0
        with host.client("globex") as globex:
            assert sync(globex, ACME)["completed"]
            globex.post(f"/accounts/{ACME}/disconnect")
        assert emulator.calls.count("revoke") == 1

    def test_a_sync_that_fails(self, acme, emulator):
        """Its report says why, and the account what to do."""
        emulator.revoke_access()
        emulator.expire_access_tokens()

        report = sync(acme, ACME)

        assert not report["completed"]
        assert acme.get(f"/accounts/{ACME}").json()["status"] == "needs_reauthorization"

    def test_errors_are_listed_and_tried_again(self, settings, emulator):
        """What a rule of the host's refuses waits with its reason until the rule is mended."""
        strict = threading.Event()
        strict.set()

        def rule(action):
            return "not today" if strict.is_set() and action.object_id in refused else None

        refused = set(list(emulator.records("contacts"))[-3:])
        with serving(evolve(settings, validators=[rule]), emulator) as host:
            host.connect("acme", ACME)
            with host.client("acme") as client:
                assert sync(client, ACME)["streams"]["contacts"]["rejected"] == 3
                errors = f"/accounts/{ACME}/errors"
                found = client.get(errors).json()
                assert {one["object_id"] for one in found} == refused
                assert {one["reason"] for one in found} == {"not today"}
                assert len(client.get(errors, params={"limit": 2}).json()) == 2
                assert client.get(errors, params={"object_type": "companies"}).json() == []
                assert client.get(errors, params={"dead": True}).json() == []

                again = client.post(f"{errors}/redrive").json()
                assert again["streams"]["contacts"]["rejected"] == 3
                strict.clear()
                one = {"object_ids": [min(refused)]}
                some = client.post(f"{errors}/redrive", json=one).json()
                assert some["streams"]["contacts"]["delivered"] == 1
                rest = client.post(f"{errors}/redrive").json()
                assert rest["streams"]["contacts"]["delivered"] == 2
                assert client.get(errors).json() == []
        assert_holds_the_account(sqlite_actions(settings.store), emulator, "acme")

    def test_accounts_that_are_due_are_synced(self, settings, emulator):
        """By the host itself, to be followed all the same."""
        with serving(settings, emulator) as host:
            host.connect("acme", ACME)
        with (
            serving(evolve(settings, sync_due=True), emulator) as host,
            host.client("acme") as client,
        ):
            wait_until(lambda: client.get(f"/accounts/{ACME}/sync").status_code == 200)
            kind, last = follow(client, ACME)[-1]

        assert (kind, last["report"]["completed"]) == ("ended", True)
        assert_holds_the_account(sqlite_actions(settings.store), emulator, "acme")

    def test_mongodb_by_its_uri(self, settings, emulator, mongodb_uri):
        """The same, with another store."""
        with serving(evolve(settings, store=mongodb_uri), emulator) as host:
            host.connect("acme", ACME)
            with host.client("acme") as client:
                assert sync(client, ACME)["completed"]


class TestRefusals:
    """Who is turned away, and what they learn from it."""

    PATHS = (
        ("GET", "/accounts"),
        ("POST", "/accounts/connect"),
        ("GET", "/accounts/{}"),
        ("POST", "/accounts/{}/pause"),
        ("POST", "/accounts/{}/resume"),
        ("POST", "/accounts/{}/disconnect"),
        ("POST", "/accounts/{}/sync"),
        ("GET", "/accounts/{}/sync"),
        ("GET", "/accounts/{}/sync/events"),
        ("GET", "/accounts/{}/errors"),
        ("POST", "/accounts/{}/errors/redrive"),
    )

    def test_every_path_is_here(self, settings):
        """No route is left out of the tests below."""
        described = create_app(settings).openapi()["paths"]
        offered = {
            (method.upper(), re.sub(r"\{\w+\}", "{}", path))
            for path, methods in described.items()
            for method in methods
        }

        assert offered == set(self.PATHS)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-API-Key": ""},
            {"X-API-Key": "hsk_wrong"},
            {"X-API-Key": TENANTS["acme"][:-1]},
            {"X-API-Key": "\xff"},
            {"Authorization": "Bearer hsk_wrong"},
            {"Authorization": "Bearer"},
            {"Authorization": f"Basic {TENANTS['acme']}"},
        ],
    )
    def test_without_a_good_key(self, standing, headers):
        """401 wherever it is, and nothing else."""
        with standing.client() as client:
            for method, path in self.PATHS:
                answer = client.request(method, path.format(ACME), headers=as_bytes(headers))
                assert "API key" in refusal(answer, 401)["detail"]
                assert answer.headers["www-authenticate"] == "Bearer"

    def test_a_bearer_token_is_as_good(self, standing):
        """Some clients can send nothing else."""
        with standing.client() as client:
            headers = {"Authorization": f"Bearer {TENANTS['acme']}"}
            assert len(client.get("/accounts", headers=headers).json()) == 1

    def test_another_tenants_account_is_as_if_it_were_not(self, standing):
        """The answers are the same to the letter, and nothing happens to it."""
        with standing.client("acme") as acme, standing.client("globex") as globex:
            sync(globex, GLOBEX)
            before = globex.get(f"/accounts/{GLOBEX}").json()
            for method, path in self.PATHS[2:]:
                others = acme.request(method, path.format(GLOBEX))
                nobodys = acme.request(method, path.format("99999"))
                refusal(others, 404)
                assert others.content == nobodys.content
                assert others.headers.keys() == nobodys.headers.keys()
            assert globex.get(f"/accounts/{GLOBEX}").json() == before

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/accounts/acme", None),
            ("GET", f"/accounts/{'1' * 21}", None),
            ("GET", "/accounts/\u0661", None),
            ("GET", "/accounts?status=happy", None),
            ("GET", f"/accounts/{ACME}/errors?limit=0", None),
            ("GET", f"/accounts/{ACME}/errors?dead=perhaps", None),
            ("GET", f"/accounts/{ACME}/errors?object_type=con%20tacts", None),
            ("POST", f"/accounts/{ACME}/pause", {"reason": 7}),
            ("POST", f"/accounts/{ACME}/errors/redrive", {"object_ids": "x"}),
            ("POST", f"/accounts/{ACME}/errors/redrive", ["hush-hush"]),
        ],
    )
    def test_bad_input(self, standing, method, path, body):
        """422 that says where, without the input."""
        with standing.client("acme") as acme:
            answer = acme.request(method, path, json=body)

        refusal(answer, 422)
        assert "hush" not in answer.text

    def test_nothing_there(self, standing):
        """Also what the framework refuses by itself is a problem document."""
        with standing.client("acme") as acme:
            refusal(acme.get("/nowhere"), 404)
            refusal(acme.delete("/accounts"), 405)

    def test_a_busy_account(self, settings, emulator):
        """409 for who asks again, in this process or by redriving."""
        gate = threading.Event()
        with serving(evolve(settings, validators=[waiting_for(gate)]), emulator) as host:
            host.connect("acme", ACME)
            with host.client("acme") as client:
                client.post(f"/accounts/{ACME}/sync")
                try:
                    wait_until(lambda: client.get(f"/accounts/{ACME}/sync").json()["streams"])
                    refusal(client.post(f"/accounts/{ACME}/sync"), 409)
                finally:
                    gate.set()
                assert follow(client, ACME)[-1][1]["report"]["completed"]

    def test_an_error_of_the_host_s_own(self, standing, monkeypatch):
        """Says nothing but that."""

        def fail(*_):
            raise RuntimeError("hush-hush")

        monkeypatch.setattr("hubspot_sync.Domain.accounts", fail)

        with standing.client("acme") as acme:
            answer = acme.get("/accounts")

        refusal(answer, 500)
        assert "hush" not in answer.text

    @pytest.mark.parametrize(
        "kind",
        [
            one
            for one in vars(errors).values()
            if isinstance(one, type) and issubclass(one, errors.HubSpotSyncError)
        ],
    )
    def test_every_error_has_an_answer(self, kind):
        """And what is the host's own affair is not told."""
        extra = {"owner": "x"} if kind is errors.LeaseHeldError else {}
        extra |= {"reason": "used"} if kind is errors.ConsentError else {}

        problem = problem_of(kind("the words", account="acme/1", **extra))

        assert 400 <= problem.status < 600
        if problem.status >= 500 or kind is errors.UnknownAccountError:
            assert "the words" not in problem.detail

    def test_no_kind_hides_another(self):
        """The first class that fits counts, so a narrow one comes before a wide one."""
        kinds = [kind[0] for kind in _KINDS]
        hidden = [
            (kind, earlier)
            for place, kind in enumerate(kinds)
            for earlier in kinds[:place]
            if issubclass(kind, earlier)
        ]
        assert hidden == []


def as_bytes(headers):
    """Headers as a client sends them that cares little for rules."""
    return {name: value.encode("latin-1") for name, value in headers.items()}


def waiting_for(gate):
    """A rule that lets everything pass as soon as *gate* is open."""

    def rule(_action):
        assert gate.wait(30)

    return rule


class TestKeys:
    """How keys and invitations are kept."""

    def test_a_key_is_kept_as_its_digest(self):
        """What is written into the settings can be read again, and gives nothing away."""
        api_key = new_api_key()
        kept = ApiKey.of("acme:eu", api_key)

        assert ApiKey.parse(str(kept)) == kept
        assert api_key not in str(kept) + repr(kept)
        assert kept.digest.hex() not in repr(kept)
        assert ApiKeys([kept]).domain_of(api_key) == "acme:eu"

    @pytest.mark.parametrize("text", ["acme", "acme:", ":" + "a" * 64, "acme:xyz", "a:" + "b" * 62])
    def test_what_is_no_key(self, text):
        """Is refused in words that do not repeat it."""
        with pytest.raises(ConfigurationError) as caught:
            ApiKey.parse(text)
        assert text not in str(caught.value)

    def test_several_keys_of_one_domain(self):
        """So that a client can change from one to the other."""
        old, new, other = new_api_key(), new_api_key(), new_api_key()
        keys = ApiKeys([ApiKey.of("a", old), ApiKey.of("b", other), ApiKey.of("a", new)])

        assert [keys.domain_of(key) for key in (old, new, other)] == ["a", "a", "b"]
        assert keys.domains == {"a", "b"}

    def test_all_keys_are_compared(self, monkeypatch):
        """However early the right one comes."""
        compared = []
        monkeypatch.setattr(
            "fastapi_host.security.hmac.compare_digest",
            lambda one, other: compared.append(one) or one == other,
        )
        kept = [ApiKey.of("a", "one"), ApiKey.of("b", "two"), ApiKey.of("c", "three")]

        assert ApiKeys(kept).domain_of("one") == "a"
        assert compared == [key.digest for key in kept]

    def test_invitations(self):
        """Open with the keys that sealed them, for ten minutes, as they were."""
        old = EncryptionKeys.generate_key()
        sealed = Invitations([old]).seal(Invitation("ac/me", "62515"))

        assert Invitations([KEY, old]).open(sealed) == Invitation("ac/me", "62515")
        assert Invitations([KEY]).open(sealed) is None
        assert Invitations([old]).open(sealed[:-4] + "AAA=") is None
        now = int(time.time())  # noqa: TID251 - of a library that asks the system
        fernet = Invitations([KEY])._fernet
        for age, good in ((590, True), (620, False)):
            text = fernet.encrypt_at_time(b'["acme", null]', now - age).decode()
            assert (Invitations([KEY]).open(text) == Invitation("acme")) is good


ENVIRON = {
    "HOST_API_KEYS": " ".join(str(ApiKey.of(*pair)) for pair in TENANTS.items()),
    "HUBSPOT_CLIENT_ID": "hush-client",
    "HUBSPOT_CLIENT_SECRET": "hush-secret",
    "HUBSPOT_SYNC_KEY": KEY,
}


class TestSettings:
    """What the environment says."""

    def test_the_least_that_is_needed(self):
        """Everything else has a default, and nothing secret is shown."""
        settings = Settings.from_environment(ENVIRON)

        assert settings.store == "hubspot.db"
        assert settings.workers == 8
        assert settings.sync_due
        assert settings.hubspot == HubSpotSettings()
        assert "hush-secret" not in repr(settings)
        assert KEY not in repr(settings)

    @pytest.mark.parametrize(
        ("name", "value"),
        [(name, "") for name in ENVIRON]
        + [("HOST_WORKERS", "0"), ("HOST_WORKERS", "x"), ("HOST_API_KEYS", "acme:hush")]
        + [("HUBSPOT_SYNC_KEY", "hush"), ("HUBSPOT_BASE_URL", "hubapi")],
    )
    def test_what_is_missing_or_wrong(self, name, value):
        """The message says so in one line."""
        with pytest.raises(ConfigurationError) as caught:
            Settings.from_environment(ENVIRON | {name: value})
        assert "hush" not in str(caught.value)

    def test_a_program_that_cannot_start(self):
        """One line on standard error and the status of wrong arguments."""
        done = run_program()
        assert (done.returncode, done.stdout) == (2, "")
        assert "HOST_API_KEYS" in done.stderr
        assert len(done.stderr.splitlines()) == 1

    def test_a_program_that_makes_keys(self):
        """What it prints fits together."""
        done = run_program("key", "acme")
        api_key, kept = re.findall(r": +(\S+)$", done.stdout, re.MULTILINE)
        assert ApiKeys([ApiKey.parse(kept)]).domain_of(api_key) == "acme"


def run_program(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "fastapi_host", *arguments],
        cwd=ROOT / "examples",
        env=ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestFollowing:
    """A sync is seen live by whoever wants to, at the pace of each."""

    def test_a_slow_follower_sees_the_newest(self):
        """It waits for nobody, misses steps in the middle, and never the end."""

        async def watch():
            live = LiveSync(asked_for=True)
            slow = live.follow()
            seen = [await anext(slow)]
            for number in range(1_000):
                live.show(state="running", note=str(number))
            seen.append(await anext(slow))
            live.show(state="ended")
            return [*seen, *[progress async for progress in slow]]

        seen = asyncio.run(watch())

        assert [one.state for one in seen] == ["waiting", "running", "ended"]
        assert seen[1].note == "999"

    def test_several_follow_one_sync(self, settings, emulator):
        """Each gets the report; one that reads nothing at all holds up nobody."""
        gate = threading.Event()
        with (
            serving(evolve(settings, validators=[waiting_for(gate)]), emulator) as host,
            host.client("acme") as client,
            stuck_follower(host) as stuck,
        ):
            host.connect("acme", ACME)
            client.post(f"/accounts/{ACME}/sync")
            stuck()
            seen = []
            followers = [
                threading.Thread(target=lambda: seen.append(follow(client, ACME))) for _ in range(5)
            ]
            for follower in followers:
                follower.start()
            gate.set()
            for follower in followers:
                follower.join(30)

        assert len(seen) == 5
        for events in seen:
            kinds = [kind for kind, _ in events]
            assert kinds == ["progress"] * (len(kinds) - 1) + ["ended"]
            assert events[-1][1]["report"]["completed"]

    def test_who_comes_late_sees_the_end(self, acme):
        """And who comes before there was any sync is told so."""
        assert "synced" in refusal(acme.get(f"/accounts/{ACME}/sync/events"), 404)["detail"]
        report = sync(acme, ACME)

        assert follow(acme, ACME) == [
            ("ended", acme.get(f"/accounts/{ACME}/sync").json()),
        ]
        assert acme.get(f"/accounts/{ACME}/sync").json()["report"] == report

    def test_what_disturbs_a_sync_is_shown(self, acme, emulator):
        """A note says that HubSpot did not answer."""
        emulator.faults.add(Fault(route="list", status=503))

        acme.post(f"/accounts/{ACME}/sync")
        last = follow(acme, ACME)[-1][1]

        assert last["report"]["completed"]
        assert last["note"].startswith("HubSpot: ")


@contextmanager
def stuck_follower(host):
    """Begins to follow when told to, and never reads a byte."""
    address = urlsplit(host.url)
    with socket.socket() as connection:

        def begin():
            connection.connect((address.hostname, address.port))
            connection.sendall(
                f"GET /accounts/{ACME}/sync/events HTTP/1.1\r\nHost: {address.netloc}\r\n"
                f"X-API-Key: {TENANTS['acme']}\r\n\r\n".encode()
            )

        yield begin


ACCOUNTS = {"acme": ACME, "globex": GLOBEX}
KEYS = {name: {"X-API-Key": key} for name, key in TENANTS.items()}


class Crowd:
    """Clients of all kinds that call at once, and what they were told.

    Args:
        client: Asks.
        emulator: Has the accounts.
        gate: Is opened when everybody who starts a sync has been answered.
    """

    def __init__(self, client, emulator, gate):
        self.client = client
        self.emulator = emulator
        self.gate = gate
        self.seen = {name: [] for name in TENANTS}
        self.started = {name: Counter() for name in TENANTS}

    async def ask(self, tenant, method, path, status=None):
        """One request with the tenant's key."""
        answer = await self.client.request(method, path, headers=KEYS[tenant])
        self.seen[tenant].append(answer.text)
        assert status in (None, answer.status_code), answer.text
        return answer

    async def reader(self, tenant):
        """Looks at its own account."""
        own = ACCOUNTS[tenant]
        for _ in range(5):
            accounts = (await self.ask(tenant, "GET", "/accounts", 200)).json()
            assert [one["account_id"] for one in accounts] == [own]
            await self.ask(tenant, "GET", f"/accounts/{own}", 200)
            await self.ask(tenant, "GET", f"/accounts/{own}/errors", 200)

    async def stranger(self, tenant):
        """Has no key, or a wrong one."""
        for headers in ({}, {"X-API-Key": new_api_key()}, {"Authorization": "Bearer x"}):
            for method, path in TestRefusals.PATHS[::3]:
                own = path.format(ACCOUNTS[tenant])
                answer = await self.client.request(method, own, headers=headers)
                assert answer.status_code == 401

    async def neighbour(self, tenant):
        """Has a key, and names another tenant's account."""
        (other,) = TENANTS.keys() - {tenant}
        for method, path in TestRefusals.PATHS[2:]:
            await self.ask(tenant, method, path.format(ACCOUNTS[other]), 404)

    async def starter(self, tenant):
        """Starts a sync, or learns that it goes on, and follows it to its end."""
        path = f"/accounts/{ACCOUNTS[tenant]}/sync"
        self.started[tenant][(await self.ask(tenant, "POST", path)).status_code] += 1
        if sum(sum(counter.values()) for counter in self.started.values()) == 20:
            self.gate.set()
        async with self.client.stream("GET", f"{path}/events", headers=KEYS[tenant]) as events:
            text = "".join([part async for part in events.aiter_text()])
        self.seen[tenant].append(text)
        assert text.count("event: ended") == 1
        streams = json.loads(text.rpartition("data: ")[2])["report"]["streams"]
        account = self.emulator.accounts[ACCOUNTS[tenant]]
        for kind in ("companies", "contacts"):
            assert streams[kind]["status"] == "completed"
            assert streams[kind]["delivered"] == len(account.records(kind))

    async def all_at_once(self):
        """Fifty of them, half of each tenant."""
        roles = [self.reader, self.stranger, self.neighbour, self.starter, self.starter]
        await asyncio.gather(*(role(tenant) for role in roles for tenant in [*TENANTS] * 5))


def test_fifty_clients_at_once(settings, emulator):
    """Right answers, right refusals, one sync an account, and nobody sees another's data."""
    gate = threading.Event()

    async def call(url):
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            crowd = Crowd(client, emulator, gate)
            await crowd.all_at_once()
            return crowd

    with serving(evolve(settings, validators=[waiting_for(gate)]), emulator) as host:
        host.connect("acme", ACME)
        host.connect("globex", GLOBEX)
        crowd = asyncio.run(call(host.url))

    assert crowd.started == {name: {202: 1, 409: 9} for name in TENANTS}
    for tenant, other in (("acme", "globex"), ("globex", "acme")):
        seen = "\n".join(crowd.seen[tenant])
        assert CANARIES[tenant] in seen
        assert CANARIES[other] not in seen
        assert ACCOUNTS[other] not in seen
        for secret in (KEY, *TENANTS.values(), emulator.client_secret):
            assert secret not in seen


@contextmanager
def process_of(emulator, store, port):
    """`python -m fastapi_host`, as it is deployed."""
    url = f"http://127.0.0.1:{port}"
    variables = ENVIRON | {
        "HUBSPOT_CLIENT_ID": emulator.client_id,
        "HUBSPOT_CLIENT_SECRET": emulator.client_secret,
        "HUBSPOT_BASE_URL": emulator.base_url,
        "HUBSPOT_CONSENT_URL": f"{emulator.base_url}/oauth/authorize",
        "HOST_STORE": str(store),
        "HOST_PUBLIC_URL": url,
        "HOST_SYNC_DUE": "no",
    }
    with subprocess.Popen(
        [sys.executable, "-m", "fastapi_host", "--port", str(port)],
        cwd=ROOT / "examples",
        env=ENVIRONMENT | variables,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(lambda: answers(url) or process.poll() is not None)
            yield Served(url, emulator), process
        finally:
            process.kill()


def answers(url):
    try:
        return httpx.get(f"{url}/accounts").status_code == 401
    except httpx.TransportError:
        return False


def test_no_sync_is_lost_at_shutdown(hubspot_emulator, tmp_path):
    """SIGTERM in the middle of a first sync: it ends at a checkpoint, and the next goes on."""
    emulator = hubspot_emulator(contacts=3_000, companies=200, installed=False, latency=0.05)
    store = tmp_path / "host.db"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with process_of(emulator, store, port) as (host, process), host.client("acme") as client:
        host.connect("acme", ACME)
        client.post(f"/accounts/{ACME}/sync")
        seen = []
        follower = threading.Thread(target=lambda: seen.extend(follow(client, ACME)))
        follower.start()
        wait_until(lambda: emulator.calls.count("list") >= 12)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
        follower.join(30)

    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in log
    assert "code=" not in log
    kind, last = seen[-1]
    assert kind == "ended"
    stopped = last["report"]["streams"]["contacts"]
    assert stopped["status"] == "stopped"
    assert 0 < stopped["delivered"] < 3_000

    with process_of(emulator, store, port) as (host, _), host.client("acme") as client:
        rest = sync(client, ACME)

    assert rest["completed"]
    assert rest["streams"]["contacts"]["delivered"] == 3_000 - stopped["delivered"]
    assert_holds_the_account(sqlite_actions(store), emulator, "acme")
