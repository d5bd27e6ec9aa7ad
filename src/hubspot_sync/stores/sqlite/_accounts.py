"""Accounts in SQLite: one row each, with what is searched in columns and the rest as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from hubspot_sync._clock import LONGEST_WAIT, SLACK, later
from hubspot_sync._documents import entry_from_text, entry_to_text, instant_to_text
from hubspot_sync.models import AccountEntry, AccountKey, AccountStatus
from hubspot_sync.stores._refusals import entry_conflict
from hubspot_sync.stores._scopes import id_before
from hubspot_sync.stores._stored import reading, text, whole
from hubspot_sync.stores.sqlite._database import SqliteDatabase, the_database

# A row without a status is what a delete leaves behind, so that revisions go on from there.
_LOAD: Final = """SELECT domain_id, account_id, revision, status, next_sync_at, entry FROM accounts
    WHERE domain_id = ? AND account_id = ? AND status IS NOT NULL"""
_SAVE_FIRST: Final = """INSERT INTO accounts
    (domain_id, account_id, revision, status, next_sync_at, entry)
    VALUES (:domain_id, :account_id, 1, :status, :next_sync_at, :entry)
    ON CONFLICT (domain_id, account_id) DO UPDATE SET revision = revision + 1,
    status = excluded.status, next_sync_at = excluded.next_sync_at, entry = excluded.entry
    WHERE status IS NULL"""
_SAVE_NEXT: Final = """UPDATE accounts SET revision = revision + 1,
    status = :status, next_sync_at = :next_sync_at, entry = :entry
    WHERE domain_id = :domain_id AND account_id = :account_id
    AND revision = :revision AND status IS NOT NULL"""
_REVISION: Final = """SELECT revision FROM accounts
    WHERE domain_id = :domain_id AND account_id = :account_id"""
_DELETE: Final = """UPDATE accounts SET status = NULL, next_sync_at = NULL, entry = NULL
    WHERE domain_id = ? AND account_id = ?"""
_OF_ALL: Final = "(domain_id, account_id) > (:after_domain, :after_account)"
_OF_ONE: Final = "domain_id = :domain_id AND account_id > :after_account"
_BROWSE: Final = """SELECT domain_id, account_id, revision, status, next_sync_at, entry
    FROM accounts WHERE status IS NOT NULL AND {}
    AND (:status IS NULL OR status = :status)
    ORDER BY domain_id, account_id LIMIT :limit"""
# The index alone says whose turn it is; only the rows that are wanted are read. The plus keeps
# SQLite from going by another index, in the order of the domains, through all that is not due.
_DUE: Final = """WITH turns AS (
        SELECT domain_id, account_id, next_sync_at AS due_at, ROW_NUMBER() OVER (
            PARTITION BY +domain_id ORDER BY next_sync_at, account_id) AS turn
        FROM accounts WHERE status = 'active' AND ({}) AND {}
    ), wanted AS (
        SELECT * FROM turns ORDER BY turn, due_at, domain_id, account_id LIMIT :limit
    )
    SELECT domain_id, account_id, revision, status, next_sync_at, entry
    FROM wanted JOIN accounts USING (domain_id, account_id)
    ORDER BY turn, due_at, domain_id, account_id"""
_WAITED: Final = "next_sync_at <= :now"
# Further ahead than the account's period, and not because somebody said so; see
# `AccountEntry.is_due`. The first comparison leaves hardly any row for the others.
_AHEAD: Final = """next_sync_at > :furthest
    AND (julianday(next_sync_at) - julianday(:now)) * 86400000
        > json_extract(entry, '$.account.sync_every_ms')
    AND COALESCE(json_extract(entry, '$.postponed_at') > :ahead, TRUE)"""
_DOMAINS: Final = """SELECT DISTINCT domain_id FROM accounts
    WHERE status IS NOT NULL AND domain_id > ? ORDER BY domain_id LIMIT ?"""


class SqliteAccountStore:
    """An `AccountStore` in an SQLite file.

    Args:
        database: The file; the caller closes it.
    """

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = the_database(database)

    def load(self, account: AccountKey) -> AccountEntry | None:
        """Give the entry of *account*; see `AccountStore.load`."""
        with self._database.reading() as connection:
            row = connection.execute(_LOAD, (account.domain_id, account.account_id)).fetchone()
        return None if row is None else _entry(row)

    def save(self, entry: AccountEntry) -> AccountEntry:
        """Store *entry* by compare-and-set; see `AccountStore.save`."""
        moment = entry.next_sync_at
        values = {
            "domain_id": entry.key.domain_id,
            "account_id": entry.key.account_id,
            "revision": entry.revision,
            "status": entry.status.value,
            "next_sync_at": None if moment is None else instant_to_text(moment),
            "entry": entry_to_text(entry),
        }
        statement = _SAVE_NEXT if entry.revision else _SAVE_FIRST
        with self._database.writing() as connection:
            if connection.execute(statement, values).rowcount != 1:
                raise entry_conflict(entry)
            (revision,) = connection.execute(_REVISION, values).fetchone()
        with reading(f"the row of {entry.key} in the table accounts"):
            return evolve(entry, revision=whole(revision))

    def delete(self, account: AccountKey) -> None:
        """Forget *account*; see `AccountStore.delete`."""
        with self._database.writing() as connection:
            connection.execute(_DELETE, (account.domain_id, account.account_id))

    def browse(
        self,
        domain_id: str | None,
        *,
        limit: int,
        after: AccountKey | None = None,
        status: AccountStatus | None = None,
    ) -> Sequence[AccountEntry]:
        """Give a page of accounts; see `AccountStore.browse`."""
        if domain_id is None:
            question = _BROWSE.format(_OF_ALL)
            after_account = after.account_id if after else ""
        else:
            question = _BROWSE.format(_OF_ONE)
            after_account = id_before(domain_id, after)
        wanted = {
            "domain_id": domain_id,
            "after_domain": after.domain_id if after else "",
            "after_account": after_account,
            "status": None if status is None else status.value,
            "limit": limit,
        }
        return self._entries(question, wanted)

    def due(
        self, now: datetime, *, limit: int, domain_id: str | None = None
    ) -> Sequence[AccountEntry]:
        """Give what is due, of each domain in turn; see `AccountStore.due`."""
        wanted: dict[str, Any] = {
            "now": instant_to_text(now),
            "furthest": instant_to_text(later(now, LONGEST_WAIT)),
            "ahead": instant_to_text(later(now, SLACK)),
            "domain_id": domain_id,
        }
        scope = "TRUE" if domain_id is None else "domain_id = :domain_id"
        found: list[AccountEntry] = []
        for which in (_WAITED, _AHEAD):
            wanted["limit"] = max(limit - len(found), 0)
            found += self._entries(_DUE.format(which, scope), wanted)
        return found

    def domains(self, *, limit: int, after: str | None = None) -> Sequence[str]:
        """Give a page of the domains that have accounts; see `AccountStore.domains`."""
        with self._database.reading() as connection:
            return [str(name) for (name,) in connection.execute(_DOMAINS, (after or "", limit))]

    def _entries(self, question: str, wanted: dict[str, Any]) -> list[AccountEntry]:
        with self._database.reading() as connection:
            rows = connection.execute(question, wanted).fetchall()
        return [_entry(row) for row in rows]


def _entry(row: tuple[str, str, int, str, str | None, str]) -> AccountEntry:
    domain_id, account_id, revision, status, next_sync_at, content = row
    with reading(f"the row of {domain_id}/{account_id} in the table accounts"):
        return entry_from_text(
            AccountKey(text(domain_id), text(account_id)),
            content,
            status=status,
            next_sync_at=next_sync_at,
            revision=whole(revision),
        )
