"""What the host takes and answers with: the library's values in the shapes of its API."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hubspot_sync import (
    AccountEntry,
    AccountHealth,
    AccountStatus,
    HealthStatus,
    RedriveReport,
    RejectedAction,
    StreamStatus,
    SyncReport,
)
from hubspot_sync.models import Condition, Mode, RejectedCounts, StreamHealth

from .problems import Problem, detail_of


class View(BaseModel):
    """Made from a library's value by the names of its attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Wanted(BaseModel, extra="forbid"):
    """What a client sends; a field that is none may be a slip of the pen, so it is refused."""


class CountsView(View):
    """Where records ended; see `hubspot_sync.models.Counts`."""

    read: int = 0
    delivered: int = 0
    repeated: int = 0
    unchanged: int = 0
    rejected: int = 0
    skipped: int = 0


class StreamView(View):
    """How the last run of one stream went; see `hubspot_sync.models.StreamSummary`.

    Without its error, whose words are the operator's; the sync's report has a client's.
    """

    status: StreamStatus
    mode: Mode | None
    counts: CountsView
    finished_at: datetime
    completed_at: datetime | None


class SyncView(View):
    """How the last run of one account went; see `hubspot_sync.models.SyncSummary`.

    Without its error too.
    """

    started_at: datetime
    finished_at: datetime
    completed: bool


class AccountView(View):
    """A connected account; see `hubspot_sync.AccountEntry`."""

    account_id: str
    name: str | None
    status: AccountStatus
    reason: str | None
    status_since: datetime
    scopes: tuple[str, ...]
    object_types: tuple[str, ...]
    sync_every_seconds: float
    last_sync: SyncView | None
    next_sync_at: datetime | None
    failed_runs: int
    streams: dict[str, StreamView]

    @classmethod
    def of(cls, entry: AccountEntry) -> "AccountView":
        """What is shown of *entry*."""
        account, last = entry.account, entry.last_sync
        return cls(
            account_id=account.account_id,
            name=entry.name,
            status=entry.status,
            reason=entry.reason,
            status_since=entry.status_since,
            scopes=entry.scopes,
            object_types=tuple(stream.object_type for stream in account.streams),
            sync_every_seconds=account.sync_every.total_seconds(),
            last_sync=None if last is None else SyncView.model_validate(last),
            next_sync_at=entry.next_sync_at,
            failed_runs=entry.failed_runs,
            streams={
                name: StreamView.model_validate(summary) for name, summary in entry.streams.items()
            },
        )


class StreamHealthView(View):
    """How one stream is; see `hubspot_sync.models.StreamHealth`. Without its error too.

    Attributes:
        status: In one word.
        seconds_behind: How far it is behind the present; None where it was never complete.
        waiting: Refused actions that are tried again by themselves.
        parked: Those that are not.
    """

    status: HealthStatus
    seconds_behind: float | None
    waiting: int
    parked: int

    @classmethod
    def of(cls, health: StreamHealth) -> "StreamHealthView":
        """What is shown of *health*."""
        behind, rejected = health.age, health.rejected or RejectedCounts()
        return cls(
            status=health.status,
            seconds_behind=None if behind is None else behind.total_seconds(),
            waiting=rejected.waiting,
            parked=rejected.parked,
        )


class AccountHealthView(View):
    """How one account is; see `hubspot_sync.AccountHealth`.

    Attributes:
        ok: True for fresh, False for what is wrong, None where nothing was measured.
        conditions: What somebody has to see to.
        syncing: Whether a sync goes on in this process.
    """

    account_id: str
    name: str | None
    status: HealthStatus
    ok: bool | None
    conditions: tuple[Condition, ...]
    syncing: bool
    streams: dict[str, StreamHealthView]

    @classmethod
    def of(cls, health: AccountHealth, *, syncing: bool) -> "AccountHealthView":
        """What is shown of *health*."""
        return cls(
            account_id=health.account.account_id,
            name=health.name,
            status=health.status,
            ok=health.ok,
            conditions=tuple(dict.fromkeys(one.condition for one in health.problems)),
            syncing=syncing,
            streams={one.stream.object_type: StreamHealthView.of(one) for one in health.streams},
        )


class HealthView(View):
    """How all accounts of a tenant are: the worst status, and how many have each."""

    status: HealthStatus
    counts: dict[HealthStatus, int]
    accounts: list[AccountHealthView]


def report_view(report: SyncReport | RedriveReport) -> dict[str, Any]:
    """What `as_dict` gives, with what a client is told of errors in place of their own words."""
    shown = report.as_dict()
    if isinstance(report, SyncReport):
        shown["error"] = report.error and detail_of(report.error)
    for one in report.streams:
        shown["streams"][one.stream.object_type]["error"] = one.error and detail_of(one.error)
    return shown


class FailureView(View):
    """An action that was refused, without its values; see `hubspot_sync.RejectedAction`."""

    action: str
    object_type: str
    object_id: str
    reason: str
    attempts: int
    first_at: datetime
    last_at: datetime
    next_at: datetime | None
    parked: bool

    @classmethod
    def of(cls, failure: RejectedAction) -> "FailureView":
        """What is shown of *failure*."""
        action = failure.action
        return cls(
            action=action.name,
            object_type=action.object_type,
            object_id=action.object_id,
            reason=failure.reason,
            attempts=failure.attempts,
            first_at=failure.first_at,
            last_at=failure.last_at,
            next_at=failure.next_at,
            parked=failure.parked,
        )


class StreamProgress(View):
    """How far a stream's run is.

    Attributes:
        status: How it ended, or None while it goes on.
        mode: How its records are found.
        counts: Where they ended, so far.
    """

    status: StreamStatus | None = None
    mode: Mode | None = None
    counts: CountsView = CountsView()


class Progress(View):
    """How far a sync is.

    Attributes:
        state: "waiting" for a free thread, "running", or "ended".
        streams: How far each stream is that has begun, by object type.
        note: What it waits for or was disturbed by last, in one line.
        report: What it did, when it has ended; see `report_view`.
        problem: Why it ended without a report.
    """

    state: Literal["waiting", "running", "ended"] = "waiting"
    streams: dict[str, StreamProgress] = Field(default_factory=dict)
    note: str | None = None
    report: dict[str, Any] | None = None
    problem: Problem | None = None


class ConnectLink(View):
    """Where a person's browser has to go to connect an account.

    Attributes:
        url: The page; good for some minutes.
        expires_in: For how many seconds.
    """

    url: str
    expires_in: int
