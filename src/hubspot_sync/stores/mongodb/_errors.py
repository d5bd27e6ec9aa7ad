"""The door at which errors of `pymongo` become ours."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from bson.errors import BSONError
from pymongo import errors

from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotSyncError,
    InvariantError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DUPLICATE_KEY: Final = 11_000
DOCUMENT_TOO_LARGE: Final = 10_334

# https://www.mongodb.com/docs/manual/reference/error-codes/
_REFUSED_ACCESS: Final = frozenset({11, 13, 18, 8_000})
_SOMEBODY_ELSES: Final = frozenset({67, 85, 86, 166})
# Those that the driver's specification calls retryable, time-outs, a full disk, a lost write.
_PASSING: Final = frozenset(
    {6, 7, 24, 43, 50, 64, 89, 91, 100, 112, 133, 134, 136, 175, 189, 202, 225, 234, 251, 262, 290}
    | {317, 358, 384, 9_001, 10_058, 10_107, 11_600, 11_602, 13_435, 13_436, 14_031}
)
_PASSING_LABELS: Final = (
    "RetryableWriteError",
    "TransientTransactionError",
    "UnknownTransactionCommitResult",
)

# Most specific first.
_BY_CLASS: Final[tuple[tuple[type[Exception], type[HubSpotSyncError], str], ...]] = (
    (errors.ConnectionFailure, StoreUnavailableError, "could not be reached; run again later"),
    (errors.ProtocolError, StoreUnavailableError, "gave a broken answer; run again later"),
    (
        errors.ConfigurationError,
        ConfigurationError,
        "cannot be used with these settings; check the URI and its options",
    ),
    (errors.InvalidName, ConfigurationError, "has a name that MongoDB does not take"),
    (errors.EncryptionError, ConfigurationError, "cannot encrypt; check the client's settings"),
    (errors.WriteConcernError, StoreUnavailableError, "did not confirm a write; run again later"),
    (errors.CursorNotFound, StoreUnavailableError, "forgot a query; run again later"),
    (errors.ExecutionTimeout, StoreUnavailableError, "took too long; run again later"),
)


@contextmanager
def mapped(where: str) -> Iterator[None]:
    """Turn what `pymongo` raises about the database *where* into one of our errors."""
    try:
        yield
    except (errors.PyMongoError, BSONError, OverflowError, UnicodeError) as error:
        raise translate(error, where) from error


def translate(error: Exception, where: str) -> HubSpotSyncError:
    """Our error for *error*; its text is left out, because it can hold documents."""
    for theirs, ours, advice in _BY_CLASS:
        if isinstance(error, theirs):
            return ours(f"{where} {advice} ({type(error).__name__})")
    if isinstance(error, errors.OperationFailure):
        return _by_code(error, where)
    if isinstance(error, errors.InvalidOperation) and "close" in str(error):
        return StoreUnavailableError(f"{where} was closed; open it again with MongoDatabase")
    return InvariantError(
        f"{where} was given what it cannot take ({type(error).__name__}); please report it"
    )


def _by_code(error: errors.OperationFailure, where: str) -> HubSpotSyncError:
    codes = _codes(error)
    shown = ", ".join(str(code) for code in sorted(codes)) or "unknown"
    if codes & _REFUSED_ACCESS:
        return ConfigurationError(
            f"{where} refuses access (code {shown}); check user, password, authSource and roles"
        )
    if codes & _SOMEBODY_ELSES:
        return ConfigurationError(
            f"{where} has indexes of another layout (code {shown}); give hubspot-sync a database "
            "of its own"
        )
    labelled = any(map(error.has_error_label, _PASSING_LABELS))
    if codes & _PASSING or _unconfirmed(error) or labelled:
        return StoreUnavailableError(
            f"{where} could not take or answer a call (code {shown}); run again later"
        )
    return InvariantError(f"{where} refused a call (code {shown}); please report it")


def _codes(error: errors.OperationFailure) -> set[int]:
    inner = _details(error).get("writeErrors", [])
    return {code for code in (error.code, *(one.get("code") for one in inner)) if code is not None}


def _unconfirmed(error: errors.OperationFailure) -> bool:
    return bool(_details(error).get("writeConcernErrors"))


def _details(error: errors.OperationFailure) -> Mapping[str, Any]:
    return error.details or {}
