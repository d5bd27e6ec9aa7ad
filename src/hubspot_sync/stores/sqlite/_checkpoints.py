"""Leases, checkpoints and fingerprints in SQLite, each change in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve

from hubspot_sync._clock import SLACK, Clock, SystemClock, is_ahead
from hubspot_sync._documents import (
    checkpoint_from_text,
    checkpoint_to_text,
    instant_from_text,
    instant_to_text,
)
from hubspot_sync.models import (
    AccountKey,
    Checkpoint,
    Fingerprint,
    Gone,
    Lease,
    StreamKey,
    StreamProgress,
)
from hubspot_sync.stores._refusals import lease_held, lease_lost, mark_falls
from hubspot_sync.stores._stored import ago, binary, object_id_of, place_of, reading, whole
from hubspot_sync.stores.sqlite._database import SqliteDatabase, the_database

_GRANT: Final = """INSERT INTO checkpoints
    (domain_id, account_id, object_type, fence, owner, expires_at, leased_at)
    VALUES (:domain_id, :account_id, :object_type, 1, :owner, :expires_at, :now)
    ON CONFLICT (domain_id, account_id, object_type)
    DO UPDATE SET fence = fence + 1, owner = excluded.owner, expires_at = excluded.expires_at,
    leased_at = excluded.leased_at
    WHERE owner IS NULL OR expires_at <= :now OR owner = :evict OR leased_at > :ahead"""
_LOAD: Final = """SELECT fence, owner, checkpoint FROM checkpoints
    WHERE domain_id = :domain_id AND account_id = :account_id AND object_type = :object_type"""
# A lease is the current one while its fence is, and nobody released it.
_RENEW: Final = """UPDATE checkpoints SET expires_at = :expires_at, leased_at = :now
    WHERE domain_id = :domain_id AND account_id = :account_id AND object_type = :object_type
    AND fence = :fence AND owner IS NOT NULL"""
_RELEASE: Final = """UPDATE checkpoints SET owner = NULL, expires_at = NULL
    WHERE domain_id = :domain_id AND account_id = :account_id AND object_type = :object_type
    AND fence = :fence"""
_SURVEY: Final = """SELECT key, checkpoint, owner, expires_at, leased_at, committed_at, marked_at
    FROM json_each(?) CROSS JOIN checkpoints ON domain_id = json_extract(value, '$[0]')
    AND account_id = json_extract(value, '$[1]') AND object_type = json_extract(value, '$[2]')"""
_STREAMS: Final = "SELECT object_type FROM checkpoints WHERE domain_id = ? AND account_id = ?"
_COMMIT: Final = """UPDATE checkpoints SET checkpoint = :checkpoint, committed_at = :now,
    marked_at = CASE WHEN :rises THEN :now ELSE marked_at END
    WHERE domain_id = :domain_id AND account_id = :account_id AND object_type = :object_type"""
_RESET: Final = """UPDATE checkpoints
    SET checkpoint = NULL, committed_at = NULL, marked_at = NULL
    WHERE domain_id = :domain_id AND account_id = :account_id AND object_type = :object_type"""
_LEARN: Final = """INSERT INTO fingerprints (domain_id, account_id, object_type, place, version,
    digest, variant, edges, gone, merged_into, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (domain_id, account_id, object_type, place)
    DO UPDATE SET version = excluded.version, digest = excluded.digest,
    variant = excluded.variant, edges = excluded.edges, gone = excluded.gone,
    merged_into = excluded.merged_into, state = excluded.state
    WHERE excluded.version >= version"""
_FIND: Final = """SELECT place, version, digest, variant, edges, gone, merged_into, state
    FROM fingerprints WHERE domain_id = ? AND account_id = ? AND object_type = ?"""
_RECALL: Final = _FIND + " AND place IN ({})"
_BROWSE: Final = _FIND + " AND place > ? AND place < ? ORDER BY place LIMIT ?"
_COUNT: Final = """SELECT count(*) FROM fingerprints WHERE domain_id = ? AND account_id = ?
    AND object_type = ? AND place > ? AND place < ?
    AND (gone IS NULL OR length(digest) = 0)"""
_FORGET: Final = """DELETE FROM fingerprints WHERE domain_id = ? AND account_id = ?
    AND object_type = ? AND place = ?"""
_FORGET_ALL: Final = """DELETE FROM fingerprints WHERE domain_id = ? AND account_id = ?
    AND object_type = ?"""
# Older builds of SQLite take 999 variables in a statement.
_IDS_AT_ONCE: Final = 900
# Behind all places, which begin with digits.
_END: Final = "~"


class SqliteCheckpointer:
    """A `Checkpointer` in an SQLite file, for the processes of one machine.

    Args:
        database: The file; the caller closes it.
        clock: Tells when leases end; the operating system's time by default.
    """

    def __init__(self, database: SqliteDatabase, *, clock: Clock | None = None) -> None:
        self._database = the_database(database)
        self._clock: Clock = clock or SystemClock()

    def acquire(
        self, stream: StreamKey, owner: str, duration: timedelta, *, evict: str | None = None
    ) -> Lease:
        """Take the lease on *stream*; see `Checkpointer.acquire`."""
        with self._database.writing() as connection:
            now = self._clock.now()
            wanted = {**_named(stream), **_lasting(now, duration), "owner": owner, "evict": evict}
            granted = connection.execute(_GRANT, wanted).rowcount == 1
            fence, holder, _ = connection.execute(_LOAD, wanted).fetchone()
        if not granted:
            raise lease_held(stream, holder)
        with reading(_row_of(stream)):
            fence = whole(fence)
        return Lease(stream=stream, owner=owner, fence=fence, expires_at=now + duration)

    def renew(self, lease: Lease, duration: timedelta) -> Lease:
        """Extend *lease*; see `Checkpointer.renew`."""
        with self._database.writing() as connection:
            now = self._clock.now()
            wanted = {**_held(lease), **_lasting(now, duration)}
            if connection.execute(_RENEW, wanted).rowcount != 1:
                raise lease_lost(lease)
        return evolve(lease, expires_at=now + duration)

    def release(self, lease: Lease) -> None:
        """Give *lease* back; see `Checkpointer.release`."""
        with self._database.writing() as connection:
            connection.execute(_RELEASE, _held(lease))

    def streams(self, account: AccountKey) -> Sequence[StreamKey]:
        """Return the streams of *account*; see `Checkpointer.streams`."""
        with self._database.reading() as connection:
            rows = connection.execute(_STREAMS, (account.domain_id, account.account_id))
            return [StreamKey(account, object_type) for (object_type,) in rows]

    def load(self, stream: StreamKey) -> Checkpoint:
        """Give the progress of *stream*; see `Checkpointer.load`."""
        with self._database.reading() as connection:
            row = connection.execute(_LOAD, _named(stream)).fetchone()
        return _checkpoint(stream, row[2] if row else None)

    def survey(self, streams: Sequence[StreamKey]) -> Mapping[StreamKey, StreamProgress]:
        """Return how far *streams* are; see `Checkpointer.survey`."""
        wanted = json.dumps([list(_named(stream).values()) for stream in streams])
        with self._database.reading() as connection:
            rows = connection.execute(_SURVEY, (wanted,)).fetchall()
        now = self._clock.now()
        return {streams[place]: _progress(streams[place], row, now) for place, *row in rows}

    def recall(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, Fingerprint]:
        """Give the fingerprints of *object_ids*; see `Checkpointer.recall`."""
        known: dict[str, Fingerprint] = {}
        for some in _chunks(object_ids):
            question = _RECALL.format(", ".join("?" * len(some)))
            places = map(place_of, some)
            with self._database.reading() as connection:
                rows = connection.execute(question, (*_named(stream).values(), *places)).fetchall()
            known.update((one.object_id, one) for one in _fingerprints(stream, rows))
        return known

    def browse(
        self, stream: StreamKey, *, limit: int, after: str | None = None, until: str | None = None
    ) -> Sequence[Fingerprint]:
        """Return fingerprints in the order of their ids; see `Checkpointer.browse`."""
        wanted = (*_named(stream).values(), *_between(after, until), limit)
        with self._database.reading() as connection:
            return _fingerprints(stream, connection.execute(_BROWSE, wanted).fetchall())

    def count(
        self, stream: StreamKey, *, after: str | None = None, until: str | None = None
    ) -> int:
        """Count the objects that are there; see `Checkpointer.count`."""
        wanted = (*_named(stream).values(), *_between(after, until))
        with self._database.reading() as connection:
            return whole(connection.execute(_COUNT, wanted).fetchone()[0])

    def commit(
        self, lease: Lease, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint] = ()
    ) -> None:
        """Store progress under *lease*, all or nothing; see `Checkpointer.commit`."""
        named = tuple(_named(lease.stream).values())
        with self._database.writing() as connection:
            before = _check_commit(connection, lease, checkpoint)
            connection.executemany(
                _LEARN,
                [
                    (
                        *(*named, place_of(one.object_id), one.version, one.digest, one.variant),
                        *(one.edges, one.gone and one.gone.value, one.merged_into),
                        one.state or None,
                    )
                    for one in fingerprints
                ],
            )
            after = {
                "checkpoint": checkpoint_to_text(checkpoint),
                "now": instant_to_text(self._clock.now()),
                "rises": checkpoint.rises_above(before.high_water_mark),
            }
            connection.execute(_COMMIT, {**_held(lease), **after})

    def forget(self, lease: Lease, object_ids: Sequence[str] | None = None) -> int:
        """Delete fingerprints under *lease*; see `Checkpointer.forget`."""
        named = tuple(_named(lease.stream).values())
        with self._database.writing() as connection:
            _check_lease(connection, lease)
            if object_ids is None:
                connection.execute(_RESET, _held(lease))
                return connection.execute(_FORGET_ALL, named).rowcount
            rows = [(*named, place_of(one)) for one in object_ids]
            return connection.executemany(_FORGET, rows).rowcount if rows else 0

    def scrub(self) -> None:
        """Rewrite the file without what was deleted; see `SqliteDatabase.scrub`."""
        self._database.scrub()


def _named(stream: StreamKey) -> dict[str, Any]:
    return {
        "domain_id": stream.account.domain_id,
        "account_id": stream.account.account_id,
        "object_type": stream.object_type,
    }


def _lasting(now: datetime, duration: timedelta) -> dict[str, Any]:
    return {
        "now": instant_to_text(now),
        "expires_at": instant_to_text(now + duration),
        # A lease that was granted in the future has a wrong clock's end, so it has ended.
        "ahead": instant_to_text(now + SLACK),
    }


def _held(lease: Lease) -> dict[str, Any]:
    return {**_named(lease.stream), "fence": lease.fence}


def _check_lease(connection: sqlite3.Connection, lease: Lease) -> str | None:
    """The checkpoint that is stored, as text, if *lease* is the current one."""
    row = connection.execute(_LOAD, _named(lease.stream)).fetchone()
    if row is None or row[0] != lease.fence or row[1] is None:
        raise lease_lost(lease)
    held: str | None = row[2]
    return held


def _check_commit(
    connection: sqlite3.Connection, lease: Lease, checkpoint: Checkpoint
) -> Checkpoint:
    """The checkpoint that is stored, if *checkpoint* may be put in its place under *lease*."""
    held = _checkpoint(lease.stream, _check_lease(connection, lease))
    if not checkpoint.may_follow(held.high_water_mark):
        raise mark_falls(lease.stream)
    return held


def _progress(stream: StreamKey, row: Sequence[Any], now: datetime) -> StreamProgress:
    text, owner, *times = row
    with reading(_row_of(stream)):
        expires_at, leased_at, committed_at, marked_at = map(_optional_instant, times)
    return StreamProgress(
        checkpoint=_checkpoint(stream, text),
        held=owner is not None
        and expires_at is not None
        and expires_at > now
        and not (leased_at is not None and is_ahead(leased_at, now)),
        committed_ago=ago(None if committed_at is None else now - committed_at),
        marked_ago=ago(None if marked_at is None else now - marked_at),
    )


def _optional_instant(text: str | None) -> datetime | None:
    return None if text is None else instant_from_text(text)


def _between(after: str | None, until: str | None) -> tuple[str, str]:
    """The places that a range lies between."""
    return "" if after is None else place_of(after), _END if until is None else place_of(until)


def _fingerprints(stream: StreamKey, rows: Iterable[tuple[Any, ...]]) -> list[Fingerprint]:
    found = []
    for place, version, digest, variant, edges, gone, merged_into, state in rows:
        object_id = object_id_of(place)
        with reading(
            f"the row of {stream.account}/{stream.object_type}/{object_id} in the table "
            "fingerprints"
        ):
            found.append(
                Fingerprint(
                    object_id=object_id,
                    version=whole(version),
                    digest=binary(digest),
                    variant=whole(variant),
                    edges=binary(edges),
                    gone=None if gone is None else Gone(gone),
                    merged_into=merged_into,
                    state=b"" if state is None else binary(state),
                )
            )
    return found


def _checkpoint(stream: StreamKey, text: str | None) -> Checkpoint:
    with reading(_row_of(stream)):
        return Checkpoint() if text is None else checkpoint_from_text(stream, text)


def _row_of(stream: StreamKey) -> str:
    return f"the row of {stream.account}/{stream.object_type} in the table checkpoints"


def _chunks(object_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(object_ids), _IDS_AT_ONCE):
        yield object_ids[start : start + _IDS_AT_ONCE]
