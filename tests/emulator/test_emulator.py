"""The emulator as a thing to hold: life cycle, content, changes, call log, control path, shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from hubspot_sync._clock import StopRequested
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def caller(clock: ManualClock) -> Iterator[Caller]:
    """A small account."""
    with HubSpotEmulator(contacts=20, companies=4, clock=clock) as emulator:
        yield Caller(emulator)


@pytest.fixture(scope="module")
def large() -> HubSpotEmulator:
    """A seeded account large enough for shares; it is not started."""
    return HubSpotEmulator(contacts=4000, companies=600, extra_properties=30)


def test_life_cycle():
    """Started, closed twice, started again with its content; not before."""
    emulator = HubSpotEmulator(contacts=1)
    with pytest.raises(RuntimeError, match="not started"):
        _ = emulator.base_url
    for _ in range(2):
        emulator.start()
        with pytest.raises(RuntimeError, match="already"):
            emulator.start()
        assert len(Caller(emulator).get(LIST).ids) == 1
        emulator.close()
        emulator.close()


def test_given_port():
    """A port can be asked for."""
    with HubSpotEmulator() as first:
        port = int(first.base_url.rpartition(":")[2])
    with HubSpotEmulator(port=port) as second:
        assert second.base_url.endswith(f":{port}")


@pytest.mark.parametrize(
    "wrong", [{"contacts": -1}, {"account_id": "x"}, {"latency": -1}, {"time_zone": "Mars/Base"}]
)
def test_wrong_arguments(wrong):
    """Arguments out of range are refused at once."""
    with pytest.raises(ValueError):
        HubSpotEmulator(**wrong)


def test_connections_are_kept_alive(caller: Caller):
    """Twenty calls over one connection, from four threads at a time."""
    seen: Counter[int] = Counter()

    def work():
        for _ in range(5):
            seen[caller.get(LIST).status] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {200: 20}
    assert caller.emulator.calls.count("list") == 20


def test_closing_leaves_no_thread(caller: Caller):
    """The server's thread ends with the emulator."""
    with HubSpotEmulator() as emulator:
        Caller(emulator).get(LIST)
        assert emulator._server is not None
        name = emulator._server._thread.name
        assert name in {thread.name for thread in threading.enumerate()}
    assert name not in {thread.name for thread in threading.enumerate()}


def test_the_seed_alone_decides(large):
    """Same arguments, same content; another seed, another content."""
    again = HubSpotEmulator(contacts=4000, companies=600, extra_properties=30)
    other = HubSpotEmulator(contacts=4000, companies=600, extra_properties=30, seed=2)
    for name in ("contacts", "companies"):
        assert dict(again.records(name)) == dict(large.records(name))
        assert dict(other.records(name)) != dict(large.records(name))


def test_content_is_that_of_a_portal(large):
    """Ids with gaps and beyond 32 bits, dates in bounds, ties, nulls, odd values."""
    records = list(large.records("contacts").values())
    numbers = [int(record.object_id) for record in records]
    assert numbers == sorted(set(numbers))
    assert numbers[0] < 200
    assert numbers[-1] > 2**32
    assert {b - a for a, b in pairwise(numbers)} > {1, 2, 50}
    first, last = (datetime(y, m, 1, tzinfo=timezone.utc) for y, m in ((2019, 1), (2026, 7)))
    assert all(first <= r.created_at <= r.modified_at < last for r in records)
    ties = Counter(record.modified_at for record in records)
    assert max(ties.values()) > 20
    values = {name: [r.properties[name] for r in records] for name in records[0].properties}
    assert all(None in found for name, found in values.items() if name == "email")
    assert "" in values["hs_lead_status"]
    assert any("\n" in text for text in values["message"] if text)
    assert max(len(text or "") for text in values["message"]) > 5000
    assert any(";" in text for text in values["topics_of_interest"] if text)
    assert any(int(text) > 2**53 for text in values["erp_customer_number"] if text)
    assert any("." in text for text in values["total_revenue"] if text)
    latest = {text[-1] == "Z" for text in values["hs_analytics_last_timestamp"] if text}
    assert latest == {True, False}
    assert sum(not text.isascii() for text in values["firstname"] if text) > 1000


def test_companies_are_unevenly_large(large):
    """Contacts with no, one or several companies; companies with very many contacts."""
    of_contacts = Counter(
        len(record.associations.get("companies", {}))
        for record in large.records("contacts").values()
    )
    sizes = sorted(
        len(record.associations.get("contacts", {}))
        for record in large.records("companies").values()
    )
    assert set(of_contacts) == {0, 1, 2, 3, 4}
    assert sizes[0] == 0
    assert sizes[-1] > 600


