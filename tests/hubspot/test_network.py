"""One call to HubSpot over real connections: whatever a network, a proxy or a server does."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import textwrap
import threading
import zlib
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import ClassVar

import pytest

from hubspot_sync import (
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotSettings,
    HubSpotUnavailableError,
    RateLimitedError,
    RequestRefusedError,
)
from hubspot_sync._clock import StopRequested, SystemClock
from hubspot_sync._engine.fleet.turns import Turn
from hubspot_sync._hubspot.calls.bodies import loads
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.calls.errors import error_for
from hubspot_sync._hubspot.calls.transport import Answer, Transport
from hubspot_sync._hubspot.records.subject import to_records
from hubspot_sync._hubspot.records.values import conversion_for
from hubspot_sync.models import StreamFinished
from hubspot_sync.testing import Fault, ManualClock
from kit.shown import everything_in, only_ours
from kit.support import ACCOUNT, Host
from kit.wire import (
    Wire,
    answering,
    certificate,
    full_listener,
    hang,
    hang_before_reading,
    http,
    proxy,
)

# A socket knows no other time.
REAL = SystemClock()
DETAILS = json.dumps({"portalId": 62515}).encode()


@pytest.fixture
def host(hubspot_emulator):
    return Host(hubspot_emulator(contacts=1, companies=1))


def at(url, **settings):
    """Settings for a server of the test's."""
    known = {"base_url": url, "max_tries": 3, "burst_limit": None}
    return HubSpotSettings(**{**known, **settings})


def identify(host, url, **settings):
    """Ask which account this is, at *url*."""
    host.hubspot = at(url, **settings)
    source = host.source()
    try:
        return source.identify()
    finally:
        source.close()


class TestCertificates:
    """A server whose certificate is not what it should be, over real TLS."""

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            ({}, "self.signed certificate"),
            ({"ended": True}, "expired"),
            ({"name": "other.example"}, "127.0.0.1"),
        ],
        ids=["not trusted", "expired", "another name"],
    )
    def test_what_is_wrong_with_it_is_said(self, host, tmp_path, options, reason):
        """The file makes it trusted, but no less expired, and no other name's."""
        file, context = certificate(tmp_path, **options)
        trusted = {"ca_file": str(file)} if options else {}
        with (
            Wire(answering(http(DETAILS)), context) as server,
            pytest.raises(HubSpotUnavailableError, match=reason) as caught,
        ):
            identify(host, server.url, **trusted)
        assert "no safe connection to HubSpot could be made; check its certificate" in str(
            caught.value
        )
        assert f"127.0.0.1:{server.port}" in str(caught.value)
        assert len(host.clock.waits) == 2

    def test_an_authority_of_ones_own_is_trusted(self, host, tmp_path):
        """In the file that the settings name."""
        file, context = certificate(tmp_path)
        with Wire(answering(http(DETAILS)), context) as server:
            assert identify(host, server.url, ca_file=str(file)).account_id == "62515"

    def test_the_usual_variable_counts_for_who_reads_the_environment(self, host, tmp_path):
        """As commands do."""
        file, context = certificate(tmp_path)
        with Wire(answering(http(DETAILS)), context) as server:
            settings = HubSpotSettings.from_environment(
                {"REQUESTS_CA_BUNDLE": str(file)}, base_url=server.url
            )
            assert settings.ca_file == str(file)
            host.hubspot = settings
            assert host.source().identify().account_id == "62515"

    def test_a_server_that_speaks_no_tls(self, host):
        """An http port behind an https address."""

        def refuse(_wire, connection):
            connection.recv(65536)
            connection.sendall(http(b"speak HTTP", status="400 Bad Request"))

        with (
            Wire(refuse) as server,
            pytest.raises(HubSpotUnavailableError, match="no safe connection"),
        ):
            identify(host, server.url.replace("http:", "https:"))

    @pytest.mark.parametrize("content", [None, "no certificate"])
    def test_a_file_without_certificates_is_refused(self, tmp_path, content):
        """Where it is given."""
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_text(content)
        with pytest.raises(ConfigurationError, match=r"HubSpotSettings\.ca_file is"):
            HubSpotSettings(ca_file=str(file))


