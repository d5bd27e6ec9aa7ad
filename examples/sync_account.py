"""Synchronise one HubSpot account into MongoDB or SQLite, from the shell.

    python examples/sync_account.py --account 62515 --store sqlite:///crm.db --json

Credentials come from the environment, so that they do not show in the list of processes:
HUBSPOT_ACCESS_TOKEN (a private app's access token or a service key), or HUBSPOT_CLIENT_ID,
HUBSPOT_CLIENT_SECRET and HUBSPOT_REFRESH_TOKEN (OAuth) with HUBSPOT_SYNC_KEY, the key that
encrypts the tokens in the store. HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and the like count as usual.

An access token of the environment always counts. OAuth tokens that are stored for the account come
first, because HubSpot may have changed the refresh token since; those of the environment are stored
when there are none, and when HubSpot does not accept the stored ones, or they open another account.

Exit status: 0 when every stream completed, 1 when not or when the store cannot be used, 2 when the
command line or the environment is wrong by itself. With 2, and where the store cannot be used, the
run did not begin: there is no report then, only a line on standard error.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from hubspot_sync import (
    Account,
    AuthorizationRevokedError,
    ConfigurationError,
    CredentialKeys,
    HubSpotSettings,
    HubSpotSyncError,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    WrongAccountError,
)
from hubspot_sync.models import canonical_object_type
from hubspot_sync.stores import check_store_url, open_stores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync import SyncReport
    from hubspot_sync.interfaces import TokenStore

BAD_ARGUMENTS: Final = 2
# Contacts come with the companies that they are associated with.
ASSOCIATIONS: Final = {"contacts": ("companies",)}
OAUTH_VARIABLES: Final = ("HUBSPOT_CLIENT_ID", "HUBSPOT_CLIENT_SECRET", "HUBSPOT_REFRESH_TOKEN")

log = logging.getLogger("hubspot_sync.sync_account")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sync and give the exit status."""
    options = parse(arguments)
    log_progress()
    try:
        account = account_from(options)
        credentials, app = credentials_from(os.environ)
        hubspot = hubspot_settings(options, os.environ)
        cipher = cipher_from(os.environ) if app is not None else None
        check_store_url(options.store)
    except ConfigurationError as error:
        return complain(error, status=BAD_ARGUMENTS)
    try:
        stores = open_stores(options.store, cipher=cipher)
        with SyncEngine(stores, oauth_app=app, hubspot=hubspot) as engine:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: engine.stop())
            report = synced(engine, stores.tokens, account, credentials, options)
    except HubSpotSyncError as error:
        return complain(error, status=1)
    return tell(report, as_json=options.json)


def log_progress() -> None:
    """Let the library's log go to standard error; errors are told once, at the end."""
    handler = logging.StreamHandler()
    handler.addFilter(lambda entry: entry.levelno < logging.ERROR)
    logger = logging.getLogger("hubspot_sync")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; argparse ends the process with status 2 when it is wrong."""
    parser = argparse.ArgumentParser(
        description="Synchronise one HubSpot account into MongoDB or SQLite.",
        epilog="Credentials are read from the environment: HUBSPOT_ACCESS_TOKEN, or "
        f"{', '.join(OAUTH_VARIABLES)} and HUBSPOT_SYNC_KEY.",
    )
    parser.add_argument("--account", required=True, help="HubSpot's id of the account")
    parser.add_argument(
        "--store", required=True, help="mongodb://host/database or sqlite:///path/file.db"
    )
    parser.add_argument("--domain", default="default", help="the tenant that owns the account")
    parser.add_argument(
        "--objects", default="companies,contacts", help="object types to sync, with commas between"
    )
    parser.add_argument(
        "--properties", help="properties to ask for where there are such, with commas; default: all"
    )
    parser.add_argument("--base-url", help="where HubSpot's API is, such as an emulator's address")
    parser.add_argument("--burst-limit", type=int, help="calls in ten seconds (default 110)")
    parser.add_argument("--search-limit", type=int, help="searches in a second (default 5)")
    parser.add_argument(
        "--reconcile",
        action="store_true",
        help="compare all records, to find what moved no modified date; due by itself every week",
    )
    parser.add_argument(
        "--resync",
        action="store_true",
        help="deliver all records again, to a store that was emptied or restored from a backup",
    )
    parser.add_argument(
        "--json", action="store_true", help="end standard output with the report as JSON"
    )
    return parser.parse_args(arguments)


def account_from(options: argparse.Namespace) -> Account:
    """The account that the command line describes."""
    properties = names_in(options.properties) if options.properties is not None else None
    if properties == ():
        raise ConfigurationError("--properties names none; leave it out to ask for all")
    object_types = names_in(options.objects)
    streams = [
        StreamSettings(
            object_type=name,
            properties=properties,
            associations=ASSOCIATIONS.get(canonical_object_type(name), ()),
            # One list for several object types names what some of them do not have.
            ignore_missing=len(object_types) > 1,
        )
        for name in object_types
    ]
    return Account(account_id=options.account, domain_id=options.domain, streams=tuple(streams))


def names_in(text: str) -> tuple[str, ...]:
    """The names in a list with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def credentials_from(
    environment: Mapping[str, str],
) -> tuple[StaticAccessToken | OAuthTokens, OAuthApp | None]:
    """The credentials in *environment*, and the OAuth app that they belong to, if any."""
    access_token = environment.get("HUBSPOT_ACCESS_TOKEN")
    if access_token:
        return StaticAccessToken(access_token), None
    missing = [name for name in OAUTH_VARIABLES if not environment.get(name)]
    if missing:
        raise ConfigurationError(
            "no credentials: set HUBSPOT_ACCESS_TOKEN, or all of HUBSPOT_CLIENT_ID, "
            f"HUBSPOT_CLIENT_SECRET and HUBSPOT_REFRESH_TOKEN (missing: {', '.join(missing)})"
        )
    client_id, client_secret, refresh_token = (environment[name] for name in OAUTH_VARIABLES)
    app = OAuthApp(client_id=client_id, client_secret=client_secret)
    return OAuthTokens(refresh_token=refresh_token), app


