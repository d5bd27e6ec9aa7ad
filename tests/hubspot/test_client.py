"""The door to HubSpot, against the emulator: every answer has one meaning, what passes is retried.

The meanings are those of https://developers.hubspot.com/docs/api-reference/error-handling
"""

from __future__ import annotations

import json
import re
import socket
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path

import pytest
import urllib3.exceptions

import hubspot_sync
from hubspot_sync import (
    Account,
    AuthorizationRevokedError,
    ConfigurationError,
    HubSpotSettings,
    HubSpotUnavailableError,
    MissingScopeError,
    NotConnectedError,
    OAuthApp,
    OAuthTokens,
    RateLimitedError,
    RequestRefusedError,
    StaticAccessToken,
)
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.calls.errors import error_for
from hubspot_sync._hubspot.calls.transport import Answer, Transport
from hubspot_sync.models import Retried
from hubspot_sync.testing import Fault
from kit.support import ACCOUNT, Host


@pytest.fixture
def emulator(hubspot_emulator):
    return hubspot_emulator(contacts=3, companies=2)


@pytest.fixture
def host(emulator):
    return Host(emulator)


def answer(status, body=b"", **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=headers, content=content)


def test_identify_tells_which_account_the_credentials_open(host):
    """The proof that is asked for before anything is stored."""
    assert host.source().identify().account_id == "62515"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=502),
        Fault(kind="html", status=503),
        Fault(kind="html", status=200),
        Fault(status=520),
        Fault(status=524),
        Fault(status=429),
        Fault(status=423),
        Fault(status=477, headers={"Retry-After": "30"}),
        Fault(kind="reset"),
        Fault(kind="cut"),
        Fault(kind="malformed"),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status or ''}",
)
def test_what_passes_is_retried(host, emulator, fault):
    """Twice in a row, and the answer is whole all the same."""
    source = host.source()
    source.identify()
    emulator.faults.add(fault)
    emulator.faults.add(fault)

    assert source.identify().account_id == "62515"

    retries = host.recorder.of(Retried)
    assert [event.attempt for event in retries] == [1, 2]
    assert source.api_calls() == {"account": 4}
    if fault.status == 477:
        assert host.clock.waits == (30.0, 30.0)
    if fault.status == 423:
        assert min(host.clock.waits) >= 2


def test_a_hanging_connection_times_out_and_is_retried(emulator):
    """In real time, because a socket knows no other."""
    host = Host(emulator, read_timeout=timedelta(seconds=2))
    emulator.faults.add(Fault(kind="delay", delay=30))

    assert host.source().identify().account_id == "62515"
    (retry,) = host.recorder.of(Retried)
    assert "timed out" in retry.reason


class Drip(BaseHTTPRequestHandler):
    """A server whose answers come in byte by byte and never end; the first *whole* bytes at once.

    The time-out of the socket starts again with each of them.
    """

    whole = 0

    def do_GET(self):
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
        self.wfile.write(answer[: self.whole])
        for byte in (answer + b" " * 1_000)[self.whole :]:
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                return
            self.server.patience.wait(0.02)

    def log_message(self, *_):
        """Keep quiet."""


class DripInHead(Drip):
    """Not even the status line is whole."""


class DripInBody(Drip):
    whole = 44


