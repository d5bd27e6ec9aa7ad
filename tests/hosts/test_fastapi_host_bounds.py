"""The FastAPI example under requests that are too large, too slow, too odd or too many."""

from __future__ import annotations

import itertools
import json
import re
import socket
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from fastapi_host.bounds import LONGEST_BODY, LONGEST_HEADERS, LONGEST_URL
from fastapi_host.security import WrongKeys, new_api_key
from hubspot_sync.testing import HubSpotEmulator
from kit.hosted import (
    ACME,
    PATHS,
    TENANTS,
    free_port,
    process_of,
    refusal,
    serving,
    settings_for,
    sync,
    two_accounts,
)

MEGABYTE = 1 << 20
KEY = TENANTS["acme"]


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A host with an account, whose state the tests leave alone."""
    folder = tmp_path_factory.mktemp("host")
    with HubSpotEmulator() as emulator, serving(settings_for(emulator, folder), emulator) as host:
        host.connect("acme", ACME)
        yield host


@pytest.fixture
def acme(standing):
    with standing.client("acme") as client:
        yield client


def said(url, request, body=(), key=None):
    """What a server answers to a request of which all is sent that it takes."""
    address = urlsplit(url)
    lines = [request, f"Host: {address.netloc}", "Content-Type: application/json"]
    lines += [f"X-API-Key: {key}"] if key else []
    with closing(socket.create_connection((address.hostname, address.port), 60)) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n")
        sent = 0
        try:
            for part in body:
                connection.sendall(part)
                sent += len(part)
        except OSError:
            pass
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:
            pass
    return answer.decode("latin-1"), sent


def of_length(size):
    """A body whose length is told before."""
    yield f"Content-Length: {size}\r\n\r\n".encode()
    yield from itertools.repeat(b"x" * MEGABYTE, size // MEGABYTE)


def in_chunks(size):
    """A body of which nobody knows how long it will be."""
    yield b"Transfer-Encoding: chunked\r\n\r\n"
    part = b"%x\r\n" % MEGABYTE + b"x" * MEGABYTE + b"\r\n"
    yield from itertools.repeat(part, size // MEGABYTE)
    yield b"0\r\n\r\n"


class TestBodies:
    """A body that is too long or too slow is not waited for, whoever sends it."""

    def test_200_megabytes(self, hubspot_emulator, tmp_path):
        """Are refused at once, of whatever kind, and the memory stays as it was."""
        emulator = two_accounts(hubspot_emulator)
        port = free_port()
        with process_of(emulator, tmp_path / "host.db", port, "fastapi_host") as (host, process):
            before = most_memory(process)
            for target in (
                "POST /accounts/connect",
                f"POST /accounts/{ACME}/pause",
                "POST /docs",
                "GET /accounts",
                "POST /nowhere",
                "GET /oauth/callback",
            ):
                for key in (None, KEY):
                    for body in (of_length, in_chunks):
                        answer, sent = said(
                            host.url, f"{target} HTTP/1.1", body(200 * MEGABYTE), key
                        )
                        assert re.match(r"HTTP/1.1 (2|4)\d\d ", answer), (target, key, answer)
                        assert "connection: close" in answer.lower()
                        assert sent < 50 * MEGABYTE
                        if body is of_length:
                            assert "HTTP/1.1 413 " in answer
                        elif target.startswith("POST /accounts"):
                            assert f"HTTP/1.1 {413 if key else 401} " in answer
            after = most_memory(process)

        assert after < 150 * MEGABYTE
        assert after - before < 30 * MEGABYTE

    def test_a_body_within_the_bound(self, acme):
        """To the last byte it is looked at, and beyond it is not."""
        for size, status in ((LONGEST_BODY, 422), (LONGEST_BODY + 1, 413)):
            content = b'"' + b"x" * (size - 2) + b'"'
            for body in (content, iter([content])):
                answer = acme.post(
                    "/accounts/connect", content=body, headers={"Content-Type": "application/json"}
                )
                refusal(answer, status)

    @pytest.mark.parametrize("length", ["9" * 5_000, "0" * 5_000 + "7", "65537", "-1", "1e9"])
    def test_odd_lengths(self, standing, length):
        """Are refused, by the server or by the host."""
        request = "POST /accounts/connect HTTP/1.1"
        answer, _ = said(standing.url, request, [f"Content-Length: {length}\r\n\r\n{{}}".encode()])
        assert re.match(r"HTTP/1.1 4\d\d ", answer)

    @pytest.mark.parametrize("head", ["Content-Length: 20", "Transfer-Encoding: chunked"])
    def test_a_slow_body(self, standing, monkeypatch, head):
        """Has a limit of time altogether, however steadily its bytes come."""
        monkeypatch.setattr("fastapi_host.bounds._BODY_SECONDS", 0.5)
        request = "POST /accounts/connect HTTP/1.1"

        answer, _ = said(standing.url, request, [f"{head}\r\n\r\n".encode()], KEY)
        unasked, _ = said(standing.url, request, [f"{head}\r\n\r\n".encode()])

        assert "HTTP/1.1 408 " in answer
        assert "within 0.5 s" in answer
        assert "HTTP/1.1 401 " in unasked


def most_memory(process):
    """The most memory that a process ever had, on Linux; elsewhere what it has now."""
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    return psutil.Process(process.pid).memory_info().rss


class TestHeads:
    """Addresses and headers have bounds too."""

    def test_long_addresses(self, standing, acme):
        """The path, the query, with a key and without one."""
        with standing.client() as stranger:
            for url in (
                f"/accounts/{'1' * LONGEST_URL}",
                f"/accounts?status={'x' * LONGEST_URL}",
                f"/oauth/callback?state={'x' * LONGEST_URL}",
                f"/connect/{'x' * LONGEST_URL}",
            ):
                refusal(acme.get(url), 414)
                refusal(stranger.get(url), 414)

    def test_large_headers(self, acme):
        """One, or many of them."""
        refusal(acme.get("/accounts", headers={"X-Odd": "x" * LONGEST_HEADERS}), 431)
        many = [(f"X-{number}", "x" * 100) for number in range(LONGEST_HEADERS // 100)]
        refusal(acme.get("/accounts", headers=many), 431)

    def test_headers_without_end(self, standing):
        """The server gives up, and keeps none of it."""

        def parts():
            for number in range(2_000):
                yield b"X-%d: %s\r\n" % (number, b"x" * 1_000)

        answer, _ = said(standing.url, "GET /accounts HTTP/1.1", parts())

        assert re.match(r"HTTP/1.1 4\d\d |$", answer)


SAFE = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class TestHeaders:
    """What every answer says to a browser."""

    def test_every_kind_of_answer(self, standing, acme, monkeypatch):
        """A good one, each kind of refusal, a page, a stream, and an error that nobody foresaw."""
        sync(acme, ACME)
        with standing.client() as stranger:
            answers = [
                acme.get("/accounts"),
                acme.get("/openapi.json"),
                acme.get("/docs"),
                acme.get("/nowhere"),
                acme.get("/accounts/x"),
                acme.delete("/accounts"),
                acme.get(f"/accounts/{ACME}/sync/events"),
                acme.post("/accounts/connect", content=b"x" * (LONGEST_BODY + 1)),
                acme.get("/accounts", headers={"X-Odd": "x" * LONGEST_HEADERS}),
                stranger.get("/accounts"),
                stranger.get("/connect/x"),
                stranger.get("/oauth/callback"),
                stranger.get("/oauth/connected"),
                stranger.get(acme.post("/accounts/connect").json()["url"]),
            ]
            monkeypatch.setattr("hubspot_sync.Domain.accounts", None)
            answers.append(acme.get("/accounts"))

        assert [one.status_code for one in answers] == [
            200,
            200,
            200,
            404,
            422,
            405,
            200,
            413,
            431,
            401,
            400,
            400,
            404,
            200,
            500,
        ]
        for answer in answers:
            assert {name: answer.headers.get(name) for name in SAFE} == SAFE, answer.url
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'; ")
            assert "frame-ancestors 'none'" in policy
            assert "script-src" not in policy

    def test_the_description_needs_nothing_from_elsewhere(self, acme):
        """No script, no frame, no image, and every request with its fields is there."""
        page = acme.get("/docs").text

        assert not re.search(r"<(script|link|img|iframe|object)|//|\bon\w+=", page)
        shown = re.findall(r"<h2><code>(\w+) (\S+?)</code></h2>", page)
        assert sorted((m, re.sub(r"\{\w+\}", "{}", p)) for m, p in shown) == sorted(PATHS)
        for field in ("reason (body)", "object_ids (body)", "limit (query)", "account_id (path)"):
            assert field in page
        assert acme.get("/redoc").status_code == 404


class TestWrongKeys:
    """Who tries many keys is told to wait, and nobody else is."""

    def test_three_hundred_wrong_keys(self, hubspot_emulator, tmp_path):
        """The first hundred are refused, then there is a wait; a right key is always taken."""
        emulator = two_accounts(hubspot_emulator)
        with (
            serving(settings_for(emulator, tmp_path), emulator) as host,
            host.client() as stranger,
            host.client("globex") as globex,
        ):
            answers = [
                stranger.get("/accounts", headers={"X-API-Key": new_api_key()}) for _ in range(300)
            ]
            assert globex.get("/accounts").status_code == 200
            assert "API key" in refusal(stranger.get("/accounts"), 401)["detail"]

        statuses = [one.status_code for one in answers]
        assert statuses[: WrongKeys.PER_ADDRESS] == [401] * WrongKeys.PER_ADDRESS
        assert statuses.count(429) > 100
        problem = refusal(answers[-1], 429)
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 3
        assert problem["retry_after"] == int(answers[-1].headers["retry-after"])

    def test_the_wait_passes(self):
        """One more key is looked at each three seconds."""
        keys = WrongKeys(0.0)
        assert [keys.count("192.0.2.1", 0.0) for _ in range(101)] == [0] * 100 + [3]
        assert keys.count("192.0.2.1", 2.0) == 1
        assert keys.count("192.0.2.1", 3.1) == 0
        assert keys.count("192.0.2.1", 3.1) == 3
        assert [keys.count("192.0.2.1", 1_000.0) for _ in range(101)] == [0] * 100 + [3]

    def test_another_address_is_not_kept_waiting(self):
        """Until there are too many altogether."""
        keys = WrongKeys(0.0)
        for _ in range(101):
            keys.count("192.0.2.1", 0.0)
        assert keys.count("192.0.2.2", 0.0) == 0
        waits = [keys.count(f"198.51.100.{number % 250}", 0.0) for number in range(1_000)]
        assert waits.count(0) == WrongKeys.ALTOGETHER - 101
        assert waits[-1] == 1

    def test_an_ipv6_network_counts_as_one(self):
        """Its addresses are free."""
        keys = WrongKeys(0.0)
        waits = [keys.count(f"2001:db8::{number:x}", 0.0) for number in range(1, 102)]
        assert waits == [0] * 100 + [3]
        assert keys.count("2001:db8:0:1::1", 0.0) == 0

    def test_the_memory_for_addresses_has_a_bound(self, monkeypatch):
        """Those that have been quiet for longest are forgotten."""
        monkeypatch.setattr(WrongKeys, "ADDRESSES", 10)
        keys = WrongKeys(0.0)
        for number in range(100):
            keys.count(f"192.0.2.{number}", float(number))
        keys.count("", 100.0)
        assert len(keys._by_address) == 10


DEEP = b"[" * 30_000
ODD_BODIES = [
    b"",
    b"null",
    b"true",
    b"7",
    b"1e999",
    b"-" + b"9" * 5_000,
    b'"x"',
    b"[]",
    b'{"":{}}',
    b"{",
    b"{}{}",
    b"NaN",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    '{"reason":"x"}'.encode("utf-16"),
    b"\xff\xfe\x00\xd8",
    DEEP,
    DEEP + b"]" * 30_000,
    b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    b'{"\\ud800":1}',
    b'{"\\u0000":1}',
    b"{" + b",".join(b'"%d":1' % number for number in range(5_000)) + b"}",
    b'{"reason":"a","reason":"\\ud800"}',
]
ODD_VALUES = [
    None, True, 7, -1, 1.5, 10**400, "", " ", "\0", "a\nb", "a\x1b[2Jb", "\u2028", "x" * 60_000,
    "\ud800", "\udfff\ud800", "\U0001f469\u200d\U0001f4bb", "\u202e", [], {}, [[]], [None], ["\0"],
    ["\ud800"], ["1" * 1_000], ["1"] * 2_000, {"$gt": ""}, ["$where"], "1" * 21, "0", "-1",
]  # fmt: skip
FIELDS = [
    ("/accounts/connect", "account_id"),
    (f"/accounts/{ACME}/pause", "reason"),
    (f"/accounts/{ACME}/errors/redrive", "object_type"),
    (f"/accounts/{ACME}/errors/redrive", "reason"),
    (f"/accounts/{ACME}/errors/redrive", "object_ids"),
    (f"/accounts/{ACME}/errors/redrive", "parked"),
]
ODD_TEXTS = [
    "", "%00", "%0a", "%0d%0aX-Odd:%201", "%ff", "%ed%a0%80", "%F0%9F%92%A9", "..", "%2e%2e%2f",
    "1e9", "1e400", "9" * 4_000, "-0", "+1", "%d9%a1", "' OR 1=1 --", "$ne", "{}", "[]", "null",
    "%", "%zz", "&&&", "a=b;c", "\u00e9",
]  # fmt: skip


def is_proper(answer):
    """Whether an answer is no failure of the host's, and shows nothing of how it is made."""
    return answer.status_code < 500 and not re.search(
        r"Traceback|File \"|\.py\b|site-packages|Error\(", answer.text
    )


