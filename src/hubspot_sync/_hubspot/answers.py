"""Reads what several of HubSpot's answers share."""

from __future__ import annotations

from typing import Any

from hubspot_sync.errors import HubSpotUnavailableError
from hubspot_sync.models import AccountDetails


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


def account_details(body: Any) -> AccountDetails:
    """What HubSpot says about the account that was asked.

    Raises:
        HubSpotUnavailableError: It does not say which one that is.
    """
    if not isinstance(body, dict) or "portalId" not in body:
        raise HubSpotUnavailableError("HubSpot did not say which account this is")
    return AccountDetails(
        account_id=str(body["portalId"]),
        time_zone=body.get("timeZone"),
        account_type=body.get("accountType"),
    )
