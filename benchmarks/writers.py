"""What several sink writers, or transactions, change for stores that are some way off.

    python benchmarks/writers.py [--records 30000] [--rounds 3] [--latency 0 5 20]
    python benchmarks/writers.py --transactions

The engine reads records that are made in memory, so that storing is what takes the time. Every call
to a store takes *latency* milliseconds more, during which other threads work, as on a network.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from refusals import ACCOUNT, STORES, Mongod, Records

from hubspot_sync import SyncEngine, SyncSettings
from hubspot_sync.stores.memory import MemoryTokenStore
from hubspot_sync.stores.mongodb import (
    MongoActionSink,
    MongoAtomicSink,
    MongoCheckpointer,
    MongoDatabase,
    MongoErrorQueue,
)


class Distant:
    """A store some way off.

    Args:
        inner: The store.
        seconds: How long every call takes more.
    """

    def __init__(self, inner, seconds):
        self._inner = inner
        self._seconds = seconds
        self.parallel_writes = 8

    def __getattr__(self, name):
        method = getattr(self._inner, name)

        def call(*args, **kwargs):
            time.sleep(self._seconds)
            return method(*args, **kwargs)

        return call


def measure(stores, writers, latency, number):
    """Records a second."""
    if latency:
        stores = [Distant(store, latency / 1_000) for store in stores]
    sink, checkpointer, queue = stores
    engine = SyncEngine(
        open_source=Records(number),
        tokens=MemoryTokenStore(),
        sink=sink,
        checkpointer=checkpointer,
        error_queue=queue,
        settings=SyncSettings(sink_writers=writers),
    )
    started = time.perf_counter()
    counts = engine.sync(ACCOUNT).counts
    seconds = time.perf_counter() - started
    assert counts.delivered == number
    return number / seconds


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, nargs="*", default=[0, 5, 20])
    parser.add_argument("--writers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--stores", nargs="*", default=list(STORES))
    parser.add_argument("--transactions", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Mongod(Path(folder)) if "mongodb" in options.stores else None
        try:
            if options.transactions:
                compare_transactions(options, server)
                return
            for name in options.stores:
                for latency in options.latency:
                    compare(name, latency, options, folder, server)
        finally:
            if server is not None:
                server.stop()


def compare(name, latency, options, folder, server):
    """One back end at one distance."""
    rates = {writers: [] for writers in options.writers}
    for _ in range(options.rounds):
        for writers, found in rates.items():
            with STORES[name](folder, server) as stores:
                found.append(measure(stores, writers, latency, options.records))
    one = statistics.median(rates[options.writers[0]])
    for writers, found in rates.items():
        rate = statistics.median(found)
        print(
            f"{name:>8}, {latency:3g} ms, {writers} writers: {rate:6.0f} records a second, "
            f"{rate / one:4.2f} of the first",
            flush=True,
        )


def compare_transactions(options, server):
    """Each batch together with its checkpoint, or one after the other, in MongoDB."""
    rates = {MongoActionSink: [], MongoAtomicSink: []}
    for number in range(options.rounds):
        for kind, found in rates.items():
            uri = server.uri_of(f"{kind.__name__}_{number}")
            with MongoDatabase(uri) as database:
                stores = kind(database), MongoCheckpointer(database), MongoErrorQueue(database)
                found.append(measure(stores, 1, 0, options.records))
    two_steps = statistics.median(rates[MongoActionSink])
    for kind, found in rates.items():
        rate = statistics.median(found)
        print(f"{kind.__name__}: {rate:6.0f} records a second, {rate / two_steps:4.2f}", flush=True)


if __name__ == "__main__":
    main()
