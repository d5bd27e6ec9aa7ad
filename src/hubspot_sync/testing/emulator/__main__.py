"""`python -m hubspot_sync.testing.emulator`: serve until interrupted.

When it is ready it prints one line of JSON with the base URL and the credentials.
"""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import orjson

from hubspot_sync._clock import StopSignal
from hubspot_sync.testing.emulator.emulator import HubSpotEmulator
from hubspot_sync.testing.emulator.hostility.settings import Hostility

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAST_PORT: Final = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve; returns the exit status, 0 after SIGINT or SIGTERM."""
    options = _parser().parse_args(arguments)
    where = f" at 127.0.0.1:{options.port}" if options.port else ""
    done = StopSignal()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    try:
        with _emulator(options) as emulator:
            for _ in range(options.accounts - 1):
                emulator.add_account(**_of_account(options))
            sys.stdout.write(orjson.dumps(emulator.describe()).decode() + "\n")
            sys.stdout.flush()
            done.wait()
    except OSError as error:
        sys.stderr.write(f"emulator: cannot listen{where}: {error.strerror}; give another --port\n")
        return 2
    except (TypeError, ValueError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 2
    return 0


def _emulator(options: argparse.Namespace) -> HubSpotEmulator:
    return HubSpotEmulator(
        seed=options.seed,
        account_id=options.account,
        access_token=options.access_token,
        client_id=options.client_id,
        client_secret=options.client_secret,
        refresh_token=options.refresh_token,
        redirect_uris=options.redirect_uri,
        app_scopes=_names(options.app_scopes),
        app_optional_scopes=_names(options.app_optional_scopes) or (),
        token_limit=options.token_limit,
        rotate_refresh_tokens=options.rotate_refresh_tokens,
        port=options.port,
        **_of_account(options),
    )


def _of_account(options: argparse.Namespace) -> dict[str, Any]:
    """What is the same for every account."""
    return {
        "contacts": options.contacts,
        "companies": options.companies,
        "access_token_lifetime": options.access_token_lifetime,
        "extra_properties": options.extra_properties,
        "burst_limit": options.burst_limit,
        "search_limit": options.search_limit,
        "latency": options.latency,
        "daily_limit": options.daily_limit,
        "time_zone": options.time_zone,
        "scopes": _names(options.scopes),
        "installed": not options.not_installed,
        "hostility": Hostility(**orjson.loads(options.hostility)),
    }


def _names(given: str | None) -> list[str] | None:
    return given.split(",") if given else None


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Names the defaults, but for those that stand for nothing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = action.default not in (None, False, "{}")
        return super()._get_help_string(action) if told else action.help


def _port(given: str) -> int:
    port = int(given)
    if not 0 <= port <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"{port} is no port; give one from 0 to {_LAST_PORT}")
    return port


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hubspot_sync.testing.emulator",
        description="A HubSpot look-alike on 127.0.0.1.",
        formatter_class=_Help,
    )
    add = parser.add_argument
    add("--accounts", type=int, default=1, help="how many accounts, numbered from --account on")
    add("--contacts", type=int, default=1000, help="how many contacts to start with, each account")
    add("--companies", type=int, default=200, help="how many companies, likewise")
    add("--seed", type=int, default=1, help="chooses the content")
    add("--port", type=_port, default=0, help="0 takes a free port")
    add("--account", default="62515", help="the first account's number")
    add("--access-token", default="pat-na1-emulator", help="of the first one; never expires")
    add("--client-id", default="emulator-client-id", help="of the OAuth app")
    add("--client-secret", default="emulator-client-secret", help="of the OAuth app")
    add("--refresh-token", default="na1-emulator-refresh", help="of the first account")
    add("--access-token-lifetime", type=float, default=1800, help="seconds, of issued ones")
    add("--redirect-uri", action="append", help="of the OAuth app, may be repeated; any by default")
    add("--app-scopes", default=None, help="that the app requires, comma-separated")
    add("--app-optional-scopes", default=None, help="that it may ask for besides")
    add("--token-limit", type=int, default=None, help="calls of the token endpoint per second")
    add("--rotate-refresh-tokens", action="store_true", help="a new one with each refresh")
    add("--not-installed", action="store_true", help="no access by OAuth before a consent")
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
