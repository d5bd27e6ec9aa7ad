"""Property values that look like those of a real portal."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from hubspot_sync.testing.emulator import _words
from hubspot_sync.testing.emulator._instants import to_iso

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hubspot_sync.testing.emulator._definitions import PropertyDefinition
    from hubspot_sync.testing.emulator._series import Series

_DAY: Final = 86_400_000
_TEXTS: Final = 150
_LONG_TEXT: Final = 0.04
_OWNERS: Final = tuple(str(number) for number in range(41_000_001, 41_000_024))
_CURRENCIES: Final = ("EUR", "USD", "GBP", "JPY")
_LATEST: Final = 1_782_777_600_000  # 2026-06-30
# Past 2**53: a float would lose its last digits.
_BEYOND_FLOAT: Final = 9_007_199_254_740_993


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
        (first, first_slug), (last, last_slug) = pick(_words.FIRST_NAMES), pick(_words.LAST_NAMES)
        values = {"lifecyclestage": pick(("subscriber", "lead", "opportunity", "customer"))}
        if happens(0.95):
            values["firstname"] = first
        if happens(0.93):
            values["lastname"] = last
        if happens(0.92):
            host = pick(("example.com", "example.org", "mail.example.net"))
            values["email"] = f"{first_slug}.{last_slug}.{place}@{host}"
        if happens(0.7):
            values["jobtitle"] = pick(_words.JOBS)
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
        word, slug = pick(_words.COMPANY_WORDS)
        values = {"name": f"{word} {place} {pick(_words.COMPANY_FORMS)}".strip()}
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
            values["company"] = pick(_words.COMPANY_WORDS)[0]
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
            values["hs_merged_object_ids"] = f"{place + 1};{place + 3}"

    def _address(self, values: dict[str, str]) -> None:
        if self._random.happens(0.6):
            city, country, code = self._random.choice(_words.PLACES)
            street = self._random.choice(_words.STREETS)
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
            self._random.choice(_words.SENTENCES) + self._random.choice(breaks)
            for _ in range(parts)
        )
