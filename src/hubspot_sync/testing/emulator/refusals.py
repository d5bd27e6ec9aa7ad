"""Refusals in HubSpot's shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_CREDENTIALS: Final = (
    "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can "
    "find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview"
)
_POLICIES: Final = {
    "DAILY": "You have reached your daily limit.",
    "TEN_SECONDLY_ROLLING": "You have reached your ten_secondly_rolling limit.",
    "SECONDLY": "You have reached your secondly limit.",
}


class RefusalError(Exception):
    """An endpoint refuses a request.

    Attributes:
        status: The HTTP status.
        headers: Headers of the answer.
        expired_for: For how many seconds the call's access token has been out of date, or None.
    """

    def __init__(self, status: int, message: str, **parts: Any) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = {}
        self.expired_for: float | None = None
        self._parts = {"message": message, **parts}

    def content(self, correlation_id: str) -> dict[str, Any]:
        """The JSON body (HubSpot 4)."""
        return {"status": "error", "correlationId": correlation_id, **self._parts}


class TokenRefusalError(RefusalError):
    """The token endpoint's 400, which has a shape of its own (HubSpot 5.3)."""

    def __init__(self, status_word: str, error: str, description: str) -> None:
        super().__init__(400, description)
        self._content = {
            "status": status_word,
            "message": description,
            "error": error,
            "error_description": description,
        }

    def content(self, correlation_id: str) -> dict[str, Any]:
        """The JSON body."""
        return {**self._content, "correlationId": correlation_id}


def bad_refresh_token() -> TokenRefusalError:
    """The refresh token is not, or no longer, good (HubSpot 5.3)."""
    return TokenRefusalError(
        "BAD_REFRESH_TOKEN", "invalid_grant", "refresh token is invalid, expired or revoked"
    )


def bad_code() -> TokenRefusalError:
    """The authorization code is unknown, or was exchanged before."""
    return TokenRefusalError("BAD_AUTH_CODE", "invalid_grant", "missing or unknown auth code")


def bad_hub() -> TokenRefusalError:
    """The account is no more (HubSpot 5.3)."""
    return TokenRefusalError("BAD_HUB", "invalid_grant", "missing or unknown hub id")


def bad_request(message: str, errors: Sequence[Mapping[str, Any]] = ()) -> RefusalError:
    """400 VALIDATION_ERROR."""
    parts: dict[str, Any] = {"errors": list(errors)} if errors else {}
    return RefusalError(400, message, category="VALIDATION_ERROR", **parts)


def unknown_object_type(name: str) -> RefusalError:
    """400 without a category, as recorded by others (HubSpot 1.1)."""
    return RefusalError(400, f"Unable to infer object type from: {name}")


def unknown_property(name: str, kind: str) -> RefusalError:
    """400 for a filter or sort on a property that does not exist."""
    detail = {
        "message": f"Property {name!r} does not exist on object type {kind}",
        "code": "PROPERTY_DOESNT_EXIST",
        "context": {"propertyName": [name]},
    }
    return bad_request("There was a problem with the request.", [detail])


def not_found(message: str = "resource not found") -> RefusalError:
    """404 OBJECT_NOT_FOUND."""
    return RefusalError(404, message, category="OBJECT_NOT_FOUND")


def internal_error() -> RefusalError:
    """500."""
    return RefusalError(500, "internal error", category="INTERNAL_ERROR")


def wrong_method() -> RefusalError:
    """405."""
    return RefusalError(405, "HTTP 405 Method Not Allowed", category="VALIDATION_ERROR")


def unauthenticated() -> RefusalError:
    """401 for absent or wrong credentials."""
    return RefusalError(401, _NO_CREDENTIALS, category="INVALID_AUTHENTICATION")


def expired(seconds_ago: float, expire_time: str) -> RefusalError:
    """401 for an access token that is out of date (HubSpot 3.4)."""
    error = RefusalError(
        401,
        f"The OAuth token used to make this call expired {int(seconds_ago)} second(s) ago.",
        category="EXPIRED_AUTHENTICATION",
        context={"expire time": [expire_time]},
    )
    error.expired_for = seconds_ago
    return error


def missing_scopes(scopes: Sequence[str]) -> RefusalError:
    """403 naming the scopes of which any one is enough (HubSpot 3.4)."""
    detail = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": list(scopes)},
    }
    return RefusalError(
        403,
        "This app hasn't been granted all required scopes to make this call.",
        errors=[detail],
        links={"scopes": "https://developers.hubspot.com/scopes"},
        category="MISSING_SCOPES",
    )


def missing_schema_scopes(scopes: Sequence[str]) -> RefusalError:
    """403 of the schemas, which names the scopes elsewhere in its body (HubSpot 10)."""
    return RefusalError(
        403,
        "One or more of the following scopes are required.",
        context={
            "requiredGranularScopes": list(scopes),
            "links": ["https://developers.hubspot.com/scopes"],
        },
        category="MISSING_SCOPES",
    )


def wrong_hublet(account_id: str, hublet: str) -> RefusalError:
    """488: the account is kept in another data centre (HubSpot 3.4)."""
    error = RefusalError(
        488,
        f"Hub {account_id} is unknown to this Hublet, but it appears to exist in Hublet {hublet}",
        correctHublet=hublet,
    )
    error.headers = {"X-HubSpot-Correct-Hublet": hublet}
    return error


def rate_limited(policy: str) -> RefusalError:
    """429 by policy (HubSpot 3.3).

    Raises:
        KeyError: *policy* is none of HubSpot's.
    """
    return RefusalError(429, _POLICIES[policy], errorType="RATE_LIMIT", policyName=policy)


def batch_error(category: str, message: str, **parts: Any) -> dict[str, Any]:
    """One entry of `errors` in a 207.

    The wire has no `links` and `errors` in it (HubSpot 1.6), although HubSpot's specification
    requires them; the official client's models load without.
    """
    return {"status": "error", "category": category, **parts, "message": message}


def unsupported(what: str) -> RefusalError:
    """501: HubSpot knows it, the emulator does not; better loud than wrong."""
    return RefusalError(501, f"The emulator does not know {what}.", category="EMULATOR")
