"""Counts what a run costs."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class CallCounter:
    """Counts calls by endpoint class; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()

    def add(self, endpoint: str) -> None:
        """Count one call to *endpoint*."""
        with self._lock:
            self._calls[endpoint] += 1

    def by_endpoint(self) -> Mapping[str, int]:
        """Calls so far."""
        with self._lock:
            return dict(self._calls)
