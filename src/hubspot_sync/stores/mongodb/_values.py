"""Values of properties as MongoDB keeps them."""

from __future__ import annotations

from datetime import date, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from bson.codec_options import CodecOptions, TypeEncoder, TypeRegistry
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from hubspot_sync._documents import decimal_to_text, integer_or_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubspot_sync.models import Value


_INT32: Final = 2**31
_DIGITS: Final = 34
_EXPONENT_BIAS: Final = 6176


def without_long_integers(properties: Mapping[str, Value]) -> dict[str, Any]:
    """*properties*, with text for the integers that BSON has no number for."""
    return {
        name: integer_or_text(value) if isinstance(value, int) else value
        for name, value in properties.items()
    }


def to_long(number: int) -> int:
    """What the driver writes as a long: it would write what fits into 32 bits as an int."""
    return Int64(number) if -_INT32 <= number < _INT32 else number


def _short_decimal(text: str) -> Decimal128:
    """Put the bits together here: the driver does it bit by bit, which takes as long as a record.

    The layout is https://github.com/mongodb/specifications/blob/master/source/bson-decimal128/decimal128.md
    """
    whole, _, fraction = text.partition(".")
    significand = int(whole.lstrip("-") + fraction)
    exponent = _EXPONENT_BIAS - len(fraction)
    sign = text.startswith("-")
    return Decimal128.from_bid((sign << 127 | exponent << 113 | significand).to_bytes(16, "little"))


class _DecimalEncoder(TypeEncoder):
    """Lets the driver write a `Decimal` exactly: as text what BSON has no number for."""

    python_type = Decimal

    def transform_python(self, value: Decimal) -> Decimal128 | str:
        text = decimal_to_text(value)
        if len(text) <= _DIGITS and value.is_finite():
            return _short_decimal(text)
        try:
            return Decimal128(value)
        except ArithmeticError:
            # More than 34 digits, or an exponent out of range: it would have to be rounded.
            return text


class _DateEncoder(TypeEncoder):
    """Lets the driver write a `date`, as text: BSON knows instants only."""

    python_type = date

    def transform_python(self, value: date) -> str:
        return value.isoformat()


# How the collections read and write. All other values are the same in BSON: a tuple is an array.
CODEC_OPTIONS: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    tz_aware=True,
    tzinfo=timezone.utc,
    type_registry=TypeRegistry([_DecimalEncoder(), _DateEncoder()]),
)
