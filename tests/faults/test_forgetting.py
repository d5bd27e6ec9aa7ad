"""The plug is pulled at every call of an erasure and of a purge; the same call again ends them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import count

import pytest
from attrs import evolve, fields

from hubspot_sync import (
    AccountStatus,
    ActionKind,
    HubSpotSettings,
    StaticAccessToken,
    StreamSettings,
    SyncEngine,
    SyncSettings,
    UnknownAccountError,
)
from hubspot_sync.models import AccountKey, Gone, RejectedSelection, StreamKey
from hubspot_sync.stores import Stores
from hubspot_sync.testing import ManualClock
from kit.back_ends import BACK_ENDS, back_end
from kit.canaries import Canaries
from kit.plug import Plug, Powered
from kit.support import Crash

# The name of a call, and whether the sink is a mirror.
ERASING = (
    *((name, False) for name in ("acquire", "load", "browse", "held", "recall", "commit")),
    *((name, False) for name in ("settle", "erase", "scrub", "write", "release")),
    *((name, True) for name in ("commit", "erase", "write")),
)
PURGING = (
    *("load", "streams", "acquire", "save", "delete", "drop", "purge", "forget"),
    *("scrub", "release"),
)
EMAIL = "canary-somebody-to-forget@example.com"
# At the first calls of each kind, in the long form at all.
LIVES = (1, pytest.param(None, marks=[pytest.mark.long, pytest.mark.timeout(600)]))
SETTINGS = SyncSettings(
    batch_size=20, lease_duration=timedelta(milliseconds=1), max_rejected_share=1.0
)
HOUR = timedelta(hours=1)
CONTACTS = [StreamSettings("contacts")]


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def emulator(hubspot_emulator, clock):
    emulator = hubspot_emulator(contacts=30, companies=5, clock=clock)
    emulator.create("contacts", {"email": EMAIL})
    return emulator


@pytest.fixture
def person(emulator):
    return next(
        one for one, held in emulator.records("contacts").items() if EMAIL in str(held.properties)
    )


@pytest.fixture(params=BACK_ENDS)
def on(request, clock, tmp_path):
    on = back_end(request, clock, tmp_path)
    yield on
    on.stores.close()


@pytest.fixture
def process(on, emulator, clock):
    """An engine in a new process, on the same stores."""

    def start(plug=None, *, mirror=False, validators=()):
        stores = evolve(on.stores, sink=on.mirror) if mirror else on.stores
        names = [one.name for one in fields(Stores) if one.name not in ("close", "nonces")]
        powered = {name: Powered(plug or Plug(), getattr(stores, name)) for name in names}
        return SyncEngine(
            evolve(stores, **powered, close=lambda: None),
            hubspot=HubSpotSettings(
                base_url=emulator.base_url, burst_limit=None, search_limit=None
            ),
            settings=SETTINGS,
            validators=validators,
            observers=[],
            clock=clock,
        )

    return start


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
@pytest.mark.parametrize("lives", LIVES)
@pytest.mark.parametrize(("arrow", "mirror"), ERASING)
def test_an_erasure_that_was_cut_off(
    on, emulator, clock, person, process, arrow, mirror, answered, lives
):
    """Syncs in between bring nothing back; one more erasure leaves one tombstone and no byte."""
    skip_without_files(on, arrow)
    for life in count(1):
        name = f"life {life}"
        stream = StreamKey(AccountKey(name, "62515"), "contacts")
        load(process, name, emulator, person, clock, mirror=mirror)
        plug = Plug(arrow, life, answered=answered)

        with suppress(Crash):
            process(plug, mirror=mirror).domain(name).erase("62515", "contacts", [person])
        work_on(process, name, emulator, person, clock, mirror=mirror)
        process(mirror=mirror).domain(name).erase("62515", "contacts", [person])
        work_on(process, name, emulator, person, clock, mirror=mirror)

        kept = on.records() if mirror else on.actions()
        kept = [one for one in kept if one.account == stream.account]
        (told,) = (one for one in kept if one.object_id == person)
        assert (told.kind, dict(told.properties)) == (ActionKind.ERASED, {})
        assert len({one.object_id for one in kept}) == 31
        assert on.stores.error_queue.held(stream, [person]) == {}
        known = on.stores.checkpointer.recall(stream, [person])[person]
        assert (known.gone, bool(known.digest)) == (Gone.ERASED, True)
        assert on.scan(Canaries(email=EMAIL)) == set()
        assert plug.pulled or life > 1
        if not plug.pulled or life == lives:
            break


def skip_without_files(on, arrow):
    if arrow == "scrub" and not hasattr(on.stores.sink, "scrub"):
        pytest.skip("this back end has no files that could be scrubbed")


def load(process, name, emulator, person, clock, *, mirror):
    """Load an account; then the person is changed, and the change refused."""
    domain = process(mirror=mirror).domain(name)
    domain.connect(StaticAccessToken(access_token=emulator.access_token), streams=CONTACTS)
    domain.sync("62515").raise_for_failure()
    emulator.touch("contacts", object_ids=[person])
    clock.advance(HOUR)
    picky = process(
        mirror=mirror, validators=[lambda one: "no" if one.object_id == person else None]
    )
    picky.domain(name).sync("62515").raise_for_failure()
    assert domain.rejected_counts("62515") == {"contacts": 1}


def work_on(process, name, emulator, person, clock, *, mirror):
    """Change the person, and let a scheduler do all that it can do."""
    clock.advance(HOUR)
    emulator.touch("contacts", object_ids=[person])
    clock.advance(HOUR)
    domain = process(mirror=mirror).domain(name)
    domain.sync("62515").raise_for_failure()
    domain.redrive("62515").raise_for_failure()
    domain.reconcile("62515")
    domain.sync("62515").raise_for_failure()


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "before its answer"])
@pytest.mark.parametrize("lives", LIVES)
@pytest.mark.parametrize("arrow", PURGING)
def test_a_purge_that_was_cut_off(on, emulator, clock, person, process, arrow, answered, lives):
    """A scheduler in between brings nothing back; one more purge leaves nothing."""
    skip_without_files(on, arrow)
    for life in count(1):
        name = f"life {life}"
        key = AccountKey(name, "62515")
        load(process, name, emulator, person, clock, mirror=False)
        plug = Plug(arrow, life, answered=answered)

        with suppress(Crash):
            process(plug).domain(name).purge("62515")
        before = sum(one.account == key for one in on.actions())
        entry = on.stores.accounts.load(key)
        begun = entry is None or entry.status is AccountStatus.DISABLED
        clock.advance(HOUR)
        emulator.touch("contacts", object_ids=[person])
        clock.advance(HOUR)
        process().domain(name).sync_all()
        after = sum(one.account == key for one in on.actions())
        assert before == after if begun else before <= after
        domain = process().domain(name)
        domain.purge("62515")

        assert [one for one in on.actions() if one.account == key] == []
        with pytest.raises(UnknownAccountError):
            domain.account("62515")
        assert on.stores.tokens.load(key) is None
        assert on.stores.error_queue.count(RejectedSelection(account=key)) == {}
        for stream in on.stores.checkpointer.streams(key):
            assert list(on.stores.checkpointer.browse(stream, limit=5)) == []
        assert on.scan(Canaries(email=EMAIL)) == set()
        assert plug.pulled or life > 1
        if not plug.pulled or life == lives:
            break
