"""The console command `hubspot-sync`, against an emulator over HTTP and real stores."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from hubspot_sync import (
    Account,
    CredentialKeys,
    HubSpotSettings,
    OAuthApp,
    OAuthTokens,
    StaticAccessToken,
    SyncEngine,
)
from hubspot_sync.commands import COMMANDS, main
from hubspot_sync.commands._messages import printable
from hubspot_sync.stores import open_stores
from hubspot_sync.stores.mongodb import MongoStores
from hubspot_sync.stores.sqlite import SqliteDatabase, SqliteTokenStore
from hubspot_sync.testing import Fault

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "command.md"
PYTHON = [sys.executable, "-W", "error"]
MODULE = [*PYTHON, "-m", "hubspot_sync.commands"]
OLD, NEW = CredentialKeys.generate_key(), CredentialKeys.generate_key()
ACME = Account(account_id="62515", domain_id="acme")
# Longer than a file system takes, so it does not say either that there is no such file.
NO_NAME = "x" * 1_000
CONTACTS = 40


@frozen
class Done:
    """What came of a command: its exit status, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document on standard output."""
        return json.loads(self.out)


@pytest.fixture
def emulator(hubspot_emulator):
    return hubspot_emulator(contacts=CONTACTS, companies=8)


@pytest.fixture
def store(tmp_path):
    """The URL of an SQLite file that is not there yet."""
    return f"sqlite:///{tmp_path}/crm.db"


@pytest.fixture
def bare(monkeypatch):
    """An environment without credentials, and no terminal to ask at."""
    for name in [name for name in os.environ if name.startswith("HUBSPOT_")]:
        monkeypatch.delenv(name)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield monkeypatch


@pytest.fixture
def shell(bare, capsys):
    """Runs a command in this process, in the environment that is given beside it."""

    def run(*arguments, **environment):
        with bare.context() as changed:
            for name, value in environment.items():
                changed.setenv(name, value)
            capsys.readouterr()
            try:
                status = main(arguments)
            except SystemExit as end:
                status = end.code
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture
def environment(emulator, store):
    """One that leads to the emulator and to the store."""
    return {
        "HUBSPOT_BASE_URL": emulator.base_url,
        "HUBSPOT_ACCESS_TOKEN": emulator.access_token,
        "HUBSPOT_SYNC_STORE": store,
    }


@pytest.fixture
def account(shell, environment):
    """Runs commands on the emulator's account, of the tenant acme, which was synced once."""

    def run(command, *arguments, **more):
        named = ["--account", "62515", "--domain", "acme"]
        return shell(command, *named, *arguments, **{**environment, **more})

    assert run("sync").status == 0
    return run


@pytest.fixture
def terminal(bare, environment):
    """Runs a command whose input and output are a terminal, where *typed* was typed."""

    def run(*arguments, typed=""):
        here, there = pty.openpty()
        os.write(here, typed.encode())
        with ThreadPoolExecutor(1) as pool, bare.context() as changed:
            shown = pool.submit(all_of, here)
            with os.fdopen(os.dup(there)) as keys, os.fdopen(there, "w") as screen:
                for name, value in {**environment, "TERM": "xterm", "COLUMNS": "120"}.items():
                    changed.setenv(name, value)
                for name, stream in {"stdin": keys, "stdout": screen, "stderr": screen}.items():
                    changed.setattr(sys, name, stream)
                status = main(arguments)
            return Done(status, shown.result(timeout=300), "")

    return run


def all_of(terminal):
    """All that is written to a terminal, until nobody has it open."""
    seen = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so of the other end
            part = b""
        if not part:
            os.close(terminal)
            return seen.decode()
        seen += part


def oauth_of(emulator, store, key):
    """An environment with OAuth tokens instead of an access token."""
    return {
        "HUBSPOT_BASE_URL": emulator.base_url,
        "HUBSPOT_SYNC_STORE": store,
        "HUBSPOT_CLIENT_ID": emulator.client_id,
        "HUBSPOT_CLIENT_SECRET": emulator.client_secret,
        "HUBSPOT_REFRESH_TOKEN": emulator.refresh_token,
        "HUBSPOT_SYNC_KEY": key,
    }


