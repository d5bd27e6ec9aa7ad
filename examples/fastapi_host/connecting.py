"""Connects accounts by OAuth, through a person's browser, which has no API key.

1. A client asks for a link, with its API key, and gives it to the person.
2. The link carries a sealed invitation that names the tenant. The page behind it says whose it is,
   leads on to HubSpot, and leaves the invitation in a cookie.
3. HubSpot sends the person back with `state` and `code`. The cookie says which tenant to ask for.

The cookie decides nothing by itself. `Domain.finish_authorization` takes a `state` that it gave out
for this very tenant, unaltered, in time and once: with another tenant's it refuses, and that
`state` stays good for the browser that it belongs to. Without a cookie nothing is tried, so `code`
and `state` are of no use to anybody whom the tenant has not invited.
"""

from typing import Annotated

from fastapi import APIRouter, Body, Cookie
from fastapi.responses import HTMLResponse
from pydantic import Field

from hubspot_sync import HubSpotSyncError

from .access import ACCOUNT_ID, Tenant, TheHost
from .pages import not_connected, page
from .problems import Problem
from .security import INVITATION_LIFETIME, Invitation
from .settings import CALLBACK_PATH
from .views import ConnectLink, Wanted

_COOKIE = "hubspot_invitation"
_SECONDS = int(INVITATION_LIFETIME.total_seconds())
routes = APIRouter(tags=["connecting"])


class Wish(Wanted):
    """What to connect: any account, or one that is to be connected again."""

    account_id: Annotated[str, Field(pattern=ACCOUNT_ID)] | None = None


@routes.post("/accounts/connect", responses={401: {"model": Problem}, 404: {"model": Problem}})
def connect(
    host: TheHost, tenant: Tenant, body: Annotated[Wish, Body(default_factory=Wish)]
) -> ConnectLink:
    """A link for a person who may connect an account to the tenant."""
    if body.account_id is not None:
        tenant.account(body.account_id)
    sealed = host.invitations.seal(Invitation(tenant.domain_id, body.account_id))
    return ConnectLink(url=f"{host.settings.public_url}/connect/{sealed}", expires_in=_SECONDS)


@routes.get("/connect/{sealed}", response_class=HTMLResponse, include_in_schema=False)
def invite(host: TheHost, sealed: str) -> HTMLResponse:
    """The page behind the link: it says for whom, and leads on to HubSpot."""
    invitation = host.invitations.open(sealed)
    if invitation is None:
        return page("This link is out of date", "Ask for a new one.", status=400)
    domain = host.engine.for_domain(invitation.domain_id)
    try:
        url = domain.authorization_url(invitation.account_id)
    except HubSpotSyncError as refusal:
        return not_connected(refusal, invitation.account_id)
    answer = page(
        "Connect your HubSpot account",
        f"What it holds will be copied to {invitation.domain_id}. "
        "Go on only if you know them and came here because of them.",
        link=("Choose an account at HubSpot", url),
    )
    answer.set_cookie(
        _COOKIE,
        host.invitations.seal(invitation),
        max_age=_SECONDS,
        path=CALLBACK_PATH,
        secure=host.settings.public_url.startswith("https://"),
        httponly=True,
        samesite="lax",  # "strict" would keep it back when HubSpot sends the person here
    )
    return answer


@routes.get(CALLBACK_PATH, response_class=HTMLResponse, include_in_schema=False)
def finish(
    host: TheHost,
    sealed: Annotated[str, Cookie(alias=_COOKIE)] = "",
    state: str = "",
    code: str | None = None,
    error: str | None = None,
) -> HTMLResponse:
    """Where HubSpot sends the person back to."""
    invitation = host.invitations.open(sealed)
    if invitation is None:
        why = "This browser has no invitation, or it is out of date. Open the link once more."
        return page("Not connected", why, status=400)
    domain = host.engine.for_domain(invitation.domain_id)
    try:
        entry = domain.finish_authorization(state=state, code=code, error=error)
    except HubSpotSyncError as refusal:
        return not_connected(refusal, invitation.account_id)
    answer = page("Connected", f"{entry.name} is connected to {domain.domain_id}.")
    answer.delete_cookie(_COOKIE, path=CALLBACK_PATH)
    return answer
