"""Definitions of properties: read once per account and type, and used to choose what to ask for."""

from __future__ import annotations

import threading
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from hubspot_sync._hubspot.client import Call
from hubspot_sync.errors import ConfigurationError, HubSpotUnavailableError
from hubspot_sync.models import PropertyDefinition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.client import HubSpotClient
    from hubspot_sync.models import AccountKey, StreamSettings

_NAMED_IN_ERRORS: Final = 5


class DefinitionCache:
    """Remembers definitions by account and object type, for a time and up to a number.

    Args:
        lifetime: How long definitions are believed.
        size: How many account and type pairs are kept; the oldest go first.
        clock: Tells their age.
    """

    def __init__(self, *, lifetime: timedelta, size: int, clock: Clock) -> None:
        self._lifetime = lifetime.total_seconds()
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[tuple[AccountKey, str], tuple[float, tuple[PropertyDefinition, ...]]] = {}

    def get(self, account: AccountKey, object_type: str) -> tuple[PropertyDefinition, ...] | None:
        """The definitions, or None where they are not known or too old."""
        with self._lock:
            read_at, definitions = self._held.get((account, object_type), (None, ()))
            if read_at is None or self._clock.monotonic() - read_at > self._lifetime:
                return None
            return definitions

    def put(
        self, account: AccountKey, object_type: str, definitions: tuple[PropertyDefinition, ...]
    ) -> None:
        """Remember *definitions*."""
        with self._lock:
            self._held.pop((account, object_type), None)
            while len(self._held) >= self._size:
                del self._held[next(iter(self._held))]
            self._held[account, object_type] = self._clock.monotonic(), definitions


def read_definitions(
    client: HubSpotClient, path: str, object_type: str
) -> tuple[PropertyDefinition, ...]:
    """Ask HubSpot for the definitions of all properties of *object_type* that are not archived."""
    reply = client.call(
        Call(
            endpoint="properties",
            method="GET",
            path=path,
            path_params={"object_type": object_type},
            doing=f"reading the property definitions of {object_type!r}",
        )
    )
    rows = reply.body.get("results") if isinstance(reply.body, dict) else None
    if not isinstance(rows, list):
        raise HubSpotUnavailableError(f"HubSpot sent no list of properties for {object_type!r}")
    return tuple(_definition(row) for row in rows if isinstance(row, dict) and row.get("name"))


def _definition(row: dict[str, Any]) -> PropertyDefinition:
    return PropertyDefinition(
        name=str(row["name"]),
        type=str(row.get("type") or "string"),
        field_type=str(row.get("fieldType") or "text"),
        calculated=row.get("calculated") is True,
    )


def choose_properties(
    settings: StreamSettings, definitions: Sequence[PropertyDefinition]
) -> tuple[str, ...]:
    """The names to ask for: those that *settings* names or that match its patterns, or all.

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
    # Asked for nothing, HubSpot sends some properties of its own choice; its id comes always.
    return tuple(name for name in chosen if name not in excluded) or ("hs_object_id",)


def found_nowhere(
    defined: Sequence[tuple[StreamSettings, Sequence[PropertyDefinition]]],
) -> tuple[str, ...]:
    """Hints at the names and patterns of a common list that fit no stream which has that list.

    Args:
        defined: Streams of one account, each with the properties that its object type has.
    """
    existing: dict[str, set[str]] = {}
    for settings, definitions in defined:
        for given in (*(settings.properties or ()), *settings.exclude):
            existing.setdefault(given, set()).update(one.name for one in definitions)
    return tuple(
        _hint(given, sorted(names))
        for given, names in existing.items()
        if not _matches(given, sorted(names))
    )


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
        "correct the list of properties",
        stream=object_type,
    )


def _hint(given: str, existing: Sequence[str]) -> str:
    if _is_pattern(given):
        return f"that matches {given!r}"
    close = get_close_matches(given, existing, n=1)
    return f"{given!r} (did you mean {close[0]!r}?)" if close else repr(given)
