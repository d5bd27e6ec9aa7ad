"""Many accounts on one emulator: who answers whom, and what each has of its own."""

from __future__ import annotations

import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import (
    App,
    EmulatedAccount,
    Fault,
    Hostility,
    HubSpotEmulator,
)
from hubspot_sync.testing.emulator.account import AccountSettings
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"
SEARCH = "/crm/v3/objects/contacts/search"
ACCOUNT = "/account-info/v3/details"


@pytest.fixture
def clock() -> ManualClock:
    """A clock to expire access tokens with."""
    return ManualClock()


@pytest.fixture
def emulator(clock: ManualClock) -> Iterator[HubSpotEmulator]:
    """A server with one account."""
    with HubSpotEmulator(contacts=3, clock=clock) as emulator:
        yield emulator


def as_(account: EmulatedAccount, emulator: HubSpotEmulator) -> Caller:
    """A client with the account's static access token."""
    caller = Caller(emulator)
    caller.access_token = account.access_token
    return caller


def refresh(account: EmulatedAccount, emulator: HubSpotEmulator, **changes: str) -> Any:
    """A refresh at the token endpoint with the account's refresh token."""
    fields = {
        "grant_type": "refresh_token",
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
        "refresh_token": account.refresh_token,
        **changes,
    }
    return Caller(emulator).form("/oauth/2026-03/token", **fields)


def test_the_access_token_chooses_the_account(emulator):
    """Static and issued ones; content differs, and changes stay where they are made."""
    other = emulator.add_account("62516", contacts=5, companies=2)
    first, second = as_(emulator, emulator), as_(other, emulator)

    assert (first.get(ACCOUNT).json["portalId"], second.get(ACCOUNT).json["portalId"]) == (
        62515,
        62516,
    )
    assert (len(first.get(LIST).ids), len(second.get(LIST).ids)) == (3, 5)
    assert dict(emulator.records("contacts")) != dict(other.records("contacts"))
    second.access_token = refresh(other, emulator).json["access_token"]
    other.create("contacts")
    assert (len(first.get(LIST).ids), len(second.search("contacts").ids)) == (3, 6)


def test_an_unknown_access_token_opens_nothing(emulator):
    """HubSpot 3.4: 401 INVALID_AUTHENTICATION; the call is nobody's."""
    other = emulator.add_account(contacts=1)
    caller = Caller(emulator)
    caller.access_token = "pat-na1-stranger"

    reply = caller.get(LIST)

    assert (reply.status, reply.json["category"]) == (401, "INVALID_AUTHENTICATION")
    assert [call.account_id for call in emulator.all_calls] == [None]
    assert (emulator.calls.count(), other.calls.count()) == (1, 0)


def test_numbers_and_credentials_of_its_own(emulator):
    """By default the next number, and credentials that have it in them."""
    other = emulator.add_account()
    assert (other.account_id, other.access_token) == ("62516", "pat-na1-emulator-62516")
    assert list(emulator.accounts) == ["62515", "62516"]
    assert emulator.accounts["62515"] is emulator.account
    for wrong in (
        {"account_id": "62515"},
        {"access_token": emulator.access_token},
        {"refresh_token": other.refresh_token},
        {"access_token": "same", "refresh_token": "same"},
        {"account_id": "acme"},
        {"contacts": -1},
    ):
        with pytest.raises(ValueError, match=r"account|credential|negative"):
            emulator.add_account(**wrong)
    with pytest.raises(TypeError):
        emulator.add_account(colour="red")
    assert list(emulator.accounts) == ["62515", "62516"]


def test_adding_from_many_threads(emulator):
    """Each gets a number of its own."""
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: emulator.add_account(contacts=20), range(40)))
    assert len({account.account_id for account in added}) == 40
    assert len(emulator.accounts) == 41


def test_the_same_arguments_give_the_same_content(clock):
    """Also in another process, and whatever accounts there are besides."""
    one, two = HubSpotEmulator(clock=clock), HubSpotEmulator(clock=clock)
    two.add_account("7")
    first, second = (one.add_account("9", contacts=4), two.add_account("9", contacts=4))
    assert {i: r.properties for i, r in first.records("contacts").items()} == {
        i: r.properties for i, r in second.records("contacts").items()
    }


