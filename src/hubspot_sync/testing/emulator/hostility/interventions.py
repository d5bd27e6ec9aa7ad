"""What happens to an account between two calls."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import attrs

from hubspot_sync.testing.emulator.hostility.faults import ROUTES
from hubspot_sync.testing.emulator.portal.series import Series

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.testing.emulator.calls import Call
    from hubspot_sync.testing.emulator.hostility.mischief import Lies
    from hubspot_sync.testing.emulator.hostility.settings import Hostility, Meddling
    from hubspot_sync.testing.emulator.portal.content import Content
    from hubspot_sync.testing.emulator.portal.portal import Portal


@attrs.define(eq=False)
class _Hook:
    function: Callable[[Call], Any]
    route: str | None
    every: int
    seen: int = 0


class Meddler:
    """Edits, creates, archives and associates records at random, as `Meddling` says."""

    def __init__(
        self, content: Content, portal: Portal, meddling: Meddling, source: Series
    ) -> None:
        self._content = content
        self._portal = portal
        self._meddling = meddling
        self._random = source

    def meddle(self, object_type: str | None) -> None:
        """Change what one call's share is."""
        kind = self._portal.types.find(object_type) if object_type else None
        if kind is None:
            return
        wanted, times = self._meddling, self._random.times
        with self._portal.lock:
            for _ in range(times(wanted.edits_per_call)):
                self._content.touch(kind.name, object_ids=self._some(kind.name))
            for _ in range(times(wanted.recalculations_per_call)):
                self._content.recalculate(kind.name, object_ids=self._some(kind.name))
            for _ in range(times(wanted.creates_per_call)):
                self._content.create(kind.name)
            for _ in range(times(wanted.archives_per_call)):
                self._content.archive(kind.name, *self._some(kind.name))
            for _ in range(times(wanted.associations_per_call)):
                self._associate()

    def _some(self, object_type: str) -> list[str]:
        """One record, or none where there is none."""
        numbers = self._portal.table(self._portal.kind(object_type)).numbers
        return [str(self._random.choice(numbers))] if numbers else []

    def _associate(self) -> None:
        ends = self._some("contacts"), self._some("companies")
        change = self._content.associate if self._random.happens(0.5) else self._content.dissociate
        for contact, company in zip(*ends, strict=False):
            change("contacts", contact, "companies", company)


class Interventions:
    """Carries out what is to happen before a call is answered; thread-safe.

    Attributes:
        active: Whether there is anything to carry out.
    """

    def __init__(self, content: Content, portal: Portal, lies: Lies) -> None:
        self._content = content
        self._portal = portal
        self._lies = lies
        self._hooks: list[_Hook] = []
        self._meddler: Meddler | None = None
        self._lock = threading.Lock()
        self.active = False

    def use(self, settings: Hostility) -> None:
        """Let somebody work in the account from now on, or no longer."""
        source = Series(settings.seed, "meddling")
        meddling = settings.meddling
        with self._lock:
            self._meddler = None
            if meddling is not None:
                self._meddler = Meddler(self._content, self._portal, meddling, source)
            self.active = bool(self._hooks or self._meddler)

    def add(
        self, function: Callable[[Call], Any], route: str | None, every: int
    ) -> Callable[[], None]:
        """Call *function* before every so many calls of a route; returns what ends it.

        Raises:
            ValueError: *every* is less than 1, or there is no such route.
        """
        if every < 1 or route not in {None, *ROUTES}:
            raise ValueError(f"every must be at least 1, the route one of {', '.join(ROUTES)}")
        hook = _Hook(function, route, every)
        with self._lock:
            self._hooks.append(hook)
            self.active = True

        def remove() -> None:
            with self._lock:
                self._hooks = [one for one in self._hooks if one is not hook]
                self.active = bool(self._hooks or self._meddler)

        return remove

    def run(self, call: Call) -> None:
        """Carry out what is due before *call* is answered."""
        meddler = self._meddler
        for function in self._due(call.route):
            function(call)
        if meddler is not None:
            meddler.meddle(call.object_type)
            self._lies.add("meddling")

    def _due(self, route: str) -> list[Callable[[Call], Any]]:
        due = []
        with self._lock:
            for hook in self._hooks:
                if hook.route in {None, route}:
                    hook.seen += 1
                    if hook.seen % hook.every == 0:
                        due.append(hook.function)
        return due
