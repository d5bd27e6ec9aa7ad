"""How work on a stream ended, whatever ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubspot_sync._clock import StopRequested
from hubspot_sync.errors import HubSpotSyncError, LeaseHeldError
from hubspot_sync.interfaces._answers import unforeseen
from hubspot_sync.models import StreamStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.models import StreamKey


def outcome_of(
    work: Callable[[], None], stream: StreamKey, name: str
) -> tuple[StreamStatus, HubSpotSyncError | None]:
    """Do *work* on *stream*; how it ended, and the error that says why.

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
