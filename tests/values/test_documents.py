"""Documents hold models without loss, and what is corrupt is said to be so."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync._documents import (
    associations_to_document,
    checkpoint_from_document,
    checkpoint_from_text,
    checkpoint_to_document,
    checkpoint_to_text,
    credentials_from_bytes,
    credentials_to_bytes,
    instant_from_text,
    instant_to_text,
    properties_from_text,
    properties_to_text,
)
from hubspot_sync.errors import InvariantError
from hubspot_sync.models import (
    AccountKey,
    Association,
    AssociationType,
    Checkpoint,
    IdRange,
    Mode,
    OAuthTokens,
    Pass,
    StaticAccessToken,
    StreamKey,
    from_milliseconds,
)

ACCOUNT = AccountKey("acme", "62515")
STREAM = StreamKey(ACCOUNT, "contacts")
MOMENT = datetime(2026, 3, 2, 10, 35, 1, 123_000, tzinfo=timezone.utc)

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.builds(
    lambda milliseconds, zone: from_milliseconds(milliseconds).astimezone(zone),
    st.integers(-62_135_424_000_000, 253_402_128_000_000),
    zones,
)
values = st.none() | st.text("0123456789=%Cé", max_size=8)
ranges = st.builds(IdRange, after=values, until=values)
passes = st.builds(
    Pass, mode=st.just(Mode.BACKFILL), end=instants, ranges=st.lists(ranges, max_size=4).map(tuple)
) | st.builds(
    Pass,
    mode=st.just(Mode.INCREMENTAL),
    start=instants,
    end=instants,
    ranges=st.lists(ranges, max_size=4).map(tuple),
)
checkpoints = st.builds(
    Checkpoint,
    high_water_mark=st.none() | instants,
    index_floor=st.none() | instants,
    reading=st.none() | passes,
    fell_from=st.none() | instants,
)


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (MOMENT, "2026-03-02T10:35:01.123Z"),
        (MOMENT.replace(microsecond=0), "2026-03-02T10:35:01.000Z"),
        (MOMENT.replace(microsecond=123_999), "2026-03-02T10:35:01.123Z"),
        (MOMENT.astimezone(timezone(timedelta(hours=-8))), "2026-03-02T10:35:01.123Z"),
        (MOMENT.replace(year=1), "0001-03-02T10:35:01.123Z"),
    ],
)
def test_an_instant_is_text_in_utc_with_milliseconds(instant, text):
    """Whatever zone it was given in; finer parts are cut off."""
    assert text == instant_to_text(instant)


@given(instants, instants)
def test_instants_sort_as_their_text(first, second):
    """They come back the same, and the order of the texts is that of the instants."""
    assert first == instant_from_text(instant_to_text(first))
    assert (first < second) == (instant_to_text(first) < instant_to_text(second))


@given(checkpoints)
def test_checkpoints_come_back(checkpoint):
    """Through a document that JSON knows, and through text."""
    document = json.loads(json.dumps(checkpoint_to_document(checkpoint)))

    assert checkpoint == checkpoint_from_document(STREAM, document)
    assert checkpoint == checkpoint_from_text(STREAM, checkpoint_to_text(checkpoint))


def test_a_checkpoint_of_a_friendlier_writer():
    """A field that is not known is passed over, one that is missing is absent."""
    assert Checkpoint() == checkpoint_from_document(STREAM, {})
    assert Checkpoint(high_water_mark=MOMENT) == checkpoint_from_document(
        STREAM, {"high_water_mark": "2026-03-02T10:35:01.123Z", "from_the_future": [1]}
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "7",
        "null",
        "[]",
        '{"high_water_mark": 7}',
        '{"high_water_mark": "yesterday"}',
        '{"index_floor": "2026-03-02T10:35"}x',
        '{"reading": 7}',
        '{"reading": {}}',
        '{"reading": {"mode": "sideways", "end": "2026-03-02T10:35:01.123Z", "ranges": []}}',
        '{"reading": {"mode": "backfill", "end": "2026-03-02T10:35:01.123Z", "ranges": [7]}}',
        '{"reading": {"mode": "incremental", "end": "2026-03-02T10:35:01.123Z", "ranges": []}}',
    ],
)
def test_a_corrupt_checkpoint(text):
    """What cannot be read is an error that says which stream, never a new beginning."""
    with pytest.raises(InvariantError, match="checkpoint cannot be read") as caught:
        checkpoint_from_text(STREAM, text)

    assert (caught.value.account, caught.value.stream) == ("acme/62515", "contacts")


@pytest.mark.parametrize(
    "credentials",
    [
        StaticAccessToken(access_token="pat-na1-1"),
        OAuthTokens(refresh_token="r"),
        OAuthTokens(refresh_token="r", access_token="a", expires_at=MOMENT),
        OAuthTokens(refresh_token="r", issued_at=MOMENT, refreshing_until=MOMENT),
    ],
)
def test_credentials_come_back(credentials):
    """Both kinds, before, during and after the first refresh."""
    assert credentials == credentials_from_bytes(ACCOUNT, credentials_to_bytes(credentials))


def test_credentials_of_older_versions_can_be_read():
    """They know neither when the access token was issued nor who refreshes it."""
    content = b'{"kind":"oauth","refresh_token":"r","access_token":null,"expires_at":null}'

    assert OAuthTokens(refresh_token="r") == credentials_from_bytes(ACCOUNT, content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hush",
        b'{"kind": "static", "access_token": "hush"',
        b'["hush"]',
        b'{"kind": "hush"}',
        b'{"kind": "static"}',
        b'{"kind": "oauth", "refresh_token": 7, "access_token": "hush"}',
        b'{"kind": "oauth", "refresh_token": "hush", "expires_at": "hush"}',
    ],
)
def test_corrupt_credentials(content):
    """What cannot be read is an error that holds nothing of it, not even as its cause."""
    with pytest.raises(InvariantError, match="credentials cannot be read") as caught:
        credentials_from_bytes(ACCOUNT, content)

    assert "hush" not in repr(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.account == "acme/62515"


@given(st.integers() | st.decimals(allow_nan=False, allow_infinity=False))
def test_numbers_keep_every_digit(number):
    """Any number is a JSON number, and comes back with the digits that it had."""
    text = properties_to_text({"it": number})

    assert text[6] in "-0123456789"
    assert text == f'{{"it":{number}}}' or (isinstance(number, Decimal) and "E-" in str(number))
    (kept,) = properties_from_text(text).values()
    assert str(kept) == str(number)


def test_values_of_properties():
    """Numbers stay numbers, with HubSpot's digits; JSON has no dates and tuples."""
    given = {
        "nothing": None,
        "text": "2026-03-02",
        "truth": True,
        "number": 2**53 + 1,
        "huge": 2**63,
        "amount": Decimal("12.50"),
        "tiny": Decimal("1E-8"),
        "large": Decimal("1E5"),
        "not a number": Decimal("NaN"),
        "day": date(1, 3, 2),
        "instant": MOMENT,
        "choices": ("b", "a"),
    }

    text = properties_to_text(given)

    assert text == (
        '{"nothing":null,"text":"2026-03-02","truth":true,"number":9007199254740993,'
        '"huge":9223372036854775808,"amount":12.50,"tiny":0.00000001,"large":1E+5,'
        '"not a number":"NaN","day":"0001-03-02","instant":"2026-03-02T10:35:01.123Z",'
        '"choices":["b","a"]}'
    )
    as_text = {
        "not a number": "NaN",
        "day": "0001-03-02",
        "instant": "2026-03-02T10:35:01.123Z",
    }
    assert properties_from_text(text) == {**given, **as_text}


@pytest.mark.parametrize("text", ["", "7", "[]", '{"hush": }', '"hush"', None])
def test_corrupt_properties(text):
    """What cannot be read is an error that holds nothing of it, not even as its cause."""
    with pytest.raises(InvariantError, match="properties of an object cannot be read") as caught:
        properties_from_text(text)

    assert "hush" not in repr(caught.value)
    assert caught.value.__context__ is None


def test_associations():
    """An object type without any has an empty list, one that was not asked for has no key."""
    types = (AssociationType("HUBSPOT_DEFINED", 1), AssociationType("USER_DEFINED", 36, "Boss"))
    given = {"companies": (Association("1", primary=True, types=types),), "deals": ()}

    document = associations_to_document(given)

    assert document == json.loads(orjson.dumps(document))
    assert document == {
        "companies": [
            {
                "id": "1",
                "primary": True,
                "types": [
                    {"category": "HUBSPOT_DEFINED", "type_id": 1, "label": None},
                    {"category": "USER_DEFINED", "type_id": 36, "label": "Boss"},
                ],
            }
        ],
        "deals": [],
    }
