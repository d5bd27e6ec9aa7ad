"""Checks what callers hand to the engine, where a wrong value would show only later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import Account, OAuthTokens, StaticAccessToken

T = TypeVar("T")


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


def check_kind(name: str, value: object, kind: type, *, optional: bool = False) -> None:
    """Refuse what is no *kind*, but for None where it is *optional*."""
    if not isinstance(value, kind) and not (optional and value is None):
        raise ConfigurationError(f"{name} is {_kind_of(value)}; give {_with_article(kind)}")


def check_part(name: str, part: object, method: str, *, optional: bool = False) -> None:
    """Refuse what has no such *method*, but for None where it is *optional*."""
    if not callable(getattr(part, method, None)) and not (optional and part is None):
        raise ConfigurationError(
            f"{name} is {_kind_of(part)}; give an object with a method `{method}`, see "
            "hubspot_sync.interfaces"
        )


def checked_parts(name: str, parts: Iterable[T], method: str) -> tuple[T, ...]:
    """The *parts*, which all have the *method*; `__call__` is that of a function."""
    if isinstance(parts, (str, bytes)) or not isinstance(parts, Iterable):
        raise ConfigurationError(f"{name} is {_kind_of(parts)}; give a list, also of one")
    given = tuple(parts)
    wanted = "functions" if method == "__call__" else f"objects with a method `{method}`"
    for part in given:
        if not callable(getattr(part, method, None)):
            raise ConfigurationError(
                f"{name} has {_kind_of(part)}; give {wanted}, see hubspot_sync.interfaces"
            )
    return given


def checked_accounts(accounts: Iterable[Account]) -> list[Account]:
    """The *accounts*, which all are some."""
    if isinstance(accounts, (str, bytes)) or not isinstance(accounts, Iterable):
        raise ConfigurationError(f"accounts is {_kind_of(accounts)}; give a list of Account")
    given = list(accounts)
    for account in given:
        check_kind("one of the accounts", account, Account)
    return given


def _kind_of(value: object) -> str:
    """What it is, and never its value, which may be a secret."""
    return _with_article(type(value))


def _with_article(kind: type) -> str:
    return f"{'an' if kind.__name__[0] in 'AEIOaeio' else 'a'} {kind.__name__}"
