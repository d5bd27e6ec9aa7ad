"""Keeps a lease alive while its stream is worked on."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

from hubspot_sync._clock import StopRequested
from hubspot_sync._threads import new_thread
from hubspot_sync.errors import HubSpotSyncError, LeaseLostError, StoreUnavailableError

if TYPE_CHECKING:
    from types import TracebackType

    from hubspot_sync._engine.parts import StoringParts
    from hubspot_sync.models import Lease

_RENEWALS_PER_LEASE: Final = 3
_logger = logging.getLogger("hubspot_sync")


class LeaseKeeper:
    """Renews *lease* from a thread of its own until the `with` block ends, then gives it back.

    A lease that is lost is not renewed any more; the store then refuses the next commit.

    Args:
        parts: Where the lease is, and how long each renewal lasts.
        lease: The lease.
    """

    def __init__(self, parts: StoringParts, lease: Lease) -> None:
        self._checkpointer = parts.checkpointer
        self._patience = parts.patience
        self._duration = parts.settings.lease_duration
        self._lease = lease
        self._ended = threading.Event()
        self._thread = new_thread(self._renew, f"lease {lease.stream}")

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
            self._release(patiently=not isinstance(exc_value, StoreUnavailableError))
        except (HubSpotSyncError, StopRequested) as error:
            # Whatever it is, the run's own outcome counts.
            _logger.warning("%s: lease not given back, it ends by itself: %s", self._name, error)

    def _release(self, *, patiently: bool) -> None:
        if patiently:
            stream = self._lease.stream
            self._patience.call(stream, lambda: self._checkpointer.release(self._lease))
        else:
            self._checkpointer.release(self._lease)

    @property
    def _name(self) -> str:
        return str(self._lease.stream)

    def _renew(self) -> None:
        # Real seconds, whatever clock the engine has: the store counts in real seconds too.
        # Without the engine's patience: the next renewal is the next try.
        while not self._ended.wait(self._duration.total_seconds() / _RENEWALS_PER_LEASE):
            try:
                self._checkpointer.renew(self._lease, self._duration)
            except LeaseLostError:
                return
            except HubSpotSyncError as error:
                _logger.warning("%s: lease not renewed yet: %s", self._name, error)
