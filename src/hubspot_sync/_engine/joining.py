"""Makes one report of several runs of the same account, one after the other."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync.models import StreamStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync.models import StreamReport, SyncReport


def joined(first: SyncReport, second: SyncReport) -> SyncReport:
    """The report of a run that went on after *first* and ended as *second* did."""
    streams = {one.stream: one for one in first.streams}
    for one in second.streams:
        before = streams.get(one.stream)
        streams[one.stream] = one if before is None else _joined_stream(before, one)
    return evolve(
        second,
        streams=tuple(streams.values()),
        api_calls=_sum(first.api_calls, second.api_calls),
        duration=first.duration + second.duration,
    )


def _joined_stream(first: StreamReport, second: StreamReport) -> StreamReport:
    return evolve(
        second,
        # What was begun stays begun, whether the second run came to it or not.
        status=first.status if second.status is StreamStatus.NOT_STARTED else second.status,
        mode=first.mode or second.mode,
        counts=first.counts + second.counts,
        unconverted=_sum(first.unconverted, second.unconverted),
        retried=first.retried + second.retried,
        api_calls=_sum(first.api_calls, second.api_calls),
        duration=first.duration + second.duration,
    )


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(first) + Counter(second))
