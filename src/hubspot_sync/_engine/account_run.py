"""One run over the streams of one account: reports, and whose failure ends what."""

from __future__ import annotations

import logging
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from hubspot_sync._engine.outcomes import outcome_of
from hubspot_sync._engine.stream_session import StreamSession
from hubspot_sync.errors import (
    AuthorizationRevokedError,
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync._clock import Clock
    from hubspot_sync._engine.parts import Parts
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


class AccountRun:
    """Runs the streams of one account, one after the other.

    Args:
        account: The account.
        parts: What to work with.
        clock: Measures durations.
        owner: Who takes the leases.
    """

    def __init__(
        self,
        *,
        account: Account,
        parts: Parts,
        clock: Clock,
        owner: str,
    ) -> None:
        self._account = account
        self._parts = parts
        self._clock = clock
        self._owner = owner
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
        self._parts.notify(RunStarted(account=self._account.key, object_types=object_types))
        reports: list[StreamReport] = []
        for wanted in streams:
            if self._interrupted is not None or _end_of(reports) is not None:
                reports.append(not_started(StreamKey(self._account.key, wanted.object_type)))
                continue
            reports.append(self._stream(wanted))
            self._parts.notify(StreamFinished(report=reports[-1]))
        report = self._report(reports, started)
        self._parts.notify(RunFinished(report=report))
        if self._interrupted is not None:
            raise self._interrupted
        return report

    def _report(self, reports: list[StreamReport], started: float) -> SyncReport:
        return SyncReport(
            account=self._account.key,
            streams=tuple(reports),
            api_calls=self._parts.source.api_calls(),
            duration=timedelta(seconds=self._clock.monotonic() - started),
            error=_end_of(reports),
        )

    def _stream(self, wanted: StreamSettings) -> StreamReport:
        """Run one stream, and report whatever ended it."""
        session = StreamSession(
            parts=self._parts,
            stream=StreamKey(self._account.key, wanted.object_type),
            wanted=wanted,
            owner=self._owner,
            before_first_write=self._identify,
        )
        started = self._clock.monotonic()
        calls_before = self._parts.source.api_calls()
        status, error = self._outcome(session)
        return StreamReport(
            stream=session.stream,
            status=status,
            mode=session.mode,
            counts=session.counts,
            unconverted=session.unconverted,
            retried=session.retried,
            api_calls=_difference(self._parts.source.api_calls(), calls_before),
            duration=timedelta(seconds=self._clock.monotonic() - started),
            gaps=session.gaps,
            error=error,
        )

    def _outcome(self, session: StreamSession) -> tuple[StreamStatus, HubSpotSyncError | None]:
        try:
            return outcome_of(session.run, session.stream, "the sync")
        except BaseException as error:  # noqa: BLE001 - raised by `run`
            self._interrupted = error
            return StreamStatus.STOPPED, None

    def _identify(self) -> None:
        """Prove once that the credentials open this account, before anything of it is stored."""
        if self._identified:
            return
        try:
            details = self._parts.source.identify()
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
