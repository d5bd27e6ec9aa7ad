"""Why one object is in the host's store as it is: what the stores know of it, and HubSpot."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from hubspot_sync._actions import is_gone
from hubspot_sync._engine.account.health import health_of
from hubspot_sync._engine.account.names import opened
from hubspot_sync._engine.stream.rejected import browsed
from hubspot_sync.errors import HubSpotSyncError
from hubspot_sync.models import (
    Explanation,
    Gone,
    InHubSpot,
    RejectedSelection,
    Verdict,
    from_milliseconds,
)
from hubspot_sync.models.health import HealthStatus

if TYPE_CHECKING:
    from datetime import datetime

    from hubspot_sync._engine.context import RunContext
    from hubspot_sync.models import (
        AccountEntry,
        Checkpoint,
        Fingerprint,
        Presence,
        RejectedAction,
        StreamHealth,
        StreamKey,
        StreamSettings,
    )

_OF_GONE = {
    Gone.DELETED: Verdict.DELETED,
    Gone.MERGED: Verdict.MERGED,
    Gone.ERASED: Verdict.ERASED,
}
_WELL = (HealthStatus.FRESH,)


def explain(
    context: RunContext,
    entry: AccountEntry,
    stream: StreamKey,
    object_id: str,
    *,
    ask_hubspot: bool,
) -> Explanation:
    """Say why the object is in the host's store as it is, or is not.

    Args:
        context: The stores.
        entry: The account's entry.
        stream: The object's stream, under the name that is kept of it.
        object_id: The object.
        ask_hubspot: Whether HubSpot is asked for it, by its id.

    Raises:
        StoreUnavailableError: A store stays away.
    """
    known = _Known.of(context, entry, stream, object_id)
    found = known.explained()
    if ask_hubspot:
        found = _asked(context, entry, known, found)
    return found


@frozen(kw_only=True)
class _Known:
    """What the stores know of an object.

    Attributes:
        stream: Its stream.
        object_id: The object.
        settings: What is read of the stream; None where the account does not have it.
        health: How the stream is; None where the account does not have it.
        checkpoint: How far the stream is.
        fingerprint: Its state that was delivered last.
        rejected: The refused action on it.
    """

    stream: StreamKey
    object_id: str
    settings: StreamSettings | None
    health: StreamHealth | None
    checkpoint: Checkpoint
    fingerprint: Fingerprint | None
    rejected: RejectedAction | None

    @classmethod
    def of(
        cls, context: RunContext, entry: AccountEntry, stream: StreamKey, object_id: str
    ) -> _Known:
        (account,) = health_of(context, [entry]).accounts
        recalled = context.call(stream, lambda: context.checkpointer.recall(stream, [object_id]))
        rejected = None
        if context.error_queue is not None:
            rejected = _rejected(context, stream, object_id)
        named = (one for one in entry.account.streams if one.object_type == stream.object_type)
        return cls(
            stream=stream,
            object_id=object_id,
            settings=next(named, None),
            health=next((one for one in account.streams if one.stream == stream), None),
            checkpoint=context.call(stream, lambda: context.checkpointer.load(stream)),
            fingerprint=recalled.get(object_id),
            rejected=rejected,
        )

    def explained(self) -> Explanation:
        """What follows from it."""
        fingerprint = self.fingerprint
        version = None if fingerprint is None else fingerprint.version
        verdict, why = self._verdict()
        return Explanation(
            stream=self.stream,
            object_id=self.object_id,
            verdict=verdict,
            because=(*why, *self._of_stream()),
            modified_at=None if version is None else from_milliseconds(version),
            gone=fingerprint.gone if fingerprint else None,
            merged_into=fingerprint.merged_into if fingerprint else None,
            rejected=self.rejected,
            health=self.health,
        )

    def _verdict(self) -> tuple[Verdict, list[str]]:
        fingerprint, rejected = self.fingerprint, self.rejected
        if fingerprint is not None and fingerprint.gone is Gone.ERASED:
            return Verdict.ERASED, ["Domain.erase forgot it; no sync brings it back"]
        if rejected is not None:
            return self._refused(rejected)
        if fingerprint is not None and is_gone(fingerprint) and fingerprint.gone is not None:
            return _OF_GONE[fingerprint.gone], [_told_gone(fingerprint)]
        if fingerprint is not None:
            return Verdict.DELIVERED, [
                f"the sink has its state of {_at(from_milliseconds(fingerprint.version))}"
            ]
        return self._never_delivered()

    def _refused(self, rejected: RejectedAction) -> tuple[Verdict, list[str]]:
        tried = f"{rejected.action.name!r} was refused {rejected.attempts} times"
        why = [f"{tried}, last at {_at(rejected.last_at)}: {rejected.reason}"]
        if rejected.next_at is None:
            return Verdict.PARKED, [*why, "nobody tries it again by itself; call Domain.redrive"]
        return Verdict.REFUSED, [*why, f"it is tried again from {_at(rejected.next_at)} on"]

    def _never_delivered(self) -> tuple[Verdict, list[str]]:
        if self.settings is None:
            kind = self.stream.object_type
            remedy = f"add StreamSettings({kind!r}) by Domain.configure"
            return Verdict.NOT_SYNCED, [f"the account does not sync {kind}; {remedy}"]
        if self.object_id in self.checkpoint.unread:
            return Verdict.WAITING, ["it could not be read; each run asks for it again"]
        mark = self.checkpoint.high_water_mark
        if mark is None:
            return Verdict.WAITING, ["the first load of its stream is not complete"]
        return Verdict.UNKNOWN, [
            f"HubSpot did not show it up to {_at(mark)}; ask_hubspot=True tells whether it has it"
        ]

    def _of_stream(self) -> list[str]:
        """What in the state of its stream and in the settings may be a reason, too."""
        why = []
        if self.fingerprint is not None and self.settings is None:
            why.append("its stream is not synced any more, so nothing new of it arrives")
        if self.fingerprint is not None and self.object_id in self.checkpoint.unread:
            why.append("it is to be read again by the next run")
        if self.settings is not None and (self.settings.properties or self.settings.exclude):
            why.append("StreamSettings choose its properties; the others are not read")
        if self.checkpoint.suspected and not self.checkpoint.confirmed:
            why.append(
                f"{self.checkpoint.suspected} objects of its stream seem to be gone, and are not "
                "told of before Domain.confirm_deletions"
            )
        if self.health is not None and self.health.status not in _WELL:
            status = self.health.status.value.replace("_", " ")
            remedies = [problem.remedy for problem in self.health.problems]
            why.append("; ".join([f"its stream: {status}", *remedies]))
        return why


def _rejected(context: RunContext, stream: StreamKey, object_id: str) -> RejectedAction | None:
    selection = RejectedSelection(
        account=stream.account, object_type=stream.object_type, object_ids=[object_id]
    )
    return next(browsed(context, selection), None)


def _told_gone(fingerprint: Fingerprint) -> str:
    at = _at(from_milliseconds(fingerprint.sequence))
    if fingerprint.gone is Gone.MERGED:
        return f"the sink was told at {at} that it is part of {fingerprint.merged_into} now"
    return f"the sink was told at {at} that it is deleted in HubSpot"


def _asked(
    context: RunContext, entry: AccountEntry, known: _Known, found: Explanation
) -> Explanation:
    """*found* with what HubSpot says of the object."""
    if known.settings is None:
        return found
    try:
        with closing(opened(context, entry.account)) as source:
            presence = source.find(source.resolve(known.settings), [known.object_id])
    except HubSpotSyncError as error:
        return _with(found, InHubSpot.UNANSWERED, f"HubSpot could not be asked: {error.message}")
    for record in presence.page.records:
        return _there(known, found, record.modified_at)
    return _not_there(presence, found)


def _not_there(presence: Presence, found: Explanation) -> Explanation:
    object_id = found.object_id
    if object_id in presence.archived:
        deleted_at = presence.archived[object_id]
        when = f" since {_at(deleted_at)}" if deleted_at else ""
        return _left(found, InHubSpot.DELETED, f"in HubSpot it is deleted{when}")
    if object_id in presence.merged:
        survivor = presence.merged[object_id]
        return _left(found, InHubSpot.MERGED, f"in HubSpot it is part of {survivor}")
    if object_id in presence.gone:
        return _left(found, InHubSpot.NOWHERE, "HubSpot has it nowhere")
    return _with(found, InHubSpot.UNANSWERED, "HubSpot gave no answer for it; ask again")


def _there(known: _Known, found: Explanation, modified_at: datetime) -> Explanation:
    found = evolve(found, modified_in_hubspot=modified_at)
    said = f"HubSpot has it in its state of {_at(modified_at)}"
    if found.verdict is Verdict.DELIVERED and found.modified_at != modified_at:
        return _with(found, InHubSpot.THERE, f"{said}; the next sync brings it", Verdict.OUTDATED)
    if found.verdict in (Verdict.DELETED, Verdict.MERGED):
        said += "; it was restored, and the next archived pass brings it back"
        return _with(found, InHubSpot.THERE, said, Verdict.OUTDATED)
    if found.verdict is Verdict.UNKNOWN:
        mark = known.checkpoint.high_water_mark
        if mark is not None and modified_at < mark:
            said += "; call Domain.reconcile, since no window shows what is older than the mark"
            return _with(found, InHubSpot.THERE, said)
        return _with(found, InHubSpot.THERE, f"{said}; the next sync brings it", Verdict.WAITING)
    return _with(found, InHubSpot.THERE, said)


def _left(found: Explanation, where: InHubSpot, said: str) -> Explanation:
    if found.verdict is Verdict.DELIVERED:
        said += "; the next archived or reconcile pass tells of it"
        return _with(found, where, said, Verdict.OUTDATED)
    return _with(found, where, said)


def _with(
    found: Explanation, where: InHubSpot, said: str, verdict: Verdict | None = None
) -> Explanation:
    because = (*found.because, said)
    return evolve(found, in_hubspot=where, because=because, verdict=verdict or found.verdict)


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
