"""Kills syncs at random moments, again and again, and looks at what is left of it."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from attrs import define, field

from kit.account import Changes, EmulatedAccount, kill
from kit.found import count_in, disagreements, streams_in

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

# How many kills a store takes before it is looked at, and each domain in it.
_KILLS_PER_STORE: Final = 40
_KILLS_PER_DOMAIN: Final = 20
# Seconds: a process that has nothing to do lives about as long, most of it imports.
_SHORT_LIFE: Final = 0.8
# Of the kills come when the process has begun to read, however long its start took.
_SHARE_AT_WORK: Final = 0.7
_WORK: Final = {"backfill": 1.0, "incremental": 0.3}


@define
class Tally:
    """What happened, in numbers.

    Attributes:
        kills: Processes that were killed while they ran.
        moments: The same by what the killed one was at.
        unharmed: Processes that ended before their moment came.
        stores: Stores that were filled and compared.
        actions: Actions found in them.
        changes: Requests for changes that were made meanwhile.
        problems: In what the stores are not the account.
        seconds: How long it took.
    """

    kills: int = 0
    moments: Counter[str] = field(factory=Counter)
    unharmed: int = 0
    stores: int = 0
    actions: int = 0
    changes: int = 0
    problems: list[str] = field(factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        moments = ", ".join(f"{n} {moment}" for moment, n in sorted(self.moments.items()))
        return (
            f"{self.kills} kills ({moments}), {self.unharmed} ended before; {self.changes} "
            f"changes meanwhile; {self.stores} stores with {self.actions} actions: "
            f"{len(self.problems)} problems; {self.seconds:.0f} s"
        )


class Killer:
    """Fills stores with syncs that are killed.

    Args:
        account: The account.
        new_store: Makes the URL of an empty store.
        seed: Chooses the moments.
        switching: Whether properties of the account also go back to former values.
    """

    def __init__(
        self,
        account: EmulatedAccount,
        new_store: Callable[[], str],
        seed: int,
        *,
        switching: bool = True,
    ) -> None:
        self._account = account
        self._new_store = new_store
        self._seed = seed
        self._switching = switching
        self._random = random.Random(seed)  # noqa: TID251 - reproducible
        self.tally = Tally()

    def run(self, kills: int, tell: Callable[[str], None] = lambda _: None) -> Tally:
        """Kill *kills* processes; every store is compared in the end."""
        started = time.monotonic()  # noqa: TID251 - real processes, real time
        while self.tally.kills < kills:
            self._fill(self._new_store(), min(kills - self.tally.kills, _KILLS_PER_STORE))
            self.tally.seconds = time.monotonic() - started  # noqa: TID251
            tell(str(self.tally))
        return self.tally

    def _fill(self, store: str, kills: int) -> None:
        """Syncs into one store while the account changes; then in peace, and the comparison."""
        domains = [f"tenant-{n}" for n in range(-(-kills // _KILLS_PER_DOMAIN))]
        changes = Changes(self._account, self._seed + kills, switching=self._switching)
        with changes:
            for n in range(kills):
                domain = domains[n // _KILLS_PER_DOMAIN]
                if n % _KILLS_PER_DOMAIN == _KILLS_PER_DOMAIN // 2:
                    # The rest of the kills hit incremental passes.
                    self._complete(store, domain)
                self._kill_one(store, domain)
        self.tally.changes += changes.made
        for domain in domains:
            self._complete(store, domain)
        self.tally.problems += (
            f"{store}: {problem}" for problem in disagreements(store, self._account, domains)
        )
        self.tally.actions += count_in(store)
        self.tally.stores += 1

    def _complete(self, store: str, domain: str) -> None:
        done = self._account.sync(store, domain=domain)
        if done.status != 0:
            self.tally.problems.append(f"{store}: a sync failed that nobody killed: {done.errors}")

    def _kill_one(self, store: str, domain: str) -> None:
        """Start syncs until one is killed while it runs."""
        while True:
            process = self._account.worker(store, domain=domain)
            if _outlives(process, self._moment(process)):
                kill(process)
                self.tally.kills += 1
                self.tally.moments[_left_by(store, domain)] += 1
                return
            _, errors = process.communicate()
            self.tally.unharmed += 1
            if process.returncode != 0:
                self.tally.problems.append(f"a sync failed that nobody killed: {errors}")

    def _moment(self, process: subprocess.Popen[str]) -> float:
        """Seconds from now: uniform over the beginning of a life, or over its work."""
        if self._random.random() >= _SHARE_AT_WORK:
            return self._random.uniform(0, _SHORT_LIFE)
        assert process.stderr is not None
        for line in process.stderr:
            for mode, seconds in _WORK.items():
                if f"starting {mode}" in line or f"resuming {mode}" in line:
                    return self._random.uniform(0, seconds)
        return 0.0


def _outlives(process: subprocess.Popen[str], seconds: float) -> bool:
    """Whether *process* still runs after *seconds*."""
    until = time.monotonic() + seconds  # noqa: TID251
    while time.monotonic() < until:  # noqa: TID251
        if process.poll() is not None:
            return False
        time.sleep(0.002)  # noqa: TID251
    return process.poll() is None


def _left_by(store: str, domain: str) -> str:
    """What a killed sync was at, by what it left behind."""
    for stream in streams_in(store):
        if stream["domain_id"] == domain and stream["owner"] is not None:
            return "in an incremental pass" if stream["marked"] else "in a backfill"
    return "without a lease"