@pytest.mark.parametrize("handler", [DripInHead, DripInBody])
def test_a_connection_that_drips_is_given_up(host, handler):
    """In real time, because a socket knows no other."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.patience = threading.Event()
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        host.hubspot = HubSpotSettings(
            base_url=f"http://127.0.0.1:{server.server_port}",
            answer_timeout=timedelta(milliseconds=150),
            max_tries=2,
        )
        source = host.source()

        with pytest.raises(HubSpotUnavailableError, match="the answer timed out"):
            source.identify()
        source.close()
        server.patience.set()
        server.shutdown()

    assert len(host.recorder.of(Retried)) == 1


def test_connections_are_used_again_after_the_deadline_of_an_answer(host, emulator):
    """Each answer has its own."""
    host.hubspot = HubSpotSettings(base_url=emulator.base_url, answer_timeout=timedelta(seconds=2))
    source = host.source()
    for _ in range(3):
        source.identify()
        threading.Event().wait(0.8)
    (pool,) = source._client._transport._client.rest_client.pool_manager.pools._container.values()

    assert (pool.num_connections, pool.num_requests) == (1, 3)


def test_a_wait_of_hours_ends_the_run_and_says_until_when(host, emulator):
    """An account that moves to another data centre answers 477 for up to a day."""
    emulator.faults.add(Fault(status=477, headers={"Retry-After": "7200"}))

    with pytest.raises(HubSpotUnavailableError) as caught:
        host.source().identify()

    assert caught.value.retry_after == timedelta(hours=2)
    assert caught.value.status == 477


def test_the_daily_limit_is_not_waited_for(host, emulator):
    """The pot is full again at midnight, not in a minute."""
    emulator.faults.add(Fault(status=429, policy="DAILY", times=None))

    with pytest.raises(RateLimitedError) as caught:
        host.source().identify()

    assert caught.value.policy == "DAILY"
    assert host.clock.waits == ()


def test_the_ten_second_limit_is_waited_for(host, emulator):
    """Another app of the same kind may have used it up."""
    emulator.faults.add(Fault(status=429, policy="TEN_SECONDLY_ROLLING"))

    host.source().identify()

    assert host.clock.waits == (10.0,)


def test_a_missing_scope_names_the_scope(host, emulator):
    """So that the host can ask for it."""
    emulator.faults.add(Fault(status=403))

    with pytest.raises(MissingScopeError) as caught:
        host.source().identify()

    assert caught.value.scopes
    assert caught.value.scopes[0] in str(caught.value)
    assert caught.value.correlation_id


def test_a_wrong_access_token_is_not_retried(host, emulator):
    """Asking again would not help, and would look like an attack."""
    host.tokens.save(
        ACCOUNT.key, StaticAccessToken(access_token="wrong-canary"), expected_revision=1
    )

    with pytest.raises(AuthorizationRevokedError) as caught:
        host.source().identify()

    assert caught.value.status == 401
    assert "wrong-canary" not in repr(caught.value) + str(caught.value)
    assert emulator.calls.count("account") == 1


def test_an_access_token_that_is_not_whole_is_told_from_an_expired_one(host, emulator):
    """HubSpot cannot decode it and takes it for one of 1970."""
    body = {
        "status": "error",
        "message": "The OAuth token used to make this call expired 20336 day(s) ago.",
        "category": "EXPIRED_AUTHENTICATION",
    }
    emulator.faults.add(Fault(status=401, body=body))

    with pytest.raises(AuthorizationRevokedError, match="copied whole") as caught:
        host.source().identify()

    assert "20336" not in str(caught.value)


@pytest.mark.parametrize("status", [501, 522, 525, 526, 530])
def test_what_hubspot_asks_to_report_is_tried_a_few_times_only(host, emulator, status):
    """More tries would not fix it."""
    source = host.source()
    source.identify()
    emulator.faults.add(Fault(kind="html", status=status, times=None))

    with pytest.raises(HubSpotUnavailableError) as caught:
        source.identify()

    assert caught.value.status == status
    assert emulator.calls.count("account") == 1 + 3


def test_a_530_is_a_malformed_access_token_when_no_call_has_succeeded(host, emulator):
    """Cloudflare does not find out from it where to go; after a success, it is an outage."""
    emulator.faults.add(Fault(kind="html", status=530, times=None))

    with pytest.raises(AuthorizationRevokedError, match="copied whole") as caught:
        host.source().identify()

    assert caught.value.status == 530
    assert emulator.calls.count("account") == 3


def test_a_bad_paging_value_is_refused(host):
    """Or one that is too old: the walk has to begin again, the call cannot be repeated."""
    refused = Call(
        endpoint="list",
        method="GET",
        path="/crm/v3/objects/contacts",
        query=[("after", "stale")],
        doing="listing contacts",
    )

    with pytest.raises(RequestRefusedError, match="listing contacts") as caught:
        host.source()._client.call(refused, dict)

    assert caught.value.category == "VALIDATION_ERROR"
    assert caught.value.status == 400
    assert host.clock.waits == ()


def test_a_search_beyond_the_ten_thousandth_row_is_refused(host):
    """Asking for it again would not help."""
    beyond = Call(
        endpoint="search",
        method="POST",
        path="/crm/v3/objects/contacts/search",
        body={"limit": 200, "after": "10000"},
        doing="searching contacts",
    )

    with pytest.raises(RequestRefusedError) as caught:
        host.source()._client.call(beyond, dict)

    assert caught.value.category == "VALIDATION_ERROR"
    assert host.clock.waits == ()


def test_a_url_that_is_too_long_says_what_to_do(host):
    """A proxy refuses it, in HTML."""
    names = ",".join(f"property_number_{number}" for number in range(1_000))
    long = Call(
        endpoint="list",
        method="GET",
        path="/crm/v3/objects/contacts",
        query=[("properties", names)],
        doing="listing contacts",
    )

    with pytest.raises(RequestRefusedError, match="fewer properties") as caught:
        host.source()._client.call(long, dict)

    assert caught.value.status == 414


def test_a_partial_answer_is_an_answer(host):
    """207: what was found, and errors for the rest, which the caller has to look at."""
    reading = Call(
        endpoint="batch_read",
        method="POST",
        path="/crm/v3/objects/contacts/batch/read",
        body={
            "properties": [],
            "propertiesWithHistory": [],
            "inputs": [{"id": min(host.emulator.records("contacts"))}, {"id": "999999999"}],
        },
        doing="reading contacts",
    )

    body = host.source()._client.call(reading, dict).content

    assert len(body["results"]) == 1
    assert body["errors"][0]["category"] == "OBJECT_NOT_FOUND"


def test_a_refused_request_says_why(host, emulator):
    """HubSpot's own words, its category, and its correlation id for the support."""
    emulator.faults.add(Fault(status=400))

    with pytest.raises(RequestRefusedError) as caught:
        host.source().identify()

    assert caught.value.category == "VALIDATION_ERROR"
    assert caught.value.correlation_id
    assert "check the object type" in caught.value.message
    assert emulator.calls.count("account") == 1


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:{port}", "https://no-such-host.invalid"])
def test_a_base_url_that_leads_nowhere_is_reported_soon(host, base_url):
    """A typing error is no outage: a few tries, not minutes."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    host.hubspot = HubSpotSettings(base_url=base_url.format(port=port))

    with pytest.raises(HubSpotUnavailableError, match="no answer from HubSpot at"):
        host.source().identify()

    assert len(host.clock.waits) == 2


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, RequestRefusedError),
        (400, RequestRefusedError),
        (401, AuthorizationRevokedError),
        (403, MissingScopeError),
        (404, RequestRefusedError),
        (409, RequestRefusedError),
        (414, RequestRefusedError),
        (423, HubSpotUnavailableError),
        (429, RateLimitedError),
        (477, HubSpotUnavailableError),
        *((status, HubSpotUnavailableError) for status in (500, 502, 503, 504)),
        *((status, HubSpotUnavailableError) for status in range(520, 531)),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message": 7, "errors": "x"}'])
def test_every_status_has_one_meaning_whatever_the_body(status, expected, body):
    """Proxies answer with anything; the status decides."""
    error = error_for(answer(status, body), "testing")

    assert type(error) is expected
    assert error.status == status
    assert "testing" in str(error)


def test_a_rate_limit_in_a_500_is_a_rate_limit():
    """One client has seen HubSpot send that."""
    error = error_for(answer(500, {"category": "RATE_LIMITS", "message": "slow"}), "testing")

    assert type(error) is RateLimitedError


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", timedelta(seconds=7)), ("soon", None), ("", None), ("9" * 30, timedelta(days=2))],
)
def test_retry_after_is_read_with_care(header, expected):
    """A number of seconds; nonsense is ignored, and a huge number bounded."""
    error = error_for(answer(503, **{"Retry-After": header}), "testing")

    assert error.retry_after == expected


def test_long_messages_are_cut():
    """Validation errors repeat whole records."""
    error = error_for(answer(400, {"message": "x" * 5000}), "testing")

    assert len(str(error)) < 450


def test_every_failure_below_the_client_becomes_ours(monkeypatch):
    """Foreign exceptions stop at the door: every class of urllib3's is mapped."""
    transport = Transport(HubSpotSettings(base_url="http://127.0.0.1:9"))
    failures = [
        value
        for value in vars(urllib3.exceptions).values()
        if isinstance(value, type)
        and issubclass(value, urllib3.exceptions.HTTPError)
        and not issubclass(value, Warning)
    ]
    assert len(failures) > 20
    for failure in failures:
        raised = failure.__new__(failure)
        monkeypatch.setattr(
            transport._client, "call_api", lambda *_, raised=raised, **__: _raise(raised)
        )

        with pytest.raises((HubSpotUnavailableError, ConfigurationError)):
            transport.send("GET", "/")


