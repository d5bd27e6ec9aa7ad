"""Eight processes on one set of tokens that live three seconds: one refreshes, all go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from faults.token_worker import tokens_in
from hubspot_sync import CredentialKeys, OAuthTokens
from hubspot_sync.models import AccountKey
from hubspot_sync.testing import HubSpotEmulator
from kit.account import say

WORKER = Path(__file__).with_name("token_worker.py")
PROCESSES = 8
LIFETIME = 3.0
RECORDS = 900


@pytest.mark.parametrize(
    ("seconds", "latency"),
    [
        pytest.param(8.0, 0.5, id="short"),
        pytest.param(35.0, 1.6, id="long", marks=pytest.mark.long),
    ],
)
def test_each_expiry_causes_one_refresh(store, seconds, latency):
    """With refresh tokens that change: who refreshed a second time would be refused and noticed."""
    with HubSpotEmulator(
        contacts=RECORDS - 300,
        companies=300,
        access_token_lifetime=LIFETIME,
        latency=latency,
        rotate_refresh_tokens=True,
    ) as emulator:
        given = {
            "store": store,
            "base_url": emulator.base_url,
            "account": emulator.account_id,
            "domain": "acme",
            "client_id": emulator.client_id,
            "client_secret": emulator.client_secret,
            "key": CredentialKeys.generate_key(),
            "seconds": seconds,
        }
        key = AccountKey("acme", emulator.account_id)
        first = OAuthTokens(refresh_token=emulator.refresh_token)
        with tokens_in(given) as tokens:
            tokens.save(key, first, expected_revision=None)

        runs = [run for one in at_once(given) for run in one]

        answers = [call.status for call in emulator.calls if call.route == "oauth"]
        late = [call.expired_for for call in emulator.expired_calls]
        span = (max(c.at for c in emulator.calls) - min(c.at for c in emulator.calls)).seconds
        longest = max(run["seconds"] for run in runs)
        say(
            f"{len(runs)} syncs, the longest {longest:.1f} s, in {span} s; {len(emulator.calls)} "
            f"calls, {emulator.refreshes} refreshes; out of date on arrival: {late}"
        )
        assert all(run["completed"] for run in runs), [run["error"] for run in runs]
        assert {RECORDS} == {run["records"] for run in runs}
        assert {200} == set(answers)
        assert emulator.refreshes == len(answers) >= span / LIFETIME
        assert all(seconds < LIFETIME for seconds in late)  # they were on their way
        with tokens_in(given) as tokens:
            kept = tokens.load(key).credentials
        assert kept.refresh_token == emulator.refresh_token
        assert kept.refreshing_until is None


def at_once(given):
    """What each process printed that was let go with all others."""
    command = [sys.executable, str(WORKER), json.dumps(given)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=500)[0] for process in processes]
    return [json.loads(output) for output in outputs]
