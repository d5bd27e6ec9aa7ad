"""A server that asks for a user: the least role is enough, and a lesser one is told so."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from hubspot_sync import (
    ConfigurationError,
    CredentialKeys,
    HubSpotSettings,
    StaticAccessToken,
    SyncEngine,
)
from hubspot_sync.models import AccountKey, RejectedSelection
from hubspot_sync.stores.fan_out import FanOutSink
from hubspot_sync.stores.mongodb import (
    MongoActionSink,
    MongoCheckpointer,
    MongoDatabase,
    MongoErrorQueue,
    MongoRecordSink,
    MongoStores,
)
from hubspot_sync.testing.contracts._samples import STREAM, action
from kit.mongod import GIVEN, GuardedMongod, NoMongoDBError

ACME = AccountKey("acme", "62515")
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "mongodb.md"
DAYS = timedelta(days=90)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that asks for a user."""
    if os.environ.get(GIVEN):
        pytest.skip("the server is not ours to guard")
    try:
        server = GuardedMongod(tmp_path_factory.mktemp("guarded"))
    except NoMongoDBError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture
def role():
    """The least role, as the guide has it."""
    (block,) = re.findall(r"```python\n(LEAST_ROLE = .*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    names: dict[str, dict[str, object]] = {}
    exec(block, names)
    return names["LEAST_ROLE"]


@pytest.fixture
def user(guarded):
    """Makes a user of the database `crm` with just one role, and gives the URI."""
    database = guarded.client["crm"]

    def make(role):
        database.command(role)
        database.command("createUser", "sync", pwd="sync", roles=[role["createRole"]])
        return guarded.uri_of("crm", "sync")

    yield make
    database.command("dropAllUsersFromDatabase")
    database.command("dropAllRolesFromDatabase")
    guarded.client.drop_database("crm")


def without(role, lacking):
    """*role* without one action."""
    privileges = [
        {**one, "actions": [name for name in one["actions"] if name != lacking]}
        for one in role["privileges"]
    ]
    return {**role, "privileges": [one for one in privileges if one["actions"]]}


def test_the_least_role_is_enough(user, role, hubspot_emulator):
    """It lets an engine work with every store: sync, refuse, redrive, erase, expire, disconnect."""
    emulator = hubspot_emulator(contacts=30, companies=5)
    hubspot = HubSpotSettings(base_url=emulator.base_url, burst_limit=None, search_limit=None)
    keys = CredentialKeys(CredentialKeys.generate_key())
    with MongoDatabase(user(role)) as database:
        sinks = [MongoActionSink(database, expire_after=DAYS), MongoRecordSink(database)]
        with SyncEngine(
            MongoStores(database._client, cipher=keys),
            hubspot=hubspot,
            sink=FanOutSink(sinks),
            validators=[lambda one: "no companies" if one.object_type == "companies" else None],
        ) as engine:
            acme = engine.domain("acme")
            acme.connect(StaticAccessToken(access_token=emulator.access_token))
            report = acme.sync("62515")
            assert report.completed
            streams = report.as_dict()["streams"]
            assert streams["contacts"]["delivered"] == 30
            assert streams["companies"]["rejected"] == 5
            (changed, *_) = emulator.records("contacts")
            emulator.update("contacts", changed, {"firstname": "Ann"})
            assert engine.sync_all().completed
            acme.redrive("62515")
            assert acme.rejected_counts("62515") == {"companies": 5}
            assert engine.reencrypt().completed
            acme.disconnect("62515")
            acme.remove("62515")
        queue = MongoErrorQueue(database)
        some = list(emulator.records("companies"))[:2]
        assert queue.drop(RejectedSelection(account=ACME, object_ids=some)) == 2
        assert queue.drop(RejectedSelection(account=ACME)) == 3
        # Another time to expire, and none: the index is changed, and dropped.
        for expire_after in (DAYS, 2 * DAYS, None):
            MongoActionSink(database, expire_after=expire_after).write([action()])


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ("createIndex", "is not allowed to createIndexes on crm.actions"),
        ("find", "is not allowed to findAndModify on crm.schema"),
        ("insert", "is not allowed to findAndModify on crm.schema"),
        ("listIndexes", "is not allowed to listIndexes on crm.actions"),
    ],
)
def test_a_lesser_role(user, role, lacking, said):
    """The error names the command and the collection, and where to look."""
    with (
        MongoDatabase(user(without(role, lacking))) as database,
        pytest.raises(ConfigurationError) as caught,
    ):
        MongoActionSink(database).write([action()])

    assert f"refuses access (code 13): its user {said}; the guide to MongoDB" in str(caught.value)


def test_a_role_that_shrinks(user, role, guarded):
    """What was allowed a moment ago is named, too, and nothing is taken for stored."""
    with MongoDatabase(user(role)) as database:
        store = MongoCheckpointer(database)
        store.load(STREAM)
        lesser = without(role, "update")
        guarded.client["crm"].command(
            "updateRole", role["createRole"], privileges=lesser["privileges"]
        )
        with pytest.raises(ConfigurationError, match=r"findAndModify on crm\.checkpoints"):
            store.acquire(STREAM, "a", DAYS)


def test_no_user_at_all(guarded):
    """The error says that the server wants one."""
    with MongoDatabase(guarded.uri) as database, pytest.raises(ConfigurationError) as caught:
        database.prepare()

    assert "it wants a user and a password" in str(caught.value)
