"""`hubspot-sync errors` and `redrive`: the actions that were refused, and trying them again."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from hubspot_sync.commands._arguments import Command, add_account, names
from hubspot_sync.commands._messages import as_bad_arguments
from hubspot_sync.commands._output import Result, Table, show, when
from hubspot_sync.commands._session import opened
from hubspot_sync.models import AccountKey, RejectedSelection

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from hubspot_sync.models import RedriveReport, RejectedAction

_LISTED = 100


def _add_selection(parser: ArgumentParser) -> None:
    add_account(parser)
    add = parser.add_argument
    add("--object-type", help="name or id of their object type; default: all")
    add("--ids", type=names, metavar="A,B", help="ids of their objects, with commas; default: all")
    add("--reason", help="their reason, word for word; default: any")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--parked", action="store_true", help="only those that are tried no more by themselves"
    )
    only.add_argument("--waiting", action="store_true", help="only the others")


def _add_list(parser: ArgumentParser) -> None:
    _add_selection(parser)
    parser.add_argument(
        "--limit", type=int, default=_LISTED, help=f"how many to list (default: {_LISTED})"
    )


def _selected(options: Namespace) -> dict[str, Any]:
    """The selection that the command line describes, as `Domain` takes it."""
    chosen: dict[str, Any] = {
        "object_type": options.object_type,
        "object_ids": options.ids,
        "reason": options.reason,
        "parked": True if options.parked else False if options.waiting else None,
    }
    with as_bad_arguments():
        RejectedSelection(account=AccountKey(options.domain, options.account), **chosen)
    return chosen


def _list(options: Namespace) -> int:
    chosen = _selected(options)
    with opened(options) as session:
        account = session.account
        found = session.domain.rejected_actions(account.account_id, **chosen)
        some = list(islice(found, max(options.limit, 0)))
        more = next(found, None) is not None
    counted = f"{len(some):,} refused actions"
    return show(
        Result(
            document={
                **account.as_dict(),
                "rejected": [one.as_dict() for one in some],
                "more": more,
            },
            table=Table(
                ("object type", "id", "action", "reason", "attempts", "last", "next"),
                [_row(one) for one in some],
            ),
            lines=(f"{account}: {counted}" + (", and there are more; see --limit" * more),),
        ),
        options,
    )


def _row(rejected: RejectedAction) -> tuple[str, ...]:
    return (
        rejected.action.object_type,
        rejected.action.object_id,
        rejected.action.name,
        rejected.reason,
        f"{rejected.attempts:,}",
        when(rejected.last_at),
        "parked" if rejected.parked else when(rejected.next_at),
    )


def _redrive(options: Namespace) -> int:
    chosen = _selected(options)
    with opened(options) as session:
        report = session.domain.redrive(session.account.account_id, **chosen)
    return show(_result_of(report), options)


def _result_of(report: RedriveReport) -> Result:
    counts = report.counts
    return Result(
        document=report.as_dict(),
        ok=report.completed and not counts.rejected and not counts.parked,
        lines=(str(report),),
        complaints=[str(one.error) for one in report.streams if one.error is not None],
    )


ERRORS = Command(
    add_arguments=_add_list,
    run=_list,
    example="hubspot-sync errors --account 62515 --object-type contacts --store sqlite:///crm.db",
)
REDRIVE = Command(
    add_arguments=_add_selection,
    run=_redrive,
    example="hubspot-sync redrive --account 62515 --parked --store sqlite:///crm.db",
)
