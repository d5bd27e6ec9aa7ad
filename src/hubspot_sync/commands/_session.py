"""An engine on the store that the command line names, with what the environment says."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from attrs import frozen

from hubspot_sync.commands._arguments import STORE_VARIABLE
from hubspot_sync.commands._environment import app_in, cipher_in, token_in
from hubspot_sync.commands._messages import BadArgumentsError, as_bad_arguments
from hubspot_sync.engine import SyncEngine
from hubspot_sync.errors import ConfigurationError, UnknownAccountError
from hubspot_sync.models import Account, AccountKey, HubSpotSettings
from hubspot_sync.stores import check_store_url, open_stores
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.stores.sqlite import sqlite_path

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Mapping

    from hubspot_sync._engine.domain import Domain
    from hubspot_sync.stores import Stores

_DOMAINS: Final = 1_000
_NAMED: Final = 3


@frozen
class Session:
    """What a command works with.

    Attributes:
        engine: Does the work.
        stores: What it works on.
        key: The account, where the command line names one.
    """

    engine: SyncEngine
    stores: Stores
    key: AccountKey | None

    @property
    def account(self) -> AccountKey:
        """The account that the command line names."""
        if self.key is None:
            raise BadArgumentsError("no account is given; give --account")
        return self.key

    @property
    def domain(self) -> Domain:
        """The tenant that owns the account."""
        return self.engine.domain(self.account.domain_id)

    def other_domains(self) -> list[str]:
        """Tenants that have the same HubSpot account, of the first thousand."""
        accounts, key = self.stores.accounts, self.account
        if accounts is None:
            return []
        return [
            name
            for name in accounts.domains(limit=_DOMAINS)
            if name != key.domain_id and accounts.load(AccountKey(name, key.account_id))
        ]


@contextmanager
def opened(
    options: Namespace,
    *,
    with_token: bool = True,
    may_be_new: bool = False,
    in_memory: bool = False,
) -> Iterator[Session]:
    """Open the store; SIGINT and SIGTERM stop the engine, and its log goes to standard error.

    Args:
        options: The command line.
        with_token: Whether an access token of the environment opens the account; it is kept in
            memory, and what is stored of the account's credentials stays as it is.
        may_be_new: Whether an SQLite file may be made.
        in_memory: Whether nothing is kept, whatever store the command line names.

    Raises:
        BadArgumentsError: The command line or the environment is wrong.
        HubSpotSyncError: The store cannot be used.
    """
    environment = os.environ
    with as_bad_arguments():
        key = _key(options)
        token = token_in(environment) if with_token and key is not None else None
        cipher = cipher_in(environment) if token is None else None
        app = app_in(environment) if token is None else None
        hubspot = _hubspot(options, environment)
        store = None if in_memory else _store(options)
    if store is not None and not may_be_new:
        _check_that_it_exists(store)
    with _progress(quiet=options.quiet or in_memory):
        stores = MemoryStores() if store is None else open_stores(store, cipher=cipher)
        engine = SyncEngine(stores, oauth_app=app, hubspot=hubspot)
        with engine, signals_that_call(engine.stop):
            if token is not None and key is not None:
                account = Account(key.account_id, domain_id=key.domain_id)
                engine.store_credentials(account, token)
            session = Session(engine, stores, key)
            try:
                yield session
            except UnknownAccountError:
                raise UnknownAccountError(_unknown(session)) from None


def _unknown(session: Session) -> str:
    """What to say of an account that its tenant does not have."""
    key, others = session.account, session.other_domains()
    said = f"domain {key.domain_id!r} has no account {key.account_id}"
    if others:
        named = " or ".join(f"--domain {name}" for name in others[:_NAMED])
        return f"{said}; the store has it elsewhere: give {named}"
    return f"{said}; hubspot-sync sync puts it there"


def _key(options: Namespace) -> AccountKey | None:
    account_id = getattr(options, "account", None)
    if account_id is None:
        return None
    domain_id = "default" if options.domain is None else options.domain
    return AccountKey(domain_id, account_id)


def _hubspot(options: Namespace, environment: Mapping[str, str]) -> HubSpotSettings:
    """What was given on the command line, the way out of the environment, else the defaults."""
    given = {
        name: getattr(options, name, None) for name in ("base_url", "burst_limit", "search_limit")
    }
    known = {name: value for name, value in given.items() if value is not None}
    return HubSpotSettings.from_environment(environment, **known)


def _store(options: Namespace) -> str:
    store: str = options.store or ""
    if not store:
        raise ConfigurationError(
            "no store is given; give --store sqlite:///crm.db or mongodb://host/database, or set "
            f"{STORE_VARIABLE}"
        )
    check_store_url(store)
    return store


def _check_that_it_exists(store: str) -> None:
    """Refuse an SQLite file that is not there, which SQLite would make."""
    path = sqlite_path(store)
    if path is not None and not os.path.exists(path):  # noqa: PTH110 - raises nothing
        raise ConfigurationError(
            f"there is no file {str(path)!r}; give the database that is in use, with four slashes "
            "where its path is absolute"
        )


@contextmanager
def _progress(*, quiet: bool) -> Iterator[None]:
    """Let the library's log go to standard error; errors are told once, at the end."""
    handler, logger = logging.StreamHandler(), logging.getLogger("hubspot_sync")
    handler.addFilter(lambda entry: entry.levelno < logging.ERROR)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


@contextmanager
def signals_that_call(stop: Callable[[], None]) -> Iterator[None]:
    """Let SIGINT and SIGTERM call *stop*, instead of ending the process at once."""
    # Python hands signals to the main thread alone.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *_: stop())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