@contextmanager
def engine_on(store, emulator, **parts):
    """An engine of the host's on the same store, with the account's token."""
    hubspot = HubSpotSettings(base_url=emulator.base_url, burst_limit=None, search_limit=None)
    with SyncEngine(open_stores(store), hubspot=hubspot, **parts) as engine:
        engine.store_credentials(ACME, StaticAccessToken(emulator.access_token))
        yield engine


class TestSync:
    def test_it_syncs_an_account_and_says_what_it_did(self, shell, environment):
        """In aligned columns, where standard output is no terminal."""
        done = shell("sync", "--account", "62515", **environment)

        heading, companies, contacts, last = done.out.splitlines()
        assert done.status == 0
        assert heading.split("  ")[0] == "object type"
        assert companies.split()[:4] == ["companies", "completed", "8", "8"]
        assert contacts.split()[:4] == ["contacts", "completed", "40", "40"]
        assert re.fullmatch(r"default/62515: completed, \d+ calls to HubSpot", last)

    def test_the_report_is_one_json_document(self, shell, environment):
        """The same as that of `sync_account`; the progress is on standard error."""
        done = shell("sync", "--account", "62515", "--json", **environment)

        assert done.document["streams"]["contacts"]["delivered"] == CONTACTS
        assert "default/62515" in done.err

    def test_quiet_shows_no_progress(self, account):
        """Nothing at all when all goes well."""
        assert account("sync", "--quiet").err == ""

    def test_into_mongodb(self, shell, emulator, mongodb_uri):
        """By its connection string."""
        done = shell(
            "sync", "--account", "62515", "--store", mongodb_uri, "--base-url", emulator.base_url,
            "--json", HUBSPOT_ACCESS_TOKEN=emulator.access_token,
        )  # fmt: skip

        assert done.document["streams"]["contacts"]["delivered"] == CONTACTS
        assert shell("status", "--store", mongodb_uri, "--json").document["counts"]["fresh"] == 1

    def test_what_is_asked_for_is_asked_for_from_then_on(self, account, emulator):
        """It is part of the account's settings, as workers see them, too."""
        account("sync", "--objects", "contact", "--properties", "email,lastname")
        emulator.create("contacts", {"email": "new@example.com"})

        done = account("sync", "--json")

        assert list(done.document["streams"]) == ["contacts"]
        assert done.document["streams"]["contacts"]["delivered"] == 1

    def test_properties_alone_leave_the_object_types(self, account, store, emulator):
        """And their associations."""
        assert account("sync", "--properties", "email,name").status == 0

        with engine_on(store, emulator) as engine:
            companies, contacts = engine.domain("acme").account("62515").account.streams
        assert companies.properties == contacts.properties == ("email", "name")
        assert contacts.associations == ("companies",)

    def test_a_stream_that_fails_ends_with_status_1(self, account, emulator):
        """Its error is a line on standard error; the report is there nevertheless."""
        emulator.withhold_scopes("crm.objects.contacts.read")

        done = account("sync", "--json", "--quiet")

        assert done.status == 1
        assert done.document["completed"] is False
        assert "hubspot-sync sync: " in done.err
        assert "crm.objects.contacts.read" in done.err
        assert "Traceback" not in done.err

    def test_the_wrong_account_is_not_kept(self, shell, environment):
        """Its number was a slip."""
        done = shell("sync", "--account", "999", "--quiet", **environment)

        assert done.status == 1
        assert "HubSpot account 62515 was opened, not 999" in done.err
        assert done.err.count("\n") == 1
        assert shell("status", "--json", **environment).document["accounts"] == []

    def test_a_disabled_account_is_left_alone(self, account, store, emulator):
        """With what to do about it."""
        with engine_on(store, emulator) as engine:
            engine.domain("acme").disable("62515")

        done = account("sync", "--quiet")

        assert (done.status, done.out) == (1, "")
        assert "the account is disabled" in done.err

    def test_oauth_tokens_that_are_stored_count(self, shell, emulator, store):
        """The key opens them, so nothing else is needed once they are there."""
        given = oauth_of(emulator, store, OLD)
        assert shell("sync", "--account", "62515", **given).status == 0
        del given["HUBSPOT_REFRESH_TOKEN"]

        assert shell("sync", "--account", "62515", **given).status == 0

    def test_oauth_tokens_of_the_environment_replace_refused_ones(self, shell, emulator, store):
        """As `sync_account` does it; so do they for an account that only it has synced."""
        app = OAuthApp(client_id=emulator.client_id, client_secret=emulator.client_secret)
        with SyncEngine(open_stores(store, cipher=CredentialKeys(OLD)), oauth_app=app) as engine:
            account = Account("62515")
            engine.store_credentials(account, OAuthTokens(refresh_token="na1-out-of-date"))

        done = shell("sync", "--account", "62515", "--json", **oauth_of(emulator, store, OLD))

        assert done.status == 0
        assert "taking the environment's tokens" in done.err
        assert done.document["completed"]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_cleanly(self, hubspot_emulator, store, number):
        """What was committed stays, and the report says so."""
        emulator = hubspot_emulator(contacts=3_000, companies=20, latency=0.2)
        with subprocess.Popen(
            [*MODULE, "sync", "--account=62515", f"--store={store}", "--json",
             f"--base-url={emulator.base_url}"],
            env=os.environ | {"HUBSPOT_ACCESS_TOKEN": emulator.access_token},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            deadline = time.monotonic() + 300  # noqa: TID251 - waits for a real process
            while emulator.calls.count("list") < 12:
                assert time.monotonic() < deadline  # noqa: TID251
                time.sleep(0.01)  # noqa: TID251
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=300)

        assert process.returncode == 1
        assert "Traceback" not in stderr
        assert json.loads(stdout)["streams"]["contacts"]["status"] == "stopped"


