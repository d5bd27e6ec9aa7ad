"""Stores for processes: by URL, empty, of either back end."""

from __future__ import annotations

import os
from itertools import count

import pytest

from kit.mongod import NoMongoDBError, ReplicaSet


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory):
    """Three servers of our own; a test may do anything to them, and leaves all three running."""
    try:
        servers = ReplicaSet(tmp_path_factory.mktemp("replica_set"))
    except NoMongoDBError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI has to test against MongoDB: {error}", pytrace=False)
        pytest.skip(str(error))
    yield servers
    servers.stop()


@pytest.fixture(params=["sqlite", "mongodb"])
def new_store(request, tmp_path):
    """Makes the URL of an empty store at each call."""
    numbers = count(1)
    if request.param == "sqlite":
        yield lambda: f"sqlite:///{tmp_path}/crm_{next(numbers)}.db"
        return
    server, users = request.getfixturevalue("mongod"), request.getfixturevalue("mongodb_uri")
    name = users.partition("?")[0].rpartition("/")[2]
    made = []

    def new():
        made.append(f"{name}_{next(numbers)}")
        return server.uri_of(made[-1])

    yield new
    for one in made:
        server.client.drop_database(one)


@pytest.fixture
def store(new_store):
    """The URL of one empty store."""
    return new_store()
