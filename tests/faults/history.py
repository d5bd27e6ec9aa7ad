"""A long history of every kind of change, with syncs that are killed in the middle of it.

    python tests/faults/history.py --changes 20000 --kills 50 --store mongodb

In the end a mirror of what the sink was told equals the account, and no action tells of something
that did not happen. Prints counts; an assertion says what is wrong.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from hubspot_sync.stores.mongodb import MongoDatabase
from hubspot_sync.stores.sqlite import SqliteDatabase
from hubspot_sync.testing import HubSpotEmulator, ManualClock
from hubspot_sync.testing.emulator.portal.series import Series
from kit.account import ended, kill, say, worker_of
from kit.histories import STREAMS, TYPES, check_actions, check_mirrors, prepared
from kit.leftovers import Watch
from kit.mongod import Mongod
from kit.stored import mongodb_actions, sqlite_actions

if TYPE_CHECKING:
    from hubspot_sync import Action

# Of the time that a sync took that nobody killed; the first part of it is spent on imports.
_EARLIEST, _LATEST = 0.4, 1.1


class KilledHistory:
    """An account in which everything happens, and syncs of it that are killed.

    Args:
        store: The URL of an empty store.
        seed: Chooses what happens, and when a sync is killed.

    Attributes:
        kills: How many were killed while they ran.
        made: What happened.
    """

    def __init__(self, store: str, seed: int) -> None:
        self._store = store
        self._source = Series(seed, "history")
        self._clock = ManualClock()
        self._emulator = prepared(HubSpotEmulator(contacts=60, companies=20, clock=self._clock))
        self._usual = 1.0  # seconds
        self.kills = 0
        self.made: list[Any] = []

    def run(self, changes: int, kills: int) -> list[Action]:
        """Let it happen; returns what the sink was told when all is settled."""
        try:
            # Every other sync ends by itself; who is late makes more changes.
            share = -(-changes // (2 * kills))
            while self.kills < kills or len(self.made) < changes:
                self._during(share)
            for reconcile in (True, False, False):
                self._clock.advance(3_600)
                done = ended(self._worker(reconcile=reconcile))
                assert done.status == 0, done.errors
            actions = actions_in(self._store)
            check_mirrors(self._emulator, actions, self._clock)
            check_actions(actions, self.made, killed=True)
        finally:
            self._emulator.close()
        return actions

    def _during(self, changes: int) -> None:
        """Make *changes* while one sync runs, and kill it."""
        writer = threading.Thread(target=self._change, args=[changes])
        process = self._worker()
        writer.start()
        started = time.monotonic()  # noqa: TID251
        try:
            process.wait(timeout=self._usual * self._source.uniform(_EARLIEST, _LATEST))
        except subprocess.TimeoutExpired:
            kill(process)
            self.kills += 1
            self._usual *= 1.02  # it may take longer meanwhile
        else:
            self._usual = time.monotonic() - started  # noqa: TID251
            done = ended(process)
            assert done.status == 0, done.errors
        writer.join()

    def _change(self, changes: int) -> None:
        for _ in range(changes):
            change = self._emulator.change(self._source, object_types=TYPES)
            if change is not None:
                self.made.append(change)
            self._clock.advance(self._source.choice([0, 0.2, 1, 5]))
            time.sleep(0.002)  # noqa: TID251 - so that the sync meets them

    def _worker(self, *, reconcile: bool = False) -> subprocess.Popen[str]:
        return worker_of(
            self._emulator.describe(),
            self._store,
            batch_size=20,
            every_kind=True,
            reconcile=reconcile,
            streams={one.object_type: one.associations for one in STREAMS},
        )


def actions_in(store: str) -> list[Action]:
    """All actions in *store*."""
    if store.startswith("mongodb"):
        with MongoDatabase(store) as database, database.collection("actions") as actions:
            return mongodb_actions(actions.database)
    with SqliteDatabase(store.removeprefix("sqlite:///")) as database:
        return sqlite_actions(database)


def main() -> None:
    """One long history, and its figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--changes", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--store", choices=["sqlite", "mongodb"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()  # noqa: TID251 - real processes, real time
    with ExitStack() as stack:
        stack.callback(Watch().end)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        store = f"sqlite:///{folder}/history.db"
        if options.store == "mongodb":
            mongod = Mongod(folder)
            stack.callback(mongod.stop)
            store = mongod.uri_of("history")
        history = KilledHistory(store, options.seed)
        actions = history.run(options.changes, options.kills)
    kinds = Counter(change.kind for change in history.made)
    told = Counter(action.kind.value for action in actions)
    say(f"{len(history.made)} changes: {dict(kinds.most_common())}")
    say(f"{history.kills} kills, {len(actions)} actions: {dict(told.most_common())}")
    say(f"no problem; {time.monotonic() - started:.0f} s")  # noqa: TID251


if __name__ == "__main__":
    main()
