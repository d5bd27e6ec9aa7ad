"""What each answer of HubSpot's means for us: the one map from statuses to our errors.

The table is https://developers.hubspot.com/docs/api-reference/error-handling; statuses that it
does not list are treated as their neighbours are.
"""

from __future__ import annotations

import re
from datetime import timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from hubspot_sync._clock import SystemClock
from hubspot_sync._hubspot.calls.bodies import loads
from hubspot_sync._hubspot.calls.breakdowns import refused_by_proxy
from hubspot_sync.errors import (
    AccessError,
    AuthorizationRevokedError,
    ConfigurationError,
    ConsentError,
    HubSpotSyncError,
    HubSpotUnavailableError,
    MissingScopeError,
    OAuthAppError,
    RateLimitedError,
    RequestRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hubspot_sync._hubspot.calls.transport import Answer

_REDIRECTS: Final = range(300, 400)
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_PROXY_WANTS_CREDENTIALS: Final = 407
_TOO_LONG: Final = 414
_LOCKED: Final = 423
_TOO_MANY: Final = 429
_MOVING: Final = 477
# "Hub 7 is unknown to this Hublet, but it appears to exist in Hublet eu1": docs/hubspot.md, 3.4.
_ELSEWHERE: Final = 488
_SERVER_ERROR: Final = 500
# What Cloudflare answers when it cannot find out from the access token where to go.
_LOST: Final = 530
# HubSpot asks to report these instead of repeating them for long; and who answers 501 knows no such
# thing, and hardly will in a moment.
_FEW_TRIES: Final = {_ELSEWHERE: 3, 501: 3, 522: 3, 525: 3, 526: 3, _LOST: 3}
# "expired 20336 day(s) ago" is the time since 1970: the access token could not be decoded.
_EXPIRED_LONG_AGO: Final = re.compile(r"expired \d{5,} day")
# HubSpot holds an object's lock for about two seconds.
_LOCK_WAIT: Final = timedelta(seconds=2)
_LONGEST_WAIT: Final = timedelta(days=2)
_TEN_SECONDS: Final = timedelta(seconds=10)
_A_SECOND: Final = timedelta(seconds=1)
_POLICY_WAITS: Final = {"TEN_SECONDLY_ROLLING": _TEN_SECONDS, "SECONDLY": _A_SECOND}
# Endpoint classes with a limit for each second; the others have one for ten.
_BY_THE_SECOND: Final = ("search", "oauth")
_SECONDS: Final = re.compile(r"([0-9]{1,9})[0-9]*(\.[0-9]{1,6})?[0-9]*")
_MESSAGE_LENGTH: Final = 300
# Answers that say that nothing was done yet: slow down, locked, moving, come back later.
NOT_BEGUN: Final = (_LOCKED, _TOO_MANY, _MOVING, _ELSEWHERE, 503)
_NAME_LENGTH: Final = 100


def error_for(answer: Answer, doing: str, endpoint: str = "") -> HubSpotSyncError:
    """The error that an answer outside 2xx stands for.

    Args:
        answer: The answer.
        doing: What the call was for, to finish the sentence "HubSpot refused while ...".
        endpoint: The endpoint class that the call counts in.
    """
    error = _error_for(answer, doing, endpoint)
    return _token_error(answer, error) if endpoint == "oauth" else error


def _error_for(answer: Answer, doing: str, endpoint: str) -> HubSpotSyncError:
    body = _body(answer)
    context: dict[str, Any] = {
        "status": answer.status,
        "correlation_id": _correlation_id(answer, body),
    }
    if answer.status == _TOO_MANY or "RATE_LIMIT" in _text(body, "category", "errorType"):
        return _rate_limited(answer, body, doing, endpoint, context)
    if answer.status == _UNAUTHORIZED:
        return _unauthorized(body, doing, context)
    if answer.status == _FORBIDDEN:
        return _forbidden(body, doing, context)
    if answer.status == _PROXY_WANTS_CREDENTIALS:
        return refused_by_proxy(None)
    passing = answer.status in (_LOCKED, _MOVING, _ELSEWHERE) or "correctHublet" in body
    if passing or answer.status >= _SERVER_ERROR:
        return _unavailable(answer, body, doing, context)
    return RequestRefusedError(
        f"HubSpot refused a request while {doing}: {_message(body)}; {_advice(answer)}",
        category=_text(body, "category") or None,
        **context,
    )


def _advice(answer: Answer) -> str:
    if answer.status == _TOO_LONG:
        return "it is too long, ask for fewer properties"
    if answer.status in _REDIRECTS:
        return f"it was redirected to {_location(answer)}: check base_url"
    usual = "check the object type and the stream's settings, else report it"
    if answer.status == _NOT_FOUND and answer.base_url is not None:
        return f"is base_url right, {answer.base_url}? If so, {usual}"
    return usual


def _location(answer: Answer) -> str:
    """Where a redirect leads to, without what may be a secret: user, query and fragment."""
    try:
        parts = urlsplit(_clean(answer.headers.get("Location", ""), _MESSAGE_LENGTH))
    except ValueError:
        return "no usable address"
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    return f"{place}{parts.path}" or "nowhere"


def tries_for_status(status: int | None) -> int | None:
    """How many tries an answer of *status* deserves, where that is fewer than usual."""
    return None if status is None else _FEW_TRIES.get(status)


def malformed_access_token(error: HubSpotUnavailableError) -> AuthorizationRevokedError | None:
    """What *error* means if it comes again and again and no call succeeds."""
    if error.status != _LOST:
        return None
    return AuthorizationRevokedError(
        f"HubSpot cannot read the access token (HTTP {_LOST}); check that it was copied whole",
        status=error.status,
        correlation_id=error.correlation_id,
    )


def _token_error(answer: Answer, error: HubSpotSyncError) -> HubSpotSyncError:
    """What *error* means at the token endpoint, which has reasons of its own."""
    if not isinstance(error, (RequestRefusedError, AuthorizationRevokedError)):
        return error
    # These come from somebody else: what is behind base_url is no token endpoint.
    if answer.status in _REDIRECTS or answer.status == _NOT_FOUND:
        return error
    reason = _text(_body(answer), "status")
    context: dict[str, Any] = {
        "status": answer.status,
        "correlation_id": error.correlation_id,
    }
    # Only these two mean that the customer has to connect again; all else is the app's set-up.
    if reason in ("BAD_REFRESH_TOKEN", "BAD_HUB"):
        return AuthorizationRevokedError(
            f"HubSpot no longer accepts the refresh token ({reason}); the account has to be "
            "connected again",
            **context,
        )
    if reason in ("BAD_AUTH_CODE", "EXPIRED_AUTH_CODE"):
        return ConsentError(
            f"HubSpot does not take the authorization code ({reason}): it works once, for a few "
            "minutes, and for the app that asked for it; send the person to HubSpot again",
            reason="code",
            **context,
        )
    wrong = "redirect URI" if reason == "BAD_REDIRECT_URI" else "client id and the client secret"
    kind = OAuthAppError if reason in ("BAD_CLIENT_ID", "BAD_CLIENT_SECRET") else ConfigurationError
    return kind(
        f"HubSpot refused the OAuth app's own credentials or request ({reason or 'no reason'}); "
        f"check the {wrong}",
        **context,
    )


def _unauthorized(
    body: Mapping[str, Any], doing: str, context: dict[str, Any]
) -> AuthorizationRevokedError:
    message = _message(body)
    if _EXPIRED_LONG_AGO.search(message):
        return AuthorizationRevokedError(
            f"HubSpot cannot read the access token while {doing}, it only looks expired to it; "
            "check that it was copied whole",
            **context,
        )
    return AuthorizationRevokedError(
        f"HubSpot does not accept the access token while {doing}: {message}; check that it was "
        "copied whole and was not revoked, or connect the account again",
        **context,
    )


def _rate_limited(
    answer: Answer, body: Mapping[str, Any], doing: str, endpoint: str, context: dict[str, Any]
) -> RateLimitedError:
    policy = _text(body, "policyName") or None
    usual = _A_SECOND if endpoint in _BY_THE_SECOND else _TEN_SECONDS
    return RateLimitedError(
        f"HubSpot's rate limit is used up ({policy or 'not named'}) while {doing}: "
        f"{_message(body)}",
        policy=policy,
        retry_after=_retry_after(answer) or _POLICY_WAITS.get(policy or "", usual),
        **context,
    )


def _forbidden(body: Mapping[str, Any], doing: str, context: dict[str, Any]) -> AccessError:
    scopes = tuple(dict.fromkeys(_scopes(body)))
    if scopes:
        return MissingScopeError(
            f"the credentials lack a scope for {doing}; grant any one of {', '.join(scopes)}",
            scopes=scopes,
            **context,
        )
    return MissingScopeError(
        f"HubSpot forbids {doing}: {_message(body)}; grant the scope, or check that the account "
        "has the feature",
        **context,
    )


def _unavailable(
    answer: Answer, body: Mapping[str, Any], doing: str, context: dict[str, Any]
) -> HubSpotUnavailableError:
    wait = _retry_after(answer) or (_LOCK_WAIT if answer.status == _LOCKED else None)
    data_centre = _text(body, "correctHublet")
    if data_centre:
        return HubSpotUnavailableError(
            f"the account lives in HubSpot's data centre {data_centre}, and another one answered "
            f"while {doing}; if this lasts, give an engine for such accounts the address of that "
            "data centre, HubSpotSettings(base_url=...)",
            retry_after=wait,
            **context,
        )
    return HubSpotUnavailableError(
        f"HubSpot could not answer while {doing}: {_message(body)}", retry_after=wait, **context
    )


def _body(answer: Answer) -> Mapping[str, Any]:
    """The error body; proxies answer with HTML, which says nothing."""
    try:
        body = loads(answer.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(body: Mapping[str, Any], *names: str) -> str:
    """Single words of HubSpot's."""
    found = (value for name in names if isinstance(value := body.get(name), str))
    return _clean(" ".join(found), _NAME_LENGTH)


def _message(body: Mapping[str, Any]) -> str:
    """HubSpot's own words in one line, cut where validation errors go on for pages."""
    message = body.get("message")
    return _clean(message if isinstance(message, str) else "", _MESSAGE_LENGTH) or "no reason given"


def _clean(text: str, length: int) -> str:
    """*text* in one line of *length* characters at most that all can be printed."""
    # What is cut away need not be looked at.
    printable = (one if one.isprintable() else " " for one in text[: length * 4])
    words = " ".join("".join(printable).split())
    return words if len(words) <= length else f"{words[:length]}..."


def _correlation_id(answer: Answer, body: Mapping[str, Any]) -> str | None:
    sent = _text(body, "correlationId") or answer.headers.get("X-HubSpot-Correlation-Id", "")
    return _clean(sent, _NAME_LENGTH) or None


def _retry_after(answer: Answer) -> timedelta | None:
    """How long the server asks to wait, in seconds or until a date, which is by its own clock.

    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    value = answer.headers.get("Retry-After", "").strip()
    seconds = _SECONDS.fullmatch(value)
    if seconds is not None:
        return min(timedelta(seconds=float(f"{seconds[1]}{seconds[2] or ''}")), _LONGEST_WAIT)
    until = _date(value)
    if until is None:
        return None
    now = _date(answer.headers.get("Date", "")) or SystemClock().now()
    return min(max(until - now, timedelta(0)), _LONGEST_WAIT)


def _date(value: str) -> datetime | None:
    """An HTTP date, if it is one."""
    try:
        found = parsedate_to_datetime(value)
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(
            timezone.utc
        )
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _scopes(body: Mapping[str, Any]) -> list[str]:
    """The scopes that HubSpot names, in the error itself or in its details."""
    errors = body.get("errors")
    details = [body, *(errors if isinstance(errors, list) else ())]
    contexts = [detail.get("context") for detail in details if isinstance(detail, dict)]
    named = [
        context.get("requiredGranularScopes") or context.get("requiredScopes")
        for context in contexts
        if isinstance(context, dict)
    ]
    return [
        _clean(scope, _NAME_LENGTH)
        for scopes in named
        if isinstance(scopes, list)
        for scope in scopes
        if isinstance(scope, str)
    ]
