"""No secret is ever shown, logged, raised or stored in clear, whatever goes wrong."""

from __future__ import annotations

import base64
import logging
import os
import uuid
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from hubspot_sync import (
    ActionRejectedError,
    EncryptionKeys,
    HubSpotSettings,
    HubSpotSyncError,
    LoggingObserver,
    OAuthApp,
    OAuthTokens,
    PlainText,
    StaticAccessToken,
    StreamSettings,
    embedded_engine,
    mongodb_engine,
)
from hubspot_sync.stores.memory import MemoryActionSink
from hubspot_sync.testing import Fault, HubSpotEmulator, ManualClock
from kit.canaries import Canaries
from kit.support import Recorder

CALLBACK = "https://host.example/hubspot/callback"
CONTACTS = (StreamSettings(object_type="contacts"),)


def secret(name):
    return f"canary-{name}-{uuid.uuid4().hex}"


class Moody:
    """A sink that refuses every second contact."""

    def __init__(self):
        self._sink = MemoryActionSink()

    def write(self, actions):
        for action in actions:
            if action.object_id.endswith(("2", "4", "6", "8", "0")):
                raise ActionRejectedError("not an even one")
        return self._sink.write(actions)


class Everything:
    """A host to which everything happens that the library has an answer for."""

    def __init__(self, emulator, open_engine, canaries):
        self.emulator = emulator
        self.canaries = canaries
        self.errors, self.shown, self.recorder = [], [], Recorder()
        self._open = open_engine

    def engine(self, *, secret_of_app=None, cipher=None):
        app = OAuthApp(
            client_id=self.emulator.client_id,
            client_secret=secret_of_app or self.emulator.client_secret,
            redirect_uri=CALLBACK,
        )
        hubspot = HubSpotSettings(base_url=self.emulator.base_url, max_tries=2)
        return self._open(
            cipher=cipher,
            oauth_app=app,
            hubspot=hubspot,
            sink=Moody(),
            observers=[self.recorder, LoggingObserver()],
            clock=ManualClock(self.emulator.clock.now()),
        )

    def trying(self, function):
        """What *function* gives, shown; what it raises, kept."""
        try:
            result = function()
        except HubSpotSyncError as error:
            self.errors.append(error)
            return None
        self.shown += [repr(result), str(result)]
        for one in getattr(result, "streams", ()) or ():
            self.errors += [one.error] if getattr(one, "error", None) else []
        if hasattr(result, "as_dict"):
            self.shown.append(repr(result.as_dict()))
        self.note_tokens()
        return result

    def note_tokens(self):
        """Look for all that the emulator ever gave out."""
        for number, one in enumerate(self.emulator.credentials):
            if one.startswith(("emulated-", "na1-")):
                self.canaries.add(f"issued-{number}", one)

    def consent(self, domain, **choice):
        sent_to = self.emulator.consent(domain.authorization_url(), **choice)
        answer = dict(parse_qsl(urlsplit(sent_to).query))
        answer.pop("error_description", None)
        if "code" in answer:
            self.canaries.add("code", answer["code"])
        return answer

    def happen(self):
        with self.engine() as engine:
            acme = engine.for_domain("acme")
            answer = self.consent(acme)
            self.trying(lambda: acme.finish_authorization(**answer))
            self.trying(lambda: acme.finish_authorization(**answer))
            self.trying(lambda: acme.sync("62515"))
            self.refusals(acme)
            self.outages(acme)
            self.static(acme)
            self.trying(engine.reencrypt)
            self.shown += map(repr, [engine, acme, *acme.accounts(), *acme.failures("62515")])
        self.mistakes()
        self.shown += map(repr, self.recorder.events)
        self.note_tokens()

    def refusals(self, acme):
        answer = self.consent(acme)
        altered = {**answer, "state": answer["state"] + "x"}
        self.trying(lambda: acme.finish_authorization(**altered))
        denied = self.consent(acme, allow=False)
        self.trying(lambda: acme.finish_authorization(**denied))
        spent = self.consent(acme)
        self.emulator.faults.add(Fault(route="oauth", kind="reset"))
        self.trying(lambda: acme.finish_authorization(**spent))
        self.emulator.faults.clear()
        used = {**spent, "state": self.consent(acme)["state"]}
        self.trying(lambda: acme.finish_authorization(**used))
        self.trying(lambda: acme.connect(OAuthTokens(refresh_token=self.known("refresh-unknown"))))

    def outages(self, acme):
        echo = {"status": "error", "category": "VALIDATION_ERROR"}
        for fault in (
            Fault(route="oauth", status=503),
            Fault(route="oauth", status=429),
            Fault(route="oauth", kind="cut"),
            Fault(route="oauth", kind="malformed", times=None),
            Fault(route="oauth", kind="html", status=502, times=None),
            Fault(route="oauth", kind="reset", times=None),
            Fault(route="oauth", status=477, headers={"Retry-After": "9999"}, times=None),
            Fault(route="oauth", status=400, body={"status": "BAD_REFRESH_TOKEN"}),
            Fault(route="oauth", status=400, body={"status": "BAD_CLIENT_SECRET"}),
            Fault(route="oauth", status=200, body={"access_token": "a", "hub_id": 7}),
            Fault(
                route="oauth",
                status=401,
                body={**echo, "message": f"no {self.emulator.refresh_token}"},
            ),
            Fault(
                route="oauth",
                status=500,
                body={**echo, "message": f"no {self.emulator.client_secret}"},
                times=None,
            ),
            Fault(route="list", status=401, times=None),
            Fault(route="list", kind="malformed", times=None),
            Fault(route="search", status=403, times=None),
            Fault(kind="html", status=530, times=None),
        ):
            self.emulator.expire_access_tokens()
            self.emulator.faults.add(fault)
            self.emulator.create("contacts", {"firstname": "new"})
            self.trying(lambda: acme.sync("62515"))
            self.emulator.faults.clear()
        self.emulator.revoke_access()
        self.trying(lambda: acme.sync("62515"))
        again = self.consent(acme)
        self.trying(lambda: acme.finish_authorization(**again))
        self.trying(lambda: acme.sync("62515"))
        self.emulator.shared_faults.add(Fault(route="revoke", status=503, times=None))
        self.trying(lambda: acme.disconnect("62515"))
        self.emulator.shared_faults.clear()
        self.trying(lambda: acme.sync("62515"))

    def static(self, acme):
        token = StaticAccessToken(access_token=self.emulator.access_token)
        self.trying(lambda: acme.connect(token, account_id="7"))
        self.trying(lambda: acme.connect(token, streams=CONTACTS))
        self.trying(lambda: acme.sync("62515"))
        wrong = self.known("access-wrong")
        self.trying(lambda: acme.connect(StaticAccessToken(access_token=wrong)))
        quoting = {"status": "error", "message": f"bad token {self.emulator.access_token}"}
        self.emulator.faults.add(Fault(route="account", status=401, body=quoting))
        self.trying(lambda: acme.connect(token))
        self.emulator.faults.add(Fault(kind="status", status=400, body=quoting, times=None))
        self.trying(lambda: acme.sync("62515"))
        self.emulator.faults.clear()
        for broken in (wrong + "\n" + wrong, wrong + "\x00"):
            self.trying(lambda broken=broken: StaticAccessToken(access_token=broken))
            self.trying(lambda broken=broken: OAuthTokens(refresh_token=broken))

    def mistakes(self):
        with self.engine(secret_of_app=self.known("client-secret-wrong")) as engine:
            acme = engine.for_domain("acme")
            answer = self.consent(acme)
            self.trying(lambda: acme.finish_authorization(**answer))
        wrong_key = EncryptionKeys.generate_key()
        self.canaries.add("wrong-key", wrong_key)
        with self.engine(cipher=EncryptionKeys(wrong_key)) as engine:
            self.trying(lambda: engine.for_domain("acme").sync("62515"))
            report = self.trying(engine.reencrypt)
            self.errors += report.failures.values()
        self.trying(lambda: EncryptionKeys(self.known("key-broken")))

    def known(self, name):
        made = secret(name)
        self.canaries.add(name, made)
        return made


