"""Reads one account: the `Source` that the engine works with."""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._hubspot.calls.answers import account_details
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.records.associations import InlineKeys, read_batches
from hubspot_sync._hubspot.records.census import Census, NotSearchableError
from hubspot_sync._hubspot.records.list import Listing
from hubspot_sync._hubspot.records.presence import archived, find
from hubspot_sync._hubspot.records.proof import read_list, read_whole
from hubspot_sync._hubspot.records.properties import (
    choose_properties,
    property_set,
    read_definitions,
)
from hubspot_sync._hubspot.records.ranges import END, Walk, WalkPool
from hubspot_sync._hubspot.records.reference import ReferenceData
from hubspot_sync._hubspot.records.search import Searching, is_searchable
from hubspot_sync._hubspot.records.subject import Subject
from hubspot_sync._hubspot.records.values import conversion_for
from hubspot_sync.errors import (
    HubSpotSyncError,
    MissingScopeError,
    RequestRefusedError,
)
from hubspot_sync.models import (
    AccountDetails,
    FoundAssociations,
    IdRange,
    Mode,
    Page,
    PropertySet,
)
from hubspot_sync.models.object_types import is_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from hubspot_sync._clock import Clock
    from hubspot_sync._hubspot.calls.client import HubSpotClient
    from hubspot_sync._hubspot.calls.headers import ServerClock
    from hubspot_sync._hubspot.calls.paths import Paths, Reach
    from hubspot_sync._hubspot.records.properties import Cache, Definitions
    from hubspot_sync._hubspot.records.schemas import ObjectTypes
    from hubspot_sync.models import (
        Account,
        Archived,
        ObjectType,
        Pass,
        Presence,
        Quota,
        StreamSettings,
    )

# At a latency of 0.3 s three reach 5 searches a second.
_SEARCHERS: Final = 3
_BYTES_AHEAD: Final = 16 * 1024 * 1024
_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404
_MORE_WITNESSES: Final = 2
_logger = logging.getLogger("hubspot_sync")


