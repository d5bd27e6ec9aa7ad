"""What reads HubSpot, and who is told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from hubspot_sync.models import (
    Account,
    AccountDetails,
    Archived,
    Event,
    FoundAssociations,
    ObjectType,
    Page,
    Pass,
    Presence,
    PropertySet,
    Quota,
    StreamSettings,
)


class SourceSchema(Protocol):
    """Says what the records of an account look like, as far as that is not for the host to say."""

    def resolve(self, settings: StreamSettings) -> StreamSettings:
        """Return *settings* with each object type under the name that is kept of it.

        That is the id of a custom type, whichever of its names is given, so that it is one stream
        and one key of associations. All other methods are given settings that are resolved.

        Raises:
            ConfigurationError: There is no such type, or there are several.
            MissingScopeError: Only the schemas tell, and the credentials may not read them.
            RetryableError: HubSpot could not be asked.
        """

    def object_types(self) -> Sequence[ObjectType]:
        """Return the custom types of the account; none where the schemas may not be read.

        Raises:
            RetryableError: HubSpot could not be asked.
        """

    def label(self, object_type: str) -> str | None:
        """What people call one object of *object_type*; None for HubSpot's own types.

        It is part of the names of actions ("Pet Created"). None, too, where HubSpot does not say.

        Raises:
            RetryableError: HubSpot could not be asked.
        """

    def properties(self, settings: StreamSettings, last: PropertySet | None) -> PropertySet:
        """What is read of each record: properties and associations.

        Args:
            settings: What is wanted.
            last: What was read before; a list of properties that is much shorter needs evidence.

        Raises:
            HubSpotSyncError: As in `Source.read`.
        """


class SourceEvidence(Protocol):
    """Says whether records that were there before are there still, and why not."""

    def find(self, settings: StreamSettings, object_ids: Sequence[str]) -> Presence:
        """Say what became of *object_ids*: there, deleted, merged into another one, or gone.

        - Absent: an id that HubSpot gives no answer for is among the skipped rows of the page, to
          be asked for again, and in no other part of the answer.

        Raises:
            HubSpotSyncError: As in `Source.read`.
        """

    def archived(self, settings: StreamSettings, after: str | None) -> Iterator[Archived]:
        """List the deleted records of the last 90 days, page by page.

        Args:
            settings: What is wanted.
            after: Where to go on, as a page before said; None for the beginning.

        Raises:
            HubSpotSyncError: As in `Source.read`.
        """

    def count(
        self, settings: StreamSettings, *, after: str | None = None, until: str | None = None
    ) -> int | None:
        """Count the records with ids behind *after* and before *until*.

        Search counts, so what was created or deleted in the last seconds may be missing or
        counted still. None where the object type cannot be searched.

        Raises:
            HubSpotSyncError: As in `Source.read`.
        """

    def sees_all(self) -> bool:
        """Whether the credentials show all records of the account, and not those of one user.

        Where they are a user's, a record vanishes when the user may not see it any more, so
        nothing follows from its absence.

        Raises:
            HubSpotSyncError: As in `Source.read`.
        """


class SourceCosts(Protocol):
    """What reading an account costs, and may cost."""

    def api_calls(self) -> Mapping[str, int]:
        """Calls made so far by endpoint class, every try counted."""

    def quota(self) -> Quota:
        """How often HubSpot may be asked for the account, as far as its answers so far say so."""


class Source(SourceSchema, SourceEvidence, SourceCosts, Protocol):
    """Reads one HubSpot account; made for one run and closed at its end."""

    def identify(self) -> AccountDetails:
        """Ask HubSpot which account the credentials open.

        Raises:
            AccessError: HubSpot does not accept the credentials.
            RetryableError: HubSpot could not be asked.
        """

    def server_time(self, *, latest: bool = False) -> datetime:
        """The present time at HubSpot, as its answers tell it; the host's until the first one.

        Where witnesses disagree, it is the earliest time that any of them says, so that no window
        ends in the future; with *latest* the latest one. The engine asks for that only to find out
        whether a stored instant lies in HubSpot's future.
        """

    def read(self, settings: StreamSettings, reading: Pass) -> Iterator[Page]:
        """Read what is left of a pass, page by page; the last page has no ranges left.

        What the pass names by id comes first, each id as a record, skipped or absent.

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
    ) -> FoundAssociations:
        """Read all associations of the records *object_ids* to *to_object_type*.

        - Absent: every id is in one of the two parts of the answer; a record that HubSpot says
          has none is found, with an empty tuple.

        Raises:
            HubSpotSyncError: As in `read`.
        """

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
            NotConnectedError: There are no credentials for the account.
            ConfigurationError: There are none that open.
        """


class Observer(Protocol):
    """Is told what happens; progress bars, metrics and logs are observers."""

    def notify(self, event: Event) -> None:
        """Take note of *event*, quickly: the run waits for it.

        May be called from several threads at once. What it raises is logged and goes no further.
        """
