"""The emulator's credentials, OAuth endpoint, rate windows and faults: HubSpot 3 and 5."""

from __future__ import annotations

import http.client
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Fault, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
SEARCH = "/crm/v3/objects/contacts/search"
ASSOCIATIONS = "/crm/v4/associations/contacts/companies/batch/read"


@pytest.fixture
def clock() -> ManualClock:
    """A clock to expire access tokens with."""
    return ManualClock()


@pytest.fixture
def caller(clock: ManualClock) -> Iterator[Caller]:
    """An account with limits: 3 calls per ten seconds, 2 searches per second."""
    with HubSpotEmulator(contacts=3, clock=clock, burst_limit=3, search_limit=2) as emulator:
        yield Caller(emulator)


def refresh(caller: Caller, version: str = "2026-03", **changes: str) -> Any:
    """A refresh at the token endpoint."""
    fields = {
        "grant_type": "refresh_token",
        "client_id": caller.emulator.client_id,
        "client_secret": caller.emulator.client_secret,
        "refresh_token": caller.emulator.refresh_token,
        **changes,
    }
    return caller.form(f"/oauth/{version}/token", **fields)


@pytest.mark.parametrize("given", [None, "wrong", ""])
def test_wrong_credentials(caller: Caller, given):
    """HubSpot 3.4: 401 INVALID_AUTHENTICATION, "Authentication credentials not found"."""
    caller.access_token = given
    reply = caller.get(LIST)
    assert (reply.status, reply.json["category"]) == (401, "INVALID_AUTHENTICATION")
    assert reply.json["message"].startswith("Authentication credentials not found")


def test_access_tokens_expire_by_the_clock(caller: Caller, clock):
    """HubSpot 3.4 and 5.2: 30 minutes, then 401 EXPIRED_AUTHENTICATION with the time."""
    caller.access_token = refresh(caller).json["access_token"]
    clock.advance(timedelta(minutes=29, seconds=59))
    assert caller.get(LIST).status == 200
    clock.advance(76)
    reply = caller.get(LIST)
    assert (reply.status, reply.json["category"]) == (401, "EXPIRED_AUTHENTICATION")
    assert "expired 75 second(s) ago" in reply.json["message"]
    assert reply.json["context"] == {"expire time": ["2026-07-01T00:30:00.000Z"]}


def test_expiring_at_once(caller: Caller):
    """A test can let access tokens run out without moving time."""
    caller.access_token = refresh(caller).json["access_token"]
    caller.emulator.expire_access_tokens()
    assert caller.get(LIST).json["category"] == "EXPIRED_AUTHENTICATION"


@pytest.mark.parametrize("version", ["2026-03", "2026-09", "v3"])
def test_token_answer(caller: Caller, version):
    """HubSpot 5.2: the fields of the answer; the refresh token stays the same."""
    content = refresh(caller, version).json
    assert content["token_type"] == "bearer"
    assert content["refresh_token"] == caller.emulator.refresh_token
    assert content["expires_in"] == 1800
    assert content["hub_id"] == 62515
    assert "crm.objects.contacts.read" in content["scopes"]


def test_token_answer_of_v1(caller: Caller):
    """HubSpot 5.2: v1 returns four fields only."""
    assert set(refresh(caller, "v1").json) == {
        "token_type",
        "access_token",
        "refresh_token",
        "expires_in",
    }


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"refresh_token": "x"}, "BAD_REFRESH_TOKEN", "invalid_grant"),
        ({"client_id": "x"}, "BAD_CLIENT_ID", "invalid_client"),
        ({"client_secret": "x"}, "BAD_CLIENT_SECRET", "invalid_client"),
        (
            {"grant_type": "authorization_code", "code": "x"},
            "BAD_AUTH_CODE",
            "invalid_grant",
        ),
        ({"grant_type": "password"}, "BAD_GRANT_TYPE", "unsupported_grant_type"),
        ({"grant_type": ""}, "BAD_GRANT_TYPE", "invalid_request"),
    ],
)
def test_token_refusals(caller: Caller, changes, status, error):
    """HubSpot 5.3: 400 with `status` and the OAuth `error`."""
    reply = refresh(caller, **changes)
    assert reply.status == 400
    assert (reply.json["status"], reply.json["error"]) == (status, error)
    assert reply.json["error_description"] == reply.json["message"]


