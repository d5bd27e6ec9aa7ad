"""What it costs to keep the values of each object, so that updates can say what changed.

    python benchmarks/tracking.py [--contacts 20000]

One backfill into SQLite with `track_changes` and one without, in turns, and then an update of a
tenth of the records; CPU of this process, which is the emulator's too, and bytes of the file.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from hubspot_sync import (
    Account,
    HubSpotSettings,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import HubSpotEmulator

ACCOUNT = Account("62515", streams=(StreamSettings("contacts"),))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contacts", type=int, default=20_000)
    contacts = parser.parse_args().contacts
    for _ in range(3):
        plain, tracked = measured(contacts, track=False), measured(contacts, track=True)
        for what, one, other in zip(("load", "updates", "bytes"), plain, tracked, strict=True):
            print(f"{what}: {one:,.2f} without, {other:,.2f} with, ratio {other / one:.2f}")


def measured(contacts: int, *, track: bool) -> tuple[float, float, int]:
    """CPU seconds of the first load and of the updates, and the size of the file."""
    with (
        tempfile.TemporaryDirectory() as folder,
        HubSpotEmulator(contacts=contacts, companies=0) as emulator,
    ):
        path = Path(folder) / "crm.db"
        engine = SyncEngine(
            SqliteStores(path),
            hubspot=HubSpotSettings(
                base_url=emulator.base_url, burst_limit=None, search_limit=None
            ),
            settings=SyncSettings(track_changes=track),
            observers=(),
        )
        engine.store_credentials(ACCOUNT, StaticAccessToken(emulator.access_token))
        began = time.process_time()
        engine.sync(ACCOUNT).raise_for_failure()
        loaded = time.process_time()
        for one in list(emulator.records("contacts"))[: contacts // 10]:
            emulator.update("contacts", one, {"city": "Cork"})
        changed = time.process_time()
        engine.sync(ACCOUNT).raise_for_failure()
        ended = time.process_time()
        engine.close()
        return loaded - began, ended - changed, path.stat().st_size


if __name__ == "__main__":
    main()
