"""Values of properties as MongoDB keeps them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timezone
from decimal import Decimal
from typing import Any, Final

from bson.codec_options import CodecOptions, TypeEncoder, TypeRegistry
from bson.decimal128 import Decimal128, create_decimal128_context
from bson.int64 import Int64

from hubspot_sync._documents import decimal_to_text
from hubspot_sync.errors import InvariantError
from hubspot_sync.models import Value

_INT32: Final = 2**31
_INT64: Final = 2**63
_DIGITS: Final = 34
_EXPONENT_BIAS: Final = 6176
# The field beside `properties` for the digits that BSON has no number for.
EXACT: Final = "exact_numbers"


def numbers_apart(properties: Mapping[str, Value]) -> tuple[dict[str, Any], dict[str, str]]:
    """*properties* with numbers that BSON has, and all digits of those that are not exact so.

    A number that no type of BSON holds is the nearest Decimal128, so that one property compares as
    numbers, whatever the size of its values.
    """
    values: dict[str, Any] = dict(properties)
    digits: dict[str, str] = {}
    for name, value in properties.items():
        if type(value) is Decimal or (type(value) is int and not -_INT64 <= value < _INT64):
            number = Decimal(value)
            try:
                values[name] = _exactly(number)
            except OverflowError:
                values[name] = Decimal128(create_decimal128_context().create_decimal(number))
                digits[name] = decimal_to_text(number)
    return values, digits


def properties_from_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """The values of an action or a record, with every digit of their numbers.

    Whole numbers are `int`, others `Decimal`, choices a tuple; dates stay text, which only the
    definition of a property tells from other text.

    Args:
        document: A document of the collection `actions` or `records`, as `pymongo` reads it, with
            its fields `properties` and, where there is one, `exact_numbers`.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        exact = {name: Decimal(text) for name, text in document.get(EXACT, {}).items()}
        return {
            name: _read(exact.get(name, value)) for name, value in document["properties"].items()
        }
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        pass
    # Outside the handler, because the error above quotes what it could not read.
    raise InvariantError(
        "the stored properties of an object cannot be read; restore the document from a backup"
    )


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, Decimal128):
        value = value.to_decimal()
    elif isinstance(value, float):
        value = Decimal(value)
    whole = isinstance(value, Decimal) and value.as_tuple().exponent == 0
    return int(value) if whole or isinstance(value, Int64) else value


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


def _exactly(number: Decimal) -> Decimal128 | float:
    """The same number in BSON.

    A binary fraction with all its digits, as HubSpot prints what it calculates, is a double.

    Raises:
        OverflowError: It would have to be rounded.
    """
    text = decimal_to_text(number)
    if len(text) <= _DIGITS and "E" not in text and number.is_finite():
        return _short_decimal(text)
    if number.is_finite() and len(number.as_tuple().digits) > _DIGITS:
        double = float(number)
        if math.isfinite(double) and Decimal(double) == number:
            return double
    try:
        return Decimal128(number)
    except ArithmeticError:
        raise OverflowError("a number beyond what BSON has") from None


class _DecimalEncoder(TypeEncoder):
    """Lets the driver write a `Decimal` exactly, or raise an `OverflowError`."""

    python_type = Decimal

    def transform_python(self, value: Decimal) -> Decimal128 | float:
        return _exactly(value)


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
