"""The call log."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_KEPT: Final = 10_000
_QUERY_KEPT: Final = 2_000


@attrs.frozen(kw_only=True)
class Call:
    """One call that the emulator answered, or failed to on purpose.

    Attributes:
        route: "list", "get", "search", "batch_read", "archive", "merge", "erase" (privacy
            deletion), "associations", "labels", "properties", "schemas", "owners", "pipelines",
            "account", "oauth" (the token endpoint), "introspect", "revoke", "authorize" (the
            consent page), or "unknown".
        query: The query string, cut at 2,000 characters; empty for "oauth".
        status: The HTTP status; 0 when the connection was reset instead, and in a hook, before
            there is one.
        at: The clock's instant when it arrived.
        rows: How many results the answer held.
        object_type: By its plural name, or what the path called it; None where it names none.
        account_id: Whose credentials it carried; None where they are nobody's.
        expired_for: For how many seconds its access token had been out of date when it arrived;
            None where it was not.
    """

    method: str
    path: str
    route: str
    at: datetime
    status: int = 0
    rows: int = 0
    object_type: str | None = None
    query: str = ""
    account_id: str | None = None
    expired_for: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For the control path."""
        return {**attrs.asdict(self), "at": self.at.isoformat()}


class CallLog:
    """The latest calls in full and all of them counted; thread-safe.

    Args:
        kept: How many calls stay in full; the counts do not forget.
    """

    def __init__(self, kept: int = _KEPT) -> None:
        self._calls: deque[Call] = deque(maxlen=kept)
        self._counts: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """All calls since the last `clear`."""
        return self.count()

    def __iter__(self) -> Iterator[Call]:
        with self._lock:
            return iter(list(self._calls))

    def add(self, call: Call) -> None:
        """Note a call."""
        cut = attrs.evolve(call, query="" if call.route == "oauth" else call.query[:_QUERY_KEPT])
        with self._lock:
            self._calls.append(cut)
            self._counts[call.route] += 1
            self._statuses[call.status] += 1

    def count(self, route: str | None = None) -> int:
        """How many calls of a route, or in all, since the last `clear`."""
        with self._lock:
            return self._counts.total() if route is None else self._counts[route]

    def counts(self) -> dict[str, int]:
        """How many calls by route."""
        with self._lock:
            return dict(self._counts)

    def statuses(self) -> dict[int, int]:
        """How many calls by HTTP status; 0 is a reset connection."""
        with self._lock:
            return dict(self._statuses)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._calls.clear()
            self._counts.clear()
            self._statuses.clear()
