"""Values by HubSpot's types: nothing is lost, nothing is guessed, nothing raises."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync._hubspot.records.values import conversion_for
from hubspot_sync.models import PropertyDefinition, from_milliseconds, to_milliseconds

UTC = timezone.utc
KATHMANDU = timezone(timedelta(hours=5, minutes=45))
# Two days off the ends of the calendar, so that every zone has room.
FIRST, LAST = -62_135_424_000_000, 253_402_128_000_000
# What reads as itself whatever the type: a value that does not fit stays the text that was sent.
ODD = (
    " ",
    "\t",
    "\n1",
    "n/a",
    "a;b",
    "None",
    "null",
    "NaN",
    "-Infinity",
    "inf",
    "1_000",
    "1,000.50",
    "٣",
    "²",
    "2026-03-02x",
    "\ud800",
    "x" * 70_000,
    "9" * 70_000,
    "-",
    "--1",
    "+1",
)


def convert(kind, text, field_type="text", *, raw=False):
    """The value that *text* of a property of type *kind* becomes, and whether it was counted."""
    definition = PropertyDefinition(name="it", type=kind, field_type=field_type)
    values, unconverted = conversion_for([definition], raw=raw)({"it": text})
    return values["it"], bool(unconverted)


@pytest.mark.parametrize(
    ("kind", "field_type", "text", "value"),
    [
        ("bool", "booleancheckbox", "true", True),
        ("bool", "booleancheckbox", "false", False),
        ("bool", "radio", "true", True),
        ("enumeration", "booleancheckbox", "true", True),
        ("enumeration", "booleancheckbox", "false", False),
        ("enumeration", "booleancheckbox", "Yes", "Yes"),
        ("number", "number", "0", 0),
        ("number", "number", "17", 17),
        ("number", "number", "-17", -17),
        ("number", "number", "9007199254740993", 9_007_199_254_740_993),
        ("number", "number", "1" + "0" * 39 + "7", 10**40 + 7),
        ("number", "calculation_equation", "17.5", Decimal("17.5")),
        ("number", "number", "1234567.50", Decimal("1234567.50")),
        ("number", "number", "-0.10", Decimal("-0.10")),
        ("number", "number", "12345678901234567890.1234567890123456789", None),
        ("number", "number", "1.5E10", Decimal("1.5E10")),
        ("number", "number", "1e-7", Decimal("1e-7")),
        ("number", "number", "1e400", Decimal("1e400")),
        ("date", "date", "2026-03-02", date(2026, 3, 2)),
        ("date", "date", "0001-01-01", date(1, 1, 1)),
        ("date", "date", "1772409600000", date(2026, 3, 2)),
        ("date", "date", "-86400000", date(1969, 12, 31)),
        ("date", "date", "2026-03-02T00:00:00Z", date(2026, 3, 2)),
        ("datetime", "date", "2026-03-02T10:35:01.123Z", (2026, 3, 2, 10, 35, 1, 123_000)),
        ("datetime", "date", "2026-03-02T10:35:01.123987Z", (2026, 3, 2, 10, 35, 1, 123_000)),
        ("datetime", "date", "2026-03-02T10:35:01Z", (2026, 3, 2, 10, 35, 1)),
        ("datetime", "date", "2026-03-02T12:35:01.5+02:00", (2026, 3, 2, 10, 35, 1, 500_000)),
        ("datetime", "date", "2026-03-02T12:35:01.5+0200", (2026, 3, 2, 10, 35, 1, 500_000)),
        ("datetime", "date", "2026-03-02 10:35", (2026, 3, 2, 10, 35)),
        ("datetime", "date", "2026-03-02", (2026, 3, 2)),
        ("datetime", "date", "1772447701123", (2026, 3, 2, 10, 35, 1, 123_000)),
        ("datetime", "date", "-1", (1969, 12, 31, 23, 59, 59, 999_000)),
        ("datetime", "date", "0", (1970, 1, 1)),
        ("enumeration", "checkbox", "a", ("a",)),
        ("enumeration", "checkbox", "b;a", ("b", "a")),
        ("enumeration", "checkbox", ";b;;a;", ("b", "a")),
        ("enumeration", "checkbox", "a b; c", ("a b", " c")),
        ("enumeration", "checkbox", ";", None),
        ("enumeration", "select", "a;b", "a;b"),
        ("enumeration", "radio", "true", "true"),
        ("string", "text", "17", "17"),
        ("string", "checkbox", "a;b", "a;b"),
        ("string", "textarea", " two\r\nlines ", " two\r\nlines "),
        ("phone_number", "phonenumber", "+42077", "+42077"),
        ("object_coordinates", "text", "1-2-3", "1-2-3"),
        ("json", "text", '{"a": 1}', '{"a": 1}'),
        ("hologram", "number", "17", "17"),
    ],
)
def test_a_value_is_read_by_the_type_of_its_property(kind, field_type, text, value):
    """Each of HubSpot's types, and text for those to come."""
    if kind == "datetime":
        value = datetime(*value, tzinfo=UTC)
    if kind == "number" and value is None:
        value = Decimal(text)

    found, counted = convert(kind, text, field_type)

    assert (found, type(found)) == (value, type(value))
    assert not counted
    assert getattr(found, "tzinfo", None) is (UTC if kind == "datetime" else None)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *[(kind, text) for kind in ("bool", "number", "date", "datetime") for text in ODD],
        ("bool", "True"),
        ("bool", "1"),
        ("number", "007"),
        ("number", "00.5"),
        ("number", "1."),
        ("number", " 1"),
        ("number", "1e99999999999"),
        ("number", "0x10"),
        ("date", "0000-01-01"),
        ("date", "20000-01-01"),
        ("date", "2026-02-30"),
        ("date", "20260302"),
        ("date", "2026-W10-1"),
        ("date", "1772447701123"),
        ("date", "2026-03-02T10:35:01.123Z"),
        ("datetime", "0000-01-01T00:00:00.000Z"),
        ("datetime", "20000-01-01T00:00:00.000Z"),
        ("datetime", "0001-01-01T00:00:00+05:00"),
        ("datetime", "2026-03-02T10:35:60.000Z"),
        ("datetime", "2026-03-02x10:35:01.123Z"),
        ("datetime", "2026-W10-1T10:35:01.123Z"),
        ("datetime", "568971820800000"),
        ("datetime", "9" * 18),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_kept_as_it_was_sent(kind, text):
    """It is counted, and it costs neither the value nor the record."""
    assert convert(kind, text) == (text, True)


