"""`Stores`: the parts of an engine that keep something, together."""

from __future__ import annotations

from collections.abc import Callable

from attrs import field, fields, frozen

from hubspot_sync._encryption import CredentialCipher, NoCipher, the_cipher
from hubspot_sync.interfaces import (
    AccountStore,
    ActionSink,
    Checkpointer,
    ErrorQueue,
    NonceStore,
    TokenStore,
)
from hubspot_sync.interfaces._parts import (
    is_account_store,
    is_callback,
    is_checkpointer,
    is_error_queue,
    is_nonce_store,
    is_sink,
    is_token_store,
)
from hubspot_sync.models._checks import maybe
from hubspot_sync.stores._memory_credentials import UnsealedTokenStore


def nothing_to_close() -> None:
    """Close nothing."""


@frozen(kw_only=True, eq=False, repr=False)
class Stores:
    """What keeps an engine's knowledge and takes its actions; `SyncEngine` takes it over.

    `SqliteStores`, `MongoStores` and `MemoryStores` each return one. To replace a part, give it to
    `SyncEngine` by its name, or make a changed copy with `attrs.evolve`.

    Attributes:
        tokens: Keeps the accounts' credentials.
        sink: Takes the actions.
        checkpointer: Keeps how far each stream is.
        accounts: Keeps which accounts there are and how their syncs went; without one there are
            no domains, and the host says itself what to sync.
        nonces: Remembers which consents were used; without one, no account is connected by OAuth.
        error_queue: Keeps the actions that are refused; without one, a stream ends before the
            first of them.
        close: Closes what was opened for these stores, and nothing that the host handed in;
            idempotent. `SyncEngine.close` calls it.

    Raises:
        ConfigurationError: A part is something else, a class, or async.
    """

    tokens: TokenStore = field(validator=is_token_store)
    sink: ActionSink = field(validator=is_sink)
    checkpointer: Checkpointer = field(validator=is_checkpointer)
    accounts: AccountStore | None = field(default=None, validator=maybe(is_account_store))
    nonces: NonceStore | None = field(default=None, validator=maybe(is_nonce_store))
    error_queue: ErrorQueue | None = field(default=None, validator=maybe(is_error_queue))
    close: Callable[[], None] = field(default=nothing_to_close, validator=is_callback)

    def __repr__(self) -> str:
        parts = {one.name: getattr(self, one.name) for one in fields(type(self))}
        del parts["close"]
        shown = ", ".join(f"{name}={type(part).__name__}" for name, part in parts.items() if part)
        return f"Stores({shown})"


def tokens_in(
    stored: Callable[[CredentialCipher], TokenStore], cipher: CredentialCipher | None
) -> TokenStore:
    """The token store with *cipher*; without one in memory, beside what is stored sealed."""
    return stored(cipher) if cipher is not None else UnsealedTokenStore(stored(NoCipher()))


def check_cipher(cipher: CredentialCipher | None) -> None:
    """Refuse what is no cipher, before anything is opened."""
    if cipher is not None:
        the_cipher(cipher)
