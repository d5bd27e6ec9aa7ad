"""One run over the streams of one account: their names, reports, and whose failure ends what."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from hubspot_sync._engine.account.names import opened
from hubspot_sync._engine.context import outcome_of
from hubspot_sync._engine.stream.session import StreamSession
from hubspot_sync._ownership import new_owner_name
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotSyncError,
    InvariantError,
    MissingScopeError,
    OAuthAppError,
    RequestRefusedError,
    RetryableError,
    WrongAccountError,
)
from hubspot_sync.models import (
    RunFinished,
    RunStarted,
    StreamFinished,
    StreamKey,
    StreamReport,
    StreamStatus,
    SyncReport,
)
from hubspot_sync.models.object_types import is_custom

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.interfaces import Source
    from hubspot_sync.models import Account, StreamSettings

_logger = logging.getLogger("hubspot_sync")


# After these the next stream would only fail alike.
_ENDS_THE_RUN = (
    AuthorizationRevokedError,
    InvariantError,
    OAuthAppError,
    RetryableError,
    WrongAccountError,
)


def sync_account(context: RunContext, account: Account) -> SyncReport:
    """Bring the sink up to date with *account*.

    Raises:
        NotConnectedError: There are no credentials for the account; nothing was done.
        StoreUnavailableError: The token store stays away; nothing was done.
        InvariantError: What opens the account raised what it may not; nothing was done.
        BaseException: What is no `Exception`; see `AccountRun.run`.
    """
    source = opened(context, account)
    try:
        return AccountRun(context=context, source=source, account=account).run()
    finally:
        source.close()


class AccountRun:
    """Runs the streams of one account, one after the other.

    Args:
        context: What to work with.
        source: Reads the account.
        account: The account.
    """

    def __init__(self, *, context: RunContext, source: Source, account: Account) -> None:
        self._context = context
        self._source = source
        self._account = account
        self._clock = context.clock
        self._owner = new_owner_name()
        self._identified = False
        self._interrupted: BaseException | None = None

    def run(self) -> SyncReport:
        """Run all streams and report.

        Raises:
            BaseException: What is no `Exception`, such as `KeyboardInterrupt` out of a sink, as it
                is, when observers were told of the end.
        """
        started = self._clock.monotonic()
        streams = self._account.streams
        object_types = tuple(wanted.object_type for wanted in streams)
        self._context.notify(RunStarted(account=self._account.key, object_types=object_types))
        reports: list[StreamReport] = []
        for wanted in streams:
            if self._interrupted is not None or _end_of(reports) is not None:
                reports.append(not_started(StreamKey(self._account.key, wanted.object_type)))
                continue
            reports.append(self._stream(wanted))
            self._context.notify(StreamFinished(report=reports[-1]))
        report = self._report(reports, started)
        self._context.notify(RunFinished(report=report))
        if self._interrupted is not None:
            raise self._interrupted
        return report

    def _report(self, reports: list[StreamReport], started: float) -> SyncReport:
        return SyncReport(
            account=self._account.key,
            streams=tuple(reports),
            api_calls=self._source.api_calls(),
            duration=timedelta(seconds=self._clock.monotonic() - started),
            error=_end_of(reports),
        )

    def _stream(self, wanted: StreamSettings) -> StreamReport:
        """Run one stream, and report whatever ended it."""
        started = self._clock.monotonic()
        calls_before = self._source.api_calls()
        known = wanted

        def resolve() -> None:
            nonlocal known
            known = self._resolved(wanted)

        status, error = self._outcome(resolve, StreamKey(self._account.key, wanted.object_type))
        session = StreamSession(
            context=self._context,
            source=self._source,
            stream=StreamKey(self._account.key, known.object_type),
            wanted=known,
            owner=self._owner,
            before_first_write=self._identify,
        )
        if status is StreamStatus.COMPLETED:
            status, error = self._outcome(session.run, session.stream)
        return StreamReport(
            stream=session.stream,
            name=wanted.object_type,
            status=status,
            mode=session.mode,
            counts=session.counts,
            unconverted=session.unconverted,
            retried=session.retried,
            api_calls=_difference(self._source.api_calls(), calls_before),
            duration=timedelta(seconds=self._clock.monotonic() - started),
            gaps=session.gaps,
            error=error,
        )

    def _resolved(self, wanted: StreamSettings) -> StreamSettings:
        """What is *wanted*, with custom types under their ids.

        Raises:
            ConfigurationError: Another stream of the account is of the same type.
        """
        resolved = self._source.resolve(wanted)
        if not is_custom(resolved.object_type):
            return resolved
        for other in self._account.streams:
            if other is not wanted and self._type_of(other) == resolved.object_type:
                raise ConfigurationError(
                    f"{wanted.object_type!r} and {other.object_type!r} are the same object type "
                    f"({resolved.object_type}); give the account one StreamSettings for it"
                )
        return resolved

    def _type_of(self, wanted: StreamSettings) -> str | None:
        try:
            return self._source.resolve(wanted).object_type
        except HubSpotSyncError:  # which ends that stream, and no other
            return None

    def _outcome(
        self, work: Callable[[], None], stream: StreamKey
    ) -> tuple[StreamStatus, HubSpotSyncError | None]:
        try:
            return outcome_of(work, stream, "the sync")
        except BaseException as error:  # noqa: BLE001 - raised by `run`
            self._interrupted = error
            return StreamStatus.STOPPED, None

    def _identify(self) -> None:
        """Prove once that the credentials open this account, before anything of it is stored."""
        if self._identified:
            return
        try:
            details = self._source.identify()
        except (MissingScopeError, RequestRefusedError) as error:
            # A service key may lack the scope "oauth"; that alone is no reason not to sync.
            _logger.warning("%s: not proved to be this account: %s", self._account.key, error)
        else:
            if details.account_id != self._account.account_id:
                raise WrongAccountError(
                    f"the credentials open HubSpot account {details.account_id}, not "
                    f"{self._account.account_id}; nothing was stored, give the right credentials "
                    "or the right account id",
                )
        self._identified = True


def not_started(stream: StreamKey) -> StreamReport:
    """The report of a stream that a run did not reach."""
    return StreamReport(stream=stream, status=StreamStatus.NOT_STARTED, duration=timedelta(0))


def _end_of(reports: list[StreamReport]) -> HubSpotSyncError | None:
    """The error after which no further stream of the account makes sense, if there was one."""
    errors = (one.error for one in reports)
    return next((error for error in errors if isinstance(error, _ENDS_THE_RUN)), None)


def _difference(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """Calls made since *before*, the endpoint classes without any left out."""
    return dict(Counter(after) - Counter(before))
