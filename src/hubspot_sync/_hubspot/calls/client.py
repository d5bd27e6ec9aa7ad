"""The one door to HubSpot: a permit, an access token, one call, our errors, and the retries."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import field, frozen

from hubspot_sync._hubspot.calls.answers import account_details, shaped
from hubspot_sync._hubspot.calls.errors import error_for, malformed_access_token, tries_for_status
from hubspot_sync._hubspot.calls.headers import DAILY, daily_usage, outcome_of
from hubspot_sync.errors import (
    AuthorizationRevokedError,
    HubSpotSyncError,
    HubSpotUnavailableError,
    RateLimitedError,
    RetryableError,
)
from hubspot_sync.models import AccountDetails, CallRetried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.calls.headers import ServerClock
    from hubspot_sync._hubspot.calls.secrets import Secret
    from hubspot_sync._hubspot.calls.transport import Answer, Transport
    from hubspot_sync._hubspot.credentials.authorizer import Authorizer
    from hubspot_sync._limits import RateLimiter
    from hubspot_sync._retry import Retrier
    from hubspot_sync.models import AccountKey, Event

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
        max_tries: How often it is made at most, where that is less than usual.
    """

    endpoint: str
    method: str
    path: str
    doing: str
    path_params: Mapping[str, str] = field(factory=dict)
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    max_tries: int | None = None


@frozen(kw_only=True)
class Reply(Generic[T]):
    """A good answer of HubSpot's.

    Attributes:
        content: What the answer holds.
        size: How many bytes it had.
        asked_at: When a permit for it was asked for, in seconds of the clock that only grows.
        answered_at: When it had arrived, in the same seconds.
    """

    content: T
    size: int
    asked_at: float
    answered_at: float


class HubSpotClient:
    """Calls HubSpot for one account; threads may share it.

    Args:
        account: The account, for events and errors.
        account_path: Where the account's details are, its time zone among them.
        transport: Sends the calls.
        authorizer: Gives the access tokens.
        limiter: Gives the permits.
        retrier: Repeats what fails in passing.
        calls: Counts every try.
        clock: Tells when a call was sent.
        server_clock: Learns HubSpot's time from the answers.
        notify: Told of every retry.
    """

    def __init__(
        self,
        *,
        account: AccountKey,
        account_path: str,
        transport: Transport,
        authorizer: Authorizer,
        limiter: RateLimiter,
        retrier: Retrier,
        calls: CallCounter,
        clock: Clock,
        server_clock: ServerClock,
        notify: Callable[[Event], None],
    ) -> None:
        self._account = account
        self._account_call = Call(
            endpoint="account", method="GET", path=account_path, doing="asking for the time zone"
        )
        self._transport = transport
        self._authorizer = authorizer
        self._limiter = limiter
        self._daily = limiter.daily
        self._retrier = retrier
        self._clock = clock
        self._server_clock = server_clock
        self._notify = notify
        self._calls = calls
        self._answered = self._served = False

    def call(self, call: Call, read: Callable[[Any], T]) -> Reply[T]:
        """Make *call*, with retries, and return what *read* makes of the decoded answer.

        An answer that *read* finds of another shape is one that could not be read: the call is
        made again. See `hubspot_sync._hubspot.calls.answers`.

        Raises:
            RetryableError: The retries are used up, HubSpot asks for a longer wait, or the calls
                of the day are used up.
            AccessError: HubSpot refuses access.
            RequestRefusedError: HubSpot finds the request wrong.
            StopRequested: The run was stopped.
        """

        def on_retry(attempt: int, wait: timedelta, error: RetryableError) -> None:
            self._notify(
                CallRetried(
                    account=self._account,
                    endpoint=call.endpoint,
                    attempt=attempt,
                    wait=wait,
                    reason=str(error),
                )
            )

        try:
            return self._retrier.call(
                lambda: self._authorized(call, read),
                on_retry=on_retry,
                tries_for=lambda error: self._tries_for(call, error),
            )
        except HubSpotUnavailableError as error:
            hopeless = malformed_access_token(error)
            # An access token that has served is whole, and so is one that HubSpot just sold.
            if hopeless is None or self._served or self._renewed():
                raise
            raise hopeless from error

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

    def close(self) -> None:
        """Store tokens that are not stored yet, and close the connections."""
        try:
            self._authorizer.close()
        finally:
            self._transport.close()

    def _authorized(self, call: Call, read: Callable[[Any], T]) -> Reply[T]:
        """One try; when HubSpot rejects the access token, again with a new one."""
        self._daily.check()
        for _ in range(_RENEWALS):
            # Asked for here, so that no permit is held while it is refreshed.
            access_token = self._authorizer.access_token()
            try:
                return self._once(call, read)
            except AuthorizationRevokedError:
                if not self._authorizer.renew(access_token):
                    raise
        return self._once(call, read)

    def _renewed(self) -> bool:
        return self._authorizer.renew(self._authorizer.access_token())

    def _once(self, call: Call, read: Callable[[Any], T], *, always: bool = False) -> Reply[T]:
        """One request; *always* sends it even where the calls of the day are used up."""
        asked_at = self._clock.monotonic()
        with self._limiter.permit(call.endpoint, self._retrier.stop) as permit:
            if not always:
                self._daily.check()  # once more: the wait may have been long
            access_token = self._authorizer.access_token()  # likewise
            answer = self._send(call, access_token)
            error = None if answer.ok else error_for(answer, call.doing, call.endpoint)
            permit.outcome = outcome_of(answer, error)
        answered_at = self._clock.monotonic()
        self._watch_daily(answer, error)
        if error is not None:
            raise error
        content = shaped(read, answer.json(), call.doing)
        self._served = True
        if isinstance(content, AccountDetails):
            self._daily.learn_zone(content.time_zone)
        size = len(answer.content)
        return Reply(content=content, size=size, asked_at=asked_at, answered_at=answered_at)

    def _send(self, call: Call, access_token: Secret) -> Answer:
        self._calls.add(call.endpoint)
        sent_at = self._clock.monotonic()
        answer = self._transport.send(
            call.method,
            call.path,
            path_params=call.path_params,
            query=call.query,
            body=call.body,
            access_token=access_token,
        )
        self._answered = True
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
        try:
            self._once(self._account_call, account_details, always=True)
        except HubSpotSyncError as error:
            _logger.info("%s: its time zone is not known: %s", self._account, error)

    def _tries_for(self, call: Call, error: RetryableError) -> int:
        """How many tries *call* deserves after *error*."""
        if isinstance(error, RateLimitedError):
            # The pot of a day is full again at midnight; a full window says nothing about a call.
            return 1 if error.policy == DAILY else self._retrier.policy.max_tries
        allowed = [self._retrier.policy.max_tries, call.max_tries, tries_for_status(error.status)]
        if isinstance(error, HubSpotUnavailableError) and not self._answered:
            allowed.append(_TRIES_BEFORE_FIRST_ANSWER)
        return min(tries for tries in allowed if tries is not None)
