"""Connects accounts by OAuth, through a person's browser, which has no API key.

1. A client asks for a link, with its API key, and gives it to the person.
2. The link carries a sealed invitation that names the tenant. The page behind it says whose it is,
   leads on to HubSpot, and leaves the invitation in a cookie.
3. HubSpot sends the person back with `state` and `code`. The cookie says which tenant to ask for.
4. When that went well, they are led on to a page that says so, also when it is loaded again, and
   the invitation is taken away. The page knows it from a second cookie.

The cookie decides nothing by itself. `Domain.finish_authorization` takes a `state` that it gave out
for this very tenant, unaltered, in time and once: with another tenant's it refuses, and that
`state` stays good for the browser that it belongs to. Without a cookie nothing is tried, so `code`
and `state` are of no use to anybody whom the tenant has not invited.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Cookie
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field

from hubspot_sync import HubSpotSyncError

from .access import ACCOUNT_ID, KEYS, Host, KeyedRoute, Tenant, TheHost
from .pages import not_connected, page
from .problems import Problem
from .security import INVITATION_LIFETIME, Arrival, Invitation
from .settings import CALLBACK_PATH, CONNECTED_PATH, STATUS_PATH
from .views import ConnectLink, Wanted

_INVITATION = "hubspot_invitation"
_ARRIVAL = "hubspot_connected"
_BOTH = "/oauth"  # of the callback and of the page that comes after it
_SECONDS = int(INVITATION_LIFETIME.total_seconds())
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (401, 404, 413, 422, 429)
}
routes = APIRouter(
    tags=["connecting"], responses=_REFUSALS, route_class=KeyedRoute, dependencies=KEYS
)
pages = APIRouter(include_in_schema=False)


class Wish(Wanted):
    """What to connect: any account, or one that is to be connected again."""

    account_id: Annotated[str, Field(pattern=ACCOUNT_ID)] | None = None


@routes.post("/accounts/connect")
def connect(
    host: TheHost, tenant: Tenant, body: Annotated[Wish, Body(default_factory=Wish)]
) -> ConnectLink:
    """A link for a person who may connect an account to the tenant."""
    if body.account_id is not None:
        tenant.account(body.account_id)
    sealed = host.invitations.seal(Invitation(tenant.domain_id, body.account_id))
    return ConnectLink(url=f"{host.settings.public_url}/connect/{sealed}", expires_in=_SECONDS)


@pages.get("/connect/{sealed}", response_class=HTMLResponse)
def invite(host: TheHost, sealed: str) -> HTMLResponse:
    """The page behind the link: it says for whom, and leads on to HubSpot."""
    invitation = host.invitations.open(sealed)
    if invitation is None:
        return page("This link is out of date", "Ask for a new one.", status=400)
    domain = host.engine.domain(invitation.domain_id)
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
    _leave(host, answer, _INVITATION, host.invitations.seal(invitation), CALLBACK_PATH)
    return answer


def _leave(host: Host, answer: Response, cookie: str, sealed: str, path: str) -> None:
    answer.set_cookie(
        cookie,
        sealed,
        max_age=_SECONDS,
        path=path,
        secure=host.settings.public_url.startswith("https://"),
        httponly=True,
        samesite="lax",  # "strict" would keep it back when HubSpot sends the person here
    )


@pages.get(CALLBACK_PATH, response_class=HTMLResponse)
def finish(
    host: TheHost,
    *,
    invited: Annotated[str, Cookie(alias=_INVITATION)] = "",
    arrived: Annotated[str, Cookie(alias=_ARRIVAL)] = "",
    state: str = "",
    code: str | None = None,
    error: str | None = None,
) -> Response:
    """Where HubSpot sends the person back to."""
    arrival = host.arrivals.open(arrived)
    if arrival is not None and arrival.came_with(state):  # they went back, or loaded it again
        return RedirectResponse(CONNECTED_PATH, 303)
    invitation = host.invitations.open(invited)
    if invitation is None:
        why = "This browser has no invitation, or it is out of date. Open the link once more."
        return page("Not connected", why, status=400)
    domain = host.engine.domain(invitation.domain_id)
    try:
        entry = domain.finish_authorization(state=state, code=code, error=error)
    except HubSpotSyncError as refusal:
        return not_connected(refusal, invitation.account_id)
    arrival = Arrival.of(domain.domain_id, entry.name or entry.account.account_id, state)
    answer = RedirectResponse(CONNECTED_PATH, 303)
    _leave(host, answer, _ARRIVAL, host.arrivals.seal(arrival), _BOTH)
    answer.delete_cookie(_INVITATION, path=CALLBACK_PATH)
    return answer


@pages.get(CONNECTED_PATH, response_class=HTMLResponse)
def connected(host: TheHost, arrived: Annotated[str, Cookie(alias=_ARRIVAL)] = "") -> HTMLResponse:
    """What the person sees at the end, and again when they load the page again."""
    arrival = host.arrivals.open(arrived)
    if arrival is None:
        return page("Nothing to see here", "Your application shows what is connected.", status=404)
    return page(
        "Connected",
        f"{arrival.name} is connected to {arrival.domain_id}.",
        link=("See how your accounts are", STATUS_PATH),
    )
