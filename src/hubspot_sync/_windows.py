"""Which part of a stream to read next: pure planning, no I/O."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._clock import SLACK
from hubspot_sync.models import Checkpoint, IdRange, Mode, Pass
from hubspot_sync.models.accounts import LEAST_CALLS_A_DAY

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hubspot_sync.models import ListedSpan, PropertySet, Record, SyncSettings

_MILLISECOND: Final = timedelta(milliseconds=1)
# JSON numbers are exact up to here, and HubSpot sends some ids as numbers.
_BEYOND_ALL_IDS: Final = 2**53
_DAY: Final = timedelta(days=1)
# 1 % of the least that an account may ask for.
_CALLS_A_DAY: Final = LEAST_CALLS_A_DAY // 100


def grounded(
    checkpoint: Checkpoint,
    server_time: datetime,
    latest: Callable[[], datetime],
    settings: SyncSettings,
) -> Checkpoint:
    """*checkpoint* with nothing in it that lies in HubSpot's future.

    Where a clock was wrong, the mark may promise what is still to come: all that is modified up to
    it would count as read already. Nor is it known then since when the clock was wrong, so a mark
    that falls leaves none behind, and all records are compared. The fingerprints make that cheap
    for the sink. A pass under way that ends in the future is begun again.

    Args:
        checkpoint: What is stored.
        server_time: The earliest that the present time at HubSpot can be.
        latest: Gives the latest that it can be; asked only where that matters.
        settings: The clock margin.
    """
    margin = max(settings.clock_margin, SLACK)
    reading = checkpoint.reading
    instants = (
        checkpoint.high_water_mark,
        checkpoint.index_floor,
        checkpoint.reconciled_at,
        checkpoint.archived_at,
        checkpoint.associations_at,
        checkpoint.doubtful_until,
        checkpoint.reconcile_since,
        reading.end if reading else None,
    )
    if all(one is None or one <= server_time + margin for one in instants):
        return checkpoint
    limit = latest() + margin

    def proved(instant: datetime | None) -> datetime | None:
        return None if instant is None or instant > limit else instant

    def reached(instant: datetime | None) -> datetime | None:
        return instant and (proved(instant) or server_time)

    mark, fell_from = proved(checkpoint.high_water_mark), checkpoint.fell_from
    if mark != checkpoint.high_water_mark:
        fell_from = checkpoint.high_water_mark
    goes_on = reading is None or proved(reading.end) is not None
    return evolve(
        checkpoint,
        high_water_mark=mark,
        fell_from=fell_from,
        index_floor=mark and proved(checkpoint.index_floor),
        reconciled_at=proved(checkpoint.reconciled_at),
        archived_at=proved(checkpoint.archived_at),
        associations_at=proved(checkpoint.associations_at),
        reading=reading if goes_on else None,
        # As after any pass that was cut off.
        doubtful_until=reached(checkpoint.doubtful_until) if goes_on else server_time,
        reconcile_since=reached(checkpoint.reconcile_since),
    )


def plan_pass(
    checkpoint: Checkpoint,
    server_time: datetime,
    settings: SyncSettings,
    *,
    compared: bool = False,
) -> Pass:
    """The pass to read now: what an earlier run left over, else a new one.

    Args:
        checkpoint: How far the stream is; `grounded`.
        server_time: The present time at HubSpot, asked before anything is read.
        settings: Lookback, settle lag, clock margin, and how often to reconcile.
        compared: Whether this run has compared all records, so that no settings ask for it.
    """
    if checkpoint.reading is not None and not _is_obsolete(checkpoint.reading, checkpoint):
        return checkpoint.reading
    whole = Pass(
        mode=Mode.RECONCILE,
        end=_unused_end(checkpoint, server_time),
        redelivers=checkpoint.redeliver,
    )
    if checkpoint.high_water_mark is None:
        is_known = checkpoint.fell_from is not None or checkpoint.redeliver
        return whole if is_known else Pass(mode=Mode.BACKFILL, end=server_time)
    is_due = not compared and _is_due(checkpoint, server_time, settings)
    if is_due or checkpoint.redeliver or _lacks(checkpoint, checkpoint.reconcile_since):
        return whole
    start = checkpoint.high_water_mark - _overlap(settings)
    if checkpoint.index_floor is not None:
        start = max(start, checkpoint.index_floor)
    # The mark falls only in `grounded`, not where clocks differ by what is to be expected.
    end = max(server_time - settings.settle_lag, checkpoint.high_water_mark)
    return Pass(mode=Mode.INCREMENTAL, start=start, end=end)


def with_properties(
    checkpoint: Checkpoint, reading: Pass, properties: PropertySet, server_time: datetime
) -> Pass:
    """The new pass *reading*, in which *properties* are read.

    What was delivered before was read without those that have come since, however new its
    fingerprint is; so in place of a window all records are compared once.
    """
    before = checkpoint.properties
    if reading.mode is Mode.INCREMENTAL and before is not None and properties.adds_to(before):
        reading = Pass(mode=Mode.RECONCILE, end=_unused_end(checkpoint, server_time))
    return evolve(reading, properties=properties)


def _overlap(settings: SyncSettings) -> timedelta:
    return max(settings.lookback, settings.clock_margin)


def is_late(record: Record, checkpoint: Checkpoint, reading: Pass, settings: SyncSettings) -> bool:
    """Whether *record*, which is new to *reading*, should have been in the pass before it.

    That was a pass over all records, and *record* was modified before it ended, unless HubSpot
    stamps records by a clock that is behind the one that `Pass.end` came from. Half of the margin
    is what may be used up without more of that being likely to lie beyond the margin, where the
    floor hides it.
    """
    mark, floor = checkpoint.high_water_mark, checkpoint.index_floor
    if mark is None or floor is None or reading.start != floor:
        return False
    return floor <= record.modified_at < mark - settings.clock_margin / 2


def look_deeper(checkpoint: Checkpoint) -> Checkpoint:
    """*checkpoint* after a window that began too late: the next one looks back all the way."""
    return evolve(checkpoint, index_floor=None, reading=None)


def marked(checkpoint: Checkpoint, *, redeliver: bool) -> Checkpoint:
    """*checkpoint* with the mark that all records are to be compared, or delivered again.

    A pass over all records that has begun already is not the one that is asked for now; but who
    asks for a comparison once more before it is done asks for the same. A new stream is read as a
    whole in any case.
    """
    since, reading = checkpoint.reconcile_since, checkpoint.reading
    if checkpoint == Checkpoint() or (_lacks(checkpoint, since) and not redeliver):
        return checkpoint
    begun = reading.end if reading is not None and reading.is_whole else None
    ends = [one for one in (since, checkpoint.reconciled_at, begun) if one is not None]
    last = max(ends, default=checkpoint.high_water_mark)
    return evolve(
        checkpoint,
        reconcile_since=last and last + _MILLISECOND,
        redeliver=checkpoint.redeliver or redeliver,
    )


def _is_obsolete(reading: Pass, checkpoint: Checkpoint) -> bool:
    """Whether *reading* would deliver what is delivered again by the pass that is asked for.

    A sink that was emptied should not be told of changes first, and of the creation later.
    """
    since = checkpoint.reconcile_since
    is_older = since is not None and reading.end < since
    return checkpoint.redeliver and (not reading.redelivers or is_older)


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
    return _is_over(checkpoint.reconciled_at, settings.reconcile_every, server_time)


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
    if reading.mode in (Mode.ARCHIVED, Mode.ASSOCIATIONS):
        return evolve(checkpoint, reading=None)
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
        associations_at=reading.end,
        associations_after=None,
        # What is missing in a later pass over all records is for the session to settle.
        archived_at=reading.end if reading.mode is Mode.BACKFILL else None,
        fell_from=None,
        redeliver=checkpoint.redeliver and not reading.redelivers,
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


def for_reference(settings: SyncSettings) -> SyncSettings:
    """*settings* for a stream of reference data: it is read as a whole, or not at all."""
    return evolve(
        settings,
        reconcile_every=settings.reference_every,
        archived_every=None,
        associations_every=None,
    )


def archived_due(checkpoint: Checkpoint, server_time: datetime, settings: SyncSettings) -> bool:
    """Whether deletions are to be looked for now."""
    return _is_over(checkpoint.archived_at, settings.archived_every, server_time)


def associations_due(
    checkpoint: Checkpoint,
    server_time: datetime,
    settings: SyncSettings,
    calls: Callable[[], int],
) -> bool:
    """Whether associations are to be compared now.

    They are as often as settings say, and as their share of HubSpot's smallest daily quota allows.

    Args:
        checkpoint: How far the stream is.
        server_time: The present time at HubSpot.
        settings: How often that is wanted.
        calls: Counts the calls that a comparison takes; asked only where it may be due.
    """
    every = settings.associations_every
    if every is None or checkpoint.associations_after is not None:
        return every is not None
    last = checkpoint.associations_at
    if not _is_over(last, every, server_time):
        return False
    return _is_over(last, _DAY * calls() / _CALLS_A_DAY, server_time)


def comparisons_a_day(calls: int, settings: SyncSettings) -> float:
    """How often in a day associations are compared; see `associations_due`.

    Args:
        calls: How many calls a comparison takes.
        settings: How often that is wanted.
    """
    if settings.associations_every is None or not calls:
        return 0.0
    return min(_DAY / settings.associations_every, _CALLS_A_DAY / calls)


def _is_over(last: datetime | None, every: timedelta | None, now: datetime) -> bool:
    return every is not None and (last is None or last + every <= now)


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
