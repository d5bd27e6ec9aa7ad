"""What a command says on standard error, and the exit status that goes with it."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from hubspot_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED: Final = 1
BAD_ARGUMENTS: Final = 2
_LOGIN: Final = re.compile(r"://[^/\s]*@")
# What the library's words say to call, and the subcommand that does it.
_COMMANDS: Final = {
    "confirm_deletions": "confirm-deletions",
    "doctor": "doctor",
    "erase": "erase",
    "explain": "explain",
    "purge": "purge",
    "reconcile": "reconcile",
    "redrive": "redrive",
    "reencrypt": "reencrypt",
    "rejected_actions": "errors",
    "resync": "resync",
}
_CALL: Final = re.compile(
    rf"\b(?:Domain|SyncEngine|engine)\.({'|'.join(_COMMANDS)})\b(?:\([^()]*\))?"
)


class BadArgumentsError(ConfigurationError):
    """The command line or the environment is wrong by itself."""


@contextmanager
def as_bad_arguments() -> Iterator[None]:
    """Say of what is refused inside that it is the command line or the environment."""
    try:
        yield
    except ConfigurationError as error:
        raise BadArgumentsError(error.message) from None


def complain(name: str, text: str, *, status: int) -> int:
    """Print one line and return *status*; a user and password in a URL are left out."""
    sys.stderr.write(f"{name}: {printable(_LOGIN.sub('://...@', text), sys.stderr.encoding)}\n")
    return status


def printable(text: str, encoding: str | None) -> str:
    """The text in one line, without what would steer a terminal or what *encoding* lacks.

    What it says to call in Python is named as the command that does it.
    """
    spoken = _CALL.sub(lambda found: f"hubspot-sync {_COMMANDS[found[1]]}", text)
    spoken = spoken.replace("ask_hubspot=True", "--ask-hubspot")
    line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(spoken.split()))
    known = encoding or "utf-8"
    return line.encode(known, "backslashreplace").decode(known)
