"""`hubspot-sync reencrypt`: all stored credentials under a new key.

The new key is in HUBSPOT_SYNC_KEY; those before it, which still open what they sealed, are in
HUBSPOT_SYNC_OLD_KEYS, with spaces between. Keys come from the environment, because arguments show
in the list of processes. Syncs may run meanwhile.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hubspot_sync.commands._arguments import Command, add_store
from hubspot_sync.commands._environment import KEY, OLD_KEYS, cipher_in
from hubspot_sync.commands._messages import BadArgumentsError, as_bad_arguments
from hubspot_sync.commands._output import Result, show
from hubspot_sync.commands._session import opened

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from hubspot_sync._encryption import CredentialKeys
    from hubspot_sync.models import ReencryptionReport


def _add_arguments(parser: ArgumentParser) -> None:
    parser.description = (
        f"{parser.description} The new key is in {KEY}, the old ones are in {OLD_KEYS}, with "
        "spaces between. Syncs may run meanwhile."
    )
    add_store(parser)


def _run(options: Namespace) -> int:
    with as_bad_arguments():
        keys = cipher_in(os.environ)
    if keys is None:
        raise BadArgumentsError(f"{KEY} is not set; put the new encryption key there")
    with opened(options, with_token=False) as session:
        return show(_result_of(session.engine.reencrypt(), keys), options)


def _result_of(report: ReencryptionReport, keys: CredentialKeys) -> Result:
    failures = {str(account): error.message for account, error in report.failures.items()}
    complaints = [f"{account}: {message}" for account, message in failures.items()]
    if not report.completed:
        complaints.append("stopped before the end; start it again")
    return Result(
        document={
            "completed": report.completed,
            "resealed": report.resealed,
            "failures": failures,
        },
        ok=report.completed and not failures,
        lines=(
            f"accounts sealed again: {report.resealed:,}, not: {len(failures):,}; keys: {keys}",
        ),
        complaints=complaints,
    )


REENCRYPT = Command(
    add_arguments=_add_arguments,
    run=_run,
    example="hubspot-sync reencrypt --store sqlite:///crm.db",
)
