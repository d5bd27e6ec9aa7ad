"""Puts a whole engine together: one call for SQLite, one for MongoDB.

This is the composition root; everything below it gets what it needs handed in.
Back ends are imported when they are asked for, so importing this module is cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hubspot_sync._clock import Clock
from hubspot_sync._encryption import CredentialCipher, NoCipher
from hubspot_sync._engine import SyncEngine
from hubspot_sync._engine.arguments import (
    is_hubspot_settings,
    is_oauth_app,
    is_sync_settings,
)
from hubspot_sync._engine.connecting import ConnectingParts
from hubspot_sync._events import LoggingObserver
from hubspot_sync.errors import ConfigurationError, HubSpotSyncError
from hubspot_sync.interfaces import (
    AccountStore,
    ActionSink,
    Checkpointer,
    ErrorQueue,
    NonceStore,
    Observer,
    SourceFactory,
    TokenStore,
    Validator,
)
from hubspot_sync.interfaces._answers import NONCE_STORE, TOKEN_STORE, clock_of, guarded
from hubspot_sync.interfaces._parts import (
    is_account_store,
    is_cipher,
    is_clock,
    is_error_queue,
    is_nonce_store,
    is_observer,
    is_sink,
    is_token_store,
    is_validator,
)
from hubspot_sync.models import HubSpotSettings, OAuthApp, SyncSettings
from hubspot_sync.models._checks import kind_of, maybe


def embedded_engine(
    path: str | Path,
    *,
    cipher: CredentialCipher | None = None,
    sink: ActionSink | None = None,
    accounts: AccountStore | None = None,
    error_queue: ErrorQueue | None = None,
    validators: Sequence[Validator] = (),
    oauth_app: OAuthApp | None = None,
    hubspot: HubSpotSettings | None = None,
    settings: SyncSettings | None = None,
    observers: Sequence[Observer] = (LoggingObserver(),),
    clock: Clock | None = None,
) -> SyncEngine:
    """An engine that keeps everything in one SQLite file.

    Args:
        path: The database file; it is created when it is not there, its folder is not.
        cipher: Encrypts the credentials in the database, for example `EncryptionKeys(key)`.
            Without one, credentials are kept in this process's memory only and have to be given
            again with `SyncEngine.connect` after a restart; those that were stored with one are
            refused by name.
        sink: Takes the actions instead of the table `actions`.
        accounts: Keeps which accounts there are instead of the table `accounts`.
        error_queue: Keeps the actions that are refused instead of the table `errors`.
        validators: Asked in this order about each action, before the sink.
        oauth_app: The OAuth app, for accounts connected by OAuth.
        hubspot: How to talk to HubSpot.
        settings: How the engine works.
        observers: Told what happens; by default it is logged.
        clock: Time, waiting and randomness; the system's by default.

    Raises:
        ConfigurationError: *path* is a URL, the file cannot be opened or written, is no SQLite
            database, or was made by a newer version; or another argument is something else.
    """
    from hubspot_sync.stores.sqlite import (  # noqa: PLC0415
        SqliteAccountStore,
        SqliteActionSink,
        SqliteCheckpointer,
        SqliteDatabase,
        SqliteErrorQueue,
        SqliteNonceStore,
        SqliteTokenStore,
    )

    _check(cipher, sink, accounts, error_queue)
    _check_values(oauth_app, hubspot, clock, settings)
    clock = clock_of(clock)
    validators = is_validator.each_of("validators", validators)
    observers = is_observer.each_of("observers", observers)
    database = SqliteDatabase(path)
    return _engine(
        tokens=_tokens(partial(SqliteTokenStore, database), cipher),
        sink=sink if sink is not None else SqliteActionSink(database, clock=clock),
        checkpointer=SqliteCheckpointer(database, clock=clock),
        accounts=accounts if accounts is not None else SqliteAccountStore(database),
        nonces=SqliteNonceStore(database, clock=clock),
        error_queue=error_queue if error_queue is not None else SqliteErrorQueue(database),
        validators=validators,
        oauth_app=oauth_app,
        hubspot=hubspot,
        settings=settings,
        observers=observers,
        clock=clock,
        on_close=database.close,
    )


def mongodb_engine(
    mongodb: Any,
    *,
    cipher: CredentialCipher | None = None,
    sink: ActionSink | None = None,
    accounts: AccountStore | None = None,
    error_queue: ErrorQueue | None = None,
    validators: Sequence[Validator] = (),
    oauth_app: OAuthApp | None = None,
    hubspot: HubSpotSettings | None = None,
    settings: SyncSettings | None = None,
    observers: Sequence[Observer] = (LoggingObserver(),),
    clock: Clock | None = None,
) -> SyncEngine:
    """An engine that keeps everything in one MongoDB database.

    Args:
        mongodb: A connection string, or a `pymongo.MongoClient` of the host's, which stays open
            when the engine is closed. The database is the one that it names by default, else
            `hubspot_sync`.
        cipher: Encrypts the credentials in the database, for example `EncryptionKeys(key)`.
            Without one, credentials are kept in this process's memory only and have to be given
            again with `SyncEngine.connect` after a restart; those that were stored with one are
            refused by name.
        sink: Takes the actions instead of the collection `actions`.
        accounts: Keeps which accounts there are instead of the collection `accounts`.
        error_queue: Keeps the actions that are refused instead of the collection `errors`.
        validators: Asked in this order about each action, before the sink.
        oauth_app: The OAuth app, for accounts connected by OAuth.
        hubspot: How to talk to HubSpot.
        settings: How the engine works.
        observers: Told what happens; by default it is logged.
        clock: Time, waiting and randomness; the system's by default.

    Raises:
        ConfigurationError: The connection string is wrong, access is refused, the database was
            made by a newer version; or another argument is something else.
        StoreUnavailableError: MongoDB cannot be reached.
    """
    from hubspot_sync.stores.mongodb import (  # noqa: PLC0415
        MongoAccountStore,
        MongoActionSink,
        MongoCheckpointer,
        MongoDatabase,
        MongoErrorQueue,
        MongoNonceStore,
        MongoTokenStore,
    )

    _check(cipher, sink, accounts, error_queue)
    _check_values(oauth_app, hubspot, clock, settings)
    clock = clock_of(clock)
    validators = is_validator.each_of("validators", validators)
    observers = is_observer.each_of("observers", observers)
    database = MongoDatabase(mongodb)
    try:
        database.prepare()
    except HubSpotSyncError:
        database.close()
        raise
    return _engine(
        tokens=_tokens(partial(MongoTokenStore, database), cipher),
        sink=sink if sink is not None else MongoActionSink(database, clock=clock),
        checkpointer=MongoCheckpointer(database),
        accounts=accounts if accounts is not None else MongoAccountStore(database),
        nonces=MongoNonceStore(database),
        error_queue=error_queue if error_queue is not None else MongoErrorQueue(database),
        validators=validators,
        oauth_app=oauth_app,
        hubspot=hubspot,
        settings=settings,
        observers=observers,
        clock=clock,
        on_close=database.close,
    )


def hubspot_source_factory(
    tokens: TokenStore,
    *,
    oauth_app: OAuthApp | None = None,
    hubspot: HubSpotSettings | None = None,
    clock: Clock | None = None,
) -> SourceFactory:
    """What `SyncEngine` needs as *open_source* when a host puts its engine together itself.

    Args:
        tokens: Keeps the accounts' credentials; give the engine the same.
        oauth_app: The OAuth app, for accounts connected by OAuth.
        hubspot: How to talk to HubSpot.
        clock: Time, waiting and randomness; the system's by default.

    Raises:
        ConfigurationError: *oauth_app* or *hubspot* is something else.
    """
    from hubspot_sync._hubspot.connector import HubSpotConnector  # noqa: PLC0415

    is_token_store.of("tokens", tokens)
    _check_values(oauth_app, hubspot, clock)
    return HubSpotConnector(
        settings=hubspot or HubSpotSettings(),
        tokens=guarded(tokens, TOKEN_STORE),
        app=oauth_app,
        clock=clock_of(clock),
    )


def hubspot_connecting(
    nonces: NonceStore,
    *,
    oauth_app: OAuthApp | None = None,
    hubspot: HubSpotSettings | None = None,
    clock: Clock | None = None,
) -> ConnectingParts:
    """What `SyncEngine` needs as *connecting* when a host puts its engine together itself.

    Args:
        nonces: Remembers which consents were used; all processes of the host share it.
        oauth_app: The OAuth app; without one, static access tokens only can be connected.
        hubspot: How to talk to HubSpot.
        clock: Time, waiting and randomness; the system's by default.

    Raises:
        ConfigurationError: *oauth_app* or *hubspot* is something else.
    """
    from hubspot_sync._consent import ConsentDesk  # noqa: PLC0415
    from hubspot_sync._engine.connecting import ConnectingParts  # noqa: PLC0415
    from hubspot_sync._hubspot.credentials.connect import (  # noqa: PLC0415
        HubSpotOAuth,
        HubSpotProbe,
    )

    is_nonce_store.of("nonces", nonces)
    _check_values(oauth_app, hubspot, clock)
    hubspot, clock = hubspot or HubSpotSettings(), clock_of(clock)
    probe = HubSpotProbe(settings=hubspot, clock=clock)
    if oauth_app is None:
        return ConnectingParts(probe=probe)
    return ConnectingParts(
        probe=probe,
        provider=HubSpotOAuth(app=oauth_app, settings=hubspot, clock=clock),
        desk=ConsentDesk(app=oauth_app, nonces=guarded(nonces, NONCE_STORE), clock=clock),
    )


def _engine(
    *,
    tokens: TokenStore,
    sink: ActionSink,
    checkpointer: Checkpointer,
    accounts: AccountStore,
    nonces: NonceStore,
    error_queue: ErrorQueue,
    validators: Sequence[Validator],
    oauth_app: OAuthApp | None,
    hubspot: HubSpotSettings | None,
    settings: SyncSettings | None,
    observers: Sequence[Observer],
    clock: Clock,
    on_close: Callable[[], None],
) -> SyncEngine:
    return SyncEngine(
        open_source=hubspot_source_factory(
            tokens, oauth_app=oauth_app, hubspot=hubspot, clock=clock
        ),
        tokens=tokens,
        sink=sink,
        checkpointer=checkpointer,
        accounts=accounts,
        connecting=hubspot_connecting(nonces, oauth_app=oauth_app, hubspot=hubspot, clock=clock),
        error_queue=error_queue,
        validators=validators,
        observers=observers,
        settings=settings,
        clock=clock,
        on_close=on_close,
    )


def _check(
    cipher: CredentialCipher | None,
    sink: ActionSink | None,
    accounts: AccountStore | None,
    error_queue: ErrorQueue | None,
) -> None:
    """Refuse what cannot be such a part, before anything is opened."""
    if isinstance(cipher, (str, bytes)):
        raise ConfigurationError(
            f"cipher is {kind_of(cipher)}; give EncryptionKeys(key), with a key as "
            "EncryptionKeys.generate_key() makes them"
        )
    maybe(is_cipher).of("cipher", cipher)
    maybe(is_sink).of("sink", sink)
    maybe(is_account_store).of("accounts", accounts)
    maybe(is_error_queue).of("error_queue", error_queue)


def _check_values(
    oauth_app: OAuthApp | None,
    hubspot: HubSpotSettings | None,
    clock: Clock | None,
    settings: SyncSettings | None = None,
) -> None:
    """Refuse what is something else, before anything is opened."""
    is_oauth_app.of("oauth_app", oauth_app)
    is_hubspot_settings.of("hubspot", hubspot)
    is_sync_settings.of("settings", settings)
    maybe(is_clock).of("clock", clock)


def _tokens(
    stored: Callable[[CredentialCipher], TokenStore], cipher: CredentialCipher | None
) -> TokenStore:
    """The token store with *cipher*; without one in memory, which knows what is stored sealed."""
    from hubspot_sync.stores.memory import UnsealedTokenStore  # noqa: PLC0415

    return stored(cipher) if cipher is not None else UnsealedTokenStore(stored(NoCipher()))
