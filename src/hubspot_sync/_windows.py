"""Which part of a stream to read next: pure planning, no I/O."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync.models import Checkpoint, IdRange, Mode, Pass

if TYPE_CHECKING:
    from datetime import datetime

    from hubspot_sync.models import SyncSettings

_MILLISECOND: Final = timedelta(milliseconds=1)
# JSON numbers are exact up to here, and HubSpot sends some ids as numbers.
_BEYOND_ALL_IDS: Final = 2**53


def plan_pass(checkpoint: Checkpoint, server_time: datetime, settings: SyncSettings) -> Pass:
    """The pass to read now: what an earlier run left over, else a backfill or a window.

    Args:
        checkpoint: How far the stream is.
        server_time: The present time at HubSpot, asked before anything is read.
        settings: Lookback, settle lag and clock margin.
    """
    if checkpoint.reading is not None:
        return checkpoint.reading
    if checkpoint.high_water_mark is None:
        return Pass(mode=Mode.BACKFILL, end=server_time)
    overlap = max(settings.lookback, settings.clock_margin)
    start = checkpoint.high_water_mark - overlap
    if checkpoint.index_floor is not None:
        start = max(start, checkpoint.index_floor)
    # The mark never falls, even when HubSpot's clock is found to be behind what we believed.
    end = max(server_time - settings.settle_lag, checkpoint.high_water_mark)
    return Pass(mode=Mode.INCREMENTAL, start=start, end=end)


def advance(
    checkpoint: Checkpoint, reading: Pass, ranges: tuple[IdRange, ...], settings: SyncSettings
) -> Checkpoint:
    """The checkpoint after everything of *reading* but *ranges* is in the sink."""
    if ranges:
        return evolve(checkpoint, reading=evolve(reading, ranges=ranges))
    if reading.mode is Mode.BACKFILL:
        # The list endpoint reads primary storage: nothing before the backfill is ever late.
        floor = reading.end - settings.clock_margin
        return evolve(checkpoint, high_water_mark=reading.end, index_floor=floor, reading=None)
    return evolve(checkpoint, high_water_mark=reading.end, reading=None)


def is_empty(piece: IdRange) -> bool:
    """Whether no object id fits into *piece*."""
    return piece.until is not None and int(piece.until) - int(piece.after or -1) <= 1


def only_id(piece: IdRange) -> str | None:
    """The one object id that *piece* can hold, or None when it can hold more."""
    if piece.until is None or int(piece.until) - int(piece.after or -1) != 2:  # noqa: PLR2004
        return None
    return str(int(piece.until) - 1)


def halves(piece: IdRange, reading: Pass) -> tuple[IdRange, ...]:
    """*piece* cut in two: by modified time down to one millisecond, then by object id.

    Args:
        piece: A part of a window; one with a single id cannot be cut.
        reading: The pass it belongs to, which has the window's bounds.
    """
    start, end = piece.start or reading.start, piece.end or reading.end
    if start is not None and end - start > _MILLISECOND:
        middle = start + ((end - start) / 2 // _MILLISECOND) * _MILLISECOND
        middle = max(middle, start + _MILLISECOND)
        return evolve(piece, start=start, end=middle), evolve(piece, start=middle, end=end)
    low = int(piece.after or -1) + 1
    high = _BEYOND_ALL_IDS if piece.until is None else int(piece.until)
    split = (low + high) // 2
    lower = evolve(piece, until=str(split))
    return lower, evolve(piece, after=str(split - 1), until=piece.until)
