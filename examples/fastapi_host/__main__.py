"""`python -m fastapi_host`: serve; `... key DOMAIN`: make an API key; `... demo`: try it out."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from typing import TYPE_CHECKING

import uvicorn

from hubspot_sync import ConfigurationError

from .app import create_app
from .demo import demo
from .logs import log_to_stderr
from .security import ApiKey, new_api_key
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; gives the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "key":
            _make_key(options.domain)
        else:
            _serve(options)
    except ConfigurationError as error:
        print(f"fastapi_host: {error}", file=sys.stderr)
        return 2
    return 0


def _make_key(domain_id: str) -> None:
    api_key = new_api_key()
    kept = ApiKey.of(domain_id, api_key)
    print(f"for the client, once:   {api_key}")
    print(f"for HOST_API_KEYS:      {kept}")


def _serve(options: argparse.Namespace) -> None:
    log_to_stderr(as_json=options.log == "json")
    if options.command == "demo":
        _check_free("127.0.0.1", options.port)
        demo(options.port)
        return
    app = create_app(Settings.from_environment(os.environ))
    _check_free(options.host, options.port)
    # Without the access log: addresses hold invitations and what HubSpot sent. With h11, which
    # has a bound for headers.
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        access_log=False,
        log_config=None,
        http="h11",
        ws="none",
    )


def _check_free(host: str, port: int) -> None:
    """Say in one line, before anything else is said, that nothing can be served there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"cannot listen at {host}:{port} ({error}); give another --port, "
            "or with make: make host PORT=8001"
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fastapi_host", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--log", choices=("text", "json"), default="text")
    commands = parser.add_subparsers(dest="command")
    key = commands.add_parser("key", help="make an API key for a domain")
    key.add_argument("domain")
    commands.add_parser("demo", help="serve with an emulator in place of HubSpot")
    return parser


if __name__ == "__main__":
    sys.exit(main())
