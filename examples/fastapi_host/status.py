"""The status page, and what it shows: how the tenant's accounts are.

The page is a file of HTML, one of CSS and one of JavaScript, without a framework and without
anything from elsewhere. It holds nothing of anybody: whoever opens it types an API key, which stays
in the memory of that tab, and it asks for what every client can ask for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse

from .access import KEYS, KeyedRoute, Tenant, TheHost
from .problems import Problem
from .settings import STATUS_PATH
from .views import AccountHealthView, HealthView

_FOLDER: Final = Path(__file__).with_name("page")
_KINDS: Final = {"status.css": "text/css", "status.js": "text/javascript"}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
routes = APIRouter(
    tags=["accounts"],
    responses={status: {"model": Problem} for status in (401, 429, 503)},
    route_class=KeyedRoute,
    dependencies=KEYS,
)
pages = APIRouter(include_in_schema=False)


@routes.get("/health")
def show_health(host: TheHost, tenant: Tenant) -> HealthView:
    """How fresh and complete the tenant's accounts are, and what is wrong with which."""
    health = tenant.health()
    return HealthView(
        status=health.status,
        counts=dict(health.counts),
        accounts=[
            AccountHealthView.of(one, syncing=host.syncs.goes_on(one.account))
            for one in health.accounts
        ],
    )


@pages.get(STATUS_PATH)
def show_page() -> FileResponse:
    """The page."""
    headers = {"Content-Security-Policy": _POLICY}
    return FileResponse(_FOLDER / "status.html", media_type="text/html", headers=headers)


@pages.get("/favicon.ico")
def show_icon() -> FileResponse:
    """What browsers ask for beside every page."""
    return FileResponse(_FOLDER / "icon.svg", media_type="image/svg+xml")


@pages.get(STATUS_PATH + "/{name}")
def show_part(name: str) -> FileResponse:
    """What the page is made of."""
    if name not in _KINDS:
        raise HTTPException(404, "There is no such file.")
    return FileResponse(_FOLDER / name, media_type=_KINDS[name])
