"""The lease while a sink hangs: it is renewed, and nobody else gets the stream."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from hubspot_sync import ConfigurationError, StreamStatus, SyncSettings
from hubspot_sync._clock import SystemClock
from hubspot_sync.stores.memory import MemoryCheckpointer
from hubspot_sync.stores.mongodb import MongoCheckpointer, MongoDatabase
from hubspot_sync.stores.sqlite import SqliteCheckpointer, SqliteDatabase
from kit.account import say, wait_until
from kit.support import ACCOUNT, Host

LEASE = timedelta(seconds=1.5)  # a thread may not get its turn for a while
HANGS = 3 * LEASE.total_seconds()
SETTINGS = SyncSettings(lease_duration=LEASE, batch_size=100)


class Hanging:
    """A sink whose first write hangs until it is let go."""

    def __init__(self, sink):
        self._sink = sink
        self.hangs, self.go_on = threading.Event(), threading.Event()

    def write(self, actions):
        self.hangs.set()
        assert self.go_on.wait(300)
        return self._sink.write(actions)


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
def checkpointer(request, tmp_path):
    if request.param == "memory":
        yield MemoryCheckpointer()
    elif request.param == "sqlite":
        with SqliteDatabase(tmp_path / "crm.db") as database:
            yield SqliteCheckpointer(database)
    else:
        with MongoDatabase(request.getfixturevalue("mongodb_uri")) as database:
            yield MongoCheckpointer(database)


def test_a_lease_outlives_a_sink_that_hangs(hubspot_emulator, checkpointer):
    """The sink hangs for three leases; all the while others find the stream busy."""
    host = Host(hubspot_emulator(contacts=150, companies=20), SystemClock())
    sink = Hanging(host.sink)
    reports = []
    engine = host.engine(settings=SETTINGS, sink=sink, checkpointer=checkpointer)
    first = threading.Thread(target=lambda: reports.append(engine.sync(ACCOUNT)))
    first.start()
    assert sink.hangs.wait(300)
    other = host.engine(settings=SETTINGS, checkpointer=checkpointer)
    until = time.monotonic() + HANGS  # noqa: TID251 - a real lease, real time
    met = set()
    while time.monotonic() < until:  # noqa: TID251
        met.add(other.sync(ACCOUNT).streams[0].status)
    sink.go_on.set()
    first.join()

    assert met == {StreamStatus.BUSY}
    assert reports[0].streams[0].status is StreamStatus.COMPLETED
    assert {one.object_id for one in host.sink.actions if one.object_type == "companies"} == set(
        host.emulator.records("companies")
    )


class Refusing:
    """A checkpointer that lets nobody renew or release, for a reason that does not pass."""

    def __init__(self, checkpointer):
        self._checkpointer = checkpointer
        self.renewals = 0

    def __getattr__(self, name):
        return getattr(self._checkpointer, name)

    def renew(self, lease, duration):
        self.renewals += 1
        raise ConfigurationError("access is refused")

    def release(self, lease):
        raise ConfigurationError("access is refused")


def test_a_renewal_that_is_refused_neither_ends_the_keeper_nor_hides_the_outcome(hubspot_emulator):
    """It is tried again, and the run ends as it would have ended."""
    host = Host(hubspot_emulator(contacts=10, companies=5), SystemClock())
    checkpointer = Refusing(MemoryCheckpointer())
    sink = Hanging(host.sink)
    engine = host.engine(settings=SETTINGS, checkpointer=checkpointer, sink=sink)
    reports = []
    run = threading.Thread(target=lambda: reports.append(engine.sync(ACCOUNT)))
    run.start()
    wait_until(lambda: checkpointer.renewals >= 3)
    sink.go_on.set()
    run.join()

    assert [stream.status for stream in reports[0].streams] == [StreamStatus.COMPLETED] * 2


def test_nobody_takes_over_while_the_sqlite_file_is_locked(hubspot_emulator, tmp_path):
    """Renewals wait with all other writes; the worker goes on when the lock is gone."""
    import sqlite3

    path = tmp_path / "crm.db"
    host = Host(hubspot_emulator(contacts=450, companies=20, latency=0.1), SystemClock())
    with SqliteDatabase(path) as database:
        engine = host.engine(settings=SETTINGS, checkpointer=SqliteCheckpointer(database))
        reports = []
        first = threading.Thread(target=lambda: reports.append(engine.sync(ACCOUNT)))
        first.start()
        wait_until(lambda: host.sink.actions)
        intruder = sqlite3.connect(path, isolation_level=None, timeout=300)
        intruder.execute("BEGIN IMMEDIATE")
        time.sleep(HANGS)  # noqa: TID251
        intruder.execute("ROLLBACK")
        intruder.close()
        first.join()

    assert [stream.status for stream in reports[0].streams] == [StreamStatus.COMPLETED] * 2
    assert len(host.sink.actions) == 470
    say(f"completed after {reports[0].duration}")
