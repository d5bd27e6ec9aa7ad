"""What every part of a run is handed: the host's services, settings, time, and the stop signal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from attrs import Factory, evolve, field, frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync._engine.stopping import stop_as_error
from hubspot_sync._retry import Retrier, RetryPolicy
from hubspot_sync.errors import ConfigurationError, HubSpotSyncError, LeaseHeldError
from hubspot_sync.interfaces._answers import unforeseen
from hubspot_sync.models import Retried, StreamStatus

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from hubspot_sync._clock import Clock
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.interfaces import (
        ActionSink,
        Checkpointer,
        ErrorQueue,
        SourceFactory,
        Validator,
    )
    from hubspot_sync.models import AccountKey, Event, StreamKey, SyncSettings

T = TypeVar("T")

_LONGEST_WAIT: Final = timedelta(seconds=30)


def _retrier(context: RunContext) -> Retrier:
    policy = RetryPolicy(max_tries=context.settings.store_tries, max_wait=_LONGEST_WAIT)
    return Retrier(policy=policy, clock=context.clock, stop=context.stop)


@frozen(kw_only=True, eq=False)
class RunContext:
    """What a run works with; threads may share it.

    All stores are asked by `call` or `ask`, which repeat what a store cannot do for now.

    Attributes:
        open_source: Opens a HubSpot account.
        sink: Takes the actions.
        checkpointer: Takes the checkpoints.
        error_queue: Takes the actions that are rejected; None stops before the first one.
        validators: Look at each action before the sink does.
        settings: How the engine works.
        clock: Time, waiting and randomness.
        stop: Ends the run.
        notify: Told of what happens.
    """

    open_source: SourceFactory
    sink: ActionSink
    checkpointer: Checkpointer
    error_queue: ErrorQueue | None
    validators: Sequence[Validator]
    settings: SyncSettings
    clock: Clock
    stop: threading.Event
    notify: Callable[[Event], None]
    _retrier: Retrier = field(init=False, repr=False, default=Factory(_retrier, takes_self=True))

    def until(self, stop: threading.Event) -> RunContext:
        """Return the same for a run that *stop* ends."""
        return evolve(self, stop=stop)

    def check_stop(self) -> None:
        """Refuse to begin anything in a run that was stopped.

        Raises:
            StopRequested: It was.
        """
        if self.stop.is_set():
            raise StopRequested

    def queue(self) -> ErrorQueue:
        """Return the error queue.

        Raises:
            ConfigurationError: There is none.
        """
        if self.error_queue is None:
            raise ConfigurationError(
                "this engine has no error queue; give it one with SyncEngine(..., error_queue=...)"
            )
        return self.error_queue

    def call(self, stream: StreamKey, function: Callable[[], T], *, tries: int | None = None) -> T:
        """Return the result of *function*, which asks a store about *stream*.

        Args:
            stream: What it is about.
            function: What to try.
            tries: How often at most; by default as often as the settings say.

        Raises:
            StoreUnavailableError: The store stayed away.
            StopRequested: The run was stopped while the store was away.
        """
        return self._patiently("store", stream.account, stream, function, tries)

    def ask(self, store: str, function: Callable[[], T], account: AccountKey | None = None) -> T:
        """Return the result of *function*, which asks *store* about no single stream.

        Args:
            store: What is asked, in words.
            function: What to try.
            account: What it is about, if it is about a single account.

        Raises:
            StoreUnavailableError: The store stayed away, or the run was stopped while it was.
        """
        away = f"while the {store} was away; nothing is lost, do it again when both are back"
        with stop_as_error(away, account):
            return self._patiently(store, account, None, function)

    def _patiently(
        self,
        what: str,
        account: AccountKey | None,
        stream: StreamKey | None,
        function: Callable[[], T],
        tries: int | None = None,
    ) -> T:
        def on_retry(attempt: int, wait: timedelta, error: RetryableError) -> None:
            self.notify(
                Retried(
                    what=what,
                    account=account,
                    stream=stream,
                    attempt=attempt,
                    wait=wait,
                    reason=str(error),
                )
            )

        return self._retrier.call(
            function,
            on_retry=on_retry,
            tries_for=lambda _: tries or self.settings.store_tries,
        )


def outcome_of(
    work: Callable[[], None], stream: StreamKey, name: str
) -> tuple[StreamStatus, HubSpotSyncError | None]:
    """Do *work* on *stream*, and return how it ended and the error that says why.

    Args:
        work: What to do.
        stream: What it is done on, for the log and the error.
        name: What it is, in words.

    Raises:
        BaseException: What is no `Exception`, such as `KeyboardInterrupt`.
    """
    try:
        work()
    except StopRequested:
        return StreamStatus.STOPPED, None
    except LeaseHeldError as held:
        return StreamStatus.BUSY, _located(held, stream)
    except HubSpotSyncError as failure:
        return StreamStatus.FAILED, _located(failure, stream)
    except Exception as error:  # noqa: BLE001 - it is logged, and in the report
        return StreamStatus.FAILED, _located(unforeseen(error, stream, name), stream)
    return StreamStatus.COMPLETED, None


def _located(error: HubSpotSyncError, stream: StreamKey) -> HubSpotSyncError:
    return error.locate(account=str(stream.account), stream=stream.object_type)
