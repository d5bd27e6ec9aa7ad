"""What a part of the host's raises or gives although it may not: named, and in the log."""

from __future__ import annotations

import logging
from pathlib import PurePath
from traceback import extract_tb
from typing import TYPE_CHECKING, TypeVar

from hubspot_sync.errors import HubSpotSyncError, InvariantError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubspot_sync.models import AccountKey, StreamKey

T = TypeVar("T")

_logger = logging.getLogger("hubspot_sync")


def unforeseen(error: Exception, where: AccountKey | StreamKey, part: str) -> InvariantError:
    """Our error for *error*, whose traceback is logged; its text is left out, it can hold values.

    Args:
        error: What *part* may not raise.
        where: The account or the stream, for the log.
        part: What failed, in words.
    """
    _logger.error("%s: %s failed unexpectedly", where, part, exc_info=error)
    ours = InvariantError(
        f"{part} failed with {type(error).__name__} ({place_of(error)}), which no part of a sync "
        "may raise; the log has the traceback: mend it, and run again"
    )
    ours.__cause__ = error
    return ours


def answer_of(part: object, method: str, call: Callable[[], T], kind: type[T], at: StreamKey) -> T:
    """What *call* gives, which is a *method* of *part*, the host's.

    Raises:
        InvariantError: It gave no *kind*, or raised what it may not.
        HubSpotSyncError: What it raised.
    """
    name = f"{type(part).__qualname__}.{method}"
    try:
        answer: object = call()
    except HubSpotSyncError:
        raise
    except Exception as error:
        raise unforeseen(error, at, name) from error
    if isinstance(answer, kind):
        return answer
    raise InvariantError(
        f"{name} gave a {type(answer).__name__}; mend it so that it returns a {kind.__name__}, and "
        "run again"
    )


def place_of(error: Exception) -> str:
    """Which line raised *error*."""
    place = extract_tb(error.__traceback__)[-1]
    return f"{PurePath(place.filename).name}, line {place.lineno}"
