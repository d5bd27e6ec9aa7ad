"""Actions in SQLite: one row each, stored once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync._documents import (
    associations_to_document,
    instant_to_text,
    properties_to_text,
)
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import AccountKey, Action, SinkAnswer, StreamKey
from hubspot_sync.stores.sqlite._batches import rows_of, write_rows
from hubspot_sync.stores.sqlite._database import SqliteDatabase, the_database

Row = tuple[Any, ...]


_INSERT: Final = """INSERT INTO actions (id, domain_id, account_id, object_type, object_id, name,
    kind, version, sequence, occurred_at, properties, associations, merged_into, evidence, changes,
    stored_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"""
_HELD: Final = "SELECT 1 FROM actions WHERE id = ?"
_PRUNE: Final = """DELETE FROM actions WHERE rowid IN (SELECT rowid FROM actions
    WHERE stored_at < ? LIMIT ?)"""
# The bounds say nothing that the rest does not say, but let the index on ids be used.
_ERASE: Final = """DELETE FROM actions WHERE id > ? AND id < ? AND domain_id = ? AND account_id = ?
    AND object_type = ? AND object_id = ? AND kind <> 'Erased'"""
_PURGE: Final = """DELETE FROM actions
    WHERE id > ? AND id < ? AND domain_id = ? AND account_id = ?"""
# So that writers of other processes get in between.
_PRUNED_AT_ONCE: Final = 5_000


class SqliteActionSink:
    """An `ActionSink` that keeps every action as a row of the table `actions`.

    Args:
        database: The file; the caller closes it.
        clock: Dates the rows; the operating system's time by default.
    """

    def __init__(self, database: SqliteDatabase, *, clock: Clock | None = None) -> None:
        self._database = the_database(database)
        self._clock: Clock = clock or SystemClock()

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Store each action once, all in one transaction; see `ActionSink.write`."""
        if not actions:
            return SinkAnswer()
        refused: dict[str, str] = {}
        to_row = partial(_row, stored_at=instant_to_text(self._clock.now()))
        rows = rows_of(actions, to_row, refused)
        with self._database.writing() as connection:
            known = [action_id for action_id, _ in write_rows(connection, _INSERT, rows, refused)]
            repeated = {
                action_id
                for action_id in known
                if connection.execute(_HELD, (action_id,)).fetchone()
            }
        return SinkAnswer(
            repeated=frozenset(repeated),
            already_created=frozenset(known) - repeated,
            refused=refused,
        )

    def erase(self, stream: StreamKey, object_ids: Sequence[str]) -> int:
        """Delete all actions of these objects; see `ErasableSink.erase`."""
        named = (stream.account.domain_id, stream.account.account_id, stream.object_type)
        rows = [(*_between(*named, one), *named, one) for one in object_ids]
        if not rows:
            return 0
        with self._database.writing() as connection:
            return connection.executemany(_ERASE, rows).rowcount

    def purge(self, account: AccountKey) -> int:
        """Delete all actions of *account*; see `ErasableSink.purge`."""
        named = (account.domain_id, account.account_id)
        with self._database.writing() as connection:
            return connection.execute(_PURGE, (*_between(*named), *named)).rowcount

    def scrub(self) -> None:
        """Rewrite the file without what was deleted; see `SqliteDatabase.scrub`."""
        self._database.scrub()

    def prune(self, before: datetime) -> int:
        """Delete the actions that were stored before an instant; for operators, at any time.

        A creation that is gone is not known any
        more to have been stored, so choose an instant before which no stream will be read again.
        The file does not shrink: its free pages are used again.

        Args:
            before: Aware; what was stored then or later stays.

        Returns:
            How many were deleted.

        Raises:
            ConfigurationError: The instant does not say its zone.
            StoreUnavailableError: The file cannot be written now; a part may have been deleted.
        """
        if before.tzinfo is None:
            raise ConfigurationError(f"{before!r} does not say its time zone; give an aware one")
        bounds = (instant_to_text(before), _PRUNED_AT_ONCE)
        deleted = 0
        while True:
            with self._database.writing() as connection:
                found = connection.execute(_PRUNE, bounds).rowcount
            deleted += found
            if found < _PRUNED_AT_ONCE:
                return deleted


def _between(*parts: str) -> tuple[str, str]:
    """Between which texts all ids of actions are that begin with *parts*, and hardly another."""
    prefix = ":".join(parts)
    return f"{prefix}:", f"{prefix};"


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
        action.sequence,
        instant_to_text(action.occurred_at),
        properties_to_text(action.properties),
        orjson.dumps(associations_to_document(action.associations)).decode(),
        action.merged_into,
        action.evidence and action.evidence.value,
        action.changes and orjson.dumps(action.changes.as_dict()).decode(),
        stored_at,
    )