class TestStatus:
    def test_of_all_accounts_of_a_tenant_and_of_one(self, account, shell, environment):
        """As a table of streams with a line below."""
        shell("sync", "--account", "62515", "--domain", "globex", **environment)

        everything = shell("status", **environment)
        one_domain = shell("status", "--domain", "acme", "--json", **environment)
        one = account("status", "--json")

        assert everything.status == 0
        assert everything.out.splitlines()[-1] == "2 accounts: 2 fresh"
        assert "globex/62515  contacts     fresh" in everything.out
        assert [one["domain_id"] for one in one_domain.document["accounts"]] == ["acme"]
        assert one.document["streams"]["contacts"]["delivered"] == CONTACTS

    def test_what_is_wrong_is_told_with_what_to_do(self, account, shell, environment, emulator):
        """And exit status 1, for who looks at that alone."""
        emulator.withhold_scopes("crm.objects.contacts.read")
        account("sync")

        done = shell("status", "--quiet", **environment)

        assert done.status == 1
        assert "hubspot-sync status: needs reconnect since" in done.err
        assert "acme/62515/contacts; grant what is missing" in done.err

    def test_of_an_account_that_is_not_there(self, account):
        """The later option counts."""
        done = account("status", "--account", "777")

        assert (done.status, done.out) == (1, "")
        assert done.err.count("\n") == 1


class TestPlan:
    def test_of_an_account_that_is_new(self, shell, environment, store):
        """Nothing is kept, with a store and without one."""
        named = ["plan", "--account", "62515", "--objects", "contacts"]
        del environment["HUBSPOT_SYNC_STORE"]

        alone = shell(*named, "--json", **environment)
        beside = shell(*named, "--store", store, **environment)

        assert alone.document["streams"][0]["records"] == CONTACTS
        assert alone.document["calls"] > 3
        assert re.search(r"contacts +backfill +40 ", beside.out)
        assert "of 250,000 calls a day" in beside.out
        status = shell("status", "--store", store, "--json")
        assert status.document["accounts"] == []

    def test_of_an_account_that_was_synced(self, account):
        """Changed settings are planned and not stored."""
        same = account("plan", "--json")
        grown = account("plan", "--objects", "companies,contacts,owners", "--json")

        assert {one["mode"] for one in same.document["streams"]} == {"incremental"}
        modes = [one["mode"] for one in grown.document["streams"]]
        assert modes == ["incremental", "incremental", "backfill"]
        assert account("plan", "--json").document["streams"] == same.document["streams"]

    def test_of_an_account_that_nobody_knows(self, shell, account, environment):
        """Without credentials there is none."""
        del environment["HUBSPOT_ACCESS_TOKEN"]

        done = shell("plan", "--account", "777", **environment, HUBSPOT_SYNC_KEY=NEW)

        assert (done.status, done.out) == (1, "")
        assert "777" in done.err


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("call Domain.redrive", "call hubspot-sync redrive"),
        ("see Domain.rejected_actions(..., parked=True) for", "see hubspot-sync errors for"),
        ("call engine.resync(account)", "call hubspot-sync resync"),
        ("call Domain.connect", "call Domain.connect"),
    ],
)
def test_what_to_call_is_named_as_a_command(text, shown):
    assert printable(text, "utf-8") == shown


