"""Runs one account at a time with the parts that the engine was given."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hubspot_sync._engine.account_run import AccountRun
from hubspot_sync._engine.marks import Marks
from hubspot_sync._engine.parts import Parts, StoringParts
from hubspot_sync._engine.patience import Patience
from hubspot_sync._engine.redriving import AccountRedrive
from hubspot_sync._ownership import new_owner_name
from hubspot_sync._retry import Retrier, RetryPolicy
from hubspot_sync.errors import ConfigurationError, HubSpotSyncError
from hubspot_sync.interfaces._answers import guarded_source, unforeseen

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from hubspot_sync._clock import Clock
    from hubspot_sync.interfaces import (
        ActionSink,
        Checkpointer,
        ErrorQueue,
        Source,
        SourceFactory,
        Validator,
    )
    from hubspot_sync.models import (
        Account,
        Event,
        RedriveReport,
        RejectedSelection,
        StreamKey,
        SyncReport,
        SyncSettings,
    )

_LONGEST_STORE_WAIT: Final = timedelta(seconds=30)


@frozen(kw_only=True)
class Runner:
    """Runs syncs and redrives; threads may share it.

    Attributes:
        open_source: Opens a HubSpot account.
        sink: Takes the actions.
        checkpointer: Takes the checkpoints.
        error_queue: Takes the actions that are refused; None stops before the first one.
        validators: Look at each action before the sink does.
        settings: How the engine works.
        clock: Time, waiting and randomness.
        notify: Told of what happens.
    """

    open_source: SourceFactory
    sink: ActionSink
    checkpointer: Checkpointer
    error_queue: ErrorQueue | None
    validators: Sequence[Validator]
    settings: SyncSettings
    clock: Clock
    notify: Callable[[Event], None]

    def sync(self, account: Account, stop: threading.Event) -> SyncReport:
        """Bring the sink up to date with *account*, until *stop* is set.

        Args:
            account: The account.
            stop: Ends the run.

        Raises:
            NotConnectedError: There are no credentials for the account; nothing was done.
            StoreUnavailableError: The token store stays away; nothing was done.
            InvariantError: What opens the account raised what it may not; nothing was done.
        """
        source = self._opened(account, stop)
        parts = Parts(source=source, **self._storing(stop))
        try:
            return AccountRun(
                account=account,
                parts=parts,
                clock=self.clock,
                owner=new_owner_name(),
            ).run()
        finally:
            source.close()

    def mark(self, streams: Sequence[StreamKey], stop: threading.Event, *, redeliver: bool) -> None:
        """Let the next sync of *streams* compare all records, or deliver them again.

        Raises:
            LeaseHeldError: One of them is being synced; the others are marked.
            StoreUnavailableError: The checkpointer stays away, or *stop* was set.
        """
        parts = StoringParts(**self._storing(stop))
        Marks(parts=parts, owner=new_owner_name(), redeliver=redeliver).set(streams)

    def redrive(self, selection: RejectedSelection, stop: threading.Event) -> RedriveReport:
        """Try refused actions again, until *stop* is set.

        Raises:
            ConfigurationError: There is no error queue.
            StoreUnavailableError: The error queue stays away; nothing was done.
        """
        return AccountRedrive(
            parts=StoringParts(**self._storing(stop)),
            queue=self.queue(),
            selection=selection,
            owner=new_owner_name(),
        ).run()

    def queue(self) -> ErrorQueue:
        """The error queue.

        Raises:
            ConfigurationError: There is none.
        """
        if self.error_queue is None:
            raise ConfigurationError(
                "this engine has no error queue; give it one with SyncEngine(error_queue=...)"
            )
        return self.error_queue

    def store_retrier(self, stop: threading.Event) -> Retrier:
        """What repeats calls to the host's stores, until *stop* is set."""
        policy = RetryPolicy(max_tries=self.settings.store_tries, max_wait=_LONGEST_STORE_WAIT)
        return Retrier(policy=policy, clock=self.clock, stop=stop)

    def _opened(self, account: Account, stop: threading.Event) -> Source:
        """The account, opened; a token store that is away is waited for."""
        try:
            source = self._patience(stop).begin(
                account.key,
                "the token store",
                lambda: self.open_source(account, stop=stop, notify=self.notify),
            )
            return guarded_source(source, self.open_source)
        except HubSpotSyncError:
            raise
        except Exception as error:
            raise unforeseen(error, account.key, "opening the account").locate(
                account=str(account.key)
            ) from error

    def _patience(self, stop: threading.Event) -> Patience:
        return Patience(retrier=self.store_retrier(stop), notify=self.notify)

    def _storing(self, stop: threading.Event) -> dict[str, Any]:
        """What `StoringParts` is made of."""
        return {
            "sink": self.sink,
            "checkpointer": self.checkpointer,
            "error_queue": self.error_queue,
            "validators": self.validators,
            "settings": self.settings,
            "patience": self._patience(stop),
            "clock": self.clock,
            "stop": stop,
            "notify": self.notify,
        }
