"""`hubspot-sync erase` and `purge`: forgetting objects, and whole accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync.commands._arguments import Command, add_account, add_yes, names
from hubspot_sync.commands._messages import FAILED, as_bad_arguments
from hubspot_sync.commands._output import Result, confirm, show
from hubspot_sync.commands._session import opened
from hubspot_sync.models import AccountKey, RejectedSelection

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _add_objects(parser: ArgumentParser) -> None:
    add_account(parser)
    parser.add_argument("--object-type", required=True, help="name or id of their object type")
    parser.add_argument(
        "--ids", type=names, required=True, metavar="A,B", help="ids of the objects, with commas"
    )
    add_yes(parser)


def _erase(options: Namespace) -> int:
    with as_bad_arguments():
        key = AccountKey(options.domain, options.account)
        chosen = RejectedSelection(
            account=key, object_type=options.object_type, object_ids=options.ids
        )
    named = ", ".join(chosen.object_ids or ())
    if not confirm(f"Erase {named} of {options.object_type} of {key}", options):
        return FAILED
    with opened(options) as session:
        report = session.domain.erase(key.account_id, options.object_type, options.ids)
    left = report.refused or report.survivors or report.unable
    return show(Result(document=report.as_dict(), ok=not left, lines=(str(report),)), options)


def _add_account(parser: ArgumentParser) -> None:
    add_account(parser)
    parser.add_argument(
        "--no-revoke",
        action="store_true",
        help="do not tell HubSpot that the tokens are not used any more",
    )
    add_yes(parser)


def _purge(options: Namespace) -> int:
    with as_bad_arguments():
        key = AccountKey(options.domain, options.account)
    if not confirm(f"Remove account {key} with all that it has brought", options):
        return FAILED
    with opened(options, with_token=False) as session:
        report = session.domain.purge(key.account_id, revoke=not options.no_revoke)
    left = report.unable or report.untold
    return show(Result(document=report.as_dict(), ok=not left, lines=(str(report),)), options)


ERASE = Command(
    add_arguments=_add_objects,
    run=_erase,
    example="hubspot-sync erase --account 62515 --object-type contacts --ids 51,52 "
    "--store sqlite:///crm.db",
)
PURGE = Command(
    add_arguments=_add_account,
    run=_purge,
    example="hubspot-sync purge --account 62515 --store sqlite:///crm.db",
)
