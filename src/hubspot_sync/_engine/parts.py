"""What the parts of the engine work with; put together once for each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from hubspot_sync._clock import Clock
    from hubspot_sync._engine.patience import Patience
    from hubspot_sync.interfaces import ActionSink, Checkpointer, ErrorQueue, Source, Validator
    from hubspot_sync.models import Event, SyncSettings


@frozen(kw_only=True)
class StoringParts:
    """What storing actions takes.

    Attributes:
        sink: Takes the actions.
        checkpointer: Takes the checkpoints.
        error_queue: Takes the actions that are refused; None stops before the first one.
        validators: Look at each action before the sink does.
        settings: How the engine works.
        patience: Repeats what a store could not do for now.
        clock: Time and randomness.
        stop: Ends the run.
        notify: Told of what happens.
    """

    sink: ActionSink
    checkpointer: Checkpointer
    error_queue: ErrorQueue | None
    validators: Sequence[Validator]
    settings: SyncSettings
    patience: Patience
    clock: Clock
    stop: threading.Event
    notify: Callable[[Event], None]


@frozen(kw_only=True)
class Parts(StoringParts):
    """What a stream's run takes; the same for all streams of an account's run.

    Attributes:
        source: Reads HubSpot.
    """

    source: Source
