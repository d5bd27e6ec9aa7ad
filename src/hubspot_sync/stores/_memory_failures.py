"""The error queue of the stores in memory."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import evolve
from msgspec.structs import replace

from hubspot_sync.models import (
    AccountKey,
    RejectedAction,
    RejectedCounts,
    RejectedSelection,
    StreamKey,
)

Place = tuple[AccountKey, str, str]


class MemoryErrorQueue:
    """An `ErrorQueue` in memory, with what an `ErrorQueueAdmin` has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Place, RejectedAction] = {}

    def put(self, failures: Sequence[RejectedAction]) -> None:
        """Store *failures*, the newest version of each object; see `ErrorQueue.put`."""
        with self._lock:
            for failure in failures:
                held = self._kept.get(_place(failure))
                if held is None or held.action.version <= failure.action.version:
                    self._kept[_place(failure)] = _copy(failure)

    def due(self, stream: StreamKey, now: datetime, *, limit: int) -> Sequence[RejectedAction]:
        """Give a page of what is to be tried again; see `ErrorQueue.due`."""
        with self._lock:
            waiting = [
                (failure.next_at, _place(failure), failure)
                for failure in self._kept.values()
                if failure.next_at is not None and failure.is_due(now)
            ]
        waiting = [one for one in waiting if one[2].stream == stream]
        return [
            _copy(failure) for _, _, failure in sorted(waiting, key=lambda one: one[:2])[:limit]
        ]

    def browse(
        self, selection: RejectedSelection, *, limit: int, after: RejectedAction | None = None
    ) -> Sequence[RejectedAction]:
        """Give a page of what fits *selection*; see `ErrorQueue.browse`."""
        fitting = [
            failure
            for failure in self._fitting(selection)
            if after is None or _place(after) < _place(failure)
        ]
        return [_copy(failure) for failure in fitting[:limit]]

    def held(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, int]:
        """Give the versions that are held; see `ErrorQueue.held`."""
        with self._lock:
            found = {
                object_id: self._kept.get((stream.account, stream.object_type, object_id))
                for object_id in object_ids
            }
        return {
            object_id: failure.action.version
            for object_id, failure in found.items()
            if failure is not None
        }

    def settle(self, stream: StreamKey, versions: Mapping[str, int]) -> None:
        """Forget what was stored meanwhile; see `ErrorQueue.settle`."""
        with self._lock:
            for object_id, version in versions.items():
                place = (stream.account, stream.object_type, object_id)
                held = self._kept.get(place)
                if held is not None and held.action.version <= version:
                    del self._kept[place]

    def count(self, selection: RejectedSelection) -> Mapping[str, int]:
        """Say how many fit *selection*, by object type; see `ErrorQueue.count`."""
        return dict(Counter(one.action.object_type for one in self._fitting(selection)))

    def tally(self, accounts: Sequence[AccountKey]) -> Mapping[StreamKey, RejectedCounts]:
        """Count the failures by stream; see `ErrorQueueAdmin.tally`."""
        wanted = set(accounts)
        with self._lock:
            kept = [one for one in self._kept.values() if one.action.account in wanted]
        waiting = Counter(one.stream for one in kept if not one.parked)
        parked = Counter(one.stream for one in kept if one.parked)
        return {
            stream: RejectedCounts(waiting=waiting[stream], parked=parked[stream])
            for stream in waiting | parked
        }

    def drop(self, selection: RejectedSelection) -> int:
        """Delete what fits *selection*; see `ErrorQueueAdmin.drop`."""
        places = map(_place, self._fitting(selection))
        with self._lock:
            return sum(self._kept.pop(place, None) is not None for place in places)

    def _fitting(self, selection: RejectedSelection) -> list[RejectedAction]:
        with self._lock:
            fitting = [failure for failure in self._kept.values() if selection.fits(failure)]
        return sorted(fitting, key=_place)


def _place(failure: RejectedAction) -> Place:
    action = failure.action
    return action.account, action.object_type, action.object_id


def _copy(failure: RejectedAction) -> RejectedAction:
    action = failure.action
    copied = replace(
        action, properties=dict(action.properties), associations=dict(action.associations)
    )
    return evolve(failure, action=copied)
