"""Marks in the checkpoints: the next sync compares all records, or delivers them again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync._engine.stopping import stop_as_error
from hubspot_sync._engine.stream.lease import PATIENCE_SECONDS, awaited_lease
from hubspot_sync._ownership import new_owner_name
from hubspot_sync._windows import marked
from hubspot_sync.errors import LeaseHeldError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync.models import StreamKey


def mark(
    context: RunContext,
    streams: Sequence[StreamKey],
    *,
    redeliver: bool,
    confirmed: bool = False,
) -> None:
    """Let the next sync of *streams* compare all records, or deliver them again.

    Each mark is written under the lease of its stream, so that no run overwrites it. A stream that
    is being synced is waited for, ten seconds in all.

    Args:
        context: What to work with.
        streams: Streams of one account.
        redeliver: Whether all records are to be delivered again, and not only compared.
        confirmed: Whether what is found to be gone is to be believed, however many they are.

    Raises:
        LeaseHeldError: One of them is still being synced; the others are marked.
        StoreUnavailableError: The checkpointer stays away, or the engine was stopped.
    """
    owner = new_owner_name()
    until = context.clock.monotonic() + PATIENCE_SECONDS
    busy: dict[StreamKey, LeaseHeldError] = {}
    unfinished = "before all streams were marked; ask again"
    for stream in streams:
        try:
            with (
                stop_as_error(unfinished, stream.account),
                awaited_lease(context, stream, owner, until=until) as progress,
            ):
                _mark(progress, redeliver=redeliver, confirmed=confirmed)
        except LeaseHeldError as held:
            busy[stream] = held
    if busy:
        raise _still_busy(busy)


def confirm(context: RunContext, streams: Sequence[StreamKey]) -> int:
    """Let the next sync of *streams* tell of the deletions that are suspected there.

    Returns:
        How many were suspected.

    Raises:
        LeaseHeldError: One of them is being synced; the others are confirmed.
        StoreUnavailableError: The checkpointer stays away, or the engine was stopped.
    """
    suspected = 0
    for stream in streams:
        known = context.ask(
            "store", partial(context.checkpointer.load, stream), stream.account
        ).suspected
        if known:
            mark(context, [stream], redeliver=False, confirmed=True)
            suspected += known
    return suspected


def _mark(progress: Progress, *, redeliver: bool, confirmed: bool) -> None:
    before = progress.load()
    after = marked(before, redeliver=redeliver)
    after = evolve(after, confirmed=after.confirmed or confirmed)
    if after != before:
        progress.commit(after)


def _still_busy(busy: Mapping[StreamKey, LeaseHeldError]) -> LeaseHeldError:
    first, held = next(iter(busy.items()))
    named = " and ".join(one.object_type for one in busy)
    return LeaseHeldError(
        f"{held.owner} is synchronising {named}, which could not be marked; all others are, so ask "
        "again when that has ended",
        owner=held.owner,
        account=str(first.account),
        stream=first.object_type,
    )
