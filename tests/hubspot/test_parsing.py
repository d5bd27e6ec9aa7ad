"""Reading HubSpot's answers: rows, instants, associations, and bodies that are no JSON."""

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from hubspot_sync import HubSpotUnavailableError
from hubspot_sync._clock import StopSignal
from hubspot_sync._hubspot.calls.answers import (
    batch_answer,
    list_answer,
    next_after,
    search_answer,
    shaped,
)
from hubspot_sync._hubspot.calls.bodies import loads
from hubspot_sync._hubspot.records.associations import InlineKeys, read_inline
from hubspot_sync._hubspot.records.batch_calls import read_batch
from hubspot_sync._hubspot.records.subject import to_records
from hubspot_sync._hubspot.records.values import conversion_for, to_instant
from hubspot_sync.models import Association, AssociationType, PropertyDefinition

ROW = {
    "id": "512",
    "properties": {
        "email": "a@b.c",
        "phone": "",
        "city": None,
        "lastmodifieddate": "1790000000000",
    },
    "createdAt": "2026-03-02T10:35:01.123Z",
    "updatedAt": "2026-03-02T18:14:09.001Z",
    "archived": False,
}
AS_TEXT = conversion_for([], raw=True)
TYPED = conversion_for(
    [PropertyDefinition(name="lastmodifieddate", type="datetime", field_type="date")]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-02T10:35:01.123Z", (2026, 3, 2, 10, 35, 1, 123_000)),
        ("2026-03-02T10:35:01Z", (2026, 3, 2, 10, 35, 1)),
        ("2026-03-02T10:35:01.1Z", (2026, 3, 2, 10, 35, 1, 100_000)),
        ("2026-03-02T10:35:01.123456789Z", (2026, 3, 2, 10, 35, 1, 123_000)),
        ("2026-03-02T12:35:01.123+02:00", (2026, 3, 2, 10, 35, 1, 123_000)),
        ("1772447701123", (2026, 3, 2, 10, 35, 1, 123_000)),
    ],
)
def test_instants_are_read_to_the_millisecond(text, expected):
    """ISO with any fraction, or milliseconds since 1970; always in UTC."""
    assert to_instant(text) == datetime(*expected, tzinfo=timezone.utc)


def test_null_and_empty_both_mean_no_value():
    """HubSpot sends either for a cleared value."""
    (record,), skipped = to_records([ROW], "contacts", AS_TEXT)

    assert skipped == ()
    assert record.properties["phone"] is None
    assert record.properties["city"] is None
    assert "absent" not in record.properties


@pytest.mark.parametrize("convert", [AS_TEXT, TYPED], ids=["raw", "converted"])
def test_the_cursor_field_dates_a_record(convert):
    """The window filters by the property, so its value counts, not the envelope's."""
    (record,), _ = to_records([ROW], "contacts", convert)
    (company,), _ = to_records([ROW], "companies", convert)

    assert record.version == 1_790_000_000_000
    assert company.modified_at == to_instant(ROW["updatedAt"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "x1"}, "its id is no number"),
        (
            {"createdAt": None, "updatedAt": None, "properties": {}},
            "it has no date of creation or change",
        ),
        ({"createdAt": "yesterday"}, "its date of creation or change cannot be read"),
        ({"createdAt": "999999999999999"}, "its date of creation or change cannot be read"),
        (
            {"properties": {"lastmodifieddate": "soon"}},
            "its date of creation or change cannot be read",
        ),
        ({"properties": None}, "it does not have the shape of a record"),
    ],
)
def test_rows_that_are_no_records_are_named(change, reason):
    """One bad row never costs the page."""
    records, (skipped,) = to_records([{**ROW, **change}, ROW], "contacts", TYPED)

    assert [record.object_id for record in records] == ["512"]
    assert skipped.reason == reason
    assert skipped.object_id == {**ROW, **change}["id"]


CREATED, UPDATED = to_instant(ROW["createdAt"]), to_instant(ROW["updatedAt"])


@pytest.mark.parametrize(
    ("change", "created", "modified"),
    [
        ({"createdAt": None}, UPDATED, UPDATED),
        ({"updatedAt": None}, CREATED, CREATED),
        ({}, CREATED, UPDATED),
    ],
)
@pytest.mark.parametrize("leave_out", [False, True])
def test_a_record_that_lacks_a_date_is_dated_by_the_other(change, created, modified, leave_out):
    """It is a record all the same."""
    row = {**ROW, "properties": {"email": "a@b.c"}, **change}
    if leave_out:
        row = {name: value for name, value in row.items() if value is not None}

    (record,), skipped = to_records([row], "contacts", TYPED)

    assert skipped == ()
    assert (record.created_at, record.modified_at) == (created, modified)


def inline(block):
    """What is read of a row with this block of companies."""
    row = {"associations": {"companies": block}}
    return read_inline(row, InlineKeys({"companies": ["companies"]}).on_page([row]))


def test_inline_associations_are_merged_by_record():
    """The same id comes once per type."""
    block = {
        "results": [
            {"id": "9", "type": "contact_to_company_unlabeled"},
            {"id": "10", "type": "contact_to_company"},
            {"id": "10", "type": "contact_to_company_unlabeled"},
            {"id": "8", "type": "contact_to_company"},
            {"id": "9", "type": "contact_to_company_unlabeled"},
        ]
    }
    unlabeled = AssociationType("HUBSPOT_DEFINED", 279)
    primary = AssociationType("HUBSPOT_DEFINED", 1, "Primary")

    assert inline(block) == {
        "companies": (
            Association("8", primary=True, types=(primary,)),
            Association("9", primary=False, types=(unlabeled,)),
            Association("10", primary=True, types=(primary, unlabeled)),
        )
    }


