"""What several test modules put together in the same way."""

from __future__ import annotations

import threading
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from attrs import evolve, fields

from hubspot_sync import (
    Account,
    HubSpotSettings,
    StaticAccessToken,
    Stores,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync._hubspot.connector import HubSpotConnector
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import HubSpotEmulator, ManualClock

ACCOUNT = Account(account_id="62515", domain_id="acme")


def truth_of(emulator: HubSpotEmulator, object_type: str, object_id: str) -> dict[str, Any]:
    """What a record of the emulator's holds, as a host should get it.

    Converted here without the library's help, and only for the forms that the emulator seeds.
    """
    definitions = emulator.definitions(object_type)
    return {
        name: converted(text, definitions[name].type, definitions[name].field_type)
        for name, text in emulator.records(object_type)[object_id].properties.items()
    }


def converted(text: str | None, kind: str, field_type: str) -> Any:
    """A well-formed value by the table of HubSpot's types."""
    if not text:
        return None
    if (kind, field_type) == ("enumeration", "checkbox"):
        return tuple(text.split(";"))
    return {
        "bool": lambda: {"true": True, "false": False}[text],
        "number": lambda: Decimal(text) if "." in text else int(text),
        "date": lambda: _instant(f"{text}T00:00:00.000Z").date(),
        "datetime": lambda: _instant(text) if "-" in text else _since_1970(int(text)),
    }.get(kind, lambda: text)()


def _instant(text: str) -> datetime:
    whole = text if "." in text else text.replace("Z", ".000Z")
    return datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S.%f%z")


def _since_1970(milliseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=milliseconds)


def as_json(value: Any) -> Any:
    """A value as the docs say that it stands in JSON, read with all digits of its numbers."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
    if isinstance(value, date):
        return f"{value.year:04}-{value.month:02}-{value.day:02}"
    return list(value) if isinstance(value, tuple) else value


def from_bson(value: Any) -> Any:
    """What a value stands for that the driver of MongoDB gave."""
    from bson.decimal128 import Decimal128
    from bson.int64 import Int64

    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, Int64):
        return int(value)
    if isinstance(value, float):
        return Decimal(value)
    return tuple(value) if isinstance(value, list) else value


class Crash(BaseException):
    """The process dies here."""


class Dying:
    """A sink that takes some batches, and dies before it can say so of the last one."""

    def __init__(self, sink: Any, batches: int = 1) -> None:
        self._sink = sink
        self._batches = batches

    def write(self, actions: Any) -> Any:
        """Store them, or die."""
        answer = self._sink.write(actions)
        self._batches -= 1
        if not self._batches:
            raise Crash
        return answer


class Recorder:
    """An observer that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def notify(self, event: Any) -> None:
        """Keep *event*."""
        self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


def engine_on(stores: Stores, **given: Any) -> SyncEngine:
    """An engine on *stores* with some of them replaced, or left out where None is given."""
    names = {field.name for field in fields(Stores)}
    replaced = {name: part for name, part in given.items() if name in names}
    rest = {name: part for name, part in given.items() if name not in names}
    return SyncEngine(evolve(stores, **replaced), **rest)


class Host:
    """A host with memory stores, which can start engines on one emulator again and again."""

    def __init__(self, emulator: HubSpotEmulator, clock: Any = None, **hubspot: Any) -> None:
        self.emulator = emulator
        # HubSpot's midnight and the host's must not depend on the day on which a test runs.
        self.clock = clock or ManualClock(emulator.clock.now())
        self.hubspot = HubSpotSettings(
            **{
                "base_url": emulator.base_url,
                "burst_limit": None,
                "search_limit": None,
                **hubspot,
            }
        )
        # Without an error queue, as without accounts, unless a test brings its own.
        self.stores = evolve(
            MemoryStores(clock=self.clock), accounts=None, nonces=None, error_queue=None
        )
        self.tokens = self.stores.tokens
        self.sink = self.stores.sink
        self.checkpointer = self.stores.checkpointer
        self.recorder = Recorder()
        self.oauth_app = None
        token = StaticAccessToken(access_token=emulator.access_token)
        self.tokens.save(ACCOUNT.key, token, expected_revision=None)

    def source_factory(self) -> Any:
        """Opens accounts on the emulator."""
        return HubSpotConnector(
            settings=self.hubspot, tokens=self.tokens, app=self.oauth_app, clock=self.clock
        )

    def source(self, account: Account = ACCOUNT) -> Any:
        """One account, opened."""
        return self.source_factory()(account, stop=threading.Event(), notify=self.recorder.notify)

    def engine(self, **parts: Any) -> SyncEngine:
        """An engine on the host's stores; *parts* replace some of them."""
        settings = parts.pop("settings", None) or SyncSettings(batch_size=100)
        return engine_on(
            self.stores,
            **{
                "tokens": self.tokens,
                "sink": self.sink,
                "checkpointer": self.checkpointer,
                "hubspot": self.hubspot,
                "oauth_app": self.oauth_app,
                "observers": [self.recorder],
                "settings": settings,
                "clock": self.clock,
                **parts,
            },
        )
