"""What syncing many accounts costs: against one account of the same records, and by turns.

    make benchmark-fleet
    python benchmarks/fleet.py [--accounts 200] [--largest 5000] [--workers 8] [--rounds 3]

Accounts of 50 to `--largest` records in twenty domains are synced by `sync_all`, then one account
with as many records by `sync`; then two large accounts by one worker, with turns and without.
Emulator, MongoDB and workload are three processes on one machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

DOMAINS = 20
SMALLEST = 50
_databases = itertools.count()


def sizes(accounts, largest):
    """Records of each account, from few to many in equal ratios, mixed among the domains."""
    steps = max(accounts - 1, 1)
    ratio = largest / SMALLEST
    return [round(SMALLEST * ratio ** ((7 * n % accounts) / steps)) for n in range(accounts)]


def of_each_type(records):
    """How many companies and contacts an account of *records* has."""
    companies = records // 5
    return {"companies": companies, "contacts": records - companies}


def emulate(options):
    """Serve the accounts until standard input ends."""
    from hubspot_sync.testing import HubSpotEmulator

    wanted = sizes(options.accounts, options.largest)
    with HubSpotEmulator(account_id="1", **of_each_type(sum(wanted))) as emulator:
        for number, records in enumerate(wanted):
            emulator.add_account(str(1_000 + number), **of_each_type(records))
        for number in range(2):
            emulator.add_account(str(10 + number), **of_each_type(options.large))
        print(emulator.base_url, flush=True)
        sys.stdin.read()


def work(options):
    """Sync, and tell what it took."""
    from hubspot_sync import (
        Account,
        HubSpotSettings,
        StaticAccessToken,
        SyncSettings,
        mongodb_engine,
    )

    names = {
        "fleet": [str(1_000 + number) for number in range(options.accounts)],
        "one": ["1"],
        "turns": ["10", "11"],
    }[options.work]
    engine = mongodb_engine(
        options.mongodb,
        hubspot=HubSpotSettings(base_url=options.emulator, burst_limit=None, search_limit=None),
        settings=SyncSettings(turn=timedelta(seconds=options.turn)),
        observers=[],
    )
    with engine:
        for number, name in enumerate(names):
            domain = f"domain-{number % DOMAINS}"
            engine.for_domain(domain).add(name)
            access_token = "pat-na1-emulator" if name == "1" else f"pat-na1-emulator-{name}"
            engine.connect(
                Account(account_id=name, domain_id=domain),
                StaticAccessToken(access_token),
            )
        threads = Watch()
        started, cpu = time.perf_counter(), time.process_time()
        report = engine.sync_all(workers=options.workers)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    report.raise_for_failure()
    assert report.completed
    print(
        json.dumps(
            {
                "records": report.counts.delivered,
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "threads": threads.most(),
                "calls": sum(report.api_calls.values()),
            }
        )
    )


class Watch:
    """The most threads that were there at once, looked at now and then."""

    def __init__(self):
        self._most = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self):
        while not self._ended.wait(0.02):
            self._most = max(self._most, threading.active_count())

    def most(self):
        self._ended.set()
        self._thread.join()
        return self._most


@contextmanager
def emulator(options):
    """The accounts, in a process of their own."""
    command = [sys.executable, __file__, "--emulate", *arguments(options)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        yield process.stdout.readline().strip()
        process.stdin.close()


def measure(options, what, base_url, server, *, workers=None, turn=3600.0):
    """One workload, in a process of its own."""
    command = [sys.executable, __file__, "--work", what, *arguments(options, workers)]
    command += ["--emulator", base_url, "--turn", str(turn)]
    command += ["--mongodb", server.uri_of(f"benchmark_{os.getpid()}_{next(_databases)}")]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def arguments(options, workers=None):
    """What all processes have to agree on."""
    named = {
        "accounts": options.accounts,
        "largest": options.largest,
        "large": options.large,
        "workers": workers or options.workers,
    }
    return [text for name, value in named.items() for text in (f"--{name}", str(value))]


def compare(options, first, second, measured):
    """Two workloads in turn, several times; the second against the first."""
    found = {first: [], second: []}
    for _ in range(options.rounds):
        for name, results in found.items():
            results.append(measured(name))
    for name, results in found.items():
        rate = statistics.median(one["records"] / one["seconds"] for one in results)
        cpu = statistics.median(1e6 * one["cpu_seconds"] / one["records"] for one in results)
        most = {key: max(one[key] for one in results) for key in ("peak_megabytes", "threads")}
        print(
            f"{name:>14}: {results[0]['records']} records, {results[0]['calls']} calls, "
            f"{rate:.0f} a second, {cpu:.0f} us of CPU each, {most['peak_megabytes']:.0f} MB, "
            f"{most['threads']} threads",
            flush=True,
        )
    pairs = list(zip(found[first], found[second], strict=True))
    ratios = [one["seconds"] / other["seconds"] for one, other in pairs]
    shown = [round(ratio, 2) for ratio in ratios]
    print(f"throughput, {second} to {first}: {statistics.median(ratios):.2f} {shown}", flush=True)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--largest", type=int, default=5_000)
    parser.add_argument("--large", type=int, default=20_000, help="records of the large accounts")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=float, nargs="*", default=[5.0, 1.0], help="in seconds")
    parser.add_argument("--emulate", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--emulator", help=argparse.SUPPRESS)
    parser.add_argument("--mongodb", help=argparse.SUPPRESS)
    parser.add_argument("--turn", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.emulate:
        emulate(options)
    elif options.work:
        work(options)
    else:
        benchmark(options)


def benchmark(options):
    """All that is compared."""
    from kit.mongod import Mongod

    with tempfile.TemporaryDirectory() as folder:
        server = Mongod(Path(folder))
        try:
            with emulator(options) as base_url:
                compare(
                    options,
                    "one",
                    "fleet",
                    lambda name: measure(options, name, base_url, server),
                )
                for turn in options.turns:
                    compare(
                        options,
                        "without turns",
                        f"turns of {turn:g} s",
                        lambda name, turn=turn: measure(
                            options,
                            "turns",
                            base_url,
                            server,
                            workers=1,
                            turn=turn if name.startswith("turns") else 3600.0,
                        ),
                    )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
