"""What changes in an account's entry when a host decides something."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve

from hubspot_sync._clock import later
from hubspot_sync._engine.scopes import in_words, missing_scopes
from hubspot_sync.models import AccountStatus
from hubspot_sync.models._checks import is_positive_duration, is_remark, maybe
from hubspot_sync.models.accounts import streams_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime, timedelta

    from hubspot_sync.models import Account, AccountEntry, Grant, StreamSettings


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
    due, last, before = entry.next_sync_at, entry.last_sync, entry.account
    if due is not None and account.streams != before.streams:
        due = now
    elif due is not None and last is not None and account.sync_every != before.sync_every:
        due = max(later(min(last.started_at, now), account.sync_every), now)
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
    missing = missing_scopes(entry.account.streams, scopes)
    status, reason = AccountStatus.ACTIVE, in_words(missing) or None
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
