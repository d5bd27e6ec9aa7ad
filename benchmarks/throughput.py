"""How fast the engine is, as a ratio to a bare loop in the same run, and how much memory it takes.

    make benchmark
    python benchmarks/throughput.py [--contacts 50000] [--rounds 3] [--memory 20000 200000]
                                     [--cheap]

The bare loop is the official client's raw transport, one JSON decode a page, and `insert_many` of
the same documents. Emulator, MongoDB and workload are three processes on one machine; with
`--cheap` the emulator's place is taken by a server whose answers cost next to nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from kit.mongod import Mongod

_databases = itertools.count()
WORKLOADS = Path(__file__).with_name("workloads.py")
CHEAP_SERVER = Path(__file__).with_name("cheap_server.py")


@contextmanager
def emulator(contacts, companies=None, *options):
    """An emulated account in a process of its own."""
    companies = contacts // 5 if companies is None else companies
    command = [sys.executable, "-m", "hubspot_sync.testing.emulator", "--port", "0"]
    command += ["--contacts", str(contacts), "--companies", str(companies), *options]
    with serving(command) as base_url:
        yield base_url


@contextmanager
def cheap(upstream):
    """A server in a process of its own that has the contacts of *upstream* ready."""
    with serving([sys.executable, str(CHEAP_SERVER), upstream]) as base_url:
        yield base_url


@contextmanager
def serving(command):
    """A process that says where it serves."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(process.stdout.readline())["base_url"]
        finally:
            process.terminate()


def measure(workload, base_url, mongodb_uri):
    """Run *workload* in a process of its own."""
    command = [sys.executable, str(WORKLOADS), workload, base_url, mongodb_uri]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output.splitlines()[-1])


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--contacts", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*", default=[20_000, 200_000])
    parser.add_argument("--cheap", action="store_true", help="serve rows that are ready")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        server = Mongod(Path(folder))
        try:
            with emulator(options.contacts) as upstream, ExitStack() as stack:
                ready = stack.enter_context(cheap(upstream)) if options.cheap else upstream
                speed(options.rounds, ready, server)
            memory(options.memory, server)
        finally:
            server.stop()


def memory(sizes, server):
    """The engine's peak on accounts of several sizes."""
    peaks = {}
    for contacts in sizes:
        with emulator(contacts) as base_url:
            peaks[contacts] = measure("engine", base_url, fresh(server))["peak_megabytes"]
        print(f"peak memory at {contacts:>7} contacts: {peaks[contacts]:6.1f} MB", flush=True)
    if len(peaks) > 1:
        print(f"largest to smallest: {max(peaks.values()) / min(peaks.values()):.2f}")


def speed(rounds, base_url, server):
    """Both workloads, in turn."""
    results = {"bare": [], "engine": []}
    for _ in range(rounds):
        for workload, found in results.items():
            found.append(measure(workload, base_url, fresh(server)))
    for workload, found in results.items():
        seconds = statistics.median(one["seconds"] for one in found)
        cpu = statistics.median(one["cpu_seconds"] for one in found)
        records = found[0]["records"]
        print(
            f"{workload:>6}: {records} records, {records / seconds:8.0f} a second, "
            f"{1e6 * cpu / records:6.1f} us of CPU each"
        )
    pairs = list(zip(results["bare"], results["engine"], strict=True))
    ratios = [bare["seconds"] / engine["seconds"] for bare, engine in pairs]
    cpu_ratios = [engine["cpu_seconds"] / bare["cpu_seconds"] for bare, engine in pairs]
    print(f"throughput, engine to bare loop: {statistics.median(ratios):.2f} {rounded(ratios)}")
    print(f"CPU per record, engine to bare:  {statistics.median(cpu_ratios):.2f}")


def rounded(numbers):
    """For reading."""
    return [round(number, 2) for number in numbers]


def fresh(server):
    """The URI of a database that nobody has used."""
    return server.uri_of(f"benchmark_{next(_databases)}")


if __name__ == "__main__":
    main()
