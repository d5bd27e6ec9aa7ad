"""Batch calls: every input is answered, absent on HubSpot's word, or named as unanswered.

Nothing promises an answer for each input, and one input that HubSpot cannot answer for may spoil
the call for all the others. So what a batch leaves open is asked for again, a call that fails is
made in smaller pieces, and what stays without an answer is told by its id, never taken for
"there is none": https://developers.hubspot.com/docs/guides/api/crm/using-object-apis
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from attrs import field, frozen

from hubspot_sync._clock import StopRequested
from hubspot_sync._hubspot.calls.answers import batch_answer
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync.errors import HubSpotUnavailableError, RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync._hubspot.calls.answers import BatchError
    from hubspot_sync._hubspot.calls.client import HubSpotClient

READ_SIZE: Final = 100
# How often an input is asked for without an answer; the waits between grow up to this many times.
_LOOKS: Final = 10
_LONGEST_PAUSE: Final = 4
_TRIES_IN_PIECES: Final = 2
# So many pieces of a call that failed may fail too before the service is at fault, not an input.
_FAILED_PIECES: Final = 8
# More inputs than these without one answer are no matter of single records.
_MOST_UNANSWERED: Final = 20
# No record has this id, so every HubSpot that is well can answer for it.
_NOBODY: Final = "0"


@frozen(kw_only=True)
class Round:
    """What one call said about its inputs; those in neither set are open.

    Attributes:
        done: Inputs that have their answer.
        more: Inputs that go on: HubSpot has another page for them.
        errors: What HubSpot says about others.
    """

    done: frozenset[str]
    more: frozenset[str] = frozenset()
    errors: tuple[BatchError, ...] = ()


class Ask(Protocol):
    """Makes one call for some inputs and takes in what it brings."""

    def __call__(self, ids: Sequence[str], *, max_tries: int | None) -> Round:
        """Ask for *ids*."""


@frozen(kw_only=True)
class Batches:
    """Asks for many inputs, as many at once as HubSpot allows, until each has its end.

    Attributes:
        client: Calls HubSpot; its run's stop ends the loop.
        ask: Makes one call.
        size: How many inputs a call may have.
    """

    client: HubSpotClient
    ask: Ask
    size: int
    _looks: Counter[str] = field(factory=Counter, init=False)
    _unanswered: dict[str, str] = field(factory=dict, init=False)
    _answered: set[str] = field(factory=set, init=False)

    def run(self, ids: Sequence[str]) -> dict[str, str]:
        """Ask for *ids*; those that HubSpot does not answer for, with the reasons.

        Raises:
            HubSpotSyncError: HubSpot answers for none of many, or refuses the call as such.
            StopRequested: The run was stopped before the inputs were through; what was asked for
                first is always asked for, so that a run which is stopped can store what it read.
        """
        pending = deque(dict.fromkeys(ids))
        quiet = 0
        first = True
        while pending:
            if not first and self.client.stop.is_set():
                raise StopRequested
            first = False
            batch = [pending.popleft() for _ in range(min(self.size, len(pending)))]
            said = self._asked(batch)
            pending.extend(self._open(batch, said))
            quiet = 0 if said.done or said.more else quiet + 1
            if quiet and pending:
                self.client.pause(min(quiet, _LONGEST_PAUSE))
        none_of_many = len(self._unanswered) > _MOST_UNANSWERED and not self._answered
        if none_of_many and not self._is_well():
            reason = next(iter(self._unanswered.values()))
            raise HubSpotUnavailableError(
                f"HubSpot answers for none of {len(self._unanswered)} records that were asked for "
                f"by their ids: {reason}"
            )
        return self._unanswered

    def _open(self, batch: Sequence[str], said: Round) -> list[str]:
        """The inputs of *batch* to ask for again, because they go on or have no answer yet."""
        again: list[str] = []
        for one in batch:
            if one in said.more:
                self._answered.add(one)
                self._looks[one] = 0
                again.append(one)
            elif one in said.done:
                self._answered.add(one)
            elif one not in self._unanswered:
                self._looks[one] += 1
                if self._looks[one] < _LOOKS:
                    again.append(one)
                else:
                    self._unanswered[one] = _reason(one, said.errors)
        return again

    def _asked(self, batch: Sequence[str]) -> Round:
        """One call for *batch*, or several for its pieces where it fails as a whole."""
        try:
            return self.ask(batch, max_tries=None)
        except (HubSpotUnavailableError, RequestRefusedError) as error:
            return self._in_pieces(batch, error)

    def _in_pieces(
        self, batch: Sequence[str], error: HubSpotUnavailableError | RequestRefusedError
    ) -> Round:
        """Find the inputs that spoil the call.

        Raises:
            HubSpotUnavailableError: It is no single input, HubSpot cannot answer at all.
            RequestRefusedError: Likewise, HubSpot refuses the call whatever it asks for.
        """
        done: set[str] = set()
        more: set[str] = set()
        errors: list[BatchError] = []
        spoilt: dict[str, str] = {}
        pieces, failed = deque(_halves(batch)), 0
        well = False
        while pieces:
            if self.client.stop.is_set():
                raise StopRequested
            piece = pieces.popleft()
            try:
                said = self.ask(piece, max_tries=_TRIES_IN_PIECES)
            except (HubSpotUnavailableError, RequestRefusedError) as once_more:
                failed += 1
                if not well and failed >= _FAILED_PIECES:
                    raise error from None
                if len(piece) > 1:
                    pieces.extend(_halves(piece))
                else:
                    spoilt[piece[0]] = once_more.message
            else:
                well = True
                done |= said.done
                more |= said.more
                errors.extend(said.errors)
        if not well and not self._is_well():
            raise error
        self._unanswered.update(spoilt)
        return Round(done=frozenset(done), more=frozenset(more), errors=tuple(errors))

    def _is_well(self) -> bool:
        """Whether HubSpot can answer for an input that nothing is known of."""
        try:
            self.ask([_NOBODY], max_tries=_TRIES_IN_PIECES)
        except (HubSpotUnavailableError, RequestRefusedError):
            return False
        return True


def _halves(batch: Sequence[str]) -> list[Sequence[str]]:
    middle = len(batch) // 2
    return [half for half in (batch[:middle], batch[middle:]) if half]


def _reason(object_id: str, errors: Sequence[BatchError]) -> str:
    """What HubSpot said about *object_id*: by name, else without any."""
    named = (error.reason for error in errors if object_id in error.ids)
    unnamed = (error.reason for error in errors if not error.ids and not error.absent)
    reason = next(named, None) or next(unnamed, None)
    return f"HubSpot said: {reason}" if reason else "HubSpot left it out of its answers"


@frozen(kw_only=True)
class FoundById:
    """Records that were read by their ids.

    Attributes:
        rows: The rows, by id.
        absent: Ids that HubSpot says it does not have.
        unanswered: Ids that it gave no answer for, with the reasons.
        size: How many bytes the answers had.
    """

    rows: dict[str, Any]
    absent: frozenset[str]
    unanswered: dict[str, str]
    size: int


def read_batch(
    client: HubSpotClient,
    path: str,
    object_type: str,
    names: Sequence[str],
    object_ids: Sequence[str],
    *,
    archived: bool = False,
) -> FoundById:
    """Read records from HubSpot's primary storage by their ids, 100 a call.

    Args:
        client: Calls HubSpot.
        path: Where to.
        object_type: What is read.
        names: The properties to ask for.
        object_ids: The ids.
        archived: Whether to look among the archived records, and there alone.
    """
    rows: dict[str, Any] = {}
    absent: set[str] = set()
    size = 0

    def ask(ids: Sequence[str], *, max_tries: int | None) -> Round:
        nonlocal size
        reply = client.call(
            _call(path, object_type, names, ids, max_tries, archived=archived), batch_answer
        )
        size += reply.size
        answer = reply.content
        found = {str(row.get("id")): row for row in answer.results}
        rows.update((one, found[one]) for one in ids if one in found)
        gone = {one for error in answer.errors if error.absent for one in error.ids} - found.keys()
        absent.update(gone.intersection(ids))
        done = found.keys() | gone
        if found.keys() - set(ids):
            # Another record comes back for one that was merged into it (HubSpot 8); for which one
            # shows only where it is asked for alone.
            merged = [one for one in ids if one not in done]
            if len(ids) == 1:
                absent.update(merged)
                done.update(merged)
            else:
                done.update(*(ask([one], max_tries=max_tries).done for one in merged))
        return Round(done=frozenset(done), errors=answer.errors)

    unanswered = Batches(client=client, ask=ask, size=READ_SIZE).run(object_ids)
    return FoundById(rows=rows, absent=frozenset(absent), unanswered=unanswered, size=size)


def _call(
    path: str,
    object_type: str,
    names: Sequence[str],
    object_ids: Sequence[str],
    max_tries: int | None,
    *,
    archived: bool,
) -> Call:
    return Call(
        endpoint="batch_read",
        method="POST",
        path=path,
        path_params={"object_type": object_type},
        query=[("archived", "true")] if archived else (),
        body={
            "inputs": [{"id": object_id} for object_id in object_ids],
            "properties": list(names),
            "propertiesWithHistory": [],
        },
        doing=f"reading {object_type} by their ids",
        max_tries=max_tries,
    )
