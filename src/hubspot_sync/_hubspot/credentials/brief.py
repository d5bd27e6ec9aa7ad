"""Patience for calls that a person waits for in front of a browser: seconds, not minutes."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._hubspot.calls.transport import Transport
from hubspot_sync._retry import Retrier, RetryPolicy

if TYPE_CHECKING:
    import threading

    from hubspot_sync._clock import Clock
    from hubspot_sync.errors import RetryableError
    from hubspot_sync.models import HubSpotSettings

_MAX_TRIES: Final = 3
_MAX_WAIT: Final = timedelta(seconds=10)
_LONGEST_ANSWER: Final = timedelta(seconds=30)
_logger = logging.getLogger("hubspot_sync")


def brief_retrier(settings: HubSpotSettings, clock: Clock, stop: threading.Event) -> Retrier:
    """Tries no more often, and waits no longer, than somebody at a browser will."""
    policy = RetryPolicy(
        max_tries=min(_MAX_TRIES, settings.max_tries), max_wait=min(_MAX_WAIT, settings.max_wait)
    )
    return Retrier(policy=policy, clock=clock, stop=stop)


def brief_transport(settings: HubSpotSettings) -> Transport:
    """Connections of their own: accounts are connected rarely, and no run's end ends them."""
    return Transport(
        evolve(
            settings,
            read_timeout=min(settings.read_timeout, _LONGEST_ANSWER),
            answer_timeout=min(settings.answer_timeout, _LONGEST_ANSWER),
        )
    )


def log_retry(attempt: int, wait: timedelta, error: RetryableError) -> None:
    """Log a retry that no run's observer is told of."""
    _logger.warning("connecting: try %d failed, again in %s: %s", attempt, wait, error)
