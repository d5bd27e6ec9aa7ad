"""Batches of rows for SQLite: all at once where that works, else one by one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from hubspot_sync.models import Action

Row = tuple[Any, ...]


# What cannot become a row at all: lone surrogates, versions beyond 64 bits, integers of more digits
# than Python writes, more than SQLite takes.
_UNSTORABLE: Final = (sqlite3.DataError, OverflowError, TypeError, ValueError)


def rows_of(
    actions: Sequence[Action], to_row: Callable[[Action], Row], refused: dict[str, str]
) -> list[tuple[str, Row]]:
    """Each action's id with its row; what cannot become one goes to *refused* with a reason."""
    rows: list[tuple[str, Row]] = []
    for action in actions:
        try:
            rows.append((action.action_id, to_row(action)))
        except _UNSTORABLE as error:
            refused[action.action_id] = _reason(error)
    return rows


def write_rows(
    connection: sqlite3.Connection,
    statement: str,
    rows: Sequence[tuple[str, Row]],
    refused: dict[str, str],
) -> list[tuple[str, Row]]:
    """Run *statement*, which changes one row or none, for each of *rows*, inside a transaction.

    Returns:
        The rows with which it changed none; those that SQLite does not take are in *refused*.
    """
    if not rows or _write_all(connection, statement, [row for _, row in rows]):
        return []
    return [
        (action_id, row)
        for action_id, row in rows
        if not _write_one(connection, statement, action_id, row, refused)
        and action_id not in refused
    ]


def _write_all(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> bool:
    """Whether every row changed something; if not, nothing is changed."""
    connection.execute("SAVEPOINT batch")
    try:
        changed = connection.executemany(statement, rows).rowcount == len(rows)
    except _UNSTORABLE:
        changed = False
    if not changed:
        connection.execute("ROLLBACK TO batch")
    connection.execute("RELEASE batch")
    return changed


def _write_one(
    connection: sqlite3.Connection,
    statement: str,
    action_id: str,
    row: Row,
    refused: dict[str, str],
) -> bool:
    try:
        return connection.execute(statement, row).rowcount == 1
    except _UNSTORABLE as error:
        refused[action_id] = _reason(error)
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, sqlite3.DataError):
        return "it is larger than SQLite takes"
    if isinstance(error, (TypeError, UnicodeError)):
        return "it has text that cannot be encoded as UTF-8"
    return "it has a number or a date that is out of range"