def test_wide_accounts(large):
    """Extra properties are defined for both types and mostly empty."""
    with large as emulator:
        caller = Caller(emulator)
        for name in ("contacts", "companies"):
            names = [
                one["name"] for one in caller.get(f"/crm/v3/properties/{name}").json["results"]
            ]
            assert sum(one.startswith("custom_field_") for one in names) == 30
    values = [
        value
        for record in large.records("contacts").values()
        for name, value in record.properties.items()
        if name.startswith("custom_field_")
    ]
    assert 0 < sum(value is not None for value in values) < len(values) / 10


def test_touch_changes_a_value_and_the_date(caller: Caller, clock):
    """Exactly the touched records, all in the clock's millisecond."""
    before = dict(caller.emulator.records("contacts"))
    clock.advance(1.5)
    touched = caller.emulator.touch("contacts", count=7)
    after = dict(caller.emulator.records("contacts"))
    assert touched == sorted(set(touched), key=int)
    assert [i for i in after if after[i] != before[i]] == touched
    assert {after[i].modified_at for i in touched} == {clock.now()}
    assert all(after[i].properties["jobtitle"] != before[i].properties["jobtitle"] for i in touched)
    assert caller.emulator.touch("contacts", object_ids=touched[:2]) == touched[:2]


def test_modified_dates_grow_strictly(caller: Caller):
    """Two changes in one millisecond of the clock have different dates."""
    emulator = caller.emulator
    one = emulator.touch("contacts", count=1)
    dates = []
    for _ in range(3):
        emulator.touch("contacts", object_ids=one)
        dates.append(emulator.records("contacts")[one[0]].modified_at)
    assert dates == [dates[0] + timedelta(milliseconds=i) for i in range(3)]


@pytest.mark.parametrize(
    ("object_type", "name"),
    [
        ("contacts", "hs_analytics_last_timestamp"),
        ("companies", "hs_last_sales_activity_timestamp"),
        ("deals", "description"),
    ],
)
def test_recalculate_leaves_the_date_alone(caller: Caller, clock, object_type, name):
    """HubSpot 9: a computed value is new each time, and no modified date moves."""
    emulator = caller.emulator
    emulator.add_object_type("deals")
    emulator.create("deals")
    clock.advance(60)
    before = dict(emulator.records(object_type))
    (recalculated,) = emulator.recalculate(object_type, count=1)
    first = emulator.records(object_type)[recalculated]
    assert emulator.recalculate(object_type, object_ids=[recalculated]) == [recalculated]
    second = emulator.records(object_type)[recalculated]
    values = [one.properties[name] for one in (before[recalculated], first, second)]
    assert len(set(values)) == 3
    assert second.modified_at == before[recalculated].modified_at
    moved = {k for k, v in second.properties.items() if before[recalculated].properties[k] != v}
    assert moved == {name}


def test_bump_changes_the_date_alone(caller: Caller, clock):
    """HubSpot 11.5: background jobs move the date without an edit."""
    before = dict(caller.emulator.records("companies"))
    clock.advance(1)
    (bumped,) = caller.emulator.bump("companies", count=1)
    after = caller.emulator.records("companies")[bumped]
    moved = {k for k, v in after.properties.items() if before[bumped].properties[k] != v}
    assert moved == {"hs_lastmodifieddate"}


def test_update_and_create(caller: Caller, clock):
    """Given values are stored as they are, None clears, the next id is higher."""
    emulator = caller.emulator
    object_id = emulator.create("contacts", {"email": "a@b.c", "city": "Rome", "zip": None})
    assert int(object_id) > int(list(emulator.records("contacts"))[-2])
    clock.advance(1)
    emulator.update("contacts", object_id, {"email": None, "city": ""})
    record = emulator.records("contacts")[object_id]
    assert record.properties["email"] is None
    assert record.properties["city"] == ""
    assert record.created_at < record.modified_at == clock.now()


def test_mistakes_of_a_test_are_loud(caller: Caller):
    """Unknown types, ids and properties, and too many records, are errors."""
    emulator = caller.emulator
    with pytest.raises(KeyError, match="no object type"):
        emulator.touch("butterflies", count=1)
    with pytest.raises(KeyError, match="no live record"):
        emulator.update("contacts", "999", {})
    with pytest.raises(ValueError, match="no property"):
        emulator.create("contacts", {"emial": "a@b.c"})
    with pytest.raises(ValueError, match="text or None"):
        emulator.create("contacts", {"email": 5})
    with pytest.raises(ValueError, match="20 records"):
        emulator.touch("contacts", count=21)
    with pytest.raises(ValueError, match="either"):
        emulator.touch("contacts")
    with pytest.raises(ValueError, match="taken"):
        emulator.create("contacts", object_id=next(iter(emulator.records("contacts"))))


