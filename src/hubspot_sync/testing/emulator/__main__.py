"""`python -m hubspot_sync.testing.emulator`: serve until interrupted.

When it is ready it prints one line of JSON with the base URL and the credentials.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson

from hubspot_sync.testing.emulator._emulator import HubSpotEmulator
from hubspot_sync.testing.emulator._hostility import Hostility

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; returns the exit status, 0 after SIGINT or SIGTERM."""
    options = _parser().parse_args(arguments)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    try:
        with _emulator(options) as emulator:
            sys.stdout.write(orjson.dumps(emulator.describe()).decode() + "\n")
            sys.stdout.flush()
            done.wait()
    except (OSError, TypeError, ValueError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 2
    return 0


def _emulator(options: argparse.Namespace) -> HubSpotEmulator:
    return HubSpotEmulator(
        contacts=options.contacts,
        companies=options.companies,
        seed=options.seed,
        account_id=options.account,
        access_token=options.access_token,
        client_id=options.client_id,
        client_secret=options.client_secret,
        refresh_token=options.refresh_token,
        access_token_lifetime=timedelta(seconds=options.access_token_lifetime),
        port=options.port,
        extra_properties=options.extra_properties,
        burst_limit=options.burst_limit,
        search_limit=options.search_limit,
        latency=options.latency,
        daily_limit=options.daily_limit,
        time_zone=options.time_zone,
        scopes=options.scopes and options.scopes.split(","),
        hostility=Hostility(**orjson.loads(options.hostility)),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hubspot_sync.testing.emulator",
        description="A HubSpot look-alike on 127.0.0.1.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--contacts", type=int, default=1000, help="how many contacts to start with")
    add("--companies", type=int, default=200, help="how many companies to start with")
    add("--seed", type=int, default=1, help="chooses the content")
    add("--port", type=int, default=0, help="0 takes a free port")
    add("--account", default="62515", help="the portal's number")
    add("--access-token", default="pat-na1-emulator", help="static, never expires")
    add("--client-id", default="emulator-client-id", help="of the OAuth app")
    add("--client-secret", default="emulator-client-secret", help="of the OAuth app")
    add("--refresh-token", default="na1-emulator-refresh", help="of the account")
    add("--access-token-lifetime", type=float, default=1800, help="seconds, of issued ones")
    add("--extra-properties", type=int, default=0, help="custom properties per object type")
    add("--burst-limit", type=int, default=None, help="calls per ten seconds")
    add("--search-limit", type=int, default=None, help="searches per second")
    add("--latency", type=float, default=0.0, help="seconds that every answer takes at least")
    add("--daily-limit", type=int, default=None, help="calls per day of the account")
    add("--time-zone", default="UTC", help="of the account, for the daily limit's midnight")
    add("--scopes", default=None, help="granted to access tokens, comma-separated; all by default")
    add("--hostility", default="{}", help="fields of Hostility as a JSON object")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
