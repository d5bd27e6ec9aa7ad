"""Fills a portal with values that look real: the same seed, the same content on any day."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator.portal import words
from hubspot_sync.testing.emulator.portal.definitions import extra_definitions
from hubspot_sync.testing.emulator.portal.record import Record
from hubspot_sync.testing.emulator.portal.reference import FIRST_OWNER, OWNERS
from hubspot_sync.testing.emulator.portal.series import Series
from hubspot_sync.testing.emulator.wire import to_iso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hubspot_sync.testing.emulator.portal.definitions import PropertyDefinition
    from hubspot_sync.testing.emulator.portal.portal import Portal
    from hubspot_sync.testing.emulator.portal.types import ObjectType

_DAY: Final = 86_400_000
_TEXTS: Final = 150
_LONG_TEXT: Final = 0.04
_OWNERS: Final = tuple(str(FIRST_OWNER + place) for place in range(OWNERS))
_CURRENCIES: Final = ("EUR", "USD", "GBP", "JPY")
_LATEST: Final = 1_782_777_600_000  # 2026-06-30
# Past 2**53: a float would lose its last digits.
_BEYOND_FLOAT: Final = 9_007_199_254_740_993
_GONE: Final = 7_000_000_000


# How HubSpot prints numbers that it has computed (HubSpot 9): a double with all its digits, or
# with an exponent. By place, so that no other value changes.
_PRINTED: Final[dict[int, Callable[[int], str]]] = {
    3: lambda cents: str(Decimal((cents + 0.4) / 100)),
    11: lambda cents: f"{cents % 9 + 1}.0E7",
}


class Values:
    """Draws property values from one random series."""

    def __init__(self, source: Series, extra: Sequence[PropertyDefinition]) -> None:
        self._random = source
        self._extra = extra
        # A pool, so that half a million records share their texts in memory.
        self._texts = tuple(self._text() for _ in range(_TEXTS))

    def contact(self, place: int, created: int) -> dict[str, str]:
        """The values of one contact; *place* makes its address unique."""
        pick, happens = self._random.choice, self._random.happens
        (first, first_slug), (last, last_slug) = pick(words.FIRST_NAMES), pick(words.LAST_NAMES)
        values = {"lifecyclestage": pick(("subscriber", "lead", "opportunity", "customer"))}
        if happens(0.95):
            values["firstname"] = first
        if happens(0.93):
            values["lastname"] = last
        if happens(0.92):
            host = pick(("example.com", "example.org", "mail.example.net"))
            values["email"] = f"{first_slug}.{last_slug}.{place}@{host}"
        if happens(0.7):
            values["jobtitle"] = pick(words.JOBS)
        if happens(0.6):
            values["phone"] = f"+{self._random.randrange(10_000_000, 999_999_999)}"
            values["mobilephone"] = pick((values["phone"], "", "n/a", "0171 / 555-01 ext. 2"))
        self._interests(values, place)
        self._address(values)
        self._owner(values)
        self._numbers(values, "total_revenue", "currency_code", "erp_customer_number", place)
        self._dates(values, created, "contract_end", "closedate", "hs_analytics_last_timestamp")
        return self._with_extra(values)

    def company(self, place: int, created: int) -> dict[str, str]:
        """The values of one company."""
        pick, happens = self._random.choice, self._random.happens
        word, slug = pick(words.COMPANY_WORDS)
        values = {"name": f"{word} {place} {pick(words.COMPANY_FORMS)}".strip()}
        if happens(0.85):
            values["domain"] = f"{slug}-{place}.example.com"
            values["website"] = f"https://www.{values['domain']}/"
        if happens(0.7):
            values["industry"] = pick(("SOFTWARE", "RETAIL", "BANKING", "FOOD"))
            values["type"] = pick(("PROSPECT", "PARTNER", "RESELLER", "VENDOR", ""))
        if happens(0.6):
            values["description"] = pick(self._texts)
            values["founded_year"] = str(self._random.randrange(1850, 2026))
        if happens(0.6):
            values["numberofemployees"] = str(int(10 ** (self._random.random() * 5)))
            values["is_public"] = pick(("true", "false"))
        if happens(0.5):
            values["phone"] = f"+{self._random.randrange(10_000_000, 999_999_999)}"
            values["lifecyclestage"] = pick(("lead", "opportunity", "customer"))
        if happens(0.3):
            values["web_technologies"] = self._several(("react", "rails", "django"))
        self._address(values)
        self._owner(values)
        self._numbers(values, "annualrevenue", "hs_revenue_currency", "tax_number", place)
        self._dates(values, created, "renewal_date", None, "hs_last_sales_activity_timestamp")
        return self._with_extra(values)

    def _interests(self, values: dict[str, str], place: int) -> None:
        pick, happens = self._random.choice, self._random.happens
        if happens(0.4):
            values["company"] = pick(words.COMPANY_WORDS)[0]
        if happens(0.3):
            values["message"] = pick(self._texts)
        if happens(0.5):
            values["hs_lead_status"] = pick(("NEW", "OPEN", "CONNECTED", ""))
            values["hs_email_optout"] = pick(("true", "false"))
        if happens(0.35):
            values["topics_of_interest"] = self._several(
                ("pricing", "roadmap", "security", "events")
            )
        if happens(0.03):
            # Of records that are long gone.
            values["hs_merged_object_ids"] = f"{_GONE + place};{_GONE + place + 1}"

    def _address(self, values: dict[str, str]) -> None:
        if self._random.happens(0.6):
            city, country, code = self._random.choice(words.PLACES)
            street = self._random.choice(words.STREETS)
            values |= {"city": city, "country": country, "zip": code}
            values["address"] = f"{self._random.randrange(1, 400)} {street}"

    def _owner(self, values: dict[str, str]) -> None:
        if self._random.happens(0.5):
            values["hubspot_owner_id"] = self._random.choice(_OWNERS)

    def _numbers(
        self, values: dict[str, str], amount: str, currency: str, number: str, place: int
    ) -> None:
        if self._random.happens(0.4):
            cents = int(10 ** (self._random.random() * 11))
            values[amount] = self._random.choice((f"{cents // 100}.{cents % 100:02d}", str(cents)))
            values[currency] = self._random.choice(_CURRENCIES)
            if place % 17 in _PRINTED:
                values[amount] = _PRINTED[place % 17](cents)
        if self._random.happens(0.3):
            values[number] = str(_BEYOND_FLOAT + 2 * place)

    def _dates(
        self, values: dict[str, str], created: int, day: str, instant: str | None, latest: str
    ) -> None:
        if self._random.happens(0.25):
            ahead = created + self._random.randrange(0, 900) * _DAY
            values[day] = to_iso(ahead)[:10]
        if self._random.happens(0.3):
            moment = self._random.randrange(created, max(created + 1, _LATEST))
            # Some datetimes read as epoch milliseconds (HubSpot 9).
            # Whole seconds are printed without a fraction now and then (HubSpot 9).
            text = to_iso(moment)
            text = f"{text[:19]}Z" if moment % 7 == 0 else text
            values[latest] = self._random.choice((str(moment), text))
            if instant is not None:
                values[instant] = self._random.choice((text, ""))

    def _with_extra(self, values: dict[str, str]) -> dict[str, str]:
        if self._extra and self._random.happens(0.5):
            most = max(1, len(self._extra) // 20)
            for definition in self._random.choices(self._extra, k=most):
                values[definition.name] = self._extra_value(definition)
        return values

    def _extra_value(self, definition: PropertyDefinition) -> str:
        if definition.options:
            return self._random.choice(definition.options)
        moment = self._random.randrange(1_600_000_000_000, _LATEST)
        samples = {
            "number": f"{moment % 100_000 / 100:.2f}",
            "datetime": to_iso(moment),
            "date": to_iso(moment)[:10],
        }
        return samples.get(definition.type, f"value {moment % 1000}")

    def _several(self, options: Sequence[str]) -> str:
        chosen = self._random.sample(options, self._random.randrange(1, len(options) + 1))
        return ";".join(chosen)

    def _text(self) -> str:
        parts = 300 if self._random.happens(_LONG_TEXT) else self._random.randrange(1, 7)
        breaks = ("\n", "\r\n", " ", "\n\n")
        return "".join(
            self._random.choice(words.SENTENCES) + self._random.choice(breaks) for _ in range(parts)
        )


_FIRST: Final = 1_546_300_800_000  # 2019-01-01
_LAST: Final = 1_781_000_000_000  # 2026-06-09
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