def test_many_touches_keep_the_index_small(caller: Caller, clock):
    """Entries of former dates are dropped, and search still sees each record once."""
    for _ in range(100):
        clock.advance(1)
        caller.emulator.touch("contacts", count=20)
    portal = caller.emulator.account.installation.portal
    timeline = portal.table(portal.kind("contacts"))._timeline
    assert len(timeline._entries) < 1100
    condition = {"propertyName": "lastmodifieddate", "operator": "GTE", "value": "0"}
    reply = caller.search("contacts", condition)
    assert reply.ids == list(caller.emulator.records("contacts"))


def test_call_log(caller: Caller, clock):
    """Route, type, status, rows and instant of each call; no secrets; counts by route."""
    caller.get(LIST, limit=3)
    caller.form("/oauth/2026-03/token", grant_type="x", client_secret="hidden")
    caller.get("/nowhere", access_token="hidden")
    calls = list(caller.emulator.calls)
    assert [call.route for call in calls] == ["list", "oauth", "unknown"]
    assert [call.status for call in calls] == [200, 400, 404]
    assert (calls[0].rows, calls[0].query, calls[0].at) == (3, "limit=3", clock.now())
    assert calls[0].object_type == "contacts"
    assert "Bearer" not in repr(calls)
    assert caller.emulator.access_token not in repr(calls)
    assert caller.emulator.calls.count("list") == 1
    assert len(caller.emulator.calls) == 3
    caller.emulator.calls.clear()
    assert caller.emulator.calls.counts() == {}


def test_call_log_is_bounded(caller: Caller):
    """The counts go on when the oldest calls are dropped."""
    from hubspot_sync.testing.emulator import CallLog

    log = CallLog(kept=2)
    caller.get(LIST)
    (call,) = caller.emulator.calls
    for _ in range(5):
        log.add(call)
    assert (len(list(log)), log.count("list")) == (2, 5)


def test_control_path_changes(caller: Caller, clock):
    """Another process changes the account as a test in this one does, without credentials."""
    caller.access_token = None
    clock.advance(1)
    ids = caller.post("/_emulator/touch", {"object_type": "contacts", "count": 3}).json["ids"]
    created = caller.post(
        "/_emulator/create", {"object_type": "companies", "properties": {"name": "N"}}
    ).json["id"]
    edge = {"from_type": "contacts", "from_id": ids[0], "to_type": "companies", "to_id": created}
    assert caller.post("/_emulator/associate", {**edge, "primary": True}).status == 200
    seen = caller.get(f"/_emulator/records/contacts/{ids[0]}").json
    assert seen["properties"]["associatedcompanyid"] == created
    assert caller.post("/_emulator/dissociate", edge).status == 200
    update = {"object_type": "contacts", "object_id": ids[0], "properties": {"city": "X"}}
    assert caller.post("/_emulator/update", update).status == 200
    bump = {"object_type": "contacts", "object_ids": ids}
    assert caller.post("/_emulator/bump", bump).json["ids"] == ids
    assert caller.post("/_emulator/archive", bump).status == 200
    assert len(caller.get("/_emulator/records/contacts").json["records"]) == 17
    assert caller.emulator.calls.count() == 0


