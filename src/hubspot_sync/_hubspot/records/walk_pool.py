"""Reads the ranges of a pass with several threads at once, and splits what runs long.

A thread that has nothing to do takes the upper part of the largest range that another one is
still reading, as long as the threads spend most of their time waiting for HubSpot. What is left of
the whole pass is known with each page that is handed out, so a checkpoint made there is right
however the threads stand.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from attrs import field, frozen

from hubspot_sync._hubspot.records.ranges import Part, Walk
from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync._threads import new_thread
from hubspot_sync.models import Page

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from hubspot_sync._hubspot.records.ranges import RangeReader, Split
    from hubspot_sync._hubspot.records.tally import Tally
    from hubspot_sync.models import IdRange


@frozen(kw_only=True)
class _Step:
    walk: Walk = field(eq=False)
    part: Part


class WalkPool:
    """Reads ranges with several threads.

    Args:
        reader: Reads one range.
        ranges: What is to be read.
        width: How many threads.
        max_bytes: How much may wait to be handed out.
        tally: Counts what is listed; None where that is of no use.
    """

    def __init__(
        self,
        reader: RangeReader,
        ranges: Sequence[IdRange],
        *,
        width: int,
        max_bytes: int,
        tally: Tally | None = None,
    ) -> None:
        self._reader = reader
        self._tally = tally
        self._steps: BoundedQueue[_Step] = BoundedQueue(width, max_bytes)
        self._changed = threading.Condition()
        self._waiting = [Walk(id_range) for id_range in ranges]
        self._left: dict[Walk, tuple[IdRange, ...]] = {
            walk: (walk.id_range,) for walk in self._waiting
        }
        self._running: list[Walk] = []
        self._not_now: set[Walk] = set()
        self._being_split: set[Walk] = set()
        self._ended = False
        self._failure: BaseException | None = None
        self._alive = width
        self._threads = [new_thread(self._work, f"walk {number}") for number in range(width)]

    def pages(self) -> Generator[Page, None, None]:
        """Hand out what is read; the last page has no ranges left.

        Raises:
            BaseException: What ended one of the threads; all that was read before is handed out.
        """
        for thread in self._threads:
            thread.start()
        try:
            for step in self._steps:
                yield self._settle(step)
        finally:
            self._steps.abandon()
            self._end(None)
            for thread in self._threads:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _settle(self, step: _Step) -> Page:
        """A page, with what is left of the whole pass once it is dealt with."""
        part = step.part
        with self._changed:
            self._left[step.walk] = part.left
            left = tuple(
                id_range for walk, ranges in self._left.items() for id_range in walk.clip(ranges)
            )
            if not part.left:
                del self._left[step.walk]
        if self._tally is not None:
            self._tally.add(part)
        return Page(
            records=part.records,
            skipped=part.skipped,
            absent=part.absent,
            ranges=left,
            listed=() if self._tally is None else self._tally.listed,
            size=part.size,
        )

    def _work(self) -> None:
        try:
            while (walk := self._next()) is not None:
                self._read(walk)
        except QueueClosedError:
            pass  # nobody wants pages any more
        except BaseException as error:  # noqa: BLE001 - raised again by `pages`
            self._end(error)
        finally:
            with self._changed:
                self._alive -= 1
                last = self._alive == 0
            if last:
                self._steps.finish()

    def _read(self, walk: Walk) -> None:
        for part in self._reader.parts(walk):
            self._steps.put(_Step(walk=walk, part=part), size=part.size)
            with self._changed:
                self._not_now.discard(walk)
                # Idle threads that wake up for nothing keep the interpreter from the others.
                if self._candidates():
                    self._changed.notify_all()
                if self._ended:
                    return
        with self._changed:
            self._running.remove(walk)
            self._changed.notify_all()

    def _next(self) -> Walk | None:
        """A range that waits, else a part of one that runs; None when all is read."""
        while True:
            with self._changed:
                self._changed.wait_for(self._something_to_do)
                if self._ended or not (self._waiting or self._running):
                    return None
                if self._waiting:
                    walk = self._waiting.pop(0)
                    self._running.append(walk)
                    return walk
                victim = max(self._candidates(), key=lambda walk: walk.expected)
                # Not by others while this thread is at it, nor again before its next page.
                self._being_split.add(victim)
                self._not_now.add(victim)
            if (thief := self._split(victim)) is not None:
                return thief

    def _split(self, victim: Walk) -> Walk | None:
        try:
            split = self._reader.split(victim)
            return None if split is None else self._cut(victim, split)
        finally:
            with self._changed:
                self._being_split.discard(victim)
                self._changed.notify_all()

    def _cut(self, victim: Walk, split: Split) -> Walk | None:
        """Cut *victim* in one step with noting what is left, so that no page can miss a part."""
        with self._changed:
            highest = victim.highest
            if not victim.shorten(split.at, split.below):
                return None
            thief = Walk(split.upper, split.first, highest)
            victim.hand_over(thief)
            self._left[thief] = (split.upper,)
            self._running.append(thief)
            self._not_now.discard(victim)
            return thief

    def _something_to_do(self) -> bool:
        return bool(self._ended or self._waiting or not self._running or self._candidates())

    def _candidates(self) -> list[Walk]:
        # More threads than that only take the interpreter away from each other.
        if any(walk.readers < len(self._running) + 1 for walk in self._running):
            return []
        spared = self._not_now | self._being_split
        return [walk for walk in self._running if walk.expected > 0 and walk not in spared]

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._ended = True
            self._changed.notify_all()
