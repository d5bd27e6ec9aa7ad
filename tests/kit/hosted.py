"""Serves the FastAPI example with a real server, and does what clients and persons do."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import uvicorn
from attrs import evolve, frozen

from fastapi_host import Settings, create_app
from fastapi_host.security import ApiKey, new_api_key
from hubspot_sync import CredentialKeys, HubSpotSettings

ROOT = Path(__file__).parents[2]
KEY = CredentialKeys.generate_key()
TENANTS = {name: new_api_key() for name in ("acme", "globex")}
ACME, GLOBEX = "62515", "62516"
# All that the host offers to clients.
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
    ("GET", "/health"),
)
# Those that concern one account.
OF_ACCOUNT = tuple(one for one in PATHS if "{}" in one[1])


def two_accounts(make):
    """Two HubSpot accounts that nobody has connected yet."""
    emulator = make(contacts=30, companies=10, installed=False, hub_domain="acme-canary.example")
    emulator.add_account(
        GLOBEX, contacts=20, companies=5, installed=False, hub_domain="globex-canary.example"
    )
    return emulator


def settings_for(emulator, folder):
    """Everything but where the host is."""
    return Settings(
        api_keys=tuple(ApiKey.of(*pair) for pair in TENANTS.items()),
        client_id=emulator.client_id,
        client_secret=emulator.client_secret,
        encryption_keys=(KEY,),
        store=f"sqlite:///{folder / 'host.db'}",
        sync_due=False,
        poll_every=timedelta(milliseconds=50),
        hubspot=HubSpotSettings(
            base_url=emulator.base_url,
            consent_url=f"{emulator.base_url}/oauth/authorize",
            burst_limit=None,
            search_limit=None,
            max_tries=2,
        ),
    )


@contextmanager
def serving(settings, emulator):
    """A real server in a thread of its own."""
    # By its number, or asyncio does not know TCP, and each answer waits 40 ms to be acknowledged.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(evolve(settings, public_url=url))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive())
            assert server.started
            yield Served(url, emulator)
        finally:
            server.should_exit = True
            thread.join(300)
            assert not thread.is_alive()


@frozen
class Served:
    """A host that runs, and who may call it."""

    url: str
    emulator: object

    def client(self, tenant=None, **options):
        """A client with a tenant's key, or a browser with none."""
        headers = {"X-API-Key": TENANTS[tenant]} if tenant else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=300, **options)

    def connect(self, tenant, account_id, **answer):
        """What a client and a person do to connect an account; gives the last page."""
        with self.client(tenant) as client, self.client() as browser:
            link = client.post("/accounts/connect", json={}).json()["url"]
            back = self.consent(browser, link, account_id, **answer)
            return browser.get(back, follow_redirects=True)

    def consent(self, browser, link, account_id, **answer):
        """Open the link and go through HubSpot's page; gives where HubSpot sends the person."""
        page = browser.get(link)
        assert page.status_code == 200, page.text
        href = unescape(re.search(r'href="([^"]+)"', page.text)[1])
        return self.emulator.consent(href, account_id, **answer)


@contextmanager
def process_of(emulator, store, port, *command):
    """The host as it is deployed: by a command of its own, or by that of a server."""
    url = f"http://127.0.0.1:{port}"
    variables = {
        "HOST_API_KEYS": " ".join(str(ApiKey.of(*pair)) for pair in TENANTS.items()),
        "HUBSPOT_SYNC_KEY": KEY,
        "HUBSPOT_CLIENT_ID": emulator.client_id,
        "HUBSPOT_CLIENT_SECRET": emulator.client_secret,
        "HUBSPOT_BASE_URL": emulator.base_url,
        "HUBSPOT_CONSENT_URL": f"{emulator.base_url}/oauth/authorize",
        "HOST_STORE": f"sqlite:///{store}",
        "HOST_PUBLIC_URL": url,
        "HOST_SYNC_DUE": "no",
    }
    with subprocess.Popen(
        [sys.executable, "-m", *command, "--port", str(port)],
        cwd=ROOT / "examples",
        env=os.environ | variables,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_until(lambda: answers(url) or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            yield Served(url, emulator), process
        finally:
            process.kill()


def answers(url):
    try:
        return httpx.get(f"{url}/accounts").status_code == 401
    except httpx.TransportError:
        return False


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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


def waiting_for(gate):
    """A rule that lets everything pass as soon as *gate* is open."""

    def rule(_action):
        assert gate.wait(300)

    return rule


def wait_until(happened):
    deadline = time.monotonic() + 300  # noqa: TID251 - waits for real threads and processes
    while not happened():
        assert time.monotonic() < deadline  # noqa: TID251
        time.sleep(0.01)  # noqa: TID251
