"""The process that the fault tests kill, stop and race: one sync, then its report on stdout.

    python worker.py '{"store": "sqlite:////tmp/crm.db", "base_url": "http://127.0.0.1:9100", ...}'

Like examples/sync_account.py, with settings that no command line needs: small batches and short
leases. Exit status: 0 when every stream completed, 1 when not.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import timedelta

from hubspot_sync import (
    Account,
    HubSpotSettings,
    HubSpotSyncError,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncReport,
    SyncSettings,
    embedded_engine,
    mongodb_engine,
)

STREAMS = (
    StreamSettings(object_type="companies"),
    StreamSettings(object_type="contacts", associations=("companies",)),
)


def main() -> int:
    """Run one sync; an error is one line on standard error."""
    given = json.loads(sys.argv[1])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if given["gate"]:
        # Several begin at the same moment when they are all let go.
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
    account = Account(account_id=given["account"], domain_id=given["domain"], streams=STREAMS)
    try:
        with engine_for(given) as engine:
            engine.connect(account, StaticAccessToken(access_token=given["access_token"]))
            report = engine.sync(account)
    except HubSpotSyncError as error:
        sys.stderr.write(f"worker: {type(error).__name__}: {error}\n")
        return 1
    return tell(report)


def engine_for(given: dict[str, str]) -> SyncEngine:
    """The preset for the store, with the settings that were given."""
    settings = SyncSettings(
        batch_size=int(given["batch_size"]),
        lease_duration=timedelta(seconds=float(given["lease_seconds"])),
    )
    hubspot = HubSpotSettings(base_url=given["base_url"], burst_limit=None, search_limit=None)
    if given["store"].startswith("mongodb"):
        return mongodb_engine(given["store"], hubspot=hubspot, settings=settings)
    path = given["store"].removeprefix("sqlite:///")
    return embedded_engine(path, hubspot=hubspot, settings=settings)


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
