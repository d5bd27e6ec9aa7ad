"""Keeps a host application's own store in step with its customers' HubSpot accounts.

Start with a `SyncEngine` on the stores of your choice, such as
`hubspot_sync.stores.sqlite.SqliteStores(path)`.
Interfaces that a host can implement are in `hubspot_sync.interfaces`, back ends in
`hubspot_sync.stores`, and what helps to test a host in `hubspot_sync.testing`.
The names are loaded when they are first used, so importing this package costs nothing: the pytest
plugin imports it in every run of every project that has it installed.
"""

from __future__ import annotations

from importlib import import_module
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final, get_type_hints

if TYPE_CHECKING:
    from hubspot_sync._clock import Clock, StopRequested
    from hubspot_sync._encryption import CredentialCipher, CredentialKeys, KeyProvider, NoEncryption
    from hubspot_sync._engine.domain import Domain
    from hubspot_sync._events import LoggingObserver
    from hubspot_sync.engine import SyncEngine
    from hubspot_sync.errors import (
        AccessError,
        ActionRejectedError,
        AuthorizationRevokedError,
        ConfigurationError,
        ConsentError,
        HubSpotSyncError,
        HubSpotUnavailableError,
        InvariantError,
        LeaseHeldError,
        LeaseLostError,
        MissingScopeError,
        NotConnectedError,
        OAuthAppError,
        RateLimitedError,
        RequestRefusedError,
        RetryableError,
        RevisionConflictError,
        StoreUnavailableError,
        SupersededError,
        TooManyRejectedError,
        UnknownAccountError,
        WrongAccountError,
    )
    from hubspot_sync.models import (
        Account,
        AccountEntry,
        AccountHealth,
        AccountKey,
        AccountStatus,
        Action,
        ActionKind,
        Condition,
        Diagnosis,
        ErasureReport,
        Evidence,
        Explanation,
        FleetReport,
        Health,
        HealthStatus,
        HubSpotSettings,
        OAuthApp,
        OAuthTokens,
        ObjectType,
        Problem,
        PurgeReport,
        RedriveReport,
        RejectedAction,
        RejectedSelection,
        SinkAnswer,
        StaticAccessToken,
        StreamHealth,
        StreamReport,
        StreamSettings,
        StreamStatus,
        SyncPlan,
        SyncReport,
        SyncSettings,
    )
    from hubspot_sync.stores import Stores

__all__ = [
    "AccessError",
    "Account",
    "AccountEntry",
    "AccountHealth",
    "AccountKey",
    "AccountStatus",
    "Action",
    "ActionKind",
    "ActionRejectedError",
    "AuthorizationRevokedError",
    "Clock",
    "Condition",
    "ConfigurationError",
    "ConsentError",
    "CredentialCipher",
    "CredentialKeys",
    "Diagnosis",
    "Domain",
    "ErasureReport",
    "Evidence",
    "Explanation",
    "FleetReport",
    "Health",
    "HealthStatus",
    "HubSpotSettings",
    "HubSpotSyncError",
    "HubSpotUnavailableError",
    "InvariantError",
    "KeyProvider",
    "LeaseHeldError",
    "LeaseLostError",
    "LoggingObserver",
    "MissingScopeError",
    "NoEncryption",
    "NotConnectedError",
    "OAuthApp",
    "OAuthAppError",
    "OAuthTokens",
    "ObjectType",
    "Problem",
    "PurgeReport",
    "RateLimitedError",
    "RedriveReport",
    "RejectedAction",
    "RejectedSelection",
    "RequestRefusedError",
    "RetryableError",
    "RevisionConflictError",
    "SinkAnswer",
    "StaticAccessToken",
    "StopRequested",
    "StoreUnavailableError",
    "Stores",
    "StreamHealth",
    "StreamReport",
    "StreamSettings",
    "StreamStatus",
    "SupersededError",
    "SyncEngine",
    "SyncPlan",
    "SyncReport",
    "SyncSettings",
    "TooManyRejectedError",
    "UnknownAccountError",
    "WrongAccountError",
]

# Where the names are, lowest floor first, so that an error or a setting loads no engine.
_HOMES: Final = (
    *("errors", "_clock", "models", "_encryption", "_events", "stores"),
    *("_engine.domain", "engine"),
)
_MODULES: Final = ("errors", "interfaces", "models", "stores")

__version__: str
"""The version of the installed distribution."""

if not TYPE_CHECKING:  # else every name that is none would be Any

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name == "__version__":
            globals()[name] = import_module("importlib.metadata").version("hubspot-sync")
        elif name in __all__:
            homes = (import_module(f"{__name__}.{home}") for home in _HOMES)
            _adopt(next(home for home in homes if name in vars(home)))
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]


def _adopt(home: ModuleType) -> None:
    """Take over the public names of a module: messages, pickles and reprs show them from here."""
    for name in vars(home).keys() & set(__all__):
        globals()[name] = found = vars(home)[name]
        if isinstance(found, type) and found.__module__ != __name__:
            # As text they would be looked up in this module from now on.
            found.__annotations__ = get_type_hints(found, localns=vars(home))
        if isinstance(found, (type, FunctionType)):
            found.__module__ = __name__


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES, "__version__"})
