"""Settings for everything that bites sync engines; all of it off by default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias

import attrs

POISONS: Final = ("error", "disorder")
FAMILIES: Final = (
    "v3",
    "v4",
    "2025-09",
    "2026-03",
    "2026-09",
    "oauth-v1",
    "oauth-v3",
    "oauth-2026-03",
    "oauth-2026-09",
)
Duration: TypeAlias = "timedelta | float"
Lag: TypeAlias = "Duration | Iterable[Duration]"


def duration(given: Duration) -> timedelta:
    return given if isinstance(given, timedelta) else timedelta(seconds=given)


def _lag(given: Lag) -> tuple[timedelta, timedelta]:
    if isinstance(given, Iterable):
        shortest, longest = map(duration, given)
        return shortest, longest
    return duration(given), duration(given)


def _ids(given: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(ids) for name, ids in given.items()}


def _families(given: Iterable[str]) -> frozenset[str]:
    return frozenset(given)


def _meddling(given: Meddling | Mapping[str, float] | None) -> Meddling | None:
    return Meddling(**given) if isinstance(given, Mapping) else given


def _share(default: float = 0.0) -> Any:
    return attrs.field(
        default=default, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)]
    )


def _rate() -> Any:
    return attrs.field(default=0.0, validator=attrs.validators.ge(0.0))


def _size() -> Any:
    return attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))


@attrs.frozen(kw_only=True)
class Meddling:
    """Somebody works in the account while it is read: means per call, fractions allowed.

    Each call for records of a type changes records of this type before it is answered
    (HubSpot 11.4), chosen at random.

    Attributes:
        edits_per_call: Records that get a new value and modified date.
        creates_per_call: Records that are added.
        archives_per_call: Records that are deleted.
        recalculations_per_call: Records that get a new value and no new modified date.
        associations_per_call: Contacts that are associated with a company, or one taken away.

    Raises:
        ValueError: A number is negative.
    """

    edits_per_call: float = _rate()
    creates_per_call: float = _rate()
    archives_per_call: float = _rate()
    recalculations_per_call: float = _rate()
    associations_per_call: float = _rate()


@attrs.frozen(kw_only=True)
class Hostility:
    """What the emulator does to its readers; everything is off by default.

    The parts are independent of each other, each is decided by *seed*. A share is a number from
    0 to 1: how many of the answers (or records) are hit; the same request made again is decided
    anew. Nothing is lost for good: what an answer leaves out comes with another one, except for
    *poisonous* records in search. The list endpoint, single and batch reads always tell the truth
    about a record; they alone are never late. "HubSpot 1.2" is section 1.2 of `docs/hubspot.md`.

    Attributes:
        seed: Decides when and whom it hits.
        index_lag: How long after a change search shows it: a duration (or seconds), or two, between
            which each change draws its own. Until then search shows the former version, of a new
            record nothing. By the emulator's clock. (HubSpot 11.1; 1.7 "freshness".)
        sort_jitter: Up to how far from its true modified time search sorts a row when it sorts by
            modified time. (HubSpot 11.1: seconds to an hour.)
        search_disorder: Share of search pages whose rows are out of the order asked for.
        stray_rows: Share of search pages with a row whose modified time is outside the window
            asked for, below or above. (HubSpot 11.1.)
        total_drift: Share of search pages whose `total` is wrong. (HubSpot 11.8.)
        total_drift_rows: By how many rows at most.
        short_pages: Share of search and list pages that end early, with `paging.next` all the same.
        empty_pages: Share of search pages with no row and a `paging.next` to the same place.
        repeated_rows: Share of search pages that begin with rows of the page before.
        missing_rows: Share of search pages that leave one row out, which `total` counts.
        poisonous: By object type, ids that break each search page that they are on.
        poison: How: "error" is a 500, "disorder" breaks the order (one row alone comes twice).
        list_disorder: Share of list pages whose rows are out of order. (HubSpot 1.2: that they are
            in order is observed, not promised.)
        list_stragglers: Share of records that the list has behind records with higher ids, on
            a later page.
        list_repeats: Share of list pages that begin with the last row of the page before.
        opaque_after: The list's `after` is signed text; a number is refused with 400. (HubSpot 1.2:
            treat it as opaque.)
        stale_after: Share of the list's `after` values that are refused with 400. (HubSpot 3.4.)
        stale_after_calls: After how many further list calls an `after` is refused with 400.
        repeated_edges: Share of association lists with an edge or one of its types twice. (HubSpot
            1.3.)
        inline_page: How many associated records come inline; HubSpot's 100 by default.
        association_page: How many come per record from the association endpoints; 500 by default.
        dropped_inputs: Share of batch reads, of records and associations, that ignore some inputs.
            (HubSpot 1.6: nothing forbids fewer rows.)
        meddling: Changes while it is being read.
        other_apps_search_rate: Searches a second that other apps take from the account's search
            limit, at random moments. (HubSpot 11.7.)
        other_apps_burst_rate: Calls a second that others take from the ten-second limit.
        refused_families: API families that are answered with 404: "v3", "v4", "2025-09", "2026-03",
            "2026-09", and "oauth-v1", "oauth-v3", "oauth-2026-03", "oauth-2026-09". (HubSpot 5.1
            and 6.)
        early_expiry: Share of calls that find their issued access token out of date before its
            time, for good. (HubSpot 3.4.)

    Raises:
        ValueError: A value is out of range, or a name unknown.
    """

    seed: int = 1
    index_lag: tuple[timedelta, timedelta] = attrs.field(
        default=(timedelta(), timedelta()), converter=_lag
    )
    sort_jitter: timedelta = attrs.field(default=timedelta(), converter=duration)
    search_disorder: float = _share()
    stray_rows: float = _share()
    total_drift: float = _share()
    total_drift_rows: int = attrs.field(default=3, validator=attrs.validators.ge(1))
    short_pages: float = _share()
    empty_pages: float = _share()
    repeated_rows: float = _share()
    missing_rows: float = _share()
    poisonous: Mapping[str, frozenset[str]] = attrs.field(factory=dict, converter=_ids)
    poison: str = attrs.field(default="error", validator=attrs.validators.in_(POISONS))
    list_disorder: float = _share()
    list_stragglers: float = _share()
    list_repeats: float = _share()
    opaque_after: bool = False
    stale_after: float = _share()
    stale_after_calls: int | None = _size()
    repeated_edges: float = _share()
    inline_page: int | None = _size()
    association_page: int | None = _size()
    dropped_inputs: float = _share()
    meddling: Meddling | None = attrs.field(default=None, converter=_meddling)
    other_apps_search_rate: float = _rate()
    other_apps_burst_rate: float = _rate()
    refused_families: frozenset[str] = attrs.field(default=frozenset(), converter=_families)
    early_expiry: float = _share()

    def __attrs_post_init__(self) -> None:
        shortest, longest = self.index_lag
        if not timedelta() <= shortest <= longest:
            raise ValueError("index_lag must be one duration or a shorter and a longer one")
        if self.sort_jitter < timedelta():
            raise ValueError("sort_jitter cannot be negative")
        unknown = self.refused_families.difference(FAMILIES)
        if unknown:
            raise ValueError(f"no API family {sorted(unknown)}; there are {', '.join(FAMILIES)}")

    def to_json(self) -> dict[str, Any]:
        """As the control path takes it: durations in seconds, sets as sorted lists."""
        return {
            **attrs.asdict(self),
            "index_lag": [lag.total_seconds() for lag in self.index_lag],
            "sort_jitter": self.sort_jitter.total_seconds(),
            "poisonous": {name: sorted(ids) for name, ids in self.poisonous.items()},
            "refused_families": sorted(self.refused_families),
        }
