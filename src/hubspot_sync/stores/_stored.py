"""What a store holds, read so that a document that somebody changed by hand says which one it is.

The stores write whole documents and trust none of them: a field may be missing or of another kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, TypeVar

from hubspot_sync._clock import SLACK
from hubspot_sync.errors import InvariantError

T = TypeVar("T")

# What an odd shape raises; a `ConfigurationError` of a model is a `ValueError`, too.
_ODD: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
# Made once: to format a number takes longer than the rest of a place.
_LENGTHS: Final = tuple(f"{length:02d}:" for length in range(100))


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Say that *what* cannot be read, whatever its odd shape raises in the block.

    Raises:
        InvariantError: It cannot be read.
    """
    try:
        yield
    except InvariantError as error:
        raise InvariantError(
            f"{what}: {error.message}", account=error.account, stream=error.stream
        ) from None
    except _ODD:  # from None, because it may quote what could not be read
        raise InvariantError(
            f"{what} is not as it was written; restore it from a backup, or delete it"
        ) from None


def ago(passed: timedelta | None) -> timedelta | None:
    """How long ago something was, by one clock; None where that clock was set back meanwhile."""
    if passed is None or passed < -SLACK:
        return None
    return max(passed, timedelta(0))


def whole(value: object) -> int:
    """*value* as a plain whole number.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return int(value)


def _only(kind: type[T]) -> Callable[[object], T]:
    """What gives back a value of *kind*, and raises a `TypeError` for any other."""

    def the_value(value: object) -> T:
        if not isinstance(value, kind):
            raise TypeError
        return value

    return the_value


text = _only(str)
binary = _only(bytes)


def instant(value: object) -> datetime:
    """*value*, which is an aware datetime.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError
    return value


def place_of(object_id: str) -> str:
    """*object_id* as text that sorts as its number does: "03:123".

    An id that is no number may be of any length; those of 99 characters and more sort as text.
    """
    return _LENGTHS[min(len(object_id), 99)] + object_id


def object_id_of(place: str) -> str:
    """The object id of a place."""
    return place[3:]
