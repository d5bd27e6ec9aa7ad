"""The FastAPI example: accounts are connected, synced, followed and looked after."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from attrs import evolve

from fastapi_host import create_app
from fastapi_host.security import Invitation
from fastapi_host.syncs import LiveSync
from hosts.test_examples import assert_holds_the_account, sqlite_actions
from hubspot_sync.testing import Fault
from kit.hosted import (
    ACME,
    GLOBEX,
    TENANTS,
    follow,
    refusal,
    serving,
    settings_for,
    sync,
    two_accounts,
    wait_until,
    waiting_for,
)


@pytest.fixture
def emulator(hubspot_emulator):
    return two_accounts(hubspot_emulator)


@pytest.fixture
def settings(emulator, tmp_path):
    return settings_for(emulator, tmp_path)


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
        assert "You did not agree at HubSpot" in page.text
        assert "again from your application" in page.text
        with host.client("acme") as client:
            assert client.get("/accounts").json() == []

    def test_a_callback_works_once(self, host):
        """Whoever replays it, with the cookie too, gets nowhere."""
        with host.client("acme") as client, host.client() as browser:
            link = client.post("/accounts/connect").json()["url"]
            back = host.consent(browser, link, ACME)
            cookies = dict(browser.cookies)
            assert browser.get(back).status_code == 303
            assert cookies.keys() & browser.cookies.keys() == set()

            browser.cookies.clear()
            assert "no invitation" in browser.get(back).text
            again = httpx.get(back, cookies=cookies)
            assert again.status_code == 400
            assert "You came back from HubSpot this way before" in again.text

    def test_the_last_page_can_be_loaded_again(self, host):
        """It stays the same, by its own address and by that which HubSpot sent the person to."""
        with host.client("acme") as client, host.client(follow_redirects=True) as browser:
            link = client.post("/accounts/connect").json()["url"]
            back = host.consent(browser, link, ACME)
            first = browser.get(back)

            again = [browser.get(first.url), browser.get(back), browser.get(first.url)]

            assert "acme-canary.example is connected to acme." in first.text
            assert [one.text for one in again] == [first.text] * 3
            assert [one.status_code for one in (first, *again)] == [200] * 4
            assert "code=" not in str(first.url)
            assert len(client.get("/accounts").json()) == 1

    def test_the_last_page_without_a_connection(self, host):
        """Says nothing, also to whoever has an invitation in its place."""
        with host.client("acme") as client, host.client() as browser:
            sealed = client.post("/accounts/connect").json()["url"].rpartition("/")[2]
            for cookies in ({}, {"hubspot_connected": sealed}, {"hubspot_connected": "x"}):
                page = httpx.get(f"{host.url}/oauth/connected", cookies=cookies)
                assert page.status_code == 404
                assert "acme" not in page.text
            back = host.consent(browser, f"{host.url}/connect/{sealed}", ACME)
            browser.get(back)
            arrived = browser.cookies["hubspot_connected"]
            assert httpx.get(f"{host.url}/connect/{arrived}").status_code == 400

    def test_a_callback_of_another_tenant(self, host):
        """Is refused, and stays good for the browser that it belongs to."""
        with (
            host.client("acme") as acme,
            host.client("globex") as globex,
            host.client() as other,
            host.client() as attacker,
        ):
            other.get(acme.post("/accounts/connect").json()["url"])
            link = globex.post("/accounts/connect").json()["url"]
            back = host.consent(attacker, link, GLOBEX)

            refused = other.get(back)

            assert refused.status_code == 400
            assert "asked for by somebody else" in refused.text
            assert acme.get("/accounts").json() == globex.get("/accounts").json() == []
            assert attacker.get(back).status_code == 303
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
        assert f"You chose another HubSpot account than {ACME}" in refused.text
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
        account = acme.get(f"/accounts/{ACME}").json()
        assert account["status"] == "needs_reauthorization"
        assert report["error"] in account["reason"]

    def test_what_was_disconnected_is_not_resumed(self, host, acme):
        """It has to be connected again, and is active by that."""
        acme.post(f"/accounts/{ACME}/disconnect")

        refused = refusal(acme.post(f"/accounts/{ACME}/resume"), 409)
        assert "/accounts/connect" in refused["detail"]
        assert "connect it again" in refusal(acme.post(f"/accounts/{ACME}/sync"), 409)["detail"]
        assert acme.get(f"/accounts/{ACME}").json()["status"] == "disabled"

        host.connect("acme", ACME)
        assert sync(acme, ACME)["completed"]

    def test_a_sync_without_credentials(self, acme):
        """A paused account may be synced, but one that was disconnected before cannot be."""
        acme.post(f"/accounts/{ACME}/disconnect")
        acme.post(f"/accounts/{ACME}/pause")
        acme.post(f"/accounts/{ACME}/sync")

        kind, last = follow(acme, ACME)[-1]

        assert (kind, last["report"], last["problem"]["status"]) == ("ended", None, 409)
        assert "Connect it again" in last["problem"]["detail"]

    def test_errors_are_listed_and_tried_again(self, settings, emulator):
        """What a rule of the host's refuses waits with its reason until the rule is fixed."""
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
                assert client.get(errors, params={"parked": True}).json() == []

                again = client.post(f"{errors}/redrive").json()
                assert again["streams"]["contacts"]["rejected"] == 3
                strict.clear()
                one = {"object_ids": [min(refused)]}
                some = client.post(f"{errors}/redrive", json=one).json()
                assert some["streams"]["contacts"]["delivered"] == 1
                rest = client.post(f"{errors}/redrive").json()
                assert rest["streams"]["contacts"]["delivered"] == 2
                assert client.get(errors).json() == []
        assert_holds_the_account(
            sqlite_actions(settings.store.removeprefix("sqlite:///")), emulator, "acme"
        )

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
        assert_holds_the_account(
            sqlite_actions(settings.store.removeprefix("sqlite:///")), emulator, "acme"
        )

    def test_an_app_that_hubspot_does_not_accept(self, settings, emulator, monkeypatch):
        """What is due waits, and is synced as soon as HubSpot accepts the app again."""
        monkeypatch.setattr("fastapi_host.syncs._PAUSE", 0.05)
        with serving(settings, emulator) as host:
            host.connect("acme", ACME)
        emulator.expire_access_tokens()
        before = emulator.calls.count("oauth")
        wrong = evolve(settings, sync_due=True, client_secret="wrong")
        with serving(wrong, emulator) as host, host.client("acme") as client:
            wait_until(lambda: emulator.calls.count("oauth") >= before + 2)
            assert client.get(f"/accounts/{ACME}").json()["status"] == "active"

    def test_a_tenant_gets_half_of_the_threads(self, settings, emulator):
        """Its long syncs keep no other tenant waiting."""
        gate = threading.Event()
        emulator.add_account("62517", contacts=5, installed=False)
        crowded = evolve(settings, workers=2, validators=[waiting_for(gate)])
        with (
            serving(crowded, emulator) as host,
            host.client("acme") as acme,
            host.client("globex") as globex,
        ):
            host.connect("acme", ACME)
            host.connect("acme", "62517")
            host.connect("globex", GLOBEX)
            try:
                for client, account_id in ((acme, ACME), (acme, "62517"), (globex, GLOBEX)):
                    assert client.post(f"/accounts/{account_id}/sync").status_code == 202
                wait_until(lambda: state_of(globex, GLOBEX) == "running")
                assert (state_of(acme, ACME), state_of(acme, "62517")) == ("running", "waiting")
            finally:
                gate.set()
            for client, account_id in ((acme, ACME), (acme, "62517"), (globex, GLOBEX)):
                assert follow(client, account_id)[-1][1]["report"]["completed"]

    def test_mongodb_by_its_uri(self, settings, emulator, mongodb_uri):
        """The same, with another store."""
        with serving(evolve(settings, store=mongodb_uri), emulator) as host:
            host.connect("acme", ACME)
            with host.client("acme") as client:
                assert sync(client, ACME)["completed"]

    def test_a_scheme_in_capitals(self, settings, mongodb_uri):
        """The scheme of a URI is the same in capitals."""
        capitals = mongodb_uri.replace("mongodb://", "MongoDB://")
        with evolve(settings, store=capitals).open_engine([]) as engine:
            assert not engine.sync_all("acme").accounts


def state_of(client, account_id):
    return client.get(f"/accounts/{account_id}/sync").json()["state"]


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
                follower.join(300)

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
        assert last["note"].startswith("HubSpot, or what is needed to ask it, does not answer")


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
