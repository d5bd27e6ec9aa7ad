"""A process that dies at one call between its parts."""

from __future__ import annotations

import threading

from kit.support import Crash


class Plug:
    """Power for the parts of a process: it is pulled at one call, and then nothing works.

    Args:
        arrow: The name of the call; None for never.
        occurrence: Which call of this name, from 1.
        answered: Whether the call has done its work by then, and only its answer is lost.
    """

    def __init__(self, arrow=None, occurrence=1, *, answered=False):
        self.pulled = False
        self._arrow = arrow
        self._left = occurrence
        self._answered = answered
        self._lock = threading.Lock()

    def through(self, name, call):
        """Make a call from one part to another."""
        with self._lock:
            if self.pulled:
                raise Crash
            self._left -= name == self._arrow
            here = self.pulled = not self._left
        if not here:
            return call()
        if self._answered:
            call()
        raise Crash


class Powered:
    """A part of the process: each call to it goes through the plug."""

    def __init__(self, plug, part):
        self._plug = plug
        self._part = part

    def __getattr__(self, name):
        method = getattr(self._part, name)
        if name in ("renew", "close", "api_calls", "server_time") or not callable(method):
            return method
        return lambda *args, **kwargs: self._plug.through(name, lambda: method(*args, **kwargs))
