"""Stores that are full, refuse writes, or do not answer for a while."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from contextlib import suppress

import pytest

from kit.account import EmulatedAccount, ended, say, wait_until
from kit.found import count_in, disagreements

CONTACTS = 1_600


@pytest.fixture(scope="module")
def account():
    with EmulatedAccount(contacts=CONTACTS, companies=200, latency=0.25) as account:
        yield account


@pytest.fixture
def disk(tmp_path):
    """A file system of one mebibyte; `disk.grow()` makes it large."""
    place = tmp_path / "disk"
    place.mkdir()
    disk = Disk(place)
    if not disk.mount():
        pytest.skip("a file system can be mounted by root on Linux only")
    yield disk
    subprocess.run(["umount", "--lazy", place], check=True)


class Disk:
    def __init__(self, place):
        self.place = place

    def mount(self):
        command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.place]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except OSError:
            return False

    def grow(self):
        subprocess.run(["mount", "-o", "remount,size=64m", self.place], check=True)


def test_a_full_disk(account, disk):
    """The run says that the disk is full; when there is room the next one completes."""
    store = f"sqlite:///{disk.place}/crm.db"

    done = account.sync(store)

    say(f"disk full: {done.statuses}, {count_in(store)} actions, {done.report['seconds']} s")
    assert done.status == 1
    assert "StoreUnavailableError" in done.errors
    assert "the disk is full; make room and run again" in done.errors
    assert "Traceback" not in done.errors
    disk.grow()
    assert account.sync(store).status == 0
    assert not disagreements(store, account)


def test_a_disk_that_is_full_from_the_start(account, disk):
    """Not even the tables fit: one line says why, and later all is well."""
    room = os.statvfs(disk.place)
    (disk.place / "ballast").write_bytes(bytes(room.f_bavail * room.f_frsize - 4096))
    store = f"sqlite:///{disk.place}/crm.db"

    done = account.sync(store)

    assert done.status == 1
    assert done.report is None
    (line,) = done.errors.splitlines()
    assert "the disk is full" in line
    disk.grow()
    assert account.sync(store).status == 0
    assert not disagreements(store, account)


def step_down(replica_set):
    """The primary becomes a secondary, twice; another one takes over."""
    from pymongo.errors import AutoReconnect

    for _ in range(2):
        with suppress(AutoReconnect):
            replica_set.client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=5)
        time.sleep(2)  # noqa: TID251 - a real failover, real time


def refuse(replica_set, mode):
    """Every write is answered with "not writable primary", code 10107."""
    wanted = {"failCommands": ["insert", "update", "findAndModify"], "errorCode": 10107}
    replica_set.client.admin.command("configureFailPoint", "failCommand", mode=mode, data=wanted)


def refuse_some(replica_set):
    """The next writes are refused, more than the driver itself repeats."""
    refuse(replica_set, {"times": 8})


def lock(replica_set):
    """Writes wait for a lock, as in a backup, for some seconds."""
    replica_set.client.admin.command("fsync", lock=True)
    time.sleep(3)  # noqa: TID251
    replica_set.client.admin.command("fsyncUnlock")


def stop(replica_set, *ports):
    """Servers neither answer nor hang up, for some seconds."""
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for port in ports:
            os.kill(replica_set.processes[port].pid, number)
        if number == signal.SIGSTOP:
            time.sleep(4)  # noqa: TID251


def stop_the_primary(replica_set):
    """The others elect a new one, and the former wakes up as if nothing had been."""
    stop(replica_set, replica_set.primary())


def stop_all(replica_set):
    """Nobody answers at all."""
    stop(replica_set, *replica_set.processes)


@pytest.fixture
def replicated(replica_set):
    """The URL of an empty store in three servers."""
    return replica_set.uri_of(f"trouble_{uuid.uuid4().hex}")


@pytest.mark.long
@pytest.mark.parametrize("trouble", [step_down, refuse_some, lock, stop_the_primary, stop_all])
def test_a_mongodb_in_trouble_for_a_while(account, replica_set, replicated, trouble):
    """The sync waits and completes, or says that the store is away and the next one completes."""
    process = account.worker(replicated)
    wait_until(lambda: count_in(replicated) > 400)
    trouble(replica_set)
    done = ended(process)

    say(f"{trouble.__name__}: {done.statuses}, {done.report['seconds']} s")
    if done.status != 0:
        assert "StoreUnavailableError" in done.errors
        assert account.sync(replicated).status == 0
    assert not disagreements(replicated, account)


@pytest.mark.long
def test_a_mongodb_that_refuses_writes_for_long(account, replica_set, replicated):
    """The run ends with a clear error; the next one completes."""
    process = account.worker(replicated)
    wait_until(lambda: count_in(replicated) > 400)
    refuse(replica_set, "alwaysOn")
    try:
        done = ended(process)
    finally:
        refuse(replica_set, "off")

    say(f"refusing for long: {done.statuses}, {done.report['seconds']} s")
    assert done.status == 1
    assert done.statuses["contacts"] == "failed"
    assert "StoreUnavailableError" in done.errors
    assert account.sync(replicated).status == 0
    assert not disagreements(replicated, account)