class TestProxies:
    """The way out leads through a proxy."""

    def test_an_encrypted_call_goes_through_a_tunnel(self, host, tmp_path):
        """Its user and password go to the proxy, the access token does not."""
        file, context = certificate(tmp_path, name="api.example")
        with Wire(answering(http(DETAILS)), context) as server, Wire(proxy) as through:
            found = identify(
                host,
                f"https://api.example:{server.port}",
                proxy=f"http://us%40er:pass@127.0.0.1:{through.port}",
                ca_file=str(file),
            )
        assert found.account_id == "62515"
        (head,) = through.requests
        assert head.startswith(f"CONNECT api.example:{server.port} ")
        assert f"Basic {base64.b64encode(b'us@er:pass').decode()}" in head
        assert host.emulator.access_token not in head
        assert host.emulator.access_token in server.requests[0]

    def test_a_plain_call_is_forwarded(self, host):
        """As to an emulator."""
        with Wire(proxy) as through:
            found = identify(host, host.emulator.base_url, proxy=f"http://127.0.0.1:{through.port}")
        assert found.account_id == "62515"
        assert through.requests[0].startswith(f"GET {host.emulator.base_url}/account-info/")

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_one_that_wants_other_credentials_is_the_hosts_mistake(self, host, scheme):
        """And the message does not show those that it was given."""
        refusal = http(
            b"user:canary-password", "X-HubSpot-Correlation-Id: canary-password", status="407 No"
        )
        with (
            Wire(answering(refusal)) as through,
            pytest.raises(ConfigurationError, match=r"proxy.*407") as caught,
        ):
            identify(
                host,
                f"{scheme}://127.0.0.1:9",
                proxy=f"http://user:canary-password@127.0.0.1:{through.port}",
            )
        assert "canary" not in everything_in(caught.value)

    def test_one_that_refuses_the_tunnel_is_named(self, host):
        """It may be a rule, or pass."""
        with (
            Wire(answering(http(status="403 No"))) as through,
            pytest.raises(HubSpotUnavailableError, match=r"proxy.*403") as caught,
        ):
            identify(host, "https://api.example", proxy=f"http://127.0.0.1:{through.port}")
        assert f"127.0.0.1:{through.port}" in str(caught.value)

    def test_one_that_is_not_there_is_named(self, host):
        """It, and not HubSpot, has to be looked after."""
        with pytest.raises(
            HubSpotUnavailableError, match=r"no answer from the proxy 127\.0\.0\.1:9"
        ):
            identify(host, "https://api.example", proxy="http://user:canary@127.0.0.1:9")

    def test_its_certificate_is_looked_at_too(self, host, tmp_path):
        """A proxy that is itself reached over TLS."""
        _, context = certificate(tmp_path)
        with (
            Wire(proxy, context) as through,
            pytest.raises(HubSpotUnavailableError, match="no safe connection") as caught,
        ):
            identify(host, "https://api.example", proxy=f"https://127.0.0.1:{through.port}")
        assert f"127.0.0.1:{through.port}" in str(caught.value)

    def test_a_tunnel_through_a_safe_proxy(self, host, tmp_path):
        """TLS in TLS, with one file of authorities for both."""
        file, context = certificate(tmp_path)
        with Wire(answering(http(DETAILS)), context) as server, Wire(proxy, context) as through:
            found = identify(
                host, server.url, proxy=f"https://127.0.0.1:{through.port}", ca_file=str(file)
            )
        assert found.account_id == "62515"

    @pytest.mark.parametrize(
        "address",
        [
            "socks5://127.0.0.1:1",
            "127.0.0.1:3128",
            "http://",
            "http://host/path",
            7,
            "",
            "http://a:b@",
        ],
    )
    def test_what_is_no_http_proxy_is_refused(self, address):
        """Without a word of it: it may hold a password."""
        with pytest.raises(ConfigurationError, match=r"HubSpotSettings\.proxy") as caught:
            HubSpotSettings(proxy=address)
        assert "a:b" not in str(caught.value)

    def test_its_password_is_in_no_repr(self):
        """Settings are logged."""
        settings = HubSpotSettings(proxy="http://user:canary@proxy.example:3128")
        assert "canary" not in repr(settings)
        assert "proxy.example:3128" in repr(settings)


