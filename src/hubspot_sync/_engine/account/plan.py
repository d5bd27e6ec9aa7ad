"""What the next sync of an account will read and cost, for a few calls a stream.

Search counts the records, and one page of the list shows whether all that is wanted fits into one
call and which associations have to be asked for apart.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from hubspot_sync._engine.account.names import opened
from hubspot_sync._windows import comparisons_a_day, for_reference, plan_pass, with_properties
from hubspot_sync.models import (
    IdRange,
    Mode,
    Page,
    Pass,
    StreamKey,
    StreamPlan,
    SyncPlan,
)
from hubspot_sync.models._checks import EPOCH
from hubspot_sync.models.object_types import is_reference

if TYPE_CHECKING:
    from datetime import datetime

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import Account, StreamSettings

# Records of which associations are read with one call.
_AT_ONCE: Final = 1_000
# What reading a list side by side and proving it complete takes, as it was counted for lists of 10
# to 1,000 pages: a call for 12 pages, and no more than 13.
_PAGES_A_CALL: Final = 12
_MOST_EXTRA: Final = 13
# A pass that compares is followed by a window up to the present and a look for deletions.
_AFTERWARDS: Final = 2


def plan(context: RunContext, account: Account) -> SyncPlan:
    """Say what the next sync of *account* will read and cost; nothing is stored.

    Args:
        context: The stores, and what opens the account.
        account: What would be read of it.

    Raises:
        HubSpotSyncError: HubSpot or a store could not be asked.
    """
    with closing(opened(context, account)) as source:
        source.identify()
        streams = tuple(_planned(context, source, account, one) for one in account.streams)
        return SyncPlan(
            account=account.key,
            streams=streams,
            quota=source.quota(),
            spent=_spent(source),
        )


def _planned(
    context: RunContext, source: Source, account: Account, given: StreamSettings
) -> StreamPlan:
    context.check_stop()
    wanted = source.resolve(given)
    stream = StreamKey(account.key, wanted.object_type)
    present, settings = source.server_time(), context.settings
    if is_reference(stream.object_type):
        settings = for_reference(settings)
    checkpoint = context.call(stream, lambda: context.checkpointer.load(stream))
    reading = plan_pass(checkpoint, present, settings)
    if reading is not checkpoint.reading:
        properties = source.properties(wanted, checkpoint.properties)
        reading = with_properties(checkpoint, reading, properties, present)
    if is_reference(stream.object_type):
        return _of_reference_data(source, stream, wanted, given, reading)
    records = source.count(wanted)
    if records is None:
        return StreamPlan(stream=stream, name=given.object_type, mode=reading.mode)
    sweep = -(-records // _AT_ONCE) * len(wanted.associations)
    calls = 1
    if reading.mode is not Mode.INCREMENTAL:
        if reading is checkpoint.reading and reading.mode is Mode.BACKFILL:
            done = context.call(stream, lambda: context.checkpointer.count(stream))
            records = max(records - done, 0)
        calls = _calls(source, wanted, records, present, settings.batch_size)
        calls += _AFTERWARDS if reading.mode is Mode.RECONCILE else 0
    return StreamPlan(
        stream=stream,
        name=given.object_type,
        mode=reading.mode,
        records=records,
        calls=calls,
        sweep_calls=sweep,
        sweeps_a_day=comparisons_a_day(sweep, settings),
    )


def _calls(
    source: Source, wanted: StreamSettings, records: int, present: datetime, batch_size: int
) -> int:
    """How many calls it takes to read *records*, by the first page of them."""
    before = _spent(source)
    page = first_page(source, wanted, present)
    calls_a_page = 2 if _spent(source) - before > 1 else 1
    sample = len(page.records) + len(page.skipped)
    pages = 1
    if page.ranges and sample:
        pages = max(-(-records // sample), 1)
    calls = pages * calls_a_page + min(pages // _PAGES_A_CALL, _MOST_EXTRA)
    # The definitions of the properties, and two counts that prove that the list was complete.
    calls += 2 + bool(records)
    return calls + sum(
        _calls_for_associations(page, to_object_type, records, batch_size)
        for to_object_type in wanted.associations
    )


def _calls_for_associations(page: Page, to_object_type: str, records: int, batch_size: int) -> int:
    """How many calls the associations take that do not come with the records."""
    lacking = sum(to_object_type not in one.associations for one in page.records)
    if not lacking:
        return 0
    full, rest = divmod(records, batch_size)
    share = lacking / len(page.records)
    a_batch = -(-round(share * batch_size) // _AT_ONCE)
    return full * max(a_batch, 1) + (-(-max(round(share * rest), 1) // _AT_ONCE) if rest else 0)


def first_page(source: Source, wanted: StreamSettings, present: datetime) -> Page:
    """The first records of a stream in the order of their ids, with one call if that is enough.

    Raises:
        HubSpotSyncError: As `Source.read` raises it.
    """
    listed = Pass(mode=Mode.INCREMENTAL, start=EPOCH, end=present, ranges=(IdRange(listed=True),))
    pages = source.read(wanted, listed)
    try:
        return next(iter(pages), Page(records=()))
    finally:
        close = getattr(pages, "close", None)
        if close is not None:
            close()


def _of_reference_data(
    source: Source, stream: StreamKey, wanted: StreamSettings, given: StreamSettings, reading: Pass
) -> StreamPlan:
    """What there is of it is known by reading it, which is what a sync does."""
    if reading.mode is Mode.INCREMENTAL:
        return StreamPlan(
            stream=stream, name=given.object_type, mode=reading.mode, records=0, calls=0
        )
    before = _spent(source)
    pages = list(source.read(wanted, reading))
    return StreamPlan(
        stream=stream,
        name=given.object_type,
        mode=reading.mode,
        records=sum(len(page.records) for page in pages),
        calls=_spent(source) - before,
    )


def _spent(source: Source) -> int:
    return sum(source.api_calls().values())
