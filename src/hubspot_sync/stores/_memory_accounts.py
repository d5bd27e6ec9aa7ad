"""The accounts and the spent nonces of the stores in memory."""

from __future__ import annotations

import heapq
import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from hubspot_sync._clock import Clock, SystemClock
from hubspot_sync.models import AccountEntry, AccountKey, AccountStatus
from hubspot_sync.stores._refusals import entry_conflict

# Kept beyond the end, for a clock that was set back meanwhile.
_SPARE: Final = timedelta(hours=1)


class MemoryAccountStore:
    """An `AccountStore` in memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[AccountKey, AccountEntry] = {}
        self._revisions: dict[AccountKey, int] = {}

    def load(self, account: AccountKey) -> AccountEntry | None:
        """Give the entry of *account*; see `AccountStore.load`."""
        with self._lock:
            kept = self._kept.get(account)
        return None if kept is None else _copy(kept)

    def save(self, entry: AccountEntry) -> AccountEntry:
        """Store *entry* by compare-and-set; see `AccountStore.save`."""
        account = entry.key
        with self._lock:
            kept = self._kept.get(account)
            if (kept.revision if kept else 0) != entry.revision:
                raise entry_conflict(entry)
            revision = self._revisions.get(account, 0) + 1
            self._revisions[account] = revision
            self._kept[account] = _copy(evolve(entry, revision=revision))
        return evolve(entry, revision=revision)

    def delete(self, account: AccountKey) -> None:
        """Forget *account*; see `AccountStore.delete`."""
        with self._lock:
            self._kept.pop(account, None)

    def browse(
        self,
        domain_id: str | None,
        *,
        limit: int,
        after: AccountKey | None = None,
        status: AccountStatus | None = None,
    ) -> Sequence[AccountEntry]:
        """Give a page of accounts; see `AccountStore.browse`."""
        fitting = (
            entry
            for entry in self._entries(domain_id)
            if (after is None or after < entry.key) and (status is None or status is entry.status)
        )
        return [_copy(entry) for entry in heapq.nsmallest(limit, fitting, key=lambda one: one.key)]

    def due(
        self, now: datetime, *, limit: int, domain_id: str | None = None
    ) -> Sequence[AccountEntry]:
        """Give what is due, of each domain in turn; see `AccountStore.due`."""
        waiting: dict[str, list[tuple[datetime, AccountKey, AccountEntry]]] = defaultdict(list)
        for entry in self._entries(domain_id):
            at = entry.next_sync_at
            if at is not None and entry.is_due(now):
                waiting[entry.key.domain_id].append((at, entry.key, entry))
        turns = (
            (turn, *one)
            for of_domain in waiting.values()
            for turn, one in enumerate(sorted(of_domain, key=lambda one: one[:2]))
        )
        return [_copy(one[3]) for one in heapq.nsmallest(limit, turns, key=lambda one: one[:3])]

    def domains(self, *, limit: int, after: str | None = None) -> Sequence[str]:
        """Give a page of the domains that have accounts; see `AccountStore.domains`."""
        names = {entry.key.domain_id for entry in self._entries(None)}
        return heapq.nsmallest(limit, (name for name in names if after is None or after < name))

    def _entries(self, domain_id: str | None) -> list[AccountEntry]:
        with self._lock:
            entries = list(self._kept.values())
        return [one for one in entries if domain_id is None or one.key.domain_id == domain_id]


def _copy(entry: AccountEntry) -> AccountEntry:
    return evolve(entry, streams=dict(entry.streams))


class MemoryNonceStore:
    """A `NonceStore` in memory, for the threads of one process.

    Args:
        clock: Tells what is out of date; the operating system's time by default.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._spent: set[str] = set()
        self._ends: list[tuple[datetime, str]] = []

    def spend(self, nonce: str, expires_at: datetime) -> bool:
        """Use *nonce* if nobody did; see `NonceStore.spend`."""
        with self._lock:
            self._forget(self._clock.now() - _SPARE)
            if nonce in self._spent:
                return False
            self._spent.add(nonce)
            heapq.heappush(self._ends, (expires_at, nonce))
            return True

    def _forget(self, until: datetime) -> None:
        while self._ends and self._ends[0][0] <= until:
            self._spent.remove(heapq.heappop(self._ends)[1])
