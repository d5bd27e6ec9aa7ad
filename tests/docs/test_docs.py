"""What the README and the docs say is true: their snippets run, their names and links exist."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import re
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import asdict, frozen

import hubspot_sync
from hubspot_sync import (
    Account,
    CredentialKeys,
    HubSpotSettings,
    StaticAccessToken,
    SyncEngine,
    SyncSettings,
    errors,
)
from hubspot_sync.models import DEFAULT_SCOPES
from hubspot_sync.stores.mongodb import MongoStores
from hubspot_sync.stores.sqlite import SqliteStores
from hubspot_sync.testing import HubSpotEmulator
from hubspot_sync.testing.emulator import __main__ as emulator_command

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
# What the shell snippets show; the emulator accepts just these.
SHOWN_TOKEN = "pat-na1-11111111-2222-3333-4444-555555555555"
SHOWN_MONGODB = "mongodb://127.0.0.1:27017/crm"
# Where they say that the emulator's own command serves, with its own credentials.
SHOWN_EMULATOR = "http://127.0.0.1:9100"
SYNC_ACCOUNT = "python examples/sync_account.py"
CONTACTS = 60


@frozen
class Snippet:
    """A fenced block of a page.

    Attributes:
        language: What stands after the fence.
        title: The file that the block is, or None.
        line: The number of its first line in the page.
        text: Its content.
    """

    language: str
    title: str | None
    line: int
    text: str


def snippets(page, *languages):
    """The blocks of *page* in these languages; a block inside a list is moved to the margin."""
    text = page.read_text("utf-8")
    fences = re.finditer(
        r'^( *)```(\w+)(?: title="([^"]+)")?\n(.*?)^\1```$', text, re.MULTILINE | re.DOTALL
    )
    return [
        Snippet(
            language=fence[2],
            title=fence[3],
            line=text.count("\n", 0, fence.start(4)) + 1,
            text=re.sub(f"^{fence[1]}", "", fence[4], flags=re.MULTILINE),
        )
        for fence in fences
        if fence[2] in languages
    ]


def pages_with(*languages):
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if snippets(page, *languages)
    ]


@pytest.fixture(scope="module")
def emulator():
    """One account for all snippets."""
    with HubSpotEmulator(contacts=CONTACTS, companies=20, access_token=SHOWN_TOKEN) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def plain_emulator():
    """What `python -m hubspot_sync.testing.emulator` serves."""
    options = emulator_command._parser().parse_args(["--contacts", "5"])
    with emulator_command._emulator(options) as plain:
        yield plain


@pytest.fixture
def place(request, emulator, tmp_path, monkeypatch):
    """An empty folder to be in, and an environment that leads to the emulator."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    variables = {
        "HUBSPOT_BASE_URL": emulator.base_url,
        "HUBSPOT_ACCOUNT_ID": emulator.account_id,
        "HUBSPOT_ACCESS_TOKEN": emulator.access_token,
        "HUBSPOT_CLIENT_ID": emulator.client_id,
        "HUBSPOT_CLIENT_SECRET": emulator.client_secret,
        "HUBSPOT_REFRESH_TOKEN": emulator.refresh_token,
        "HUBSPOT_SYNC_KEY": CredentialKeys.generate_key(),
    }
    page = request.getfixturevalue("page").read_text("utf-8")
    if "MONGODB_URI" in page or SHOWN_MONGODB in page:
        variables["MONGODB_URI"] = request.getfixturevalue("mongodb_uri")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    loggers = [logging.getLogger(), logging.getLogger("hubspot_sync")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_snippets_run(page, place):
    """The blocks of a page run one after the other, as a reader would try them.

    A block with a title is a file: it is written down, and if it is a test, pytest runs it.
    """
    names = {"__name__": "__main__"}
    for snippet in snippets(page, "python"):
        if snippet.title is None:
            code = compile("\n" * (snippet.line - 1) + snippet.text, str(page), "exec")
            exec(code, names)
            continue
        (place / snippet.title).write_text(snippet.text, "utf-8")
        if snippet.title.startswith("test_"):
            run_tests(place / snippet.title)


def run_tests(path):
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if any(SYNC_ACCOUNT in snippet.text for snippet in snippets(page, "sh"))
    ],
)
def test_shell_snippets_run(page, place, emulator, plain_emulator):
    """Commands that sync an account do so, with the emulator in place of HubSpot."""
    commands = [s.text for s in snippets(page, "sh") if SYNC_ACCOUNT in s.text]
    (place / "examples").symlink_to(ROOT / "examples")
    for text in commands:
        if SHOWN_EMULATOR in text:
            there = text.replace(SHOWN_EMULATOR, plain_emulator.base_url)
        else:
            there = text.replace(SYNC_ACCOUNT, f"{SYNC_ACCOUNT} --base-url {emulator.base_url}")
        there = there.replace(SHOWN_MONGODB, f"'{os.environ.get('MONGODB_URI')}'")
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["sh", "-e", "-c", there],
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES])
def test_what_a_page_names_is_there(page):
    """Links, make targets and modules to run exist."""
    text = page.read_text("utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    missing = [
        link
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
        if "://" not in link and not (page.parent / link).exists()
    ]
    commands = [line for s in snippets(page, "sh") for line in s.text.splitlines()]
    wanted = {
        *re.findall(r"`make ([a-z-]+)`", text),
        *(word for line in commands if line.startswith("make ") for word in line.split()[1:]),
    }

    assert missing == []
    assert sorted(wanted - set(targets)) == []
    for module in re.findall(r"python -m (hubspot_sync[\w.]*)", text):
        assert importlib.util.find_spec(module)


