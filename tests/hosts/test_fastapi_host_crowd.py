"""The FastAPI example under many clients at once, and when it is told to end."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest
from attrs import evolve

from fastapi_host.logs import JsonFormatter
from fastapi_host.security import new_api_key
from hosts.test_examples import assert_holds_the_account, sqlite_actions
from kit.hosted import (
    ACME,
    GLOBEX,
    KEY,
    OF_ACCOUNT,
    PATHS,
    TENANTS,
    follow,
    free_port,
    process_of,
    serving,
    settings_for,
    sync,
    two_accounts,
    wait_until,
    waiting_for,
)

# In the names of one tenant's account only.
CANARIES = {"acme": "acme-canary", "globex": "globex-canary"}
ACCOUNTS = {"acme": ACME, "globex": GLOBEX}
KEYS = {name: {"X-API-Key": key} for name, key in TENANTS.items()}


@pytest.fixture
def emulator(hubspot_emulator):
    return two_accounts(hubspot_emulator)


@pytest.fixture
def settings(emulator, tmp_path):
    return settings_for(emulator, tmp_path)


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
            for method, path in PATHS[::3]:
                own = path.format(ACCOUNTS[tenant])
                answer = await self.client.request(method, own, headers=headers)
                assert answer.status_code == 401

    async def neighbour(self, tenant):
        """Has a key, and names another tenant's account."""
        (other,) = TENANTS.keys() - {tenant}
        for method, path in OF_ACCOUNT:
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
        async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as client:
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


def test_no_sync_is_lost_at_shutdown(hubspot_emulator, tmp_path):
    """SIGTERM in the middle of a first sync: it ends at a checkpoint, and the next goes on."""
    emulator = hubspot_emulator(contacts=3_000, companies=200, installed=False, latency=0.2)
    store = tmp_path / "host.db"
    port = free_port()
    by_server = ["uvicorn", "--factory", "fastapi_host:create_app", "--no-access-log"]
    with (
        process_of(emulator, store, port, *by_server) as (host, process),
        host.client("acme") as client,
    ):
        host.connect("acme", ACME)
        client.post(f"/accounts/{ACME}/sync")
        seen = []
        follower = threading.Thread(target=lambda: seen.extend(follow(client, ACME)))
        follower.start()
        wait_until(lambda: emulator.calls.count("list") >= 12)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=300)
        follower.join(300)

    assert process.returncode in (0, -signal.SIGTERM)
    assert "Traceback" not in log
    assert "code=" not in log
    kind, last = seen[-1]
    assert kind == "ended"
    stopped = last["report"]["streams"]["contacts"]
    assert stopped["status"] == "stopped"
    assert 0 < stopped["delivered"] < 3_000

    with (
        process_of(emulator, store, port, "fastapi_host") as (host, _),
        host.client("acme") as client,
    ):
        rest = sync(client, ACME)

    assert rest["completed"]
    assert rest["streams"]["contacts"]["delivered"] == 3_000 - stopped["delivered"]
    assert_holds_the_account(sqlite_actions(store), emulator, "acme")


def test_the_log_as_json(hubspot_emulator, tmp_path):
    """One object a line, with the fields that the guide names, of the library and of the server."""
    emulator = two_accounts(hubspot_emulator)
    command = ["fastapi_host", "--log", "json"]
    with process_of(emulator, tmp_path / "host.db", free_port(), *command) as (host, process):
        host.connect("acme", ACME)
        with host.client("acme") as client:
            sync(client, ACME)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=300)

    lines = [json.loads(line) for line in log.splitlines()]
    assert {"hubspot_sync", "uvicorn.error"} <= {line["logger"] for line in lines}
    for line in lines:
        assert {"time", "level", "logger", "message"} <= line.keys()
        assert line["time"].endswith("Z")
    (finished,) = (
        line
        for line in lines
        if line.get("event") == "StreamFinished" and line["object_type"] == "contacts"
    )
    assert (finished["domain_id"], finished["account_id"]) == ("acme", ACME)
    assert (finished["level"], finished["counts"]["delivered"]) == ("INFO", 30)
    for secret in (KEY, *TENANTS.values(), emulator.client_secret):
        assert secret not in log


def test_a_line_of_json_for_an_exception():
    """With its traceback, and as text what JSON does not know."""
    record = logging.makeLogRecord({"msg": "%s failed", "args": ("it",), "path": Path("x")})
    record.exc_info = (ValueError, ValueError("why"), None)

    line = json.loads(JsonFormatter().format(record))

    assert (line["message"], line["path"]) == ("it failed", "x")
    assert "ValueError: why" in line["exception"]
