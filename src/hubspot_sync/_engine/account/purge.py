"""A purge: everything that is kept of an account is removed."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from hubspot_sync._engine.account.entry import with_status
from hubspot_sync._engine.stopping import stop_as_error
from hubspot_sync._engine.stream.erasure import scrub, sinks_of, unable_to
from hubspot_sync._engine.stream.lease import PATIENCE_SECONDS, awaited_lease
from hubspot_sync._ownership import new_owner_name
from hubspot_sync.errors import LeaseHeldError
from hubspot_sync.models import AccountStatus, PurgeReport, RejectedSelection, StreamKey
from hubspot_sync.models.object_types import is_settled

if TYPE_CHECKING:
    from hubspot_sync._engine.account.connect import Connections
    from hubspot_sync._engine.account.directory import Directory
    from hubspot_sync._engine.context import RunContext
    from hubspot_sync._engine.stream.lease import Progress
    from hubspot_sync.models import AccountEntry, AccountKey

_AT_ONCE: Final = 250
_UNDER_WAY: Final = "it is being purged; call Domain.purge again if this stays"


@frozen(kw_only=True)
class Purge:
    """Removes accounts from all stores; threads may share it.

    Attributes:
        context: The stores.
        directory: The entries of the accounts.
        connections: Tells HubSpot that tokens are not used any more, and forgets them.
    """

    context: RunContext
    directory: Directory
    connections: Connections

    def run(self, key: AccountKey, *, revoke: bool) -> PurgeReport:
        """Remove all that is kept of an account, known or not.

        First the leases on all its streams are taken, so that no sync is under way. Then the
        entry is disabled and the credentials go, so that none begins: what is removed behind them
        cannot come back, also if this is cut off. The entry goes last, because it is what shows
        that there is something left to do; only the files are scrubbed behind it, because it was
        in one of them. No entry is needed to do what is left.

        Raises:
            LeaseHeldError: A stream is still being synced after ten seconds; nothing was removed.
            StoreUnavailableError: A store stays away, or the engine was stopped.
        """
        try:
            with stop_as_error("before all was removed; ask again", key), ExitStack() as held:
                return self._purged(key, held, revoke=revoke)
        except LeaseHeldError as busy:
            raise LeaseHeldError(
                f"{busy.owner} is synchronising {busy.stream or 'the account'}, so nothing was "
                "removed; ask again when that has ended",
                owner=busy.owner,
                account=str(key),
            ) from None

    def _purged(self, key: AccountKey, held: ExitStack, *, revoke: bool) -> PurgeReport:
        entry = self.directory.find(key)
        streams = self._leased(key, entry, held)
        if entry is not None:
            now = self.context.clock.now()
            self.directory.change(
                key, lambda one: with_status(one, AccountStatus.DISABLED, _UNDER_WAY, now)
            )
        had_credentials = self.connections.credentials.holds(key)
        untold = self.connections.revoke(key) if revoke else None
        self.connections.credentials.forget(key)
        rejected, stored = self._rejected(key), self._stored(key)
        known = {one.stream: one.forget() for one in streams}
        self.directory.remove(key)
        scrub(self.context, lambda function: self.context.ask("store", function, key))
        return PurgeReport(
            account=key,
            streams=tuple(one.object_type for one in known),
            fingerprints=sum(known.values()),
            rejected=rejected,
            stored=stored,
            credentials=had_credentials,
            entry=entry is not None,
            unable=unable_to(self.context, "purge"),
            untold=untold,
        )

    def _leased(
        self, key: AccountKey, entry: AccountEntry | None, held: ExitStack
    ) -> list[Progress]:
        """Take the leases on all streams that there are, or that a sync might begin."""
        owner, until = new_owner_name(), self.context.clock.monotonic() + PATIENCE_SECONDS
        begun = self.context.ask("store", partial(self.context.checkpointer.streams, key), key)
        wanted = [one.object_type for one in entry.account.streams] if entry else []
        streams = {*begun, *(StreamKey(key, name) for name in wanted if is_settled(name))}
        return [
            held.enter_context(awaited_lease(self.context, one, owner, until=until))
            for one in sorted(streams)
        ]

    def _rejected(self, key: AccountKey) -> int:
        """Empty the error queue; of how many objects there was something."""
        queue: Any = self.context.error_queue
        if queue is None:
            return 0
        everything = RejectedSelection(account=key)
        if hasattr(queue, "drop"):
            return int(self.context.ask("error queue", partial(queue.drop, everything), key))
        dropped = 0
        browse = partial(queue.browse, everything, limit=_AT_ONCE)
        while page := self.context.ask("error queue", browse, key):
            for one in page:
                versions = {one.action.object_id: one.action.version}
                self.context.ask("error queue", partial(queue.settle, one.stream, versions), key)
            dropped += len(page)
        return dropped

    def _stored(self, key: AccountKey) -> int:
        """Empty the sinks that can; how many actions or records there were."""
        return sum(
            int(self.context.ask("sink", partial(sink.purge, key), key))
            for sink in sinks_of(self.context.sink)
            if hasattr(sink, "purge")
        )
