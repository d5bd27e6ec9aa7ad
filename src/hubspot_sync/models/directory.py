"""What is kept of each connected account: what to sync, whether it may be, and how it went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping  # noqa: F401 - the first is in the signature
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from attrs import evolve, field, frozen

from hubspot_sync._clock import LONGEST_WAIT, is_ahead
from hubspot_sync.models._checks import is_aware, is_not_negative, names
from hubspot_sync.models._display import AsDict, plain, seconds
from hubspot_sync.models.accounts import Account, AccountKey
from hubspot_sync.models.checkpoints import Mode
from hubspot_sync.models.reports import Counts, StreamStatus


class AccountStatus(Enum):
    """Whether an account is synchronised when it is due, and if not, who has to act."""

    ACTIVE = "active"
    PAUSED = "paused"
    NEEDS_REAUTHORIZATION = "needs_reauthorization"
    DISABLED = "disabled"


@frozen(kw_only=True)
class StreamSummary(AsDict):
    """How the last run of one stream went, for a host to show.

    Attributes:
        status: How it ended.
        mode: How records were found; None when it ended before that was known.
        counts: Where the records ended.
        finished_at: When it ended, aware.
        completed_at: When a run of this stream last completed, aware; None when none ever did.
        error: What ended it, as text, or None.
        error_type: The class of that error, or None.
    """

    status: StreamStatus
    mode: Mode | None = None
    counts: Counts = field(factory=Counts)
    finished_at: datetime = field(validator=is_aware)
    completed_at: datetime | None = field(default=None, validator=is_aware)
    error: str | None = None
    error_type: str | None = None


@frozen(kw_only=True)
class SyncSummary(AsDict):
    """How the last run of one account went, for a host to show.

    Attributes:
        started_at: When it began, aware.
        finished_at: When it ended, aware.
        completed: Whether every stream completed.
        error: What went wrong first, as text, or None.
        error_type: The class of that error, or None.
    """

    started_at: datetime = field(validator=is_aware)
    finished_at: datetime = field(validator=is_aware)
    completed: bool
    error: str | None = None
    error_type: str | None = None


@frozen(kw_only=True)
class AccountEntry(AsDict):
    """One connected account as an `AccountStore` keeps it.

    Attributes:
        account: Its key, what to read of it, and how often.
        status: Whether it is synchronised when it is due.
        reason: Why it has this status, for people, or None.
        status_since: When it got this status, aware.
        name: What people call it, such as "acme.com", or None.
        scopes: The OAuth scopes that were granted; empty where that is not known.
        last_sync: How its last run went; None before the first.
        next_sync_at: When it is due again, aware; None for never by itself.
        postponed_at: When *next_sync_at* was decided, aware, where it was more than a day and the
            account's own period ahead then; else None. Without it a next sync that is further
            ahead than that is a wrong clock's, and the account is due.
        failed_runs: Runs in a row that did not complete, up to now.
        streams: How the last run of each stream went, by object type.
        revision: Grows with every save, from 1; 0 for an entry that was not saved yet.
    """

    account: Account
    status: AccountStatus = AccountStatus.ACTIVE
    reason: str | None = None
    status_since: datetime = field(validator=is_aware)
    name: str | None = None
    scopes: tuple[str, ...] = field(default=(), converter=names)
    last_sync: SyncSummary | None = None
    next_sync_at: datetime | None = field(default=None, validator=is_aware)
    postponed_at: datetime | None = field(default=None, validator=is_aware)
    failed_runs: int = field(default=0, validator=is_not_negative)
    streams: Mapping[str, StreamSummary] = field(factory=dict)
    revision: int = field(default=0, validator=is_not_negative)

    def __repr__(self) -> str:
        due = "never due" if self.next_sync_at is None else f"due {self.next_sync_at.isoformat()}"
        return f"<AccountEntry {self.key} {self.status.value}, {due}, revision {self.revision}>"

    def as_dict(self) -> dict[str, Any]:
        """The entry as values that JSON knows; see the docs page "Storage and reports"."""
        entry = super().as_dict()
        del entry["account"]
        return {
            "domain_id": self.account.domain_id,
            "account_id": self.account_id,
            "sync_every": seconds(self.account.sync_every),
            "settings": plain(self.account.streams),
            **entry,
        }

    @property
    def account_id(self) -> str:
        """HubSpot's id of the account, as the methods of `Domain` take it."""
        return self.account.account_id

    @property
    def key(self) -> AccountKey:
        """The name of the account in every store."""
        return self.account.key

    def due_from(self, instant: datetime, now: datetime) -> AccountEntry:
        """The entry when it was decided *now* that it is due from *instant* on."""
        long = instant - now > self._longest_wait
        return evolve(self, next_sync_at=instant, postponed_at=now if long else None)

    def is_due(self, now: datetime) -> bool:
        """Whether it is to be synchronised now; see `AccountStore.due`."""
        if self.status is not AccountStatus.ACTIVE or self.next_sync_at is None:
            return False
        return self.next_sync_at <= now or self._is_ahead(self.next_sync_at, now)

    def _is_ahead(self, next_sync_at: datetime, now: datetime) -> bool:
        if next_sync_at - now <= self._longest_wait:
            return False
        return self.postponed_at is None or is_ahead(self.postponed_at, now)

    @property
    def _longest_wait(self) -> timedelta:
        return max(self.account.sync_every, LONGEST_WAIT)
