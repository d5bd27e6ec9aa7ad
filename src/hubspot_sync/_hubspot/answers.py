"""Reads what all of HubSpot's paged answers share."""

from __future__ import annotations

from typing import Any

from hubspot_sync.errors import HubSpotUnavailableError


def rows_of(body: Any) -> list[Any]:
    """The rows of a page.

    Raises:
        HubSpotUnavailableError: There is no list of rows, or something in it is no object.
    """
    rows = body.get("results") if isinstance(body, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise HubSpotUnavailableError("HubSpot's answer holds no list of results")
    return rows


def next_after(body: Any) -> str | None:
    """The paging value of the next page; None on the last one, where HubSpot leaves it out."""
    after = ((body.get("paging") or {}).get("next") or {}).get("after")
    return None if after is None else str(after)
