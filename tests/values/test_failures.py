"""Failures as values: what they say, how they are chosen, and payloads that are damaged."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from hubspot_sync import Action, ConfigurationError, InvariantError, RejectedSelection
from hubspot_sync.models import RedriveReport, RetryCounts, StreamRedrive, StreamStatus
from hubspot_sync.testing.contracts._admin import SELECTIONS, failure, mixed, places
from hubspot_sync.testing.contracts._samples import ACCOUNT, MOMENT, STREAM, rich_action


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("it is bad", "it is bad"),
        (" two\r\nlines\tand\0more ", "two lines and more"),
        ("", "no reason given"),
        ("\ud800", "?"),
        ("x" * 5_000, "x" * 997 + "..."),
    ],
)
def test_a_reason_is_one_line_that_every_store_takes(given, kept):
    """And can be asked for as it was given."""
    assert failure(reason=given).reason == kept
    assert RejectedSelection(account=ACCOUNT, reason=given).fits(failure(reason=given))


@pytest.mark.parametrize("name", ["first_at", "last_at", "next_at"])
def test_instants_say_their_zone(name):
    """Others would mean something else on another machine."""
    with pytest.raises(ConfigurationError, match=name):
        failure(**{name: datetime(2026, 3, 2)})  # noqa: DTZ001 - that is the point


def test_attempts_are_counted_from_one():
    """A failure was tried at least once."""
    with pytest.raises(ConfigurationError, match="attempts"):
        failure(attempts=0)


@pytest.mark.parametrize(("selection", "expected"), SELECTIONS.values(), ids=SELECTIONS)
def test_a_selection_fits_what_it_says(selection, expected):
    """By type, reason, objects, parked or not; never of another account."""
    assert places([one for one in mixed() if selection.fits(one)]) == expected


def test_one_object_may_be_given_alone():
    """A single id is no list of its digits."""
    assert RejectedSelection(account=ACCOUNT, object_ids="123").object_ids == ("123",)


def test_an_action_from_before_there_was_backfill_can_be_read():
    """Error queues hold such payloads."""
    before = rich_action()
    text = before.to_json().replace('"backfill":false,', "")

    assert "backfill" not in text
    assert Action.from_json(text) == before
    assert Action.from_json(text.encode()) == before


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        None,
        rich_action().to_json().replace('"Created"', '"Invented"'),
        rich_action().to_json().replace('"name"', '"secret": {"unknown": "1"}, "name"'),
        rich_action().to_json().replace("null", '{"decimal": "hush"}'),
        rich_action().to_json()[:-10],
    ],
)
def test_a_damaged_payload_is_told_without_its_values(text):
    """It is found when it is read, not when it is stored."""
    with pytest.raises(InvariantError, match="cannot be read") as caught:
        Action.from_json(text)

    assert caught.value.__context__ is None
    assert "hush" not in str(caught.value)


def test_the_counts_of_a_redrive_add_up():
    """Over its streams, and in JSON."""
    counts = RetryCounts(delivered=1, superseded=2, rejected=3, parked=4)
    stream = StreamRedrive(stream=STREAM, status=StreamStatus.COMPLETED, counts=counts)
    report = RedriveReport(
        account=ACCOUNT, streams=(stream, stream), duration=timedelta(seconds=1.5)
    )

    assert report.completed
    assert report.counts.tried == 20
    assert report.as_dict() == {
        "domain_id": "acme",
        "account_id": "62515",
        "completed": True,
        "streams": {
            "contacts": {
                "status": "completed",
                "tried": 10,
                "delivered": 1,
                "superseded": 2,
                "rejected": 3,
                "parked": 4,
                "error": None,
            }
        },
        "seconds": 1.5,
    }


def test_a_failure_knows_its_stream():
    """And a parked one that it is parked."""
    assert failure().stream == STREAM
    assert not failure().parked
    assert failure(next_at=None, first_at=MOMENT).parked
