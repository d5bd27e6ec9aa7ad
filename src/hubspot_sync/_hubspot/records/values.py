"""Converts the text that HubSpot sends into values by the type of their property, without loss.

What does not fit its type stays text: https://developers.hubspot.com/docs/api-reference/crm-properties-v3/guide
says what fits, but values that were imported, or calculated, need not keep to it.
"""

from __future__ import annotations

import re
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from hubspot_sync.models import from_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from hubspot_sync.models import PropertyDefinition, Value

    Reading: TypeAlias = Callable[[str], Value]

_BOOLS: Final = {"true": True, "false": False}
# No zeros in front, which would be lost: such a "number" is somebody's customer number. And three
# digits of an exponent at most, which is what the floats have in which HubSpot calculates.
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
# A host may tell Python to refuse conversions of longer integers, down to this length:
# https://docs.python.org/3/library/stdtypes.html#int-max-str-length
_MOST_DIGITS: Final = 640
_ISO: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:\.([0-9]+))?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
# How HubSpot writes an instant, with 0 for every digit.
_INSTANT: Final = "0000-00-00T00:00:00.000Z"
_PYTHON_KNOWS_Z: Final = sys.version_info >= (3, 11)
# Below 64 bits, whatever the digits are.
_SHORT: Final = 18
_LONGEST_MILLISECONDS: Final = len("-62135596800000")
MISFITS: Final = (ValueError, OverflowError, ArithmeticError)


class Conversion:
    """Converts the properties of records of one object type; threads may share one.

    Args:
        readings: By property name how its text is read; the others are text anyway. A reading
            raises a `ValueError`, `OverflowError` or `ArithmeticError` for what does not fit.
    """

    def __init__(self, readings: Mapping[str, Reading]) -> None:
        self._readings = dict(readings)

    def reading_of(self, name: str) -> Reading | None:
        """How the text of a property is read; None where it is text anyway."""
        return self._readings.get(name)

    def __call__(self, properties: Mapping[str, Any]) -> tuple[dict[str, Value], tuple[str, ...]]:
        """The values of *properties*, and the names of those that do not fit their type.

        Both null and "" mean that there is no value. A name that is absent stays absent.
        """
        reading_of = self._readings.get
        values: dict[str, Value] = dict(properties)
        unconverted: tuple[str, ...] = ()
        for name, sent in properties.items():
            if sent is None:
                continue
            text = sent if isinstance(sent, str) else _as_text(sent)
            if not text:
                values[name] = None
            elif (reading := reading_of(name)) is not None:
                try:
                    values[name] = reading(text)
                except MISFITS:
                    values[name] = text
                    unconverted += (name,)
            elif text is not sent:
                values[name] = text
        return values, unconverted


def conversion_for(definitions: Iterable[PropertyDefinition], *, raw: bool = False) -> Conversion:
    """How the values of the properties that *definitions* describe are converted.

    Args:
        definitions: The properties; one that is not among them is text.
        raw: Whether all values stay text.
    """
    if raw:
        return Conversion({})
    readings = ((definition.name, _reading_of(definition)) for definition in definitions)
    return Conversion({name: reading for name, reading in readings if reading is not None})


def _reading_of(definition: PropertyDefinition) -> Reading | None:
    """None for text. The type counts: a datetime, too, has "date" for its field type."""
    if definition.type == "enumeration":
        return _ENUMERATIONS.get(definition.field_type)
    return _READINGS.get(definition.type)


def to_bool(text: str) -> bool:
    """Read "true" or "false".

    Raises:
        ValueError: It is neither.
    """
    value = _BOOLS.get(text)
    if value is None:
        raise ValueError("it is neither true nor false")
    return value


def to_number(text: str) -> int | Decimal:
    """Read a number exactly: an integer as int, any other as Decimal with its digits as sent.

    Raises:
        ValueError: It is no finite decimal number, has zeros in front, or is too long.
    """
    if len(text) > _MOST_DIGITS:
        raise ValueError("it is too long")
    if text.isdecimal() and text.isascii() and text[0] != "0":
        return int(text)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError("it is no number")
    return int(text) if match.lastindex is None else Decimal(text)


