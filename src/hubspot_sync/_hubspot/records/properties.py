"""Definitions of properties: read once per account and type, and used to choose what to ask for."""

from __future__ import annotations

import threading
from datetime import timedelta
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from attrs import evolve, frozen

from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync.errors import ConfigurationError, HubSpotUnavailableError
from hubspot_sync.models import PropertyDefinition, PropertySet, cursor_field

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from datetime import datetime

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.calls.client import HubSpotClient
    from hubspot_sync.models import StreamSettings

_NAMED_IN_ERRORS: Final = 5
_ID: Final = "hs_object_id"
# A list that is shorter by more than this is doubted, and asked for so many times.
_FEW: Final = 3
_SMALL_SHARE: Final = 0.1
_LOOKS: Final = 3
# HubSpot forgets an archived property after that (docs/hubspot.md, 9).
_ARCHIVED_FOR: Final = timedelta(days=85)
T = TypeVar("T")


@frozen(kw_only=True)
class Definitions:
    """What properties an object type has.

    Attributes:
        all: All that are not archived.
        read_at: When HubSpot said so at the earliest, by its own clock.
    """

    all: tuple[PropertyDefinition, ...]
    read_at: datetime


def read_definitions(
    client: HubSpotClient,
    path: str,
    object_type: str,
    *,
    now: Callable[[], datetime],
    clock: Clock,
    last: PropertySet | None = None,
) -> Definitions:
    """Ask HubSpot for the definitions of all properties of *object_type* that are not archived.

    A list that lacks what every object has is no answer. One that is much shorter than the last
    one is believed when HubSpot says that the others are archived: what records have in properties
    that are left out would look as if it had been removed.

    Args:
        client: Calls HubSpot.
        path: Where the definitions are.
        object_type: The object type.
        now: Tells HubSpot's time.
        clock: Tells how long ago the call was sent.
        last: What was read last.

    Raises:
        HubSpotUnavailableError: There is no list that can be believed.
    """
    call = Call(
        endpoint="properties",
        method="GET",
        path=path,
        path_params={"object_type": object_type},
        doing=f"reading the property definitions of {object_type!r}",
    )
    for look in range(1, _LOOKS + 1):
        reply = client.call(call, lambda body: _definitions(body, object_type))
        since_asked = timedelta(seconds=clock.monotonic() - reply.asked_at)
        definitions = Definitions(all=reply.content, read_at=now() - since_asked)
        lacking = _lacking(definitions, last)
        if not lacking:
            return definitions
        archived = evolve(call, query=(("archived", "true"),))
        if len(client.call(archived, _names).content) >= lacking:
            return definitions
        client.pause(look)
    raise HubSpotUnavailableError(
        f"HubSpot lists {len(reply.content)} properties of {object_type}, {lacking} fewer than "
        "before, and does not say that they were archived; so the list is not believed, run again"
    )


def _definitions(body: Any, object_type: str) -> tuple[PropertyDefinition, ...]:
    definitions = tuple(_definition(row) for row in body["results"])
    names = {definition.name for definition in definitions}
    if not names.issuperset((_ID, cursor_field(object_type))):
        raise HubSpotUnavailableError("HubSpot's list of properties lacks those that all have")
    return definitions


def _names(body: Any) -> set[str]:
    return {str(row["name"]) for row in body["results"]}


def _lacking(definitions: Definitions, last: PropertySet | None) -> int:
    """How many properties are gone; 0 where they are few, or where nobody could tell any more."""
    if last is None or definitions.read_at - last.defined_at > _ARCHIVED_FOR:
        return 0
    lacking = len(last.types) - len(definitions.all)
    return lacking if lacking > max(_FEW, len(last.types) * _SMALL_SHARE) else 0


def _definition(row: dict[str, Any]) -> PropertyDefinition:
    name = row["name"]
    if not isinstance(name, str) or not name:
        raise ValueError("a property without a name")
    return PropertyDefinition(
        name=name,
        type=str(row.get("type") or "string"),
        field_type=str(row.get("fieldType") or "text"),
        calculated=row.get("calculated") is True,
    )


def property_set(settings: StreamSettings, definitions: Definitions) -> PropertySet:
    """What is kept of what a pass reads of each record.

    Raises:
        ConfigurationError: As in `choose_properties`.
    """
    return PropertySet(
        types={one.name: one.type for one in definitions.all},
        read=frozenset(choose_properties(settings, definitions.all)),
        associations=frozenset(settings.associations),
        defined_at=definitions.read_at,
    )


def choose_properties(
    settings: StreamSettings, definitions: Sequence[PropertyDefinition]
) -> tuple[str, ...]:
    """The names to ask for: those that *settings* names or that match its patterns, or all.

    Those that it wants although HubSpot does not list them come as they are.

    Raises:
        ConfigurationError: A name does not exist, or a pattern matches nothing; HubSpot itself
            would drop it silently, see
            https://developers.hubspot.com/docs/guides/api/crm/using-object-apis
    """
    existing = sorted({definition.name for definition in definitions})
    wanted = existing if settings.properties is None else settings.properties
    found = {given: _matches(given, existing) for given in (*wanted, *settings.exclude)}
    unknown = [given for given, names in found.items() if not names]
    if unknown and not settings.ignore_missing:
        raise _unknown(settings.object_type, unknown, existing)
    chosen = dict.fromkeys(name for given in wanted for name in found[given])
    excluded = {name for given in settings.exclude for name in found[given]}
    listed = [name for name in chosen if name not in excluded]
    # Asked for nothing, HubSpot sends some properties of its own choice; its id comes always.
    return tuple(dict.fromkeys((*listed, *settings.unlisted_properties))) or (_ID,)


def _is_pattern(given: str) -> bool:
    return "*" in given or "?" in given


def _matches(given: str, existing: Sequence[str]) -> list[str]:
    if _is_pattern(given):
        return [name for name in existing if fnmatchcase(name, given)]
    return [given] if given in existing else []


def _unknown(
    object_type: str, unknown: Sequence[str], existing: Sequence[str]
) -> ConfigurationError:
    hints = ", ".join(_hint(given, existing) for given in unknown[:_NAMED_IN_ERRORS])
    more = len(unknown) - _NAMED_IN_ERRORS
    return ConfigurationError(
        f"{object_type} have no property {hints}{f' and {more} more' if more > 0 else ''}; "
        "correct the list of properties, or name in unlisted_properties what HubSpot knows without "
        "listing it",
        stream=object_type,
    )


def _hint(given: str, existing: Sequence[str]) -> str:
    if _is_pattern(given):
        return f"that matches {given!r}"
    close = get_close_matches(given, existing, n=1)
    return f"{given!r} (did you mean {close[0]!r}?)" if close else repr(given)


class Cache(Generic[T]):
    """Remembers answers; threads may share it.

    Args:
        lifetime: How long an answer is believed.
        size: How many are kept; the oldest go first.
        clock: Tells their age.
    """

    def __init__(self, *, lifetime: timedelta, size: int, clock: Clock) -> None:
        self._lifetime = lifetime.total_seconds()
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[Hashable, tuple[float, T]] = {}

    def get(self, key: Hashable) -> T | None:
        """What is remembered of *key*, or None where that is nothing, or too old."""
        with self._lock:
            held = self._held.get(key)
            if held is None or self._clock.monotonic() - held[0] > self._lifetime:
                return None
            return held[1]

    def put(self, key: Hashable, answer: T) -> None:
        """Remember *answer*."""
        with self._lock:
            self._held.pop(key, None)
            while len(self._held) >= self._size:
                del self._held[next(iter(self._held))]
            self._held[key] = self._clock.monotonic(), answer
