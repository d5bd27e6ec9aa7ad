"""The tables, the version that says which layout they have, and the way from one to the next.

A new file is made in the first layout and goes the same way as an old one, so there is one way.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from hubspot_sync._documents import properties_from_text, properties_to_text
from hubspot_sync.errors import ConfigurationError, InvariantError

Step = Callable[[sqlite3.Connection], object]


_FIRST_LAYOUT: Final = (
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
    """CREATE TABLE records (
        domain_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        object_type TEXT NOT NULL,
        object_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        created_at TEXT,
        modified_at TEXT NOT NULL,
        properties TEXT NOT NULL,
        associations TEXT NOT NULL,
        first_stored_at TEXT NOT NULL,
        last_stored_at TEXT NOT NULL,
        PRIMARY KEY (domain_id, account_id, object_type, object_id)
    )""",
    """CREATE TABLE errors (
        domain_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        object_type TEXT NOT NULL,
        object_id TEXT NOT NULL,
        action_id TEXT NOT NULL,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        reason TEXT NOT NULL,
        error TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        first_at TEXT NOT NULL,
        last_at TEXT NOT NULL,
        next_at TEXT,
        dead INTEGER NOT NULL,
        payload TEXT NOT NULL,
        PRIMARY KEY (domain_id, account_id, object_type, object_id)
    )""",
    """CREATE INDEX errors_due ON errors (domain_id, account_id, object_type, next_at)
        WHERE next_at IS NOT NULL""",
)

_ACCOUNTS: Final = (
    """CREATE TABLE accounts (
        domain_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        revision INTEGER NOT NULL,
        status TEXT,
        next_sync_at TEXT,
        entry TEXT,
        PRIMARY KEY (domain_id, account_id)
    )""",
    # For a walk in the order of the keys, and for what is due; with all that is asked for in them,
    # so that no row is read for nothing.
    """CREATE INDEX accounts_walk ON accounts (domain_id, account_id, status)
        WHERE status IS NOT NULL""",
    """CREATE INDEX accounts_due ON accounts (next_sync_at, domain_id, account_id, status)
        WHERE status = 'active'""",
    """CREATE TABLE nonces (
        nonce TEXT NOT NULL PRIMARY KEY,
        expires_at TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX nonces_expiry ON nonces (expires_at)",
)


_ORDERED_FINGERPRINTS: Final = (
    "ALTER TABLE fingerprints RENAME TO fingerprints_by_text",
    """CREATE TABLE fingerprints (
        domain_id TEXT NOT NULL,
        account_id TEXT NOT NULL,
        object_type TEXT NOT NULL,
        place TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest BLOB NOT NULL,
        variant INTEGER NOT NULL,
        edges BLOB NOT NULL DEFAULT x'',
        gone TEXT,
        merged_into TEXT,
        PRIMARY KEY (domain_id, account_id, object_type, place)
    ) WITHOUT ROWID""",
    """INSERT INTO fingerprints
        (domain_id, account_id, object_type, place, version, digest, variant)
        SELECT domain_id, account_id, object_type,
        printf('%02d:%s', length(object_id), object_id), version, digest, variant
        FROM fingerprints_by_text""",
    "DROP TABLE fingerprints_by_text",
)
_ENDS: Final = (
    "ALTER TABLE actions ADD COLUMN sequence INTEGER",
    "ALTER TABLE actions ADD COLUMN merged_into TEXT",
    "ALTER TABLE actions ADD COLUMN evidence TEXT",
    "ALTER TABLE records ADD COLUMN gone TEXT",
    "ALTER TABLE records ADD COLUMN gone_at TEXT",
    "ALTER TABLE records ADD COLUMN merged_into TEXT",
)


_NUMBERED_ACTIONS: Final = """CREATE TABLE actions_numbered (
        rowid INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
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
        stored_at TEXT NOT NULL,
        sequence INTEGER,
        merged_into TEXT,
        evidence TEXT
    )"""
_NUMBER_ACTIONS: Final = """INSERT INTO actions_numbered (rowid, id, domain_id, account_id,
    object_type, object_id, name, kind, version, occurred_at, properties, associations, stored_at,
    sequence, merged_into, evidence) SELECT rowid, id, domain_id, account_id, object_type,
    object_id, name, kind, version, occurred_at, properties, associations, stored_at, sequence,
    merged_into, evidence FROM actions ORDER BY rowid"""


def _add_accounts(connection: sqlite3.Connection) -> None:
    for statement in _ACCOUNTS:
        connection.execute(statement)


