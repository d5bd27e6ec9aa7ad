"""The SQLite stores keep the contracts, and say clearly what is wrong with a file."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
import tempfile
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Final

import pytest

from hubspot_sync._encryption import CredentialKeys, NoEncryption
from hubspot_sync._hubspot.records.values import to_number
from hubspot_sync.errors import (
    ConfigurationError,
    HubSpotSyncError,
    InvariantError,
    StoreUnavailableError,
)
from hubspot_sync.models import (
    Checkpoint,
    SinkAnswer,
    StoredCredentials,
    StreamKey,
)
from hubspot_sync.stores.sqlite import (
    SqliteAccountStore,
    SqliteActionSink,
    SqliteCheckpointer,
    SqliteDatabase,
    SqliteErrorQueue,
    SqliteNonceStore,
    SqliteRecordSink,
    SqliteStores,
    SqliteTokenStore,
    properties_from_text,
    sqlite_path,
)
from hubspot_sync.stores.sqlite._errors import translate
from hubspot_sync.stores.sqlite._schema import STEPS
from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.contracts import (
    ActionSinkContract,
    CheckpointerContract,
    ErrorQueueContract,
    TokenStoreContract,
)
from hubspot_sync.testing.contracts._samples import (
    ACCOUNT,
    MOMENT,
    STREAM,
    TOKENS,
    action,
    creation,
    progress,
    rich_action,
)
from kit.stored import sqlite_actions, sqlite_rows
from kit.support import as_json

KEYS = CredentialKeys(CredentialKeys.generate_key())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sync.db"


@pytest.fixture
def database(file):
    return file


class TestSqliteTokenStore(TokenStoreContract):
    @pytest.fixture
    def store(self, database):
        return SqliteTokenStore(database, KEYS)

    @pytest.fixture
    def reopen(self, open_file):
        return lambda: SqliteTokenStore(open_file(), KEYS)

    @pytest.fixture
    def away(self, closed_file):
        return SqliteTokenStore(closed_file, KEYS)


class TestSqliteActionSink(ActionSinkContract):
    @pytest.fixture
    def store(self, database):
        return SqliteActionSink(database)

    @pytest.fixture
    def reopen(self, open_file):
        return lambda: SqliteActionSink(open_file())

    @pytest.fixture
    def stored(self, database):
        return lambda: sqlite_actions(database)

    @pytest.fixture
    def as_kept(self):
        return as_json

    @pytest.fixture
    def away(self, closed_file):
        return SqliteActionSink(closed_file)


class TestSqliteErrorQueue(ErrorQueueContract):
    @pytest.fixture
    def store(self, database):
        return SqliteErrorQueue(database)

    @pytest.fixture
    def reopen(self, open_file):
        return lambda: SqliteErrorQueue(open_file())

    @pytest.fixture
    def away(self, closed_file):
        return SqliteErrorQueue(closed_file)


class TestSqliteCheckpointer(CheckpointerContract):
    short = timedelta(minutes=1)

    @pytest.fixture
    def clock(self):
        return ManualClock()

    @pytest.fixture
    def store(self, database, clock):
        return SqliteCheckpointer(database, clock=clock)

    @pytest.fixture
    def reopen(self, open_file, clock):
        return lambda: SqliteCheckpointer(open_file(), clock=clock)

    @pytest.fixture
    def let_pass(self, clock):
        return clock.advance

    @pytest.fixture
    def set_clock(self, clock):
        return lambda by: clock.set(clock.now() + by)

    @pytest.fixture
    def away(self, closed_file):
        return SqliteCheckpointer(closed_file)


class TestRows:
    def test_an_action_is_a_row_as_documented(self, database):
        """The columns that hosts read have the documented names and formats."""
        clock = ManualClock(MOMENT + timedelta(seconds=1))
        SqliteActionSink(database, clock=clock).write([rich_action()])

        (row,) = sqlite_rows(database, "SELECT * FROM actions")

        properties = json.loads(row.pop("properties"))
        assert rich_action().properties == properties
        companies = json.loads(row.pop("associations"))
        assert companies["deals"] == []
        assert companies["companies"][0] == {
            "id": "9007199254740993",
            "primary": True,
            "types": [
                {"category": "HUBSPOT_DEFINED", "type_id": 1, "label": None},
                {"category": "USER_DEFINED", "type_id": 36, "label": "Décideur «principal»"},
            ],
        }
        assert row == {
            "rowid": 1,
            "id": "acme:62515:contacts:9007199254740995:1772447701123",
            "domain_id": "acme",
            "account_id": "62515",
            "object_type": "contacts",
            "object_id": "9007199254740995",
            "name": "Contact Created",
            "kind": "Created",
            "version": 1_772_447_701_123,
            "sequence": 1_772_447_701_123,
            "occurred_at": "2026-03-02T10:35:01.123Z",
            "merged_into": None,
            "changes": None,
            "evidence": None,
            "stored_at": "2026-03-02T10:35:02.123Z",
        }

    def test_what_is_larger_than_sqlite_takes_is_refused(self, database):
        """A row beyond SQLite's limit is refused, and the others are stored."""
        if sys.version_info < (3, 11):
            pytest.skip("this Python cannot lower SQLite's limit")
        with database.reading() as connection:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
        large = action("2", properties={"notes": "x" * 20_000})

        answer = SqliteActionSink(database).write([action("1"), large, action("3")])

        assert {large.action_id: "it is larger than SQLite takes"} == answer.refused
        assert [kept.object_id for kept in sqlite_actions(database)] == ["1", "3"]

    def test_no_secret_is_in_the_file(self, database, path):
        """Sealed credentials cannot be found in the file; a deleted one leaves no ciphertext."""
        store = SqliteTokenStore(database, KEYS)
        store.save(ACCOUNT, TOKENS, expected_revision=None)

        database.close()

        content = b"".join(file.read_bytes() for file in path.parent.iterdir())
        assert TOKENS.refresh_token.encode() not in content
        assert b"access-1" not in content
        assert b"acme" in content

    def test_credentials_in_clear_have_to_be_asked_for(self, database):
        """With `NoEncryption` they are readable; a store with keys then refuses them."""
        SqliteTokenStore(database, NoEncryption()).save(ACCOUNT, TOKENS, expected_revision=None)

        loaded = SqliteTokenStore(database, NoEncryption()).load(ACCOUNT)

        assert StoredCredentials(credentials=TOKENS, revision=1) == loaded
        with pytest.raises(ConfigurationError, match="not encrypted"):
            SqliteTokenStore(database, KEYS).load(ACCOUNT)

    def test_a_corrupt_checkpoint_is_an_error(self, database):
        """A checkpoint that cannot be read stops the stream instead of starting it again."""
        store = SqliteCheckpointer(database)
        lease = store.acquire(STREAM, "a", timedelta(hours=1))
        store.commit(lease, progress())
        with database.writing() as connection:
            connection.execute("UPDATE checkpoints SET checkpoint = '{\"reading\": 7'")

        with pytest.raises(InvariantError, match="cannot be read"):
            store.load(STREAM)
        with pytest.raises(InvariantError, match="cannot be read"):
            store.commit(lease, progress())


