"""The end of the pipeline: batches go to the sink, and only then is the checkpoint committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve, field, frozen
from msgspec.structs import replace

from hubspot_sync._engine.writing import SinkWriter, Written
from hubspot_sync._processing import unproved
from hubspot_sync.models import BatchStored, Counts

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from hubspot_sync._engine.parts import StoringParts
    from hubspot_sync._engine.refusals import Refusals
    from hubspot_sync.models import Action, Checkpoint, Fingerprint, Lease

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
    """

    actions: tuple[Action, ...]
    fingerprints: tuple[Fingerprint, ...]
    settled: Counts
    checkpoint: Checkpoint
    before: Checkpoint
    outdated: Mapping[str, int] = field(factory=dict)
    known: Mapping[str, Fingerprint] = field(factory=dict)

    def doubtful(self, actions: Iterable[Action]) -> list[Fingerprint]:
        """What may be said of the objects of *actions*, of which the sink may have other values.

        Of one that is delivered again as it was it has no others.
        """
        new = [one for one in self.fingerprints if self.known.get(one.object_id) != one]
        return unproved(new, actions)

    def pieces(self, size: int, most: int) -> Iterator[tuple[Batch, int]]:
        """This batch of *size* bytes in pieces of *most* bytes, each with its size.

        Whole pages may make a batch somewhat larger; it takes large records to cut one. The
        checkpoint moves with the last piece.
        """
        if size < _MUCH_MORE * most:
            yield self, size
            return
        piece: list[Action] = []
        weight = 0
        rest = self
        for action in self.actions:
            weighs = _weight(action)
            if piece and weight + weighs > most:
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


class Delivery:
    """Stores the batches of one stream, one after the other.

    Args:
        parts: The sink, the checkpointer and the settings.
        lease: The right to commit.
        refusals: Takes the actions that are refused.
        stored: The checkpoint, with the pass under way.
        begun: Whether the checkpointer knows of the pass.
    """

    def __init__(
        self,
        *,
        parts: StoringParts,
        lease: Lease,
        refusals: Refusals,
        stored: Checkpoint,
        begun: bool,
    ) -> None:
        self._parts = parts
        self._lease = lease
        self._refusals = refusals
        self._stored = stored
        self._begun = begun
        self._writer = SinkWriter(parts, lease.stream)
        self.counts = Counts()

    def store(self, batch: Batch) -> None:
        """Give *batch* to the sink, keep what is refused of it, and commit its checkpoint.

        Raises:
            ActionRejectedError: An action was refused and there is no error queue; nothing of the
                batch is committed.
            LeaseLostError: Somebody else took the stream over.
            StoreUnavailableError: A store stayed away; nothing of the batch is committed.
            StopRequested: The run was stopped while a store was away.
            TooManyRejectedError: So many actions were refused that the stream ends here; the
                batch is committed.
        """
        self._note(batch)
        self._refusals.announce([one for one in batch.actions if one.object_id in batch.outdated])
        written = self._writer.write(batch.actions)
        self._refusals.keep(written.refusals)
        self._commit(batch, written)
        self._stored = batch.checkpoint
        counts = batch.settled + _counts(written)
        self.counts += counts
        self._parts.notify(
            BatchStored(stream=self._lease.stream, counts=counts, so_far=self.counts)
        )
        self._refusals.judge(written)

    def _note(self, batch: Batch) -> None:
        """Note that the pass has begun before the sink is told anything of it.

        If the run is cut off between the sink's answer and the commit, the next one sees that.
        A variant is noted for each object: its version is known, so afterwards only an unproved
        digest tells that the sink may have other values than those that were committed last.
        """
        variants = batch.doubtful(one for one in batch.actions if one.variant)
        if batch.actions and (variants or not self._begun):
            self._store(self._stored, variants)
            self._begun = True

    def _commit(self, batch: Batch, written: Written) -> None:
        refused = {refusal.action.object_id for refusal in written.refusals}
        # A refused object has no new fingerprint: it was not delivered, so its next version is
        # compared with what the sink has, and if it has nothing, creates the object there.
        fingerprints = {
            one.object_id: one for one in batch.fingerprints if one.object_id not in refused
        }
        # What the sink had before is from a run that was cut off, and may have had other values.
        for one in batch.doubtful(written.unproved):
            fingerprints[one.object_id] = one
        # One that the sink may have lost is not in it again.
        for object_id in refused & batch.known.keys():
            fingerprints[object_id] = replace(batch.known[object_id], digest=b"")
        self._store(batch.checkpoint, list(fingerprints.values()))
        # After the commit, so that an object that is taken out of the queue is in the sink.
        self._refusals.settle(
            {
                object_id: version
                for object_id, version in batch.outdated.items()
                if object_id not in refused
            }
        )

    def _store(self, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint]) -> None:
        self._parts.patience.call(
            self._lease.stream,
            lambda: self._parts.checkpointer.commit(self._lease, checkpoint, fingerprints),
        )


def _weight(action: Action) -> int:
    """Roughly the bytes of *action*: its text, and something for each value."""
    texts = (len(one) for one in action.properties.values() if isinstance(one, str))
    return sum(texts) + _BYTES_A_VALUE * len(action.properties)


def _counts(written: Written) -> Counts:
    return Counts(
        delivered=written.delivered,
        repeated=written.repeated,
        rejected=len(written.refusals),
    )
