"""What waits for the sink: bounded, handed over by one thread or several, committed in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync._queue import BoundedQueue, QueueClosedError, Turns
from hubspot_sync._threads import Worker

if TYPE_CHECKING:
    from hubspot_sync._engine.delivery import Batch, Delivery
    from hubspot_sync._engine.in_flight import InFlight
    from hubspot_sync._engine.writing import Written
    from hubspot_sync.interfaces import ActionSink
    from hubspot_sync.models import StreamKey, SyncSettings


class ActionQueue:
    """Takes the batches of one pass, and stores them while later ones are made.

    Several writers hand batches over side by side. Each then waits until all earlier batches are
    committed before it commits its own, so a checkpoint never says more than what the sink has
    acknowledged. When a batch fails, the earlier ones are still committed and no later one is,
    whether the sink has it or not: the next run reads it again.

    No two batches on their way are about the same object, because `InFlight` makes a newer version
    wait; so nothing can overtake.

    Args:
        delivery: Stores a batch.
        in_flight: Told of what has arrived.
        settings: The bounds.
        writers: How many batches are handed over side by side.
        stream: The stream, for the names of the threads.
    """

    def __init__(
        self,
        *,
        delivery: Delivery,
        in_flight: InFlight,
        settings: SyncSettings,
        writers: int,
        stream: StreamKey,
    ) -> None:
        self._delivery = delivery
        self._in_flight = in_flight
        self._waiting: BoundedQueue[tuple[int, Batch]] = BoundedQueue(
            settings.queue_size, settings.queue_bytes
        )
        self._turns = Turns()
        self._next_number = 0
        self._writers = [
            Worker(self._work, f"writer {number} {stream}") for number in range(1, writers + 1)
        ]

    def put(self, batch: Batch, *, size: int) -> None:
        """Add *batch*; waits while the queue is full. To be called by one thread.

        Args:
            batch: What to store.
            size: Roughly its bytes.

        Raises:
            QueueClosedError: A batch failed, and `close` says why.
        """
        self._waiting.put((self._next_number, batch), weight=len(batch.actions), size=size)
        self._next_number += 1

    def drain(self) -> None:
        """Wait until all that was put is stored, or one has failed."""
        self._waiting.finish()
        for writer in self._writers:
            writer.join()

    def raise_failure(self) -> None:
        """Raise what ended the first batch that failed, if one did; after `drain`."""
        for writer in self._writers:
            writer.raise_failure()

    def _work(self) -> None:
        for number, batch in self._waiting:
            try:
                written = self._hand_over(number, batch)
                self._turns.wait(number)
                self._delivery.settle(batch, written)
            except BaseException:
                if self._is_first_to_fail(number):
                    raise
                return
            self._in_flight.remove(batch.fingerprints)
            self._turns.next()

    def _hand_over(self, number: int, batch: Batch) -> Written:
        if self._delivery.has_to_be_noted(batch):
            self._turns.wait(number)
            self._delivery.note(batch)
        return self._delivery.hand_over(batch)

    def _is_first_to_fail(self, number: int) -> bool:
        """Have nothing later stored, but all that is earlier, unless some of that fails, too."""
        self._waiting.abandon()
        self._in_flight.abandon()
        try:
            self._turns.wait(number)
        except QueueClosedError:
            return False
        self._turns.abandon()
        return True


def writers_for(sink: ActionSink, settings: SyncSettings) -> int:
    """How many batches to hand to *sink* side by side."""
    return min(settings.sink_writers, getattr(sink, "parallel_writes", 1))
