"""Objects that the host wants forgotten: removed from all stores, and kept out from then on."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from hubspot_sync._actions import End
from hubspot_sync._engine.stopping import stop_as_error
from hubspot_sync._engine.stream.delivery import Delivery
from hubspot_sync._engine.stream.gone import deliver_ends
from hubspot_sync._engine.stream.lease import awaited_lease
from hubspot_sync._engine.stream.rejected import RejectedActions
from hubspot_sync._ownership import new_owner_name
from hubspot_sync.errors import LeaseHeldError
from hubspot_sync.models import (
    ActionKind,
    Counts,
    ErasureReport,
    Evidence,
    Fingerprint,
    Gone,
    to_milliseconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync.models import StreamKey

_AT_ONCE: Final = 1_000
_ANY_VERSION: Final = 2**63 - 1


def erase(
    context: RunContext, stream: StreamKey, object_ids: Sequence[str], *, label: str | None
) -> ErasureReport:
    """Remove objects of *stream* from all stores, tell the sink, and keep them out.

    A stream that is being synced is waited for, ten seconds in all. A tombstone is committed
    first, so that no sync brings back what is removed behind it; each step is taken again when it
    is done already. So whatever ends this, the same call once more does what is left.

    Args:
        context: What to work with.
        stream: The stream, which nothing may be known of.
        object_ids: HubSpot's ids, known or not.
        label: What people call one of the objects, for custom types.

    Raises:
        ActionRejectedError: The sink, or a validator, refuses to be told, and there is no error
            queue; all is removed.
        LeaseHeldError: The stream is still being synced; nothing was removed.
        StoreUnavailableError: A store stays away, or the engine was stopped.
        TooManyRejectedError: The sink refuses to be told, of nearly all objects; all is removed.
    """
    clock = context.clock
    unfinished = "before all was erased; ask again"
    try:
        with (
            stop_as_error(unfinished, stream.account, stream.object_type),
            awaited_lease(context, stream, new_owner_name()) as progress,
        ):
            erasure = _Erasure(context, progress, label, to_milliseconds(clock.now()))
            return erasure.run(object_ids)
    except LeaseHeldError as held:
        raise LeaseHeldError(
            f"{held.owner} is synchronising {stream.object_type}, so nothing was erased; ask again "
            "when that has ended",
            owner=held.owner,
            account=str(stream.account),
            stream=stream.object_type,
        ) from None


class _Erasure:
    """Erases objects of one stream, while its lease is held.

    Args:
        context: The stores.
        progress: What was delivered, and the right to commit.
        label: What people call one of the objects.
        looked: The present, in milliseconds since 1970.
    """

    def __init__(
        self, context: RunContext, progress: Progress, label: str | None, looked: int
    ) -> None:
        self._context = context
        self._progress = progress
        self._stream = progress.stream
        self._label = label
        self._looked = looked
        self._rejected = RejectedActions(context, self._stream)

    def run(self, object_ids: Sequence[str]) -> ErasureReport:
        """Erase *object_ids*, and what was merged into them."""
        self._rejected.look()
        erased, survivors = _related(self._progress, object_ids)
        rejected = stored = 0
        sinks = [one for one in sinks_of(self._context.sink) if hasattr(one, "erase")]
        for some in _chunks(erased):
            self._context.check_stop()
            rejected += self._keep_out(some)
            for sink in sinks:
                call = partial(sink.erase, self._stream, some)
                stored += int(self._context.call(self._stream, call))
        scrub(self._context, partial(self._context.call, self._stream))
        counts = self._tell(erased)
        return ErasureReport(
            stream=self._stream,
            object_ids=tuple(erased),
            rejected=rejected,
            stored=stored,
            told=counts.delivered + counts.repeated,
            refused=counts.rejected,
            survivors=tuple(survivors),
            unable=unable_to(self._context, "erase"),
        )

    def _keep_out(self, object_ids: Sequence[str]) -> int:
        """Leave tombstones, then forget what was refused; of how many objects that was."""
        held = self._rejected.held(object_ids)
        known = self._progress.recall(object_ids)
        tombstones = [
            self._tombstone(one, known.get(one), held.get(one, 0))
            for one in object_ids
            if not _is_erased(known.get(one))
        ]
        if tombstones:
            self._progress.commit(self._progress.load(), tombstones)
        # Of one that is not held there may be remains all the same.
        self._rejected.settle({**dict.fromkeys(object_ids, _ANY_VERSION), **held})
        return len(held)

    def _tombstone(self, object_id: str, before: Fingerprint | None, waits: int) -> Fingerprint:
        """What announces that the sink will be told, behind all that it was told before.

        Its place is the one that the action will have, so that it is the same after a crash.
        """
        fresh = Fingerprint(
            object_id=object_id,
            version=waits or self._looked,
            digest=b"",
            variant=max(self._looked, waits + 1),
            gone=Gone.ERASED,
        )
        if before is None:
            return fresh
        return replace(
            fresh,
            version=max(before.version, waits),
            variant=max(fresh.variant, before.sequence + 1),
            # Until all is removed, so that it is found again by the record that it is part of.
            merged_into=before.merged_into,
        )

    def _tell(self, object_ids: Sequence[str]) -> Counts:
        """Deliver what says that the objects were erased, where that was not done before."""
        ends = [
            End(object_id=one, kind=ActionKind.ERASED, evidence=Evidence.HOST) for one in object_ids
        ]
        delivery = Delivery(
            context=self._context,
            progress=self._progress,
            rejected=self._rejected,
            stored=self._progress.load(),
            begun=True,
        )
        deliver_ends(
            delivery,
            ends,
            context=self._context,
            progress=self._progress,
            rejected=self._rejected,
            looked=self._looked,
            label=self._label,
        )
        return delivery.counts


def sinks_of(sink: Any) -> list[Any]:
    """Return *sink*, or those that it feeds, where it cannot forget by itself."""
    fed = () if hasattr(sink, "erase") else getattr(sink, "sinks", ())
    return [one for inner in fed for one in sinks_of(inner)] if fed else [sink]


def unable_to(context: RunContext, method: str) -> tuple[str, ...]:
    """Return the classes of sinks without *method*."""
    return tuple(
        one.__class__.__name__ for one in sinks_of(context.sink) if not hasattr(one, method)
    )


def scrub(context: RunContext, ask: Callable[[Callable[[], None]], None]) -> None:
    """Remove the remains of what was deleted from the files of all stores that have some.

    Args:
        context: The stores.
        ask: Calls a function that asks a store.
    """
    for part in (context.checkpointer, context.error_queue, *sinks_of(context.sink)):
        if hasattr(part, "scrub"):
            ask(part.scrub)


def _is_erased(fingerprint: Fingerprint | None) -> bool:
    return fingerprint is not None and fingerprint.gone is Gone.ERASED


def _related(progress: Progress, object_ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return *object_ids* with all that was merged into them, and what they were merged into."""
    merged = _merges(progress)
    erased = dict.fromkeys(object_ids)
    for one in merged:
        path = [one]
        while (into := merged.get(path[-1])) is not None and into not in path:
            path.append(into)
        named = [place for place, step in enumerate(path) if step in erased]
        if named:
            erased.update(dict.fromkeys(path[: named[-1]]))
    survivors = dict.fromkeys(
        merged[one] for one in erased if one in merged and merged[one] not in erased
    )
    return list(erased), list(survivors)


def _merges(progress: Progress) -> Mapping[str, str]:
    """What each object of the stream was merged into, of those that were."""
    merged: dict[str, str] = {}
    after: str | None = None
    while page := progress.browse(limit=_AT_ONCE, after=after):
        merged.update((one.object_id, one.merged_into) for one in page if one.merged_into)
        after = page[-1].object_id
    return merged


def _chunks(object_ids: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(object_ids)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