def test_limits_are_per_account(emulator, clock):
    """HubSpot 3.1: per account that installed the app; search and the daily pot likewise."""
    limits = {"burst_limit": 2, "search_limit": 1, "daily_limit": 4}
    one, two = (as_(emulator.add_account(**limits), emulator) for _ in range(2))

    assert [one.get(LIST).status for _ in range(3)] == [200, 200, 429]
    assert [one.post(SEARCH, {}).status for _ in range(2)] == [200, 429]
    clock.advance(10)
    assert one.get(LIST).status == 200
    assert one.get(LIST).json["policyName"] == "DAILY"
    assert two.get(LIST).headers["X-HubSpot-RateLimit-Remaining"] == "1"
    assert as_(emulator, emulator).get(LIST).status == 200


def test_faults_scopes_and_hostility_are_per_account(emulator):
    """One account's trouble does not touch another."""
    one = emulator.add_account(contacts=2)
    two = emulator.add_account(contacts=2, scopes=["oauth", "crm.objects.companies.read"])
    one.faults.add(Fault(status=477, headers={"Retry-After": "3600"}, times=None))
    one.hostility = Hostility(refused_families={"v4"})

    moved = as_(one, emulator).get(LIST)

    assert (moved.status, moved.json["category"]) == (477, "MIGRATION_IN_PROGRESS")
    assert moved.headers["Retry-After"] == "3600"
    assert as_(two, emulator).get(LIST).json["category"] == "MISSING_SCOPES"
    assert as_(two, emulator).get("/crm/v3/objects/companies").status == 200
    assert as_(emulator, emulator).get(LIST).status == 200
    labels = "/crm/v4/associations/contacts/companies/labels"
    assert [as_(a, emulator).get(labels).status for a in (one, emulator)] == [404, 200]


def test_shared_faults_meet_every_account(emulator):
    """Such as a token endpoint that fails for all."""
    other = emulator.add_account()
    emulator.shared_faults.add(Fault(route="oauth", status=503, times=2))
    assert [refresh(a, emulator).status for a in (emulator, other, other)] == [503, 503, 200]


def test_calls_and_hooks_are_per_account(emulator):
    """Each account sees its own calls; the emulator sees all of them."""
    other = emulator.add_account(contacts=1)
    seen: list[str | None] = []
    other.on_call(lambda call: seen.append(call.account_id))
    as_(emulator, emulator).get(LIST)
    as_(other, emulator).get(LIST)
    refresh(other, emulator)

    assert seen == ["62516", "62516"]
    assert (emulator.calls.counts(), other.calls.counts()) == (
        {"list": 1},
        {"list": 1, "oauth": 1},
    )
    assert [call.account_id for call in emulator.all_calls] == ["62515", "62516", "62516"]


def test_refreshes_and_expired_calls(emulator, clock):
    """A lifetime per account; calls with an access token that is out of date are told apart."""
    other = emulator.add_account(access_token_lifetime=3)
    tokens = {a.account_id: refresh(a, emulator).json for a in (emulator, other)}
    assert [one["expires_in"] for one in tokens.values()] == [1800, 3]
    caller = Caller(emulator)
    caller.access_token = tokens["62516"]["access_token"]
    clock.advance(timedelta(seconds=2, milliseconds=999))
    assert caller.get(LIST).status == 200
    clock.advance(0.251)

    assert caller.get(LIST).json["category"] == "EXPIRED_AUTHENTICATION"

    (late,) = other.expired_calls
    assert (late.route, late.status, late.expired_for) == ("list", 401, 0.25)
    assert [call.expired_for for call in other.calls] == [None, None, 0.25]
    assert (other.refreshes, emulator.refreshes, len(emulator.expired_calls)) == (1, 1, 0)
    other.access_token_lifetime = timedelta(minutes=5)
    assert refresh(other, emulator).json["expires_in"] == 300
    assert other.refreshes == 2
    assert refresh(other, emulator, client_secret="x").status == 400
    assert other.refreshes == 2


def test_revoking_one_account(emulator):
    """The others go on."""
    other = emulator.add_account()
    issued = refresh(other, emulator).json["access_token"]
    other.revoke_access()
    assert refresh(other, emulator).json["status"] == "BAD_REFRESH_TOKEN"
    assert refresh(emulator, emulator).status == 200
    caller = Caller(emulator)
    caller.access_token = issued
    assert caller.get(LIST).json["category"] == "INVALID_AUTHENTICATION"


