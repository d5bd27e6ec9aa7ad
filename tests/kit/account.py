"""An emulated account in a process of its own, changes that go on in it, and syncs of it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

from attrs import frozen

from kit.support import as_json, converted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

WORKER = Path(__file__).with_name("worker.py")
OBJECT_TYPES = ("companies", "contacts")
# A property that the tests switch between two values, so that former values come back.
SWITCHED = {"companies": "city", "contacts": "city"}
_PAUSE = 0.04
# Only what a program needs to start: no credentials of whoever runs the tests.
_ENVIRONMENT = {
    name: value for name, value in os.environ.items() if not name.startswith("HUBSPOT_")
}


def worker_of(
    account: Mapping[str, Any],
    store: str,
    *,
    domain: str = "acme",
    batch_size: int = 100,
    lease_seconds: float = 60.0,
    gate: bool = False,
    **more: Any,
) -> subprocess.Popen[str]:
    """Start a sync of *account*, as its emulator describes it, in a process of its own.

    With *gate* it waits for `all_at_once`; what *more* there is, worker.py says.
    """
    given = {
        "gate": gate,
        "store": store,
        "domain": domain,
        "batch_size": batch_size,
        "lease_seconds": lease_seconds,
        "account": account["account_id"],
        "access_token": account["access_token"],
        "base_url": account["base_url"],
        **more,
    }
    return subprocess.Popen(
        [sys.executable, WORKER, json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_ENVIRONMENT,
    )


class EmulatedAccount:
    """An emulator process; a context manager.

    Args:
        options: Those of `python -m hubspot_sync.testing.emulator`.

    Attributes:
        described: What it says of itself: `base_url`, `accounts` with their credentials...
    """

    def __init__(self, **options: Any) -> None:
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [sys.executable, "-m", "hubspot_sync.testing.emulator", *arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, env=_ENVIRONMENT)
        assert self._process.stdout is not None
        described = self._process.stdout.readline()
        assert described, "the emulator did not start"
        self.described: dict[str, Any] = json.loads(described)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=300)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def worker(self, store: str, **options: Any) -> subprocess.Popen[str]:
        """Start a sync of this account into *store*; see `worker_of`."""
        return worker_of(self.described, store, **options)

    def sync(self, store: str, **options: Any) -> Ended:
        """Run one sync to its end."""
        return ended(self.worker(store, **options))

    def control(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Change the account by the control path."""
        return self._ask(f"/_emulator/{verb}", arguments)

    def truth(self, object_type: str, account_id: str | None = None) -> dict[str, dict[str, Any]]:
        """Every record as a host should have it: version, properties, associated companies.

        Of this account, or of another one on the same server.
        """
        account = "" if account_id is None else f"/accounts/{account_id}"
        records = self._ask(f"/_emulator{account}/records/{object_type}")["records"]
        properties = self._ask(f"/crm/v3/properties/{object_type}")["results"]
        types = {one["name"]: (one["type"], one["fieldType"]) for one in properties}
        return {object_id: _as_a_host(record, types) for object_id, record in records.items()}

    def calls(self) -> dict[str, int]:
        """How many calls were made so far, by route."""
        counts: dict[str, int] = self._ask("/_emulator/calls")["counts"]
        return counts

    def _ask(self, path: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        request = Request(
            self.described["base_url"] + path,
            data=None if arguments is None else json.dumps(arguments).encode(),
            headers={"Authorization": f"Bearer {self.described['access_token']}"},
        )
        with urlopen(request, timeout=300) as answer:
            content: dict[str, Any] = json.load(answer)
            return content


def _as_a_host(record: dict[str, Any], types: dict[str, tuple[str, str]]) -> dict[str, Any]:
    edges = record["associations"].get("companies", {})
    return {
        "version": record["modified_at"],
        "properties": {
            name: as_json(converted(text, *types[name]))
            for name, text in record["properties"].items()
        },
        "companies": {
            other: sorted((kind["category"], kind["typeId"]) for kind in kinds)
            for other, kinds in edges.items()
        },
    }


@frozen
class Ended:
    """A worker that ended by itself.

    Attributes:
        status: Its exit status.
        report: Its report, or None when it did not come so far.
        errors: What it wrote on standard error.
    """

    status: int
    report: dict[str, Any] | None
    errors: str

    @property
    def statuses(self) -> dict[str, str]:
        """How each stream ended, by object type."""
        streams = (self.report or {"streams": {}})["streams"]
        return {name: stream["status"] for name, stream in streams.items()}


def ended(process: subprocess.Popen[str], timeout: float = 300.0) -> Ended:
    """Wait for the end of a worker; one that does not end is killed and fails the test."""
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        raise AssertionError(f"the worker did not end in {timeout} s: {errors[-500:]}") from None
    assert "Traceback" not in errors, errors
    lines = output.splitlines()
    return Ended(process.returncode, json.loads(lines[-1]) if lines else None, errors)


def all_at_once(processes: list[subprocess.Popen[str]]) -> list[Ended]:
    """Let workers go that wait at their gate; how each ended."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [ended(process) for process in processes]


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and bury it."""
    process.kill()
    process.communicate()


class Changes:
    """Somebody works in the account, all the time, until the `with` block ends.

    No association changes without a touch of both ends after it: HubSpot does not date
    associations, so nobody could see them.

    Args:
        account: The account.
        seed: Chooses what is done.
        switching: Whether properties also go back to former values.
    """

    def __init__(self, account: EmulatedAccount, seed: int, *, switching: bool = True) -> None:
        self._account = account
        self._random = random.Random(seed)  # noqa: TID251 - reproducible
        self._ids = {name: list(account.truth(name)) for name in OBJECT_TYPES}
        self._deeds = [self._touch, self._touch, self._create, self._associate]
        self._deeds += [self._switch] * 2 if switching else []
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.made = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            while not self._ended.wait(_PAUSE):
                self._random.choice(self._deeds)(self._random.choice(OBJECT_TYPES))
                self.made += 1
        except BaseException as failure:  # noqa: BLE001 - raised again where the block ends
            self._failure = failure

    def _touch(self, object_type: str) -> None:
        some = self._random.sample(self._ids[object_type], self._random.randint(1, 5))
        self._account.control("touch", object_type=object_type, object_ids=some)

    def _create(self, object_type: str) -> None:
        name = "name" if object_type == "companies" else "firstname"
        properties = {name: f"Nova {self.made}"}
        made = self._account.control("create", object_type=object_type, properties=properties)
        self._ids[object_type].append(made["id"])

    def _associate(self, _: str) -> None:
        contact = self._random.choice(self._ids["contacts"])
        company = self._random.choice(self._ids["companies"])
        self._account.control(
            "associate",
            from_type="contacts",
            from_id=contact,
            to_type="companies",
            to_id=company,
            primary=self._random.random() < 0.5,
        )
        self._account.control("touch", object_type="contacts", object_ids=[contact])
        self._account.control("touch", object_type="companies", object_ids=[company])

    def _switch(self, object_type: str) -> None:
        """One of a few records gets a value that it had before."""
        object_id = self._random.choice(self._ids[object_type][:8])
        value = {SWITCHED[object_type]: self._random.choice(["Galway", "Cork"])}
        self._account.control(
            "update", object_type=object_type, object_id=object_id, properties=value
        )


def say(text: str) -> None:
    """A line for whoever runs the tests with -rP or -s."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def wait_until(condition: Any, timeout: float = 300.0, pause: float = 0.02) -> float:
    """Wait for a true answer; the seconds that it took."""
    started = time.monotonic()  # noqa: TID251 - real processes, real time
    while not condition():
        waited = time.monotonic() - started  # noqa: TID251
        assert waited < timeout, f"waited {timeout} s for nothing"
        time.sleep(pause)  # noqa: TID251
    return time.monotonic() - started  # noqa: TID251
