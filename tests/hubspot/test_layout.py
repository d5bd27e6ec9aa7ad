"""A page that is read by its layout comes to the same records as one that is read row by row."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubspot_sync._actions import digests_of
from hubspot_sync._hubspot.calls.answers import list_answer
from hubspot_sync._hubspot.calls.bodies import loads
from hubspot_sync._hubspot.records.associations import InlineKeys
from hubspot_sync._hubspot.records.layout import LayoutReader
from hubspot_sync._hubspot.records.subject import to_records
from hubspot_sync._hubspot.records.values import conversion_for
from hubspot_sync.errors import HubSpotUnavailableError
from hubspot_sync.models import PropertyDefinition
from hubspot_sync.models.properties import Properties

TYPES = {
    "createdate": ("datetime", "date"),
    "lastmodifieddate": ("datetime", "date"),
    "hs_object_id": ("number", "number"),
    "firstname": ("string", "text"),
    "amount": ("number", "number"),
    "birthday": ("date", "date"),
    "closedate": ("datetime", "date"),
    "optout": ("bool", "booleancheckbox"),
    "topics": ("enumeration", "checkbox"),
    "single": ("enumeration", "booleancheckbox"),
}
CONVERT = conversion_for(
    [
        PropertyDefinition(name=name, type=kind, field_type=field)
        for name, (kind, field) in TYPES.items()
    ]
)
WHEN = "2026-03-02T10:35:01.123Z"
EDGE = {"id": "7", "type": "contact_to_company"}
UNLABELED = {"id": "7", "type": "contact_to_company_unlabeled"}


def row(number, associations=None, created=WHEN, updated=WHEN, **properties):
    """A row of the list as HubSpot sends it."""
    sent = {
        **dict.fromkeys(TYPES),
        "createdate": created,
        "lastmodifieddate": updated,
        **properties,
    }
    found = {"id": str(number), "properties": sent, "createdAt": created, "updatedAt": updated}
    return found if associations is None else {**found, "associations": {"companies": associations}}


def page(*rows, **others):
    """The body of an answer."""
    return json.dumps({"results": rows, **others}).encode()


PLAIN = page(row(1, {"results": [EDGE]}), row(2), paging={"next": {"after": "3"}})


def row_by_row(content, keys, object_type="contacts"):
    """The records of a page, what was skipped of it, and where the next one begins."""
    answer = list_answer(loads(content))
    records, skipped = to_records(answer.rows, object_type, CONVERT, keys.on_page(answer.rows))
    return records, skipped, answer.after


def reader(first=PLAIN):
    """One that has learnt from a page, and the keys that it had."""
    keys = InlineKeys({"companies": ("companies",)})
    rows = loads(first)["results"]
    made = LayoutReader("contacts", CONVERT)
    made.learn(rows, keys.on_page(rows))
    return made, keys


TEXTS = st.one_of(
    st.none(),
    st.sampled_from(
        [
            *(
                "",
                "0",
                "00",
                "7",
                "-7",
                "1.50",
                "1.5",
                "1E+3",
                "0.1",
                "12345678901234567890",
                "1" * 700,
            ),
            *("true", "false", "yes", "a;b", ";", "a", "\u2028", "\ud800", "\0", "\u0663"),
            *("2026-03-02", WHEN, WHEN.replace(".123", ""), "2026-03-02T10:35:01.123456Z"),
            *(
                "2026-03-02T10:35:01",
                "2026-03-02 10:35:01.123Z",
                "1772447701123",
                "20260302T103501.123000Z",
            ),
            *("0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-02-30T00:00:00.000Z"),
            *("1969-12-31T23:59:59.999Z", "2026-03-02T10:35:01.123+02:00"),
        ]
    ),
    st.text(max_size=5),
)
BLOCKS = st.sampled_from(
    [
        None,
        {"results": []},
        {"results": [EDGE]},
        {"results": [UNLABELED, EDGE]},
        {"results": [EDGE, EDGE]},
        {"results": [EDGE, {"id": "3", "type": "contact_to_company_unlabeled"}]},
        {"results": [{"id": "7", "type": "label_of_their_own"}]},
        {"results": [EDGE], "paging": {"next": {"after": "1"}}},
    ]
)
DATES = st.sampled_from([WHEN, WHEN, None, "", "soon", WHEN.replace("1", "2")])
VALUES = dict.fromkeys(TYPES, TEXTS) | dict.fromkeys(("created", "updated"), DATES)
ROWS = st.builds(row, st.integers(0, 10**15), BLOCKS, **VALUES)
USUAL = dict.fromkeys(("createdate", "lastmodifieddate", "created", "updated"), st.just(WHEN))
USUAL_ROWS = st.builds(row, st.integers(0, 10**15), BLOCKS, **(VALUES | USUAL))


@given(
    rows=st.lists(ROWS, max_size=2) | st.lists(USUAL_ROWS, max_size=4),
    after=st.sampled_from([None, "9"]),
)
def test_both_ways_come_to_the_same(rows, after):
    """Records, ids, paging value and digests, whatever the values are."""
    layout, keys = reader()
    paging = {} if after is None else {"paging": {"next": {"after": after}}}
    content = page(*rows, **paging)

    read = layout.read(content)
    records, skipped, following = row_by_row(content, keys)

    if read is not None:
        assert (read.records, (), read.after) == (records, skipped, following)
        assert read.ids == tuple(int(one.object_id) for one in records)
        assert list(map(digests_of, read.records)) == list(map(digests_of, records))
        assert [list(one.properties) for one in read.records] == [
            list(o.properties) for o in records
        ]


def test_an_ordinary_page_is_read_by_its_layout():
    """Misfits of single values too: they are named with their record."""
    layout, keys = reader()
    content = page(
        row(1, {"results": [EDGE, UNLABELED]}, amount="12.50", birthday="2026-03-02", topics="a;b"),
        row(2, amount="twelve", firstname="", single="maybe", hs_object_id="2", closedate=WHEN),
    )

    read = layout.read(content)

    assert read is not None
    assert read.records == row_by_row(content, keys)[0]
    assert read.records[1].unconverted == ("amount",)
    assert read.records[1].associations == {"companies": ()}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        page(row(1), row(2, surprise="!")),
        page(row("one")),
        page(row("\u0663")),
        page(row("1" * 65)),
        page({**row(1), "properties": None}),
        page({"id": "1", "properties": {"firstname": "Ada"}}),
        page({**row(1), "id": 1}),
        page(row(1, firstname=7)),
        page(row(1, firstname="\ud800")),
        page(row(1, created="yesterday")),
        page(row(1, created=None)),
        page(row(1, updated=None)),
        page(row(1, {"results": None})),
        page({**row(1), "associations": {"deals": {"results": []}}}),
        page(row(1), paging={"next": {}}),
        page(row(1), paging={"next": {"after": ""}}),
        page(row(1), paging={"next": {"after": 7}}),
        PLAIN[:-5],
        PLAIN + b"x",
        PLAIN.replace(b"1", b"\xff", 1),
        b'{"results": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_does_not_fit_is_left_to_the_other_way(content):
    """Which asks again for pages that lie, and tells rows that are no records."""
    layout, _ = reader()

    assert layout.read(content) is None


def test_a_new_key_is_learnt_from_the_page_that_has_it():
    """A property may come, and HubSpot may answer under a name of its own choice."""
    layout, keys = reader(page(row(1)))
    content = page(row(2, {"results": [EDGE]}, surprise="!"))

    assert layout.read(content) is None
    rows = loads(content)["results"]
    layout.learn(rows, keys.on_page(rows))

    assert layout.read(content).records == row_by_row(content, keys)[0]


def test_pages_that_never_fit_are_not_decoded_twice_for_ever():
    """After some of them it is not tried any more."""
    layout, _ = reader()

    misfits = [layout.read(b"{}") for _ in range(20)]

    assert misfits == [None] * 20
    assert layout.read(PLAIN) is None


def test_a_silence_is_not_taken_for_none_before_the_key_is_known():
    """HubSpot may use another key than the one that was asked for."""
    layout, _ = reader(page(row(1)))

    (record,) = layout.read(page(row(2))).records

    assert record.associations == {}


def test_names_that_no_type_can_have_go_the_other_way():
    """Quotes and control characters; HubSpot knows no such names."""
    layout, _ = reader(page(row(1, **{'a"b': "1"})))

    assert layout.read(page(row(1, **{'a"b': "1"}))) is None


def test_a_copy_of_the_properties_is_a_plain_dictionary():
    """What is compared does not travel."""
    import copy
    import pickle

    layout, _ = reader()
    (record,) = layout.read(page(row(1))).records

    assert isinstance(record.properties, Properties)
    for same in (pickle.loads(pickle.dumps(record.properties)), copy.deepcopy(record.properties)):
        assert (type(same), same) == (dict, record.properties)


def test_a_page_of_another_shape_is_refused_all_the_same():
    """By the way that takes any rows."""
    layout, keys = reader()

    assert layout.read(b'{"results": [7]}') is None
    with pytest.raises(HubSpotUnavailableError):
        row_by_row(b'{"results": [7]}', keys)
