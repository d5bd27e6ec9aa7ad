"""The examples, run as a newcomer runs them: as programs of their own."""

from __future__ import annotations

import json
import logging
import os
import runpy
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from hubspot_sync import CredentialKeys
from kit.support import as_json, from_bson, truth_of
from kit.wire import Wire, proxy

ROOT = Path(__file__).parents[2]
SYNC_ACCOUNT = ROOT / "examples" / "sync_account.py"
KEY = CredentialKeys.generate_key()
STREAM_FIELDS = {"read", "delivered", "repeated", "unchanged", "rejected", "skipped", "status"}
ACTION_COLUMNS = (
    "id, domain_id, account_id, object_type, object_id, name, occurred_at, properties, "
    "associations, merged_into"
)
# Only what a program needs to start: no credentials of whoever runs the tests.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("HUBSPOT_")}


@frozen
class Account:
    """An emulated account, and the command line that synchronises it."""

    emulator: Any

    @property
    def static(self):
        return {"HUBSPOT_ACCESS_TOKEN": self.emulator.access_token}

    @property
    def oauth(self):
        return {
            "HUBSPOT_CLIENT_ID": self.emulator.client_id,
            "HUBSPOT_CLIENT_SECRET": self.emulator.client_secret,
            "HUBSPOT_REFRESH_TOKEN": self.emulator.refresh_token,
            "HUBSPOT_SYNC_KEY": KEY,
        }

    def command(self, store, **options):
        chosen = {
            "account": self.emulator.account_id,
            "store": store,
            "base_url": self.emulator.base_url,
            "burst_limit": 1_000_000,
            "search_limit": 1_000_000,
            **options,
        }
        arguments = [
            f"--{name.replace('_', '-')}={value}"
            for name, value in chosen.items()
            if value is not None and value is not True
        ]
        arguments += [f"--{name}" for name, value in chosen.items() if value is True]
        return [sys.executable, SYNC_ACCOUNT, "--json", *arguments]

    def run(self, store, *, environment=None, **options):
        """Run to the end; gives the finished process."""
        return subprocess.run(
            self.command(store, **options),
            env=ENVIRONMENT | (self.static if environment is None else environment),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def sync(self, store, **options):
        """Run a sync that has to succeed; gives its report."""
        done = self.run(store, **options)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def account(hubspot_emulator):
    return Account(hubspot_emulator(contacts=450, companies=120))


@pytest.fixture(params=["sqlite", "mongodb"])
def store(request, tmp_path):
    """The URL of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/crm.db"
    return request.getfixturevalue("mongodb_uri")


def actions_in(store):
    """What the host finds, as documents, by whatever means the host has."""
    if store.startswith("sqlite"):
        return sqlite_actions(store.removeprefix("sqlite://"))
    return mongodb_actions(store)


def sqlite_actions(path):
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute(f"SELECT {ACTION_COLUMNS} FROM actions").fetchall()
    names = ACTION_COLUMNS.split(", ")
    return [
        {
            **row,
            "occurred_at": datetime.fromisoformat(row["occurred_at"].removesuffix("Z") + "+00:00"),
            "properties": json.loads(row["properties"], parse_float=Decimal),
            "associations": json.loads(row["associations"]),
        }
        for row in (dict(zip(names, row, strict=True)) for row in rows)
    ]


def mongodb_actions(uri):
    from pymongo import MongoClient

    client: MongoClient[Any] = MongoClient(uri, tz_aware=True, tzinfo=timezone.utc)
    with client:
        return [
            {
                **document,
                "id": document["_id"],
                "properties": {
                    name: as_json(from_bson(value))
                    for name, value in document["properties"].items()
                },
            }
            for document in client.get_default_database("hubspot_sync")["actions"].find()
        ]


def expected_associations(record, to_object_type):
    """The associations that the emulator holds, in the shape in which a host reads them."""
    edges = record.associations.get(to_object_type, {})
    return {
        object_id: (
            any(kind.category == "HUBSPOT_DEFINED" and kind.type_id == 1 for kind in kinds),
            {(kind.category, kind.type_id, kind.label) for kind in kinds},
        )
        for object_id, kinds in edges.items()
    }


def found_associations(action, to_object_type):
    edges = action["associations"][to_object_type]
    found = {
        edge["id"]: (
            edge["primary"],
            {(kind["category"], kind["type_id"], kind["label"]) for kind in edge["types"]},
        )
        for edge in edges
    }
    assert len(edges) == len(found)
    return found


def assert_holds_the_account(actions, emulator, domain_id="default"):
    """Each record was created once, and its latest action says what HubSpot says."""
    created = [a for a in actions if a["name"].endswith(" Created")]
    keys = sorted((a["object_type"], a["object_id"]) for a in created)
    expected = {name: emulator.records(name) for name in ("companies", "contacts")}
    assert keys == sorted((name, i) for name, records in expected.items() for i in records)
    latest = {}
    for action in sorted(actions, key=lambda a: int(a["id"].rpartition(":")[2])):
        latest[action["object_type"], action["object_id"]] = action
        assert (action["domain_id"], action["account_id"]) == (domain_id, emulator.account_id)
    for (object_type, object_id), action in latest.items():
        record = expected[object_type][object_id]
        # HubSpot gives a cleared value as "" in places; for the host both are no value.
        truth = truth_of(emulator, object_type, object_id)
        assert {name: as_json(value) for name, value in truth.items()} == action["properties"]
        is_new = action["name"].endswith(" Created")
        assert (record.created_at if is_new else record.modified_at) == action["occurred_at"]
        if object_type == "contacts":
            assert found_associations(action, "companies") == expected_associations(
                record, "companies"
            )
        else:
            assert action["associations"] == {}


def names_of(actions):
    return sorted({action["name"] for action in actions})


def refusal(done, status):
    """The one line that a failed run leaves on standard error, and nothing but that."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("sync_account: ")
    return line


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_quickstart_ends_with_its_tables(tmp_path):
    """The demonstration runs without a terminal, shows what it did, and keeps the file if asked."""
    kept = tmp_path / "crm.db"

    done = quickstart("--keep", kept)

    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    records = [line[:6] for line in lines if line[:1] in (["first"], ["second"], ["third"])]
    assert [line for line in records if line[1] in ("companies", "contacts")] == [
        ["first", "companies", "2,000", "2,000", "0", "0"],
        ["first", "contacts", "10,000", "10,000", "0", "0"],
        ["second", "companies", "4", "4", "0", "0"],
        ["second", "contacts", "46", "41", "0", "5"],
        ["third", "companies", "4", "0", "4", "0"],
        ["third", "contacts", "46", "0", "46", "0"],
    ]
    # 120 pages, and 17 calls at most for reading them side by side, however the threads run; one
    # call for each kind of question about the account, and about each batch's associations.
    (calls,) = [line for line in lines if line[:1] == ["all"]]
    assert 123 <= int(calls[1]) <= 151
    assert calls[2:] == ["3", "2"]
    shown = {" ".join(line[:2]) for line in lines if line[1:2] in (["Created"], ["Updated"])}
    assert sorted(shown) == names_of(sqlite_actions(kept))
    assert len(sqlite_actions(kept)) == 12_000 + 4 + 41


def test_quickstart_overwrites_nothing(tmp_path):
    """A file that is there already is left alone."""
    kept = tmp_path / "crm.db"
    kept.write_text("mine")

    done = quickstart("--keep", kept)

    assert done.returncode == 2
    assert "new file" in done.stderr.splitlines()[-1]
    assert kept.read_text() == "mine"


def quickstart(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "quickstart.py", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=ENVIRONMENT | {"PYTHONUTF8": "1"},
    )


def test_an_account_is_kept_in_step(account, store):
    """Backfill, nothing new, 37 touched contacts: each change arrives once, at little cost."""
    emulator = account.emulator

    first = account.sync(store)

    assert first["streams"]["contacts"]["delivered"] == 450
    assert first["streams"]["companies"]["delivered"] == 120
    actions = actions_in(store)
    assert names_of(actions) == ["Company Created", "Contact Created"]
    assert_holds_the_account(actions, emulator)

    emulator.calls.clear()
    second = account.sync(store)

    for stream in second["streams"].values():
        assert stream["delivered"] == 0
        assert stream["status"] == "completed"
        assert stream["api_calls"]["total"] <= 2
    assert second["api_calls"]["total"] == len(emulator.calls) <= 4

    touched = emulator.touch("contacts", count=37)
    third = account.sync(store)

    assert third["streams"]["contacts"]["delivered"] == 37
    assert third["streams"]["companies"]["delivered"] == 0
    actions = actions_in(store)
    updates = [a["object_id"] for a in actions if a["name"] == "Contact Updated"]
    assert sorted(updates, key=int) == touched
    assert len(actions) == 450 + 120 + 37
    assert_holds_the_account(actions, emulator)


def test_the_environments_way_out_is_taken(account, tmp_path):
    """A proxy, but for what it is not for."""
    store = f"sqlite:///{tmp_path}/crm.db"
    with Wire(proxy) as through:
        environment = account.static | {"HTTP_PROXY": f"127.0.0.1:{through.port}", "NO_PROXY": ""}
        account.sync(store, environment=environment)
        asked = len(through.requests)
        account.sync(store, environment=environment | {"NO_PROXY": "127.0.0.1"})
        assert len(through.requests) == asked > 0
    socks = account.static | {"all_proxy": "socks5://user:canary@127.0.0.1:1", "NO_PROXY": ""}
    done = account.run(store, environment=socks)
    assert "all_proxy" in refusal(done, 2)
    assert "canary" not in done.stderr


def test_all_records_are_delivered_again_on_demand(account, store):
    """What the store has is not stored twice."""
    account.sync(store)
    before = len(actions_in(store))

    stream = account.sync(store, resync=True)["streams"]["contacts"]

    assert (stream["mode"], stream["delivered"]) == ("reconcile", 0)
    assert stream["repeated"] >= 450
    assert len(actions_in(store)) == before


def test_what_moved_no_date_is_found_on_demand(account, store):
    """A computed value, by an option."""
    account.sync(store)
    recalculated = account.emulator.recalculate("contacts", count=3)
    assert account.sync(store)["streams"]["contacts"]["delivered"] == 0

    stream = account.sync(store, reconcile=True)["streams"]["contacts"]

    assert (stream["mode"], stream["delivered"]) == ("reconcile", 3)
    last = {one["object_id"]: one for one in sorted(actions_in(store), key=by_time)}
    for object_id in recalculated:
        held = account.emulator.records("contacts")[object_id]
        name = "hs_analytics_last_timestamp"
        assert last[object_id]["properties"][name] == held.properties[name]


def test_every_kind_of_change_is_told(account, store):
    """All passes are made at once on demand."""
    account.sync(store)
    gone, first, second = list(account.emulator.records("contacts"))[10:40:10]
    account.emulator.archive("contacts", gone)
    survivor = account.emulator.merge("contacts", first, second)

    account.sync(store, reconcile=True)
    account.emulator.restore("contacts", gone)
    account.sync(store, reconcile=True)

    told = {
        (one["name"], one["object_id"], one.get("merged_into"))
        for one in actions_in(store)
        if one["object_id"] in {gone, first, second, survivor} and one["object_type"] == "contacts"
    }
    assert told == {
        *(("Contact Created", one, None) for one in (gone, first, second, survivor)),
        ("Contact Deleted", gone, None),
        ("Contact Restored", gone, None),
        ("Contact Merged", first, survivor),
        ("Contact Merged", second, survivor),
    }


def by_time(action):
    """Of one object, the later action comes later."""
    return action["occurred_at"]


def test_the_report_has_the_promised_fields(account, tmp_path):
    """What reads the JSON line finds the same names for good."""
    report = account.sync(f"sqlite:///{tmp_path}/crm.db")

    assert {"streams", "api_calls", "seconds"} <= report.keys()
    assert list(report["streams"]) == ["companies", "contacts"]
    for stream in report["streams"].values():
        assert stream.keys() >= STREAM_FIELDS
        assert stream["read"] == sum(stream[name] for name in STREAM_FIELDS - {"read", "status"})
    assert report["api_calls"]["total"] == sum(
        calls for kind, calls in report["api_calls"].items() if kind != "total"
    )
    assert report["api_calls"]["total"] == len(account.emulator.calls)
    assert report["seconds"] > 0


def test_options_choose_what_is_read(account, tmp_path):
    """Object types, properties and the domain are as the command line says."""
    path = f"{tmp_path}/crm.db"

    report = account.sync(
        f"sqlite:///{path}", objects="contacts", properties="email,firstname", domain="acme"
    )

    assert list(report["streams"]) == ["contacts"]
    actions = sqlite_actions(path)
    assert {"contacts"} == {action["object_type"] for action in actions}
    assert {"acme"} == {action["domain_id"] for action in actions}
    for action in actions:
        assert {"email", "firstname"} <= action["properties"].keys()
        assert "jobtitle" not in action["properties"]


def test_oauth_tokens_are_stored_encrypted(account, store):
    """OAuth works like a static access token, and leaves no secret in clear."""
    report = account.sync(store, environment=account.oauth)

    assert report["api_calls"]["oauth"] == 1
    assert_holds_the_account(actions_in(store), account.emulator)
    assert account.emulator.refresh_token.encode() not in credentials_in(store)
    assert account.sync(store, environment=account.oauth)["streams"]["contacts"]["delivered"] == 0


def test_a_refresh_token_that_hubspot_changed_is_kept(hubspot_emulator, store):
    """The environment still has the first one, which HubSpot does not accept any more."""
    account = Account(hubspot_emulator(rotate_refresh_tokens=True))
    environment = account.oauth
    for refreshes in (1, 2, 3):
        account.sync(store, environment=environment)
        account.emulator.expire_access_tokens()
        assert account.emulator.calls.count("oauth") == refreshes

    assert account.emulator.refresh_token != environment["HUBSPOT_REFRESH_TOKEN"]


def test_stored_tokens_that_are_refused_give_way(account, store):
    """A new refresh token in the environment is all that it takes."""
    revoked = account.oauth | {"HUBSPOT_REFRESH_TOKEN": "na1-revoked"}
    for _ in range(2):
        assert "connected again" in one_failure(account.run(store, environment=revoked))
    # The same token twice is no reason to try twice.
    assert account.emulator.calls.count("oauth") == 2

    account.sync(store, environment=account.oauth)

    assert_holds_the_account(actions_in(store), account.emulator)


def test_stored_tokens_of_another_account_give_way(account, store):
    """A slip with the account is put right in the environment alone."""
    other = account.emulator.add_account(contacts=1, companies=1)
    slip = account.oauth | {"HUBSPOT_REFRESH_TOKEN": other.refresh_token}
    assert other.account_id in one_failure(account.run(store, environment=slip))

    account.sync(store, environment=account.oauth)

    assert_holds_the_account(actions_in(store), account.emulator)


def test_stored_tokens_under_another_key_are_left_alone(account, store):
    """They may be newer than those of the environment, so they are not overwritten unread."""
    account.sync(store, environment=account.oauth)

    other = account.oauth | {"HUBSPOT_SYNC_KEY": CredentialKeys.generate_key()}
    assert "encryption key" in refusal(account.run(store, environment=other), 1)

    account.sync(store, environment=account.oauth)


def credentials_in(store):
    if store.startswith("sqlite"):
        path = Path(store.removeprefix("sqlite://"))
        return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    from bson import encode
    from pymongo import MongoClient

    client: MongoClient[Any] = MongoClient(store)
    with client:
        database = client.get_default_database("hubspot_sync")
        documents = [
            document
            for name in database.list_collection_names()
            for document in database[name].find()
        ]
    assert documents
    return b"".join(encode(document) for document in documents)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_cleanly(hubspot_emulator, tmp_path, number):
    """What was committed stays, and the next run completes the rest with no repeat."""
    account = Account(hubspot_emulator(contacts=3_000, companies=20, latency=0.2))
    store = f"sqlite:///{tmp_path}/crm.db"
    with subprocess.Popen(
        account.command(store),
        env=ENVIRONMENT | account.static,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for_calls(account.emulator, "list", 12)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=300)

    assert process.returncode == 1
    assert "Traceback" not in stderr
    report = json.loads(stdout.splitlines()[-1])
    assert report["streams"]["contacts"]["status"] == "stopped"
    committed = report["streams"]["contacts"]["delivered"]
    assert 0 < committed < 3_000
    rest = account.sync(store)
    assert rest["streams"]["contacts"]["delivered"] == 3_000 - committed
    assert_holds_the_account(actions_in(store), account.emulator)


def wait_for_calls(emulator, route, count):
    deadline = time.monotonic() + 300  # noqa: TID251 - waits for a real process
    while emulator.calls.count(route) < count:
        assert time.monotonic() < deadline  # noqa: TID251
        time.sleep(0.01)  # noqa: TID251


def test_no_credentials(account, tmp_path):
    """It says which variables to set, and does nothing."""
    done = account.run(f"sqlite:///{tmp_path}/crm.db", environment={})

    assert "HUBSPOT_ACCESS_TOKEN" in refusal(done, 2)
    assert not list(tmp_path.iterdir())


def test_oauth_without_a_key(account, tmp_path):
    """Tokens are never stored in clear, so a key has to be there first."""
    environment = account.oauth
    del environment["HUBSPOT_SYNC_KEY"]

    done = account.run(f"sqlite:///{tmp_path}/crm.db", environment=environment)

    assert "HUBSPOT_SYNC_KEY" in refusal(done, 2)


@pytest.mark.parametrize("key", ["short", "x" * 44])
def test_a_wrong_key(account, tmp_path, key):
    """A key that is none is refused without being shown."""
    done = account.run(
        f"sqlite:///{tmp_path}/crm.db", environment=account.oauth | {"HUBSPOT_SYNC_KEY": key}
    )

    assert "encryption key" in refusal(done, 2)
    assert key not in done.stderr


def test_a_wrong_token(account, tmp_path):
    """HubSpot's 401 says that the token is not accepted, and does not show it."""
    done = account.run(
        f"sqlite:///{tmp_path}/crm.db", environment={"HUBSPOT_ACCESS_TOKEN": "pat-na1-wrong"}
    )

    assert "access token" in one_failure(done)
    assert "pat-na1-wrong" not in done.stderr + done.stdout


def test_a_wrong_refresh_token(account, tmp_path):
    """The account has to be connected again, and the line says so."""
    done = account.run(
        f"sqlite:///{tmp_path}/crm.db",
        environment=account.oauth | {"HUBSPOT_REFRESH_TOKEN": "na1-wrong"},
    )

    assert "connected again" in one_failure(done)
    assert "na1-wrong" not in done.stderr + done.stdout


def test_the_wrong_account(account, tmp_path):
    """Another account's records never land under the given id."""
    done = account.run(f"sqlite:///{tmp_path}/crm.db", account="99999")

    line = one_failure(done)
    assert account.emulator.account_id in line
    assert "99999" in line
    assert sqlite_actions(tmp_path / "crm.db") == []


def test_an_unknown_object_type(account, tmp_path):
    """HubSpot does not know it; the line names it."""
    done = account.run(f"sqlite:///{tmp_path}/crm.db", objects="spaceships")

    assert "spaceships" in one_failure(done)


def test_an_unknown_property(account, tmp_path):
    """HubSpot drops unknown names silently, so it is an error of ours."""
    done = account.run(
        f"sqlite:///{tmp_path}/crm.db", objects="contacts", properties="email,shoe_size"
    )

    assert "shoe_size" in one_failure(done)


def test_one_bad_stream_does_not_keep_the_others(account, tmp_path):
    """The run goes on with the next object type, and its status says that not all is well."""
    done = account.run(f"sqlite:///{tmp_path}/crm.db", objects="spaceships,companies")

    one_failure(done)
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["streams"]["spaceships"]["status"] == "failed"
    assert report["streams"]["companies"]["delivered"] == 120


def test_streams_that_were_not_reached(account, tmp_path):
    """A token that HubSpot refuses ends the run, and each stream is in the report."""
    refused = {**account.static, "HUBSPOT_ACCESS_TOKEN": "wrong"}
    done = account.run(
        f"sqlite:///{tmp_path}/crm.db", environment=refused, objects="companies,deals,contacts"
    )

    assert done.returncode == 1
    streams = json.loads(done.stdout.splitlines()[-1])["streams"]
    assert {name: one["status"] for name, one in streams.items()} == {
        "companies": "failed",
        "deals": "not_started",
        "contacts": "not_started",
    }


def test_an_unreachable_base_url(account, tmp_path):
    """It gives up by itself and names the place."""
    port = free_port()

    done = account.run(f"sqlite:///{tmp_path}/crm.db", base_url=f"http://127.0.0.1:{port}")

    assert f"127.0.0.1:{port}" in one_failure(done)


def test_a_base_url_with_something_behind_it(account, tmp_path):
    """Every path is unknown there, so the line names the place."""
    base_url = f"{account.emulator.base_url}/foo"

    line = one_failure(
        account.run(f"sqlite:///{tmp_path}/crm.db", base_url=base_url, objects="contacts")
    )

    assert f"is base_url right, {base_url}?" in line


def test_an_object_type_that_the_emulator_has_not(account, tmp_path):
    """It is HubSpot's, so the emulator says that the lack is its own."""
    line = one_failure(account.run(f"sqlite:///{tmp_path}/crm.db", objects="deals"))

    assert "emulator" in line
    assert "add_object_type" in line


def test_an_unreachable_mongodb(account):
    """It gives up after the time that the connection string allows."""
    uri = f"mongodb://127.0.0.1:{free_port()}/crm?serverSelectionTimeoutMS=500"

    done = account.run(uri)

    assert "could not be reached" in refusal(done, 1)


def test_a_mongodb_database_from_a_newer_version(account, mongodb_uri, mongodb_client):
    """It is left as it is, and the line says why."""
    from pymongo.uri_parser import parse_uri

    database = mongodb_client[parse_uri(mongodb_uri)["database"]]
    database["schema"].insert_one({"_id": "hubspot_sync", "version": 999})

    done = account.run(mongodb_uri)

    assert "newer version" in refusal(done, 1)
    assert database.list_collection_names() == ["schema"]


def one_failure(done):
    """The one line about a failure that came to light while the run was on."""
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    failures = [line for line in done.stderr.splitlines() if line.startswith("sync_account: ")]
    assert len(failures) == 1, done.stderr
    return failures[0]


def folder_as_file(tmp_path):
    return tmp_path


def in_proc(_tmp_path):
    return "/proc/crm.db"


def in_no_folder(tmp_path):
    return tmp_path / "missing" / "crm.db"


def in_a_file(tmp_path):
    (tmp_path / "file").write_text("hello")
    return tmp_path / "file" / "crm.db"


def text_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("These are no tables, and there is more text than a header has.\n" * 100)
    return path


def from_a_newer_version(tmp_path):
    path = tmp_path / "newer.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE schema (version INTEGER NOT NULL)")
        database.execute("INSERT INTO schema VALUES (999)")
    return path


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (folder_as_file, "cannot be opened"),
        (in_proc, "cannot be opened"),
        (in_no_folder, "does not exist"),
        (in_a_file, "does not exist"),
        (text_file, "is not an SQLite database"),
        (from_a_newer_version, "newer version"),
    ],
)
def test_an_unusable_sqlite_path(account, tmp_path, place, says):
    """The line says what is wrong with the path."""
    path = place(tmp_path)

    done = account.run(f"sqlite:///{path}")

    line = refusal(done, 1)
    assert says in line
    assert str(path) in line


