"""Batches on their way to the sink, which a thread of its own stores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync._threads import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync._engine.stream.batch import Batch
    from hubspot_sync._engine.stream.delivery import Delivery
    from hubspot_sync.models import Fingerprint, Record, StreamKey, SyncSettings


class ActionQueue:
    """Takes the batches of one pass, and stores them while later ones are made.

    When a batch fails, those before it are committed and those behind it dropped: the next run
    reads them again.

    Args:
        delivery: Stores a batch.
        settings: The bounds.
        stream: The stream, for the name of the thread.
    """

    def __init__(self, *, delivery: Delivery, settings: SyncSettings, stream: StreamKey) -> None:
        self._delivery = delivery
        self._waiting: BoundedQueue[Batch] = BoundedQueue(settings.queue_size, settings.queue_bytes)
        self._on_their_way: dict[str, Fingerprint] = {}
        self._failed = False
        self._changed = threading.Condition()
        self._writer = Worker(self._work, f"writer {stream}")

    def put(self, batch: Batch, *, size: int) -> None:
        """Add *batch*; waits while the queue is full.

        Args:
            batch: What to store.
            size: Roughly its bytes.

        Raises:
            QueueClosedError: A batch failed, and `raise_failure` says why.
        """
        with self._changed:
            self._on_their_way.update((one.object_id, one) for one in batch.fingerprints)
        self._waiting.put(batch, weight=len(batch.actions), size=size)

    def same_or_newer(self, records: Sequence[Record]) -> Mapping[str, Fingerprint]:
        """What of *records* is on its way to the sink; waits until no older versions of them are.

        Whether a newer version is a creation or an update, and whether anything has changed,
        depends on whether the sink takes the older one.

        Raises:
            QueueClosedError: A batch failed, and `raise_failure` says why.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failed or not self._has_older(records))
            if self._failed:
                raise QueueClosedError
            return {
                record.object_id: fingerprint
                for record in records
                if (fingerprint := self._on_their_way.get(record.object_id)) is not None
            }

    def of(self, object_ids: Sequence[str]) -> Mapping[str, Fingerprint]:
        """What of *object_ids* is on its way to the sink."""
        with self._changed:
            return {one: self._on_their_way[one] for one in object_ids if one in self._on_their_way}

    def drain(self) -> None:
        """Wait until all that was put is stored, or a batch has failed."""
        self._waiting.finish()
        self._writer.join()

    def raise_failure(self) -> None:
        """Raise what ended the batch that failed, if one did; after `drain`."""
        self._writer.raise_failure()

    def _work(self) -> None:
        try:
            for batch in self._waiting:
                self._delivery.store(batch, self._waiting.first)
                with self._changed:
                    for one in batch.fingerprints:
                        self._on_their_way.pop(one.object_id, None)
                    self._changed.notify_all()
        except BaseException:
            self._waiting.abandon()
            with self._changed:
                self._failed = True
                self._changed.notify_all()
            raise

    def _has_older(self, records: Sequence[Record]) -> bool:
        return any(
            (fingerprint := self._on_their_way.get(record.object_id)) is not None
            and fingerprint.version < record.version
            for record in records
        )
