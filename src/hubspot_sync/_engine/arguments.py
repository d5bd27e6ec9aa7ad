"""Checks what callers hand to the engine, where a wrong value would show only later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import (
    Account,
    AccountStatus,
    HubSpotSettings,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    SyncSettings,
)
from hubspot_sync.models._checks import Check, is_kind, is_list, is_whole, kind_of, maybe

if TYPE_CHECKING:
    from collections.abc import Iterable

is_account = is_kind(
    Account, such_as="Account(account_id=...); domain(...) has methods that take an id alone"
)
is_status = maybe(is_kind(AccountStatus, such_as="AccountStatus.ACTIVE"))
is_sync_settings = maybe(is_kind(SyncSettings))
is_hubspot_settings = maybe(is_kind(HubSpotSettings))
is_oauth_app = maybe(is_kind(OAuthApp))
is_credentials = Check(
    lambda value: isinstance(value, (StaticAccessToken, OAuthTokens)),
    "StaticAccessToken(access_token=...), or OAuthTokens(refresh_token=...)",
    shown=False,
)
# Each of them takes up to a dozen threads.
is_number_of_workers = is_whole(1, 1_000)


def checked_accounts(accounts: Iterable[Account]) -> list[Account]:
    """The *accounts*, which all are some."""
    if not is_list(accounts):
        raise ConfigurationError(f"accounts is {kind_of(accounts)}; give a list of Account")
    given = list(accounts)
    for account in given:
        is_account.of("one of the accounts", account)
    return given