def test_a_deleted_account(emulator):
    """HubSpot 5.3: BAD_HUB; nothing opens it again."""
    other = emulator.add_account()
    code = other.issue_code("https://a.example/")
    other.delete_account()
    assert refresh(other, emulator).json["status"] == "BAD_HUB"
    form = {"grant_type": "authorization_code", "redirect_uri": "https://a.example/"}
    assert refresh(other, emulator, **form, code=code).json["status"] == "BAD_HUB"
    assert as_(other, emulator).get(LIST).status == 401


def test_an_account_without_the_app(emulator):
    """Until somebody consents, its refresh token is not good."""
    other = emulator.add_account(installed=False)
    assert refresh(other, emulator).json["status"] == "BAD_REFRESH_TOKEN"
    code = other.issue_code("https://a.example/", scopes=["oauth", "crm.objects.contacts.read"])
    form = {"grant_type": "authorization_code", "redirect_uri": "https://a.example/"}
    content = refresh(emulator, emulator, **form, code=code).json
    assert (content["hub_id"], content["scopes"]) == (62516, ["crm.objects.contacts.read", "oauth"])
    assert refresh(other, emulator).status == 200
    assert other.refreshes == 1


def test_rotation(emulator):
    """HubSpot 5.2 does not exclude it: a new refresh token each time, the old one is refused."""
    other = emulator.add_account()
    emulator.rotate_refresh_tokens = True
    old = other.refresh_token
    new = refresh(other, emulator).json["refresh_token"]
    assert new == other.refresh_token != old
    assert refresh(other, emulator, refresh_token=old).json["status"] == "BAD_REFRESH_TOKEN"
    assert refresh(other, emulator).json["hub_id"] == 62516
    assert {call.account_id for call in other.calls} == {"62516"}


def test_the_limit_of_the_token_endpoint(clock):
    """HubSpot 5.3: one for the app, whatever the account."""
    with HubSpotEmulator(clock=clock, token_limit=2) as emulator:
        other = emulator.add_account()
        replies = [refresh(account, emulator) for account in (emulator, other, other)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].json["policyName"] == "SECONDLY"
        clock.advance(1)
        assert refresh(other, emulator).status == 200


def test_control_path(emulator):
    """Another process adds an account and handles it by its number."""
    caller = Caller(emulator)
    settings = {"contacts": 2, "access_token_lifetime": 3, "hostility": {"opaque_after": True}}
    added = caller.post("/_emulator/accounts", settings).json
    assert (added["account_id"], added["contacts"]) == ("62516", 2)
    own = "/_emulator/accounts/62516"
    assert caller.get(own).json == added
    assert caller.get("/_emulator/accounts").json["accounts"][1] == added
    assert caller.get(f"{own}/hostility").json["opaque_after"] is True
    touched = caller.post(f"{own}/touch", {"object_type": "contacts", "count": 2}).json["ids"]
    assert touched == list(emulator.accounts["62516"].records("contacts"))
    assert caller.post(f"{own}/faults", {"status": 500}).json == {"armed": 1}
    put = caller.call("PUT", f"{own}/access_token_lifetime", b'{"seconds": 9}')
    assert put.status == 200
    account = emulator.accounts["62516"]
    assert account.access_token_lifetime == timedelta(seconds=9)
    assert as_(account, emulator).get(LIST).status == 500
    assert caller.get(f"{own}/calls").json["counts"] == {"list": 1}
    assert caller.get("/_emulator/all_calls").json["calls"][0]["account_id"] == "62516"
    assert caller.post("/_emulator/shared_faults", {"status": 500}).json == {"armed": 1}
    assert caller.call("DELETE", "/_emulator/shared_faults").status == 200
    assert caller.call("DELETE", "/_emulator/all_calls").status == 200
    assert len(emulator.all_calls) == 0
    assert caller.post(f"{own}/delete_account", {}).status == 200
    assert as_(account, emulator).get(LIST).status == 401
    assert caller.post("/_emulator/accounts", {"account_id": "62516"}).status == 400
    assert caller.call("PUT", "/_emulator/accounts", b"{}").status == 404
    for missing in ("/_emulator/accounts/7", f"{own}/colour", "/_emulator/accounts/7/touch"):
        assert caller.get(missing).status == 404


