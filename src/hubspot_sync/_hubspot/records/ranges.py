"""Reads the ranges of a pass with several threads at once, and splits what runs long.

A thread that has nothing to do takes the upper part of the largest range that another one is
still reading, as long as the threads spend most of their time waiting for HubSpot. What is left of
the whole pass is known with each page that is handed out, so a checkpoint made there is right
however the threads stand.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import evolve, field, frozen

from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync._threads import new_thread
from hubspot_sync.models import Page

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from hubspot_sync._hubspot.records.tally import Tally
    from hubspot_sync.models import IdRange, Record, SkippedRow

# Beyond all ids.
END: Final = 2**63
# No id is higher: JSON numbers are exact up to here, and HubSpot sends some ids as numbers.
_UNKNOWN_HEIGHT: Final = 2**53
# A page's weight in what a walk remembers of the times that pages take.
_FRESHNESS: Final = 0.25
# Of the work that a page makes, as much is done by the thread that reads it.
_SHARE_OF_WORK: Final = 1 / 3


@frozen(kw_only=True)
class Part:
    """Some records of a range, and what is left of that range after them.

    Attributes:
        records: The records.
        skipped: Rows that are no usable records.
        absent: Ids that were asked for and that HubSpot says it does not have.
        left: What is left of the range.
        ids: Of the list, the ids of all rows, as numbers.
        span: The ids that the part settles, from the first to the end, itself not part of it; None
            where it is none, as rows came in no order.
        size: How many bytes the answer had.
    """

    records: tuple[Record, ...] = ()
    skipped: tuple[SkippedRow, ...] = ()
    absent: tuple[str, ...] = ()
    left: tuple[IdRange, ...] = ()
    ids: tuple[int, ...] = ()
    span: tuple[int, int] | None = None
    size: int = 0


@frozen(kw_only=True)
class Split:
    """Where to cut a range.

    Attributes:
        at: The id at which the lower part ends and the upper one begins.
        upper: The upper part.
        first: What is known already of its first page, for its reader; None for nothing.
        below: No id of the lower part is higher, where that is known.
    """

    at: int
    upper: IdRange
    first: Any = None
    below: int | None = None


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
        self._spare: int | None = None
        self._waited = self._handled = 0.0
        self._answered_at: float | None = None

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
        return 0.0 if self._spare == 0 else self._density * self.span

    @property
    def readers(self) -> float:
        """How many threads can read before the interpreter, which all share, has no time left."""
        whole = self._handled / _SHARE_OF_WORK
        return (self._waited + self._handled) / whole if whole else math.inf

    def timed(self, asked_at: float, answered_at: float) -> None:
        """Note when a page was asked for and when it came, in seconds of one clock.

        What lies between the answer to one page and the question for the next is handling it, and
        waiting until somebody has room for it.
        """
        if self._answered_at is not None:
            self._waited += _FRESHNESS * (answered_at - asked_at - self._waited)
            self._handled += _FRESHNESS * (asked_at - self._answered_at - self._handled)
        self._answered_at = answered_at

    @property
    def is_bounded(self) -> bool:
        """Whether it is known how many calls may be made for splitting."""
        return self._spare is not None

    def allow(self, calls: int) -> None:
        """Let *calls* be made for splitting in all; without a word of it there is no bound."""
        with self._lock:
            self._spare = max(calls, 0)

    def spend(self) -> bool:
        """Take one of these calls; False when there is none left."""
        with self._lock:
            if self._spare:
                self._spare -= 1
                return True
            return self._spare is None

    def hand_over(self, thief: Walk) -> None:
        """Give half of these calls to *thief*, which has the upper part."""
        with self._lock:
            if self._spare is not None:
                thief.allow(self._spare // 2)
                self._spare -= self._spare // 2

    def advance(self, position: int, density: float) -> None:
        """Note that all ids below *position* are read, and how dense records lie above.

        Args:
            position: An id.
            density: Records an id; 0 when nothing can be split off.
        """
        with self._lock:
            self._position = position
            self._density = density

    def shorten(self, until: int, highest: int | None = None) -> bool:
        """End the range at *until*; False when that is read already, or beyond the end.

        Args:
            until: The end, exclusive.
            highest: No id below is higher, where that is known.
        """
        with self._lock:
            if until <= self._position or (self._until is not None and until >= self._until):
                return False
            self._until = until
            self.highest = highest
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
