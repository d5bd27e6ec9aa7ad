"""The emulator's quotas, scopes, API families and early expiry: HubSpot 3, 5 and 6."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
SEARCH = "/crm/v3/objects/contacts/search"
ASSOCIATIONS = "/crm/v4/associations/contacts/companies/batch/read"
PREFIX = "X-HubSpot-RateLimit"


@pytest.fixture
def clock() -> ManualClock:
    """Half past nine in the evening, UTC."""
    return ManualClock(datetime(2026, 7, 1, 21, 30, tzinfo=timezone.utc))


@pytest.fixture
def caller(clock: ManualClock) -> Iterator[Caller]:
    """An account with six calls a day, in Berlin, where it is half past eleven."""
    with HubSpotEmulator(
        contacts=3, clock=clock, burst_limit=4, daily_limit=6, time_zone="Europe/Berlin"
    ) as emulator:
        yield Caller(emulator)


def limits(reply: Any) -> dict[str, str]:
    """The limit headers of an answer, without their common beginning."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in reply.headers.items()
        if name.startswith(PREFIX)
    }


def test_headers_of_a_static_access_token(caller: Caller):
    """HubSpot 3.2: the daily ones too, which OAuth apps do not get."""
    assert limits(caller.get(LIST)) == {
        "-Daily": "6",
        "-Daily-Remaining": "5",
        "-Interval-Milliseconds": "10000",
        "-Max": "4",
        "-Remaining": "3",
        "-Secondly": "11",
        "-Secondly-Remaining": "10",
    }


def test_headers_of_an_oauth_app(clock):
    """HubSpot 3.1 and 3.2: no daily quota and no daily headers; none at all on search."""
    with HubSpotEmulator(clock=clock, burst_limit=110, daily_limit=2) as emulator:
        caller = Caller(emulator)
        caller.access_token = issued(caller)["access_token"]
        assert [caller.get(LIST).status for _ in range(5)] == [200] * 5
        assert not [name for name in limits(caller.get(LIST)) if "Daily" in name]
        assert limits(caller.get(LIST))["-Max"] == "110"
        assert limits(caller.post(SEARCH, {})) == {}


def test_daily_pot_counts_everything_until_midnight(caller: Caller, clock):
    """HubSpot 1.7, 3.1: searches and association batches too; again at the account's midnight."""
    assert limits(caller.post(SEARCH, {})) == {}
    batch = caller.post(ASSOCIATIONS, {"inputs": [{"id": "1"}]})
    assert limits(batch) == {"-Daily": "6", "-Daily-Remaining": "4"}
    assert [caller.get(LIST).status for _ in range(4)] == [200] * 4
    clock.advance(1799)
    for reply in (caller.get(LIST), caller.post(SEARCH, {})):
        assert (reply.status, reply.json["policyName"]) == (429, "DAILY")
        assert reply.json["message"] == "You have reached your daily limit."
        assert reply.json["errorType"] == "RATE_LIMIT"
    clock.advance(1)
    assert limits(caller.get(LIST))["-Daily-Remaining"] == "5"


def test_a_refused_call_is_in_no_pot(caller: Caller, clock):
    """A 429 of the ten-second limit says what is left: nothing; the day's pot stays."""
    for _ in range(4):
        caller.get(LIST)
    refused = caller.get(LIST)
    assert refused.json["policyName"] == "TEN_SECONDLY_ROLLING"
    assert limits(refused)["-Remaining"] == "0"
    assert limits(refused)["-Daily-Remaining"] == "2"
    clock.advance(10)
    assert limits(caller.get(LIST))["-Daily-Remaining"] == "1"


def test_time_zone_in_the_account_details(caller: Caller):
    """HubSpot 7: where a client learns when midnight is."""
    details = caller.get("/account-info/v3/details").json
    assert details["timeZone"] == "Europe/Berlin"
    assert details["utcOffset"] == "+02:00"
    assert details["utcOffsetMilliseconds"] == 7_200_000


def test_no_daily_limit_by_default(clock):
    """No pot, no daily headers, UTC, every scope."""
    with HubSpotEmulator(clock=clock) as emulator:
        caller = Caller(emulator)
        replies = [caller.get(LIST) for _ in range(300)]
        assert {reply.status for reply in replies} == {200}
        assert not [name for reply in replies for name in limits(reply) if "Daily" in name]
        assert caller.get("/account-info/v3/details").json["timeZone"] == "UTC"
        assert emulator.scopes is None


def searches(rate: float, seed: int = 1) -> list[int]:
    """Statuses of a client that makes four searches a second where five are allowed."""
    clock = ManualClock()
    hostility = Hostility(other_apps_search_rate=rate, seed=seed)
    with HubSpotEmulator(clock=clock, search_limit=5, hostility=hostility) as emulator:
        statuses = []
        for _ in range(200):
            statuses.append(Caller(emulator).post(SEARCH, {}).status)
            clock.advance(0.25)
        return statuses


def test_other_apps_search_too():
    """HubSpot 11.7: 5 a second are the account's; others take theirs at random moments."""
    assert set(searches(0)) == {200}
    statuses = searches(2)
    assert set(statuses) == {200, 429}
    assert 10 < statuses.count(429) < 140
    assert statuses == searches(2)
    assert statuses != searches(2, seed=2)
    assert statuses.count(429) < searches(40).count(429)


