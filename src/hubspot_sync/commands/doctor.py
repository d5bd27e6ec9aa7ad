"""`hubspot-sync doctor`: whether all that syncs of an account rest on is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync.commands._arguments import Command, add_account
from hubspot_sync.commands._output import Result, Table, show
from hubspot_sync.commands._session import opened

if TYPE_CHECKING:
    from argparse import Namespace


def _run(options: Namespace) -> int:
    with opened(options) as session:
        found = session.domain.doctor(session.account.account_id)
    return show(
        Result(
            document=found.as_dict(),
            ok=found.ok,
            table=Table(
                ("", "what", "found"),
                [("ok" if one.ok else "WRONG", one.what, one.said) for one in found.findings],
            ),
            complaints=[
                f"{one.what}: {one.remedy or one.said}" for one in found.findings if not one.ok
            ],
        ),
        options,
    )


DOCTOR = Command(
    add_arguments=add_account,
    run=_run,
    example="hubspot-sync doctor --account 62515 --store sqlite:///crm.db",
)
