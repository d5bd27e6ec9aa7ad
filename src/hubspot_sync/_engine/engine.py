"""`SyncEngine`: keeps a host's own store in step with HubSpot accounts."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hubspot_sync._clock import SystemClock
from hubspot_sync._engine.account_run import AccountRun
from hubspot_sync._engine.patience import Patience
from hubspot_sync._engine.stream_run import Parts
from hubspot_sync._events import Broadcaster
from hubspot_sync._ownership import new_owner_name
from hubspot_sync._retry import Retrier, RetryPolicy
from hubspot_sync.errors import RevisionConflictError
from hubspot_sync.models import SyncSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from hubspot_sync._clock import Clock
    from hubspot_sync.interfaces import (
        ActionSink,
        Checkpointer,
        Observer,
        SourceFactory,
        TokenStore,
    )
    from hubspot_sync.models import Account, Credentials, SyncReport

_CONNECT_TRIES: Final = 5
_LONGEST_STORE_WAIT: Final = timedelta(seconds=30)


class SyncEngine:
    """Synchronises HubSpot accounts into an `ActionSink`.

    Threads may share one engine; each `sync` works in threads of its own.
    Most hosts get theirs from `hubspot_sync.embedded_engine` or `hubspot_sync.mongodb_engine`.

    Args:
        open_source: Opens a HubSpot account.
        tokens: Keeps the accounts' credentials.
        sink: Takes what the host is told.
        checkpointer: Keeps how far each stream is.
        observers: Told what happens, in this order.
        settings: How the engine works.
        clock: Time, waiting and randomness; the system's by default.
        on_close: Called once by `close`, to close what was opened for this engine.
    """

    def __init__(
        self,
        *,
        open_source: SourceFactory,
        tokens: TokenStore,
        sink: ActionSink,
        checkpointer: Checkpointer,
        observers: Sequence[Observer] = (),
        settings: SyncSettings | None = None,
        clock: Clock | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._open_source = open_source
        self._tokens = tokens
        self._sink = sink
        self._checkpointer = checkpointer
        self._broadcaster = Broadcaster(observers)
        self._settings = settings or SyncSettings()
        self._clock = clock or SystemClock()
        self._on_close = on_close
        self._stop = threading.Event()

    def connect(self, account: Account, credentials: Credentials) -> None:
        """Store the credentials that open *account*, in place of any that were stored.

        Nothing is sent to HubSpot; the first `sync` proves that they open this very account.

        Raises:
            StoreUnavailableError: The token store is away.
        """
        for attempt in range(1, _CONNECT_TRIES + 1):
            stored = self._tokens.load(account.key)
            try:
                self._tokens.save(
                    account.key,
                    credentials,
                    expected_revision=stored.revision if stored else None,
                )
            except RevisionConflictError:
                # A running sync may have stored a refreshed token in between.
                if attempt == _CONNECT_TRIES:
                    raise
            else:
                return

    def sync(self, account: Account) -> SyncReport:
        """Bring the sink up to date with *account*: all of it the first time, then what changed.

        Streams run one after the other. Each continues where its last run ended, however that
        ended. What goes wrong on the way is in the report, whose `raise_for_failure` turns it
        into an exception; one stream's missing scope does not keep the others from running.

        Returns:
            What was read and what became of it, per stream.

        Raises:
            ConfigurationError: There are no credentials for the account; nothing was done.
        """
        source = self._open_source(account, stop=self._stop, notify=self._broadcaster.notify)
        policy = RetryPolicy(max_tries=self._settings.store_tries, max_wait=_LONGEST_STORE_WAIT)
        retrier = Retrier(policy=policy, clock=self._clock, stop=self._stop)
        parts = Parts(
            source=source,
            sink=self._sink,
            checkpointer=self._checkpointer,
            settings=self._settings,
            patience=Patience(retrier=retrier, notify=self._broadcaster.notify),
            stop=self._stop,
            notify=self._broadcaster.notify,
        )
        try:
            return AccountRun(
                account=account, parts=parts, clock=self._clock, owner=new_owner_name()
            ).run()
        finally:
            source.close()

    def stop(self) -> None:
        """End all runs soon, each with all that it has read stored; later runs end at once.

        Returns immediately; `sync` returns when its run has ended. May be called from a signal
        handler and from any thread. Twice: nothing more happens.
        """
        self._stop.set()

    def close(self) -> None:
        """Stop, and close what was opened for this engine. Twice: nothing more happens."""
        self.stop()
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
