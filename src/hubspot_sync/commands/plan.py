"""`hubspot-sync plan`: what the next sync of an account will read and cost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hubspot_sync.commands._arguments import Command, add_account, add_limits
from hubspot_sync.commands._environment import credentials_in
from hubspot_sync.commands._messages import as_bad_arguments
from hubspot_sync.commands._output import Result, Table, show
from hubspot_sync.commands._session import opened
from hubspot_sync.commands.sync import add_streams, admit, streams_in
from hubspot_sync.errors import UnknownAccountError
from hubspot_sync.models import DEFAULT_STREAMS

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from hubspot_sync.models import Credentials, StreamPlan, SyncPlan

_COLUMNS = ("object type", "mode", "records", "calls", "calls a day for associations")


def _add_arguments(parser: ArgumentParser) -> None:
    add_account(parser)
    add_streams(parser)
    add_limits(parser)


def _run(options: Namespace) -> int:
    with as_bad_arguments():
        credentials = credentials_in(os.environ)
        streams_in(options, DEFAULT_STREAMS)
    plan: SyncPlan | None = None
    others: list[str] = []
    if options.store or credentials is None:
        plan, others = _of_stored(options, is_only=credentials is None)
    if plan is None:
        plan = _of_new(options, credentials)
    return show(_result_of(plan, others), options)


def _of_stored(options: Namespace, *, is_only: bool) -> tuple[SyncPlan | None, list[str]]:
    """The plan of an account that the store has; else None, and the tenants that have it there."""
    with opened(options, may_be_new=not is_only) as session:
        domain, account_id = session.domain, session.account.account_id
        try:
            before = domain.account(account_id).account.streams
        except UnknownAccountError:
            if is_only:
                raise
            return None, session.other_domains()
        return domain.plan(account_id, streams_in(options, before)), []


def _of_new(options: Namespace, credentials: Credentials | None) -> SyncPlan:
    """The plan of an account that is to be new; nothing of it is kept."""
    with opened(options, in_memory=True) as session:
        admit(session, credentials, options)
        return session.domain.plan(session.account.account_id)


def _result_of(plan: SyncPlan, others: Sequence[str]) -> Result:
    complaints = [
        f"this is for a new account; the store has it elsewhere: --domain {name}" for name in others
    ]
    return Result(
        document=plan.as_dict(),
        table=Table(_COLUMNS, [_row(one) for one in plan.streams]),
        lines=(str(plan).splitlines()[0],),
        complaints=complaints,
    )


def _row(stream: StreamPlan) -> tuple[str, ...]:
    sweep = round(stream.sweep_calls * stream.sweeps_a_day)
    return (
        stream.name,
        stream.mode.value,
        "-" if stream.records is None else f"{stream.records:,}",
        "-" if stream.calls is None else f"{stream.calls:,}",
        f"{sweep:,}" if sweep else "-",
    )


PLAN = Command(
    add_arguments=_add_arguments,
    run=_run,
    example="hubspot-sync plan --account 62515 --store sqlite:///crm.db",
)
