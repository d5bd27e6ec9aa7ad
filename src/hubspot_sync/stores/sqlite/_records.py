"""Records in SQLite: one row for each object, in its newest version."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import orjson

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync._documents import (
    associations_to_document,
    instant_to_text,
    properties_to_text,
)
from hubspot_sync.models import AccountKey, Action, ActionKind, SinkAnswer, StreamKey
from hubspot_sync.stores.sqlite._batches import rows_of, write_rows
from hubspot_sync.stores.sqlite._database import SqliteDatabase, the_database

Row = tuple[Any, ...]


_UPSERT: Final = """INSERT INTO records AS held (domain_id, account_id, object_type, object_id,
    version, variant, created_at, modified_at, properties, associations, gone, gone_at,
    merged_into, first_stored_at, last_stored_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (domain_id, account_id, object_type, object_id) DO UPDATE SET
    version = excluded.version, variant = excluded.variant,
    created_at = coalesce(excluded.created_at, held.created_at), modified_at = excluded.modified_at,
    properties = CASE WHEN excluded.gone IN ({0}) THEN held.properties ELSE excluded.properties END,
    associations = CASE WHEN excluded.gone IN ({0}) THEN held.associations
    ELSE excluded.associations END, gone = excluded.gone, gone_at = excluded.gone_at,
    merged_into = excluded.merged_into, last_stored_at = excluded.last_stored_at
    WHERE max(excluded.version, excluded.variant) > max(held.version, held.variant)
    OR typeof(held.version) <> 'integer' OR typeof(held.variant) <> 'integer'"""  # by hand
_UPSERT_KEEPING: Final = _UPSERT.format("'deleted', 'merged'")
_UPSERT_REMOVING: Final = _UPSERT.format("")
_ERASE: Final = """DELETE FROM records WHERE domain_id = ? AND account_id = ? AND object_type = ?
    AND object_id = ? AND gone IS NOT 'erased'"""
_PURGE: Final = "DELETE FROM records WHERE domain_id = ? AND account_id = ?"


class SqliteRecordSink:
    """An `ActionSink` that keeps the newest form of every object as a row of the table `records`.

    An action with the `sequence` of the one that is held, or a lower one, is a repeat and changes
    nothing. An object that is gone stays as a tombstone, so that no older form of it comes back.

    Args:
        database: The file; the caller closes it.
        clock: Dates the rows; the operating system's time by default.
        keep_values: Whether an object that is deleted or merged keeps its last properties and
            associations; without them only its tombstone stays. One that is erased never does.
    """

    def __init__(
        self, database: SqliteDatabase, *, clock: Clock | None = None, keep_values: bool = True
    ) -> None:
        self._upsert = _UPSERT_KEEPING if keep_values else _UPSERT_REMOVING
        self._database = the_database(database)
        self._clock: Clock = clock or SystemClock()

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Keep what is newer than what is held, in one transaction; see `ActionSink.write`."""
        if not actions:
            return SinkAnswer()
        refused: dict[str, str] = {}
        to_row = partial(_row, stored_at=instant_to_text(self._clock.now()))
        rows = rows_of(actions, to_row, refused)
        with self._database.writing() as connection:
            not_newer = write_rows(connection, self._upsert, rows, refused)
        return SinkAnswer(repeated=frozenset(one for one, _ in not_newer), refused=refused)

    def erase(self, stream: StreamKey, object_ids: Sequence[str]) -> int:
        """Delete the rows of these objects; see `ErasableSink.erase`."""
        named = (stream.account.domain_id, stream.account.account_id, stream.object_type)
        rows = [(*named, one) for one in object_ids]
        if not rows:
            return 0
        with self._database.writing() as connection:
            return connection.executemany(_ERASE, rows).rowcount

    def purge(self, account: AccountKey) -> int:
        """Delete the rows of *account*; see `ErasableSink.purge`."""
        with self._database.writing() as connection:
            return connection.execute(_PURGE, (account.domain_id, account.account_id)).rowcount

    def scrub(self) -> None:
        """Rewrite the file without what was deleted; see `SqliteDatabase.scrub`."""
        self._database.scrub()


def _row(action: Action, stored_at: str) -> Row:
    created = action.kind is ActionKind.CREATED
    gone = action.kind.gone
    return (
        action.account.domain_id,
        action.account.account_id,
        action.object_type,
        action.object_id,
        action.version,
        action.variant,
        instant_to_text(action.occurred_at) if created else None,
        instant_to_text(action.modified_at),
        properties_to_text(action.properties),
        orjson.dumps(associations_to_document(action.associations)).decode(),
        gone and gone.value,
        instant_to_text(action.occurred_at) if gone else None,
        action.merged_into,
        stored_at,
        stored_at,
    )
