"""A batch: what goes to the sink together, what holds once it is there, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve, field, frozen
from msgspec.structs import replace

from hubspot_sync._actions import unproved
from hubspot_sync.models import ActionKind, Counts

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from typing import Any

    from hubspot_sync._engine.stream.rejected import Rejection
    from hubspot_sync.models import Action, Checkpoint, Fingerprint, RejectedAction

_MUCH_MORE: Final = 1.5
_BYTES_A_VALUE: Final = 50


@frozen(kw_only=True)
class Batch:
    """Actions for the sink, and what holds once they are stored.

    Attributes:
        actions: What to store.
        fingerprints: What is known of the objects then.
        settled: Records that ended before the sink.
        checkpoint: How far the stream is then.
        before: How far it was before, with the pass under way.
        outdated: Versions of objects of which an older one waits in the error queue.
        known: What was delivered of the objects before, where they are delivered again.
        tried: What waited in the error queue and is tried again, by object id.
    """

    actions: tuple[Action, ...]
    fingerprints: tuple[Fingerprint, ...]
    settled: Counts
    checkpoint: Checkpoint
    before: Checkpoint
    outdated: Mapping[str, int] = field(factory=dict)
    known: Mapping[str, Fingerprint] = field(factory=dict)
    tried: Mapping[str, RejectedAction] = field(factory=dict)

    def doubtful(self, actions: Iterable[Action]) -> list[Fingerprint]:
        """What may be said of the objects of *actions*, of which the sink may have other values.

        Of one that is delivered again as it was it has no others.
        """
        new = [one for one in self.fingerprints if self.known.get(one.object_id) != one]
        return unproved(new, actions)

    def created(self) -> dict[str, int]:
        """The versions of objects of which the sink was told nothing that was committed."""
        return {
            one.object_id: one.version
            for one in self.actions
            if one.kind is ActionKind.CREATED and one.object_id not in self.known
        }

    def delivered(self, written: Written) -> list[Fingerprint]:
        """What is known of the objects after *written*."""
        rejected = written.rejected_ids
        # A rejected object has no new fingerprint: it was not delivered, so its next version is
        # compared with what the sink has, and if it has nothing, creates the object there.
        fingerprints = {
            one.object_id: one for one in self.fingerprints if one.object_id not in rejected
        }
        # What the sink had before is from a run that was cut off, and may have had other values;
        # what tells that an object is gone has none.
        for one in self.doubtful(one for one in written.unproved if not one.kind.gone):
            if one.object_id in fingerprints:
                fingerprints[one.object_id] = one
        # One that the sink may have lost is not in it again.
        for object_id in rejected & self.known.keys():
            fingerprints[object_id] = replace(self.known[object_id], digest=b"")
        return list(fingerprints.values())

    def pieces(self, size: int, most: int, number: int) -> Iterator[tuple[Batch, int]]:
        """This batch of *size* bytes in pieces of *most* bytes and *number* actions.

        Whole pages may make a batch somewhat larger; it takes large records to cut one, or a page
        of many. The checkpoint moves with the last piece.

        Returns:
            Each with its size.
        """
        if size < _MUCH_MORE * most and len(self.actions) < _MUCH_MORE * number:
            yield self, size
            return
        piece: list[Action] = []
        weight = 0
        rest = self
        for action in self.actions:
            weighs = _weight(action)
            if piece and (weight + weighs > most or len(piece) >= number):
                done = {one.object_id for one in piece}
                yield rest._of(done, settled=Counts(), checkpoint=self.before), weight
                rest = rest._of({one.object_id for one in rest.fingerprints} - done)
                piece, weight = [], 0
            piece.append(action)
            weight += weighs
        yield rest, weight

    def _of(self, object_ids: Container[str], **changes: Any) -> Batch:
        """What this batch says of some objects."""
        return evolve(
            self,
            actions=tuple(one for one in self.actions if one.object_id in object_ids),
            fingerprints=tuple(one for one in self.fingerprints if one.object_id in object_ids),
            outdated={one: version for one, version in self.outdated.items() if one in object_ids},
            **changes,
        )


@frozen(kw_only=True)
class Written:
    """What became of some actions.

    Attributes:
        delivered: How many the sink accepted.
        repeated: Those that it held already.
        unproved: Those of which it, or a part of it, may have other values: what it held already.
        rejections: Those that it, or a validator, rejected.
    """

    delivered: int = 0
    repeated: int = 0
    unproved: tuple[Action, ...] = ()
    rejections: tuple[Rejection, ...] = ()

    def __add__(self, other: Written) -> Written:
        return Written(
            delivered=self.delivered + other.delivered,
            repeated=self.repeated + other.repeated,
            unproved=self.unproved + other.unproved,
            rejections=self.rejections + other.rejections,
        )

    @property
    def rejected_ids(self) -> set[str]:
        """The objects whose action was rejected."""
        return {one.action.object_id for one in self.rejections}


def _weight(action: Action) -> int:
    """Roughly the bytes of *action*: its text, and something for each value."""
    texts = (len(one) for one in action.properties.values() if isinstance(one, str))
    return sum(texts) + _BYTES_A_VALUE * len(action.properties)
