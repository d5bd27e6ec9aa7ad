"""What takes actions, and what becomes of those that are refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from hubspot_sync.models import (
    AccountKey,
    Action,
    RejectedAction,
    RejectedCounts,
    RejectedSelection,
    SinkAnswer,
    StreamKey,
)


class ActionSink(Protocol):
    """Takes what the host is told; the one interface that most hosts implement themselves."""

    def write(self, actions: Sequence[Action]) -> SinkAnswer:
        """Store *actions* durably, each id at most once, and say what became of them.

        An action that the answer does not name has been accepted: it survives a crash from now
        on. For each object at most one creation is ever accepted: a creation of an object of
        which the sink holds a creation with another version comes back in `already_created`. A
        sink that cannot tell leaves `already_created` empty; then a crash between its answer and
        the commit of the checkpoint can lead to a second creation.
        A sink that keeps the newest version of each object only has nothing to store of an older
        one, so that one comes back in `repeated`; of one version the highest variant is the
        newest.

        - Empty: no actions is a no-op with an empty answer.
        - Twice: the second time all ids come back in `repeated`, and nothing changes.
        - Racing: of two callers with the same action one gets it accepted, the other repeated.
        - Order: actions on one object are given in ascending order of version, and of one
          version in ascending order of variant.

        Raises:
            StoreUnavailableError: It is not known which actions are stored; the engine repeats
                the whole batch.
            ActionRejectedError: The sink can not take the batch as it is, because of some action
                in it; nothing was stored. With an error queue the engine gives the batch in
                parts then, until the refused actions are found.

        Any other `Exception`, and what is no `SinkAnswer` to these actions, is a mistake of the
        sink's: nothing of the batch is committed, and the run ends with an `InvariantError` that
        names the sink.
        """


class ErasableSink(ActionSink, Protocol):
    """An `ActionSink` that can forget; `Domain.erase` and `Domain.purge` ask those that have this.

    A sink without it is told of each erased object by an action of the kind
    `ActionKind.ERASED`, as every sink is, and named in the report.
    """

    def erase(self, stream: StreamKey, object_ids: Sequence[str]) -> int:
        """Delete the actions and records of these objects; return how many there were.

        What says that an object was erased stays: an action of that kind has no values.

        - Absent and twice: idempotent; the second call returns 0. Empty: no ids delete nothing.
        """

    def purge(self, account: AccountKey) -> int:
        """Delete the actions and records of *account*; return how many there were.

        - Absent and twice: idempotent; the second call returns 0.
        """


class Scrubbable(Protocol):
    """What a sink, an error queue or a checkpointer may have besides, where it keeps files."""

    def scrub(self) -> None:
        """Remove from the files what was deleted or overwritten, so that no byte of it is left.

        - Twice: a file that did not change meanwhile is left alone.

        Raises:
            StoreUnavailableError: Somebody else works with the files now; what was deleted may
                still be in them.
        """


class Validator(Protocol):
    """Looks at each action before the sink does; any function of this form is one."""

    def __call__(self, action: Action) -> str | None:
        """Give None for an action that is fine, else the reason why it is refused.

        The reason is stored and logged, so it should name no values. It may be called from
        several threads at once. What it raises counts as a refusal and goes no further.
        """


class ErrorQueue(Protocol):
    """Keeps the actions that were refused until they are stored, superseded or dropped.

    An object has one place: the newest version of it that was refused. It is kept whole and
    comes back equal, whatever values it has, also such as no sink on the same back end takes.
    Page by page means: at least one failure and at most *limit*; none when there are no more. A
    page may be short because its failures are large.
    """

    def put(self, failures: Sequence[RejectedAction]) -> None:
        """Store *failures* durably, each in the place of its object.

        - Empty: no failures is a no-op.
        - Twice: the later call replaces the earlier one of the same version, whatever its
          variant. A failure of an older version than the one that is held changes nothing.
        - Racing: of two versions of one object the newer one stays.
        """

    def due(self, stream: StreamKey, now: datetime, *, limit: int) -> Sequence[RejectedAction]:
        """Give a page of the failures of *stream* that are due by `RejectedAction.is_due`.

        That are those whose next attempt is not after *now*, or more than 25 hours ahead although
        the last one is in the future, as a wrong clock has it.

        Those that have waited longest come first; parked actions never come.
        """

    def browse(
        self, selection: RejectedSelection, *, limit: int, after: RejectedAction | None = None
    ) -> Sequence[RejectedAction]:
        """Give a page of the failures that fit *selection*, or of those that follow *after*.

        They come in a fixed order, streams one after the other, so that a walk over all pages
        meets every failure that was there all the while once.
        """

    def held(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, int]:
        """Give the versions that are held of *object_ids*, by object id.

        - Absent: an object without a failure has no key. Empty: no ids give an empty mapping.
        """

    def settle(self, stream: StreamKey, versions: Mapping[str, int]) -> None:
        """Forget the failures of these objects, in these versions or older ones.

        - Absent and twice: nothing happens. A failure of a newer version stays.
        """

    def count(self, selection: RejectedSelection) -> Mapping[str, int]:
        """Say how many failures fit *selection*, by object type.

        - Absent: an object type without any has no key.
        """


class ErrorQueueAdmin(Protocol):
    """What people need to look after an `ErrorQueue`; the shipped ones have both.

    `browse` and `count` are those of `ErrorQueue`.
    """

    def browse(
        self, selection: RejectedSelection, *, limit: int, after: RejectedAction | None = None
    ) -> Sequence[RejectedAction]:
        """Give a page of the failures that fit *selection*; see `ErrorQueue.browse`."""

    def count(self, selection: RejectedSelection) -> Mapping[str, int]:
        """Say how many failures fit *selection*, by object type; see `ErrorQueue.count`."""

    def tally(self, accounts: Sequence[AccountKey]) -> Mapping[StreamKey, RejectedCounts]:
        """Count the failures of *accounts*, by stream: those that wait, and the parked ones.

        For a few hundred accounts in one call.

        - Absent: a stream without any has no key. Empty: no accounts give an empty mapping.
        """

    def drop(self, selection: RejectedSelection) -> int:
        """Delete the failures that fit *selection* for good, and say how many they were.

        Their changes never reach the sink, unless the objects are read again. Objects whose
        creation is dropped are created by their next change.

        - Twice: the second time none is left.
        """
