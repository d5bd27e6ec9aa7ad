"""Whose turn it is when more accounts wait than there are workers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from attrs import define, field

from hubspot_sync._clock import StopSignal
from hubspot_sync._engine.account.schedule import is_same

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime

    from hubspot_sync._clock import Clock
    from hubspot_sync.models import Account, AccountKey, SyncReport

_LOOK_UP_SECONDS: Final = 0.25


@define(eq=False)
class Ticket:
    """One account on its way through the workers.

    Attributes:
        account: What is to be synchronised.
        listed: Whether it comes from the account store, so that its status is asked for.
        claimed_until: Until when it is claimed there, so that nobody else begins it, or None.
        was_due_at: When it was due before it was claimed, or None.
        again: Whether somebody wants another sync when this one is done.
        report: What its turns did so far; None before the first one.
        started_at: When its first turn began.
        patience: How many times as long as usual its next turn may take.
    """

    account: Account
    listed: bool = False
    claimed_until: datetime | None = None
    was_due_at: datetime | None = None
    again: bool = False
    report: SyncReport | None = None
    started_at: datetime | None = None
    patience: int = 1

    @property
    def key(self) -> AccountKey:
        """The name of the account in every store."""
        return self.account.key

    def renew_claim(self, later: Ticket) -> None:
        """Take the claim of *later*, which came while this one is under way.

        An account comes up by itself when its claim ends. One that came at another time was made
        due by somebody, as when it was given other streams.
        """
        if later.was_due_at is not None and not is_same(later.was_due_at, self.claimed_until):
            self.again = True
        self.claimed_until = later.claimed_until

    @property
    def long(self) -> bool:
        """Whether it has used up a turn."""
        return self.report is not None


class Turn(StopSignal):
    """The stop signal of one turn: set when all is to end, or when time is up and others wait.

    Args:
        stop: Ends it at once.
        over: Says whether the turn has lasted long enough.
        clock: Tells how long a wait has taken.
    """

    def __init__(self, stop: threading.Event, over: Callable[[], bool], clock: Clock) -> None:
        super().__init__()
        self._stop = stop
        self._over = over
        self._clock = clock

    @property
    def at_once(self) -> threading.Event:
        """What ends even the wait for an answer: that all is to end, not that time is up."""
        outer: threading.Event = getattr(self._stop, "at_once", self._stop)
        return outer

    def is_set(self) -> bool:
        """Whether the turn is to end; once it is, that stays."""
        if not super().is_set() and (self._stop.is_set() or self._over()):
            self.set()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end of the turn, at most *timeout* seconds; whether it has come."""
        until = None if timeout is None else self._clock.monotonic() + timeout
        while not self.is_set():
            left = _LOOK_UP_SECONDS if until is None else until - self._clock.monotonic()
            if left <= 0:
                return False
            # A thread can wait for one event only, so it looks up from this to the other reason.
            self._stop.wait(min(left, _LOOK_UP_SECONDS))
        return True


@define(eq=False)
class TurnQueue:
    """Accounts that wait for a worker: those that run long never hold up the others.

    An account that has used up a turn queues behind those that have not, and while these wait it
    gets half of the workers at most. Where there is one worker only, it gets every other turn.

    Attributes:
        workers: How many there are.
        changed: Held while anything changes, and notified of it.
    """

    workers: int
    changed: threading.Condition
    _fresh: deque[Ticket] = field(factory=deque)
    _long: deque[Ticket] = field(factory=deque)
    _long_running: int = 0
    _last_was_long: bool = True
    _closed: bool = False

    def wants_more(self) -> bool:
        """Whether fewer wait for their first turn than there are workers."""
        return len(self._fresh) < self.workers

    def others_wait(self) -> bool:
        """Whether somebody waits for the worker of an account whose time is up."""
        return bool(self._fresh or self._long)

    def put(self, ticket: Ticket) -> bool:
        """Let *ticket* wait for its next turn; False when there are no more turns."""
        with self.changed:
            if not self._closed:
                (self._long if ticket.long else self._fresh).append(ticket)
                self.changed.notify_all()
            return not self._closed

    def take(self) -> Ticket | None:
        """Wait for the ticket whose turn it is; None when there are no more turns.

        Who takes one calls `done` after its turn.
        """
        with self.changed:
            self.changed.wait_for(lambda: self._closed or self.others_wait())
            if self._closed:
                return None
            long = bool(self._long) and (self._prefers_long() or not self._fresh)
            self._long_running += long
            self._last_was_long = long
            self.changed.notify_all()
            return (self._long if long else self._fresh).popleft()

    def _prefers_long(self) -> bool:
        if self.workers == 1:
            return not self._last_was_long
        return self._long_running < self.workers // 2

    def done(self, *, long: bool) -> None:
        """A turn has ended; *long* says whether its ticket had used up one before."""
        with self.changed:
            self._long_running -= long

    def close(self) -> list[Ticket]:
        """Give no more turns; the tickets that wait for one are given back."""
        with self.changed:
            self._closed = True
            left = [*self._fresh, *self._long]
            self._fresh.clear()
            self._long.clear()
            self.changed.notify_all()
            return left
