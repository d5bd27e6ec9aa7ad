"""What the parts of the host's may answer, and what becomes of it when they answer otherwise.

Every call of such a part goes through here: `guarded` gives a part whose answers are looked at and
whose exceptions are ours. So whatever a host's store does, the error names it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import PurePath
from traceback import extract_tb
from typing import Any, Final, TypeVar, cast

from attrs import frozen

from hubspot_sync._clock import Clock, StopRequested, SystemClock
from hubspot_sync.errors import HubSpotSyncError, InvariantError
from hubspot_sync.interfaces.source import Source
from hubspot_sync.models import (
    AccountDetails,
    AccountEntry,
    AccountKey,
    Checkpoint,
    Fingerprint,
    Lease,
    OAuthTokens,
    Quota,
    RejectedAction,
    RejectedCounts,
    SinkAnswer,
    StaticAccessToken,
    StoredCredentials,
    StreamKey,
    StreamProgress,
    StreamSettings,
)
from hubspot_sync.models._checks import with_article

T = TypeVar("T")
Arguments = tuple[Any, ...]

_logger = logging.getLogger("hubspot_sync")


def unforeseen(error: Exception, where: object, part: str) -> InvariantError:
    """Our error for *error*, whose traceback is logged; its text is left out, it can hold values.

    Args:
        error: What *part* may not raise.
        where: The account or the stream, for the log.
        part: What failed, in words.
    """
    _logger.error("%s: %s failed unexpectedly", where, part, exc_info=error)
    ours = InvariantError(
        f"{part} failed with {type(error).__name__} ({place_of(error)}), which no part of a sync "
        "may raise; the log has the traceback: fix it, and run again"
    )
    ours.__cause__ = error
    return ours


def place_of(error: Exception) -> str:
    """Which line raised *error*."""
    place = extract_tb(error.__traceback__)[-1]
    return f"{PurePath(place.filename).name}, line {place.lineno}"


@frozen
class Answer:
    """What a method has to return.

    Attributes:
        wanted: That, in words.
        fits: Whether an answer to these arguments is that.
    """

    wanted: str
    fits: Callable[[Any, Arguments], bool]

    def __or__(self, other: None) -> Answer:
        """The same, or None."""
        return Answer(
            f"{self.wanted} or None",
            lambda answer, given: answer is None or self.fits(answer, given),
        )


def guarded(part: T, answers: Mapping[str, Answer]) -> T:
    """The *part*, with each of these methods watched; all else is its own, also its class."""
    return part if type(part) is _Guarded else cast("T", _Guarded(part, answers))


class _Guarded:
    def __init__(self, part: object, answers: Mapping[str, Answer]) -> None:
        self.__part = part
        self.__answers = answers

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self.__part)

    def __repr__(self) -> str:
        return repr(self.__part)

    def __getattr__(self, name: str) -> Any:
        answer = self.__answers.get(name)
        if answer is None:
            return getattr(self.__part, name)
        method = getattr(self.__part, name)
        title = f"{type(self.__part).__qualname__}.{name}"
        return lambda *given, **named: _asked(title, partial(method, *given, **named), answer)

    def __call__(self, *given: Any, **named: Any) -> Any:
        return self.__getattr__("__call__")(*given, **named)


def _asked(name: str, call: partial[Any], wanted: Answer) -> Any:
    """What *call* returns, of the host's method *name*.

    Raises:
        InvariantError: It returned something else, or raised what it may not.
        HubSpotSyncError: What it raised.
        StopRequested: It was stopped.
    """
    try:
        answer = call()
        fits = wanted.fits(answer, (*call.args, *call.keywords.values()))
    except (HubSpotSyncError, StopRequested):
        raise
    except Exception as error:
        raise unforeseen(error, _place_in(call.args), name) from error
    if not fits:
        raise InvariantError(
            f"{name} gave a {type(answer).__name__}; fix it so that it returns {wanted.wanted}, "
            "and run again"
        )
    return answer


def _place_in(given: Arguments) -> object:
    """The account or the stream that a call was about."""
    first = given[0] if given else None
    if isinstance(first, (list, tuple)) and first:
        first = first[0]  # of a batch of actions, or of failures
    for name in ("stream", "account", "key"):
        first = getattr(first, name, first)
    return first if isinstance(first, (AccountKey, StreamKey)) else "engine"


def _a(kind: type, fits: Callable[[Any, Arguments], bool] = lambda _answer, _given: True) -> Answer:
    return Answer(
        with_article(kind), lambda answer, given: isinstance(answer, kind) and fits(answer, given)
    )


def _page(kind: type, mark: Callable[[Any], object] = lambda one: one) -> Answer:
    """A list of these, the last of which is not the one that the page was to come after."""

    def fits(answer: object, given: Arguments) -> bool:
        if not isinstance(answer, Sequence) or isinstance(answer, (str, bytes)):
            return False
        if not all(isinstance(one, kind) for one in answer):
            return False
        return not answer or not any(mark(answer[-1]) == one for one in given if one is not None)

    return Answer(f"a list of {kind.__name__}, which goes on after the page before it", fits)


def _by_id(kind: type, *, about: int | None = None) -> Answer:
    """A mapping by id; no ids but those that were asked for in the argument *about*."""

    def fits(answer: object, given: Arguments) -> bool:
        if not isinstance(answer, Mapping):
            return False
        if about is not None and not answer.keys() <= set(given[about]):
            return False
        return all(
            isinstance(key, str)
            and isinstance(value, kind)
            and not isinstance(value, bool)
            and getattr(value, "object_id", key) == key
            for key, value in answer.items()
        )

    asked_for = " for what was asked for alone" if about is not None else ""
    return Answer(f"a mapping of {kind.__name__} by id{asked_for}", fits)


def _by_stream(kind: type) -> Answer:
    """A mapping by stream."""

    def fits(answer: object, _given: Arguments) -> bool:
        return isinstance(answer, Mapping) and all(
            isinstance(key, StreamKey) and isinstance(value, kind) for key, value in answer.items()
        )

    return Answer(f"a mapping of {kind.__name__} by StreamKey", fits)


def _is_instant(answer: object, _: Arguments) -> bool:
    return isinstance(answer, datetime) and answer.tzinfo is not None


def _is_number(answer: object) -> bool:
    return isinstance(answer, (int, float)) and not isinstance(answer, bool)


def _are_credentials(answer: StoredCredentials, _: Arguments) -> bool:
    known = isinstance(answer.credentials, (StaticAccessToken, OAuthTokens))
    return known and isinstance(answer.revision, int)


_ANYTHING: Final = Answer("anything", lambda _answer, _given: True)
_INSTANT: Final = Answer("an aware datetime", _is_instant)
_STORED: Final = _a(StoredCredentials, _are_credentials)
SINK: Final = {
    "write": _a(SinkAnswer),
    "erase": _a(int),
    "purge": _a(int),
    "scrub": _ANYTHING,
}
CHECKPOINTER: Final = {
    "acquire": _a(Lease, lambda lease, given: bool(lease.stream == given[0])),
    "renew": _a(Lease, lambda lease, given: bool(lease.stream == given[0].stream)),
    "release": _ANYTHING,
    "streams": _page(StreamKey),
    "load": _a(Checkpoint),
    "survey": _by_stream(StreamProgress),
    "recall": _by_id(Fingerprint, about=1),
    "browse": _page(Fingerprint, lambda fingerprint: fingerprint.object_id),
    "count": _a(int),
    "forget": _a(int),
    "scrub": _ANYTHING,
    "commit": _ANYTHING,
}
TOKEN_STORE: Final = {
    "load": _STORED | None,
    "save": _STORED,
    "delete": _ANYTHING,
    "accounts": _page(AccountKey),
}
ACCOUNT_STORE: Final = {
    "load": _a(AccountEntry, lambda entry, given: bool(entry.key == given[0])) | None,
    "save": _a(AccountEntry, lambda entry, given: bool(entry.key == given[0].key)),
    "delete": _ANYTHING,
    "browse": _page(AccountEntry, lambda entry: entry.key),
    "due": _page(AccountEntry),
    "domains": _page(str),
}
ERROR_QUEUE: Final = {
    "put": _ANYTHING,
    "due": _page(RejectedAction),
    "browse": _page(RejectedAction),
    "held": _by_id(int, about=1),
    "settle": _ANYTHING,
    "count": _by_id(int),
    "tally": _by_stream(RejectedCounts),
    "drop": _a(int),
    "scrub": _ANYTHING,
}
NONCE_STORE: Final = {"spend": _a(bool)}
KEY_PROVIDER: Final = {"primary": _a(str), "key": _a(str) | None}
CLOCK: Final = {
    "now": _INSTANT,
    "monotonic": Answer("a number of seconds", lambda answer, _: _is_number(answer)),
    "random": Answer(
        "a number in [0, 1)", lambda answer, _: _is_number(answer) and 0 <= answer < 1
    ),
    "sleep": _ANYTHING,
}
SOURCE: Final = {
    "resolve": _a(StreamSettings),
    "identify": _a(AccountDetails),
    "server_time": _INSTANT,
    "api_calls": _by_id(int),
    "quota": _a(Quota),
    "close": _ANYTHING,
}


def guarded_source(source: Source, factory: object) -> Source:
    """What *factory*, the host's, opened.

    Raises:
        InvariantError: It is no `Source`.
    """
    for method in ("read", "associations", *SOURCE):
        if not callable(getattr(source, method, None)):
            name = getattr(factory, "__qualname__", type(factory).__qualname__)
            kind = type(source).__name__
            raise InvariantError(
                f"{name} gave a {kind} without a method `{method}`; fix it so that it returns a "
                "Source, see hubspot_sync.interfaces, and run again"
            )
    return guarded(source, SOURCE)


def clock_of(given: Clock | None) -> Clock:
    """The clock that is worked with; the system's where none is given."""
    if given is None or type(given).__module__.partition(".")[0] == "hubspot_sync":
        return given or SystemClock()
    return guarded(given, CLOCK)
