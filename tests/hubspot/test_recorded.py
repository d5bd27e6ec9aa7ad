"""Bodies that HubSpot really sent are read as they should be.

They lie beside this project, not in it; where they are not, these tests are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hubspot_sync import MissingScopeError, RequestRefusedError
from hubspot_sync._hubspot.calls.answers import list_answer, next_after
from hubspot_sync._hubspot.calls.errors import error_for
from hubspot_sync._hubspot.calls.transport import Answer
from hubspot_sync._hubspot.records.associations import read_batches
from hubspot_sync._hubspot.records.properties import read_definitions
from hubspot_sync._hubspot.records.subject import to_records
from hubspot_sync._hubspot.records.values import conversion_for
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import HubSpotEmulator
from kit.caller import Caller

# Beside the project, or beside a folder of its worktrees.
PLACES = [one / "shared" / "recorded" for one in Path(__file__).resolve().parents[3:5]]
FOLDER = next((one for one in PLACES if one.is_dir()), PLACES[0])
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no recorded answers beside the project"
)
CONVERT = conversion_for(())


class Replay:
    """Answers every call with one body."""

    def __init__(self, body):
        self.body = body
        self.size = 0

    def call(self, _call, read):
        self.content = read(self.body)
        self.asked_at = 0.0
        return self


def body(name):
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "name",
    [
        "read-objects-api-contacts-response",
        "read-objects-api-contacts-batch",
        "search-contacts-1-first-page",
        "search-contacts-2-second-page",
        "batch-update-contacts-success",
    ],
)
def test_every_row_becomes_a_record(name):
    """None is skipped, and ids and dates are what the answer says."""
    rows = list_answer(body(name)).rows

    records, skipped = to_records(rows, "contacts", CONVERT)

    assert skipped == ()
    assert [row["id"] for row in rows] == [record.object_id for record in records]
    assert len(records) > 0
    for row, record in zip(rows, records, strict=True):
        assert row["createdAt"] == f"{record.created_at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
        assert record.properties.keys() == row["properties"].keys()


def test_the_paging_value_of_a_search_is_found():
    """On the first page there is one."""
    assert next_after(body("search-contacts-1-first-page")) is not None


def test_property_definitions_are_read():
    """Name, type and field type of each."""
    content = body("metadata-contacts-properties-sampled")

    # What is recorded is a sample, without those that every object type has.
    content["results"] += [
        {"name": name, "type": "datetime", "fieldType": "date"}
        for name in ("hs_object_id", "lastmodifieddate")
        if name not in {row["name"] for row in content["results"]}
    ]

    definitions = read_definitions(
        Replay(content), "/", "contacts", now=ManualClock().now, clock=ManualClock()
    ).all

    assert [row["name"] for row in content["results"]] == [one.name for one in definitions]
    assert {row["type"] for row in content["results"]} == {one.type for one in definitions}


def test_partial_answers_keep_their_good_rows():
    """A 207 holds results and errors side by side."""
    content = body("batch-update-contacts-err-partial-success")

    records, _ = to_records(list_answer(content).rows, "contacts", CONVERT)

    assert len(records) == len(content["results"])


def test_associations_are_read():
    """A primary company has two types; "none" is an error inside the 207."""
    content = body("search-contacts-contacts-to-companies")

    found = read_batches(
        Replay(content), "/", "contacts", "companies", ["501", "103107104018"]
    ).found

    (edge,) = found["501"]
    assert edge.object_id == "29022297485"
    assert edge.primary
    assert [kind.type_id for kind in edge.types] == [1, 279]
    assert found["103107104018"] == ()


def test_a_missing_scope_is_named():
    """So that the host can ask for it."""
    content = json.dumps(body("metadata-err-schemas-scope")).encode()

    error = error_for(Answer(status=403, headers={}, content=content), "testing")

    assert error.scopes == ("custom-object-read",)


@pytest.mark.parametrize(
    ("name", "status", "expected"),
    [
        ("metadata-err-schemas-scope", 403, MissingScopeError),
        ("search-error-invalid-object", 400, RequestRefusedError),
        ("batch-create-contacts-err-conflict", 409, RequestRefusedError),
    ],
)
def test_errors_are_told_in_hubspots_words(name, status, expected):
    """With its correlation id."""
    content = body(name)
    answer = Answer(status=status, headers={}, content=json.dumps(content).encode())

    error = error_for(answer, "testing")

    assert type(error) is expected
    assert error.correlation_id == content.get("correlationId")
    if expected is RequestRefusedError:
        assert content["message"][:40] in str(error)


def test_account_details_have_a_portal_id():
    """What `identify` relies on."""
    assert str(body("post-auth-account-info")["portalId"]).isdigit()


@pytest.fixture
def emulator():
    """Two contacts, one of them with companies, that have the ids of the recording."""
    with HubSpotEmulator(clock=ManualClock()) as started:
        started.create("contacts", {"email": "a@example.com"}, object_id="501")
        started.create("contacts", object_id="103107104018")
        started.create("companies", object_id="29022297485")
        started.associate("contacts", "501", "companies", "29022297485", primary=True)
        yield started


def shape(value):
    """The names and kinds of a body, its values left out; of lists the first entry's."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    if isinstance(value, list):
        return [shape(one) for one in value[:1]]
    return type(value).__name__


