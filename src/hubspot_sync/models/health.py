"""How complete and fresh what is stored is, worked out when it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Final

from attrs import evolve, frozen

from hubspot_sync.models._display import AsDict, number_of, one_line, plain, seconds
from hubspot_sync.models.accounts import AccountKey, StreamKey
from hubspot_sync.models.rejected import RejectedCounts
from hubspot_sync.models.reports import ByStream

_SHOWN: Final = 3


class HealthStatus(Enum):
    """How a stream is, and accounts and domains by their streams."""

    FRESH = "fresh"
    LATE = "late"
    STALLED = "stalled"
    PAUSED = "paused"
    NEEDS_RECONNECT = "needs_reconnect"
    NEVER = "never"
    NOT_TRACKED = "not_tracked"

    @property
    def ok(self) -> bool | None:
        """True for fresh, False for what is wrong; None where nothing was measured."""
        if self in (HealthStatus.NEVER, HealthStatus.PAUSED, HealthStatus.NOT_TRACKED):
            return None
        return self is HealthStatus.FRESH

    @property
    def words(self) -> str:
        """For people: "needs reconnect"."""
        return self.value.replace("_", " ")


class Condition(Enum):
    """What somebody has to see to."""

    NEEDS_RECONNECT = "needs_reconnect"
    STALLED = "stalled"
    LATE = "late"
    MANY_REJECTED = "many_rejected"
    PARKED = "parked"
    DELETIONS_SUSPECTED = "deletions_suspected"

    @property
    def words(self) -> str:
        """For people: "needs reconnect"."""
        return self.value.replace("_", " ")


_WRONG: Final = (HealthStatus.NEEDS_RECONNECT, HealthStatus.STALLED, HealthStatus.LATE)
_UNUSED: Final = (HealthStatus.PAUSED, HealthStatus.NOT_TRACKED)
# The first of these that one of its parts has is that of the whole. An account with a stream that
# was never complete is not complete; a domain with a new account is as fresh as the others.
_OF_ACCOUNT: Final = (*_WRONG, HealthStatus.NEVER, HealthStatus.FRESH, *_UNUSED)
_OF_MANY: Final = (*_WRONG, HealthStatus.FRESH, HealthStatus.NEVER, *_UNUSED)


@frozen(kw_only=True)
class Problem(AsDict):
    """One condition that somebody has to see to, with all streams that have it.

    Attributes:
        condition: What is wrong.
        remedy: What to do about it.
        streams: The streams that it concerns.
        since: Since when it has been so for the first of them, aware; None where that is not
            known.
    """

    condition: Condition
    remedy: str
    streams: tuple[StreamKey, ...]
    since: datetime | None = None

    @property
    def accounts(self) -> tuple[AccountKey, ...]:
        """The accounts that it concerns."""
        return tuple(dict.fromkeys(stream.account for stream in self.streams))

    def __str__(self) -> str:
        named = ", ".join(map(str, self.streams[:_SHOWN]))
        more = f" and {len(self.streams) - _SHOWN:,} more" if len(self.streams) > _SHOWN else ""
        since = f" since {_in_words(self.since)}" if self.since else ""
        return f"{self.condition.words}{since}: {named}{more}; {self.remedy}"

    def __repr__(self) -> str:
        return f"<Problem {self}>"

    def as_dict(self) -> dict[str, Any]:
        """The problem as values that JSON knows, its streams by account."""
        by_account: dict[AccountKey, list[str]] = {}
        for stream in self.streams:
            by_account.setdefault(stream.account, []).append(stream.object_type)
        return {
            "condition": self.condition.value,
            "since": plain(self.since),
            "remedy": self.remedy,
            "accounts": [
                {**account.as_dict(), "object_types": object_types}
                for account, object_types in by_account.items()
            ],
        }


@frozen(kw_only=True)
class StreamHealth(AsDict):
    """How one stream is.

    Attributes:
        stream: The stream.
        status: How it is: "fresh", brought up to date within its account's period and once as
            long again (five minutes at least); "late", not so, although workers see to it;
            "stalled", not so, and no worker does; "paused"; "needs_reconnect", a person has to
            grant or to connect; "never", never complete; "not_tracked", the account is disabled,
            or this object type is not read.
        since: Since when it has been so, aware, by the clock of who asks: a fresh stream since it
            was brought up to date, a stalled one since a worker last moved it. None where that is
            not known.
        age: How long ago it was brought up to date, by the store's clock; None when it never was.
        complete_until: Every change that HubSpot made before this instant, by its own clock, is in
            the sink; None before the first load is complete.
        compared_ago: The age of the last complete comparison of all records; None where there
            was none.
        next_sync_at: When it is due again; None for never by itself.
        completed_at: When a run of it last completed, by the clock of its worker; None when none
            did.
        delivered: How many objects the sink was told of that are not gone; None where they were
            not counted.
        rejected: How many refused actions wait and how many are parked; None where they were not
            counted.
        suspected: How many objects seem to be gone that the host was not told of; see
            `Domain.confirm_deletions`.
        error: What ended its last run, with what to do about it, or None.
        error_type: The class of that error, or None.
        problems: What somebody has to see to.
    """

    stream: StreamKey
    status: HealthStatus
    since: datetime | None = None
    age: timedelta | None = None
    complete_until: datetime | None = None
    compared_ago: timedelta | None = None
    next_sync_at: datetime | None = None
    completed_at: datetime | None = None
    delivered: int | None = None
    rejected: RejectedCounts | None = None
    suspected: int = 0
    error: str | None = None
    error_type: str | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool | None:
        """True for fresh, False for what is wrong; None where nothing was measured."""
        return self.status.ok

    def __str__(self) -> str:
        since = f" since {_in_words(self.since)}" if self.since else ""
        rejected = self.rejected or RejectedCounts()
        return one_line(
            f"{self.stream}: {self.status.words}{since}",
            f"{rejected.waiting:,} rejected" if rejected.waiting else "",
            f"{rejected.parked:,} parked" if rejected.parked else "",
            f"{self.suspected:,} deletions suspected" if self.suspected else "",
            *(f"{one.condition.words}: {one.remedy}" for one in self.problems),
        )

    def __repr__(self) -> str:
        return f"<StreamHealth {self}>"

    def as_dict(self) -> dict[str, Any]:
        """The health as values that JSON knows."""
        return {
            "status": self.status.value,
            "ok": self.ok,
            "since": plain(self.since),
            "seconds_behind": None if self.age is None else seconds(self.age),
            "complete_until": plain(self.complete_until),
            "compared_seconds_ago": (
                None if self.compared_ago is None else seconds(self.compared_ago)
            ),
            "next_sync_at": plain(self.next_sync_at),
            "completed_at": plain(self.completed_at),
            "delivered": self.delivered,
            "rejected": plain(self.rejected),
            "suspected": self.suspected,
            "error": self.error,
            "error_type": self.error_type,
            "problems": [
                {"condition": one.condition.value, "remedy": one.remedy} for one in self.problems
            ],
        }


@frozen(kw_only=True)
class AccountHealth(ByStream[StreamHealth]):
    """How one account is, all its streams together.

    `health["contacts"]` is one stream; one that the account does not read is `not_tracked`.

    Attributes:
        account: The account.
        name: What people call it, or None.
        streams: One for each stream, in their order.
    """

    account: AccountKey
    name: str | None = None
    streams: tuple[StreamHealth, ...] = ()

    def __getitem__(self, object_type: str) -> StreamHealth:
        """How the stream of *object_type* is, in any spelling.

        Raises:
            ConfigurationError: *object_type* is no name of one.
        """
        if object_type in self:
            return super().__getitem__(object_type)
        return StreamHealth(
            stream=StreamKey(self.account, object_type), status=HealthStatus.NOT_TRACKED
        )

    @property
    def status(self) -> HealthStatus:
        """That of the stream that is worst: complete and fresh only if all streams are."""
        return _first_of(_OF_ACCOUNT, (one.status for one in self.streams))

    @property
    def ok(self) -> bool | None:
        """True for fresh, False for what is wrong; None where nothing was measured."""
        return self.status.ok

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What somebody has to see to, each condition once."""
        return _together(problem for one in self.streams for problem in one.problems)

    def __str__(self) -> str:
        told = [f"{one.stream.object_type} {one.status.words}" for one in self.streams]
        shown = told if len({one.status for one in self.streams}) > 1 else []
        return one_line(
            f"{self.account}: {self.status.words}",
            ", ".join(shown),
            *(f"{one.condition.words}: {one.remedy}" for one in self.problems),
        )

    def __repr__(self) -> str:
        return f"<AccountHealth {self}>"

    def as_dict(self) -> dict[str, Any]:
        """The health as values that JSON knows; see the docs page "Health"."""
        return {
            **self.account.as_dict(),
            "name": self.name,
            "status": self.status.value,
            "ok": self.ok,
            "streams": {one.stream.object_type: one.as_dict() for one in self.streams},
        }


