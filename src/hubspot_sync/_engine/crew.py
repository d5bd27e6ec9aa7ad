"""Workers that share many accounts, turn by turn."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from hubspot_sync._engine.turns import Turn, TurnQueue
from hubspot_sync._threads import new_thread
from hubspot_sync.errors import OAuthAppError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from hubspot_sync._engine.turn_taking import TurnTaking
    from hubspot_sync._engine.turns import Ticket
    from hubspot_sync.models import AccountKey, SyncReport


class Crew:
    """Some threads that sync accounts until the `with` block ends.

    Whatever ends it, the claims of all accounts are given back first. Only what comes between a
    claim and its ticket, such as a signal just then, leaves one to end by itself.

    Args:
        taking: What an account does in its turn.
        stop: Ends all turns.
        workers: How many threads.
    """

    def __init__(self, *, taking: TurnTaking, stop: threading.Event, workers: int) -> None:
        self._taking = taking
        self._stop = stop
        self._changed = threading.Condition()
        self._queue = TurnQueue(workers=workers, changed=self._changed)
        self._reports: deque[SyncReport] = deque()
        self._under_way: dict[AccountKey, Ticket] = {}
        self._halted = False
        self._failure: BaseException | None = None
        self._threads = [new_thread(self._work, f"worker {number}") for number in range(workers)]

    def __enter__(self) -> Crew:  # noqa: PYI034 - Python has `Self` from 3.11 on
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._halted = True
        for ticket in self._queue.close():
            try:
                self._put_down(ticket)
            except BaseException as error:  # noqa: BLE001 - something waits, so the block failed
                self._fail(error)
        for thread in self._threads:
            thread.join()

    def work_off(self, supply: Iterator[Ticket]) -> Iterator[SyncReport]:
        """Take tickets from *supply* as workers become free, and give the reports as they come.

        It ends when the supply and all accounts have ended, or the engine was stopped.

        Raises:
            OAuthAppError: HubSpot does not accept the app, so that no account can go on.
            BaseException: What came out of a sink or an observer that is no `Exception`, such as
                `KeyboardInterrupt`; it ends everything.
        """
        dry = False
        while True:
            # What is done goes first: a supply may go on for ever.
            while not (self._reports or (dry := dry or self._ending)) and self._queue.hungry():
                ticket = next(supply, None)
                dry = ticket is None
                if ticket is not None:
                    self._begin(ticket)
            report = self._next_report(dry=dry)
            if report is not None:
                yield report
            elif dry:
                return

    def _begin(self, ticket: Ticket) -> None:
        """Let *ticket* wait for its turn, unless its account is under way: once is enough."""
        with self._changed:
            running = self._under_way.setdefault(ticket.key, ticket)
            if running is not ticket:
                running.take_over(ticket)
                return
        self._queue.put(ticket)

    def _next_report(self, *, dry: bool) -> SyncReport | None:
        """Wait for a report; None when more tickets are wanted, and when nothing is under way."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._reports
                    or self._failure
                    or not self._under_way
                    or (not dry and self._queue.hungry())
                )
            )
            if self._failure is not None:
                raise self._failure
            return self._reports.popleft() if self._reports else None

    @property
    def _ending(self) -> bool:
        return self._halted or self._stop.is_set()

    def _work(self) -> None:
        while (ticket := self._queue.take()) is not None:
            long = ticket.long
            try:
                self._give_turn(ticket)
            except BaseException as error:  # noqa: BLE001 - raised again by `work_off`
                self._fail(error)
            finally:
                self._queue.done(long=long)

    def _give_turn(self, ticket: Ticket) -> None:
        if self._ending:
            self._put_down(ticket)
            return
        begun = self._taking.clock.monotonic()
        length = self._taking.length(ticket)

        def over() -> bool:
            passed = self._taking.clock.monotonic() - begun
            return self._halted or (passed >= length and self._queue.others_wait())

        try:
            complete = self._taking.take(ticket, Turn(self._stop, over, self._taking.clock))
        except BaseException:
            self._taking.let_go(ticket)
            raise
        if not complete and not self._ending and self._queue.put(ticket):
            return
        self._put_down(ticket)

    def _put_down(self, ticket: Ticket) -> None:
        """Be done with *ticket*, whether it had its turn or not."""
        report = self._taking.end(ticket)
        failure = report.failure if report else None
        with self._changed:
            if report is not None:
                self._reports.append(report)
            self._under_way.pop(ticket.key, None)
            self._changed.notify_all()
        self._taking.ask_again(ticket)  # it may have come up between the two
        if isinstance(failure, OAuthAppError):
            self._fail(failure)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._halted = True
            self._changed.notify_all()
