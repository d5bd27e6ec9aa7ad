"""`hubspot-sync`, the console command; also `python -m hubspot_sync.commands`.

A subcommand is a file of this package with a `Command`, and a line of `COMMANDS`. Only the file of
the one that is run is imported. Exit status: 0 when all went well, 1 when something did not or
the store cannot be used, 2 when the command line or the environment is wrong by itself.
"""

from __future__ import annotations

import argparse
import os
import pkgutil
import sys
from typing import TYPE_CHECKING, Final

import hubspot_sync
from hubspot_sync.commands._arguments import Parser
from hubspot_sync.commands._messages import BAD_ARGUMENTS, FAILED, BadArgumentsError, complain
from hubspot_sync.errors import HubSpotSyncError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.commands._arguments import Command

_HELP: Final = argparse.RawDescriptionHelpFormatter
# By name: where its `Command` is, and what it does.
COMMANDS: Final = {
    "sync": ("sync:SYNC", "bring the store up to date with an account"),
    "status": ("status:STATUS", "say how complete and fresh the accounts are"),
    "plan": ("plan:PLAN", "say what the next sync will read and cost"),
    "explain": ("explain:EXPLAIN", "say why an object is in the store as it is, or is not"),
    "doctor": ("doctor:DOCTOR", "say whether stores, credentials, clock and scopes are right"),
    "errors": ("rejected:ERRORS", "list the actions that were refused"),
    "redrive": ("rejected:REDRIVE", "try refused actions again"),
    "reconcile": ("marks:RECONCILE", "let the next sync compare all records"),
    "resync": ("marks:RESYNC", "let the next sync deliver all records again"),
    "confirm-deletions": (
        "marks:CONFIRM_DELETIONS",
        "let the next sync tell of deletions",
    ),
    "erase": ("erasure:ERASE", "forget objects, as a person may ask for"),
    "purge": ("erasure:PURGE", "forget an account with all that it has brought"),
    "reencrypt": ("reencrypt:REENCRYPT", "encrypt the stored credentials under a new key"),
    "emulator": ("emulator:EMULATOR", "serve a HubSpot look-alike on this machine"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for, and return the exit status.

    Args:
        arguments: Those of the command line, without the program's name; `sys.argv` by default.

    Raises:
        SystemExit: The arguments are wrong, or ask for help.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = " ".join(("hubspot-sync", *given[:1]))
    try:
        options = _parser(given).parse_args(given)
        status: int = options.run(options)
        sys.stdout.flush()
    except BadArgumentsError as error:
        return complain(name, error.message, status=BAD_ARGUMENTS)
    except HubSpotSyncError as error:
        return complain(name, str(error), status=FAILED)
    except KeyboardInterrupt:
        return complain(name, "interrupted", status=FAILED)
    except BrokenPipeError:
        # Whoever read the output has read enough; Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return status


def _parser(given: Sequence[str]) -> Parser:
    """A parser that knows all names, and the arguments of the one that is given."""
    parser = Parser(
        prog="hubspot-sync",
        description="Keep a store in step with HubSpot accounts.",
        epilog="hubspot-sync COMMAND --help shows the arguments of one, with an example.",
    )
    version = f"%(prog)s {hubspot_sync.__version__}" if "--version" in given[:1] else ""
    parser.add_argument("--version", action="version", version=version)
    parser.set_defaults(run=lambda _: parser.error("the command comes first"))
    names = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for name, (place, summary) in COMMANDS.items():
        one = names.add_parser(name, help=summary, formatter_class=_HELP)
        if name in given[:1]:
            command: Command = pkgutil.resolve_name(f"{__name__}.{place}")
            one.description = f"{summary[0].upper()}{summary[1:]}."
            one.epilog = f"example:\n  {command.example}"
            command.add_arguments(one)
            one.set_defaults(run=command.run)
    return parser
