"""The FastAPI example turns away who has no business there, and says little about it."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import socket
import threading
import time
from datetime import timedelta

import pytest
from attrs import evolve
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

import fastapi_host.settings
from fastapi_host import Settings, create_app
from fastapi_host.__main__ import main
from fastapi_host.pages import not_connected
from fastapi_host.problems import _KINDS, problem_of
from fastapi_host.security import ApiKey, ApiKeys, Invitation, Invitations, new_api_key
from fastapi_host.syncs import Syncs
from fastapi_host.views import report_view
from hubspot_sync import (
    AccountKey,
    ConfigurationError,
    CredentialKeys,
    HubSpotSettings,
    MissingScopeError,
    StoreUnavailableError,
    StreamStatus,
    SyncReport,
    errors,
)
from hubspot_sync.models import Retried, RunStarted, StreamKey, StreamReport
from hubspot_sync.stores.mongodb._errors import translate
from hubspot_sync.testing import HubSpotEmulator
from kit.hosted import (
    ACME,
    GLOBEX,
    KEY,
    OF_ACCOUNT,
    PATHS,
    ROOT,
    TENANTS,
    follow,
    refusal,
    serving,
    settings_for,
    sync,
    two_accounts,
    wait_until,
    waiting_for,
)

ENVIRON = {
    "HOST_API_KEYS": " ".join(str(ApiKey.of(*pair)) for pair in TENANTS.items()),
    "HUBSPOT_CLIENT_ID": "hush-client",
    "HUBSPOT_CLIENT_SECRET": "hush-secret",
    "HUBSPOT_SYNC_KEY": KEY,
}


@pytest.fixture
def emulator(hubspot_emulator):
    return two_accounts(hubspot_emulator)


@pytest.fixture
def settings(emulator, tmp_path):
    return settings_for(emulator, tmp_path)


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A host that nobody changes, with an account of each tenant."""
    with HubSpotEmulator() as emulator:
        emulator.add_account(GLOBEX, contacts=20)
        with serving(settings_for(emulator, tmp_path_factory.mktemp("host")), emulator) as host:
            host.connect("acme", ACME)
            host.connect("globex", GLOBEX)
            yield host