def to_instant(text: str) -> datetime:
    """Read an ISO 8601 instant, in UTC where it names no zone, or milliseconds since 1970.

    What is finer than a millisecond is cut off.

    Raises:
        ValueError: It is neither.
        OverflowError: It is outside the years 1 to 9999.
    """
    # "2026-03-02T10:35:01.123Z" and "2026-03-02T10:35:01Z", as nearly all of them are.
    shape = text[4:20:3] + text[23:]
    if shape == "--T::.Z" or (shape == "--T::Z" and len(text) == len("2026-03-02T10:35:01Z")):
        return datetime.fromisoformat(text if _PYTHON_KNOWS_Z else text[:-1] + "+00:00")
    if text.lstrip("-").isdecimal() and text.isascii() and len(text) <= _LONGEST_MILLISECONDS:
        return from_milliseconds(int(text))
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError("it is no instant")
    day, time_of_day, fraction, zone = match.groups()
    # Python 3.10 reads fractions of exactly three or six digits only, and zones with a colon.
    fraction = f"{fraction or '':0<3.3}"
    time_of_day = f"{time_of_day or '00:00'}:00"[:8]
    zone = "+00:00" if zone in (None, "Z") else f"{zone[:3]}:{zone[-2:]}"
    instant = datetime.fromisoformat(f"{day}T{time_of_day}.{fraction}{zone}")
    return instant.astimezone(timezone.utc)


def to_integers(texts: Sequence[str]) -> list[int] | None:
    """What `to_number` reads of many *texts* that are all short integers from 0 on, else None."""
    digits = "".join(texts)
    if not digits:
        return []
    if not (digits.isdecimal() and digits.isascii()) or max(map(len, texts)) > _SHORT:
        return None
    in_front = {text for text in texts if text[0] == "0"}
    return list(map(int, texts)) if in_front <= {"0"} else None


def to_instants(texts: Sequence[str]) -> list[datetime]:
    """What `to_instant` reads of each of *texts*.

    Raises:
        ValueError: One of them is no instant.
        OverflowError: One is outside the years 1 to 9999.
    """
    usual = _PYTHON_KNOWS_Z and set(map(len, texts)) == {len(_INSTANT)}
    if usual:
        together = "".join(texts)
        usual = all(
            together[place :: len(_INSTANT)] == mark * len(texts)
            for place, mark in enumerate(_INSTANT)
            if mark != "0"
        )
    return list(map(datetime.fromisoformat if usual else to_instant, texts))


def to_date(text: str) -> date:
    """Read an ISO 8601 date, or an instant at midnight in UTC.

    Raises:
        ValueError: It is neither.
        OverflowError: It is outside the years 1 to 9999.
    """
    if text[4::3] == "--":
        return date.fromisoformat(text)
    instant = to_instant(text)
    if instant.hour or instant.minute or instant.second or instant.microsecond:
        raise ValueError("it is no date")
    return instant.date()


def to_choices(text: str) -> tuple[str, ...] | None:
    """Read the internal values that are checked, with semicolons between them; None for none."""
    choices = text.split(";")
    return tuple(filter(None, choices) if "" in choices else choices) or None


def _to_bool_or_text(text: str) -> bool | str:
    """A single checkbox is an enumeration whose values need not be true and false."""
    return _BOOLS.get(text, text)


def _as_text(sent: Any) -> str:
    """HubSpot sends text only; should it ever send more, nothing is lost."""
    return orjson.dumps(sent).decode()


_READINGS: Final[dict[str, Reading]] = {
    "bool": to_bool,
    "number": to_number,
    "date": to_date,
    "datetime": to_instant,
}
_ENUMERATIONS: Final[dict[str, Reading]] = {
    "checkbox": to_choices,
    "booleancheckbox": _to_bool_or_text,
}
