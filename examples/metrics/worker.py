"""A worker whose metrics Prometheus reads; with `--demo` it needs no HubSpot account.

    pip install '.[otel]' opentelemetry-sdk opentelemetry-exporter-prometheus
    python examples/metrics/worker.py --demo
    curl http://127.0.0.1:9464/metrics

Without `--demo` it syncs the accounts in the database that `--store` names, whenever they are due,
until it gets SIGINT or SIGTERM. `HUBSPOT_SYNC_KEY` opens their credentials, `HUBSPOT_CLIENT_ID` and
`HUBSPOT_CLIENT_SECRET` are the OAuth app, and `HUBSPOT_BASE_URL` may lead to an emulator. An access
token in `HUBSPOT_ACCESS_TOKEN` opens the one account that `--account` and `--domain` name.
"""

from __future__ import annotations

import argparse
import os
import signal
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

from hubspot_sync import (
    Account,
    CredentialKeys,
    HubSpotSettings,
    LoggingObserver,
    OAuthApp,
    StaticAccessToken,
    SyncEngine,
)
from hubspot_sync.integrations.otel import HealthGauges, OpenTelemetryObserver
from hubspot_sync.stores import open_stores
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import HubSpotEmulator

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the metrics and sync what is due, until a signal comes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--store", metavar="URL", help="such as sqlite:///crm.db")
    where.add_argument("--demo", action="store_true", help="an emulated account, in memory")
    parser.add_argument("--account", help="the account that HUBSPOT_ACCESS_TOKEN opens")
    parser.add_argument("--domain", default="default", help="its tenant (default: default)")
    parser.add_argument("--port", type=int, default=9464, help="where the metrics are served")
    chosen = parser.parse_args(arguments)

    # The SDK first: what is recorded before it is set up goes nowhere.
    set_meter_provider(MeterProvider([PrometheusMetricReader()]))
    with ExitStack() as stack:
        engine = stack.enter_context(demo(stack) if chosen.demo else engine_on(chosen))
        HealthGauges(engine)
        server, _ = start_http_server(chosen.port, "127.0.0.1")
        stack.callback(server.shutdown)
        print(f"metrics at http://127.0.0.1:{server.server_port}/metrics", flush=True)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: engine.stop())
        engine.run(workers=4, poll_every=timedelta(seconds=1))


def engine_on(chosen: argparse.Namespace) -> SyncEngine:
    """An engine on the stores that the command line names, with what the environment says."""
    known, secret = os.environ.get("HUBSPOT_CLIENT_ID"), os.environ.get("HUBSPOT_CLIENT_SECRET")
    key, token = os.environ.get("HUBSPOT_SYNC_KEY"), os.environ.get("HUBSPOT_ACCESS_TOKEN")
    engine = SyncEngine(
        open_stores(chosen.store, cipher=CredentialKeys(key) if key else None),
        oauth_app=OAuthApp(client_id=known, client_secret=secret) if known and secret else None,
        hubspot=HubSpotSettings.from_environment(os.environ),
        observers=[LoggingObserver(), OpenTelemetryObserver()],
    )
    if token and chosen.account:
        account = Account(chosen.account, domain_id=chosen.domain)
        engine.store_credentials(account, StaticAccessToken(token))
    return engine


def demo(stack: ExitStack) -> SyncEngine:
    """An engine with one emulated account, which is due every ten seconds."""
    hubspot = stack.enter_context(HubSpotEmulator(contacts=1_000, companies=200))
    engine = SyncEngine(
        MemoryStores(),
        hubspot=HubSpotSettings(base_url=hubspot.base_url),
        observers=[LoggingObserver(), OpenTelemetryObserver()],
    )
    engine.domain("demo").connect(
        StaticAccessToken(hubspot.access_token), sync_every=timedelta(seconds=10)
    )
    return engine


if __name__ == "__main__":
    main()
