"""`hubspot-sync explain`: why one object is in the store as it is, or is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync.commands._arguments import Command, add_account
from hubspot_sync.commands._output import Result, show
from hubspot_sync.commands._session import opened

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _add_arguments(parser: ArgumentParser) -> None:
    add_account(parser)
    parser.add_argument("--object-type", required=True, help="name or id of its object type")
    parser.add_argument("--id", required=True, help="HubSpot's id of the object")
    parser.add_argument(
        "--ask-hubspot", action="store_true", help="ask HubSpot for it, too; one to three calls"
    )


def _run(options: Namespace) -> int:
    with opened(options, with_token=options.ask_hubspot) as session:
        found = session.domain.explain(
            session.account.account_id,
            options.object_type,
            options.id,
            ask_hubspot=options.ask_hubspot,
        )
    return show(Result(document=found.as_dict(), lines=tuple(str(found).splitlines())), options)


EXPLAIN = Command(
    add_arguments=_add_arguments,
    run=_run,
    example="hubspot-sync explain --account 62515 --object-type contacts --id 51 "
    "--store sqlite:///crm.db",
)
