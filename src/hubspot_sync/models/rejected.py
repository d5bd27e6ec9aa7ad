"""Actions that were refused: how they wait in an error queue, and how they are chosen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from attrs import field, frozen

from hubspot_sync._clock import LONGEST_WAIT, is_ahead
from hubspot_sync.models._checks import (
    from_milliseconds,
    ids_of,
    is_aware,
    is_choice,
    is_instant,
    is_kind,
    is_positive,
    is_remark,
    maybe,
    to_milliseconds,
)
from hubspot_sync.models._display import AsDict, number_of
from hubspot_sync.models.accounts import AccountKey, StreamKey
from hubspot_sync.models.actions import Action
from hubspot_sync.models.object_types import canonical_object_type

_LONGEST_REASON: Final = 1_000


def _one_line(text: str) -> str:
    """Text that every store takes: no line breaks, NUL or lone surrogates, and not too long."""
    if not isinstance(text, str):
        return text
    storable = text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    line = " ".join(storable.split()) or "no reason given"
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 3] + "..."


def _to_the_millisecond(instant: datetime) -> datetime:
    aware = isinstance(instant, datetime) and instant.tzinfo is not None
    return from_milliseconds(to_milliseconds(instant)) if aware else instant


def _optional_to_the_millisecond(instant: datetime | None) -> datetime | None:
    return None if instant is None else _to_the_millisecond(instant)


@frozen(kw_only=True)
class RejectedAction(AsDict):
    """An action that was refused, as it waits in an `ErrorQueue` to be tried again.

    Attributes:
        action: The whole action.
        reason: Why it was refused, as the sink or the validator said; made one line of at most
            1,000 characters.
        error: The class of the error: "ActionRejectedError", or that of the exception with which
            a validator failed.
        attempts: How often it was tried, from 1.
        first_at: When this version of the object was refused first, aware, to the millisecond.
        last_at: When it was refused last.
        next_at: When it is due to be tried again; None for a parked action, which is tried again
            on demand only.
    """

    action: Action
    reason: str = field(converter=_one_line, validator=is_remark)
    error: str
    attempts: int = field(default=1, validator=is_positive)
    first_at: datetime = field(converter=_to_the_millisecond, validator=is_instant)
    last_at: datetime = field(converter=_to_the_millisecond, validator=is_instant)
    next_at: datetime | None = field(
        default=None, converter=_optional_to_the_millisecond, validator=is_aware
    )

    def __repr__(self) -> str:
        # The reason may quote a value of the record's.
        tries = number_of(self.attempts, "attempt", "attempts")
        return (
            f"<RejectedAction {self.action.action_id} {self.action.name!r}: {self.error}, {tries}>"
        )

    def as_dict(self) -> dict[str, Any]:
        """The rejected action as values that JSON knows, with all that its action holds."""
        return {**super().as_dict(), "parked": self.parked}

    @property
    def parked(self) -> bool:
        """Whether it was tried for the last time, and is tried again on demand only."""
        return self.next_at is None

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be tried again now; see `ErrorQueue.due`."""
        if self.next_at is None:
            return False
        ahead = self.next_at - now > LONGEST_WAIT and is_ahead(self.last_at, now)
        return self.next_at <= now or ahead

    @property
    def stream(self) -> StreamKey:
        """The stream that it belongs to."""
        return StreamKey(self.action.account, self.action.object_type)


@frozen(kw_only=True)
class RejectedCounts(AsDict):
    """How many refused actions of a stream are in an error queue.

    Attributes:
        waiting: Those that are tried again by themselves.
        parked: Those that were tried for the last time, and are tried again on demand only.
    """

    waiting: int = 0
    parked: int = 0


def _optional_object_type(name: str | None) -> str | None:
    return None if name is None else canonical_object_type(name)


def _optional_line(text: str | None) -> str | None:
    return None if text is None else _one_line(text)


def _optional_ids(object_ids: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if object_ids is None else ids_of("RejectedSelection.object_ids", object_ids)


@frozen(kw_only=True)
class RejectedSelection(AsDict):
    """Which rejected actions of an account are meant: those that fit everything that is given.

    Attributes:
        account: The account.
        object_type: Name or id of their object type; None for all.
        reason: Their reason, word for word as it was given; None for any.
        object_ids: HubSpot's ids of their objects; None for all.
        parked: True for parked actions only, False for all others only, None for both.
    """

    account: AccountKey = field(validator=is_kind(AccountKey, such_as="account.key"))
    object_type: str | None = field(default=None, converter=_optional_object_type)
    reason: str | None = field(default=None, converter=_optional_line, validator=maybe(is_remark))
    object_ids: tuple[str, ...] | None = field(default=None, converter=_optional_ids)
    parked: bool | None = field(default=None, validator=maybe(is_choice))

    def fits(self, failure: RejectedAction) -> bool:
        """Whether *failure* is one of those that are meant."""
        action = failure.action
        return (
            action.account == self.account
            and self.object_type in (None, action.object_type)
            and self.reason in (None, failure.reason)
            and (self.object_ids is None or action.object_id in self.object_ids)
            and self.parked in (None, failure.parked)
        )
