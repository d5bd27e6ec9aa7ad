"""`hubspot-sync status`: how complete and fresh one account is, those of a domain, or all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync.commands._arguments import Command, add_store
from hubspot_sync.commands._output import Result, Table, show, when
from hubspot_sync.commands._session import opened
from hubspot_sync.models import AccountHealth

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from hubspot_sync.commands._session import Session
    from hubspot_sync.models import Health, RejectedCounts, StreamHealth

_COLUMNS = ("account", "object type", "status", "since", "complete until", "objects", "rejected")


def _add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--account", help="one account alone")
    parser.add_argument("--domain", help="the accounts of one tenant alone; default: all")
    add_store(parser)


def _run(options: Namespace) -> int:
    with opened(options, with_token=False) as session:
        return show(_result_of(_health(session, options)), options)


def _health(session: Session, options: Namespace) -> Health | AccountHealth:
    if session.key is not None:
        return session.domain.health(session.key.account_id)
    if options.domain is not None:
        return session.engine.domain(options.domain).health()
    return session.engine.health()


def _result_of(health: Health | AccountHealth) -> Result:
    accounts = (health,) if isinstance(health, AccountHealth) else health.accounts
    return Result(
        document=health.as_dict(),
        ok=health.ok is not False,
        table=Table(
            (*_COLUMNS, "parked"), [_row(stream) for one in accounts for stream in one.streams]
        ),
        lines=(str(health).partition(";")[0],),
        complaints=[str(one) for one in health.problems],
    )


def _row(stream: StreamHealth) -> tuple[str, ...]:
    rejected: RejectedCounts | None = stream.rejected
    return (
        str(stream.stream.account),
        stream.stream.object_type,
        stream.status.words,
        when(stream.since),
        when(stream.complete_until),
        "-" if stream.delivered is None else f"{stream.delivered:,}",
        "-" if rejected is None else f"{rejected.waiting:,}",
        "-" if rejected is None else f"{rejected.parked:,}",
    )


STATUS = Command(
    add_arguments=_add_arguments,
    run=_run,
    example="hubspot-sync status --store sqlite:///crm.db",
)