def test_an_account_of_another_tenant_is_named(account, shell, environment):
    """In the words of the command, wherever it is asked for."""
    named = ["--account", "62515", "--object-type", "contacts", "--id", "51"]

    done = shell("explain", *named, **environment)
    planned = shell("plan", "--account", "62515", **environment)
    nobodys = shell("doctor", "--account", "777", **environment)

    assert done.status == 1
    assert done.err == (
        "hubspot-sync explain: domain 'default' has no account 62515; the store has it elsewhere: "
        "give --domain acme\n"
    )
    assert (planned.status, "--domain acme" in planned.err) == (0, True)
    assert nobodys.err.endswith("has no account 777; hubspot-sync sync puts it there\n")


class TestExplain:
    def test_of_one_object(self, account, emulator):
        """From the store alone, and with what HubSpot says."""
        (one, *_) = emulator.records("contacts")
        named = ["explain", "--object-type", "contacts", "--id", one]

        stored = account(*named)
        asked = account(*named, "--ask-hubspot", "--json")

        assert stored.out.startswith(f"acme/62515/contacts {one}: delivered\n- the sink has")
        unknown = account("explain", "--object-type", "contacts", "--id", "999")
        assert "--ask-hubspot tells whether it has it" in unknown.out
        assert (asked.status, asked.document["in_hubspot"]) == (0, "there")


class TestDoctor:
    def test_all_is_well(self, account):
        """A line for each part."""
        done = account("doctor")

        assert (done.status, done.err) == (0, "")
        assert re.search(r"ok +stream contacts +can be read", done.out)

    def test_something_is_wrong(self, account, emulator):
        """It is shown with the others, and what to do on standard error."""
        emulator.withhold_scopes("crm.objects.contacts.read")

        done = account("doctor", "--quiet")

        assert done.status == 1
        assert re.search(r"WRONG +stream contacts", done.out)
        assert "hubspot-sync doctor: stream contacts: grant what is missing" in done.err


class TestRejected:
    @pytest.fixture
    def refusing(self, account, emulator, store):
        """Commands on an account of which five contacts were refused."""
        changed = emulator.touch("contacts", count=5)

        def refuse(action):
            return "it is [bad]\x1b[31m" if action.object_id in changed else None

        with engine_on(store, emulator, validators=[refuse]) as engine:
            assert engine.domain("acme").sync("62515").counts.rejected == 5
        return account

    def test_they_are_listed(self, refusing):
        """What would steer a terminal is not printed."""
        done = refusing("errors")

        assert done.status == 0
        assert "it is [bad]?[31m" in done.out
        assert "Contact Updated" in done.out
        assert done.out.splitlines()[-1] == "acme/62515: 5 refused actions"

    def test_with_all_that_they_hold_as_json(self, refusing):
        """For a program, or a person who looks for the cause."""
        document = refusing("errors", "--json").document

        assert len(document["rejected"]) == 5
        assert document["more"] is False
        assert "email" in document["rejected"][0]["action"]["properties"]

    def test_some_of_them(self, refusing):
        """As many as are asked for, of those that fit."""
        document = refusing("errors", "--json", "--limit", "2").document
        ids = [one["action"]["object_id"] for one in document["rejected"]]

        assert document["more"] is True
        assert len(refusing("errors", "--json", "--ids", ",".join(ids)).document["rejected"]) == 2
        assert refusing("errors", "--json", "--parked").document["rejected"] == []
        assert refusing("errors", "--json", "--object-type=company").document["rejected"] == []
        assert "and there are more" in refusing("errors", "--limit=2").out

    def test_they_are_tried_again(self, refusing):
        """Nothing refuses them here, so all arrive."""
        done = refusing("redrive", "--object-type", "contacts", "--json")

        assert done.status == 0
        assert done.document["streams"]["contacts"]["delivered"] == 5
        assert refusing("redrive").out.startswith("acme/62515: completed in ")
        assert refusing("errors", "--json").document["rejected"] == []


