"""Settings for everything that bites sync engines; all of it off by default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeAlias

import attrs

POISONS: Final = ("error", "disorder")
REFUSALS: Final = ("entry", "nameless", "error", "error_alone")
LOOPS: Final = ("same", "pair")
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
    """Seconds as a duration; a duration as it is."""
    return given if isinstance(given, timedelta) else timedelta(seconds=given)


def _lag(given: Lag) -> tuple[timedelta, timedelta]:
    if isinstance(given, Iterable):
        shortest, longest = map(duration, given)
        return shortest, longest
    return duration(given), duration(given)


def _ids(given: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {name: frozenset(ids) for name, ids in given.items()}


def _set(given: Iterable[str]) -> frozenset[str]:
    return frozenset(given)


def _names(given: Mapping[str, str]) -> dict[str, str]:
    return dict(given)


def _meddling(given: Meddling | Mapping[str, float] | None) -> Meddling | None:
    return Meddling(**given) if isinstance(given, Mapping) else given


def _share(default: float = 0.0) -> Any:
    return attrs.field(
        default=default, validator=[attrs.validators.ge(0.0), attrs.validators.le(1.0)]
    )


def _rate() -> Any:
    return attrs.field(default=0.0, validator=attrs.validators.ge(0.0))


def _by_type() -> Any:
    return attrs.field(factory=dict, converter=_ids)


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
    again. What a share leaves out comes with another answer; what is given as ids by object type
    ("contacts", "0-1", "p62515_pets": any spelling) is hit each time. The account itself and
    `records` are not touched, and `lies` counts what was done. "HubSpot 1.2" is section 1.2 of
    `docs/hubspot.md`.

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
        failing_inputs: Share of batch reads, likewise, that answer some inputs by an entry of
            `errors` with *failing_category*, in a 207. (HubSpot 1.6.)
        failing_category: Of *failing_inputs* and of those that cannot be answered.
        silent_inputs: By object type, ids that no batch read of records takes notice of.
        silent_edges: By object type of the first end, ids that no batch read of associations does.
        unanswerable: By object type, ids that every batch read of records fails to answer.
        unanswerable_edges: By object type of the first end, ids that every batch read of
            associations fails to answer.
        unanswerable_as: How: "entry" is an entry of `errors` that names the id in its `context`,
            "nameless" one without a context, "error" a 500 for the whole call, "error_alone" a 500
            for a call with no other input and an entry otherwise.
        empty_definitions: Share of lists of property definitions that hold none.
        short_definitions: Share of lists of property definitions that leave some out, half the
            time `hs_object_id` or the modified date too.
        missing_definitions: How many, as a share of the definitions.
        unlisted_properties: By object type, names of properties that the list of definitions never
            holds, and that can be read all the same. (HubSpot 9.)
        list_gaps: Share of list pages that leave out one row. A row that was left out is there the
            next time that its page is read, whatever the share.
        hidden_from_list: By object type, ids that the list leaves out.
        hidden_from_list_calls: How often; None is always.
        without_created: By object type, ids whose rows have no created date, neither as
            `createdAt` nor as a property.
        without_modified: By object type, ids whose rows have no modified date, likewise.
        deep_values: By object type, ids of which the first property that is asked for is JSON,
            nested *deep_levels* deep.
        deep_levels: How deep.
        inline_keys: By object type, the key under which inline associations hold it; "" leaves the
            block out. (HubSpot 1.3: which key a custom type gets is not proved.)
        strict_scopes: Whether associations, inline ones included, need the scopes of both ends,
            and a call that asks for them is refused as a whole. (HubSpot 5.4: not proved.)
        unsearchable: Object types whose search is refused with 400.
        endless_list: Share of list pages with no row and a higher `after`, which leads on.
        endless_list_tail: Whether the last list page is followed by empty ones without an end.
        looping_list: Share of list pages whose `after` leads back to them.
        endless_search: Share of search pages with no row and a higher `after`.
        looping_edges: Share of association lists, other than inline ones, whose `after` leads back
            to them; one without edges has none.
        looping_edges_of: By object type of the first end, ids whose list always does.
        loop: How pages lead back: "same" is the `after` that was asked for, "pair" takes turns
            with a second one.
        date_offset: How far the header `Date` is ahead of the clock that dates records, or, if
            negative, behind it.
        date_jumps: Share of answers whose `Date` is off by *date_jump*.
        date_jump: How far; may be negative.
        date_missing: Share of answers without a `Date`.
        date_broken: Share of answers with a `Date` that cannot be read.
        url_limit: The longest path with query, in characters; what is longer is refused with 414.
            16,200 by default. (HubSpot 11.6.)
        search_body_limit: The longest body of a search, in bytes; what is longer is refused with
            400. (HubSpot 1.7.)
        cut_list: Share of list pages that are the last one, whatever should follow.
        cut_archived: Likewise of the list with `archived=true`.
        empty_list: Share of list pages, of either list, without rows and without a next page.
        empty_search: Share of search pages without rows, with a `total` of 0.
        empty_batch: Share of batch reads, of records and associations, that answer 200 with no
            result and no error.
        unseen: By object type, ids that the token's user may not see: they are absent from lists,
            archived ones too, from search with its `total`, from batch and single reads and from
            associations, silently. (HubSpot 5.4.)
        unseen_share: Share of all records that the user may not see.
        batch_forwards: Whether a batch read by a merged id answers with the record that it went
            into; by default it is not found. (HubSpot 8: not proved.)
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
    poisonous: Mapping[str, frozenset[str]] = _by_type()
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
    failing_inputs: float = _share()
    failing_category: str = "INTERNAL_ERROR"
    silent_inputs: Mapping[str, frozenset[str]] = _by_type()
    silent_edges: Mapping[str, frozenset[str]] = _by_type()
    unanswerable: Mapping[str, frozenset[str]] = _by_type()
    unanswerable_edges: Mapping[str, frozenset[str]] = _by_type()
    unanswerable_as: str = attrs.field(default="entry", validator=attrs.validators.in_(REFUSALS))
    empty_definitions: float = _share()
    short_definitions: float = _share()
    missing_definitions: float = _share(0.5)
    unlisted_properties: Mapping[str, frozenset[str]] = _by_type()
    list_gaps: float = _share()
    hidden_from_list: Mapping[str, frozenset[str]] = _by_type()
    hidden_from_list_calls: int | None = _size()
    without_created: Mapping[str, frozenset[str]] = _by_type()
    without_modified: Mapping[str, frozenset[str]] = _by_type()
    deep_values: Mapping[str, frozenset[str]] = _by_type()
    deep_levels: int = attrs.field(default=2000, validator=attrs.validators.ge(1))
    inline_keys: Mapping[str, str] = attrs.field(factory=dict, converter=_names)
    strict_scopes: bool = False
    unsearchable: frozenset[str] = attrs.field(default=frozenset(), converter=_set)
    endless_list: float = _share()
    endless_list_tail: bool = False
    looping_list: float = _share()
    endless_search: float = _share()
    looping_edges: float = _share()
    looping_edges_of: Mapping[str, frozenset[str]] = _by_type()
    loop: str = attrs.field(default="same", validator=attrs.validators.in_(LOOPS))
    date_offset: timedelta = attrs.field(default=timedelta(), converter=duration)
    date_jumps: float = _share()
    date_jump: timedelta = attrs.field(default=timedelta(minutes=20), converter=duration)
    date_missing: float = _share()
    date_broken: float = _share()
    url_limit: int | None = _size()
    search_body_limit: int | None = _size()
    cut_list: float = _share()
    cut_archived: float = _share()
    empty_list: float = _share()
    empty_search: float = _share()
    empty_batch: float = _share()
    unseen: Mapping[str, frozenset[str]] = _by_type()
    unseen_share: float = _share()
    batch_forwards: bool = False
    meddling: Meddling | None = attrs.field(default=None, converter=_meddling)
    other_apps_search_rate: float = _rate()
    other_apps_burst_rate: float = _rate()
    refused_families: frozenset[str] = attrs.field(default=frozenset(), converter=_set)
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
        content = attrs.asdict(self, recurse=False)
        return {name: _plain(value) for name, value in content.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Meddling):
        return attrs.asdict(value)
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value
