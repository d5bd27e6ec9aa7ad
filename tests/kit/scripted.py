"""A source that reads what a test wrote down, stores for it, and sinks that refuse."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import evolve

from hubspot_sync import (
    Account,
    ActionKind,
    ActionRejectedError,
    FailureSelection,
    SinkAnswer,
    StreamSettings,
    SyncEngine,
    SyncSettings,
)
from hubspot_sync.models import (
    AccountDetails,
    IdRange,
    Page,
    PropertySet,
    Record,
    SkippedRow,
    StreamKey,
    from_milliseconds,
    to_milliseconds,
)
from hubspot_sync.stores.memory import (
    MemoryActionSink,
    MemoryCheckpointer,
    MemoryErrorQueue,
    MemoryTokenStore,
)
from hubspot_sync.testing import ManualClock
from hubspot_sync.testing.contracts._operating import walk
from kit.support import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ACCOUNT = Account(
    account_id="62515", domain_id="acme", streams=(StreamSettings(object_type="contacts"),)
)
CONTACTS = StreamKey(ACCOUNT.key, "contacts")
ALL = FailureSelection(account=ACCOUNT.key)
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


class ScriptedSource:
    """Gives the pages of each pass in turn, again until it is complete; then empty passes.

    Args:
        passes: For each pass its pages, and for each page what it holds.
        clock: Tells the server's time.
        mark: Gives the high-water mark, which moves when a pass is complete.
        before_page: Called before a page is given, with its number.
    """

    def __init__(
        self,
        passes: Sequence[Sequence[Sequence[Record | SkippedRow]]],
        clock: ManualClock,
        mark: Callable[[], Any],
        before_page: Callable[[int], None] = lambda number: None,
    ) -> None:
        self.passes = [list(pages) for pages in passes]
        self._clock = clock
        self._mark = mark
        self._begun_at: list[Any] = []
        self.rows_given = 0
        self.page_size = 0
        self._before_page = before_page

    def __call__(self, account: Account, **_: Any) -> ScriptedSource:
        """A factory of itself."""
        return self

    def identify(self) -> AccountDetails:
        """The account that it was made for."""
        return AccountDetails(account_id=ACCOUNT.account_id)

    def server_time(self, **_: Any) -> Any:
        """The clock's, a minute later than at the time before."""
        return self._clock.advance(timedelta(minutes=1))

    def label(self, object_type: Any) -> None:
        """HubSpot's own types have none."""

    def properties(self, settings: Any, last: Any) -> PropertySet:
        """Always the same."""
        return PropertySet(digest="all", defined=3, defined_at=from_milliseconds(CREATED))

    def read(self, settings: Any, reading: Any) -> Iterator[Page]:
        """The pages of the next pass, from where the last run ended."""
        mark = self._mark()
        if self._begun_at and self._begun_at[-1] != mark:
            self.passes = self.passes[1:]
        self._begun_at.append(mark)
        pages = self.passes[0] if self.passes else [[]]
        start = int(reading.ranges[0].after or 0)
        for number, rows in enumerate(pages[start:], start=start + 1):
            self._before_page(number)
            last = number == len(pages)
            self.rows_given += len(rows)
            yield Page(
                records=tuple(row for row in rows if isinstance(row, Record)),
                skipped=tuple(row for row in rows if isinstance(row, SkippedRow)),
                ranges=() if last else (IdRange(after=str(number)),),
                size=self.page_size,
            )

    def associations(self, *_: Any) -> Any:
        """There are none."""
        raise AssertionError("nobody asked for associations")

    def api_calls(self) -> dict[str, int]:
        """None."""
        return {}

    def close(self) -> None:
        """Nothing to close."""


def version_of(action: Any) -> int:
    """The *version* that `record` was given."""
    return to_milliseconds(action.modified_at) - CREATED


class Picky:
    """A sink that refuses what a rule says, one by one or the whole batch."""

    def __init__(self, inner, rule, *, whole_batches=False):
        self.inner = inner
        self.rule = rule
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

    def __init__(self, *passes, before_page=lambda number: None):
        self.clock = ManualClock()
        self.sink = MemoryActionSink()
        self.checkpointer = MemoryCheckpointer(clock=self.clock)
        self.source = ScriptedSource(passes, self.clock, self.mark, before_page)
        self.queue = MemoryErrorQueue()
        self.recorder = Recorder()

    def mark(self):
        """How far the stream is."""
        return self.checkpointer.load(CONTACTS).high_water_mark

    def engine(self, **parts):
        """An engine; *parts* replace some of its parts."""
        return SyncEngine(
            **{
                "open_source": self.source,
                "tokens": MemoryTokenStore(),
                "sink": self.sink,
                "checkpointer": self.checkpointer,
                "error_queue": self.queue,
                "observers": [self.recorder],
                "settings": SETTINGS,
                "clock": self.clock,
                **parts,
            }
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


def assert_told_right(sink, newest):
    """Each object created once, its versions rising, the newest one last; nothing twice."""
    told = told_by(sink)
    assert len({(key, version) for key, _, version in told}) == len(told)
    assert {key: version for key, _, version in told} == newest
    assert Counter(
        key for key, kind, _ in told if kind == ActionKind.CREATED.value
    ) == dict.fromkeys(newest, 1)
    for object_id in newest:
        versions = [version for key, _, version in told if key == object_id]
        assert versions == sorted(versions)
