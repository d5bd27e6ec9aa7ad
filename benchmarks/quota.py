"""How close a backfill comes to the floor that HubSpot's quota sets, with no 429 on the way.

    make benchmark-quota
    python benchmarks/quota.py [--contacts 100000] [--companies 20000] [--burst-limit 110]

The emulator answers after 0.3 s and enforces the limits. The floor is what the list endpoint costs
at 100 records a call: calls divided by calls per second.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import urllib.request
from pathlib import Path

from throughput import emulator

from hubspot_sync import Account, HubSpotSettings, StaticAccessToken, SyncEngine
from hubspot_sync.stores.sqlite import SqliteStores

PAGE = 100


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--companies", type=int, default=20_000)
    parser.add_argument("--burst-limit", type=int, default=110)
    parser.add_argument("--search-limit", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.3)
    options = parser.parse_args()
    limits = ["--burst-limit", str(options.burst_limit), "--search-limit"]
    limits += [str(options.search_limit), "--latency", str(options.latency)]
    with emulator(options.contacts, options.companies, *limits) as base_url:
        report = sync(base_url, options)
        statuses = asked(f"{base_url}/_emulator/calls")["statuses"]
    calls = -(-options.contacts // PAGE) + -(-options.companies // PAGE)
    floor = calls / (options.burst_limit / 10)
    seconds = report.duration.total_seconds()
    print(f"records:        {report.counts.delivered}")
    print(f"calls:          {dict(report.api_calls)}")
    print(f"answers:        {statuses}")
    print(f"seconds:        {seconds:.1f}")
    print(f"quota's floor:  {floor:.1f} ({calls} list calls at {options.burst_limit / 10:g}/s)")
    print(f"serial reader:  {calls * options.latency:.1f}")
    print(f"ratio to floor: {seconds / floor:.2f}")


def sync(base_url, options):
    """One backfill into SQLite."""
    hubspot = HubSpotSettings(
        base_url=base_url,
        burst_limit=options.burst_limit,
        search_limit=options.search_limit,
    )
    account = Account(account_id="62515")
    with (
        tempfile.TemporaryDirectory() as folder,
        SyncEngine(SqliteStores(Path(folder) / "crm.db"), hubspot=hubspot) as engine,
    ):
        engine.store_credentials(account, StaticAccessToken("pat-na1-emulator"))
        report = engine.sync(account)
    report.raise_for_failure()
    return report


def asked(url):
    """The JSON at *url*."""
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
