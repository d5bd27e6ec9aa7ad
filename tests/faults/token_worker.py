"""One of several processes that share an account's tokens and sync it all by themselves.

    python token_worker.py '{"store": "sqlite:////tmp/crm.db", "base_url": "http://...", ...}'

The tokens are in the store that all share; progress and records stay in the process, so that each
reads everything. It prints what it found when at least the given seconds have passed.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hubspot_sync import (
    Account,
    CredentialKeys,
    HubSpotSettings,
    OAuthApp,
    SyncEngine,
)
from hubspot_sync._clock import SystemClock
from hubspot_sync.stores.memory import MemoryActionSink, MemoryStores
from hubspot_sync.stores.mongodb import MongoDatabase, MongoTokenStore
from hubspot_sync.stores.sqlite import SqliteDatabase, SqliteTokenStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hubspot_sync.interfaces import TokenStore

CLOCK = SystemClock()


def main() -> int:
    """Sync from the start again and again."""
    given = json.loads(sys.argv[1])
    with tokens_in(given) as tokens:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        end, runs = CLOCK.monotonic() + given["seconds"], []
        while CLOCK.monotonic() < end:
            runs.append(run(given, tokens))
    sys.stdout.write(json.dumps(runs) + "\n")
    return 0


def run(given: Mapping[str, str], tokens: TokenStore) -> dict[str, Any]:
    """One sync of everything."""
    account = Account(account_id=given["account"], domain_id=given["domain"])
    sink, started = MemoryActionSink(), CLOCK.monotonic()
    with engine_for(given, tokens, sink) as engine:
        report = engine.sync(account)
    return {
        "completed": report.completed,
        "error": str(report.error or ""),
        "records": len(sink.actions),
        "seconds": CLOCK.monotonic() - started,
    }


def engine_for(given: Mapping[str, str], tokens: TokenStore, sink: MemoryActionSink) -> SyncEngine:
    """An engine that shares the tokens and nothing else."""
    app = OAuthApp(client_id=given["client_id"], client_secret=given["client_secret"])
    hubspot = HubSpotSettings(base_url=given["base_url"], burst_limit=None, search_limit=None)
    return SyncEngine(MemoryStores(), tokens=tokens, sink=sink, oauth_app=app, hubspot=hubspot)


@contextmanager
def tokens_in(given: Mapping[str, str]) -> Iterator[TokenStore]:
    """The token store at a URL."""
    keys = CredentialKeys(given["key"])
    if given["store"].startswith("mongodb"):
        with MongoDatabase(given["store"]) as mongodb:
            yield MongoTokenStore(mongodb, keys)
    else:
        with SqliteDatabase(given["store"].removeprefix("sqlite:///")) as sqlite:
            yield SqliteTokenStore(sqlite, keys)


if __name__ == "__main__":
    sys.exit(main())
