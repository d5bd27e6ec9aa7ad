"""The values of a record, and what of them counts when two records are compared."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct

from hubspot_sync.models._checks import to_milliseconds
from hubspot_sync.models.records import Value

# These move without anything else having changed, so they are no part of a digest.
DATES_OF_CHANGE: Final = frozenset({"lastmodifieddate", "hs_lastmodifieddate"})
_DIGITS_OF_64_BITS: Final = 20


class Properties(dict[str, Value]):
    """Values by property name, as they were read, with what is compared of them.

    A copy of them, a pickled one too, is a plain dictionary.

    Attributes:
        comparable: A structure that is the same in JSON as what `comparable_values` returns.
    """

    __slots__ = ("comparable",)

    comparable: Struct

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def comparable_values(properties: Mapping[str, Value]) -> dict[str, Any]:
    """What equal *properties* have in common and others do not, in what JSON knows.

    Dates of change are left out, and properties without a value.
    """
    # A copy that is thinned out takes less time than a new dictionary that grows.
    values: dict[str, Any] = dict(properties)
    for name, value in properties.items():
        if value is None or name in DATES_OF_CHANGE:
            del values[name]
        elif type(value) not in _COMPARED_AS_THEY_ARE:
            values[name] = comparable(value)
    return values


def comparable(value: Value) -> Any:
    """What equal values have in common and others do not, text with the same characters included.

    Numbers go by their value, so that another way to write one is no change.

    Raises:
        TypeError: It is no value of a property.
    """
    if value is None or isinstance(value, (str, bool, tuple)):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else {"number": str(value)}
    if isinstance(value, Decimal):
        return _comparable_number(value) if value else 0
    if isinstance(value, datetime):
        return {"instant": to_milliseconds(value)}
    if isinstance(value, date):
        return {"date": value.isoformat()}
    raise TypeError(f"a {type(value).__name__} is no value of a property")


def _comparable_number(value: Decimal) -> Any:
    text = f"{value:f}"
    digits = text.rstrip("0").rstrip(".") if "." in text else text
    # Python may refuse to make an integer of more digits than these.
    if len(digits) <= _DIGITS_OF_64_BITS and digits.removeprefix("-").isdecimal():
        return comparable(int(digits))
    return {"number": digits}


_COMPARED_AS_THEY_ARE: Final = frozenset({str, bool, tuple})
