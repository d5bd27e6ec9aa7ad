"""How long MongoDB keeps the actions: an index by which the server deletes old ones."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from pymongo.collection import Collection
from pymongo.errors import OperationFailure

from hubspot_sync.errors import ConfigurationError

_NAME: Final = "expiry"
_SECOND: Final = timedelta(seconds=1)
# https://www.mongodb.com/docs/manual/core/index-ttl/#restrictions
_LONGEST: Final = timedelta(seconds=2**31 - 1)
_NO_SUCH_INDEX: Final = 27
_OTHER_OPTIONS: Final = 85


def check_expiry(expire_after: timedelta | None) -> None:
    """Refuse a time that MongoDB cannot keep to.

    Raises:
        ConfigurationError: It is shorter than a second, or longer than 68 years.
    """
    if expire_after is not None and not _SECOND <= expire_after <= _LONGEST:
        raise ConfigurationError(
            f"expire_after is {expire_after!r}; give a time from a second to 68 years, or None to "
            "keep all actions"
        )


def ensure_expiry(collection: Collection[dict[str, Any]], expire_after: timedelta | None) -> None:
    """Make the index say *expire_after*, or drop it for None; harmless beside other workers."""
    if expire_after is None:
        _drop(collection)
        return
    seconds = expire_after // _SECOND
    try:
        collection.create_index("stored_at", name=_NAME, expireAfterSeconds=seconds)
    except OperationFailure as error:
        if error.code != _OTHER_OPTIONS or _NAME not in collection.index_information():
            raise
        index = {"name": _NAME, "expireAfterSeconds": seconds}
        collection.database.command("collMod", collection.name, index=index)


def _drop(collection: Collection[dict[str, Any]]) -> None:
    if _NAME in collection.index_information():
        try:
            collection.drop_index(_NAME)
        except OperationFailure as error:
            # Another worker was faster.
            if error.code != _NO_SUCH_INDEX:
                raise
