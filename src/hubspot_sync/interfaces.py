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

        - Empty: no actions is a no-op with an empty answer.
        - Twice: the second time all ids come back in `repeated`, and nothing changes.
        - Racing: of two callers with the same action one gets it accepted, the other repeated.
        - Order: actions on one object are given in ascending order of version.

        Raises:
            StoreUnavailableError: It is not known which actions are stored; the engine repeats
                the whole batch.
            ActionRejectedError: The sink can take none of the batch as it is; nothing was stored.
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