class TestRefusals:
    """Who is turned away, and what they learn from it."""

    def test_every_path_is_here(self, settings):
        """No route is left out of the tests below."""
        described = create_app(settings).openapi()["paths"]
        offered = {
            (method.upper(), re.sub(r"\{\w+\}", "{}", path))
            for path, methods in described.items()
            for method in methods
        }

        assert offered == set(PATHS)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-API-Key": ""},
            {"X-API-Key": "hsk_wrong"},
            {"X-API-Key": TENANTS["acme"][:-1]},
            {"X-API-Key": "\xff"},
            {"Authorization": "Bearer hsk_wrong"},
            {"Authorization": "Bearer"},
            {"Authorization": f"Basic {TENANTS['acme']}"},
        ],
    )
    def test_without_a_good_key(self, standing, headers):
        """401 wherever it is, and nothing else."""
        with standing.client() as client:
            for method, path in PATHS:
                answer = client.request(method, path.format(ACME), headers=as_bytes(headers))
                assert "API key" in refusal(answer, 401)["detail"]
                assert answer.headers["www-authenticate"] == "Bearer"

    def test_a_bearer_token_is_as_good(self, standing):
        """Some clients can send nothing else."""
        with standing.client() as client:
            headers = {"Authorization": f"Bearer {TENANTS['acme']}"}
            assert len(client.get("/accounts", headers=headers).json()) == 1

    def test_another_tenants_account_is_as_if_it_were_not(self, standing):
        """The answers are the same to the letter, and nothing happens to it."""
        with standing.client("acme") as acme, standing.client("globex") as globex:
            sync(globex, GLOBEX)
            before = globex.get(f"/accounts/{GLOBEX}").json()
            for method, path in OF_ACCOUNT:
                others = acme.request(method, path.format(GLOBEX))
                nobodys = acme.request(method, path.format("99999"))
                refusal(others, 404)
                assert others.content == nobodys.content
                assert others.headers.keys() == nobodys.headers.keys()
            assert globex.get(f"/accounts/{GLOBEX}").json() == before

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/accounts/acme", None),
            ("GET", f"/accounts/{'1' * 21}", None),
            ("GET", f"/accounts/0{ACME}", None),
            ("POST", "/accounts/connect", {"account_id": f"0{ACME}"}),
            ("GET", "/accounts/\u0661", None),
            ("GET", "/accounts?status=happy", None),
            ("GET", f"/accounts/{ACME}/errors?limit=0", None),
            ("GET", f"/accounts/{ACME}/errors?parked=perhaps", None),
            ("GET", f"/accounts/{ACME}/errors?object_type=con%20tacts", None),
            ("POST", f"/accounts/{ACME}/pause", {"reason": 7}),
            ("POST", f"/accounts/{ACME}/errors/redrive", {"object_ids": "x"}),
            ("POST", f"/accounts/{ACME}/errors/redrive", {"object_type": "con tacts"}),
            ("POST", f"/accounts/{ACME}/errors/redrive", ["hush-hush"]),
            ("POST", f"/accounts/{ACME}/errors/redrive", {"object_id": ["hush-hush"]}),
            ("POST", f"/accounts/{ACME}/pause", {"why": "hush-hush"}),
            ("POST", "/accounts/connect", {"account": ACME}),
        ],
    )
    def test_bad_input(self, standing, method, path, body):
        """422 that says where, without the input."""
        with standing.client("acme") as acme:
            answer = acme.request(method, path, json=body)

        refusal(answer, 422)
        assert "hush" not in answer.text

    def test_nothing_there(self, standing):
        """Also what the framework refuses by itself is a problem document."""
        with standing.client("acme") as acme:
            refusal(acme.get("/nowhere"), 404)
            refusal(acme.delete("/accounts"), 405)

    def test_a_busy_account(self, settings, emulator):
        """409 for who asks again, in this process or by redriving."""
        gate = threading.Event()
        with serving(evolve(settings, validators=[waiting_for(gate)]), emulator) as host:
            host.connect("acme", ACME)
            with host.client("acme") as client:
                client.post(f"/accounts/{ACME}/sync")
                try:
                    wait_until(lambda: client.get(f"/accounts/{ACME}/sync").json()["streams"])
                    refusal(client.post(f"/accounts/{ACME}/sync"), 409)
                finally:
                    gate.set()
                assert follow(client, ACME)[-1][1]["report"]["completed"]

    def test_an_error_of_the_host_s_own(self, standing, monkeypatch):
        """Says nothing but that."""

        def fail(*_):
            raise RuntimeError("hush-hush")

        monkeypatch.setattr("hubspot_sync.Domain.accounts", fail)

        with standing.client("acme") as acme:
            answer = acme.get("/accounts")

        refusal(answer, 500)
        assert "hush" not in answer.text

    @pytest.mark.parametrize(
        "of_mongodb", [OperationFailure("", 13), ServerSelectionTimeoutError()]
    )
    def test_trouble_with_a_store(self, standing, monkeypatch, caplog, of_mongodb):
        """The client learns nothing of where the host keeps what it has; the operator does."""
        trouble = translate(of_mongodb, "MongoDB at db-7.internal:27017, database crm")

        def fail(*_):
            raise trouble

        monkeypatch.setattr("hubspot_sync.Domain.accounts", fail)

        with standing.client("acme") as acme:
            answer = acme.get("/accounts")

        refusal(answer, 503 if isinstance(trouble, StoreUnavailableError) else 500)
        assert "db-7" not in answer.text
        assert "db-7" in caplog.text

    def test_the_report_of_a_sync(self):
        """Has what the client can fix, and fixed words for the rest."""
        key = AccountKey("acme", ACME)
        away = StoreUnavailableError("MongoDB at db-7.internal:27017 could not be reached")
        shut = MissingScopeError("HubSpot wants crm.objects.contacts.read; grant it")
        streams = [
            StreamReport(
                stream=StreamKey(key, name), status=status, duration=timedelta(0), error=error
            )
            for name, status, error in (
                ("companies", StreamStatus.COMPLETED, None),
                ("contacts", StreamStatus.FAILED, shut),
                ("deals", StreamStatus.FAILED, away),
            )
        ]

        shown = report_view(
            SyncReport(account=key, streams=tuple(streams), duration=timedelta(0), error=away)
        )

        told = {name: stream["error"] for name, stream in shown["streams"].items()}
        assert (told["companies"], told["contacts"]) == (None, shut.message)
        assert told["deals"] == shown["error"] == problem_of(away).detail
        assert "db-7" not in json.dumps(shown)

    def test_what_disturbs_a_sync_is_told_without_the_host_s_affairs(self):
        """A call to HubSpot may fail because its access token cannot be had from the database."""
        key = AccountKey("acme", ACME)
        away = translate(ServerSelectionTimeoutError(), "MongoDB at db-7.internal:27017")
        retried = Retried(
            what="list", account=key, attempt=1, wait=timedelta(seconds=2), reason=str(away)
        )

        async def watch():
            syncs = Syncs(workers=1, loop=asyncio.get_running_loop())
            syncs.notify(RunStarted(account=key, object_types=("contacts",)))
            syncs.notify(retried)
            await asyncio.sleep(0)
            await syncs.wait()
            return syncs.find(key).progress.note

        note = asyncio.run(watch())

        assert note.endswith("trying again in 2.0 s")
        assert "internal" not in note

    @pytest.mark.parametrize(
        "kind",
        [
            one
            for one in vars(errors).values()
            if isinstance(one, type) and issubclass(one, errors.HubSpotSyncError)
        ],
    )
    def test_every_error_has_an_answer(self, kind, caplog):
        """And what is the host's own affair is not told."""
        extra = {"owner": "x"} if kind is errors.LeaseHeldError else {}
        extra |= {"reason": "used"} if kind is errors.ConsentError else {}

        problem = problem_of(kind("the words", account="acme/1", **extra))

        assert 400 <= problem.status < 600
        fixed = (errors.UnknownAccountError, errors.NotConnectedError)
        ours = problem.status >= 500 or kind in fixed
        assert ("the words" in problem.detail) is not (ours or problem.title == "Busy")
        assert ("the words" in caplog.text) is (problem.status >= 500)

    @pytest.mark.parametrize(
        "reason", ["denied", "altered", "expired", "used", "other_domain", "code", "a later one"]
    )
    def test_who_consents_is_spoken_to(self, reason):
        """The library speaks of them to the host; the page does not repeat that."""
        refusal = errors.ConsentError("send the person to HubSpot again", reason=reason)

        shown = not_connected(refusal, None)

        assert shown.status_code == 400
        text = shown.body.decode()
        assert re.search(r"\byou\b", text, re.IGNORECASE)
        assert "start again from" in text.lower()
        assert "person" not in text

    def test_no_kind_hides_another(self):
        """The first class that fits counts, so a narrow one comes before a wide one."""
        kinds = [kind[0] for kind in _KINDS]
        hidden = [
            (kind, earlier)
            for place, kind in enumerate(kinds)
            for earlier in kinds[:place]
            if issubclass(kind, earlier)
        ]
        assert hidden == []


