"""`python -m fastapi_host`: serve; `... key DOMAIN`: make an API key; `... demo`: try it out."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING

import uvicorn

from hubspot_sync import ConfigurationError

from .app import create_app
from .demo import demo
from .security import ApiKey, new_api_key
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit status."""
    options = _parser().parse_args(arguments)
    if options.command == "key":
        api_key = new_api_key()
        print(f"for the client, once:   {api_key}")
        print(f"for HOST_API_KEYS:      {ApiKey.of(options.domain, api_key)}")
        return 0
    logging.basicConfig(level=logging.INFO, format="%(levelname)-8s %(message)s")
    if options.command == "demo":
        demo(options.port)
        return 0
    try:
        app = create_app(Settings.from_environment(os.environ))
    except ConfigurationError as error:
        print(f"fastapi_host: {error}", file=sys.stderr)
        return 2
    # Without the access log: addresses hold invitations and what HubSpot sent.
    uvicorn.run(app, host=options.host, port=options.port, access_log=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fastapi_host", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=8000)
    commands = parser.add_subparsers(dest="command")
    key = commands.add_parser("key", help="make an API key for a domain")
    key.add_argument("domain")
    commands.add_parser("demo", help="serve with an emulator in place of HubSpot")
    return parser


if __name__ == "__main__":
    sys.exit(main())