class TestNumbers:
    """Numbers of a property compare as numbers, whatever they look like."""

    AMOUNTS: Final = (
        "10",
        "9.50",
        "2000",
        "1500.25",
        "1e5",
        "-17.5",
        "0.40000000000000002220446049250313080847263336181640625",
        "98765432109876543210",
        "12345678901234567890.123456789012345678901",
        "1e400",
    )

    @pytest.mark.parametrize("kind", [SqliteActionSink, SqliteRecordSink])
    def test_questions(self, database, kind):
        """`json_extract` compares all of them; each digit that HubSpot sent is there."""
        values = [to_number(text) for text in self.AMOUNTS]
        batch = [action(str(n), properties={"amount": one}) for n, one in enumerate(values)]
        assert SinkAnswer() == kind(database).write(batch)
        table = "actions" if kind is SqliteActionSink else "records"

        above = sqlite_rows(
            database,
            f"""SELECT object_id FROM {table}
            WHERE json_extract(properties, '$.amount') > 1000 ORDER BY rowid""",
        )
        kept = sqlite_rows(database, f"SELECT properties FROM {table} ORDER BY rowid")

        assert ["2", "3", "4", "7", "8", "9"] == [row["object_id"] for row in above]
        assert [{"amount": one} for one in values] == [
            properties_from_text(row["properties"]) for row in kept
        ]
        assert [row["properties"] for row in kept] == [
            f'{{"amount":{text.replace("e", "E+")}}}' for text in self.AMOUNTS
        ]

    def test_an_integer_that_python_does_not_write(self, database):
        """It is refused, and the others are stored."""
        long = action("2", properties={"amount": 10**5_000})

        answer = SqliteActionSink(database).write([action("1"), long, action("3")])

        assert {long.action_id: "it has a number or a date that is out of range"} == answer.refused
        assert [kept.object_id for kept in sqlite_actions(database)] == ["1", "3"]


