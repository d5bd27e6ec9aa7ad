"""The door at which errors of `pymongo` become ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

from attrs import frozen
from bson.errors import BSONError
from pymongo import errors

from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotSyncError,
    InvariantError,
    StoreUnavailableError,
)

DUPLICATE_KEY: Final = 11_000
DOCUMENT_TOO_LARGE: Final = 10_334
_TRANSACTION_TOO_LARGE: Final = frozenset({257, 388})

_BULK: Final = 65  # says only that some writes of a bulk failed; their own codes say why
_UNAUTHORIZED: Final = 13
_ATLAS: Final = 8_000
# https://learn.microsoft.com/azure/cosmos-db/mongodb/error-codes-solutions
_THROTTLED: Final = 16_500
_RETRY_AFTER: Final = re.compile(r"RetryAfterMs=([0-9]{1,9})")
_LONGEST_WAIT: Final = timedelta(minutes=1)
# The server's texts hold whole documents, so only names are taken out of them.
_NOT_ALLOWED: Final = (
    re.compile(r"not authorized on (?P<place>\S+) to execute command \{ (?P<what>\w+): "),
    re.compile(r"not allowed to do action \[(?P<what>\w+)\] on \[(?P<place>[^]\s]+)\]"),
)
_COLLECTION: Final = re.compile(r'to execute command \{ \w+: "([\w.-]+)"')
_OTHER_CASE: Final = re.compile(r"already have: \[([^]]+)\]")
_UNIQUE: Final = re.compile(r"collection: (\S+) index: (\S+)")
# What passes: what the driver's specification calls retryable, time-outs, a lost write, work on
# indexes or chunks, a server's own mishap, and a collection that somebody dropped or made just now;
# https://www.mongodb.com/docs/manual/reference/error-codes/
_PASSING: Final = frozenset(
    {1, 6, 7, 8, 24, 26, 43, 46, 48, 50, 63, 64, 89, 91, 100, 112, 117, 133, 134, 136, 150, 175}
    | {189, 202, 211, 225, 234, 237, 246, 251, 262, 267, 276, 290, 317, 358, 365, 384}
    | {9_001, 10_058, 10_107, 11_600, 11_601, 11_602, 12_586, 12_587, 13_388, 13_435, 13_436}
)


@frozen
class _Said:
    """What a server's code means.

    Attributes:
        kind: The error of ours.
        what: What it is about the database, before the code.
        advice: What follows the code.
    """

    kind: type[HubSpotSyncError]
    what: str
    advice: str = "; run again later"

    def error(self, where: str, shown: str) -> HubSpotSyncError:
        """Our error about the database *where*."""
        return self.kind(f"{where} {self.what} (code {shown}){self.advice}")


_LATER: Final = _Said(StoreUnavailableError, "could not take or answer a call")
_NO_RETRYABLE_WRITES: Final = _Said(
    ConfigurationError,
    "has no retryable writes",
    "; add retryWrites=false to the URI, or to your client",
)
_SERVERS: Final = (
    "the guide to MongoDB has the servers that will do, and the role that a user needs"
)
# What servers, and services that speak like one, say; the first that fits counts.
_BY_CODE: Final[tuple[tuple[frozenset[int], _Said], ...]] = (
    (_PASSING, _LATER),
    (
        frozenset({14_031}),
        _Said(StoreUnavailableError, "cannot grow, its disk is full", "; make room and run again"),
    ),
    (
        _TRANSACTION_TOO_LARGE,
        _Said(
            StoreUnavailableError,
            "has no room in its cache for a transaction",
            "; run again later, and if it stays so give it more memory, or take a smaller "
            "SyncSettings.batch_size",
        ),
    ),
    (
        frozenset({11, 18, 31, 334}),
        _Said(
            ConfigurationError,
            "refuses access",
            "; check user, password, authSource and roles",
        ),
    ),
    (
        frozenset({67, 85, 86, 166}),
        _Said(
            ConfigurationError,
            "has indexes of another layout",
            "; give hubspot-sync a database of its own",
        ),
    ),
    (
        frozenset({73}),
        _Said(ConfigurationError, "has a name that MongoDB does not take", "; give another"),
    ),
    (
        frozenset({121}),
        _Said(
            ConfigurationError,
            "has a validator that does not take a document of hubspot-sync",
            "; drop it with collMod, or give hubspot-sync a database of its own",
        ),
    ),
    (
        frozenset({20, 263}),
        _Said(
            ConfigurationError,
            "has no transactions",
            "; use a replica set",
        ),
    ),
    (
        frozenset({96, 146, 292}),
        _Said(
            ConfigurationError,
            "has too little memory for a query",
            "; set allowDiskUseByDefault, and see that the indexes of hubspot-sync are there",
        ),
    ),
    (
        frozenset({59, 72, 115, 168, 197, 238, 303, 304, 40_324}),
        _Said(ConfigurationError, "does not know what hubspot-sync asks it for", f"; {_SERVERS}"),
    ),
    (
        frozenset({17_280}),
        _Said(
            ConfigurationError,
            "does not take a key as long as this in an index",
            "; give shorter domain ids",
        ),
    ),
    (
        frozenset({14, 16_554, 16_555, 16_556}),
        _Said(
            InvariantError,
            "holds a document that is not as hubspot-sync wrote it",
            "; restore it from a backup, or delete it",
        ),
    ),
    (
        frozenset({DOCUMENT_TOO_LARGE, 17_419, 17_420}),
        _Said(
            InvariantError,
            "was given a document of hubspot-sync that is larger than it takes",
            "; please report it",
        ),
    ),
)
_PASSING_LABELS: Final = (
    "RetryableWriteError",
    "TransientTransactionError",
    "UnknownTransactionCommitResult",
)

# Where one class of the driver's means several things.
_BY_WORDS: Final[
    tuple[tuple[type[Exception], tuple[str, ...], type[HubSpotSyncError], str], ...]
] = (
    (
        errors.ConnectionFailure,
        ("SSL handshake failed", "CERTIFICATE_VERIFY_FAILED", "certificate verify failed"),
        StoreUnavailableError,
        "could not be reached safely; check its certificate (tlsCAFile), or run again later",
    ),
    (
        errors.ConfigurationError,
        ("resolution lifetime expired", "nameservers failed", "DNS operation timed out"),
        StoreUnavailableError,
        "could not be looked up; run again later",
    ),
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
    for theirs, words, ours, advice in _BY_WORDS:
        if isinstance(error, theirs) and any(word in str(error) for word in words):
            return ours(f"{where} {advice} ({type(error).__name__})")
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
    codes, text = _codes(error), _text(error)
    shown = ", ".join(str(code) for code in sorted(codes)) or "unknown"
    if _THROTTLED in codes:
        return _throttled(text, where)
    # Of several problems in a batch, the others come again when it is repeated.
    if codes & _PASSING or _details(error).get("writeConcernErrors"):
        return _LATER.error(where, shown)
    readings = (read(text) for code, read in _BY_TEXT.items() if code in codes)
    meanings = (said for known, said in _BY_CODE if codes & known)
    if said := next((one for one in (*readings, *meanings) if one is not None), None):
        return said.error(where, shown)
    if any(map(error.has_error_label, _PASSING_LABELS)):
        return _LATER.error(where, shown)
    name = str(_details(error).get("codeName", ""))
    return InvariantError(
        f"{where} refused a call (code {shown}{f' {name}' if name.isalnum() else ''}); please "
        "report it"
    )


def _throttled(text: str, where: str) -> StoreUnavailableError:
    waits = [timedelta(milliseconds=int(wait)) for wait in _RETRY_AFTER.findall(text)]
    return StoreUnavailableError(
        f"{where} gets more requests than its throughput allows (code {_THROTTLED}); run "
        "again later, or raise the throughput",
        retry_after=min(max(waits), _LONGEST_WAIT) if waits else None,
    )


def _unauthorized(text: str) -> _Said:
    for pattern in _NOT_ALLOWED:
        if match := pattern.search(text):
            collection = _COLLECTION.search(text)
            place = f"{match['place']}.{collection[1]}" if collection else match["place"]
            advice = f": its user is not allowed to {match['what']} on {place}; {_SERVERS}"
            return _Said(ConfigurationError, "refuses access", advice)
    if "requires authentication" in text:
        return _Said(
            ConfigurationError,
            "refuses access",
            ": it wants a user and a password; give them in the URI, with authSource",
        )
    return _Said(ConfigurationError, "refuses access", f"; {_SERVERS}")


def _atlas(text: str) -> _Said:
    """What MongoDB Atlas means by the one code that it has for all that it refuses itself."""
    if "quota" in text:
        return _Said(
            StoreUnavailableError,
            "takes no more data, the storage of the Atlas cluster is used up",
            "; make room, or take a larger cluster, and run again",
        )
    if "not allowed" in text or "not authorized" in text:
        return _unauthorized(text)
    if "uthentication failed" in text or "bad auth" in text:
        return _Said(
            ConfigurationError,
            "refuses access",
            "; check user, password and authSource, and the database users at Atlas",
        )
    return _Said(
        ConfigurationError,
        "is refused by Atlas",
        "; check the access and the limits of the cluster there",
    )


def _retryable_writes(text: str) -> _Said | None:
    """The driver says so with 20, Amazon DocumentDB with 301; both codes mean other things, too."""
    return _NO_RETRYABLE_WRITES if "retryable writes" in text.lower() else None


def _no_retryable_writes(text: str) -> _Said:
    if "corrupt" in text.lower():
        return _Said(InvariantError, "is damaged", "; restore it from a backup")
    return _NO_RETRYABLE_WRITES


def _other_case(text: str) -> _Said:
    match = _OTHER_CASE.search(text)
    return _Said(
        ConfigurationError,
        f"differs only in its capitals from one that is there{f', {match[1]}' if match else ''}",
        ", and MongoDB does not have both; give the name of that one, or another",
    )


def _duplicate(text: str) -> _Said:
    match = _UNIQUE.search(text)
    return _Said(
        ConfigurationError,
        f"has a unique index{f' {match[2]} on {match[1]}' if match else ''} that does not take a "
        "document of hubspot-sync",
        "; drop it if it is yours, else remove the documents that were written there by hand",
    )


# What the code alone does not say; these come first.
_BY_TEXT: Final[Mapping[int, Callable[[str], _Said | None]]] = {
    _UNAUTHORIZED: _unauthorized,
    _ATLAS: _atlas,
    20: _retryable_writes,
    301: _no_retryable_writes,
    13_297: _other_case,
    DUPLICATE_KEY: _duplicate,
}


def _codes(error: errors.OperationFailure) -> set[int]:
    """The code of *error*, or those of the writes in it."""
    inner = {one.get("code") for one in _details(error).get("writeErrors", ())}
    return {code for code in inner | {error.code} if code is not None} - (
        {_BULK} if inner else set()
    )


def _text(error: errors.OperationFailure) -> str:
    """All that the server says in words, to look for what is known; never to be shown."""
    inner = (str(one.get("errmsg", "")) for one in _details(error).get("writeErrors", ()))
    code_name = str(_details(error).get("codeName", ""))
    return "\n".join((str(error), code_name, *inner))


def _details(error: errors.OperationFailure) -> Mapping[str, Any]:
    return error.details or {}
