"""What an engine is doing just now, so that nothing is closed under it."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar

from hubspot_sync._clock import StopSignal
from hubspot_sync.errors import ConfigurationError, HubSpotSyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 30.0
_logger = logging.getLogger("hubspot_sync")


class Lifetime:
    """Counts what runs, refuses what comes after `close`, and closes when nothing runs any more.

    Nothing here takes a lock, so `close` may come from a signal handler, whatever that interrupts.

    Args:
        on_close: Closes what the operations work with; called once.
    """

    def __init__(self, on_close: Callable[[], None] | None) -> None:
        self._on_close = [on_close or _nothing]
        self._process = os.getpid()
        self._running: dict[object, str] = {}
        self._closing = False
        self._ended = StopSignal()

    @contextmanager
    def under_way(self, name: str) -> Iterator[None]:
        """Keep open what the block works with.

        Args:
            name: What it does, in words.

        Raises:
            ConfigurationError: All was closed, or is about to be, or belongs to another process.
        """
        token = object()
        before = _under_way.get()
        try:
            # In this order: whoever closes sees it, or it sees that somebody closes.
            self._running[token] = name
            self.check_open()
            _under_way.set((*before, self))
            yield
        finally:
            _under_way.set(before)
            self._running.pop(token, None)
            with suppress(HubSpotSyncError):  # it is logged, and how the block ended counts
                self._close_if_idle()

    def steps(self, name: str, values: Iterator[T]) -> Iterator[T]:
        """The *values*, each got by an operation of its own: who takes no more holds up nobody."""
        while True:
            with self.under_way(name):
                found = next(values, _END)
            if isinstance(found, _End):
                return
            yield found

    def check_open(self) -> None:
        """Refuse to work on what is closed, or came here through a fork.

        Raises:
            ConfigurationError: It is, or did.
        """
        if self._is_forked():
            raise ConfigurationError(
                "this engine was made in another process, and does not survive a fork; make one in "
                "each worker after the fork (gunicorn: post_fork; Celery: worker_process_init)"
            )
        if self._closing:
            raise ConfigurationError(
                "the engine was closed; open another one, and keep it as long as the process lives"
            )

    def close(self) -> None:
        """Refuse what comes from now on, wait for what runs, and close.

        An operation cannot wait for itself: called from inside one, this returns, and the end of
        the last one closes. So it does when waiting takes too long. After a fork nothing is done:
        what is open is the other process's.
        """
        if self._is_forked():
            return
        self._closing = True
        self._close_if_idle()
        if self in _under_way.get():
            _logger.info("the engine closes when what it is doing has ended: %s", self._names())
        elif not self._ended.wait(_PATIENCE_SECONDS):
            _logger.warning(
                "still at work after %d s, so the engine stays open until that has ended: %s",
                *(_PATIENCE_SECONDS, self._names()),
            )

    def _is_forked(self) -> bool:
        return os.getpid() != self._process

    def _close_if_idle(self) -> None:
        if not self._closing or self._running:
            return
        try:
            on_close = self._on_close.pop()
        except IndexError:
            return  # another thread does it, or did
        before = _under_way.get()
        _under_way.set((*before, self))
        try:
            on_close()
        except HubSpotSyncError as error:
            _logger.warning("not all was closed: %s", error)
            raise
        finally:
            _under_way.set(before)
            self._ended.set()

    def _names(self) -> str:
        return ", ".join(tuple(self._running.values()))


def _nothing() -> None:
    """There is nothing to close."""


class _End:
    """Comes after the last value."""


_END: Final = _End()
_under_way: ContextVar[tuple[Lifetime, ...]] = ContextVar("hubspot_sync_under_way", default=())
