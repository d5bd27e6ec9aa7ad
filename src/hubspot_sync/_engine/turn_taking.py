"""What an account does in its turn, and when it has had its last one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from hubspot_sync._engine.account_run import not_started
from hubspot_sync._engine.joining import joined
from hubspot_sync.errors import HubSpotSyncError, OAuthAppError
from hubspot_sync.interfaces._answers import unforeseen
from hubspot_sync.models import AccountFinished, AccountStatus, StreamKey, SyncReport

if TYPE_CHECKING:
    from hubspot_sync._clock import Clock
    from hubspot_sync._engine.bookkeeping import Bookkeeping
    from hubspot_sync._engine.runner import Runner
    from hubspot_sync._engine.turns import Ticket, Turn
    from hubspot_sync.models import Account


@frozen(kw_only=True)
class TurnTaking:
    """Syncs accounts turn by turn; threads may share it.

    Attributes:
        runner: Syncs an account until its turn is over.
        books: Where the accounts' entries are; None for none.
    """

    runner: Runner
    books: Bookkeeping | None

    @property
    def clock(self) -> Clock:
        """Time and waiting."""
        return self.runner.clock

    def length(self, ticket: Ticket) -> float:
        """How many seconds the next turn may take while others wait."""
        return self.runner.settings.turn.total_seconds() * ticket.patience

    def take(self, ticket: Ticket, turn: Turn) -> bool:
        """Go on with the account until the turn is over; whether that was the last turn.

        What goes wrong is in the ticket's report, so no account's failure touches another.
        """
        ticket.started_at = ticket.started_at or self.clock.now()
        try:
            if not self._still_wanted(ticket):
                return True
            report = self.runner.sync(_rest(ticket), turn)
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
        if self.books is not None and ticket.claimed_until and in_vain:
            self.books.give_back(ticket.key)
        if report is None or started_at is None:
            return None
        if self.books is not None:
            self.ask_again(ticket)  # before, so that what was asked for is found there
            self.books.note(report, started_at, ticket.claimed_until)
        self.runner.notify(AccountFinished(report=report))
        return report

    def let_go(self, ticket: Ticket) -> None:
        """Make the account due again: its turn ended with what is no failure of a sync.

        How it went is not written down, since that is not known; what is stored is stored.
        """
        if self.books is not None and ticket.claimed_until:
            self.books.give_back(ticket.key)

    def ask_again(self, ticket: Ticket) -> None:
        """Make the account due where another sync was wanted during this one."""
        again, ticket.again = ticket.again, False
        if self.books is not None and again:
            self.books.give_back(ticket.key)

    def _still_wanted(self, ticket: Ticket) -> bool:
        """Whether the account is still active; it may have been paused between two turns."""
        if self.books is None or not ticket.listed:
            return True
        entry = self.books.directory.find(ticket.key)
        return entry is not None and entry.status is AccountStatus.ACTIVE

    def _failed(self, ticket: Ticket, error: HubSpotSyncError) -> SyncReport:
        streams = tuple(
            not_started(StreamKey(ticket.key, one.object_type)) for one in _rest(ticket).streams
        )
        return SyncReport(account=ticket.key, streams=streams, duration=timedelta(0), error=error)


def _unfinished(report: SyncReport) -> set[str]:
    return {one.stream.object_type for one in report.streams if one.left_over}


def _rest(ticket: Ticket) -> Account:
    """The account with the streams that are not finished yet."""
    if ticket.report is None:
        return ticket.account
    unfinished = _unfinished(ticket.report)
    return evolve(
        ticket.account,
        streams=[one for one in ticket.account.streams if one.object_type in unfinished],
    )
