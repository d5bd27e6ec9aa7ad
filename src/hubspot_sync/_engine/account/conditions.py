"""What is wrong with an account by what is known of its runs, and what to do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hubspot_sync.errors import (
    AuthorizationRevokedError,
    MissingScopeError,
    NotConnectedError,
    TooManyRejectedError,
    WrongAccountError,
)
from hubspot_sync.models import AccountStatus, AttentionNeeded, Condition, StreamStatus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from hubspot_sync.models import Account, AccountEntry, StreamSummary, SyncReport

# A run takes its time, and so does a fleet that has others to see to.
_LEAST_MARGIN: Final = timedelta(minutes=5)
_OF_ACCESS: Final = frozenset(
    one.__name__
    for one in (
        AuthorizationRevokedError,
        MissingScopeError,
        NotConnectedError,
        WrongAccountError,
    )
)

RECONNECT: Final = (
    "reconnect the account: send its owner to Domain.authorization_url, or give new credentials to "
    "Domain.connect"
)
GRANT: Final = (
    "grant what is missing: let the app ask for the scope that the error names, and reconnect the "
    "account; or take the object type out of its streams"
)
REMEDIES: Final = {
    Condition.NEEDS_RECONNECT: RECONNECT,
    Condition.STALLED: (
        "no worker sees to it: start SyncEngine.run, or what calls sync_due, and look into its log"
    ),
    Condition.LATE: (
        "its syncs do not complete: see the error; they are tried again by themselves"
    ),
    Condition.MANY_REJECTED: (
        "the sink or a validator refuses most actions: see Domain.rejected_actions for the "
        "reasons, correct it, and call redrive"
    ),
    Condition.PARKED: (
        "refused actions are tried no more: see Domain.rejected_actions(..., parked=True) for the "
        "reasons, correct what refuses them, and call redrive"
    ),
    Condition.DELETIONS_SUSPECTED: (
        "more objects seem to be gone than is believed: look at HubSpot, and call "
        "Domain.confirm_deletions if they are"
    ),
}


def patience(account: Account) -> timedelta:
    """How long after its last completion a stream of *account* counts as late."""
    return account.sync_every + max(account.sync_every, _LEAST_MARGIN)


def error_of(entry: AccountEntry, object_type: str) -> tuple[str | None, str | None]:
    """What ended the last run of a stream, and the class of that error."""
    summary = entry.streams.get(object_type)
    if summary is not None and (summary.error or summary.status is StreamStatus.COMPLETED):
        return summary.error, summary.error_type
    if entry.last_sync is None or entry.last_sync.completed:
        return None, None
    return entry.last_sync.error, entry.last_sync.error_type


def needs_person(error_type: str | None) -> bool:
    """Whether a person has to grant or to connect after an error of this class."""
    return error_type in _OF_ACCESS


def remedy_of(condition: Condition, error_type: str | None = None) -> str:
    """What to do about *condition*."""
    if condition is Condition.NEEDS_RECONNECT and error_type == MissingScopeError.__name__:
        return GRANT
    return REMEDIES[condition]


def is_many_rejected(error_type: str | None) -> bool:
    """Whether most of what a stream delivers is refused."""
    return error_type == TooManyRejectedError.__name__


def begun(
    before: AccountEntry, after: AccountEntry, report: SyncReport, *, parks_at_once: bool
) -> Iterator[AttentionNeeded]:
    """What somebody has to see to since the run that made *after* of *before*.

    Args:
        before: The entry before the run.
        after: The entry after it.
        report: What the run did.
        parks_at_once: Whether what is refused once is parked.
    """
    known = _conditions(before)
    new = {place: why for place, why in _conditions(after).items() if place not in known}
    for one in report.streams:
        if one.retried.parked or (parks_at_once and one.counts.rejected):
            new[Condition.PARKED, one.stream.object_type] = None, None
    for condition in Condition:
        some = {name: why for (kind, name), why in new.items() if kind is condition}
        if some:
            error, error_type = next(iter(some.values()))
            yield AttentionNeeded(
                account=after.key,
                condition=condition,
                object_types=tuple(some),
                remedy=remedy_of(condition, error_type),
                error=error,
            )


Conditions = dict[tuple[Condition, str], tuple[str | None, str | None]]


def _conditions(entry: AccountEntry) -> Conditions:
    """What was wrong with which stream when the last run had ended, with its error."""
    found: Conditions = {}
    if entry.last_sync is None or entry.status in (AccountStatus.PAUSED, AccountStatus.DISABLED):
        return found
    closed = entry.status is AccountStatus.NEEDS_REAUTHORIZATION
    for settings in entry.account.streams:
        name = settings.object_type
        why = error_of(entry, name)
        if closed or needs_person(why[1]):
            found[Condition.NEEDS_RECONNECT, name] = why
        elif is_many_rejected(why[1]):
            found[Condition.MANY_REJECTED, name] = why
        elif _is_late(entry, entry.streams.get(name), entry.last_sync.finished_at):
            found[Condition.LATE, name] = why
    return found


def _is_late(entry: AccountEntry, summary: StreamSummary | None, now: datetime) -> bool:
    completed_at = summary.completed_at if summary else None
    return now - (completed_at or entry.status_since) > patience(entry.account)
