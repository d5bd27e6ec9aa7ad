"""Objects that are on their way to the sink: what becomes of them is not known yet."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hubspot_sync._queue import QueueClosedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubspot_sync.models import Fingerprint, Record


class InFlight:
    """The versions of objects between their processing and the commit.

    A newer version of such an object has to wait: whether it is a creation or an update, and
    whether anything has changed, depends on whether the sink takes the older one.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._fingerprints: dict[str, Fingerprint] = {}
        self._abandoned = False

    def add(self, fingerprints: Iterable[Fingerprint]) -> None:
        """These set out."""
        with self._changed:
            self._fingerprints.update((one.object_id, one) for one in fingerprints)

    def remove(self, fingerprints: Iterable[Fingerprint]) -> None:
        """These have arrived, in the sink or in the error queue."""
        with self._changed:
            for one in fingerprints:
                self._fingerprints.pop(one.object_id, None)
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nothing more will arrive."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()

    def same_or_newer(self, records: Sequence[Record]) -> Mapping[str, Fingerprint]:
        """What of *records* is on its way; waits until no older versions of them are.

        Raises:
            QueueClosedError: Nothing more will arrive.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or not self._any_older(records))
            if self._abandoned:
                raise QueueClosedError
            return {
                record.object_id: fingerprint
                for record in records
                if (fingerprint := self._fingerprints.get(record.object_id)) is not None
            }

    def _any_older(self, records: Sequence[Record]) -> bool:
        return any(
            (fingerprint := self._fingerprints.get(record.object_id)) is not None
            and fingerprint.version < record.version
            for record in records
        )
