"""What a host can replace: small Protocols, satisfied by structure, nothing to inherit.

Each docstring is the contract, in this order: what a method promises, what "absent" looks like,
what a second call does, what two racing callers get, and which of our errors it raises.
`hubspot_sync.testing.contracts` has one pytest class per Protocol that a store can implement.

Every method of every store may also raise `StoreUnavailableError` when its back end is away, and
leaves what was stored as it was then.
All methods may be called from several threads at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from hubspot_sync.models import (
        Account,
        AccountDetails,
        AccountKey,
        Action,
        Association,
        Checkpoint,
        Credentials,
        Event,
        Failure,
        FailureSelection,
        Fingerprint,
        Lease,
        Page,
        Pass,
        SinkAnswer,
        StoredCredentials,
        StreamKey,
        StreamSettings,
    )


class TokenStore(Protocol):
    """Keeps the credentials of each account."""

    def load(self, account: AccountKey) -> StoredCredentials | None:
        """Give the credentials of *account* and their revision.

        - Absent: None.
        - Twice: the same answer as long as nobody saved.
        - Racing: a load beside a save sees either all of the old or all of the new.

        Raises:
            ConfigurationError: They are stored encrypted and no key at hand opens them.
            InvariantError: They were damaged, or sealed for another account.
        """

    def save(
        self, account: AccountKey, credentials: Credentials, *, expected_revision: int | None
    ) -> StoredCredentials:
        """Store *credentials* if the stored revision is still *expected_revision*.

        None as *expected_revision* means: there are none yet. The first revision is 1, and each
        save adds one, also after a delete.

        - Twice: the second call with the same *expected_revision* is refused.
        - Racing: of two callers with the same *expected_revision* exactly one wins.

        Raises:
            RevisionConflictError: The stored revision is another one; nothing was written.
        """

    def delete(self, account: AccountKey) -> None:
        """Forget the credentials of *account* so that no later load finds them.

        - Absent and twice: nothing happens.
        """


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
        one, so that one comes back in `repeated`.

        - Empty: no actions is a no-op with an empty answer.
        - Twice: the second time all ids come back in `repeated`, and nothing changes.
        - Racing: of two callers with the same action one gets it accepted, the other repeated.
        - Order: actions on one object are given in ascending order of version.

        Raises:
            StoreUnavailableError: It is not known which actions are stored; the engine repeats
                the whole batch.
            ActionRejectedError: The sink can not take the batch as it is, because of some action
                in it; nothing was stored. With an error queue the engine gives the batch in
                parts then, until the refused actions are found.
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

    def put(self, failures: Sequence[Failure]) -> None:
        """Store *failures* durably, each in the place of its object.

        - Empty: no failures is a no-op.
        - Twice: the later call replaces the earlier one. A failure of an older version than the
          one that is held changes nothing.
        - Racing: of two versions of one object the newer one stays.
        """

    def due(self, stream: StreamKey, now: datetime, *, limit: int) -> Sequence[Failure]:
        """Give a page of the failures of *stream* whose next attempt is not after *now*.

        Those that have waited longest come first; dead letters never come.
        """

    def browse(
        self, selection: FailureSelection, *, limit: int, after: Failure | None = None
    ) -> Sequence[Failure]:
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

    def count(self, selection: FailureSelection) -> Mapping[str, int]:
        """Say how many failures fit *selection*, by object type.

        - Absent: an object type without any has no key.
        """


class ErrorQueueAdmin(Protocol):
    """What people need to look after an `ErrorQueue`; the shipped ones have both.

    `browse` and `count` are those of `ErrorQueue`.
    """

    def browse(
        self, selection: FailureSelection, *, limit: int, after: Failure | None = None
    ) -> Sequence[Failure]:
        """Give a page of the failures that fit *selection*; see `ErrorQueue.browse`."""

    def count(self, selection: FailureSelection) -> Mapping[str, int]:
        """Say how many failures fit *selection*, by object type; see `ErrorQueue.count`."""

    def drop(self, selection: FailureSelection) -> int:
        """Delete the failures that fit *selection* for good, and say how many they were.

        Their changes never reach the sink, unless the objects are read again. Objects whose
        creation is dropped are created by their next change.

        - Twice: the second time none is left.
        """

    def erase(self, account: AccountKey, object_type: str, object_ids: Sequence[str]) -> int:
        """Delete all that is kept of these objects, and say of how many there was something.

        For requests to forget a person; the same for the sink is the host's to do.

        - Absent and twice: nothing is left to delete. Empty: no ids delete nothing.
        """


class Checkpointer(Protocol):
    """Keeps the progress of each stream, and who may write it."""

    def acquire(
        self, stream: StreamKey, owner: str, duration: timedelta, *, evict: str | None = None
    ) -> Lease:
        """Take the lease on *stream* for *duration*, with a fence above all that were granted.

        It is granted when nobody holds it, when the holder's time is up by the store's clock, or
        when the holder is *evict*: an owner that the caller knows to be dead.

        - Twice: the same owner is refused while its own first lease runs.
        - Racing: exactly one caller gets it.

        Raises:
            LeaseHeldError: Another owner holds it; its `owner` says who.
        """

    def renew(self, lease: Lease, duration: timedelta) -> Lease:
        """Extend *lease* to *duration* from now; the fence stays.

        - Twice: extends again. A lease whose time is up is renewed as long as nobody took it over.

        Raises:
            LeaseLostError: Another owner took the stream over, or it was released.
        """

    def release(self, lease: Lease) -> None:
        """Give *lease* back so that anybody can acquire the stream at once.

        - Absent, twice and stale: a lease that is not the current one is left alone, silently.
        """

    def load(self, stream: StreamKey) -> Checkpoint:
        """Give the progress of *stream*.

        - Absent: `Checkpoint()`.
        """

    def recall(self, stream: StreamKey, object_ids: Sequence[str]) -> Mapping[str, Fingerprint]:
        """Give the fingerprints committed for *object_ids*, by object id.

        - Absent: an id that is not known has no key. Empty: no ids give an empty mapping.
        """

    def commit(
        self, lease: Lease, checkpoint: Checkpoint, fingerprints: Sequence[Fingerprint] = ()
    ) -> None:
        """Store *checkpoint* and *fingerprints* under *lease*.

        What is stored says that the sink has accepted everything before it, so it may only be
        called after the sink answered. Fingerprints never go back to an older version. After a
        crash inside the call some fingerprints may be stored without the checkpoint, never the
        other way round.

        - Twice: the same again changes nothing.
        - Racing: the holder of the newer fence wins; the other is refused and changes nothing.

        Raises:
            LeaseLostError: The lease is not the current one; nothing was written.
            InvariantError: The high-water mark would fall; nothing was written.
        """


class Source(Protocol):
    """Reads one HubSpot account; made for one run and closed at its end."""

    def identify(self) -> AccountDetails:
        """Ask HubSpot which account the credentials open.

        Raises:
            AccessError: HubSpot does not accept the credentials.
            RetryableError: HubSpot could not be asked.
        """

    def server_time(self) -> datetime:
        """The present time at HubSpot, as its answers tell it; the host's until the first one."""

    def read(self, settings: StreamSettings, reading: Pass) -> Iterator[Page]:
        """Read what is left of a pass, page by page; the last page has no ranges left.

        Every record that lay in the pass when it began, and still does, is in some page; one may
        be in several. Closing the iterator ends the reading.

        Raises:
            RetryableError: Go on later from the ranges of the last page.
            AccessError: HubSpot refuses this object type to these credentials.
            RequestRefusedError: HubSpot does not know the object type.
            ConfigurationError: A property that was asked for by name does not exist.
            StopRequested: The engine was stopped.
        """

    def associations(
        self, object_type: str, to_object_type: str, object_ids: Sequence[str]
    ) -> Mapping[str, tuple[Association, ...]]:
        """Give all associations of the records *object_ids* to *to_object_type*.

        - Absent: a record without any has an empty tuple; every id has a key.

        Raises:
            HubSpotSyncError: As in `read`.
        """

    def api_calls(self) -> Mapping[str, int]:
        """Calls made so far by endpoint class, every try counted."""

    def close(self) -> None:
        """Close the connections. Twice: nothing happens."""


class SourceFactory(Protocol):
    """Opens a `Source` on one account for one run."""

    def __call__(
        self,
        account: Account,
        *,
        stop: threading.Event,
        notify: Callable[[Event], None],
    ) -> Source:
        """Open *account*; every wait of the source ends when *stop* is set.

        Raises:
            ConfigurationError: There are no credentials for the account, or none that open.
        """


class Observer(Protocol):
    """Is told what happens; progress bars, metrics and logs are observers."""

    def notify(self, event: Event) -> None:
        """Take note of *event*, quickly: the run waits for it.

        May be called from several threads at once. What it raises is logged and goes no further.
        """
