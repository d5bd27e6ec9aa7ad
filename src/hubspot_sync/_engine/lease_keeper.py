"""Keeps a lease alive while its stream is worked on."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from hubspot_sync.errors import HubSpotSyncError, LeaseLostError

if TYPE_CHECKING:
    from datetime import timedelta
    from types import TracebackType

    from hubspot_sync.interfaces import Checkpointer
    from hubspot_sync.models import Lease

_RENEWALS_PER_LEASE: Final = 3
_logger = logging.getLogger("hubspot_sync")


class LeaseKeeper:
    """Renews *lease* from a thread of its own until the `with` block ends, then gives it back.

    A lease that is lost is not renewed any more; the store then refuses the next commit.

    Args:
        checkpointer: Where the lease is.
        lease: The lease.
        duration: How long each renewal lasts.
    """

    def __init__(self, checkpointer: Checkpointer, lease: Lease, duration: timedelta) -> None:
        self._checkpointer = checkpointer
        self._lease = lease
        self._duration = duration
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._renew, name=f"hubspot-sync lease {lease.stream}", daemon=True
        )

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._checkpointer.release(self._lease)
        except HubSpotSyncError as error:
            # Whatever it is, the run's own outcome counts.
            _logger.warning("%s: lease not given back, it ends by itself: %s", self._name, error)

    @property
    def _name(self) -> str:
        return str(self._lease.stream)

    def _renew(self) -> None:
        # Real seconds, whatever clock the engine has: the store counts in real seconds too.
        while not self._ended.wait(self._duration.total_seconds() / _RENEWALS_PER_LEASE):
            try:
                self._checkpointer.renew(self._lease, self._duration)
            except LeaseLostError:
                return
            except HubSpotSyncError as error:
                _logger.warning("%s: lease not renewed yet: %s", self._name, error)
