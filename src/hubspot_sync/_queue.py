"""Bounded queues between the threads of a run: a full one makes the reader wait."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")


class QueueClosedError(Exception):
    """The other side of the queue has ended; its own error says why."""


class BoundedQueue(Generic[T]):
    """Hands items from one thread to another, bounded in weight and in bytes.

    An item that is heavier than the bound passes alone, so nothing is ever stuck.

    Args:
        max_weight: Sum of the weights that may wait.
        max_bytes: Sum of the sizes that may wait.
    """

    def __init__(self, max_weight: int, max_bytes: int) -> None:
        self._max_weight = max_weight
        self._max_bytes = max_bytes
        self._items: deque[tuple[T, int, int]] = deque()
        self._weight = 0
        self._bytes = 0
        self._finished = False
        self._abandoned = False
        self._changed = threading.Condition()

    def put(self, item: T, *, weight: int = 1, size: int = 0) -> None:
        """Add *item*; waits while the queue is full.

        Raises:
            QueueClosedError: Nobody takes items any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or self._fits(weight, size))
            if self._abandoned:
                raise QueueClosedError
            self._items.append((item, weight, size))
            self._weight += weight
            self._bytes += size
            self._changed.notify_all()

    def first(self) -> T | None:
        """The item that waits longest, if one does; it goes on waiting."""
        with self._changed:
            return self._items[0][0] if self._items else None

    def finish(self) -> None:
        """No more items will come; those that wait are still handed out."""
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nobody will take items any more; those that wait are dropped."""
        with self._changed:
            self._abandoned = True
            self._items.clear()
            self._weight = self._bytes = 0
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Hand out items until the queue is finished and empty, or abandoned."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._ended)
                if not self._items:
                    return
                item = self._take()
            yield item

    @property
    def _ended(self) -> bool:
        return self._finished or self._abandoned

    def _take(self) -> T:
        item, weight, size = self._items.popleft()
        self._weight -= weight
        self._bytes -= size
        self._changed.notify_all()
        return item

    def _fits(self, weight: int, size: int) -> bool:
        return not self._items or (
            self._weight + weight <= self._max_weight and self._bytes + size <= self._max_bytes
        )
