"""Databases for the tests that ask for one, and a line that says whether MongoDB was there."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from hubspot_sync.stores.mongodb import MongoDatabase
from hubspot_sync.stores.sqlite import SqliteDatabase
from kit.leftovers import Watch
from kit.mongod import Mongod, NoMongoDBError

_OUTCOME = pytest.StashKey[str]()
_USERS = pytest.StashKey[set[str]]()
_WATCH = pytest.StashKey[Watch]()


def pytest_configure(config):
    """Nothing that tests start outlives the run; of several processes, the first one watches."""
    if not hasattr(config, "workerinput"):
        config.stash[_WATCH] = Watch()


def pytest_unconfigure(config):
    """The fixtures have put everything away."""
    if _WATCH in config.stash:
        config.stash[_WATCH].end()


@pytest.fixture(scope="session")
def mongod(request, tmp_path_factory):
    """A real `mongod` for the whole session; the test is skipped, in CI failed, without one."""
    stash = request.config.stash
    try:
        server = Mongod(tmp_path_factory.mktemp("mongod"))
    except NoMongoDBError as error:
        stash[_OUTCOME] = f"not tested: {error}"
        if os.environ.get("CI"):
            pytest.fail(f"CI has to test against MongoDB: {error}", pytrace=False)
        pytest.skip(str(error))
    stash[_OUTCOME] = f"mongod {server.version} ({server.origin})"
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _dropping(mongod):
    """Drops databases beside the tests: each takes the server a tenth of a second."""
    with ThreadPoolExecutor(2) as pool:
        yield lambda name: pool.submit(mongod.client.drop_database, name)


@pytest.fixture
def mongodb_client(mongod):
    """A client that tests share; do not close it."""
    return mongod.client


@pytest.fixture
def mongodb_uri(request, mongod, _dropping):
    """The URI of a fresh database, dropped after the test."""
    request.config.stash.setdefault(_USERS, set()).add(request.node.nodeid)
    name = f"test_{uuid.uuid4().hex}"
    yield mongod.uri_of(name)
    _dropping(name)


@pytest.fixture
def raw(mongodb_uri, mongodb_client):
    """The test's database by the bare driver."""
    return mongodb_client.get_database(mongodb_uri.partition("?")[0].rpartition("/")[2])


@pytest.fixture
def mongodb(raw):
    """The test's database by a client that tests share."""
    return MongoDatabase(raw.client, name=raw.name)


@pytest.fixture
def reopened(mongodb_uri):
    """The test's database by a second client of its own."""
    with MongoDatabase(mongodb_uri) as second:
        yield second


@pytest.fixture
def closed_mongodb(mongodb_uri):
    """A database whose client is closed already."""
    database = MongoDatabase(mongodb_uri)
    database.close()
    return database


@pytest.fixture
def open_file(tmp_path):
    """Opens the test's SQLite file, once more at each call."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(SqliteDatabase(tmp_path / "sync.db"))


@pytest.fixture
def file(open_file):
    """The test's SQLite file."""
    return open_file()


@pytest.fixture
def closed_file(open_file):
    """An SQLite file that is closed already."""
    database = open_file()
    database.close()
    return database


def pytest_sessionfinish(session):
    """Of several processes that test side by side, each tells the first one what it saw."""
    worker_output = getattr(session.config, "workeroutput", None)
    if worker_output is not None:
        stash = session.config.stash
        worker_output["mongodb"] = (stash.get(_OUTCOME, None), sorted(stash.get(_USERS, ())))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Add up what the processes saw; one that died has told nothing."""
    outcome, users = getattr(node, "workeroutput", {}).get("mongodb", (None, ()))
    if outcome is not None:
        node.config.stash[_OUTCOME] = outcome
    node.config.stash.setdefault(_USERS, set()).update(users)


def pytest_terminal_summary(terminalreporter, config):
    """Say whether MongoDB was tested for real."""
    outcome = config.stash.get(_OUTCOME, "no test asked for it")
    users = len(config.stash.get(_USERS, ()))
    tests = "1 test" if users == 1 else f"{users} tests"
    text = f"{tests} ran against {outcome}" if users else outcome
    terminalreporter.write_line(f"MongoDB: {text}")