def documented():
    """Everything that the reference pages show: a member of a module by its dotted name."""
    names = set()
    for page in (DOCS / "reference").glob("*.md"):
        blocks = re.split(r"^::: ", page.read_text("utf-8"), flags=re.MULTILINE)[1:]
        for block in blocks:
            path, *options = block.splitlines()
            names.add(path)
            names.update(
                f"{path}.{member}"
                for member in re.findall(r"^ +- (\w+)$", "\n".join(options), re.MULTILINE)
            )
    return names


def public(module):
    """The public names of *module*, each with the object that it stands for."""
    return {name: getattr(module, name) for name in module.__all__}


@pytest.mark.parametrize(
    "module",
    [
        "hubspot_sync",
        "hubspot_sync.integrations.celery",
        "hubspot_sync.integrations.otel",
        "hubspot_sync.models",
        "hubspot_sync.stores.fan_out",
        "hubspot_sync.stores.memory",
        "hubspot_sync.stores.sqlite",
        "hubspot_sync.stores.mongodb",
        "hubspot_sync.testing",
        "hubspot_sync.testing.contracts",
        "hubspot_sync.testing.emulator",
    ],
)
def test_every_public_name_is_in_the_reference(module):
    """Somewhere in the reference the object itself is shown, under this name or another."""
    shown = {id(resolve(name)) for name in documented()}

    lacking = [
        name
        for name, value in public(importlib.import_module(module)).items()
        if id(value) not in shown
    ]

    assert lacking == []


def test_every_interface_is_in_the_reference():
    """What a host can replace is described."""
    from hubspot_sync import interfaces

    protocols = {f"hubspot_sync.interfaces.{name}" for name in interfaces.__all__}

    assert protocols - documented() == set()


def resolve(path):
    """The object that a dotted name leads to.

    Raises:
        AttributeError: It leads nowhere, so the reference would be wrong.
    """
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise AttributeError(path)


def test_every_error_says_what_to_do():
    """The table of the errors page has a row for each error."""
    table = re.findall(r"^\| `(\w+)` \|", (DOCS / "errors.md").read_text("utf-8"), re.MULTILINE)
    tree = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.HubSpotSyncError)
    }

    assert sorted(table) == sorted(tree)


def test_the_tree_of_errors_is_the_one_in_the_code():
    """The page shows the picture of the module's docstring, word for word."""
    tree = (errors.__doc__ or "").split("```")[1].strip()

    assert tree in (DOCS / "errors.md").read_text("utf-8")


def test_the_tables_of_sqlite_are_those_on_the_page():
    """The storage page has a row for each column of each table."""
    from hubspot_sync.stores.sqlite import SqliteDatabase

    page = (DOCS / "storage.md").read_text("utf-8")
    with SqliteDatabase(":memory:") as database, database.reading() as connection:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not name.startswith("sqlite_")  # SQLite's own
        ]
        columns = {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for table in tables
        }

    assert columns == {table: rows_in(page, f"### `{table}`\n") for table in tables}


