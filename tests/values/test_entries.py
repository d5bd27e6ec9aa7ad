"""Entries of accounts survive as documents, also those of an older or a newer version."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import orjson
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync._documents import (
    entry_from_document,
    entry_from_text,
    entry_to_document,
    entry_to_text,
)
from hubspot_sync.errors import InvariantError
from hubspot_sync.models import (
    Account,
    AccountEntry,
    AccountStatus,
    Counts,
    Mode,
    StreamSettings,
    StreamStatus,
    StreamSummary,
    SyncSummary,
    from_milliseconds,
)
from hubspot_sync.testing.contracts._entries import ENTRIES, entry

instants = st.integers(-62_135_424_000_000, 253_402_128_000_000).map(from_milliseconds)
texts = st.text(max_size=20)
# NUL and half a surrogate pair are no part of a name.
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
names = st.lists(st.text(letters, min_size=1, max_size=5), max_size=3)
object_types = st.sampled_from(["contacts", "companies", "deals", "2-3465404", "p62515_pets"])
settings = st.builds(
    StreamSettings,
    object_type=object_types,
    properties=st.none() | names,
    associations=st.lists(object_types, max_size=2),
    exclude=names,
    raw_values=st.booleans(),
    ignore_missing=st.booleans(),
)
numbers = st.integers(0, 2**53)
summaries = st.builds(
    StreamSummary,
    status=st.sampled_from(StreamStatus),
    mode=st.none() | st.sampled_from(Mode),
    counts=st.builds(Counts, delivered=numbers, repeated=numbers, skipped=numbers),
    finished_at=instants,
    completed_at=st.none() | instants,
    error=st.none() | texts,
)
entries = st.builds(
    AccountEntry,
    account=st.builds(
        Account,
        account_id=st.just("62515"),
        domain_id=st.just("acme"),
        streams=st.lists(settings, min_size=1, unique_by=lambda one: one.object_type),
        sync_every=st.integers(1, timedelta.max // timedelta(milliseconds=1)).map(
            lambda number: timedelta(milliseconds=number)
        ),
    ),
    status=st.sampled_from(AccountStatus),
    reason=st.none() | texts,
    status_since=instants,
    name=st.none() | texts,
    scopes=names,
    last_sync=st.none()
    | st.builds(
        SyncSummary,
        started_at=instants,
        finished_at=instants,
        completed=st.booleans(),
        error=st.none() | texts,
    ),
    next_sync_at=st.none() | instants,
    failed_runs=numbers,
    streams=st.dictionaries(object_types, summaries),
    revision=numbers,
)


def read(document, of=None):
    """The entry that *document* is, with what a store keeps beside it from *of*."""
    of = of or entry()
    return entry_from_document(
        of.key,
        document,
        status=of.status.value,
        next_sync_at=of.next_sync_at,
        revision=of.revision,
    )


@given(entries)
def test_an_entry_survives(kept):
    """As a document and as text; a lone surrogate is replaced, because no store takes it."""
    assert kept == read(entry_to_document(kept), kept)
    assert orjson.loads(entry_to_text(kept)) == entry_to_document(kept)


def test_text():
    """With the instant as text too."""
    kept = evolve(ENTRIES["rich"], revision=7)

    found = entry_from_text(
        kept.key,
        entry_to_text(kept),
        status="needs_reauthorization",
        next_sync_at="2026-03-02T10:35:02.123Z",
        revision=7,
    )

    assert kept == found


def test_what_a_newer_version_wrote():
    """Keys that are not known are passed over, at every level."""
    document = entry_to_document(ENTRIES["rich"])
    document["colour"] = "green"
    document["account"]["colour"] = {"red": 1}
    document["account"]["streams"][0]["colour"] = "green"
    document["last_sync"]["colour"] = ["green"]
    document["streams"][0]["colour"] = "green"
    document["streams"][0]["counts"]["deleted"] = 7

    assert ENTRIES["rich"] == read(document, ENTRIES["rich"])


@pytest.mark.parametrize("change", [{"mode": "guess"}, {"status": "postponed"}])
def test_a_summary_in_words_of_a_newer_version(change):
    """It is left out: it is for people only, and the account can be synchronised nevertheless."""
    document = entry_to_document(ENTRIES["rich"])
    document["streams"][0].update(change)

    found = read(document, ENTRIES["rich"])

    others = dict(ENTRIES["rich"].streams)
    del others["contacts"]
    assert evolve(ENTRIES["rich"], streams=others) == found


def test_what_an_older_version_wrote():
    """What is missing has its default."""
    document = {
        "status_since": "2026-03-02T10:35:01.123Z",
        "account": {"streams": [{"object_type": "contacts"}]},
        "streams": [
            {"object_type": "contacts", "status": "busy", "finished_at": "2026-03-02T10:35:01.123Z"}
        ],
    }
    since = datetime(2026, 3, 2, 10, 35, 1, 123_000, tzinfo=timezone.utc)
    expected = entry(
        account=Account(
            domain_id="acme",
            account_id="62515",
            streams=(StreamSettings(object_type="contacts"),),
        ),
        streams={"contacts": StreamSummary(status=StreamStatus.BUSY, finished_at=since)},
    )

    assert expected == read(document)
    assert entry() == read({"status_since": "2026-03-02T10:35:01.123Z"})


@pytest.mark.parametrize(
    "change",
    [
        {"status_since": "yesterday"},
        {"status_since": None},
        {"failed_runs": -1},
        {"failed_runs": "many"},
        {"account": None},
        {"account": {"streams": []}},
        {"account": {"streams": [{"properties": []}]}},
        {"account": {"streams": [{"object_type": "contacts", "properties": "email"}]}},
        {"account": {"sync_every_ms": 0}},
        {"account": {"sync_every_ms": 10**30}},
        {"scopes": 7},
        {"last_sync": {}},
        {"last_sync": "failed"},
        {"streams": [{"status": "busy", "mode": None}]},
        {"streams": {"contacts": {}}},
    ],
)
def test_a_damaged_entry_is_an_error(change):
    """It names the account, what to do, and no value."""
    document = {**entry_to_document(ENTRIES["rich"]), **change}

    with pytest.raises(InvariantError, match="connect the account again") as caught:
        read(document)

    assert caught.value.account == "acme/62515"
    text = json.dumps(document)
    with pytest.raises(InvariantError):
        entry_from_text(entry().key, text, status="active", next_sync_at=None, revision=1)


@pytest.mark.parametrize(("status", "text", "at"), [("odd", "{}", None), ("active", "{}", "soon")])
def test_a_damaged_row_is_an_error(status, text, at):
    """Also where what is kept beside the document is wrong."""
    with pytest.raises(InvariantError):
        entry_from_text(entry().key, text, status=status, next_sync_at=at, revision=1)


def test_text_that_no_store_takes():
    """A lone surrogate becomes the replacement character, a pair of them what it stands for."""
    kept = entry(name="a\ud800b", reason="\ud83d\ude00 株 \udfff")

    found = read(entry_to_document(kept))

    assert (found.name, found.reason) == ("a\ufffdb", "😀 株 \ufffd")
    assert entry_to_text(kept)


def test_less_than_a_millisecond():
    """It is cut off, but a time between syncs never becomes nothing."""
    hasty = Account(account_id="62515", domain_id="acme", sync_every=timedelta(microseconds=1))
    kept = entry(account=hasty, status_since=datetime(2026, 1, 1, 0, 0, 0, 999, timezone.utc))

    found = read(entry_to_document(kept))

    assert found.account.sync_every == timedelta(milliseconds=1)
    assert found.status_since == datetime(2026, 1, 1, tzinfo=timezone.utc)
