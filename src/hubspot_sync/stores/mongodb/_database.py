"""One MongoDB database, shared by the stores of a process."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final
from urllib.parse import unquote

from pymongo import MongoClient, ReadPreference
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import AccountKey
from hubspot_sync.models._checks import is_kind
from hubspot_sync.stores.mongodb import _schema
from hubspot_sync.stores.mongodb._errors import mapped
from hubspot_sync.stores.mongodb._values import CODEC_OPTIONS

_DEFAULT_NAME: Final = "hubspot_sync"
_LONGEST_NAME: Final = 63
_NAME: Final = re.compile(r"""[^/\\. "$*<>:|?\0\ud800-\udfff]+""")
_RESERVED: Final = frozenset({"admin", "config", "local"})
# Milliseconds; a URI that sets its own keeps them. Without a limit a call can hang for ever.
_TIMEOUTS: Final[dict[str, Any]] = {"serverSelectionTimeoutMS": 10_000, "socketTimeoutMS": 120_000}
# A write counts when it has survived on most members, and is no longer waited for after a while.
_DURABLE: Final = WriteConcern(w="majority", j=True, wtimeout=60_000)


class MongoDatabase:
    """A MongoDB database with the collections of this library; created at the first use.

    Making one costs nothing and reaches for no server; `prepare` or the first call does.

    Args:
        client: The host's own `MongoClient`, which stays open, or a URI, whose client is closed
            by `close`.
        name: The database; by default the one that the URI names, else "hubspot_sync".

    Raises:
        ConfigurationError: The URI or the name is none.
    """

    def __init__(self, client: MongoClient[Any] | str, *, name: str | None = None) -> None:
        self._owns_client = isinstance(client, str)
        self._client = _opened(client) if isinstance(client, str) else _checked(client)
        if name is None:
            name = self._client.get_default_database(_DEFAULT_NAME).name
        with mapped("the MongoDB database"):
            # Whatever the host's client has by default, what is kept here depends on these.
            self._database = self._client.get_database(
                _checked_name(name),
                codec_options=CODEC_OPTIONS,
                read_preference=ReadPreference.PRIMARY,
                write_concern=_DURABLE,
                read_concern=ReadConcern("majority"),
            )
        self._lock = threading.Lock()
        self._prepared = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def __enter__(self) -> MongoDatabase:  # noqa: PYI034 - Python has `Self` from 3.11 on
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The name of the database."""
        return self._database.name

    def prepare(self) -> None:
        """Reach the server, check the layout and create what is missing. Twice: nothing happens.

        Raises:
            ConfigurationError: Access is refused, the server is too old, or a newer version of
                this library made the collections.
            StoreUnavailableError: The server cannot be reached.
        """
        if self._prepared:
            return
        with self._lock, self._mapped():
            if not self._prepared:
                _schema.ensure(self._database, self._where())
                self._prepared = True

    @contextmanager
    def collection(self, name: str) -> Iterator[Collection[dict[str, Any]]]:
        """Lend a collection; errors of the driver become ours.

        Raises:
            ConfigurationError: As in `prepare`.
            StoreUnavailableError: The server cannot be reached, or did not confirm a write.
        """
        self.prepare()
        with self._mapped():
            yield self._database[name]

    def close(self) -> None:
        """Close the client if it was opened here. Twice: nothing happens."""
        if self._owns_client:
            self._client.close()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        with mapped(self._where()):
            yield

    def _where(self) -> str:
        servers = self._client.topology_description.server_descriptions()
        hosts = sorted(f"{host}:{port}" if port else host for host, port in servers)
        return f"the MongoDB database {self.name} at {', '.join(hosts)}"


def the_database(given: MongoDatabase) -> MongoDatabase:
    """What a store was given, if it is a `MongoDatabase`.

    Raises:
        ConfigurationError: It is something else.
    """
    is_kind(MongoDatabase, such_as="MongoDatabase(...) of a connection string or a MongoClient").of(
        "database", given
    )
    return given


def beginning(account: AccountKey, *parts: str) -> dict[str, Any]:
    """Matches the documents of *account* whose `_id` goes on with *parts*, if there are any.

    The bounds let the index on `_id` be used; the name of another domain may begin like them.
    """
    domain_id, account_id = account.domain_id, account.account_id
    prefix = ":".join((domain_id, account_id, *parts))
    return {
        "_id": {"$gt": f"{prefix}:", "$lt": f"{prefix};"},
        "domain_id": domain_id,
        "account_id": account_id,
    }


def _checked(given: object) -> MongoClient[Any]:
    if isinstance(given, MongoClient):
        return given
    # A database or a collection has every attribute, so only the kind tells.
    what = given.__name__ if isinstance(given, type) else type(given).__name__
    if isinstance(given, type):
        advice = f"a class; give an object, such as {what}(...)"
    elif isinstance(given, (Database, Collection)):
        advice = "a part of a client; give the client, or a connection string"
    elif "async" in what.lower() or "motor" in type(given).__module__.lower():
        advice = "asynchronous, and hubspot-sync works in threads; give a MongoClient or a URI"
    else:
        advice = "no MongoDB; give a connection string or a MongoClient"
    raise ConfigurationError(f"a {what} is {advice}")


def _checked_name(name: object) -> str:
    """The name of a database, if it can be one of ours.

    https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
    """
    if not isinstance(name, str):
        raise ConfigurationError(
            f"the name of a MongoDB database is text, not a {type(name).__name__}; give one"
        )
    length = len(name.encode("utf-8", "replace"))
    if not 1 <= length <= _LONGEST_NAME:
        raise ConfigurationError(
            f"the name of a MongoDB database has 1 to {_LONGEST_NAME} bytes, and this one has "
            f"{length}; give another"
        )
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"the name of a MongoDB database cannot be {name!r}, because of a mark in it; give one "
            "of letters, digits, _ and -"
        )
    if name.lower() in _RESERVED:
        raise ConfigurationError(
            f"the MongoDB database {name} is the server's own; give another, and where it is only "
            "what a user is checked against, add ?authSource=... to the URI"
        )
    return name


def _opened(uri: str) -> MongoClient[Any]:
    given = uri.lower()
    timeouts = {name: value for name, value in _TIMEOUTS.items() if name.lower() not in given}
    problem = _misread(uri)
    try:
        if problem is None:
            return MongoClient(uri, connect=False, **timeouts)
    except (PyMongoError, ValueError, TypeError) as error:
        problem = type(error).__name__
    # Outside the handler and without the driver's text, which can hold a part of the password.
    raise ConfigurationError(
        f"the MongoDB URI cannot be used ({problem}); it has the form "
        "mongodb://user:password@host:27017/database, where marks in user and password are "
        "percent-encoded"
    )


def _misread(uri: str) -> str | None:
    """What the driver would take for something else: a part of the password for a host."""
    scheme, _, rest = uri.partition("://")
    if scheme not in ("mongodb", "mongodb+srv"):
        return "it does not begin with mongodb://; a path of an SQLite file is for SqliteStores"
    servers, _, path = rest.partition("?")[0].partition("/")
    if servers.count("@") > 1 or "@" in path:
        return "it has an @ too many"
    if "." in unquote(path):
        # The driver takes what follows for a collection, and what comes before it for the database.
        return "the name of its database has a dot"
    return None
