"""`hubspot-sync sync`: one account, with the credentials that count."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync.commands._arguments import (
    Command,
    add_account,
    add_limits,
    add_objects,
    names,
)
from hubspot_sync.commands._environment import credentials_in
from hubspot_sync.commands._messages import as_bad_arguments
from hubspot_sync.commands._output import Result, Table, show
from hubspot_sync.commands._session import opened
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    UnknownAccountError,
    WrongAccountError,
)
from hubspot_sync.models import DEFAULT_STREAMS, OAuthTokens, StreamSettings, canonical_object_type

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

    from hubspot_sync.commands._session import Session
    from hubspot_sync.models import AccountEntry, Credentials, SyncReport

_COLUMNS = ("object type", "status", "read", "delivered", "repeated", "unchanged", "rejected")
_log = logging.getLogger("hubspot_sync.commands.sync")


def _add_arguments(parser: ArgumentParser) -> None:
    add_account(parser)
    add_streams(parser)
    add_limits(parser)


def add_streams(parser: ArgumentParser) -> None:
    """What is read of an account."""
    add_objects(parser, "object types to read from now on, with commas; default: as before")
    parser.add_argument(
        "--properties", type=names, metavar="A,B", help="properties to read from now on, likewise"
    )


def _run(options: Namespace) -> int:
    with as_bad_arguments():
        credentials = credentials_in(os.environ)
        streams_in(options, DEFAULT_STREAMS)
    with opened(options, may_be_new=credentials is not None) as session:
        admit(session, credentials, options)
        return show(result_of(synced(session, credentials)), options)


def admit(session: Session, credentials: Credentials | None, options: Namespace) -> None:
    """Put the account into the account store, or give it the streams of the command line.

    An account that is new is opened with *credentials* first, so that none is kept by mistake.
    """
    domain, account_id = session.domain, session.account.account_id
    try:
        entry: AccountEntry | None = domain.account(account_id)
    except UnknownAccountError:
        entry = None
    streams = streams_in(options, entry.account.streams if entry else DEFAULT_STREAMS)
    if entry is not None:
        if streams is not None:
            domain.configure(account_id, streams=streams)
    elif credentials is None or _stored_tokens(session, credentials) is not None:
        domain.add(account_id, streams=streams)
    else:
        domain.connect(credentials, account_id=account_id, streams=streams)


def synced(session: Session, credentials: Credentials | None) -> SyncReport:
    """Sync the account with the credentials that count, as `sync_account` of the examples does.

    OAuth tokens that are stored come first, because HubSpot may have changed the refresh token
    since.
    """
    domain, account_id = session.domain, session.account.account_id
    stored = _stored_tokens(session, credentials)
    if stored is not None and isinstance(credentials, OAuthTokens):
        report = domain.sync(account_id)
        refused = isinstance(report.error, (AuthorizationRevokedError, WrongAccountError))
        if not refused or stored.refresh_token == credentials.refresh_token:
            return report
        _log.info("%s: taking the environment's tokens, not the stored ones", session.account)
        session.engine.store_credentials(domain.account(account_id).account, credentials)
    return domain.sync(account_id)


def _stored_tokens(session: Session, credentials: Credentials | None) -> OAuthTokens | None:
    """The account's stored OAuth tokens, where *credentials* are such."""
    if not isinstance(credentials, OAuthTokens):
        return None
    found = session.stores.tokens.load(session.account)
    return found.credentials if found and isinstance(found.credentials, OAuthTokens) else None


def streams_in(
    options: Namespace, before: Iterable[StreamSettings]
) -> tuple[StreamSettings, ...] | None:
    """The streams that the command line asks for; None where it leaves them as they are."""
    if options.objects is None and options.properties is None:
        return None
    known = {one.object_type: one for one in (*DEFAULT_STREAMS, *before)}
    wanted = options.objects or [one.object_type for one in before]
    streams = [known.get(canonical_object_type(name)) or StreamSettings(name) for name in wanted]
    if options.properties is None:
        return tuple(streams)
    # One list for several object types names what some of them do not have.
    several = len(streams) > 1
    return tuple(
        evolve(one, properties=options.properties, ignore_missing=several) for one in streams
    )


def result_of(report: SyncReport) -> Result:
    """What there is to show of a sync."""
    failures = [one.error for one in report.streams if one.error is not None]
    if report.error is not None and report.error not in failures:
        failures.append(report.error)
    gaps = [f"{one.stream}: {gap}" for one in report.streams for gap in one.gaps]
    calls = sum(report.api_calls.values())
    return Result(
        document=report.as_dict(),
        ok=report.completed,
        table=Table(
            (*_COLUMNS, "skipped", "seconds"),
            [
                (
                    one.name,
                    one.status.words,
                    f"{one.counts.read:,}",
                    f"{one.counts.delivered:,}",
                    f"{one.counts.repeated:,}",
                    f"{one.counts.unchanged:,}",
                    f"{one.counts.rejected:,}",
                    f"{one.counts.skipped:,}",
                    f"{one.duration.total_seconds():.1f}",
                )
                for one in report.streams
            ],
        ),
        lines=(f"{report.account}: {report.status.words}, {calls:,} calls to HubSpot",),
        complaints=(*map(str, failures), *gaps),
    )


SYNC = Command(
    add_arguments=_add_arguments,
    run=_run,
    example="hubspot-sync sync --account 62515 --store sqlite:///crm.db",
)
