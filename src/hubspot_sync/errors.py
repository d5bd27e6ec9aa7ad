"""Every error this library raises, grouped by what happens next.

```
HubSpotSyncError
├─ ConfigurationError (ValueError)      the caller's mistake: change the call or the set-up
│  ├─ OAuthAppError                     HubSpot refuses the app itself: this concerns all accounts
│  └─ UnknownAccountError (LookupError) the domain has no such account
├─ RetryableError                       passes by itself: run again, not before `retry_after`
│  ├─ RateLimitedError                  HubSpot said slow down
│  ├─ HubSpotUnavailableError           5xx, time-out, broken connection, unreadable answer
│  └─ StoreUnavailableError             the host's store is away
├─ AccessError                          stop this account or stream: a person has to act
│  ├─ AuthorizationRevokedError         the credentials are not, or no longer, accepted
│  ├─ ConsentError                      a consent cannot be used: ask for a new one
│  ├─ MissingScopeError                 a scope or feature has to be granted
│  ├─ NotConnectedError                 there are no credentials for the account: connect it
│  └─ WrongAccountError                 the credentials open another HubSpot account
├─ RequestRefusedError                  HubSpot refused a request as wrong: repeating is no use
├─ ActionRejectedError                  this action cannot be stored as it is
│  └─ TooManyRejectedError              too many cannot: fix the cause, then redrive
├─ SupersededError                      somebody else is ahead of us: nothing was written
│  ├─ LeaseHeldError                    another worker syncs this stream
│  ├─ LeaseLostError                    another worker took this stream over
│  └─ RevisionConflictError             the document moved on: load it again, then decide
└─ InvariantError                       our bug or corrupt content: stop loudly
```

A message says what happened, where, and what to do.
It never holds a secret, a response body or a header.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

E = TypeVar("E", bound="HubSpotSyncError")


_E = TypeVar("_E", bound="HubSpotSyncError")


class HubSpotSyncError(Exception):
    """The root of all errors of this library.

    Attributes:
        account: The account it happened in, as `domain/account`, or None.
        stream: The object type it happened in ("contacts"), or None.
        status: The HTTP status HubSpot answered with, or None.
        correlation_id: HubSpot's id of the call, for its support, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        account: str | None = None,
        stream: str | None = None,
        status: int | None = None,
        correlation_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.account = account
        self.stream = stream
        self.status = status
        self.correlation_id = correlation_id

    def locate(  # noqa: PYI019 - Python has `Self` from 3.11 on
        self: _E, *, account: str | None = None, stream: str | None = None
    ) -> _E:
        """Fill in where it happened, on the way up; what is known already stays."""
        self.account = self.account or account
        self.stream = self.stream or stream
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are copied by calling them with `args`, which leaves out what came by keyword.
        return _copied, (type(self), self.args, vars(self))

    def __repr__(self) -> str:
        places = ("account", "stream", "status", "correlation_id")
        known = [(name, getattr(self, name)) for name in places]
        shown = [f"{name}={value!r}" for name, value in known if value is not None]
        return f"{type(self).__name__}({', '.join((repr(self.message), *shown))})"

    def __str__(self) -> str:
        places = (
            ("account", self.account),
            ("stream", self.stream),
            ("HTTP", self.status),
            ("correlation id", self.correlation_id),
        )
        known = ", ".join(f"{name} {value}" for name, value in places if value is not None)
        return f"{self.message} [{known}]" if known else self.message


def _copied(
    kind: type[HubSpotSyncError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> HubSpotSyncError:
    """An error out of a pickle: another process's, or one that somebody copied."""
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


class ConfigurationError(HubSpotSyncError, ValueError):
    """The caller's mistake: an argument, a setting or the set-up has to change."""


class OAuthAppError(ConfigurationError):
    """HubSpot does not accept the OAuth app itself, so no account that it opens can go on."""


class UnknownAccountError(ConfigurationError, LookupError):
    """The domain has no such account, whatever other domains have."""


class RetryableError(HubSpotSyncError):
    """Passes by itself; a later run continues where this one ended.

    Attributes:
        retry_after: How long to wait at least, where it is known.
    """

    def __init__(
        self, message: str, *, retry_after: timedelta | None = None, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.retry_after = retry_after


class RateLimitedError(RetryableError):
    """HubSpot answered 429.

    Attributes:
        policy: Which limit it was: "DAILY", "TEN_SECONDLY_ROLLING", "SECONDLY", or None.
    """

    def __init__(self, message: str, *, policy: str | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.policy = policy


class HubSpotUnavailableError(RetryableError):
    """HubSpot could not be reached, did not answer in time, or answered 5xx or nonsense."""


class StoreUnavailableError(RetryableError):
    """The host's store could not be reached or did not take a write; nothing was skipped."""


class AccessError(HubSpotSyncError):
    """Access is missing or refused; a person has to grant it or to connect the account."""


class AuthorizationRevokedError(AccessError):
    """The credentials are wrong, were revoked, or belong to an account that is gone."""


class ConsentError(AccessError):
    """A consent at HubSpot connects nothing; the person has to be sent there again.

    Attributes:
        reason: "denied" (the person said no), "altered" (the `state` is not ours as it is),
            "expired" or "used" (it is out of date, or was used before), "other_domain" (it
            belongs to another domain), or "code" (HubSpot does not take the code).
    """

    def __init__(self, message: str, *, reason: str, **context: Any) -> None:
        super().__init__(message, **context)
        self.reason = reason


class MissingScopeError(AccessError):
    """The credentials lack a scope, or the account lacks the feature.

    Attributes:
        scopes: The scopes of which HubSpot wants any one, as far as it named them.
    """

    def __init__(self, message: str, *, scopes: tuple[str, ...] = (), **context: Any) -> None:
        super().__init__(message, **context)
        self.scopes = scopes


class NotConnectedError(AccessError):
    """There are no credentials for the account: it was not connected, or was disconnected."""


class WrongAccountError(AccessError):
    """The credentials open another HubSpot account than the one they were given for."""


class RequestRefusedError(HubSpotSyncError):
    """HubSpot refused a request as wrong (400, 404, 409, 414...); repeating it is no use.

    Attributes:
        category: HubSpot's error category ("VALIDATION_ERROR", "OBJECT_NOT_FOUND"...), or None.
    """

    def __init__(self, message: str, *, category: str | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.category = category


class ActionRejectedError(HubSpotSyncError):
    """The sink refuses an action as it is; storing it again without a change is no use."""


class TooManyRejectedError(ActionRejectedError):
    """So many actions of a stream were refused that something must be wrong; they are queued."""


class SupersededError(HubSpotSyncError):
    """Somebody else is ahead of the caller; nothing was written."""


class LeaseHeldError(SupersededError):
    """Another worker holds the lease on this stream.

    Attributes:
        owner: Who holds it, as given to `Checkpointer.acquire`.
    """

    def __init__(self, message: str, *, owner: str, **context: Any) -> None:
        super().__init__(message, **context)
        self.owner = owner


class LeaseLostError(SupersededError):
    """The lease ended and another worker may have taken the stream over."""


class RevisionConflictError(SupersededError):
    """The stored document has another revision than the caller saw."""


class InvariantError(HubSpotSyncError):
    """A promise does not hold: of a part of the host's, which it names then, or one of ours."""