def test_control_path_faults_and_calls(caller: Caller):
    """Faults are armed and calls are read from outside."""
    fault = {"route": "list", "status": 502, "times": 1}
    assert caller.post("/_emulator/faults", [fault, fault]).json == {"armed": 2}
    assert caller.get(LIST).status == 502
    assert caller.call("DELETE", "/_emulator/faults").status == 200
    assert caller.get(LIST).status == 200
    log = caller.get("/_emulator/calls").json
    assert log["counts"] == {"list": 2}
    assert log["statuses"] == {"200": 1, "502": 1}
    assert [call["status"] for call in log["calls"]] == [502, 200]
    assert caller.call("DELETE", "/_emulator/calls").status == 200
    assert caller.get("/_emulator").json["contacts"] == 20


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("touch", {"object_type": "contacts", "count": 99}, 400),
        ("touch", {"object_type": "butterflies", "count": 1}, 400),
        ("touch", {"colour": "red"}, 400),
        ("faults", {"status": 5}, 400),
        ("fly", {}, 404),
    ],
)
def test_control_path_refusals(caller: Caller, verb, body, status):
    """Mistakes come back with their reason."""
    reply = caller.post(f"/_emulator/{verb}", body)
    assert reply.status == status
    assert reply.json["error"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_shell(number):
    """One line of JSON when it is ready, then it serves until it is told to end; status 0."""
    command = [sys.executable, "-m", "hubspot_sync.testing.emulator", "--contacts", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with HubSpotEmulator(contacts=5, companies=200) as twin:
            assert Caller(twin, ready["base_url"]).get(LIST).ids == Caller(twin).get(LIST).ids
        process.send_signal(number)
        assert process.wait(300) == 0
    assert ready["access_token"] == "pat-na1-emulator"
    assert ready["companies"] == 200
    assert [one["account_id"] for one in ready["accounts"]] == ["62515"]


def test_shell_accounts():
    """Several accounts, and an app that has to be consented to at the page."""
    back = "http://127.0.0.1:9/back"
    command = [sys.executable, "-m", "hubspot_sync.testing.emulator", "--accounts", "3"]
    options = ["--contacts", "2", "--companies", "0", "--redirect-uri", back, "--not-installed"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with HubSpotEmulator() as twin:
            caller = Caller(twin, ready["base_url"])
            caller.access_token = ready["accounts"][2]["access_token"]
            assert caller.get("/account-info/v3/details").json["portalId"] == 62517
            path = f"/oauth/authorize?client_id={ready['client_id']}&scope=oauth&redirect_uri="
            assert caller.get(path + back).status == 200
            assert caller.get(path + "http://other/").status == 400
            fields = {name: ready[name] for name in ("client_id", "client_secret")}
            refresh = {"grant_type": "refresh_token", "refresh_token": ready["refresh_token"]}
            refused = caller.form("/oauth/2026-03/token", **fields, **refresh)
            assert refused.json["status"] == "BAD_REFRESH_TOKEN"
        process.terminate()
        assert process.wait(300) == 0
    assert [one["account_id"] for one in ready["accounts"]] == ["62515", "62516", "62517"]


def test_shell_options():
    """Limits, scopes and hostility from the command line; a mistake is one line, status 2."""
    command = [sys.executable, "-m", "hubspot_sync.testing.emulator", "--contacts", "3"]
    options = ["--daily-limit", "9", "--scopes", "oauth,crm.objects.contacts.read"]
    hostility = ["--hostility", '{"list_disorder": 1, "index_lag": 5}']
    with subprocess.Popen([*command, *options, *hostility], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with HubSpotEmulator() as twin:
            caller = Caller(twin, ready["base_url"])
            assert caller.get(LIST).headers["X-HubSpot-RateLimit-Daily-Remaining"] == "8"
            assert caller.get("/crm/v3/objects/companies").status == 403
            assert caller.get("/_emulator/hostility").json["index_lag"] == [5, 5]
        process.terminate()
        assert process.wait(300) == 0
    for wrong in ('{"list_disorder": 7}', '{"colour": 1}', "x"):
        done = subprocess.run([*command, "--hostility", wrong], capture_output=True, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith(b"emulator: ")


def test_shell_ports():
    """One that is taken, or is none, is told with what to do; no traceback."""
    command = [sys.executable, "-m", "hubspot_sync.testing.emulator", "--contacts", "3", "--port"]
    with HubSpotEmulator() as other:
        taken = other.base_url.rpartition(":")[2]
        done = subprocess.run([*command, taken], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"emulator: cannot listen at 127.0.0.1:{taken}: ")
    assert done.stderr.endswith("; give another --port\n")
    done = subprocess.run([*command, "65536"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("65536 is no port; give one from 0 to 65535\n")


def test_pytest_fixture(hubspot_emulator):
    """The plugin's fixture starts emulators and closes them after the test."""
    first, second = hubspot_emulator(contacts=2), hubspot_emulator(account_id="7")
    assert first.base_url != second.base_url
    assert len(Caller(first).get(LIST).ids) == 2


def test_imports_are_lazy():
    """The plugin and the package load neither the emulator nor the engine's parts."""
    code = (
        "import sys, hubspot_sync.testing, hubspot_sync.testing.pytest_plugin;"
        "print([m for m in sys.modules if 'emulator' in m or m == 'hubspot'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_names_of_the_testing_package():
    """What `hubspot_sync.testing` offers, and nothing else."""
    from hubspot_sync import testing

    assert testing.HubSpotEmulator is HubSpotEmulator
    assert testing.ManualClock is ManualClock
    assert testing.Fault(status=500).status == 500
    with pytest.raises(AttributeError):
        _ = testing.Emulator


def test_manual_clock():
    """It stands still, moves when told or slept on, and honours a stop."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=timezone.utc), seed=3)
    stop = threading.Event()
    clock.sleep(2.5, stop)
    clock.advance(timedelta(minutes=1))
    assert clock.now() == datetime(2026, 1, 1, 0, 1, 2, 500_000, tzinfo=timezone.utc)
    assert clock.monotonic() == 62.5
    assert clock.waits == (2.5,)
    stop.set()
    with pytest.raises(StopRequested):
        clock.sleep(1, stop)
    assert clock.monotonic() == 62.5
    assert clock.random() == ManualClock(seed=3).random()
    with pytest.raises(ValueError, match="below zero"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="zone"):
        ManualClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake under test
