"""Which part of a stream to read next: pure planning, no I/O."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync.models import Checkpoint, IdRange, Mode, Pass

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hubspot_sync.models import ListedSpan, PropertySet, SyncSettings

_MILLISECOND: Final = timedelta(milliseconds=1)
# JSON numbers are exact up to here, and HubSpot sends some ids as numbers.
_BEYOND_ALL_IDS: Final = 2**53


def plan_pass(
    checkpoint: Checkpoint,
    server_time: datetime,
    settings: SyncSettings,
    *,
    compared: bool = False,
) -> Pass:
    """The pass to read now: what an earlier run left over, else a new one.

    Args:
        checkpoint: How far the stream is.
        server_time: The present time at HubSpot, asked before anything is read.
        settings: Lookback, settle lag, clock margin, and how often to reconcile.
        compared: Whether this run has compared all records, so that no settings ask for it.
    """
    if checkpoint.reading is not None:
        return checkpoint.reading
    if checkpoint.high_water_mark is None:
        return Pass(mode=Mode.BACKFILL, end=server_time)
    is_due = not compared and _is_due(checkpoint, server_time, settings)
    if is_due or _lacks(checkpoint, checkpoint.reconcile_since):
        return Pass(mode=Mode.RECONCILE, end=_unused_end(checkpoint, server_time))
    overlap = max(settings.lookback, settings.clock_margin)
    start = checkpoint.high_water_mark - overlap
    if checkpoint.index_floor is not None:
        start = max(start, checkpoint.index_floor)
    # The mark never falls, even when HubSpot's clock is found to be behind what we believed.
    end = max(server_time - settings.settle_lag, checkpoint.high_water_mark)
    return Pass(mode=Mode.INCREMENTAL, start=start, end=end)


def with_properties(
    checkpoint: Checkpoint, reading: Pass, properties: PropertySet, settings: SyncSettings
) -> Pass:
    """The new pass *reading*, in which *properties* are read.

    What was modified since the others were defined was read without those that have come since,
    however new its fingerprint is; so the window begins there, and compares what it finds.
    """
    before = checkpoint.properties
    reading = evolve(reading, properties=properties)
    if reading.start is None or before is None or before.digest == properties.digest:
        return reading
    overlap = max(settings.lookback, settings.clock_margin)
    start = min(reading.start, before.defined_at - overlap)
    return evolve(reading, start=start, compares=True)


def demanded(checkpoint: Checkpoint, since: datetime) -> Checkpoint:
    """*checkpoint* with the demand for a pass over all records that ends at *since* or later.

    As it is, where there was such a pass, or there is another such demand.
    """
    if checkpoint.reconcile_since is not None or not _lacks(checkpoint, since):
        return checkpoint
    return evolve(checkpoint, reconcile_since=since)


def put_off(checkpoint: Checkpoint, since: datetime) -> Checkpoint:
    """*checkpoint* with its demand moved to *since*; as it is, where a pass has begun for it."""
    before, reading = checkpoint.reconcile_since, checkpoint.reading
    if before is None or not _lacks(checkpoint, before):
        return checkpoint
    begun = reading is not None and reading.mode is not Mode.INCREMENTAL and reading.end >= before
    return checkpoint if begun else evolve(checkpoint, reconcile_since=since)


def after_all_passes(checkpoints: Iterable[Checkpoint], server_time: datetime) -> datetime:
    """The present, or a moment after the last pass over all records of any of the streams."""
    return max(_unused_end(one, server_time) for one in checkpoints)


def doubt_left(checkpoint: Checkpoint, reading: Pass) -> datetime | None:
    """Until when there is doubt in a new pass; none in one that begins behind it.

    By then a whole pass has looked at everything that was modified while there was doubt.
    """
    until = checkpoint.doubtful_until
    is_over = until is not None and reading.start is not None and until <= reading.start
    return None if is_over else until


def _lacks(checkpoint: Checkpoint, since: datetime | None) -> bool:
    """Whether no pass over all records that is complete ends at *since* or later."""
    last = checkpoint.reconciled_at
    return since is not None and (last is None or last < since)


def _is_due(checkpoint: Checkpoint, server_time: datetime, settings: SyncSettings) -> bool:
    every, last = settings.reconcile_every, checkpoint.reconciled_at
    return every is not None and (last is None or last + every <= server_time)


def _unused_end(checkpoint: Checkpoint, server_time: datetime) -> datetime:
    """The present, or a moment after the last such pass: its end names what a pass delivers."""
    last, since = checkpoint.reconciled_at, checkpoint.reconcile_since
    earliest = server_time if last is None else max(server_time, last + _MILLISECOND)
    # HubSpot's clock may be found to be behind what it was when somebody asked for the pass.
    return earliest if since is None else max(earliest, since)


def advance(
    checkpoint: Checkpoint,
    reading: Pass,
    ranges: tuple[IdRange, ...],
    settings: SyncSettings,
    listed: tuple[ListedSpan, ...] | None = (),
) -> Checkpoint:
    """The checkpoint after everything of *reading* but *ranges* is in the sink.

    Args:
        checkpoint: The checkpoint before.
        reading: The pass.
        ranges: What is left of it.
        settings: The clock margin.
        listed: How many records the pass has listed.
    """
    if ranges:
        return evolve(checkpoint, reading=evolve(reading, ranges=ranges, listed=listed))
    checkpoint = evolve(checkpoint, properties=reading.properties or checkpoint.properties)
    if reading.mode is Mode.INCREMENTAL:
        return evolve(checkpoint, high_water_mark=reading.end, reading=None)
    # The list endpoint reads primary storage, and each page was read after the end was fixed:
    # nothing before it is ever late, whichever pass it was. What is edited meanwhile is modified
    # later than that, and so in the next window.
    floor, mark = reading.end - settings.clock_margin, reading.end
    return evolve(
        checkpoint,
        high_water_mark=max(mark, checkpoint.high_water_mark or mark),
        index_floor=max(floor, checkpoint.index_floor or floor),
        reconciled_at=reading.end,
        reading=None,
        # What was cut off was read again, in the version that it has now, whichever that is.
        doubtful_until=None,
    )


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
