"""Many accounts at once: where they come from, and how long it goes on."""

from __future__ import annotations

import logging
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.crew import Crew
from hubspot_sync._engine.turn_taking import TurnTaking
from hubspot_sync._engine.turns import Ticket
from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.models import AccountStatus, FleetFinished, FleetReport, FleetStarted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator

    from hubspot_sync._engine.bookkeeping import Bookkeeping
    from hubspot_sync._engine.directory import Directory
    from hubspot_sync._engine.runner import Runner
    from hubspot_sync.models import Account, AccountEntry, SyncReport

_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class Fleet:
    """Syncs many accounts with a few workers.

    Attributes:
        runner: Syncs one account.
        books: Where the accounts' entries are; None for none.
        stop: Ends it.
        workers: How many accounts are worked on at once.
    """

    runner: Runner
    books: Bookkeeping | None
    stop: threading.Event
    workers: int

    def sync(
        self, supply: Iterator[Ticket], on_report: Callable[[SyncReport], None] | None
    ) -> FleetReport:
        """Sync all accounts of *supply* once."""
        started = self.runner.clock.monotonic()
        self.runner.notify(FleetStarted(workers=self.workers))
        reports: list[SyncReport] = []
        with self._crew() as crew:
            for report in crew.work_off(supply):
                reports.append(report)
                if on_report is not None:
                    on_report(report)
        fleet_report = FleetReport(
            accounts=tuple(reports),
            stopped=self.stop.is_set(),
            duration=timedelta(seconds=self.runner.clock.monotonic() - started),
        )
        self.runner.notify(FleetFinished(report=fleet_report))
        return fleet_report

    def run(self, books: Bookkeeping, poll_every: timedelta) -> None:
        """Sync what is due, again and again, until stopped."""
        with self._crew() as crew:
            for _ in crew.work_off(self._for_ever(books, poll_every)):
                pass

    def _crew(self) -> Crew:
        taking = TurnTaking(runner=self.runner, books=self.books)
        return Crew(taking=taking, stop=self.stop, workers=self.workers)

    def _for_ever(self, books: Bookkeeping, poll_every: timedelta) -> Iterator[Ticket]:
        while True:
            try:
                books.directory.warn_if_empty()
                yield from due(books, None, limit=self.workers)
            except StoreUnavailableError as error:
                _logger.warning("not known what is due, looking again: %s", error)
            try:
                self.runner.clock.sleep(poll_every.total_seconds(), self.stop)
            except StopRequested:
                return


def given(accounts: Iterable[Account]) -> Iterator[Ticket]:
    """Accounts that the host names itself, each once."""
    by_key = {account.key: account for account in accounts}
    return (Ticket(account=account) for account in by_key.values())


def listed(directory: Directory, domain_id: str | None) -> Iterator[Ticket]:
    """All active accounts of one domain, or of all domains, which take turns."""
    domains = directory.domains() if domain_id is None else iter((domain_id,))
    waiting = deque(directory.browse(name, AccountStatus.ACTIVE) for name in domains)
    while waiting:
        entries = waiting.popleft()
        entry = next(entries, None)
        if entry is not None:
            waiting.append(entries)
            yield Ticket(account=entry.account, listed=True)


def due(books: Bookkeeping, domain_id: str | None, *, limit: int) -> Iterator[Ticket]:
    """The accounts that are due now, each claimed when it is given out."""
    for before, entry in _claims(books, domain_id, limit=limit, claim_for=None):
        yield Ticket(
            account=entry.account,
            listed=True,
            claimed_until=entry.next_sync_at,
            was_due_at=before.next_sync_at,
        )


def claimed(
    books: Bookkeeping, domain_id: str | None, *, limit: int, claim_for: timedelta | None
) -> Iterator[AccountEntry]:
    """The accounts that are due now, each claimed when it is given out.

    Only what is taken is claimed, so that what is left is left for other processes.
    """
    return (mine for _, mine in _claims(books, domain_id, limit=limit, claim_for=claim_for))


def _claims(
    books: Bookkeeping, domain_id: str | None, *, limit: int, claim_for: timedelta | None
) -> Iterator[tuple[AccountEntry, AccountEntry]]:
    """Entries that are due, each as it was and as it is claimed."""
    now = books.clock.now()
    while entries := books.directory.due(now, limit=limit, domain_id=domain_id):
        for entry in entries:
            mine = books.claim(entry, claim_for)
            if mine is not None:
                yield entry, mine
