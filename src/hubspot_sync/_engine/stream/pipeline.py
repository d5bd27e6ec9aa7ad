"""One pass of one stream: pages become batches in the caller's thread, and are stored beside it.

When reading fails, what was read before is still processed, and what was processed is stored.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve
from msgspec.structs import replace

from hubspot_sync._actions import (
    Outcome,
    doubted,
    ends_of,
    is_back,
    is_gone,
    merged_ids,
    newest_versions,
    to_actions,
    to_ends,
    without_queued,
    without_repeats,
)
from hubspot_sync._engine.stream.delivery import Batch, Delivery
from hubspot_sync._engine.stream.gone import Missing
from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync._threads import Worker
from hubspot_sync._windows import advance, is_late, look_deeper
from hubspot_sync.models import (
    Counts,
    Mode,
    RecordSkipped,
    SkippedRow,
    ValueKeptAsText,
    to_milliseconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync._engine.stream.rejected import RejectedActions
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import (
        Association,
        Checkpoint,
        Event,
        Fingerprint,
        Page,
        Pass,
        Record,
        StreamKey,
        StreamSettings,
        SyncSettings,
    )

_MILLISECOND: Final = timedelta(milliseconds=1)
_NOTHING: Final = Outcome(actions=(), fingerprints=(), counts=Counts())
_COMPARING: Final = (Mode.RECONCILE, Mode.ARCHIVED, Mode.ASSOCIATIONS)
# Of records; all items of a stream of reference data are on one page, however many.
_LARGEST_PAGE: Final = 200
# The checkpoint names each of them.
MOST_UNREAD: Final = 1_000


class Pipeline:
    """Reads one pass of one stream and stores what it brings.

    Args:
        context: What to work with.
        source: Reads HubSpot.
        progress: What was delivered before, and the right to commit.
        wanted: What to read of each record.
        checkpoint: How far the stream is.
        reading: The pass.
        resumed: Whether an earlier run had begun it.
        rejected: Takes the actions that are rejected.
        ask_unread: Whether to ask once more for records that HubSpot did not answer for.

    Attributes:
        gaps: What of the pass could not be proved, in words.
        missing: Delivered objects that its pages lack, where they are compared with those.
        began_too_late: Whether the window may have begun too late, so that it proves nothing and
            is to be read again from further back.
    """

    def __init__(
        self,
        *,
        context: RunContext,
        source: Source,
        progress: Progress,
        wanted: StreamSettings,
        checkpoint: Checkpoint,
        reading: Pass,
        resumed: bool,
        rejected: RejectedActions,
        ask_unread: bool = True,
    ) -> None:
        self._context = context
        self._source = source
        self._progress = progress
        self._stream: StreamKey = progress.stream
        self._wanted = wanted
        self._checkpoint = checkpoint
        self._reading = reading
        self._resumed = resumed
        self._doubtful = checkpoint.doubtful_until is not None
        self._ask_unread = ask_unread
        self._label: str | None = None
        self.gaps: tuple[str, ...] = ()
        settings = context.settings
        self._max_bytes = min(settings.batch_bytes, settings.queue_bytes)
        self._most = max(settings.batch_size, _LARGEST_PAGE)
        self._rejected = rejected
        self._oddities = Oddities(self._stream, context.notify)
        self.began_too_late = False
        self._forgotten = 0
        self._missing = Missing(progress, reading.missing)
        self._delivery = Delivery(
            context=context,
            progress=progress,
            rejected=rejected,
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

    @property
    def is_whole(self) -> bool:
        """Whether all records are read."""
        return self._reading.is_whole

    @property
    def missing(self) -> Sequence[str]:
        """Objects that were delivered before, and that the pass did not come across."""
        return self._missing.object_ids

    @property
    def unread(self) -> tuple[str, ...]:
        """Ids of records that HubSpot did not answer for."""
        return self._checkpoint.unread

    def run(self) -> None:
        """Read, process and store until the pass is complete.

        Raises:
            HubSpotSyncError: What ended the run; all that was stored is committed.
            StopRequested: The run was stopped; all that was read is stored and committed.
        """
        queue = ActionQueue(
            delivery=self._delivery, settings=self._context.settings, stream=self._stream
        )
        failure: Exception | None = None
        try:
            with closing(self._groups()) as groups:
                for pages in groups:
                    batch = self._process(pages, queue)
                    for piece, size in batch.pieces(_size(pages), self._max_bytes, self._most):
                        queue.put(piece, size=size)
        except QueueClosedError:
            pass  # the writer failed, and says why below
        except Exception as error:  # noqa: BLE001 - raised below, if the writer did not fail first
            failure = error
        finally:
            queue.drain()
        queue.raise_failure()
        if failure is not None:
            raise failure

    def _groups(self) -> Generator[list[Page], None, None]:
        """Pages in groups large enough to be worth one question to the stores and to HubSpot.

        What was read before reading fails is a group, too.
        """
        group: list[Page] = []
        try:
            for page in self._read():
                group.append(page)
                if self._is_enough(group):
                    yield group
                    group = []
        except Exception:
            if group:
                yield group
            raise
        if group:
            yield group

    def _read(self) -> Iterator[Page]:
        """What HubSpot did not answer for before, and the pass itself, until the run is stopped."""
        self._label = self._source.label(self._stream.object_type)
        unread = self._checkpoint.unread if self._ask_unread else ()
        reading = evolve(self._reading, object_ids=unread)
        for page in self._source.read(self._wanted, reading):
            yield page
            # With the last page the pass is complete, whoever wants it to end.
            if page.ranges:
                self._context.check_stop()

    def _is_enough(self, pages: Sequence[Page]) -> bool:
        records = sum(len(page.records) for page in pages)
        return records >= self._context.settings.batch_size or _size(pages) >= self._max_bytes

    def _process(self, pages: Sequence[Page], queue: ActionQueue) -> Batch:
        """Validate, leave out what is known, associate, and make actions."""
        if self._reading.mode is Mode.RECONCILE:
            self._missing.look(pages)
        skipped = [row for page in pages for row in page.skipped]
        records, doubled = newest_versions(record for page in pages for record in page.records)
        known, on_their_way = self._known(records, queue)
        lost = set(self._checkpoint.undelivered)
        known = {one: before for one, before in known.items() if one not in lost} if lost else known
        comparing = self._reading.mode in _COMPARING
        # What could not be read may have been to be compared when it could not.
        compared = known.keys() if comparing else known.keys() & set(self._checkpoint.unread)
        compared -= on_their_way.keys()
        redelivers = self._reading.redelivers
        # What was delivered before is no reason to leave it out then.
        fresh, repeated = without_repeats(records, on_their_way if redelivers else known, compared)
        queued = self._rejected.held([record.object_id for record in fresh])
        # What waits is delivered again as well, so that its object is created first.
        fresh, waiting = (fresh, 0) if redelivers else without_queued(fresh, queued)
        fresh, unsure, still_gone = self._confirmed(fresh, known)
        skipped += unsure
        fresh, unanswered = self._associate(fresh)
        skipped += unanswered
        self._oddities.kept_as_text(fresh)
        self.began_too_late |= any(
            is_late(record, self._checkpoint, self._reading, self._context.settings)
            for record in fresh
        )
        outcome = to_actions(
            self._stream.account,
            fresh,
            doubted(known, queued),
            label=self._label,
            backfill=self._reading.mode is Mode.BACKFILL or redelivers,
            deliver_unchanged=self._context.settings.deliver_unchanged or self._doubtful,
            redeliver=redelivers,
            looked=self._looked,
            track=self._context.settings.track_changes,
        )
        ended, superseded = self._merged(records, queue)
        before, self._checkpoint = self._checkpoint, self._reached(pages, skipped)
        return Batch(
            actions=outcome.actions + ended.actions,
            fingerprints=outcome.fingerprints + ended.fingerprints,
            settled=outcome.counts
            + Counts(
                repeated=repeated + doubled + waiting + still_gone,
                skipped=self._oddities.skipped(skipped),
            ),
            checkpoint=self._checkpoint,
            before=before if before.reading else evolve(before, reading=self._reading),
            outdated={
                **{one.object_id: one.version for one in fresh if one.object_id in queued},
                **superseded,
            },
            known=known if redelivers else {},
        )

    @property
    def _looked(self) -> int:
        return to_milliseconds(self._reading.end)

    def _confirmed(
        self, fresh: Sequence[Record], known: Mapping[str, Fingerprint]
    ) -> tuple[list[Record], list[SkippedRow], int]:
        """The records, without those of deleted and merged objects that are not there again.

        The search index shows some for a while; what it says is asked of the primary storage. Also
        those that HubSpot does not answer for, and how many are gone still.
        """
        doubtful = [one.object_id for one in fresh if is_back(one, known)]
        if not doubtful:
            return list(fresh), [], 0
        found = self._source.find(self._wanted, doubtful).page
        there = {record.object_id: record for record in found.records}
        confirmed = [
            there.get(record.object_id, record)
            for record in fresh
            if record.object_id in there or not is_back(record, known)
        ]
        skipped = list(found.skipped)
        return confirmed, skipped, len(fresh) - len(confirmed) - len(skipped)

    def _merged(
        self, records: Sequence[Record], queue: ActionQueue
    ) -> tuple[Outcome, Mapping[str, int]]:
        """What to tell of objects that were merged into *records*, after those.

        Also versions of them that wait in the error queue, and that nobody needs any more.
        """
        object_ids = merged_ids(records)
        if not object_ids:
            return _NOTHING, {}
        known = {**self._progress.recall(object_ids), **queue.of(object_ids)}
        there = [one for one, delivered in known.items() if not is_gone(delivered)]
        read = {record.object_id for record in records}
        doubtful = [one for one in there if one not in read]
        if not doubtful:
            return _NOTHING, {}
        queued = self._rejected.held(doubtful)
        ended = to_ends(
            self._stream,
            ends_of(self._source.find(self._wanted, doubtful)),
            known,
            queued=queued,
            looked=self._looked,
            label=self._label,
        )
        versions = {one.object_id: one.version for one in ended.actions}
        superseded = {one: versions[one] for one in versions.keys() & queued.keys()}
        return evolve(ended, counts=Counts()), superseded

    def _reached(self, pages: Sequence[Page], skipped: Sequence[SkippedRow]) -> Checkpoint:
        """The checkpoint once *pages* are in the sink."""
        last = pages[-1]
        unread = self._still_unread(pages, skipped)
        lost = unread if self._reading.redelivers else self._checkpoint.undelivered
        before = evolve(
            self._checkpoint,
            unread=unread,
            undelivered=tuple(one for one in unread if one in lost),
        )
        if self.began_too_late and not last.ranges:
            return look_deeper(before)
        reached = advance(
            before,
            evolve(self._reading, missing=tuple(self._missing.object_ids[:MOST_UNREAD])),
            last.ranges,
            self._context.settings,
            last.listed,
        )
        if last.ranges:
            return reached
        self.gaps = last.gaps
        if self._forgotten:
            self.gaps += (
                f"{self._forgotten} more could not be read, and no run asks for them by their ids",
            )
        if last.compare_again:
            return evolve(
                reached,
                reconcile_since=self._reading.end + _MILLISECOND,
                redeliver=self._reading.redelivers,
            )
        mode = self._reading.mode
        if self._resumed and mode is Mode.INCREMENTAL:
            # What the run before delivered last, and this one did not find, changed once more.
            return evolve(reached, doubtful_until=self._source.server_time())
        if self._resumed or mode not in (Mode.BACKFILL, Mode.INCREMENTAL):
            return reached  # it is the next pass that leads up to the present
        return evolve(reached, reconcile_since=None)

    def _still_unread(
        self, pages: Sequence[Page], skipped: Sequence[SkippedRow]
    ) -> tuple[str, ...]:
        """Ids of records that could not be read, in *pages* or before, as many as are kept."""
        again = {row.object_id: None for row in skipped if row.again and row.object_id}
        if not again and not self._checkpoint.unread:
            return ()
        read = {record.object_id for page in pages for record in page.records}
        settled = read.union(one for page in pages for one in page.absent) - again.keys()
        unread = [one for one in self._checkpoint.unread if one not in settled]
        unread.extend(one for one in again if one not in unread)
        self._forgotten += len(unread[MOST_UNREAD:])
        return tuple(unread[:MOST_UNREAD])

    def _known(
        self, records: Sequence[Record], queue: ActionQueue
    ) -> tuple[Mapping[str, Fingerprint], Mapping[str, Fingerprint]]:
        """What was delivered before or is on its way to the sink, and the latter alone."""
        # Looked at first: what leaves the way to the sink meanwhile is in a store by then.
        on_their_way = queue.same_or_newer(records)
        recalled = self._progress.recall([record.object_id for record in records])
        return {**recalled, **on_their_way}, on_their_way

    def _associate(self, records: Sequence[Record]) -> tuple[list[Record], list[SkippedRow]]:
        """Add the associations that did not come with the records.

        Those that HubSpot does not answer for are left out and named.
        """
        complete = list(records)
        skipped: list[SkippedRow] = []
        for to_object_type in self._wanted.associations:
            lacking = [
                record.object_id for record in complete if to_object_type not in record.associations
            ]
            if lacking:
                found = self._source.associations(self._stream.object_type, to_object_type, lacking)
                skipped += [
                    SkippedRow(
                        object_id=one,
                        reason=f"its {to_object_type} could not be read: {reason}",
                        again=True,
                    )
                    for one, reason in found.unanswered.items()
                ]
                complete = [
                    _with_edges(record, to_object_type, found.found)
                    for record in complete
                    if record.object_id not in found.unanswered
                ]
        return complete, skipped


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


class Oddities:
    """Notes rows that are no records, and values that do not fit their type.

    Args:
        stream: The stream.
        notify: Told of each skipped row, and of each property once.

    Attributes:
        unconverted: How many values were kept as text, by property name.
    """

    def __init__(self, stream: StreamKey, notify: Callable[[Event], None]) -> None:
        self._stream = stream
        self._notify = notify
        self.unconverted: Counter[str] = Counter()

    def skipped(self, rows: Iterable[SkippedRow]) -> int:
        """Note *rows*, and say how many they are."""
        number = 0
        for row in rows:
            self._notify(
                RecordSkipped(stream=self._stream, object_id=row.object_id, reason=row.reason)
            )
            number += 1
        return number

    def kept_as_text(self, records: Iterable[Record]) -> None:
        """Note the values of *records* that were kept as text."""
        for record in records:
            for name in record.unconverted:
                if name not in self.unconverted:
                    self._notify(
                        ValueKeptAsText(
                            stream=self._stream, property_name=name, object_id=record.object_id
                        )
                    )
                self.unconverted[name] += 1


def _size(pages: Sequence[Page]) -> int:
    return sum(page.size for page in pages)


def _with_edges(
    record: Record, to_object_type: str, found: Mapping[str, tuple[Association, ...]]
) -> Record:
    if to_object_type in record.associations:
        return record
    edges = {**record.associations, to_object_type: found[record.object_id]}
    return replace(record, associations=edges)
