"""The one door to HubSpot: a permit, an access token, one call, our errors, and the retries."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from attrs import field, frozen

from hubspot_sync._hubspot.calls.answers import account_details, shaped
from hubspot_sync._hubspot.calls.errors import (
    NOT_BEGUN,
    error_for,
    malformed_access_token,
    tries_for_status,
)
from hubspot_sync._hubspot.calls.headers import DAILY, daily_usage, outcome_of
from hubspot_sync._hubspot.calls.paths import TOKEN_PATH
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    HubSpotSyncError,
    HubSpotUnavailableError,
    RateLimitedError,
    RetryableError,
)
from hubspot_sync.models import AccountDetails, Quota

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from typing import TypeAlias

    from hubspot_sync._hubspot.calls.headers import ServerClock
    from hubspot_sync._hubspot.calls.secrets import Secret
    from hubspot_sync._hubspot.calls.transport import Answer, Transport
    from hubspot_sync._limits import RateLimiter
    from hubspot_sync._retry import Retrier

    OnRetry: TypeAlias = Callable[[str, int, timedelta, RetryableError], None]

T = TypeVar("T")

# A base URL with a typing error should be reported in seconds, an outage survived for minutes.
_TRIES_BEFORE_FIRST_ANSWER: Final = 3
# Several threads may meet the end of several access tokens in a row.
_RENEWALS: Final = 3
_logger = logging.getLogger("hubspot_sync")


class CallCounter:
    """Counts calls by endpoint class; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Counter[str] = Counter()

    def add(self, endpoint: str) -> None:
        """Count one call to *endpoint*."""
        with self._lock:
            self._calls[endpoint] += 1

    def by_endpoint(self) -> Mapping[str, int]:
        """Calls so far."""
        with self._lock:
            return dict(self._calls)


@frozen(kw_only=True)
class Call:
    """What to ask HubSpot for.

    Attributes:
        endpoint: The endpoint class it counts in ("list", "search"...).
        method: "GET" or "POST".
        path: The path, with names in braces.
        path_params: Values for the names in braces.
        query: Query parameters.
        body: What to send as JSON.
        doing: What it is for, to finish the sentence "HubSpot refused while ...".
        form: What to send as a form.
        max_tries: How often it is made at most, where that is less than usual.
        idempotent: Whether it may be made again after an answer was lost; where not, it is made
            again only after answers which say that HubSpot has not begun.
    """

    endpoint: str
    method: str
    path: str
    doing: str
    path_params: Mapping[str, str] = field(factory=dict)
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    form: Sequence[tuple[str, str | Secret]] | None = None
    max_tries: int | None = None
    idempotent: bool = True


@frozen(kw_only=True)
class Reply(Generic[T]):
    """A good answer of HubSpot's.

    Attributes:
        content: What the answer holds.
        size: How many bytes it had.
        asked_at: When a permit for it was asked for, in seconds of the clock that only grows.
    """

    content: T
    size: int
    asked_at: float


_REFRESH: Final = Call(
    endpoint="oauth", method="POST", path=TOKEN_PATH, doing="refreshing the access token"
)


class Authorizer(Protocol):
    """Gives the access token for each call."""

    def access_token(self) -> Secret:
        """The access token to send now, refreshed first when its time is up, in one try."""

    def renew(self, rejected: Secret) -> bool:
        """Get a new access token because HubSpot rejected *rejected*; False where none can be."""

    def close(self) -> None:
        """Leave nothing behind that only this one knows; no access token is wanted any more."""