def test_a_varying_part_of_the_burst_is_taken():
    """`X-HubSpot-RateLimit-Remaining` falls by more than one's own calls."""
    clock = ManualClock()
    hostility = Hostility(other_apps_burst_rate=3)
    with HubSpotEmulator(clock=clock, burst_limit=100, hostility=hostility) as emulator:
        left = []
        for _ in range(100):
            left.append(int(limits(Caller(emulator).get(LIST))["-Remaining"]))
            clock.advance(1)
    assert 40 < min(left) < max(left[20:]) < 85
    assert len(set(left)) > 10


@pytest.mark.parametrize(
    ("family", "path"),
    [
        ("v3", LIST),
        ("v3", "/account-info/v3/details"),
        ("v3", "/crm/v3/properties/contacts"),
        ("v4", ASSOCIATIONS),
        ("v4", "/crm/v4/objects/contacts/1/associations/companies"),
        ("2026-03", "/crm/objects/2026-03/contacts"),
        ("2026-09", "/crm/associations/2026-09/contacts/companies/labels"),
        ("2025-09", "/account-info/2025-09/details"),
        ("oauth-v1", "/oauth/v1/token"),
        ("oauth-v3", "/oauth/v3/token"),
        ("oauth-2026-03", "/oauth/2026-03/token"),
    ],
)
def test_refused_families(caller: Caller, family, path):
    """HubSpot 5.1 and 6: a family that is switched off is an unknown path, the others stay."""
    method = "POST" if path == ASSOCIATIONS or path.startswith("/oauth") else "GET"
    assert caller.call(method, path, b"{}").status != 404 or "/1/" in path
    unknown = caller.get("/crm/v9/nothing")
    caller.emulator.hostility = Hostility(refused_families={family})
    refused = caller.call(method, path, b"{}")
    assert refused.status == unknown.status == 404
    assert refused.json["category"] == unknown.json["category"]
    assert list(caller.emulator.calls)[-1].route == "unknown"
    other = "/account-info/2026-03/details" if family != "2026-03" else "/account-info/v3/details"
    assert caller.get(other).status == 200


@pytest.mark.parametrize("legacy", [True, False])
def test_a_portal_of_one_generation(caller: Caller, legacy):
    """HubSpot 6: legacy paths only, or date-based ones only."""
    dated = {"2025-09", "2026-03", "2026-09"}
    families = dated if legacy else {"v3", "v4"}
    caller.emulator.hostility = Hostility(refused_families=families)
    assert (caller.get(LIST).status == 200) is legacy
    assert (caller.get("/crm/objects/2026-03/contacts").status == 200) is not legacy


@pytest.mark.parametrize(
    ("scopes", "path", "needed"),
    [
        ({"oauth"}, LIST, ["crm.objects.contacts.read"]),
        ({"oauth"}, "/crm/objects/2026-03/0-2", ["crm.objects.companies.read"]),
        (
            {"crm.objects.contacts.read"},
            "/crm/v3/properties/companies",
            ["crm.objects.companies.read", "crm.schemas.companies.read"],
        ),
        (
            {"oauth"},
            "/crm/v4/associations/contacts/companies/labels",
            ["crm.objects.contacts.read", "crm.objects.companies.read"],
        ),
        ({"crm.objects.contacts.read"}, "/account-info/v3/details", ["oauth"]),
        ({"oauth"}, "/crm/v3/objects/notes", ["crm.objects.contacts.read"]),
        ({"oauth"}, "/crm/v3/objects/2-7", ["crm.objects.custom.read"]),
    ],
)
def test_missing_scopes(caller: Caller, scopes, path, needed):
    """HubSpot 3.4 and 5.4: 403 MISSING_SCOPES names those of which any one is enough."""
    caller.emulator.add_object_type("notes")
    caller.emulator.add_object_type("pets", type_id="2-7")
    caller.emulator.scopes = scopes
    reply = caller.get(path)
    assert (reply.status, reply.json["category"]) == (403, "MISSING_SCOPES")
    context = reply.json["errors"][0]["context"]
    assert context == {"requiredGranularScopes": needed}
    for enough in needed:
        caller.emulator.scopes = {*scopes, enough}
        assert caller.get(path).status == 200


def test_scopes_in_the_token_answer(clock):
    """HubSpot 5.2: the answer lists them."""
    with HubSpotEmulator(clock=clock, scopes=["oauth"]) as emulator:
        assert issued(Caller(emulator))["scopes"] == ["oauth"]


def issued(caller: Caller) -> Any:
    """The answer of the token endpoint."""
    emulator = caller.emulator
    return caller.form(
        "/oauth/2026-03/token",
        grant_type="refresh_token",
        client_id=emulator.client_id,
        client_secret=emulator.client_secret,
        refresh_token=emulator.refresh_token,
    ).json


def test_early_expiry(clock):
    """HubSpot 3.4: an issued access token dies before its time, for good; a new one lives."""
    hostility = Hostility(early_expiry=0.3)
    with HubSpotEmulator(clock=clock, contacts=1, hostility=hostility) as emulator:
        caller = Caller(emulator)
        assert {caller.get(LIST).status for _ in range(20)} == {200}
        lives = []
        for _ in range(20):
            caller.access_token = issued(caller)["access_token"]
            life = 0
            while (reply := caller.get(LIST)).status == 200:
                life += 1
            lives.append(life)
            assert reply.json["category"] == "EXPIRED_AUTHENTICATION"
            assert caller.get(LIST).status == 401
    assert len(set(lives)) > 2


def test_no_early_expiry_by_default(clock):
    """An issued access token lives as long as it was told."""
    with HubSpotEmulator(clock=clock) as emulator:
        caller = Caller(emulator)
        caller.access_token = issued(caller)["access_token"]
        assert {caller.get(LIST).status for _ in range(100)} == {200}