class TestModes:
    """What lies in the file is for its owner alone."""

    @pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
    def umask(self, request):
        before = os.umask(request.param)
        yield
        os.umask(before)

    def modes(self, folder):
        """The modes of all files in *folder*, by what follows the name."""
        return {
            one.name.removeprefix("sync.db"): stat.S_IMODE(one.stat().st_mode)
            for one in folder.iterdir()
        }

    def test_a_new_file(self, path, umask):
        """The file and what SQLite puts beside it are for the owner alone, whatever the umask."""
        path.parent.chmod(0o755)
        with SqliteDatabase(path) as database:
            SqliteActionSink(database).write([action()])
            assert {"": 0o600, "-wal": 0o600, "-shm": 0o600} == self.modes(path.parent)
            with database.reading() as connection:
                connection.execute("PRAGMA journal_mode = DELETE")
            with database.writing() as connection:
                connection.execute("UPDATE actions SET name = 'x'")
                assert {"": 0o600, "-journal": 0o600} == self.modes(path.parent)

    @pytest.mark.parametrize("empty", [True, False])
    def test_a_file_that_is_there(self, path, umask, empty):
        """Its mode is its owner's business."""
        path.touch()
        if not empty:
            SqliteDatabase(path).close()
        path.chmod(0o664)

        with SqliteDatabase(path) as database:
            SqliteActionSink(database).write([action()])
            assert {0o664} == set(self.modes(path.parent).values())

    def test_a_link_to_a_file_that_is_not_there_yet(self, path, tmp_path, umask):
        """The file that it means is made like any other."""
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        path.symlink_to(folder / "sync.db")

        with SqliteDatabase(path) as database:
            SqliteActionSink(database).write([action()])
            assert {0o600} == set(self.modes(folder).values())


