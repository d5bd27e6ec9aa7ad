"""Pages become a batch: what is new is told from what is known, and from what only looks new."""

from __future__ import annotations

from collections import Counter
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
from hubspot_sync._engine.stream.batch import Batch
from hubspot_sync._engine.stream.gone import Missing
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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.action_queue import ActionQueue
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
    )

_MILLISECOND: Final = timedelta(milliseconds=1)
_NOTHING: Final = Outcome(actions=(), fingerprints=(), counts=Counts())
_COMPARING: Final = (Mode.RECONCILE, Mode.ARCHIVED, Mode.ASSOCIATIONS)
# The checkpoint names each of them.
MOST_UNREAD: Final = 1_000


class BatchMaker:
    """Makes the batches of one pass of one stream, each from some pages.

    Args:
        context: What to work with.
        source: Asked for what the pages leave open.
        progress: What was delivered before.
        wanted: What is read of each record.
        checkpoint: How far the stream is.
        reading: The pass.
        resumed: Whether an earlier run had begun it.
        rejected: What waits in the error queue.

    Attributes:
        label: What people call one of the objects, for custom types; to be set before the first
            page is read, because HubSpot may be asked for it.
        checkpoint: How far the stream is once all batches are stored that were made.
        oddities: What of the pages is no record, or kept as text.
        missing: Delivered objects that the pages lack, where they are compared with those.
        gaps: What of the pass could not be proved, in words.
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
    ) -> None:
        self._context = context
        self._source = source
        self._progress = progress
        self._stream: StreamKey = progress.stream
        self._wanted = wanted
        self._reading = reading
        self._resumed = resumed
        self._rejected = rejected
        self._doubtful = checkpoint.doubtful_until is not None
        self._forgotten = 0
        self.label: str | None = None
        self.checkpoint = checkpoint
        self.oddities = Oddities(self._stream, context.notify)
        self.missing = Missing(progress, reading.missing)
        self.gaps: tuple[str, ...] = ()
        self.began_too_late = False

    def make(self, pages: Sequence[Page], queue: ActionQueue) -> Batch:
        """Leave out what is known, associate the rest, and make actions of it.

        Args:
            pages: Pages of the pass, in their order.
            queue: What is on its way to the sink.

        Raises:
            HubSpotSyncError: A store or HubSpot stays away.
            QueueClosedError: A batch before this one failed.
            StopRequested: The run was stopped.
        """
        if self._reading.mode is Mode.RECONCILE:
            self.missing.look(pages)
        skipped = [row for page in pages for row in page.skipped]
        records, doubled = newest_versions(record for page in pages for record in page.records)
        known, on_their_way = self._known(records, queue)
        lost = set(self.checkpoint.undelivered)
        known = {one: before for one, before in known.items() if one not in lost} if lost else known
        comparing = self._reading.mode in _COMPARING
        # What could not be read may have been to be compared when it could not.
        compared = known.keys() if comparing else known.keys() & set(self.checkpoint.unread)
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
        self.oddities.kept_as_text(fresh)
        self.began_too_late |= any(
            is_late(record, self.checkpoint, self._reading, self._context.settings)
            for record in fresh
        )
        outcome = to_actions(
            self._stream.account,
            fresh,
            doubted(known, queued),
            label=self.label,
            backfill=self._reading.mode is Mode.BACKFILL or redelivers,
            deliver_unchanged=self._context.settings.deliver_unchanged or self._doubtful,
            redeliver=redelivers,
            looked=self._looked,
            track=self._context.settings.track_changes,
        )
        ended, superseded = self._merged(records, queue)
        before, self.checkpoint = self.checkpoint, self._reached(pages, skipped)
        return Batch(
            actions=outcome.actions + ended.actions,
            fingerprints=outcome.fingerprints + ended.fingerprints,
            settled=outcome.counts
            + Counts(
                repeated=repeated + doubled + waiting + still_gone,
                skipped=self.oddities.skipped(skipped),
            ),
            checkpoint=self.checkpoint,
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
        # Looked at first: what leaves the way to the sink meanwhile is in a store by then.
        on_their_way = queue.of(object_ids)
        known = {**self._progress.recall(object_ids), **on_their_way}
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
            label=self.label,
        )
        versions = {one.object_id: one.version for one in ended.actions}
        superseded = {one: versions[one] for one in versions.keys() & queued.keys()}
        return evolve(ended, counts=Counts()), superseded

    def _reached(self, pages: Sequence[Page], skipped: Sequence[SkippedRow]) -> Checkpoint:
        """The checkpoint once *pages* are in the sink."""
        last = pages[-1]
        unread = self._still_unread(pages, skipped)
        lost = unread if self._reading.redelivers else self.checkpoint.undelivered
        before = evolve(
            self.checkpoint,
            unread=unread,
            undelivered=tuple(one for one in unread if one in lost),
        )
        if self.began_too_late and not last.ranges:
            return look_deeper(before)
        reached = advance(
            before,
            evolve(self._reading, missing=tuple(self.missing.object_ids[:MOST_UNREAD])),
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
        if not again and not self.checkpoint.unread:
            return ()
        read = {record.object_id for page in pages for record in page.records}
        settled = read.union(one for page in pages for one in page.absent) - again.keys()
        unread = [one for one in self.checkpoint.unread if one not in settled]
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


def _with_edges(
    record: Record, to_object_type: str, found: Mapping[str, tuple[Association, ...]]
) -> Record:
    if to_object_type in record.associations:
        return record
    edges = {**record.associations, to_object_type: found[record.object_id]}
    return replace(record, associations=edges)
