"""One run of one stream: reading, processing and storing go on side by side, in order.

Threads pass work through bounded queues:
pages from the reader, batches from the caller's thread, and their delivery by one writer or more.
When one of them fails, what is ahead of it in the pipeline is still stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.action_queue import ActionQueue, writers_for
from hubspot_sync._engine.delivery import Batch, Delivery
from hubspot_sync._engine.in_flight import InFlight
from hubspot_sync._engine.oddities import Oddities
from hubspot_sync._processing import (
    doubted,
    newest_versions,
    to_actions,
    without_queued,
    without_repeats,
)
from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync._threads import Worker
from hubspot_sync._windows import advance
from hubspot_sync.models import Counts, Mode, to_milliseconds

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

    from hubspot_sync._engine.parts import Parts
    from hubspot_sync._engine.refusals import Refusals
    from hubspot_sync.models import (
        Association,
        Checkpoint,
        Fingerprint,
        IdRange,
        Lease,
        Page,
        Pass,
        Record,
        StreamKey,
        StreamSettings,
    )

_PAGES_AHEAD: Final = 4


class StreamRun:
    """Reads one pass of one stream and stores what it brings.

    Args:
        parts: What to work with.
        lease: The right to commit.
        wanted: What to read of each record.
        checkpoint: How far the stream is.
        reading: The pass.
        resumed: Whether an earlier run had begun it.
        refusals: Takes the actions that are refused.
    """

    def __init__(
        self,
        *,
        parts: Parts,
        lease: Lease,
        wanted: StreamSettings,
        checkpoint: Checkpoint,
        reading: Pass,
        resumed: bool,
        refusals: Refusals,
    ) -> None:
        self._parts = parts
        self._stream: StreamKey = lease.stream
        self._wanted = wanted
        self._checkpoint = checkpoint
        self._reading = reading
        self._resumed = resumed
        self._doubtful = checkpoint.doubtful_until is not None
        settings = parts.settings
        self._pages: BoundedQueue[Page] = BoundedQueue(_PAGES_AHEAD, settings.queue_bytes)
        self._in_flight = InFlight()
        self._refusals = refusals
        self._oddities = Oddities(self._stream, parts.notify)
        self._delivery = Delivery(
            parts=parts,
            lease=lease,
            refusals=refusals,
            stored=evolve(checkpoint, reading=reading),
            begun=resumed,
        )

    @property
    def counts(self) -> Counts:
        """The records settled so far; final once `run` has returned or raised."""
        return self._delivery.counts

    @property
    def unconverted(self) -> Counter[str]:
        """How many values were kept as text, by property name."""
        return self._oddities.unconverted

    def run(self) -> None:
        """Read, process and store until the pass is complete.

        Raises:
            HubSpotSyncError: What ended the run; all that was stored is committed.
            StopRequested: The run was stopped; all that was read is stored and committed.
        """
        reader = Worker(self._read, f"reader {self._stream}")
        queue = ActionQueue(
            delivery=self._delivery,
            in_flight=self._in_flight,
            settings=self._parts.settings,
            writers=writers_for(self._parts.sink, self._parts.settings),
            stream=self._stream,
        )
        try:
            for pages in self._groups():
                queue.put(self._process(pages), size=_size(pages))
        except QueueClosedError:
            pass  # a writer failed, and says why below
        finally:
            queue.drain()
            self._pages.abandon()
            reader.join()
        queue.raise_failure()
        reader.raise_failure()

    def _read(self) -> None:
        try:
            for page in self._parts.source.read(self._wanted, self._reading):
                self._pages.put(page, size=page.size)
                # With the last page the pass is complete, whoever wants it to end.
                if page.ranges and self._parts.stop.is_set():
                    raise StopRequested
        except QueueClosedError:
            pass  # nobody waits for pages any more
        finally:
            self._pages.finish()

    def _groups(self) -> Iterator[list[Page]]:
        """Pages in groups large enough to be worth one question to the stores and to HubSpot."""
        settings = self._parts.settings
        max_bytes = min(settings.batch_bytes, settings.queue_bytes)

        def enough(pages: Sequence[Page]) -> bool:
            records = sum(len(page.records) for page in pages)
            return records >= settings.batch_size or _size(pages) >= max_bytes

        return self._pages.groups(
            enough=enough, max_age=settings.batch_age.total_seconds(), clock=self._parts.clock
        )

    def _process(self, pages: Sequence[Page]) -> Batch:
        """Validate, leave out what is known, associate, and make actions."""
        skipped = self._oddities.skipped(row for page in pages for row in page.skipped)
        records, doubled = newest_versions(record for page in pages for record in page.records)
        known, on_their_way = self._known(records)
        reconciling = self._reading.mode is Mode.RECONCILE
        compared = known.keys() - on_their_way.keys() if reconciling else ()
        fresh, repeated = without_repeats(records, known, compared)
        queued = self._refusals.held([record.object_id for record in fresh])
        fresh, waiting = without_queued(fresh, queued)
        self._oddities.kept_as_text(fresh)
        outcome = to_actions(
            self._stream.account,
            self._associate(fresh),
            doubted(known, queued),
            deliver_unchanged=self._parts.settings.deliver_unchanged or self._doubtful,
            variant=to_milliseconds(self._reading.end) if reconciling else 0,
        )
        self._in_flight.add(outcome.fingerprints)
        self._checkpoint = self._reached(pages[-1].ranges)
        return Batch(
            actions=outcome.actions,
            fingerprints=outcome.fingerprints,
            settled=outcome.counts + Counts(repeated=repeated + doubled + waiting, skipped=skipped),
            checkpoint=self._checkpoint,
            outdated={
                record.object_id: record.version for record in fresh if record.object_id in queued
            },
        )

    def _reached(self, left: tuple[IdRange, ...]) -> Checkpoint:
        """The checkpoint once all but *left* is in the sink."""
        reached = advance(self._checkpoint, self._reading, left, self._parts.settings)
        if left:
            return reached
        mode = self._reading.mode
        if self._resumed and mode is Mode.INCREMENTAL:
            # What the run before delivered last, and this one did not find, changed once more.
            return evolve(reached, doubtful_until=self._parts.source.server_time())
        if self._resumed or mode is Mode.RECONCILE:
            return reached  # it is the next pass that leads up to the present
        return evolve(reached, reconcile_since=None)

    def _known(
        self, records: Sequence[Record]
    ) -> tuple[Mapping[str, Fingerprint], Mapping[str, Fingerprint]]:
        """What was delivered before or is on its way to the sink, and the latter alone."""
        # Looked at first: what leaves the way to the sink meanwhile is in a store by then.
        in_flight = self._in_flight.same_or_newer(records)
        object_ids = [record.object_id for record in records]
        recalled = self._parts.patience.call(
            self._stream, lambda: self._parts.checkpointer.recall(self._stream, object_ids)
        )
        return {**recalled, **in_flight}, in_flight

    def _associate(self, records: Sequence[Record]) -> list[Record]:
        """Add the associations that did not come with the records."""
        complete = list(records)
        for to_object_type in self._wanted.associations:
            lacking = [
                record.object_id for record in complete if to_object_type not in record.associations
            ]
            if lacking:
                found = self._parts.source.associations(
                    self._stream.object_type, to_object_type, lacking
                )
                complete = [_with_edges(record, to_object_type, found) for record in complete]
        return complete


def _size(pages: Sequence[Page]) -> int:
    return sum(page.size for page in pages)


def _with_edges(
    record: Record, to_object_type: str, found: Mapping[str, tuple[Association, ...]]
) -> Record:
    if to_object_type in record.associations:
        return record
    edges = {**record.associations, to_object_type: found[record.object_id]}
    return evolve(record, associations=edges)
