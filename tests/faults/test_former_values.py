"""A property that goes back to a former value around a crash: the host must hear of it."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from hubspot_sync import SyncSettings
from hubspot_sync.testing import ManualClock
from kit.support import ACCOUNT, Crash, Host

LEASE = timedelta(seconds=60)
SETTINGS = SyncSettings(lease_duration=LEASE)


class Around:
    """A sink that does something before or after its first write."""

    def __init__(self, sink, *, before=None, after=None):
        self._sink = sink
        self._before, self._after = before, after

    def write(self, actions):
        before, self._before = self._before, None
        if before is not None:
            before()
        answer = self._sink.write(actions)
        if self._after is not None:
            raise self._after
        return answer


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def host(hubspot_emulator, clock):
    host = Host(hubspot_emulator(contacts=1, companies=1, clock=clock), clock)
    rename(host, "Galway")
    host.engine(settings=SETTINGS).sync(ACCOUNT)
    return host


def rename(host, city):
    """Set the contact's city, well apart from every other change."""
    (contact,) = host.emulator.records("contacts")
    host.clock.advance(timedelta(seconds=10))
    host.emulator.update("contacts", contact, {"city": city})
    host.clock.advance(timedelta(seconds=10))


def cities(host):
    """What the host was told, by version."""
    actions = [one for one in host.sink.actions if one.object_type == "contacts"]
    return [one.properties["city"] for one in sorted(actions, key=lambda one: one.version)]


def sync(host, **parts):
    host.engine(settings=SETTINGS, **parts).sync(ACCOUNT)


def test_a_change_taken_back_after_a_crash_is_delivered(host):
    """The sink took "Cork", the commit never came; then it is "Galway" again."""
    rename(host, "Cork")
    with suppress(Crash):
        sync(host, sink=Around(host.sink, after=Crash()))
    assert cities(host) == ["Galway", "Cork"]
    rename(host, "Galway")

    sync(host)

    assert cities(host) == ["Galway", "Cork", "Galway"]


def test_a_change_taken_back_while_an_owner_was_stalled_is_delivered(host):
    """A stalled owner hands "Cork" to the sink after another one has seen "Galway" again."""
    rename(host, "Cork")

    def stall():
        host.clock.advance(LEASE * 2)
        rename(host, "Galway")
        sync(host)

    sync(host, sink=Around(host.sink, before=stall))
    sync(host)

    assert cities(host)[-1] == "Galway"