@pytest.fixture
def refused(account, monkeypatch, capsys):
    """Runs the program inside this process, because it ends before it begins: fast."""

    def run(store, **options):
        monkeypatch.setattr(
            "sys.argv", [str(part) for part in account.command(store, **options)[1:]]
        )
        monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", account.emulator.access_token)
        with pytest.raises(SystemExit) as ending:
            runpy.run_path(str(SYNC_ACCOUNT), run_name="__main__")
        assert len(account.emulator.calls) == 0
        output = capsys.readouterr()
        assert output.out == ""
        return ending.value.code, output.err.splitlines()

    level = logging.getLogger("hubspot_sync").level
    yield run
    logging.getLogger("hubspot_sync").setLevel(level)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"account": None}, "--account"),
        ({"account": "acme"}, "'acme'"),
        ({"account": ""}, "account_id"),
        ({"objects": ""}, "at least one stream"),
        ({"objects": "contacts,contacts"}, "once"),
        ({"objects": "con tacts/../x"}, "'con tacts/../x'"),
        ({"properties": ""}, "--properties"),
        ({"properties": " , "}, "--properties"),
        ({"domain": ""}, "domain_id"),
        ({"burst_limit": "many"}, "--burst-limit"),
        ({"burst_limit": "0"}, "burst_limit"),
        ({"search_limit": "-1"}, "search_limit"),
        ({"base_url": "api.hubapi.com"}, "base_url is 'api.hubapi.com'; give a URL"),
        ({"no_such_option": "1"}, "--no-such-option"),
    ],
)
def test_malformed_arguments(refused, tmp_path, options, says):
    """The last line names the argument, and nothing is done."""
    status, lines = refused(f"sqlite:///{tmp_path}/crm.db", **options)

    assert status == 2
    assert says in lines[-1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("", 2),
        ("crm.db", 2),
        ("postgres://localhost/crm", 2),
        ("sqlite://", 2),
        ("sqlite:///", 2),
        ("sqlite://crm.db", 2),
        ("sqlite:///:memory:", 2),
        ("mongodb://", 1),
        ("mongodb://127.0.0.1:port/crm", 1),
    ],
)
def test_a_malformed_store(refused, url, status):
    """A store that is none of ours is refused in one line."""
    ended, lines = refused(url)

    assert status == ended
    assert len(lines) == 1
    assert lines[0].startswith("sync_account: ")


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:///:memory:"])
def test_a_store_without_a_file(refused, url):
    """The line says how a file is named."""
    _, lines = refused(url)

    assert "sqlite:///crm.db" in lines[0]
    assert "four slashes" in lines[0]


@pytest.mark.parametrize(
    "servers", ["user:hush-hush@127.0.0.1:port", "user:hush@hush-hush@127.0.0.1"]
)
def test_a_password_in_a_malformed_store_is_not_shown(refused, servers):
    """The line says that the URI is wrong, without the URI."""
    status, lines = refused(f"mongodb://{servers}/crm")

    assert status == 1
    assert len(lines) == 1
    assert "hush" not in lines[0]


def test_a_password_in_the_store_is_not_shown(account):
    """The line about a server that is away names the server only."""
    port = free_port()
    uri = f"mongodb://user:hush-hush@127.0.0.1:{port}/crm?serverSelectionTimeoutMS=100"

    done = account.run(uri)

    assert f"127.0.0.1:{port}" in refusal(done, 1)
    assert "hush" not in done.stdout + done.stderr
