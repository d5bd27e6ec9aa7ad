"""Kill -9, many times: `python tests/faults/kill.py --kills 200 --store sqlite --seed 1`.

Syncs run while the account changes all the time, and are killed at random moments. In the end
every store has to hold what the account holds, each change once. Prints counts; the exit status
is 1 when something was lost or came twice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.killing import Killer
from kit.account import EmulatedAccount, say
from kit.leftovers import Watch
from kit.mongod import Mongod

_SHOWN = 20


def main() -> int:
    """Kill, compare and tell."""
    options = _options()
    numbers = count(1)
    with ExitStack() as stack:
        stack.callback(Watch().end)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if options.store == "mongodb":
            mongod = Mongod(folder)
            stack.callback(mongod.stop)
            new_store = lambda: mongod.uri_of(f"kill_{next(numbers)}")  # noqa: E731
        else:
            new_store = lambda: f"sqlite:///{folder}/kill_{next(numbers)}.db"  # noqa: E731
        account = stack.enter_context(
            EmulatedAccount(contacts=options.contacts, companies=500, latency=0.02)
        )
        killer = Killer(account, new_store, options.seed, switching=not options.no_switching)
        tally = killer.run(options.kills, say)
    for problem in tally.problems[:_SHOWN]:
        say(problem)
    return int(bool(tally.problems))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--store", choices=["sqlite", "mongodb"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--contacts", type=int, default=2_500)
    parser.add_argument(
        "--no-switching", action="store_true", help="no property goes back to a former value"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
