"""A source that reads what a test wrote down, stores for it, and sinks that refuse."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from attrs import evolve

from hubspot_sync import (
    Account,
    ActionKind,
    ActionRejectedError,
    RejectedSelection,
    SinkAnswer,
    StreamSettings,
    SyncSettings,
)
from hubspot_sync.models import (
    Record,
    SkippedRow,
    StreamKey,
    from_milliseconds,
    to_milliseconds,
)
from hubspot_sync.stores.memory import MemoryStores
from hubspot_sync.testing import ManualClock, ScriptedSource
from hubspot_sync.testing.contracts._admin import walk
from kit.support import Recorder, engine_on

ACCOUNT = Account(
    account_id="62515", domain_id="acme", streams=(StreamSettings(object_type="contacts"),)
)
CONTACTS = StreamKey(ACCOUNT.key, "contacts")
ALL = RejectedSelection(account=ACCOUNT.key)
SETTINGS = SyncSettings(batch_size=2, max_rejected_share=1.0)
CREATED = 1_772_447_701_123


def record(object_id: str, version: int = 0, /, **properties: Any) -> Record:
    """A contact, *version* milliseconds after its creation."""
    return Record(
        object_type="contacts",
        object_id=object_id,
        properties={"email": f"{object_id}@example.com", "version": version, **properties},
        created_at=from_milliseconds(CREATED),
        modified_at=from_milliseconds(CREATED + version),
    )


def skipped(object_id: str) -> SkippedRow:
    """A row that is no record."""
    return SkippedRow(object_id=object_id, reason="it has no create date")


def version_of(action: Any) -> int:
    """The *version* that `record` was given."""
    return to_milliseconds(action.modified_at) - CREATED


class Picky:
    """A sink that refuses what a rule says, one by one or the whole batch.

    Without a rule it refuses the objects in `refused`, which a test changes.
    """

    def __init__(self, inner, rule=None, *, whole_batches=False):
        self.inner = inner
        self.refused = set()
        self.rule = rule or (lambda action: action.object_id in self.refused)
        self.whole_batches = whole_batches
        self.sizes = []

    def write(self, actions):
        """Refuse or store."""
        self.sizes.append(len(actions))
        refused = {one.action_id: "it is bad" for one in actions if self.rule(one)}
        if refused and self.whole_batches:
            raise ActionRejectedError("some are bad")
        answer = self.inner.write([one for one in actions if one.action_id not in refused])
        return evolve(answer, refused=refused)


class Forgetful:
    """A sink that keeps everything and cannot tell whether an object was created before."""

    def __init__(self):
        self.actions = []

    def write(self, actions):
        """Repeats are known, creations are not."""
        held = {one.action_id for one in self.actions}
        self.actions += [one for one in actions if one.action_id not in held]
        return SinkAnswer(repeated=frozenset(held & {one.action_id for one in actions}))


class Setting:
    """Memory stores, a scripted source, and engines on them."""

    def __init__(self, *passes, before_page=None):
        self.clock = ManualClock()
        self.stores = evolve(MemoryStores(clock=self.clock), accounts=None)
        self.sink = self.stores.sink
        self.checkpointer = self.stores.checkpointer
        self.passes = list(passes)
        self._begun_at = []
        self.source = ScriptedSource(
            {"contacts": self._pages},
            account_id=ACCOUNT.account_id,
            clock=self.clock,
            before_page=before_page,
        )
        self.queue = self.stores.error_queue
        self.recorder = Recorder()

    def mark(self):
        """How far the stream is."""
        return self.checkpointer.load(CONTACTS).high_water_mark

    def _pages(self, reading):
        """The pages of the next pass, once the mark has moved: it is complete then, and stored."""
        mark = self.mark()
        if self._begun_at and self._begun_at[-1] != mark:
            self.passes = self.passes[1:]
        self._begun_at.append(mark)
        self.clock.advance(timedelta(minutes=1))
        return self.passes[0] if self.passes else []

    def engine(self, **parts):
        """An engine; *parts* replace some of its parts."""
        return engine_on(
            self.stores,
            **{
                "sink": self.sink,
                "checkpointer": self.checkpointer,
                "error_queue": self.queue,
                "open_source": self.source,
                "observers": [self.recorder],
                "settings": SETTINGS,
                "clock": self.clock,
                **parts,
            },
        )

    def sync(self, **parts):
        """One run; the report of its stream."""
        (report,) = self.engine(**parts).sync(ACCOUNT).streams
        return report

    def refusing(self, *object_ids, **how):
        """The sink, but it refuses these objects."""
        return Picky(self.sink, lambda action: action.object_id in object_ids, **how)

    @property
    def queued(self):
        """What is queued, by object id."""
        failures = walk(self.queue)
        return {one.action.object_id: one for one in failures}

    @property
    def told(self):
        """What the sink was told, in order."""
        return told_by(self.sink)


def told_by(sink):
    """What a sink was told, in order."""
    return [(one.object_id, one.kind.value, version_of(one)) for one in sink.actions]


def counted(report):
    """The counts that matter, in a row: delivered, repeated, unchanged, rejected, skipped."""
    counts = report.counts
    return (
        counts.delivered,
        counts.repeated,
        counts.unchanged,
        counts.rejected,
        counts.skipped,
    )


def assert_told_right(sink, newest, *, killed=False):
    """Each object created once, its versions rising, the newest one last; nothing twice.

    Where runs were *killed* between the sink and a commit, the pass that compares tells once more
    of a version of which nobody knows which values the sink has.
    """
    told = told_by(sink)
    assert len({one.action_id for one in sink.actions}) == len(told)
    assert killed or len({(key, version) for key, _, version in told}) == len(told)
    assert {key: version for key, _, version in told} == newest
    assert Counter(
        key for key, kind, _ in told if kind == ActionKind.CREATED.value
    ) == dict.fromkeys(newest, 1)
    for object_id in newest:
        versions = [version for key, _, version in told if key == object_id]
        assert versions == sorted(versions)