@pytest.fixture
def key():
    return EncryptionKeys.generate_key()


@pytest.fixture
def emulator():
    with HubSpotEmulator(
        contacts=20,
        companies=5,
        access_token=secret("access"),
        refresh_token=secret("refresh"),
        client_secret=secret("client-secret"),
        clock=ManualClock(),
        rotate_refresh_tokens=True,
        installed=False,
    ) as emulator:
        yield emulator


@pytest.fixture
def canaries(emulator, key):
    made = Canaries(
        access=emulator.access_token,
        refresh=emulator.refresh_token,
        client_secret=emulator.client_secret,
        key=key,
    )
    made._forms[base64.urlsafe_b64decode(key)] = "raw key"
    return made


@pytest.fixture(params=["sqlite", "mongodb"])
def database(request, tmp_path):
    """Opens engines on one database, and scans every byte of it."""
    return SqliteFile(tmp_path) if request.param == "sqlite" else MongoServer(request)


class SqliteFile:
    def __init__(self, folder):
        self._folder = folder

    def open(self, **parts):
        return embedded_engine(self._folder / "crm.db", **parts)

    def scan(self, canaries):
        assert (self._folder / "crm.db").stat().st_size > 10_000
        return canaries.in_folder(self._folder)


class MongoServer:
    def __init__(self, request):
        self._uri = request.getfixturevalue("mongodb_uri")
        self._client = request.getfixturevalue("mongodb_client")

    def open(self, **parts):
        return mongodb_engine(self._uri, **parts)

    def scan(self, canaries):
        name = urlsplit(self._uri).path.strip("/")
        assert self._client[name]["credentials"].count_documents({}) >= 1
        # Every write once was is in the server's log of operations.
        found = canaries.in_mongodb(self._client, name, "local")
        options = self._client.admin.command("getCmdLineOpts")["parsed"]
        folder = Path(options.get("storage", {}).get("dbPath", os.devnull))
        self._client.admin.command("fsync")
        return found | (canaries.in_folder(folder) if folder.is_dir() else set())


