"""What changes in an account's entry when a host decides something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from hubspot_sync._clock import later
from hubspot_sync._engine.scopes import in_words, missing_scopes
from hubspot_sync.models import AccountStatus

if TYPE_CHECKING:
    from datetime import datetime

    from hubspot_sync._engine.connecting import Wishes
    from hubspot_sync.models import Account, AccountEntry, Grant


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


def altered(account: Account, wishes: Wishes) -> Account:
    """*account* with what is wanted of it."""
    if wishes.streams is not None:
        account = evolve(account, streams=wishes.streams)
    return account if wishes.sync_every is None else evolve(account, sync_every=wishes.sync_every)


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
