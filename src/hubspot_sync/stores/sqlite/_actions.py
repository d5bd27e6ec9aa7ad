"""Actions in SQLite: one row each, stored once."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Final

import orjson

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync._documents import (
    associations_to_document,
    instant_to_text,
    properties_to_document,
)
from hubspot_sync.models import SinkAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hubspot_sync.models import Action
    from hubspot_sync.stores.sqlite._database import SqliteDatabase

    Row = tuple[Any, ...]

_INSERT: Final = """INSERT INTO actions (id, domain_id, account_id, object_type, object_id, name,
    kind, version, occurred_at, properties, associations, stored_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""
_HELD: Final = "SELECT 1 FROM actions WHERE id = ?"
# What cannot become a row at all: lone surrogates, numbers beyond 64 bits, more than SQLite takes.
_UNSTORABLE: Final = (sqlite3.DataError, OverflowError, TypeError, UnicodeError)


class SqliteActionSink:
    """An `ActionSink` that keeps every action as a row of the table `actions`.

    Args:
        database: The file; the caller closes it.
        clock: Dates the rows; the operating system's time by default.
    """

    def __init__(self, database: SqliteDatabase, *, clock: Clock | None = None) -> None:
        self._database = database
        self._clock: Clock = clock or SystemClock()

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Store each action once, all in one transaction; see `ActionSink.write`."""
        if not actions:
            return SinkAnswer()
        refused: dict[str, str] = {}
        rows = list(_rows(actions, instant_to_text(self._clock.now()), refused))
        with self._database.writing() as connection:
            if _insert_all(connection, rows):
                return SinkAnswer(refused=refused)
            return _insert_each(connection, rows, refused)


def _rows(actions: Iterable[Action], stored_at: str, refused: dict[str, str]) -> Iterable[Row]:
    for action in actions:
        try:
            yield _row(action, stored_at)
        except _UNSTORABLE as error:
            refused[action.action_id] = _reason(error)


def _row(action: Action, stored_at: str) -> Row:
    return (
        action.action_id,
        action.account.domain_id,
        action.account.account_id,
        action.object_type,
        action.object_id,
        action.name,
        action.kind.value,
        action.version,
        instant_to_text(action.occurred_at),
        orjson.dumps(properties_to_document(action.properties)).decode(),
        orjson.dumps(associations_to_document(action.associations)).decode(),
        stored_at,
    )


def _insert_all(connection: sqlite3.Connection, rows: list[Row]) -> bool:
    """Whether all rows were new; if not, none is stored."""
    connection.execute("SAVEPOINT batch")
    try:
        stored = connection.executemany(_INSERT, rows).rowcount == len(rows) if rows else True
    except _UNSTORABLE:
        stored = False
    if not stored:
        connection.execute("ROLLBACK TO batch")
    connection.execute("RELEASE batch")
    return stored


def _insert_each(
    connection: sqlite3.Connection, rows: list[Row], refused: dict[str, str]
) -> SinkAnswer:
    repeated: set[str] = set()
    already_created: set[str] = set()
    for row in rows:
        try:
            if connection.execute(_INSERT, row).rowcount == 1:
                continue
        except _UNSTORABLE as error:
            refused[row[0]] = _reason(error)
            continue
        known = connection.execute(_HELD, row[:1]).fetchone()
        (repeated if known else already_created).add(row[0])
    return SinkAnswer(
        repeated=frozenset(repeated), already_created=frozenset(already_created), refused=refused
    )


def _reason(error: Exception) -> str:
    if isinstance(error, sqlite3.DataError):
        return "it is larger than SQLite takes"
    if isinstance(error, OverflowError):
        return "it has a number beyond 64 bits"
    return "it has text that cannot be encoded as UTF-8"
