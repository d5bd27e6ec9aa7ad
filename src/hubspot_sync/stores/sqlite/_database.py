"""One SQLite file, opened once and shared by the stores of a process."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final

from hubspot_sync.errors import ConfigurationError, StoreUnavailableError
from hubspot_sync.models._checks import is_kind
from hubspot_sync.stores.sqlite import _schema
from hubspot_sync.stores.sqlite._errors import mapped, read_only

_MEMORY: Final = ":memory:"
# One slash, since that is what `Path` leaves of two. One letter is a drive.
_URL: Final = re.compile(r"[\s'\"]*[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


class SqliteDatabase:
    """An SQLite file with the tables of this library; created where there is none.

    It is safe to share between threads, and the file between processes of one machine.
    Do not carry an open one through a fork: open it in the child.

    Args:
        path: The file; its folder has to exist. ":memory:" keeps everything in memory.
        busy_timeout: How long a call waits for another process that writes.

    Raises:
        ConfigurationError: *path* is a URL, the file cannot be created, read or written, is no
            SQLite database, or was made by a newer version of this library.
        StoreUnavailableError: It is locked, or the disk is full.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, busy_timeout: timedelta = timedelta(seconds=10)
    ) -> None:
        self._path = _checked(path)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._scrubbed: tuple[int, int] | None = None
        _create(self._path)
        with mapped(self._path):
            self._connection = sqlite3.connect(
                self._path,
                timeout=busy_timeout.total_seconds(),
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"

    def __enter__(self) -> SqliteDatabase:  # noqa: PYI034 - Python has `Self` from 3.11 on
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; calls under way end first. Twice: nothing happens."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for one statement that reads.

        Raises:
            StoreUnavailableError: The file was closed or cannot be read now.
        """
        with self._lock, mapped(self._path):
            yield self._open_connection()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection inside a transaction: all is stored at the end, or nothing.

        Raises:
            StoreUnavailableError: The file was closed or cannot be written now.
        """
        with self._lock, mapped(self._path):
            connection = self._open_connection()
            # From the start, so that what is read here still holds when it is written.
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # After some failures SQLite has rolled back already.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        """Rewrite the file, so that nothing is left in it of what was deleted or overwritten.

        SQLite leaves that in free pages, in the gaps of others and in the file beside it with
        -wal at the end, also with its `secure_delete`. Writers wait meanwhile, about a second for
        each 100 megabytes, and the disk needs room for the file once more. A file that nobody
        changed since the last time is left alone.

        Raises:
            StoreUnavailableError: The file was closed, the disk is full, or another connection
                has been reading or writing for too long; what was deleted may still be there.
        """
        with self._lock, mapped(self._path):
            connection = self._open_connection()
            if self._scrubbed == _changes(connection):
                return
            connection.execute("VACUUM")
            busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:
                raise StoreUnavailableError(
                    f"the SQLite file {self._path} is being read by another connection, so what "
                    "was deleted is still in the file beside it with -wal at the end; do it again "
                    "when that has ended"
                )
            self._scrubbed = _changes(connection)

    def _set_up(self) -> None:
        with self.reading() as connection:
            connection.execute("PRAGMA synchronous = FULL")
            # Refused at once, without waiting, while another process does the same; then its
            # answer is ours too, because the mode belongs to the file.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")
        with self.writing() as connection:
            _schema.ensure(connection, self._path)

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailableError(
                f"the SQLite file {self._path} was closed; open it again with SqliteDatabase"
            )
        return self._connection


def _changes(connection: sqlite3.Connection) -> tuple[int, int]:
    """What is another one when the file was changed, by this connection or by others."""
    by_others: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return connection.total_changes, by_others


def the_database(given: SqliteDatabase) -> SqliteDatabase:
    """What a store was given, if it is an `SqliteDatabase`.

    Raises:
        ConfigurationError: It is something else.
    """
    is_kind(SqliteDatabase, such_as="SqliteDatabase(path)").of("database", given)
    return given


def _checked(given: str | os.PathLike[str]) -> str:
    try:
        path = os.fspath(given)
    except TypeError:
        path = None
    if not isinstance(path, str):
        raise ConfigurationError(
            f"a {type(given).__name__} is not a path for an SQLite file; give text or a Path, "
            "whatever else has the file open, or use MongoStores for MongoDB"
        )
    if _URL.match(path):  # which may hold a password, so it is not repeated
        raise ConfigurationError(
            "this is a URL, not the path of an SQLite file; give a path (of a URL such as "
            "sqlite:///crm.db the part behind the third slash, or what sqlite_path makes of it), "
            "or use MongoStores for MongoDB"
        )
    if not path or "\0" in path:
        raise ConfigurationError(f"{path!r} is not a path for an SQLite file; give text")
    if path != _MEMORY and not Path(path).absolute().parent.is_dir():
        raise ConfigurationError(
            f"the folder of the SQLite file {path} does not exist; create it, or give another path"
        )
    if path != _MEMORY:
        _check_writable(path)
    return path


def _create(path: str) -> None:
    """Create the file for its owner alone, whatever the umask; what is there is left as it is.

    SQLite gives the mode of the file to what it puts beside it (findCreateFileMode in os_unix.c).
    """
    # Not tried where it exists, because closing it would drop the locks of other connections.
    if path == _MEMORY or os.path.exists(path):  # noqa: PTH110 - raises nothing
        return
    # Whatever is wrong with the place, SQLite finds it, too, and its errors have our words.
    with suppress(OSError):
        # The file that a link means, because a link itself counts as being there.
        os.close(os.open(os.path.realpath(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _check_writable(path: str) -> None:
    """Refuse a read-only file unopened: SQLite would leave a -shm behind with the same mode."""
    effective = os.access in os.supports_effective_ids
    for part in (path, f"{path}-wal", f"{path}-shm"):
        # Not by opening it, because closing it again would drop the locks of other connections.
        exists = os.path.isfile(part)  # noqa: PTH113 - raises nothing where it cannot be looked at
        if exists and not os.access(part, os.W_OK, effective_ids=effective):
            raise read_only(path)