SECURE, LOCAL = "https://api.hubapi.com", "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("url", "environment", "expected"),
    [
        (SECURE, {}, None),
        (SECURE, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        (SECURE, {"https_proxy": "http://q:1", "HTTPS_PROXY": "http://p:1"}, "http://q:1"),
        (SECURE, {"https_proxy": "", "HTTPS_PROXY": "http://p:1"}, None),
        (SECURE, {"HTTP_PROXY": "http://p:1"}, None),
        (LOCAL, {"HTTP_PROXY": "http://p:1"}, "http://p:1"),
        (LOCAL, {"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, None),
        (SECURE, {"ALL_PROXY": "p:1"}, "http://p:1"),
        (SECURE, {"all_proxy": "p:1", "HTTPS_PROXY": "https://q"}, "https://q"),
        *(
            (SECURE, {"HTTPS_PROXY": "http://p:1", "NO_PROXY": exceptions}, None)
            for exceptions in (
                "*",
                "api.hubapi.com",
                ".hubapi.com",
                "a.b, hubapi.com",
                "*.HUBAPI.com",
            )
        ),
        (SECURE, {"HTTPS_PROXY": "http://p:1", "no_proxy": "api.com,10.0.0.0/8"}, "http://p:1"),
        (LOCAL, {"http_proxy": "http://p:1", "NO_PROXY": "127.0.0.0/8"}, None),
        (LOCAL, {"http_proxy": "http://p:1", "NO_PROXY": "127.0.0.1:8080"}, None),
        (LOCAL, {"http_proxy": "http://p:1", "NO_PROXY": "127.0.0.1:81"}, "http://p:1"),
        ("http://[::1]:8", {"http_proxy": "http://p:1", "NO_PROXY": "::1"}, None),
    ],
)
def test_the_usual_variables_say_which_proxy(url, environment, expected):
    """As most programs read them."""
    assert HubSpotSettings.from_environment(environment, base_url=url).proxy == expected


def test_what_is_given_comes_before_the_environment():
    """Also where it says that there is to be none."""
    environment = {"HTTPS_PROXY": "http://p:1", "SSL_CERT_FILE": "/nowhere"}
    settings = HubSpotSettings.from_environment(environment, proxy=None, ca_file=None)
    assert (settings.proxy, settings.ca_file) == (None, None)


def test_a_variable_that_names_another_kind_of_proxy_is_refused():
    """By its name, as it is written there."""
    with pytest.raises(ConfigurationError, match="all_proxy") as caught:
        HubSpotSettings.from_environment({"all_proxy": "socks5://user:canary@p:1"})
    assert "canary" not in str(caught.value)


def test_settings_alone_read_no_environment(monkeypatch):
    """A library does not act on what it was not given."""
    monkeypatch.setenv("HTTPS_PROXY", "http://p:1")
    assert HubSpotSettings().proxy is None


class TestStopping:
    """`stop()` while nothing comes ends the call within a second or two."""

    def stopped(self, url, stop=None, **settings):
        """How long a call lasts that is stopped after a tenth of a second."""
        event = stop or threading.Event()
        transport = Transport(at(url, **settings), event)
        threading.Timer(0.1, event.set).start()
        began = REAL.monotonic()
        try:
            with pytest.raises(StopRequested) as caught:
                transport.send("POST", "/", body={"text": "x" * 30_000_000})
        finally:
            transport.close()
        assert caught.value.__context__ is None
        return REAL.monotonic() - began

    def test_while_the_answer_hangs(self):
        """The most usual case."""
        with Wire(hang) as server:
            assert self.stopped(server.url) < 10

    def test_while_the_answer_drips(self):
        """Each byte would be one more reason to wait."""

        def drip(wire, connection):
            wire.head(connection)
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b" " * 100_000:
                connection.sendall(bytes([byte]))
                wire.over.wait(0.01)

        with Wire(drip) as server:
            assert self.stopped(server.url) < 10

    def test_while_the_request_is_not_taken(self):
        """A server that does not read."""
        with Wire(hang_before_reading) as server:
            assert self.stopped(server.url, connect_timeout=timedelta(seconds=60)) < 10

    def test_while_it_connects(self):
        """A server that takes no connections."""
        with full_listener() as port:
            url = f"http://127.0.0.1:{port}"
            assert self.stopped(url, connect_timeout=timedelta(seconds=60)) < 10

    def test_in_the_handshake_of_tls(self):
        """A server that does not answer to the greeting."""
        with Wire(hang_before_reading) as server:
            url = server.url.replace("http:", "https:")
            assert self.stopped(url, connect_timeout=timedelta(seconds=60)) < 10

    def test_in_the_answer_over_tls(self, tmp_path):
        """After the handshake."""
        file, context = certificate(tmp_path)
        with Wire(hang, context) as server:
            assert self.stopped(server.url, ca_file=str(file)) < 10

    def test_while_a_proxy_makes_a_tunnel(self):
        """Or does not."""
        with Wire(hang) as through:
            proxied = {"proxy": through.url, "connect_timeout": timedelta(seconds=60)}
            assert self.stopped("https://api.example", **proxied) < 10

    def test_an_answer_that_is_on_its_way_still_arrives(self):
        """So that a stop costs no call, nor tokens that were just issued."""

        def late(wire, connection):
            wire.head(connection)
            stop.set()
            wire.over.wait(0.3)
            connection.sendall(http(DETAILS))

        stop = threading.Event()
        with Wire(late) as server:
            transport = Transport(at(server.url), stop)
            assert transport.send("GET", "/").content == DETAILS
            transport.close()

    def test_the_end_of_a_turn_waits_for_the_answer(self):
        """It would be asked for again in the next turn, and might be cut off there again."""
        stop = threading.Event()
        turn = Turn(Turn(stop, lambda: True, ManualClock()), lambda: True, ManualClock())
        assert turn.is_set()
        assert turn.at_once is stop

    def test_a_sync_is_stopped_with_all_that_was_read(self, host):
        """The answer to the second stream hangs; the first one is stored."""
        host.emulator.faults.add(Fault(kind="delay", object_type="contacts", delay=60, times=None))
        with host.engine() as engine:
            threading.Thread(target=stop_when_asked, args=(host, engine), daemon=True).start()
            began = REAL.monotonic()
            report = engine.sync(ACCOUNT)
            assert REAL.monotonic() - began < 20
        assert [stream.status.value for stream in report.streams] == ["completed", "stopped"]
        assert report.streams[0].counts.delivered == 1


def stop_when_asked(host, engine):
    """Stop *engine* a moment after the contacts have begun."""
    while not host.recorder.of(StreamFinished):
        REAL.sleep(0.02)
    REAL.sleep(0.2)
    engine.stop()


def test_a_read_that_hangs_times_out_as_long_as_nobody_stops_it(host):
    """The short waits together are as long as the settings say."""
    with Wire(hang) as server:
        began = REAL.monotonic()
        with pytest.raises(HubSpotUnavailableError, match="timed out"):
            identify(host, server.url, read_timeout=timedelta(milliseconds=700), max_tries=1)
    assert REAL.monotonic() - began >= 0.7


class TestBounds:
    """No answer needs more memory than the largest answer of HubSpot's."""

    BOMB = textwrap.dedent(
        """
        import re, sys
        from pathlib import Path
        from hubspot_sync import HubSpotSettings, HubSpotUnavailableError
        from hubspot_sync._hubspot.calls.transport import Transport

        transport = Transport(HubSpotSettings(base_url=sys.argv[1]))
        try:
            transport.send("GET", "/")
        except HubSpotUnavailableError as error:
            print(error)
        # Of this program alone; what `resource` says begins with what its parent had.
        status = Path("/proc/self/status").read_text()
        print(int(re.search("VmHWM:\\s+([0-9]+) kB", status)[1]) // 1024)
        """
    )

    def peak(self, url):
        """The message, and how many MiB the process had that asked."""
        done = subprocess.run(
            [sys.executable, "-c", self.BOMB, url],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        *message, mebibytes = done.stdout.splitlines()
        return " ".join(message), int(mebibytes)

    @pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
    def test_a_bomb(self, status):
        """2 MB that are 2 GB."""
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        body = packer.compress(b"{") + packer.flush(zlib.Z_FULL_FLUSH)
        body += (packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)) * 2_000
        with Wire(answering(http(body, "Content-Encoding: gzip", status=status))) as server:
            message, mebibytes = self.peak(server.url)
        assert mebibytes < 300
        assert ("larger than" in message) == status.startswith("200")

    @pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked", b"Connection: close"])
    def test_a_body_without_end(self, head):
        """Sent as fast as it is taken."""

        def flood(wire, connection):
            wire.head(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
            chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
            while not wire.over.is_set():
                connection.sendall(chunk)

        with Wire(flood) as server:
            message, mebibytes = self.peak(server.url)
        assert mebibytes < 300
        assert "larger than" in message

    def test_it_is_retried(self, host):
        """A proxy's fault may pass."""
        bomb = gzip.compress(b" " * 2**20) * 250
        good = http(DETAILS)
        with Wire(answering(http(bomb, "Content-Encoding: gzip"), good)) as server:
            assert identify(host, server.url).account_id == "62515"
        assert len(host.clock.waits) == 1

    @pytest.mark.parametrize("zipped", [False, True])
    def test_the_largest_page_of_hubspots_passes(self, zipped):
        """100 records with all that fits into them."""
        page = b'{"results": [' + b",".join([b'"' + b"x" * 900_000 + b'"'] * 100) + b"]}"
        sent = zlib.compress(page, 1) if zipped else page
        headers = ("Content-Encoding: deflate",) if zipped else ()
        with Wire(answering(http(sent, *headers))) as server:
            transport = Transport(at(server.url))
            assert len(transport.send("GET", "/").json()["results"]) == 100
            transport.close()

    @pytest.mark.parametrize(
        ("body", "encoding"),
        [
            (gzip.compress(DETAILS)[:-9], "gzip"),
            (DETAILS, "gzip"),
            (DETAILS, "br"),
            (b"\xff" * 9, "deflate"),
        ],
        ids=["cut", "plain", "unknown", "broken"],
    )
    def test_a_body_that_cannot_be_decompressed_is_retried(self, host, body, encoding):
        """Also one that ends too early."""
        broken = http(body, f"Content-Encoding: {encoding}")
        with Wire(answering(broken, http(DETAILS))) as server:
            assert identify(host, server.url).account_id == "62515"
        assert len(host.clock.waits) == 1

    @pytest.mark.parametrize(
        "body",
        [
            gzip.compress(DETAILS[:5]) + gzip.compress(DETAILS[5:]),
            gzip.compress(DETAILS) + b"\0" * 9,
        ],
        ids=["two members", "padding"],
    )
    def test_gzip_as_it_may_be(self, host, body):
        """Several members, one after another, and what is behind them."""
        with Wire(answering(http(body, "Content-Encoding: gzip"))) as server:
            assert identify(host, server.url).account_id == "62515"

    @pytest.mark.parametrize("body", [b"{", b"\x1f\x8bbroken", b"x" * 5_000_000])
    def test_a_refusal_is_one_whatever_its_body(self, host, body):
        """Its status says all that matters."""
        refusal = http(body, "Content-Encoding: gzip", status="401 No")
        with Wire(answering(refusal)) as server, pytest.raises(AuthorizationRevokedError):
            identify(host, server.url)

    def test_connections_are_used_again(self, host):
        """Reading to the end in parts gives them back."""
        with Wire(answering(http(gzip.compress(DETAILS), "Content-Encoding: gzip"))) as server:
            host.hubspot = at(server.url)
            source = host.source()
            for _ in range(3):
                source.identify()
            manager = source._client._transport._client.rest_client.pool_manager
            (pool,) = manager.pools._container.values()
            assert (pool.num_connections, pool.num_requests) == (1, 3)
            source.close()


class TestDepth:
    """JSON that is nested thousands deep."""

    DEEP = (b"[" * 2_000 + b"]" * 2_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000)

    def row(self, number, value=b'"x"'):
        """A row with *value* as its e-mail address."""
        instant = b'"2026-03-02T10:35:01.123Z"'
        return (
            b'{"id": "%d", "createdAt": %s, "updatedAt": %s, "properties": {"email": %s, '
            b'"hs_object_id": "%d", "createdate": %s, "lastmodifieddate": %s}}'
        ) % (number, instant, instant, value, number, instant, instant)

    @pytest.mark.parametrize("deep", [*DEEP, b"[" * 600 + b"]" * 600])
    @pytest.mark.parametrize(
        "beside", [b'"x"', rb'"half \ud800 [{"', rb'"quoted \" [{"', b'"\xff"']
    )
    def test_one_row_is_skipped_the_others_are_read(self, host, deep, beside):
        """Whatever is beside it, brackets in text as well."""
        rows = [self.row(1, beside), self.row(2, deep), self.row(3)]
        body = b'{"results": [' + b",".join(rows) + b"]}"
        with Wire(answering(http(body))) as server:
            transport = Transport(at(server.url))
            found = transport.send("GET", "/").json()["results"]
            transport.close()
        records, skipped = to_records(found, "contacts", conversion_for([]))
        assert [record.object_id for record in records] == ["1", "3"]
        assert [row.object_id for row in skipped] == ["2"]

    @pytest.mark.parametrize("place", ["createdAt", "id", "properties"])
    def test_wherever_it_is_in_a_row(self, place):
        """A row that is none is skipped."""
        row = json.loads(self.row(1))
        row[place] = "here"
        body = json.dumps([row]).encode().replace(b'"here"', self.DEEP[0])
        records, skipped = to_records(loads(body), "contacts", conversion_for([]))
        assert (len(records), len(skipped)) == (0, 1)

    @pytest.mark.parametrize(
        "body", [*DEEP, b"[" * 3_000, b'{"results": ' + b"[" * 100_000, b"]" * 10_000]
    )
    def test_an_answer_that_is_nothing_else_is_unreadable(self, host, body):
        """It holds nothing that was asked for."""
        with (
            Wire(answering(http(body))) as server,
            pytest.raises(HubSpotUnavailableError) as caught,
        ):
            identify(host, server.url)
        assert only_ours(caught.value)

    def test_one_that_is_not_even_whole_is_tried_again(self, host):
        """As any that is no JSON."""
        with Wire(answering(http(b"[" * 100_000), http(DETAILS))) as server:
            assert identify(host, server.url).account_id == "62515"

    def test_a_sync_goes_on(self, host):
        """The stream is complete, and the row counted."""
        page = b'{"results": [' + self.row(1) + b"," + self.row(2, self.DEEP[0]) + b"]}"
        fault = Fault(
            kind="status", route="list", object_type="contacts", status=200, body=page.decode()
        )
        host.emulator.faults.add(fault)
        with host.engine() as engine:
            report = engine.sync(ACCOUNT)
        contacts = report.streams[1]
        assert contacts.counts.skipped == 1
        assert contacts.counts.delivered >= 1

    @pytest.mark.parametrize(
        ("sent", "read"),
        [
            (rb'"\ud83d\ude00"', "\U0001f600"),
            (rb'"\ud800"', "\ufffd"),
            (rb'"\udc00\ud800x"', "\ufffd\ufffdx"),
            (rb'"\ud800\ud83d\ude00"', "\ufffd\U0001f600"),
            (rb'"\\ud800 \ud800"', "\\ud800 \ufffd"),
            (rb'{"\ud800": "\ud800"}', {"\ufffd": "\ufffd"}),
            (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        ],
    )
    def test_half_a_character_is_replaced(self, sent, read):
        """No store can keep one, and whole ones stay."""
        assert loads(sent) == read


class TestHints:
    """What comes before the answer itself."""

    @pytest.mark.parametrize(
        "hints",
        [
            b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" * 3,
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
            b"HTTP/1.1 199 Whatever\r\n\r\n",
        ],
    )
    def test_it_is_skipped(self, host, hints):
        """Several of them as well."""
        with Wire(answering(hints + http(DETAILS))) as server:
            assert identify(host, server.url).account_id == "62515"
        assert host.clock.waits == ()

    def test_hints_without_end_are_given_up(self, host):
        """The whole answer has its time."""

        def serve(wire, connection):
            wire.head(connection)
            while not wire.over.wait(0.001):
                connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")

        with Wire(serve) as server, pytest.raises(HubSpotUnavailableError, match="timed out"):
            identify(host, server.url, answer_timeout=timedelta(milliseconds=300), max_tries=1)


class TestRedirects:
    """They are told, and never followed."""

    @pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
    def test_it_says_where_to(self, host, status):
        """And neither the query, nor a password, of that place."""
        with Wire(answering(http(DETAILS))) as elsewhere:
            target = f"http://user:canary@127.0.0.1:{elsewhere.port}/new/place?canary=1#canary"
            moved = http(b"", f"Location: {target}", status=f"{status} Moved")
            with (
                Wire(answering(moved)) as server,
                pytest.raises(RequestRefusedError, match="check base_url") as caught,
            ):
                identify(host, server.url)
        assert f"redirected to http://127.0.0.1:{elsewhere.port}/new/place:" in str(caught.value)
        assert "canary" not in str(caught.value)
        assert elsewhere.requests == []

    @pytest.mark.parametrize("location", ["", "/v3/", "http://[", "\x01\x1b[31m", "x" * 9_000])
    def test_whatever_the_place(self, location):
        """One line."""
        answer = Answer(status=302, headers={"Location": location}, content=b"")
        message = str(error_for(answer, "testing"))
        assert message.isprintable()
        assert len(message) < 500


class TestDataCentres:
    """An account that HubSpot keeps in another place than it was asked at."""

    BODY: ClassVar = {"message": "Hub 7 is unknown to this Hublet", "correctHublet": "eu1"}

    @pytest.mark.parametrize("status", [477, 488])
    def test_once_it_is_tried_again(self, host, status):
        """It passes now and then."""
        wrong = http(json.dumps(self.BODY).encode(), status=f"{status} Elsewhere")
        with Wire(answering(wrong, http(DETAILS))) as server:
            assert identify(host, server.url).account_id == "62515"
        assert len(host.clock.waits) == 1

    @pytest.mark.parametrize("status", [477, 488, 421])
    def test_for_good_the_place_is_named(self, host, status):
        """After a few tries."""
        wrong = http(json.dumps(self.BODY).encode(), status=f"{status} Elsewhere")
        with (
            Wire(answering(wrong)) as server,
            pytest.raises(HubSpotUnavailableError, match=r"data centre eu1.*base_url") as caught,
        ):
            identify(host, server.url)
        assert caught.value.status == status
        assert len(server.requests) == 3


class TestWaits:
    """How long HubSpot asks to wait."""

    NOW = datetime(2026, 3, 2, 10, tzinfo=timezone.utc)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("1.5", 1.5),
            ("0.25", 0.25),
            (" 7 ", 7),
            ("Mon, 02 Mar 2026 10:00:30 GMT", 30),
            ("Monday, 02-Mar-26 10:00:30 GMT", 30),
            ("Mon Mar  2 10:00:30 2026", 30),
            ("Mon, 02 Mar 2026 09:00:00 GMT", None),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 172_800),
            *((value, None) for value in ("nan", "inf", "1e3", "-5", "Mon, 99 Foo", "٣", "1,5")),
        ],
    )
    def test_a_date_and_a_fraction_are_read(self, value, expected):
        """A date is by the clock of the server that sent it."""
        headers = {"Retry-After": value, "Date": format_datetime(self.NOW, usegmt=True)}
        error = error_for(Answer(status=503, headers=headers, content=b""), "testing")
        found = error.retry_after
        assert (found and found.total_seconds()) == expected

    def test_a_date_without_the_servers_is_by_our_own_clock(self):
        """Better than none."""
        until = REAL.now() + timedelta(seconds=100)
        headers = {"Retry-After": format_datetime(until, usegmt=True)}
        error = error_for(Answer(status=503, headers=headers, content=b""), "testing")
        assert timedelta(seconds=30) < error.retry_after <= timedelta(seconds=100)

    def test_it_is_waited_for(self, host):
        """Not only read."""
        busy = http(
            b"{}",
            "Retry-After: Mon, 02 Mar 2026 10:00:30 GMT",
            "Date: Mon, 02 Mar 2026 10:00:00 GMT",
            status="503 Busy",
        )
        with Wire(answering(busy, http(DETAILS))) as server:
            identify(host, server.url)
        assert host.clock.waits == (30.0,)

    @pytest.mark.parametrize(
        ("endpoint", "seconds"), [("list", 10), ("account", 10), ("search", 1), ("oauth", 1)]
    )
    @pytest.mark.parametrize("body", [{}, {"policyName": None}, {"policyName": "NEWS"}])
    def test_a_429_that_names_no_policy(self, endpoint, seconds, body):
        """As docs/reliability.md says: ten seconds, a search one."""
        answer = Answer(status=429, headers={}, content=json.dumps(body).encode())
        assert error_for(answer, "testing", endpoint).retry_after == timedelta(seconds=seconds)

    def test_the_client_knows_which_endpoint_it_was(self, host):
        """A search waits less than what counts in ten seconds."""
        slow = http(b"{}", status="429 Slow")
        with Wire(answering(slow)) as server:
            host.hubspot = at(server.url, max_tries=1)
            client = host.source()._client
            for endpoint, seconds in (("search", 1), ("list", 10)):
                call = Call(endpoint=endpoint, method="GET", path="/", doing="testing")
                with pytest.raises(RateLimitedError) as caught:
                    client.call(call, dict)
                assert caught.value.retry_after == timedelta(seconds=seconds)


class TestNonsense:
    """What is no HTTP at all."""

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"HTTP/1.1 9999 What\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n{",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\n{}",
            b"HTTP/1.1 503 Busy\r\nRetry-After: \xff\xfe\r\nContent-Length: 2\r\n\r\n\xff\xfe",
            b"HTTP/1.1 500 \xff\r\n\xff: \xff\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nno header at all\r\nX: y\r\n\r\n",
        ],
        ids=range(15),
    )
    def test_it_is_an_error_of_ours(self, host, answer, caplog):
        """And has nothing foreign behind it, nor in the log."""

        def serve(wire, connection):
            wire.head(connection)
            connection.sendall(answer)

        with (
            Wire(serve) as server,
            pytest.raises((HubSpotUnavailableError, RequestRefusedError)) as caught,
        ):
            identify(host, server.url)
        assert only_ours(caught.value)
        assert {record.name.partition(".")[0] for record in caplog.records} <= {"hubspot_sync"}

    @pytest.mark.parametrize(
        "url",
        [
            f"https://{'a' * 300}.example",
            "https://a..b",
            "https://xn--a-.example",
            "https://[::1%25x]",
        ],
    )
    def test_a_name_that_is_none_is_the_hosts_mistake(self, host, url):
        """Or is not found; no look-up gets that far."""
        with pytest.raises((ConfigurationError, HubSpotUnavailableError)) as caught:
            identify(host, url, max_tries=1)
        assert only_ours(caught.value)