class HubSpotClient:
    """Calls HubSpot, for one account or for an app; threads may share it.

    Args:
        transport: Sends the calls.
        authorizer: Gives the access tokens; None for calls that need none.
        limiter: Gives the permits.
        retrier: Repeats what fails in passing.
        calls: Counts every try.
        on_retry: Told of every retry: the endpoint class, tries failed so far, the wait, and the
            error.
        server_clock: Learns HubSpot's time from the answers.
        zone: Asks for the account's details, its time zone among them; None for calls that are no
            account's.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        authorizer: Authorizer | None,
        limiter: RateLimiter,
        retrier: Retrier,
        calls: CallCounter,
        on_retry: OnRetry,
        server_clock: ServerClock | None = None,
        zone: Call | None = None,
    ) -> None:
        self._transport = transport
        self._authorizer = authorizer
        self._limiter = limiter
        self._daily = limiter.daily
        self._retrier = retrier
        self._monotonic = retrier.clock.monotonic
        self._calls = calls
        self._on_retry = on_retry
        self._server_clock = server_clock
        self._zone = zone
        self._answered = self._served = False

    def call(
        self,
        call: Call,
        read: Callable[[Any], T],
        read_whole: Callable[[bytes], T | None] | None = None,
    ) -> Reply[T]:
        """Make *call*, with retries, and return what *read* makes of the decoded answer.

        An answer that *read* finds of another shape is one that could not be read: the call is
        made again. See `hubspot_sync._hubspot.calls.answers`.

        Args:
            call: What to ask for.
            read: Reads the decoded answer.
            read_whole: Decodes and reads an answer of the usual form at once, and returns None
                where it leaves it to *read*.

        Raises:
            RetryableError: The retries are used up, HubSpot asks for a longer wait, or the calls
                of the day are used up.
            AccessError: HubSpot refuses access.
            RequestRefusedError: HubSpot finds the request wrong.
            StopRequested: The run was stopped.
        """
        authorizer = self._authorizer
        if authorizer is None:
            return self._repeated(lambda: self.once(call, read, read_whole), call)
        self._daily.check()
        # Refreshed before the call, so that the retries of the one do not multiply the other's.
        self._repeated(authorizer.access_token, _REFRESH)
        try:
            return self._repeated(
                lambda: self._authorized(call, read, read_whole, authorizer), call
            )
        except HubSpotUnavailableError as error:
            hopeless = malformed_access_token(error)
            # An access token that has served is whole, and so is one that HubSpot just sent.
            if hopeless is None or self._served or authorizer.renew(authorizer.access_token()):
                raise
            raise hopeless from error

    def once(
        self,
        call: Call,
        read: Callable[[Any], T],
        read_whole: Callable[[bytes], T | None] | None = None,
    ) -> Reply[T]:
        """Make *call* in one try, for who is inside the retries of another call.

        Raises:
            HubSpotSyncError: As for `call`.
            StopRequested: The run was stopped.
        """
        asked_at = self._monotonic()
        with self._limiter.permit(call.endpoint, self._retrier.stop) as permit:
            access_token = self._access_token(call)  # asked for here: the wait may have been long
            answer = self._send(call, access_token)
            error = None if answer.ok else error_for(answer, call.doing, call.endpoint)
            permit.outcome = outcome_of(answer, error)
        self._watch_daily(answer, error)
        if error is not None:
            raise error
        content = None if read_whole is None else read_whole(answer.content)
        if content is None:
            content = shaped(read, answer.json() if answer.content else None, call.doing)
        self._served = True
        if isinstance(content, AccountDetails):
            self._daily.learn_zone(content.time_zone)
        return Reply(content=content, size=len(answer.content), asked_at=asked_at)

    @property
    def stop(self) -> threading.Event:
        """Set when the run has to end."""
        return self._retrier.stop

    def pause(self, attempt: int) -> None:
        """Wait before something is asked for again that HubSpot left open *attempt* times.

        Raises:
            StopRequested: The run was stopped.
        """
        self._retrier.pause(attempt)

    def api_calls(self) -> Mapping[str, int]:
        """Calls so far by endpoint class, every try counted."""
        return self._calls.by_endpoint()

    def quota(self) -> Quota:
        """How often HubSpot may be asked, as far as its answers say so."""
        return self._limiter.quota()

    def close(self) -> None:
        """Store tokens that are not stored yet, and close the connections."""
        try:
            if self._authorizer is not None:
                self._authorizer.close()
        finally:
            self._transport.close()

    def _repeated(self, function: Callable[[], T], call: Call) -> T:
        return self._retrier.call(
            function,
            on_retry=partial(self._on_retry, call.endpoint),
            tries_for=partial(self._tries_for, call),
        )

    def _authorized(
        self,
        call: Call,
        read: Callable[[Any], T],
        read_whole: Callable[[bytes], T | None] | None,
        authorizer: Authorizer,
    ) -> Reply[T]:
        """One try; when HubSpot rejects the access token, again with a new one."""
        self._daily.check()
        for _ in range(_RENEWALS):
            # Asked for here, so that no permit is held while it is refreshed.
            access_token = authorizer.access_token()
            try:
                return self.once(call, read, read_whole)
            except AuthorizationRevokedError:
                if not authorizer.renew(access_token):
                    raise
        return self.once(call, read, read_whole)

    def _access_token(self, call: Call) -> Secret | None:
        if self._authorizer is None:
            return None
        if call is not self._zone:
            self._daily.check()
        return self._authorizer.access_token()

    def _send(self, call: Call, access_token: Secret | None) -> Answer:
        self._calls.add(call.endpoint)
        sent_at = self._monotonic()
        answer = self._transport.send(
            call.method,
            call.path,
            path_params=call.path_params,
            query=call.query,
            body=call.body,
            form=call.form,
            access_token=access_token,
        )
        self._answered = True
        if self._server_clock is not None:
            self._server_clock.observe(sent_at, answer.headers.get("Date"))
        return answer

    def _watch_daily(self, answer: Answer, error: HubSpotSyncError | None) -> None:
        """End the day for this account when its calls are used up.

        Raises:
            RateLimitedError: This very call was one too many.
        """
        usage = daily_usage(answer.headers)
        reason = self._daily.shortage(*usage) if usage else None
        refused = isinstance(error, RateLimitedError) and error.policy == DAILY
        if refused:
            reason = "HubSpot's daily calls for this account are used up"
        if reason is None:
            return
        self._daily.close(reason)
        if self._daily.needs_zone():
            self._ask_zone()
        if refused and error is not None:
            raise self._daily.error(status=error.status, correlation_id=error.correlation_id)

    def _ask_zone(self) -> None:
        """Ask once for the account's time zone; without an answer it is taken to be UTC."""
        if self._zone is None:
            return
        try:
            self.once(self._zone, account_details)
        except HubSpotSyncError as error:
            _logger.info("%s failed, it is taken to be UTC: %s", self._zone.doing, error)

    def _tries_for(self, call: Call, error: RetryableError) -> int:
        """How many tries *call* deserves after *error*."""
        usual = self._retrier.policy.max_tries
        if not call.idempotent and error.status not in NOT_BEGUN:
            return 1
        if isinstance(error, RateLimitedError):
            # The pot of a day is full again at midnight; a full window says nothing about a call.
            return 1 if error.policy == DAILY else usual
        allowed = [usual, call.max_tries, tries_for_status(error.status)]
        # Of a token endpoint that answers, another client knows.
        unheard = not self._answered and error.status is None
        if isinstance(error, HubSpotUnavailableError) and unheard:
            allowed.append(_TRIES_BEFORE_FIRST_ANSWER)
        return min(tries for tries in allowed if tries is not None)
