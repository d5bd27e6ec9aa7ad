"""Refused actions are tried again: those that are due, and those that a host asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync._actions import as_update, fingerprint_of
from hubspot_sync._engine.stream.batch import Batch
from hubspot_sync._engine.stream.delivery import Delivery
from hubspot_sync.models import ActionKind, Counts, RetryCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync._engine.stream.rejected import RejectedActions
    from hubspot_sync.models import Action, Checkpoint, Fingerprint, RejectedAction


class Retry:
    """Tries rejected actions of one stream again, while its lease is held.

    Args:
        context: The stores and the settings.
        progress: What was delivered before, and the right to commit.
        rejected: Where they wait.
        stored: The checkpoint, which stays as it is.

    Attributes:
        counts: What became of them.
    """

    def __init__(
        self,
        *,
        context: RunContext,
        progress: Progress,
        rejected: RejectedActions,
        stored: Checkpoint,
    ) -> None:
        self._context = context
        self._progress = progress
        self._stored = stored
        self._delivery = Delivery(
            context=context,
            progress=progress,
            rejected=rejected,
            stored=stored,
            begun=True,
        )
        self.counts = RetryCounts()

    def run(self, pages: Iterable[Sequence[RejectedAction]]) -> None:
        """Bring what was rejected before to the sink, and take it out of the error queue.

        A version that is older than the last one delivered is dropped: the sink may keep the
        latest version of each object, and one that keeps them all was told of a later one already.
        So what a sink gets of an object always comes in the order of its versions.

        Args:
            pages: What to try, page by page.

        Raises:
            HubSpotSyncError: What ended it; what was tried before is settled.
            StopRequested: The run was stopped.
        """
        for waiting in pages:
            self._context.check_stop()
            self._try(waiting)

    def _try(self, waiting: Sequence[RejectedAction]) -> None:
        known = self._progress.recall([one.action.object_id for one in waiting])
        superseded = sum(_is_superseded(one, known) for one in waiting)
        written, parked = self._delivery.deliver(self._batch(waiting, known))
        rejected = len(written.rejections)
        self.counts += RetryCounts(
            delivered=len(waiting) - superseded - rejected,
            superseded=superseded,
            rejected=rejected - parked,
            parked=parked,
        )

    def _batch(self, waiting: Sequence[RejectedAction], known: Mapping[str, Fingerprint]) -> Batch:
        """What waits, as a batch behind which the stream is as far as it was."""
        track = self._context.settings.track_changes
        actions = tuple(
            _timely(one.action, known) for one in waiting if not _is_settled(one, known)
        )
        return Batch(
            actions=actions,
            fingerprints=tuple(fingerprint_of(action, track=track) for action in actions),
            settled=Counts(),
            checkpoint=self._stored,
            before=self._stored,
            outdated={one.action.object_id: one.action.version for one in waiting},
            tried={one.action.object_id: one for one in waiting},
        )


def _is_superseded(one: RejectedAction, known: Mapping[str, Fingerprint]) -> bool:
    """Whether a newer version was delivered."""
    delivered = known.get(one.action.object_id)
    return delivered is not None and delivered.sequence > one.action.sequence


def _is_settled(one: RejectedAction, known: Mapping[str, Fingerprint]) -> bool:
    """Whether it was delivered, or a newer version was.

    Of a variant that alone says nothing that its version was delivered. No later variant can have
    been: a reconcile pass leaves alone what waits in the version that it finds. Nor does it where
    the sink may have lost that version.
    """
    action = one.action
    delivered = known.get(action.object_id)
    if delivered is None or delivered.version != action.version:
        return _is_superseded(one, known)
    proved = bool(delivered.digest) and not action.variant
    return proved or delivered.digest == fingerprint_of(action).digest


def _timely(action: Action, known: Mapping[str, Fingerprint]) -> Action:
    """A creation, if the object was delivered in another version meanwhile, is an update.

    Where the sink may have lost that one, it is the sink that tells.
    """
    before = known.get(action.object_id)
    if action.kind is ActionKind.CREATED and before is not None and before.digest:
        return as_update(action)
    return action
