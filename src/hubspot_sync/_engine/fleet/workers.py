"""Workers that share many accounts, turn by turn, and what an account does in its turn."""

from __future__ import annotations

import threading
from collections import Counter, deque
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from hubspot_sync._engine.account.run import not_started, sync_account
from hubspot_sync._engine.fleet.turns import Turn, TurnQueue
from hubspot_sync._threads import new_thread
from hubspot_sync.errors import HubSpotSyncError, OAuthAppError
from hubspot_sync.interfaces._answers import unforeseen
from hubspot_sync.models import (
    AccountFinished,
    AccountStatus,
    StreamKey,
    StreamStatus,
    SyncReport,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from hubspot_sync._clock import Clock
    from hubspot_sync._engine.account.directory import Directory
    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.fleet.turns import Ticket
    from hubspot_sync.models import Account, AccountKey, StreamReport


class Workers:
    """Some threads that sync accounts until the `with` block ends.

    Whatever ends it, the claims of all accounts are given back first. Only what comes between a
    claim and its ticket, such as a signal just then, leaves one to end by itself.

    Args:
        turns: What an account does in its turn.
        stop: Ends all turns.
        number: How many threads.
    """

    def __init__(self, *, turns: AccountTurns, stop: threading.Event, number: int) -> None:
        self._turns = turns
        self._stop = stop
        self._changed = threading.Condition()
        self._queue = TurnQueue(workers=number, changed=self._changed)
        self._reports: deque[SyncReport] = deque()
        self._under_way: dict[AccountKey, Ticket] = {}
        self._halted = False
        self._failure: BaseException | None = None
        self._threads = [new_thread(self._work, f"worker {one}") for one in range(number)]

    def __enter__(self) -> Workers:  # noqa: PYI034 - Python has `Self` from 3.11 on
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
        exhausted = False
        while True:
            # What is done goes first: a supply may go on for ever.
            while (
                not (self._reports or (exhausted := exhausted or self._ending))
                and self._queue.wants_more()
            ):
                ticket = next(supply, None)
                exhausted = ticket is None
                if ticket is not None:
                    self._begin(ticket)
            report = self._next_report(exhausted=exhausted)
            if report is not None:
                yield report
            elif exhausted:
                return

    def _begin(self, ticket: Ticket) -> None:
        """Let *ticket* wait for its turn, unless its account is under way: once is enough."""
        with self._changed:
            running = self._under_way.setdefault(ticket.key, ticket)
            if running is not ticket:
                running.renew_claim(ticket)
                return
        self._queue.put(ticket)

    def _next_report(self, *, exhausted: bool) -> SyncReport | None:
        """Wait for a report; None when more tickets are wanted, and when nothing is under way."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._reports
                    or self._failure
                    or not self._under_way
                    or (not exhausted and self._queue.wants_more())
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
        begun = self._turns.clock.monotonic()
        length = self._turns.length(ticket)

        def over() -> bool:
            passed = self._turns.clock.monotonic() - begun
            return self._halted or (passed >= length and self._queue.others_wait())

        try:
            complete = self._turns.take(ticket, Turn(self._stop, over, self._turns.clock))
        except BaseException:
            self._turns.let_go(ticket)
            raise
        if not complete and not self._ending and self._queue.put(ticket):
            return
        self._put_down(ticket)

    def _put_down(self, ticket: Ticket) -> None:
        """Be done with *ticket*, whether it had its turn or not."""
        report = self._turns.end(ticket)
        failure = report.failure if report else None
        with self._changed:
            if report is not None:
                self._reports.append(report)
            self._under_way.pop(ticket.key, None)
            self._changed.notify_all()
        self._turns.ask_again(ticket)  # it may have come up between the two
        if isinstance(failure, OAuthAppError):
            self._fail(failure)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._halted = True
            self._changed.notify_all()


@frozen(kw_only=True)
class AccountTurns:
    """Syncs accounts turn by turn; threads may share it.

    Attributes:
        context: What to sync an account with.
        directory: Where the accounts' entries are; None for none.
    """

    context: RunContext
    directory: Directory | None

    @property
    def clock(self) -> Clock:
        """Time and waiting."""
        return self.context.clock

    def length(self, ticket: Ticket) -> float:
        """How many seconds the next turn may take while others wait."""
        return self.context.settings.turn.total_seconds() * ticket.patience

    def take(self, ticket: Ticket, turn: Turn) -> bool:
        """Go on with the account until the turn is over; whether that was the last turn.

        What goes wrong is in the ticket's report, so no account's failure touches another.
        """
        ticket.started_at = ticket.started_at or self.clock.now()
        try:
            if not self._still_wanted(ticket):
                return True
            report = sync_account(self.context.until(turn), _rest(ticket))
        except HubSpotSyncError as error:
            report = self._failed(ticket, error)
        except Exception as error:  # noqa: BLE001 - it is logged, and in the report
            ours = unforeseen(error, ticket.key, "the sync").locate(account=str(ticket.key))
            report = self._failed(ticket, ours)
        # A turn that was too short for a single page must not be followed by more of the same.
        ticket.patience = 1 if report.counts.read else ticket.patience * 2
        ticket.report = report if ticket.report is None else joined(ticket.report, report)
        return report.error is not None or not _unfinished(ticket.report)

    def end(self, ticket: Ticket) -> SyncReport | None:
        """Write down how it went; None when nothing was begun."""
        report, started_at = ticket.report, ticket.started_at
        in_vain = report is None or isinstance(report.failure, OAuthAppError)
        if self.directory is not None and ticket.claimed_until and in_vain:
            self.directory.give_back(ticket.key)
        if report is None or started_at is None:
            return None
        if self.directory is not None:
            self.ask_again(ticket)  # before, so that what was asked for is found there
            self.directory.note(report, started_at, ticket.claimed_until)
        self.context.notify(AccountFinished(report=report))
        return report

    def let_go(self, ticket: Ticket) -> None:
        """Make the account due again: its turn ended with what is no failure of a sync.

        How it went is not written down, since that is not known; what is stored is stored.
        """
        if self.directory is not None and ticket.claimed_until:
            self.directory.give_back(ticket.key)

    def ask_again(self, ticket: Ticket) -> None:
        """Make the account due where another sync was wanted during this one."""
        again, ticket.again = ticket.again, False
        if self.directory is not None and again:
            self.directory.give_back(ticket.key)

    def _still_wanted(self, ticket: Ticket) -> bool:
        """Whether the account is still active; it may have been paused between two turns."""
        if self.directory is None or not ticket.listed:
            return True
        entry = self.directory.find(ticket.key)
        return entry is not None and entry.status is AccountStatus.ACTIVE

    def _failed(self, ticket: Ticket, error: HubSpotSyncError) -> SyncReport:
        streams = tuple(
            not_started(StreamKey(ticket.key, one.object_type)) for one in _rest(ticket).streams
        )
        return SyncReport(account=ticket.key, streams=streams, duration=timedelta(0), error=error)


def _unfinished(report: SyncReport) -> set[str]:
    return {one.name for one in report.streams if one.left_over}


def _rest(ticket: Ticket) -> Account:
    """The account with the streams that are not finished yet."""
    if ticket.report is None:
        return ticket.account
    unfinished = _unfinished(ticket.report)
    return evolve(
        ticket.account,
        streams=[one for one in ticket.account.streams if one.object_type in unfinished],
    )


def joined(first: SyncReport, second: SyncReport) -> SyncReport:
    """The report of a run that went on after *first* and ended as *second* did."""
    streams = {one.name: one for one in first.streams}
    for one in second.streams:
        before = streams.get(one.name)
        streams[one.name] = one if before is None else _joined_stream(before, one)
    return evolve(
        second,
        streams=tuple(streams.values()),
        api_calls=_sum(first.api_calls, second.api_calls),
        duration=first.duration + second.duration,
    )


def _joined_stream(first: StreamReport, second: StreamReport) -> StreamReport:
    return evolve(
        second,
        # What was begun stays begun, whether the second run came to it or not.
        stream=first.stream if second.status is StreamStatus.NOT_STARTED else second.stream,
        status=first.status if second.status is StreamStatus.NOT_STARTED else second.status,
        mode=first.mode or second.mode,
        counts=first.counts + second.counts,
        unconverted=_sum(first.unconverted, second.unconverted),
        retried=first.retried + second.retried,
        api_calls=_sum(first.api_calls, second.api_calls),
        duration=first.duration + second.duration,
    )


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(first) + Counter(second))
