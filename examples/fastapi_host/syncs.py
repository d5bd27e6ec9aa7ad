"""Syncs in threads beside the event loop, and what there is to see of them meanwhile.

A sync has one present state, and whoever follows it is shown the newest one when ready for it.
So followers need no queues, a slow one misses steps in the middle but never the end, and none of
them can hold up a run or fill the memory.

Everything here but `notify` and `goes_on` is called on the event loop, and needs no locks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from hubspot_sync import AccountKey, HubSpotSyncError, LeaseHeldError, StreamStatus
from hubspot_sync.models import (
    AccountFinished,
    BatchStored,
    Retried,
    RunStarted,
    StreamFinished,
    StreamStarted,
)

from .problems import problem_of
from .views import CountsView, Progress, StreamProgress, report_view

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from datetime import timedelta

    from hubspot_sync import Domain, SyncEngine, SyncReport
    from hubspot_sync.models import Event

_PAUSE: Final = 60.0
_logger = logging.getLogger(__name__)


class LiveSync:
    """One sync while it goes on, and how it ended.

    Args:
        asked_for: Whether somebody asked for it, or it was due.

    Attributes:
        asked_for: As given.
        progress: How far it is.
    """

    def __init__(self, *, asked_for: bool) -> None:
        self.asked_for = asked_for
        self.progress = Progress()
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether it has."""
        return self.progress.state == "ended"

    def show(self, **changes: Any) -> None:
        """Change what followers see."""
        self.progress = self.progress.model_copy(update=changes)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def show_stream(self, object_type: str, **changes: Any) -> None:
        """Change what followers see of one stream."""
        before = self.progress.streams.get(object_type, StreamProgress())
        after = before.model_copy(update=changes)
        self.show(streams={**self.progress.streams, object_type: after})

    async def follow(self) -> AsyncIterator[Progress]:
        """How far it is now, then again whenever that changes, to the end."""
        while True:
            changed, progress = self._changed, self.progress
            yield progress
            if progress.state == "ended":
                return
            await changed.wait()


class Syncs:
    """Runs syncs, and watches those that the engine runs by itself.

    Args:
        workers: How many syncs that were asked for run at once; a domain gets half of them.
        loop: The event loop.
    """

    def __init__(self, *, workers: int, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sync")
        self._shares = defaultdict[str, asyncio.Semaphore](
            lambda: asyncio.Semaphore((workers + 1) // 2)
        )
        self._live: dict[AccountKey, LiveSync] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    def find(self, key: AccountKey) -> LiveSync | None:
        """The sync of an account that goes on, or the last one since the host started."""
        return self._live.get(key)

    def goes_on(self, key: AccountKey) -> bool:
        """Whether a sync of the account goes on in this process; any thread may ask."""
        live = self._live.get(key)
        return live is not None and not live.ended

    def start(self, domain: Domain, account_id: str) -> LiveSync:
        """Sync an account as soon as a thread is free.

        Raises:
            LeaseHeldError: It is being synchronised already.
        """
        key = AccountKey(domain.domain_id, account_id)
        before = self.find(key)
        if before is not None and not before.ended:
            raise LeaseHeldError("a sync goes on in this process", owner="host", account=str(key))
        live = self._live[key] = LiveSync(asked_for=True)
        self._begin(self._run(live, domain, account_id))
        return live

    def start_due(self, engine: SyncEngine, poll_every: timedelta) -> None:
        """Sync accounts whenever they are due, until the engine is stopped."""
        run = partial(engine.run, workers=self._workers, poll_every=poll_every)
        self._begin(self._run_due(run))

    async def wait(self) -> None:
        """Wait until all has ended; stop the engine first."""
        self._ending.set()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._threads.shutdown()

    def notify(self, event: Event) -> None:
        """As an observer of the engine, in the threads of the runs: pass *event* on."""
        self._loop.call_soon_threadsafe(self._note, event)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, live: LiveSync, domain: Domain, account_id: str) -> None:
        try:
            async with self._shares[domain.domain_id]:
                report = await self._loop.run_in_executor(self._threads, domain.sync, account_id)
        except HubSpotSyncError as error:
            live.show(state="ended", problem=problem_of(error))
        except Exception as error:
            _logger.exception("a sync failed unexpectedly")
            unexpected = HubSpotSyncError(f"unexpected {type(error).__name__}")
            live.show(state="ended", problem=problem_of(unexpected))
        else:
            live.show(state="ended", report=report_view(report))

    async def _run_due(self, run: Callable[[], None]) -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="due") as thread:
            while not self._ending.is_set():
                try:
                    await self._loop.run_in_executor(thread, run)
                except HubSpotSyncError as error:  # of the app itself: it concerns all accounts
                    _logger.critical("nothing is synced by itself for a minute: %s", error)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), _PAUSE)

    def _note(self, event: Event) -> None:
        """Show what the engine tells."""
        match event:
            case RunStarted(account=key):
                live = self._live.get(key)
                if live is None or live.ended:
                    live = self._live[key] = LiveSync(asked_for=False)
                live.show(state="running")
            case StreamStarted(stream=stream, mode=mode):
                self._show_stream(stream.account, stream.object_type, mode=mode)
            case BatchStored(stream=stream, so_far=counts):
                seen = CountsView.model_validate(counts)
                self._show_stream(stream.account, stream.object_type, counts=seen)
            # A stream that is busy is another worker's, whose progress may be what is shown here.
            case StreamFinished(report=report) if report.status is not StreamStatus.BUSY:
                seen = CountsView.model_validate(report.counts)
                changes = {"status": report.status, "mode": report.mode, "counts": seen}
                self._show_stream(report.stream.account, report.stream.object_type, **changes)
            # Not the reason: it may name the host's servers, as when the tokens are out of reach.
            case Retried(what="store", account=AccountKey() as key, wait=wait):
                self._show_wait(key, "the database is away", wait.total_seconds())
            case Retried(account=AccountKey() as key, wait=wait):
                why = "HubSpot, or what is needed to ask it, does not answer as it should"
                self._show_wait(key, why, wait.total_seconds())
            case AccountFinished(report=report):
                self._end_due(report)

    def _running(self, key: AccountKey) -> LiveSync | None:
        live = self._live.get(key)
        return None if live is None or live.ended else live

    def _show_stream(self, key: AccountKey, object_type: str, **changes: Any) -> None:
        if (live := self._running(key)) is not None:
            live.show_stream(object_type, **changes)

    def _show_wait(self, key: AccountKey, why: str, seconds: float) -> None:
        if (live := self._running(key)) is not None:
            live.show(note=f"{why}; trying again in {seconds:.1f} s")

    def _end_due(self, report: SyncReport) -> None:
        """An account that was due has had its last turn; one that was asked for ends by itself."""
        live = self._running(report.account)
        if live is not None and not live.asked_for:
            live.show(state="ended", report=report_view(report))
