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
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from hubspot_sync import (
    Account,
    AuthorizationRevokedError,
    ConfigurationError,
    EncryptionKeys,
    HubSpotSettings,
    HubSpotSyncError,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    StreamSettings,
    WrongAccountError,
    embedded_engine,
    mongodb_engine,
)
from hubspot_sync.models import canonical_object_type
from hubspot_sync.stores.mongodb import MongoDatabase, MongoTokenStore
from hubspot_sync.stores.sqlite import SqliteDatabase, SqliteTokenStore, sqlite_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hubspot_sync import SyncEngine, SyncReport
    from hubspot_sync.interfaces import TokenStore

BAD_ARGUMENTS: Final = 2
MONGODB: Final = ("mongodb://", "mongodb+srv://")
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
        open_engine = engine_for(options, app, os.environ)
    except ConfigurationError as error:
        return complain(error, status=BAD_ARGUMENTS)
    try:
        with open_engine() as engine:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: engine.stop())
            report = synced(engine, account, credentials, options)
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


def engine_for(
    options: argparse.Namespace, app: OAuthApp | None, environment: Mapping[str, str]
) -> Callable[[], SyncEngine]:
    """What opens the engine for the store that the command line names."""
    hubspot = hubspot_settings(options, environment)
    cipher = cipher_from(environment) if app is not None else None
    if options.store.startswith(MONGODB):
        return partial(mongodb_engine, options.store, cipher=cipher, oauth_app=app, hubspot=hubspot)
    path = sqlite_path(options.store)
    if path is not None:
        return partial(embedded_engine, path, cipher=cipher, oauth_app=app, hubspot=hubspot)
    raise ConfigurationError(
        "--store names no file that stays, or more than a file; give sqlite:///crm.db for one in "
        "the current folder, or sqlite:////var/lib/crm.db, with four slashes, for an absolute path"
        if options.store.lower().startswith("sqlite:")
        else f"--store begins {options.store[:9]!r}..., but has to be mongodb://host/database or "
        "sqlite:///path/file.db"
    )


def synced(
    engine: SyncEngine,
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
        stored = stored_tokens(account, options.store, cipher_from(os.environ))
        if stored is not None:
            report = engine.sync(account)
            refused = isinstance(report.error, (AuthorizationRevokedError, WrongAccountError))
            if not refused or stored.refresh_token == credentials.refresh_token:
                return report
            log.info("%s: taking the environment's tokens, not the stored ones", account.key)
    engine.connect(account, credentials)
    return engine.sync(account)


def stored_tokens(account: Account, store: str, cipher: EncryptionKeys) -> OAuthTokens | None:
    """The OAuth tokens of *account* in *store*, or None."""
    with token_store(store, cipher) as tokens:
        found = tokens.load(account.key)
    return found.credentials if found and isinstance(found.credentials, OAuthTokens) else None


@contextmanager
def token_store(store: str, cipher: EncryptionKeys) -> Iterator[TokenStore]:
    """Where the engine for *store* keeps credentials."""
    path = sqlite_path(store)
    if path is None:
        with MongoDatabase(store) as mongodb:
            yield MongoTokenStore(mongodb, cipher)
    else:
        with SqliteDatabase(path) as sqlite:
            yield SqliteTokenStore(sqlite, cipher)


def cipher_from(environment: Mapping[str, str]) -> EncryptionKeys:
    """The key in *environment* that encrypts the OAuth tokens in the store."""
    key = environment.get("HUBSPOT_SYNC_KEY")
    if not key:
        raise ConfigurationError(
            "the store will keep OAuth tokens, so it needs an encryption key: set "
            "HUBSPOT_SYNC_KEY, made once with python -c "
            "'from hubspot_sync import EncryptionKeys; print(EncryptionKeys.generate_key())'"
        )
    return EncryptionKeys(key)


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
                f"{stream.stream.object_type}: {stream.status.value}, read {counts.read}, "
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
