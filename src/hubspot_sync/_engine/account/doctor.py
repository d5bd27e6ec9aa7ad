"""Looks at all that a sync of an account rests on, and says what to put right."""

from __future__ import annotations

import platform
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._engine.account.conditions import GRANT, RECONNECT
from hubspot_sync._engine.account.entry import status_in_words
from hubspot_sync._engine.account.names import opened
from hubspot_sync._engine.account.plan import first_page
from hubspot_sync._engine.stream.lease import held_lease
from hubspot_sync._engine.stream.rejected import counted
from hubspot_sync._ownership import new_owner_name
from hubspot_sync.errors import (
    AccessError,
    ConfigurationError,
    HubSpotSyncError,
    HubSpotUnavailableError,
    LeaseHeldError,
    MissingScopeError,
    RateLimitedError,
    StoreUnavailableError,
    UnknownAccountError,
)
from hubspot_sync.models import (
    DEFAULT_STREAMS,
    AccountStatus,
    Diagnosis,
    Finding,
    Mode,
    Pass,
    RejectedSelection,
    StreamKey,
)
from hubspot_sync.models._display import number_of
from hubspot_sync.models.object_types import is_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubspot_sync._engine.account.directory import Directory
    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import Account, AccountKey, StreamSettings

# HubSpot's clock is read to the second, and answers are under way.
_CLOCKS_APART: Final = timedelta(seconds=30)
_PACKAGES: Final = ("hubspot-sync", "hubspot-api-client", "pymongo", "attrs", "msgspec")
_USER_LEVEL: Final = (
    "they are a user's, so nothing that is missing counts as deleted, since this user may not see "
    "it"
)
_UNREACHED: Final = (
    "see that this machine reaches HubSpot (names, proxy, certificates, base_url), and try again"
)
_STORE_AWAY: Final = (
    "see that the database runs, that this machine reaches it, and that its user may read and write"
)
_REMEDIES: Final = (
    (MissingScopeError, GRANT),
    (AccessError, RECONNECT),
    (StoreUnavailableError, _STORE_AWAY),
    (RateLimitedError, "wait as long as it says; SyncEngine does that by itself"),
    (HubSpotUnavailableError, _UNREACHED),
    (ConfigurationError, "correct what it names"),
)


def diagnose(context: RunContext, directory: Directory, key: AccountKey) -> Diagnosis:
    """Look at all that a sync of the account rests on; nothing is changed.

    A store is asked once, so that one which is away is told of at once.

    Args:
        context: The stores, and what opens the account.
        directory: The account store.
        key: The account.

    Raises:
        StopRequested: The engine was stopped.
        UnknownAccountError: There is no such account.
    """
    at_once = evolve(context, settings=evolve(context.settings, store_tries=1))
    doctor = _Doctor(at_once, directory, key)
    return Diagnosis(account=key, findings=tuple(doctor.findings()))


