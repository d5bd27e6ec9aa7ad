"""Keeps a host application's own store in step with its customers' HubSpot accounts.

Start with `embedded_engine` or `mongodb_engine`; both give a `SyncEngine`.
Interfaces that a host can implement are in `hubspot_sync.interfaces`, back ends in
`hubspot_sync.stores`, and what helps to test a host in `hubspot_sync.testing`.
"""

from hubspot_sync._encryption import CredentialCipher, EncryptionKeys, PlainText
from hubspot_sync._engine import SyncEngine
from hubspot_sync._events import LoggingObserver
from hubspot_sync.errors import (
    AccessError,
    ActionRejectedError,
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotSyncError,
    HubSpotUnavailableError,
    InvariantError,
    LeaseHeldError,
    LeaseLostError,
    MissingScopeError,
    RateLimitedError,
    RequestRefusedError,
    RetryableError,
    RevisionConflictError,
    StoreUnavailableError,
    SupersededError,
    WrongAccountError,
)
from hubspot_sync.models import (
    Account,
    AccountKey,
    Action,
    ActionKind,
    HubSpotSettings,
    OAuthApp,
    OAuthTokens,
    SinkAnswer,
    StaticAccessToken,
    StreamReport,
    StreamSettings,
    StreamStatus,
    SyncReport,
    SyncSettings,
)
from hubspot_sync.presets import embedded_engine, hubspot_source_factory, mongodb_engine

__all__ = [
    "AccessError",
    "Account",
    "AccountKey",
    "Action",
    "ActionKind",
    "ActionRejectedError",
    "AuthorizationRevokedError",
    "ConfigurationError",
    "CredentialCipher",
    "EncryptionKeys",
    "HubSpotSettings",
    "HubSpotSyncError",
    "HubSpotUnavailableError",
    "InvariantError",
    "LeaseHeldError",
    "LeaseLostError",
    "LoggingObserver",
    "MissingScopeError",
    "OAuthApp",
    "OAuthTokens",
    "PlainText",
    "RateLimitedError",
    "RequestRefusedError",
    "RetryableError",
    "RevisionConflictError",
    "SinkAnswer",
    "StaticAccessToken",
    "StoreUnavailableError",
    "StreamReport",
    "StreamSettings",
    "StreamStatus",
    "SupersededError",
    "SyncEngine",
    "SyncReport",
    "SyncSettings",
    "WrongAccountError",
    "embedded_engine",
    "hubspot_source_factory",
    "mongodb_engine",
]