@pytest.mark.parametrize("kind", ["bool", "number", "date", "datetime", "enumeration", "string"])
@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_are_no_value_in_every_type(kind, nothing):
    """HubSpot sends either for a cleared value, and the host has to see that it was cleared."""
    assert convert(kind, nothing, "checkbox") == (None, False)
    assert convert(kind, nothing, raw=True) == (None, False)


def test_a_property_that_was_not_sent_has_no_key():
    """Absent is neither cleared nor empty."""
    definition = PropertyDefinition(name="it", type="number", field_type="number")

    assert conversion_for([definition])({}) == ({}, ())


@pytest.mark.parametrize("kind", ["bool", "number", "date", "datetime", "enumeration"])
@pytest.mark.parametrize("text", [*ODD, "true", "17", "2026-03-02", ";a;"])
def test_raw_values_are_as_they_were_sent(kind, text):
    """For hosts that have a reading of their own."""
    assert convert(kind, text, "checkbox", raw=True) == (text, False)


@pytest.mark.parametrize(
    ("kind", "sent", "value"),
    [
        ("bool", True, True),
        ("number", 17, 17),
        ("number", 17.5, Decimal("17.5")),
        ("string", False, "false"),
        ("string", 0, "0"),
        ("string", ["a"], '["a"]'),
        ("date", {"a": None}, '{"a":null}'),
    ],
)
def test_what_is_sent_as_more_than_text_is_not_lost(kind, sent, value):
    """HubSpot sends text only, today."""
    assert convert(kind, sent)[0] == value


def test_numbers_stay_within_what_python_converts():
    """A host may have told Python to refuse long integers."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        longest, _ = convert("number", "9" * 640)

        assert str(longest) == "9" * 640
        assert convert("number", "9" * 641) == ("9" * 641, True)
    finally:
        sys.set_int_max_str_digits(limit)


@given(st.integers())
def test_integers_are_exact(number):
    """Ids above all."""
    assert convert("number", str(number)) == (number, False)


@given(st.decimals(-(10**20), 10**20, places=3) | st.decimals(-1, 1, places=40))
def test_decimals_keep_their_digits(number):
    """Zeros at the end included."""
    text = format(number, "f")

    found, counted = convert("number", text)

    assert (format(found, "f"), counted) == (text, False)


@given(st.dates())
def test_dates_come_back(day):
    """As ISO text and as milliseconds of midnight in UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)

    assert convert("date", day.isoformat()) == (day, False)
    assert convert("date", str(to_milliseconds(midnight))) == (day, False)


@given(st.integers(FIRST, LAST), st.sampled_from([UTC, KATHMANDU]))
def test_instants_come_back(milliseconds, zone):
    """As ISO text of any zone and as milliseconds."""
    instant = from_milliseconds(milliseconds)
    text = instant.astimezone(zone).isoformat(timespec="milliseconds")

    assert convert("datetime", text) == (instant, False)
    assert convert("datetime", text.replace("+00:00", "Z")) == (instant, False)
    assert convert("datetime", str(to_milliseconds(instant))) == (instant, False)


@given(st.lists(st.text(min_size=1).filter(lambda text: ";" not in text), min_size=1))
def test_choices_come_back_in_their_order(choices):
    """With or without semicolons around them."""
    expected = (tuple(choices), False)

    assert convert("enumeration", ";".join(choices), "checkbox") == expected
    assert convert("enumeration", f";{';'.join(choices)};", "checkbox") == expected


@given(
    st.sampled_from(["bool", "number", "date", "datetime", "enumeration", "string"]),
    st.sampled_from(["checkbox", "booleancheckbox", "text"]),
    st.text() | st.text("0123456789-+.eETZ: ;", max_size=30),
)
def test_no_text_is_too_strange(kind, field_type, text):
    """A value is of its type, or the text itself, and counted where the type is not text."""
    found, counted = convert(kind, text, field_type)

    if isinstance(found, str):
        assert found == text
        assert counted is (kind not in ("enumeration", "string"))
    else:
        assert not counted
