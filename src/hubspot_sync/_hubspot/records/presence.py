"""Says of records whether they are there, archived, merged into others, or gone without a trace.

Each answer comes from HubSpot's primary storage and is about the very id that was asked for; a
record of which HubSpot says nothing is not gone. What deletions and merges look like:
https://developers.hubspot.com/docs/guides/api/crm/using-object-apis
https://developers.hubspot.com/changelog/updated-merge-functionality-for-contacts-and-companies
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import evolve

from hubspot_sync._hubspot.calls.answers import Pager, list_answer
from hubspot_sync._hubspot.calls.client import Call
from hubspot_sync._hubspot.records.batch_calls import read_batch
from hubspot_sync._hubspot.records.values import to_instant
from hubspot_sync.errors import HubSpotUnavailableError, RequestRefusedError
from hubspot_sync.models import Archived, Presence, SkippedRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from hubspot_sync._hubspot.records.subject import Subject

_PAGE: Final = 100
_NOT_FOUND: Final = 404
_NAMES: Final = ("hs_object_id",)


def find(subject: Subject, object_ids: Sequence[str]) -> Presence:
    """What became of *object_ids*: read among the live ones, then the archived, then one by one.

    Raises:
        HubSpotSyncError: HubSpot could not be asked, or answers for none of many.
        StopRequested: The run was stopped.
    """
    found = subject.read_by_id(object_ids)
    page = subject.page_of(found)
    absent = [one for one in object_ids if one in found.absent]
    if not absent:
        return Presence(page=page)
    archived = read_batch(
        *(subject.client, subject.paths.batch_read, subject.object_type, _NAMES, absent),
        archived=True,
    )
    deleted = {one: _archived_at(row) for one, row in archived.rows.items()}
    unanswered = dict(archived.unanswered)
    merged: dict[str, str] = {}
    gone: list[str] = []
    for one in absent:
        if one in deleted or one in unanswered:
            continue
        survivor = _single(subject, one)
        if survivor is None:
            gone.append(one)
        elif survivor == one:
            unanswered[one] = "HubSpot has it and has it not"
        else:
            merged[one] = survivor
    doubtful = tuple(
        SkippedRow(object_id=one, reason=reason, again=True) for one, reason in unanswered.items()
    )
    settled = tuple(one for one in page.absent if one not in unanswered)
    return Presence(
        page=evolve(page, skipped=page.skipped + doubtful, absent=settled),
        archived=deleted,
        merged=merged,
        gone=tuple(gone),
    )


def archived(subject: Subject, after: str | None) -> Iterator[Archived]:
    """Read the list of archived records, which has those of the last 90 days, page by page.

    Raises:
        HubSpotSyncError: HubSpot could not be asked, or its pages have no end.
        StopRequested: The run was stopped.
    """
    doing = f"listing archived {subject.object_type}"
    pager = Pager(doing, subject.client.stop)
    seen: set[str] = set()
    while True:
        query = [("limit", str(_PAGE)), ("archived", "true"), ("properties", ",".join(_NAMES))]
        if after is not None:
            query.append(("after", after))
        answer = subject.client.call(
            Call(
                endpoint="archived",
                method="GET",
                path=subject.paths.objects,
                path_params={"object_type": subject.object_type},
                query=query,
                doing=doing,
            ),
            list_answer,
        ).content
        # A row that does not say that it is archived is about something else.
        found = {str(row["id"]): _archived_at(row) for row in answer.rows if _is_archived(row)}
        if answer.after is None:
            yield Archived(deleted=found)
            return
        after = pager.follow(answer.after, new=not seen.issuperset(found))
        seen = set(found)
        yield Archived(deleted=found, after=after)


def _is_archived(row: Any) -> bool:
    return row.get("archived") is True or bool(row.get("archivedAt"))


def _archived_at(row: Any) -> datetime | None:
    text = row.get("archivedAt")
    try:
        return to_instant(text) if isinstance(text, str) and text else None
    except (ValueError, OverflowError):
        return None


def _single(subject: Subject, object_id: str) -> str | None:
    """The id of the record that HubSpot answers with for *object_id*; None where there is none.

    HubSpot answers for a record that was merged with the one that it was merged into.
    """
    try:
        row = subject.client.call(
            Call(
                endpoint="read",
                method="GET",
                path=f"{subject.paths.objects}/{{object_id}}",
                path_params={"object_type": subject.object_type, "object_id": object_id},
                query=[("properties", ",".join(_NAMES))],
                doing=f"reading one of the {subject.object_type} by its id",
            ),
            _id_of,
        ).content
    except RequestRefusedError as error:
        if error.status != _NOT_FOUND:
            raise
        return None
    return row


def _id_of(body: Any) -> str:
    object_id = str(body["id"])
    if not (object_id.isascii() and object_id.isdigit()):
        raise HubSpotUnavailableError("HubSpot's answer holds an id that is no id")
    return object_id
