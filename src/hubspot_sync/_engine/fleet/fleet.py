"""Many accounts at once: where they come from, and how long it goes on."""

from __future__ import annotations

import logging
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from attrs import frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.fleet.turns import Ticket
from hubspot_sync._engine.fleet.workers import AccountTurns, Workers
from hubspot_sync.errors import StoreUnavailableError
from hubspot_sync.models import AccountStatus, FleetFinished, FleetReport, FleetStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from hubspot_sync._engine.account.directory import Directory
    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.models import Account, AccountEntry, SyncReport

_logger = logging.getLogger("hubspot_sync")


@frozen(kw_only=True)
class Fleet:
    """Syncs many accounts with a few workers.

    Attributes:
        context: What to sync them with.
        directory: Where the accounts' entries are; None for none.
        workers: How many accounts are worked on at once.
    """

    context: RunContext
    directory: Directory | None
    workers: int

    def sync(
        self, supply: Iterator[Ticket], on_report: Callable[[SyncReport], None] | None
    ) -> FleetReport:
        """Sync all accounts of *supply* once."""
        started = self.context.clock.monotonic()
        self.context.notify(FleetStarted(workers=self.workers))
        reports: list[SyncReport] = []
        with self._threads() as workers:
            for report in workers.work_off(supply):
                reports.append(report)
                if on_report is not None:
                    on_report(report)
        fleet_report = FleetReport(
            accounts=tuple(reports),
            stopped=self.context.stop.is_set(),
            duration=timedelta(seconds=self.context.clock.monotonic() - started),
        )
        self.context.notify(FleetFinished(report=fleet_report))
        return fleet_report

    def run(self, directory: Directory, poll_every: timedelta) -> None:
        """Sync what is due, again and again, until stopped."""
        with self._threads() as workers:
            for _ in workers.work_off(self._for_ever(directory, poll_every)):
                pass

    def _threads(self) -> Workers:
        turns = AccountTurns(context=self.context, directory=self.directory)
        return Workers(turns=turns, stop=self.context.stop, number=self.workers)

    def _for_ever(self, directory: Directory, poll_every: timedelta) -> Iterator[Ticket]:
        while True:
            try:
                directory.warn_if_empty()
                yield from due(directory, None, limit=self.workers)
            except StoreUnavailableError as error:
                _logger.warning("not known what is due, looking again: %s", error)
            try:
                self.context.clock.sleep(poll_every.total_seconds(), self.context.stop)
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


def due(directory: Directory, domain_id: str | None, *, limit: int) -> Iterator[Ticket]:
    """The accounts that are due now, each claimed when it is given out."""
    for before, entry in _claims(directory, domain_id, limit=limit, claim_for=None):
        yield Ticket(
            account=entry.account,
            listed=True,
            claimed_until=entry.next_sync_at,
            was_due_at=before.next_sync_at,
        )


def claimed(
    directory: Directory, domain_id: str | None, *, limit: int, claim_for: timedelta | None
) -> Iterator[AccountEntry]:
    """The accounts that are due now, each claimed when it is given out.

    Only what is taken is claimed, so that what is left is left for other processes.
    """
    return (mine for _, mine in _claims(directory, domain_id, limit=limit, claim_for=claim_for))


def _claims(
    directory: Directory, domain_id: str | None, *, limit: int, claim_for: timedelta | None
) -> Iterator[tuple[AccountEntry, AccountEntry]]:
    """Entries that are due, each as it was and as it is claimed."""
    now = directory.context.clock.now()
    while entries := directory.due(now, limit=limit, domain_id=domain_id):
        for entry in entries:
            mine = directory.claim(entry, claim_for)
            if mine is not None:
                yield entry, mine
