"""How much refused actions slow down the others, and how fast a redrive empties the queue.

    python benchmarks/refusals.py [--records 100000] [--rounds 3] [--stores sqlite mongodb]

The engine reads records that are made in memory, so that storing is what takes the time. A sink
before the store refuses 5 % of the actions: by name, or whole batches without saying which.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from attrs import evolve

from hubspot_sync import Account, ActionRejectedError, StreamSettings, SyncEngine
from hubspot_sync._clock import SystemClock
from hubspot_sync.models import (
    AccountDetails,
    FailureSelection,
    IdRange,
    Page,
    PropertySet,
    Record,
    from_milliseconds,
)
from hubspot_sync.stores.memory import MemoryTokenStore
from kit.mongod import Mongod

ACCOUNT = Account(account_id="62515", streams=(StreamSettings("contacts"),))
CREATED = 1_772_447_701_123
PAGE = 100
_names = count()


class Records:
    """A source of *number* contacts with 40 properties each."""

    def __init__(self, number):
        self._number = number

    def __call__(self, *_, **__):
        """A factory of itself."""
        return self

    def identify(self):
        """The account that it was made for."""
        return AccountDetails(account_id=ACCOUNT.account_id)

    def server_time(self):
        """The host's."""
        return SystemClock().now()

    def label(self, object_type):
        """HubSpot's own types have none."""

    def properties(self, settings, last):
        """Always the same."""
        return PropertySet(digest="all", defined=3, defined_at=from_milliseconds(0))

    def read(self, _, reading):
        """All of them, in pages of HubSpot's size."""
        start = int(reading.ranges[0].after or 0)
        for first in range(start, self._number, PAGE):
            last = first + PAGE >= self._number
            yield Page(
                records=tuple(contact(n) for n in range(first, min(first + PAGE, self._number))),
                ranges=() if last else (IdRange(after=str(first + PAGE)),),
                size=PAGE * 1_000,
            )

    def api_calls(self):
        """None."""
        return {}

    def close(self):
        """Nothing to close."""


def contact(number):
    """One of them."""
    moment = from_milliseconds(CREATED + number)
    values = {f"property_{n}": f"value {n} of {number}" for n in range(40)}
    return Record(
        object_type="contacts",
        object_id=str(number),
        properties=values,
        created_at=moment,
        modified_at=moment,
    )


class Refusing:
    """A sink before another one, which refuses one in twenty."""

    def __init__(self, inner, how):
        self._inner = inner
        self._how = how

    def write(self, actions):
        """Refuse, or let pass."""
        bad = {a.action_id: "one in twenty" for a in actions if int(a.object_id) % 20 == 7}
        if bad and self._how == "whole batches":
            raise ActionRejectedError("some of these are bad")
        if not bad:
            return self._inner.write(actions)
        answer = self._inner.write([a for a in actions if a.action_id not in bad])
        return evolve(answer, refused=bad)


@contextmanager
def sqlite_stores(folder, _server):
    """Stores in a fresh file."""
    from hubspot_sync.stores import sqlite

    with sqlite.SqliteDatabase(Path(folder) / f"{next(_names)}.db") as database:
        yield (
            sqlite.SqliteActionSink(database),
            sqlite.SqliteCheckpointer(database),
            sqlite.SqliteErrorQueue(database),
        )


@contextmanager
def mongodb_stores(_folder, server):
    """Stores in a fresh database."""
    from hubspot_sync.stores import mongodb

    with mongodb.MongoDatabase(server.uri_of(f"refusals_{next(_names)}")) as database:
        yield (
            mongodb.MongoActionSink(database),
            mongodb.MongoCheckpointer(database),
            mongodb.MongoErrorQueue(database),
        )


STORES = {"sqlite": sqlite_stores, "mongodb": mongodb_stores}


def measure(stores, how, number):
    """Seconds of a sync, and of the redrive that follows it."""
    sink, checkpointer, queue = stores
    parts = {
        "open_source": Records(number),
        "tokens": MemoryTokenStore(),
        "checkpointer": checkpointer,
        "error_queue": queue,
    }
    before = sink if how == "none" else Refusing(sink, how)
    started = time.perf_counter()
    counts = SyncEngine(sink=before, **parts).sync(ACCOUNT).counts
    seconds = time.perf_counter() - started
    waiting = sum(queue.count(FailureSelection(account=ACCOUNT.key)).values())
    assert counts.read == number == counts.delivered + counts.rejected
    assert waiting == counts.rejected == (0 if how == "none" else number // 20)
    started = time.perf_counter()
    redriven = SyncEngine(sink=sink, **parts).redrive(ACCOUNT).counts
    assert redriven.delivered == waiting
    assert queue.count(FailureSelection(account=ACCOUNT.key)) == {}
    return seconds, time.perf_counter() - started


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", nargs="*", default=list(STORES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Mongod(Path(folder)) if "mongodb" in options.stores else None
        try:
            for name in options.stores:
                compare(name, options, folder, server)
        finally:
            if server is not None:
                server.stop()


def compare(name, options, folder, server):
    """All ways of refusing on one back end."""
    found = {"none": [], "by name": [], "whole batches": []}
    for _ in range(options.rounds):
        for how, results in found.items():
            with STORES[name](folder, server) as stores:
                results.append(measure(stores, how, options.records))
    plain = statistics.median(seconds for seconds, _ in found["none"])
    for how, results in found.items():
        seconds = statistics.median(one for one, _ in results)
        redrive = statistics.median(one for _, one in results)
        print(
            f"{name:>8}, refused {how:<13}: {options.records / seconds:8.0f} records a second, "
            f"{plain / seconds:4.2f} of without; redrive {redrive:5.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