class HubSpotSource:
    """Reads one HubSpot account for one run.

    Args:
        account: The account.
        client: Calls HubSpot for it.
        paths: Where things are.
        definitions: Remembers property definitions between runs.
        object_types: What the account's object types are called.
        reach: How long requests may be.
        clock: Measures how long ago something was asked for.
        server_clock: HubSpot's time.
        sees_all: Asks whether the credentials are those of the account and not of a user.
    """

    def __init__(
        self,
        *,
        account: Account,
        client: HubSpotClient,
        paths: Paths,
        definitions: Cache[Definitions],
        object_types: ObjectTypes,
        reach: Reach,
        clock: Clock,
        server_clock: ServerClock,
        sees_all: Callable[[], bool],
    ) -> None:
        self._account = account
        self._client = client
        self._paths = paths
        self._definitions = definitions
        self._object_types = object_types
        self._reach = reach
        self._clock = clock
        self._server_clock = server_clock
        self._sees_all = sees_all

    def identify(self) -> AccountDetails:
        """Ask HubSpot which account the credentials open."""
        call = Call(
            endpoint="account",
            method="GET",
            path=self._paths.account,
            doing="asking which account the credentials open",
        )
        return self._client.call(call, account_details).content

    def server_time(self, *, latest: bool = False) -> datetime:
        """HubSpot's time; the first time around, a call that is needed anyway tells it.

        Where its answer contradicts other witnesses, more are asked for, by the cheapest call.
        """
        synced = self._synced()
        if synced and not self._server_clock.known:
            self._define(self._object_types.canonical(synced[0]))
        for _ in range(_MORE_WITNESSES):
            if self._server_clock.settled or (synced and not self._server_clock.known):
                break
            # Whatever the answer is, it has a date.
            with suppress(HubSpotSyncError):
                self._client.call(
                    Call(
                        endpoint="account",
                        method="GET",
                        path=self._paths.account,
                        doing="asking what time it is",
                        max_tries=1,
                    ),
                    account_details,
                )
        return self._server_clock.latest() if latest else self._server_clock.now()

    def resolve(self, settings: StreamSettings) -> StreamSettings:
        """The settings with custom types under their ids; see `Source.resolve`."""
        return self._object_types.resolve(settings)

    def object_types(self) -> Sequence[ObjectType]:
        """The custom types of the account."""
        return self._object_types.all_custom()

    def label(self, object_type: str) -> str | None:
        """What people call one object of a custom type; None where HubSpot does not say."""
        return self._object_types.label(object_type)

    def properties(self, settings: StreamSettings, last: PropertySet | None) -> PropertySet:
        """What is read of each record of a stream; *last* is what was read before."""
        if is_reference(settings.object_type):
            return PropertySet(types={}, read=frozenset(), defined_at=self._server_clock.now())
        found = property_set(settings, self._define(settings.object_type, last))
        if last is None or found.defined_at >= last.defined_at or found.types == last.types:
            return found
        # Another process has read newer definitions since these were remembered here.
        return property_set(settings, self._redefine(settings.object_type, last))

    def read(self, settings: StreamSettings, reading: Pass) -> Iterator[Page]:
        """Read what is left of *reading*, page by page."""
        if is_reference(settings.object_type):
            yield self._reference().page(settings.object_type, self.server_time())
            return
        subject = self._subject(settings)
        if reading.object_ids:
            found = subject.page_of(subject.read_by_id(reading.object_ids))
            yield evolve(found, ranges=reading.ranges, listed=reading.listed)
        if not reading.ranges:
            return
        if reading.mode is not Mode.INCREMENTAL:
            pages = self._whole(subject, reading)
        elif any(id_range.listed for id_range in reading.ranges):
            pages = self._listed_instead(subject, reading.ranges)
        else:
            # Where clocks disagree the pass promises no more than all of them allow, but what is
            # there already should not have to wait for that.
            end = reading.end + self._server_clock.spread
            pages = self._searched(subject, evolve(reading, end=end))
        with closing(pages):
            for page in pages:
                self._server_clock.stamped(record.modified_at for record in page.records)
                yield page

    def associations(
        self, object_type: str, to_object_type: str, object_ids: Sequence[str]
    ) -> FoundAssociations:
        """All associations of *object_ids* to *to_object_type*, 1,000 records a call."""
        try:
            return read_batches(
                self._client, self._paths.associations, object_type, to_object_type, object_ids
            )
        except MissingScopeError as error:
            raise _unreadable(object_type, to_object_type, error) from error

    def find(self, settings: StreamSettings, object_ids: Sequence[str]) -> Presence:
        """What became of *object_ids*; see `Source.find`."""
        if is_reference(settings.object_type):
            return self._reference().find(settings.object_type, object_ids, self.server_time())
        return find(self._subject(settings), object_ids)

    def archived(self, settings: StreamSettings, after: str | None) -> Iterator[Archived]:
        """The list of deleted records; see `Source.archived`."""
        return archived(self._subject(settings), after)

    def count(
        self, settings: StreamSettings, *, after: str | None = None, until: str | None = None
    ) -> int | None:
        """How many records search knows; see `Source.count`."""
        first = 0 if after is None else int(after) + 1
        end = END if until is None else int(until)
        try:
            return Census(self._subject(settings)).count(first, end)
        except NotSearchableError:
            return None

    def sees_all(self) -> bool:
        """Whether absence means anything; see `Source.sees_all`."""
        return self._sees_all()

    def api_calls(self) -> Mapping[str, int]:
        """Calls so far by endpoint class."""
        return self._client.api_calls()

    def quota(self) -> Quota:
        """How often HubSpot may be asked; see `Source.quota`."""
        return self._client.quota()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _synced(self) -> list[str]:
        """The object types whose records the account has read."""
        names = (wanted.object_type for wanted in self._account.streams)
        return [name for name in names if not is_reference(name)]

    def _reference(self) -> ReferenceData:
        return ReferenceData(
            client=self._client,
            paths=self._paths,
            object_types=[self._object_types.canonical(name) for name in self._synced()],
        )

    def _subject(self, settings: StreamSettings) -> Subject:
        definitions = self._define(settings.object_type).all
        self._object_types.check_associations(settings.object_type, settings.associations)
        return Subject(
            client=self._client,
            paths=self._paths,
            settings=settings,
            names=choose_properties(settings, definitions),
            convert=conversion_for(definitions, raw=settings.raw_values),
            reach=self._reach,
            inline_keys=InlineKeys(
                {name: self._object_types.spellings(name) for name in settings.associations}
            ),
        )

    def _searched(self, subject: Subject, reading: Pass) -> Generator[Page, None, None]:
        """Read a window; by the list, where HubSpot refuses to search the object type."""
        searching = Searching(subject=subject, reading=reading)
        pool = WalkPool(searching, reading.ranges, width=_SEARCHERS, max_bytes=_BYTES_AHEAD)
        try:
            yield from pool.pages()
        except RequestRefusedError as error:
            if is_searchable(subject, error):
                raise
            _logger.warning(
                "%s/%s: HubSpot refuses to search it (%s), so all of it is listed to find changes, "
                "at a call for 100 records",
                *(self._account.key, subject.object_type, error.message),
            )
            yield from self._listed_instead(subject, (IdRange(listed=True),))

    def _listed_instead(
        self, subject: Subject, ranges: Sequence[IdRange]
    ) -> Generator[Page, None, None]:
        """Read the list where a search is refused; what is known already is recognised."""
        gap = (
            f"HubSpot refuses to search {subject.object_type}, so changes were found by the list, "
            "which nothing can be held against"
        )
        for page in read_list(Listing(subject=subject), ranges):
            left = tuple(evolve(id_range, listed=True) for id_range in page.ranges)
            yield evolve(page, ranges=left, gaps=() if left else (gap,))

    def _whole(self, subject: Subject, reading: Pass) -> Generator[Page, None, None]:
        try:
            yield from read_whole(Listing(subject=subject), reading)
        except MissingScopeError as error:
            self._find_unreadable(subject.settings, error)
            raise

    def _find_unreadable(self, settings: StreamSettings, refused: MissingScopeError) -> None:
        """Say which associations may not be read, where it is not the records themselves.

        HubSpot refuses the whole list for want of a scope of the associated type.

        Raises:
            MissingScopeError: It is the associations.
        """
        if not settings.associations:
            return
        subject = self._subject(evolve(settings, associations=()))
        try:
            next(Listing(subject=subject).read(Walk(IdRange())))
        except HubSpotSyncError:
            return
        for other in settings.associations:
            self.associations(settings.object_type, other, ["0"])
        named = " and ".join(settings.associations)
        raise _unreadable(settings.object_type, named, refused) from refused

    def _define(self, object_type: str, last: PropertySet | None = None) -> Definitions:
        held = self._definitions.get((self._account.key, object_type))
        return self._redefine(object_type, last) if held is None else held

    def _redefine(self, object_type: str, last: PropertySet | None) -> Definitions:
        found = self._read_definitions(object_type, last)
        self._definitions.put((self._account.key, object_type), found)
        return found

    def _read_definitions(self, object_type: str, last: PropertySet | None) -> Definitions:
        try:
            return read_definitions(
                self._client,
                self._paths.properties,
                object_type,
                now=self._server_clock.now,
                clock=self._clock,
                last=last,
            )
        except RequestRefusedError as error:
            if error.status not in (_BAD_REQUEST, _NOT_FOUND):
                raise
            hint = self._object_types.suggestion(object_type)
            raise RequestRefusedError(
                f"HubSpot knows no object type {object_type!r}{hint}: {error.message}",
                category=error.category,
                status=error.status,
                correlation_id=error.correlation_id,
            ) from error


def _unreadable(
    object_type: str, to_object_type: str, error: MissingScopeError
) -> MissingScopeError:
    return MissingScopeError(
        f"the credentials may read {object_type}, but not which {to_object_type} they are "
        f"associated with: {error.message}; or leave {to_object_type} out of "
        "StreamSettings(associations=...)",
        scopes=error.scopes,
        status=error.status,
        correlation_id=error.correlation_id,
    )
