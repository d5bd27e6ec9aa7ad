"""The collections, their indexes, the version that says which layout they have, and the way on.

A new database begins with the present layout; only documents that are there already go the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.database import Database

from hubspot_sync.errors import ConfigurationError
from hubspot_sync.models import ActionKind
from hubspot_sync.stores._stored import reading, whole

Step = Callable[[Database[dict[str, Any]]], object]


ACTIONS: Final = "actions"
CHECKPOINTS: Final = "checkpoints"
FINGERPRINTS: Final = "fingerprints"
CREDENTIALS: Final = "credentials"
ERRORS: Final = "errors"
ERROR_PARTS: Final = "error_parts"
RECORDS: Final = "records"
ACCOUNTS: Final = "accounts"
NONCES: Final = "nonces"
SCHEMA: Final = "schema"


# The first one leads from version 1 to 2, and so on. A step may run again after a crash, beside
# the same step of another worker, and late, when others have gone on: it only touches what still
# has the form of its version, as in `update_many({"new": {"$exists": False}}, ...)`.
def _order_fingerprints(database: Database[dict[str, Any]]) -> None:
    """Give fingerprints keys that sort as their ids do, as numbers: "...:03:123" for "...:123"."""
    fingerprints = database[FINGERPRINTS]
    parts = {"$split": ["$_id", ":"]}
    object_id = {"$arrayElemAt": [parts, -1]}
    # An id of one digit takes the last character off, one of two digits two, and so on.
    size = {"$strLenCP": object_id}
    prefix = {"$substrCP": ["$_id", 0, {"$subtract": [{"$strLenCP": "$_id"}, size]}]}
    digits = {
        "$cond": [
            {"$lt": [size, 10]},
            {"$concat": ["0", {"$toString": size}]},
            {"$toString": size},
        ]
    }
    old = {"_id": {"$not": {"$regex": _ORDERED}}}
    fingerprints.aggregate(
        [
            {"$match": old},
            {"$set": {"_id": {"$concat": [prefix, digits, ":", object_id]}}},
            {"$merge": {"into": FINGERPRINTS, "whenMatched": "keepExisting"}},
        ]
    )
    fingerprints.delete_many(old)


_ORDERED: Final = r":[0-9]{2}:[^:]*$"
STEPS: Final[tuple[Step, ...]] = (_order_fingerprints,)

CREATED_KEYS: Final = ("domain_id", "account_id", "object_type", "object_id")

_NAME: Final = "hubspot_sync"
# Nonces are kept beyond their end, for a worker whose clock is behind the server's.
_SPARE_SECONDS: Final = 3_600
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
    present = 1 + len(STEPS)
    version = _version(database, present)
    if version > present:
        raise ConfigurationError(
            f"{where} was made by a newer version of hubspot-sync (schema {version}, this version "
            f"knows {present}); upgrade hubspot-sync, or give another database"
        )
    for number in range(version, present):
        STEPS[number - 1](database)
        # Matches nothing where another worker was faster.
        database[SCHEMA].update_one(
            {"_id": _NAME, "version": number}, {"$set": {"version": number + 1}}
        )
    _create_indexes(database)


def _version(database: Database[dict[str, Any]], present: int) -> int:
    # Where two workers do this at once, the server repeats the one that came second.
    document = database[SCHEMA].find_one_and_update(
        {"_id": _NAME},
        {"$setOnInsert": {"version": present}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    with reading(f"the document {_NAME} in the collection {SCHEMA}"):
        return whole((document or {})["version"])


def _create_indexes(database: Database[dict[str, Any]]) -> None:
    database[ACTIONS].create_index(
        CREATED_KEYS,
        name="created",
        unique=True,
        partialFilterExpression={"kind": ActionKind.CREATED.value},
    )
    # For what is due, for a walk in the order of the keys, and for what belongs together.
    database[ERRORS].create_index(["domain_id", "account_id", "object_type", "next_at"], name="due")
    database[ERRORS].create_index(["domain_id", "account_id", "_id"], name="walk")
    database[ERROR_PARTS].create_index(["error_id"], name="error")
    # The same for accounts, with all that is asked for in them, so that none is read for nothing.
    database[ACCOUNTS].create_index(["domain_id", "account_id", "status"], name="walk")
    database[ACCOUNTS].create_index(
        ["status", "next_sync_at", "domain_id", "account_id"], name="due"
    )
    database[NONCES].create_index("expires_at", name="expiry", expireAfterSeconds=_SPARE_SECONDS)
