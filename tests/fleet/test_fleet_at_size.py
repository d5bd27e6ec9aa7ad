"""Two hundred accounts of all kinds in one process, and twenty of them whenever tests run."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from hubspot_sync import (
    AccountKey,
    AccountStatus,
    AuthorizationRevokedError,
    HubSpotUnavailableError,
    MissingScopeError,
    OAuthApp,
    RateLimitedError,
    StreamStatus,
    SyncSettings,
)
from hubspot_sync.models import RunStarted
from hubspot_sync.testing import Fault
from kit.fleets import FleetHost

# What befalls one account in ten each; the others are healthy.
TROUBLES = {
    0: AuthorizationRevokedError,
    1: MissingScopeError,
    2: RateLimitedError,
    3: HubSpotUnavailableError,
}


def connect(host, number, domains, records):
    """One account, and what is expected of it."""
    key = AccountKey(f"domain-{number % domains}", str(1_000 + number))
    settings = {
        "contacts": records - records // 5,
        "companies": records // 5,
        "oauth": number % 2 == 0,
    }
    trouble = TROUBLES.get(number // 2 % 10)
    if trouble is MissingScopeError:
        settings["scopes"] = ["oauth", "crm.objects.companies.read", "crm.schemas.companies.read"]
    if trouble is RateLimitedError:
        settings |= {"daily_limit": 3, "oauth": False}  # OAuth apps have no daily pot
    emulated = host.add(key.domain_id, key.account_id, **settings)
    if trouble is AuthorizationRevokedError:
        emulated.delete_account()
    if trouble is HubSpotUnavailableError:
        emulated.faults.add(Fault(route="list", status=502, times=None))
    return key, trouble


@pytest.mark.parametrize(
    ("accounts", "domains", "largest"),
    [
        pytest.param(20, 5, 400, id="twenty"),
        pytest.param(
            200,
            20,
            5_000,
            id="two hundred",
            marks=[pytest.mark.long, pytest.mark.timeout(1_200)],
        ),
    ],
)
def test_all_that_can_be_is_synced_and_all_else_says_why(
    hubspot_emulator, accounts, domains, largest
):
    """Accounts of 50 records and of many, by OAuth and by static access tokens."""
    host = FleetHost(hubspot_emulator(account_id="1"))
    host.oauth_app = OAuthApp(
        client_id=host.emulator.client_id, client_secret=host.emulator.client_secret
    )
    sizes = [
        round(50 * (largest / 50) ** ((7 * number % accounts) / (accounts - 1)))
        for number in range(accounts)
    ]
    expected = dict(connect(host, number, domains, records) for number, records in enumerate(sizes))
    settings = SyncSettings(batch_size=100, turn=timedelta(milliseconds=500))

    report = host.engine(settings=settings).sync_all(workers=6)

    assert {one.account for one in report.accounts} == set(expected)
    assert {key: type(error) for key, error in report.failed.items()} == {
        key: trouble for key, trouble in expected.items() if trouble
    }
    healthy = [key for key, trouble in expected.items() if trouble is None]
    assert report.ended[StreamStatus.COMPLETED] == len(healthy) == accounts * 6 // 10
    host.assert_in_step(*healthy)
    told = Counter(action.action_id for action in host.sink.actions)
    assert set(told.values()) == {1}
    assert report.counts.delivered == len(told)
    for key, trouble in expected.items():
        entry = host.entry(key)
        shut = trouble is AuthorizationRevokedError
        assert entry.status is (
            AccountStatus.NEEDS_REAUTHORIZATION if shut else AccountStatus.ACTIVE
        )
        assert entry.last_sync.completed is (trouble is None)
        assert (entry.last_sync.error is None) is (trouble is None)
        assert (entry.next_sync_at is None) is shut
    turns = Counter(event.account for event in host.recorder.of(RunStarted))
    assert set(turns) == set(expected)