def synced(
    engine: SyncEngine,
    tokens: TokenStore,
    account: Account,
    credentials: StaticAccessToken | OAuthTokens,
    options: argparse.Namespace,
) -> SyncReport:
    """Sync *account* with the credentials that count, and say how it went."""
    if options.reconcile:
        engine.reconcile(account)
    if options.resync:
        engine.resync(account)
    if isinstance(credentials, OAuthTokens):
        stored = stored_tokens(account, tokens)
        if stored is not None:
            report = engine.sync(account)
            refused = isinstance(report.error, (AuthorizationRevokedError, WrongAccountError))
            if not refused or stored.refresh_token == credentials.refresh_token:
                return report
            log.info("%s: taking the environment's tokens, not the stored ones", account.key)
    engine.store_credentials(account, credentials)
    return engine.sync(account)


def stored_tokens(account: Account, tokens: TokenStore) -> OAuthTokens | None:
    """The OAuth tokens of *account* in *tokens*, or None."""
    found = tokens.load(account.key)
    return found.credentials if found and isinstance(found.credentials, OAuthTokens) else None


def cipher_from(environment: Mapping[str, str]) -> CredentialKeys:
    """The key in *environment* that encrypts the OAuth tokens in the store."""
    key = environment.get("HUBSPOT_SYNC_KEY")
    if not key:
        raise ConfigurationError(
            "the store will keep OAuth tokens, so it needs an encryption key: set "
            "HUBSPOT_SYNC_KEY, made once with python -c "
            "'from hubspot_sync import CredentialKeys; print(CredentialKeys.generate_key())'"
        )
    return CredentialKeys(key)


def hubspot_settings(
    options: argparse.Namespace, environment: Mapping[str, str]
) -> HubSpotSettings:
    """What was given on the command line, the way out of the environment, else the defaults."""
    given = {
        "base_url": options.base_url,
        "burst_limit": options.burst_limit,
        "search_limit": options.search_limit,
    }
    known = {name: value for name, value in given.items() if value is not None}
    return HubSpotSettings.from_environment(environment, **known)


def complain(error: HubSpotSyncError, *, status: int) -> int:
    """Print *error* as one line and give the exit status."""
    print(f"sync_account: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def tell(report: SyncReport, *, as_json: bool) -> int:
    """Print what the run did and give the exit status."""
    for stream in report.streams:
        if stream.error is not None:
            complain(stream.error, status=1)
    if as_json:
        print(json.dumps(report.as_dict()))
    else:
        for stream in report.streams:
            counts = stream.counts
            print(
                f"{stream.name}: {stream.status.value}, read {counts.read}, "
                f"delivered {counts.delivered}, repeated {counts.repeated}, "
                f"unchanged {counts.unchanged}, rejected {counts.rejected}, "
                f"skipped {counts.skipped}"
            )
    return 0 if report.completed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("sync_account: interrupted before the sync began")
