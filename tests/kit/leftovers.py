"""Ends all that a test run has started as soon as the run has gone, however it went.

Databases, emulators and workers outlive a run that is killed: nobody tears its fixtures down, and
some have sessions of their own. So a process beside the run, which no signal of a terminal reaches,
waits until the run has gone, and kills whatever still carries its mark: a variable that all its
descendants inherit, however far down, wherever they were moved to.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from contextlib import suppress

import psutil

# Not one that begins with HUBSPOT_: tests keep those from the programs that they start.
MARK = "TEST_RUN_OF_HUBSPOT_SYNC"
_ROUNDS = 50


class Watch:
    """From here on all that this process starts ends with it, until the watch is ended."""

    def __init__(self) -> None:
        unmarked = {name: value for name, value in os.environ.items() if name != MARK}
        self._mark = os.environ[MARK] = uuid.uuid4().hex
        command = [sys.executable, __file__, str(os.getpid()), self._mark]
        self._process = subprocess.Popen(command, env=unmarked, start_new_session=True)

    def end(self) -> None:
        """The run ends by itself; what it did not put away ends here."""
        self._process.kill()
        self._process.wait()
        _kill(self._mark)


def _marked(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # gone meanwhile, or somebody else's
            if process.environ().get(MARK) == mark and process.pid != os.getpid():
                found.append(process)
    return found


def _kill(mark: str) -> None:
    """Kill whatever has the mark, and what that has started meanwhile."""
    for _ in range(_ROUNDS):
        left = _marked(mark)
        if not left:
            return
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=0.2)


if __name__ == "__main__":
    while os.getppid() == int(sys.argv[1]):
        time.sleep(0.2)  # noqa: TID251 - real processes, real time
    _kill(sys.argv[2])