class TestOddInput:
    """Whatever is sent, the answer is a refusal that says why, never an error of the host's."""

    @pytest.mark.parametrize(
        "content_type",
        [
            "application/json",
            "text/plain",
            "a/b;;;=",
            None,
            'application/json; charset="\xff',
            "multipart/form-data",
        ],
    )
    def test_bodies(self, acme, content_type):
        """Of every kind, to every request that takes one."""
        headers = {} if content_type is None else {b"Content-Type": content_type.encode("latin-1")}
        for path in dict.fromkeys(path for path, _ in FIELDS):
            for body in ODD_BODIES:
                answer = acme.post(path, content=body, headers=headers)
                assert is_proper(answer), (path, body[:80], answer.text)
                if answer.status_code != 200:
                    refusal(answer, answer.status_code)
                    assert len(answer.content) < 20_000

    @pytest.mark.parametrize(("path", "field"), FIELDS)
    def test_fields(self, acme, path, field):
        """Each with values of every type, and of every size that the bound lets pass."""
        for value in ODD_VALUES:
            body = json.dumps({field: value})
            answer = acme.post(path, content=body, headers={"Content-Type": "application/json"})
            assert is_proper(answer), (body[:80], answer.text)
            if answer.status_code == 403:
                # What may be the name of a custom type only the schemas know, and no scope is
                # there to read them.
                assert field == "object_type"
                assert "schemas" in answer.json()["detail"]
            elif answer.status_code not in (200, 404):
                place = next(iter(refusal(answer, 422)["errors"]))
                assert place.startswith(f"body.{field}")

    def test_reasons(self, acme):
        """A text is taken as it is, or refused in words that say what is wrong with it."""
        pause = f"/accounts/{ACME}/pause"
        for reason in ("x" * 300, "unpaid: \u00e9\u4e16 \U0001f469\u200d\U0001f4bb"):
            assert acme.post(pause, json={"reason": reason}).json()["reason"] == reason
        for reason, words in (
            ("x" * 301, "at most 300 characters"),
            ("\ud800", "unicode"),
            ("a\0b", "control characters"),
            ("a\nb", "line breaks"),
        ):
            body = json.dumps({"reason": reason})
            answer = acme.post(pause, content=body, headers={"Content-Type": "application/json"})
            assert words in refusal(answer, 422)["errors"]["body.reason"]

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_addresses(self, standing, acme, text):
        """In every part of every path, and in every parameter of a query."""
        urls = [path.format(text) for _, path in PATHS if "{}" in path]
        urls += [f"/connect/{text}", f"/{text}", f"/accounts/{text}/{text}", f"/accounts/{ACME}/"]
        urls += [f"/accounts?status={text}", f"/oauth/callback?state={text}&code={text}"]
        urls += [f"/oauth/callback?error={text}", f"/oauth/connected?{text}", f"/docs?{text}"]
        urls += [
            f"/accounts/{ACME}/errors?{name}={text}" for name in ("limit", "parked", "object_type")
        ]
        invited = standing.client()
        with invited:
            invited.get(acme.post("/accounts/connect").json()["url"])
            for url, client in itertools.product(urls, (acme, invited)):
                for method in ("GET", "POST"):
                    if url.endswith("/sync/events") or (method == "POST" and url.endswith("/sync")):
                        continue  # "" and ".." may lead to what goes on for long
                    answer = client.request(method, url)
                    assert is_proper(answer), (method, url, answer.text)

    def test_methods(self, acme):
        """That the paths do not know."""
        for method in ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
            for _, path in (*PATHS, ("", "/docs"), ("", "/oauth/callback"), ("", "/connect/x")):
                answer = acme.request(method, path.format(ACME))
                assert answer.status_code in (400, 405), (method, path)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("Host", "["),
            ("Host", "a b"),
            ("Host", ""),
            ("Cookie", "hubspot_invitation=\xff; hubspot_connected=\xff"),
            ("Cookie", ";;;=;" * 100),
            ("Cookie", 'hubspot_invitation="\\777'),
            ("X-Forwarded-For", "\xff, ,,"),
            ("X-Forwarded-Proto", "gopher"),
            ("Accept", "\xff"),
            ("Authorization", "Bearer \xff"),
            ("Upgrade", "websocket"),
            ("Expect", "100-continue"),
            ("Range", "bytes=9-1"),
            ("Accept-Encoding", "x" * 1_000),
        ],
    )
    def test_headers(self, standing, name, value):
        """In requests to all paths that anybody can ask for."""
        for path in (
            "/accounts",
            "/accounts/",
            "/docs",
            "/openapi.json",
            "/connect/x",
            "/oauth/callback?state=x&code=y",
            "/oauth/connected",
            "/nowhere",
        ):
            headers = {name.encode(): value.encode("latin-1")}
            answer = httpx.get(f"{standing.url}{path}", headers=headers)
            assert is_proper(answer), (path, answer.text)
            assert answer.status_code != 307
