"""Counts the calls that deletions and changed associations take to be found in a large account.

python benchmarks/changes.py [--contacts 100000]
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from hubspot_sync import Account, HubSpotSettings, StaticAccessToken, StreamSettings, SyncEngine
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import HubSpotEmulator, ManualClock

HOUR = timedelta(hours=1)


def main() -> None:
    """One account, one thing after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    contacts = parser.parse_args().contacts
    logging.disable(logging.WARNING)
    clock = ManualClock()
    with (
        tempfile.TemporaryDirectory() as folder,
        HubSpotEmulator(contacts=contacts, companies=1_000, clock=clock) as emulator,
    ):
        host = Host(emulator, clock, folder)
        known = sorted(emulator.records("contacts"), key=int)
        host.sync("first load", HOUR)
        host.sync("idle, a minute later", timedelta(minutes=1))
        host.sync("nothing went, associations compared", HOUR)
        emulator.archive("contacts", known[contacts // 3])
        host.sync("1 deletion", timedelta(minutes=15))
        for one in known[5 :: contacts // 50][:50]:
            emulator.archive("contacts", one)
        host.sync("50 deletions", timedelta(minutes=15))
        edges = emulator.truth()["contacts"].live[known[7]].associations.get("companies", {})
        company = next(iter(emulator.records("companies")))
        if company in edges:
            emulator.dissociate("contacts", known[7], "companies", company)
        else:
            emulator.associate("contacts", known[7], "companies", company)
        host.sync("1 association, with the comparison of all", HOUR)
    clock = ManualClock()
    with (
        tempfile.TemporaryDirectory() as folder,
        HubSpotEmulator(contacts=2 * contacts, companies=0, clock=clock) as emulator,
    ):
        known = sorted(emulator.records("contacts"), key=int)
        for one in known[::2]:
            emulator.archive("contacts", one)
        host = Host(emulator, clock, folder)
        host.sync(f"first load, {contacts} archived records beside", HOUR)
        emulator.archive("contacts", known[contacts + 1])
        host.sync("1 deletion among them", timedelta(minutes=15))
        for one in known[11 :: 2 * contacts // 10][:10]:
            emulator.archive("contacts", one)
        host.sync("10 deletions among them", timedelta(minutes=15))


class Host:
    """A SQLite file, and an engine on one account."""

    def __init__(self, emulator: HubSpotEmulator, clock: ManualClock, folder: str) -> None:
        self.clock = clock
        self.account = Account(
            "62515",
            domain_id="acme",
            streams=(StreamSettings("contacts", associations=("companies",)),),
        )
        self.engine = SyncEngine(
            SqliteStores(Path(folder) / "crm.db", clock=clock),
            hubspot=HubSpotSettings(
                base_url=emulator.base_url, burst_limit=None, search_limit=None
            ),
            clock=clock,
        )
        token = StaticAccessToken(emulator.access_token)
        self.engine.store_credentials(self.account, token)

    def sync(self, what: str, pause: timedelta) -> None:
        """A run after *pause*, and what it took."""
        self.clock.advance(pause.total_seconds())
        began = time.perf_counter()
        report = self.engine.sync(self.account)
        report.raise_for_failure()
        calls = {name: number for name, number in report.api_calls.items() if name != "properties"}
        print(
            f"{what}: {report.counts.delivered} delivered, {sum(calls.values())} calls {calls}, "
            f"{time.perf_counter() - began:.1f} s"
        )


if __name__ == "__main__":
    main()
