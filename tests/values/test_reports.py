"""Reports and other values as people and programs see them: in a line, by stream, as JSON."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from attrs import evolve
from msgspec.structs import replace

from hubspot_sync import (
    Account,
    AccountEntry,
    AccountKey,
    FleetReport,
    LeaseHeldError,
    RateLimitedError,
    RedriveReport,
    RejectedSelection,
    StaticAccessToken,
    StreamReport,
    StreamSettings,
    StreamStatus,
    SyncReport,
)
from hubspot_sync.models import (
    Checkpoint,
    Counts,
    Mode,
    ReencryptionReport,
    RetryCounts,
    StreamKey,
    StreamRedrive,
    StreamSummary,
    SyncSummary,
)
from hubspot_sync.testing.contracts._admin import failure
from hubspot_sync.testing.contracts._samples import rich_action

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)
ACME = AccountKey("acme", "62515")
SLOW = RateLimitedError("slow down", account="acme/62515", stream="contacts", status=429)
BUSY = LeaseHeldError("another worker has it", owner="host-2")


def stream(object_type, *, mode=Mode.BACKFILL, status=StreamStatus.COMPLETED, **more):
    return StreamReport(
        stream=StreamKey(ACME, object_type),
        mode=mode,
        status=status,
        duration=timedelta(seconds=1),
        **more,
    )


def report(*streams, **more):
    return SyncReport(
        account=ACME,
        streams=streams,
        duration=timedelta(seconds=2.07),
        api_calls={"list": 14, "search": 1},
        **more,
    )


COMPLETED = report(
    stream("companies", counts=Counts(delivered=200)),
    stream("contacts", counts=Counts(delivered=1_000), api_calls={"list": 1}),
)
FAILED = report(
    stream("companies", mode=Mode.INCREMENTAL, counts=Counts(delivered=1, rejected=2, skipped=3)),
    stream("contacts", status=StreamStatus.FAILED, error=SLOW, counts=Counts(delivered=7)),
    stream("deals", mode=None, status=StreamStatus.NOT_STARTED),
    error=SLOW,
)
REDRIVE = RedriveReport(
    account=ACME,
    streams=(
        StreamRedrive(
            stream=StreamKey(ACME, "contacts"),
            status=StreamStatus.COMPLETED,
            counts=RetryCounts(delivered=3, parked=1),
        ),
        StreamRedrive(stream=StreamKey(ACME, "deals"), status=StreamStatus.BUSY, error=BUSY),
    ),
    duration=timedelta(seconds=0.1),
)
ENTRY = AccountEntry(
    account=Account(62515, domain_id="acme"),
    status_since=NOON,
    scopes=("oauth",),
    last_sync=SyncSummary(started_at=NOON, finished_at=NOON, completed=True),
    next_sync_at=NOON,
    streams={"contacts": StreamSummary(status=StreamStatus.COMPLETED, finished_at=NOON)},
)
RESEALED = ReencryptionReport(resealed=1, failures={ACME: SLOW}, completed=False)
FLEET = FleetReport(accounts=(COMPLETED, FAILED), duration=timedelta(seconds=10))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (
            COMPLETED,
            "acme/62515: completed in 2.1 s; companies 200 new; contacts 1,000 new; 15 calls",
        ),
        (
            FAILED,
            (
                "acme/62515: failed in 2.1 s; companies 1 new or changed, 2 rejected, 3 skipped; "
                "contacts failed, 7 new; deals not started; 15 calls; RateLimitedError: slow down "
                "[account acme/62515, stream contacts, HTTP 429]"
            ),
        ),
        (COMPLETED["contacts"], "acme/62515/contacts: completed in 1.0 s; 1,000 new; 1 call"),
        (
            FLEET,
            "2 accounts in 10.0 s; 1 completed, 1 failed; 1,208 delivered; 30 calls",
        ),
        (
            evolve(FLEET, accounts=(COMPLETED,), stopped=True),
            "1 account in 10.0 s, stopped; 1 completed; 1,200 delivered; 15 calls",
        ),
        (
            REDRIVE,
            (
                "acme/62515: not completed in 0.1 s; contacts 3 delivered, 1 parked; "
                "deals busy, nothing tried"
            ),
        ),
        (RESEALED, "1 account sealed under the primary key; 1 failed; stopped before the end"),
    ],
)
def test_a_report_is_one_line(value, line):
    """What `print` shows is in the repr, too."""
    assert str(value) == line
    assert repr(value) == f"<{type(value).__name__} {line}>"


@pytest.mark.parametrize(
    ("streams", "status"),
    [
        ([stream("contacts")], StreamStatus.COMPLETED),
        ([stream("contacts", status=StreamStatus.STOPPED)], StreamStatus.STOPPED),
        ([stream("contacts", status=StreamStatus.BUSY, error=BUSY)], StreamStatus.BUSY),
        ([stream("contacts", status=StreamStatus.FAILED, error=SLOW)], StreamStatus.FAILED),
    ],
)
def test_a_run_has_a_status(streams, status):
    """As each of its streams has."""
    assert report(*streams).status is status


@pytest.mark.parametrize("name", ["contacts", "Contact", "0-1"])
def test_a_stream_is_found_by_its_name(name):
    """In any spelling."""
    assert COMPLETED[name] is COMPLETED.streams[1]
    assert REDRIVE[name] is REDRIVE.streams[0]
    assert name in COMPLETED
    assert name in REDRIVE


@pytest.mark.parametrize("name", ["deals", 0, None, "a b"])
def test_a_stream_that_is_not_there(name):
    """The error says which are."""
    with pytest.raises(KeyError, match="it has 'companies', 'contacts'"):
        COMPLETED[name]
    assert name not in COMPLETED


@pytest.mark.parametrize(
    "value",
    [
        COMPLETED,
        FAILED,
        FAILED["contacts"],
        FLEET,
        REDRIVE,
        RESEALED,
        ENTRY,
        ENTRY.account,
        ENTRY.key,
        failure(),
        RejectedSelection(account=ACME, object_ids=["1"]),
        rich_action(),
        StreamSettings("contacts"),
        Counts(delivered=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_what_json_knows(value):
    """For programs; a web framework may return it as it is."""
    encoders = pytest.importorskip("fastapi.encoders")

    shown = value.as_dict()

    assert json.loads(json.dumps(shown)) == shown
    assert dict(value) == shown
    assert encoders.jsonable_encoder(value) == shown


def test_fastapi_returns_a_report():
    """Without a word about how."""
    fastapi = pytest.importorskip("fastapi")
    testing = pytest.importorskip("fastapi.testclient")
    app = fastapi.FastAPI()

    @app.get("/")
    def sync():
        return FLEET

    assert testing.TestClient(app).get("/").json() == FLEET.as_dict()


def test_an_entry_is_shown_whole():
    """All that a page about the account needs."""
    shown = ENTRY.as_dict()

    assert (shown["domain_id"], shown["account_id"]) == ("acme", "62515")
    assert (shown["status"], shown["sync_every"]) == ("active", 900)
    assert [one["object_type"] for one in shown["settings"]] == ["companies", "contacts"]
    assert shown["streams"]["contacts"]["counts"]["read"] == 0
    assert shown["last_sync"]["finished_at"] == "2026-03-02T12:00:00+00:00"


def test_a_value_of_thousands_of_digits_is_text():
    """Python writes no decimal number of that length."""
    action = replace(rich_action(), properties={"big": 16**10_000})

    assert action.as_dict()["properties"]["big"].startswith("0x1000")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (
            Account(62515, domain_id="acme", streams=[StreamSettings("Contact", exclude=["x"])]),
            (
                "Account('62515', domain_id='acme', "
                "streams=(StreamSettings('contacts', exclude=('x',)),))"
            ),
        ),
        (Account("1"), "Account('1')"),
        (Checkpoint(), "Checkpoint()"),
        (
            rich_action(),
            (
                "<Action acme:62515:contacts:9007199254740995:1772447701123 'Contact Created': "
                "6 properties>"
            ),
        ),
        (
            failure(reason="ada@example.com is taken"),
            (
                "<RejectedAction acme:62515:contacts:1:1772447701123 'Contact Updated': "
                "ActionRejectedError, 2 attempts>"
            ),
        ),
        (ENTRY, "<AccountEntry acme/62515 active, due 2026-03-02T12:00:00+00:00, revision 0>"),
        (StaticAccessToken("pat-na1-canary"), "StaticAccessToken()"),
    ],
)
def test_a_repr_is_short(value, shown):
    """And holds neither a secret nor what HubSpot says of a person."""
    assert repr(value) == shown
    assert len(repr(StreamSettings("contacts", properties=[f"p{n}" for n in range(999)]))) < 200


def test_the_one_obvious_argument_needs_no_name():
    """All others do."""
    assert StreamSettings("contacts") == StreamSettings(object_type="contacts")
    assert StaticAccessToken("pat-1").access_token == "pat-1"
    assert Account(62515) == Account(account_id="62515")
    for too_many in (
        lambda: Account("1", "acme"),
        lambda: StreamSettings("contacts", ["email"]),
    ):
        with pytest.raises(TypeError):
            too_many()