@frozen(kw_only=True)
class Health(AsDict):
    """How the accounts of one domain are, or those of all domains.

    Attributes:
        accounts: One for each account, in the order of their keys.
        checked_at: When it was worked out, by the clock of who asked; aware.
    """

    accounts: tuple[AccountHealth, ...] = ()
    checked_at: datetime

    @property
    def status(self) -> HealthStatus:
        """That of the worst of the accounts with which something is wrong, else of the others."""
        return _first_of(_OF_MANY, (one.status for one in self.accounts))

    @property
    def ok(self) -> bool | None:
        """True for fresh, False for what is wrong; None where nothing was measured."""
        return self.status.ok

    @property
    def counts(self) -> Mapping[HealthStatus, int]:
        """How many accounts have each status."""
        counted = Counter(one.status for one in self.accounts)
        return {status: counted[status] for status in HealthStatus}

    @property
    def domains(self) -> Mapping[str, Health]:
        """The same for each domain."""
        by_domain: dict[str, list[AccountHealth]] = {}
        for one in self.accounts:
            by_domain.setdefault(one.account.domain_id, []).append(one)
        return {name: evolve(self, accounts=tuple(some)) for name, some in by_domain.items()}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What somebody has to see to: one entry for each condition, however many have it."""
        return _together(
            problem
            for account in self.accounts
            for stream in account.streams
            for problem in stream.problems
        )

    def __str__(self) -> str:
        counted = [f"{number:,} {one.words}" for one, number in self.counts.items() if number]
        return one_line(
            number_of(len(self.accounts), "account", "accounts")
            + (f": {', '.join(counted)}" if counted else ""),
            *(str(one) for one in self.problems),
        )

    def __repr__(self) -> str:
        return f"<Health {self}>"

    def as_dict(self) -> dict[str, Any]:
        """The health as values that JSON knows; see the docs page "Health"."""
        return {
            "status": self.status.value,
            "ok": self.ok,
            "checked_at": plain(self.checked_at),
            "counts": {status.value: number for status, number in self.counts.items()},
            "problems": plain(self.problems),
            "accounts": plain(self.accounts),
        }


def _first_of(order: Iterable[HealthStatus], statuses: Iterable[HealthStatus]) -> HealthStatus:
    present = set(statuses)
    return next((one for one in order if one in present), HealthStatus.NOT_TRACKED)


def _together(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """One problem for each condition and remedy, in the order of the conditions."""
    groups: dict[tuple[Condition, str], list[Problem]] = {}
    for one in problems:
        groups.setdefault((one.condition, one.remedy), []).append(one)
    order = list(Condition)
    return tuple(
        Problem(
            condition=condition,
            remedy=remedy,
            streams=tuple(stream for one in some for stream in one.streams),
            since=min((one.since for one in some if one.since is not None), default=None),
        )
        for (condition, remedy), some in sorted(
            groups.items(), key=lambda group: order.index(group[0][0])
        )
    )


def _in_words(instant: datetime) -> str:
    return f"{instant.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
