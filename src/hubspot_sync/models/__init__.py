"""Frozen values that travel through the library; nothing here does any I/O."""

from hubspot_sync.models._checks import from_milliseconds, to_milliseconds
from hubspot_sync.models.accounts import (
    DEFAULT_STREAMS,
    Account,
    AccountDetails,
    AccountKey,
    Credentials,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    StoredCredentials,
    StreamKey,
    StreamSettings,
)
from hubspot_sync.models.actions import Action, ActionKind, SinkAnswer
from hubspot_sync.models.checkpoints import Checkpoint, Fingerprint, IdRange, Lease, Mode, Pass
from hubspot_sync.models.events import (
    ActionsRejected,
    BatchStored,
    CallRetried,
    Event,
    RecordSkipped,
    RunFinished,
    RunStarted,
    StoreRetried,
    StreamFinished,
    StreamStarted,
    ValueKeptAsText,
)
from hubspot_sync.models.failures import Failure, FailureSelection
from hubspot_sync.models.object_types import canonical_object_type, cursor_field, singular_name
from hubspot_sync.models.pages import Page, SkippedRow
from hubspot_sync.models.records import (
    Association,
    AssociationType,
    PropertyDefinition,
    Record,
    Value,
)
from hubspot_sync.models.redrives import RedriveReport, StreamRedrive
from hubspot_sync.models.reports import (
    Counts,
    RetryCounts,
    StreamReport,
    StreamStatus,
    SyncReport,
)
from hubspot_sync.models.settings import HubSpotSettings, SyncSettings

__all__ = [
    "DEFAULT_STREAMS",
    "Account",
    "AccountDetails",
    "AccountKey",
    "Action",
    "ActionKind",
    "ActionsRejected",
    "Association",
    "AssociationType",
    "BatchStored",
    "CallRetried",
    "Checkpoint",
    "Counts",
    "Credentials",
    "Event",
    "Failure",
    "FailureSelection",
    "Fingerprint",
    "HubSpotSettings",
    "IdRange",
    "Lease",
    "Mode",
    "OAuthApp",
    "OAuthTokens",
    "Page",
    "Pass",
    "PropertyDefinition",
    "Record",
    "RecordSkipped",
    "RedriveReport",
    "RetryCounts",
    "RunFinished",
    "RunStarted",
    "SinkAnswer",
    "SkippedRow",
    "StaticAccessToken",
    "StoreRetried",
    "StoredCredentials",
    "StreamFinished",
    "StreamKey",
    "StreamRedrive",
    "StreamReport",
    "StreamSettings",
    "StreamStarted",
    "StreamStatus",
    "SyncReport",
    "SyncSettings",
    "Value",
    "ValueKeptAsText",
    "canonical_object_type",
    "cursor_field",
    "from_milliseconds",
    "singular_name",
    "to_milliseconds",
]