class _Doctor:
    """Looks at one thing after the other; what rests on what is wrong is left out."""

    def __init__(self, context: RunContext, directory: Directory, key: AccountKey) -> None:
        self._context = context
        self._directory = directory
        self._key = key
        self._account: Account | None = None
        self._source: Source | None = None

    def findings(self) -> Iterator[Finding]:
        """What is right and what is not."""
        yield Finding(what="versions", ok=True, said=_versions())
        yield _found("account store", self._known)
        yield _found("checkpoints", self._writable)
        yield _found("error queue", self._queue)
        if self._account is None:
            return
        with ExitStack() as stack:
            yield _found("credentials", partial(self._opened, self._account, stack))
            if self._source is None:
                return
            yield self._clock(self._source)
            for wanted in self._account.streams:
                readable = partial(_readable, self._source, wanted)
                yield _found(f"stream {wanted.object_type}", readable)
            yield _quota(self._source)

    def _known(self) -> str:
        entry = self._directory.entry(self._key)
        self._account = entry.account
        if entry.status is not AccountStatus.ACTIVE:
            raise ConfigurationError(
                f"the account is {status_in_words(entry)}, so no worker syncs it; call "
                "Domain.resume"
            )
        streams = number_of(len(entry.account.streams), "stream", "streams")
        return f"knows the account, active, with {streams}"

    def _writable(self) -> str:
        streams = self._account.streams if self._account is not None else DEFAULT_STREAMS
        stream = StreamKey(self._key, streams[0].object_type)
        try:
            with held_lease(self._context, stream, new_owner_name()) as progress:
                progress.load()
        except LeaseHeldError:
            return "a worker is syncing the account"
        return "can be read and written"

    def _queue(self) -> str:
        if self._context.error_queue is None:
            raise ConfigurationError(
                "there is none, so the first action that is refused ends its stream; give the "
                "engine one, as all bundles of stores do"
            )
        waiting = sum(counted(self._context, RejectedSelection(account=self._key)).values())
        return f"answers; {waiting:,} refused actions wait in it"

    def _opened(self, account: Account, stack: ExitStack) -> str:
        source = stack.enter_context(closing(opened(self._context, account)))
        details = source.identify()
        if details.account_id != account.account_id:
            raise ConfigurationError(
                f"they open account {details.account_id}, and not {account.account_id}; {RECONNECT}"
            )
        level = "" if source.sees_all() else f"; {_USER_LEVEL}"
        self._source = source
        return f"HubSpot accepts them{level}"

    def _clock(self, source: Source) -> Finding:
        now = self._context.clock.now()
        # Where the two differ, HubSpot's answers disagree with this machine, or with each other.
        apart = max(source.server_time() - now, source.server_time(latest=True) - now, key=abs)
        if abs(apart) <= _CLOCKS_APART:
            return Finding(what="clock", ok=True, said="this machine's agrees with HubSpot's")
        side = "behind" if apart > timedelta(0) else "ahead of"
        return Finding(
            what="clock",
            ok=False,
            said=f"this machine's is {abs(apart).total_seconds():,.0f} s {side} HubSpot's",
            remedy="keep it right by NTP; syncs go by HubSpot's clock, schedules by this one",
        )


def _found(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, ok=True, said=look())
    except UnknownAccountError:
        raise
    except HubSpotSyncError as error:
        remedy = next(
            (remedy for kind, remedy in _REMEDIES if isinstance(error, kind)),
            "see the error; it is a fault of the host's parts or of this library",
        )
        return Finding(what=what, ok=False, said=error.message, remedy=remedy)


def _readable(source: Source, given: StreamSettings) -> str:
    """Read what is read first of a stream, with the scopes that this takes."""
    wanted = source.resolve(given)
    if is_reference(wanted.object_type):
        reading = Pass(mode=Mode.BACKFILL, end=source.server_time())
        pages = list(islice(source.read(wanted, reading), 1))
        return f"can be read; {sum(len(page.records) for page in pages):,} items"
    properties = source.properties(wanted, None)
    first_page(source, wanted, source.server_time())
    count = source.count(wanted)
    many = "HubSpot refuses to search it" if count is None else f"{count:,} records"
    return f"can be read; {len(properties.read):,} properties, {many}"


def _quota(source: Source) -> Finding:
    quota = source.quota()
    if quota.left_today is None:
        return Finding(
            what="quota", ok=True, said="HubSpot does not say how many calls are left today"
        )
    said = f"{quota.left_today:,} of {quota.calls_a_day:,} calls are left today"
    if quota.left_today * 100 >= quota.calls_a_day:
        return Finding(what="quota", ok=True, said=said)
    return Finding(
        what="quota",
        ok=False,
        said=said,
        remedy="see which apps of the account ask that much; they are filled up at midnight in "
        "the account's time zone",
    )


def _versions() -> str:
    # A tenth of the time that importing the engine takes.
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
