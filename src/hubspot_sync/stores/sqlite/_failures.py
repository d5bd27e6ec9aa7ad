"""Refused actions in SQLite: one row an object, in the newest version that was refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from hubspot_sync._clock import LONGEST_WAIT, SLACK, later
from hubspot_sync._documents import instant_from_text, instant_to_text
from hubspot_sync.models import (
    AccountKey,
    Action,
    RejectedAction,
    RejectedCounts,
    RejectedSelection,
    StreamKey,
)
from hubspot_sync.stores._stored import reading, text, whole
from hubspot_sync.stores.sqlite._database import SqliteDatabase, the_database

Row = tuple[Any, ...]


_PUT: Final = """INSERT INTO errors (domain_id, account_id, object_type, object_id, action_id, name,
    version, reason, error, attempts, first_at, last_at, next_at, dead, payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (domain_id, account_id, object_type, object_id) DO UPDATE SET
    action_id = excluded.action_id, name = excluded.name, version = excluded.version,
    reason = excluded.reason, error = excluded.error, attempts = excluded.attempts,
    first_at = excluded.first_at, last_at = excluded.last_at, next_at = excluded.next_at,
    dead = excluded.dead, payload = excluded.payload
    WHERE excluded.version >= version"""
_DUE: Final = """SELECT reason, error, attempts, first_at, last_at, next_at, action_id, payload
    FROM errors WHERE domain_id = ? AND account_id = ? AND object_type = ?
    AND (next_at <= ? OR (next_at > ? AND last_at > ?))
    ORDER BY next_at, object_id LIMIT ?"""
_FITTING: Final = """domain_id = :domain_id AND account_id = :account_id
    AND (:object_type IS NULL OR object_type = :object_type)
    AND (:reason IS NULL OR reason = :reason) AND (:dead IS NULL OR dead = :dead)
    AND (:object_ids IS NULL OR object_id IN (SELECT value FROM json_each(:object_ids)))"""
# The bounds say nothing that the rest does not say, but let the primary key be used.
_BROWSE: Final = """SELECT reason, error, attempts, first_at, last_at, next_at, action_id, payload
    FROM errors
    WHERE {} AND (object_type, object_id) > (:after_type, :after_id) AND object_type <= :last_type
    ORDER BY object_type, object_id LIMIT :limit"""
_HELD: Final = """SELECT object_id, version FROM errors
    WHERE domain_id = ? AND account_id = ? AND object_type = ?
    AND object_id IN (SELECT value FROM json_each(?))"""
_SETTLE: Final = """DELETE FROM errors WHERE domain_id = ? AND account_id = ? AND object_type = ?
    AND object_id = ? AND version <= ?"""
_COUNT: Final = "SELECT object_type, COUNT(*) FROM errors WHERE {} GROUP BY object_type"
_TALLY: Final = """SELECT domain_id, account_id, object_type, sum(NOT dead), sum(dead)
    FROM json_each(?) CROSS JOIN errors ON domain_id = json_extract(value, '$[0]')
    AND account_id = json_extract(value, '$[1]') GROUP BY domain_id, account_id, object_type"""
_DROP: Final = "DELETE FROM errors WHERE {}"
_LARGEST_INTEGER: Final = 2**63 - 1
_LAST_OF_ALL: Final = "\U0010ffff"
_PAGE_BYTES: Final = 32 * 1024 * 1024


class SqliteErrorQueue:
    """An `ErrorQueue` in an SQLite file, with what an `ErrorQueueAdmin` has.

    Args:
        database: The file; the caller closes it.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = the_database(database)

    def put(self, failures: Sequence[RejectedAction]) -> None:
        """Store *failures*, the newest version of each object; see `ErrorQueue.put`."""
        if not failures:
            return
        rows = [_row(failure) for failure in failures]
        with self._database.writing() as connection:
            connection.executemany(_PUT, rows)

    def due(self, stream: StreamKey, now: datetime, *, limit: int) -> Sequence[RejectedAction]:
        """Give a page of what is to be tried again; see `ErrorQueue.due`."""
        with self._database.reading() as connection:
            bounds = map(instant_to_text, (now, later(now, LONGEST_WAIT), later(now, SLACK)))
            rows = connection.execute(_DUE, (*_named(stream), *bounds, limit))
            page = _page(rows)
        return [_failure(row) for row in page]

    def browse(
        self, selection: RejectedSelection, *, limit: int, after: RejectedAction | None = None
    ) -> Sequence[RejectedAction]:
        """Give a page of what fits *selection*; see `ErrorQueue.browse`."""
        wanted = {
            **_selected(selection),
            "after_type": after.action.object_type if after else selection.object_type or "",
            "after_id": after.action.object_id if after else "",
            "last_type": selection.object_type or _LAST_OF_ALL,
            "limit": limit,
        }
        with self._database.reading() as connection:
            page = _page(connection.execute(_BROWSE.format(_FITTING), wanted))
        return [_failure(row) for row in page]

    def held(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, int]:
        """Give the versions that are held; see `ErrorQueue.held`."""
        with self._database.reading() as connection:
            found = connection.execute(_HELD, (*_named(stream), _listed(object_ids))).fetchall()
        with reading(f"a row of {stream.account}/{stream.object_type} in the table errors"):
            return {object_id: whole(version) for object_id, version in found}

    def settle(self, stream: StreamKey, versions: Mapping[str, int]) -> None:
        """Forget what was stored meanwhile; see `ErrorQueue.settle`."""
        if not versions:
            return
        rows = [
            (*_named(stream), object_id, _bounded(version))
            for object_id, version in versions.items()
        ]
        with self._database.writing() as connection:
            connection.executemany(_SETTLE, rows)

    def count(self, selection: RejectedSelection) -> Mapping[str, int]:
        """Say how many fit *selection*, by object type; see `ErrorQueue.count`."""
        with self._database.reading() as connection:
            return dict(connection.execute(_COUNT.format(_FITTING), _selected(selection)))

    def tally(self, accounts: Sequence[AccountKey]) -> Mapping[StreamKey, RejectedCounts]:
        """Count the failures by stream; see `ErrorQueueAdmin.tally`."""
        wanted = json.dumps([[one.domain_id, one.account_id] for one in dict.fromkeys(accounts)])
        with self._database.reading() as connection:
            rows = connection.execute(_TALLY, (wanted,)).fetchall()
        with reading("a row in the table errors"):
            return {
                StreamKey(AccountKey(domain_id, account_id), object_type): RejectedCounts(
                    waiting=whole(waiting), parked=whole(parked)
                )
                for domain_id, account_id, object_type, waiting, parked in rows
            }

    def drop(self, selection: RejectedSelection) -> int:
        """Delete what fits *selection*; see `ErrorQueueAdmin.drop`."""
        with self._database.writing() as connection:
            return connection.execute(_DROP.format(_FITTING), _selected(selection)).rowcount

    def scrub(self) -> None:
        """Rewrite the file without what was deleted; see `SqliteDatabase.scrub`."""
        self._database.scrub()


def _row(failure: RejectedAction) -> Row:
    action = failure.action
    return (
        action.account.domain_id,
        action.account.account_id,
        action.object_type,
        action.object_id,
        action.action_id,
        action.name,
        _bounded(action.version),
        failure.reason,
        failure.error,
        failure.attempts,
        instant_to_text(failure.first_at),
        instant_to_text(failure.last_at),
        None if failure.next_at is None else instant_to_text(failure.next_at),
        failure.parked,
        action.to_json(),
    )


def _page(rows: Iterable[Row]) -> list[Row]:
    """The first of *rows*, not many more than fit into a page."""
    page: list[Row] = []
    size = 0
    for row in rows:
        page.append(row)
        size += len(str(row[-1]))
        if size >= _PAGE_BYTES:
            break
    return page


def _failure(row: Row) -> RejectedAction:
    reason, error, attempts, first_at, last_at, next_at, action_id, payload = row
    with reading(f"the row of {action_id} in the table errors"):
        return RejectedAction(
            action=Action.from_json(payload),
            reason=text(reason),
            error=text(error),
            attempts=whole(attempts),
            first_at=instant_from_text(first_at),
            last_at=instant_from_text(last_at),
            next_at=None if next_at is None else instant_from_text(next_at),
        )


def _named(stream: StreamKey) -> tuple[str, str, str]:
    return stream.account.domain_id, stream.account.account_id, stream.object_type


def _selected(selection: RejectedSelection) -> dict[str, Any]:
    return {
        "domain_id": selection.account.domain_id,
        "account_id": selection.account.account_id,
        "object_type": selection.object_type,
        "reason": selection.reason,
        "dead": selection.parked,
        "object_ids": None if selection.object_ids is None else _listed(selection.object_ids),
    }


def _listed(object_ids: Sequence[str]) -> str:
    return json.dumps(list(object_ids))


def _bounded(version: int) -> int:
    """A version that SQLite takes; the payload has the right one."""
    return min(version, _LARGEST_INTEGER)