def test_nothing_is_found(database, emulator, canaries, key, caplog, capfd):
    """After everything that can happen, in everything that is left of it."""
    caplog.set_level(logging.DEBUG)

    def open_engine(cipher, **parts):
        return database.open(cipher=cipher or EncryptionKeys(key), **parts)

    host = Everything(emulator, open_engine, canaries)
    host.happen()

    kinds = {type(error).__name__ for error in host.errors}
    assert kinds >= {
        "AuthorizationRevokedError",
        "ConfigurationError",
        "ConsentError",
        "HubSpotUnavailableError",
        "MissingScopeError",
        "RequestRefusedError",
        "WrongAccountError",
    }
    assert len(host.errors) > 25
    assert any("[hidden]" in str(error) for error in host.errors)
    assert len(caplog.records) > 50
    assert not canaries.in_errors(host.errors)
    assert not canaries.in_logs(caplog.records)
    assert not canaries.in_text(*host.shown)
    assert not canaries.in_objects()
    assert not canaries.in_text(*capfd.readouterr())
    assert not database.scan(canaries)


class TestTheScanItself:
    """What it would not find, it could not miss."""

    def test_it_finds_what_is_stored_in_clear(self, database, emulator, canaries):
        """In either back end, also what was overwritten meanwhile in the log of operations."""
        with database.open(cipher=PlainText(), clock=ManualClock()) as engine:
            engine.for_domain("acme").add("62515")
            entry = engine.for_domain("acme").account("62515")
            engine.connect(entry.account, StaticAccessToken(access_token=emulator.access_token))
            engine.connect(entry.account, OAuthTokens(refresh_token=emulator.refresh_token))

        assert "refresh" in database.scan(canaries)

    @pytest.mark.parametrize("form", ["{}", "Bearer {}!", "x={}&y"])
    def test_it_finds_it_in_text(self, canaries, emulator, form):
        """Wherever it stands."""
        assert canaries.in_text("a", form.format(emulator.access_token)) == {"access"}

    @pytest.mark.parametrize("offset", range(6))
    def test_it_finds_it_in_base64(self, canaries, emulator, offset):
        """Whatever stands before and after it."""
        content = b"?" * offset + emulator.access_token.encode() + b"??"
        for encode in (base64.b64encode, base64.urlsafe_b64encode, bytes.hex):
            encoded = encode(content)
            found = canaries.in_text(encoded if isinstance(encoded, str) else encoded.decode())
            assert found == {"access"}

    def test_it_finds_it_in_errors_and_what_caused_them(self, canaries, emulator):
        """In messages, attributes and causes."""
        plain, cause, attribute = ValueError(emulator.access_token), ValueError("a"), OSError("b")
        attribute.hint = emulator.client_secret
        cause.__cause__ = KeyError(emulator.refresh_token)

        assert canaries.in_errors([plain]) == {"access"}
        assert canaries.in_errors([cause]) == {"refresh"}
        assert canaries.in_errors([attribute]) == {"client_secret"}

    def test_it_finds_it_in_logs(self, canaries, emulator, caplog):
        """Also where it is not formatted yet."""
        with caplog.at_level(logging.DEBUG):
            logging.getLogger("hubspot_sync").debug("token %s", emulator.access_token)

        assert canaries.in_logs(caplog.records) == {"access"}

    def test_it_finds_it_in_what_objects_show(self, canaries, emulator):
        """Of any of the library's classes."""
        kept = HubSpotSettings(base_url=f"https://{emulator.client_secret}.example")

        assert "client_secret" in canaries.in_objects()
        assert kept.base_url