def test_the_documents_in_mongodb_are_those_on_the_page(emulator, mongodb_uri, mongodb_client):
    """The storage page has a row for each field of each collection, and no other."""
    from pymongo.uri_parser import parse_uri

    from hubspot_sync.stores.mongodb import MongoAccountStore, MongoDatabase, MongoNonceStore
    from hubspot_sync.testing.contracts._entries import entry
    from hubspot_sync.testing.contracts._samples import MOMENT

    account = Account(account_id=emulator.account_id)
    settings = HubSpotSettings(base_url=emulator.base_url, burst_limit=None, search_limit=None)
    keys = CredentialKeys(CredentialKeys.generate_key())
    with SyncEngine(
        MongoStores(mongodb_uri, cipher=keys),
        hubspot=settings,
        validators=[lambda action: "no companies" if action.object_type == "companies" else None],
    ) as engine:
        engine.store_credentials(account, StaticAccessToken(access_token=emulator.access_token))
        engine.sync(account).raise_for_failure()
    with MongoDatabase(mongodb_uri) as stored:
        MongoAccountStore(stored).save(entry(account.key))
        MongoNonceStore(stored).spend("abc", MOMENT + timedelta(days=36_500))
    database = mongodb_client[parse_uri(mongodb_uri)["database"]]
    fields = {
        name: {field for document in database[name].find() for field in document}
        for name in database.list_collection_names()
        if database[name].find_one()
    }

    page = (DOCS / "storage.md").read_text("utf-8")
    assert fields == {name: set(rows_in(page, f"### Collection `{name}`\n")) for name in fields}


def test_the_fields_of_the_report_are_those_on_the_page(emulator, tmp_path):
    """The storage page has a row for each key of a report and of a stream's part of it."""
    account = Account(account_id=emulator.account_id)
    settings = HubSpotSettings(base_url=emulator.base_url, burst_limit=None, search_limit=None)
    with SyncEngine(SqliteStores(tmp_path / "crm.db"), hubspot=settings) as engine:
        engine.store_credentials(account, StaticAccessToken(access_token=emulator.access_token))
        report = engine.sync(account).as_dict()
        fleet = engine.sync_all(accounts=[account]).as_dict()

    page = (DOCS / "storage.md").read_text("utf-8")
    assert set(fleet) == set(rows_in(page, "its `as_dict()`:\n"))
    assert set(report) == set(rows_in(page, "## Reports\n"))
    assert set(report["streams"]["contacts"]) == set(rows_in(page, "Each stream:\n"))


@pytest.mark.parametrize("settings", [HubSpotSettings(), SyncSettings()])
def test_the_defaults_are_those_on_the_page(settings):
    """The reliability page has a row for each setting, with its default."""
    page = (DOCS / "reliability.md").read_text("utf-8")
    section = page.partition(f"[`{type(settings).__name__}`]")[2].partition("\n[`")[0]

    shown = dict(re.findall(r"^\| `(\w+)` \| `(\S+)`", section, re.MULTILINE))

    assert shown == {
        name: f"{value.total_seconds():.0f}" if isinstance(value, timedelta) else str(value)
        for name, value in asdict(settings).items()
    }


def rows_in(page, heading):
    """The names in the first column of the first table below *heading*."""
    _, _, below = page.partition(heading)
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table, heading
    rows = table[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def test_the_default_scopes_are_those_on_the_page():
    """What somebody gives their app at HubSpot is what the library asks for."""
    section = (DOCS / "guides/credentials.md").read_text().split("## Scopes", 1)[1]
    table = section.split("\n\n", 2)[1]

    assert sorted(re.findall(r"^\| `([a-z.]+)`", table, re.MULTILINE)) == sorted(DEFAULT_SCOPES)


def test_the_reference_names_only_what_is_there():
    """Nothing is left over from a change, and the package's own names are all there."""
    shown = documented()

    assert [name for name in shown if resolve(name) is None] == []
    assert set(hubspot_sync.__all__) <= {name.rpartition(".")[2] for name in shown}
