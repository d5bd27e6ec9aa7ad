"""How values are shown: as dicts that JSON knows, and in one short line without personal data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from enum import Enum
from reprlib import Repr
from typing import Any, Final

import attrs

# Python refuses to write integers of more digits than about 4,300 in decimal.
_BITS_IN_DECIMAL: Final = 10_000
_SHORT: Final = Repr()
_SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxlist = 4
_SHORT.maxstring = _SHORT.maxother = 120


class AsDict:
    """A value with `as_dict`; `dict(value)` is the same, so FastAPI can return one as it is."""

    __slots__ = ()

    def as_dict(self) -> dict[str, Any]:
        """The fields, as values that JSON knows."""
        return {
            one.name: plain(getattr(self, one.name))
            for one in attrs.fields(type(self))  # type: ignore[arg-type]  # subclasses are attrs'
        }

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.as_dict().items())


def plain(value: Any) -> Any:
    """The same in what JSON knows: enums by their value, durations in seconds, the rest as text."""
    write = next((write for kinds, write in _WRITERS if isinstance(value, kinds)), str)
    return write(value)


def seconds(duration: timedelta) -> float:
    """A duration in seconds, to the millisecond."""
    return round(duration.total_seconds(), 3)


# The first that fits counts: a boolean is an integer to Python.
_WRITERS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    ((bool, str, float, type(None)), lambda value: value),
    (int, lambda value: value if value.bit_length() <= _BITS_IN_DECIMAL else hex(value)),
    (Enum, lambda value: value.value),
    (date, lambda value: value.isoformat()),
    (timedelta, seconds),
    (AsDict, lambda value: value.as_dict()),
    (Mapping, lambda value: {str(name): plain(one) for name, one in value.items()}),
    ((tuple, list, frozenset), lambda value: [plain(one) for one in value]),
)


def settings_repr(value: Any, *positional: str) -> str:
    """A call that makes *value*: what is left at its default is left out.

    Args:
        value: An attrs instance.
        positional: Fields that are shown without their names.
    """
    given = [_SHORT.repr(getattr(value, name)) for name in positional]
    for one in attrs.fields(type(value)):
        held = getattr(value, one.name)
        if one.repr and one.name not in positional and held != _default(one.default):
            given.append(f"{one.name}={_SHORT.repr(held)}")
    return f"{type(value).__name__}({', '.join(given)})"


def _default(default: Any) -> Any:
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


def one_line(*parts: str) -> str:
    """The parts that are there, one behind the other."""
    return "; ".join(part for part in parts if part)


def number_of(count: int, one: str, many: str) -> str:
    """A number of things: "1 call", "1,000 calls"."""
    return f"{count:,} {one if count == 1 else many}"
