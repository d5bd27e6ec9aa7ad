"""One pass of one stream: pages become batches in the caller's thread, and are stored beside it.

When reading fails, what was read before is still processed, and what was processed is stored.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._engine.stream.action_queue import ActionQueue
from hubspot_sync._engine.stream.batch_maker import BatchMaker
from hubspot_sync._engine.stream.delivery import Delivery
from hubspot_sync._queue import QueueClosedError

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Generator, Iterator, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync._engine.stream.rejected import RejectedActions
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import Checkpoint, Counts, Page, Pass, StreamKey, StreamSettings

# Of records; all items of a stream of reference data are on one page, however many.
_LARGEST_PAGE: Final = 200


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
        self._stream: StreamKey = progress.stream
        self._wanted = wanted
        self._reading = evolve(reading, object_ids=checkpoint.unread if ask_unread else ())
        settings = context.settings
        self._max_bytes = min(settings.batch_bytes, settings.queue_bytes)
        self._most = max(settings.batch_size, _LARGEST_PAGE)
        self._maker = BatchMaker(
            context=context,
            source=source,
            progress=progress,
            wanted=wanted,
            checkpoint=checkpoint,
            reading=reading,
            resumed=resumed,
            rejected=rejected,
        )
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
        return self._maker.oddities.unconverted

    @property
    def is_whole(self) -> bool:
        """Whether all records are read."""
        return self._reading.is_whole

    @property
    def missing(self) -> Sequence[str]:
        """Objects that were delivered before, and that the pass did not come across."""
        return self._maker.missing.object_ids

    @property
    def unread(self) -> tuple[str, ...]:
        """Ids of records that HubSpot did not answer for."""
        return self._maker.checkpoint.unread

    @property
    def gaps(self) -> tuple[str, ...]:
        """What of the pass could not be proved, in words."""
        return self._maker.gaps

    @property
    def began_too_late(self) -> bool:
        """Whether the window may have begun too late, so that it proves nothing.

        It is to be read again from further back.
        """
        return self._maker.began_too_late

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
                    batch = self._maker.make(pages, queue)
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
        self._maker.label = self._source.label(self._stream.object_type)
        for page in self._source.read(self._wanted, self._reading):
            yield page
            # With the last page the pass is complete, whoever wants it to end.
            if page.ranges:
                self._context.check_stop()

    def _is_enough(self, pages: Sequence[Page]) -> bool:
        records = sum(len(page.records) for page in pages)
        return records >= self._context.settings.batch_size or _size(pages) >= self._max_bytes


def _size(pages: Sequence[Page]) -> int:
    return sum(page.size for page in pages)
