"""Marks in the checkpoints: the next sync compares all records, or delivers them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.leases import held_lease
from hubspot_sync._windows import marked
from hubspot_sync.errors import ConfigurationError, LeaseHeldError, StoreUnavailableError
from hubspot_sync.models import StreamKey
from hubspot_sync.models.accounts import object_types_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubspot_sync._engine.parts import StoringParts
    from hubspot_sync.models import Account

_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.5


def streams_of(account: Account, object_types: Iterable[str] | None) -> list[StreamKey]:
    """The streams of *account*, or those of these object types.

    Raises:
        ConfigurationError: *object_types* is no list of names, or the account has no such stream.
    """
    known = [StreamKey(account.key, one.object_type) for one in account.streams]
    if object_types is None:
        return known
    wanted = object_types_of(object_types)
    unknown = set(wanted) - {one.object_type for one in known}
    if unknown:
        raise ConfigurationError(
            f"the account has no stream of {', '.join(sorted(unknown))}; give some of "
            f"{', '.join(one.object_type for one in known)}",
            account=str(account.key),
        )
    return [one for one in known if one.object_type in wanted]


class Marks:
    """Writes marks, each under the lease of its stream, so that no run overwrites it.

    Args:
        parts: What storing takes.
        owner: Who takes the leases.
        redeliver: Whether all records are to be delivered again, and not only compared.
    """

    def __init__(self, *, parts: StoringParts, owner: str, redeliver: bool) -> None:
        self._parts = parts
        self._owner = owner
        self._redeliver = redeliver

    def set(self, streams: Sequence[StreamKey]) -> None:
        """Mark *streams*; one that is being synced is waited for, ten seconds in all.

        Raises:
            LeaseHeldError: One of them is still being synced; the others are marked.
            StoreUnavailableError: The checkpointer stays away, or the engine was stopped.
        """
        clock = self._parts.clock
        ends = clock.monotonic() + _PATIENCE_SECONDS
        try:
            while busy := {one: held for one in streams if (held := self._mark(one))}:
                if clock.monotonic() >= ends:
                    raise _still_busy(busy)
                clock.sleep(_PAUSE_SECONDS, self._parts.stop)
                streams = list(busy)
        except StopRequested:
            raise StoreUnavailableError(
                "the engine was stopped before all streams were marked; ask again",
                account=str(streams[0].account),
            ) from None

    def _mark(self, stream: StreamKey) -> LeaseHeldError | None:
        """Mark *stream*; what keeps it from being marked for now."""
        checkpointer = self._parts.checkpointer
        try:
            with held_lease(self._parts, stream, self._owner) as lease:
                before = self._parts.patience.call(stream, lambda: checkpointer.load(stream))
                after = marked(before, redeliver=self._redeliver)
                if after != before:
                    self._parts.patience.call(stream, lambda: checkpointer.commit(lease, after))
        except LeaseHeldError as held:
            return held
        return None


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
