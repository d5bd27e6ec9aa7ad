"""Answers of any shape: one of our errors, a bounded number of calls, and the next run is well."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress

import pytest

from hubspot_sync import (
    AccessError,
    Account,
    InvariantError,
    OAuthApp,
    OAuthTokens,
    RequestRefusedError,
    RetryableError,
    StreamSettings,
    SyncSettings,
)
from hubspot_sync.testing import Fault, ManualClock
from kit.support import ACCOUNT, Host

STREAMS = Account(
    account_id="62515",
    domain_id="acme",
    streams=(
        StreamSettings(object_type="companies"),
        StreamSettings(object_type="contacts", associations=("companies",)),
        StreamSettings(object_type="p62515_pets"),
    ),
)
ROW = {
    "id": "7",
    "properties": {"lastmodifieddate": "2026-03-02T10:35:01.123Z"},
    "createdAt": "2026-03-02T10:35:01.123Z",
    "updatedAt": "2026-03-02T10:35:01.123Z",
}
BODIES = [
    None,
    True,
    7,
    "text",
    [],
    [[]],
    {},
    {"results": None},
    {"results": {}},
    {"results": "rows"},
    {"results": [None]},
    {"results": [[]]},
    {"results": ["7"]},
    {"results": [{}]},
    {"results": [{"id": None}], "total": 1},
    {"results": [{"id": {}}], "total": 1},
    {"results": [{"id": []}], "total": 1},
    {"results": [{"id": True}], "total": 1},
    {"results": [{"id": -1}], "total": 1},
    {"results": [{"id": "9" * 5_000}], "total": 1},
    {"results": [{**ROW, "properties": None}], "total": 1},
    {"results": [{**ROW, "properties": []}], "total": 1},
    {"results": [{**ROW, "properties": {"lastmodifieddate": {}}}], "total": 1},
    {"results": [{**ROW, "createdAt": 10**30, "updatedAt": []}], "total": 1},
    {"results": [{**ROW, "associations": []}], "total": 1},
    {"results": [{**ROW, "associations": {"companies": []}}], "total": 1},
    {"results": [{**ROW, "associations": {"companies": {"results": {}}}}], "total": 1},
    {"results": [ROW], "total": None},
    {"results": [ROW], "total": "many"},
    {"results": [ROW], "total": 10**30},
    {"results": [ROW], "paging": []},
    {"results": [ROW], "paging": {"next": []}},
    {"results": [ROW], "paging": {"next": {"after": {}}}},
    {"results": [ROW], "paging": {"next": {"after": "x" * 5_000}}},
    {"results": [], "errors": {}},
    {"results": [], "errors": [None]},
    {"results": [], "errors": [{"context": []}]},
    {"results": [], "errors": [{"context": {"ids": {}}}]},
    {"results": [{"from": None, "to": []}]},
    {"results": [{"from": {"id": []}, "to": {}}]},
    {"results": [{"from": {"id": "7"}, "to": [{"toObjectId": None}]}]},
    {"results": [{"from": {"id": "7"}, "to": [{"toObjectId": "1", "associationTypes": [1]}]}]},
    {"results": [{"name": None}]},
    {"results": [{"name": ["email"], "type": {}}]},
    {"portalId": None},
    {"portalId": {}},
    {"portalId": True, "timeZone": []},
    {"access_token": [], "expires_in": {}},
    {"access_token": "new", "expires_in": 10**400, "refresh_token": {}},
    {"status": "error", "message": ["no"], "category": {}, "errors": "x", "context": 7},
]
HEADERS = [
    {"Date": "Fri, 31 Dec 9999 23:59:59 -1200"},
    {"Date": "soon"},
    {"Retry-After": "-1"},
    {"Retry-After": "9" * 400},
    {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"},
    {"X-HubSpot-RateLimit-Max": "-7", "X-HubSpot-RateLimit-Remaining": "x"},
    {"X-HubSpot-RateLimit-Daily": "9" * 400, "X-HubSpot-RateLimit-Daily-Remaining": "0"},
    {"Content-Type": "image/png"},
]
STATUSES = [200, 207, 400, 401, 403, 404, 409, 423, 429, 500]
ROUTES = ["list", "search", "batch_read", "associations", "properties", "account", "schemas"]


@pytest.fixture
def clock():
    return ManualClock()


def hosted(emulator, clock):
    host = Host(emulator, clock)
    emulator.add_object_type("pets", type_id="2-77")
    emulator.create("p62515_pets", {})
    return host


def run(host, *, reconcile=False):
    """A run, whatever ends it; what is no error of ours, or our bug, fails the test."""
    host.clock.advance(1_000)
    settings = SyncSettings(batch_size=100, reconcile_every=None)
    engine = host.engine(settings=settings)
    if reconcile:
        # HubSpot is asked which type the name of a custom one means.
        with suppress(AccessError, RequestRefusedError, RetryableError):
            engine.reconcile(STREAMS)
    report = engine.sync(STREAMS)
    for one in (report, *report.streams):
        assert not isinstance(one.error, InvariantError), one.error
    return report


def check_well(host):
    """The next runs bring everything."""
    host.emulator.faults.clear()
    host.clock.advance(200_000)  # whatever was asked to be waited for is over
    report = run(host, reconcile=True)
    assert report.completed, report.failure
    for object_type in ("contacts", "companies", "2-77"):
        told = {one.object_id for one in host.sink.actions if one.object_type == object_type}
        assert set(host.emulator.records(object_type)) <= told


CASES = [*itertools.product([200], BODIES, [{}])]
CASES += [*itertools.product(STATUSES[1:], [BODIES[0], BODIES[4], BODIES[-1]], [{}])]
CASES += [*itertools.product([200, 429, 503], [{"results": []}], HEADERS)]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("times", [1, 9])
def test_a_malformed_answer_ends_in_an_error_of_ours(hubspot_emulator, clock, route, times):
    """Once, where the next try is well, and as often as it is asked for; first runs and later."""
    emulator = hubspot_emulator(contacts=12, companies=3, clock=clock)
    host = hosted(emulator, clock)
    for number, (status, body, headers) in enumerate(CASES):
        if number % 2:
            host.checkpointer = type(host.checkpointer)(clock=clock)
            host.sink = type(host.sink)()
        emulator.touch("contacts", count=2)
        emulator.faults.add(
            Fault(route=route, status=status, body=json.dumps(body), headers=headers, times=times)
        )
        before = len(emulator.calls)

        run(host, reconcile=number % 3 == 0)

        assert len(emulator.calls) - before < 500, (status, body, headers)
        check_well(host)


@pytest.mark.parametrize("times", [1, 9])
def test_a_malformed_token_answer_ends_in_an_error_of_ours(hubspot_emulator, clock, times):
    """The token endpoint is asked like all others."""
    emulator = hubspot_emulator(contacts=12, companies=3, clock=clock)
    host = hosted(emulator, clock)
    host.oauth_app = OAuthApp(client_id=emulator.client_id, client_secret=emulator.client_secret)
    for status, body, headers in CASES:
        stored = host.tokens.load(ACCOUNT.key)
        host.tokens.save(
            ACCOUNT.key,
            OAuthTokens(refresh_token=emulator.refresh_token),
            expected_revision=stored.revision,
        )
        emulator.faults.add(
            Fault(route="oauth", status=status, body=json.dumps(body), headers=headers, times=times)
        )

        run(host)

        check_well(host)
