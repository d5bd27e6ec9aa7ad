"""Stores that are named by a URL, as commands and settings files name them."""

from __future__ import annotations

from typing import Final

from hubspot_sync._clock import Clock
from hubspot_sync._encryption import CredentialCipher
from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models._checks import Check
from hubspot_sync.stores._bundle import Stores
from hubspot_sync.stores._sqlite_urls import sqlite_path

_KNOWN: Final = "sqlite:///crm.db, sqlite:////var/lib/crm.db or mongodb://host/database"
_is_url = Check(lambda value: isinstance(value, str), _KNOWN, shown=False)


def check_store_url(url: str) -> None:
    """Refuse a URL that `open_stores` would not understand; nothing is opened.

    Raises:
        ConfigurationError: Its scheme is unknown, or it names no file.
    """
    _is_url.of("the store's URL", url)
    scheme = _scheme(url)
    # Never the URL itself: one with a slip of the pen may hold a password.
    if scheme == "sqlite" and sqlite_path(url) is None:
        raise ConfigurationError(
            "the store's URL names no file that stays, or more than a file; give sqlite:///crm.db "
            "for one in the current folder, or sqlite:////var/lib/crm.db, with four slashes, for "
            "an absolute path"
        )
    if scheme not in ("sqlite", "mongodb", "mongodb+srv"):
        raise ConfigurationError(
            f"the store's URL begins {url[:9]!r}..., and there are stores for sqlite:, mongodb: "
            f"and mongodb+srv: only; give {_KNOWN}"
            if url
            else f"no store is given; give its URL, {_KNOWN}"
        )


def open_stores(
    url: str, *, cipher: CredentialCipher | None = None, clock: Clock | None = None
) -> Stores:
    """Open the stores that a URL names.

    Args:
        url: `sqlite:///crm.db` in the current folder, `sqlite:////var/lib/crm.db` anywhere, or a
            connection string of MongoDB, `mongodb://host/database`.
        cipher: Encrypts the credentials; see `SqliteStores` and `MongoStores`.
        clock: Time; the system's by default.

    Raises:
        ConfigurationError: The scheme is unknown, or as `SqliteStores` and `MongoStores` raise it.
        StoreUnavailableError: The database cannot be reached.
    """
    check_store_url(url)
    path = sqlite_path(url)
    if path is None:
        from hubspot_sync.stores.mongodb import MongoStores  # noqa: PLC0415 - if it is installed

        # The driver takes a scheme in small letters only.
        url = _scheme(url) + url[url.index(":") :]
        return MongoStores(url, cipher=cipher, clock=clock)
    from hubspot_sync.stores.sqlite import SqliteStores  # noqa: PLC0415 - as above

    return SqliteStores(path, cipher=cipher, clock=clock)


def _scheme(url: str) -> str:
    """The scheme in small letters; none where what follows is no address."""
    scheme, _, rest = url.partition(":")
    return scheme.lower() if rest.startswith("/") else ""
