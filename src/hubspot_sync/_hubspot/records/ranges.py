"""Reads the ranges of a pass with several threads at once, and splits what runs long.

A thread that has nothing to do takes the upper part of the largest range that another one is
still reading, as long as the threads spend most of their time waiting for HubSpot. What is left of
the whole pass is known with each page that is handed out, so a checkpoint made there is right
however the threads stand.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from attrs import evolve, frozen

from hubspot_sync._queue import BoundedQueue, QueueClosedError
from hubspot_sync._threads import new_thread
from hubspot_sync.models import ListedSpan
from hubspot_sync.models.checkpoints import NO_END

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from hubspot_sync._hubspot.records.tally import Tally
    from hubspot_sync.models import IdRange, Page

END: Final = NO_END
# No id is higher: JSON numbers are exact up to here, and HubSpot sends some ids as numbers.
_UNKNOWN_HEIGHT: Final = 2**53


@frozen(kw_only=True)
class Split:
    """Where to cut a range.

    Attributes:
        at: The id at which the lower range ends and the upper one begins.
        upper: The upper range.
        first: Its first page, where that is known already, with what follows as its only range.
        below: No id of the lower range is higher, where that is known.
    """

    at: int
    upper: IdRange
    first: Page | None = None
    below: int | None = None


class Walk:
    """One range in one thread's hands; others may shorten it from its upper end.

    Args:
        id_range: What is to be read; `until` may be lowered later.
        first: Its first page, where that is known already.
        highest: The highest id in it, where that is known, at least roughly.
    """

    def __init__(
        self, id_range: IdRange, first: Page | None = None, highest: int | None = None
    ) -> None:
        self.id_range = id_range
        self.first = first
        self.highest = highest
        self._lock = threading.Lock()
        self._position = -1
        self._until = None if id_range.until is None else int(id_range.until)
        self._density = 0.0
        self._spare: int | None = None

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

    def hand_over(self, upper: Walk) -> None:
        """Give half of these calls to *upper*, which was split off."""
        with self._lock:
            if self._spare is not None:
                upper.allow(self._spare // 2)
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

    def read(self, walk: Walk) -> Iterator[Page]:
        """Read the range of *walk* to its end, which may come nearer meanwhile.

        Each page has in `ranges` what is left of this one range after it, and in `listed` what of
        it was listed in order of ids, None where the rows came in none.
        """

    def split(self, walk: Walk) -> Split | None:
        """Where to cut *walk* in two, or None where that is not worth it."""


class WalkPool:
    """Reads ranges with as many threads as there is something to share for.

    The first page is read in the thread of the caller; only when there are more, threads are
    started, one after the other.

    Args:
        reader: Reads one range.
        ranges: What is to be read.
        width: How many threads at most.
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
        self._width = width
        self._tally = tally
        self._found: BoundedQueue[tuple[Walk, Page]] = BoundedQueue(width, max_bytes)
        self._changed = threading.Condition()
        self._waiting = deque(Walk(id_range) for id_range in ranges)
        self._left: dict[Walk, tuple[IdRange, ...]] = {
            walk: (walk.id_range,) for walk in self._waiting
        }
        self._running: list[Walk] = []
        self._begun: dict[Walk, Iterator[Page]] = {}
        self._not_now: set[Walk] = set()
        self._being_split: set[Walk] = set()
        self._ended = False
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._alive = self._idle = 0

    def pages(self) -> Generator[Page, None, None]:
        """Hand out what is read; the last page has no ranges left.

        Raises:
            BaseException: What ended one of the threads; all that was read before is handed out.
        """
        if len(self._waiting) == 1:
            (walk,) = self._waiting
            self._begun[walk] = self._reader.read(walk)
            yield (page := self._settle(walk, next(self._begun[walk])))
            if not page.ranges:
                return
        try:
            with self._changed:
                for _ in range(min(self._width, len(self._waiting))):
                    self._start()
            for walk, page in self._found:
                yield self._settle(walk, page)
        finally:
            self._found.abandon()
            self._end(None)
            for thread in self._threads:
                thread.join()
        if self._failure is not None:
            raise self._failure

    def _settle(self, walk: Walk, page: Page) -> Page:
        """*page*, with what is left of the whole pass once it is dealt with."""
        with self._changed:
            self._left[walk] = page.ranges
            ranges = tuple(
                id_range for walk, left in self._left.items() for id_range in walk.clip(left)
            )
            if not page.ranges:
                del self._left[walk]
        covered = page.listed[0] if page.listed else None
        if covered is not None and not page.ranges and walk.until is None:
            covered = ListedSpan(covered.first, END, covered.rows)  # the list ends here
        if self._tally is None:
            return evolve(page, ranges=ranges, listed=(), covered=covered)
        self._tally.add(page)
        return evolve(page, ranges=ranges, listed=self._tally.listed, covered=covered)

    def _start(self) -> None:
        self._threads.append(new_thread(self._work, f"walk {len(self._threads)}"))
        self._alive += 1
        self._threads[-1].start()

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
                self._found.finish()

    def _read(self, walk: Walk) -> None:
        for page in self._begun.pop(walk, None) or self._reader.read(walk):
            self._found.put((walk, page), size=page.size)
            with self._changed:
                self._not_now.discard(walk)
                self._invite()
                if self._ended:
                    return
        with self._changed:
            self._running.remove(walk)
            self._changed.notify_all()

    def _invite(self) -> None:
        """Let one more thread take part where there is something to share.

        Idle threads that wake up for nothing keep the interpreter from the others.
        """
        if self._ended or not self._candidates():
            return
        if self._idle:
            self._changed.notify_all()
        elif len(self._threads) < self._width:
            self._start()

    def _next(self) -> Walk | None:
        """A range that waits, else a part of one that runs; None when all is read."""
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(self._something_to_do)
                self._idle -= 1
                if self._ended or not (self._waiting or self._running):
                    return None
                if self._waiting:
                    walk = self._waiting.popleft()
                    self._running.append(walk)
                    return walk
                lower = max(self._candidates(), key=lambda walk: walk.expected)
                # Not by others while this thread is at it, nor again before its next page.
                self._being_split.add(lower)
                self._not_now.add(lower)
            if (upper := self._split(lower)) is not None:
                return upper

    def _split(self, lower: Walk) -> Walk | None:
        try:
            split = self._reader.split(lower)
            return None if split is None else self._cut(lower, split)
        finally:
            with self._changed:
                self._being_split.discard(lower)
                self._changed.notify_all()
                self._invite()

    def _cut(self, lower: Walk, split: Split) -> Walk | None:
        """Cut *lower* in one step with noting what is left, so that no page can miss a range."""
        with self._changed:
            highest = lower.highest
            if not lower.shorten(split.at, split.below):
                return None
            upper = Walk(split.upper, split.first, highest)
            lower.hand_over(upper)
            self._left[upper] = (split.upper,)
            self._running.append(upper)
            self._not_now.discard(lower)
            return upper

    def _something_to_do(self) -> bool:
        return bool(self._ended or self._waiting or not self._running or self._candidates())

    def _candidates(self) -> list[Walk]:
        spared = self._not_now | self._being_split
        return [walk for walk in self._running if walk.expected > 0 and walk not in spared]

    def _end(self, error: BaseException | None) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._ended = True
            self._changed.notify_all()