def test_authorization_code(caller: Caller):
    """A code is good for one exchange, with the redirect URI it was issued for."""
    form = {"grant_type": "authorization_code", "redirect_uri": "https://a.example/"}
    code = caller.emulator.issue_code("https://a.example/")
    assert refresh(caller, **form, code=code).status == 200
    assert refresh(caller, **form, code=code).json["status"] == "BAD_AUTH_CODE"
    other = caller.emulator.issue_code("https://b.example/")
    assert refresh(caller, **form, code=other).json["status"] == "BAD_REDIRECT_URI"


def test_revoking(caller: Caller):
    """After an uninstall the refresh token is refused, and accepted after a new consent."""
    caller.emulator.revoke_access()
    assert refresh(caller).json["status"] == "BAD_REFRESH_TOKEN"
    code = caller.emulator.issue_code("https://a.example/")
    form = {"grant_type": "authorization_code", "redirect_uri": "https://a.example/"}
    assert refresh(caller, **form, code=code).status == 200
    assert refresh(caller).status == 200


def test_burst_window(caller: Caller, clock):
    """HubSpot 3.2 and 3.3: headers count down, then 429 by policy; the window rolls."""
    left = [caller.get(LIST).headers["X-HubSpot-RateLimit-Remaining"] for _ in range(3)]
    refused = caller.get(LIST)
    assert left == ["2", "1", "0"]
    assert refused.status == 429
    assert refused.json["policyName"] == "TEN_SECONDLY_ROLLING"
    assert refused.json["errorType"] == "RATE_LIMIT"
    clock.advance(9.9)
    assert caller.get(LIST).status == 429
    clock.advance(0.1)
    assert caller.get(LIST).status == 200


def test_search_window(caller: Caller, clock):
    """HubSpot 1.7: search has a pot of its own, and no limit headers."""
    replies = [caller.post(SEARCH, {}) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert replies[2].json["policyName"] == "SECONDLY"
    assert not [name for name in replies[0].headers if "ratelimit" in name.lower()]
    clock.advance(1)
    assert caller.post(SEARCH, {}).status == 200
    assert caller.get(LIST).headers["X-HubSpot-RateLimit-Remaining"] == "2"


def test_association_batches_are_exempt(caller: Caller):
    """HubSpot 1.7: `x-hubspot-rate-limit-exemptions: ["ten-secondly"]`."""
    for _ in range(5):
        assert caller.post(ASSOCIATIONS, {"inputs": [{"id": "1"}]}).status != 429
    assert caller.get(LIST).headers["X-HubSpot-RateLimit-Remaining"] == "2"


def test_no_limit_all_the_same_headers():
    """HubSpot 3.2: lists and batch reads always have them, searches never."""
    with HubSpotEmulator(contacts=1) as emulator:
        caller = Caller(emulator)
        one = {"inputs": [{"id": "1"}]}
        for reply in (caller.get(LIST), caller.post(f"{LIST}/batch/read", one)):
            headers = {k: v for k, v in reply.headers.items() if "RateLimit" in k}
            assert headers == {
                "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
                "X-HubSpot-RateLimit-Max": "1000000",
                "X-HubSpot-RateLimit-Remaining": "999999",
                "X-HubSpot-RateLimit-Secondly": "11",
                "X-HubSpot-RateLimit-Secondly-Remaining": "10",
            }
        assert not [name for name in caller.post(SEARCH, {}).headers if "RateLimit" in name]


def test_status_faults_by_route_skip_and_times(caller: Caller):
    """A scripted status hits the named route only, after *skip* and *times* times."""
    caller.emulator.faults.add(Fault(route="list", status=503, skip=1, times=2))
    assert caller.post(SEARCH, {}).status == 200
    assert [caller.get(LIST).status for _ in range(4)] == [200, 503, 503, 200]
    assert len(caller.emulator.faults) == 0


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (401, "EXPIRED_AUTHENTICATION"),
        (403, "MISSING_SCOPES"),
        (404, "OBJECT_NOT_FOUND"),
        (423, "LOCKED"),
        (477, "MIGRATION_IN_PROGRESS"),
        (502, "INTERNAL_ERROR"),
    ],
)
def test_status_faults_have_hubspot_bodies(caller: Caller, status, category):
    """HubSpot 3.4: each status with its category."""
    caller.emulator.faults.add(Fault(status=status, headers={"Retry-After": "7"}))
    reply = caller.get(LIST)
    assert (reply.status, reply.json["category"]) == (status, category)
    assert reply.headers["Retry-After"] == "7"


