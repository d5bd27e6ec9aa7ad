"""A test run that is killed leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kit.account import wait_until
from kit.mongod import NoMongoDBError, _program

TESTS = Path(__file__).parents[1]
LASTING = """
import subprocess, sys, time
from kit.account import EmulatedAccount

FOREVER = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', " \\
    "'import time; time.sleep(900)']); print(flush=True); time.sleep(900)"


def test_that_lasts({fixtures}):
    emulator = EmulatedAccount(contacts=1)
    # As a Celery worker: a session of its own, and children.
    worker = [sys.executable, "-c", FOREVER]
    worker = subprocess.Popen(worker, stdout=subprocess.PIPE, start_new_session=True)
    worker.stdout.readline()
    {started}
    while True:
        time.sleep(1)
"""


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("options", [[], ["--numprocesses=2"]], ids=["alone", "side by side"])
def test_nothing_is_left(tmp_path, options, number):
    """Neither processes that test, nor servers, nor what has a session of its own."""
    try:
        _program()
    except NoMongoDBError:
        fixtures, servers = "", []
    else:
        fixtures, servers = "mongod", ["mongod"]
    (tmp_path / "test_lasting.py").write_text(
        LASTING.format(fixtures=fixtures, started=f"open({str(tmp_path / 'on')!r}, 'w').close()")
    )
    run = [sys.executable, "-m", "pytest", "-q", "-c", str(TESTS.parent / "pyproject.toml")]
    run += ["-p", "conftest", "-p", "no:cacheprovider", *options, str(tmp_path)]
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        run,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            wait_until(lambda: (tmp_path / "on").exists() or process.poll() is not None, 200)
            assert process.poll() is None
            started = psutil.Process(process.pid).children(recursive=True)
            names = " ".join(" ".join(one.cmdline()) for one in started)
            process.send_signal(number)
            process.wait(200)
            wait_until(lambda: not any(is_alive(one.pid) for one in started), 100)
        finally:
            process.kill()

    for name in ("hubspot_sync.testing.emulator", "time.sleep(900)", *servers):
        assert name in names
    assert len(started) >= 5
