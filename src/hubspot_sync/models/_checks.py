"""Checks that several models share; each turns a wrong value into a `ConfigurationError`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from hubspot_sync.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attrs import Attribute

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_NUMBER = re.compile("0|[1-9][0-9]*")
_MILLISECOND = timedelta(milliseconds=1)


def to_milliseconds(instant: datetime) -> int:
    """Whole milliseconds since 1970 in UTC, as HubSpot's filters take them; rounds down."""
    return (instant - EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """The aware UTC instant of *milliseconds* since 1970."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def optional_names(values: Iterable[str] | None) -> tuple[str, ...] | None:
    """Convert a list of names, where there is one: each once, in their order."""
    if isinstance(values, str):
        raise ConfigurationError(
            f"a list of names was expected, not the single text {values!r}; write ({values!r},)"
        )
    return None if values is None else tuple(dict.fromkeys(values))


def names(values: Iterable[str] | None) -> tuple[str, ...]:
    """Convert a list of names; where there is none, it is empty."""
    return optional_names(values) or ()


def is_aware(instance: Any, attribute: Attribute[Any], value: datetime | None) -> None:
    """Validate that an instant, where there is one, says its zone."""
    if value is not None and value.tzinfo is None:
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}, an instant without a time "
            "zone; give an aware datetime, such as datetime.now(timezone.utc)"
        )


def is_text_key(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate a name that becomes part of a key in a store: 1 to 200 storable characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= 200 or not _storable(value):  # noqa: PLR2004
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give text of 1 to 200 "
            "characters without NUL"
        )


def is_digits(instance: Any, attribute: Attribute[Any], value: object) -> None:
    """Validate an id of HubSpot's: digits, as text; with zeros before them it would be another."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give a HubSpot id as text, "
            'such as "62515"'
        )


def is_positive(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Validate a number or duration above zero, where there is one."""
    if value is not None and not value > type(value)():
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; it has to be above zero"
        )


def is_not_negative(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Validate a number or duration of zero or more, where there is one."""
    if value is not None and value < type(value)():
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; it cannot be below zero"
        )


def is_duration(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Validate a duration of zero or more, where there is one; a bare number is none."""
    if value is not None and not isinstance(value, timedelta):
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give a timedelta, such as "
            "timedelta(minutes=5)"
        )
    is_not_negative(instance, attribute, value)


def is_positive_duration(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Validate a duration above zero, where there is one."""
    is_duration(instance, attribute, value)
    is_positive(instance, attribute, value)


def is_share(instance: Any, attribute: Attribute[Any], value: Any) -> None:
    """Validate a part of a whole: 0.0 for nothing, 1.0 for all."""
    if not 0 <= value <= 1:
        raise ConfigurationError(
            f"{type(instance).__name__}.{attribute.name} is {value!r}; give a share from 0.0 to 1.0"
        )


def _storable(text: str) -> bool:
    """Whether every store can keep *text* in a key: no NUL, no lone surrogate."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