def _raise(error):
    raise error


class LatinPage(BaseHTTPRequestHandler):
    """A proxy's page in another encoding than the official client believes in."""

    def do_GET(self):
        self.send_response(404)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write("café".encode("latin-1"))

    def log_message(self, *_):
        """Keep quiet."""


def test_error_bodies_that_are_no_text_are_survived(host):
    """The official client decodes them as UTF-8, strictly, while it raises."""
    with HTTPServer(("127.0.0.1", 0), LatinPage) as proxy:
        threading.Thread(target=proxy.handle_request, daemon=True).start()
        host.hubspot = HubSpotSettings(base_url=f"http://127.0.0.1:{proxy.server_port}")
        source = host.source()

        with pytest.raises(RequestRefusedError) as caught:
            source.identify()
        source.close()

    assert caught.value.status == 404


class TestOAuth:
    """Access tokens on demand."""

    @pytest.fixture
    def host(self, emulator):
        host = Host(emulator, clock=None)
        host.oauth_app = OAuthApp(
            client_id=emulator.client_id, client_secret=emulator.client_secret
        )
        tokens = OAuthTokens(refresh_token=emulator.refresh_token)
        host.tokens.save(ACCOUNT.key, tokens, expected_revision=1)
        return host

    def test_the_first_call_requests_an_access_token(self, host, emulator):
        """One refresh serves many calls, and is kept for the next run."""
        source = host.source()
        source.identify()
        source.identify()
        host.source().identify()

        assert emulator.calls.count("oauth") == 1
        assert source.api_calls() == {"oauth": 1, "account": 2}
        assert host.tokens.load(ACCOUNT.key).credentials.access_token

    def test_it_is_refreshed_ahead_of_its_end(self, host, emulator):
        """HubSpot never sees an expired one."""
        source = host.source()
        source.identify()
        host.clock.advance(timedelta(minutes=29, seconds=30))
        source.identify()

        assert emulator.calls.count("oauth") == 2

    def test_an_expired_one_is_renewed_and_the_call_repeated(self, host, emulator):
        """When HubSpot thinks otherwise about its end."""
        source = host.source()
        source.identify()
        emulator.expire_access_tokens()

        assert source.identify().account_id == "62515"
        assert emulator.calls.count("oauth") == 2

    def test_several_may_expire_in_a_row(self, host, emulator):
        """Threads that share them see each other's end; each was good when it was issued."""
        source = host.source()
        source.identify()
        emulator.faults.add(Fault(route="account", status=401, times=3))

        assert source.identify().account_id == "62515"
        emulator.faults.add(Fault(route="account", status=401, times=None))
        with pytest.raises(AuthorizationRevokedError):
            source.identify()

    def test_a_530_is_no_word_about_one_that_was_just_issued(self, host, emulator):
        """It cannot be malformed."""
        emulator.faults.add(Fault(kind="html", route="account", status=530, times=None))

        with pytest.raises(HubSpotUnavailableError):
            host.source().identify()

    def test_a_revoked_refresh_token_asks_for_a_person(self, host, emulator):
        """The customer has to connect again."""
        emulator.revoke_access()

        with pytest.raises(AuthorizationRevokedError, match="BAD_REFRESH_TOKEN"):
            host.source().identify()

    def test_wrong_app_credentials_are_the_hosts_mistake(self, host, emulator):
        """They concern all accounts, not this one."""
        host.oauth_app = OAuthApp(client_id=emulator.client_id, client_secret="canary")

        with pytest.raises(ConfigurationError, match="client secret") as caught:
            host.source().identify()

        assert "canary" not in str(caught.value)

    def test_the_token_endpoint_is_retried_too(self, host, emulator):
        """It has limits and outages of its own."""
        emulator.faults.add(Fault(route="oauth", status=429))
        emulator.faults.add(Fault(route="oauth", status=503))

        assert host.source().identify().account_id == "62515"
        assert [event.what for event in host.recorder.of(Retried)] == ["oauth", "oauth"]

    def test_tokens_that_another_process_stored_are_taken(self, host, emulator):
        """Instead of refreshing again."""
        first, second = host.source(), host.source()
        first.identify()
        second.identify()

        assert emulator.calls.count("oauth") == 1

    def test_without_an_app_nothing_is_sent(self, host, emulator):
        """Refresh tokens are of no use without it."""
        host.oauth_app = None

        with pytest.raises(ConfigurationError, match="oauth_app"):
            host.source()

        assert emulator.calls.count() == 0


def test_there_is_one_door():
    """One line sends, whatever is asked: permit, errors and retries are in one layer."""
    sources = Path(hubspot_sync.__file__).parent.rglob("*.py")
    sending = [
        (path.name, line.strip())
        for path in sources
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"transport\.send\(", line)
    ]
    assert sending == [("client.py", "answer = self._transport.send(")]


def test_an_account_without_credentials_is_refused_before_any_call(host, emulator):
    """The message says how to give them."""
    with pytest.raises(NotConnectedError, match=r"engine\.store_credentials"):
        host.source(Account(account_id="7"))

    assert emulator.calls.count() == 0
