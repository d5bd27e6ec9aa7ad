"""The tables, and the version that says which layout they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubspot_sync.errors import ConfigurationError

if TYPE_CHECKING:
    import sqlite3

SCHEMA_VERSION: Final = 1

_TABLES: Final = (
    "CREATE TABLE schema (version INTEGER NOT NULL)",
    """CREATE TABLE actions (
        id TEXT NOT NULL PRIMARY KEY,
        domain_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        object_type TEXT NOT NULL,
        object_id TEXT NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        version INTEGER NOT NULL,
        occurred_at TEXT NOT NULL,
        properties TEXT NOT NULL,
        associations TEXT NOT NULL,
        stored_at TEXT NOT NULL
    )""",
    """CREATE UNIQUE INDEX actions_created
        ON actions (domain_id, account_id, object_type, object_id) WHERE kind = 'Created'""",
    """CREATE TABLE checkpoints (
        domain_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        object_type TEXT NOT NULL,
        fence INTEGER NOT NULL,
        owner TEXT,
        expires_at TEXT,
        checkpoint TEXT,
        PRIMARY KEY (domain_id, account_id, object_type)
    ) WITHOUT ROWID""",
    """CREATE TABLE fingerprints (
        domain_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        object_type TEXT NOT NULL,
        object_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest BLOB NOT NULL,
        PRIMARY KEY (domain_id, account_id, object_type, object_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE credentials (
        domain_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        sealed BLOB,
        PRIMARY KEY (domain_id, account_id)
    ) WITHOUT ROWID""",
)


def ensure(connection: sqlite3.Connection, path: str) -> None:
    """Create the tables where there are none; to be called inside a transaction.

    Raises:
        ConfigurationError: A newer version of this library made them.
    """
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema'"
    ).fetchone()
    if found:
        _check(connection, path)
        return
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("INSERT INTO schema (version) VALUES (?)", (SCHEMA_VERSION,))


def _check(connection: sqlite3.Connection, path: str) -> None:
    row = connection.execute("SELECT version FROM schema").fetchone()
    version = row[0] if row else None
    if not isinstance(version, int):
        raise ConfigurationError(
            f"the SQLite file {path} does not say which schema it has; give hubspot-sync a file of "
            "its own"
        )
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"the SQLite file {path} was made by a newer version of hubspot-sync (schema "
            f"{version}, this version knows {SCHEMA_VERSION}); upgrade hubspot-sync, or give "
            "another path"
        )
