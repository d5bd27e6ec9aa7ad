"""List pages as they should not be, and an `after` that does not say where it leads.

That rows ascend by id and that `after` is the next id is observed, not promised (HubSpot 1.2). That
a paging value that HubSpot no longer takes is a 400 is not proved (HubSpot 3.4).
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from hubspot_sync.testing.emulator._failures import bad_request
from hubspot_sync.testing.emulator._spoiled_search import shuffled
from hubspot_sync.testing.emulator._wire import integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.testing.emulator._hostility import Hostility
    from hubspot_sync.testing.emulator._series import Dice

# How far behind its place a straggler comes, in ids: a page or several.
_REACH: Final = 6_000
Place: TypeAlias = "tuple[int, int]"


@attrs.frozen
class _Issued:
    """An `after` that was given out: where it leads, when it was given, whether it is refused."""

    place: Place
    call: int
    stale: bool = False


class SpoiledList:
    """Pages of the list endpoint, spoiled; not thread-safe, the portal's lock guards it."""

    def __init__(self, settings: Hostility, dice: Dice) -> None:
        self._settings = settings
        self._dice = dice
        self._issued: dict[tuple[str, int], _Issued] = {}
        self._calls = 0

    def page(
        self, walk: str, numbers: Sequence[int], after: str | None, limit: int
    ) -> tuple[list[int], str | None]:
        """The ids of up to *limit* rows from *after* on, and where the next page begins.

        Args:
            walk: Which list: values of `after` are good for one.
            numbers: All ids, ascending.
            after: As asked for.
            limit: As asked for.

        Raises:
            RefusalError: *after* is invalid or stale: 400.
        """
        self._calls += 1
        place = self._place(walk, after)
        chosen, following = self._rows(numbers, place, limit)
        subject = f"{walk}/{after}/{limit}"
        series = self._dice.roll(self._settings.short_pages, "short page", subject)
        if series and len(chosen) > 1:
            size = series.randrange(1, len(chosen))
            following, chosen = chosen[size], chosen[:size]
        before = bisect_left(numbers, place[1]) if chosen and limit > 1 else 0
        if before and self._dice.roll(self._settings.list_repeats, "list repeat", subject):
            chosen.insert(0, numbers[before - 1])
            if len(chosen) > limit:
                following = chosen.pop()
        series = self._dice.roll(self._settings.list_disorder, "list disorder", subject)
        rows = chosen if series is None else shuffled(chosen, series)
        return rows, None if following is None else self._issue(walk, following)

    def _rows(
        self, numbers: Sequence[int], place: Place, limit: int
    ) -> tuple[list[int], int | None]:
        """Up to *limit* ids from *place* on, stragglers at their late places, and the next one."""
        found: list[Place] = []
        reach = _REACH if self._settings.list_stragglers else 0
        for index in range(bisect_left(numbers, place[0] - reach), len(numbers)):
            number = numbers[index]
            key = (self._late(number), number)
            if key >= place:
                insort(found, key)
            # What follows has higher ids, and nothing comes before its own place.
            if len(found) > limit and found[limit][0] <= number:
                break
        following = found[limit][1] if len(found) > limit else None
        return [number for _, number in found[:limit]], following

    def _late(self, number: int) -> int:
        """The place of a row in the list: its id, or further on."""
        share = self._settings.list_stragglers
        mixed = zlib.crc32(f"{self._settings.seed}/straggler/{number}".encode()) if share else 0
        return number + 1 + mixed % _REACH if mixed < share * 2**32 else number

    def _place(self, walk: str, after: str | None) -> Place:
        if after is None:
            return (0, 0)
        if self._settings.opaque_after:
            number = self._opened(walk, after)
        else:
            number = integer(after, 0, "after")
        # A number that was not given out leads to where this id belongs.
        known = self._issued.get(
            (walk, number), _Issued((number, number), self._calls, stale=False)
        )
        limit = self._settings.stale_after_calls
        if known.stale or (limit is not None and self._calls - known.call > limit):
            raise bad_request(f"after {after[:50]!r} is no longer valid")
        return known.place

    def _issue(self, walk: str, number: int) -> str:
        stale = self._dice.roll(self._settings.stale_after, "stale", f"{walk}/{number}")
        place = (self._late(number), number)
        self._issued[walk, number] = _Issued(place, self._calls, stale is not None)
        if not self._settings.opaque_after:
            return str(number)
        return base64.urlsafe_b64encode(
            f"{number}.{self._signature(walk, number)}".encode()
        ).decode()

    def _opened(self, walk: str, after: str) -> int:
        try:
            number, _, signature = (
                base64.b64decode(after, b"-_", validate=True).decode().partition(".")
            )
        except ValueError:
            number, signature = "", ""
        if not number.isdecimal() or signature != self._signature(walk, int(number)):
            raise bad_request(f"after {after[:50]!r} is not valid here")
        return int(number)

    def _signature(self, walk: str, number: int) -> str:
        signed = f"{self._settings.seed}/{walk}/{number}".encode()
        return hashlib.blake2b(signed, digest_size=6).hexdigest()
