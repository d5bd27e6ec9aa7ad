"""Reads one account: the `Source` that the engine works with."""

from __future__ import annotations

import logging
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from attrs import evolve

from hubspot_sync._hubspot.answers import account_details
from hubspot_sync._hubspot.associations import read_batches
from hubspot_sync._hubspot.client import Call
from hubspot_sync._hubspot.listing import Listing, OrderNotKeptError
from hubspot_sync._hubspot.properties import choose_properties, found_nowhere, read_definitions
from hubspot_sync._hubspot.searching import Searching
from hubspot_sync._hubspot.subject import Subject
from hubspot_sync._hubspot.values import conversion_for
from hubspot_sync._hubspot.walk_pool import WalkPool
from hubspot_sync.errors import HubSpotSyncError, HubSpotUnavailableError
from hubspot_sync.models import AccountDetails, IdRange, Mode

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from hubspot_sync._hubspot.client import HubSpotClient
    from hubspot_sync._hubspot.paths import Paths
    from hubspot_sync._hubspot.properties import DefinitionCache
    from hubspot_sync._hubspot.server_clock import ServerClock
    from hubspot_sync._hubspot.walks import RangeReader
    from hubspot_sync.models import (
        Account,
        Association,
        Page,
        Pass,
        PropertyDefinition,
        StreamSettings,
    )

# At a latency of 0.3 s six reach 190 list calls in ten seconds, the others make up for slower
# answers; three reach 5 searches a second. How many really run is decided by what there is to read.
_LISTERS: Final = 8
_SEARCHERS: Final = 3
_BYTES_AHEAD: Final = 16 * 1024 * 1024
_FRESH_STARTS: Final = 3
_MORE_WITNESSES: Final = 2
_logger = logging.getLogger("hubspot_sync")


class HubSpotSource:
    """Reads one HubSpot account for one run.

    Args:
        account: The account.
        client: Calls HubSpot for it.
        paths: Where things are.
        definitions: Remembers property definitions between runs.
        server_clock: HubSpot's time.
    """

    def __init__(
        self,
        *,
        account: Account,
        client: HubSpotClient,
        paths: Paths,
        definitions: DefinitionCache,
        server_clock: ServerClock,
    ) -> None:
        self._account = account
        self._client = client
        self._paths = paths
        self._definitions = definitions
        self._server_clock = server_clock
        self._defined: dict[str, tuple[StreamSettings, tuple[PropertyDefinition, ...]]] = {}

    def identify(self) -> AccountDetails:
        """Ask HubSpot which account the credentials open."""
        reply = self._client.call(
            Call(
                endpoint="account",
                method="GET",
                path=self._paths.account,
                doing="asking which account the credentials open",
            )
        )
        return account_details(reply.body)

    def server_time(self, *, latest: bool = False) -> datetime:
        """HubSpot's time; the first time around, a call that is needed anyway tells it.

        Where its answer contradicts other witnesses, more are asked for, by the cheapest call.
        """
        if not self._server_clock.known:
            self._define(self._account.streams[0].object_type)
        for _ in range(_MORE_WITNESSES):
            if self._server_clock.settled or not self._server_clock.known:
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
                    )
                )
        return self._server_clock.latest() if latest else self._server_clock.now()

    def read(self, settings: StreamSettings, reading: Pass) -> Iterator[Page]:
        """Read what is left of *reading*, page by page."""
        definitions = self._define(settings.object_type)
        self._check_names(settings, definitions)
        subject = Subject(
            client=self._client,
            paths=self._paths,
            settings=settings,
            names=choose_properties(settings, definitions),
            convert=conversion_for(definitions, raw=settings.raw_values),
        )
        if reading.mode is Mode.INCREMENTAL:
            # Where clocks disagree the pass promises no more than all of them allow, but what is
            # there already should not have to wait for that.
            reading = evolve(reading, end=reading.end + self._server_clock.spread)
            searching = Searching(subject=subject, reading=reading)
            pages = _pool(searching, reading.ranges, _SEARCHERS).pages()
        else:
            pages = _list(Listing(subject=subject), reading.ranges)
        with closing(pages):
            for page in pages:
                self._server_clock.stamped(record.modified_at for record in page.records)
                yield page

    def associations(
        self, object_type: str, to_object_type: str, object_ids: Sequence[str]
    ) -> Mapping[str, tuple[Association, ...]]:
        """All associations of *object_ids* to *to_object_type*, 1,000 records a call."""
        return read_batches(
            self._client, self._paths.associations, object_type, to_object_type, object_ids
        )

    def api_calls(self) -> Mapping[str, int]:
        """Calls so far by endpoint class."""
        return self._client.api_calls()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _check_names(
        self, settings: StreamSettings, definitions: tuple[PropertyDefinition, ...]
    ) -> None:
        """Warn, when all streams are known, of names that none has: a slip of the pen maybe.

        Only of streams that are to leave out what they lack, and with no call that is not made
        anyway.
        """
        sharing = [one.object_type for one in self._account.streams if one.ignore_missing]
        if settings.object_type not in sharing or settings.object_type in self._defined:
            return
        self._defined[settings.object_type] = settings, definitions
        if len(self._defined) < len(sharing):
            return
        unknown = found_nowhere(list(self._defined.values()))
        if unknown:
            _logger.warning(
                "%s: %s have no property %s; left out",
                self._account.key,
                " and ".join(sharing),
                ", ".join(unknown),
            )

    def _define(self, object_type: str) -> tuple[PropertyDefinition, ...]:
        held = self._definitions.get(self._account.key, object_type)
        if held is None:
            held = read_definitions(self._client, self._paths.properties, object_type)
            self._definitions.put(self._account.key, object_type, held)
        return held


def _list(listing: Listing, ranges: Sequence[IdRange]) -> Generator[Page, None, None]:
    """Read the list in parallel; serially, from the beginning, when it turns out unordered."""
    object_type = listing.subject.object_type
    for _ in range(_FRESH_STARTS):
        serial = any(id_range.serial for id_range in ranges)
        try:
            yield from _pool(listing, ranges, 1 if serial else _LISTERS).pages()
        except OrderNotKeptError as error:
            _logger.warning("listing %s by one thread, because %s", object_type, error)
            ranges = (IdRange(serial=True),)
        else:
            return
    raise HubSpotUnavailableError(
        f"HubSpot refused its own paging values {_FRESH_STARTS} times while listing {object_type}"
    )


def _pool(reader: RangeReader, ranges: Sequence[IdRange], width: int) -> WalkPool:
    return WalkPool(reader, ranges, width=width, max_bytes=_BYTES_AHEAD)
