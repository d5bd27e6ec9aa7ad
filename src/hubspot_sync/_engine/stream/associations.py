"""The associations pass: which records have other associations than those that were delivered.

An association that is added or removed moves no date of the record, so no search finds it. A batch
read tells of 1,000 records at once, and a digest of each record's associations is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._actions import edges_digest, is_gone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import Association, Fingerprint, StreamSettings

_AT_ONCE: Final = 1_000


class AssociationsPass:
    """Compares the associations of all records of a stream with those that were delivered.

    It goes on where an earlier run ended.

    Args:
        source: Reads HubSpot.
        progress: What was delivered, and the right to commit.
        wanted: What is read of each record.
    """

    def __init__(self, *, source: Source, progress: Progress, wanted: StreamSettings) -> None:
        self._source = source
        self._progress = progress
        self._wanted = wanted

    def calls(self) -> int:
        """How many calls a whole comparison takes."""
        steps = -(-self._progress.count() // _AT_ONCE)
        return steps * len(self._wanted.associations)

    def step(self, present: datetime, room: int) -> bool:
        """Compare the next records, and put those that differ among the unread ones.

        Args:
            present: The time at HubSpot, for when the comparison is over.
            room: How many more unread ones the checkpoint has room for.

        Returns:
            Whether there are more.

        Raises:
            HubSpotSyncError: HubSpot or a store could not be asked.
        """
        checkpoint = self._progress.load()
        page = self._progress.browse(limit=_AT_ONCE, after=checkpoint.associations_after)
        differing = self._differing([one for one in page if not is_gone(one)])
        is_last = len(page) < _AT_ONCE
        after = page[-1].object_id if page else None
        if len(differing) > room:
            is_last, after, differing = False, differing[room - 1], differing[:room]
        self._progress.commit(
            evolve(
                checkpoint,
                unread=tuple(dict.fromkeys((*checkpoint.unread, *differing))),
                associations_after=None if is_last else after,
                associations_at=present if is_last else checkpoint.associations_at,
            )
        )
        return not is_last

    def _differing(self, delivered: Sequence[Fingerprint]) -> list[str]:
        """The ids of those whose associations are others now; what is not answered is no reason."""
        object_ids = [one.object_id for one in delivered]
        edges: dict[str, dict[str, tuple[Association, ...]]] = {one: {} for one in object_ids}
        if not object_ids:
            return []
        for to_object_type in self._wanted.associations:
            found = self._source.associations(
                self._wanted.object_type, to_object_type, object_ids
            ).found
            for object_id in object_ids:
                if object_id not in found:
                    edges.pop(object_id, None)
                elif object_id in edges:
                    edges[object_id][to_object_type] = found[object_id]
        return [
            one.object_id
            for one in delivered
            if one.object_id in edges and edges_digest(edges[one.object_id]) != one.edges
        ]
