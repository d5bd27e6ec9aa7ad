"""The process that the fault tests kill, stop and race: one sync, then its report on stdout.

    python worker.py '{"store": "sqlite:////tmp/crm.db", "base_url": "http://127.0.0.1:9100", ...}'

Like examples/sync_account.py, with settings that no command line needs: small batches and short
leases; "streams", with the associations of each; "reconcile"; and "every_kind", which looks for
deletions and compares associations in every run. Exit status: 0 when every stream completed, 1
when not.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import timedelta
from typing import Any

from hubspot_sync import (
    Account,
    HubSpotSettings,
    HubSpotSyncError,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncReport,
    SyncSettings,
)
from hubspot_sync.stores.mongodb import MongoStores
from hubspot_sync.stores.sqlite import SqliteStores

MOMENT = timedelta(milliseconds=1)
STREAMS = {"companies": (), "contacts": ("companies",)}


def main() -> int:
    """Run one sync; an error is one line on standard error."""
    given = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given["gate"]:
        # Several begin at the same moment when they are all let go.
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
    streams = [
        StreamSettings(name, associations=associations)
        for name, associations in given.get("streams", STREAMS).items()
    ]
    account = Account(account_id=given["account"], domain_id=given["domain"], streams=streams)
    try:
        with engine_for(given) as engine:
            engine.store_credentials(account, StaticAccessToken(access_token=given["access_token"]))
            if given.get("reconcile"):
                engine.reconcile(account)
            report = engine.sync(account)
    except HubSpotSyncError as error:
        sys.stderr.write(f"worker: {type(error).__name__}: {error}\n")
        return 1
    return tell(report)


def engine_for(given: dict[str, Any]) -> SyncEngine:
    """An engine on the store, with the settings that were given."""
    at_once = {"archived_every": MOMENT, "associations_every": MOMENT, "max_gone_share": 1.0}
    settings = SyncSettings(
        **(at_once if given.get("every_kind") else {}),
        batch_size=int(given["batch_size"]),
        lease_duration=timedelta(seconds=float(given["lease_seconds"])),
    )
    hubspot = HubSpotSettings(base_url=given["base_url"], burst_limit=None, search_limit=None)
    if given["store"].startswith("mongodb"):
        return SyncEngine(MongoStores(given["store"]), hubspot=hubspot, settings=settings)
    path = given["store"].removeprefix("sqlite:///")
    return SyncEngine(SqliteStores(path), hubspot=hubspot, settings=settings)


def tell(report: SyncReport) -> int:
    """Print the report as one line; errors also by class on standard error."""
    for stream in report.streams:
        if stream.error is not None:
            name = type(stream.error).__name__
            sys.stderr.write(f"worker: {name}: {stream.error}\n")
    sys.stdout.write(json.dumps(report.as_dict()) + "\n")
    return 0 if report.completed else 1


if __name__ == "__main__":
    sys.exit(main())
