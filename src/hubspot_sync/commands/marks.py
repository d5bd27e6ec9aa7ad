"""`hubspot-sync reconcile`, `resync` and `confirm-deletions`: what the next sync is to do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hubspot_sync.commands._arguments import Command, add_account, add_limits, add_objects
from hubspot_sync.commands._environment import credentials_in
from hubspot_sync.commands._messages import as_bad_arguments
from hubspot_sync.commands._output import Result, show
from hubspot_sync.commands._session import opened
from hubspot_sync.commands.sync import result_of, synced

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable


def _add_arguments(parser: ArgumentParser) -> None:
    add_account(parser)
    add_objects(parser, "some of its object types, with commas; default: all")


def _add_arguments_of_marks(parser: ArgumentParser) -> None:
    _add_arguments(parser)
    parser.add_argument("--now", action="store_true", help="sync at once, as well")
    add_limits(parser)


def _marking(name: str, told: str) -> Callable[[Namespace], int]:
    """Sets the mark *name*, of which *told* says what it does, and syncs where that is meant."""

    def run(options: Namespace) -> int:
        with as_bad_arguments():
            credentials = credentials_in(os.environ) if options.now else None
        with opened(options) as session:
            mark: Callable[..., None] = getattr(session.domain, name)
            mark(session.account.account_id, options.objects)
            if options.now:
                return show(result_of(synced(session, credentials)), options)
            account = session.domain.account(session.account.account_id).account
        marked = options.objects or [one.object_type for one in account.streams]
        return show(
            Result(
                document={**account.key.as_dict(), "marked": list(marked)},
                lines=(f"{account.key}: the next sync {told} {', '.join(marked)}",),
            ),
            options,
        )

    return run


def _confirm_deletions(options: Namespace) -> int:
    with opened(options) as session:
        suspected = session.domain.confirm_deletions(session.account.account_id, options.objects)
        account = session.account
    told = (
        f"the next sync tells of the objects that are gone; {suspected:,} were suspected"
        if suspected
        else "there is nothing to confirm"
    )
    document = {**account.as_dict(), "suspected": suspected}
    return show(Result(document=document, lines=(f"{account}: {told}",)), options)


RECONCILE = Command(
    add_arguments=_add_arguments_of_marks,
    run=_marking("reconcile", "compares all"),
    example="hubspot-sync reconcile --account 62515 --store sqlite:///crm.db --now",
)
RESYNC = Command(
    add_arguments=_add_arguments_of_marks,
    run=_marking("resync", "delivers again all"),
    example="hubspot-sync resync --account 62515 --objects contacts --store sqlite:///crm.db",
)
CONFIRM_DELETIONS = Command(
    add_arguments=_add_arguments,
    run=_confirm_deletions,
    example="hubspot-sync confirm-deletions --account 62515 --store sqlite:///crm.db",
)
