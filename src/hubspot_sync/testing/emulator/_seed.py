"""Fills a portal: the same seed gives the same content, whatever the day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator._definitions import extra_definitions
from hubspot_sync.testing.emulator._seed_values import Values
from hubspot_sync.testing.emulator._series import Series
from hubspot_sync.testing.emulator._table import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hubspot_sync.testing.emulator._portal import Portal
    from hubspot_sync.testing.emulator._types import ObjectType

_FIRST: Final = 1_546_300_800_000  # 2019-01-01
_LAST: Final = 1_781_000_000_000  # 2026-06-09
_LATEST: Final = 1_782_777_600_000  # 2026-06-30
_MEAN_AGE: Final = 200 * 86_400_000
# HubSpot's own jobs rewrite many records in one millisecond: HubSpot 11.2.
_JOB_RUNS: Final = (1_735_689_600_000, 1_756_684_800_123, 1_780_272_000_999)
_ABOVE_32_BITS: Final = 110_338_039_632
_SKEW: Final = 4
_IMPORTED: Final = 0.15
_WITH_PRIMARY: Final = 0.97
_WITH_LABEL: Final = 0.3
_REWRITTEN: Final = 0.05


def seed_portal(
    portal: Portal, *, seed: int, contacts: int, companies: int, extra_properties: int
) -> None:
    """Put companies, contacts and the associations between them into an empty portal."""
    kinds = portal.kind("companies"), portal.kind("contacts")
    extra = extra_definitions(extra_properties)
    numbers: list[list[int]] = []
    for kind, count in zip(kinds, (companies, contacts), strict=True):
        portal.define(kind, extra)
        source = Series(seed, kind.name)
        values = Values(source, extra)
        draw = values.company if kind.type_id == "0-2" else values.contact
        numbers.append(_fill(portal, kind, source, count, draw))
    if contacts and companies:
        _associate(portal, Series(seed, "associations"), *numbers)


def _fill(
    portal: Portal,
    kind: ObjectType,
    source: Series,
    count: int,
    draw: Callable[[int, int], dict[str, str]],
) -> list[int]:
    numbers = list(_ids(source, count))
    for place, (number, dates) in enumerate(zip(numbers, _dates(source, count), strict=True)):
        created, modified = dates
        values = draw(place, created)
        portal.insert(kind, Record(number, values, created, modified))
    return numbers


def _ids(source: Series, count: int) -> Iterator[int]:
    """Ascending with gaps; the last two fifths beyond 32 bits, as in accounts that have grown."""
    number = 0
    for place in range(count):
        if place == count * 3 // 5:
            number = _ABOVE_32_BITS
        number += source.choice((1, 1, 1, 2, 5, 49, 50, 101))
        yield number


def _dates(source: Series, count: int) -> Iterator[tuple[int, int]]:
    """Created and modified milliseconds; a share of records came with the one before."""
    dates = (_FIRST, _FIRST)
    step = (_LAST - _FIRST) // max(count, 1)
    for place in range(count):
        if place == 0 or not source.happens(_IMPORTED):
            created = _FIRST + place * step + source.randrange(max(step, 1))
            modified = min(created + int(source.expovariate(1 / _MEAN_AGE)), _LATEST)
            job = source.choice(_JOB_RUNS)
            # Created in order, so that ids and create dates ascend together.
            dates = (created, job if job >= created and source.happens(_REWRITTEN) else modified)
        yield dates


def _associate(
    portal: Portal, source: Series, companies: Sequence[int], contacts: Sequence[int]
) -> None:
    ends = portal.kind("contacts"), portal.kind("companies")
    links = portal.links
    plain = links.unlabeled(*ends)
    primary = links.primary(*ends) or plain
    label = links.define(*ends, "Billing contact", "Billing contact of")
    # Whole tuples shared by all edges, for memory.
    first, further, labelled = (primary, plain), (plain,), (plain, label)
    order = source.sample(companies, len(companies))
    for contact in contacts:
        for place in range(_number_of_companies(source)):
            company = order[int(len(order) * source.random() ** _SKEW)]
            if place == 0:
                chosen = first if source.happens(_WITH_PRIMARY) else further
            else:
                chosen = labelled if source.happens(_WITH_LABEL) else further
            portal.connect(ends, contact, company, chosen)


def _number_of_companies(source: Series) -> int:
    return source.choices((0, 1, 2, 3, 4), (8, 80, 8, 3, 1))[0]