def test_rate_faults_by_policy(caller: Caller):
    """HubSpot 3.3: the policy follows the route unless it is given."""
    caller.emulator.faults.add(
        Fault(status=429, route="search"), Fault(status=429, route="list", policy="DAILY")
    )
    assert caller.post(SEARCH, {}).json["policyName"] == "SECONDLY"
    assert caller.get(LIST).json["policyName"] == "DAILY"


def test_faults_by_object_type(caller: Caller):
    """A missing scope stops one stream alone."""
    caller.emulator.faults.add(Fault(status=403, object_type="companies", times=None))
    assert caller.get(LIST).status == 200
    for name in ("companies", "0-2"):
        reply = caller.get(f"/crm/v3/objects/{name}")
        assert reply.status == 403
    scopes = reply.json["errors"][0]["context"]["requiredGranularScopes"]
    assert scopes == ["crm.objects.companies.read"]


def test_html_fault(caller: Caller):
    """HubSpot 4: proxies answer with HTML."""
    caller.emulator.faults.add(Fault(kind="html", status=521))
    reply = caller.get(LIST)
    assert reply.status == 521
    assert reply.headers["Content-Type"] == "text/html"
    assert b"<html>" in reply.body


def test_reset_fault(caller: Caller):
    """The connection is reset before any answer."""
    caller.emulator.faults.add(Fault(kind="reset"))
    with pytest.raises(ConnectionError):
        caller.get(LIST)
    assert caller.get(LIST).status == 200
    assert caller.emulator.calls.statuses() == {0: 1, 200: 1}


def test_cut_fault(caller: Caller):
    """The body ends before its Content-Length."""
    caller.emulator.faults.add(Fault(kind="cut"))
    with pytest.raises(http.client.IncompleteRead):
        caller.get(LIST)


def test_malformed_fault(caller: Caller):
    """The body is whole and no JSON."""
    caller.emulator.faults.add(Fault(kind="malformed"))
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        _ = caller.get(LIST).json


def test_hanging_call_ends_when_the_emulator_closes(caller: Caller):
    """A delay holds the call back until the client gives up or the emulator closes."""
    caller.emulator.faults.add(Fault(kind="delay", delay=3600))
    host, _, port = caller.emulator.base_url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=0.05)
    connection.request("GET", LIST)
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()
    caller.emulator.close()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"route": "lists", "status": 500},
        {"kind": "reset", "status": 500},
        {"kind": "explode"},
        {"status": 99},
        {"status": 500, "times": 0},
        {"status": 500, "skip": -1},
        {"status": 429, "policy": "HOURLY"},
    ],
)
def test_impossible_faults(arguments):
    """A fault that could never happen is refused when it is made."""
    with pytest.raises(ValueError):
        Fault(**arguments)
