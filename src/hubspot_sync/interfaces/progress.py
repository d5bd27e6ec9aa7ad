"""Who may write a stream, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from hubspot_sync.models import (
    AccountKey,
    Checkpoint,
    Fingerprint,
    Lease,
    StreamKey,
    StreamProgress,
)


class Checkpointer(Protocol):
    """Keeps the progress of each stream, and who may write it."""

    def acquire(
        self, stream: StreamKey, owner: str, duration: timedelta, *, evict: str | None = None
    ) -> Lease:
        """Take the lease on *stream* for *duration*, with a fence above all that were granted.

        It is granted when nobody holds it, when the holder's time is up by the store's clock, or
        when the holder is *evict*: an owner that the caller knows to be dead, or the caller's own
        name, when the answer that granted it the lease was lost. A lease lasts no longer than was
        asked for, also where the store's clock is set meanwhile, on or back.

        - Twice: the same owner is refused while its own first lease runs, unless it evicts itself;
          the first lease is then lost.
        - Racing: exactly one caller gets it.

        Raises:
            LeaseHeldError: Another owner holds it; its `owner` says who.
        """

    def renew(self, lease: Lease, duration: timedelta) -> Lease:
        """Extend *lease* to *duration* from now; the fence stays.

        - Twice: extends again. A lease whose time is up is renewed as long as nobody took it over.

        Raises:
            LeaseLostError: Another owner took the stream over, or it was released.
        """

    def release(self, lease: Lease) -> None:
        """Give *lease* back so that anybody can acquire the stream at once.

        - Absent, twice and stale: a lease that is not the current one is left alone, silently.
        """

    def streams(self, account: AccountKey) -> Sequence[StreamKey]:
        """Return the streams of *account* on which a lease was ever granted, in any order.

        - Absent: an empty list.
        """

    def load(self, stream: StreamKey) -> Checkpoint:
        """Give the progress of *stream*.

        - Absent: `Checkpoint()`.
        """

    def survey(self, streams: Sequence[StreamKey]) -> Mapping[StreamKey, StreamProgress]:
        """Return how far *streams* are, and how long ago each moved by the store's own clock.

        For a few hundred streams of any accounts in one call, without any lease.

        - Absent: a stream that was never leased has no key. Empty: no streams give an empty
          mapping.
        """

    def recall(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, Fingerprint]:
        """Give the fingerprints committed for *object_ids*, by object id.

        - Absent: an id that is not known has no key. Empty: no ids give an empty mapping.
        """

    def browse(
        self, stream: StreamKey, *, limit: int, after: str | None = None, until: str | None = None
    ) -> Sequence[Fingerprint]:
        """Return the first *limit* fingerprints in ascending order of object ids, as numbers.

        Tombstones are among them.

        - Absent: an empty page; a page that is short is the last one.

        Args:
            stream: The stream.
            limit: How many at most.
            after: Begin behind this object id; None begins with the lowest.
            until: End before this object id; None ends with the highest.
        """

    def count(
        self, stream: StreamKey, *, after: str | None = None, until: str | None = None
    ) -> int:
        """Count the objects that are there as far as the sink was told, in a range of ids.

        Tombstones are left out, but for those with an empty digest: of those it is not known
        whether the sink was told.
        """

    def commit(
        self, lease: Lease, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint] = ()
    ) -> None:
        """Store *checkpoint* and *fingerprints* under *lease*.

        What is stored says that the sink has accepted everything before it, so it may only be
        called after the sink answered. Fingerprints never go back to an older version; of one
        version the last one counts, also a tombstone, whatever its digest. After a crash inside
        the call some fingerprints may be stored without the checkpoint, never the other way round.

        - Twice: the same again changes nothing.
        - Racing: the holder of the newer fence wins; the other is refused and changes nothing.

        Raises:
            LeaseLostError: The lease is not the current one; nothing was written.
            InvariantError: The high-water mark would fall, from another one than `fell_from`;
                nothing was written.
        """

    def forget(self, lease: Lease, object_ids: Sequence[str] | None = None) -> int:
        """Delete the fingerprints of *object_ids* under *lease*; return how many there were.

        None deletes those of the whole stream, and its checkpoint: the next sync is a backfill.

        - Twice and absent: idempotent; the second call returns 0. Empty: no ids delete nothing.

        Raises:
            LeaseLostError: The lease is not the current one; nothing was deleted.
        """
