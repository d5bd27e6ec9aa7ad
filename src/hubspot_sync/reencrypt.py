"""`python -m hubspot_sync.reencrypt --store sqlite:///crm.db`: change the encryption key.

All stored credentials are sealed again under the key in HUBSPOT_SYNC_KEY; those before it, which
still open what they sealed, are in HUBSPOT_SYNC_OLD_KEYS, with spaces between. Keys come from the
environment, because arguments show in the list of processes; the store may, in HUBSPOT_SYNC_STORE.
Syncs may run meanwhile.

Exit status: 0 when all is sealed again, 1 when some is not or when the store cannot be used, 2 when
the command line or the environment is wrong by itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from hubspot_sync._encryption import EncryptionKeys
from hubspot_sync.errors import ConfigurationError, HubSpotSyncError
from hubspot_sync.presets import embedded_engine, mongodb_engine
from hubspot_sync.stores.sqlite import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hubspot_sync._engine import SyncEngine
    from hubspot_sync.models import ReencryptionReport

_FAILED: Final = 1
_BAD_ARGUMENTS: Final = 2
_MONGODB: Final = ("mongodb://", "mongodb+srv://")


def main(arguments: Sequence[str] | None = None) -> int:
    """Seal everything again and give the exit status."""
    options = _parser().parse_args(arguments)
    try:
        keys = _keys(os.environ)
        open_engine = _opening(options.store or os.environ.get("HUBSPOT_SYNC_STORE", ""), keys)
    except ConfigurationError as error:
        return _complain(error, status=_BAD_ARGUMENTS)
    try:
        with open_engine() as engine:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: engine.stop())
            return _tell(engine.reencrypt(), keys)
    except HubSpotSyncError as error:
        return _complain(error, status=_FAILED)


def _complain(error: HubSpotSyncError, *, status: int) -> int:
    sys.stderr.write(f"reencrypt: {error}\n")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hubspot_sync.reencrypt",
        description="Seal all stored credentials again under the key in HUBSPOT_SYNC_KEY.",
        epilog="The keys that they were sealed under go into HUBSPOT_SYNC_OLD_KEYS, with spaces "
        "between. Syncs may run meanwhile.",
    )
    parser.add_argument(
        "--store", help="sqlite:///FILE or a MongoDB connection string; or HUBSPOT_SYNC_STORE"
    )
    return parser


def _keys(environment: Mapping[str, str]) -> EncryptionKeys:
    primary = environment.get("HUBSPOT_SYNC_KEY", "")
    if not primary:
        raise ConfigurationError("HUBSPOT_SYNC_KEY is not set; put the new encryption key there")
    return EncryptionKeys(primary, *environment.get("HUBSPOT_SYNC_OLD_KEYS", "").split())


def _opening(store: str, keys: EncryptionKeys) -> Callable[[], SyncEngine]:
    """What opens the engine for *store*."""
    if store.startswith(_MONGODB):
        return partial(mongodb_engine, store, cipher=keys)
    path = sqlite_path(store)
    if path is not None:
        return partial(_opened, path, keys)
    # Not the store itself: a URI with a slip of the pen may hold a password.
    what = "no store is given"
    if store:
        what = "--store is none that is known"
    if store.lower().startswith("sqlite:"):
        what = "--store names no file that stays, or more than a file"
    raise ConfigurationError(f"{what}; give --store sqlite:///FILE or mongodb://...")


def _opened(path: Path, keys: EncryptionKeys) -> SyncEngine:
    if not os.path.exists(path):  # noqa: PTH110 - raises nothing where it cannot be looked at
        raise ConfigurationError(
            f"there is no file {str(path)!r}; give the database that is in use, with four slashes "
            "where its path is absolute"
        )
    return embedded_engine(path, cipher=keys)


def _tell(report: ReencryptionReport, keys: EncryptionKeys) -> int:
    for account, error in report.failures.items():
        sys.stderr.write(f"reencrypt: {account}: {error.message}\n")
    sys.stdout.write(
        f"accounts sealed again: {report.resealed}, not: {len(report.failures)}; keys: {keys}\n"
    )
    if not report.completed:
        sys.stderr.write("reencrypt: stopped before the end; start it again\n")
    return 0 if report.completed and not report.failures else _FAILED


if __name__ == "__main__":
    sys.exit(main())