def as_bytes(headers):
    """Headers as a client sends them that cares little for rules."""
    return {name: value.encode("latin-1") for name, value in headers.items()}


class TestGuide:
    """The page about the host leaves nothing out."""

    PAGE = (ROOT / "docs" / "guides" / "fastapi.md").read_text("utf-8")

    def test_every_request_is_on_the_page(self):
        """And no other."""
        shown = re.findall(r"^\| `([A-Z]+) (/\S+)` \|", self.PAGE, re.MULTILINE)
        assert [(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in shown] == [
            ("POST", "/accounts/connect"),
            *(one for one in PATHS if one[1] != "/accounts/connect"),
        ]

    def test_every_variable_is_on_the_page(self):
        """As in the docstring of the module that reads them."""
        described = fastapi_host.settings.__doc__
        names = re.findall(r"`(H[A-Z_]+)`", described)

        assert re.findall(r"`(H[A-Z_]+)`", self.PAGE.partition("| Variable")[2]) == names
        read = re.findall(r'"(H[A-Z_]+)"', inspect.getsource(fastapi_host.settings))
        assert set(names) == set(read)

    def test_what_it_needs_is_in_its_list(self):
        """As the package's extra has it."""
        listed = (ROOT / "examples" / "fastapi_host" / "requirements.txt").read_text().split()
        extra = re.search(r"^host = (\[.*\])$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        assert listed == ["hubspot-sync", *json.loads(extra[1])]


class TestKeys:
    """How keys and invitations are kept."""

    def test_a_key_is_kept_as_its_digest(self):
        """What is written into the settings can be read again, and gives nothing away."""
        api_key = new_api_key()
        kept = ApiKey.of("acme:eu", api_key)

        assert ApiKey.parse(str(kept)) == kept
        assert api_key not in str(kept) + repr(kept)
        assert kept.digest.hex() not in repr(kept)
        assert ApiKeys([kept]).domain_of(api_key) == "acme:eu"

    @pytest.mark.parametrize("text", ["acme", "acme:", ":" + "a" * 64, "acme:xyz", "a:" + "b" * 62])
    def test_what_is_no_key(self, text):
        """Is refused in words that do not repeat it."""
        with pytest.raises(ConfigurationError) as caught:
            ApiKey.parse(text)
        assert text not in str(caught.value)

    def test_several_keys_of_one_domain(self):
        """So that a client can change from one to the other."""
        old, new, other = new_api_key(), new_api_key(), new_api_key()
        keys = ApiKeys([ApiKey.of("a", old), ApiKey.of("b", other), ApiKey.of("a", new)])

        assert [keys.domain_of(key) for key in (old, new, other)] == ["a", "a", "b"]
        assert keys.domains == {"a", "b"}

    def test_all_keys_are_compared(self, monkeypatch):
        """However early the right one comes."""
        compared = []
        monkeypatch.setattr(
            "fastapi_host.security.hmac.compare_digest",
            lambda one, other: compared.append(one) or one == other,
        )
        kept = [ApiKey.of("a", "one"), ApiKey.of("b", "two"), ApiKey.of("c", "three")]

        assert ApiKeys(kept).domain_of("one") == "a"
        assert compared == [key.digest for key in kept]

    def test_invitations(self):
        """Open with the keys that sealed them, for ten minutes, as they were."""
        old = CredentialKeys.generate_key()
        sealed = Invitations([old]).seal(Invitation("ac/me", "62515"))

        assert Invitations([KEY, old]).open(sealed) == Invitation("ac/me", "62515")
        assert Invitations([KEY]).open(sealed) is None
        assert Invitations([old]).open(sealed[:-4] + "AAA=") is None
        now = int(time.time())  # noqa: TID251 - of a library that asks the system
        fernet = Invitations([KEY])._fernet
        for age, good in ((590, True), (620, False)):
            text = fernet.encrypt_at_time(b'["acme", null]', now - age).decode()
            assert (Invitations([KEY]).open(text) == Invitation("acme")) is good


class TestSettings:
    """What the environment says."""

    def test_the_least_that_is_needed(self):
        """Everything else has a default, and nothing secret is shown."""
        settings = Settings.from_environment(ENVIRON)

        assert settings.store == "sqlite:///hubspot.db"
        assert settings.workers == 8
        assert settings.sync_due
        assert settings.hubspot == HubSpotSettings()
        assert "hush-secret" not in repr(settings)
        assert KEY not in repr(settings)

    def test_the_way_out(self):
        """As most programs take it from the environment."""
        settings = Settings.from_environment(ENVIRON | {"https_proxy": "http://proxy.example:3128"})

        assert settings.hubspot == HubSpotSettings(proxy="http://proxy.example:3128")

    @pytest.mark.parametrize(
        ("name", "value"),
        [(name, "") for name in ENVIRON]
        + [("HOST_WORKERS", "0"), ("HOST_WORKERS", "x"), ("HOST_API_KEYS", "acme:hush")]
        + [("HUBSPOT_SYNC_KEY", "hush"), ("HUBSPOT_BASE_URL", "hubapi")]
        + [("HOST_SYNC_DUE", "nope"), ("HOST_PUBLIC_URL", "localhost")]
        + [("HOST_PUBLIC_URL", "http://["), ("HOST_PUBLIC_URL", "https://a.example/?b=c")],
    )
    def test_what_is_missing_or_wrong(self, name, value):
        """The message says so in one line."""
        with pytest.raises(ConfigurationError) as caught:
            Settings.from_environment(ENVIRON | {name: value})
        assert "hush" not in str(caught.value)

    def test_a_program_that_cannot_start(self, monkeypatch, capsys):
        """One line on standard error and the status of wrong arguments."""
        monkeypatch.delenv("HOST_API_KEYS", raising=False)

        assert main([]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "HOST_API_KEYS" in line

    def test_a_program_that_makes_keys(self, capsys):
        """What it prints fits together."""
        assert main(["key", "acme"]) == 0
        api_key, kept = re.findall(r": +(\S+)$", capsys.readouterr().out, re.MULTILINE)
        assert ApiKeys([ApiKey.parse(kept)]).domain_of(api_key) == "acme"

    @pytest.mark.parametrize("domain", ["", "a b", "a\tb", "x" * 201])
    def test_a_key_that_could_not_work_is_not_made(self, capsys, domain):
        """`HOST_API_KEYS` is a list with spaces between."""
        assert main(["key", domain]) == 2

        output = capsys.readouterr()
        assert output.out == ""
        assert "no spaces" in output.err

    def test_a_port_that_is_taken(self, capsys):
        """One line, and nothing about what to type."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

            assert main(["--port", str(port), "demo"]) == 2

        output = capsys.readouterr()
        assert output.out == ""
        assert f"127.0.0.1:{port}" in output.err
        assert "--port" in output.err
