"""The values that the contracts try, and a way to call a store from many threads at once."""

from __future__ import annotations

import string
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hubspot_sync.models import (
    AccountKey,
    Action,
    ActionKind,
    Association,
    AssociationType,
    Checkpoint,
    Evidence,
    IdRange,
    Mode,
    OAuthTokens,
    Pass,
    PropertySet,
    StreamKey,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubspot_sync.models import Value

T = TypeVar("T")

ACCOUNT: Final = AccountKey("acme", "62515")
NEIGHBOUR: Final = AccountKey("acme", "62516")
OTHER_DOMAIN: Final = AccountKey("globex", "62515")
STREAM: Final = StreamKey(ACCOUNT, "contacts")

# Names that a store may take for syntax of its own, and names in which people write.
STRANGE_NAMES: Final = (
    *(f"a{mark}b" for mark in string.punctuation),
    *string.punctuation,
    "a.b.c",
    "$set",
    "$$ROOT",
    "..",
    " ",
    " a ",
    "a\tb\nc",
    "null",
    "True",
    "0",
    "'; DROP TABLE actions; --",
    "Žluťoučký kůň",
    "Zlutoucky kun",
    "株式会社",
    "شركة",
    "👩‍👩‍👧",
    "e\u0301",
    "\u00e9",
)

# Five hours and three quarters ahead of UTC.
KATHMANDU: Final = timezone(timedelta(hours=5, minutes=45))
MOMENT: Final = datetime(2026, 3, 2, 10, 35, 1, 123_000, tzinfo=timezone.utc)
VERSION: Final = 1_772_447_701_123

# Those that a store may mistake for each other, and those at its limits.
ALL_KINDS: Final[Mapping[str, Value]] = {
    "nothing": None,
    "yes": True,
    "yes_as_text": "true",
    "no": False,
    "zero": 0,
    "one": 1,
    "one_as_text": "1",
    "negative": -17,
    "beyond_a_float": 2**53 + 1,
    "the_largest_of_64_bits": 2**63 - 1,
    "the_smallest_of_64_bits": -(2**63),
    "beyond_64_bits": 2**63,
    "forty_digits": 10**39 + 1,
    "amount": Decimal("1234567.50"),
    "amount_below_zero": Decimal("-0.10"),
    "whole_amount": Decimal("12.00"),
    "tiny": Decimal("0.00000001"),
    "34_digits": Decimal("12345678901234567890.12345678901234"),
    "41_digits": Decimal("12345678901234567890.123456789012345678901"),
    "huge": Decimal("1E+400"),
    "day": date(2026, 3, 2),
    "day_as_text": "2026-03-02",
    "first_day": date(1, 1, 1),
    "last_day": date(9999, 12, 31),
    "instant": MOMENT,
    "whole_second": MOMENT.replace(microsecond=0),
    "before_1970": MOMENT.replace(year=1869),
    "choices": ("b", "a", "Žluť, 株"),
    "choice": ("a",),
}

TOKENS: Final = OAuthTokens(
    refresh_token='refresh-\\"~$.1',  # noqa: S106 - made up
    access_token="access-1",  # noqa: S106 - made up
    expires_at=MOMENT,
    issued_at=MOMENT - timedelta(minutes=30),
    refreshing_until=MOMENT - timedelta(seconds=30),
)


def action(object_id: str = "1", version: int = VERSION, **changes: Any) -> Action:
    """An update of a contact of `ACCOUNT`, or what *changes* make of it."""
    values: dict[str, Any] = {
        "account": ACCOUNT,
        "object_type": "contacts",
        "kind": ActionKind.UPDATED,
        "occurred_at": MOMENT,
        "properties": {"email": f"{object_id}@example.com", "phone": None},
        **changes,
    }
    return Action(object_id=object_id, version=version, **values)


def creation(object_id: str = "1", version: int = VERSION, **changes: Any) -> Action:
    """The creation of a contact of `ACCOUNT`, or what *changes* make of it."""
    return action(object_id, version, kind=ActionKind.CREATED, **changes)


def an_end(kind: ActionKind, variant: int, object_id: str = "1") -> Action:
    """What tells that a contact of `ACCOUNT` is gone."""
    return action(
        object_id,
        kind=kind,
        variant=variant,
        occurred_at=MOMENT + timedelta(hours=1),
        properties={},
        merged_into="77" if kind is ActionKind.MERGED else None,
        evidence=Evidence.SURVIVOR if kind is ActionKind.MERGED else Evidence.ARCHIVED,
    )


# What some sink cannot take.
STRANGE_ACTIONS: Final[Mapping[str, Action]] = {
    "surrogate": action("2", properties={"name": "\ud800 alone"}),
    "surrogate key": action("2", properties={"\udfff": "hush"}),
    "NUL": action("2", properties={"name": "a\0b"}),
    "NUL key": action("2", properties={"a\0b": "hush"}),
    "17 MB": action("2", properties={"name": "x" * 17_000_000}),
    "just over 16 MiB": action("2", properties={f"p{n}": "x" * 17_000 for n in range(987)}),
    "huge version": action("2", version=2**63),
}


def rich_action() -> Action:
    """An action that uses everything an action can have."""
    labelled = AssociationType("USER_DEFINED", 36, "Décideur «principal»")
    primary = Association(
        "9007199254740993", True, (AssociationType("HUBSPOT_DEFINED", 1), labelled)
    )
    return creation(
        "9007199254740995",
        occurred_at=MOMENT.astimezone(KATHMANDU),
        properties={
            "name": "Žluťoučký 株式会社 👩‍👩‍👧",
            "notes": "two\r\nlines\tand \"quotes\" \\ 'n' all",
            "emptied": None,
            "blank": "",
            "amount": "0012.50",
            "long": "x" * 65_536,
        },
        associations={"companies": (primary, Association("2")), "deals": ()},
    )


def progress(mark: datetime | None = MOMENT) -> Checkpoint:
    """A checkpoint in the middle of a pass, with *mark* as its high-water mark."""
    ranges = (IdRange(after="NTI1Cg%3D%3D", until="2000"), IdRange(after="2000"), IdRange())
    reading = Pass(
        mode=Mode.INCREMENTAL,
        start=(MOMENT - timedelta(hours=1)).astimezone(KATHMANDU),
        end=MOMENT + timedelta(milliseconds=1),
        ranges=ranges,
        properties=PropertySet(
            types={"email": "string", "jméno": "string", "a.b": "number"},
            read=frozenset({"email", "$unlisted"}),
            associations=frozenset({"companies", "2-3465404"}),
            defined_at=MOMENT,
        ),
    )
    return Checkpoint(
        high_water_mark=mark,
        index_floor=MOMENT,
        reconciled_at=MOMENT + timedelta(milliseconds=7),
        reading=reading,
        reconcile_since=MOMENT + timedelta(milliseconds=9),
        redeliver=True,
        fell_from=MOMENT + timedelta(milliseconds=11),
        announced={"512": 1_772_445_000_123, "513": 1},
    )


def at_once(work: Callable[[int], T], threads: int = 8) -> list[T]:
    """Call *work* with 0, 1, 2... in as many threads, all started at the same moment."""
    together = threading.Barrier(threads)

    def start(number: int) -> T:
        together.wait(timeout=30)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(start, range(threads)))
