"""How an account's entry changes: by what a host decides, and by how a run went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from hubspot_sync._clock import is_ahead
from hubspot_sync._engine.account.schedule import due_after, due_with, is_asked_for
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    HubSpotSyncError,
    OAuthAppError,
    SupersededError,
    WrongAccountError,
)
from hubspot_sync.models import AccountStatus, StreamStatus, StreamSummary, SyncSummary
from hubspot_sync.models._checks import is_positive_duration, is_remark, maybe
from hubspot_sync.models.accounts import streams_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from hubspot_sync.models import (
        Account,
        AccountEntry,
        Grant,
        StreamReport,
        StreamSettings,
        SyncReport,
    )

# Judged are only object types whose scopes are known for sure; of all others HubSpot itself says,
# when they are read, which scope they need. Any one of a stream's scopes is enough.
# https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes
_ANY_OF: Final[dict[str, tuple[str, ...]]] = {
    "companies": ("crm.objects.companies.read",),
    "contacts": ("crm.objects.contacts.read",),
}


def with_status(
    entry: AccountEntry, status: AccountStatus, reason: str | None, now: datetime
) -> AccountEntry:
    """The entry with another status: an active account is due at once, others never."""
    if entry.status is status:
        return evolve(entry, reason=reason)
    return evolve(
        entry,
        status=status,
        reason=reason,
        status_since=now,
        next_sync_at=now if status is AccountStatus.ACTIVE else None,
        postponed_at=None,
    )


def status_in_words(entry: AccountEntry) -> str:
    """The status of the entry and why it has it, for people."""
    status = entry.status.value
    return f"{status} ({entry.reason})" if entry.reason else status


def with_account(entry: AccountEntry, account: Account, now: datetime) -> AccountEntry:
    """The entry with other settings: due at once for other streams, else by the new rhythm."""
    due = due_with(entry, account, now)
    changed = evolve(entry, account=account)
    return changed if due == entry.next_sync_at or due is None else changed.due_from(due, now)


def alteration(
    streams: Iterable[StreamSettings] | None, sync_every: timedelta | None, name: str | None
) -> Callable[[Account], Account]:
    """Check what a host wants of an account, and return what changes its settings to that.

    Raises:
        ConfigurationError: A stream, the period or the name is wrong.
    """
    wanted: dict[str, Any] = {}
    if streams is not None:
        wanted["streams"] = streams_of(streams)
    if sync_every is not None:
        is_positive_duration.of("sync_every", sync_every)
        wanted["sync_every"] = sync_every
    maybe(is_remark).of("name", name)
    return lambda account: evolve(account, **wanted)


def opened(
    entry: AccountEntry, grant: Grant | None, name: str | None, now: datetime
) -> AccountEntry:
    """The entry of an account that was connected just now: it is due at once.

    One that was paused stays so. One of which nothing may be read with the scopes that were
    granted waits for more; where only some of it may be read, the reason says what not.
    """
    scopes, found = (grant.scopes, grant.account_name) if grant else ((), None)
    missing = _missing_scopes(entry.account.streams, scopes)
    status, reason = AccountStatus.ACTIVE, _in_words(missing) or None
    if len(missing) == len(entry.account.streams):
        status = AccountStatus.NEEDS_REAUTHORIZATION
    if entry.status is AccountStatus.PAUSED:
        status, reason = entry.status, entry.reason
    return evolve(
        entry,
        status=status,
        reason=reason,
        status_since=now,
        name=name or found or entry.name,
        scopes=scopes,
        next_sync_at=now if status is AccountStatus.ACTIVE else None,
        postponed_at=None,
        failed_runs=0,
    )


def noted(
    entry: AccountEntry,
    report: SyncReport,
    *,
    started_at: datetime,
    finished_at: datetime,
    claimed_until: datetime | None = None,
    chance: float,
) -> AccountEntry:
    """The entry after a run.

    Args:
        entry: The entry before.
        report: How the run went.
        started_at: When it began.
        finished_at: When it ended.
        claimed_until: What claiming the account made of `next_sync_at`, where it was claimed.
        chance: A number in [0, 1) that spreads what failed together.
    """
    started_at = min(started_at, finished_at)  # the clock may have been put right meanwhile
    streams = [one for one in report.streams if not isinstance(one.error, SupersededError)]
    if report.streams and not streams:
        return entry  # another worker has all of it, and will write down how it went
    failure = _failure(report, streams)
    if isinstance(failure, OAuthAppError):
        return entry  # nothing that this account could help
    failed_runs = entry.failed_runs + 1 if failure else entry.failed_runs
    after = evolve(
        entry,
        last_sync=SyncSummary(
            started_at=started_at,
            finished_at=finished_at,
            completed=report.completed,
            error=str(failure) if failure else None,
            error_type=type(failure).__name__ if failure else None,
        ),
        failed_runs=0 if report.completed else failed_runs,
        streams=_summaries(entry, streams, finished_at),
    )
    asked_for = is_asked_for(entry, started_at, finished_at, claimed_until)
    # What was decided meanwhile stays; what a wrong clock puts into the future was not.
    decided_before = entry.status_since <= started_at or is_ahead(entry.status_since, finished_at)
    if decided_before and not asked_for:
        after = _judged(after, report, failure, finished_at)
    if after.status is not AccountStatus.ACTIVE or asked_for:
        return after
    due = due_after(
        after,
        failure,
        stopped=report.error is None and any(one.left_over for one in streams),
        started_at=started_at,
        finished_at=finished_at,
        chance=chance,
    )
    return after.due_from(due, finished_at)


def _failure(report: SyncReport, streams: list[StreamReport]) -> HubSpotSyncError | None:
    errors = (report.error, *(one.error for one in streams))
    return next((error for error in errors if error is not None), None)


def _summaries(
    entry: AccountEntry, streams: list[StreamReport], finished_at: datetime
) -> dict[str, StreamSummary]:
    """What is known of each stream that the account still has."""
    wanted = {stream.object_type for stream in entry.account.streams}
    kept = {name: summary for name, summary in entry.streams.items() if name in wanted}
    for one in streams:
        name = one.name
        if name in wanted:
            kept[name] = _summary(one, kept.get(name), finished_at)
    return kept


def _summary(
    report: StreamReport, before: StreamSummary | None, finished_at: datetime
) -> StreamSummary:
    completed = report.status is StreamStatus.COMPLETED
    return StreamSummary(
        status=report.status,
        mode=report.mode,
        counts=report.counts,
        finished_at=finished_at,
        completed_at=finished_at if completed else before.completed_at if before else None,
        error=str(report.error) if report.error else None,
        error_type=type(report.error).__name__ if report.error else None,
    )


def _judged(
    entry: AccountEntry,
    report: SyncReport,
    failure: HubSpotSyncError | None,
    finished_at: datetime,
) -> AccountEntry:
    """Whether the account may go on by itself."""
    shut = isinstance(failure, (AuthorizationRevokedError, WrongAccountError))
    if shut and entry.status in (AccountStatus.ACTIVE, AccountStatus.NEEDS_REAUTHORIZATION):
        return with_status(entry, AccountStatus.NEEDS_REAUTHORIZATION, str(failure), finished_at)
    if report.completed and entry.status is AccountStatus.NEEDS_REAUTHORIZATION:
        return with_status(entry, AccountStatus.ACTIVE, None, finished_at)
    return entry


def _missing_scopes(
    streams: Sequence[StreamSettings], granted: Collection[str]
) -> Mapping[str, Sequence[str]]:
    """The object types that cannot be read, each with the scopes of which any one would do.

    Args:
        streams: What is to be read.
        granted: What was granted; nothing at all means that it is not known.
    """
    if not granted:
        return {}
    needed = {stream.object_type: _ANY_OF.get(stream.object_type, ()) for stream in streams}
    return {
        object_type: scopes
        for object_type, scopes in needed.items()
        if scopes and not set(scopes) & set(granted)
    }


def _in_words(missing: Mapping[str, Sequence[str]]) -> str:
    """What is missing, for people: one clause per object type."""
    return "; ".join(
        f"{object_type} cannot be read until {' or '.join(scopes)} is granted"
        for object_type, scopes in missing.items()
    )
