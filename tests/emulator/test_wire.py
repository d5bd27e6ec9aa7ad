"""Answers that are broken on the wire, and rows that no decoder likes: HubSpot 3.4 and 4."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from hubspot_sync.testing.clock import ManualClock
from hubspot_sync.testing.emulator import Fault, Hostility, HubSpotEmulator
from kit.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator

LIST = "/crm/v3/objects/contacts"


@pytest.fixture
def caller() -> Iterator[Caller]:
    """Three contacts."""
    with HubSpotEmulator(contacts=3, clock=ManualClock()) as emulator:
        yield Caller(emulator)


def opened(caller: Caller, timeout: float = 10) -> http.client.HTTPConnection:
    """A connection on which the list has been asked for."""
    host, _, port = caller.base_url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    connection.request("GET", LIST, headers={"Authorization": f"Bearer {caller.access_token}"})
    return connection


def test_early_hints(caller: Caller):
    """A 103 comes before the right answer, which is whole."""
    caller.emulator.faults.add(Fault(kind="hints"))
    connection = opened(caller)
    assert connection.sock is not None
    received = b""
    while b"]}" not in received:
        received += connection.sock.recv(65_536)
    connection.close()
    first, _, rest = received.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 103 Early Hints\r\n")
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(json.loads(rest.partition(b"\r\n\r\n")[2])["results"]) == 3
    assert caller.emulator.calls.statuses() == {200: 1}


def test_a_bomb(caller: Caller):
    """A body of two MiB that is two GiB of JSON; a smaller one is read to its end."""
    caller.emulator.faults.add(Fault(kind="bomb"), Fault(kind="bomb", size=40_000_000))
    large, small = caller.get(LIST), caller.get(LIST)
    assert (large.status, large.headers["Content-Encoding"]) == (200, "gzip")
    assert len(large.body) < 3 * 1024**2
    decoder = zlib.decompressobj(wbits=31)
    start = decoder.decompress(large.body)
    assert start == b'{"results": [], "text": "'
    assert len(json.loads(gzip.decompress(small.body))["text"]) == 40_000_000


def test_a_body_without_an_end(caller: Caller):
    """It goes on until somebody hangs up."""
    caller.emulator.faults.add(Fault(kind="endless"))
    connection = opened(caller)
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in answer.headers
    assert len(answer.read(5_000_000)) == 5_000_000
    connection.close()
    assert caller.get(LIST).status == 200


def test_a_body_that_comes_byte_by_byte(caller: Caller):
    """Each read gets something in time, the answer never comes."""
    caller.emulator.faults.add(Fault(kind="endless", pause=0.02))
    connection = opened(caller, timeout=5)
    answer = connection.getresponse()
    start = answer.read(1)
    assert start == b"{"
    rest = b"".join(answer.read1(1000) for _ in range(8))
    assert rest.endswith(b" ")
    assert len(rest) < 5000
    connection.close()


@pytest.mark.parametrize("kind", ["stall", "endless"])
def test_closing_ends_what_hangs(caller: Caller, kind):
    """The emulator does not wait for the client."""
    caller.emulator.faults.add(Fault(kind=kind, pause=0.02))
    connection = opened(caller, timeout=5)
    answer = connection.getresponse()
    assert answer.read(1) == b"{"
    caller.emulator.close()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()


def test_half_an_answer_and_nothing_more(caller: Caller):
    """The rest never comes."""
    caller.emulator.faults.add(Fault(kind="stall"))
    connection = opened(caller, timeout=0.2)
    answer = connection.getresponse()
    with pytest.raises(TimeoutError):
        answer.read()
    connection.close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects(caller: Caller, status):
    """Somewhere else, with a page."""
    where = "http://127.0.0.1:9/elsewhere"
    caller.emulator.faults.add(Fault(status=status, headers={"Location": where}))
    reply = caller.get(LIST)
    assert (reply.status, reply.headers["Location"]) == (status, where)
    assert reply.headers["Content-Type"] == "text/html"


def test_another_data_centre(caller: Caller):
    """HubSpot 3.4: as others have recorded it, without a category."""
    caller.emulator.faults.add(
        Fault(status=488), Fault(status=488, correct_hublet="na2"), Fault(status=477)
    )
    content = caller.get(LIST).json
    assert content.pop("correlationId")
    assert content == {
        "status": "error",
        "message": "Hub 62515 is unknown to this Hublet, but it appears to exist in Hublet eu1",
        "correctHublet": "eu1",
    }
    assert caller.get(LIST).json["correctHublet"] == "na2"
    moving = caller.get(LIST)
    assert (moving.json["category"], "correctHublet" in moving.json) == (
        "MIGRATION_IN_PROGRESS",
        False,
    )
    caller.emulator.faults.add(Fault(status=477, correct_hublet="eu1"))
    assert caller.get(LIST).json["correctHublet"] == "eu1"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "1.5"}, ("Retry-After", "1.5")),
        (
            {"Retry-After": "Wed, 01 Jul 2026 00:00:30 GMT"},
            ("Retry-After", "Wed, 01 Jul 2026 00:00:30 GMT"),
        ),
        ({"date": "Fri, 31 Dec 9999 23:59:59 GMT"}, ("Date", "Fri, 31 Dec 9999 23:59:59 GMT")),
        ({"Date": None}, ("Date", None)),
        ({"Content-Type": "text/plain"}, ("Content-Type", "text/plain")),
    ],
)
def test_odd_headers(caller: Caller, headers, expected):
    """In place of the usual ones, or none."""
    caller.emulator.faults.add(
        Fault(status=429, headers=headers), Fault(kind="delay", headers=headers)
    )
    name, value = expected
    for _ in range(2):
        found = {key.lower(): text for key, text in caller.get(LIST).headers.items()}
        assert found.get(name.lower()) == value


def test_bodies_of_any_bytes(caller: Caller):
    """What is no JSON, no UTF-8 or of another shape; over the control path, too."""
    raw = b"\xff\xfe\x00[]"
    encoded = base64.b64encode(raw).decode()
    caller.emulator.faults.add(Fault(status=200, body=raw), Fault(status=200, body=[[]]))
    assert [caller.get(LIST).body for _ in range(2)] == [raw, b"[[]]"]
    reply = caller.post("/_emulator/faults", {"status": 200, "body_base64": encoded})
    assert reply.json == {"armed": 1}
    assert caller.get(LIST).body == raw
    odd: Any = {"results": {"id": 1}, "paging": []}
    caller.emulator.faults.add(Fault(status=200, body=odd))
    assert caller.get(LIST).json == odd


@pytest.mark.parametrize("asked", [{}, {"properties": "email,city"}])
def test_values_that_are_deep(caller: Caller, asked):
    """One row of the page; the others are as they are."""
    first, *others = caller.emulator.records("contacts")
    caller.emulator.hostility = Hostility(deep_values={"contacts": [first]})
    body = caller.get(LIST, **asked).body
    assert b"[" * 2000 + b"]" * 2000 in body
    assert body.count(b"[" * 2000) == 1
    assert all(f'"id":"{one}"'.encode() in body for one in others)
    assert caller.emulator.lies.count("deep_values") == 1
    assert "[" not in str(caller.emulator.records("contacts")[first].properties["city"])
