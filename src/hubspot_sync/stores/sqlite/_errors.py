"""The door at which errors of `sqlite3` become ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotSyncError,
    InvariantError,
    StoreUnavailableError,
)

_FOREIGN: Final = "holds tables of something else; give hubspot-sync a file of its own"
_READ_ONLY: Final = (
    "is read-only; make it, what is beside it with -wal and -shm at the end, and the folder "
    "writable, or give another path"
)

# By SQLite's own messages, because Python 3.10 does not give out its error codes;
# https://www.sqlite.org/rescode.html
_BY_MESSAGE: Final[tuple[tuple[str, type[HubSpotSyncError], str], ...]] = (
    (
        "unable to open database file",
        ConfigurationError,
        "cannot be opened; is the path a file in a folder that may be written?",
    ),
    ("readonly database", ConfigurationError, _READ_ONLY),
    ("not a database", ConfigurationError, "is not an SQLite database; give another path"),
    ("already exists", ConfigurationError, _FOREIGN),
    ("no such column", ConfigurationError, _FOREIGN),
    ("no such table", InvariantError, "has lost a table; restore it from a backup"),
    ("Could not decode", InvariantError, "holds text that is none; restore it from a backup"),
    ("malformed", InvariantError, "is damaged; restore it from a backup"),
    ("full", StoreUnavailableError, "cannot grow, the disk is full; make room and run again"),
    ("locked", StoreUnavailableError, "is locked by another process; run again later"),
)


def read_only(path: str) -> ConfigurationError:
    """The error for a file at *path* that may not be written."""
    return ConfigurationError(f"the SQLite file {path} {_READ_ONLY}")


@contextmanager
def mapped(path: str) -> Iterator[None]:
    """Turn what `sqlite3` raises about the file at *path* into one of our errors."""
    try:
        yield
    except (sqlite3.Error, OverflowError, UnicodeError) as error:
        raise translate(error, path) from error


def translate(error: Exception, path: str) -> HubSpotSyncError:
    """Our error for *error*, most specific first."""
    text = str(error)
    if isinstance(error, sqlite3.DatabaseError):
        for fragment, ours, advice in _BY_MESSAGE:
            if fragment in text:
                return ours(f"the SQLite file {path} {advice}")
    if isinstance(error, sqlite3.OperationalError):
        return StoreUnavailableError(f"the SQLite file {path} could not be used: {text}")
    return InvariantError(
        f"the SQLite file {path} was given what it cannot take ({type(error).__name__}); please "
        "report it"
    )
