"""Reads records by id, up to 100 a call, from HubSpot's primary storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hubspot_sync._hubspot.answers import rows_of
from hubspot_sync._hubspot.client import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubspot_sync._hubspot.client import HubSpotClient, Reply

_SILENT_ANSWERS: Final = 4


def read_batch(
    client: HubSpotClient,
    path: str,
    object_type: str,
    names: Sequence[str],
    object_ids: Sequence[str],
) -> tuple[list[Any], int]:
    """Read the rows of at most 100 records, and tell how many bytes that took.

    A record that does not exist any more is missing, rightly: HubSpot reports it in a 207, or,
    as nothing promises an answer for each input, ignores it again and again.
    """
    rows: list[Any] = []
    size = silent_answers = 0
    pending = list(object_ids)
    while pending and silent_answers < _SILENT_ANSWERS:
        reply = _ask(client, path, object_type, names, pending)
        found = rows_of(reply.body)
        rows.extend(found)
        size += reply.size
        answered = {str(row.get("id")) for row in found} | _missing(reply.body)
        ignored = [object_id for object_id in pending if object_id not in answered]
        silent_answers = silent_answers + 1 if len(ignored) == len(pending) else 0
        pending = ignored
    return rows, size


def _ask(
    client: HubSpotClient,
    path: str,
    object_type: str,
    names: Sequence[str],
    object_ids: Sequence[str],
) -> Reply:
    return client.call(
        Call(
            endpoint="batch_read",
            method="POST",
            path=path,
            path_params={"object_type": object_type},
            body={
                "inputs": [{"id": object_id} for object_id in object_ids],
                "properties": list(names),
                "propertiesWithHistory": [],
            },
            doing=f"reading the properties of {object_type}",
        )
    )


def _missing(body: Any) -> set[str]:
    """The ids that HubSpot says it does not have."""
    return {
        str(object_id)
        for error in body.get("errors") or ()
        for object_id in (error.get("context") or {}).get("ids") or ()
    }
