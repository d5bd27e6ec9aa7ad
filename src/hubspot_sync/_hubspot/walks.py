"""Reads the ranges of a pass with several threads at once, and splits what runs long.

A thread that has nothing to do takes the upper part of the largest range that another one is
still reading. What is left of the whole pass is known with each page that is handed out, so a
checkpoint made there is right however the threads stand.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve, field, frozen

from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync.models import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubspot_sync.models import IdRange, Record, SkippedRow

# No id is higher: JSON numbers are exact up to here, and HubSpot sends some ids as numbers.
_UNKNOWN_HEIGHT: Final = 2**53


@frozen(kw_only=True)
class Part:
    """Some records of a range, and what is left of that range after them.

    Attributes:
        records: The records.
        skipped: Rows that are no usable records.
        left: What is left of the range.
        size: How many bytes the answer had.
    """

    records: tuple[Record, ...] = ()
    skipped: tuple[SkippedRow, ...] = ()
    left: tuple[IdRange, ...] = ()
    size: int = 0


@frozen(kw_only=True)
class Split:
    """Where to cut a range.

    Attributes:
        at: The id at which the lower part ends and the upper one begins.
        upper: The upper part.
        first: What is known already of its first page, for its reader; None for nothing.
    """

    at: int
    upper: IdRange
    first: Any = None


class Walk:
    """One range in one thread's hands; others may shorten it from its upper end.

    Args:
        id_range: What is to be read; `until` may be lowered later.
        first: What is known already of its first page, for its reader.
        highest: The highest id in it, where that is known, at least roughly.
    """

    def __init__(self, id_range: IdRange, first: Any = None, highest: int | None = None) -> None:
        self.id_range = id_range
        self.first = first
        self.highest = highest
        self._lock = threading.Lock()
        self._position = -1
        self._until = None if id_range.until is None else int(id_range.until)
        self._density = 0.0

    @property
    def until(self) -> int | None:
        """The end of the range as it is now, exclusive; None for no end."""
        return self._until

    @property
    def position(self) -> int:
        """All ids below are read."""
        return self._position

    @property
    def span(self) -> int:
        """How many ids lie between what is read and the highest id, as far as that is known."""
        ends = (self.highest, None if self._until is None else self._until - 1, _UNKNOWN_HEIGHT)
        return max(next(end for end in ends if end is not None) - self._position, 0)

    @property
    def expected(self) -> float:
        """Roughly how many records are left; 0 while nothing can be split off."""
        return self._density * self.span

    def advance(self, position: int, density: float) -> None:
        """Note that all ids below *position* are read, and how dense records lie above.

        Args:
            position: An id.
            density: Records an id; 0 when nothing can be split off.
        """
        with self._lock:
            self._position = position
            self._density = density

    def shorten(self, until: int) -> bool:
        """End the range at *until*; False when that is read already, or beyond the end."""
        with self._lock:
            if until <= self._position or (self._until is not None and until >= self._until):
                return False
            self._until = until
            self.highest = None
            return True

    def middle(self, highest: int) -> int | None:
        """An id halfway from what is read to *highest*; None where nothing lies between."""
        with self._lock:
            middle = (self._position + highest) // 2
            return middle if self._position < middle <= highest else None

    def clip(self, ranges: Sequence[IdRange]) -> tuple[IdRange, ...]:
        """*ranges* without what lies beyond the end of the range as it is now."""
        return tuple(_clipped(id_range, self._until) for id_range in ranges)


def _clipped(id_range: IdRange, until: int | None) -> IdRange:
    if until is None or (id_range.until is not None and int(id_range.until) <= until):
        return id_range
    return evolve(id_range, until=str(until))


class RangeReader(Protocol):
    """Reads ranges; several threads may call it at once, each with another range."""

    def parts(self, walk: Walk) -> Iterator[Part]:
        """Read the range of *walk* to its end, which may come nearer meanwhile."""

    def split(self, walk: Walk) -> Split | None:
        """Where to cut *walk* in two, or None where that is not worth it."""


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
    """

    def __init__(
        self, reader: RangeReader, ranges: Sequence[IdRange], *, width: int, max_bytes: int
    ) -> None:
        self._reader = reader
        self._steps: BoundedQueue[_Step] = BoundedQueue(width, max_bytes)
        self._changed = threading.Condition()
        self._waiting = [Walk(id_range) for id_range in ranges]
        self._left: dict[Walk, tuple[IdRange, ...]] = {
            walk: (walk.id_range,) for walk in self._waiting
        }
        self._running: list[Walk] = []
        self._not_now: set[Walk] = set()
        self._ended = False
        self._failure: BaseException | None = None
        self._alive = width
        self._threads = [
            threading.Thread(target=self._work, name=f"hubspot-sync walk {number}", daemon=True)
            for number in range(width)
        ]

    def pages(self) -> Iterator[Page]:
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
        return Page(records=part.records, skipped=part.skipped, ranges=left, size=part.size)

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
                self._not_now.add(victim)
            split = self._reader.split(victim)
            thief = None if split is None else self._cut(victim, split)
            if thief is not None:
                return thief

    def _cut(self, victim: Walk, split: Split) -> Walk | None:
        """Cut *victim* in one step with noting what is left, so that no page can miss a part."""
        with self._changed:
            highest = victim.highest
            if not victim.shorten(split.at):
                return None
            thief = Walk(split.upper, split.first, highest)
            self._left[thief] = (split.upper,)
            self._running.append(thief)
            self._not_now.discard(victim)
            self._changed.notify_all()
            return thief

    def _something_to_do(self) -> bool:
        return bool(self._ended or self._waiting or not self._running or self._candidates())

    def _candidates(self) -> list[Walk]:
        return [walk for walk in self._running if walk.expected > 0 and walk not in self._not_now]

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._ended = True
            self._changed.notify_all()