class TestMarks:
    @pytest.mark.parametrize("command", ["reconcile", "resync"])
    def test_the_next_sync_compares_all(self, account, command):
        """The mark is set, and nothing is read yet."""
        marked = account(command, "--objects", "contacts", "--json")

        streams = account("sync", "--json").document["streams"]

        assert marked.document == {
            "domain_id": "acme",
            "account_id": "62515",
            "marked": ["contacts"],
        }
        assert streams["contacts"]["mode"] == "reconcile"
        assert (streams["contacts"]["read"], streams["contacts"]["delivered"]) == (CONTACTS, 0)
        assert streams["companies"]["mode"] == "incremental"

    def test_at_once(self, account):
        """The report is that of the sync."""
        done = account("reconcile", "--now", "--json")

        assert done.document["streams"]["companies"]["mode"] == "reconcile"
        assert done.document["streams"]["contacts"]["mode"] == "reconcile"

    def test_in_words(self, account):
        """With what is marked."""
        assert account("resync").out == (
            "acme/62515: the next sync delivers again all companies, contacts\n"
        )

    def test_suspected_deletions_are_confirmed(self, account, emulator):
        """They are told of by the next sync."""
        assert "nothing to confirm" in account("confirm-deletions").out
        for one in list(emulator.records("contacts"))[:25]:
            emulator.erase("contacts", one)
        suspicious = account("reconcile", "--now", "--quiet")

        done = account("confirm-deletions", "--json")

        assert "call hubspot-sync confirm-deletions" in suspicious.err
        assert done.document["suspected"] == 25
        assert account("sync", "--json").document["streams"]["contacts"]["delivered"] == 25


class TestForgetting:
    def test_objects_are_erased(self, account, emulator):
        """And do not come back."""
        one, other = list(emulator.records("contacts"))[:2]

        done = account(
            "erase", "--object-type", "contacts", "--ids", f"{one},{other}", "--yes", "--json"
        )

        assert done.status == 0
        assert sorted(done.document["object_ids"]) == sorted([one, other])
        assert done.document["stored"] == 2
        assert account("resync", "--now", "--json").document["streams"]["contacts"]["repeated"] == (
            CONTACTS - 2
        )

    def test_an_account_is_purged(self, account, shell, environment):
        """With its entry; a second time there is nothing left."""
        done = account("purge", "--yes", "--json")

        assert (done.status, done.document["stored"]) == (0, CONTACTS + 8)
        assert shell("status", "--json", **environment).document["accounts"] == []
        assert account("purge", "--yes", "--json").document["stored"] == 0

    @pytest.mark.parametrize(
        "arguments", [["erase", "--object-type", "contacts", "--ids", "1"], ["purge"]]
    )
    def test_without_a_terminal_they_need_a_yes(self, account, arguments):
        """Nothing is done."""
        done = account(*arguments)

        assert (done.status, done.out) == (2, "")
        assert "give --yes if it is meant" in done.err
        assert account("status", "--json").document["streams"]["contacts"]["delivered"] == CONTACTS

    @pytest.mark.parametrize(("answer", "left"), [("n", 1), ("", 1), ("y", 0)])
    @pytest.mark.parametrize(
        ("arguments", "asked"),
        [
            (["purge"], "Remove account acme/62515 with all that it has brought? It cannot"),
            (
                ["erase", "--object-type", "contacts", "--ids", "7,8"],
                "Erase 7, 8 of contacts of acme/62515? It cannot",
            ),
        ],
    )
    def test_on_a_terminal_they_ask(self, account, terminal, arguments, asked, answer, left):
        """Whoever does not say yes says no."""
        named = ["--account", "62515", "--domain", "acme"]

        done = terminal(*arguments, *named, typed=f"{answer}\n")

        assert asked in done.out
        assert ("nothing was done" in done.out) is bool(left)
        assert done.status == left


