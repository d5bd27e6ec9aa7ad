"""An account store for tests until the library has one."""

import threading

from attrs import evolve

from hubspot_sync import AccountStatus, RevisionConflictError


class MemoryAccountStore:
    """An `AccountStore` in memory."""

    def __init__(self):
        self._lock = threading.Lock()
        self._kept = {}
        self._revisions = {}

    def load(self, account):
        with self._lock:
            return self._kept.get(account)

    def save(self, entry):
        with self._lock:
            kept = self._kept.get(entry.key)
            if (kept.revision if kept else 0) != entry.revision:
                raise RevisionConflictError("another revision")
            revision = self._revisions.get(entry.key, 0) + 1
            self._revisions[entry.key] = revision
            self._kept[entry.key] = evolve(entry, revision=revision)
            return self._kept[entry.key]

    def delete(self, account):
        with self._lock:
            self._kept.pop(account, None)

    def browse(self, domain_id, *, limit, after=None, status=None):
        with self._lock:
            return [
                self._kept[key]
                for key in sorted(self._kept)
                if domain_id in (None, key.domain_id)
                and (after is None or key > after)
                and status in (None, self._kept[key].status)
            ][:limit]

    def due(self, now, *, limit, domain_id=None):
        by_domain = {}
        with self._lock:
            for entry in self._kept.values():
                at = entry.next_sync_at
                fits = domain_id in (None, entry.key.domain_id)
                if fits and entry.status is AccountStatus.ACTIVE and at is not None and at <= now:
                    by_domain.setdefault(entry.key.domain_id, []).append(entry)
        ranked = [
            (rank, entry.next_sync_at, entry.key, entry)
            for entries in by_domain.values()
            for rank, entry in enumerate(sorted(entries, key=lambda one: one.next_sync_at))
        ]
        return [entry for *_, entry in sorted(ranked, key=lambda one: one[:3])][:limit]

    def domains(self, *, limit, after=None):
        with self._lock:
            names = sorted({key.domain_id for key in self._kept})
        return [name for name in names if after is None or name > after][:limit]
