"""`hubspot-sync emulator`: the look-alike of HubSpot, until it is interrupted.

`python -m hubspot_sync.testing.emulator` is the same with all that can be set of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync._clock import StopSignal
from hubspot_sync.commands._arguments import BASE_URL_VARIABLE, Command, add_output
from hubspot_sync.commands._environment import ACCESS_TOKEN
from hubspot_sync.commands._messages import BadArgumentsError
from hubspot_sync.commands._output import Result, show
from hubspot_sync.commands._session import signals_that_call
from hubspot_sync.testing.emulator import HubSpotEmulator

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def _add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--account", default="62515", help="the account's id (default: 62515)")
    add("--contacts", type=int, default=1_000, help="how many contacts it has (default: 1000)")
    add("--companies", type=int, default=200, help="how many companies it has (default: 200)")
    add("--port", type=int, default=0, help="where to listen on 127.0.0.1; default: any free port")
    add_output(parser)


def _run(options: Namespace) -> int:
    done = StopSignal()
    try:
        served = HubSpotEmulator(
            account_id=options.account,
            contacts=options.contacts,
            companies=options.companies,
            port=options.port,
        )
        with signals_that_call(done.set), served as emulator:
            status = show(_result_of(emulator), options)
            done.wait()
    except OSError as error:
        raise BadArgumentsError(
            f"cannot listen at 127.0.0.1:{options.port}: {error.strerror}; give another --port"
        ) from None
    except (OverflowError, TypeError, ValueError) as error:
        raise BadArgumentsError(str(error)) from None
    return status


def _result_of(emulator: HubSpotEmulator) -> Result:
    return Result(
        document=emulator.describe(),
        lines=(
            f"# account {emulator.account_id}, until Ctrl-C",
            f"export {BASE_URL_VARIABLE}={emulator.base_url}",
            f"export {ACCESS_TOKEN}={emulator.access_token}",
        ),
    )


EMULATOR = Command(
    add_arguments=_add_arguments,
    run=_run,
    example="hubspot-sync emulator --contacts 50 --port 9100",
)
