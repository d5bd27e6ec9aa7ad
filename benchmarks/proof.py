"""What it costs in calls to prove that a backfill is complete, and to find what the list left out.

    python benchmarks/proof.py [--contacts 100000]

The emulator's list leaves out no record, one, and three that lie far apart. Companies are left
out of the account, so all calls are about one stream.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from hubspot_sync import Account, HubSpotSettings, StaticAccessToken, StreamSettings, SyncEngine
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import HubSpotEmulator
from hubspot_sync.testing.emulator import Hostility


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contacts", type=int, default=100_000)
    contacts = parser.parse_args().contacts
    with HubSpotEmulator(contacts=contacts) as emulator:
        ids = sorted(emulator.records("contacts"), key=int)
        plain = calls_of_a_backfill(emulator, contacts)
        print("calls of a backfill, no record left out:", plain)
        for left_out in (1, 3):
            places = [contacts * place // (left_out + 1) for place in range(1, left_out + 1)]
            lost = {ids[place] for place in places}
            emulator.hostility = Hostility(hidden_from_list={"contacts": lost})
            calls = calls_of_a_backfill(emulator, contacts)
            more = {name: calls[name] - plain.get(name, 0) for name in calls}
            print(f"more calls with {left_out} left out:", sum(more.values()), more)


def calls_of_a_backfill(emulator, contacts):
    """By endpoint; all records arrive."""
    account = Account(
        account_id=emulator.account_id,
        domain_id="benchmark",
        streams=[StreamSettings("contacts")],
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = SyncEngine(
            SqliteStores(Path(folder, "crm.db")),
            hubspot=HubSpotSettings(base_url=emulator.base_url),
        )
        with engine:
            engine.store_credentials(account, StaticAccessToken(access_token=emulator.access_token))
            report = engine.sync(account)
    assert report["contacts"].counts.delivered == contacts, report
    return dict(report.api_calls)


if __name__ == "__main__":
    main()