@pytest.mark.parametrize(
    "block",
    [
        {"results": [], "paging": {"next": {"after": "7"}}},
        {"results": [{"id": "1", "type": "billing_contact"}]},
        {"results": [{"id": "1", "type": "contact_to_company"}, {"id": "1", "type": "mentor"}]},
        {"results": ["1"]},
        {"results": [{"id": "1"}]},
        {"results": [{"id": "1", "type": ["contact_to_company"]}]},
        {},
        [],
        {"results": None},
    ],
)
def test_inline_associations_that_are_not_whole_are_not_used(block):
    """A further page, a label whose type id is not told, or another shape."""
    assert inline(block) == {}


EDGE = {"results": [{"id": "9", "type": "contact_to_company_unlabeled"}]}
WITH_EDGE = {"associations": {"companies": EDGE}}


@pytest.mark.parametrize("row", [{}, {"associations": None}, {"associations": {}}])
def test_no_block_means_no_associations_once_the_key_was_seen(row):
    """HubSpot leaves the key out; before it was seen, that may be because it uses another one."""
    keys = InlineKeys({"companies": ["companies"]})

    before = read_inline(row, keys.on_page([row]))
    beside = read_inline(row, keys.on_page([row, WITH_EDGE]))
    after = read_inline(row, keys.on_page([row]))

    assert before == {}
    assert beside == after == {"companies": ()}


@pytest.mark.parametrize("strange", [{"associations": {"deals": {}}}, {"associations": []}])
def test_a_page_with_strange_keys_says_nothing_about_what_it_lacks(strange):
    """What nobody asked for may be what was asked for, under another name."""
    keys = InlineKeys({"companies": ["companies"]})
    keys.on_page([WITH_EDGE])

    seen = keys.on_page([strange, WITH_EDGE])

    assert read_inline(strange, seen) == {}
    assert len(read_inline(WITH_EDGE, seen)["companies"]) == 1


@pytest.mark.parametrize("key", ["line items", "line_items", "Line Items", "0-8"])
def test_a_key_is_known_under_every_name_of_its_type(key):
    """HubSpot puts a space into "line items"."""
    row = {"associations": {key: {"results": []}}}

    found = read_inline(row, InlineKeys({"line_items": ["line_items", "0-8"]}).on_page([row]))

    assert found == {"line_items": ()}


def test_associations_in_a_row_are_read_only_where_they_were_asked_for():
    """A record says nothing about object types that nobody asked for."""
    row = {**ROW, **WITH_EDGE}
    keys = InlineKeys({"companies": ["companies"], "deals": ["deals"]}).on_page([row])

    (alone,), _ = to_records([row], "contacts", AS_TEXT)
    (asked,), _ = to_records([row], "contacts", AS_TEXT, keys)

    assert alone.associations == {}
    assert {name: len(edges) for name, edges in asked.associations.items()} == {"companies": 1}


def test_half_a_surrogate_pair_costs_one_character_only():
    """No store could keep it, and orjson refuses the whole page."""
    assert loads(rb'{"a\ud800": ["\ud83d\ude00", "x\udc00", 1]}') == {
        "a\N{REPLACEMENT CHARACTER}": ["\N{GRINNING FACE}", "x\N{REPLACEMENT CHARACTER}", 1]
    }
    assert loads(b'{"a": "\xff"}') == {"a": "\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize("read", [list_answer, search_answer, batch_answer])
@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        7,
        "results",
        {"results": None},
        {"results": [1]},
        {"results": {}},
        {"results": [{"id": {"a": 1}}], "total": 1},
        {"results": [{"id": ["1"]}], "total": 1},
    ],
)
def test_a_page_without_rows_is_no_page(read, body):
    """An answer in another shape is tried again, not taken for an empty page."""
    with pytest.raises(HubSpotUnavailableError, match="while testing"):
        shaped(read, body, "testing")


@pytest.mark.parametrize("read", [list_answer, search_answer])
@pytest.mark.parametrize(
    "paging",
    [[], "next", 7, {"next": []}, {"next": {}}, {"next": {"after": []}}, {"next": {"after": ""}}],
)
def test_paging_of_another_shape_is_no_last_page(read, paging):
    """It would end the reading with everything behind it left out."""
    with pytest.raises(HubSpotUnavailableError):
        shaped(read, {"results": [], "total": 0, "paging": paging}, "testing")


@pytest.mark.parametrize("total", [None, "7", True, -1, 1.5])
def test_a_search_says_how_many_rows_there_are(total):
    """Its pages are held against it."""
    with pytest.raises(HubSpotUnavailableError, match="how many rows"):
        shaped(search_answer, {"results": [], "total": total}, "testing")


def test_the_last_page_has_no_paging():
    """HubSpot leaves the key out there."""
    assert next_after({"results": []}) is None
    assert next_after({"paging": {"next": {"after": 7}}}) == "7"


class Merged:
    """Answers for each record with the one that it was merged into."""

    def __init__(self, winners):
        self.winners = winners
        self.stop = StopSignal()
        self.calls = 0

    def call(self, call, read):
        self.calls += 1
        winners = dict.fromkeys(self.winners[one["id"]] for one in call.body["inputs"])
        body = {"results": [ROW | {"id": winner} for winner in winners]}
        return SimpleNamespace(content=read(body), size=0)


def test_what_was_merged_is_absent():
    """Several at once, into the same record or others, also into one that is asked for."""
    winners = {"1": "7", "2": "7", "3": "8", "4": "4", "5": "4", "6": "6"}
    client = Merged(winners)

    found = read_batch(client, "/", "contacts", ["email"], list(winners))

    assert found.rows.keys() == {"4", "6"}
    assert found.absent == {"1", "2", "3", "5"}
    assert found.unanswered == {}
    assert client.calls == 5
