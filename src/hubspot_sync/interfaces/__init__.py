"""What a host can replace: small Protocols, satisfied by structure, nothing to inherit.

Each docstring is the contract, in this order: what a method promises, what "absent" looks like,
what a second call does, what two racing callers get, and which of our errors it raises.
`hubspot_sync.testing.contracts` has one pytest class per Protocol that a store can implement.

Every method of every store may also raise `StoreUnavailableError` when its back end is away, and
leaves what was stored as it was then.
All methods may be called from several threads at once.
"""

from hubspot_sync.interfaces.accounts import (
    AccountStore,
    CredentialsProbe,
    NonceStore,
    OAuthProvider,
    TokenStore,
    TokenStoreAdmin,
)
from hubspot_sync.interfaces.progress import Checkpointer
from hubspot_sync.interfaces.sinks import (
    ActionSink,
    ErasableSink,
    ErrorQueue,
    ErrorQueueAdmin,
    Scrubbable,
    Validator,
)
from hubspot_sync.interfaces.source import (
    Observer,
    Source,
    SourceCosts,
    SourceEvidence,
    SourceFactory,
    SourceSchema,
)

__all__ = [
    "AccountStore",
    "ActionSink",
    "Checkpointer",
    "CredentialsProbe",
    "ErasableSink",
    "ErrorQueue",
    "ErrorQueueAdmin",
    "NonceStore",
    "OAuthProvider",
    "Observer",
    "Scrubbable",
    "Source",
    "SourceCosts",
    "SourceEvidence",
    "SourceFactory",
    "SourceSchema",
    "TokenStore",
    "TokenStoreAdmin",
    "Validator",
]
