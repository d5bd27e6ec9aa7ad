"""Reproducible randomness for content, edits and hostility."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

# How many decisions are told apart, so that a long run does not fill the memory.
_KEPT: Final = 100_000


class Series(random.Random):  # noqa: TID251 - reproducible seeding
    """A series of random numbers that its name alone decides, in every process and year.

    Args:
        seed: The emulator's seed.
        name: What it is for; different names give independent series.
    """

    def __new__(cls, _seed: int, _name: str) -> Series:  # noqa: D102, PYI034 - the base asks for it
        return super().__new__(cls)

    def __init__(self, seed: int, name: str) -> None:
        super().__init__(f"{seed}/{name}")

    def happens(self, share: float) -> bool:
        """True in this share of all cases."""
        return self.random() < share

    def times(self, mean: float) -> int:
        """A whole number that is *mean* on average."""
        return int(mean) + self.happens(mean - int(mean))

    def shuffled(self, numbers: Sequence[int]) -> list[int]:
        """The same numbers in another order, as far as there is one."""
        mixed = list(numbers)
        self.shuffle(mixed)
        if mixed == list(numbers):
            mixed.reverse()
        return mixed


class Dice:
    """Decides which answers go wrong, each by itself; thread-safe.

    What comes out depends on the seed, on what the decision is about and on how often this was
    decided before, not on what other threads ask meanwhile: parallel runs can be repeated.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._asked: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def roll(self, share: float, part: str, subject: str) -> Series | None:
        """A series for the further choices when it happens, in this share of cases; else None.

        Args:
            share: How often, from 0 to 1.
            part: What goes wrong; the parts are independent of each other.
            subject: What it happens to, such as a request's fingerprint.
        """
        if not share:
            return None
        with self._lock:
            if len(self._asked) >= _KEPT:
                self._asked.clear()
            self._asked[part, subject] += 1
            turn = self._asked[part, subject]
        series = Series(self._seed, f"{part}/{subject}/{turn}")
        return series if series.happens(share) else None
