"""The tenant's accounts: how they are, their syncs, and what was refused.

Plain functions work in FastAPI's own threads, so they may wait for the database. All of them go
through `Domain`, which reaches the accounts of the caller's tenant alone.
"""

from collections.abc import AsyncIterator
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, HTTPException, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field

from hubspot_sync import AccountStatus, UnknownAccountError

from .access import (
    KEYS,
    READABLE,
    AccountId,
    Host,
    KeyedRoute,
    ObjectId,
    ObjectType,
    Tenant,
    TheHost,
)
from .problems import Problem, note_down
from .syncs import LiveSync
from .views import AccountView, FailureView, Progress, Wanted, report_view

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (401, 404, 409, 413, 422, 429)
}
_DISABLED = "The account is disabled: connect it again if it was disconnected, or else resume it."
routes = APIRouter(
    prefix="/accounts",
    tags=["accounts"],
    responses=_REFUSALS,
    route_class=KeyedRoute,
    dependencies=KEYS,
)


@routes.get("")
def list_accounts(tenant: Tenant, status: AccountStatus | None = None) -> list[AccountView]:
    """The tenant's accounts, all or those with one status."""
    return [AccountView.of(entry) for entry in tenant.accounts(status)]


@routes.get("/{account_id}")
def show_account(tenant: Tenant, account_id: AccountId) -> AccountView:
    """One account."""
    return AccountView.of(tenant.account(account_id))


class Pause(Wanted):
    """Why an account is paused."""

    reason: Annotated[str, Field(max_length=300), READABLE] | None = None


@routes.post("/{account_id}/pause")
def pause(
    tenant: Tenant, account_id: AccountId, body: Annotated[Pause, Body(default_factory=Pause)]
) -> AccountView:
    """Sync the account only when it is asked for, until it is resumed."""
    return AccountView.of(tenant.pause(account_id, reason=body.reason))


@routes.post("/{account_id}/resume")
def resume(tenant: Tenant, account_id: AccountId) -> AccountView:
    """Make the account active and due at once; one that was disconnected is connected instead."""
    return AccountView.of(tenant.resume(account_id))


@routes.post("/{account_id}/disconnect")
def disconnect(host: TheHost, tenant: Tenant, account_id: AccountId) -> AccountView:
    """Give the tokens back, forget them, and disable the account."""
    tenant.account(account_id)  # before others are looked at: nobody is to learn of theirs
    revoke = not _is_shared(host, tenant.domain_id, account_id)
    return AccountView.of(tenant.disconnect(account_id, revoke=revoke))


def _is_shared(host: Host, domain_id: str, account_id: str) -> bool:
    """Whether another tenant has connected the same HubSpot account.

    HubSpot may have given it the same tokens, so they have to stay good.
    """
    for other in host.api_keys.domains - {domain_id}:
        try:
            entry = host.engine.domain(other).account(account_id)
        except UnknownAccountError:
            continue
        if entry.status is not AccountStatus.DISABLED:
            return True
    return False


@routes.post("/{account_id}/sync", status_code=202)
async def start_sync(host: TheHost, tenant: Tenant, account_id: AccountId) -> Progress:
    """Sync the account now; the answer does not wait for it."""
    entry = await run_in_threadpool(tenant.account, account_id)
    if entry.status is AccountStatus.DISABLED:
        raise HTTPException(409, _DISABLED)
    return host.syncs.start(tenant, account_id).progress


async def the_sync(host: TheHost, tenant: Tenant, account_id: AccountId) -> LiveSync:
    """The sync of the account that goes on, or the last one since the host started."""
    entry = await run_in_threadpool(tenant.account, account_id)
    live = host.syncs.find(entry.key)
    if live is None:
        raise HTTPException(404, "Nobody has synced this account since the host was started.")
    return live


TheSync = Annotated[LiveSync, Depends(the_sync)]


@routes.get("/{account_id}/sync")
async def show_sync(live: TheSync) -> Progress:
    """How far the sync is, or how it ended."""
    return live.progress


@routes.get("/{account_id}/sync/events", response_class=EventSourceResponse)
async def follow_sync(live: TheSync) -> AsyncIterator[ServerSentEvent]:
    """The same, live, as Server-Sent Events: `progress`, and `ended` with the report."""
    async for progress in live.follow():
        kind = "ended" if progress.state == "ended" else "progress"
        yield ServerSentEvent(event=kind, data=progress)


@routes.get("/{account_id}/errors")
def list_errors(
    tenant: Tenant,
    account_id: AccountId,
    object_type: ObjectType | None = None,
    *,
    parked: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> list[FailureView]:
    """Actions that were refused and wait to be tried again, stream by stream."""
    failures = tenant.rejected_actions(account_id, object_type=object_type, parked=parked)
    return [FailureView.of(failure) for failure in islice(failures, limit)]


class Redrive(Wanted):
    """Which refused actions are tried again; all of them by default."""

    object_type: ObjectType | None = None
    # As long as the library keeps it.
    reason: Annotated[str, Field(max_length=1_000), READABLE] | None = None
    object_ids: Annotated[list[ObjectId], Field(max_length=1_000)] | None = None
    parked: bool | None = None


@routes.post("/{account_id}/errors/redrive")
def redrive(
    tenant: Tenant, account_id: AccountId, body: Annotated[Redrive, Body(default_factory=Redrive)]
) -> dict[str, Any]:
    """Try refused actions again, now; see `report_view`."""
    report = tenant.redrive(account_id, **body.model_dump())
    if not report.counts.tried:
        report.raise_for_failure()
    for one in report.streams:
        if one.error is not None:
            note_down(one.error)
    return report_view(report)