def post(emulator, path, content):
    """What the emulator answers."""
    return Caller(emulator).post(path, content).json


def test_the_emulators_association_batches_have_the_recorded_shape(emulator):
    """A 207 with a result and with "none"."""
    recorded = body("search-contacts-contacts-to-companies")
    inputs = [{"id": "501"}, {"id": "103107104018"}]
    given = post(emulator, "/crm/v4/associations/contacts/companies/batch/read", {"inputs": inputs})

    assert shape(given) == shape(recorded)
    assert given["errors"] == recorded["errors"]
    assert given["results"] == recorded["results"]


def test_the_emulators_batch_reads_have_the_recorded_shape(emulator):
    """A 207 with a row and with "not found"."""
    recorded = body("batch-update-contacts-err-partial-success")
    inputs = [{"id": "501"}, {"id": "unknownIdentifier888"}]
    given = post(emulator, "/crm/v3/objects/contacts/batch/read", {"inputs": inputs})

    assert given["errors"] == recorded["errors"]
    assert given.keys() == recorded.keys()
    assert given["results"][0].keys() == recorded["results"][0].keys()


def test_the_emulators_refusals_have_the_recorded_shape(emulator):
    """An unknown object type, and a schema without its scope."""
    caller = Caller(emulator)
    unknown = caller.get("/crm/v3/objects/butterflies").json
    assert {**unknown, "correlationId": ""} == {
        **body("search-error-invalid-object"),
        "correlationId": "",
    }
    emulator.withhold_scopes("crm.schemas.custom.read")
    assert shape(caller.get("/crm/v3/schemas").json) == shape(body("metadata-err-schemas-scope"))


def test_the_emulators_schemas_have_the_recorded_shape(emulator):
    """Of a type with associations."""
    given = Caller(emulator).get("/crm/v3/schemas/contacts").json
    recorded = body("associations-contacts-schema-resp")

    assert given.keys() == recorded.keys()
    assert given["associations"][0].keys() == recorded["associations"][0].keys()
    assert given["labels"] == recorded["labels"]


def test_the_emulators_definitions_have_the_recorded_shape(emulator):
    """One of HubSpot's own, one of the account's own, one that refers to companies."""
    emulator.add_property("contacts", "hobby__c")
    recorded = {one["name"]: one for one in body("metadata-contacts-properties-sampled")["results"]}
    listed = Caller(emulator).get("/crm/v3/properties/contacts").json["results"]
    given = {one["name"]: one for one in listed}

    for name in ("address", "mobilephone", "associatedcompanyid", "hobby__c"):
        assert given[name].keys() == recorded[name].keys(), name
        for flag in ("calculated", "hidden", "formField", "externalOptions"):
            assert given[name][flag] == recorded[name][flag], (name, flag)
    assert given["email"]["hasUniqueValue"] is True