class TestOnATerminal:
    def test_tables_are_drawn_where_rich_is_installed(self, account, terminal):
        """With lines that a pipe does not get."""
        pytest.importorskip("rich")

        done = terminal("status")

        assert done.status == 0
        assert "─────" in done.out
        assert "contacts" in done.out

    def test_rich_is_never_needed(self, account, terminal, bare):
        """Without it there are the plain lines."""
        bare.setitem(sys.modules, "rich", None)

        done = terminal("status")

        assert done.status == 0
        assert "─────" not in done.out
        assert "acme/62515  contacts     fresh" in done.out

    def test_json_is_json_there_too(self, account, terminal):
        """One document."""
        assert terminal("status", "--json").document["counts"]["fresh"] == 1


class TestReencrypt:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "crm.db"
        with SqliteDatabase(path) as database:
            tokens = SqliteTokenStore(database, CredentialKeys(OLD))
            token = StaticAccessToken(access_token="pat-na1-a")
            tokens.save(ACME.key, token, expected_revision=None)
        return path

    def test_it_seals_everything_again(self, shell, path):
        """Keys come from the environment, and are not shown."""
        done = shell(
            "reencrypt", "--store", f"sqlite:///{path}",
            HUBSPOT_SYNC_KEY=NEW, HUBSPOT_SYNC_OLD_KEYS=OLD,
        )  # fmt: skip

        assert (done.status, done.err) == (0, "")
        assert done.out.startswith("accounts sealed again: 1, not: 0; keys: CredentialKeys(")
        assert NEW not in done.out
        assert OLD not in done.out
        again = shell(
            "reencrypt", "--json", HUBSPOT_SYNC_STORE=f"sqlite:///{path}", HUBSPOT_SYNC_KEY=NEW
        )
        assert again.document == {"completed": True, "resealed": 1, "failures": {}}

    def test_three_slashes_are_enough(self, shell, path):
        """Where the folder is there, as `sync_account` has it."""
        done = shell("reencrypt", "--store", f"sqlite://{path}", HUBSPOT_SYNC_KEY=OLD)

        assert done.out.startswith("accounts sealed again: 1, not: 0")

    def test_mongodb_too(self, shell, mongodb_uri):
        """By its connection string."""
        with SyncEngine(MongoStores(mongodb_uri, cipher=CredentialKeys(OLD))) as engine:
            engine.store_credentials(ACME, StaticAccessToken(access_token="pat-na1-a"))

        done = shell(
            "reencrypt",
            HUBSPOT_SYNC_STORE=mongodb_uri, HUBSPOT_SYNC_KEY=NEW, HUBSPOT_SYNC_OLD_KEYS=OLD,
        )  # fmt: skip

        assert done.out.startswith("accounts sealed again: 1, not: 0")

    def test_a_wrong_key_is_told(self, shell, path):
        """With what is needed, and exit status 1."""
        done = shell("reencrypt", "--store", f"sqlite:///{path}", HUBSPOT_SYNC_KEY=NEW)

        assert done.status == 1
        assert "acme/62515: the stored credentials need the encryption key" in done.err
        assert done.out.startswith("accounts sealed again: 0, not: 1")