def test_sixteen_clients_at_once(emulator):
    """Each gets its own account's answers; accounts are added meanwhile."""
    accounts = [emulator.add_account(contacts=10 + place) for place in range(16)]
    together = threading.Barrier(17)

    def read(account: EmulatedAccount) -> set[tuple[str, ...]]:
        caller = as_(account, emulator)
        together.wait(300)
        return {tuple(caller.get(LIST, limit=100).ids) for _ in range(10)}

    with ThreadPoolExecutor(16) as pool:
        reading = [pool.submit(read, account) for account in accounts]
        together.wait(300)
        late = emulator.add_account(contacts=1)
        for account, read_ids in zip(accounts, reading, strict=True):
            assert read_ids.result() == {tuple(account.records("contacts"))}
    assert [account.calls.count("list") for account in accounts] == [10] * 16
    assert len(as_(late, emulator).get(LIST).ids) == 1


def test_accounts_and_an_app_make_an_emulator(clock):
    """They may hold something before they are served; what the emulator shows is the first's."""
    first = EmulatedAccount("1001", contacts=2, clock=clock)
    second = EmulatedAccount("1002", companies=1, clock=clock)
    contact = first.create("contacts", {"email": "new@example.com"})
    with HubSpotEmulator(accounts=[first, second], app=App(client_id="mine")) as emulator:
        assert dict(emulator.accounts) == {"1001": first, "1002": second}
        assert (emulator.account, emulator.clock) == (first, clock)
        assert as_(first, emulator).get(f"{LIST}/{contact}").status == 200
        assert refresh(second, emulator, client_id="mine").status == 200
        assert (first.refreshes, second.refreshes) == (0, 1)
        assert emulator.add_account().account_id == "1003"


def test_the_short_form_is_one_account_and_an_app():
    """Its arguments are theirs, each by its own name."""
    emulator = HubSpotEmulator(account_id="1001", contacts=2, scopes=["oauth"], client_id="mine")
    assert emulator.account.account_id == emulator.account_id == "1001"
    assert len(emulator.account.records("contacts")) == len(emulator.records("contacts")) == 2
    assert emulator.account.scopes == emulator.scopes == {"oauth"}
    assert emulator.client_id == "mine"
    emulator.hostility = Hostility(seed=3)
    emulator.scopes = None
    emulator.access_token_lifetime = 3
    assert emulator.account.hostility.seed == 3
    assert emulator.account.scopes is None
    assert emulator.account.access_token_lifetime == timedelta(seconds=3)
    with pytest.raises(AttributeError):
        emulator.refresh_token = "x"


@pytest.mark.parametrize(
    "arguments",
    [
        {"accounts": [EmulatedAccount()], "contacts": 2},
        {"app": App(), "app_scopes": ["oauth"]},
        {"contcts": 2},
    ],
    ids=["accounts", "app", "unknown"],
)
def test_arguments_that_fit_nothing(arguments):
    """Either the parts or their settings, and nothing else."""
    with pytest.raises(TypeError):
        HubSpotEmulator(**arguments)


def test_two_accounts_with_one_credential():
    """Nobody could tell them apart."""
    accounts = [EmulatedAccount("1", access_token="a"), EmulatedAccount("2", access_token="a")]
    with pytest.raises(ValueError, match="credential of account 2"):
        HubSpotEmulator(accounts=accounts)


def test_settings_and_arguments_are_the_same():
    """What is passed on has the names that `EmulatedAccount` knows."""
    taken = set(inspect.signature(EmulatedAccount).parameters) - {"account_id"}
    assert set(AccountSettings.__annotations__) == taken


def test_all_that_an_account_does_the_emulator_does():
    """For its first one."""

    def public(one):
        return {name for name in dir(one) if not name.startswith("_")}

    account = EmulatedAccount()
    missing = public(account) - public(HubSpotEmulator(accounts=[account]))
    assert missing == {"content", "history", "installation", "reference", "seed"}


def test_credentials_are_all_that_was_given_out(emulator):
    """Also what is no longer good, for tests that look for leaks."""
    code = emulator.issue_code()
    issued = refresh(emulator, emulator).json["access_token"]
    emulator.revoke_access()
    assert {emulator.access_token, emulator.refresh_token, code, issued} == set(
        emulator.credentials
    )