def _add_variants(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE records ADD COLUMN variant INTEGER NOT NULL DEFAULT 0")


def _add_lease_begins(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE checkpoints ADD COLUMN leased_at TEXT")


def _add_variants_of_fingerprints(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE fingerprints ADD COLUMN variant INTEGER NOT NULL DEFAULT 0")


# The properties of which some value is a number: the others are, too, as a property has one type.
_NUMBERS: Final = """SELECT DISTINCT domain_id, account_id, object_type, key FROM {}, json_each(
    CASE WHEN json_valid(properties) THEN properties ELSE '{{}}' END)
    WHERE json_each.type IN ('integer', 'real')"""
_ROWS: Final = """SELECT rowid, domain_id, account_id, object_type, properties FROM {}
    WHERE rowid > ? ORDER BY rowid LIMIT 1000"""
_CHANGE: Final = "UPDATE {} SET properties = ? WHERE rowid = ?"
_DIGITS: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")


def _turn_text_into_numbers(connection: sqlite3.Connection) -> None:
    """Make numbers of those that were text until then: with a fraction, or beyond 64 bits."""
    numeric: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for table in ("actions", "records"):
        for *scope, name in connection.execute(_NUMBERS.format(table)):
            numeric[tuple(scope)].add(name)
    for table in ("actions", "records"):
        last = -1
        while rows := connection.execute(_ROWS.format(table), (last,)).fetchall():
            last = rows[-1][0]
            changed = (
                (_with_numbers(text, numeric[tuple(scope)]), rowid)
                for rowid, *scope, text in rows
                if tuple(scope) in numeric
            )
            connection.executemany(
                _CHANGE.format(table), [one for one in changed if one[0] is not None]
            )


def _with_numbers(text: str, names: set[str]) -> str | None:
    """The JSON *text* with numbers for the properties in *names*; None where all is well."""
    try:
        properties = properties_from_text(text)
    except InvariantError:
        return None  # left as it is, so that nothing gets lost
    found = {
        name: Decimal(value) if match[1] else int(value)
        for name in names & properties.keys()
        if isinstance(value := properties[name], str) and (match := _DIGITS.fullmatch(value))
    }
    return properties_to_text({**properties, **found}) if found else None


def _order_fingerprints(connection: sqlite3.Connection) -> None:
    """Keep fingerprints in the order of their ids, as numbers, and what is known of their ends."""
    for statement in _ORDERED_FINGERPRINTS:
        connection.execute(statement)


def _add_ends(connection: sqlite3.Connection) -> None:
    """Let actions and records say that an object is gone, why, and into which it was merged."""
    for statement in _ENDS:
        connection.execute(statement)


def _add_times_of_commits(connection: sqlite3.Connection) -> None:
    """Let checkpoints say when they were committed last, and when the mark moved."""
    connection.execute("ALTER TABLE checkpoints ADD COLUMN committed_at TEXT")
    connection.execute("ALTER TABLE checkpoints ADD COLUMN marked_at TEXT")


def _number_actions(connection: sqlite3.Connection) -> None:
    """Give actions row numbers that no rewriting changes and that are never used again.

    Hosts remember them. Indexes, triggers and views of the host's stay.
    """
    kept = connection.execute(
        """SELECT sql FROM sqlite_master WHERE sql IS NOT NULL
        AND (type = 'view' OR (tbl_name = 'actions' AND type IN ('index', 'trigger')))
        ORDER BY type = 'trigger', rowid"""
    ).fetchall()
    views = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
    for (name,) in views:
        connection.execute(f'DROP VIEW "{name}"')
    connection.execute(_NUMBERED_ACTIONS)
    connection.execute(_NUMBER_ACTIONS)
    connection.execute("DROP TABLE actions")
    connection.execute("ALTER TABLE actions_numbered RENAME TO actions")
    for (statement,) in kept:
        connection.execute(statement)


def _add_changes(connection: sqlite3.Connection) -> None:
    """Let actions say what changed, and fingerprints keep what was delivered."""
    connection.execute("ALTER TABLE actions ADD COLUMN changes TEXT")
    connection.execute("ALTER TABLE fingerprints ADD COLUMN state BLOB")


# The first one leads from version 1 to 2, and so on. They run inside one transaction, which other
# processes wait for: all of them take effect, or none.
STEPS: Final[tuple[Step, ...]] = (
    _add_accounts,
    _add_variants,
    _turn_text_into_numbers,
    _add_lease_begins,
    _add_variants_of_fingerprints,
    _order_fingerprints,
    _add_ends,
    _add_times_of_commits,
    _number_actions,
    _add_changes,
)


def ensure(connection: sqlite3.Connection, path: str) -> None:
    """Create the tables, or bring them to the present layout; to be called in a transaction.

    Raises:
        ConfigurationError: A newer version of this library made them.
    """
    if not _has_schema(connection):
        for statement in _FIRST_LAYOUT:
            connection.execute(statement)
        connection.execute("INSERT INTO schema (version) VALUES (1)")
    version, present = _version(connection, path), 1 + len(STEPS)
    if version > present:
        raise ConfigurationError(
            f"the SQLite file {path} was made by a newer version of hubspot-sync (schema "
            f"{version}, this version knows {present}); upgrade hubspot-sync, or give another path"
        )
    for step in STEPS[version - 1 :]:
        step(connection)
    connection.execute("UPDATE schema SET version = ? WHERE version <> ?", (present, present))


def _has_schema(connection: sqlite3.Connection) -> bool:
    question = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema'"
    return connection.execute(question).fetchone() is not None


def _version(connection: sqlite3.Connection, path: str) -> int:
    row = connection.execute("SELECT version FROM schema").fetchone()
    version = row[0] if row else None
    if not isinstance(version, int) or version < 1:
        raise ConfigurationError(
            f"the SQLite file {path} does not say which schema it has; give hubspot-sync a file of "
            "its own"
        )
    return version