class TestEmulator:
    @contextmanager
    def served(self, *arguments):
        command = [*MODULE, "emulator", "--contacts=7", "--companies=2", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=300) == 0

    def test_it_serves_what_it_says_until_interrupted(self, shell, store):
        """What it prints can be evaluated by a shell, and then everything leads there."""
        with self.served() as process:
            lines = [process.stdout.readline() for _ in range(3)]
            assert lines[0] == "# account 62515, until Ctrl-C\n"
            exported = dict(line.split()[1].split("=") for line in lines[1:])
            done = shell("sync", "--account=62515", "--store", store, "--json", **exported)

        assert done.document["streams"]["contacts"]["delivered"] == 7

    def test_as_json(self):
        """The same as its own command prints."""
        with self.served("--json") as process:
            described = json.loads(process.stdout.readline())

        assert described["base_url"].startswith("http://127.0.0.1:")

    def test_a_port_that_is_taken(self, shell):
        """Another one has to be given."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            done = shell("emulator", "--port", str(taken.getsockname()[1]))

        assert done.status == 2
        assert "give another --port" in done.err


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("arguments", "environment", "said"),
        [
            ([], {}, "arguments are required: COMMAND"),
            (["snyc"], {}, "invalid choice: 'snyc'"),
            (["--json", "sync"], {}, "unrecognized arguments: --json"),
            (["--", "sync"], {}, "the command comes first|invalid choice"),
            (["sync"], {}, "required: --account"),
            (["sync", "--acc", "1"], {}, "required: --account"),
            (["sync", "--account=1"], {}, "no credentials: set HUBSPOT_ACCESS_TOKEN"),
            (["sync", "--account=1"], {"HUBSPOT_ACCESS_TOKEN": "pat-1"}, "no store is given"),
            (["sync", "--account=x"], {"HUBSPOT_ACCESS_TOKEN": "pat-1"}, "give a HubSpot id"),
            (["sync", "--account=1", "--objects=,"], {}, "--objects: names none"),
            (["sync", "--account=1"], {"HUBSPOT_ACCESS_TOKEN": "Bearer a"}, "HUBSPOT|token"),
            (
                ["sync", "--account=1", "--store=sqlite:///x.db", "--base-url=nowhere"],
                {"HUBSPOT_ACCESS_TOKEN": "pat-1"},
                "base_url",
            ),
            (
                ["sync", "--account=1"],
                {"HUBSPOT_REFRESH_TOKEN": "r"},
                "missing: HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET",
            ),
            (
                ["sync", "--account=1"],
                {
                    "HUBSPOT_REFRESH_TOKEN": "r",
                    "HUBSPOT_CLIENT_ID": "i",
                    "HUBSPOT_CLIENT_SECRET": "s",
                },
                "needs an encryption key: set HUBSPOT_SYNC_KEY",
            ),
            (["status", "--store=redis://x"], {}, "there are stores for sqlite"),
            (["status", "--store=sqlite:///"], {}, "no file that stays"),
            (["status", "--store=sqlite:///:memory:"], {}, "no file that stays"),
            (["status", "mongodb://u:canary@h/d"], {}, "mongodb://...@h/d"),
            (["errors", "--account=1", "--ids=a"], {}, "give the HubSpot id of an object"),
            (["errors", "--account=1", "--parked", "--waiting"], {}, "not allowed with"),
            (["erase", "--account=1", "--object-type=", "--ids=1", "--yes"], {}, "object type"),
            (["erase", "--account=1", "--ids=1", "--yes"], {}, "required: --object-type"),
            (["reencrypt"], {"HUBSPOT_SYNC_KEY": NEW}, "no store is given"),
            (["reencrypt", "--store=sqlite:///no.db"], {}, "HUBSPOT_SYNC_KEY is not set"),
            (["reencrypt", "--store=sqlite:///no.db"], {"HUBSPOT_SYNC_KEY": "x"}, "32 bytes"),
            (["emulator", "--contacts=-1"], {}, "contacts|-1"),
            (["emulator", "--port=70000"], {}, "0-65535|port"),
        ],
    )
    def test_end_with_status_2_and_one_line(self, shell, arguments, environment, said):
        """On standard error; it says what to give."""
        done = shell(*arguments, **environment)

        assert (done.status, done.out) == (2, "")
        assert re.search(said, done.err)
        assert "canary" not in done.err
        assert done.err.count("\n") == 1

    @pytest.mark.parametrize(
        ("store", "said"),
        [
            ("sqlite:///no.db", "there is no file"),
            (f"sqlite:////{NO_NAME}", "there is no file"),
            (f"sqlite:///{NO_NAME}/x", "there is no file"),
            ("sqlite:////no/such/folder/crm.db", "there is no file"),
            (f"sqlite:///{__file__}", "not an SQLite database"),
            ("mongodb://", "MongoDB URI"),
        ],
    )
    def test_a_store_that_cannot_be_used(self, shell, store, said):
        """Exit status 1, as `sync_account` has it, and one line."""
        done = shell("status", "--store", store)

        assert (done.status, done.out) == (1, "")
        assert said in done.err
        assert done.err.count("\n") == 1


class TestTheWholeCommand:
    @pytest.mark.parametrize("name", COMMANDS)
    def test_help_is_short_and_has_an_example(self, shell, name):
        """Which begins as a user types it."""
        done = shell(name, "--help")

        assert done.status == 0
        assert len(done.out.splitlines()) < 45
        assert f"example:\n  hubspot-sync {name} " in done.out

    def test_help_of_all_and_the_version(self, shell):
        """A line for each."""
        helped = shell("--help").out

        assert all(f"    {name}" in helped for name in COMMANDS)
        assert re.fullmatch(r"hubspot-sync \d+\.\d+\.\d+\n", shell("--version").out)

    def test_it_is_installed(self):
        """As a script beside the interpreter."""
        script = f'hubspot-sync = "{main.__module__}:{main.__name__}"'
        assert script in (ROOT / "pyproject.toml").read_text("utf-8")

    def test_importing_it_is_cheap(self):
        """Only what is run is loaded."""
        code = "import sys, hubspot_sync.commands; print('\\n'.join(sys.modules))"
        loaded = subprocess.run(
            [*PYTHON, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()

        assert {"attrs", "msgspec", "orjson", "rich", "hubspot_sync.models"} & set(loaded) == set()
        assert "hubspot_sync.commands.sync" not in loaded

    def test_no_secret_is_printed(self, shell, emulator, store):
        """Whatever goes wrong, by whichever command."""
        given = oauth_of(emulator, store, OLD)
        secrets = [emulator.client_secret, emulator.refresh_token, OLD, NEW]
        one = ["--account", "62515"]
        leak = {"message": f"bad {emulator.refresh_token} of {emulator.client_secret}"}
        emulator.faults.add(Fault(route="oauth", status=400, body=leak))
        lines = [
            ["sync", *one],
            ["sync", *one, "--json"],
            ["status", "--json"],
            ["errors", *one, "--json"],
            ["reconcile", *one, "--now"],
            ["reencrypt", "--json"],
            ["purge", *one, "--yes", "--json"],
        ]

        said = [shell(*line, **given, HUBSPOT_SYNC_OLD_KEYS=NEW) for line in lines]

        printed = "".join(done.out + done.err for done in said)
        assert said[-1].document["credentials"] is True
        assert [secret for secret in secrets if secret in printed] == []

    def test_a_reader_that_has_read_enough_is_no_error(self, account, environment):
        """As `head` is."""
        code = "import sys, os; os.close(1); os.dup2(int(sys.argv[1]), 1); "
        reading, writing = os.pipe()
        os.close(reading)
        code += "from hubspot_sync.commands import main; sys.exit(main(['status', '--json']))"

        done = subprocess.run(
            [*PYTHON, "-c", code, str(writing)], env=os.environ | environment,
            pass_fds=[writing], stderr=subprocess.PIPE, text=True, timeout=300, check=False,
        )  # fmt: skip
        os.close(writing)

        assert (done.returncode, done.stderr) == (1, "")

    def test_an_interruption_is_told(self, shell, bare):
        """Also one that comes before there is anything to end in good order."""

        def interrupted(*_):
            raise KeyboardInterrupt

        bare.setattr("pkgutil.resolve_name", interrupted)

        assert shell("status") == Done(1, "", "hubspot-sync status: interrupted\n")

    def test_it_works_in_any_thread(self, account):
        """Signals are the main thread's."""
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(account, "status").result().status == 0

    def test_signs_that_the_output_lacks_are_written_in_others(self, account, environment):
        """An exception is nobody's answer."""
        done = subprocess.run(
            [*MODULE, "status", "--domain", "ä—"], env=os.environ
            | environment | {"PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=300,
            check=False,
        )  # fmt: skip

        assert (done.returncode, done.stderr) == (0, b"")

    def test_the_commands_of_the_guide_work(self, shell, emulator, environment, tmp_path, bare):
        """In their order, on the emulator."""
        bare.chdir(tmp_path)
        del environment["HUBSPOT_SYNC_STORE"]
        blocks = re.findall(
            r"^```sh\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
        lines = [line for block in blocks for line in block.splitlines()]
        commands = [shlex.split(line) for line in lines if line.startswith("hubspot-sync ")]

        for _, *arguments in commands:
            if arguments[0] not in ("emulator", "reencrypt"):
                done = shell(*arguments, **environment)
                assert done.status == 0, (arguments, done.err)

        assert {arguments[0] for _, *arguments in commands} == set(COMMANDS)
