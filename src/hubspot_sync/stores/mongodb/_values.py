"""Values of properties as MongoDB keeps them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bson.decimal128 import Decimal128
from bson.int64 import Int64

from hubspot_sync._documents import decimal_to_text, integer_or_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubspot_sync.models import Value


_INT32: Final = 2**31
_DIGITS: Final = 34
_EXPONENT_BIAS: Final = 6176


def properties_to_bson(properties: Mapping[str, Value]) -> dict[str, Any]:
    """Values by property name as BSON knows them; what does not fit its numbers becomes text."""
    writer_of = _WRITERS.get
    document: dict[str, Any] = dict(properties)
    for name, value in properties.items():
        # Most values are text, and need not be looked up.
        if type(value) is not str and (write := writer_of(type(value))) is not None:
            document[name] = write(value)
    return document


def to_long(number: int) -> int:
    """What the driver writes as a long: it would write what fits into 32 bits as an int."""
    return Int64(number) if -_INT32 <= number < _INT32 else number


def _integer(number: int) -> int | str:
    return to_long(number) if -_INT32 <= number < _INT32 else integer_or_text(number)


def _decimal(number: Decimal) -> Decimal128 | str:
    text = decimal_to_text(number)
    if len(text) <= _DIGITS and number.is_finite():
        return _short_decimal(text)
    try:
        return Decimal128(number)
    except ArithmeticError:
        # More than 34 digits, or an exponent out of range: it would have to be rounded.
        return text


def _short_decimal(text: str) -> Decimal128:
    """Put the bits together here: the driver does it bit by bit, which takes as long as a record.

    The layout is https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md
    """
    whole, _, fraction = text.partition(".")
    significand = int(whole.lstrip("-") + fraction)
    exponent = _EXPONENT_BIAS - len(fraction)
    sign = text.startswith("-")
    return Decimal128.from_bid((sign << 127 | exponent << 113 | significand).to_bytes(16, "little"))


# Everything else is the same in BSON: a tuple is an array, a datetime a date.
_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    int: _integer,
    Decimal: _decimal,
    date: date.isoformat,
}
