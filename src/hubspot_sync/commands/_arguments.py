"""The arguments that subcommands share, and how wrong ones are told of: in one line."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from hubspot_sync.commands._messages import BAD_ARGUMENTS, complain

if TYPE_CHECKING:
    from collections.abc import Callable

STORE_VARIABLE: Final = "HUBSPOT_SYNC_STORE"
BASE_URL_VARIABLE: Final = "HUBSPOT_BASE_URL"


@dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        add_arguments: Adds its arguments to a parser.
        run: Does what they ask for, and returns the exit status.
        example: A command line that works.
    """

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    example: str


class Parser(argparse.ArgumentParser):
    """Takes options by their whole names, and tells in one line what is wrong."""

    def __init__(self, **settings: object) -> None:
        super().__init__(**{**settings, "allow_abbrev": False})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """End the process with status 2."""
        complain(self.prog, f"{message}; see {self.prog} --help", status=BAD_ARGUMENTS)
        raise SystemExit(BAD_ARGUMENTS)


def names(text: str) -> tuple[str, ...]:
    """The names in a list with commas between them; an argument's type.

    Raises:
        ArgumentTypeError: There are none.
    """
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise argparse.ArgumentTypeError("names none; leave it out, or give some: a,b,c")
    return found


def add_output(parser: argparse.ArgumentParser) -> None:
    """How a command says what it did."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document on standard output"
    )


def add_store(parser: argparse.ArgumentParser) -> None:
    """Where everything is kept, and what every command that opens it takes besides."""
    parser.add_argument(
        "--store",
        default=os.environ.get(STORE_VARIABLE),
        help=f"mongodb://host/database or sqlite:///path/file.db; or {STORE_VARIABLE}",
    )
    parser.add_argument("--quiet", action="store_true", help="show warnings only, no progress")
    add_output(parser)


def add_account(parser: argparse.ArgumentParser) -> None:
    """One account in a store, and where HubSpot's API is."""
    parser.add_argument("--account", required=True, help="HubSpot's id of the account")
    parser.add_argument(
        "--domain", default="default", help="the tenant that owns it (default: default)"
    )
    add_store(parser)
    add_base_url(parser)


def add_base_url(parser: argparse.ArgumentParser) -> None:
    """Where HubSpot's API is."""
    parser.add_argument(
        "--base-url",
        default=os.environ.get(BASE_URL_VARIABLE),
        help=f"where HubSpot's API is, such as an emulator's address; or {BASE_URL_VARIABLE}",
    )


def add_limits(parser: argparse.ArgumentParser) -> None:
    """How fast HubSpot may be asked."""
    parser.add_argument("--burst-limit", type=int, help="calls in ten seconds (default: 110)")
    parser.add_argument("--search-limit", type=int, help="searches in a second (default: 5)")


def add_objects(parser: argparse.ArgumentParser, what: str) -> None:
    """Some object types."""
    parser.add_argument("--objects", type=names, metavar="A,B", help=what)


def add_yes(parser: argparse.ArgumentParser) -> None:
    """For commands that ask before they do something for good."""
    parser.add_argument("--yes", action="store_true", help="do not ask whether it is meant")
