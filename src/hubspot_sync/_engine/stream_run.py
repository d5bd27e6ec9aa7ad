"""One run of one stream: reading, processing and storing go on side by side, in order.

Three threads pass work through bounded queues:
pages from the reader, batches from the caller's thread, and their delivery.
When one of them fails, what is ahead of it in the pipeline is still stored.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.delivery import Batch, Delivery
from hubspot_sync._engine.in_flight import InFlight
from hubspot_sync._engine.oddities import Oddities
from hubspot_sync._processing import (
    doubted,
    newest_versions,
    to_actions,
    unproved,
    without_queued,
    without_repeats,
)
from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync._windows import advance
from hubspot_sync.models import Counts, Mode, to_milliseconds

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hubspot_sync._engine.parts import Parts
    from hubspot_sync._engine.refusals import Refusals
    from hubspot_sync.models import (
        Association,
        Checkpoint,
        Fingerprint,
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
        self._lease = lease
        self._resumed = resumed
        self._begun = resumed
        self._doubtful = checkpoint.doubtful
        self._stored = evolve(checkpoint, reading=reading)
        settings = parts.settings
        self._pages: BoundedQueue[Page] = BoundedQueue(_PAGES_AHEAD, settings.queue_bytes)
        self._batches: BoundedQueue[Batch] = BoundedQueue(settings.queue_size, settings.queue_bytes)
        self._in_flight = InFlight()
        self._refusals = refusals
        self._oddities = Oddities(self._stream, parts.notify)
        self._delivery = Delivery(parts=parts, lease=lease, refusals=refusals)

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
        reader = _Worker(self._read, f"hubspot-sync reader {self._stream}")
        writer = _Worker(self._write, f"hubspot-sync writer {self._stream}")
        try:
            for pages in self._groups():
                batch = self._process(pages)
                size = sum(page.size for page in pages)
                self._batches.put(batch, weight=len(batch.actions), size=size)
        except QueueClosedError:
            pass  # the writer failed, and says why below
        finally:
            self._batches.finish()
            writer.join()
            self._pages.abandon()
            reader.join()
        writer.raise_failure()
        reader.raise_failure()

    def _read(self) -> None:
        try:
            for page in self._parts.source.read(self._wanted, self._reading):
                self._pages.put(page, size=page.size)
                if self._parts.stop.is_set():
                    raise StopRequested
        except QueueClosedError:
            pass  # nobody waits for pages any more
        finally:
            self._pages.finish()

    def _write(self) -> None:
        try:
            for batch in self._batches:
                self._begin(batch)
                self._delivery.deliver(batch)
                self._stored = batch.checkpoint
                self._in_flight.remove(batch.fingerprints)
        finally:
            self._batches.abandon()
            self._in_flight.abandon()

    def _begin(self, batch: Batch) -> None:
        """Note that the pass has begun before the sink is told anything of it.

        If the run is cut off between the sink's answer and the commit, the next one sees that.
        A variant is noted for each object: its version is known, so afterwards only an unproved
        digest tells that the sink may have other values than those that were committed last.
        """
        variants = unproved(batch.fingerprints, (one for one in batch.actions if one.variant))
        if variants or (batch.actions and not self._begun):
            self._parts.patience.call(
                self._stream,
                lambda: self._parts.checkpointer.commit(self._lease, self._stored, variants),
            )
            self._begun = True

    def _groups(self) -> Iterator[list[Page]]:
        """Pages in groups large enough to be worth one question to the stores and to HubSpot."""
        group: list[Page] = []
        for page in self._pages:
            group.append(page)
            records = sum(len(page.records) for page in group)
            size = sum(page.size for page in group)
            settings = self._parts.settings
            if records >= settings.batch_size or size >= settings.queue_bytes // 4:
                yield group
                group = []
        if group:
            yield group

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
        self._checkpoint = advance(
            self._checkpoint, self._reading, pages[-1].ranges, self._parts.settings
        )
        if self._checkpoint.reading is None and not self._resumed:
            self._checkpoint = evolve(self._checkpoint, doubtful=False)
        return Batch(
            actions=outcome.actions,
            fingerprints=outcome.fingerprints,
            settled=outcome.counts + Counts(repeated=repeated + doubled + waiting, skipped=skipped),
            checkpoint=self._checkpoint,
            outdated={
                record.object_id: record.version for record in fresh if record.object_id in queued
            },
        )

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


def _with_edges(
    record: Record, to_object_type: str, found: Mapping[str, tuple[Association, ...]]
) -> Record:
    if to_object_type in record.associations:
        return record
    edges = {**record.associations, to_object_type: found[record.object_id]}
    return evolve(record, associations=edges)


class _Worker:
    """A thread that starts at once and keeps what ended it."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        self._target = target
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._target()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            self._failure = error

    def join(self) -> None:
        """Wait for the thread's end."""
        self._thread.join()

    def raise_failure(self) -> None:
        """Raise what ended the thread, if anything did."""
        if self._failure is not None:
            raise self._failure
