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
from typing import TYPE_CHECKING, Final

from hubspot_sync._encryption import CredentialKeys
from hubspot_sync.engine import SyncEngine
from hubspot_sync.errors import ConfigurationError, HubSpotSyncError
from hubspot_sync.stores import check_store_url, open_stores
from hubspot_sync.stores.sqlite import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubspot_sync.models import ReencryptionReport

_FAILED: Final = 1
_BAD_ARGUMENTS: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Seal everything again and give the exit status."""
    options = _parser().parse_args(arguments)
    try:
        keys = _keys(os.environ)
        store = options.store or os.environ.get("HUBSPOT_SYNC_STORE", "")
        check_store_url(store)
    except ConfigurationError as error:
        return _complain(error, status=_BAD_ARGUMENTS)
    try:
        with _opened(store, keys) as engine:
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


def _keys(environment: Mapping[str, str]) -> CredentialKeys:
    primary = environment.get("HUBSPOT_SYNC_KEY", "")
    if not primary:
        raise ConfigurationError("HUBSPOT_SYNC_KEY is not set; put the new encryption key there")
    return CredentialKeys(primary, *environment.get("HUBSPOT_SYNC_OLD_KEYS", "").split())


def _opened(store: str, keys: CredentialKeys) -> SyncEngine:
    path = sqlite_path(store)
    # SQLite would create it.
    if path is not None and not os.path.exists(path):  # noqa: PTH110 - raises nothing
        raise ConfigurationError(
            f"there is no file {str(path)!r}; give the database that is in use, with four slashes "
            "where its path is absolute"
        )
    return SyncEngine(open_stores(store, cipher=keys))


def _tell(report: ReencryptionReport, keys: CredentialKeys) -> int:
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
