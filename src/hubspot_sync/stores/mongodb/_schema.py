"""The collections, their index, and the version that says which layout they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pymongo import ReturnDocument

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import ActionKind

if TYPE_CHECKING:
    from pymongo.database import Database

ACTIONS: Final = "actions"
CHECKPOINTS: Final = "checkpoints"
FINGERPRINTS: Final = "fingerprints"
CREDENTIALS: Final = "credentials"
SCHEMA: Final = "schema"

SCHEMA_VERSION: Final = 1
_NAME: Final = "hubspot_sync"
# What MongoDB 5.0 speaks: the first version that takes any field name, dots and dollars included.
_OLDEST_WIRE_VERSION: Final = 13


def ensure(database: Database[dict[str, Any]], where: str) -> None:
    """Check the server and the layout, and create what is missing.

    Raises:
        ConfigurationError: The server is too old, or a newer version of this library made the
            collections.
    """
    if database.command("hello").get("maxWireVersion", 0) < _OLDEST_WIRE_VERSION:
        raise ConfigurationError(f"{where} is too old; hubspot-sync needs MongoDB 5.0 or later")
    version = _version(database)
    if version > SCHEMA_VERSION:
        raise ConfigurationError(
            f"{where} was made by a newer version of hubspot-sync (schema {version}, this version "
            f"knows {SCHEMA_VERSION}); upgrade hubspot-sync, or give another database"
        )
    database[ACTIONS].create_index(
        ["domain_id", "account_id", "object_type", "object_id"],
        name="created",
        unique=True,
        partialFilterExpression={"kind": ActionKind.CREATED.value},
    )


def _version(database: Database[dict[str, Any]]) -> int:
    # Where two workers do this at once, the server repeats the one that came second.
    document = database[SCHEMA].find_one_and_update(
        {"_id": _NAME},
        {"$setOnInsert": {"version": SCHEMA_VERSION}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    return int((document or {}).get("version", SCHEMA_VERSION))
