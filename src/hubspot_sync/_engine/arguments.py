"""Checks what callers hand to the engine, where a wrong value would show only later."""

from __future__ import annotations

from datetime import timedelta

from hubspot_sync.errors import ConfigurationError


def check_number(name: str, value: object) -> None:
    """Refuse what is no whole number above zero."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigurationError(f"{name} is {value!r}; give a whole number from 1 on")


def check_duration(name: str, value: object) -> None:
    """Refuse what is no duration above zero: a bare number does not say of what."""
    if not isinstance(value, timedelta):
        raise ConfigurationError(
            f"{name} is {value!r}; give a timedelta, such as timedelta(minutes=5)"
        )
    if value <= timedelta(0):
        raise ConfigurationError(f"{name} is {value}; it has to be above zero")
