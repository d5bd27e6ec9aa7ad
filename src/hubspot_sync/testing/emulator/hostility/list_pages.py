"""List pages as they should not be, and an `after` that does not say where it leads.

That rows ascend by id and that `after` is the next id is observed, not promised (HubSpot 1.2). That
a paging value that HubSpot no longer takes is a 400 is not proved (HubSpot 3.4). Nothing promises
that a page is whole, or that pages end.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from bisect import bisect_left, insort
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from hubspot_sync.testing.emulator.refusals import bad_request
from hubspot_sync.testing.emulator.wire import integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync.testing.emulator.hostility.mischief import Mischief
    from hubspot_sync.testing.emulator.hostility.settings import Hostility

# How far behind its place a straggler comes, in ids: a page or several.
_REACH: Final = 6_000
# Values of `after` that are no ids begin here.
_BEYOND: Final = 10**15
# How the names of walks through archived records end.
ARCHIVED: Final = "/archived"
Place: TypeAlias = "tuple[int, int]"


@attrs.frozen
class _Issued:
    """An `after` that was given out: where it leads, when it was given, whether it is refused."""

    place: Place
    call: int
    stale: bool = False


class ListSpoiler:
    """Spoils pages of the list endpoint; not thread-safe, the portal's lock guards it."""

    def __init__(self, mischief: Mischief) -> None:
        self._mischief = mischief
        self.forget()

    def forget(self) -> None:
        """Start again: every `after` that was given out is unknown."""
        self._issued: dict[tuple[str, int], _Issued] = {}
        self._twins: dict[tuple[str, str], str] = {}
        self._beyond = _BEYOND
        self._left_out: set[tuple[str, int]] = set()
        self._hidden: Counter[tuple[str, int]] = Counter()
        self._calls = 0

    @property
    def _settings(self) -> Hostility:
        return self._mischief.settings

    def page(
        self,
        walk: str,
        numbers: Sequence[int],
        after: str | None,
        limit: int,
        hidden: frozenset[str] = frozenset(),
    ) -> tuple[list[int], str | None]:
        """The ids of up to *limit* rows from *after* on, and where the next page begins.

        Args:
            walk: Which list: values of `after` are good for one.
            numbers: All ids, ascending.
            after: As asked for.
            limit: As asked for.
            hidden: Ids that are left out.

        Raises:
            RefusalError: *after* is invalid or stale: 400.
        """
        self._calls += 1
        place = self._place(walk, after)
        chosen, following = self._rows(numbers, place, limit)
        subject = f"{walk}/{after}/{limit}"
        roll = self._mischief.roll
        if numbers and roll("empty_list", subject):
            return [], None
        if roll("endless_list", subject):
            return [], self._alias(walk, place)
        series = roll("short_pages", subject) if len(chosen) > 1 else None
        if series:
            size = series.randrange(1, len(chosen))
            following, chosen = chosen[size], chosen[:size]
        before = bisect_left(numbers, place[1]) if chosen and limit > 1 else 0
        if before and roll("list_repeats", subject):
            chosen.insert(0, numbers[before - 1])
            if len(chosen) > limit:
                following = chosen.pop()
        # What is left out is not made up for by a row of the next page.
        rows = self._with_gap(walk, self._without(walk, chosen, hidden), subject)
        series = roll("list_disorder", subject) if len(rows) > 1 else None
        rows = rows if series is None else series.shuffled(rows)
        if chosen and roll("looping_list", subject):
            return rows, self._leading_back(walk, after, chosen[0], place)
        if following is not None:
            cut = "cut_archived" if walk.endswith(ARCHIVED) else "cut_list"
            return rows, None if roll(cut, subject) else self._issue(walk, following)
        if not self._settings.endless_list_tail:
            return rows, None
        self._mischief.lies.add("endless_list_tail")
        end = numbers[-1] + _REACH if numbers else 1
        return rows, self._alias(walk, (end, end))

    def _without(self, walk: str, numbers: list[int], hidden: frozenset[str]) -> list[int]:
        most = self._settings.hidden_from_list_calls
        gone = {
            number
            for number in (numbers if hidden else ())
            if str(number) in hidden and (most is None or self._hidden[walk, number] < most)
        }
        self._hidden.update((walk, number) for number in gone)
        if gone:
            self._mischief.lies.add("hidden_from_list")
        return [number for number in numbers if number not in gone]

    def _with_gap(self, walk: str, numbers: list[int], subject: str) -> list[int]:
        """The rows without one of those that were there the last time."""
        known = {number for number in numbers if (walk, number) in self._left_out}
        self._left_out.difference_update((walk, number) for number in known)
        some = [number for number in numbers if number not in known]
        series = self._mischief.roll("list_gaps", subject) if some else None
        if series is None:
            return numbers
        gone = series.choice(some)
        self._left_out.add((walk, gone))
        return [number for number in numbers if number != gone]

    def _leading_back(self, walk: str, after: str | None, first: int, place: Place) -> str:
        """An `after` that leads to the same page again: the one that was asked for, or a twin."""
        if after is None:
            return self._issue(walk, first)
        if self._settings.loop == "same":
            return after
        if (walk, after) not in self._twins:
            twin = self._alias(walk, place)
            self._twins |= {(walk, after): twin, (walk, twin): after}
        return self._twins[walk, after]

    def _alias(self, walk: str, place: Place) -> str:
        """An `after` that is no id and higher than all before."""
        self._beyond += 1
        self._issued[walk, self._beyond] = _Issued(place, self._calls)
        return self._text(walk, self._beyond)

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
            self._mischief.lies.add("stale_after" if known.stale else "stale_after_calls")
            raise bad_request(f"after {after[:50]!r} is no longer valid")
        return known.place

    def _issue(self, walk: str, number: int) -> str:
        subject = f"{walk}/{number}"
        stale = self._mischief.dice.roll(self._settings.stale_after, "stale", subject)
        place = (self._late(number), number)
        self._issued[walk, number] = _Issued(place, self._calls, stale is not None)
        return self._text(walk, number)

    def _text(self, walk: str, number: int) -> str:
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
