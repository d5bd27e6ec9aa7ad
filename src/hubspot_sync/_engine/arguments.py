"""Checks what callers hand to the engine, where a wrong value would show only later."""

from __future__ import annotations

from datetime import timedelta

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import OAuthTokens, StaticAccessToken


def check_number(name: str, value: object) -> None:
    """Refuse what is no whole number above zero."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} is {value!r}; give a whole number from 1 on")


def check_credentials(value: object) -> None:
    """Refuse what are no credentials, such as a token as text; its words may be a secret."""
    if not isinstance(value, (StaticAccessToken, OAuthTokens)):
        raise ConfigurationError(
            f"credentials are of type {type(value).__name__}; give "
            "StaticAccessToken(access_token=...), or OAuthTokens(refresh_token=...)"
        )


def check_duration(name: str, value: object) -> None:
    """Refuse what is no duration above zero: a bare number does not say of what."""
    if not isinstance(value, timedelta):
        raise ConfigurationError(
            f"{name} is {value!r}; give a timedelta, such as timedelta(minutes=5)"
        )
    if value <= timedelta(0):
        raise ConfigurationError(f"{name} is {value}; it has to be above zero")