class TestOpening:
    def test_memory(self):
        """A database in memory is one of its own."""
        with SqliteDatabase(":memory:") as database:
            SqliteActionSink(database).write([action()])
            assert len(sqlite_actions(database)) == 1

    def test_the_file_is_safe_against_power_cuts(self, database):
        """It has a write-ahead log, and every commit is flushed to the disk."""
        assert sqlite_rows(database, "PRAGMA journal_mode") == [{"journal_mode": "wal"}]
        assert sqlite_rows(database, "PRAGMA synchronous") == [{"synchronous": 2}]

    def test_closing_twice(self, database):
        """Closing again does nothing; a call afterwards says that the file was closed."""
        database.close()
        database.close()

        with pytest.raises(StoreUnavailableError, match="was closed"):
            SqliteCheckpointer(database).load(STREAM)

    @pytest.mark.parametrize(
        "url",
        [
            "mongodb://u:geheim@127.0.0.1/x",
            "MongoDB+SRV://u:geheim@127.0.0.1/x",
            " 'mongodb://u:geheim@127.0.0.1/x'",
            "mongodb://u:geheim@127.0.0.1/\0x",
            b"mongodb://u:geheim@127.0.0.1/x",
            Path("mongodb://u:geheim@127.0.0.1/x"),
            "sqlite:///geheim.db",
        ],
    )
    def test_a_url(self, url):
        """A URL is no path, and its password stays out of the message."""
        with pytest.raises(ConfigurationError, match=r"URL|bytes") as caught:
            SqliteDatabase(url)

        assert "geheim" not in str(caught.value)

    def test_a_colon_is_no_url(self, tmp_path):
        """A file may have a colon in its name."""
        with SqliteDatabase(tmp_path / "crm:2.db"):
            assert (tmp_path / "crm:2.db").exists()

    @pytest.mark.parametrize("path", ["", "a\0b", b"bytes", None, 5, {"path": "crm.db"}])
    def test_no_path(self, path):
        """What is no path is a configuration error."""
        with pytest.raises(ConfigurationError, match="is not a path"):
            SqliteDatabase(path)

    def test_a_connection_is_no_path(self, tmp_path):
        """A connection, or a class of ours, is refused; a path is asked for."""
        connection = sqlite3.connect(tmp_path / "other.db")
        for given in (connection, SqliteDatabase, object()):
            with pytest.raises(ConfigurationError, match="give text or a Path"):
                SqliteStores(given)
        connection.close()

    @pytest.mark.parametrize(
        "store",
        [
            *(SqliteAccountStore, SqliteActionSink, SqliteCheckpointer, SqliteErrorQueue),
            *(SqliteNonceStore, SqliteRecordSink),
            lambda database: SqliteTokenStore(database, KEYS),
        ],
    )
    def test_stores_take_a_database(self, path, store):
        """A path or a connection says what to give."""
        connection = sqlite3.connect(path)
        for given in (str(path), path, connection, None):
            with pytest.raises(ConfigurationError, match=r"database is an? .+; give a Sqlite"):
                store(given)
        connection.close()

    def test_a_missing_folder(self, tmp_path):
        """A folder that does not exist is named; none is created."""
        with pytest.raises(ConfigurationError, match=r"folder .* does not exist"):
            SqliteDatabase(tmp_path / "no" / "sync.db")

        assert not (tmp_path / "no").exists()

    def test_a_folder(self, tmp_path):
        """A folder is no file."""
        with pytest.raises(ConfigurationError, match="cannot be opened"):
            SqliteDatabase(tmp_path)

    def test_not_a_database(self, path):
        """A file of something else is left as it is."""
        path.write_text("just some notes\n" * 100)

        with pytest.raises(ConfigurationError, match="is not an SQLite database"):
            SqliteDatabase(path)

        assert path.read_text().startswith("just some notes")

    @pytest.mark.parametrize("tables", ["actions (x)", "schema (x)", "schema (version)"])
    def test_a_database_of_something_else(self, path, tables):
        """A database with tables of the same names is left as it is."""
        connection = sqlite3.connect(path)
        connection.execute(f"CREATE TABLE {tables}")
        connection.close()

        with pytest.raises(ConfigurationError, match="a file of its own"):
            SqliteDatabase(path)

    def test_a_newer_version(self, database, path):
        """A file of a newer version is not touched; the message says what to do."""
        with database.writing() as connection:
            connection.execute("UPDATE schema SET version = 70")

        with pytest.raises(ConfigurationError) as caught:
            SqliteDatabase(path)

        assert f"{path} was made by a newer version of hubspot-sync (schema 70" in str(caught.value)
        assert f"this version knows {1 + len(STEPS)}); upgrade hubspot-sync" in str(caught.value)

    @pytest.mark.parametrize("with_file", [True, False], ids=["file", "folder"])
    def test_read_only(self, with_file):
        """A read-only file, or a new one in a read-only folder, is one clear line."""
        with _without_privileges(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "sync.db")
            if with_file:
                SqliteDatabase(path).close()
                path.chmod(stat.S_IRUSR)
            Path(folder).chmod(stat.S_IRUSR | stat.S_IXUSR)
            try:
                with pytest.raises(ConfigurationError, match=r"read-only|cannot be opened"):
                    SqliteDatabase(path)
            finally:
                Path(folder).chmod(stat.S_IRWXU)

    def test_a_file_that_was_read_only(self):
        """The failed try leaves nothing behind that is read-only still."""
        with _without_privileges(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "sync.db")
            SqliteDatabase(path).close()
            path.chmod(stat.S_IRUSR)
            with pytest.raises(ConfigurationError, match="-shm"):
                SqliteDatabase(path)
            assert [one.name for one in Path(folder).iterdir()] == ["sync.db"]
            path.chmod(stat.S_IRUSR | stat.S_IWUSR)

            SqliteDatabase(path).close()

    def test_a_read_only_companion(self):
        """Somebody else's try may have left one; the message says that it counts too."""
        with _without_privileges(), tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "sync.db")
            SqliteDatabase(path).close()
            companion = Path(folder, "sync.db-shm")
            companion.touch(stat.S_IRUSR)

            with pytest.raises(ConfigurationError, match=r"read-only; make it, .* -shm"):
                SqliteDatabase(path)

    def test_many_processes_open_a_new_file(self, path):
        """Processes that create the same file at the same moment all succeed."""
        code = "import sys; from hubspot_sync.stores.sqlite import SqliteDatabase as D; "
        code += "print('ready', flush=True); sys.stdin.read(); D(sys.argv[1]).close()"
        with ExitStack() as stack:
            processes = [
                stack.enter_context(
                    Popen([sys.executable, "-c", code, path], stdin=PIPE, stdout=PIPE)
                )
                for _ in range(6)
            ]
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline().strip() == b"ready"
            for process in processes:
                process.communicate()

        assert [process.returncode for process in processes] == [0] * 6


class _without_privileges:  # noqa: N801 - used like a function
    """Act as an ordinary user, for whom file modes count; nothing to do if we are one."""

    def __enter__(self):
        self.root = os.geteuid() == 0
        if self.root:
            os.seteuid(65_534)

    def __exit__(self, *_):
        if self.root:
            os.seteuid(0)


