"""Names the running process so that another one on the same machine can tell when it is dead.

A process that was killed leaves its lease behind.
A later process of the same machine need not wait for it: it sees that nobody of that name lives.
Where the operating system does not tell (other machines, other systems), the lease's time decides.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_PROC = Path("/proc")


def new_owner_name() -> str:
    """A name for one holder of leases: where it lives, and something unique."""
    return f"{_machine() or 'unknown'}/{os.getpid()}/{_started(os.getpid())}/{secrets.token_hex(8)}"


def is_dead(owner: str) -> bool:
    """Whether *owner* was a process of this machine that certainly lives no more."""
    machine, _, rest = owner.partition("/")
    process_number, _, rest = rest.partition("/")
    started, _, _ = rest.partition("/")
    if not process_number.isdigit() or machine != _machine():
        return False
    if not _exists(int(process_number)):
        return True
    # A process that exists but may not be looked at (hidepid) counts as alive.
    return _started(int(process_number)) not in (started, None)


def _machine() -> str | None:
    """This boot of this machine and this process namespace, or None where that is not known."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        # Containers may share a boot id but number their processes on their own.
        return f"{boot}:{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return None


def _exists(process_number: int) -> bool:
    try:
        os.kill(process_number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started(process_number: int) -> str | None:
    """When that process started, in the kernel's ticks; "ended" for a zombie; None if unknown."""
    try:
        status = (_PROC / str(process_number) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    # The second field is the program's name in brackets and may itself hold blanks and brackets.
    fields = status.rpartition(")")[2].split()
    return "ended" if fields[0] in ("Z", "X") else fields[19]