class TestFaults:
    def test_a_full_disk(self, database):
        """A batch that does not fit is reported and leaves the file as it was."""
        sink = SqliteActionSink(database)
        sink.write([creation("1")])
        with database.reading() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        large = [action(str(n), properties={"notes": "x" * 4_000}) for n in range(2, 50)]

        with pytest.raises(StoreUnavailableError, match="disk is full"):
            sink.write(large)

        assert [creation("1")] == sqlite_actions(database)
        with database.reading() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        assert not sink.write(large).repeated

    def test_a_locked_file(self, path, database):
        """A writer that another process keeps out for too long is told so; readers go on."""
        with (
            SqliteDatabase(path, busy_timeout=timedelta(milliseconds=20)) as second,
            database.writing(),
        ):
            checkpointer = SqliteCheckpointer(second)
            with pytest.raises(StoreUnavailableError, match="is locked by another process"):
                checkpointer.acquire(STREAM, "a", timedelta(hours=1))
            assert Checkpoint() == checkpointer.load(STREAM)

    def test_a_damaged_file(self, path, database):
        """A table that is gone is reported as damage, not as something that passes."""
        with database.writing() as connection:
            connection.execute("DROP TABLE fingerprints")

        with pytest.raises(InvariantError, match="has lost a table"):
            SqliteCheckpointer(database).recall(STREAM, ["1"])

    def test_a_failed_transaction_leaves_nothing(self, database):
        """What fails in the middle of a transaction is rolled back, and the file stays usable."""

        def fail() -> None:
            with database.writing() as connection:
                connection.execute("DELETE FROM schema")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()

        assert sqlite_rows(database, "SELECT version FROM schema") == [{"version": 1 + len(STEPS)}]

    def test_every_error_of_the_driver_is_mapped(self):
        """No class of `sqlite3` errors gets out, and none is mapped to the bare root."""
        classes = [
            kind
            for kind in vars(sqlite3).values()
            if isinstance(kind, type) and issubclass(kind, sqlite3.Error)
        ]

        mapped = {kind: translate(kind("some text"), "x.db") for kind in classes}

        assert len(classes) >= 9
        assert all(isinstance(error, HubSpotSyncError) for error in mapped.values())
        assert isinstance(mapped[sqlite3.OperationalError], StoreUnavailableError)
        assert isinstance(mapped[sqlite3.ProgrammingError], InvariantError)


class TestUrls:
    """What the commands take a URL for."""

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///crm.db", "crm.db"),
            ("sqlite:///a%20b%23.db", "a b#.db"),
            ("sqlite:///no/such/folder/crm.db", "no/such/folder/crm.db"),
            ("sqlite:////no/such/folder/crm.db", "/no/such/folder/crm.db"),
            ("sqlite:////crm.db", "/crm.db"),
            ("sqlite:///../crm.db", "../crm.db"),
            ("sqlite:///./crm.db", "crm.db"),
        ],
    )
    def test_a_file(self, url, path):
        """With four slashes it is absolute, else in the current folder."""
        assert sqlite_path(url) == Path(path)

    def test_three_slashes_before_a_folder_that_exists(self, tmp_path):
        """Are as good as four, unless a dot says which folder is meant."""
        path = tmp_path / "crm.db"
        assert sqlite_path(f"sqlite://{path}") == sqlite_path(f"sqlite:///{path}") == path
        assert sqlite_path(f"sqlite:///.{path}") == Path(*path.parts[1:])

    def test_three_slashes_before_a_folder_that_cannot_be_looked_at(self):
        """The system refuses to say whether it is there, here because of its name."""
        assert sqlite_path(f"sqlite:///{'x' * 1_000}/crm.db") == Path("x" * 1_000, "crm.db")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "crm.db",
            "http://[",
            "mongodb://127.0.0.1/crm",
            "postgres:///crm",
            "sqlite:",
            "sqlite://",
            "sqlite:///",
            "sqlite://crm.db",
            "sqlite:crm.db",
            "sqlite:///:memory:",
            "sqlite:///./:memory:",
            "sqlite:///%3Amemory%3A",
            "sqlite:///crm.db?mode=ro",
            "sqlite:///crm.db#main",
        ],
    )
    def test_no_file(self, url):
        """It means none."""
        assert sqlite_path(url) is None


def test_one_file_serves_all_stores(path, open_file):
    """Token store, sink and checkpointer share one file and do not meet."""
    database = open_file()
    stream = StreamKey(ACCOUNT, "companies")
    SqliteTokenStore(database, KEYS).save(ACCOUNT, TOKENS, expected_revision=None)
    SqliteActionSink(database).write([creation()])
    SqliteCheckpointer(database).acquire(stream, "a", timedelta(hours=1))

    tables = [row["name"] for row in sqlite_rows(database, "SELECT name FROM sqlite_master")]

    assert {"actions", "checkpoints", "fingerprints", "credentials", "schema"} <= set(tables)
    assert repr(path.as_posix()) in repr(database)
